-- Soft-deleted rows are removed for good: the only way that is not an emergency.

CREATE FUNCTION forge_comm.purge_blocks(member oid, first bigint, past bigint, cutoff timestamptz, condition text,
                                        reason text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_purge_blocks'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.purge_blocks(oid, bigint, bigint, timestamptz, text, text) IS
  'Remove the rows in a range of blocks that were deleted long enough ago';

CREATE FUNCTION forge_comm.check_purge(rel regclass, older_than interval, batch integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF forge_comm.in_transaction_block() THEN
    RAISE EXCEPTION 'purge cannot run inside a transaction block'
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'It commits each batch. Call it outside of BEGIN, in Alembic within an autocommit_block().';
  ELSIF rel IS NULL THEN
    RAISE EXCEPTION 'the table must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a table.';
  ELSIF forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') IS NULL THEN
    RAISE EXCEPTION 'soft_delete is not enabled on table %', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_soft_delete() first.';
  ELSIF (SELECT c.relispartition FROM pg_class AS c WHERE c.oid = rel) THEN
    RAISE EXCEPTION '% is a partition', rel
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Pass the partitioned table: its foreign keys say what may go.';
  ELSIF older_than IS NULL OR older_than < '0' THEN
    RAISE EXCEPTION 'older_than must be an interval of 0 or more'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is for how long a row must have been deleted.';
  ELSIF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'batch must be 1 or more'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the number of rows to remove before each commit.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_purge(regclass, interval, integer) IS
  'An error unless a purge can run with these arguments';

-- Superusers and the like need no context, and can have none.
CREATE FUNCTION forge_comm.enter_service(reason text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = current_user) THEN
    PERFORM forge_comm.set_service_context(reason);
  ELSIF coalesce(reason, '') = '' THEN
    RAISE EXCEPTION 'reason must not be null or empty'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Say what it is for; it is part of what a purge leaves in history.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.enter_service(text) IS
  'Set the service context of a transaction, for a role that needs one';

-- The columns of a foreign key, matched.
CREATE FUNCTION forge_comm.key_match(key oid, parent text, child text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('%s.%I OPERATOR(%I.%s) %s.%I', parent, p.attname, n.nspname, o.oprname, child, c.attname), ' AND ')
    FROM pg_constraint AS k
   CROSS JOIN LATERAL unnest(k.confkey, k.conkey, k.conpfeqop) AS u (referenced, referencing, operator)
    JOIN pg_attribute AS p ON p.attrelid = k.confrelid AND p.attnum = u.referenced
    JOIN pg_attribute AS c ON c.attrelid = k.conrelid AND c.attnum = u.referencing
    JOIN pg_operator AS o ON o.oid = u.operator
    JOIN pg_namespace AS n ON n.oid = o.oprnamespace
   WHERE k.oid = key
$$;
COMMENT ON FUNCTION forge_comm.key_match(oid, text, text) IS
  'The condition that a row references another by a foreign key';

-- The keys that matter when a row of the table is removed; copies that
-- PostgreSQL keeps for partitions are not among them.
CREATE FUNCTION forge_comm.keys_to(rel regclass)
RETURNS TABLE (key oid, child regclass, action "char", source text, deleted_at name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT k.oid, k.conrelid::regclass, k.confdeltype,
         CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END || k.conrelid::regclass::text,
         forge_comm.rule_options(k.conrelid, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at'
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
   WHERE k.contype = 'f' AND k.confrelid = rel AND k.conparentid = 0
   ORDER BY k.oid
$$;
COMMENT ON FUNCTION forge_comm.keys_to(regclass) IS
  'The foreign keys that reference a table';

-- What keeps a deleted row "t" in place: rows that would dangle, that would
-- forbid its removal, or that are to be removed only on their own account.
CREATE FUNCTION forge_comm.purge_obstacles(rel regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(string_agg(
           CASE WHEN k.child <> rel
                THEN format(' AND NOT EXISTS (SELECT FROM %s AS c WHERE %s)', k.source, forge_comm.key_match(k.key, 't', 'c'))
                WHEN k.action <> 'c'
                THEN format(' AND NOT EXISTS (SELECT FROM %s AS c WHERE %s AND (c.tableoid, c.ctid) OPERATOR(pg_catalog.<>) (t.tableoid, t.ctid))',
                            k.source, forge_comm.key_match(k.key, 't', 'c'))
                -- its own descendants go along with it, if all of them may
                ELSE format(' AND NOT EXISTS (WITH RECURSIVE below AS (SELECT c.* FROM %1$s AS c WHERE %2$s'
                            ' UNION SELECT c.* FROM below AS b, %1$s AS c WHERE %3$s)'
                            ' SELECT FROM below AS b WHERE b.%4$I IS NULL OR b.%4$I OPERATOR(pg_catalog.>=) $1)',
                            k.source, forge_comm.key_match(k.key, 't', 'c'), forge_comm.key_match(k.key, 'b', 'c'), k.deleted_at)
           END, ''), '')
    FROM forge_comm.keys_to(rel) AS k
   WHERE k.action IN ('a', 'r') OR (k.action = 'c' AND k.deleted_at IS NOT NULL)
$$;
COMMENT ON FUNCTION forge_comm.purge_obstacles(regclass) IS
  'The condition that nothing stands in the way of removing a row';

-- Tables whose rows go before those of this one, each with the condition that
-- the rows above are to go; "{t}" in it stands for the row itself.
CREATE FUNCTION forge_comm.purge_steps(rel regclass, above text DEFAULT '', path oid[] DEFAULT '{}')
RETURNS TABLE (member regclass, condition text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  k record;
  parent text := 'p' || cardinality(path);
  deleted_at name := forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at';
BEGIN
  FOR k IN
    SELECT t.* FROM forge_comm.keys_to(rel) AS t
     WHERE t.action = 'c' AND t.deleted_at IS NOT NULL AND t.child <> rel AND t.child <> ALL (path)
  LOOP
    RETURN QUERY SELECT s.member, s.condition FROM forge_comm.purge_steps(
      k.child,
      format(' AND EXISTS (SELECT FROM %s AS %s WHERE %s AND %s.%I OPERATOR(pg_catalog.<) $1%s)', rel, parent,
             forge_comm.key_match(k.key, parent, '{t}'), parent, deleted_at, replace(above, '{t}', parent)),
      path || rel::oid) AS s;
  END LOOP;
  RETURN QUERY
    SELECT f.member, replace(above, '{t}', 't') || forge_comm.purge_obstacles(rel)
      FROM forge_comm.family(rel) AS f JOIN pg_class AS c ON c.oid = f.member
     WHERE c.relkind = 'r';
END
$$;
COMMENT ON FUNCTION forge_comm.purge_steps(regclass, text, oid[]) IS
  'What to remove from which tables, children first';

CREATE FUNCTION forge_comm.has_purgeable(rel regclass, cutoff timestamptz)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found boolean;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I < $1)', rel,
                 forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at')
     INTO found USING cutoff;
  RETURN found;
END
$$;
COMMENT ON FUNCTION forge_comm.has_purgeable(regclass, timestamptz) IS
  'Has the table rows that were deleted before this time?';

CREATE FUNCTION forge_comm.block_count(member regclass)
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_relation_size(member) / current_setting('block_size')::bigint $$;
COMMENT ON FUNCTION forge_comm.block_count(regclass) IS
  'How many blocks a table has';

-- A procedure that commits can have no SET clause, and this one leaves the path
-- alone: the application's triggers run within it.
CREATE PROCEDURE forge_comm.purge(rel regclass, older_than interval, batch integer DEFAULT 10000,
                                  reason text DEFAULT 'purge',
                                  INOUT purged bigint DEFAULT 0, INOUT batches bigint DEFAULT 0)
LANGUAGE plpgsql
AS $$
DECLARE
  cutoff pg_catalog.timestamptz := pg_catalog.now() OPERATOR(pg_catalog.-) older_than;
  member pg_catalog.regclass;
  condition pg_catalog.text;
  blocks pg_catalog.int8;
  step pg_catalog.int8;
  first pg_catalog.int8;
  removed pg_catalog.int8;
  of_member pg_catalog.int8;
BEGIN
  PERFORM forge_comm.check_purge(rel, older_than, batch);
  PERFORM forge_comm.enter_service(reason);
  purged := 0;
  batches := 0;
  IF NOT forge_comm.has_purgeable(rel, cutoff) THEN
    RETURN;
  END IF;
  FOR member, condition IN SELECT s.member, s.condition FROM forge_comm.purge_steps(rel) AS s LOOP
    blocks := forge_comm.block_count(member);
    step := forge_comm.backfill_step(member, batch);
    first := 0;
    of_member := 0;
    WHILE first OPERATOR(pg_catalog.<) blocks LOOP
      PERFORM forge_comm.enter_service(reason);
      removed := forge_comm.purge_blocks(member, first, first OPERATOR(pg_catalog.+) step, cutoff, condition, reason);
      first := first OPERATOR(pg_catalog.+) step;
      IF removed OPERATOR(pg_catalog.>) 0 THEN
        of_member := of_member OPERATOR(pg_catalog.+) removed;
        purged := purged OPERATOR(pg_catalog.+) removed;
        batches := batches OPERATOR(pg_catalog.+) 1::pg_catalog.int8;
        RAISE NOTICE 'purged % rows of table %, % %% done', of_member, member,
                     LEAST(100::pg_catalog.int8, 100::pg_catalog.int8 OPERATOR(pg_catalog.*) first OPERATOR(pg_catalog./) blocks);
        COMMIT;
      END IF;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON PROCEDURE forge_comm.purge(regclass, interval, integer, text, bigint, bigint) IS
  'Remove soft-deleted rows for good, in batches that commit';
