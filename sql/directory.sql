-- People are known to those who share a workspace with them.
\set schema regress_directory
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/setup.sql

CREATE TABLE workspaces (id int PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, name text, email text UNIQUE, hashed_password text);
CREATE TABLE memberships (
  workspace_id smallint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  role text NOT NULL DEFAULT 'member',
  active boolean NOT NULL DEFAULT true,
  PRIMARY KEY (user_id, workspace_id)
);
CREATE TABLE tasks (id int PRIMARY KEY, workspace_id int NOT NULL, assignee int REFERENCES users ON DELETE SET NULL, title text);
CREATE TABLE logins (user_id int REFERENCES users, at int);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA regress_directory TO regress_app;
INSERT INTO workspaces VALUES (1), (2);
-- Ann owns workspace 1 and knows Bob, who was deactivated there, and Cy, who is
-- in both; Di is in 2 alone, Eve is nowhere
INSERT INTO users SELECT ordinality, name, lower(name) || '@example.com', 'hash of ' || name
  FROM unnest('{Ann,Bob,Cy,Di,Eve}'::text[]) WITH ORDINALITY AS name;
INSERT INTO memberships VALUES (1, 1, 'owner', true), (1, 2, 'member', false), (1, 3, 'member', true), (2, 3, 'member', true), (2, 4, 'owner', true);
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role', active => 'active');
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('workspaces', 'id');
SELECT forge_comm.enable_tenancy('memberships');
SELECT forge_comm.enable_tenancy('tasks');
CREATE TABLE pg_temp.before AS SELECT * FROM state;

-- ---------------------------------------------------------------- enabling

CREATE VIEW people AS SELECT * FROM users;
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
CREATE TABLE keyless (id int UNIQUE, name text);
CREATE TABLE named (name text PRIMARY KEY, id int);
SELECT diagnostics($$SELECT forge_comm.enable_directory(NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('people')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('users', 'no_such_column')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('users', NULL)$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('users', 'name')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('keyless')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('named')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('parted')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('memberships', 'user_id')$$);
SELECT diagnostics($$SELECT forge_comm.enable_directory('tasks')$$);
DROP TABLE parted, keyless, named;
DROP VIEW people;
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SELECT forge_comm.enable_directory('users');
TABLE state EXCEPT TABLE pg_temp.before ORDER BY 1, 2;
SELECT * FROM forge_comm.rules('users');
SET client_min_messages = notice;
SELECT forge_comm.enable_directory('users', 'id');
SET client_min_messages = warning;

-- ------------------------------------------------------------------- reading

CREATE VIEW known WITH (security_invoker) AS SELECT string_agg(name, ' ' ORDER BY id) FROM users;
GRANT SELECT ON known TO PUBLIC;
SET SESSION AUTHORIZATION regress_app;
BEGIN; SELECT forge_comm.set_context(1); TABLE known; COMMIT;
-- one who knows both workspaces, and narrows to one
BEGIN; SELECT forge_comm.set_context(3); TABLE known; SELECT forge_comm.pin_workspace(2); TABLE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(3, 1); TABLE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(4); TABLE known; COMMIT;
-- one who is nowhere, or no longer active, is alone
BEGIN; SELECT forge_comm.set_context(5); TABLE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(2); TABLE known; COMMIT;
-- and a user who is not there
BEGIN; SELECT forge_comm.set_context(6000000000); TABLE known; COMMIT;
BEGIN; SELECT forge_comm.set_service_context('list'); TABLE known; COMMIT;
SELECT diagnostics('SELECT * FROM users');
SET forge_comm.missing_context = 'empty';
TABLE known;
SELECT forge_comm.knows_user(1), forge_comm.is_current_user(1);
RESET forge_comm.missing_context;
SELECT diagnostics('SELECT forge_comm.knows_user(1)');
SELECT diagnostics('SELECT forge_comm.is_current_user(1)');
-- however it is asked for
CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE WARNING 'spied %', $1; RETURN true; END $$;
BEGIN;
SELECT forge_comm.set_context(4);
SELECT count(*) FROM users WHERE pg_temp.spy(email);
SELECT name FROM users WHERE email = 'ann@example.com' OR id = 1;
COPY users (id, name) TO stdout;
SELECT id, forge_comm.knows_user(id), forge_comm.is_current_user(id) FROM unnest('{1,3,4,5,99,NULL}'::bigint[]) AS id;
SELECT m.user_id, u.name FROM memberships AS m LEFT JOIN users AS u ON u.id = m.user_id ORDER BY 1;
COMMIT;
-- The owner of the table is bound as well
SET SESSION AUTHORIZATION regress_owner;
SELECT diagnostics('SELECT * FROM users');
BEGIN; SELECT forge_comm.set_context(4); TABLE known; COMMIT;

-- A membership is seen from the next statement, made or taken
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
SAVEPOINT s;
DELETE FROM memberships WHERE user_id = 3 AND workspace_id = 1;
TABLE known;
ROLLBACK TO s;
TABLE known;
DELETE FROM memberships WHERE user_id = 2 AND workspace_id = 1;
TABLE known;
ROLLBACK;
-- Many are looked up together
RESET SESSION AUTHORIZATION;
INSERT INTO users SELECT i, 'u' || i, i || '@example.com' FROM generate_series(100, 199) AS i;
INSERT INTO memberships SELECT 1 + i % 2, i FROM generate_series(100, 199) AS i;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1);
SELECT count(*), count(*) FILTER (WHERE id >= 100), bool_and(id % 2 = 0) FILTER (WHERE id >= 100) FROM users;
SELECT count(*) FROM unnest(ARRAY(SELECT generate_series(1, 300))) AS id WHERE forge_comm.knows_user(id);
DELETE FROM memberships WHERE user_id BETWEEN 100 AND 109;
SELECT count(*) FROM users;
ROLLBACK;
-- One plan, user after user
SET plan_cache_mode = force_generic_plan;
PREPARE known AS SELECT count(*) FROM users;
BEGIN; SELECT forge_comm.set_context(1); EXECUTE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(4); EXECUTE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(5); EXECUTE known; COMMIT;
BEGIN; SELECT forge_comm.set_service_context('count'); EXECUTE known; COMMIT;
DEALLOCATE known;
RESET plan_cache_mode;
-- In parallel
RESET SESSION AUTHORIZATION;
ALTER TABLE users SET (parallel_workers = 2);
SET SESSION AUTHORIZATION regress_app;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
BEGIN;
SELECT forge_comm.set_context(1);
DELETE FROM memberships WHERE user_id BETWEEN 100 AND 109;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM users;
SELECT count(*) FROM users;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT count(*) FROM users;
ROLLBACK;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

-- ------------------------------------------------------------------- writing

BEGIN;
SELECT forge_comm.set_context(1);
\set QUIET off
UPDATE users SET name = 'Anna' WHERE id = 1;
UPDATE users SET name = 'mine';
UPDATE users SET name = 'mine' WHERE id = 3;
DELETE FROM users WHERE id IN (3, 4);
MERGE INTO users USING (VALUES (3), (1)) AS v (id) ON users.id = v.id WHEN MATCHED AND v.id = 1 THEN UPDATE SET name = 'Ann';
\set QUIET on
SELECT diagnostics('MERGE INTO users USING (VALUES (3)) AS v (id) ON users.id = v.id WHEN MATCHED THEN UPDATE SET name = ''mine''');
SELECT diagnostics('INSERT INTO users VALUES (6, ''Fay'')');
SELECT diagnostics('INSERT INTO users VALUES (3, ''Fay'') ON CONFLICT (id) DO UPDATE SET name = ''mine''');
SELECT diagnostics('INSERT INTO users VALUES (4, ''Fay'') ON CONFLICT DO NOTHING');
SELECT diagnostics('UPDATE users SET id = 6 WHERE id = 1');
SELECT diagnostics('UPDATE users SET id = 4 WHERE id = 1');
SELECT diagnostics('TRUNCATE users CASCADE');
INSERT INTO users VALUES (1, 'Again') ON CONFLICT (id) DO UPDATE SET name = 'Again' RETURNING name;
DELETE FROM users WHERE id = 1 RETURNING id;
ROLLBACK;
-- New people are made by a service
BEGIN;
SELECT forge_comm.set_service_context('sign-up');
INSERT INTO users VALUES (6, 'Fay', 'fay@example.com') RETURNING id;
UPDATE users SET name = 'Faye' WHERE id = 6 RETURNING name;
SELECT diagnostics('UPDATE users SET id = 7 WHERE id = 6');
DELETE FROM users WHERE id = 6 RETURNING id;
SAVEPOINT s;
TRUNCATE users CASCADE;
ROLLBACK;
-- and found by themselves at once
BEGIN;
SELECT forge_comm.set_context(6);
INSERT INTO users VALUES (6, 'Fay', 'fay@example.com') RETURNING name;
SELECT diagnostics('INSERT INTO users VALUES (7, ''Gus'')');
ROLLBACK;
SELECT diagnostics('INSERT INTO users VALUES (6, ''Fay'')');
SELECT diagnostics('UPDATE users SET name = ''mine''');
SELECT diagnostics('DELETE FROM users');

-- --------------------------------------------------------------- referencing

-- Who is not known does not exist, word for word
BEGIN;
SELECT forge_comm.set_context(1);
SELECT diagnostics('INSERT INTO tasks VALUES (1, 1, 99)') AS missing,
       diagnostics('INSERT INTO tasks VALUES (1, 1, 4)') AS unknown,
       diagnostics('INSERT INTO tasks VALUES (1, 1, 5)') AS nowhere
\gset
\echo :missing
SELECT :'missing' = :'unknown', :'missing' = :'nowhere';
INSERT INTO tasks VALUES (1, 1, 2), (2, 1, 3), (3, 1, 1), (4, 1, NULL) RETURNING id;
SELECT diagnostics('UPDATE tasks SET assignee = 4 WHERE id = 1');
UPDATE tasks SET assignee = 3 WHERE id = 1 RETURNING assignee;
-- memberships are tables under tenancy, too: people are asked in by a service
SELECT diagnostics('INSERT INTO memberships VALUES (1, 5)');
SELECT diagnostics('INSERT INTO memberships VALUES (1, 99)');
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('invite');
INSERT INTO memberships VALUES (1, 5) RETURNING user_id;
INSERT INTO tasks VALUES (5, 2, 1) RETURNING id;
SELECT diagnostics('INSERT INTO tasks VALUES (6, 2, 99)') = :'missing';
ROLLBACK;
-- A table that is under no tenancy is left alone
INSERT INTO logins VALUES (4, 1) RETURNING user_id;
DELETE FROM logins;
-- The trigger disabled: the policies ask all the same, and so do references
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE users DISABLE TRIGGER forge_comm_directory;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(4);
TABLE known \g /dev/null
SELECT count(*) FROM users WHERE id < 10;
SELECT diagnostics('INSERT INTO tasks VALUES (6, 2, 1)');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
SELECT diagnostics($$SELECT forge_comm.enable_directory('users')$$);
ALTER TABLE users ENABLE TRIGGER forge_comm_directory;
-- A renamed column
CREATE FUNCTION after(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE change;
  PERFORM forge_comm.set_context(1);
  RETURN NEXT diagnostics('SELECT FROM regress_directory.users');
  RETURN NEXT diagnostics('UPDATE regress_directory.users SET name = name');
  RETURN NEXT diagnostics('INSERT INTO regress_directory.tasks VALUES (7, 1, 3)');
END $$;
BEGIN; SELECT after('ALTER TABLE users RENAME id TO user_id'); ROLLBACK;
BEGIN; SELECT after('ALTER TABLE users RENAME TO accounts; CREATE VIEW users WITH (security_invoker) AS SELECT * FROM accounts'); ROLLBACK;
DROP FUNCTION after;

-- Without memberships registered one knows oneself
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
SET SESSION AUTHORIZATION regress_app;
BEGIN; SELECT forge_comm.set_context(1, 1); TABLE known; COMMIT;
BEGIN; SELECT forge_comm.set_context(workspace_id => 1); TABLE known; COMMIT;

-- ------------------------------------------------------------------- logging in

-- The narrow way: a function of the application's that tells no more than
-- logging in takes, over a service context that ends with the query.  A role of
-- its own owns it, which nobody logs in as
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships', role_column => 'role', active => 'active');
CREATE ROLE regress_login;
SELECT forge_comm.grant_app('regress_login');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_login;
REVOKE EXECUTE ON FUNCTION forge_comm.set_service_context(text) FROM regress_app;
GRANT CREATE ON SCHEMA regress_directory TO regress_login;
GRANT SELECT (id, email, hashed_password) ON users TO regress_login;
SET SESSION AUTHORIZATION regress_login;
CREATE FUNCTION find_login(address text, OUT id bigint, OUT hashed_password text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.set_service_context('log-in');
  SELECT u.id, u.hashed_password INTO id, hashed_password FROM regress_directory.users AS u WHERE u.email = address;
  -- undone with all that was done in this block: the service context
  RAISE EXCEPTION USING ERRCODE = 'LOGIN';
EXCEPTION WHEN SQLSTATE 'LOGIN' THEN
  RETURN;
END
$$;
REVOKE EXECUTE ON FUNCTION find_login FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_login TO regress_app;
RESET SESSION AUTHORIZATION;
REVOKE CREATE ON SCHEMA regress_directory FROM regress_login;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT * FROM find_login('di@example.com');
SELECT * FROM find_login('nobody@example.com');
-- nothing is left of the service context
SELECT * FROM forge_comm.context();
SELECT diagnostics('SELECT * FROM users');
SELECT forge_comm.set_context(4);
TABLE known \g /dev/null
SELECT count(*) FROM users WHERE id < 10;
-- once there is a user, it is too late to log in
SELECT diagnostics('SELECT find_login(''ann@example.com'')');
COMMIT;
SELECT diagnostics('SELECT forge_comm.set_service_context(''mine'')');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();

-- ----------------------------------------------------------------- disabling

SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_directory('users');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);
SET client_min_messages = notice;
SELECT forge_comm.disable_directory('users');
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
SELECT count(*) FROM users WHERE id < 10;
-- Policies and row security that were there stay, and policies go on deciding among those known
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON users USING (true);
TRUNCATE pg_temp.before;
INSERT INTO pg_temp.before TABLE state;
SELECT forge_comm.enable_directory('users');
SELECT relname, what FROM state WHERE what LIKE 'policy forge%' AND relname = 'users' ORDER BY 2;
SET SESSION AUTHORIZATION regress_app;
BEGIN; SELECT forge_comm.set_context(4, 2); SELECT name FROM users WHERE id < 10; COMMIT;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_directory('users');
(TABLE state EXCEPT TABLE pg_temp.before) UNION ALL (TABLE pg_temp.before EXCEPT TABLE state);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_directory CASCADE;
DROP OWNED BY regress_app, regress_owner, regress_login;
DROP ROLE regress_app, regress_owner, regress_login;
