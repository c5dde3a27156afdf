-- All that a page of a web client shows, as one JSON document.

CREATE FUNCTION forge_comm.message_page(rel regclass, channel bigint, before text, after text, around text, "limit" integer,
                                        time_type regtype, has_author boolean, queries text[])
RETURNS jsonb
AS 'MODULE_PATHNAME', 'forge_comm_message_page'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.message_page(regclass, bigint, text, text, text, integer, regtype, boolean, text[]) IS
  'What queries find about a page of messages; what they take and return, src/message_page.c says';

-- The queries, after place_query() and marker_query(), in their order; each a
-- template, of which only the values of parameters change, so that one plan
-- does for all calls.

-- $1 is the channel, $2 and $3 a place.
CREATE FUNCTION forge_comm.rows_query(shape forge_comm.message_shape, comparison text, descending text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('SELECT m.{key}::pg_catalog.int8, m.{created_at}, %1$s::pg_catalog.int8, m.*
                   FROM {rel} AS m
                  WHERE m.{channel} OPERATOR(pg_catalog.=) $1 AND %2$s
                    AND (m.{created_at}, m.{key}) OPERATOR(pg_catalog.%3$s) ($2, $3)
                  ORDER BY m.{created_at}%4$s, m.{key}%4$s
                  LIMIT 101',
                CASE WHEN (shape).author IS NOT NULL THEN 'm.{author}' ELSE 'NULL' END,
                forge_comm.live_condition(shape, 'm'), comparison, descending)
$$;
COMMENT ON FUNCTION forge_comm.rows_query(forge_comm.message_shape, text, text) IS
  'The rows on one side of a place, as a template';

-- In those that follow, $1 is an array of ids.
CREATE FUNCTION forge_comm.authors_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).author_name IS NOT NULL AND (shape).authors IS NOT NULL THEN
           'SELECT u.{authors_key}::pg_catalog.int8, u.{author_name}::pg_catalog.text
              FROM {authors} AS u
             WHERE u.{authors_key} OPERATOR(pg_catalog.=) ANY ($1)
             ORDER BY u.{authors_key}' END
$$;
COMMENT ON FUNCTION forge_comm.authors_query(forge_comm.message_shape) IS
  'The names of authors, as a template, null if they have none';

-- Replies are counted, by their index: a number that is kept could drift.  As in
-- get_thread(), a message that is its own parent is no reply to itself.
CREATE FUNCTION forge_comm.replies_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).parent IS NOT NULL THEN format(
           'SELECT r.{parent}::pg_catalog.int8, pg_catalog.count(*), pg_catalog.max(r.{created_at})
              FROM {rel} AS r
             WHERE r.{parent} OPERATOR(pg_catalog.=) ANY ($1)
               AND r.{parent} OPERATOR(pg_catalog.<>) r.{key} AND %s
             GROUP BY r.{parent}
             ORDER BY r.{parent}', forge_comm.live_condition(shape, 'r')) END
$$;
COMMENT ON FUNCTION forge_comm.replies_query(forge_comm.message_shape) IS
  'How many replies messages have, as a template, null if there are none';

CREATE FUNCTION forge_comm.reactions_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).reactions IS NOT NULL THEN
           'SELECT e.{reaction_message}::pg_catalog.int8, e.{emoji}::pg_catalog.text, pg_catalog.count(*),
                   pg_catalog.bool_or(e.{reaction_user} OPERATOR(pg_catalog.=) forge_comm.current_user_id())
              FROM {reactions} AS e
             WHERE e.{reaction_message} OPERATOR(pg_catalog.=) ANY ($1)
             GROUP BY e.{reaction_message}, e.{emoji}
             ORDER BY e.{reaction_message}, pg_catalog.count(*) DESC, e.{emoji}' END
$$;
COMMENT ON FUNCTION forge_comm.reactions_query(forge_comm.message_shape) IS
  'The reactions to messages, as a template, null if there are none';

CREATE FUNCTION forge_comm.create_message_page(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  queries CONSTANT text[] := ARRAY[
    forge_comm.place_query(shape), forge_comm.marker_query(shape),
    forge_comm.rows_query(shape, '<=', ' DESC'), forge_comm.rows_query(shape, '>', ''),
    forge_comm.authors_query(shape), forge_comm.replies_query(shape), forge_comm.reactions_query(shape)];
BEGIN
  shape.queries_constant := (
    SELECT format('%L::pg_catalog.text[]', array_agg(forge_comm.fit(q.query, shape) ORDER BY q.ordinality))
      FROM unnest(queries) WITH ORDINALITY AS q (query, ordinality));
  PERFORM forge_comm.create_message_function(
    shape, 'message_page',
    'channel_id {channel_type}, before text DEFAULT NULL, after text DEFAULT NULL, around text DEFAULT NULL, "limit" integer DEFAULT 50',
    'jsonb', 'STABLE PARALLEL SAFE', format($template$
  SELECT CASE WHEN forge_comm.one_place($1, $2, $3, $4) AND %s
              THEN forge_comm.message_page({rel_constant}, $1, $2, $3, $4, $5, %L::pg_catalog.regtype, %L, {queries_constant})
         END
$template$,
      forge_comm.channel_condition(shape), shape.created_at_type, shape.author IS NOT NULL),
    'A page of a channel for a web client, as JSON');
END
$$;
COMMENT ON FUNCTION forge_comm.create_message_page(forge_comm.message_shape) IS
  'Make message_page()';
