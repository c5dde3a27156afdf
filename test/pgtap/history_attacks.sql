-- What an application's role, or the owner by mistake, cannot do to history:
-- forge it, change it, read another workspace's, or divert it.
LOAD 'forge_comm';

BEGIN;
SELECT plan(93);

CREATE ROLE regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_other;
SELECT forge_comm.grant_owner('regress_owner'), forge_comm.grant_app('regress_owner'), forge_comm.grant_app('regress_app'),
       forge_comm.grant_owner('regress_other'), forge_comm.grant_app('regress_other');
-- Generous defaults are not for logs
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT ALL ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT ALL ON SEQUENCES TO regress_app;
CREATE SCHEMA app AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA app TO regress_app, regress_other;
SET LOCAL search_path = app, public, pg_temp;

-- What a role gets from a statement: its SQLSTATE, or how many rows
CREATE FUNCTION public.try(statement text, role name DEFAULT 'regress_app', user_id bigint DEFAULT 1, workspace bigint DEFAULT 1)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  rows bigint;
BEGIN
  PERFORM set_config('role', role, true);
  IF workspace IS NOT NULL THEN
    PERFORM forge_comm.set_context(user_id, workspace);
  END IF;
  EXECUTE statement;
  GET DIAGNOSTICS rows = ROW_COUNT;
  RAISE SQLSTATE 'T0000' USING MESSAGE = rows || ' rows';
EXCEPTION
  WHEN SQLSTATE 'T0000' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

SET LOCAL ROLE regress_owner;
CREATE TABLE messages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, workspace_id bigint NOT NULL, body text, token text);
CREATE TABLE settings (id int PRIMARY KEY, value text);
SELECT forge_comm.enable_tenancy('messages'), forge_comm.enable_history('messages'), forge_comm.enable_history('settings');
GRANT SELECT, INSERT, UPDATE, DELETE ON messages, settings TO regress_app;
GRANT SELECT ON audit_log TO regress_app;
RESET ROLE;
INSERT INTO messages (workspace_id, body) VALUES (1, 'of one'), (1, 'of one, too'), (2, 'of two');
UPDATE messages SET body = 'of two, changed' WHERE workspace_id = 2;
INSERT INTO settings VALUES (1, 'global');
SELECT partition::text AS month FROM forge_comm.log_partitions('audit_log') WHERE month IS NOT NULL LIMIT 1 \gset

-- Who did it, as the database and the application know it
SAVEPOINT who;
SET LOCAL ROLE regress_app;
SELECT forge_comm.set_context(7, 1);
INSERT INTO messages (body) VALUES ('by seven');
SELECT results_eq($$ SELECT workspace_id, user_id, role, service_reason, table_schema, table_name, action FROM audit_log ORDER BY id DESC LIMIT 1 $$,
                  $$ VALUES (1::bigint, 7::bigint, 'regress_app', NULL::text, 'app', 'messages', 'INSERT') $$, 'a line says who, as whom and where');
ROLLBACK TO who;
SAVEPOINT service;
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner;
SET LOCAL ROLE regress_owner;
SELECT forge_comm.set_service_context('nightly; scope=*');
UPDATE messages SET body = 'by a job' WHERE workspace_id = 2;
SELECT results_eq($$ SELECT workspace_id, user_id, service_reason FROM audit_log ORDER BY id DESC LIMIT 1 $$,
                  $$ VALUES (2::bigint, NULL::bigint, 'nightly; scope=*') $$, 'and what a service context was for');
SELECT results_eq('SELECT count(*) FROM audit_log WHERE workspace_id IS NULL', 'VALUES (1::bigint)', 'which sees lines of no workspace');
ROLLBACK TO service;

-- Privileges: none but what the owner grants
SELECT table_privs_are('app', 'audit_log', 'regress_app', '{SELECT}', 'ALTER DEFAULT PRIVILEGES lets nobody write the log');
SELECT is(has_table_privilege('regress_app', :'month', 'INSERT, UPDATE, DELETE, TRUNCATE'), false, 'nor a partition of it');
SELECT table_privs_are('app', 'audit_log', 'regress_other', '{}', 'and others nothing');

SELECT is(has_sequence_privilege('regress_app', 'audit_log_id_seq', 'USAGE, UPDATE'), false, 'nor sets the ids back');

-- Row security does not keep the lines of a row from being found by the index
SET LOCAL ROLE regress_app;
SET LOCAL enable_seqscan = off;
SAVEPOINT plan;
SELECT forge_comm.set_context(1, 1);
CREATE FUNCTION pg_temp.plan() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM audit_log WHERE row_hash = 7 AND key = ''{"id": 1}'' ORDER BY id DESC' INTO plan;
  RETURN plan::text;
END
$$;
SELECT matches(pg_temp.plan(), 'Index Cond": "\(row_hash = ', 'an index finds the lines of a row under row security');
ROLLBACK TO plan;
RESET ROLE;

-- Forged lines, also where the privilege was granted or the owner tries
SELECT is(try('INSERT INTO audit_log (changed_at, table_id, table_schema, table_name, action, transaction_id, role) VALUES (now(), 1, ''app'', ''messages'', ''DELETE'', ''1'', ''x'')'), '42501', 'no privilege to forge a line');
GRANT INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA app TO regress_app;
SELECT is(try(format('INSERT INTO %s (id, changed_at, workspace_id, table_id, table_schema, table_name, action, transaction_id, role) OVERRIDING SYSTEM VALUE SELECT 1, now(), 1, 1, ''app'', ''messages'', ''DELETE'', ''1'', ''x''', t), role), '42501', format('%s forges no line in %s', role, t))
  FROM unnest(ARRAY['audit_log', :'month', 'audit_log_default']) AS t, unnest('{regress_app,regress_owner}'::name[]) AS role;

-- Append-only for everybody, in every mode
SELECT is(try(statement, role), '42501', format('%s: %s', role, statement))
  FROM unnest('{regress_app,regress_owner}'::name[]) AS role,
       unnest(ARRAY['UPDATE audit_log SET action = ''forged''', 'DELETE FROM audit_log', 'TRUNCATE audit_log', 'TRUNCATE audit_log_default']) AS statement;
SELECT throws_ok(statement, '42501', NULL, 'a superuser: ' || statement)
  FROM unnest(ARRAY['UPDATE audit_log SET action = ''forged''', 'DELETE FROM audit_log', 'TRUNCATE audit_log', 'TRUNCATE ' || :'month',
                    'MERGE INTO audit_log AS l USING (VALUES (1)) AS v (i) ON l.id = v.i WHEN MATCHED THEN DELETE',
                    'WITH gone AS (DELETE FROM audit_log RETURNING 1) SELECT count(*) FROM gone']) AS statement;
SET LOCAL session_replication_role = replica;
SELECT throws_ok(statement, '42501', NULL, 'as a replica: ' || statement)
  FROM unnest(ARRAY['UPDATE audit_log SET action = ''forged''', 'DELETE FROM ' || :'month', 'TRUNCATE audit_log', 'TRUNCATE audit_log_seals']) AS statement;
SET LOCAL session_replication_role = origin;

-- Foreign history
SELECT is(try('SELECT FROM audit_log', workspace => 1), '2 rows', 'a member reads the lines of their workspace');
SELECT is(try('SELECT FROM audit_log', workspace => 2), '2 rows', 'and another those of theirs');
SELECT is(try('SELECT FROM audit_log WHERE workspace_id IS NULL', workspace => 1), '0 rows', 'lines of no workspace are for service contexts');
SELECT is(try('SELECT FROM audit_log', workspace => NULL), '42501', 'without a context there is nothing to read');
SELECT is(try('SELECT FROM ' || :'month', role, workspace => 1), '2 rows', role || ' finds no more in a partition')
  FROM unnest('{regress_app,regress_owner}'::name[]) AS role;
SELECT is(try('SELECT FROM audit_log', 'regress_owner', workspace => 1), '2 rows', 'nor does the owner in the log');
SELECT is(try('SELECT FROM forge_comm.history_of(''messages'', 3)', workspace => 1), '0 rows', 'history_of() tells no foreign story');
SELECT is(try('SELECT FROM forge_comm.history_of(''messages'', 3)', workspace => 2), '2 rows', 'but the own one');
SELECT is(try('SELECT FROM forge_comm.row_at(NULL::messages, 3, clock_timestamp())', workspace => 1), '0 rows', 'row_at() shows no foreign row');
SELECT is(try('SELECT FROM forge_comm.row_at(NULL::messages, 3, clock_timestamp())', workspace => 2), '1 rows', 'but the own one');
SELECT is(try('SELECT forge_comm.revert(''messages'', 3, clock_timestamp())', workspace => 1), 'P0002', 'revert() finds none');
SELECT is(try('SELECT forge_comm.verify_history(''audit_log'')', 'regress_owner'), '42501', 'seals are for those who see everything');
SELECT is(try('SELECT FROM audit_log_seals'), '42501', 'whose table is not for applications') FROM (SELECT 1) AS once WHERE NOT has_table_privilege('regress_app', 'audit_log_seals', 'SELECT')
UNION ALL SELECT is(try('SELECT FROM audit_log_seals'), '0 rows', 'whose table is not for applications') WHERE has_table_privilege('regress_app', 'audit_log_seals', 'SELECT');

-- A search path, a temporary table, operators and columns named to deceive
CREATE SCHEMA trap AUTHORIZATION regress_app;
SET LOCAL ROLE regress_app;
CREATE TABLE trap.audit_log (LIKE app.audit_log);
CREATE TEMP TABLE audit_log (LIKE app.audit_log);
CREATE TEMP TABLE messages (LIKE app.messages);
CREATE FUNCTION trap.row_hash(jsonb, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION trap.equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = bigint, RIGHTARG = bigint);
RESET ROLE;
SELECT is(try('SET LOCAL search_path = pg_temp, trap, app, pg_catalog; INSERT INTO app.messages (body) VALUES (''trapped?'');'
              ' UPDATE app.messages SET body = ''no'' WHERE body OPERATOR(pg_catalog.=) ''trapped?'';'
              ' SELECT FROM app.audit_log WHERE action OPERATOR(pg_catalog.=) ''UPDATE'' AND workspace_id OPERATOR(pg_catalog.=) 1'), '1 rows', 'the search path diverts no line');
SELECT is(try('SET LOCAL search_path = pg_temp, trap, app, pg_catalog; SELECT forge_comm.revert(''app.messages'', 1, clock_timestamp())'), '1 rows', 'and deceives no function');
SELECT is((SELECT count(*) FROM trap.audit_log) + (SELECT count(*) FROM pg_temp.audit_log), 0::bigint, 'nothing went to a table of another');

-- Another log in the place of the log
SELECT is(try('ALTER TABLE app.messages DISABLE TRIGGER forge_comm_history'), '42501', 'an application disables nothing');
GRANT CREATE ON SCHEMA app TO regress_other;
SAVEPOINT diverted;
ALTER TABLE app.audit_log RENAME TO moved;
SET LOCAL ROLE regress_other;
CREATE TABLE app.bait (id int PRIMARY KEY);
SELECT forge_comm.enable_history('app.bait', log => 'audit_log2');
ALTER TABLE app.audit_log2 RENAME TO audit_log;
RESET ROLE;
SELECT is(try('INSERT INTO app.messages (body) VALUES (''diverted?'')'), '55000', 'a log of another owner gets no line');
ROLLBACK TO diverted;
SELECT is(try('SELECT forge_comm.enable_history(''app.bait'')', 'regress_other', workspace => NULL), '42P01', 'there is nothing left of it');
SET LOCAL ROLE regress_other;
CREATE TABLE app.bait (id int PRIMARY KEY);
RESET ROLE;
SELECT throws_ok('SET LOCAL ROLE regress_other; SELECT forge_comm.enable_history(''app.bait'')', '42501', NULL, 'and nobody logs to the log of another');
RESET ROLE;
SELECT is(try('SELECT forge_comm.enable_history(''app.messages'')', 'regress_other', workspace => NULL), '42501', 'or enables history on the table of another');

-- A partition made by hand is guarded, too
SET LOCAL ROLE regress_owner;
CREATE TABLE app.handmade PARTITION OF app.audit_log FOR VALUES FROM ('2000-01-01') TO ('2000-02-01');
RESET ROLE;
SELECT is((SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'app.handmade'::regclass AND tgenabled = 'A'),
          '{forge_comm_append_only,forge_comm_append_only_truncate}', 'by the triggers');
SELECT policies_are('app', 'handmade', '{forge_comm_access,forge_comm_tenancy}', 'and the policies');

-- What is private is told in service contexts only, whichever of history and
-- privacy came first, and whatever becomes of the channel and its id
SET LOCAL ROLE regress_owner;
CREATE TABLE channels (id bigint PRIMARY KEY, workspace_id bigint NOT NULL, is_private boolean NOT NULL);
CREATE TABLE members (channel_id bigint REFERENCES channels ON DELETE CASCADE, workspace_id bigint NOT NULL, user_id bigint, PRIMARY KEY (channel_id, user_id));
CREATE TABLE posts (id bigint PRIMARY KEY, channel_id bigint REFERENCES channels ON DELETE CASCADE, workspace_id bigint NOT NULL, body text);
SELECT forge_comm.enable_tenancy('channels'), forge_comm.enable_tenancy('members'), forge_comm.enable_tenancy('posts'), forge_comm.enable_history('posts');
RESET ROLE;
INSERT INTO channels VALUES (1, 1, true), (2, 1, false);
INSERT INTO members VALUES (1, 1, 1);
INSERT INTO posts VALUES (1, 1, 1, 'secret'), (2, 2, 1, 'open');
SELECT is(try('SELECT FROM app.audit_log WHERE table_name = ''posts'''), '2 rows', 'there are lines of posts');
SET LOCAL ROLE regress_owner;
SELECT forge_comm.enable_privacy('channels', 'is_private', 'members', children => '{posts}');
SELECT forge_comm.enable_history('channels'), forge_comm.enable_history('members');
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, members, posts TO regress_app;
CREATE TABLE app.later PARTITION OF app.audit_log FOR VALUES FROM ('2001-01-01') TO ('2001-02-01');
RESET ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO regress_app;
UPDATE posts SET body = body || '!';
UPDATE channels SET is_private = is_private;
UPDATE members SET user_id = 2;
CREATE FUNCTION public.private_lines(source text, role name, who bigint) RETURNS text LANGUAGE sql AS $$
  SELECT try(format('SELECT FROM %s WHERE table_name IN (''posts'', ''channels'', ''members'')', source), role, who)
$$;
SELECT is(private_lines(source, role, who), '0 rows', format('%s, user %s, sees no private line in %s', role, who, source))
  FROM unnest(ARRAY['app.audit_log', :'month', 'app.audit_log_default', 'app.later']) AS source, unnest('{regress_app,regress_owner}'::name[]) AS role, unnest('{1,2,3}'::bigint[]) AS who;
SELECT is_empty($$ SELECT * FROM forge_comm.checklist('app') WHERE object ~ '^(app[.])?(audit_log|later|handmade)' AND id <> 'role-privileges' $$, 'the checklist has nothing to say of a log');
SELECT is((SELECT count(*) FROM pg_policy WHERE polrelid = 'app.later'::regclass AND NOT polpermissive AND starts_with(polname::text, 'forge_comm_private_')), 3::bigint,
          'partitions made later follow');
SELECT is(try(call), '42501', call || ' says so')
  FROM unnest(ARRAY['SELECT FROM forge_comm.history_of(''app.posts'', 1)', 'SELECT FROM forge_comm.row_at(NULL::app.posts, 2, clock_timestamp())',
                    'SELECT forge_comm.revert(''app.posts'', 2, clock_timestamp())']) AS call;
SELECT is(try('SELECT FROM app.audit_log WHERE table_name = ''messages'''), '2 rows', 'other tables'' lines show as before');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_app;
SELECT is(try('SELECT forge_comm.set_service_context(''audit''); SELECT FROM forge_comm.history_of(''app.posts'', 1)', workspace => NULL), '2 rows', 'a service is told');
REVOKE EXECUTE ON FUNCTION forge_comm.set_service_context(text) FROM regress_app;
DELETE FROM channels WHERE id = 1;
SELECT is(try('INSERT INTO app.channels VALUES (1, 1, false);'
              ' SELECT FROM app.audit_log WHERE table_name IN (''posts'', ''channels'', ''members'')', user_id => 3), '0 rows', 'nor does who takes the id of a channel that is gone');
SET LOCAL ROLE regress_owner;
SELECT forge_comm.disable_privacy('channels');
RESET ROLE;
SELECT is(private_lines('app.audit_log', 'regress_app', 3), '0 rows', 'what was private stays so when privacy is disabled');
SET LOCAL ROLE regress_owner;
DROP TABLE members, posts, channels CASCADE;
RESET ROLE;
SELECT is(private_lines('app.audit_log', 'regress_app', 3), '0 rows', 'and when the tables are gone');

-- Errors of a log that cannot be written tell no value
ALTER TABLE app.audit_log ADD CONSTRAINT no_bodies CHECK (NOT coalesce(new ? 'body', false)) NOT VALID;
CREATE FUNCTION public.complaint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  PERFORM set_config('role', 'regress_app', true), forge_comm.set_context(1, 1);
  EXECUTE statement;
  RETURN 'none';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || detail;
END
$$;
SELECT is(complaint('INSERT INTO app.messages (body) VALUES (''secret words'')'), '23514', 'constraints of the log are kept, and tell no values');

SELECT * FROM finish();
ROLLBACK;
