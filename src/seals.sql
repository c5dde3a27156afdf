-- Evidence that a log is as it was written: a chain of hashes over ranges of
-- it that are closed.  A range is closed when every transaction that could
-- have written to it is over, so that nobody waits for whoever seals.

CREATE FUNCTION forge_comm.log_seals(log regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%I.%I', n.nspname, forge_comm.object_name(c.relname, '_seals'))
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = log
$$;
COMMENT ON FUNCTION forge_comm.log_seals(regclass) IS
  'The name of the table of a log''s seals';

CREATE FUNCTION forge_comm.create_seals(schema name, log name, owner regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  qualified constant text := format('%I.%I', schema, forge_comm.object_name(log, '_seals'));
  seals regclass;
  note record;
BEGIN
  EXECUTE format($sql$
    CREATE TABLE %s (
      seal bigint PRIMARY KEY,
      sealed_at timestamptz NOT NULL,
      after_id bigint NOT NULL,
      from_transaction xid8 NOT NULL,
      to_transaction xid8 NOT NULL,
      month timestamptz NOT NULL,
      lines bigint NOT NULL,
      last_id bigint NOT NULL,
      digest bytea NOT NULL,
      hash bytea NOT NULL
    ) $sql$, qualified);
  seals := qualified::regclass;
  EXECUTE format('COMMENT ON TABLE %s IS %L', seals,
                 'Evidence that a log is as it was written (made by forge_comm.enable_history())');
  FOR note IN
    SELECT * FROM (VALUES
      ('seal', 'Number of the range, from 1 on'),
      ('sealed_at', 'When it was sealed'),
      ('after_id', 'Its lines have higher ids: those of a cluster that this one was restored from have none'),
      ('from_transaction', 'They were written by this transaction or a later one'),
      ('to_transaction', 'They were written before this transaction'),
      ('month', 'They were written in this month'),
      ('lines', 'How many there are'),
      ('last_id', 'The highest of their ids'),
      ('digest', 'A hash of them'),
      ('hash', 'A hash of this row and of the hash of the one before')) AS n (column_name, text)
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', seals, note.column_name, note.text);
  END LOOP;
  PERFORM forge_comm.create_guard(seals, 'forge_comm_seals', 'UPDATE OR DELETE', 'ROW');
  PERFORM forge_comm.create_guard(seals, 'forge_comm_seals_truncate', 'TRUNCATE', 'STATEMENT');
  EXECUTE format('CREATE POLICY forge_comm_access ON %s USING (forge_comm.in_service_context())', seals);
  EXECUTE format('COMMENT ON POLICY forge_comm_access ON %s IS %L', seals, 'Seals are of all workspaces at once');
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', seals);
  PERFORM forge_comm.give_to_owner(seals, owner);
END
$$;
COMMENT ON FUNCTION forge_comm.create_seals(name, name, regrole) IS
  'Make the table of a log''s seals';

-- A hash over some lines only would be worse than none.
CREATE FUNCTION forge_comm.check_sees_all(log regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_log(log);
  IF NOT row_security_active(log) THEN
    RETURN;
  ELSIF (SELECT c.service_reason IS NULL FROM forge_comm.context() AS c) THEN
    RAISE EXCEPTION 'history log % can be sealed and verified only as a whole', log
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Call forge_comm.set_service_context() first, or run this as a role that bypasses row security.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_sees_all(regclass) IS
  'An error unless the caller sees all lines of a log';

-- Each line is hashed by itself, so that memory is needed for hashes only.
CREATE FUNCTION forge_comm.digest_lines(log regclass, after_id bigint, upto_id bigint, bounds xid8[])
RETURNS TABLE (range integer, month timestamptz, lines bigint, last_id bigint, digest bytea)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
  RETURN QUERY EXECUTE format($sql$
    SELECT b.range, b.month, sum(b.lines)::bigint, max(b.last_id),
           sha256(string_agg(b.digest, '' ORDER BY b.block))
      FROM (SELECT width_bucket(l.transaction_id, $3) AS range,
                   date_trunc('month', l.changed_at) AS month,
                   l.id / 65536 AS block, count(*) AS lines, max(l.id) AS last_id,
                   sha256(string_agg(
                     sha256(convert_to(ROW(l.id, extract(epoch FROM l.changed_at), l.workspace_id, l.table_id,
                                           l.table_schema, l.table_name, l.key, l.action, l.transaction_id,
                                           l.user_id, l.role, l.service_reason, l.deletion_id,
                                           encode(sha256(convert_to(l.old::text, 'UTF8')), 'hex'),
                                           encode(sha256(convert_to(l.new::text, 'UTF8')), 'hex'))::text, 'UTF8')),
                     '' ORDER BY l.id)) AS digest
              FROM %s AS l
             WHERE l.id > $1 AND l.id <= $2
               AND l.transaction_id >= $3[1] AND l.transaction_id < $3[cardinality($3)]
             GROUP BY 1, 2, 3) AS b
     GROUP BY b.range, b.month
     ORDER BY b.range, b.month $sql$, log) USING after_id, upto_id, bounds;
END
$$;
COMMENT ON FUNCTION forge_comm.digest_lines(regclass, bigint, bigint, xid8[]) IS
  'Hashes over the lines of transactions between bounds, by range and month';

CREATE FUNCTION forge_comm.chain(previous bytea, seal bigint, sealed_at timestamptz, after_id bigint,
                                 from_transaction xid8, to_transaction xid8, month timestamptz, lines bigint,
                                 last_id bigint, digest bytea)
RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT sha256(coalesce(previous, '') || digest
                || convert_to(concat_ws('/', seal, extract(epoch FROM sealed_at), after_id, from_transaction,
                                        to_transaction, extract(epoch FROM month), lines, last_id), 'UTF8'))
$$;
COMMENT ON FUNCTION forge_comm.chain(bytea, bigint, timestamptz, bigint, xid8, xid8, timestamptz, bigint, bigint, bytea) IS
  'The hash of a seal';

CREATE FUNCTION forge_comm.add_seals(log regclass, after_id bigint, upto_id bigint, from_transaction xid8, to_transaction xid8)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  range record;
BEGIN
  FOR range IN
    SELECT * FROM forge_comm.digest_lines(log, after_id, upto_id, ARRAY[from_transaction, to_transaction])
  LOOP
    EXECUTE format($sql$
      INSERT INTO %1$s
      SELECT n.seal, n.sealed_at, $1, $2, $3, $4, $5, $6, $7,
             forge_comm.chain(n.previous, n.seal, n.sealed_at, $1, $2, $3, $4, $5, $6, $7)
        FROM (SELECT coalesce(max(s.seal), 0) + 1 AS seal, clock_timestamp() AS sealed_at,
                     (SELECT l.hash FROM %1$s AS l ORDER BY l.seal DESC LIMIT 1) AS previous
                FROM %1$s AS s) AS n $sql$, forge_comm.log_seals(log))
      USING after_id, from_transaction, to_transaction, range.month, range.lines, range.last_id, range.digest;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.add_seals(regclass, bigint, bigint, xid8, xid8) IS
  'Seal the lines of the transactions between two, month by month';

-- Transaction numbers start anew in a cluster that a dump is restored to.
-- What came along with it is told from what is written there by its ids.
CREATE FUNCTION forge_comm.seal_log(log regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  forever constant xid8 := '18446744073709551615';
  nowhere constant bigint := 9223372036854775807;
  horizon xid8;
  future xid8;
  last record;
  foreign_id bigint;
BEGIN
  PERFORM forge_comm.check_sees_all(log);
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', forge_comm.log_seals(log));
  horizon := pg_snapshot_xmin(pg_current_snapshot());
  EXECUTE format('SELECT coalesce(max(s.after_id), 0) AS after_id, coalesce(max(s.last_id), 0) AS last_id,
                         (SELECT l.to_transaction FROM %1$s AS l ORDER BY l.seal DESC LIMIT 1) AS upto
                    FROM %1$s AS s', forge_comm.log_seals(log)) INTO last;
  last.upto := coalesce(last.upto, '0'::xid8);
  -- In one statement: what its snapshot shows was written before its xmax,
  -- unless by this transaction or in another cluster.
  EXECUTE format('SELECT pg_snapshot_xmax(pg_current_snapshot()), max(l.id)
                    FROM %s AS l
                   WHERE l.id > $1 AND l.transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
                     AND l.transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned()', log)
     INTO future, foreign_id USING last.after_id;
  IF last.upto > future THEN
    foreign_id := greatest(foreign_id, last.last_id);
  END IF;
  IF foreign_id IS NOT NULL THEN
    IF last.upto < forever THEN
      PERFORM forge_comm.add_seals(log, last.after_id, foreign_id, last.upto, forever);
    END IF;
    last.after_id := foreign_id;
    last.upto := '0';
  END IF;
  PERFORM forge_comm.add_seals(log, last.after_id, nowhere, last.upto, horizon);
END
$$;
COMMENT ON FUNCTION forge_comm.seal_log(regclass) IS
  'Seal what of a log is closed and not sealed yet';

CREATE FUNCTION forge_comm.seal_history(log regclass DEFAULT NULL)
RETURNS TABLE (history_log text, seal bigint, lines bigint, hash text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  one regclass;
  before bigint;
BEGIN
  FOR one IN
    SELECT log WHERE log IS NOT NULL UNION ALL SELECT o FROM forge_comm.own_logs() AS o WHERE log IS NULL
  LOOP
    PERFORM forge_comm.check_sees_all(one);
    EXECUTE format('SELECT coalesce(max(s.seal), 0) FROM %s AS s', forge_comm.log_seals(one)) INTO before;
    PERFORM forge_comm.seal_log(one);
    RETURN QUERY EXECUTE format('SELECT %L, s.seal, s.lines, encode(s.hash, ''hex'') FROM %s AS s
                                  WHERE s.seal > $1 ORDER BY s.seal', one, forge_comm.log_seals(one)) USING before;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.seal_history(regclass) IS
  'Hash what of the logs is closed and not sealed yet, and tell the seals made';

-- What is wrong with the first seal that does not hold, one row a log.
CREATE FUNCTION forge_comm.verify_log(log regclass)
RETURNS TABLE (seals bigint, lines bigint, dropped bigint, bad_seal bigint, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
  first_month timestamptz := (SELECT min(p.month) FROM forge_comm.log_partitions(log) AS p);
  previous bytea;
  generation record;
  found record;
BEGIN
  seals := 0; lines := 0; dropped := 0;
  FOR found IN EXECUTE format('SELECT * FROM %s AS s ORDER BY s.seal', forge_comm.log_seals(log)) LOOP
    seals := seals + 1;
    IF found.seal <> seals OR found.hash <> forge_comm.chain(previous, found.seal, found.sealed_at, found.after_id,
                                                             found.from_transaction, found.to_transaction, found.month,
                                                             found.lines, found.last_id, found.digest) THEN
      bad_seal := seals;
      problem := 'the chain of seals is broken here';
      EXIT;
    END IF;
    previous := found.hash;
  END LOOP;

  FOR generation IN EXECUTE format($sql$
    SELECT s.after_id, lead(s.after_id, 1, 9223372036854775807) OVER (ORDER BY s.after_id) AS upto_id,
           (SELECT array_agg(DISTINCT b.bound ORDER BY b.bound)
              FROM %1$s AS r, unnest(ARRAY[r.from_transaction, r.to_transaction]) AS b (bound)
             WHERE r.after_id = s.after_id) AS bounds
      FROM (SELECT DISTINCT r.after_id FROM %1$s AS r) AS s
     ORDER BY 1 $sql$, forge_comm.log_seals(log))
  LOOP
    FOR found IN EXECUTE format($sql$
      SELECT s.seal, s.month AS sealed_month, s.lines AS sealed_lines, s.digest AS sealed_digest, d.*,
             (SELECT min(n.seal) FROM %1$s AS n
               WHERE n.after_id = $1 AND n.to_transaction > $3[d.range]) AS nearest
        FROM (SELECT * FROM %1$s AS r WHERE r.after_id = $1) AS s
        FULL JOIN forge_comm.digest_lines(%2$L, $1, $2, $3) AS d
          ON s.from_transaction <= $3[d.range] AND s.to_transaction > $3[d.range] AND s.month = d.month
       ORDER BY coalesce(s.seal, 0), d.month $sql$, forge_comm.log_seals(log), log)
      USING generation.after_id, generation.upto_id, generation.bounds
    LOOP
      lines := lines + coalesce(found.lines, 0);
      IF found.digest IS NULL AND found.sealed_month < first_month THEN
        dropped := dropped + 1;
      ELSIF found.sealed_digest IS DISTINCT FROM found.digest
            AND coalesce(found.seal, found.nearest) < coalesce(bad_seal, 9223372036854775807) THEN
        bad_seal := coalesce(found.seal, found.nearest);
        problem := CASE
          WHEN found.seal IS NULL THEN format('%s lines of %s were added to what was sealed', found.lines,
                                              to_char(found.month, 'YYYY-MM'))
          WHEN found.lines IS DISTINCT FROM found.sealed_lines
            THEN format('%s of %s lines of %s are there', coalesce(found.lines, 0), found.sealed_lines,
                        to_char(found.sealed_month, 'YYYY-MM'))
          ELSE format('a line of %s differs', to_char(found.sealed_month, 'YYYY-MM')) END;
      END IF;
    END LOOP;
  END LOOP;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION forge_comm.verify_log(regclass) IS
  'Compare a log with its seals';

CREATE FUNCTION forge_comm.verify_history(log regclass DEFAULT NULL, head text DEFAULT NULL)
RETURNS TABLE (history_log text, seals bigint, lines bigint, dropped bigint, bad_seal bigint, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known boolean := false;
BEGIN
  IF head IS NOT NULL AND log IS NULL THEN
    RAISE EXCEPTION 'head must come with a log'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Each log has hashes of its own: name the one that it is of.';
  END IF;
  FOR history_log IN
    SELECT log WHERE log IS NOT NULL UNION ALL SELECT o FROM forge_comm.own_logs() AS o WHERE log IS NULL
  LOOP
    PERFORM forge_comm.check_sees_all(history_log::regclass);
    SELECT v.* INTO seals, lines, dropped, bad_seal, problem FROM forge_comm.verify_log(history_log::regclass) AS v;
    IF head IS NOT NULL THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM %s AS s WHERE encode(s.hash, ''hex'') = $1)',
                     forge_comm.log_seals(history_log::regclass)) INTO known USING head;
      IF NOT known THEN
        bad_seal := coalesce(bad_seal, seals + 1);
        problem := concat_ws('; ', problem, 'no seal has the hash given: the chain was cut or made anew');
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.verify_history(regclass, text) IS
  'Compare logs with their seals, and name the first range that differs';
