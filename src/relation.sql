-- What the capabilities ask of a table, and do to one, alike.

CREATE FUNCTION forge_comm.check_table(rel regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
BEGIN
  IF rel IS NULL THEN
    RAISE EXCEPTION 'the table must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a table.';
  END IF;
  SELECT c.* INTO class FROM pg_class AS c WHERE c.oid = rel;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the table does not exist'
      USING ERRCODE = 'undefined_table',
            HINT = 'Pass the name of a table.';
  ELSIF class.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                               'pg_toast'::regnamespace, 'forge_comm'::regnamespace) THEN
    RAISE EXCEPTION '% is a system table', rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Pass the name of an application''s table.';
  ELSIF class.relkind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION '% is not an ordinary or partitioned table', rel
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Views, foreign tables and the like cannot be guarded; pass the table behind them.';
  ELSIF class.relpersistence = 't' THEN
    RAISE EXCEPTION '% is a temporary table', rel
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Only the session itself sees a temporary table; there is nothing to guard.';
  ELSIF class.relispartition THEN
    RAISE EXCEPTION '% is a partition', rel
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Pass the partitioned table; its partitions follow.';
  ELSIF NOT pg_has_role(class.relowner, 'USAGE') THEN
    RAISE EXCEPTION 'must be owner of table %', rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Run this as the role that owns the table.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_table(regclass) IS
  'An error unless the caller may enable capabilities on the table';

-- The strongest lock that follows is taken at once: an application that has
-- read and goes on to write would deadlock with one that grew.
CREATE FUNCTION forge_comm.claim_table(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_table(rel);
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', rel);
END
$$;
COMMENT ON FUNCTION forge_comm.claim_table(regclass) IS
  'Check that the caller may enable capabilities on the table, and lock it';

CREATE FUNCTION forge_comm.column_type(rel regclass, column_name name)
RETURNS regtype
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.atttypid::regtype
    FROM pg_attribute AS a
   WHERE a.attrelid = rel AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION forge_comm.column_type(regclass, name) IS
  'The type of a column, null if there is no such column';

CREATE FUNCTION forge_comm.key_columns(rel regclass)
RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(a.attname ORDER BY a.attnum), '{}')
    FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
   WHERE i.indrelid = rel AND i.indisprimary
$$;
COMMENT ON FUNCTION forge_comm.key_columns(regclass) IS
  'The columns of the primary key';

-- What hangs under a row, or who a person is, is looked up by such a key: one
-- that is checked late would not do.
CREATE FUNCTION forge_comm.require_id(rel regclass)
RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id name := (SELECT a.attname
                FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = rel AND i.indisprimary AND i.indimmediate AND i.indnkeyatts = 1
                 AND a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype));
BEGIN
  IF id IS NULL THEN
    RAISE EXCEPTION 'table % has no primary key of one id column', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Its rows are found by that key, which must be smallint, integer or bigint.';
  END IF;
  RETURN id;
END
$$;
COMMENT ON FUNCTION forge_comm.require_id(regclass) IS
  'The primary key of a table, an error unless that is one id column';

CREATE FUNCTION forge_comm.referencing_columns(rel regclass)
RETURNS TABLE (column_name name, parent regclass, parent_column name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.attname, c.confrelid, p.attname
    FROM pg_constraint AS c
   CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (attnum, parent_attnum)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
    JOIN pg_attribute AS p ON p.attrelid = c.confrelid AND p.attnum = k.parent_attnum
   WHERE c.conrelid = rel AND c.contype = 'f' AND c.conparentid = 0 AND c.confrelid <> rel
$$;
COMMENT ON FUNCTION forge_comm.referencing_columns(regclass) IS
  'The columns of a table that are part of foreign keys to others, and what they reference';

CREATE FUNCTION forge_comm.check_column(rel regclass, column_name name, types regtype[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  type regtype := forge_comm.column_type(rel, column_name);
BEGIN
  IF column_name IS NULL THEN
    RAISE EXCEPTION 'the name of a column of table % must not be null', rel
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a column.';
  ELSIF type IS NULL THEN
    RAISE EXCEPTION 'column % of table % does not exist', quote_ident(column_name), rel
      USING ERRCODE = 'undefined_column',
            HINT = 'Name another column, or add this one first.';
  ELSIF NOT type = ANY (types) THEN
    RAISE EXCEPTION 'column % of table % has type %', quote_ident(column_name), rel, type
      USING ERRCODE = 'datatype_mismatch',
            HINT = format('It must be of type %s.', array_to_string(types, ' or '));
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_column(regclass, name, regtype[]) IS
  'An error unless the table has the column, and of one of these types';

CREATE FUNCTION forge_comm.check_written_column(rel regclass, column_name name, types regtype[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_column(rel, column_name, types);
  IF (SELECT a.attgenerated <> '' FROM pg_attribute AS a
       WHERE a.attrelid = rel AND a.attname = column_name) THEN
    RAISE EXCEPTION 'column % of table % is generated', quote_ident(column_name), rel
      USING ERRCODE = 'generated_always',
            HINT = 'Name a column that can be written.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_written_column(regclass, name, regtype[]) IS
  'An error unless the table has the column, of one of these types, to be written';

CREATE FUNCTION forge_comm.ensure_column(rel regclass, column_name name, types regtype[], definition text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF column_name IS NULL THEN
    RETURN false;
  ELSIF forge_comm.column_type(rel, column_name) IS NOT NULL THEN
    PERFORM forge_comm.check_written_column(rel, column_name, types);
    RETURN false;
  END IF;
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', rel, column_name, definition);
  RETURN true;
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_column(regclass, name, regtype[], text) IS
  'Add a column unless it is there; says whether it was added';

CREATE FUNCTION forge_comm.drop_columns(rel regclass, columns name[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  column_name name;
BEGIN
  FOREACH column_name IN ARRAY coalesce(columns, '{}') LOOP
    EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I', rel, column_name);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_columns(regclass, name[]) IS
  'Drop columns that a capability had added';

-- Identifiers end at 63 bytes: a long name is cut, and told from others that
-- begin alike by a digest.
CREATE FUNCTION forge_comm.object_name(base text, suffix text)
RETURNS name
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stem text := base;
BEGIN
  IF octet_length(base || suffix) < 64 THEN
    RETURN base || suffix;
  END IF;
  WHILE octet_length(stem || suffix) > 54 AND stem <> '' LOOP
    stem := left(stem, -1);
  END LOOP;
  RETURN stem || '_' || left(md5(base), 8) || suffix;
END
$$;
COMMENT ON FUNCTION forge_comm.object_name(text, text) IS
  'A name for an object that goes with a table';

-- One pass, so that a name with braces in it is left as it is.
CREATE FUNCTION forge_comm.fill(template text, names jsonb)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(p.part[1] || coalesce(names ->> p.part[2], ''), '' ORDER BY p.ordinality)
    FROM regexp_matches(template, '([^{]*)(?:\{([a-z_]+)\}|$)', 'g') WITH ORDINALITY AS p (part, ordinality)
$$;
COMMENT ON FUNCTION forge_comm.fill(text, jsonb) IS
  'A template of SQL with what stands for the names in {braces}';

CREATE FUNCTION forge_comm.family(rel regclass)
RETURNS TABLE (member regclass, is_partition boolean, depth integer)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE members AS (
    SELECT rel::oid AS oid, 0 AS depth
    UNION
    SELECT i.inhrelid, m.depth + 1 FROM pg_inherits AS i JOIN members AS m ON i.inhparent = m.oid
  )
  SELECT c.oid::regclass, c.relispartition, max(m.depth)
    FROM members AS m JOIN pg_class AS c ON c.oid = m.oid
   GROUP BY c.oid, c.relispartition
   ORDER BY max(m.depth), c.oid
$$;
COMMENT ON FUNCTION forge_comm.family(regclass) IS
  'A table with its partitions and inheritance children, the table itself first';

-- Indexes of ours are known by their comment, which survives a rename and a dump.
CREATE FUNCTION forge_comm.index_comment(capability text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'Made by forge_comm.enable_' || capability || '()' $$;
COMMENT ON FUNCTION forge_comm.index_comment(text) IS
  'The comment by which an index of ours is known';

CREATE FUNCTION forge_comm.drop_indexes(rel regclass, capability text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  index regclass;
BEGIN
  FOR index IN
    SELECT i.indexrelid
      FROM forge_comm.family(rel) AS f
      JOIN pg_index AS i ON i.indrelid = f.member
     WHERE obj_description(i.indexrelid, 'pg_class') = forge_comm.index_comment(capability)
  LOOP
    EXECUTE format('DROP INDEX %s', index);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_indexes(regclass, text) IS
  'Drop the indexes that a capability had made';
