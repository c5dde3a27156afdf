-- Unique keys that hold among the live rows only.

-- Such an index is known by its comment, which also says what it was.
CREATE FUNCTION forge_comm.live_key_comment(was_constraint boolean, comment text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'Among the live rows (made by forge_comm.enable_soft_delete() of '
         || CASE WHEN was_constraint THEN 'a constraint' ELSE 'an index' END || ')' || coalesce(E'\n' || comment, '')
$$;
COMMENT ON FUNCTION forge_comm.live_key_comment(boolean, text) IS
  'The comment by which a key of ours is known';

-- An index's definition without its condition, and with another one; in its
-- tablespace, of which pg_get_indexdef() does not tell.
CREATE FUNCTION forge_comm.index_definition(index regclass, condition text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN i.indpred IS NULL THEN d.definition
              ELSE left(d.definition, -length(' WHERE ' || pg_get_expr(i.indpred, i.indrelid))) END
         || coalesce(' TABLESPACE ' || quote_ident(t.spcname), '')
         || coalesce(' WHERE ' || condition, '')
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
    -- of a partitioned table's index it tells what is there without partitions
   CROSS JOIN LATERAL regexp_replace(pg_get_indexdef(i.indexrelid),
                                     '^(CREATE UNIQUE INDEX ("([^"]|"")*"|[^ ]*) ON )ONLY ', '\1') AS d (definition)
   WHERE i.indexrelid = index
$$;
COMMENT ON FUNCTION forge_comm.index_definition(regclass, text) IS
  'The definition of an index, with another condition';

CREATE FUNCTION forge_comm.keys_to_make_live(rel regclass, deleted_at name)
RETURNS TABLE (index regclass, constraint_name name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.indexrelid::regclass, k.conname
    FROM forge_comm.family(rel) AS f
    JOIN pg_index AS i ON i.indrelid = f.member
    JOIN pg_class AS c ON c.oid = i.indexrelid AND NOT c.relispartition
    LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype = 'u'
   WHERE i.indisunique AND NOT i.indisprimary
     -- no two rows share a primary key, live or not, nor what includes it
     AND NOT EXISTS (SELECT FROM pg_index AS p
                      WHERE p.indrelid = i.indrelid AND p.indisprimary
                        AND (p.indkey::smallint[])[0:p.indnkeyatts - 1] <@ (i.indkey::smallint[])[0:i.indnkeyatts - 1])
     -- some ask for the mark already
     AND NOT EXISTS (SELECT FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                      WHERE i.indpred IS NOT NULL AND d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND a.attname = deleted_at)
   ORDER BY i.indrelid, c.relname
$$;
COMMENT ON FUNCTION forge_comm.keys_to_make_live(regclass, name) IS
  'The unique keys of a table that count deleted rows';

CREATE FUNCTION forge_comm.check_key_can_be_live(rel regclass, index regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key pg_constraint;
BEGIN
  SELECT k.* INTO key FROM pg_constraint AS k
   WHERE k.conindid = check_key_can_be_live.index AND k.contype = 'f' LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'foreign key % of table % references the unique key % of table %',
                    quote_ident(key.conname), key.conrelid::regclass, index, rel
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'A foreign key cannot reference a key that holds among live rows only. Let it reference the primary key.';
  ELSIF EXISTS (SELECT FROM pg_constraint AS k
                 WHERE k.conindid = check_key_can_be_live.index AND k.contype = 'u' AND k.condeferrable) THEN
    RAISE EXCEPTION 'the unique key % of table % is deferrable', index, rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'A key that holds among live rows only cannot be. Make it not deferrable first.';
  ELSIF EXISTS (SELECT FROM pg_index AS i
                 WHERE i.indexrelid = check_key_can_be_live.index AND (i.indisreplident OR i.indisclustered)) THEN
    RAISE EXCEPTION 'the unique key % of table % is its replica identity, or orders it', index, rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Use another index for REPLICA IDENTITY and CLUSTER, such as the primary key.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_key_can_be_live(regclass, regclass) IS
  'An error unless a unique key can be made to hold among live rows only';

CREATE FUNCTION forge_comm.make_keys_live(rel regclass, deleted_at name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key record;
BEGIN
  FOR key IN
    SELECT k.index, k.constraint_name, i.indrelid::regclass AS member, n.nspname, c.relname,
           coalesce(obj_description(u.oid, 'pg_constraint'), obj_description(i.indexrelid, 'pg_class')) AS comment,
           forge_comm.index_definition(
             k.index, CASE WHEN i.indpred IS NULL THEN format('%I IS NULL', deleted_at)
                           ELSE format('%s AND %I IS NULL', pg_get_expr(i.indpred, i.indrelid), deleted_at) END) AS definition
      FROM forge_comm.keys_to_make_live(rel, deleted_at) AS k
      JOIN pg_index AS i ON i.indexrelid = k.index
      JOIN pg_class AS c ON c.oid = k.index
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN pg_constraint AS u ON u.conindid = k.index AND u.contype = 'u'
  LOOP
    PERFORM forge_comm.check_key_can_be_live(key.member, key.index);
    IF key.constraint_name IS NOT NULL THEN
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.member, key.constraint_name);
    ELSE
      EXECUTE format('DROP INDEX %s', key.index);
    END IF;
    EXECUTE key.definition;
    EXECUTE format('COMMENT ON INDEX %I.%I IS %L', key.nspname, key.relname,
                   forge_comm.live_key_comment(key.constraint_name IS NOT NULL, key.comment));
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.make_keys_live(regclass, name) IS
  'Let the unique keys of a table hold among live rows only';

CREATE FUNCTION forge_comm.make_keys_total(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key record;
BEGIN
  FOR key IN
    SELECT i.indexrelid::regclass AS index, i.indrelid::regclass AS member, n.nspname, c.relname, o.was_constraint,
           substr(o.comment, length(forge_comm.live_key_comment(o.was_constraint, NULL)) + 2) AS comment,
           forge_comm.index_definition(
             i.indexrelid, substring(pg_get_expr(i.indpred, i.indrelid) FROM '^\((.*) AND \(\S.* IS NULL\)\)$')) AS definition
      FROM forge_comm.family(rel) AS f
      JOIN pg_index AS i ON i.indrelid = f.member
      JOIN pg_class AS c ON c.oid = i.indexrelid AND NOT c.relispartition
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT d.comment, starts_with(d.comment, forge_comm.live_key_comment(true, NULL)) AS was_constraint
                           FROM obj_description(i.indexrelid, 'pg_class') AS d (comment)) AS o
     WHERE o.was_constraint OR starts_with(o.comment, forge_comm.live_key_comment(false, NULL))
     ORDER BY c.relname, n.nspname
  LOOP
    EXECUTE format('DROP INDEX %s', key.index);
    BEGIN
      EXECUTE key.definition;
    EXCEPTION WHEN unique_violation THEN
      RAISE EXCEPTION 'deleted rows of table % share the unique key % with others', rel, quote_ident(key.relname)
        USING ERRCODE = 'unique_violation',
              HINT = 'Purge those rows, or change their keys, and try again.';
    END;
    IF key.was_constraint THEN
      PERFORM forge_comm.make_constraint(key.member, key.nspname, key.relname);
    END IF;
    IF key.comment <> '' THEN
      EXECUTE format(CASE WHEN key.was_constraint THEN 'COMMENT ON CONSTRAINT %2$I ON %4$s IS %3$L'
                          ELSE 'COMMENT ON INDEX %1$I.%2$I IS %3$L' END,
                     key.nspname, key.relname, key.comment, key.member);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.make_keys_total(regclass) IS
  'Undo forge_comm.make_keys_live()';

-- An index of a partitioned table cannot be made a constraint's: the
-- constraint makes its own.
CREATE FUNCTION forge_comm.make_constraint(member regclass, schema_name name, index_name name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made regclass := format('%I.%I', schema_name, index_name);
  columns text;
  included text;
  nulls text;
BEGIN
  IF (SELECT c.relkind FROM pg_class AS c WHERE c.oid = member) <> 'p' THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I', member, index_name, index_name);
    RETURN;
  END IF;
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.n) FILTER (WHERE u.n <= i.indnkeyatts),
         string_agg(quote_ident(a.attname), ', ' ORDER BY u.n) FILTER (WHERE u.n > i.indnkeyatts),
         max(CASE WHEN i.indnullsnotdistinct THEN 'NULLS NOT DISTINCT ' ELSE '' END)
    INTO columns, included, nulls
    FROM pg_index AS i
   CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS u (attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
   WHERE i.indexrelid = made;
  EXECUTE format('DROP INDEX %s', made);
  EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE %s(%s)%s', member, index_name, nulls, columns,
                 coalesce(format(' INCLUDE (%s)', included), ''));
END
$$;
COMMENT ON FUNCTION forge_comm.make_constraint(regclass, name, name) IS
  'Make a unique index a constraint''s';
