-- Private channels, and all that is under them, are for their members.
\set schema regress_privacy
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql
RESET SESSION AUTHORIZATION;
-- Users 1, 2 and 3 are in workspace 1, user 4 is in 1 and 2, user 9 in 2
CREATE TABLE memberships (user_id int, workspace_id int, role text, PRIMARY KEY (user_id, workspace_id));
INSERT INTO memberships VALUES (1, 1, 'owner'), (2, 1, 'member'), (3, 1, 'member'), (4, 1, 'member'), (4, 2, 'member'), (9, 2, 'owner');
SELECT forge_comm.use_memberships('memberships', role_column => 'role');
SET SESSION AUTHORIZATION regress_owner;

-- is_private may be null: what is not known to be public is private
CREATE TABLE channels (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  name text,
  is_private boolean,
  is_dm boolean NOT NULL DEFAULT false
);
CREATE TABLE channel_members (
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id int,
  deleted_at timestamptz,
  PRIMARY KEY (channel_id, user_id)
);
CREATE INDEX ON channel_members (user_id);
CREATE TABLE messages (
  id bigint PRIMARY KEY,
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  parent_id bigint REFERENCES messages,
  body text
);
CREATE TABLE reactions (
  id int PRIMARY KEY,
  message_id bigint NOT NULL REFERENCES messages ON DELETE CASCADE,
  emoji text
);
CREATE TABLE reports (
  id smallint PRIMARY KEY,
  reaction_id int REFERENCES reactions ON DELETE CASCADE,
  reason text
);
CREATE TABLE pins (id int PRIMARY KEY, workspace_id int NOT NULL, message_id bigint REFERENCES messages, channel_id int REFERENCES channels);
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, channel_members, messages, reactions, reports, pins TO regress_app;
CREATE TABLE pg_temp.untouched AS SELECT * FROM state;

-- ---------------------------------------------------------------- enabling

-- Tenancy comes first
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members')$$);
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('channel_members', via => 'channel_id');
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{messages}')$$);
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
SELECT forge_comm.enable_tenancy('reports', via => 'reaction_id');
SELECT forge_comm.enable_tenancy('pins');
SELECT forge_comm.enable_soft_delete('channel_members', view => '');
CREATE TABLE pg_temp.before AS SELECT * FROM state;

-- Wrong arguments
SELECT diagnostics($$SELECT forge_comm.enable_privacy(NULL, 'is_private', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', NULL, 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('state', 'is_private', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'state')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'no_such_column', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'name', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', '', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private, is_dm', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'random() > 0.5', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'EXISTS (SELECT FROM pg_class)', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private) OR (true', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private FROM pg_class', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'regress_privacy.diagnostics(name) IS NULL', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', member_channel => 'channel')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', member_user => 'deleted_at')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', member_user => NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'pins', member_user => 'message_id')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', creator => 'name')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', active => 'deleted_at')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', active => 'is_private')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', active => 'clock_timestamp() > deleted_at')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{memberships}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{reports}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{NULL}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('messages', via => 'channel_id')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('messages', via => 'body')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('messages', via => NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('messages', via => 'parent_id')$$);
SET SESSION AUTHORIZATION regress_app;
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members')$$);
SET SESSION AUTHORIZATION regress_owner;
-- no application's function is overwritten
CREATE FUNCTION can_access_channel(int) RETURNS boolean RETURN true;
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members')$$);
DROP FUNCTION can_access_channel;
-- and none of them has left anything
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

SELECT forge_comm.enable_privacy('channels', private => 'is_private OR is_dm', members => 'channel_members',
                                 children => '{reports,messages,reactions}');
TABLE state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
TABLE pg_temp.before EXCEPT TABLE state ORDER BY 1, 2;
SELECT options FROM forge_comm.rules('channels') WHERE capability = 'privacy';
SELECT options FROM forge_comm.rules('reports') WHERE capability = 'privacy';
-- Again changes nothing
CREATE TABLE pg_temp.enabled AS SELECT * FROM state;
SET client_min_messages = notice;
SELECT forge_comm.enable_privacy('channels', 'is_private OR is_dm', 'channel_members', children => '{messages,reactions,reports}');
SELECT forge_comm.enable_privacy('messages', via => 'channel_id');
SET client_min_messages = warning;
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('messages', via => 'parent_id')$$);
SELECT diagnostics($$SELECT forge_comm.disable_tenancy('reports')$$);
SELECT diagnostics($$SELECT forge_comm.disable_tenancy('pins')$$);
SELECT forge_comm.enable_tenancy('pins');
(TABLE state EXCEPT TABLE pg_temp.enabled) UNION ALL (TABLE pg_temp.enabled EXCEPT TABLE state);

-- ------------------------------------------------------------------- seeding

BEGIN;
SELECT forge_comm.set_service_context('seed');
-- 10 is public, 11 private, 12 a direct message, 13 nobody knows; 20 and 21 are elsewhere
INSERT INTO channels VALUES (10, 1, 'general', false, false), (11, 1, 'secret', true, false), (12, 1, NULL, false, true),
  (13, 1, 'unknown', NULL, false), (20, 2, 'general', false, false), (21, 2, 'secret', true, false) RETURNING id;
INSERT INTO channel_members (channel_id, user_id) VALUES (11, 1), (11, 2), (12, 2), (12, 3), (13, 1), (10, 1), (10, 3), (21, 4);
INSERT INTO messages (id, channel_id, body) SELECT c * 10, c, 'in ' || c FROM unnest('{10,11,12,13,20,21}'::int[]) AS c RETURNING id;
INSERT INTO reactions (id, message_id, emoji) SELECT c, c * 10, ':)' FROM unnest('{10,11,12,13,20,21}'::int[]) AS c RETURNING id;
INSERT INTO reports (id, reaction_id, reason) SELECT c, c, 'rude' FROM unnest('{10,11,12,13,20,21}'::smallint[]) AS c RETURNING id;
-- A service sees all
SELECT (SELECT count(*) FROM channels), (SELECT count(*) FROM channel_members), (SELECT count(*) FROM messages), (SELECT count(*) FROM reactions), (SELECT count(*) FROM reports),
       can_access_channel(11), can_access_channel(999), forge_comm.can_access('messages', 110);
COMMIT;

-- ------------------------------------------------------------------- reading

-- What a user sees of every table
CREATE VIEW seen WITH (security_invoker) AS
SELECT 'channels' AS table_, string_agg(id::text, ' ' ORDER BY id) AS ids FROM channels
UNION ALL SELECT 'channel_members', string_agg(channel_id || '/' || user_id, ' ' ORDER BY channel_id, user_id) FROM channel_members
UNION ALL SELECT 'messages', string_agg(id::text, ' ' ORDER BY id) FROM messages
UNION ALL SELECT 'reactions', string_agg(id::text, ' ' ORDER BY id) FROM reactions
UNION ALL SELECT 'reports', string_agg(id::text, ' ' ORDER BY id) FROM reports;
GRANT SELECT ON seen TO PUBLIC;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
TABLE seen;
SELECT id, can_access_channel(id) FROM unnest('{10,11,12,13,20,21,999,NULL}'::int[]) AS id;
SELECT forge_comm.can_access('messages', 110), forge_comm.can_access('messages', 120), forge_comm.can_access('messages', 999),
       forge_comm.can_access('reactions', 11), forge_comm.can_access('reactions', 12), forge_comm.can_access('reports', 11),
       forge_comm.can_access('reports', 70000), forge_comm.can_access('channels', 5000000000);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
TABLE seen;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
TABLE seen;
-- however it is asked for
SELECT count(*) FROM messages WHERE id = 110 OR channel_id = 11 OR body LIKE '%11%';
SELECT count(*) FROM channels AS c JOIN messages AS m ON m.channel_id = c.id WHERE c.is_private;
SELECT EXISTS (SELECT FROM reports WHERE id = 11), (SELECT count(*) FROM channel_members WHERE channel_id = 11);
COPY messages (id, body) TO stdout;
COPY (SELECT id FROM reports) TO stdout;
CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE WARNING 'spied %', $1; RETURN true; END $$;
SELECT count(*) FROM messages WHERE pg_temp.spy(body);
SELECT id FROM channels WHERE is_private FOR UPDATE;
SELECT id FROM messages WHERE channel_id = 11 FOR SHARE;
COMMIT;
-- membership does not help where the workspace is not in scope
BEGIN;
SELECT forge_comm.set_context(4);
TABLE seen;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(4, 1);
TABLE seen;
SELECT can_access_channel(21);
COMMIT;
-- without a user there is no member
BEGIN;
SELECT forge_comm.set_context(9);
TABLE seen;
COMMIT;
-- The owner is bound as well
SET SESSION AUTHORIZATION regress_owner;
BEGIN;
SELECT forge_comm.set_context(3);
TABLE seen;
COMMIT;
-- Without a context
SELECT diagnostics('SELECT * FROM channels');
SELECT diagnostics('SELECT * FROM reports');
SELECT diagnostics('SELECT can_access_channel(10)');
SELECT diagnostics('SELECT can_access_channel(NULL)');
SELECT diagnostics('SELECT forge_comm.can_access(''channels'', 10)');
SELECT diagnostics('INSERT INTO channels VALUES (14, 1, ''mine'', true)');
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 10)');
SET forge_comm.missing_context = 'empty';
TABLE seen;
SELECT can_access_channel(10), can_access_channel(11);
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 10)');
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (1, 1, 11)');
SELECT diagnostics('INSERT INTO channels VALUES (14, 1, ''mine'', true)');
RESET forge_comm.missing_context;
-- What can_access is not for
BEGIN;
SELECT forge_comm.set_context(1);
SELECT diagnostics('SELECT forge_comm.can_access(NULL, 10)');
SELECT diagnostics('SELECT forge_comm.can_access(0::regclass, 10)');
SELECT diagnostics('SELECT forge_comm.can_access(''pins'', 10)');
SELECT diagnostics('SELECT forge_comm.can_access(''channel_members'', 10)');
SELECT forge_comm.can_access('channels', NULL);
COMMIT;

-- ------------------------------------------------------------------- writing

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(3);
\set QUIET off
UPDATE channels SET is_private = false WHERE id = 11;
UPDATE channels SET name = 'seen';
DELETE FROM channels WHERE id IN (11, 13, 21);
UPDATE messages SET body = 'mine' WHERE id = 110;
DELETE FROM messages WHERE id = 110;
UPDATE reactions SET emoji = 'mine' WHERE id = 11;
DELETE FROM reports WHERE id = 11;
UPDATE channel_members SET user_id = 3 WHERE channel_id = 11;
DELETE FROM channel_members WHERE channel_id = 11;
MERGE INTO messages AS m USING (VALUES (110), (100)) AS v (id) ON m.id = v.id WHEN MATCHED THEN UPDATE SET body = 'merged';
\set QUIET on
-- What is written there is refused with the words for a channel that does not exist
SELECT diagnostics('INSERT INTO messages (id, channel_id, body) VALUES (1, 999, ''x'')') AS missing,
       diagnostics('INSERT INTO messages (id, channel_id, body) VALUES (1, 11, ''x'')') AS private,
       diagnostics('INSERT INTO messages (id, workspace_id, channel_id, body) VALUES (1, 1, 11, ''x'')') AS told,
       diagnostics('INSERT INTO messages (id, channel_id, body) VALUES (1, 21, ''x'')') AS foreign_,
       diagnostics('MERGE INTO messages USING (VALUES (1)) AS v (id) ON messages.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id) VALUES (1, 11)') AS merged,
       diagnostics('INSERT INTO messages (id, channel_id, body) VALUES (1, 11, ''x'') ON CONFLICT DO NOTHING') AS skipped,
       diagnostics('INSERT INTO messages (id, channel_id, body) VALUES (1, 11, ''x'') ON CONFLICT (id) DO UPDATE SET body = ''x''') AS upserted
\gset
\echo :missing
SELECT :'missing' = :'private', :'missing' = :'told', :'missing' = :'foreign_', :'missing' = :'merged', :'missing' = :'skipped', :'missing' = :'upserted';
SELECT diagnostics('INSERT INTO reactions (id, message_id) VALUES (1, 999)') AS missing,
       diagnostics('INSERT INTO reactions (id, message_id) VALUES (1, 110)') AS private
\gset
\echo :missing
SELECT :'missing' = :'private';
SELECT diagnostics('INSERT INTO reports (id, reaction_id) VALUES (1, 999)') AS missing,
       diagnostics('INSERT INTO reports (id, reaction_id) VALUES (1, 11)') AS private
\gset
\echo :missing
SELECT :'missing' = :'private';
-- A stranger does not add themself, nor anybody else
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (11, 3)');
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (11, 3) ON CONFLICT DO NOTHING');
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (11, 1) ON CONFLICT (channel_id, user_id) DO UPDATE SET user_id = 3');
SELECT diagnostics('UPDATE channel_members SET channel_id = 11 WHERE channel_id = 10 AND user_id = 3');
SELECT diagnostics('UPDATE channels SET id = 14 WHERE id = 10');
-- Nor are private rows referenced from elsewhere, in any key
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (1, 10, 110)');
SELECT diagnostics('UPDATE messages SET parent_id = 110 WHERE id = 100');
SELECT diagnostics('INSERT INTO pins VALUES (1, 1, 110, NULL)');
SELECT diagnostics('INSERT INTO pins VALUES (1, 1, NULL, 11)');
INSERT INTO pins VALUES (1, 1, 100, 12) RETURNING id;
-- What conflicts with a hidden row is an error, not a look at it
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (110, 10) ON CONFLICT (id) DO UPDATE SET body = ''mine''');
SELECT diagnostics('INSERT INTO channels VALUES (11, 1, ''mine'', false) ON CONFLICT (id) DO UPDATE SET name = ''mine''');
-- No row moves in or out, not even by those who may see both
SELECT diagnostics('UPDATE messages SET channel_id = 12 WHERE id = 100');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT diagnostics('UPDATE messages SET channel_id = 10 WHERE id = 110');
SELECT diagnostics('UPDATE reactions SET message_id = 100 WHERE id = 11');
SELECT diagnostics('UPDATE reports SET reaction_id = NULL WHERE id = 11');
SELECT diagnostics('UPDATE channel_members SET channel_id = 13 WHERE channel_id = 11');
SELECT diagnostics('UPDATE channels SET id = 15 WHERE id = 11');
UPDATE messages SET channel_id = channel_id, body = 'kept' WHERE id = 110 RETURNING body;
ROLLBACK;
-- Members write as they like
BEGIN;
SELECT forge_comm.set_context(2);
INSERT INTO messages (id, channel_id, body) VALUES (111, 11, 'mine') RETURNING id, workspace_id;
INSERT INTO messages (id, channel_id, parent_id, body) VALUES (112, 11, 110, 'reply') RETURNING id;
INSERT INTO reactions (id, message_id) VALUES (111, 111) RETURNING id;
INSERT INTO reports (id, reaction_id) VALUES (111, 111), (112, NULL) RETURNING id, workspace_id;
UPDATE messages SET body = 'edited' WHERE channel_id = 11 RETURNING id;
MERGE INTO messages AS m USING (VALUES (111, 11), (113, 11)) AS v (id, channel_id) ON m.id = v.id
  WHEN MATCHED THEN UPDATE SET body = 'merged' WHEN NOT MATCHED THEN INSERT (id, channel_id, body) VALUES (v.id, v.channel_id, 'merged');
SELECT id, body FROM messages WHERE channel_id = 11 ORDER BY id;
INSERT INTO messages (id, channel_id) VALUES (111, 11) ON CONFLICT (id) DO UPDATE SET body = 'upserted' RETURNING body;
DELETE FROM messages WHERE id = 113 RETURNING id;
-- one asks others in
INSERT INTO channel_members (channel_id, user_id) VALUES (11, 3) RETURNING user_id;
ROLLBACK;
-- What is under nothing is the workspace's
BEGIN;
SELECT forge_comm.set_context(3, 1);
INSERT INTO reports (id, reason) VALUES (113, 'no reaction') RETURNING id, reaction_id;
SELECT id FROM reports ORDER BY id;
ROLLBACK;

-- A channel that turns private does so for what is under it, with the next statement
BEGIN;
SELECT forge_comm.set_context(3);
SELECT count(*) FROM messages WHERE channel_id = 10;
UPDATE channels SET is_private = true WHERE id = 10 RETURNING id;
TABLE seen;
-- and back: whoever is left in it decides
UPDATE channels SET is_private = false WHERE id = 10 RETURNING id;
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(2);
-- one who is no member cannot, since the row would be out of sight
SELECT diagnostics('UPDATE channels SET is_private = true WHERE id = 10');
UPDATE channels SET is_private = false WHERE id = 11 RETURNING id;
SAVEPOINT opened;
ROLLBACK TO opened;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM messages WHERE channel_id = 11;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
UPDATE channels SET is_private = true WHERE id = 11 RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM messages WHERE channel_id = 11;
COMMIT;

-- ------------------------------------------------- memberships that come and go

BEGIN;
SELECT forge_comm.set_context(3);
SELECT can_access_channel(12), can_access_channel(11);
COMMIT;
-- Made and taken by the transaction itself: from the next statement
BEGIN;
SELECT forge_comm.set_context(2);
SELECT can_access_channel(11);
SAVEPOINT s;
-- a soft-deleted membership is none
DELETE FROM channel_members WHERE channel_id = 11 AND user_id = 2 RETURNING deleted_at IS NOT NULL;
SELECT can_access_channel(11);
TABLE seen;
ROLLBACK TO s;
SELECT can_access_channel(11);
SELECT count(*) FROM messages WHERE channel_id = 11;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT forge_comm.set_context(2);
SELECT can_access_channel(11);
SAVEPOINT s;
DELETE FROM channel_members WHERE channel_id = 11 AND user_id = 2 RETURNING deleted_at IS NOT NULL;
SELECT can_access_channel(11);
ROLLBACK TO s;
SELECT can_access_channel(11);
SELECT count(*) FROM messages WHERE channel_id = 11;
ROLLBACK;
-- and one that is added, and undone
BEGIN;
SELECT forge_comm.set_context(1);
INSERT INTO channels VALUES (14, 1, 'new', true, false);
INSERT INTO channel_members (channel_id, user_id) VALUES (14, 1);
INSERT INTO messages (id, channel_id) VALUES (140, 14);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SAVEPOINT s;
UPDATE channel_members SET user_id = 2 WHERE channel_id = 14 RETURNING user_id;
SELECT can_access_channel(14);
ROLLBACK TO s;
SELECT can_access_channel(14);
SAVEPOINT s;
UPDATE channel_members SET deleted_at = now() WHERE channel_id = 14 RETURNING user_id;
SELECT can_access_channel(14);
RELEASE s;
SELECT can_access_channel(14), count(*) FROM messages WHERE channel_id = 14;
ROLLBACK;
-- In the middle of a query what it sees stays what it saw, the function's own queries see more
CREATE FUNCTION pg_temp.leave(channel int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  DELETE FROM regress_privacy.channel_members WHERE channel_id = channel AND user_id = forge_comm.current_user_id();
  RETURN (SELECT count(*) FROM regress_privacy.messages WHERE channel_id = channel);
END $$;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT id, pg_temp.leave(11) FROM messages ORDER BY id;
SELECT id FROM messages ORDER BY id;
ROLLBACK;
-- A function that is STABLE sees what the query sees, also in another's function
CREATE FUNCTION pg_temp.stable_count(channel int) RETURNS bigint LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN (SELECT count(*) FROM regress_privacy.messages WHERE channel_id = channel); END $$;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT pg_temp.stable_count(11), pg_temp.leave(11), pg_temp.stable_count(11), can_access_channel(11);
SELECT pg_temp.stable_count(11), can_access_channel(11);
ROLLBACK;
-- A cursor keeps what it was opened with
BEGIN;
SELECT forge_comm.set_context(2);
DECLARE kept CURSOR FOR SELECT id FROM messages ORDER BY id;
DECLARE scrolled SCROLL CURSOR WITH HOLD FOR SELECT id FROM reports ORDER BY id;
FETCH 1 FROM kept;
DELETE FROM channel_members WHERE channel_id = 11 AND user_id = 2;
SELECT count(*) FROM messages WHERE channel_id = 11;
FETCH ALL FROM kept;
FETCH ALL FROM scrolled;
SELECT count(*) FROM messages WHERE channel_id = 11;
ROLLBACK;

-- Many at once are looked up together, with the same answers
BEGIN;
SELECT forge_comm.set_service_context('more');
INSERT INTO channels SELECT i, 1, 'c' || i, true, false FROM generate_series(1000, 1099) AS i;
INSERT INTO channel_members (channel_id, user_id) SELECT i, 1 + i % 3 FROM generate_series(1000, 1099) AS i;
UPDATE channel_members SET deleted_at = now() WHERE channel_id BETWEEN 1090 AND 1099;
INSERT INTO messages (id, channel_id) SELECT i * 10, i FROM generate_series(1000, 1099) AS i;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT count(*), count(*) FILTER (WHERE channel_id % 3 = 1), min(channel_id), max(channel_id) FROM messages WHERE channel_id >= 1000;
SELECT count(*) FROM channels WHERE id >= 1000;
SELECT count(*) FROM unnest(ARRAY(SELECT generate_series(1, 2000))) AS id WHERE can_access_channel(id) AND id >= 1000;
DELETE FROM channel_members WHERE channel_id = 1000 AND user_id = 2;
DELETE FROM channel_members WHERE channel_id = 1003 AND user_id = 2;
SELECT count(*) FROM messages WHERE channel_id >= 1000;
UPDATE channel_members SET user_id = 3 WHERE channel_id = 1006;
SELECT count(*) FROM messages WHERE channel_id >= 1000;
ROLLBACK;

-- ---------------------------------------------------------- founding a channel

BEGIN;
SELECT forge_comm.set_context(3);
-- As ORMs do: the row, then its members
INSERT INTO channels VALUES (15, 1, 'mine', true, false) RETURNING id, is_private;
SELECT id FROM channels WHERE id = 15;
INSERT INTO messages (id, channel_id, body) VALUES (150, 15, 'before any member') RETURNING id;
INSERT INTO reactions (id, message_id) VALUES (150, 150) RETURNING id;
INSERT INTO channel_members (channel_id, user_id) VALUES (15, 2), (15, 3) RETURNING user_id;
UPDATE channels SET name = 'ours' WHERE id = 15 RETURNING name;
SELECT can_access_channel(15);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM messages WHERE channel_id = 15;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT id FROM messages WHERE channel_id = 15;
COMMIT;
-- all in one statement
BEGIN;
SELECT forge_comm.set_context(3);
WITH c AS (INSERT INTO channels VALUES (16, 1, 'one', true, false) RETURNING id),
     m AS (INSERT INTO channel_members (channel_id, user_id) SELECT id, 3 FROM c RETURNING channel_id)
INSERT INTO messages (id, channel_id) SELECT 160, channel_id FROM m RETURNING id;
SELECT count(*) FROM messages WHERE channel_id = 16;
ROLLBACK;
-- Several, and MERGE
BEGIN;
SELECT forge_comm.set_context(3);
INSERT INTO channels VALUES (16, 1, 'one', true, false), (17, 1, 'two', NULL, false), (18, 1, 'three', false, true) RETURNING id;
MERGE INTO channels USING (VALUES (19)) AS v (id) ON channels.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (19, 1, 'four', true, false);
SELECT id FROM channels WHERE id BETWEEN 16 AND 19 ORDER BY id;
-- only there
SELECT diagnostics('INSERT INTO channels VALUES (22, 2, ''elsewhere'', true, false)');
COMMIT;
-- Who has added no members has lost it: it was for that transaction only
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM channels WHERE id BETWEEN 16 AND 19;
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (16, 3)');
COMMIT;
-- A savepoint undone takes the founding along
BEGIN;
SELECT forge_comm.set_context(3);
SAVEPOINT s;
INSERT INTO channels VALUES (23, 1, 'undone', true, false) RETURNING id;
SELECT can_access_channel(23);
ROLLBACK TO s;
SELECT can_access_channel(23);
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 23)');
INSERT INTO channels VALUES (23, 1, 'again', true, false) RETURNING id;
SAVEPOINT t;
INSERT INTO channels VALUES (24, 1, 'kept', true, false) RETURNING id;
RELEASE t;
SELECT can_access_channel(23), can_access_channel(24);
ROLLBACK TO s;
SELECT can_access_channel(23), can_access_channel(24);
COMMIT;
-- The trap: an id that somebody else's channel has
CREATE FUNCTION pg_temp.peek(channel int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE WARNING 'peeked at %: %, %', channel, (SELECT count(*) FROM regress_privacy.messages WHERE channel_id = channel),
    regress_privacy.can_access_channel(channel);
  RETURN channel;
END $$;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT diagnostics('INSERT INTO channels VALUES (11, 1, ''mine'', true, false)');
SELECT diagnostics('INSERT INTO channels VALUES (11, 1, ''mine'', true, false) ON CONFLICT DO NOTHING RETURNING id');
SELECT diagnostics('INSERT INTO channels VALUES (25, 1, ''mine'', true, false), (11, 1, ''mine'', true, false) ON CONFLICT DO NOTHING');
SELECT can_access_channel(11), can_access_channel(25), (SELECT count(*) FROM messages WHERE channel_id = 11);
-- with another's workspace, or told to be public
SELECT diagnostics('INSERT INTO channels VALUES (21, 1, ''mine'', true, false) ON CONFLICT DO NOTHING');
INSERT INTO channels VALUES (11, 1, 'mine', false, false), (21, 1, 'mine', false, false) ON CONFLICT DO NOTHING RETURNING id;
SELECT diagnostics('INSERT INTO channels VALUES (11, 1, ''mine'', false, false)');
SELECT can_access_channel(11), can_access_channel(21), (SELECT count(*) FROM messages WHERE channel_id IN (11, 21));
-- beside a look at it, in any order
SELECT diagnostics($$WITH i AS (INSERT INTO channels VALUES (11, 1, 'mine', true, false) ON CONFLICT DO NOTHING RETURNING id)
  SELECT pg_temp.peek(11) UNION ALL SELECT id::text FROM i UNION ALL SELECT pg_temp.peek(11)$$);
WITH i AS (INSERT INTO channels VALUES (11, 1, 'mine', false, false), (26, 1, 'mine', true, false) ON CONFLICT DO NOTHING RETURNING id)
SELECT id FROM i UNION ALL SELECT id FROM channels WHERE id = 11 UNION ALL SELECT id FROM messages WHERE channel_id = 11;
WITH i AS (INSERT INTO channels VALUES (11, 1, 'mine', false, false) ON CONFLICT DO NOTHING RETURNING id),
     m AS (SELECT id FROM messages WHERE channel_id = 11)
SELECT (SELECT count(*) FROM i), (SELECT count(*) FROM m), can_access_channel(11);
-- from within a function that the statement calls while it writes: what it may
-- see is what there was, and its own rows
SELECT diagnostics($$INSERT INTO channels SELECT 11, 1, pg_temp.peek(11), true, false ON CONFLICT DO NOTHING$$);
SELECT diagnostics($$INSERT INTO channels SELECT id, 1, pg_temp.peek(id), true, false FROM unnest('{27,11,28}'::int[]) AS id ON CONFLICT DO NOTHING RETURNING pg_temp.peek(11)$$);
INSERT INTO channels SELECT id, 1, pg_temp.peek(id), id <> 11, false FROM unnest('{27,11,28}'::int[]) AS id ON CONFLICT DO NOTHING RETURNING id, pg_temp.peek(11);
-- in a block that catches the error
DO $$
BEGIN
  INSERT INTO channels VALUES (11, 1, 'mine', true, false);
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'caught %: %', SQLSTATE, (SELECT count(*) FROM messages WHERE channel_id = 11);
END $$;
SELECT can_access_channel(11);
-- inserted and deleted, the id is nobody's
INSERT INTO channels VALUES (29, 1, 'short', true, false) RETURNING id;
DELETE FROM channels WHERE id = 29 RETURNING id;
SELECT can_access_channel(29);
ROLLBACK;
-- a member is not surprised by it
BEGIN;
SELECT forge_comm.set_context(1);
INSERT INTO channels VALUES (11, 1, 'again', true, false) ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO channels VALUES (11, 1, 'again', true, false) ON CONFLICT (id) DO UPDATE SET name = 'again' RETURNING name;
ROLLBACK;
-- A service founds nothing, and needs not to
BEGIN;
SELECT forge_comm.set_service_context('make');
INSERT INTO channels VALUES (30, 1, 'made', true, false) RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM channels WHERE id = 30;
COMMIT;

-- ------------------------------------------------- parallel plans, cached plans

CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  lines text := '';
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    lines := lines || E'\n' || line;
  END LOOP;
  RETURN lines;
END $$;
RESET SESSION AUTHORIZATION;
ALTER TABLE messages SET (parallel_workers = 2);
ALTER TABLE channels SET (parallel_workers = 2);
ANALYZE messages, channels, channel_members;
SET SESSION AUTHORIZATION regress_app;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT pg_temp.plan_of('SELECT count(*) FROM messages') ~ 'Gather', pg_temp.plan_of('SELECT count(*) FROM channels') ~ 'Gather';
SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM channels), (SELECT sum(id) FROM messages WHERE can_access_channel(channel_id));
-- what this transaction has founded, added and taken
INSERT INTO channels VALUES (31, 1, 'founded', true, false);
INSERT INTO messages (id, channel_id) SELECT 3100 + i, 31 FROM generate_series(1, 50) AS i;
DELETE FROM channel_members WHERE channel_id = 11 AND user_id = 2;
SELECT pg_temp.plan_of('SELECT count(*) FROM messages') ~ 'Gather';
SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM channels), (SELECT count(*) FROM messages WHERE channel_id = 31), (SELECT count(*) FROM messages WHERE channel_id = 11);
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT pg_temp.plan_of('SELECT count(*) FROM messages') ~ 'Gather';
SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM channels), (SELECT count(*) FROM messages WHERE channel_id = 31), (SELECT count(*) FROM messages WHERE channel_id = 11);
ROLLBACK;
BEGIN;
SELECT forge_comm.set_service_context('count');
SELECT count(*) FROM messages;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT count(*) FROM messages;
COMMIT;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;

-- One plan, user after user
SET plan_cache_mode = force_generic_plan;
PREPARE ids AS SELECT string_agg(id::text, ' ' ORDER BY id) FROM messages WHERE id < 200;
PREPARE of_channel (int) AS SELECT count(*) FROM messages WHERE channel_id = $1;
CREATE FUNCTION pg_temp.sql_count(int) RETURNS bigint LANGUAGE sql STABLE SET work_mem = '4MB' AS 'SELECT count(*) FROM regress_privacy.messages WHERE channel_id = $1';
CREATE FUNCTION pg_temp.asked(int) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN regress_privacy.can_access_channel($1); END';
BEGIN;
SELECT forge_comm.set_context(1);
EXECUTE ids; EXECUTE of_channel(11);
SELECT pg_temp.sql_count(11), pg_temp.stable_count(11), pg_temp.asked(11);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
EXECUTE ids; EXECUTE of_channel(11);
SELECT pg_temp.sql_count(11), pg_temp.stable_count(11), pg_temp.asked(11);
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('count');
EXECUTE ids; EXECUTE of_channel(11);
SELECT pg_temp.sql_count(11), pg_temp.stable_count(11), pg_temp.asked(11);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(4, 1);
EXECUTE ids; EXECUTE of_channel(11);
COMMIT;
DEALLOCATE ALL;
RESET plan_cache_mode;

-- ------------------------------------------------- those who are not bound, actions

RESET SESSION AUTHORIZATION;
SELECT count(*) FROM messages WHERE channel_id = 11;
INSERT INTO messages (id, channel_id) VALUES (113, 11) RETURNING workspace_id;
SELECT diagnostics('UPDATE messages SET channel_id = 10 WHERE id = 113');
DELETE FROM messages WHERE id = 113;
-- A member who deletes the channel deletes what is under it
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
DELETE FROM channels WHERE id = 11 RETURNING id;
RESET SESSION AUTHORIZATION;
SELECT (SELECT count(*) FROM messages WHERE channel_id = 11), (SELECT count(*) FROM reactions WHERE id = 11), (SELECT count(*) FROM reports WHERE id = 11);
ROLLBACK;
SET SESSION AUTHORIZATION regress_app;

-- --------------------------------------------------- guards that were taken away

SET SESSION AUTHORIZATION regress_owner;
-- Without its trigger nothing private is shown, referenced or let in
ALTER TABLE channels DISABLE TRIGGER forge_comm_privacy;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT diagnostics('SELECT * FROM channels WHERE id = 11');
SELECT diagnostics('SELECT * FROM messages');
SELECT diagnostics('SELECT can_access_channel(10)');
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 11)');
SELECT diagnostics('INSERT INTO pins VALUES (1, 1, NULL, 11)');
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (11, 3)');
SELECT diagnostics('INSERT INTO channels VALUES (32, 1, ''private'', true, false)');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
SELECT diagnostics($$SELECT forge_comm.enable_privacy('channels', 'is_private OR is_dm', 'channel_members')$$);
ALTER TABLE channels ENABLE TRIGGER forge_comm_privacy;
-- That of a table in between
ALTER TABLE messages DISABLE TRIGGER forge_comm_privacy;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT id FROM messages WHERE id < 200 ORDER BY id;
SELECT diagnostics('SELECT * FROM reactions');
SELECT diagnostics('INSERT INTO pins VALUES (1, 1, 110, NULL)');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE messages ENABLE TRIGGER forge_comm_privacy;
-- That which remembers founders
ALTER TABLE channels DISABLE TRIGGER forge_comm_privacy_founded;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
INSERT INTO channels VALUES (32, 1, 'private', true, false) RETURNING id;
SELECT id FROM channels WHERE id = 32;
SELECT diagnostics('INSERT INTO channel_members (channel_id, user_id) VALUES (32, 2)');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE channels ENABLE TRIGGER forge_comm_privacy_founded;

-- What is renamed is asked for by its old name, until privacy is enabled anew
CREATE FUNCTION after(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE change;
  PERFORM forge_comm.set_context(2);
  RETURN NEXT diagnostics('SELECT FROM regress_privacy.channels WHERE id IN (10, 11)');
  RETURN NEXT diagnostics('SELECT FROM regress_privacy.reports WHERE id = 11');
  RETURN NEXT diagnostics('INSERT INTO regress_privacy.reports (id, reaction_id) VALUES (1, 11)');
END $$;
BEGIN; SELECT after('ALTER TABLE channels RENAME is_private TO hidden'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE channel_members RENAME user_id TO person_id'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE channel_members RENAME TO channel_people'); ROLLBACK;
BEGIN; SELECT after('DROP TABLE channel_members CASCADE'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE messages RENAME channel_id TO channel'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE messages DROP CONSTRAINT messages_channel_id_fkey'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE reports DROP CONSTRAINT reports_reaction_id_fkey, DROP COLUMN reason'); ROLLBACK;
BEGIN; SELECT after('DROP INDEX channel_members_user_id_idx'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE channel_members DROP CONSTRAINT channel_members_pkey'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE channel_members DROP CONSTRAINT channel_members_pkey; DROP INDEX channel_members_user_id_idx'); ROLLBACK;
-- other names matter not
BEGIN; SELECT after('ALTER TABLE messages RENAME TO posts; ALTER TABLE reactions RENAME TO likes'); ROLLBACK;
SELECT diagnostics('DROP TABLE channels');

-- ----------------------------------------------------------------- disabling

-- A table under another goes with what is under it
SELECT forge_comm.disable_privacy('reactions');
SELECT relname, what FROM state WHERE what ~ '^(policy|trigger) forge_comm_privacy' ORDER BY 1, 2;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT count(*) FROM reactions WHERE id = 11;
SELECT count(*) FROM messages WHERE id = 110;
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_privacy('reactions', via => 'message_id');
SELECT forge_comm.enable_privacy('reports', via => 'reaction_id');
SELECT what FROM pg_temp.enabled EXCEPT SELECT what FROM state;
-- The channels, with all
SELECT forge_comm.disable_privacy('channels');
SELECT * FROM state WHERE what !~ 'seen|after' EXCEPT TABLE pg_temp.before;
TABLE pg_temp.before EXCEPT TABLE state;
SET client_min_messages = notice;
SELECT forge_comm.disable_privacy('channels');
SELECT forge_comm.disable_privacy('messages');
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
SELECT diagnostics('SELECT forge_comm.can_access(''channels'', 10)');
BEGIN;
SELECT forge_comm.set_context(3);
SELECT count(*) FROM messages WHERE channel_id = 11;
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
-- and with tenancy all is as it was found
SELECT forge_comm.disable_soft_delete('channel_members');
SELECT forge_comm.disable_tenancy(t, true) FROM unnest('{pins,reports,reactions,messages,channel_members,channels}'::regclass[]) AS t;
SELECT * FROM state WHERE what !~ 'seen|after' EXCEPT TABLE pg_temp.untouched;
TABLE pg_temp.untouched EXCEPT TABLE state;
DROP VIEW seen;
DROP FUNCTION after(text);
DROP TABLE channels, channel_members, messages, reactions, reports, pins;

-- ------------------------------------ partitions, children, keys, types, creators

-- Ids of any width, keys with the workspace in them, a member's columns the
-- other way round, partitions and children of what is under; all in one
-- transaction, with rows
CREATE TABLE rooms (
  id smallint PRIMARY KEY,
  workspace_id bigint NOT NULL,
  owner_id bigint,
  hidden boolean NOT NULL,
  UNIQUE (workspace_id, id)
);
CREATE TABLE guests (
  person smallint NOT NULL,
  room bigint NOT NULL,
  workspace_id bigint NOT NULL,
  left_at timestamptz,
  banned boolean,
  PRIMARY KEY (person, room)
);
ALTER TABLE guests ADD FOREIGN KEY (workspace_id, room) REFERENCES rooms (workspace_id, id) ON DELETE CASCADE;
CREATE TABLE posts (
  id bigint NOT NULL,
  room_id integer NOT NULL,
  workspace_id bigint NOT NULL,
  thread_id bigint,
  at int NOT NULL,
  PRIMARY KEY (id, at),
  -- a thread is in its room: the key to the table itself has the same column
  UNIQUE (room_id, id, at),
  CONSTRAINT a_thread FOREIGN KEY (room_id, thread_id, at) REFERENCES posts (room_id, id, at),
  CONSTRAINT b_room FOREIGN KEY (workspace_id, room_id) REFERENCES rooms (workspace_id, id) ON DELETE CASCADE
) PARTITION BY RANGE (at);
CREATE TABLE posts_1 PARTITION OF posts FOR VALUES FROM (0) TO (10);
CREATE TABLE files (id int PRIMARY KEY, workspace_id bigint NOT NULL, room_id smallint REFERENCES rooms, name text, size int);
CREATE TABLE images (width int, FOREIGN KEY (room_id) REFERENCES rooms) INHERITS (files);
-- a reply's key to the table itself, and what is under it
CREATE TABLE notes (
  id int PRIMARY KEY,
  room_id smallint NOT NULL,
  parent_id int,
  UNIQUE (room_id, id),
  CONSTRAINT a_parent FOREIGN KEY (room_id, parent_id) REFERENCES notes (room_id, id),
  CONSTRAINT b_room FOREIGN KEY (room_id) REFERENCES rooms
);
CREATE TABLE stars (id int PRIMARY KEY, note_id int NOT NULL REFERENCES notes);
INSERT INTO rooms VALUES (1, 1, NULL, false), (2, 1, 3, true), (3, 1, 1, true), (4, 2, NULL, true);
INSERT INTO guests VALUES (2, 2, 1, NULL, false), (1, 2, 1, '2001-01-01', false), (4, 2, 1, NULL, NULL), (4, 4, 2, NULL, false);
INSERT INTO posts SELECT i, i, CASE WHEN i < 4 THEN 1 ELSE 2 END, NULL, i FROM generate_series(1, 4) AS i;
INSERT INTO files SELECT i, CASE WHEN i < 4 THEN 1 ELSE 2 END, i, 'file' FROM generate_series(1, 4) AS i;
INSERT INTO images SELECT 10 + i, CASE WHEN i < 4 THEN 1 ELSE 2 END, i, 'image' FROM generate_series(1, 4) AS i;
INSERT INTO notes SELECT i, 5 - i, NULL FROM generate_series(1, 4) AS i;
INSERT INTO stars SELECT i, i FROM generate_series(1, 4) AS i;
GRANT SELECT, INSERT, UPDATE, DELETE ON rooms, guests, posts, posts_1, files, images, notes, stars TO regress_app;
CREATE VIEW shown WITH (security_invoker) AS
SELECT 'rooms' AS table_, string_agg(id::text, ' ' ORDER BY id) AS ids FROM rooms
UNION ALL SELECT 'guests', string_agg(room || '/' || person, ' ' ORDER BY room, person) FROM guests
UNION ALL SELECT 'posts', string_agg(id::text, ' ' ORDER BY id) FROM posts
UNION ALL SELECT 'posts_1', string_agg(id::text, ' ' ORDER BY id) FROM posts_1
UNION ALL SELECT 'files', string_agg(id::text, ' ' ORDER BY id) FROM files
UNION ALL SELECT 'only files', string_agg(id::text, ' ' ORDER BY id) FROM ONLY files
UNION ALL SELECT 'images', string_agg(id::text, ' ' ORDER BY id) FROM images
UNION ALL SELECT 'notes', string_agg(id::text, ' ' ORDER BY id) FROM notes
UNION ALL SELECT 'stars', string_agg(id::text, ' ' ORDER BY id) FROM stars;
GRANT SELECT ON shown TO regress_app;
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
BEGIN;
SELECT forge_comm.enable_tenancy('rooms');
SELECT forge_comm.enable_tenancy('guests', via => 'room');
SELECT forge_comm.enable_tenancy('posts', via => 'room_id');
SELECT forge_comm.enable_tenancy('files');
COMMIT;
SELECT forge_comm.enable_tenancy('notes', via => 'room_id');
CALL forge_comm.backfill('notes');
SELECT forge_comm.enable_tenancy('stars', via => 'note_id');
CALL forge_comm.backfill('stars');
CREATE TABLE pg_temp.tenancy AS SELECT * FROM state;
BEGIN;
SELECT forge_comm.enable_privacy('rooms', 'hidden', 'guests', 'room', 'person', '{posts,files,stars,notes}', 'owner_id',
                                 active => 'left_at IS NULL AND NOT banned');
SELECT forge_comm.set_context(2);
TABLE shown;
ROLLBACK;
(TABLE state EXCEPT TABLE pg_temp.tenancy) UNION ALL (TABLE pg_temp.tenancy EXCEPT TABLE state);
SELECT forge_comm.enable_privacy('rooms', 'hidden', 'guests', 'room', 'person', '{posts,files,stars,notes}', 'owner_id',
                                 active => 'left_at IS NULL AND NOT banned');
SELECT relname, what FROM state WHERE what ~ '^(policy|trigger) forge_comm_privacy' AND relname <> 'rooms' ORDER BY 1, 2;
SET SESSION AUTHORIZATION regress_app;
-- a member; one who has left, and made another room; one who made it; one of whom it is not known whether they are banned
BEGIN; SELECT forge_comm.set_context(2); TABLE shown; COMMIT;
BEGIN; SELECT forge_comm.set_context(1); TABLE shown; COMMIT;
BEGIN; SELECT forge_comm.set_context(3); TABLE shown; COMMIT;
BEGIN; SELECT forge_comm.set_context(4); TABLE shown; COMMIT;
-- a user whose id the column cannot hold
RESET SESSION AUTHORIZATION;
INSERT INTO memberships VALUES (70000, 1, 'member');
SET SESSION AUTHORIZATION regress_app;
BEGIN; SELECT forge_comm.set_context(70000); TABLE shown; SELECT can_access_channel(2::smallint), forge_comm.can_access('rooms', 65538); COMMIT;
-- The one who is named as its maker keeps the room
BEGIN;
SELECT forge_comm.set_context(3);
INSERT INTO rooms VALUES (5, 1, 3, true), (6, 1, NULL, true), (7, 1, 2, true) RETURNING id;
INSERT INTO posts (id, room_id, at) VALUES (5, 5, 5), (7, 7, 7) RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM rooms WHERE id > 4;
INSERT INTO guests (person, room, banned) VALUES (1, 5, false) RETURNING workspace_id;
-- but gives it to nobody else without being in it
SELECT diagnostics('UPDATE rooms SET owner_id = 1 WHERE id = 5');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT id FROM posts WHERE room_id > 4;
-- nobody makes themself the maker of what they do not see
UPDATE rooms SET owner_id = 2 WHERE id IN (3, 5) RETURNING id;
SELECT diagnostics('INSERT INTO rooms VALUES (3, 1, 2, true) ON CONFLICT (id) DO UPDATE SET owner_id = 2');
INSERT INTO rooms VALUES (3, 1, 2, true) ON CONFLICT DO NOTHING RETURNING id;
SELECT can_access_channel(3::smallint);
COMMIT;
-- What is under rows of a partitioned table, or in its partitions, moves nowhere
BEGIN;
SELECT forge_comm.set_context(2);
SELECT diagnostics('UPDATE posts SET room_id = 1 WHERE id = 2');
SELECT diagnostics('UPDATE posts_1 SET room_id = 1 WHERE id = 2');
SELECT diagnostics('UPDATE files SET room_id = 1 WHERE id = 2');
SELECT diagnostics('UPDATE files SET room_id = 1 WHERE id = 12');
SELECT diagnostics('UPDATE images SET room_id = 1 WHERE id = 12');
SELECT diagnostics('INSERT INTO posts_1 (id, room_id, at) VALUES (9, 3, 1)');
SELECT diagnostics('INSERT INTO images (id, workspace_id, room_id) VALUES (9, 1, 3)');
SELECT diagnostics('INSERT INTO files (id, workspace_id, room_id) VALUES (9, 1, 3)');
SELECT diagnostics('INSERT INTO stars (id, note_id) VALUES (9, 2)');
INSERT INTO notes (id, room_id, parent_id) VALUES (9, 2, 3) RETURNING id;
INSERT INTO stars (id, note_id) VALUES (9, 9) RETURNING id;
ROLLBACK;
-- Partitions and children made later are guarded like those that were there
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE posts_2 PARTITION OF posts FOR VALUES FROM (10) TO (20);
CREATE TABLE posts_3 (LIKE posts);
CREATE TABLE songs (FOREIGN KEY (room_id) REFERENCES rooms) INHERITS (files);
GRANT SELECT, INSERT, UPDATE ON posts_2, posts_3, songs TO regress_app;
BEGIN;
SELECT forge_comm.set_service_context('attach');
INSERT INTO posts_3 VALUES (30, 3, 1, NULL, 30);
ALTER TABLE posts ATTACH PARTITION posts_3 FOR VALUES FROM (30) TO (40);
INSERT INTO posts (id, room_id, at) VALUES (20, 3, 12) RETURNING id;
INSERT INTO songs (id, workspace_id, room_id) VALUES (40, 1, 3) RETURNING id;
COMMIT;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT (SELECT count(*) FROM posts_2), (SELECT count(*) FROM posts_3), (SELECT count(*) FROM songs), (SELECT count(*) FROM files WHERE id = 40), (SELECT count(*) FROM posts WHERE at > 9);
SELECT diagnostics('INSERT INTO posts_2 (id, room_id, at) VALUES (21, 3, 12)');
INSERT INTO posts_2 (id, room_id, at) VALUES (21, 2, 12) RETURNING id;
SELECT diagnostics('UPDATE posts_2 SET room_id = 1 WHERE id = 21');
UPDATE posts SET at = 5 WHERE id = 21 RETURNING tableoid::regclass;
SELECT diagnostics('INSERT INTO songs (id, workspace_id, room_id) VALUES (41, 1, 3)');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT (SELECT count(*) FROM posts_2), (SELECT count(*) FROM posts_3), (SELECT count(*) FROM songs), (SELECT count(*) FROM files WHERE id = 40), (SELECT count(*) FROM posts WHERE at > 9);
COMMIT;
-- The channels themselves are one table, and what is under a row is found by one id
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE parted (id int, workspace_id int NOT NULL, hidden boolean, PRIMARY KEY (id, workspace_id)) PARTITION BY LIST (workspace_id);
CREATE TABLE parted_members (channel_id int, workspace_id int NOT NULL, user_id int, UNIQUE (channel_id, user_id));
CREATE TABLE keyless (id int UNIQUE, workspace_id int NOT NULL, hidden boolean);
CREATE TABLE post_marks (id int PRIMARY KEY, workspace_id int NOT NULL, post_id bigint, at int, FOREIGN KEY (post_id, at) REFERENCES posts);
SELECT forge_comm.enable_tenancy(t) FROM unnest('{parted,parted_members,keyless,post_marks}'::regclass[]) AS t;
SELECT diagnostics($$SELECT forge_comm.enable_privacy('parted', 'hidden', 'parted_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('keyless', 'hidden', 'parted_members')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('post_marks', via => 'post_id')$$);
SELECT diagnostics($$SELECT forge_comm.enable_privacy('files', via => 'size')$$);
-- What references such rows has to say what they are under
CREATE TABLE post_links (id int PRIMARY KEY, workspace_id int NOT NULL, room_id int, post_id bigint, at int,
                         FOREIGN KEY (room_id, post_id, at) REFERENCES posts (room_id, id, at));
SELECT forge_comm.enable_tenancy('post_links');
GRANT INSERT ON post_marks, post_links TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT diagnostics('INSERT INTO post_marks VALUES (1, 1, 2, 2)');
INSERT INTO post_links VALUES (1, 1, 2, 2, 2);
SELECT diagnostics('INSERT INTO post_links VALUES (2, 1, 3, 3, 3)') AS private,
       diagnostics('INSERT INTO post_links VALUES (2, 1, 2, 99, 3)') AS missing
\gset
\echo :private
SELECT :'private' = :'missing';
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
DROP TABLE parted, parted_members, keyless, post_marks, post_links;
SELECT forge_comm.disable_privacy('rooms');
SELECT * FROM state WHERE what ~ 'privacy_guard|policy forge_comm_privacy';
ALTER TABLE posts DROP CONSTRAINT a_thread;
DROP TABLE posts_2, posts_3, songs;
(TABLE state EXCEPT TABLE pg_temp.tenancy) UNION ALL (TABLE pg_temp.tenancy EXCEPT TABLE state);
SELECT forge_comm.disable_tenancy(t, true) FROM unnest('{stars,notes,files,posts,guests,rooms}'::regclass[]) AS t;
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

-- A thread has the id of the message at its root: that is not what messages are under
CREATE TABLE threads (id int PRIMARY KEY, workspace_id int NOT NULL, is_private boolean);
CREATE TABLE thread_members (thread_id int REFERENCES threads, user_id int, PRIMARY KEY (thread_id, user_id));
CREATE TABLE replies (
  id int PRIMARY KEY,
  thread_id int NOT NULL,
  CONSTRAINT a_root FOREIGN KEY (thread_id) REFERENCES replies,
  CONSTRAINT thread FOREIGN KEY (thread_id) REFERENCES threads,
  CONSTRAINT z_root FOREIGN KEY (thread_id) REFERENCES replies
);
INSERT INTO threads VALUES (1, 1, true);
INSERT INTO thread_members VALUES (1, 2);
INSERT INTO replies VALUES (1, 1), (2, 1);
SELECT forge_comm.enable_tenancy('threads');
SELECT forge_comm.enable_tenancy(t, via => 'thread_id') FROM unnest('{thread_members,replies}'::regclass[]) AS t;
SELECT forge_comm.enable_privacy('threads', 'is_private', 'thread_members', 'thread_id', children => '{replies}');
BEGIN;
SELECT forge_comm.set_context(1);
SELECT count(*) FROM replies;
SELECT forge_comm.can_access('replies', 2);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT count(*) FROM replies;
SELECT forge_comm.can_access('replies', 2);
COMMIT;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_privacy CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
