-- Policies of ours: made, copied to partitions and children, dropped.

CREATE FUNCTION forge_comm.create_policy(rel regclass, policy name, clauses text, meaning text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE POLICY %I ON %s %s', policy, rel, clauses);
  EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', policy, rel, meaning);
END
$$;
COMMENT ON FUNCTION forge_comm.create_policy(regclass, name, text, text) IS
  'Create a policy with its comment';

-- Row security asks the table named in the query, so what a parent has its
-- partitions and children need, too.  Those of tenancy itself are made anew.
CREATE FUNCTION forge_comm.copy_policies(member regclass, parent regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  policy record;
BEGIN
  FOR policy IN
    SELECT p.polname, p.polpermissive, obj_description(p.oid, 'pg_policy') AS meaning,
           CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                         WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END AS command,
           pg_get_expr(p.polqual, p.polrelid) AS condition,
           pg_get_expr(p.polwithcheck, p.polrelid) AS check_condition
      FROM pg_policy AS p
     WHERE p.polrelid = parent AND starts_with(p.polname::text, 'forge_comm_')
       AND p.polname NOT IN ('forge_comm_tenancy', 'forge_comm_access')
       AND NOT EXISTS (SELECT FROM pg_policy AS m WHERE m.polrelid = member AND m.polname = p.polname)
  LOOP
    PERFORM forge_comm.create_policy(
      member, policy.polname,
      format('AS %s FOR %s%s%s', CASE WHEN policy.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
             policy.command, ' USING (' || policy.condition || ')',
             ' WITH CHECK (' || policy.check_condition || ')'),
      policy.meaning);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.copy_policies(regclass, regclass) IS
  'Give a partition or child the policies that its parent has of ours';

CREATE FUNCTION forge_comm.drop_policies(rel regclass, prefix text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT p.polname, p.polrelid::regclass AS member
      FROM forge_comm.family(rel) AS f JOIN pg_policy AS p ON p.polrelid = f.member
     WHERE p.polname = prefix OR starts_with(p.polname::text, prefix || '_')
  LOOP
    EXECUTE format('DROP POLICY %I ON %s', found.polname, found.member);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_policies(regclass, text) IS
  'Drop the policies of a capability from a table and its children';

CREATE FUNCTION forge_comm.check_roles(roles text[], argument text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF array_ndims(roles) <> 1 OR array_position(roles, NULL) IS NOT NULL OR array_position(roles, '') IS NOT NULL
     OR cardinality(roles) = 0 THEN
    RAISE EXCEPTION 'the argument "%" must be an array of roles', argument
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the roles as the table of memberships keeps them, such as ''{owner,admin}''.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_roles(text[], text) IS
  'An error unless these are roles that a membership can have';

-- What row security there was is kept by the trigger against TRUNCATE, whose
-- argument begins with "was=".
CREATE FUNCTION forge_comm.force_row_security(rel regclass, capability text, guard name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  was text := (SELECT nullif(concat_ws(' ', CASE WHEN c.relrowsecurity THEN 'enabled' END,
                                       CASE WHEN c.relforcerowsecurity THEN 'forced' END), '')
                 FROM pg_class AS c WHERE c.oid = rel);
BEGIN
  PERFORM forge_comm.create_truncate_trigger(rel, capability, guard, was);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', rel);
END
$$;
COMMENT ON FUNCTION forge_comm.force_row_security(regclass, text, name) IS
  'Switch row security on for all, and keep in mind what there was';

CREATE FUNCTION forge_comm.restore_row_security(rel regclass, capability text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  was text := (SELECT split_part(split_part(encode(t.tgargs, 'escape'), '\000', 1), '=', 2)
                 FROM pg_trigger AS t
                WHERE t.tgrelid = rel AND t.tgname = 'forge_comm_' || capability || '_truncate');
BEGIN
  IF was IS NULL OR was NOT LIKE '%forced' THEN
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', rel);
  END IF;
  IF was NOT LIKE 'enabled%' THEN
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', rel);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.restore_row_security(regclass, text) IS
  'Undo forge_comm.force_row_security(), back to what there was';

-- The workspace column of a table, which other capabilities need to be there.
CREATE FUNCTION forge_comm.tenancy_column(rel regclass)
RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  workspace_column name := forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard') ->> 'workspace_column';
BEGIN
  IF workspace_column IS NULL THEN
    RAISE EXCEPTION 'table % is not under tenancy', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_tenancy() for it first.';
  END IF;
  RETURN workspace_column;
END
$$;
COMMENT ON FUNCTION forge_comm.tenancy_column(regclass) IS
  'The workspace column of a table, an error if it is not under tenancy';
