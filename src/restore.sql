-- Soft-deleted rows come back, with what fell with them.

CREATE FUNCTION forge_comm.restore_key(rel oid, key text[])
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_restore_key'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.restore_key(oid, text[]) IS
  'Bring back the row with this primary key, and what fell with it';

CREATE FUNCTION forge_comm.restore_deletion(rels oid[], deletion_id uuid)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_restore_deletion'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.restore_deletion(oid[], uuid) IS
  'Bring back the rows of these tables that one deletion marked';

CREATE FUNCTION forge_comm.key_values(rel regclass, id text, type regtype)
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = rel AND i.indisprimary AND i.indnkeyatts > 1) THEN
    RETURN ARRAY[id];
  ELSIF (SELECT t.typcategory FROM pg_type AS t WHERE t.oid = type) <> 'A' THEN
    RAISE EXCEPTION 'the primary key of table % has several columns', rel
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Pass the values of all of them, in its order, as an array.';
  END IF;
  RETURN id::text[];
END
$$;
COMMENT ON FUNCTION forge_comm.key_values(regclass, text, regtype) IS
  'The values of a primary key, one a column';

-- No SET clause: the application's triggers run within it, under the path
-- that they are used to.
CREATE FUNCTION forge_comm.restore(rel regclass, id anycompatible)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  restored pg_catalog.int8;
  constraint_name pg_catalog.text;
BEGIN
  IF rel IS NULL THEN
    RAISE EXCEPTION 'the table must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a table.';
  ELSIF id IS NULL THEN
    RAISE EXCEPTION 'the id must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the primary key of the row to restore.';
  END IF;
  BEGIN
    restored := forge_comm.restore_key(
      rel, forge_comm.key_values(rel, CAST(id AS pg_catalog.text), pg_catalog.pg_typeof(id)));
  EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME;
    RAISE EXCEPTION 'the row of table % cannot be restored: a live row holds a unique key of it or of one that fell with it', rel
      USING ERRCODE = 'unique_violation',
            CONSTRAINT = constraint_name,
            HINT = pg_catalog.format('Delete or change the row that holds the key of %I first.', constraint_name);
  END;
  IF restored OPERATOR(pg_catalog.=) 0 THEN
    RAISE EXCEPTION 'table % has no deleted row with this key', rel
      USING ERRCODE = 'no_data_found',
            HINT = 'It may never have been deleted, or be restored already, or belong to another workspace.';
  END IF;
  RETURN restored;
END
$$;
COMMENT ON FUNCTION forge_comm.restore(regclass, anycompatible) IS
  'Bring a soft-deleted row back, and what fell with it';

-- Where the caller has no privilege, rows come back only with those above them.
CREATE FUNCTION forge_comm.restorable_tables()
RETURNS oid[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(t.tgrelid ORDER BY t.tgrelid), '{}')
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid AND NOT c.relispartition
   WHERE t.tgname = 'forge_comm_soft_delete' AND t.tgenabled IN ('O', 'A')
     -- a parent's statement takes its inheritance children along
     AND NOT EXISTS (SELECT FROM pg_inherits AS i
                      WHERE i.inhrelid = c.oid AND forge_comm.has_trigger(i.inhparent, 'forge_comm_soft_delete'))
     AND forge_comm.rule_options(t.tgrelid, 'forge_comm_soft_delete', 'soft_delete_guard') ? 'deletion_id'
     AND has_schema_privilege(c.relnamespace, 'USAGE')
     AND has_any_column_privilege(c.oid, 'SELECT') AND has_any_column_privilege(c.oid, 'UPDATE')
$$;
COMMENT ON FUNCTION forge_comm.restorable_tables() IS
  'The tables that keep deletion ids and that the caller may update';

CREATE FUNCTION forge_comm.restore_all(deletion_id uuid)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  restored pg_catalog.int8;
  constraint_name pg_catalog.text;
BEGIN
  IF deletion_id IS NULL THEN
    RAISE EXCEPTION 'the deletion_id must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the deletion_id of the rows to restore.';
  END IF;
  BEGIN
    restored := forge_comm.restore_deletion(forge_comm.restorable_tables(), deletion_id);
  EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME;
    RAISE EXCEPTION 'the rows cannot be restored: a live row holds a unique key of one of them'
      USING ERRCODE = 'unique_violation',
            CONSTRAINT = constraint_name,
            HINT = pg_catalog.format('Delete or change the row that holds the key of %I first.', constraint_name);
  END;
  IF restored OPERATOR(pg_catalog.=) 0 THEN
    RAISE EXCEPTION 'no deleted row has this deletion_id'
      USING ERRCODE = 'no_data_found',
            HINT = 'They may be restored already, or belong to another workspace.';
  END IF;
  RETURN restored;
END
$$;
COMMENT ON FUNCTION forge_comm.restore_all(uuid) IS
  'Bring back all rows that one deletion marked';
