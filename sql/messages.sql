-- Pages of messages.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_messages AUTHORIZATION regress_owner;
SET search_path = regress_messages;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner;
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_messages TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

-- Which of these words a query's plan has
CREATE FUNCTION plan_has(query text, VARIADIC words text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  line text;
  plan text := '';
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    plan := plan || E'\n' || line;
  END LOOP;
  RETURN ARRAY(SELECT w FROM unnest(words) WITH ORDINALITY AS u (w, n) WHERE strpos(plan, w) > 0 ORDER BY n);
END $$;

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE messages (
  id serial PRIMARY KEY,
  channel_id int NOT NULL REFERENCES channels,
  body text,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL
);
INSERT INTO channels VALUES (1, 1), (2, 2), (3, 1), (4, 1);
-- Channel 1 has 25 messages of which five each share one time, 2 belongs to
-- somebody else, 3 is empty, 4 is large
INSERT INTO messages (channel_id, body, created_at)
SELECT 1, 'm' || i, timestamptz '2024-01-01 00:00+00' + (i / 5) * interval '1 hour' FROM generate_series(0, 24) AS i;
INSERT INTO messages (channel_id, body, created_at) SELECT 2, 'other', now() FROM generate_series(1, 5);
INSERT INTO messages (channel_id, body, created_at)
SELECT 4, 'large', timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 5000) AS i;
GRANT SELECT, INSERT, DELETE ON messages, channels TO regress_app;
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
CALL forge_comm.backfill('messages');
SELECT forge_comm.enable_soft_delete('messages');
SELECT forge_comm.enable_messages('messages');
SELECT p.oid::regprocedure, p.proretset, p.prorettype::regtype, p.provolatile, p.proparallel, p.prosecdef, p.proconfig
  FROM pg_proc AS p WHERE p.pronamespace = 'regress_messages'::regnamespace AND p.proname = 'get_messages';
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid::regclass::text LIKE '%page%';
SET client_min_messages = notice;
SELECT forge_comm.enable_messages('messages');
SET client_min_messages = warning;
RESET SESSION AUTHORIZATION;
ANALYZE messages;

-- -------------------------------------------------------------------- pages

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id, body, created_at = '2024-01-01 04:00+00' FROM get_messages(1, 1, 6);
SELECT id FROM get_messages(channel_id => 1, page => 2, per_page => 6);
SELECT id FROM get_messages(1, 5, 6);
SELECT id FROM get_messages(1, 6, 6);
-- All pages together are the channel, once and in order, whatever the size
SELECT per_page, array_agg(m.id ORDER BY page, n) = ARRAY(SELECT id FROM messages WHERE channel_id = 1 ORDER BY created_at DESC, id DESC)
  FROM generate_series(1, 100, 9) AS per_page, generate_series(1, 25) AS page,
       LATERAL get_messages(1, page, per_page) WITH ORDINALITY AS m (id, channel_id, body, deleted_at, created_at, workspace_id, n)
 GROUP BY per_page ORDER BY per_page;
SELECT count(*), count(DISTINCT id) FROM get_messages(1);
SELECT count(*), min(id) = (SELECT max(id) - 49 FROM messages WHERE channel_id = 4) FROM get_messages(4);
SELECT count(*) FROM get_messages(4, 50, 100);
SELECT count(*) FROM get_messages(4, 51, 100);
SELECT count(*) FROM get_messages(4, 2147483647, 100);
SELECT count(*) FROM get_messages(4, 2147483647, 1);
-- An empty channel, a missing one and another workspace's look alike
SELECT count(*) FROM get_messages(3);
SELECT count(*) FROM get_messages(999);
SELECT count(*) FROM get_messages(2);
SELECT count(*) FROM get_messages(NULL);
-- Deleted messages are left out, and the pages close up
DELETE FROM messages WHERE body IN ('m24', 'm20', 'm3');
SELECT id FROM get_messages(1, 1, 6);
SELECT count(*) FROM get_messages(1);
ROLLBACK;
SELECT refused('SELECT * FROM get_messages(1)');

-- ------------------------------------------------------------------- bounds

BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT refused('SELECT get_messages(1, 0)');
SELECT refused('SELECT get_messages(1, -1)');
SELECT refused('SELECT get_messages(1, -2147483648)');
SELECT refused('SELECT get_messages(1, NULL)');
SELECT refused('SELECT get_messages(1, 1, 0)');
SELECT refused('SELECT get_messages(1, 1, -1)');
SELECT refused('SELECT get_messages(1, 1, 101)');
SELECT refused('SELECT get_messages(1, 1, NULL)');
-- for a channel without rows as well
SELECT refused('SELECT * FROM get_messages(999, 0)');
SELECT refused('SELECT * FROM get_messages(999, 1, 101)');
SELECT refused('SELECT get_messages(1, 2147483648)') ~ '^42883 ';
COMMIT;

-- -------------------------------------------------------------------- plans

BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT plan_has('SELECT * FROM get_messages(4)', 'Function Scan', 'Sort', 'Seq Scan', 'Limit', 'messages_page_idx', 'Index Cond');
SELECT plan_has('SELECT id, body FROM get_messages(4, 3, 20) AS m WHERE m.body <> ''x''', 'Function Scan', 'Sort', 'Seq Scan', 'messages_page_idx');
PREPARE page(int, int, int) AS SELECT count(*), max(id) FROM get_messages($1, $2, $3);
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE page(4, 1, 10);
SELECT plan_has('EXECUTE page(4, 1, 10)', 'Function Scan', 'Sort', 'Seq Scan', 'messages_page_idx', '$1');
EXECUTE page(1, 2, 10);
SELECT refused('EXECUTE page(1, 0, 10)');
COMMIT;
-- left to itself as well, after as many executions as it likes
PREPARE page2(int, int, int) AS SELECT count(*) FROM get_messages($1, $2, $3);
BEGIN;
SELECT forge_comm.set_context(1, 1);
DO $$ BEGIN FOR i IN 1..10 LOOP EXECUTE 'EXECUTE page2(4, ' || i || ', 10)'; END LOOP; END $$;
EXECUTE page2(4, 1, 10);
SELECT plan_has('EXECUTE page2(4, 1, 10)', 'Function Scan', 'Sort', 'Seq Scan', 'messages_page_idx');
COMMIT;
-- the same plan serves another workspace
BEGIN;
SELECT forge_comm.set_context(2, 2);
EXECUTE page(4, 1, 10);
EXECUTE page(2, 1, 10);
COMMIT;

-- ------------------------------------------------------ a table of its own kind

SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE posts (at timestamp NOT NULL, room bigint, key smallint PRIMARY KEY, gone timestamptz);
CREATE INDEX ready_made ON posts (room, at, key);
INSERT INTO posts SELECT '2024-01-01', 1, i, CASE WHEN i = 3 THEN now() END FROM generate_series(1, 5) AS i;
-- nothing is hidden unless it is told to be; an index that does is used
SELECT forge_comm.enable_messages('posts', channel => 'room', created_at => 'at', prefix => 'room_');
SELECT key FROM room_get_messages(1);
SELECT count(*) FROM pg_index WHERE indrelid = 'posts'::regclass;
SELECT forge_comm.disable_messages('posts');
SELECT forge_comm.enable_messages('posts', 'room', 'at', deleted_at => 'gone', prefix => 'room_');
SELECT key FROM room_get_messages(1);
-- a message keeps its id
UPDATE posts SET key = key, at = at WHERE key = 1;
SELECT refused('UPDATE posts SET key = 9 WHERE key = 1');
-- two tables in one schema do not mix
SELECT forge_comm.disable_messages('posts');
SELECT count(*) FROM pg_index WHERE indrelid = 'posts'::regclass;
SELECT proname FROM pg_proc WHERE pronamespace = 'regress_messages'::regnamespace AND proname IN ('get_messages', 'room_get_messages');
SELECT forge_comm.disable_messages('messages');
SELECT proname FROM pg_proc WHERE pronamespace = 'regress_messages'::regnamespace AND proname IN ('get_messages', 'room_get_messages');
SELECT count(*) FROM pg_class WHERE relname = 'messages_page_idx';
SELECT forge_comm.disable_messages('messages');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_messages CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
