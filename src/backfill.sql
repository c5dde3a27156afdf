-- The workspaces of rows that were there before tenancy was.

CREATE FUNCTION forge_comm.in_transaction_block()
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_transaction_block'
LANGUAGE c VOLATILE;
COMMENT ON FUNCTION forge_comm.in_transaction_block() IS
  'Is this a transaction that a procedure cannot commit?';

CREATE FUNCTION forge_comm.backfill_blocks(rel regclass, first bigint, past bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_backfill_blocks'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.backfill_blocks(regclass, bigint, bigint) IS
  'Give the rows in a range of blocks the workspace of their parents';

CREATE FUNCTION forge_comm.backfill_step(member regclass, batch_size integer)
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT greatest(1, CASE WHEN c.reltuples > 0 AND c.relpages > 0
                          THEN ceil(batch_size * c.relpages::numeric / c.reltuples::numeric)
                          ELSE ceil(batch_size / 100.0) END)::bigint
    FROM pg_class AS c WHERE c.oid = member
$$;
COMMENT ON FUNCTION forge_comm.backfill_step(regclass, integer) IS
  'How many blocks hold about that many rows';

-- A procedure that commits can have no SET clause: it sets its path anew in
-- every transaction.
CREATE PROCEDURE forge_comm.backfill(rel regclass, batch_size integer DEFAULT 10000,
                                     INOUT filled bigint DEFAULT 0, INOUT batches bigint DEFAULT 0)
LANGUAGE plpgsql
AS $$
DECLARE
  options pg_catalog.jsonb;
  workspace_column pg_catalog.name;
  member pg_catalog.regclass;
  blocks pg_catalog.int8;
  step pg_catalog.int8;
  first pg_catalog.int8;
  batch pg_catalog.int8;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF forge_comm.in_transaction_block() THEN
    RAISE EXCEPTION 'backfill cannot run inside a transaction block'
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'It commits each batch. Call it outside of BEGIN, in Alembic within an autocommit_block().';
  END IF;
  PERFORM forge_comm.check_table(rel);
  IF batch_size IS NULL OR batch_size < 1 THEN
    RAISE EXCEPTION 'batch_size must be 1 or more'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the number of rows to fill before each commit.';
  END IF;
  options := forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard');
  IF options IS NULL OR NOT options ? 'via' THEN
    RAISE EXCEPTION 'table % gets its workspaces through no other table', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_tenancy() with the argument "via" first.';
  END IF;
  workspace_column := options ->> 'workspace_column';
  filled := 0;
  batches := 0;

  IF (SELECT NOT a.attnotnull FROM pg_attribute AS a
       WHERE a.attrelid = rel AND a.attname = workspace_column) THEN
    FOR member IN
      SELECT f.member FROM forge_comm.family(rel) AS f JOIN pg_class AS c ON c.oid = f.member
       WHERE c.relkind = 'r'
    LOOP
      blocks := pg_relation_size(member) / current_setting('block_size')::bigint;
      step := forge_comm.backfill_step(member, batch_size);
      first := 0;
      WHILE first < blocks LOOP
        batch := forge_comm.backfill_blocks(member, first, first + step);
        filled := filled + batch;
        first := first + step;
        IF batch > 0 THEN
          batches := batches + 1;
          RAISE NOTICE 'filled % rows of table %, % %% done', filled, member,
                       least(100, 100 * first / blocks);
          COMMIT;
          PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        END IF;
      END LOOP;
    END LOOP;

    -- Checked without blocking anybody; SET NOT NULL then believes it.
    PERFORM forge_comm.announce_filled(rel, workspace_column);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM forge_comm.verify_filled(rel, workspace_column);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM forge_comm.settle_filled(rel, workspace_column);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;
  PERFORM forge_comm.ensure_tenancy_index(rel, workspace_column);
END
$$;
COMMENT ON PROCEDURE forge_comm.backfill(regclass, integer, bigint, bigint) IS
  'Give the rows of a table their workspaces, in batches that commit';

CREATE FUNCTION forge_comm.announce_filled(rel regclass, workspace_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS c
                  WHERE c.conrelid = rel AND c.conname = 'forge_comm_workspace_filled') THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT forge_comm_workspace_filled CHECK (%I IS NOT NULL) NOT VALID',
                   rel, workspace_column);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.announce_filled(regclass, name) IS
  'End of a backfill, first step: no new row without a workspace';

CREATE FUNCTION forge_comm.verify_filled(rel regclass, workspace_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT forge_comm_workspace_filled', rel);
EXCEPTION WHEN check_violation THEN
  RAISE EXCEPTION 'some rows of table % reference nothing that has a workspace', rel
    USING ERRCODE = 'not_null_violation',
          HINT = 'Give them a parent or delete them, as a superuser, and call backfill again.';
END
$$;
COMMENT ON FUNCTION forge_comm.verify_filled(regclass, name) IS
  'End of a backfill, second step: no old row without a workspace';

CREATE FUNCTION forge_comm.settle_filled(rel regclass, workspace_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  member regclass;
BEGIN
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', rel, workspace_column);
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT forge_comm_workspace_filled', rel);
  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f LOOP
    PERFORM forge_comm.alter_policies(member, forge_comm.tenancy_expression(member, workspace_column));
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.settle_filled(regclass, name) IS
  'End of a backfill, last step: the column is NOT NULL and the policies are simple';
