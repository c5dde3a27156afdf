-- What every function says to arguments that make no sense: a code, and a
-- hint; never an internal error, and nothing done by halves.
BEGIN;
SELECT plan(269);

CREATE ROLE regress_owner;
CREATE ROLE regress_other;
SELECT forge_comm.grant_owner('regress_owner'), forge_comm.grant_app('regress_owner'), forge_comm.grant_owner('regress_other');
CREATE SCHEMA app AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA app TO regress_other;
SET client_min_messages = warning;

SET ROLE regress_owner;
CREATE TABLE app.channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE app.messages (id int PRIMARY KEY, channel_id int REFERENCES app.channels, body text, workspace text,
                           deleted_at timestamptz, flag text, parent_id int REFERENCES app.messages, created_at timestamptz);
CREATE TABLE app.nulls (id int, workspace_id int);
CREATE TABLE app.plain (id int, channel_id int, created_at timestamptz);
CREATE TABLE app.parts (id int) PARTITION BY LIST (id);
CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES IN (1);
CREATE TABLE app.child (id int PRIMARY KEY, plain_id int REFERENCES app.channels);
CREATE VIEW app.view AS SELECT 1 AS id, 1 AS workspace_id;
CREATE MATERIALIZED VIEW app.matview AS SELECT 1 AS id, 1 AS workspace_id;
CREATE SEQUENCE app.sequence;
CREATE TABLE app.taken (id int);
CREATE VIEW app.active_taken AS SELECT * FROM app.taken;
CREATE TABLE app.functions (id int PRIMARY KEY, channel_id int, created_at timestamptz);
CREATE FUNCTION app.get_messages(int, int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE app.generated (id int PRIMARY KEY, n int, workspace_id int GENERATED ALWAYS AS (n) STORED NOT NULL,
                            at timestamptz NOT NULL DEFAULT now());
CREATE TEMP TABLE temporary (id int, workspace_id int);
INSERT INTO app.nulls VALUES (1, NULL);

-- The code of the error, and whether there is a hint
CREATE FUNCTION pg_temp.error(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE sql;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || CASE WHEN hint <> '' THEN ', hint' ELSE '' END;
END
$$;
CREATE FUNCTION pg_temp.fails(call text, state text) RETURNS text LANGUAGE sql AS $$
  SELECT is(pg_temp.error('SELECT forge_comm.' || call), state || ', hint', call)
$$;

-- Tables that are none, whatever is to be enabled
SELECT pg_temp.fails(format('%s(%s)', verb, rel), state)
  FROM unnest('{enable_tenancy,enable_timestamps,enable_soft_delete,enable_messages,enable_deep_pages,disable_deep_pages,
                disable_tenancy,disable_timestamps,disable_soft_delete,disable_messages}'::text[]) AS verb,
       (VALUES ('NULL', '22004'), ('12345::oid::regclass', '42P01'), ('''pg_class''', '42501'), ('''information_schema.sql_parts''', '42501'),
               ('''app.view''', '42809'), ('''app.matview''', '42809'), ('''app.sequence''', '42809'), ('''app.channels_pkey''', '42809'),
               ('''pg_temp.temporary''', '42809'), ('''app.parts_1''', '42809'), ('''forge_comm.settings''', '42501')) AS t (rel, state);
SELECT is(pg_temp.error(format('SELECT forge_comm.%s(''app.no_such_table'')', verb)), '42P01', verb || ': no such table')
  FROM unnest('{enable_tenancy,enable_timestamps,enable_soft_delete,enable_messages,restore}'::text[]) AS verb WHERE verb <> 'restore';

-- Tenancy
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('enable_tenancy(''app.messages'')', '42703'),
  ('enable_tenancy(''app.messages'', workspace_column => ''workspace'')', '42804'),
  ('enable_tenancy(''app.messages'', workspace_column => NULL)', '22004'),
  ('enable_tenancy(''app.messages'', via => ''no_such_column'')', '42703'),
  ('enable_tenancy(''app.messages'', via => ''body'')', '42830'),
  ('enable_tenancy(''app.messages'', via => ''channel_id'')', '55000'),
  ('enable_tenancy(''app.messages'', via => ''parent_id'')', '42830'),
  ('enable_tenancy(''app.nulls'')', '23502'),
  ('enable_tenancy(''app.generated'')', '428C9'),
  ('backfill_blocks(''app.messages'', 0, 1)', '55000')) AS t (call, state);
SELECT forge_comm.enable_tenancy('app.channels');
SELECT forge_comm.enable_tenancy('app.messages', via => 'channel_id');
SELECT pg_temp.fails('disable_tenancy(''app.channels'')', '2BP01');
SELECT pg_temp.fails('enable_tenancy(''app.channels'', workspace_column => ''id'')', '55000');
SELECT pg_temp.fails('enable_tenancy(''app.messages'', via => ''parent_id'')', '55000');
SELECT is(pg_temp.error('CALL forge_comm.backfill(''app.messages'')'), '25001, hint', 'backfill() in a transaction block');

-- Timestamps
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('enable_timestamps(''app.messages'', created_at => ''body'')', '42804'),
  ('enable_timestamps(''app.messages'', updated_at => ''id'')', '42804'),
  ('enable_timestamps(''app.messages'', created_by => ''body'')', '42804'),
  ('enable_timestamps(''app.messages'', ignore => ''{no_such_column}'')', '42703'),
  ('enable_timestamps(''app.messages'', ignore => ''{NULL}'')', '22004'),
  ('enable_timestamps(''app.generated'', created_by => ''workspace_id'')', '428C9'),
  ('enable_timestamps(''app.generated'', ''at'', ''at'')', '22023'),
  ('enable_timestamps(''app.messages'', created_at => NULL, updated_at => NULL)', '22004')) AS t (call, state);

-- Soft delete
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('enable_soft_delete(''app.messages'', deleted_at => NULL)', '22004'),
  ('enable_soft_delete(''app.generated'', deleted_at => ''at'')', '22023'),
  ('enable_soft_delete(''app.messages'', deleted_at => ''body'')', '42804'),
  ('enable_soft_delete(''app.messages'', deleted_by => ''body'')', '42804'),
  ('enable_soft_delete(''app.messages'', is_active => ''flag'')', '42804'),
  ('enable_soft_delete(''app.messages'', is_active => ''no_such_column'')', '42703'),
  ('enable_soft_delete(''app.taken'')', '42P07'),
  ('enable_soft_delete(''app.plain'', view => ''messages'')', '42P07'),
  ('restore(NULL, 1)', '22004'),
  ('restore(''app.messages'', NULL::int)', '22004'),
  ('restore(''app.messages'', 1)', '55000')) AS t (call, state);
SELECT forge_comm.set_context(workspace_id => 1);
SELECT forge_comm.enable_soft_delete('app.messages');
SELECT forge_comm.enable_soft_delete('app.plain');
SELECT pg_temp.fails('restore(''app.messages'', 1)', 'P0002');
SELECT pg_temp.fails('restore(''app.plain'', 1)', '55000');
SELECT is(pg_temp.error('SELECT forge_comm.restore(''app.messages'', ''x''::text)'), '22P02', 'restore() with a key of another type');

-- Messages
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('enable_messages(''app.messages'', channel => ''body'')', '42804'),
  ('enable_messages(''app.messages'', channel => ''no_such_column'')', '42703'),
  ('enable_messages(''app.messages'', channel => NULL)', '22004'),
  ('enable_messages(''app.messages'', created_at => ''body'')', '42804'),
  ('enable_messages(''app.messages'', deleted_at => ''body'')', '42804'),
  ('enable_messages(''app.messages'', author => ''nowhere'')', '42703'),
  ('enable_messages(''app.messages'', prefix => NULL)', '22004'),
  ('enable_messages(''app.parts'')', '42703'),
  ('enable_messages(''app.functions'')', '42723'),
  ('page_limit(0)', '22023'), ('page_limit(101)', '22023'), ('page_limit(-1)', '22023'), ('page_limit(NULL)', '22023'),
  ('page_limit(2147483647)', '22023'), ('page_offset(0, 50)', '22023'), ('page_offset(-1, 50)', '22023'),
  ('page_offset(NULL, 50)', '22023'), ('page_offset(1, 0)', '22023'), ('page_offset(1, NULL)', '22023')) AS t (call, state);
SELECT is(forge_comm.page_offset(2147483647, 100), 214748364600, 'the last page there is');
SELECT forge_comm.enable_messages('app.messages', prefix => 'pages_');
SELECT pg_temp.fails('enable_messages(''app.plain'')', '55000');
SELECT is(pg_temp.error(format('SELECT * FROM app.pages_get_messages(1, %s)', args)), '22023, hint', 'a page of ' || args)
  FROM unnest('{"0","-1","NULL","1, 0","1, 101","1, -1","1, NULL"}'::text[]) AS args;
SELECT is_empty('SELECT * FROM app.pages_get_messages(99, 2147483647, 100)', 'a page beyond the last is empty');

-- The chat schema
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('create_chat_schema(NULL)', '22004'), ('create_chat_schema('''')', '22004'), ('create_chat_schema(''app'')', '42P06')) AS t (call, state);

-- Another's tables
SET ROLE regress_other;
SELECT pg_temp.fails(format('%s(''app.channels'')', verb), '42501')
  FROM unnest('{enable_tenancy,enable_timestamps,enable_soft_delete,enable_messages,enable_deep_pages,disable_deep_pages,
                disable_tenancy,disable_timestamps,disable_soft_delete,disable_messages}'::text[]) AS verb;
SELECT is(pg_temp.error('SELECT forge_comm.backfill_blocks(''app.messages'', 0, 1)'), '42501', 'backfill_blocks() of another''s table');

-- The context
RESET ROLE;
SELECT pg_temp.fails(call, state) FROM (VALUES
  ('set_context(1, 1)', '42501'),
  ('set_service_context(''x'')', '42501'),
  ('set_context(1, 1, NULL)', '22004'),
  ('set_service_context(NULL)', '22004'),
  ('set_service_context('''')', '22004'),
  ('pin_workspace(NULL)', '22004'),
  ('pin_workspace(99)', '42501'),
  ('use_memberships(NULL)', '22004'),
  ('use_memberships(''app.view'')', '42809'),
  ('use_memberships(''app.messages'')', '42703'),
  ('use_memberships(''app.messages'', ''body'', ''id'')', '42804'),
  ('use_memberships(''app.messages'', ''id'', ''body'')', '42804'),
  ('use_memberships(''app.messages'', ''id'', NULL)', '22004'),
  ('use_memberships(''app.messages'', ''channel_id'', ''id'')', '55000'),
  ('use_memberships(''app.messages'', ''id'', ''channel_id'', ''no_such_column'')', '42703'),
  ('use_memberships(''app.messages'', ''id'', ''channel_id'', active => ''true FROM app.messages'')', '42601'),
  ('use_memberships(''app.messages'', ''id'', ''channel_id'', active => ''app.get_messages(1, 1, 1) = 1'')', '42P13'),
  ('use_memberships(''app.messages'', ''id'', ''channel_id'', active => ''random() > 0'')', '42P13')) AS t (call, state);
SELECT is(pg_temp.error(format('SELECT forge_comm.use_memberships(''app.messages'', ''id'', ''channel_id'', active => %L)', active)) ~ '^(42|0A)', true,
          'memberships that are active if ' || active)
  FROM unnest(ARRAY['', 'true; DROP TABLE app.messages', 'no_such_column', 'body', '(SELECT true)', 'count(*) > 0', 'row_number() OVER () = 1', 'generate_series(1, 2) = 1', ');', '$1']) AS active;
SELECT is(pg_temp.error(format('SELECT forge_comm.%s(''no_such_role'')', verb)), '42704', verb || ': no such role')
  FROM unnest('{grant_app,grant_owner,revoke_app,revoke_owner}'::text[]) AS verb;
SELECT pg_temp.fails(format('%s(NULL)', verb), '22004') FROM unnest('{grant_app,grant_owner,revoke_app,revoke_owner}'::text[]) AS verb;
SELECT is_empty('TABLE forge_comm.settings', 'none of them was registered');

-- No function falls over nulls or odd numbers, whoever calls it
CREATE FUNCTION pg_temp.odd_calls(role name, value text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS name, p.proname, p.prokind,
                  (SELECT string_agg(format('%s::%s', CASE WHEN a = 'name[]'::regtype OR a::regtype::text LIKE '%[]' THEN 'NULL' ELSE value END,
                                            CASE WHEN a = 'anycompatible'::regtype THEN 'int' ELSE a::regtype::text END), ', ')
                     FROM unnest(p.proargtypes::oid[]) AS a) AS args
             FROM pg_proc AS p
            WHERE p.pronamespace = 'forge_comm'::regnamespace AND p.prokind = 'f'
              AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
  LOOP
    BEGIN
      EXECUTE format('SET LOCAL ROLE %I', role);
      EXECUTE format('SELECT forge_comm.%I(%s)', f.proname, f.args);
      RAISE SQLSTATE 'T0000';
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE ~ '^XX' THEN
        RETURN NEXT format('%s of %s: %s', f.name, value, SQLERRM);
      END IF;
    END;
  END LOOP;
END
$$;
SELECT is_empty(format('SELECT pg_temp.odd_calls(%L, %L)', role, value), format('%s for everything, as %s', value, role))
  FROM unnest(ARRAY[session_user, 'regress_owner', 'regress_other']) AS role,
       unnest(ARRAY['NULL', '0', '-1', '32767', '2147483647', '999999', '''''', '''app.messages''', '''app.parts_1''', '''pg_class''', '''app.channels_pkey''']) AS value;
SELECT is_empty($$SELECT forge_comm.rules('app.view')$$, 'rules() of a view');
SELECT is_empty('SELECT forge_comm.rules(NULL)', 'rules() of nothing');
SELECT is(forge_comm.in_workspace(NULL::bigint), NULL, 'in_workspace() of nothing');
SELECT is(forge_comm.has_role(1, VARIADIC '{}'), false, 'has_role() of no role');
SELECT is(forge_comm.has_role(1, NULL, 'owner'), false, 'has_role() of a null');
SELECT is(forge_comm.has_role(-9223372036854775808, 'owner'), false, 'has_role() in the least workspace there is');

SELECT * FROM finish();
ROLLBACK;
