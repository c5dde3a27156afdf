-- Rows belong to a workspace: what is read, written and referenced.
\set schema regress_tenancy
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql

CREATE TABLE workspaces (id bigint PRIMARY KEY, name text UNIQUE);
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE channels (
  id int PRIMARY KEY,
  workspace_id bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text,
  UNIQUE (workspace_id, name)
);
CREATE TABLE messages (
  id int PRIMARY KEY,
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  parent_id int REFERENCES messages ON DELETE CASCADE,
  user_id int REFERENCES users ON DELETE SET NULL ON UPDATE CASCADE,
  body text
);
CREATE TABLE reactions (
  id int PRIMARY KEY,
  message_id int NOT NULL REFERENCES messages ON DELETE CASCADE,
  emoji text
);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON workspaces, channels, messages, reactions, users TO regress_app;
CREATE TABLE pg_temp.before AS SELECT * FROM state;

-- ---------------------------------------------------------------- enabling

SELECT forge_comm.enable_tenancy('workspaces', workspace_column => 'id');
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
SELECT * FROM state EXCEPT SELECT * FROM pg_temp.before ORDER BY 1, 2;
SELECT * FROM forge_comm.rules('messages');
-- Again changes nothing
CREATE TABLE pg_temp.enabled AS SELECT * FROM state;
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('messages', 'workspace_id', 'channel_id');
SET client_min_messages = warning;
(TABLE state EXCEPT TABLE pg_temp.enabled) UNION ALL (TABLE pg_temp.enabled EXCEPT TABLE state);

-- ------------------------------------------------------------------- seeding

-- A workspace is made by a service
BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO workspaces VALUES (1, 'one'), (2, 'two') RETURNING id;
INSERT INTO users VALUES (1, 'u1'), (2, 'u2');
INSERT INTO channels VALUES (10, 1, 'general'), (20, 2, 'general');
INSERT INTO messages (id, channel_id, body) VALUES (100, 10, 'one'), (200, 20, 'two') RETURNING id, workspace_id;
-- where a row that names no workspace needs a parent to tell
SELECT diagnostics('INSERT INTO channels VALUES (11, NULL, ''lost'')');
COMMIT;

-- ------------------------------------------------------------------- reading

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT * FROM workspaces;
SELECT * FROM channels;
SELECT * FROM messages;
SELECT * FROM reactions;
SELECT count(*) FROM messages WHERE channel_id = 20 OR id = 200 OR workspace_id = 2;
SELECT w.name, c.name, m.body FROM workspaces w JOIN channels c ON c.workspace_id = w.id JOIN messages m ON m.channel_id = c.id;
SELECT (SELECT count(*) FROM channels), EXISTS (SELECT FROM messages WHERE id = 200);
COPY channels TO stdout;
COPY (SELECT id, body FROM messages) TO stdout;
-- What a function is shown that wants to be asked first
CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE WARNING 'spied %', $1; RETURN true; END $$;
SELECT count(*) FROM messages WHERE pg_temp.spy(body);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2, 2);
SELECT * FROM workspaces;
SELECT * FROM channels;
SELECT * FROM messages;
COMMIT;
-- The owner is bound as well
SET SESSION AUTHORIZATION regress_owner;
SELECT diagnostics('SELECT * FROM channels');
BEGIN;
SELECT forge_comm.set_context(2, 2);
SELECT * FROM channels;
COMMIT;
SET SESSION AUTHORIZATION regress_app;

-- ------------------------------------------------------------------- writing

BEGIN;
SELECT forge_comm.set_context(1, 1);
INSERT INTO channels VALUES (11, 1, 'random') RETURNING *;
-- The workspace is filled in: from the pinned one, or through the parent
INSERT INTO channels (id, name) VALUES (12, 'more') RETURNING *;
INSERT INTO messages (id, channel_id, body) VALUES (101, 10, 'first') RETURNING *;
INSERT INTO messages (id, channel_id, parent_id, body) VALUES (102, 11, 101, 'reply'), (103, 11, 102, 'reply to it') RETURNING id, workspace_id;
INSERT INTO reactions (id, message_id, emoji) VALUES (1, 101, ':)') RETURNING *;
INSERT INTO messages (id, workspace_id, channel_id, body) VALUES (104, 1, 10, 'told') RETURNING id, workspace_id;
-- parents of the same statement
WITH c AS (INSERT INTO channels (id, name) VALUES (13, 'new') RETURNING id)
INSERT INTO messages (id, channel_id, body) SELECT 105, id, 'in the new' FROM c RETURNING id, channel_id, workspace_id;
WITH u AS (UPDATE messages SET body = upper(body) WHERE id > 100 RETURNING id, body) SELECT * FROM u ORDER BY id;
UPDATE messages SET workspace_id = 1, channel_id = 12 WHERE id = 105 RETURNING id, channel_id;
DELETE FROM messages WHERE id = 105 RETURNING id;
-- Rows of others are not there
UPDATE messages SET body = 'mine' WHERE id = 200 RETURNING id;
UPDATE messages SET body = 'mine' WHERE workspace_id = 2 RETURNING id;
DELETE FROM messages WHERE id = 200 RETURNING id;
DELETE FROM workspaces WHERE id = 2 RETURNING id;
-- and none can be made there
SELECT diagnostics('INSERT INTO channels VALUES (21, 2, ''mine'')');
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (201, 2, 20)');
SELECT diagnostics('INSERT INTO workspaces VALUES (3, ''mine'')');
SELECT diagnostics('INSERT INTO channels VALUES (20, 1, ''mine'') ON CONFLICT (id) DO UPDATE SET name = ''mine''');
SELECT diagnostics($$MERGE INTO channels USING (VALUES (20)) AS v (id) ON channels.id = v.id
                     WHEN NOT MATCHED THEN INSERT VALUES (22, 2, 'mine')$$);
-- or moved there
SELECT diagnostics('UPDATE channels SET workspace_id = 2 WHERE id = 10');
SELECT diagnostics('UPDATE messages SET workspace_id = 2 WHERE id = 100');
SELECT diagnostics('UPDATE messages SET workspace_id = NULL WHERE id = 100');
SELECT diagnostics('UPDATE workspaces SET id = 3 WHERE id = 1');
SELECT diagnostics('UPDATE messages SET (channel_id, workspace_id) = (20, 2) WHERE id = 100');
COMMIT;

-- -------------------------------------------------------------- referencing

-- A parent of another workspace is one that does not exist, word for word
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (106, 999)') AS missing,
       diagnostics('INSERT INTO messages (id, channel_id) VALUES (106, 20)') AS foreign_,
       diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (106, 1, 999)') AS told,
       diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (106, 1, 20)') AS told_foreign,
       diagnostics('UPDATE messages SET channel_id = 999 WHERE id = 100') AS updated,
       diagnostics('UPDATE messages SET channel_id = 20 WHERE id = 100') AS updated_foreign
\gset
\echo :missing
SELECT :'missing' = :'foreign_', :'missing' = :'told', :'told' = :'told_foreign', :'missing' = :'updated', :'updated' = :'updated_foreign';
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (106, 10, 999)') AS missing,
       diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (106, 10, 200)') AS foreign_
\gset
\echo :foreign_
SELECT :'missing' = :'foreign_';
SELECT diagnostics('INSERT INTO reactions (id, message_id) VALUES (2, 200)');
SELECT diagnostics($$MERGE INTO messages USING (VALUES (100)) AS v (id) ON messages.id = v.id
                     WHEN MATCHED THEN UPDATE SET channel_id = 20$$);
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (100, 10) ON CONFLICT (id) DO UPDATE SET parent_id = 200');
-- Keys to what is no tenant's are left to themselves
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (106, 10, 999)');
INSERT INTO messages (id, channel_id, user_id) VALUES (106, 10, 1) RETURNING id, user_id;
COMMIT;

-- Several workspaces in scope are still several
RESET SESSION AUTHORIZATION;
CREATE TABLE memberships (user_id int, workspace_id bigint);
CREATE INDEX ON memberships (user_id);
INSERT INTO memberships VALUES (7, 1), (7, 2), (8, 1);
SELECT forge_comm.use_memberships('memberships');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT id FROM messages WHERE id IN (100, 200) ORDER BY id;
INSERT INTO messages (id, channel_id) VALUES (107, 10), (207, 20) RETURNING id, workspace_id;
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (108, 10, 200)');
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (108, 1, 20)');
SELECT diagnostics('UPDATE channels SET workspace_id = 2 WHERE id = 13');
SELECT diagnostics('INSERT INTO channels (id, name) VALUES (14, ''whose'')');
SELECT forge_comm.pin_workspace(2);
INSERT INTO channels (id, name) VALUES (24, 'pinned') RETURNING workspace_id;
SELECT id FROM messages WHERE id IN (100, 200) ORDER BY id;
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();

-- ----------------------------------------------------- those who are not bound

-- For a superuser workspaces are filled and references checked all the same
INSERT INTO messages (id, channel_id) VALUES (109, 10), (209, 20) RETURNING id, workspace_id;
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (110, 10, 200)');
SELECT diagnostics('UPDATE messages SET workspace_id = 2 WHERE id = 109');
SELECT diagnostics('INSERT INTO channels (id, name) VALUES (14, ''whose'')');
DELETE FROM messages WHERE id IN (109, 209);
-- Referential actions follow keys for everybody
UPDATE messages SET user_id = 1 WHERE id IN (100, 200);
UPDATE users SET id = 3 WHERE id = 1;
SELECT id, user_id FROM messages WHERE id IN (100, 200) ORDER BY id;
DELETE FROM users WHERE id = 3;
SELECT id, user_id FROM messages WHERE id IN (100, 200) ORDER BY id;

-- ------------------------------------------------------------------ TRUNCATE

SET SESSION AUTHORIZATION regress_app;
SELECT diagnostics('TRUNCATE reactions');
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT diagnostics('TRUNCATE reactions');
SELECT diagnostics('TRUNCATE users CASCADE');
SET LOCAL forge_comm.missing_context = 'empty';
SELECT diagnostics('TRUNCATE reactions');
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
BEGIN;
SELECT forge_comm.set_service_context('empty it');
TRUNCATE reactions;
ROLLBACK;

-- Cascades stay within the workspace
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
DELETE FROM workspaces RETURNING id;
SELECT (SELECT count(*) FROM channels), (SELECT count(*) FROM messages), (SELECT count(*) FROM reactions);
RESET SESSION AUTHORIZATION;
SELECT DISTINCT workspace_id FROM messages;
ROLLBACK;

-- ---------------------------------------- keys of several columns, and of none

SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE rooms (id smallint PRIMARY KEY, tenant smallint NOT NULL, UNIQUE (tenant, id));
CREATE TABLE posts (
  tenant smallint NOT NULL,
  id int,
  room_id smallint,
  reply_to int,
  quoted int,
  PRIMARY KEY (tenant, id),
  UNIQUE (id, room_id),
  FOREIGN KEY (tenant, room_id) REFERENCES rooms (tenant, id),
  FOREIGN KEY (tenant, reply_to) REFERENCES posts,
  FOREIGN KEY (quoted, room_id) REFERENCES posts (id, room_id)
);
SELECT forge_comm.enable_tenancy('rooms', 'tenant');
SELECT forge_comm.enable_tenancy('posts', 'tenant', via => 'room_id');
BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO rooms VALUES (1, 1), (2, 2);
INSERT INTO posts (id, room_id, quoted) VALUES (1, 1, NULL), (2, 2, NULL), (3, 1, 1) RETURNING tenant, id;
-- a null key has no parent to tell
SELECT diagnostics('INSERT INTO posts (id) VALUES (4)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1, 1);
INSERT INTO posts (id, reply_to) VALUES (4, 1), (5, 4) RETURNING tenant, id, room_id, reply_to;
SELECT diagnostics('INSERT INTO posts (id, room_id) VALUES (6, 2)');
SELECT diagnostics('INSERT INTO posts (tenant, id, room_id) VALUES (1, 6, 2)');
SELECT diagnostics('INSERT INTO posts (id, reply_to) VALUES (6, 2)');
SELECT diagnostics('UPDATE posts SET room_id = 2 WHERE id = 4');
UPDATE posts SET room_id = NULL WHERE id = 3 RETURNING id, quoted;
SELECT tenant, id FROM posts ORDER BY id;
COMMIT;
-- a workspace that the column cannot hold
BEGIN;
SELECT forge_comm.set_context(1, 65537);
SELECT count(*) FROM posts;
SELECT diagnostics('INSERT INTO posts (id) VALUES (6)');
COMMIT;

-- ---------------------------------------------------- policies that were there

CREATE TABLE drafts (id int, workspace_id int NOT NULL, author name);
CREATE INDEX drafts_ws ON drafts (workspace_id, id);
INSERT INTO drafts VALUES (1, 1, 'regress_app'), (2, 2, 'regress_app'), (3, 1, 'someone');
GRANT SELECT, UPDATE ON drafts TO regress_app;
ALTER TABLE drafts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON drafts USING (author = CURRENT_USER);
CREATE POLICY wide_open ON drafts FOR UPDATE USING (id < 3);
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
SELECT forge_comm.enable_tenancy('drafts');
TABLE state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id FROM drafts ORDER BY id;
UPDATE drafts SET author = author RETURNING id;
COMMIT;
-- no policy of its own opens another workspace
SET SESSION AUTHORIZATION regress_owner;
CREATE POLICY everything ON drafts USING (true);
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id FROM drafts ORDER BY id;
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
DROP POLICY everything ON drafts;
SELECT forge_comm.disable_tenancy('drafts');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
-- nor does disabling end a FORCE that was there
ALTER TABLE drafts FORCE ROW LEVEL SECURITY;
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
SELECT forge_comm.enable_tenancy('drafts');
SELECT forge_comm.disable_tenancy('drafts');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

-- ----------------------------------------------------------------- disabling

DROP TABLE drafts, posts, rooms;
SELECT diagnostics('SELECT forge_comm.disable_tenancy(''channels'')');
SELECT forge_comm.disable_tenancy('reactions', drop_column => true);
SELECT forge_comm.disable_tenancy('messages', true);
SELECT forge_comm.disable_tenancy('channels');
SELECT forge_comm.disable_tenancy('workspaces');
TABLE state ORDER BY 1, 2;
SET client_min_messages = notice;
SELECT forge_comm.disable_tenancy('workspaces');
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
SELECT id FROM messages WHERE id IN (100, 200) ORDER BY id;
-- The column stays if it is not to go, filled for when it is enabled again
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('channels');
TRUNCATE messages, reactions;
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT forge_comm.disable_tenancy('messages');
SELECT what FROM state WHERE relname = 'messages' ORDER BY 1;
INSERT INTO messages (id, channel_id) VALUES (1, 10) RETURNING workspace_id;
UPDATE messages SET workspace_id = 1;
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT what FROM state WHERE relname = 'messages' AND what LIKE 'column workspace_id%';

-- -------------------------------------------------- a guard that was taken away

-- The policies alone know nothing of references: this is what the trigger is for
ALTER TABLE messages DISABLE TRIGGER forge_comm_tenancy;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (2, 1, 20)');
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (3, 2, 20)');
ROLLBACK;
ALTER TABLE messages ENABLE TRIGGER forge_comm_tenancy;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (2, 1, 20)');
ROLLBACK;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_tenancy CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
