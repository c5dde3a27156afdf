-- The gate for new tables. (What restores and other roles meet is in test/t.)
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_owner;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_gate AUTHORIZATION regress_owner;
SET search_path = regress_gate;
SELECT forge_comm.grant_owner('regress_owner');
CREATE FUNCTION tables() RETURNS SETOF name LANGUAGE sql AS $$
  SELECT relname FROM pg_class WHERE relnamespace = 'regress_gate'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname COLLATE "C"
$$;

-- Off by default
SHOW forge_comm.require_tenancy;
CREATE TABLE open (id bigint PRIMARY KEY, workspace_id bigint NOT NULL);
DROP TABLE open;
SET forge_comm.require_tenancy = 'on';
\echo :SQLSTATE
SET SESSION AUTHORIZATION regress_owner;
SET forge_comm.require_tenancy = 'warn';
\echo :SQLSTATE
RESET SESSION AUTHORIZATION;

-- A warning for each table, at the end
SET forge_comm.require_tenancy = 'warn';
BEGIN;
CREATE TABLE workspaces (id bigint PRIMARY KEY);
CREATE TABLE channels (id bigint PRIMARY KEY, workspace_id bigint NOT NULL REFERENCES workspaces);
CREATE TABLE messages (id bigint PRIMARY KEY, channel_id bigint NOT NULL REFERENCES channels);
ALTER TABLE channels ADD COLUMN name text;
\echo end of the transaction
COMMIT;
SELECT tables();

-- An error
SET forge_comm.require_tenancy = 'error';
ALTER TABLE channels ADD COLUMN topic text;
\echo :SQLSTATE
-- Other tables that are open are left in peace
CREATE TABLE emoji (id bigint PRIMARY KEY, name text);
SELECT forge_comm.enable_tenancy('workspaces', 'id');
BEGIN;
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
COMMIT;
CALL forge_comm.backfill('messages');
SELECT forge_comm.disable_tenancy('messages');
\echo :SQLSTATE
ALTER TABLE messages DISABLE ROW LEVEL SECURITY;
\echo :SQLSTATE
-- Whatever makes the table
CREATE TABLE copied AS SELECT * FROM channels;
\echo :SQLSTATE
SELECT * INTO selected FROM channels;
\echo :SQLSTATE
CREATE TABLE likened (LIKE channels INCLUDING ALL);
\echo :SQLSTATE
CREATE SCHEMA regress_gate_2 CREATE TABLE files (id bigint, workspace_id bigint);
\echo :SQLSTATE
DO $$ BEGIN EXECUTE 'CREATE TABLE run (id bigint, workspace_id bigint)'; END $$;
\echo :SQLSTATE
DO $$ BEGIN CREATE TABLE run (id bigint, workspace_id bigint); COMMIT; END $$;
\echo :SQLSTATE
SELECT tables();
-- What counts is how it is when the transaction ends
BEGIN;
CREATE TABLE files (id bigint PRIMARY KEY, workspace_id bigint NOT NULL);
INSERT INTO files VALUES (1, 1);
SAVEPOINT s;
CREATE TABLE undone (id bigint, workspace_id bigint);
ROLLBACK TO s;
CREATE TABLE dropped (id bigint, workspace_id bigint);
DROP TABLE dropped;
CREATE TEMPORARY TABLE temporary (id bigint, workspace_id bigint);
SELECT forge_comm.enable_tenancy('files');
COMMIT;
-- The next transaction begins anew
SELECT 1;
BEGIN;
CREATE TABLE forgotten (id bigint, workspace_id bigint);
ROLLBACK;
CREATE TABLE remembered (id bigint);
SELECT tables();
-- Partitions and children follow, and do not come loose
CREATE TABLE parts (id bigint, workspace_id bigint NOT NULL) PARTITION BY LIST (id);
BEGIN;
CREATE TABLE parts (id bigint, workspace_id bigint NOT NULL) PARTITION BY LIST (id);
SELECT forge_comm.enable_tenancy('parts');
COMMIT;
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE child () INHERITS (files);
BEGIN;
DROP POLICY forge_comm_tenancy ON parts_1;
ALTER TABLE parts_1 ADD CHECK (id = 1);
COMMIT;
\echo :SQLSTATE
-- A superuser has the last word
BEGIN;
CREATE TABLE let_through (id bigint, workspace_id bigint);
SET LOCAL forge_comm.require_tenancy = 'off';
COMMIT;
SELECT to_regclass('let_through') IS NOT NULL;
-- As a restore would
SET row_security = off;
CREATE TABLE restored (id bigint, workspace_id bigint);
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE restored_as_owner (id bigint, workspace_id bigint);
RESET SESSION AUTHORIZATION;
RESET row_security;
CREATE TABLE not_restored (id bigint, workspace_id bigint);
\echo :SQLSTATE
-- A role that owns nothing else and was granted nothing
SET SESSION AUTHORIZATION regress_owner;
RESET row_security;
SET search_path = regress_gate, pg_catalog;
CREATE FUNCTION regress_gate.pg_get_expr(pg_node_tree, oid) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$;
CREATE TABLE owned (id bigint, workspace_id bigint);
\echo :SQLSTATE
RESET SESSION AUTHORIZATION;

RESET forge_comm.require_tenancy;
DROP SCHEMA regress_gate CASCADE;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
