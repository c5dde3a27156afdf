-- Pages of messages, and what enables all that reads them.

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

CREATE FUNCTION forge_comm.ensure_page_index(rel regclass, columns name[], predicate text,
                                             suffix text DEFAULT '_page_idx', included name[] DEFAULT '{}')
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
  index := forge_comm.object_name(class.relname, suffix);
  EXECUTE format('CREATE INDEX %I ON %s (%I, %I DESC, %I DESC)%s%s', index, rel,
                 columns[1], columns[2], columns[3],
                 ' INCLUDE (' || (SELECT string_agg(quote_ident(c), ', ') FROM unnest(included) AS c) || ')',
                 ' WHERE ' || predicate);
  EXECUTE format('COMMENT ON INDEX %I.%I IS %L', class.nspname, index,
                 forge_comm.index_comment('messages'));
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_page_index(regclass, name[], text, text, name[]) IS
  'Make the index that gives pages in order, unless there is one';

-- With deep pages, the scan begins where the page does, if that is known, and
-- at the newest message otherwise.
CREATE FUNCTION forge_comm.page_body(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($body$
  SELECT m.*
    FROM {rel} AS m
   WHERE m.{channel} OPERATOR(pg_catalog.=) $1 AND %s%s
   ORDER BY m.{created_at} DESC, m.{key} DESC
   LIMIT forge_comm.page_limit($3) OFFSET %s
$body$, forge_comm.live_condition(shape, 'm'),
         CASE WHEN d.deep THEN format($body$
     AND (m.{created_at}, m.{key}) OPERATOR(pg_catalog.<=)
         (forge_comm.%s({rel_constant}, $1, $2, $3), forge_comm.page_id({rel_constant}, $1, $2, $3))$body$,
           CASE shape.created_at_type WHEN 'timestamptz'::regtype THEN 'page_time' ELSE 'page_local_time' END) END,
         CASE WHEN d.deep THEN 'forge_comm.page_rest({rel_constant}, $1, $2, $3)'
              ELSE 'forge_comm.page_offset($2, $3)' END)
    FROM (SELECT forge_comm.deep_pages_options(shape.rel) IS NOT NULL AS deep) AS d
$$;
COMMENT ON FUNCTION forge_comm.page_body(forge_comm.message_shape) IS
  'What get_messages() does, as a template';

CREATE FUNCTION forge_comm.page_attributes(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('STABLE PARALLEL %s ROWS 50',
                CASE WHEN forge_comm.deep_pages_options(shape.rel) IS NULL THEN 'SAFE' ELSE 'RESTRICTED' END)
$$;
COMMENT ON FUNCTION forge_comm.page_attributes(forge_comm.message_shape) IS
  'What the planner is told of get_messages()';

CREATE FUNCTION forge_comm.create_page_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_message_function(
    shape, 'get_messages', 'channel_id {channel_type}, page integer DEFAULT 1, per_page integer DEFAULT 50',
    'SETOF {rel}', forge_comm.page_attributes(shape), forge_comm.page_body(shape),
    'A page of a channel, newest first');
  PERFORM forge_comm.ensure_page_index(
    shape.rel, ARRAY[shape.channel, shape.created_at, shape.key],
    CASE WHEN shape.deleted_at IS NOT NULL THEN format('%I IS NULL', shape.deleted_at) END,
    -- What counting asks of a row, policies included
    included => array_remove(ARRAY[shape.workspace, shape.author, shape.parent], NULL));
END
$$;
COMMENT ON FUNCTION forge_comm.create_page_functions(forge_comm.message_shape) IS
  'Make get_messages(), and the index it needs';

-- In place: views and functions may depend on it.
CREATE FUNCTION forge_comm.replace_get_messages(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql %s AS %L',
                 shape.schema, shape.prefix || 'get_messages',
                 forge_comm.fit('channel_id {channel_type}, page integer DEFAULT 1, per_page integer DEFAULT 50', shape),
                 forge_comm.fit('SETOF {rel}', shape), forge_comm.page_attributes(shape),
                 forge_comm.fit(forge_comm.page_body(shape), shape));
END
$$;
COMMENT ON FUNCTION forge_comm.replace_get_messages(forge_comm.message_shape) IS
  'Make get_messages() anew, with deep pages or without';

CREATE FUNCTION forge_comm.enable_messages(rel regclass, channel name DEFAULT 'channel_id',
                                           created_at name DEFAULT 'created_at', deleted_at name DEFAULT NULL,
                                           author name DEFAULT 'user_id', parent name DEFAULT 'parent_id',
                                           edited_at name DEFAULT 'edited_at', body name DEFAULT 'body',
                                           author_name name DEFAULT 'display_name',
                                           markers regclass DEFAULT NULL, marker name DEFAULT 'last_read_message_id',
                                           reactions regclass DEFAULT NULL, emoji name DEFAULT 'emoji',
                                           prefix text DEFAULT '')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  id_types CONSTANT regtype[] := '{smallint,integer,bigint}';
  time_types CONSTANT regtype[] := '{timestamptz,timestamp}';
  text_types CONSTANT regtype[] := '{text,varchar,bpchar}';
  key name;
  marked regclass;
  options jsonb;
  shape forge_comm.message_shape;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  PERFORM forge_comm.check_column(rel, channel, id_types);
  PERFORM forge_comm.check_column(rel, created_at, time_types);
  deleted_at := coalesce(deleted_at,
                         forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at');
  IF deleted_at IS NOT NULL THEN
    PERFORM forge_comm.check_column(rel, deleted_at, time_types);
  END IF;
  key := forge_comm.require_id(rel);
  IF prefix IS NULL THEN
    RAISE EXCEPTION 'the argument "prefix" must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass an empty one for names like "get_messages".';
  END IF;

  marked := coalesce(markers, forge_comm.markers_of((forge_comm.referenced_by(rel, channel)).parent, marker));
  IF marked IS NOT NULL THEN
    PERFORM forge_comm.check_column(marked, marker, id_types);
  END IF;
  IF reactions IS NOT NULL THEN
    PERFORM forge_comm.check_column(reactions, emoji, text_types);
  END IF;
  options := jsonb_build_object(
    'key', key, 'channel', channel, 'created_at', created_at, 'deleted_at', deleted_at,
    'author', forge_comm.optional_column(rel, author, 'user_id', id_types),
    'parent', forge_comm.optional_column(rel, parent, 'parent_id', id_types),
    'edited_at', forge_comm.optional_column(rel, edited_at, 'edited_at', time_types),
    'body', forge_comm.optional_column(rel, body, 'body', text_types),
    'author_name', CASE WHEN forge_comm.column_type(rel, author) IS NOT NULL THEN author_name END,
    'markers', marked, 'marker', CASE WHEN marked IS NOT NULL THEN marker END,
    'reactions', reactions, 'emoji', CASE WHEN reactions IS NOT NULL THEN emoji END,
    'prefix', nullif(prefix, ''));
  IF forge_comm.rule_enabled(rel, 'messages', options) THEN
    RETURN;
  END IF;
  PERFORM forge_comm.create_rule_trigger(rel, 'messages', format('UPDATE OF %I', key), 'messages_guard', options);

  shape := forge_comm.message_shape(rel);
  -- They outlive DROP EXTENSION, the trigger does not.
  PERFORM forge_comm.drop_message_functions(shape);
  PERFORM forge_comm.create_page_functions(shape);
  PERFORM forge_comm.create_listing_functions(shape);
  PERFORM forge_comm.create_thread_functions(shape);
  PERFORM forge_comm.create_message_page(shape);
  PERFORM forge_comm.create_unread_functions(shape);
  PERFORM forge_comm.create_inbox_functions(shape);
END
$$;
COMMENT ON FUNCTION forge_comm.enable_messages(regclass, name, name, name, name, name, name, name, name, regclass, name, regclass, name, text) IS
  'Make the functions that read a table of messages, and the indexes they need';

CREATE FUNCTION forge_comm.disable_messages(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.messages_options(rel) IS NULL THEN
    RAISE NOTICE 'messages is not enabled on table %', rel;
    RETURN;
  END IF;
  IF forge_comm.changes_options(rel) IS NOT NULL THEN
    PERFORM forge_comm.disable_changes(rel);
  END IF;
  IF forge_comm.search_index(rel) IS NOT NULL THEN
    PERFORM forge_comm.disable_search(rel);
  END IF;
  IF forge_comm.deep_pages_options(rel) IS NOT NULL THEN
    PERFORM forge_comm.disable_deep_pages(rel);
  END IF;
  PERFORM forge_comm.drop_message_functions(forge_comm.message_shape(rel));
  PERFORM forge_comm.drop_rule_triggers(rel, 'messages');
  PERFORM forge_comm.drop_indexes(rel, 'messages');
END
$$;
COMMENT ON FUNCTION forge_comm.disable_messages(regclass) IS
  'Undo forge_comm.enable_messages()';
