-- An attacker who may run SQL as the application, or owns tables of their own.
BEGIN;
SELECT plan(32);

CREATE ROLE regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_attacker;
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_owner('regress_attacker');
SELECT forge_comm.grant_app('regress_app');
CREATE SCHEMA app AUTHORIZATION regress_owner;
CREATE SCHEMA theirs AUTHORIZATION regress_attacker;
GRANT USAGE ON SCHEMA app TO regress_app, regress_attacker;
SET client_min_messages = warning;
SET ROLE regress_owner;
CREATE TABLE app.users (id int PRIMARY KEY, email text UNIQUE, totp text UNIQUE, expires_at timestamptz, digest text UNIQUE);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.users TO regress_app;
SELECT forge_comm.mark_secret('app.users', 'totp');
SELECT forge_comm.mark_secret('app.users', 'digest', 'token_digest');
INSERT INTO app.users VALUES (1, 'a', 'CANARY', NULL, encode(sha256('token'), 'hex'));
RESET ROLE;

-- The first detail, hint or message in which an error tells the canary
CREATE FUNCTION pg_temp.told(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN CASE WHEN concat(message, detail, hint) ~ 'CANARY' THEN concat_ws('; ', message, detail, hint) ELSE SQLSTATE END;
END
$$;

-- Reading
SET ROLE regress_app;
SELECT throws_ok(command, '42501', NULL, command) FROM unnest(ARRAY[
  'SELECT totp FROM app.users', 'SELECT * FROM app.users', 'SELECT u FROM app.users AS u', 'SELECT id FROM app.users WHERE totp = ''x''',
  'SELECT id FROM app.users ORDER BY totp', 'UPDATE app.users SET email = totp', 'UPDATE app.users SET email = ''x'' WHERE totp LIKE ''C%''',
  'INSERT INTO app.users VALUES (2) RETURNING totp', 'DELETE FROM app.users RETURNING *',
  'INSERT INTO app.users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET email = app.users.totp',
  'SELECT row_to_json(u) FROM app.users AS u', 'TABLE app.users', 'LOCK TABLE pg_statistic',
  'SELECT forge_comm.mark_secret(''app.users'', ''email'')', 'SELECT forge_comm.unmark_secret(''app.users'', ''totp'')',
  'SET forge_comm.redact_log = off', 'SELECT set_config(''forge_comm.redact_log'', ''off'', true)']) AS command;

-- Errors
SELECT is(pg_temp.told(command), state, command) FROM (VALUES
  ('INSERT INTO app.users (id, totp) VALUES (2, ''CANARY'')', '23505'),
  ('INSERT INTO app.users (id, totp) VALUES (NULL, ''CANARY'')', '23502'),
  ('UPDATE app.users SET id = NULL', '23502'),
  ('UPDATE app.users SET digest = ''CANARY''', '23514')) AS t (command, state);

-- Tokens: an oracle for whoever has the token only
SELECT is(forge_comm.verify_token('app.users', 'digest', 'token'), 1::bigint, 'a token is its own credential');
SELECT is(forge_comm.verify_token('app.users', 'digest', encode(sha256('token'), 'hex')), NULL, 'its digest is not');
SELECT throws_ok($$SELECT forge_comm.verify_token('app.users', 'email', 'a')$$, '55000', NULL, 'no other column can be asked about');
SELECT throws_ok($$SELECT forge_comm.verify_token('app.users', 'totp', 'CANARY')$$, '55000', NULL, 'nor a secret of another kind');
RESET ROLE;
SET ROLE regress_attacker;
SELECT throws_ok($$SELECT forge_comm.verify_token('app.users', 'digest', 'token')$$, '42501', NULL, 'nor by one without the grant');
SELECT throws_ok($$SELECT forge_comm.clear_statistics('app.users', 2::smallint)$$, '42501', NULL, 'statistics are their owner''s to clear');
SELECT throws_ok($$SELECT forge_comm.stop_statistics('app.users', '{email}')$$, '42501', NULL, 'and to stop');

-- A trigger made by hand, with arguments that make no sense, is its table's problem alone
CREATE TABLE theirs.rows (id int, body text);
CREATE TRIGGER forge_comm_secrets BEFORE INSERT ON theirs.rows FOR EACH ROW
  EXECUTE FUNCTION forge_comm.secrets_guard('columns={"', 'columns={\', 'kinds=', 'columns', 'columns={a,"b c",\"d}');
RESET ROLE;
SELECT lives_ok('SELECT id FROM app.users', 'others go on');
SET ROLE regress_attacker;
SELECT throws_ok('INSERT INTO theirs.rows VALUES (1)', '22P02', NULL, 'and it takes no rows');
-- Operators and functions of the same name in front
CREATE FUNCTION theirs.rule_options(regclass, name, name) RETURNS jsonb LANGUAGE sql AS 'SELECT ''{}''::jsonb';
CREATE FUNCTION theirs.has_column_privilege(oid, oid, name, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
RESET ROLE;
GRANT SELECT ON app.users TO regress_app;
SET search_path = theirs, pg_catalog, public;
SELECT is((SELECT count(*) FROM forge_comm.checklist('app') WHERE id = 'secret-readable'), 2::bigint, 'what is first in the path is not called');
RESET search_path;
SELECT is(forge_comm.secret_columns('app.users'), '{totp,digest}'::name[], 'what is secret has stayed so');

SELECT * FROM finish();
ROLLBACK;
