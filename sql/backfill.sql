-- Giving the rows of a table that is in use their workspaces.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_backfill AUTHORIZATION regress_owner;
SET search_path = regress_backfill;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_backfill TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE messages (
  id int PRIMARY KEY,
  channel_id int REFERENCES channels,
  body text,
  updated_at timestamptz,
  user_id int REFERENCES users ON DELETE SET NULL
);
CREATE TABLE reactions (id int PRIMARY KEY, message_id int NOT NULL REFERENCES messages);
INSERT INTO channels VALUES (1, 1), (2, 2);
INSERT INTO users VALUES (7);
INSERT INTO messages SELECT i, 1 + i % 2, 'message ' || i, '2001-01-01 00:00+00', CASE WHEN i = 8 THEN 7 END FROM generate_series(1, 1000) AS i;
INSERT INTO reactions SELECT i, i FROM generate_series(1, 1000) AS i;
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, messages, reactions TO regress_app;
VACUUM ANALYZE messages;

-- ------------------------------------------------- enabled, not yet filled in

SELECT forge_comm.enable_timestamps('messages', created_at => NULL);
SELECT forge_comm.enable_tenancy('channels');
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SET client_min_messages = warning;
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'messages'::regclass AND attname = 'workspace_id';
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT * FROM messages');
BEGIN;
SELECT forge_comm.set_context(1, 1);
-- rows show where their channel does
SELECT count(*), count(workspace_id), min(channel_id), max(channel_id) FROM messages;
-- new rows and changed ones get theirs at once
INSERT INTO messages (id, channel_id) VALUES (2001, 1) RETURNING workspace_id;
UPDATE messages SET body = 'changed' WHERE id = 2 RETURNING workspace_id;
SELECT refused('INSERT INTO messages (id, channel_id) VALUES (2002, 2)');
SELECT refused('UPDATE messages SET channel_id = 2 WHERE id = 4');
UPDATE messages SET body = 'mine' WHERE id = 3 RETURNING id;
DELETE FROM messages WHERE id = 5 RETURNING id;
SELECT count(*), count(workspace_id) FROM messages;
COMMIT;
-- referential actions need no context
RESET SESSION AUTHORIZATION;
DELETE FROM users;
SELECT user_id, workspace_id FROM messages WHERE id = 8;

-- ------------------------------------------------------------------ batches

SET SESSION AUTHORIZATION regress_owner;
-- One that is broken off keeps what it had done; the number of batches
-- depends on the size of a page
SELECT forge_comm.backfill_blocks('messages', 0, 1) BETWEEN 1 AND 500;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT count(*), count(workspace_id) BETWEEN 2 AND 500 FROM messages;
COMMIT;
DO $$
DECLARE
  filled bigint;
  batches bigint;
BEGIN
  CALL forge_comm.backfill('messages', 100, filled, batches);
  RAISE WARNING '%, %', filled BETWEEN 500 AND 997, batches BETWEEN 2 AND 50;
END $$;
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'messages'::regclass AND attname = 'workspace_id';
SELECT policyname, qual, with_check FROM pg_policies WHERE schemaname = 'regress_backfill' AND tablename = 'messages' ORDER BY 1;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'messages'::regclass ORDER BY indexrelid::regclass::text;
SELECT conname FROM pg_constraint WHERE conrelid = 'messages'::regclass AND contype = 'c';
RESET SESSION AUTHORIZATION;
SELECT count(*), count(*) FILTER (WHERE m.workspace_id IS DISTINCT FROM c.workspace_id) FROM messages AS m JOIN channels AS c ON c.id = m.channel_id;
-- it was no change that anybody should notice
SELECT count(*) FROM messages WHERE updated_at <> '2001-01-01 00:00+00';
SET SESSION AUTHORIZATION regress_owner;
-- Again does nothing
CALL forge_comm.backfill('messages');

-- A chain, in one go, with its progress
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
CALL forge_comm.backfill('reactions', 1000000);
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2, 2);
SELECT count(*), count(workspace_id) FROM reactions;
COMMIT;
SHOW search_path;

-- ------------------------------------------------------------ rows with no parent

SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE strays (id int PRIMARY KEY, channel_id int REFERENCES channels);
INSERT INTO strays VALUES (1, 1), (2, NULL), (3, 2);
SELECT forge_comm.enable_tenancy('strays', via => 'channel_id');
CALL forge_comm.backfill('strays');
\echo :SQLSTATE
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'strays'::regclass AND attname = 'workspace_id';
-- what could be filled is
RESET SESSION AUTHORIZATION;
SELECT id, workspace_id FROM strays ORDER BY id;
DELETE FROM strays WHERE id = 2;
SET SESSION AUTHORIZATION regress_owner;
CALL forge_comm.backfill('strays');
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'strays'::regclass AND attname = 'workspace_id';

-- --------------------------------------------- partitions; a column that was there

CREATE TABLE logs (workspace_id int, id int, channel_id int REFERENCES channels) PARTITION BY LIST (id);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1);
CREATE TABLE logs_2 (channel_id int, junk int, id int, workspace_id int);
ALTER TABLE logs_2 DROP COLUMN junk;
INSERT INTO logs VALUES (NULL, 1, 1), (1, 1, 1), (NULL, 1, 2);
INSERT INTO logs_2 VALUES (1, 2), (2, 2);
-- (a foreign key is checked in the owner's name, who has no context here)
RESET SESSION AUTHORIZATION;
ALTER TABLE logs ATTACH PARTITION logs_2 FOR VALUES IN (2);
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('logs', via => 'channel_id');
CALL forge_comm.backfill('logs');
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT tableoid::regclass, workspace_id, channel_id FROM logs ORDER BY tableoid::regclass::text;
COMMIT;
SELECT count(*) FROM pg_index WHERE indrelid IN ('logs'::regclass, 'logs_1'::regclass, 'logs_2'::regclass);
-- and stays, nullable as it was
SELECT forge_comm.disable_tenancy('logs', drop_column => true);
SELECT attrelid::regclass, attnotnull FROM pg_attribute WHERE attrelid IN ('logs'::regclass, 'logs_1'::regclass, 'logs_2'::regclass) AND attname = 'workspace_id' ORDER BY attrelid::regclass::text;
SELECT count(*) FROM pg_index WHERE indrelid IN ('logs'::regclass, 'logs_1'::regclass, 'logs_2'::regclass);

-- Disabled half-way, nothing is left
CREATE TABLE half (id int PRIMARY KEY, channel_id int REFERENCES channels);
INSERT INTO half VALUES (1, 1), (2, NULL);
SELECT forge_comm.enable_tenancy('half', via => 'channel_id');
CALL forge_comm.backfill('half');
SELECT conname FROM pg_constraint WHERE conrelid = 'half'::regclass AND contype = 'c';
SELECT forge_comm.disable_tenancy('half', true);
SELECT attname FROM pg_attribute WHERE attrelid = 'half'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT count(*) FROM pg_constraint WHERE conrelid = 'half'::regclass AND contype = 'c';
SELECT count(*) FROM pg_policy WHERE polrelid = 'half'::regclass;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'half'::regclass;

-- ------------------------------------------------- names that could be taken

-- The policy of the table being filled names its parent by an alias, too.
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE top (id int PRIMARY KEY, ref int, workspace_id int NOT NULL);
CREATE TABLE p (id int PRIMARY KEY, ref int REFERENCES top);
INSERT INTO top VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO p VALUES (10, 1), (20, 2);
SELECT forge_comm.enable_tenancy('top');
SELECT forge_comm.enable_tenancy('p', via => 'ref');
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT id FROM p;
COMMIT;
-- composite keys lead somewhere only if one column finds the row
CREATE TABLE pair (a int, b int, workspace_id int NOT NULL, PRIMARY KEY (a, b));
CREATE TABLE leaf (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES pair);
SELECT forge_comm.enable_tenancy('pair');
SELECT refused('SELECT forge_comm.enable_tenancy(''leaf'', via => ''b'')');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_backfill CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
