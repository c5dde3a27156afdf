-- References agree in more than the workspace, and no other row takes a referenced one's place.
\set schema regress_same
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL, name text);
CREATE TABLE topics (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int NOT NULL REFERENCES channels, title text);
CREATE TABLE messages (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  parent_id int REFERENCES messages ON DELETE CASCADE,
  topic_id int REFERENCES topics ON DELETE SET NULL,
  body text
);
CREATE TABLE drafts (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id bigint, message_id int REFERENCES messages ON DELETE SET NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_same TO regress_app;
RESET SESSION AUTHORIZATION;
-- User 7 is in both workspaces
CREATE TABLE memberships (user_id int, workspace_id int, PRIMARY KEY (user_id, workspace_id));
INSERT INTO memberships VALUES (7, 1), (7, 2), (8, 1), (9, 2);
SELECT forge_comm.use_memberships('memberships');
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE pg_temp.before AS SELECT * FROM state;

-- ---------------------------------------------------------------- enabling

SELECT forge_comm.enable_tenancy('channels');
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{no_such_column}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{body}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{NULL}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', same => '{id}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('topics', same => '{channel_id}')$$);
SELECT forge_comm.enable_tenancy('topics');
-- what messages agree in with topics must not change there, either
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{channel_id}')$$);
SELECT forge_comm.disable_tenancy('topics');
ALTER TABLE topics ADD sub_id int REFERENCES topics;
SELECT forge_comm.enable_tenancy('topics', via => 'channel_id', same => '{channel_id}');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{channel_id}');
SELECT forge_comm.enable_tenancy('drafts', same => '{channel_id}');
SELECT options FROM forge_comm.rules('messages');
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{channel_id}');
SET client_min_messages = warning;
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('messages', via => 'channel_id')$$);
BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO channels VALUES (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'c');
INSERT INTO topics (id, channel_id) VALUES (10, 10), (11, 11), (20, 20);
INSERT INTO messages (id, channel_id) VALUES (100, 10), (110, 11), (200, 20) RETURNING workspace_id;
COMMIT;

-- ------------------------------------------------------------ writing, agreeing

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO messages (id, channel_id, parent_id, topic_id) VALUES (101, 10, 100, 10), (102, 10, 101, NULL), (103, 10, 103, 10) RETURNING id;
-- another channel, another workspace and nothing are one
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (104, 10, 999)') AS missing,
       diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (104, 10, 110)') AS elsewhere,
       diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (104, 10, 200)') AS foreign_,
       diagnostics('UPDATE messages SET parent_id = 110 WHERE id = 102') AS updated,
       diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (102, 10, 100) ON CONFLICT (id) DO UPDATE SET parent_id = 110') AS upserted,
       diagnostics('MERGE INTO messages AS m USING (VALUES (102)) AS v (id) ON m.id = v.id WHEN MATCHED THEN UPDATE SET parent_id = 110') AS merged
\gset
\echo :elsewhere
SELECT :'missing' = :'elsewhere', :'missing' = :'foreign_', :'missing' = :'updated', :'missing' = :'upserted', :'missing' = :'merged';
SELECT diagnostics('INSERT INTO messages (id, channel_id, topic_id) VALUES (104, 10, 11)');
-- in one statement, in any order of the rows that comes after its parent
INSERT INTO messages (id, channel_id, parent_id) VALUES (105, 11, NULL), (106, 11, 105) RETURNING id;
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (107, 11, NULL), (108, 10, 107)');
-- The column stays as it is
SELECT diagnostics('UPDATE messages SET channel_id = 11 WHERE id = 102');
SELECT diagnostics('UPDATE topics SET channel_id = 11 WHERE id = 10');
UPDATE messages SET channel_id = 10, parent_id = 101 WHERE id = 102 RETURNING parent_id;
-- of another width, and null: a null agrees with nothing
INSERT INTO drafts VALUES (1, 1, 10, 100), (2, 1, NULL, NULL), (3, 1, 10, NULL) RETURNING id;
SELECT diagnostics('INSERT INTO drafts VALUES (4, 1, 11, 100)');
SELECT diagnostics('INSERT INTO drafts VALUES (4, 1, NULL, 100)');
SELECT diagnostics('INSERT INTO drafts VALUES (4, 1, 4294967306, 100)');
SELECT diagnostics('UPDATE drafts SET channel_id = 10 WHERE id = 2');
COMMIT;
-- For a superuser as well
RESET SESSION AUTHORIZATION;
SELECT diagnostics('INSERT INTO messages (id, channel_id, parent_id) VALUES (104, 10, 110)');
SELECT diagnostics('UPDATE messages SET channel_id = 11 WHERE id = 102');

-- ------------------------------------------------------------- replaced rows

-- A row that others reference goes, another with its key comes in another
-- workspace: the keys that wait until the end would find it.
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE things (id int PRIMARY KEY, workspace_id int NOT NULL, code text UNIQUE, UNIQUE (workspace_id, code));
CREATE TABLE parts (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  thing_id int REFERENCES things DEFERRABLE INITIALLY DEFERRED,
  code text REFERENCES things (code) ON UPDATE CASCADE DEFERRABLE,
  own text,
  FOREIGN KEY (workspace_id, own) REFERENCES things (workspace_id, code) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE loose (id int PRIMARY KEY, workspace_id int NOT NULL, thing_id int REFERENCES things ON DELETE CASCADE);
GRANT SELECT, INSERT, UPDATE, DELETE ON things, parts, loose TO regress_app;
SELECT forge_comm.enable_tenancy(t) FROM unnest('{things,parts,loose}'::regclass[]) AS t;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO things VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 1, 'three');
INSERT INTO parts VALUES (1, 1, 1, NULL), (2, 2, 2, NULL), (3, 1, 3, NULL);
COMMIT;
-- What one statement writes, across statements, and in a savepoint that is kept
BEGIN;
SELECT forge_comm.set_context(7);
SELECT diagnostics('WITH d AS (DELETE FROM things WHERE id = 1 RETURNING id) INSERT INTO things SELECT id, 2, ''mine'' FROM d');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(7);
DELETE FROM things WHERE id = 1 RETURNING id;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
-- back where it was it may be
INSERT INTO things VALUES (1, 1, 'one') RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7);
SAVEPOINT s;
DELETE FROM things WHERE id = 1;
RELEASE s;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
ROLLBACK;
-- a delete that was undone keeps nobody from its key, which is taken
BEGIN;
SELECT forge_comm.set_context(7);
SAVEPOINT s;
DELETE FROM things WHERE id = 1;
ROLLBACK TO s;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
ROLLBACK;
-- by another key of the row, and by a new key
BEGIN;
SELECT forge_comm.set_context(7);
UPDATE parts SET thing_id = NULL, code = 'three' WHERE id = 3 RETURNING code;
SET CONSTRAINTS ALL DEFERRED;
DELETE FROM things WHERE id = 3 RETURNING id;
SELECT diagnostics('INSERT INTO things VALUES (33, 2, ''three'')');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(7);
UPDATE things SET id = 4 WHERE id = 1 RETURNING id;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
SELECT diagnostics('UPDATE things SET id = 1 WHERE id = 2');
UPDATE things SET id = 1 WHERE id = 4 RETURNING id;
SELECT diagnostics('UPDATE things SET id = 4 WHERE id = 2');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7);
-- rows that trade keys
UPDATE things SET id = 5 WHERE id = 1;
SELECT diagnostics('UPDATE things SET id = CASE id WHEN 5 THEN 2 ELSE 1 END WHERE id IN (2, 5)');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(7);
DELETE FROM things WHERE id = 1;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'') ON CONFLICT DO NOTHING');
SELECT diagnostics('MERGE INTO things AS t USING (VALUES (1)) AS v (id) ON t.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (1, 2, ''mine'')');
SELECT diagnostics('WITH d AS (DELETE FROM things WHERE id = 3 RETURNING id) UPDATE things SET id = 3 WHERE id = 2');
ROLLBACK;
-- a key that a row has still is a conflict, and says nothing of the other keys
BEGIN;
SELECT forge_comm.set_context(7);
DELETE FROM things WHERE id = 3;
UPDATE things SET code = code WHERE id = 1;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''new'') ON CONFLICT (id) DO NOTHING');
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''three'') ON CONFLICT (id) DO NOTHING');
ROLLBACK;
-- for a service, and who bypasses row security
BEGIN;
SELECT forge_comm.set_service_context('move');
DELETE FROM things WHERE id = 1;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
ROLLBACK;
RESET SESSION AUTHORIZATION;
BEGIN;
DELETE FROM things WHERE id = 1;
SELECT diagnostics('INSERT INTO things VALUES (1, 2, ''mine'')');
ROLLBACK;
BEGIN;
UPDATE things SET id = 4 WHERE id = 1;
SELECT diagnostics('UPDATE things SET id = 1 WHERE id = 2');
ROLLBACK;
-- What references agree in besides is kept, too
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(8);
INSERT INTO messages (id, channel_id) VALUES (120, 10), (121, 10) RETURNING id;
DELETE FROM messages WHERE id = 120;
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (120, 11)');
SELECT diagnostics('UPDATE messages SET id = 120 WHERE id = 110');
UPDATE messages SET id = 120 WHERE id = 121 RETURNING id;
SELECT diagnostics('WITH d AS (DELETE FROM messages WHERE id = 102 RETURNING id) INSERT INTO messages (id, channel_id) SELECT id, 11 FROM d');
ROLLBACK;
-- In another transaction the key is free, since nothing references it then
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
DELETE FROM parts WHERE id = 3;
DELETE FROM things WHERE id = 3;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO things VALUES (3, 2, 'three') RETURNING id;
COMMIT;
-- A key with the workspace in it needs no such care
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO parts VALUES (6, 1, NULL, NULL, 'one');
UPDATE things SET code = 'uno' WHERE id = 1;
SELECT diagnostics('UPDATE things SET code = ''one'' WHERE id = 2');
SELECT diagnostics('SET CONSTRAINTS ALL IMMEDIATE');
ROLLBACK;

-- -------------------------------------------------------- referential actions

-- ON UPDATE CASCADE, ON DELETE CASCADE and SET NULL stay within a workspace,
-- as references do; every row is told apart by its workspace
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO loose VALUES (1, 1, 1), (2, 2, 2) RETURNING id;
SELECT diagnostics('INSERT INTO loose VALUES (3, 2, 1)');
UPDATE parts SET code = 'one' WHERE id = 1 RETURNING code;
UPDATE things SET code = 'uno' WHERE id = 1 RETURNING code;
SELECT id, code FROM parts ORDER BY id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8);
DELETE FROM messages WHERE id = 100 RETURNING id;
RESET SESSION AUTHORIZATION;
SELECT array_agg(id ORDER BY id) FROM messages;
SELECT id, workspace_id, channel_id, message_id FROM drafts ORDER BY id;
ROLLBACK;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(8);
UPDATE messages SET topic_id = NULL WHERE id = 103;
DELETE FROM topics WHERE id = 10 RETURNING id;
DELETE FROM channels WHERE id = 10 RETURNING id;
RESET SESSION AUTHORIZATION;
SELECT array_agg(id ORDER BY id) FROM messages;
ROLLBACK;
-- A reference across workspaces that is older than tenancy stays, as it is
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_tenancy('loose');
INSERT INTO loose VALUES (4, 2, 1) RETURNING id;
SELECT forge_comm.enable_tenancy('loose');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(9);
UPDATE loose SET thing_id = thing_id WHERE id = 4 RETURNING id;
SELECT diagnostics('UPDATE loose SET thing_id = 1 WHERE id = 2');
ROLLBACK;

-- --------------------------------------- keys to the table itself, and partitions

-- A reply's own key holds the channel, too: it is not what the workspace comes through
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE rooms (id int PRIMARY KEY, workspace_id int NOT NULL, UNIQUE (workspace_id, id));
CREATE TABLE replies (
  id int NOT NULL,
  workspace_id int,
  room_id int NOT NULL,
  parent_id int,
  PRIMARY KEY (room_id, id),
  CONSTRAINT a_parent FOREIGN KEY (room_id, parent_id) REFERENCES replies (room_id, id),
  CONSTRAINT b_room FOREIGN KEY (workspace_id, room_id) REFERENCES rooms (workspace_id, id)
) PARTITION BY LIST (room_id);
CREATE TABLE replies_1 PARTITION OF replies DEFAULT;
INSERT INTO rooms VALUES (1, 1), (2, 2);
INSERT INTO replies VALUES (1, NULL, 1, NULL), (2, NULL, 1, 1), (1, NULL, 2, NULL);
GRANT SELECT, INSERT, UPDATE ON replies TO regress_app;
SELECT forge_comm.enable_tenancy('rooms');
SELECT forge_comm.enable_tenancy('replies', via => 'room_id');
CALL forge_comm.backfill('replies');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO replies (id, room_id, parent_id) VALUES (3, 1, 2), (2, 2, 1) RETURNING workspace_id;
SELECT diagnostics('INSERT INTO replies (id, room_id, parent_id) VALUES (4, 2, 3)');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_tenancy('replies');
SELECT forge_comm.disable_tenancy('rooms');
DROP TABLE replies, rooms;

-- The parent's own guard disabled, references to it are checked all the same
ALTER TABLE channels DISABLE TRIGGER forge_comm_tenancy;
ALTER TABLE things DISABLE TRIGGER forge_comm_tenancy;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (130, 1, 20)');
SELECT diagnostics('INSERT INTO loose VALUES (5, 2, 1)');
INSERT INTO messages (id, channel_id) VALUES (130, 20) RETURNING workspace_id;
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE channels ENABLE TRIGGER forge_comm_tenancy;
ALTER TABLE things ENABLE TRIGGER forge_comm_tenancy;

-- ----------------------------------------------------------------- disabling

SELECT forge_comm.disable_tenancy(t) FROM unnest('{drafts,messages,topics,channels}'::regclass[]) AS t;
DROP TABLE things, parts, loose;
ALTER TABLE topics DROP sub_id;
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_same CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
