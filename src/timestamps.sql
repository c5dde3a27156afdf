-- When a row was made and last changed, and by whom.

CREATE FUNCTION forge_comm.timestamps_stamp()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_timestamps_stamp'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.timestamps_stamp() IS
  'Trigger: stamps rows with their creation and last change';

CREATE FUNCTION forge_comm.enable_timestamps(rel regclass, created_at name DEFAULT 'created_at',
                                             updated_at name DEFAULT 'updated_at',
                                             created_by name DEFAULT NULL, updated_by name DEFAULT NULL,
                                             ignore name[] DEFAULT '{}')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := jsonb_build_object('created_at', created_at, 'updated_at', updated_at,
                                      'created_by', created_by, 'updated_by', updated_by,
                                      'ignore', CASE WHEN ignore <> '{}' THEN ignore::text END);
  times constant regtype[] := '{timestamptz,timestamp}';
  ids constant regtype[] := '{smallint,integer,bigint}';
  ignored name;
  added name[] := '{}';
  member regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'timestamps', options) THEN
    RETURN;
  ELSIF coalesce(created_at, updated_at, created_by, updated_by) IS NULL THEN
    RAISE EXCEPTION 'no column of table % is to be stamped', rel
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name at least one of created_at, updated_at, created_by and updated_by.';
  ELSIF created_at = updated_at OR created_by = updated_by THEN
    RAISE EXCEPTION 'a column of table % is named for two stamps', rel
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Creation and last change need a column each.';
  END IF;
  FOREACH ignored IN ARRAY coalesce(ignore, '{}') LOOP
    PERFORM forge_comm.check_column(rel, ignored, ARRAY[forge_comm.column_type(rel, ignored)]);
  END LOOP;

  IF forge_comm.ensure_column(rel, created_at, times, 'timestamptz NOT NULL DEFAULT pg_catalog.now()') THEN
    added := added || created_at;
  END IF;
  IF forge_comm.ensure_column(rel, updated_at, times, 'timestamptz NOT NULL DEFAULT pg_catalog.now()') THEN
    added := added || updated_at;
  END IF;
  IF forge_comm.ensure_column(rel, created_by, ids, 'bigint') THEN
    added := added || created_by;
  END IF;
  IF forge_comm.ensure_column(rel, updated_by, ids, 'bigint') THEN
    added := added || updated_by;
  END IF;

  options := options || jsonb_build_object('added', CASE WHEN added <> '{}' THEN added::text END);
  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f WHERE NOT f.is_partition LOOP
    PERFORM forge_comm.create_rule_trigger(member, 'timestamps', 'INSERT OR UPDATE', 'timestamps_stamp',
                                           CASE WHEN member = rel THEN options ELSE options - 'added' END);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_timestamps(regclass, name, name, name, name, name[]) IS
  'Keep the columns that say when and by whom a row was made and last changed';

CREATE FUNCTION forge_comm.disable_timestamps(rel regclass, drop_columns boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.rule_options(rel, 'forge_comm_timestamps', 'timestamps_stamp');
  -- Also what a detached partition keeps of them.
  PERFORM forge_comm.drop_rule_triggers(rel, 'timestamps');
  IF options IS NULL THEN
    RAISE NOTICE 'timestamps is not enabled on table %', rel;
    RETURN;
  END IF;
  IF drop_columns THEN
    PERFORM forge_comm.drop_columns(rel, (options ->> 'added')::name[]);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_timestamps(regclass, boolean) IS
  'Undo forge_comm.enable_timestamps(); the columns it added stay unless asked otherwise';
