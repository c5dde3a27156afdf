-- Users found workspaces, and nobody takes one that is there.
\set schema regress_founding
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql

CREATE TABLE workspaces (id int PRIMARY KEY, name text NOT NULL, slug text UNIQUE);
CREATE TABLE memberships (
  workspace_id int NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  user_id int NOT NULL,
  role text NOT NULL,
  PRIMARY KEY (user_id, workspace_id)
);
CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL REFERENCES workspaces, name text);
GRANT SELECT, INSERT, UPDATE, DELETE ON workspaces, memberships, channels TO regress_app;
CREATE TABLE pg_temp.before AS SELECT * FROM state;

-- ---------------------------------------------------------------- enabling

CREATE TABLE other (id int, workspace_id int NOT NULL, up int REFERENCES workspaces, tenant text PRIMARY KEY, UNIQUE (id));
CREATE TABLE pairs (id int, workspace_id int, PRIMARY KEY (id, workspace_id));
CREATE TABLE extension (id int PRIMARY KEY REFERENCES workspaces);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('channels', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('other', 'id', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('pairs', 'id', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('extension', 'id', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('parted', 'id', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('late', 'id', founding => true)$$);
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('workspaces', 'id', via => 'id', founding => true)$$);
DROP TABLE other, pairs, extension, parted, late;
SELECT forge_comm.enable_tenancy('workspaces', 'id', write_roles => '{owner,admin}', founding => true);
SELECT forge_comm.enable_tenancy('memberships', write_roles => '{owner}');
SELECT forge_comm.enable_tenancy('channels');
SELECT relname, what FROM state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
-- Again changes nothing
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('workspaces', 'id', write_roles => '{owner,admin}', founding => true);
SET client_min_messages = warning;
SELECT diagnostics($$SELECT forge_comm.enable_tenancy('workspaces', 'id')$$);

RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role');
INSERT INTO workspaces VALUES (1, 'one', 'one'), (2, 'two', 'two');
INSERT INTO memberships VALUES (1, 7, 'member'), (2, 9, 'owner');
INSERT INTO channels VALUES (10, 1, 'general'), (20, 2, 'secret');
SET SESSION AUTHORIZATION regress_app;

-- What the user of the context has
CREATE FUNCTION pg_temp.scope() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT concat_ws(' ', 'ids', workspace_ids, 'sees', (SELECT array_agg(id ORDER BY id) FROM regress_founding.workspaces),
                   'and', (SELECT array_agg(id ORDER BY id) FROM regress_founding.channels))
    FROM forge_comm.context() $$;

-- ------------------------------------------------------------------ founding

-- As ORMs do: the workspace, the owner's membership, what is in it
BEGIN;
SELECT forge_comm.set_context(7);
SELECT pg_temp.scope();
INSERT INTO workspaces VALUES (3, 'three', 'three') RETURNING id, name;
SELECT pg_temp.scope(), forge_comm.has_role(3, 'owner'), forge_comm.has_role(3, 'no such role'), forge_comm.has_role(1, 'owner'), forge_comm.has_role(2, 'owner');
SELECT user_id, workspace_ids, roles FROM forge_comm.context();
UPDATE workspaces SET name = 'Three' WHERE id = 3 RETURNING name;
INSERT INTO memberships VALUES (3, 7, 'owner'), (3, 8, 'member') RETURNING user_id;
INSERT INTO channels VALUES (30, 3, 'general') RETURNING id;
COMMIT;
-- by membership afterwards
BEGIN;
SELECT forge_comm.set_context(7);
SELECT pg_temp.scope(), forge_comm.has_role(3, 'owner'), forge_comm.has_role(3, 'no such role');
COMMIT;
-- and not without one
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (4, 'four', 'four');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT pg_temp.scope();
SELECT diagnostics('INSERT INTO memberships VALUES (4, 7, ''owner'')');
ROLLBACK;
-- With a workspace pinned
BEGIN;
SELECT forge_comm.set_context(7, 1);
INSERT INTO workspaces VALUES (5, 'five', 'five');
SELECT pg_temp.scope(), forge_comm.current_workspace_id();
SELECT forge_comm.pin_workspace(5);
SELECT pg_temp.scope();
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(7, 1);
-- It is in scope when the statement has ended, not for what is in it
SELECT diagnostics($$WITH w AS (INSERT INTO workspaces VALUES (5, 'five', 'five') RETURNING id)
                     INSERT INTO memberships SELECT id, 7, 'owner' FROM w RETURNING workspace_id$$);
SELECT pg_temp.scope();
ROLLBACK;
-- Several, and by MERGE
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (5, 'five', 'five'), (6, 'six', 'six') RETURNING id;
MERGE INTO workspaces AS w USING (VALUES (7)) AS v (id) ON w.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'seven', 'seven');
SELECT pg_temp.scope();
-- a context set anew is narrowed to what memberships say, and founding it was
SELECT diagnostics('SELECT forge_comm.set_context(7, 2)');
SELECT diagnostics('SELECT forge_comm.set_context(8)');
ROLLBACK;
-- Only users found; a service need not; a workspace alone does not
BEGIN;
SELECT forge_comm.set_service_context('make');
INSERT INTO workspaces VALUES (5, 'five', 'five') RETURNING id;
ROLLBACK;
SELECT diagnostics('INSERT INTO workspaces VALUES (5, ''five'', ''five'')');
SET forge_comm.missing_context = 'empty';
SELECT diagnostics('INSERT INTO workspaces VALUES (5, ''five'', ''five'')');
RESET forge_comm.missing_context;
-- What is undone is no longer in scope
BEGIN;
SELECT forge_comm.set_context(7);
SAVEPOINT s;
INSERT INTO workspaces VALUES (5, 'five', 'five');
INSERT INTO memberships VALUES (5, 7, 'owner');
SELECT pg_temp.scope();
ROLLBACK TO s;
SELECT pg_temp.scope();
SELECT diagnostics('INSERT INTO channels VALUES (50, 5, ''general'')');
SAVEPOINT s;
INSERT INTO workspaces VALUES (6, 'six', 'six');
RELEASE s;
SELECT pg_temp.scope();
ROLLBACK;
-- A context for the session does not keep it beyond the transaction
SELECT forge_comm.set_context(7, is_local => false);
BEGIN;
INSERT INTO workspaces VALUES (5, 'five', 'five') RETURNING id;
SELECT pg_temp.scope();
COMMIT AND CHAIN;
SELECT pg_temp.scope();
ROLLBACK;
INSERT INTO workspaces VALUES (6, 'six', 'six') RETURNING id;
SELECT pg_temp.scope();
RESET forge_comm.context;
-- A workspace keeps its id, and whoever leaves it cannot take another's place
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (12, 'twelve', 'twelve');
SELECT diagnostics('UPDATE workspaces SET id = 2 WHERE id = 12');
SELECT diagnostics('UPDATE workspaces SET id = 13 WHERE id = 12');
DELETE FROM workspaces WHERE id = 12 RETURNING id;
SELECT pg_temp.scope();
INSERT INTO workspaces VALUES (12, 'again', 'again') RETURNING id;
ROLLBACK;

-- ------------------------------------------------------------------ the trap

CREATE FUNCTION pg_temp.peek(what text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE WARNING 'peeked: %', pg_temp.scope();
  RETURN what;
END $$;
BEGIN;
SELECT forge_comm.set_context(7);
-- alone
SELECT diagnostics('INSERT INTO workspaces VALUES (2, ''mine'', ''mine'')');
SELECT diagnostics('INSERT INTO workspaces VALUES (2, ''mine'', ''mine'') ON CONFLICT DO NOTHING');
SELECT diagnostics('INSERT INTO workspaces VALUES (2, ''mine'', ''mine'') ON CONFLICT (id) DO NOTHING RETURNING id');
SELECT diagnostics('INSERT INTO workspaces VALUES (2, ''mine'', ''mine'') ON CONFLICT (id) DO UPDATE SET name = ''mine''');
SELECT diagnostics('MERGE INTO workspaces AS w USING (VALUES (2)) AS v (id) ON w.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (2, ''mine'', ''mine'') WHEN MATCHED THEN DELETE');
SELECT pg_temp.scope();
-- by another key, with an id of one's own: nothing was made, so nothing is there
INSERT INTO workspaces VALUES (13, 'mine', 'two') ON CONFLICT DO NOTHING RETURNING id;
SELECT pg_temp.scope();
SELECT diagnostics('INSERT INTO workspaces VALUES (13, ''mine'', ''two'')');
SELECT diagnostics('INSERT INTO workspaces VALUES (13, ''mine'', ''two'') ON CONFLICT (slug) DO UPDATE SET name = ''mine''');
SELECT pg_temp.scope();
-- in a CTE beside a SELECT
SELECT diagnostics($$WITH i AS (INSERT INTO workspaces VALUES (2, 'mine', 'mine') ON CONFLICT DO NOTHING RETURNING id)
  SELECT pg_temp.peek('a'), count(*) FROM channels WHERE workspace_id = 2 UNION ALL SELECT pg_temp.peek('b'), id FROM i$$);
WITH i AS (INSERT INTO workspaces VALUES (13, 'mine', 'two'), (14, 'mine', 'fourteen') ON CONFLICT DO NOTHING RETURNING id)
SELECT 'made', id FROM i UNION ALL SELECT 'workspace', id FROM workspaces UNION ALL SELECT 'channel', id FROM channels;
SELECT pg_temp.scope();
-- after one that is really made
SELECT diagnostics($$INSERT INTO workspaces VALUES (15, 'mine', 'mine'), (2, 'mine', 'mine too') ON CONFLICT DO NOTHING$$);
SELECT pg_temp.scope();
-- in an EXCEPTION block
DO $$
BEGIN
  INSERT INTO workspaces VALUES (2, 'mine', 'mine');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'caught %: %', SQLSTATE, pg_temp.scope();
END $$;
DO $$
BEGIN
  INSERT INTO workspaces VALUES (16, 'mine', 'two');
EXCEPTION WHEN unique_violation THEN
  RAISE WARNING 'caught %: %', SQLSTATE, pg_temp.scope();
END $$;
SELECT pg_temp.scope();
-- via a function, that looks while the row is made, or makes it while another looks
SELECT diagnostics($$INSERT INTO workspaces SELECT id, pg_temp.peek('x'), NULL FROM unnest('{17,2}'::int[]) AS id ON CONFLICT DO NOTHING RETURNING pg_temp.peek('y')$$);
CREATE FUNCTION pg_temp.make(id int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  INSERT INTO regress_founding.workspaces VALUES (id, 'mine', 'two') ON CONFLICT DO NOTHING;
  RETURN pg_temp.scope();
END $$;
SELECT pg_temp.make(18);
SELECT diagnostics('SELECT pg_temp.make(2)');
SELECT id, pg_temp.make(19) FROM workspaces ORDER BY id;
SELECT id FROM channels WHERE pg_temp.make(20) IS NOT NULL ORDER BY id;
SELECT pg_temp.scope();
-- ids that are pending are no answer to who asks for others
SELECT forge_comm.in_workspace(2), forge_comm.in_workspace(2, 'workspaces'), forge_comm.in_workspace(20, 'workspaces'), forge_comm.in_workspace(20, 'channels');
COMMIT;

-- A trigger of the application's that takes the row away, or gives it another id
SET SESSION AUTHORIZATION regress_owner;
CREATE FUNCTION divert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.name = 'none' THEN
    RETURN NULL;
  END IF;
  new.id := 2;
  RETURN new;
END $$;
CREATE TRIGGER zzz_divert BEFORE INSERT ON workspaces FOR EACH ROW WHEN (new.name IN ('none', 'diverted')) EXECUTE FUNCTION divert();
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (21, 'none', 'none') RETURNING id;
SELECT pg_temp.scope();
SELECT diagnostics('INSERT INTO workspaces VALUES (22, ''diverted'', ''diverted'') ON CONFLICT DO NOTHING');
SELECT pg_temp.scope();
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
DROP FUNCTION divert CASCADE;
-- The founding trigger disabled: what is made is not in scope
ALTER TABLE workspaces DISABLE TRIGGER forge_comm_founding;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (23, 'unseen', 'unseen') RETURNING id;
SELECT pg_temp.scope();
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE workspaces ENABLE TRIGGER forge_comm_founding;
-- the guard disabled: nobody founds
ALTER TABLE workspaces DISABLE TRIGGER forge_comm_tenancy;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT diagnostics('INSERT INTO workspaces VALUES (24, ''mine'', ''mine'')');
SELECT diagnostics('INSERT INTO workspaces VALUES (2, ''mine'', ''mine'') ON CONFLICT DO NOTHING');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE workspaces ENABLE TRIGGER forge_comm_tenancy;

-- ------------------------------------------- founded workspaces in parallel plans

RESET SESSION AUTHORIZATION;
ALTER TABLE channels SET (parallel_workers = 2);
SET SESSION AUTHORIZATION regress_app;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
BEGIN;
SELECT forge_comm.set_context(7);
INSERT INTO workspaces VALUES (25, 'many', 'many');
INSERT INTO channels SELECT 100 + i, 25, 'c' || i FROM generate_series(1, 20) AS i;
EXPLAIN (COSTS OFF) SELECT count(*) FROM channels;
SELECT count(*) FROM channels;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT count(*) FROM channels;
ROLLBACK;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
RESET enable_indexscan;
RESET enable_bitmapscan;

-- --------------------------------------------------- which table is of workspaces

-- That which the registered memberships reference, and no other
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE teams (id int PRIMARY KEY);
GRANT SELECT, INSERT ON teams TO regress_app;
SELECT forge_comm.enable_tenancy('teams', 'id', founding => true);
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT diagnostics('INSERT INTO teams VALUES (99)');
SELECT diagnostics('INSERT INTO teams VALUES (2)');
SELECT pg_temp.scope();
ROLLBACK;
-- Without any nobody founds: whoever owns a table could make it one of workspaces
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7, 1);
SELECT diagnostics('INSERT INTO teams VALUES (99)');
SELECT diagnostics('INSERT INTO workspaces VALUES (99, ''mine'', ''mine'')');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT diagnostics('INSERT INTO workspaces VALUES (26, ''mine'', ''mine'')');
ROLLBACK;

-- ----------------------------------------------------------- the chat schema

RESET SESSION AUTHORIZATION;
SELECT forge_comm.create_chat_schema('regress_chat');
GRANT USAGE ON SCHEMA regress_chat TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_chat TO regress_app;
INSERT INTO regress_chat.users (email, display_name) VALUES ('ann@example.com', 'Ann'), ('bob@example.com', 'Bob');
SET SESSION AUTHORIZATION regress_app;
SET search_path = regress_chat, regress_founding;
SELECT diagnostics('SELECT create_workspace(''One'', ''one'')');
BEGIN;
SELECT forge_comm.set_service_context('make');
SELECT diagnostics('SELECT create_workspace(''One'', ''one'')');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT create_workspace('It''s "One"', slug => 'one');
SELECT name, slug FROM workspaces;
SELECT workspace_id, user_id, role FROM memberships;
INSERT INTO channels (workspace_id, name, is_private) VALUES (1, 'private', true) RETURNING id;
INSERT INTO channel_memberships (channel_id, user_id) VALUES (1, 1) RETURNING id;
INSERT INTO messages (channel_id, body) VALUES (1, 'hello') RETURNING user_id;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT body FROM messages;
SELECT diagnostics('SELECT create_workspace(''Two'', ''one'')');
SELECT diagnostics('SELECT create_workspace(NULL, ''two'')');
SELECT diagnostics('SELECT create_workspace('''', ''two'')');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(2);
SELECT create_workspace('Two', 'two') > 1;
SELECT count(*) FROM workspaces;
SELECT count(*) FROM messages;
SELECT display_name FROM users;
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_chat CASCADE;
SET search_path = regress_founding;

-- ----------------------------------------------------------------- disabling

SET SESSION AUTHORIZATION regress_owner;
DROP TABLE teams;
SELECT forge_comm.disable_tenancy(t) FROM unnest('{workspaces,memberships,channels}'::regclass[]) AS t;
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_founding CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
