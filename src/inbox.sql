-- The newest messages of all channels of a user.

CREATE FUNCTION forge_comm.inbox_cursor(rel regclass, at timestamptz, id bigint)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_inbox_cursor'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.inbox_cursor(regclass, timestamptz, bigint) IS
  'The cursor of a message in the inbox of the user';

CREATE FUNCTION forge_comm.inbox_place(rel regclass, cursor text, OUT at timestamptz, OUT id bigint)
AS 'MODULE_PATHNAME', 'forge_comm_inbox_place'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.inbox_place(regclass, text) IS
  'Where in the inbox of the user a cursor is; behind everything if it is null';

-- Of as many messages as there are channels, those on top of each, the last
-- that has a place on the page bounds what is read of any channel.
CREATE FUNCTION forge_comm.inbox_query(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($body$
  WITH mine AS MATERIALIZED (
    SELECT f.{marker_channel} AS channel FROM {markers} AS f WHERE f.{marker_user} = forge_comm.reading_user()
  ), last AS (
    SELECT t.{created_at} AS at, t.{key} AS id
      FROM mine AS c
     CROSS JOIN LATERAL (
       SELECT m.{created_at}, m.{key}
         FROM {rel} AS m
        WHERE m.{channel} = c.channel AND %1$s AND (m.{created_at}, m.{key}) < (upto, upto_id)
        ORDER BY m.{created_at} DESC, m.{key} DESC
        LIMIT 1) AS t
     ORDER BY t.{created_at} DESC, t.{key} DESC
    OFFSET most - 1 LIMIT 1
  )
  SELECT m.*
    FROM mine AS c
   CROSS JOIN LATERAL (
     SELECT m.*
       FROM {rel} AS m
      WHERE m.{channel} = c.channel AND %1$s AND (m.{created_at}, m.{key}) < (upto, upto_id)
        AND (m.{created_at}, m.{key}) >=
            (CASE WHEN EXISTS (SELECT FROM last) THEN (SELECT l.at FROM last AS l) ELSE '-infinity' END,
             CASE WHEN EXISTS (SELECT FROM last) THEN (SELECT l.id FROM last AS l) ELSE (%2$s)::{key_type} END)
      ORDER BY m.{created_at} DESC, m.{key} DESC
      LIMIT most) AS m
   ORDER BY m.{created_at} DESC, m.{key} DESC
   LIMIT most$body$, forge_comm.live_condition(shape, 'm'), forge_comm.first_id((shape).key_type))
$$;
COMMENT ON FUNCTION forge_comm.inbox_query(forge_comm.message_shape) IS
  'The query of inbox(), as a template';

CREATE FUNCTION forge_comm.create_inbox_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Cursors hold microseconds, whichever time zone those are in.
  zone text := CASE WHEN shape.created_at_type = 'timestamp'::regtype THEN $body$ AT TIME ZONE 'UTC'$body$ ELSE '' END;
BEGIN
  IF shape.markers IS NULL THEN
    RETURN;
  END IF;
  PERFORM forge_comm.create_message_function(
    shape, 'inbox_cursor', 'message {rel}', 'text', 'STABLE PARALLEL SAFE',
    format('SELECT forge_comm.inbox_cursor(%L::pg_catalog.regclass, $1.{created_at}%s, $1.{key})', shape.rel, zone),
    'The cursor of a message: its place in the inbox of the user');
  PERFORM forge_comm.create_walking_function(
    shape, 'inbox', 'per_page integer DEFAULT 50, before text DEFAULT NULL', 'SETOF {rel}', format($body$
  most CONSTANT bigint := forge_comm.page_limit($1);
  place CONSTANT record := forge_comm.inbox_place(%L, $2);
  upto CONSTANT {created_at_type} := place.at%s;
  upto_id CONSTANT {key_type} := least(place.id, %s);$body$,
                  shape.rel, zone, -1 - forge_comm.first_id(shape.key_type)),
    forge_comm.inbox_query(shape), 'The newest messages of all channels of the user');
END
$$;
COMMENT ON FUNCTION forge_comm.create_inbox_functions(forge_comm.message_shape) IS
  'Make inbox() and its cursors, if there are read markers';
