-- What somebody has not read yet, and how far they have read.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.create_chat_schema('regress_unread');
SET search_path = regress_unread;
GRANT USAGE ON SCHEMA regress_unread TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_unread TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

INSERT INTO users (id, email, display_name) SELECT i, i || '@example.com', 'User ' || i FROM generate_series(1, 3) AS i;
INSERT INTO workspaces (id, name, slug) VALUES (1, 'One', 'one'), (2, 'Two', 'two');
INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1), (1, 2), (2, 1), (2, 3);
-- 1: of many kinds, 2: private and not for user 2, 3: empty, 4: not followed, 5: of the other workspace
INSERT INTO channels (id, workspace_id, name, is_private) VALUES
  (1, 1, 'kinds', false), (2, 1, 'private', true), (3, 1, 'empty', false), (4, 1, 'unfollowed', false), (5, 2, 'other', false);
INSERT INTO channel_memberships (workspace_id, channel_id, user_id) VALUES
  (1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 3, 1), (2, 5, 1), (2, 5, 3);
INSERT INTO messages (id, workspace_id, channel_id, user_id, parent_id, body, created_at, deleted_at) VALUES
  (1, 1, 1, 2, NULL, 'first', '2024-01-01 00:00Z', NULL),
  (2, 1, 1, 1, NULL, 'by the user', '2024-01-01 00:01Z', NULL),
  (3, 1, 1, 2, 1, 'a reply <@1>', '2024-01-01 00:02Z', NULL),
  (4, 1, 1, 2, NULL, 'deleted <@1>', '2024-01-01 00:03Z', '2024-01-02'),
  (5, 1, 1, 2, NULL, 'for <@1>, not <@11>', '2024-01-01 00:04Z', NULL),
  (6, 1, 1, NULL, NULL, 'of nobody, for <@12>', '2024-01-01 00:05Z', NULL),
  (7, 1, 1, 2, NULL, repeat('é', 200), '2024-01-01 00:05Z', NULL),
  -- written late, and dated back
  (8, 1, 1, 2, NULL, 'imported', '2023-01-01', NULL),
  (20, 1, 2, 2, NULL, 'private', '2024-01-01', NULL),
  (40, 1, 4, 2, NULL, 'unfollowed', '2024-01-01', NULL),
  (50, 2, 5, 3, NULL, 'elsewhere', '2024-01-01', NULL);
INSERT INTO messages (id, workspace_id, channel_id, user_id, body, created_at)
SELECT i, 2, 5, 3, 'm', '2024-01-02' FROM generate_series(1000, 1149) AS i;

-- ------------------------------------------------------------------ unread

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT channel_id, unread, mentions, first_unread_id, last_message_id, last_message_at = '2024-01-01 00:05Z', length(last_message_preview)
  FROM unread_summary() WHERE channel_id = 1;
SELECT channel_id, unread, mentions, first_unread_id, last_message_id IS NULL, last_message_preview FROM unread_summary() ORDER BY 1;
SELECT channel_id, unread FROM unread_summary(2) ORDER BY 1;
SELECT channel_id, unread FROM unread_summary(1, cap => 1) ORDER BY 1;
SELECT unread FROM unread_summary(cap => 151) WHERE channel_id = 5;
SELECT unread FROM unread_summary(cap => 1000) WHERE channel_id = 5;
SELECT count(*) FROM unread_summary(3);
SELECT refused(format('SELECT unread_summary(cap => %s)', cap)) FROM unnest('{0,-1,1001,"NULL"}'::text[]) AS cap;
COMMIT;
-- Each has their own; nobody without channels has any
BEGIN;
SELECT forge_comm.set_context(2, 1);
SELECT channel_id, unread, mentions, first_unread_id FROM unread_summary();
SELECT refused('SELECT unread_summary(cap => 0)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT channel_id, unread FROM unread_summary();
COMMIT;
SELECT refused('SELECT unread_summary()');
SELECT refused('SELECT mark_read(1, 1)');

-- ----------------------------------------------------------------- mark_read

BEGIN;
SELECT forge_comm.set_context(1);
SELECT mark_read(1, 5);
SELECT unread, mentions, first_unread_id FROM unread_summary() WHERE channel_id = 1;
-- Never back, by whatever way: an older one, the same one, one of a higher id
-- and an older date
SELECT mark_read(1, 1), mark_read(1, 5), mark_read(1, 8);
-- Of two with one time, the higher id is the later one
SELECT mark_read(1, 6);
SELECT unread, first_unread_id FROM unread_summary() WHERE channel_id = 1;
SELECT mark_read(1, 7), mark_read(1, 6);
SELECT unread, mentions, first_unread_id FROM unread_summary() WHERE channel_id = 1;
-- What is unknown changes nothing, nor what is in another channel or not followed
SELECT mark_read(1, 999), mark_read(999, 1), mark_read(1, 20), mark_read(3, 1), mark_read(4, 40), mark_read(NULL, NULL);
SELECT channel_id, last_read_message_id FROM channel_memberships WHERE user_id = 1 ORDER BY 1;
-- A message that has been deleted still is a place
RESET SESSION AUTHORIZATION;
DELETE FROM messages WHERE id = 7;
SET SESSION AUTHORIZATION regress_app;
SELECT mark_read(1, 6);
SELECT unread, last_message_id FROM unread_summary() WHERE channel_id = 1;
INSERT INTO messages (id, channel_id, body) VALUES (100, 1, 'mine');
SELECT unread, last_message_id FROM unread_summary() WHERE channel_id = 1;
SELECT mark_read(1, 100);
ROLLBACK;
-- Other people's markers are theirs, private channels too
BEGIN;
SELECT forge_comm.set_context(2, 1);
SELECT mark_read(1, 7), mark_read(2, 20), mark_read(5, 50);
RESET SESSION AUTHORIZATION;
SELECT channel_id, user_id, last_read_message_id FROM channel_memberships WHERE last_read_message_id IS NOT NULL;
ROLLBACK;

-- ------------------------------------------------------------------- plans

-- With a plan for any cap as well
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT sum(unread) FROM unread_summary(cap => 10);
COMMIT;
RESET SESSION AUTHORIZATION;

-- --------------------------------------------- a schema of its own, with less

CREATE SCHEMA regress_rooms;
SET search_path = regress_rooms;
CREATE TABLE people (key smallint PRIMARY KEY);
CREATE TABLE rooms (key int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE posts (key int PRIMARY KEY, room int NOT NULL REFERENCES rooms, at timestamp NOT NULL, who smallint REFERENCES people);
-- without a key of its own, the marker may name what is gone
CREATE TABLE seen (room int REFERENCES rooms, who smallint REFERENCES people, post int, PRIMARY KEY (room, who));
INSERT INTO people VALUES (1), (2);
INSERT INTO rooms VALUES (1, 1);
INSERT INTO seen VALUES (1, 1, NULL);
INSERT INTO posts SELECT i, 1, timestamp '2024-01-01' + i * interval '1 second', 2 FROM generate_series(1, 9) AS i;
INSERT INTO posts VALUES (0, 1, '-infinity', 2), (10, 1, 'infinity', 2);
SELECT forge_comm.enable_tenancy('rooms');
SELECT forge_comm.enable_messages('posts', 'room', 'at', author => 'who', markers => 'seen', marker => 'post', prefix => 'post_');
SELECT p.oid::regprocedure, pg_get_function_result(p.oid) FROM pg_proc AS p WHERE p.pronamespace = 'regress_rooms'::regnamespace AND p.proname ~ 'read' ORDER BY 1;
GRANT USAGE ON SCHEMA regress_rooms TO regress_app;
GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA regress_rooms TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT * FROM post_unread_summary();
SELECT post_mark_read(1, 4), post_mark_read(1, 3);
SELECT unread, first_unread_id FROM post_unread_summary();
UPDATE seen SET post = 99;
SELECT unread, first_unread_id FROM post_unread_summary();
SELECT post_mark_read(1, 5);
UPDATE seen SET post = -1;
SELECT post_mark_read(1, 10), post_mark_read(1, 9);
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.disable_messages('posts');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'regress_rooms'::regnamespace;

-- ------------------------------------------------------------------ the end

DROP SCHEMA regress_unread, regress_rooms CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app;
DELETE FROM forge_comm.settings;
