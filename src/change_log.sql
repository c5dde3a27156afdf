-- The tables of changes that clients are told.

CREATE FUNCTION forge_comm.changes_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_changes_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.changes_guard() IS
  'Trigger: refuses to write a log of changes by hand';

CREATE FUNCTION forge_comm.is_change_log(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t
                  WHERE t.tgrelid = rel AND t.tgname = 'forge_comm_append_only'
                    AND t.tgfoid = 'forge_comm.changes_guard()'::regprocedure)
$$;
COMMENT ON FUNCTION forge_comm.is_change_log(regclass) IS
  'Is the table a log made by forge_comm.enable_changes()?';

-- Row security without a policy: whatever is granted on it, by default
-- privileges or by mistake, the log is read by forge_comm.read_changes() only.
CREATE FUNCTION forge_comm.protect_change_log(log regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  guard record;
  granted record;
BEGIN
  FOR guard IN
    SELECT * FROM (VALUES ('forge_comm_append_only', 'INSERT OR UPDATE OR DELETE', 'ROW'),
                          ('forge_comm_append_only_truncate', 'TRUNCATE', 'STATEMENT')) AS g (name, events, level)
  LOOP
    PERFORM forge_comm.create_trigger(log, guard.name, 'BEFORE ' || guard.events,
                                      format('FOR EACH %s EXECUTE FUNCTION forge_comm.changes_guard()', guard.level), 'changes');
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', log, guard.name);
  END LOOP;
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', log);
  FOR granted IN
    SELECT DISTINCT c.oid::regclass AS object, c.relkind = 'S' AS is_sequence,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid IN (log, pg_get_serial_sequence(log::text, 'id')::regclass) AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON %s %s FROM %s', CASE WHEN granted.is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END,
                   granted.object, granted.grantee);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.protect_change_log(regclass) IS
  'Close a log of changes to everybody';

CREATE FUNCTION forge_comm.create_change_log(schema name, log name, owner regrole)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  qualified constant text := format('%I.%I', schema, log);
  note record;
BEGIN
  IF to_regclass(qualified) IS NOT NULL THEN
    RAISE EXCEPTION 'relation % exists already', qualified
      USING ERRCODE = 'duplicate_table',
            HINT = 'The log of changes is to have this name: drop what DROP EXTENSION left of an old one, rename the relation, or enable messages with another prefix.';
  END IF;
  EXECUTE format($sql$
    CREATE TABLE %s (
      id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
      transaction_id xid8 NOT NULL,
      epoch bigint NOT NULL,
      changed_at timestamptz NOT NULL,
      kind text NOT NULL,
      workspace_id bigint,
      channel_id bigint,
      message_id bigint,
      user_id bigint,
      author_id bigint,
      emoji text
    ) $sql$, qualified);
  EXECUTE format('COMMENT ON TABLE %s IS %L', qualified,
                 'Changes of messages, told by get_changes() (made by forge_comm.enable_changes())');
  FOR note IN
    SELECT * FROM (VALUES
      ('id', 'The lines of a message in the order of its changes'),
      ('transaction_id', 'The transaction; told once it is visible'),
      ('epoch', 'Which database it was: after a restore transactions have other numbers'),
      ('changed_at', 'When, by the clock'),
      ('kind', 'What happened'),
      ('workspace_id', 'Where; null: for all workspaces'),
      ('channel_id', 'In which channel; who may see that is told'),
      ('message_id', 'To which message, or how far was read'),
      ('user_id', 'For whom alone; null: for all'),
      ('author_id', 'Who reacted'),
      ('emoji', 'How')) AS n (column_name, text)
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', qualified, note.column_name, note.text);
  END LOOP;
  EXECUTE format('CREATE INDEX %I ON %s (workspace_id, user_id, id)',
                 forge_comm.object_name(log, '_id_idx'), qualified);
  EXECUTE format('CREATE INDEX %I ON %s (workspace_id, user_id, transaction_id, id)',
                 forge_comm.object_name(log, '_transaction_idx'), qualified);
  PERFORM forge_comm.protect_change_log(qualified::regclass);
  PERFORM forge_comm.give_to_owner(qualified::regclass, owner);
  RETURN qualified::regclass;
END
$$;
COMMENT ON FUNCTION forge_comm.create_change_log(name, name, regrole) IS
  'Make a log of changes';
