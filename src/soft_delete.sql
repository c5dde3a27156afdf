-- DELETE marks a row instead of removing it.

CREATE FUNCTION forge_comm.soft_delete_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_soft_delete_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.soft_delete_guard() IS
  'Trigger: names the columns of the mark, and refuses what would remove rows';

-- The view of ours, whatever it is called and wherever it is by now.
CREATE FUNCTION forge_comm.live_view(rel regclass)
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT r.ev_class::regclass
    FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
   WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = rel
     AND starts_with(obj_description(r.ev_class, 'pg_class'), 'The live rows of ')
   LIMIT 1
$$;
COMMENT ON FUNCTION forge_comm.live_view(regclass) IS
  'The view of a table''s live rows, null if there is none';

CREATE FUNCTION forge_comm.create_live_view(rel regclass, view name, deleted_at name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
  privilege record;
BEGIN
  SELECT n.nspname, c.relname INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = rel;
  -- One of ours may have outlived an earlier DROP EXTENSION.
  IF to_regclass(format('%I.%I', class.nspname, view)) <> coalesce(forge_comm.live_view(rel), 0) THEN
    RAISE EXCEPTION 'relation %.% exists already', quote_ident(class.nspname), quote_ident(view)
      USING ERRCODE = 'duplicate_table',
            HINT = 'Name another view with the argument "view", or none with an empty name.';
  END IF;
  EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_invoker = true) AS SELECT * FROM %s WHERE %I IS NULL',
                 class.nspname, view, rel, deleted_at);
  EXECUTE format('COMMENT ON VIEW %I.%I IS %L', class.nspname, view,
                 format('The live rows of %s', rel));
  -- Who may use the table, or columns of it, may use them in the view, which
  -- runs with their own rights.
  FOR privilege IN
    SELECT a.privilege_type || p.columns AS what,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
      FROM (SELECT c.relowner, c.relacl, ''
              FROM pg_class AS c WHERE c.oid = rel
            UNION ALL
            SELECT c.relowner, a.attacl, format(' (%I)', a.attname)
              FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
             WHERE c.oid = rel AND a.attnum > 0 AND NOT a.attisdropped)
           AS p (owner, acl, columns),
           aclexplode(p.acl) AS a
     WHERE a.grantee <> p.owner AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  LOOP
    EXECUTE format('GRANT %s ON %I.%I TO %s', privilege.what, class.nspname, view, privilege.grantee);
  END LOOP;
  PERFORM forge_comm.hide_in_live_view(rel);
END
$$;
COMMENT ON FUNCTION forge_comm.create_live_view(regclass, name, name) IS
  'Make the view of a table''s live rows';

CREATE FUNCTION forge_comm.enable_soft_delete(rel regclass, deleted_at name DEFAULT 'deleted_at',
                                              deleted_by name DEFAULT NULL, is_active name DEFAULT NULL,
                                              view name DEFAULT NULL, cascade boolean DEFAULT true,
                                              deletion_id name DEFAULT NULL, unique_keys text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The view keeps its name if the table is renamed.
  view_name name := coalesce(view,
                             forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'view',
                             (SELECT forge_comm.object_name('active_' || c.relname, '')
                                FROM pg_class AS c WHERE c.oid = rel));
  options jsonb := jsonb_build_object('deleted_at', deleted_at, 'deleted_by', deleted_by,
                                      'is_active', is_active, 'deletion_id', deletion_id,
                                      'view', nullif(view_name, ''),
                                      -- what is usual is not written down
                                      'cascade', CASE WHEN cascade THEN NULL ELSE 'false' END,
                                      'unique', unique_keys);
  added name[] := '{}';
  member record;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'soft_delete', options) THEN
    -- someone else may have made a foreign key to it meanwhile
    PERFORM forge_comm.follow_references(rel);
    RETURN;
  ELSIF deleted_at IS NULL THEN
    RAISE EXCEPTION 'the name of a column of table % must not be null', rel
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'deleted_at names the column that says when a row was deleted.';
  ELSIF cascade IS NULL THEN
    RAISE EXCEPTION 'cascade must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'It is true if what references a row is to fall with it, else false.';
  ELSIF unique_keys <> 'live' THEN
    RAISE EXCEPTION 'unique_keys must be ''live'' or null'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = '''live'' lets unique keys hold among live rows only.';
  END IF;

  IF forge_comm.ensure_column(rel, deleted_at, '{timestamptz,timestamp}', 'timestamptz') THEN
    added := added || deleted_at;
  END IF;
  IF forge_comm.ensure_column(rel, deleted_by, '{smallint,integer,bigint}', 'bigint') THEN
    added := added || deleted_by;
  END IF;
  IF forge_comm.ensure_column(rel, deletion_id, '{uuid}', 'uuid') THEN
    added := added || deletion_id;
  END IF;
  IF is_active IS NOT NULL THEN
    PERFORM forge_comm.check_written_column(rel, is_active, '{boolean}');
  END IF;
  IF (SELECT a.attnotnull FROM pg_attribute AS a
       WHERE a.attrelid = rel AND a.attname = deleted_at) THEN
    RAISE EXCEPTION 'column % of table % cannot be null', quote_ident(deleted_at), rel
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'deleted_at names the column that is null as long as a row lives.';
  END IF;

  options := options || jsonb_build_object('added', CASE WHEN added <> '{}' THEN added::text END);
  FOR member IN SELECT f.member AS rel, f.is_partition FROM forge_comm.family(rel) AS f LOOP
    IF NOT member.is_partition THEN
      PERFORM forge_comm.create_rule_trigger(
        member.rel, 'soft_delete',
        -- Only rows of a partitioned table leave theirs by an update.
        CASE WHEN (SELECT c.relkind FROM pg_class AS c WHERE c.oid = member.rel) = 'p'
             THEN 'UPDATE OR DELETE' ELSE 'DELETE' END,
        'soft_delete_guard',
        CASE WHEN member.rel = enable_soft_delete.rel THEN options ELSE options - 'added' - 'view' - 'unique' END);
    END IF;
    PERFORM forge_comm.create_truncate_trigger(member.rel, 'soft_delete', 'soft_delete_guard');
  END LOOP;
  IF unique_keys = 'live' THEN
    PERFORM forge_comm.make_keys_live(rel, deleted_at);
  END IF;
  PERFORM forge_comm.follow_references(rel);
  IF view_name <> '' THEN
    PERFORM forge_comm.create_live_view(rel, view_name, deleted_at);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_soft_delete(regclass, name, name, name, name, boolean, name, text) IS
  'Let DELETE mark the rows of a table instead of removing them';

CREATE FUNCTION forge_comm.disable_soft_delete(rel regclass, drop_columns boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard');
  -- Also what a detached partition keeps of them.
  PERFORM forge_comm.drop_rule_triggers(rel, 'soft_delete');
  PERFORM forge_comm.drop_cascade_triggers(rel);
  IF options IS NULL THEN
    RAISE NOTICE 'soft_delete is not enabled on table %', rel;
    RETURN;
  END IF;
  IF forge_comm.live_view(rel) IS NOT NULL THEN
    EXECUTE format('DROP VIEW %s', forge_comm.live_view(rel));
  END IF;
  IF options ? 'unique' THEN
    PERFORM forge_comm.make_keys_total(rel);
  END IF;
  IF drop_columns THEN
    PERFORM forge_comm.drop_columns(rel, (options ->> 'added')::name[]);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_soft_delete(regclass, boolean) IS
  'Undo forge_comm.enable_soft_delete(); the columns it added stay unless asked otherwise';

