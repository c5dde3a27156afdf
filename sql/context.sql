-- Who is asking: how a context is set, narrowed, carried and ended.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_bypass, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_bypass BYPASSRLS;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_context;
GRANT USAGE ON SCHEMA regress_context TO PUBLIC;
SET search_path = regress_context;

-- Says how a statement is refused: SQLSTATE, message, detail, hint
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE TABLE notes (id int, workspace_id bigint NOT NULL, body text);
INSERT INTO notes SELECT i, 41 + i % 3, 'note ' || i FROM generate_series(1, 9) AS i;
ALTER TABLE notes OWNER TO regress_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO regress_app, regress_bypass;
SELECT forge_comm.enable_tenancy('notes');
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_bypass');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_bypass;

-- ---------------------------------------------- before the library is loaded

-- A value that was there before is dropped as the library loads
\c -
SET search_path = regress_context;
SET SESSION AUTHORIZATION regress_app;
SET forge_comm.context = 'user=1;scope=*';
SET forge_comm.allow_bypass_role = on;
SELECT count(*) FROM notes;
\echo :SQLSTATE
SHOW forge_comm.context;
SHOW forge_comm.allow_bypass_role;
SELECT * FROM forge_comm.context();

-- So are those that a role or a database brings along
\c -
ALTER DATABASE :"DBNAME" SET forge_comm.context = 'user=1;scope=*';
\c -
SET search_path = regress_context;
SET SESSION AUTHORIZATION regress_app;
SHOW forge_comm.context;
SELECT refused('SELECT * FROM notes');
SELECT * FROM forge_comm.context();
RESET SESSION AUTHORIZATION;
ALTER DATABASE :"DBNAME" RESET forge_comm.context;

-- And those that a connection asks for
\c -reuse-previous=on "options='-c forge_comm.context=scope=*'"
SET search_path = regress_context;
SET SESSION AUTHORIZATION regress_app;
SHOW forge_comm.context;
SELECT refused('SELECT * FROM notes');
SELECT * FROM forge_comm.context();

-- --------------------------------------------------------------- no context

\c -reuse-previous=on "options='-c intervalstyle=postgres_verbose'"
SET search_path = regress_context;
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
SELECT * FROM notes;
\echo :SQLSTATE
SELECT refused('SELECT * FROM notes');
SELECT refused('INSERT INTO notes VALUES (10, 42, ''new'')');
SELECT refused('UPDATE notes SET body = ''mine''');
SELECT refused('DELETE FROM notes');
SELECT refused('SELECT forge_comm.in_workspace(42)');
SELECT refused('SELECT forge_comm.workspace_ids()');
SELECT refused('SELECT forge_comm.has_role(42, ''owner'')');
SELECT refused('SELECT forge_comm.pin_workspace(42)');
SELECT forge_comm.current_user_id(), forge_comm.current_workspace_id();
SELECT * FROM forge_comm.context();

-- It may mean no rows instead; never all of them
SET forge_comm.missing_context = 'empty';
SELECT count(*) FROM notes;
SELECT refused('INSERT INTO notes VALUES (10, 42, ''new'')');
SELECT refused('INSERT INTO notes VALUES (10, NULL, ''new'')');
UPDATE notes SET body = 'mine';
DELETE FROM notes;
SELECT forge_comm.in_workspace(42), forge_comm.workspace_ids(), forge_comm.has_role(42, 'owner');
SELECT refused('SET forge_comm.missing_context = ''all''');
RESET forge_comm.missing_context;

-- ------------------------------------------------------------------ setting

BEGIN;
SELECT forge_comm.set_context(user_id => 7, workspace_id => 42);
SELECT * FROM forge_comm.context();
SELECT forge_comm.current_user_id(), forge_comm.current_workspace_id(), forge_comm.workspace_ids();
SELECT forge_comm.in_workspace(42::bigint), forge_comm.in_workspace(42::int), forge_comm.in_workspace(42::smallint);
SELECT forge_comm.in_workspace(43::bigint), forge_comm.in_workspace(43::int), forge_comm.in_workspace(43::smallint);
SELECT forge_comm.in_workspace(NULL::bigint);
SELECT forge_comm.has_role(42, 'owner'), forge_comm.has_role(42, '');
SELECT count(*), min(workspace_id), max(workspace_id) FROM notes;
COMMIT;
-- It ends with the transaction, committed or not
SELECT * FROM forge_comm.context();
BEGIN;
SELECT forge_comm.set_context(7, 42);
ROLLBACK;
SELECT * FROM forge_comm.context();
BEGIN;
SELECT forge_comm.set_context(7, 42);
COMMIT AND CHAIN;
SELECT refused('SELECT * FROM notes');
SELECT forge_comm.set_context(8, 43);
SELECT * FROM forge_comm.context();
ROLLBACK AND CHAIN;
SELECT * FROM forge_comm.context();
COMMIT;

-- The user may be unknown; ids may be anything that fits
BEGIN;
SELECT forge_comm.set_context(workspace_id => 42);
SELECT * FROM forge_comm.context();
SELECT refused('SELECT forge_comm.set_context(7, 42)');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(-9223372036854775808, 9223372036854775807);
SELECT * FROM forge_comm.context();
SELECT count(*) FROM notes;
COMMIT;
SELECT refused('SELECT forge_comm.set_context()');
SELECT refused('SELECT forge_comm.set_context(7)');
SELECT refused('SELECT forge_comm.set_context(7, 42, NULL)');
SELECT refused('SELECT forge_comm.pin_workspace(NULL)');

-- A wrapper with a search path of its own can set it for its caller
CREATE FUNCTION pg_temp.log_in() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS
  $$ BEGIN PERFORM forge_comm.set_context(7, 42); END $$;
BEGIN;
SELECT pg_temp.log_in();
SELECT * FROM forge_comm.context();
COMMIT;
SELECT * FROM forge_comm.context();

-- --------------------------------------------------------- for the session

SELECT forge_comm.set_context(7, 42, is_local => false);
SELECT * FROM forge_comm.context();
BEGIN;
SELECT * FROM forge_comm.context();
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK;
SELECT * FROM forge_comm.context();
SELECT refused('SELECT forge_comm.set_context(8, 43, false)');
-- Ending it and setting another takes two transactions
RESET forge_comm.context;
SELECT * FROM forge_comm.context();
SELECT forge_comm.set_context(8, 43, false);
SELECT * FROM forge_comm.context();
DISCARD ALL;
SET search_path = regress_context;
SET SESSION AUTHORIZATION regress_app;
SELECT * FROM forge_comm.context();
SELECT forge_comm.set_context(7, 41, false);
RESET ALL;
SET search_path = regress_context;
SET client_min_messages = warning;
SELECT * FROM forge_comm.context();
BEGIN;
SELECT forge_comm.set_context(7, 41, false);
ROLLBACK;
SELECT * FROM forge_comm.context();

-- ---------------------------------------------------------- narrowing only

BEGIN;
SELECT forge_comm.set_context(7, 42);
SELECT forge_comm.set_context(7, 42);
SELECT forge_comm.pin_workspace(42);
SELECT refused('SELECT forge_comm.set_context(8, 42)');
SELECT refused('SELECT forge_comm.set_context(NULL, 42)');
SELECT refused('SELECT forge_comm.set_context(7, 43)');
SELECT refused('SELECT forge_comm.pin_workspace(43)');
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
-- To drop it first changes nothing
SAVEPOINT kept;
RESET forge_comm.context;
SELECT refused('SELECT * FROM notes');
SELECT refused('SELECT forge_comm.set_context(8, 43)');
SELECT refused('SELECT forge_comm.set_context(7, 42)');
ROLLBACK TO kept;
SELECT * FROM forge_comm.context();
RESET ALL;
SET search_path = regress_context;
SET client_min_messages = warning;
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK TO kept;
SET forge_comm.context TO DEFAULT;
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK TO kept;
SET LOCAL forge_comm.context = '';
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK TO kept;
SELECT set_config('forge_comm.context', '', true);
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK TO kept;
SELECT set_config('forge_comm.context', NULL, true);
SELECT refused('SELECT forge_comm.set_context(8, 43)');
ROLLBACK TO kept;
-- Nor inside a function that does
CREATE FUNCTION pg_temp.slip_out() RETURNS text LANGUAGE plpgsql SET forge_comm.context = '' AS
  $$ BEGIN RETURN regress_context.refused('SELECT forge_comm.set_context(8, 43)'); END $$;
SELECT pg_temp.slip_out();
SELECT * FROM forge_comm.context();
COMMIT;
-- The next transaction is free again
BEGIN;
SELECT forge_comm.set_context(8, 43);
SELECT * FROM forge_comm.context();
COMMIT;

-- ------------------------------------------------------------- savepoints

BEGIN;
SAVEPOINT a;
SELECT forge_comm.set_context(7, 42);
ROLLBACK TO a;
SELECT * FROM forge_comm.context();
SELECT forge_comm.set_context(8, 43);
SAVEPOINT b;
SELECT forge_comm.pin_workspace(43);
RELEASE b;
SELECT * FROM forge_comm.context();
COMMIT;
-- Blocks with EXCEPTION are subtransactions as well
BEGIN;
DO $$
BEGIN
  BEGIN
    PERFORM forge_comm.set_context(7, 42);
    RAISE division_by_zero;
  EXCEPTION WHEN division_by_zero THEN
    NULL;
  END;
  RAISE WARNING 'after an error: %', forge_comm.context();
  BEGIN
    PERFORM forge_comm.set_context(8, 43);
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RAISE WARNING 'after none: %', forge_comm.context();
END $$;
COMMIT;

-- --------------------------------------------- nobody else writes the carrier

BEGIN;
SELECT forge_comm.set_context(7, 42);
SELECT refused('SET forge_comm.context = ''user=7;scope=*''');
SELECT refused('SET LOCAL forge_comm.context = ''scope=43:''');
SELECT refused('SET SESSION forge_comm.context = ''nonsense''');
SELECT refused('SELECT set_config(''forge_comm.context'', ''scope=*'', true)');
-- not even its own value
SELECT refused(format('SET LOCAL forge_comm.context = %L', current_setting('forge_comm.context')));
SELECT refused('SET LOCAL forge_comm.context FROM CURRENT');
SELECT refused($$CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql
                 SET forge_comm.context = 'scope=*' AS 'SELECT 1'$$);
SELECT refused($$CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql
                 SET forge_comm.context FROM CURRENT AS 'SELECT 1'$$);
SELECT refused('ALTER ROLE regress_app SET forge_comm.context = ''scope=*''');
SELECT refused('ALTER ROLE regress_app SET forge_comm.context FROM CURRENT');
SELECT * FROM forge_comm.context();
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT refused('SET forge_comm.context = ''scope=*''');
SELECT refused('ALTER ROLE regress_app SET forge_comm.context = ''scope=*''');
SELECT refused(format('ALTER DATABASE %I SET forge_comm.context = ''scope=*''', current_database()));
ALTER SYSTEM SET forge_comm.context = 'scope=*';
\echo :SQLSTATE
-- A part of our own GUC namespace that nobody knows
SELECT refused('SET forge_comm.contexts = ''scope=*''');

-- -------------------------------------------------- roles that are not bound

SELECT refused('SELECT forge_comm.set_context(7, 42)');
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
SELECT count(*) FROM notes;
SET SESSION AUTHORIZATION regress_bypass;
SELECT refused('SELECT forge_comm.set_context(7, 42)');
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
SELECT count(*) FROM notes;
SELECT refused('SET forge_comm.allow_bypass_role = on');
RESET SESSION AUTHORIZATION;
SET forge_comm.allow_bypass_role = on;
BEGIN;
SELECT forge_comm.set_context(7, 42);
SELECT * FROM forge_comm.context();
SELECT count(*) FROM notes;
COMMIT;
RESET forge_comm.allow_bypass_role;

-- ------------------------------------------------------- service contexts

SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_app;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_service_context(NULL)');
SELECT refused('SELECT forge_comm.set_service_context('''')');
BEGIN;
SELECT forge_comm.set_service_context('nightly; scope=1:, 100% *');
SELECT * FROM forge_comm.context();
SELECT count(*) FROM notes;
SELECT forge_comm.in_workspace(1), forge_comm.has_role(42, 'owner');
SELECT forge_comm.current_user_id(), forge_comm.current_workspace_id();
SELECT refused('SELECT forge_comm.workspace_ids()');
-- narrowed to one workspace, then to a user
SELECT forge_comm.pin_workspace(42);
SELECT * FROM forge_comm.context();
SELECT count(*) FROM notes;
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
SELECT refused('SELECT forge_comm.set_context(7, 43)');
SELECT forge_comm.set_context(7, 42);
SELECT * FROM forge_comm.context();
SELECT refused('SELECT forge_comm.set_context(8, 42)');
SELECT refused('SELECT forge_comm.set_service_context(''nightly'')');
COMMIT;
SELECT * FROM forge_comm.context();
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------- memberships

CREATE TYPE role AS ENUM ('boss', 'member');
CREATE TABLE members (user_id bigint, workspace_id bigint, role varchar(20), deleted_at timestamptz, level int);
INSERT INTO members VALUES
  (7, 43, 'member', NULL, 1), (7, 42, 'owner', NULL, 2), (7, 41, 'owner', '2020-01-01', 3),
  (8, 43, NULL, NULL, 1), (9, 42, 'member', '2020-01-01', 1), (7, NULL, 'owner', NULL, 1),
  (10, 42, 'member', NULL, 1), (10, 42, 'member', NULL, 1);
ALTER TABLE members OWNER TO regress_owner;
-- Each context looks them up, so there must be an index
SELECT refused('SELECT forge_comm.use_memberships(''members'')');
CREATE INDEX members_by_workspace ON members (workspace_id, user_id);
CREATE INDEX members_partial ON members (user_id) WHERE deleted_at IS NULL;
CREATE INDEX members_hash ON members USING hash (user_id);
SELECT refused('SELECT forge_comm.use_memberships(''members'')');
CREATE INDEX members_user ON members (user_id);
SELECT forge_comm.use_memberships('members', role_column => 'role', active => 'deleted_at IS NULL');
SELECT memberships, user_column, workspace_column, role_column, active FROM forge_comm.settings;

-- The role of the application needs no privilege on that table
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT * FROM members');
SELECT refused('SELECT * FROM forge_comm.settings');
BEGIN;
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
SELECT forge_comm.current_workspace_id();
SELECT workspace_id, count(*) FROM notes GROUP BY 1 ORDER BY 1;
SELECT forge_comm.has_role(42, 'owner'), forge_comm.has_role(42, 'admin', 'owner'),
       forge_comm.has_role(43, 'owner'), forge_comm.has_role(43, 'member'),
       forge_comm.has_role(41, 'owner'), forge_comm.has_role(42, NULL, 'owner'),
       forge_comm.has_role(42, VARIADIC '{}'), forge_comm.has_role(NULL, 'owner');
SELECT refused('SELECT forge_comm.set_context(8)');
SELECT refused('SELECT forge_comm.pin_workspace(41)');
SELECT forge_comm.pin_workspace(42);
SELECT * FROM forge_comm.context();
SELECT forge_comm.has_role(42, 'owner'), forge_comm.has_role(43, 'member');
-- no way back
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
SELECT refused('SELECT forge_comm.set_context(7, 43)');
SELECT refused('SELECT forge_comm.pin_workspace(43)');
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(7, 43);
SELECT * FROM forge_comm.context();
COMMIT;

-- One answer to "not yours", "no longer yours" and "no such workspace"
SELECT refused('SELECT forge_comm.set_context(8, 42)');
SELECT refused('SELECT forge_comm.set_context(9, 42)');
SELECT refused('SELECT forge_comm.set_context(8, 999)');
SELECT refused('SELECT forge_comm.set_context(999, 42)');
SELECT refused('SELECT forge_comm.set_context(workspace_id => 42)');
-- Without memberships there is a context, with nothing in it
BEGIN;
SELECT forge_comm.set_context(9);
SELECT * FROM forge_comm.context();
SELECT count(*) FROM notes;
SELECT refused('INSERT INTO notes VALUES (10, 42, ''new'')');
COMMIT;
-- A membership that is there twice counts once; a role may be unknown
BEGIN;
SELECT forge_comm.set_context(10);
SELECT * FROM forge_comm.context();
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8);
SELECT * FROM forge_comm.context();
SELECT forge_comm.has_role(43, ''), forge_comm.has_role(43, 'member');
COMMIT;

-- Within a service context a user's scope is what the memberships give
BEGIN;
SELECT forge_comm.set_service_context('on behalf');
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
ROLLBACK;
BEGIN;
SELECT forge_comm.set_service_context('on behalf');
SELECT forge_comm.pin_workspace(43);
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
ROLLBACK;

-- What changes there counts from the next context on
RESET SESSION AUTHORIZATION;
UPDATE members SET deleted_at = NULL WHERE user_id = 7 AND workspace_id = 41;
DELETE FROM members WHERE user_id = 7 AND workspace_id = 43;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
COMMIT;
-- The statement's own snapshot is what counts
RESET SESSION AUTHORIZATION;
GRANT INSERT, SELECT ON members TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
INSERT INTO members VALUES (11, 42, 'owner');
SELECT forge_comm.set_context(11);
SELECT * FROM forge_comm.context();
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- Other types: integer ids, roles of an enum
DROP TABLE members;
CREATE TABLE members (member int, tenant smallint, power role, "is on" boolean, since date);
CREATE INDEX ON members (member, tenant);
INSERT INTO members VALUES (7, 42, 'boss', true), (7, 43, 'member', false), (7, 41, 'member', NULL), (7, 1, NULL, true);
ALTER TABLE members OWNER TO regress_owner;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_context(7)');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('members', 'member', 'tenant', 'power', '"is on"');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
SELECT forge_comm.has_role(42, 'boss');
ROLLBACK;
-- ids that the columns cannot hold are nobody's
BEGIN;
SELECT forge_comm.set_context(7 + 4294967296);
SELECT * FROM forge_comm.context();
ROLLBACK;
SELECT refused('SELECT forge_comm.set_context(7, 42 + 65536)');
RESET SESSION AUTHORIZATION;

-- Registered anew, with a change of the table, without an index
SELECT forge_comm.use_memberships('members', 'member', 'tenant');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
ROLLBACK;
RESET SESSION AUTHORIZATION;
ALTER TABLE members ALTER COLUMN tenant TYPE bigint;
ALTER TABLE members DROP COLUMN since, ADD COLUMN since date;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT * FROM forge_comm.context();
ROLLBACK;
RESET SESSION AUTHORIZATION;
ALTER TABLE members RENAME COLUMN tenant TO workspace;
SELECT refused('SET SESSION AUTHORIZATION regress_app; SELECT forge_comm.set_context(7)');
ALTER TABLE members RENAME COLUMN workspace TO tenant;
ALTER INDEX members_member_tenant_idx RENAME TO members_index;
DROP INDEX members_index;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_context(7)');
RESET SESSION AUTHORIZATION;
CREATE INDEX ON members (member);

-- A partitioned table will do
CREATE TABLE members_by_user (workspace_id bigint, user_id bigint, role text) PARTITION BY HASH (user_id);
CREATE TABLE members_0 (role text, junk int, user_id bigint, workspace_id bigint);
ALTER TABLE members_0 DROP COLUMN junk;
ALTER TABLE members_by_user ATTACH PARTITION members_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE members_1 PARTITION OF members_by_user FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON members_by_user (user_id);
INSERT INTO members_by_user SELECT 42, i, 'member ' || i FROM generate_series(1, 10) AS i;
SELECT forge_comm.use_memberships('members_by_user', role_column => 'role', active => 'role <> ''member 3''');
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_context(3, 42)');
BEGIN;
SELECT forge_comm.set_context(4);
SELECT * FROM forge_comm.context();
ROLLBACK;
BEGIN;
SELECT forge_comm.set_context(5);
SELECT * FROM forge_comm.context();
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- Who registers what: nothing that could run code as somebody else
CREATE FUNCTION always() RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE VIEW members_view AS SELECT member AS user_id, tenant AS workspace_id FROM members;
SELECT refused('SELECT forge_comm.use_memberships(''members_view'')');
SELECT refused('SELECT forge_comm.use_memberships(NULL)');
SELECT refused('SELECT forge_comm.use_memberships(''members'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', NULL)');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''power'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', ''rank'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''nothing'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''member'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''true, true'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => '''')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''true FROM members'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''true UNION SELECT false'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''(SELECT true)'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''regress_context.always()'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''random() > 0'')');
SELECT refused('SELECT forge_comm.use_memberships(''members'', ''member'', ''tenant'', active => ''bool_and(true)'')');
SELECT memberships, role_column, active FROM forge_comm.settings;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.use_memberships(''members'')');
SELECT refused('SELECT forge_comm.forget_memberships()');
RESET SESSION AUTHORIZATION;

-- A table that is gone closes the door; forgotten, workspaces are on trust
SELECT forge_comm.use_memberships('members', 'member', 'tenant');
DROP TABLE members CASCADE;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.set_context(7, 42)');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7, 42);
SELECT * FROM forge_comm.context();
COMMIT;
RESET SESSION AUTHORIZATION;

-- --------------------------------------------------------- parallel workers

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  lines text := '';
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    lines := lines || E'\n' || line;
  END LOOP;
  RETURN lines;
END $$;
CREATE TABLE many (id int, workspace_id bigint NOT NULL);
INSERT INTO many SELECT i, i % 10 FROM generate_series(1, 20000) AS i;
ALTER TABLE many OWNER TO regress_owner;
ALTER TABLE many SET (parallel_workers = 2);
GRANT SELECT ON many TO regress_app;
SELECT forge_comm.enable_tenancy('many');
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7, 3);
SELECT plan_of('SELECT count(*) FROM many') ~ 'Gather';
SELECT count(*), min(workspace_id), max(workspace_id), sum(forge_comm.current_user_id()) FROM many;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT plan_of('SELECT count(*) FROM many') ~ 'Gather';
SELECT count(*), min(workspace_id), max(workspace_id), sum(forge_comm.current_user_id()) FROM many;
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('count');
SELECT plan_of('SELECT count(*) FROM many') ~ 'Gather';
SELECT count(*) FROM many;
COMMIT;
SELECT refused('SELECT count(*) FROM many');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP OWNED BY regress_app, regress_bypass;
DROP SCHEMA regress_context CASCADE;
DROP ROLE regress_app, regress_bypass, regress_owner;
