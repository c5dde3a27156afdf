-- An application that was there first is taken in, and let go again.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
-- One role owns the tables and is the application's
CREATE ROLE regress_app;
CREATE SCHEMA regress_existing AUTHORIZATION regress_app;
SET search_path = regress_existing;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_app');

-- All there is in the schema, as it would be written down
CREATE VIEW pg_temp.state AS
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what,
       CASE d.classid
         WHEN 'pg_class'::regclass THEN
           (SELECT concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relacl, reloptions, relowner::regrole,
                             CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(oid) END)
              FROM pg_class WHERE oid = d.objid)
         WHEN 'pg_constraint'::regclass THEN pg_get_constraintdef(d.objid)
         WHEN 'pg_trigger'::regclass THEN pg_get_triggerdef(d.objid)
         WHEN 'pg_proc'::regclass THEN pg_get_functiondef(d.objid)
       END AS how,
       obj_description(d.objid, d.classid::regclass::name) AS comment
  FROM (SELECT 'pg_class'::regclass, oid, 0 FROM pg_class WHERE relnamespace = 'regress_existing'::regnamespace
        UNION ALL
        SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint WHERE connamespace = 'regress_existing'::regnamespace
        UNION ALL
        SELECT 'pg_trigger'::regclass, t.oid, 0 FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
         WHERE relnamespace = 'regress_existing'::regnamespace AND NOT tgisinternal
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy AS p JOIN pg_class AS c ON c.oid = polrelid
         WHERE relnamespace = 'regress_existing'::regnamespace
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, 0 FROM pg_proc WHERE pronamespace = 'regress_existing'::regnamespace)
       AS d (classid, objid, objsubid)
UNION ALL
SELECT format('column %s of %s', a.attname, a.attrelid::regclass),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attacl,
                 pg_get_expr(ad.adbin, ad.adrelid)), col_description(a.attrelid, a.attnum)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef AS ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
 WHERE relnamespace = 'regress_existing'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped;
GRANT SELECT ON pg_temp.state TO PUBLIC;

SET SESSION AUTHORIZATION regress_app;
CREATE TABLE users (
  id serial PRIMARY KEY,
  email varchar(255) NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE workspaces (id serial PRIMARY KEY, name varchar(100) NOT NULL);
CREATE TABLE memberships (
  id serial PRIMARY KEY,
  user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
  workspace_id integer NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  role varchar(20) NOT NULL DEFAULT 'member',
  UNIQUE (user_id, workspace_id)
);
CREATE TABLE channels (
  id serial PRIMARY KEY,
  workspace_id integer NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name varchar(80) NOT NULL,
  is_private boolean NOT NULL DEFAULT false
);
CREATE TABLE channel_members (
  id serial PRIMARY KEY,
  channel_id integer NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
  UNIQUE (channel_id, user_id)
);
CREATE TABLE messages (
  id serial PRIMARY KEY,
  channel_id integer NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
  body text NOT NULL,
  parent_id integer REFERENCES messages ON DELETE CASCADE,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_messages_channel_id ON messages (channel_id);
COMMENT ON TABLE messages IS 'Messages';
CREATE TABLE reactions (
  id serial PRIMARY KEY,
  message_id integer NOT NULL REFERENCES messages ON DELETE CASCADE,
  user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
  emoji varchar(32) NOT NULL,
  UNIQUE (message_id, user_id, emoji)
);
INSERT INTO users (email) VALUES ('a@example.com'), ('b@example.com'), ('c@example.com');
INSERT INTO workspaces (name) VALUES ('one'), ('two');
INSERT INTO memberships (user_id, workspace_id, role) VALUES (1, 1, 'owner'), (2, 2, 'owner'), (3, 1, 'member'), (3, 2, 'guest');
INSERT INTO channels (workspace_id, name, is_private) VALUES (1, 'general', false), (2, 'general', false), (1, 'secret', true);
INSERT INTO channel_members (channel_id, user_id) VALUES (3, 3);
INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'first'), (1, 3, 'second'), (2, 2, 'other');
INSERT INTO messages (channel_id, user_id, body, parent_id) VALUES (1, 3, 'reply', 1);
INSERT INTO reactions (message_id, user_id, emoji) VALUES (1, 3, 'yes'), (3, 2, 'no');
CREATE TEMPORARY TABLE before AS SELECT * FROM pg_temp.state;
CREATE TEMPORARY TABLE data AS SELECT * FROM messages;

-- --------------------------------------------------------- a handful of calls

SELECT forge_comm.enable_directory('users');
SELECT forge_comm.enable_tenancy('workspaces', 'id', founding => true);
SELECT forge_comm.enable_tenancy('memberships', write_roles => '{owner,admin}');
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('channel_members', via => 'channel_id');
CALL forge_comm.backfill('channel_members');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id', same => '{channel_id}');
CALL forge_comm.backfill('messages');
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
CALL forge_comm.backfill('reactions');
SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{messages,reactions}');
SELECT forge_comm.enable_authorship('messages');
SELECT forge_comm.enable_timestamps('messages');
SELECT forge_comm.enable_soft_delete('messages');
SELECT forge_comm.enable_messages('messages');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role');
SET SESSION AUTHORIZATION regress_app;

-- ------------------------------------------------- the application's own queries

BEGIN;
SELECT forge_comm.set_context(1);
SELECT messages.id, messages.channel_id, messages.user_id, messages.body, messages.parent_id FROM messages ORDER BY id;
INSERT INTO messages (channel_id, user_id, body, parent_id, deleted_at) VALUES (1, 1, 'third', NULL, NULL) RETURNING messages.id;
INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'bulk 1'), (1, 1, 'bulk 2') RETURNING id;
INSERT INTO reactions (message_id, user_id, emoji) VALUES (5, 1, 'wow') RETURNING id;
\set QUIET off
UPDATE messages SET body = upper(body) WHERE messages.channel_id = 1;
UPDATE messages SET channel_id = 1, user_id = 1, body = 'whole row', parent_id = NULL, created_at = '2001-01-01' WHERE messages.id = 5;
DELETE FROM messages WHERE messages.id = 6;
DELETE FROM messages WHERE messages.id = 6;
DELETE FROM messages WHERE messages.id = 3;
DELETE FROM reactions WHERE reactions.id = 1;
\set QUIET on
SELECT count(*) FROM reactions JOIN messages ON messages.id = reactions.message_id JOIN users ON users.id = reactions.user_id;
SELECT id, body, parent_id FROM get_messages(1);
SELECT id, body FROM messages WHERE channel_id = 1 AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 2 OFFSET 0;
SELECT count(*) FROM get_messages(2);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
SELECT id FROM channels ORDER BY id;
SELECT count(*), count(DISTINCT workspace_id) FROM messages;
INSERT INTO messages (channel_id, user_id, body) VALUES (2, 3, 'here'), (1, 3, 'there') RETURNING id, workspace_id;
SELECT forge_comm.has_role(1, 'member'), forge_comm.has_role(2, 'member', 'guest'), forge_comm.has_role(2, 'owner');
-- What is private, and whose
INSERT INTO messages (channel_id, user_id, body) VALUES (3, 3, 'psst') RETURNING id;
SELECT count(*) FROM get_messages(3);
SELECT email FROM users ORDER BY id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT (SELECT count(*) FROM get_messages(3)), (SELECT count(*) FROM channels), can_access_channel(3);
SELECT email FROM users ORDER BY id;
INSERT INTO workspaces (name) VALUES ('three') RETURNING id;
INSERT INTO memberships (user_id, workspace_id, role) VALUES (1, 3, 'owner') RETURNING id > 4;
COMMIT;
-- Without a context there is no query
SELECT count(*) FROM messages;
\echo :SQLSTATE
DELETE FROM messages WHERE id = 1;
\echo :SQLSTATE
-- Physical cascades go all the way
BEGIN;
SELECT forge_comm.set_context(1, 1);
\set QUIET off
DELETE FROM channels WHERE id = 1;
\set QUIET on
SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM reactions);
ROLLBACK;

-- --------------------------------------------------------------- and back again

SELECT forge_comm.disable_messages('messages');
SELECT forge_comm.disable_soft_delete('messages', true);
SELECT forge_comm.disable_timestamps('messages', true);
SELECT forge_comm.disable_authorship('messages');
SELECT forge_comm.disable_privacy('channels');
SELECT forge_comm.disable_tenancy('reactions', true);
SELECT forge_comm.disable_tenancy('messages', true);
SELECT forge_comm.disable_tenancy('channel_members', true);
SELECT forge_comm.disable_tenancy('channels', true);
SELECT forge_comm.disable_tenancy('memberships', true);
SELECT forge_comm.disable_tenancy('workspaces', true);
SELECT forge_comm.disable_directory('users');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
SET SESSION AUTHORIZATION regress_app;
-- Nothing is left, nothing is missing
SELECT count(*) > 40 FROM before;
TABLE pg_temp.state EXCEPT TABLE before;
TABLE before EXCEPT TABLE pg_temp.state;
SELECT count(*) FROM messages;
SELECT id FROM data EXCEPT SELECT id FROM messages;
\set QUIET off
DELETE FROM messages WHERE id = 1;
\set QUIET on
SELECT id FROM messages WHERE id IN (1, 4);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP VIEW pg_temp.state;
DROP SCHEMA regress_existing CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app;
