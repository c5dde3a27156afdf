-- Messages from a place on, in either direction; one message; how many.

-- -------------------------------------------------- limits and places, checked

CREATE FUNCTION forge_comm.list_limit("limit" integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_list_limit'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.list_limit(integer) IS
  'How many messages are asked for: 1 to 100';

CREATE FUNCTION forge_comm.one_place(channel bigint, before text, after text, around text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_one_place'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.one_place(bigint, text, text, text) IS
  'True, an error if no channel or more than one place is given';

CREATE FUNCTION forge_comm.count_limit(cap bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_count_limit'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.count_limit(bigint) IS
  'How far to count, null for to the end';

CREATE FUNCTION forge_comm.message_id(place text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_message_id'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.message_id(text) IS
  'The id of the message that names a place, null if it has another name';

-- Created once for each type that times have: behind a cast the planner would
-- not find the index column.
DO $$
DECLARE
  type text;
BEGIN
  FOREACH type IN ARRAY '{timestamptz,timestamp}'::text[] LOOP
    EXECUTE replace($ddl$
      CREATE FUNCTION forge_comm.older_time(rel regclass, channel bigint, before text, around text, known :type)
      RETURNS :type
      AS 'MODULE_PATHNAME', 'forge_comm_older_place'
      LANGUAGE c STABLE PARALLEL SAFE;
      COMMENT ON FUNCTION forge_comm.older_time(regclass, bigint, text, text, :type) IS
        'The time at which the messages before a place end';

      CREATE FUNCTION forge_comm.newer_time(rel regclass, channel bigint, after text, around text, known :type)
      RETURNS :type
      AS 'MODULE_PATHNAME', 'forge_comm_newer_place'
      LANGUAGE c STABLE PARALLEL SAFE;
      COMMENT ON FUNCTION forge_comm.newer_time(regclass, bigint, text, text, :type) IS
        'The time after which the messages after a place begin';

      CREATE FUNCTION forge_comm.message_cursor(rel regclass, channel bigint, created_at :type, id bigint)
      RETURNS text
      AS 'MODULE_PATHNAME', 'forge_comm_message_cursor'
      LANGUAGE c STABLE STRICT PARALLEL SAFE;
      COMMENT ON FUNCTION forge_comm.message_cursor(regclass, bigint, :type, bigint) IS
        'The cursor of a message';
    $ddl$, ':type', type);
  END LOOP;
END
$$;

CREATE FUNCTION forge_comm.older_id(rel regclass, channel bigint, before text, around text, known bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_older_place'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.older_id(regclass, bigint, text, text, bigint) IS
  'The id at which the messages before a place end';

CREATE FUNCTION forge_comm.newer_id(rel regclass, channel bigint, after text, around text, known bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_newer_place'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.newer_id(regclass, bigint, text, text, bigint) IS
  'The id after which the messages after a place begin';

CREATE FUNCTION forge_comm.known_time(scope bigint, place text, by_id text, by_marker text, "like" anyelement)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'forge_comm_known_time'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.known_time(bigint, text, text, text, anyelement) IS
  'The time of a place, if a query has to look it up';

CREATE FUNCTION forge_comm.known_id(scope bigint, place text, by_id text, by_marker text, "like" anyelement)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_known_id'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.known_id(bigint, text, text, text, anyelement) IS
  'The id of a place, if a query has to look it up';

CREATE FUNCTION forge_comm.visible_channel(channel bigint, visible boolean)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_visible_channel'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.visible_channel(bigint, boolean) IS
  'The channel, an error if it is not visible';

CREATE FUNCTION forge_comm.visible_channel(channel bigint, channels regclass, key name)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_channel_in'
LANGUAGE c STABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION forge_comm.visible_channel(bigint, regclass, name) IS
  'The channel, an error if the table of channels has none that is visible';

CREATE FUNCTION forge_comm.message_found(found boolean)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_message_found'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.message_found(boolean) IS
  'True, or an error';

CREATE FUNCTION forge_comm.no_markers()
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_no_markers'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.no_markers() IS
  'An error: nobody knows what is unread';

-- ---------------------------------------------- what the functions consist of

CREATE FUNCTION forge_comm.channel_condition(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).channels IS NULL THEN 'forge_comm.visible_channel($1, true) IS NOT NULL'
              ELSE 'forge_comm.visible_channel($1, {channels_constant}, {channels_key_constant}) IS NOT NULL' END
$$;
COMMENT ON FUNCTION forge_comm.channel_condition(forge_comm.message_shape) IS
  'The condition that the channel $1 is visible, asked once and whatever the plan: it names no row';

-- What has to be looked up for some names of a place: queries of their own,
-- which cost nothing where the place has another name.
-- $1 is the id, $2 the channel.
CREATE FUNCTION forge_comm.place_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'SELECT a.{created_at} FROM {rel} AS a
           WHERE a.{key} OPERATOR(pg_catalog.=) $1 AND a.{channel} OPERATOR(pg_catalog.=) $2'
$$;
COMMENT ON FUNCTION forge_comm.place_query(forge_comm.message_shape) IS
  'The time of a message, as a template';

-- $1 is the channel.
CREATE FUNCTION forge_comm.marker_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).markers IS NOT NULL THEN
           'SELECT k.{marker}::pg_catalog.int8, a.{created_at}
              FROM {markers} AS k JOIN {rel} AS a ON a.{key} OPERATOR(pg_catalog.=) k.{marker}
             WHERE k.{marker_channel} OPERATOR(pg_catalog.=) $1 AND a.{channel} OPERATOR(pg_catalog.=) $1
               AND k.{marker_user} OPERATOR(pg_catalog.=) forge_comm.current_user_id()' END
$$;
COMMENT ON FUNCTION forge_comm.marker_query(forge_comm.message_shape) IS
  'The message that was read last, as a template, null if nobody knows';

CREATE FUNCTION forge_comm.known_place(what text, place text, by_id text, by_marker text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('forge_comm.%s(%s, %s, %s, NULL::{created_at_type})', what, place, by_id, by_marker)
$$;
COMMENT ON FUNCTION forge_comm.known_place(text, text, text, text) IS
  'The time, or the id, of what a place is named by, as an expression';

-- One branch of a list: the rows of the channel on one side of a place, the
-- nearest first.  The inner limit tells the planner how few rows there are at
-- most: of one that is not a constant it would expect a tenth of the channel,
-- and make a new plan for each call.  What says whether the branch is wanted at
-- all stands outside: there the planner drops what is not.
CREATE FUNCTION forge_comm.listing_branch(shape forge_comm.message_shape, wanted text, place text, descending text, half text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($template$(SELECT n.*
             FROM (SELECT h.*
                     FROM (SELECT m.*
                             FROM {rel} AS m
                            WHERE forge_comm.one_place($1, $2, $3, %7$s) AND %3$s
                              AND m.{channel} OPERATOR(pg_catalog.=) $1 AND %1$s
                              AND (m.{created_at}, m.{key}) %4$s
                            ORDER BY m.{created_at}%5$s, m.{key}%5$s
                            LIMIT 100) AS h
                    ORDER BY h.{created_at}%5$s, h.{key}%5$s
                    LIMIT CASE WHEN $4 IS NULL THEN forge_comm.list_limit($5) ELSE %6$s END) AS n
            WHERE %2$s
            ORDER BY n.{created_at} DESC, n.{key} DESC)$template$,
                forge_comm.live_condition(shape, 'm'), wanted, forge_comm.channel_condition(shape), place, descending, half,
                CASE WHEN (shape).markers IS NOT NULL THEN '$4'
                     ELSE 'CASE WHEN $4 OPERATOR(pg_catalog.=) ''unread'' THEN forge_comm.no_markers() ELSE $4 END' END)
$$;
COMMENT ON FUNCTION forge_comm.listing_branch(forge_comm.message_shape, text, text, text, text) IS
  'The rows on one side of a place, as a template';

CREATE FUNCTION forge_comm.listing_place(side text, argument text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($template$((SELECT forge_comm.%1$s_time({rel_constant}, $1, %2$s, $4, %3$s)),
                           (SELECT forge_comm.%1$s_id({rel_constant}, $1, %2$s, $4, %4$s)))$template$,
                side, argument,
                forge_comm.known_place('known_time', format('$1, CASE WHEN %1$s IS NULL THEN $4 ELSE %1$s END', argument),
                                       '{place_query_constant}', '{marker_query_constant}'),
                forge_comm.known_place('known_id', '$1, $4', 'NULL', '{marker_query_constant}'))
$$;
COMMENT ON FUNCTION forge_comm.listing_place(text, text) IS
  'The place where one side of a list ends or begins, as a template';

-- Two scans of one index that meet at the place.  The planner leaves one out
-- where the arguments that are not given tell it to.  Each half of the place is
-- a query of its own, asked when the channel is known to be visible: a function
-- the planner would call before.
CREATE FUNCTION forge_comm.listing_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($template$
  SELECT m.*
    FROM (%s
          UNION ALL
          %s) AS m
   ORDER BY m.{created_at} DESC, m.{key} DESC
$template$,
    forge_comm.listing_branch(shape, '$3 IS NULL', 'OPERATOR(pg_catalog.<=) ' || forge_comm.listing_place('older', '$2'),
      ' DESC', '(forge_comm.list_limit($5) OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog./) 2'),
    forge_comm.listing_branch(shape, '($3 IS NOT NULL OR $4 IS NOT NULL)',
      'OPERATOR(pg_catalog.>) ' || forge_comm.listing_place('newer', '$3'),
      '', 'forge_comm.list_limit($5) OPERATOR(pg_catalog./) 2'))
$$;
COMMENT ON FUNCTION forge_comm.listing_query(forge_comm.message_shape) IS
  'The query of list_messages(), as a template';

CREATE FUNCTION forge_comm.create_listing_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  shape.place_query_constant := quote_literal(forge_comm.fit(forge_comm.place_query(shape), shape));
  shape.marker_query_constant := quote_nullable(forge_comm.fit(forge_comm.marker_query(shape), shape));
  PERFORM forge_comm.create_message_function(
    shape, 'message_cursor', 'message {rel}', 'text', 'STABLE PARALLEL SAFE',
    'SELECT forge_comm.message_cursor({rel_constant}, $1.{channel}, $1.{created_at}, $1.{key})',
    'The cursor of a message: its place in its channel');
  PERFORM forge_comm.create_message_function(
    shape, 'list_messages',
    'channel_id {channel_type}, before text DEFAULT NULL, after text DEFAULT NULL, around text DEFAULT NULL, "limit" integer DEFAULT 50',
    'SETOF {rel}', 'STABLE PARALLEL SAFE ROWS 50', forge_comm.listing_query(shape),
    'Messages of a channel before, after or around one of them, newest first');
  PERFORM forge_comm.create_message_function(
    shape, 'get_message', 'id {key_type}, strict boolean DEFAULT false', 'SETOF {rel}', 'STABLE PARALLEL SAFE ROWS 1',
    format($template$
  SELECT m.*
    FROM {rel} AS m
   WHERE m.{key} OPERATOR(pg_catalog.=) CASE WHEN $1 IS NULL AND $2 AND forge_comm.message_found(false) THEN NULL ELSE $1 END
     AND %1$s
     AND ($2 IS NOT TRUE OR
          forge_comm.message_found((SELECT true FROM {rel} AS m WHERE m.{key} OPERATOR(pg_catalog.=) $1 AND %1$s)))
$template$, forge_comm.live_condition(shape, 'm')),
    'A message, or no row, or an error');
  PERFORM forge_comm.create_message_function(
    shape, 'count_messages', 'channel_id {channel_type}, cap bigint DEFAULT NULL', 'bigint', 'STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan',
    format($template$
BEGIN
  RETURN (SELECT pg_catalog.count(*)
            FROM (SELECT FROM {rel} AS m
                   WHERE %s AND m.{channel} OPERATOR(pg_catalog.=) $1 AND %s
                   LIMIT forge_comm.count_limit($2)) AS m);
END
$template$, forge_comm.channel_condition(shape), forge_comm.live_condition(shape, 'm')),
    'How many messages a channel has, counted up to a cap', 'plpgsql');
END
$$;
COMMENT ON FUNCTION forge_comm.create_listing_functions(forge_comm.message_shape) IS
  'Make list_messages() and what goes with it';
