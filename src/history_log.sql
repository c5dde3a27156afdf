-- The tables that changes are logged to.

CREATE FUNCTION forge_comm.history_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_history_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.history_guard() IS
  'Trigger: refuses to change or remove what is logged, and to add to it by hand';

CREATE FUNCTION forge_comm.is_history_log(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t
                  WHERE t.tgrelid = rel AND t.tgname = 'forge_comm_append_only'
                    AND t.tgfoid = 'forge_comm.history_guard()'::regprocedure)
$$;
COMMENT ON FUNCTION forge_comm.is_history_log(regclass) IS
  'Is the table a log made by forge_comm.enable_history(), or one of its partitions?';

CREATE FUNCTION forge_comm.keeps_history(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t
                  WHERE t.tgrelid = rel
                    AND t.tgfoid IN ('forge_comm.history_guard()'::regprocedure, 'forge_comm.changes_guard()'::regprocedure))
$$;
COMMENT ON FUNCTION forge_comm.keeps_history(regclass) IS
  'Is the table a log, of history or of changes, one of its partitions, or the seals of one? Nobody but us writes there';

-- ALWAYS: a session in the role of a replica changes no line either.
CREATE FUNCTION forge_comm.create_guard(member regclass, name name, events text, level text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_trigger(member, name, 'BEFORE ' || events,
                                    format('FOR EACH %s EXECUTE FUNCTION forge_comm.history_guard()', level), 'history');
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', member, name);
END
$$;
COMMENT ON FUNCTION forge_comm.create_guard(regclass, name, text, text) IS
  'Create a trigger that keeps a log append-only';

-- Lines of no workspace, such as those of tables without tenancy, are for
-- those who see everything.  Row security asks the table named in the query,
-- so every partition needs the policies.
CREATE FUNCTION forge_comm.protect_log(member regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  visible constant text := 'forge_comm.in_workspace(workspace_id)'
                           ' OR workspace_id IS NULL AND forge_comm.in_service_context()';
  class record;
  grantee text;
BEGIN
  SELECT c.relowner, c.relacl INTO class FROM pg_class AS c WHERE c.oid = member;
  -- First, since it tells the event trigger that the member is looked after.
  PERFORM forge_comm.create_guard(member, 'forge_comm_append_only_truncate', 'TRUNCATE', 'STATEMENT');
  EXECUTE format('CREATE POLICY forge_comm_tenancy ON %s AS RESTRICTIVE USING (%s)', member, visible);
  EXECUTE format('COMMENT ON POLICY forge_comm_tenancy ON %s IS %L', member,
                 'No line of a workspace that is not in scope, whatever other policies say');
  EXECUTE format('CREATE POLICY forge_comm_access ON %s USING (%s)', member, visible);
  EXECUTE format('COMMENT ON POLICY forge_comm_access ON %s IS %L', member,
                 'Every line of the workspaces in scope; replace it to allow less');
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', member);
  -- What ALTER DEFAULT PRIVILEGES gave away.
  FOR grantee IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
      FROM aclexplode(class.relacl) AS a WHERE a.grantee <> class.relowner
  LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s', member, grantee);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.protect_log(regclass) IS
  'Put a log or a partition of it under its policies';

-- What a superuser makes for another role is that role's.
CREATE FUNCTION forge_comm.give_to_owner(member regclass, owner regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (SELECT c.relowner <> owner FROM pg_class AS c WHERE c.oid = member) THEN
    EXECUTE format('ALTER TABLE %s OWNER TO %s', member, owner);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.give_to_owner(regclass, regrole) IS
  'Give a table to a role, unless it owns it';

CREATE FUNCTION forge_comm.create_log(schema name, log name, owner regrole)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  qualified constant text := format('%I.%I', schema, log);
  member regclass;
  note record;
BEGIN
  EXECUTE format($sql$
    CREATE TABLE %s (
      id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
      changed_at timestamptz NOT NULL,
      workspace_id bigint,
      table_id bigint NOT NULL,
      table_schema text NOT NULL,
      table_name text NOT NULL,
      key jsonb,
      row_hash bigint,
      action text NOT NULL,
      transaction_id xid8 NOT NULL,
      user_id bigint,
      role text NOT NULL,
      service_reason text,
      deletion_id uuid,
      old jsonb,
      new jsonb
    ) PARTITION BY RANGE (changed_at) $sql$, qualified);
  member := qualified::regclass;
  EXECUTE format('COMMENT ON TABLE %s IS %L', member, 'Changes of tables with history (made by forge_comm.enable_history())');
  FOR note IN
    SELECT * FROM (VALUES
      ('id', 'Lines in the order in which they were written'),
      ('changed_at', 'When, by the clock'),
      ('workspace_id', 'Whose row it is; null for tables without tenancy'),
      ('table_id', 'Tells tables apart; stays when the table is renamed, dumped and restored'),
      ('table_schema', 'Schema of the table, as it was called then'),
      ('table_name', 'Name of the table, as it was called then'),
      ('key', 'Primary key of the row; null for TRUNCATE'),
      ('row_hash', 'A number made of key and table_id, by which the lines of a row are found'),
      ('action', 'INSERT, UPDATE, DELETE, SOFT_DELETE, RESTORE, PURGE or TRUNCATE'),
      ('transaction_id', 'The transaction'),
      ('user_id', 'The user of the context'),
      ('role', 'The role of the session, or the one that SET ROLE named'),
      ('service_reason', 'What the service context was for'),
      ('deletion_id', 'What tells rows deleted together'),
      ('old', 'What the changed columns were; of a deleted row all that were not null'),
      ('new', 'What the changed columns are; of a new row all that are not null')) AS n (column_name, text)
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', member, note.column_name, note.text);
  END LOOP;
  EXECUTE format('CREATE INDEX %I ON %s (row_hash)', forge_comm.object_name(log, '_row_hash_idx'), member);
  PERFORM forge_comm.create_guard(member, 'forge_comm_append_only', 'INSERT OR UPDATE OR DELETE', 'ROW');
  PERFORM forge_comm.protect_log(member);
  PERFORM forge_comm.create_seals(schema, log, owner);
  -- Whoever sets the sequence of the ids back disturbs their order.
  FOR note IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid = pg_get_serial_sequence(qualified, 'id')::regclass AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %s', pg_get_serial_sequence(qualified, 'id'), note.grantee);
  END LOOP;
  PERFORM forge_comm.give_to_owner(member, owner);
  PERFORM forge_comm.add_log_partition(member, 'DEFAULT', '_default');
  RETURN member;
END
$$;
COMMENT ON FUNCTION forge_comm.create_log(name, name, regrole) IS
  'Make a log that changes are logged to';

-- Made apart and then attached: that waits for no writer, and for no reader of
-- other partitions.
CREATE FUNCTION forge_comm.add_log_partition(log regclass, bound text, suffix text)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
  partition text;
BEGIN
  SELECT n.nspname, c.relname, c.relowner::regrole AS owner INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = log;
  partition := format('%I.%I', class.nspname, forge_comm.object_name(class.relname, suffix));
  IF to_regclass(partition) IS NOT NULL THEN
    RAISE EXCEPTION 'relation % exists already', partition
      USING ERRCODE = 'duplicate_table',
            HINT = format('A partition of history log %s is to have this name; rename the relation.', log);
  END IF;
  EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING COMMENTS INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING CONSTRAINTS)',
                 partition, log);
  PERFORM forge_comm.give_to_owner(partition::regclass, class.owner);
  PERFORM forge_comm.fill_log_partition(log, partition::regclass, bound);
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s %s', log, partition, bound);
  RETURN partition::regclass;
END
$$;
COMMENT ON FUNCTION forge_comm.add_log_partition(regclass, text, text) IS
  'Make a partition of a log and attach it';

CREATE FUNCTION forge_comm.log_partitions(log regclass)
RETURNS TABLE (partition regclass, month timestamptz, until timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
  SELECT c.oid::regclass, b.bounds[1]::timestamptz, b.bounds[2]::timestamptz
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
   CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                   '^FOR VALUES FROM \(''(.*)''\) TO \(''(.*)''\)$') AS b (bounds)
   WHERE i.inhparent = log
   ORDER BY 2 NULLS LAST
$$;
COMMENT ON FUNCTION forge_comm.log_partitions(regclass) IS
  'The partitions of a log; the default one has no bounds';

-- Lines that came while there was no partition for their month are in the
-- default one.  Its guards stand aside for the move, in a transaction that
-- keeps everybody out of it.
CREATE FUNCTION forge_comm.fill_log_partition(log regclass, partition regclass, bound text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stray regclass := (SELECT p.partition FROM forge_comm.log_partitions(log) AS p WHERE p.month IS NULL);
  range text[] := regexp_match(bound, '^FOR VALUES FROM \((.*)\) TO \((.*)\)$');
  moved bigint;
BEGIN
  IF stray IS NULL OR range IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', stray);
  EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', stray);
  EXECUTE format('SELECT count(*) FROM %s WHERE changed_at >= %s AND changed_at < %s', stray, range[1], range[2])
     INTO moved;
  IF moved > 0 THEN
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER forge_comm_append_only', stray);
    EXECUTE format('WITH moved AS (DELETE FROM %s WHERE changed_at >= %s AND changed_at < %s RETURNING *)
                    INSERT INTO %s SELECT * FROM moved', stray, range[1], range[2], partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER forge_comm_append_only', stray);
  END IF;
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', stray);
END
$$;
COMMENT ON FUNCTION forge_comm.fill_log_partition(regclass, regclass, text) IS
  'Move the lines of a new partition there from the default one';

-- ------------------------------------------------------------- maintenance

CREATE FUNCTION forge_comm.check_log(log regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_table(log);
  IF NOT forge_comm.is_history_log(log) THEN
    RAISE EXCEPTION 'table % is no history log', log
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Pass the name of the log that was given to forge_comm.enable_history().';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_log(regclass) IS
  'An error unless the table is a log that the caller may maintain';

CREATE FUNCTION forge_comm.own_logs()
RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid::regclass FROM pg_class AS c
   WHERE c.relkind = 'p' AND forge_comm.is_history_log(c.oid) AND pg_has_role(c.relowner, 'USAGE')
   ORDER BY 1
$$;
COMMENT ON FUNCTION forge_comm.own_logs() IS
  'The logs that the caller may maintain';

CREATE FUNCTION forge_comm.maintain_history(log regclass DEFAULT NULL, months_ahead integer DEFAULT 3,
                                            keep interval DEFAULT NULL)
RETURNS TABLE (partition text, action text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
  one regclass;
BEGIN
  IF months_ahead IS NULL OR months_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION 'months_ahead must be between 0 and 120'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the number of months after this one for which to make partitions.';
  ELSIF keep < interval '0' THEN
    RAISE EXCEPTION 'keep must not be negative'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It says how old lines must be at least to be dropped.';
  END IF;
  IF log IS NULL THEN
    FOR one IN SELECT o FROM forge_comm.own_logs() AS o LOOP
      RETURN QUERY SELECT * FROM forge_comm.maintain_history(one, months_ahead, keep);
    END LOOP;
    RETURN;
  END IF;
  PERFORM forge_comm.check_log(log);
  EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', log);

  FOR partition, action IN
    SELECT forge_comm.add_log_partition(
             log, format('FOR VALUES FROM (%L) TO (%L)', m.month, m.month + interval '1 month'),
             to_char(m.month, '_YYYY_MM'))::text, 'created'
      FROM (SELECT month FROM generate_series(date_trunc('month', clock_timestamp()),
                                              date_trunc('month', clock_timestamp()) + months_ahead * interval '1 month',
                                              interval '1 month') AS month
            UNION
            -- what the default partition holds, of months that had none
            SELECT s.month FROM forge_comm.stray_months(log) AS s (month)) AS m
     WHERE NOT EXISTS (SELECT FROM forge_comm.log_partitions(log) AS p
                        WHERE p.month < m.month + interval '1 month' AND p.until > m.month)
     ORDER BY m.month
  LOOP
    RETURN NEXT;
  END LOOP;

  FOR one IN
    SELECT p.partition FROM forge_comm.log_partitions(log) AS p WHERE p.until <= clock_timestamp() - keep
  LOOP
    partition := one::text;
    action := 'dropped';
    EXECUTE format('DROP TABLE %s', one);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.maintain_history(regclass, integer, interval) IS
  'Make the partitions of the months ahead, and drop those past retention';

CREATE FUNCTION forge_comm.stray_months(log regclass)
RETURNS SETOF timestamptz
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
  stray regclass := (SELECT p.partition FROM forge_comm.log_partitions(log) AS p WHERE p.month IS NULL);
BEGIN
  IF stray IS NULL OR pg_relation_size(stray) = 0 THEN
    RETURN;
  END IF;
  -- The owner itself needs no context for this.
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', stray);
  EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', stray);
  RETURN QUERY EXECUTE format('SELECT DISTINCT date_trunc(''month'', changed_at) FROM %s', stray);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', stray);
END
$$;
COMMENT ON FUNCTION forge_comm.stray_months(regclass) IS
  'The months of which the default partition holds lines';
