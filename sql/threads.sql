-- A message and the replies to it; pages as JSON.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.create_chat_schema('regress_threads');
SET search_path = regress_threads;
GRANT USAGE ON SCHEMA regress_threads TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_threads TO regress_app;

CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

INSERT INTO users (email, display_name) SELECT 'user' || u || '@example.com', 'User ' || u FROM generate_series(1, 4) AS u;
INSERT INTO workspaces (name, slug) VALUES ('A', 'a'), ('B', 'b');
INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1), (1, 2), (2, 3);
INSERT INTO channels (workspace_id, name, is_private) VALUES (1, 'general', false), (1, 'secret', true), (2, 'theirs', false), (1, 'empty', false);
INSERT INTO channel_memberships (channel_id, user_id) VALUES (2, 2);
INSERT INTO messages (id, channel_id, user_id, body, created_at)
SELECT i, 1, 1 + i % 2, 'm' || i, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute' FROM generate_series(1, 5) AS i;
-- replies: in pairs of one time, one backdated to before its parent
INSERT INTO messages (id, channel_id, user_id, body, parent_id, created_at)
SELECT 100 + i, 1, 2, 'r' || i, 3, timestamptz '2026-01-02 00:00Z' + i / 2 * interval '1 minute' FROM generate_series(1, 6) AS i;
INSERT INTO messages (id, channel_id, user_id, body, parent_id, created_at) VALUES (90, 1, 1, 'backdated', 3, '2025-01-01');
INSERT INTO messages (id, channel_id, user_id, body) VALUES (200, 2, 2, 'secret'), (300, 3, 3, 'theirs');
INSERT INTO reactions (message_id, user_id, emoji) VALUES (3, 1, '+1'), (3, 2, '+1'), (3, 2, 'eyes'), (5, 2, '+1'), (200, 2, '+1');

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
-- the parent first and once, then by time, ties by id
SELECT string_agg(body, ' ') FROM get_thread(3);
SELECT string_agg(body, ' ') FROM unnest('{1,2,7,8,9}'::int[]) AS n, get_thread(3, "limit" => n) GROUP BY n ORDER BY n;
SELECT string_agg(body, ' ') FROM unnest('{3,90,102,106}'::text[]) AS place, get_thread(3, after => place, "limit" => 2) GROUP BY place ORDER BY place;
-- from cursor to cursor, whatever the size of the steps
CREATE FUNCTION pg_temp.walk(n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  told text := '';
  place text;
  page regress_threads.messages[];
BEGIN
  LOOP
    page := ARRAY(SELECT t FROM regress_threads.get_thread(3, place, n) AS t);
    EXIT WHEN cardinality(page) = 0;
    told := concat_ws(' | ', nullif(told, ''), array_to_string(ARRAY(SELECT (p).body FROM unnest(page) AS p), ' '));
    place := regress_threads.message_cursor(page[cardinality(page)]);
  END LOOP;
  RETURN told;
END $$;
SELECT pg_temp.walk(n) FROM unnest('{1,2,3,7,8}'::int[]) AS n;
-- nothing: no replies, none that is visible, none at all
SELECT string_agg(body, ' ') FROM get_thread(5);
SELECT count(*) FROM unnest('{200,300,999,NULL}'::bigint[]) AS id, get_thread(id);
SELECT refused(format('SELECT * FROM get_thread(%s)', args)) FROM unnest('{"3, \"limit\" => 0","3, \"limit\" => NULL","3, \"limit\" => 101","3, ''200''","3, ''5''","3, ''x''","3, ''unread''"}'::text[]) AS args;
-- one who is told twice: a message that is its own parent
SAVEPOINT own;
UPDATE messages SET parent_id = id WHERE id = 1;
SELECT count(*) FROM get_thread(1);
ROLLBACK TO own;
-- a page tells what a list does, and more
SELECT jsonb_pretty(message_page(1, around => '3', "limit" => 1) - '{older,newer}'::text[] #- '{messages,0,updated_at}');
SELECT m ->> 'body', m -> 'author', m -> 'reply_count', m -> 'reactions' FROM jsonb_array_elements(message_page(1) -> 'messages') AS m;
SELECT message_page(4) - '{older,newer}'::text[];
-- with cursors that lead on
SELECT n, r.has_older, r.has_newer, s.bodies,
       (SELECT string_agg(body, ' ') FROM list_messages(1, before => r.older, "limit" => 2)) AS older,
       (SELECT string_agg(body, ' ') FROM list_messages(1, after => r.newer, "limit" => 2)) AS newer
  FROM (VALUES (1, NULL, NULL, NULL, 3), (2, NULL, NULL, NULL, 100), (3, '3', NULL, NULL, 2), (4, NULL, '3', NULL, 2), (5, NULL, '104', NULL, 50),
               (6, '90', NULL, NULL, 2), (7, NULL, '106', NULL, 2), (8, NULL, NULL, '3', 3), (9, NULL, NULL, '-infinity', 1)) AS p (n, before, after, around, lim),
       LATERAL jsonb_to_record(message_page(1, before, after, around, lim)) AS r (has_older boolean, has_newer boolean, messages jsonb, older text, newer text),
       LATERAL (SELECT string_agg(m ->> 'body', ' ') FROM jsonb_array_elements(r.messages) AS m) AS s (bodies)
 ORDER BY n;
SELECT refused(format('SELECT message_page(%s)', args)) FROM unnest('{2,3,999,"NULL","1, \"limit\" => 0","1, ''3'', ''3''","1, ''200''"}'::text[]) AS args;
-- counts follow what becomes of the replies
DELETE FROM messages WHERE id = 90;
RESET SESSION AUTHORIZATION;
UPDATE messages SET deleted_at = now() WHERE id IN (105, 106);
SELECT m -> 'reply_count', m -> 'last_reply_at' FROM jsonb_array_elements(message_page(1) -> 'messages') AS m WHERE m ->> 'id' = '3';
SELECT forge_comm.restore('messages', 106);
SELECT m -> 'reply_count', m -> 'last_reply_at' FROM jsonb_array_elements(message_page(1) -> 'messages') AS m WHERE m ->> 'id' = '3';
-- an author who is gone, one who is deleted, one whom the reader does not know
INSERT INTO users (id, email, display_name) VALUES (8, 'user8@example.com', 'Stranger'), (9, 'user9@example.com', 'Gone');
UPDATE messages SET user_id = 8 WHERE id = 1;
UPDATE messages SET user_id = 9 WHERE id = 2;
UPDATE users SET deleted_at = now() WHERE id = 2;
SET LOCAL forge_comm.allow_hard_delete = on;
DELETE FROM users WHERE id = 9;
-- a thread goes with its first message, unless somebody keeps the replies
UPDATE messages SET deleted_at = now() WHERE id = 3;
SELECT count(*) FROM messages WHERE parent_id = 3 AND deleted_at IS NULL;
UPDATE messages SET deleted_at = NULL WHERE id = 101;
SET LOCAL SESSION AUTHORIZATION regress_app;
SELECT m ->> 'body', m -> 'author' FROM jsonb_array_elements(message_page(1) -> 'messages') AS m WHERE (m ->> 'id')::int < 5;
SELECT string_agg(body, ' ') FROM get_thread(3);
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------- an old schema
CREATE TABLE people (id smallint PRIMARY KEY, nick text);
CREATE TABLE posts (id integer PRIMARY KEY, channel_id smallint, user_id smallint REFERENCES people, parent_id integer REFERENCES posts, body text, created_at timestamp NOT NULL);
CREATE TABLE likes (post integer REFERENCES posts, person smallint REFERENCES people, kind text);
INSERT INTO people VALUES (1, 'one');
INSERT INTO posts VALUES (1, 1, 1, NULL, 'a', '2026-01-01'), (2, 1, NULL, 1, 'b', '2026-01-01'), (3, 1, 1, 1, 'c', '2026-01-01 00:00:00.000001');
INSERT INTO likes VALUES (1, 1, 'x'), (1, NULL, 'x');
SELECT forge_comm.enable_messages('posts', author_name => 'nick', reactions => 'likes', emoji => 'kind', prefix => 'old_');
SELECT string_agg(body, ' ') FROM old_get_thread(1);
SELECT string_agg(body, ' ') FROM old_get_thread(1, after => '2');
SELECT jsonb_pretty(old_message_page(1::smallint) - '{older,newer}'::text[]);
SELECT indexdef FROM pg_indexes WHERE tablename = 'posts' AND indexname LIKE 'posts\_%idx' ORDER BY 1;
SELECT forge_comm.disable_messages('posts');
-- without authors, without replies
SELECT forge_comm.enable_messages('posts', author => NULL, parent => NULL, prefix => 'old_');
SELECT old_message_page(1::smallint, "limit" => 1) -> 'messages';
SELECT count(*) FROM pg_proc WHERE proname = 'old_get_thread';

-- --------------------------------------------- the JSON is that of PostgreSQL
SELECT forge_comm.disable_messages('posts');
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN percent AS integer CHECK (VALUE <= 100);
CREATE TABLE wide (
  id bigint PRIMARY KEY, channel_id bigint, created_at timestamptz NOT NULL, "reply_count" text, author text,
  body text, big text, "näme ""q" text, small smallint, whole integer, large bigint, yes boolean, exact numeric, float8 float8, padded char(5), tag name,
  day date, at timestamp, later timestamptz, span interval, bytes bytea, mood mood, percent percent, point point, ints integer[], texts text[],
  js json, jsb jsonb, row likes, uuid uuid);
INSERT INTO wide
SELECT i, 1, '2026-01-01', 'hidden', 'kept', 'body ' || i, repeat('wide ', 20000 * (i % 2)), 'ä', -i, i, 9223372036854775807, i = 1, 1e-20 * i, 'NaN', 'ab', 'tag', '-infinity', 'infinity',
       '2026-01-01 00:00:00.000001', '1 day', '\x00ff', 'bad', i, '(1,2)', '{{1,2},{3,NULL}}', '{}', '{"b": 1, "a": [1]}',
       (ARRAY['1', '"s"', 'null', 'true', '[]', '{}', '{"a": {"b": [1, "x"]}}']::jsonb[])[i], ROW(1, NULL, 'k')::likes, '00000000-0000-0000-0000-000000000001'
  FROM generate_series(1, 7) AS i;
INSERT INTO wide (id, channel_id, created_at) VALUES (8, 1, '-infinity');
ALTER TABLE wide ADD dropped integer;
ALTER TABLE wide ADD parent_id bigint;
DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('ALTER TABLE wide ADD c%s integer DEFAULT %s', i, i * 1000); END LOOP; END $$;
SELECT forge_comm.enable_messages('wide', prefix => 'w_');
ALTER TABLE wide DROP dropped, ADD added text DEFAULT 'added';
CREATE FUNCTION wide_is_same() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  page jsonb := regress_threads.w_message_page(1);
  rows jsonb := (SELECT jsonb_agg(to_jsonb(w) || '{"reply_count": 0, "last_reply_at": null}' ORDER BY created_at DESC, id DESC) FROM regress_threads.wide AS w);
  copy jsonb := page::text::jsonb;
BEGIN
  RETURN concat_ws(' ', page -> 'messages' = rows, (page -> 'messages')::text = rows::text, page = copy, pg_column_size(page) = pg_column_size(copy),
                   (SELECT bool_and(m -> e.key = e.value) FROM jsonb_array_elements(page -> 'messages') AS m, jsonb_each(m) AS e),
                   (SELECT bool_and(page #> ARRAY['messages', (n - 1)::text, e.key] = e.value) FROM jsonb_array_elements(rows) WITH ORDINALITY AS m (m, n), jsonb_each(m) AS e),
                   page -> 'messages' @> jsonb_build_array(rows -> 3));
END $$;
SELECT wide_is_same();
SET timezone = 'Asia/Kolkata';
SET datestyle = 'German';
SELECT wide_is_same();
SET datestyle = 'ISO';
SET timezone = 'UTC';
SELECT pg_column_size(w_message_page(2)) = pg_column_size(w_message_page(2)::text::jsonb), w_message_page(2) - 'newer';
-- more rows than an entry with an offset comes after
INSERT INTO wide (id, channel_id, created_at) SELECT i, 1, 'infinity' FROM generate_series(10, 150) AS i;
SELECT jsonb_array_length(page -> 'messages'), page = page::text::jsonb, pg_column_size(page) = pg_column_size(page::text::jsonb),
       (SELECT bool_and((page #>> ARRAY['messages', n::text, 'id'])::int = 150 - n) FROM generate_series(0, 99) AS n), page #>> '{messages,-1,id}' AS last
  FROM w_message_page(1, "limit" => 100) AS page;

-- -------------------------------------------------- queries that are not ours
CREATE FUNCTION page_of(place text, older text, authors text) RETURNS text LANGUAGE sql AS $$
  SELECT regress_threads.refused(format('SELECT forge_comm.message_page(''regress_threads.wide'', 1, %L, NULL, NULL, 1, ''timestamptz'', true, ARRAY[%L, NULL, %L, %L, %L, NULL, NULL])',
                                        place, 'SELECT now() WHERE $1 + $2 IS NOT NULL', older, older, authors))
$$;
SELECT page_of(place, older, authors)
  FROM (VALUES (NULL, 'SELECT 1::bigint, now(), 1::bigint, ''x''::text WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', 'SELECT 1::bigint, ''x''::text WHERE $1 IS NOT NULL'),
               ('1', 'SELECT 1::bigint, now(), 1::bigint WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', NULL),
               (NULL, 'SELECT ''text'', ''text'', ''text'' WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', NULL),
               (NULL, 'SELECT', NULL),
               (NULL, 'DELETE FROM regress_threads.wide', NULL),
               (NULL, 'SELECT 1::bigint, now(), 1::bigint INTO other', NULL),
               (NULL, NULL, NULL),
               -- one text for two queries whose parameters differ
               (NULL, 'SELECT 1::bigint, now(), 1::bigint WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', 'SELECT cardinality($1)::bigint, ''x''::text'),
               (NULL, 'SELECT cardinality($1)::bigint, ''x''::text', NULL),
               (NULL, 'SELECT 1::bigint, now(), 1::bigint WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', 'SELECT 1::bigint')) AS q (place, older, authors);
SELECT page_of(NULL, 'SELECT 1::bigint, now(), 1::bigint WHERE $1 = 1 AND $3 IS NOT NULL AND $2 IS NOT NULL', 'SELECT cardinality($1)::bigint, now()');
SELECT refused('SELECT forge_comm.known_id(1, ''unread'', NULL, ''SELECT cardinality($1)::bigint, now()'', now())');
SELECT refused(format('SELECT forge_comm.%s(1, ''1'', ''SELECT %s WHERE $1 + $2 IS NOT NULL'', NULL, %s)', f, result, kind))
  FROM unnest('{known_time,known_id}'::text[]) AS f, unnest('{now(),1,NULL}'::text[]) AS result, unnest('{now(),1}'::text[]) AS kind ORDER BY f DESC, result, kind;
SELECT refused('SELECT forge_comm.message_page(''wide'', 1, NULL, NULL, NULL, 1, ''date'', true, ''{}'')');
SELECT refused('SELECT forge_comm.message_page(''wide'', 1, NULL, NULL, NULL, 1, ''timestamp'', true, ''{}'')');
SELECT forge_comm.message_page(NULL, 1, NULL, NULL, NULL, 1, 'timestamp', true, '{}') IS NULL AND forge_comm.message_page('wide', 1, NULL, NULL, NULL, 1, 'timestamp', true, NULL) IS NULL;

SET forge_comm.allow_hard_delete = on;
SET client_min_messages = error;
DROP SCHEMA regress_threads CASCADE;
SELECT forge_comm.forget_memberships();
SELECT forge_comm.revoke_app('regress_app');
DROP ROLE regress_app;
