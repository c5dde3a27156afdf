-- Messages from a place on: cursors, list_messages, get_message, count_messages.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.create_chat_schema('regress_listing');
SET search_path = regress_listing;
GRANT USAGE ON SCHEMA regress_listing TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_listing TO regress_app;

CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, nullif(hint, ''));
END $$;

INSERT INTO users (email, display_name) SELECT 'user' || u || '@example.com', 'User ' || u FROM generate_series(1, 4) AS u;
INSERT INTO workspaces (name, slug) VALUES ('A', 'a'), ('B', 'b');
INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1), (1, 2), (2, 3);
INSERT INTO channels (id, workspace_id, name, is_private)
VALUES (1, 1, 'general', false), (2, 1, 'empty', false), (3, 1, 'secret', true), (4, 2, 'theirs', false),
       (5, 1, 'ties', false), (6, 1, 'extremes', false), (7, 1, 'walks', false);
INSERT INTO channel_memberships (channel_id, user_id) VALUES (1, 1), (3, 2);
-- Ten messages a minute apart; ids do not follow the time
INSERT INTO messages (id, channel_id, user_id, body, created_at)
SELECT 100 - i, 1, 1, 'm' || i, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute' FROM generate_series(1, 10) AS i;
INSERT INTO messages (id, channel_id, body) VALUES (201, 3, 'secret'), (202, 4, 'theirs');
DELETE FROM messages WHERE id = 95;

-- ------------------------------------------------------------ as the user asks
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
CREATE FUNCTION pg_temp.ids(channel bigint, before text DEFAULT NULL, after text DEFAULT NULL, around text DEFAULT NULL, n integer DEFAULT 3)
RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(body, ' '), '-') FROM regress_listing.list_messages($1, $2, $3, $4, $5)
$$;
CREATE FUNCTION pg_temp.cursor_of(id bigint) RETURNS text LANGUAGE sql AS $$
  SELECT regress_listing.message_cursor(m) FROM regress_listing.messages AS m WHERE m.id = cursor_of.id
$$;
-- the newest; exactly as many as there are, one more, and one less
SELECT pg_temp.ids(1);
SELECT pg_temp.ids(1, n => n) FROM unnest('{8,9,10}'::int[]) AS n;
SELECT pg_temp.ids(2), pg_temp.ids(2, around => 'infinity'), pg_temp.ids(2, around => 'unread');
-- by the id of a message, which may be deleted, or by its cursor
SELECT pg_temp.ids(1, before => '96'), pg_temp.ids(1, after => '96'), pg_temp.ids(1, around => '96');
SELECT pg_temp.ids(1, before => '95'), pg_temp.ids(1, after => '95'), pg_temp.ids(1, around => '95');
SELECT pg_temp.ids(1, before => c), pg_temp.ids(1, after => c), pg_temp.ids(1, around => c) FROM pg_temp.cursor_of(96) AS c;
-- at the ends
SELECT pg_temp.ids(1, before => '99'), pg_temp.ids(1, after => '90'), pg_temp.ids(1, around => '90'), pg_temp.ids(1, around => '99');
SELECT pg_temp.ids(1, around => '96', n => n) FROM unnest('{1,2,3,4,5}'::int[]) AS n;
-- around a time
SELECT pg_temp.ids(1, around => '2026-01-01 00:04Z'), pg_temp.ids(1, around => '2026-01-01 00:04:30Z', n => 2),
       pg_temp.ids(1, around => '-infinity', n => 4), pg_temp.ids(1, around => 'infinity', n => 4);
-- around what is unread: from the first message on where nothing was read
SELECT pg_temp.ids(1, around => 'unread', n => 4);
UPDATE channel_memberships SET last_read_message_id = 93 WHERE user_id = 1;
SELECT pg_temp.ids(1, around => 'unread', n => 4), pg_temp.ids(5, around => 'unread');
-- refused
SELECT refused(format('SELECT * FROM list_messages(%s)', args)) FROM (VALUES
  ('1, "limit" => 0'), ('1, "limit" => 101'), ('1, "limit" => NULL'), ('1, ''96'', ''96'''), ('1, ''96'', around => ''96'''),
  ('1, after => ''96'', around => ''unread'''), ('NULL'), ('3'), ('4'), ('999'), ('-9223372036854775808'),
  ('1, ''201'''), ('1, ''999'''), ('1, ''9223372036854775808'''), ('1, ''-'''), ('1, '''''), ('1, ''unread'''), ('1, ''2026-01-01'''),
  ('1, around => ''nonsense'''), ('1, around => ''9 o''''clock'''), ('1, ''' || repeat('m', 200) || '''')) AS wrong (args);
-- a cursor of another channel, and of another table
SELECT refused(format('SELECT * FROM list_messages(5, %L)', pg_temp.cursor_of(96)));
SELECT refused(format('SELECT * FROM list_messages(1, %L)', forge_comm.message_cursor('users', 1, now(), 1)));
-- each character of a cursor counts, and there is none too many
SELECT count(*) > 60, bool_and(refused(format('SELECT * FROM list_messages(1, %L)', altered)) LIKE 'MC001%')
  FROM pg_temp.cursor_of(96) AS c, generate_series(1, length(c)) AS i, unnest(ARRAY['', 'A', 'B', '_', '=', ' ']) AS other,
       LATERAL (SELECT overlay(c PLACING other FROM i FOR 1)) AS a (altered)
 WHERE altered <> c;
SELECT count(*) > 60, bool_and(refused(format('SELECT * FROM list_messages(1, %L)', altered)) LIKE 'MC001%')
  FROM pg_temp.cursor_of(96) AS c, generate_series(0, length(c) - 1) AS i, LATERAL (VALUES (left(c, i)), (c || substr(c, 1, i + 1))) AS a (altered);
-- one message
SELECT body FROM get_message(96);
SELECT body FROM get_message(96, strict => true);
SELECT count(*) FROM unnest('{95,201,202,999}'::bigint[]) AS id, get_message(id);
SELECT refused(format('SELECT * FROM get_message(%L, strict => true)', id)) FROM unnest('{95,201,202,999,NULL}'::bigint[]) AS id;
SELECT refused('SELECT id.id, m.id FROM (VALUES (NULL::bigint), (96)) AS id (id), get_message(id.id, strict => true) AS m');
SELECT count(*) FROM get_message(96, NULL);
-- how many
SELECT count_messages(1), count_messages(1, 9), count_messages(1, 8), count_messages(1, 9223372036854775807), count_messages(2);
SELECT refused(format('SELECT count_messages(%s)', args)) FROM unnest('{"1, 0","1, -1",3,4,999,"NULL"}'::text[]) AS args;
ROLLBACK;

-- Nobody reads or writes the keys
SELECT refused(statement) FROM unnest(ARRAY['SELECT * FROM forge_comm.cursor_keys', 'DELETE FROM forge_comm.cursor_keys',
                                           'SELECT forge_comm.new_cursor_key()']) AS statement;
-- without a context
SELECT refused('SELECT * FROM list_messages(1)');
SELECT refused('SELECT message_page(1)');
RESET SESSION AUTHORIZATION;

-- A superuser, whom no policy binds, is told of a missing channel all the same
SELECT refused('SELECT * FROM list_messages(999)');
SELECT count(*) FROM list_messages(4);

-- ----------------------------------------------------------------------- keys
SELECT message_cursor(m) AS old FROM messages AS m WHERE id = 96 \gset
SELECT forge_comm.new_cursor_key();
SELECT message_cursor(m) <> :'old' AS another, (SELECT count(*) FROM list_messages(1, :'old')) FROM messages AS m WHERE id = 96;
SELECT forge_comm.new_cursor_key(forget_others => true);
SELECT refused(format('SELECT * FROM list_messages(1, %L)', :'old'));
DELETE FROM forge_comm.cursor_keys;
SELECT refused(format('SELECT * FROM list_messages(1, %L)', :'old'));
SELECT forge_comm.new_cursor_key();
SELECT refused('SELECT forge_comm.new_cursor_key(NULL)');

-- --------------------------------------------- ties, extremes, walks both ways
INSERT INTO messages (id, channel_id, body, created_at) SELECT 1000 + i * 7919 % 500, 5, i, '2026-02-01' FROM generate_series(1, 500) AS i;
INSERT INTO messages (id, channel_id, body, created_at)
SELECT 2000 + n, 6, 'x', at
  FROM unnest(ARRAY['-infinity', 'infinity', '4713-01-01 00:00Z BC', '294276-12-31 23:59:59.999999Z', '2026-01-01 00:00:00.000001Z',
                    '2026-01-01 00:00:00Z', '2026-01-01 00:00:00.000002Z', '2100-01-01', '1970-01-01']::timestamptz[])
       WITH ORDINALITY AS t (at, n);
INSERT INTO messages (id, channel_id, body, created_at)
VALUES (-9223372036854775808, 6, 'x', 'infinity'), (9223372036854775807, 6, 'x', '-infinity'), (-1, 6, 'x', '2026-01-01'), (0, 6, 'x', '2026-01-01');

-- All ids of a channel, newest first: page by page into the past or the
-- future, from cursor to cursor or id to id
CREATE FUNCTION walk(channel bigint, forward boolean, n integer, by_id boolean) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[] := '{}';
  page messages[];
  place text;
  last messages;
BEGIN
  IF forward THEN
    place := forge_comm.message_cursor('messages', channel, '-infinity'::timestamptz, (-9223372036854775808)::bigint);
  END IF;
  LOOP
    page := ARRAY(SELECT m FROM list_messages(channel, before => CASE WHEN NOT forward THEN place END,
                                              after => CASE WHEN forward THEN place END, "limit" => n) AS m);
    EXIT WHEN cardinality(page) = 0;
    last := page[CASE WHEN forward THEN 1 ELSE cardinality(page) END];
    place := CASE WHEN by_id THEN last.id::text ELSE message_cursor(last) END;
    ids := CASE WHEN forward THEN ARRAY(SELECT (p).id FROM unnest(page) AS p) || ids
                ELSE ids || ARRAY(SELECT (p).id FROM unnest(page) AS p) END;
  END LOOP;
  RETURN ids;
END $$;
CREATE FUNCTION pages(channel bigint, n integer) RETURNS bigint[] LANGUAGE sql AS $$
  SELECT array_agg(m.id ORDER BY p, o)
    FROM generate_series(1, 600) AS p, get_messages(channel, p, n) WITH ORDINALITY AS m (id, a, b, c, d, e, f, g, h, i, o)
$$;
SELECT channel, n, cardinality(expected.ids), walk(channel, forward, n, by_id) = expected.ids
  FROM (VALUES (1, 1), (1, 4), (5, 7), (5, 100), (6, 1), (6, 3)) AS w (channel, n), (VALUES (false, false), (false, true), (true, false), (true, true)) AS t (forward, by_id),
       LATERAL pages(channel, n) AS expected (ids);

-- Rows come, change, go and are moved in time between pages: what stays is
-- told once, what is new or gone at most once, nothing twice
INSERT INTO messages (id, channel_id, body, created_at)
SELECT 3000 + i, 7, i, timestamptz '2026-03-01 00:00Z' + i / 3 * interval '1 minute' FROM generate_series(1, 60) AS i;
CREATE FUNCTION restless_walk(forward boolean) RETURNS TABLE (told bigint, twice bigint, stayed bigint, missed bigint) LANGUAGE plpgsql AS $$
DECLARE
  stayed bigint[];
  ids bigint[] := '{}';
  place text := CASE WHEN forward THEN forge_comm.message_cursor('messages', 7, '-infinity'::timestamptz, 0) END;
  page messages[];
  step integer := 0;
BEGIN
  SELECT array_agg(m.id) INTO stayed FROM messages AS m WHERE m.channel_id = 7 AND m.deleted_at IS NULL AND m.id % 4 <> 0 AND m.id % 5 <> 0;
  LOOP
    page := ARRAY(SELECT m FROM list_messages(7, before => CASE WHEN NOT forward THEN place END,
                                              after => CASE WHEN forward THEN place END, "limit" => 5) AS m);
    EXIT WHEN cardinality(page) = 0;
    ids := ids || ARRAY(SELECT (p).id FROM unnest(page) AS p);
    place := message_cursor(page[CASE WHEN forward THEN 1 ELSE cardinality(page) END]);
    step := step + 1;
    -- the very row that the cursor is of goes as well, some for good
    UPDATE messages AS m SET deleted_at = now() WHERE m.id = ids[cardinality(ids)] AND m.id % 4 = 0;
    UPDATE messages AS m SET body = body || '!' WHERE m.channel_id = 7 AND m.id % 3 = 0;
    INSERT INTO messages (id, channel_id, body, created_at)
    VALUES (4000 + step * 5, 7, 'backdated', timestamptz '2026-03-01 00:00Z' + step * interval '37 seconds'), (5000 + step * 5, 7, 'new', now());
    UPDATE messages AS m SET created_at = m.created_at - interval '1 second' WHERE m.id = 3000 + step * 5;
    SET LOCAL forge_comm.allow_hard_delete = on;
    DELETE FROM messages AS m WHERE m.id = 3000 + 60 - step * 4 AND m.id % 4 = 0 AND m.id % 5 = 0;
    EXIT WHEN step > 40;
  END LOOP;
  RETURN QUERY SELECT count(*), count(*) - count(DISTINCT u), cardinality(stayed)::bigint, (SELECT count(*) FROM unnest(stayed) AS s WHERE NOT s = ANY (ids))
                 FROM unnest(ids) AS u;
END $$;
BEGIN;
SELECT twice, stayed > 30, missed FROM restless_walk(false);
ROLLBACK;
BEGIN;
SELECT twice, stayed > 30, missed FROM restless_walk(true);
ROLLBACK;
-- a cursor is good when its row is gone
SELECT message_cursor(m) AS place FROM messages AS m WHERE id = 3030 \gset
BEGIN;
SET LOCAL forge_comm.allow_hard_delete = on;
DELETE FROM messages WHERE id = 3030;
SELECT string_agg(id::text, ' ') FROM list_messages(7, before => :'place', "limit" => 2);
SELECT string_agg(id::text, ' ') FROM list_messages(7, after => :'place', "limit" => 2);
ROLLBACK;

-- ------------------------------------------------------------------- the plan
INSERT INTO messages (id, channel_id, body, created_at)
SELECT 10000 + i, 1 + i % 2 * 6, 'filler', timestamptz '2025-01-01 00:00Z' + i * interval '1 minute' FROM generate_series(1, 20000) AS i;
ANALYZE messages;
CREATE FUNCTION scans(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
    IF line ~ 'Scan' AND line !~ 'Subquery' OR line ~ 'Cond.*(ROW|created_at)' THEN
      RETURN NEXT regexp_replace(regexp_replace(trim(line), '^(->)? *', ''), '\$\d+|\(InitPlan \d+\)\.col1', '$', 'g');
    END IF;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION scans(text) TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
-- the newest messages of a channel are one scan of one index
SELECT scans('SELECT * FROM list_messages(1)');
PREPARE before(bigint, text, integer) AS SELECT id FROM list_messages($1, before => $2, "limit" => $3);
PREPARE everything(bigint, text, text, text, integer) AS SELECT id FROM list_messages($1, $2, $3, $4, $5);
\o /dev/null
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE before(1, '96', 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
EXECUTE everything(1, '96', NULL, NULL, 1) \g
\o
-- the plan does not come to depend on what was asked, and is kept
SELECT scans('EXECUTE before(1, NULL, 3)');
SELECT name, generic_plans > 0 FROM pg_prepared_statements WHERE name = 'before';
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT scans('EXECUTE everything(1, NULL, NULL, NULL, 3)');
EXECUTE everything(1, NULL, NULL, NULL, 3);
EXECUTE everything(1, NULL, '98', NULL, 3);
EXECUTE everything(1, NULL, NULL, '98', 2);
ROLLBACK;
-- one plan serves whoever asks
SET plan_cache_mode = force_generic_plan;
BEGIN;
SELECT forge_comm.set_context(user_id => 3);
EXECUTE everything(4, NULL, NULL, NULL, 3);
SELECT refused('EXECUTE everything(1, NULL, NULL, NULL, 3)');
ROLLBACK;
RESET plan_cache_mode;
RESET SESSION AUTHORIZATION;

-- Policies of the application's own hide a channel as well as ours
CREATE POLICY app_archived ON channels AS RESTRICTIVE USING (NOT is_archived);
UPDATE channels SET is_archived = true WHERE id = 5;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
SELECT refused(format('SELECT * FROM list_messages(%s)', channel)) FROM unnest('{5,3,999}'::bigint[]) AS channel;
SELECT count(*) FROM list_messages(1, "limit" => 2);
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- --------------------------------------------- other types, and what is absent
CREATE TABLE posts (key smallint PRIMARY KEY, room integer, at timestamp);
INSERT INTO posts SELECT i, 1, timestamp '2026-01-01' + i / 2 * interval '1 hour' FROM generate_series(1, 9) AS i;
SELECT forge_comm.enable_messages('posts', channel => 'room', created_at => 'at', prefix => 'posts_');
SELECT string_agg(key::text, ' ') FROM posts_list_messages(1, "limit" => 3);
SELECT string_agg(key::text, ' ') FROM posts_list_messages(1, before => '7', "limit" => 3);
SELECT string_agg(key::text, ' ') FROM posts_list_messages(1, around => '2026-01-01 02:30', "limit" => 3);
SELECT (SELECT string_agg(o.key::text, ' ') FROM posts_list_messages(1, after => posts_message_cursor(p)) AS o) FROM posts AS p WHERE key = 6;
SELECT posts_count_messages(1), posts_count_messages(2), (SELECT count(*) FROM posts_get_message(3::smallint, true));
SELECT refused('SELECT * FROM posts_list_messages(1, around => ''unread'')');
-- what has no time is in no place
INSERT INTO posts VALUES (10, 1, NULL);
SELECT count(*) FROM posts_list_messages(1);
SELECT posts_message_cursor(p) FROM posts AS p WHERE key = 10;
SELECT refused('SELECT * FROM posts_list_messages(1, ''10'')');
SELECT posts_message_page(1, "limit" => 1) - '{older,newer}'::text[];
SELECT posts_message_page(2) - '{older,newer}'::text[];
SELECT forge_comm.disable_messages('posts');
SELECT count(*) FROM pg_proc WHERE proname ~ '^posts_';

-- ------------------------------------- a place deep down is as near as any other
CREATE TABLE flood (id integer PRIMARY KEY, channel_id integer, created_at timestamptz NOT NULL, parent_id integer);
INSERT INTO flood SELECT i, i % 2, timestamptz '2026-01-01 00:00Z' + i / 3 * interval '1 second' FROM generate_series(1, 40000) AS i;
SELECT forge_comm.enable_messages('flood', prefix => 'flood_');
VACUUM ANALYZE flood;
CREATE FUNCTION touched(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  FOR i IN 1..2 LOOP -- the first time, PostgreSQL reads its catalogs, too
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
  END LOOP;
  RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
END $$;
SELECT function, way, max(n) - min(n) <= 4 AS same, max(n) < most AS few
  FROM (VALUES ('* FROM flood_list_messages', 24), ('flood_message_page', 200)) AS f (function, most),
       unnest('{before,after,around}'::text[]) AS way,
       unnest('{39000,20000,1000}'::integer[]) AS place,
       touched(format('SELECT %s(0, %s => %L)', function, way, CASE way WHEN 'around' THEN place::text ELSE (SELECT flood_message_cursor(m) FROM flood AS m WHERE id = place) END)) AS n
 GROUP BY function, most, way ORDER BY function, way;
SELECT forge_comm.disable_messages('flood');

SET forge_comm.allow_hard_delete = on;
SET client_min_messages = error;
DROP SCHEMA regress_listing CASCADE;
SELECT forge_comm.forget_memberships();
SELECT forge_comm.revoke_app('regress_app');
DROP ROLE regress_app;
