-- Roles: who writes a table's rows, and who other people's.
\set schema regress_roles
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql

CREATE TABLE memberships (user_id int, workspace_id int, role text, PRIMARY KEY (user_id, workspace_id));
CREATE TABLE channels (id int PRIMARY KEY, workspace_id smallint NOT NULL, name text);
CREATE TABLE messages (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int REFERENCES channels ON DELETE CASCADE,
  user_id int,
  body text,
  parent_id int REFERENCES messages
);
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, messages TO regress_app;
-- 1 owns workspace 1, 2 is an admin, 3 a member and 4 nobody's idea of one; 3 owns workspace 2
INSERT INTO memberships VALUES (1, 1, 'owner'), (2, 1, 'admin'), (3, 1, 'member'), (4, 1, NULL), (3, 2, 'owner'), (5, 1, 'It''s, "odd"');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role');

-- ------------------------------------------------------------------ has_role

SET SESSION AUTHORIZATION regress_app;
SELECT diagnostics('SELECT forge_comm.has_role(1, ''owner'')');
SET forge_comm.missing_context = 'empty';
SELECT forge_comm.has_role(1, 'owner');
RESET forge_comm.missing_context;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT w, forge_comm.has_role(w, 'owner'), forge_comm.has_role(w, 'member', 'admin'), forge_comm.has_role(w, VARIADIC '{}'), forge_comm.has_role(w, NULL), forge_comm.has_role(w, VARIADIC NULL)
  FROM unnest('{1,2,3,NULL}'::bigint[]) AS w;
-- the scope narrows, and roles with it
SELECT forge_comm.pin_workspace(2);
SELECT forge_comm.has_role(1, 'member'), forge_comm.has_role(2, 'owner'), forge_comm.has_role(2, 'own'), forge_comm.has_role(2, 'OWNER');
COMMIT;
BEGIN; SELECT forge_comm.set_context(4); SELECT forge_comm.has_role(1, ''), forge_comm.has_role(1, '*'); COMMIT;
BEGIN; SELECT forge_comm.set_context(5); SELECT forge_comm.has_role(1, 'It''s, "odd"'), forge_comm.has_role(1, 'odd'); COMMIT;
BEGIN; SELECT forge_comm.set_service_context('all'); SELECT forge_comm.has_role(9, 'anything'); COMMIT;

-- --------------------------------------------------------------- write_roles

SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE pg_temp.before AS SELECT * FROM state;
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', write_roles => '{}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', write_roles => '{owner,NULL}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', write_roles => '{owner,""}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', write_roles => '{{owner},{admin}}')$$);
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SELECT forge_comm.enable_tenancy('channels', write_roles => ARRAY['owner', 'admin', 'It''s, "odd"']);
TABLE state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('channels', write_roles => ARRAY['owner', 'admin', 'It''s, "odd"']);
SET client_min_messages = warning;
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', write_roles => '{owner}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels')$$);
SET SESSION AUTHORIZATION regress_app;
-- An owner, an admin and the odd one write, in their workspace
BEGIN;
SELECT forge_comm.set_context(1);
INSERT INTO channels VALUES (10, 1, 'general') RETURNING id;
SELECT diagnostics('INSERT INTO channels VALUES (20, 2, ''mine'')');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
UPDATE channels SET name = 'by an admin' RETURNING name;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(5);
UPDATE channels SET name = 'oddly' RETURNING name;
INSERT INTO channels VALUES (11, 1, 'odd') RETURNING id;
DELETE FROM channels WHERE id = 11 RETURNING id;
COMMIT;
-- A member reads. What they may do elsewhere is no help
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM channels;
SELECT diagnostics('INSERT INTO channels VALUES (12, 1, ''mine'')');
SELECT diagnostics('INSERT INTO channels VALUES (10, 1, ''mine'') ON CONFLICT DO NOTHING');
SELECT diagnostics('INSERT INTO channels VALUES (10, 1, ''mine'') ON CONFLICT (id) DO UPDATE SET name = ''mine''');
SELECT diagnostics('INSERT INTO channels VALUES (10, 2, ''mine'') ON CONFLICT (id) DO UPDATE SET name = ''mine''');
SELECT diagnostics('MERGE INTO channels AS c USING (VALUES (10)) AS v (id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET name = ''mine''');
SELECT diagnostics('MERGE INTO channels AS c USING (VALUES (10)) AS v (id) ON c.id = v.id WHEN MATCHED THEN DELETE');
SELECT diagnostics('UPDATE channels SET workspace_id = 2');
\set QUIET off
UPDATE channels SET name = 'mine';
DELETE FROM channels;
SELECT id FROM channels FOR UPDATE;
\set QUIET on
INSERT INTO channels VALUES (20, 2, 'own') RETURNING id;
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(4);
SELECT diagnostics('INSERT INTO channels VALUES (12, 1, ''mine'')');
ROLLBACK;
-- Services do, and a role counts as it was when the context was set
BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO channels VALUES (20, 2, 'elsewhere') RETURNING id;
UPDATE channels SET name = 'general' RETURNING id;
COMMIT;
RESET SESSION AUTHORIZATION;
UPDATE memberships SET role = 'member' WHERE user_id = 2;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(2);
UPDATE channels SET name = 'no longer' RETURNING id;
COMMIT;
RESET SESSION AUTHORIZATION;
UPDATE memberships SET role = 'admin' WHERE user_id = 2;

-- ---------------------------------------------------------------- authorship

SET SESSION AUTHORIZATION regress_owner;
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages')$$);
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
SELECT diagnostics($$SELECT forge_comm.enable_authorship(NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('state')$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', 'no_such_column')$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', 'body')$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', moderators => '{owner,NULL}')$$);
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', moderators => '{""}')$$);
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SELECT forge_comm.enable_authorship('messages');
TABLE state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
SELECT capability, options FROM forge_comm.rules('messages') ORDER BY 1;
SET client_min_messages = notice;
SELECT forge_comm.enable_authorship('messages', 'user_id', '{owner,admin}');
SET client_min_messages = warning;
SELECT diagnostics($$SELECT forge_comm.enable_authorship('messages', moderators => '{owner}')$$);
SELECT diagnostics($$SELECT forge_comm.disable_tenancy('messages')$$);
SET SESSION AUTHORIZATION regress_app;
-- The author is filled in, and nobody else
BEGIN;
SELECT forge_comm.set_context(3);
INSERT INTO messages (id, channel_id, body) VALUES (1, 10, 'mine') RETURNING user_id;
INSERT INTO messages (id, channel_id, user_id) VALUES (2, 10, 3), (3, 20, NULL) RETURNING user_id, workspace_id;
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (4, 10, 1)');
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (4, 10, 3), (5, 10, 1)');
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (1, 10, 1) ON CONFLICT DO NOTHING');
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 10) ON CONFLICT (id) DO UPDATE SET user_id = 1');
SELECT diagnostics('MERGE INTO messages AS m USING (VALUES (4)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id, user_id) VALUES (4, 10, 1)');
SELECT diagnostics('MERGE INTO messages AS m USING (VALUES (1)) AS v (id) ON m.id = v.id WHEN MATCHED THEN UPDATE SET user_id = 1');
SELECT diagnostics('UPDATE messages SET user_id = 1 WHERE id = 1');
SELECT diagnostics('UPDATE messages SET user_id = NULL WHERE id = 1');
UPDATE messages SET user_id = 3, body = 'still mine' WHERE id = 1 RETURNING body;
COMMIT;
-- Others change nothing of theirs: not an owner elsewhere, nor a fellow member
BEGIN;
SELECT forge_comm.set_context(4);
SELECT count(*) FROM messages;
\set QUIET off
UPDATE messages SET body = 'mine';
DELETE FROM messages;
\set QUIET on
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (1, 10) ON CONFLICT (id) DO UPDATE SET body = ''mine''');
SELECT diagnostics('MERGE INTO messages AS m USING (VALUES (1)) AS v (id) ON m.id = v.id WHEN MATCHED THEN DELETE');
INSERT INTO messages (id, channel_id, parent_id) VALUES (6, 10, 1) RETURNING user_id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
-- whose own workspace this is not
UPDATE messages SET body = 'moderated' WHERE id = 6 RETURNING id;
COMMIT;
-- Moderators change and delete any, in their workspace, but not whose it is
BEGIN;
SELECT forge_comm.set_context(2);
UPDATE messages SET body = 'moderated' WHERE workspace_id = 1 RETURNING id, user_id;
SELECT diagnostics('UPDATE messages SET user_id = 2 WHERE id = 1');
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (7, 10, 3)');
DELETE FROM messages WHERE id = 6 RETURNING id;
SELECT id FROM messages WHERE workspace_id = 2;
ROLLBACK;
-- Authors delete their own
BEGIN;
SELECT forge_comm.set_context(3);
DELETE FROM messages WHERE id = 2 RETURNING id;
ROLLBACK;
SELECT diagnostics('INSERT INTO messages (id, workspace_id, channel_id) VALUES (8, 1, 10)');
-- A service writes in anybody's name, and in nobody's
BEGIN;
SELECT forge_comm.set_service_context('import');
INSERT INTO messages (id, channel_id, user_id) VALUES (8, 10, 1), (9, 10, NULL) RETURNING user_id;
UPDATE messages SET user_id = 2 WHERE id = 8 RETURNING user_id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
-- what is nobody's nobody takes
UPDATE messages SET user_id = 3 WHERE id = 9 RETURNING id;
DELETE FROM messages WHERE id = 9 RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT diagnostics('UPDATE messages SET user_id = 1 WHERE id = 9');
DELETE FROM messages WHERE id = 9 RETURNING id;
COMMIT;
-- So does a superuser
RESET SESSION AUTHORIZATION;
INSERT INTO messages (id, channel_id, user_id) VALUES (10, 10, 1) RETURNING user_id;
UPDATE messages SET user_id = NULL WHERE id = 10 RETURNING user_id;
DELETE FROM messages WHERE id = 10;
-- A trigger disabled: the policies refuse what it would have filled in or kept
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE messages DISABLE TRIGGER forge_comm_authorship;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT diagnostics('INSERT INTO messages (id, channel_id) VALUES (11, 10)');
SELECT diagnostics('INSERT INTO messages (id, channel_id, user_id) VALUES (11, 10, 1)');
SELECT diagnostics('UPDATE messages SET user_id = 1 WHERE id = 1');
UPDATE messages SET body = 'mine' WHERE id = 8 RETURNING id;
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE messages ENABLE TRIGGER forge_comm_authorship;
-- A renamed column
CREATE FUNCTION after(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE change;
  PERFORM forge_comm.set_context(3);
  RETURN NEXT diagnostics('SELECT FROM regress_roles.messages');
  RETURN NEXT diagnostics('INSERT INTO regress_roles.messages (id, channel_id) VALUES (12, 10)');
END $$;
BEGIN; SELECT after('ALTER TABLE messages RENAME user_id TO author_id'); ROLLBACK;
DROP FUNCTION after;

-- No moderators at all; partitions and children
SELECT forge_comm.disable_authorship('messages');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SET client_min_messages = notice;
SELECT forge_comm.disable_authorship('messages');
SET client_min_messages = warning;
SELECT forge_comm.enable_authorship('messages', moderators => NULL);
SELECT forge_comm.disable_authorship('messages');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SELECT forge_comm.enable_authorship('messages', moderators => '{}');
SELECT what FROM state WHERE what LIKE 'policy forge_comm_authorship_update%';
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
UPDATE messages SET body = 'moderated' RETURNING id;
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_authorship('messages');
CREATE TABLE posts (id int, workspace_id int NOT NULL, author bigint, body text) PARTITION BY LIST (id);
CREATE TABLE posts_1 PARTITION OF posts FOR VALUES IN (1, 2);
CREATE TABLE notes (id int, workspace_id int NOT NULL, author smallint);
CREATE TABLE red_notes () INHERITS (notes);
SELECT forge_comm.enable_tenancy('posts', write_roles => '{owner,admin,member}');
SELECT forge_comm.enable_tenancy('notes');
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
SELECT forge_comm.enable_authorship('posts', 'author', '{owner}');
SELECT forge_comm.enable_authorship('notes', 'author', '{owner}');
CREATE TABLE posts_2 PARTITION OF posts FOR VALUES IN (3, 4);
CREATE TABLE blue_notes () INHERITS (notes);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_roles TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(3, 1);
INSERT INTO posts (id) VALUES (1), (3) RETURNING author, workspace_id;
INSERT INTO posts_1 (id) VALUES (2) RETURNING author;
INSERT INTO posts_2 (id) VALUES (4) RETURNING author;
SELECT diagnostics('INSERT INTO posts_2 (id, author) VALUES (4, 1)');
INSERT INTO red_notes (id) VALUES (1) RETURNING author;
INSERT INTO blue_notes (id) VALUES (2) RETURNING author;
SELECT diagnostics('INSERT INTO blue_notes (id, author) VALUES (2, 1)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2, 1);
SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM posts_2), (SELECT count(*) FROM notes), (SELECT count(*) FROM blue_notes);
UPDATE posts SET body = 'mine' RETURNING id;
UPDATE posts_2 SET body = 'mine' RETURNING id;
UPDATE notes SET id = 9 RETURNING id;
DELETE FROM blue_notes RETURNING id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(4, 1);
SELECT diagnostics('INSERT INTO posts (id) VALUES (1)');
SELECT diagnostics('INSERT INTO posts_2 (id) VALUES (3)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1, 1);
UPDATE posts SET body = 'moderated' RETURNING id;
SELECT diagnostics('UPDATE posts_2 SET author = 1');
DELETE FROM notes RETURNING id;
COMMIT;
-- a user whose id the column cannot hold
RESET SESSION AUTHORIZATION;
INSERT INTO memberships VALUES (70000, 1, 'member');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(70000);
SELECT diagnostics('INSERT INTO notes (id, workspace_id) VALUES (3, 1)');
SELECT diagnostics('INSERT INTO notes (id, workspace_id, author) VALUES (3, 1, 4464)');
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
DROP TABLE posts_2, blue_notes;
SELECT forge_comm.disable_authorship('posts');
SELECT forge_comm.disable_authorship('notes');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SELECT forge_comm.disable_tenancy(t) FROM unnest('{posts,notes,messages,channels}'::regclass[]) AS t;
SELECT * FROM state WHERE what ~ '^(policy|trigger|rls t)';

-- Without memberships nobody has a role, and who is nobody is no author
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('channels', write_roles => '{owner}');
SELECT forge_comm.enable_tenancy('messages');
SELECT forge_comm.enable_authorship('messages');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT forge_comm.has_role(1, 'owner');
SELECT diagnostics('INSERT INTO channels VALUES (12, 1, ''mine'')');
INSERT INTO messages (id) VALUES (20) RETURNING user_id, workspace_id;
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT diagnostics('INSERT INTO messages (id) VALUES (20)');
SELECT diagnostics('INSERT INTO messages (id, user_id) VALUES (20, 1)');
UPDATE messages SET body = 'mine' RETURNING id;
ROLLBACK;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_roles CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
