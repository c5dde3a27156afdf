-- People are known to those who share a workspace with them.

CREATE FUNCTION forge_comm.directory_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_directory_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.directory_guard() IS
  'Trigger: keeps the ids of people, and refuses TRUNCATE';

CREATE FUNCTION forge_comm.knows_user(id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_knows_user'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE COST 10;
COMMENT ON FUNCTION forge_comm.knows_user(bigint) IS
  'Is this the user of the context, or somebody who shares a workspace of the scope?';

CREATE FUNCTION forge_comm.is_current_user(id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_current_user'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_current_user(bigint) IS
  'Is this the user of the context? A service passes for anybody';

CREATE FUNCTION forge_comm.create_directory_policies(member regclass, id name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known text := format('forge_comm.knows_user(%I)', id);
  self text := format('forge_comm.is_current_user(%I)', id);
BEGIN
  PERFORM forge_comm.create_policy(member, 'forge_comm_directory_select',
                                   format('AS RESTRICTIVE FOR SELECT USING (%s)', known),
                                   'Nobody but oneself and those who share a workspace, whatever other policies say');
  PERFORM forge_comm.create_policy(member, 'forge_comm_directory_insert',
                                   format('AS RESTRICTIVE FOR INSERT WITH CHECK (%s)', self),
                                   'New people are made by a service');
  PERFORM forge_comm.create_policy(member, 'forge_comm_directory_update',
                                   format('AS RESTRICTIVE FOR UPDATE USING (%s)', self),
                                   'Everybody writes their own row');
  PERFORM forge_comm.create_policy(member, 'forge_comm_directory_delete',
                                   format('AS RESTRICTIVE FOR DELETE USING (%s)', self),
                                   'Everybody deletes their own row');
  IF NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = member AND p.polpermissive) THEN
    PERFORM forge_comm.create_policy(member, 'forge_comm_directory_access',
                                     format('USING (%s) WITH CHECK (%s)', known, self),
                                     'Everybody whom the user may know; replace it to allow less');
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.create_directory_policies(regclass, name) IS
  'Put a table of people under the policies of a directory';

CREATE FUNCTION forge_comm.enable_directory(rel regclass, id name DEFAULT 'id')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'directory', jsonb_build_object('id', id)) THEN
    RETURN;
  END IF;
  PERFORM forge_comm.check_written_column(rel, id, '{smallint,integer,bigint}');
  IF forge_comm.require_id(rel) <> id THEN
    RAISE EXCEPTION 'column % is not the primary key of table %', quote_ident(id), rel
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'People are known by their primary key, which memberships reference.';
  ELSIF forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard') IS NOT NULL THEN
    RAISE EXCEPTION 'table % is under tenancy', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'A directory is for a table that all workspaces share.';
  ELSIF (SELECT count(*) > 1 FROM forge_comm.family(rel)) THEN
    RAISE EXCEPTION 'table % has partitions or children', rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Keep people in one ordinary table.';
  END IF;

  PERFORM forge_comm.create_rule_trigger(rel, 'directory', format('UPDATE OF %I', id), 'directory_guard',
                                         jsonb_build_object('id', id));
  PERFORM forge_comm.create_directory_policies(rel, id);
  PERFORM forge_comm.force_row_security(rel, 'directory', 'directory_guard');
END
$$;
COMMENT ON FUNCTION forge_comm.enable_directory(regclass, name) IS
  'Show people to those who share a workspace with them, and let them write their own row';

CREATE FUNCTION forge_comm.disable_directory(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_options(rel, 'forge_comm_directory', 'directory_guard') IS NULL THEN
    RAISE NOTICE 'directory is not enabled on table %', rel;
    RETURN;
  END IF;
  PERFORM forge_comm.drop_policies(rel, 'forge_comm_directory');
  PERFORM forge_comm.restore_row_security(rel, 'directory');
  PERFORM forge_comm.drop_rule_triggers(rel, 'directory');
END
$$;
COMMENT ON FUNCTION forge_comm.disable_directory(regclass) IS
  'Undo forge_comm.enable_directory()';
