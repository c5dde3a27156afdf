-- All that a page of a web client shows, as one JSON document from one plan.

-- What goes with a message of the page, p; each a template.
CREATE FUNCTION forge_comm.message_author(shape forge_comm.message_shape, OUT value text, OUT joined text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).author IS NOT NULL THEN format('''author'', CASE WHEN p.{author} IS NOT NULL THEN pg_catalog.jsonb_build_object(''id'', p.{author}%s) END',
                CASE WHEN (shape).author_name IS NOT NULL AND (shape).authors IS NOT NULL
                     THEN ', ''display_name'', u.{author_name}' END) END,
         CASE WHEN (shape).author_name IS NOT NULL AND (shape).authors IS NOT NULL
              THEN 'LEFT JOIN {authors} AS u ON u.{authors_key} OPERATOR(pg_catalog.=) p.{author}' END
$$;
COMMENT ON FUNCTION forge_comm.message_author(forge_comm.message_shape) IS
  'Who wrote a message: a value for its JSON, and what has to be joined';

-- Replies are counted, by their index: a number that is kept could drift.  As in
-- get_thread(), a message that is its own parent is no reply to itself.
CREATE FUNCTION forge_comm.message_replies(shape forge_comm.message_shape, OUT value text, OUT joined text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).parent IS NOT NULL THEN '''reply_count'', r.n, ''last_reply_at'', r.last' END,
         CASE WHEN (shape).parent IS NOT NULL THEN format('CROSS JOIN LATERAL (
                SELECT pg_catalog.count(*) AS n, pg_catalog.max(r.{created_at}) AS last
                  FROM {rel} AS r
                 WHERE r.{parent} OPERATOR(pg_catalog.=) p.{key} AND r.{key} OPERATOR(pg_catalog.<>) p.{key} AND %s) AS r',
                forge_comm.live_condition(shape, 'r')) END
$$;
COMMENT ON FUNCTION forge_comm.message_replies(forge_comm.message_shape) IS
  'How many replies a message has: values for its JSON, and what has to be joined';

CREATE FUNCTION forge_comm.message_reactions(shape forge_comm.message_shape, OUT value text, OUT joined text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).reactions IS NOT NULL THEN '''reactions'', coalesce(e.all, ''[]'')' END,
         CASE WHEN (shape).reactions IS NOT NULL THEN 'LEFT JOIN (
                SELECT e.message, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                         ''emoji'', e.emoji, ''count'', e.n, ''mine'', e.mine) ORDER BY e.n DESC, e.emoji) AS all
                  FROM (SELECT e.{reaction_message} AS message, e.{emoji} AS emoji, pg_catalog.count(*) AS n,
                               coalesce(pg_catalog.bool_or(e.{reaction_user} OPERATOR(pg_catalog.=) forge_comm.current_user_id()), false) AS mine
                          FROM {reactions} AS e
                         WHERE e.{reaction_message} OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.{key} FROM page AS p))
                         GROUP BY e.{reaction_message}, e.{emoji}) AS e
                 GROUP BY e.message) AS e ON e.message OPERATOR(pg_catalog.=) p.{key}' END
$$;
COMMENT ON FUNCTION forge_comm.message_reactions(forge_comm.message_shape) IS
  'The reactions to a message: a value for its JSON, and what has to be joined';

-- Is there a row beyond one end of the page?  Where the page is empty, all rows
-- are on the side that was not asked for.
CREATE FUNCTION forge_comm.rows_beyond(shape forge_comm.message_shape, comparison text, opposite text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($template$CASE WHEN ends.n OPERATOR(pg_catalog.>) 0
                 THEN EXISTS (SELECT FROM {rel} AS m
                               WHERE m.{channel} OPERATOR(pg_catalog.=) $1 AND %1$s
                                 AND (m.{created_at}, m.{key}) OPERATOR(pg_catalog.%2$s) (ends.times[%3$s], ends.ids[%3$s]))
                 ELSE %4$s AND EXISTS (SELECT FROM {rel} AS m
                                        WHERE m.{channel} OPERATOR(pg_catalog.=) $1 AND %1$s)
            END$template$,
                forge_comm.live_condition(shape, 'm'), comparison,
                CASE comparison WHEN '<' THEN 'ends.n' ELSE '1' END, opposite)
$$;
COMMENT ON FUNCTION forge_comm.rows_beyond(forge_comm.message_shape, text, text) IS
  'Whether a channel has rows before or after a page, as an expression';

-- Where the page is empty, who asked for what is newer than a message asks for
-- that again; from all other places, all rows are newer.
CREATE FUNCTION forge_comm.create_message_page(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  author record := forge_comm.message_author(shape);
  replies record := forge_comm.message_replies(shape);
  reactions record := forge_comm.message_reactions(shape);
  added text := concat_ws(', ', author.value, replies.value, reactions.value);
BEGIN
  PERFORM forge_comm.create_message_function(
    shape, 'message_page',
    'channel_id {channel_type}, before text DEFAULT NULL, after text DEFAULT NULL, around text DEFAULT NULL, "limit" integer DEFAULT 50',
    -- To plan it takes longer than to run it, and a plan for these very arguments
    -- would look better: it is told not to make one each time.
    'jsonb', 'STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan', format($template$
#variable_conflict use_column
BEGIN
  RETURN (
    WITH page AS MATERIALIZED (%1$s)
    SELECT pg_catalog.jsonb_build_object(
             'messages', ends.messages,
             'has_older', %2$s,
             'has_newer', %3$s,
             'older', CASE WHEN ends.n OPERATOR(pg_catalog.>) 0 THEN forge_comm.message_cursor(
                        {rel_constant}, $1, ends.times[ends.n], ends.ids[ends.n]) END,
             'newer', CASE WHEN ends.n OPERATOR(pg_catalog.>) 0 THEN forge_comm.message_cursor(
                        {rel_constant}, $1, ends.times[1], ends.ids[1])
                      ELSE forge_comm.message_cursor(
                        {rel_constant}, $1,
                        forge_comm.newer_time({rel_constant}, $1, $3, NULL, %6$s),
                        forge_comm.newer_id({rel_constant}, $1, $3, NULL, NULL)) END)
      FROM (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p.*)%4$s
                            ORDER BY p.{created_at} DESC, p.{key} DESC), '[]') AS messages,
                   pg_catalog.count(*)::integer AS n,
                   pg_catalog.array_agg(p.{created_at} ORDER BY p.{created_at} DESC, p.{key} DESC) AS times,
                   pg_catalog.array_agg(p.{key} ORDER BY p.{created_at} DESC, p.{key} DESC) AS ids
              FROM page AS p
              %5$s) AS ends);
END
$template$,
      forge_comm.listing_query(shape),
      forge_comm.rows_beyond(shape, '<', '$3 IS NOT NULL'),
      forge_comm.rows_beyond(shape, '>', '($2 IS NOT NULL OR $4 IS NOT NULL)'),
      CASE WHEN added <> '' THEN format(' OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object(%s)', added) END, concat_ws(E'\n              ', author.joined, replies.joined, reactions.joined),
      forge_comm.known_time(shape, '$3')),
    'A page of a channel for a web client, as JSON', 'plpgsql');
END
$$;
COMMENT ON FUNCTION forge_comm.create_message_page(forge_comm.message_shape) IS
  'Make message_page()';
