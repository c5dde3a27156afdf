-- Pages of messages.

CREATE FUNCTION forge_comm.page_limit(per_page integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_page_limit'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.page_limit(integer) IS
  'How many rows a page holds: 1 to 100';

CREATE FUNCTION forge_comm.page_offset(page integer, per_page integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_page_offset'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.page_offset(integer, integer) IS
  'How many rows the pages before hold; page 1 is the first';

CREATE FUNCTION forge_comm.ensure_page_index(rel regclass, columns name[], predicate text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
  index name;
BEGIN
  PERFORM FROM pg_index AS i
          JOIN pg_class AS ic ON ic.oid = i.indexrelid
          JOIN pg_am AS am ON am.oid = ic.relam AND am.amname = 'btree'
   WHERE i.indrelid = rel AND i.indisvalid
     AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = '(' || predicate || ')')
     AND (SELECT array_agg(a.attname ORDER BY k.ordinality)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ordinality)
            JOIN pg_attribute AS a ON a.attrelid = rel AND a.attnum = k.attnum
           WHERE k.ordinality <= cardinality(columns)) = columns
     -- The order must be one that a scan in either direction can give.
     AND (i.indoption::int2[])[1] IN (0, 3) AND (i.indoption::int2[])[1] = (i.indoption::int2[])[2];
  IF FOUND THEN
    RETURN;
  END IF;
  SELECT n.nspname, c.relname INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel;
  index := forge_comm.object_name(class.relname, '_page_idx');
  EXECUTE format('CREATE INDEX %I ON %s (%I, %I DESC, %I DESC)%s', index, rel,
                 columns[1], columns[2], columns[3], ' WHERE ' || predicate);
  EXECUTE format('COMMENT ON INDEX %I.%I IS %L', class.nspname, index,
                 forge_comm.index_comment('messages'));
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_page_index(regclass, name[], text) IS
  'Make the index that gives pages in order, unless there is one';

CREATE FUNCTION forge_comm.messages_comment(rel regclass)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('A page of a channel, newest first (made by forge_comm.enable_messages() for %s)', rel) $$;
COMMENT ON FUNCTION forge_comm.messages_comment(regclass) IS
  'The comment by which a function of ours is known';

-- The functions have no SET clause, or the planner could not inline them;
-- what is in them is qualified instead.
CREATE FUNCTION forge_comm.enable_messages(rel regclass, channel name DEFAULT 'channel_id',
                                           created_at name DEFAULT 'created_at', deleted_at name DEFAULT NULL,
                                           function_name name DEFAULT 'get_messages')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key record;
  live name;
  schema name;
  body text;
  existing record;
BEGIN
  PERFORM forge_comm.check_table(rel);
  PERFORM forge_comm.check_column(rel, channel, '{smallint,integer,bigint}');
  PERFORM forge_comm.check_column(rel, created_at, '{timestamptz,timestamp}');
  IF function_name IS NULL OR function_name = '' THEN
    RAISE EXCEPTION 'function_name must not be null or empty'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the function to be made.';
  ELSIF deleted_at IS NOT NULL THEN
    PERFORM forge_comm.check_column(rel, deleted_at, '{timestamptz,timestamp}');
  END IF;
  SELECT * INTO key FROM forge_comm.primary_key_column(rel);
  live := coalesce(deleted_at,
                   forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at');
  schema := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
              WHERE c.oid = rel);

  body := format('
  SELECT m.*
    FROM %s AS m
   WHERE m.%I OPERATOR(pg_catalog.=) $1%s
   ORDER BY m.%I DESC, m.%I DESC
   LIMIT forge_comm.page_limit($3) OFFSET forge_comm.page_offset($2, $3)
', rel, channel, CASE WHEN live IS NOT NULL THEN format(' AND m.%I IS NULL', live) END, created_at, key.key_column);

  SELECT p.oid::regprocedure AS oid, p.prosrc = body AS same INTO existing
    FROM pg_proc AS p
   WHERE p.oid = to_regprocedure(format('%I.%I(%s, integer, integer)', schema, function_name,
                                        forge_comm.column_type(rel, channel)));
  IF existing.same THEN
    RAISE NOTICE 'messages is enabled on table % already', rel;
    RETURN;
  ELSIF existing.oid IS NOT NULL THEN
    RAISE EXCEPTION 'function % exists already', existing.oid
      USING ERRCODE = 'duplicate_function',
            HINT = 'Call forge_comm.disable_messages() if it is ours with other options, or name another with the argument "function_name".';
  END IF;

  EXECUTE format('CREATE FUNCTION %I.%I(channel_id %s, page integer DEFAULT 1, per_page integer DEFAULT 50)
                  RETURNS SETOF %s LANGUAGE sql STABLE PARALLEL SAFE ROWS 50 AS %L',
                 schema, function_name, forge_comm.column_type(rel, channel), rel, body);
  EXECUTE format('COMMENT ON FUNCTION %I.%I(%s, integer, integer) IS %L',
                 schema, function_name, forge_comm.column_type(rel, channel), forge_comm.messages_comment(rel));
  PERFORM forge_comm.ensure_page_index(rel, ARRAY[channel, created_at, key.key_column],
                                       CASE WHEN live IS NOT NULL THEN format('%I IS NULL', live) END);
END
$$;
COMMENT ON FUNCTION forge_comm.enable_messages(regclass, name, name, name, name) IS
  'Make the functions that read a table of messages, and the index they need';

CREATE FUNCTION forge_comm.disable_messages(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  function regprocedure;
BEGIN
  PERFORM forge_comm.check_table(rel);
  FOR function IN
    SELECT p.oid
      FROM pg_proc AS p
      JOIN pg_class AS c ON c.oid = rel AND p.prorettype = c.reltype
     WHERE starts_with(obj_description(p.oid, 'pg_proc'),
                     'A page of a channel, newest first (made by forge_comm.enable_messages()')
  LOOP
    EXECUTE format('DROP FUNCTION %s', function);
  END LOOP;
  IF NOT FOUND THEN
    RAISE NOTICE 'messages is not enabled on table %', rel;
  END IF;
  PERFORM forge_comm.drop_indexes(rel, 'messages');
END
$$;
COMMENT ON FUNCTION forge_comm.disable_messages(regclass) IS
  'Undo forge_comm.enable_messages()';
