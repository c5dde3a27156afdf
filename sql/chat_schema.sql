-- A chat database for those who start fresh.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner, regress_app;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_owner;
SET SESSION AUTHORIZATION regress_owner;
SET client_min_messages = notice;
SELECT forge_comm.create_chat_schema('regress chat');
SET client_min_messages = warning;
SET search_path = "regress chat";

CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(hint, ''));
END $$;

-- -------------------------------------------------------------- what is there

SELECT c.relname, c.relkind, c.relowner::regrole, c.relrowsecurity FROM pg_class AS c
 WHERE c.relnamespace = '"regress chat"'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1;
SELECT a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
       coalesce(nullif(a.attidentity::text, ''), pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relnamespace = '"regress chat"'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 ORDER BY c.relname, a.attnum;
SELECT c.conrelid::regclass, pg_get_constraintdef(c.oid) COLLATE "C" FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid
 WHERE c.connamespace = '"regress chat"'::regnamespace AND c.contype IN ('f', 'u', 'c') ORDER BY t.relname, 2;
SELECT c.relname, r.* FROM pg_class AS c, forge_comm.rules(c.oid) AS r
 WHERE c.relnamespace = '"regress chat"'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, r.capability COLLATE "C";
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = '"regress chat"'::regnamespace AND proname <> 'refused';
-- Every foreign key has an index that it leads
SELECT c.conrelid::regclass, c.conname FROM pg_constraint AS c
 WHERE c.connamespace = '"regress chat"'::regnamespace AND c.contype = 'f'
   AND NOT EXISTS (SELECT FROM pg_index AS i
                    WHERE i.indrelid = c.conrelid
                      AND (SELECT array_agg(k) FROM unnest((i.indkey::int2[])[0:cardinality(c.conkey) - 1]) AS k) @> c.conkey);
-- Every one between tables of a workspace includes it
SELECT c.conrelid::regclass, c.conname FROM pg_constraint AS c
 WHERE c.connamespace = '"regress chat"'::regnamespace AND c.contype = 'f'
   AND c.confrelid::regclass::text NOT LIKE '%users' AND c.confrelid::regclass::text NOT LIKE '%workspaces'
   AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.conrelid AND a.attname = 'workspace_id' AND a.attnum = ANY (c.conkey));
-- Nothing of it belongs to the extension
SELECT count(*) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'forge_comm'
 WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND d.objid IN (SELECT oid FROM pg_class WHERE relnamespace = '"regress chat"'::regnamespace);

-- ------------------------------------------------------------------ its rules

RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA "regress chat" TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "regress chat" TO regress_app;
BEGIN;
SELECT forge_comm.set_service_context('first workspaces');
INSERT INTO users (email, display_name) VALUES ('ann@example.com', 'Ann'), ('bob@example.com', 'Bob'), ('cy@example.com', 'Cy') RETURNING id;
INSERT INTO workspaces (name, slug) VALUES ('One', 'one'), ('Two', 'two') RETURNING id;
INSERT INTO memberships (workspace_id, user_id, role) VALUES (1, 1, 'owner'), (2, 2, 'owner'), (1, 3, 'guest');
SELECT refused('INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1)');
SELECT refused('INSERT INTO memberships (workspace_id, user_id, role) VALUES (1, 2, ''king'')');
SELECT refused('INSERT INTO workspaces (name, slug) VALUES (''Other'', ''one'')');
SELECT refused('INSERT INTO workspaces (name, slug) VALUES (''Other'', '''')');
SELECT refused('INSERT INTO users (email, display_name) VALUES (''Ann@Example.com'', ''Ann'')');
SELECT refused('INSERT INTO users (email, display_name) VALUES (''dan@example.com'', '''')');
SELECT refused('INSERT INTO users (email, display_name) VALUES (repeat(''x'', 256), ''Dan'')');
SELECT refused('INSERT INTO users (email, display_name) VALUES (''dan@example.com'', repeat(''x'', 101))');
INSERT INTO channels (workspace_id, name) VALUES (2, 'general') RETURNING id;
COMMIT;

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
-- Somebody else's workspace is not founded; one's own is, see sql/founding
SELECT refused('INSERT INTO workspaces (id, name, slug) VALUES (2, ''Mine'', ''mine'') ON CONFLICT DO NOTHING');
INSERT INTO channels (name) VALUES ('general') RETURNING id, workspace_id, is_private, is_dm, is_archived;
SELECT refused('INSERT INTO channels (name) VALUES (''general'')');
SELECT refused('INSERT INTO channels (name) VALUES (NULL)');
SELECT refused('INSERT INTO channels (name) VALUES ('''')');
INSERT INTO channels (is_dm) VALUES (true), (true) RETURNING id;
INSERT INTO messages (channel_id, user_id, body) VALUES (2, 1, 'hello') RETURNING id, workspace_id, created_at = updated_at;
SELECT refused('INSERT INTO messages (id, channel_id, user_id, body, parent_id) VALUES (99, 2, 3, ''hello, too'', 1)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(3);
INSERT INTO messages (channel_id, body, parent_id) VALUES (2, 'hello, too', 1) RETURNING id, user_id, parent_id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
INSERT INTO channel_memberships (channel_id, user_id, last_read_message_id) VALUES (2, 1, 2) RETURNING workspace_id;
SELECT refused('INSERT INTO channel_memberships (channel_id, user_id) VALUES (2, 1)');
SELECT refused('INSERT INTO messages (channel_id, user_id, body) VALUES (2, 1, '''')');
SELECT refused('INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, ''not mine'')');
SELECT refused('INSERT INTO messages (channel_id, user_id, body) VALUES (999, 1, ''not there'')');
SELECT refused('INSERT INTO messages (channel_id, user_id, body) VALUES (2, 999, ''nobody'')');
SELECT body FROM get_messages(2);
\set QUIET off
DELETE FROM messages WHERE id = 1;
\set QUIET on
SELECT body FROM get_messages(2);
SELECT id FROM active_messages;
-- a reply falls with what it replies to, and nothing is lost
SELECT id, parent_id, deleted_at IS NULL FROM messages ORDER BY id;
SELECT forge_comm.restore('messages', 1);
SELECT count(*) FROM get_messages(2);
SELECT name FROM workspaces;
SELECT count(*) FROM memberships;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM channels), (SELECT count(*) FROM get_messages(2));
COMMIT;
SELECT refused('SELECT forge_comm.set_context(1, 2)');

-- A user who is deleted frees the address, and keeps their messages
BEGIN;
SELECT forge_comm.set_context(3);
\set QUIET off
DELETE FROM users WHERE id = 3;
\set QUIET on
SELECT id, is_active, deleted_at IS NOT NULL FROM users WHERE id = 3;
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('registration');
INSERT INTO users (email, display_name) VALUES ('CY@example.com', 'Another') RETURNING id > 3;
SELECT display_name FROM active_users ORDER BY 1;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT user_id FROM messages ORDER BY id;
COMMIT;
-- Removed for good, they are taken out of the messages
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL forge_comm.allow_hard_delete = on;
DELETE FROM users WHERE id = 3;
SELECT id, user_id FROM messages ORDER BY id;
SELECT count(*) FROM memberships WHERE user_id = 3;
ROLLBACK;
-- A workspace takes all that is in it along
SET SESSION AUTHORIZATION regress_owner;
BEGIN;
SELECT forge_comm.set_service_context('the end');
\set QUIET off
DELETE FROM workspaces WHERE id = 1;
\set QUIET on
SELECT (SELECT count(*) FROM memberships), (SELECT count(*) FROM channels), (SELECT count(*) FROM messages), (SELECT count(*) FROM channel_memberships);
ROLLBACK;

-- ----------------------------------------------- the registration of memberships

RESET SESSION AUTHORIZATION;
SET client_min_messages = notice;
SELECT forge_comm.create_chat_schema('regress_second');
SET client_min_messages = warning;
SELECT memberships FROM forge_comm.settings;
DROP SCHEMA regress_second CASCADE;
SELECT forge_comm.forget_memberships();
SELECT forge_comm.create_chat_schema('regress_second');
SELECT memberships, user_column, workspace_column, role_column, active FROM forge_comm.settings;

-- ------------------------------------------------------------------ the end

SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_second, "regress chat" CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
