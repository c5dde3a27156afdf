-- The newest messages of all channels of a user.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.create_chat_schema('regress_inbox');
SET search_path = regress_inbox;
GRANT USAGE ON SCHEMA regress_inbox TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_inbox TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

-- All pages, one after the other by the cursor of the last row
CREATE FUNCTION walk(per_page int) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[] := '{}';
  page messages[];
  cursor text;
BEGIN
  LOOP
    page := ARRAY(SELECT m FROM inbox(per_page, cursor) AS m);
    EXIT WHEN page = '{}';
    ids := ids || ARRAY(SELECT m.id FROM unnest(page) AS m);
    cursor := inbox_cursor(page[cardinality(page)]);
  END LOOP;
  RETURN ids;
END $$;

INSERT INTO users (id, email, display_name) SELECT i, i || '@example.com', 'User ' || i FROM generate_series(1, 4) AS i;
INSERT INTO workspaces (id, name, slug) VALUES (1, 'One', 'one'), (2, 'Two', 'two');
INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1), (1, 2), (2, 1), (1, 4);
-- Of ten channels the even ones are private; user 1 follows the first eight and
-- one of the other workspace, user 2 the odd ones
INSERT INTO channels (id, workspace_id, name, is_private) SELECT i, 1, 'channel-' || i, i % 2 = 0 FROM generate_series(1, 10) AS i;
INSERT INTO channels (id, workspace_id, name) VALUES (11, 2, 'elsewhere');
INSERT INTO channel_memberships (workspace_id, channel_id, user_id) SELECT 1, i, 1 FROM generate_series(1, 8) AS i;
INSERT INTO channel_memberships (workspace_id, channel_id, user_id) SELECT 1, i, 2 FROM generate_series(1, 9, 2) AS i;
INSERT INTO channel_memberships (workspace_id, channel_id, user_id) VALUES (2, 11, 1);
-- Ten at a time have one date; channel 8 is empty, 1 has the most, every seventh is deleted
INSERT INTO messages (id, workspace_id, channel_id, user_id, body, created_at, deleted_at)
SELECT i, CASE WHEN c = 11 THEN 2 ELSE 1 END, c, 1, 'm', timestamptz '2024-01-01' + i / 10 * interval '1 minute', CASE WHEN i % 7 = 0 THEN now() END
  FROM generate_series(1, 500) AS i, LATERAL (SELECT CASE WHEN i % 3 = 0 THEN 1 WHEN i % 11 + 1 = 8 THEN 7 ELSE i % 11 + 1 END) AS x (c);
INSERT INTO messages (id, workspace_id, channel_id, user_id, body, created_at) VALUES
  (-1, 1, 1, 1, 'm', '-infinity'), (-2, 1, 2, 1, 'm', '-infinity'), (-9223372036854775807, 1, 3, 1, 'm', '-infinity'),
  (9223372036854775806, 1, 3, 1, 'm', 'infinity'), (1001, 1, 1, 1, 'm', 'infinity'), (1002, 1, 2, 1, 'm', '3000-01-01'),
  (1003, 1, 2, 1, 'm', '2000-01-01 00:00:00.000001'), (1004, 1, 3, 1, 'm', '2000-01-01 00:00:00.000002'), (1005, 1, 1, 1, 'm', '2000-01-01');
ANALYZE messages;

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT id, channel_id FROM inbox(5);
SELECT count(*), count(DISTINCT id), count(DISTINCT channel_id) FROM inbox();
-- Whatever the size of a page, the walk is what was asked for, in order and once
SELECT per_page, walk(per_page) = ARRAY(SELECT m.id FROM messages AS m JOIN channel_memberships AS f ON f.channel_id = m.channel_id AND f.user_id = 1
                                         WHERE m.deleted_at IS NULL ORDER BY m.created_at DESC, m.id DESC)
  FROM unnest('{1,2,8,9,10,11,49,50,99,100}'::int[]) AS per_page;
-- Rows that come and go between pages do not move the place, nor does it go with its row
SELECT inbox_cursor(m) AS place, m.id AS last FROM inbox(50) AS m ORDER BY created_at, id LIMIT 1 \gset
SELECT array_agg(id) AS next FROM inbox(20, :'place') \gset
INSERT INTO messages (id, channel_id, body) VALUES (2000, 1, 'new');
RESET SESSION AUTHORIZATION;
DELETE FROM messages WHERE id = :last;
SET SESSION AUTHORIZATION regress_app;
SELECT array_agg(id) = :'next' FROM inbox(20, :'place');
-- at once with a plan for any page
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT array_agg(id) = :'next' FROM inbox(20, :'place');
SELECT refused(format('SELECT * FROM inbox(%s)', args)) FROM unnest('{0,-1,101,"NULL","50, ''''","50, ''7''"}'::text[]) AS args;
SELECT refused(format('SELECT * FROM inbox(5, %L)', altered)) FROM unnest(ARRAY[left(:'place', -1), :'place' || 'A', 'm' || substr(:'place', 2), overlay(:'place' PLACING CASE substr(:'place', 9, 1) WHEN 'x' THEN 'y' ELSE 'x' END FROM 9)]) AS altered;
COMMIT;
-- Somebody else's place is nobody's; private channels are not even counted
BEGIN;
SELECT forge_comm.set_context(2, 1);
SELECT refused(format('SELECT * FROM inbox(5, %L)', :'place'));
SELECT array_agg(DISTINCT channel_id ORDER BY channel_id) FROM inbox(100);
SELECT walk(7) = ARRAY(SELECT id FROM messages WHERE channel_id % 2 = 1 AND deleted_at IS NULL ORDER BY created_at DESC, id DESC);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(4, 1);
SELECT count(*) FROM inbox();
SELECT refused('SELECT * FROM inbox(0)');
COMMIT;
SELECT refused('SELECT * FROM inbox()');
SELECT refused('SELECT inbox_cursor(m) FROM messages AS m');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_inbox CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app;
DELETE FROM forge_comm.settings;
