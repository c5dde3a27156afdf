-- An attacker inside the application's role, with SQL of their own, against
-- the rows of another workspace. Each case fails when its guard is taken out.

-- Before the library is loaded its settings are placeholders, which anybody
-- may set; what they hold does not survive the loading. With the library
-- preloaded they are refused at once.
SET client_min_messages = error;
DO $$
BEGIN
  SET ROLE pg_monitor;
  SET forge_comm.context = 'scope=*';
EXCEPTION WHEN insufficient_privilege THEN
END
$$;
DO $$
BEGIN
  SET ROLE pg_monitor;
  SET forge_comm.allow_hard_delete = on;
  SET forge_comm.allow_bypass_role = on;
  SET forge_comm.preserve_timestamps = on;
EXCEPTION WHEN insufficient_privilege THEN
END
$$;
RESET ROLE;
LOAD 'forge_comm';

BEGIN;
SELECT plan(315);

SELECT is(current_setting('forge_comm.context'), '', 'a context from before the library was loaded is dropped');
SELECT is(current_setting('forge_comm.' || name), 'off', name || ' from before the library was loaded is dropped')
  FROM unnest('{allow_hard_delete,allow_bypass_role,preserve_timestamps}'::text[]) AS name;

-- ---------------------------------------------------------------- the victim

CREATE ROLE regress_owner;
CREATE ROLE regress_attacker;
CREATE ROLE regress_nobody;
GRANT pg_read_server_files, pg_write_server_files TO regress_attacker;
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_app('regress_attacker');
CREATE SCHEMA attack AUTHORIZATION regress_owner;
CREATE SCHEMA evil AUTHORIZATION regress_attacker;

SET ROLE regress_owner;
CREATE TABLE attack.workspaces (id int PRIMARY KEY, name text);
CREATE TABLE attack.memberships (user_id int, workspace_id int, PRIMARY KEY (user_id, workspace_id));
CREATE TABLE attack.channels (id int PRIMARY KEY, workspace_id int NOT NULL REFERENCES attack.workspaces,
                              name text, UNIQUE (workspace_id, id));
CREATE TABLE attack.messages (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int NOT NULL REFERENCES attack.channels ON DELETE CASCADE,
  parent_id int REFERENCES attack.messages,
  body text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE attack.notes (id int PRIMARY KEY, workspace_id int NOT NULL, body text, amount int);
CREATE TABLE attack.pins (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int,
                          FOREIGN KEY (workspace_id, channel_id) REFERENCES attack.channels (workspace_id, id));
CREATE TABLE attack.events (id int, workspace_id int NOT NULL, body text) PARTITION BY LIST (workspace_id);
CREATE TABLE attack.events_1 PARTITION OF attack.events FOR VALUES IN (1);
CREATE TABLE attack.events_2 PARTITION OF attack.events FOR VALUES IN (2);
CREATE TABLE attack.files (id int, workspace_id int NOT NULL, body text);
CREATE TABLE attack.images () INHERITS (attack.files);
CREATE TABLE attack.computed (id int PRIMARY KEY, workspace_id int NOT NULL, wish int,
                              channel_id int GENERATED ALWAYS AS (wish) STORED REFERENCES attack.channels);

INSERT INTO attack.workspaces VALUES (1, 'ours'), (2, 'canary');
INSERT INTO attack.memberships VALUES (1, 1), (2, 2), (12, 1), (12, 2);
INSERT INTO attack.channels VALUES (1, 1, 'ours'), (2, 2, 'canary');
INSERT INTO attack.messages VALUES (10, 1, 1, NULL, 'ours'), (20, 2, 2, NULL, 'canary');
INSERT INTO attack.notes VALUES (10, 1, 'ours', 1), (20, 2, 'canary', 0);
INSERT INTO attack.events VALUES (10, 1, 'ours'), (20, 2, 'canary');
INSERT INTO attack.files VALUES (10, 1, 'ours'), (20, 2, 'canary');
INSERT INTO attack.images VALUES (11, 1, 'ours'), (21, 2, 'canary');

SELECT forge_comm.enable_tenancy('attack.workspaces', workspace_column => 'id');
SELECT forge_comm.enable_tenancy('attack.channels');
SELECT forge_comm.enable_tenancy('attack.messages', via => 'channel_id');
SELECT forge_comm.enable_tenancy('attack.notes');
SELECT forge_comm.enable_tenancy('attack.pins');
SELECT forge_comm.enable_tenancy('attack.events');
SELECT forge_comm.enable_tenancy('attack.files');
SELECT forge_comm.enable_soft_delete('attack.messages');
SELECT forge_comm.enable_timestamps('attack.messages');
SELECT forge_comm.enable_messages('attack.messages');
GRANT USAGE ON SCHEMA attack TO regress_attacker, regress_nobody;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON ALL TABLES IN SCHEMA attack TO regress_attacker;
GRANT SELECT ON ALL TABLES IN SCHEMA attack TO regress_nobody;
RESET ROLE;
SELECT forge_comm.use_memberships('attack.memberships');

-- ----------------------------------------------------------------- the tools

-- What the attacker gets who runs this as a user: the rows that it gives, or
-- all that the error says. Nothing of it stays.
CREATE FUNCTION pg_temp.attack(as_user int, sql text, as_role text DEFAULT 'regress_attacker')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text; schema text; rel text; col text; con text;
  result text;
  n bigint;
BEGIN
  BEGIN
    EXECUTE format('SET LOCAL ROLE %I', as_role);
    IF as_user IS NOT NULL THEN
      PERFORM forge_comm.set_context(user_id => as_user);
    END IF;
    IF sql ~ '^\s*(SELECT|WITH|EXECUTE)|RETURNING' THEN
      EXECUTE sql INTO result;
    ELSE
      EXECUTE sql;
    END IF;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE SQLSTATE 'T0000' USING MESSAGE = coalesce(result, pg_catalog.concat(n, ' rows'));
  EXCEPTION
    WHEN SQLSTATE 'T0000' THEN
      RETURN SQLERRM;
    WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, schema = SCHEMA_NAME,
        rel = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME;
      RETURN concat_ws('|', state, message, detail, hint, schema, rel, col, con);
  END;
END
$$;

-- The same for what gives no rows.
CREATE FUNCTION pg_temp.command(as_user int, sql text, as_role text DEFAULT 'regress_attacker')
RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.attack(as_user, format('DO %L', 'BEGIN ' || sql || '; END'), as_role)
$$;

-- Refused with that code.
CREATE FUNCTION pg_temp.refused(attempt text, state text, description text)
RETURNS text LANGUAGE sql AS $$ SELECT is(left(attempt, 5), state, description) $$;

-- Refused in the very words that are used where there is nothing.
CREATE FUNCTION pg_temp.alike(a text, b text, description text)
RETURNS text LANGUAGE sql AS $$
  SELECT is(a, b, description) || E'\n' || matches(a, '^(23503|42501)', description || ': an error')
$$;

SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.messages'), 'ours', 'the tools work');
SELECT is(pg_temp.attack(1, 'INSERT INTO attack.messages (id, channel_id) VALUES (11, 1) RETURNING workspace_id'), '1',
          'the tools write');

-- --------------------------------------------------------------- the carrier

SELECT pg_temp.refused(pg_temp.command(who, sql), '42501', format('user %s: %s', who, sql))
  FROM unnest(ARRAY[NULL, 1]) AS who,
       unnest(ARRAY[
         'SET forge_comm.context = ''scope=*''',
         'SET forge_comm.context = ''user=2;scope=2:''',
         'SET forge_comm.context = ''nonsense''',
         'SET LOCAL forge_comm.context = ''scope=*''',
         'PERFORM set_config(''forge_comm.context'', ''scope=*'', true)',
         'PERFORM set_config(''forge_comm.context'', ''scope=*'', false)',
         'PERFORM set_config(''FORGE_COMM.Context'', ''scope=*'', false)',
         'ALTER ROLE regress_attacker SET forge_comm.context = ''scope=*''',
         'CREATE FUNCTION evil.f() RETURNS int LANGUAGE sql SET forge_comm.context = ''scope=*'' AS ''SELECT 1''; PERFORM evil.f()',
         'SET forge_comm.allow_hard_delete = on',
         'SET forge_comm.allow_bypass_role = on',
         'SET forge_comm.preserve_timestamps = on',
         'ALTER ROLE regress_attacker SET forge_comm.allow_hard_delete = on'
       ]) AS sql;
SELECT pg_temp.refused(pg_temp.command(NULL, 'SET forge_comm.context = ''scope=*''', session_user::text), '42501',
                       'not even a superuser writes the carrier');
SELECT pg_temp.refused(pg_temp.command(NULL, format('ALTER DATABASE %I SET forge_comm.context = ''scope=*''', current_database()),
                                       session_user::text), '42501', 'nor does ALTER DATABASE');
SELECT is(pg_temp.attack(1, 'UPDATE pg_settings SET setting = ''scope=*'' WHERE name = ''forge_comm.context'''),
          '0 rows', 'nor does pg_settings');
SELECT pg_temp.refused(pg_temp.command(1, $$
  CREATE FUNCTION evil.f() RETURNS int LANGUAGE sql SET forge_comm.context FROM CURRENT AS 'SELECT 1';
  PERFORM evil.f()$$), '42501', 'a context is not kept in a function to be used again');
SELECT pg_temp.refused(pg_temp.command(NULL, 'SET forge_comm.nonsense = 1'), '42602', 'the prefix is reserved');

-- ---------------------------------------------------------- a second context

SELECT pg_temp.refused(pg_temp.command(1, sql), '42501', sql)
  FROM unnest(ARRAY[
         'PERFORM forge_comm.set_context(user_id => 2)',
         'PERFORM forge_comm.set_context(user_id => 12)',
         'PERFORM forge_comm.set_context(user_id => 1, workspace_id => 2)',
         'PERFORM forge_comm.set_context(user_id => 1, workspace_id => 99)',
         'PERFORM forge_comm.set_context(user_id => 2, is_local => false)',
         'PERFORM forge_comm.pin_workspace(2)',
         'PERFORM forge_comm.set_service_context(''please'')',
         'DO ''BEGIN PERFORM forge_comm.set_context(user_id => 2); END''',
         'BEGIN PERFORM forge_comm.pin_workspace(1); RAISE division_by_zero;
            EXCEPTION WHEN division_by_zero THEN PERFORM forge_comm.set_context(user_id => 2); END',
         'CREATE FUNCTION evil.f() RETURNS void LANGUAGE sql SET search_path = evil SECURITY DEFINER AS
            ''SELECT forge_comm.set_context(user_id => 2)''; PERFORM evil.f()'
       ]) AS sql;
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.set_context(user_id => 1, workspace_id => 99)'),
          pg_temp.attack(1, 'SELECT forge_comm.set_context(user_id => 1, workspace_id => 2)'),
          'a workspace that is not theirs and one that does not exist are refused alike');
SELECT is(pg_temp.attack(NULL, 'SELECT forge_comm.set_context(user_id => 1, workspace_id => 99)'),
          pg_temp.attack(NULL, 'SELECT forge_comm.set_context(user_id => 1, workspace_id => 2)'),
          'and so by the first context');
SELECT is(pg_temp.attack(12, 'WITH a AS MATERIALIZED (SELECT forge_comm.pin_workspace(1)) SELECT forge_comm.workspace_ids()::text FROM a'),
          '{1}', 'pinning narrows');
SELECT pg_temp.refused(pg_temp.command(12, 'PERFORM forge_comm.pin_workspace(1); PERFORM forge_comm.pin_workspace(2)'),
                       '42501', 'and what is narrowed does not widen');
SELECT pg_temp.refused(pg_temp.command(12, 'PERFORM forge_comm.pin_workspace(1); PERFORM forge_comm.set_context(user_id => 12, workspace_id => 2)'),
                       '42501', 'by set_context() neither');
SELECT is(pg_temp.attack(12, $$
  WITH a AS MATERIALIZED (SELECT forge_comm.pin_workspace(1)),
       b AS MATERIALIZED (SELECT forge_comm.set_context(user_id => 12) FROM a)
  SELECT forge_comm.workspace_ids()::text FROM b$$), '{1}', 'nor within a statement');
SELECT pg_temp.refused(pg_temp.command(1, 'DISCARD ALL'), '25001', 'DISCARD ALL is not for transactions');
SELECT pg_temp.refused(pg_temp.command(NULL, 'PERFORM forge_comm.set_context(user_id => 1)', session_user::text), '42501',
                       'a superuser has no context');

-- The same with savepoints, as psql sends them
SAVEPOINT before;
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 12);
SAVEPOINT pinned;
SELECT forge_comm.pin_workspace(1);
SELECT is(forge_comm.workspace_ids(), '{1}', 'pinned');
ROLLBACK TO pinned;
SELECT is(forge_comm.workspace_ids(), '{1,2}', 'ROLLBACK TO restores what stood before');
SELECT throws_ok('SELECT forge_comm.set_context(user_id => 2)', '42501', NULL, 'and no more than that');
RESET ROLE;
SET LOCAL SESSION AUTHORIZATION regress_attacker;
SELECT throws_ok('SELECT forge_comm.set_context(user_id => 2)', '42501', NULL, 'nor does SET SESSION AUTHORIZATION help');
RESET SESSION AUTHORIZATION;
ROLLBACK TO before;

-- ------------------------------------------------------------ no context at all

SELECT pg_temp.refused(pg_temp.attack(NULL, sql), '42501', 'no context: ' || sql)
  FROM unnest(ARRAY[
         'SELECT count(*) FROM attack.messages',
         'SELECT count(*) FROM attack.events_2',
         'SELECT count(*) FROM attack.images',
         'SELECT count(*) FROM attack.active_messages',
         'SELECT count(*) FROM attack.get_messages(2)',
         'INSERT INTO attack.notes (id) VALUES (30)',
         'INSERT INTO attack.notes (id, workspace_id) VALUES (30, 2)',
         'INSERT INTO attack.messages (id, channel_id) VALUES (30, 2)',
         'INSERT INTO attack.messages (id, channel_id) VALUES (30, 99)',
         'UPDATE attack.notes SET body = ''''',
         'DELETE FROM attack.notes',
         'DELETE FROM attack.messages'
       ]) AS sql;
SET LOCAL forge_comm.missing_context = empty;
SELECT is(pg_temp.attack(NULL, 'SELECT count(*) FROM attack.messages'), '0', 'no context may be taken for an empty one');
SET LOCAL forge_comm.missing_context = error;
SELECT pg_temp.refused(pg_temp.command(NULL, 'SET LOCAL forge_comm.missing_context = empty; INSERT INTO attack.notes (id, workspace_id) VALUES (30, 2)'),
                       '42501', 'and writes nothing');

-- -------------------------------------------------------------------- reading

SELECT is(pg_temp.attack(1, format('SELECT coalesce(string_agg(body, '',''), ''nothing'') FROM %s', source)), expected, 'reading ' || source)
  FROM (VALUES ('attack.messages', 'ours'), ('ONLY attack.messages', 'ours'), ('attack.notes', 'ours'),
               ('attack.active_messages', 'ours'), ('attack.get_messages(1)', 'ours'), ('attack.get_messages(2)', 'nothing'),
               ('attack.get_messages(99)', 'nothing'),
               ('attack.events', 'ours'), ('attack.events_1', 'ours'), ('attack.events_2', 'nothing'),
               ('attack.files', 'ours,ours'), ('ONLY attack.files', 'ours'), ('attack.images', 'ours'),
               ('(SELECT * FROM attack.notes WHERE id = 20 OR true) AS t', 'ours'),
               ('(SELECT * FROM attack.notes WHERE id = 20 FOR UPDATE) AS t', 'nothing'),
               ('(SELECT * FROM attack.notes WHERE id = 20 FOR KEY SHARE) AS t', 'nothing'),
               ('attack.notes TABLESAMPLE system (100)', 'ours')) AS t (source, expected);
SELECT is(pg_temp.attack(1, 'SELECT coalesce((SELECT n.body FROM attack.channels AS c LEFT JOIN attack.notes AS n ON n.id = 20), ''nothing'')'),
          'nothing', 'reading by a join');
SELECT is(pg_temp.attack(1, 'SELECT coalesce(body, ''nothing'') FROM (VALUES (1)) AS v LEFT JOIN attack.notes ON ctid = ''(0,2)'''),
          'nothing', 'reading by ctid');
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT count(*) FROM attack.notes', 'regress_nobody'), '42501',
                       'a role without set_context()');
SELECT pg_temp.refused(pg_temp.command(1, 'SET LOCAL row_security = off; PERFORM * FROM attack.notes'), '42501', 'row_security = off');
SELECT is(pg_temp.attack(1, 'COPY attack.notes TO ''/dev/null'''), '1 rows', 'COPY TO copies what is in scope');
SELECT pg_temp.refused(pg_temp.attack(1, 'COPY attack.notes FROM ''/dev/null'''), '0A000', 'COPY FROM is refused by PostgreSQL');

-- What sees every row asked for says so
CREATE FUNCTION evil.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
  IF $1 = 'canary' THEN RAISE EXCEPTION 'seen'; END IF;
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION evil.leak(text) TO regress_attacker;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SELECT is(pg_temp.attack(1, sql), '1', sql)
  FROM unnest(ARRAY[
         'SELECT count(*) FROM attack.notes WHERE evil.leak(body)',
         'SELECT count(*) FROM attack.messages WHERE evil.leak(body)',
         'SELECT count(*) FROM attack.active_messages WHERE evil.leak(body)',
         'SELECT count(*) FROM attack.get_messages(1) WHERE evil.leak(body)',
         'SELECT count(*) FROM attack.events WHERE evil.leak(body)',
         'SELECT count(*) FROM attack.notes WHERE 1 / amount = 1',
         'SELECT count(*) FROM attack.notes WHERE amount = 1 OR body::int = 1',
         'SELECT count(*) FROM attack.notes AS a JOIN attack.channels AS b ON evil.leak(a.body) AND evil.leak(b.name)',
         'SELECT count(*) FROM (SELECT DISTINCT ON (evil.leak(body)) * FROM attack.notes) AS t'
       ]) AS sql;

-- Views and functions of another role than the application's, even the owner's
SET ROLE regress_owner;
CREATE VIEW attack.all_notes AS SELECT * FROM attack.notes;
CREATE VIEW attack.nested WITH (security_barrier) AS SELECT * FROM attack.all_notes;
CREATE VIEW attack.ruled AS SELECT 1 AS id;
CREATE RULE hand_over AS ON UPDATE TO attack.ruled DO INSTEAD UPDATE attack.notes SET body = 'stolen';
CREATE FUNCTION attack.all_notes() RETURNS SETOF attack.notes LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM attack.notes';
GRANT SELECT ON attack.all_notes, attack.nested TO regress_attacker;
GRANT SELECT, UPDATE ON attack.ruled TO regress_attacker;
RESET ROLE;
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM ' || source), 'ours', 'reading ' || source)
  FROM unnest('{attack.all_notes,attack.nested,attack.all_notes()}'::text[]) AS source;
SELECT is(pg_temp.attack(1, 'UPDATE attack.ruled SET id = 1'), '1 rows', 'writing by a rule that the owner made');
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.notes', 'regress_owner'), 'ours', 'the owner of the tables is bound, too');

-- ---------------------------------------------------------------- cached plans

SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE bodies AS SELECT string_agg(body, ',') FROM attack.notes;
PREPARE constant AS SELECT forge_comm.in_workspace(1)::text;
PREPARE channel (int) AS SELECT coalesce(string_agg(body, ','), 'nothing') FROM attack.get_messages($1);
CREATE FUNCTION evil.plpgsql_bodies() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT string_agg(body, '','') FROM attack.notes); END';
CREATE FUNCTION evil.sql_bodies() RETURNS text LANGUAGE sql STABLE SET work_mem = '4MB' AS 'SELECT string_agg(body, '','') FROM attack.notes';
SELECT is(pg_temp.attack(who, sql), CASE who WHEN 1 THEN 'ours' WHEN 2 THEN 'canary' END, format('%s as user %s, time %s', sql, who, time))
  FROM unnest('{EXECUTE bodies,SELECT evil.plpgsql_bodies(),SELECT evil.sql_bodies()}'::text[]) AS sql,
       unnest('{1,2,1,2}'::int[]) WITH ORDINALITY AS t (who, time);
SELECT is(pg_temp.attack(who, format('EXECUTE channel (%s)', channel)), expected, format('channel %s as user %s', channel, who))
  FROM (VALUES (1, 1, 'ours'), (2, 2, 'canary'), (1, 2, 'nothing'), (2, 1, 'nothing'), (1, 1, 'ours')) AS t (who, channel, expected);
SELECT is(pg_temp.attack(who, 'EXECUTE constant'), (who = 1)::text, format('a constant as user %s, time %s', who, time))
  FROM unnest('{1,2,1,2}'::int[]) WITH ORDINALITY AS t (who, time);
SELECT is(pg_temp.attack(NULL, 'EXECUTE bodies', session_user::text), 'ours,canary', 'a plan of a superuser');
SELECT is(pg_temp.attack(1, 'EXECUTE bodies'), 'ours', 'does not serve the attacker');
SELECT is(pg_temp.attack(1, 'EXECUTE bodies', 'regress_owner'), 'ours', 'nor the owner');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'EXECUTE bodies'), '42501', 'nor those without a context');

SET LOCAL enable_seqscan = off;
SELECT is(pg_temp.attack(who, 'SELECT string_agg(body, '','') FROM attack.notes'), expected, 'through the index as user ' || who)
  FROM (VALUES (1, 'ours'), (2, 'canary'), (12, 'ours,canary')) AS t (who, expected);
SET LOCAL enable_seqscan = on;

SELECT set_config(CASE WHEN current_setting('server_version_num')::int < 160000
                       THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'on', true) AS parallel \gset
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.notes'), 'ours', 'by a parallel worker');
SELECT set_config(CASE WHEN current_setting('server_version_num')::int < 160000
                       THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'off', true) AS parallel \gset

-- -------------------------------------------------------------------- cursors

CREATE FUNCTION pg_temp.fetch_all(name refcursor) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  bodies text[] := '{}';
  body text;
BEGIN
  LOOP
    FETCH name INTO body;
    EXIT WHEN NOT FOUND;
    bodies := bodies || body;
  END LOOP;
  RETURN array_to_string(bodies, ',');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;

-- Declared before any context, fetched under one and then under another
SAVEPOINT cursors;
SET LOCAL ROLE regress_attacker;
SET LOCAL forge_comm.missing_context = empty;
DECLARE early CURSOR FOR SELECT body FROM attack.notes;
SAVEPOINT one;
SELECT forge_comm.set_context(user_id => 1);
SELECT is(pg_temp.fetch_all('early'), 'ours', 'a cursor from before the context shows what is in scope');
ROLLBACK TO one;
SELECT forge_comm.set_context(user_id => 2);
SELECT unalike(pg_temp.fetch_all('early'), '%ours%', 'and nothing of that under another');
ROLLBACK TO cursors;

-- Declared under a wide context, fetched under a narrow one and under none
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 12);
DECLARE wide CURSOR FOR SELECT body FROM attack.notes;
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM attack.notes;
SELECT forge_comm.pin_workspace(1);
SELECT is(pg_temp.fetch_all('wide'), 'ours', 'a cursor follows when the context is narrowed');
SELECT is(pg_temp.fetch_all('held'), 'ours', 'a cursor WITH HOLD, too');
ROLLBACK TO cursors;
RESET ROLE;

-- -------------------------------------------------------------------- writing

SELECT is(pg_temp.attack(1, sql), '0 rows', sql)
  FROM unnest(ARRAY[
         'UPDATE attack.notes SET body = ''stolen'' WHERE id = 20 RETURNING body',
         'UPDATE attack.messages SET body = ''stolen'' WHERE id = 20 RETURNING body',
         'UPDATE attack.events_2 SET body = ''stolen'' RETURNING body',
         'UPDATE attack.images SET body = ''stolen'' WHERE id = 21 RETURNING body',
         'DELETE FROM attack.notes WHERE id = 20 RETURNING body',
         'DELETE FROM attack.messages WHERE id = 20 RETURNING body',
         'DELETE FROM attack.events WHERE id = 20 RETURNING body',
         'DELETE FROM attack.events_2 RETURNING body',
         'DELETE FROM attack.images WHERE id = 21 RETURNING body',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT DO NOTHING RETURNING body',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO NOTHING RETURNING body'
       ]) AS sql;
-- Minor versions of PostgreSQL differ in what they look at first
SELECT matches(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET body = ''stolen'' WHERE false'),
               '^(42501|0 rows)', 'ON CONFLICT DO UPDATE of nothing');
SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.notes VALUES (30, 2)',
         'INSERT INTO attack.messages VALUES (30, 2, 2)',
         'INSERT INTO attack.messages VALUES (30, 2, 1)',
         'INSERT INTO attack.active_messages (id, workspace_id, channel_id) VALUES (30, 2, 2)',
         'INSERT INTO attack.events VALUES (30, 2)',
         'INSERT INTO attack.events_2 VALUES (30, 2)',
         'INSERT INTO attack.images VALUES (30, 2)',
         'INSERT INTO attack.workspaces VALUES (3)',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET body = ''stolen''',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 1 RETURNING notes.body',
         'INSERT INTO attack.notes VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 2',
         'UPDATE attack.notes SET workspace_id = 2',
         'UPDATE attack.notes SET workspace_id = NULL',
         'UPDATE attack.messages SET workspace_id = 2',
         'UPDATE attack.messages SET workspace_id = 2, channel_id = 2',
         'UPDATE attack.events SET workspace_id = 2',
         'UPDATE attack.events_1 SET workspace_id = 2',
         'UPDATE attack.images SET workspace_id = 2',
         'UPDATE attack.workspaces SET id = 3',
         'UPDATE attack.workspaces SET id = 2'
       ]) AS sql;
SELECT pg_temp.refused(pg_temp.attack(12, sql), '42501', 'with both in scope: ' || sql)
  FROM unnest(ARRAY[
         'UPDATE attack.notes SET workspace_id = 3 - workspace_id',
         'UPDATE attack.messages SET workspace_id = 2, channel_id = 2 WHERE id = 10',
         'UPDATE attack.events SET workspace_id = 2 WHERE id = 10',
         'INSERT INTO attack.notes VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 2',
         'MERGE INTO attack.notes AS n USING (VALUES (10)) AS v (id) ON n.id = v.id WHEN MATCHED THEN UPDATE SET workspace_id = 2'
       ]) AS sql;
SELECT pg_temp.refused(pg_temp.attack(12, sql), '23503', 'with both in scope: ' || sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.messages VALUES (30, 1, 2)',
         'UPDATE attack.messages SET channel_id = 2 WHERE id = 10',
         'UPDATE attack.messages SET parent_id = 20 WHERE id = 10',
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, 20)',
         'INSERT INTO attack.pins VALUES (30, 1, 2)'
       ]) AS sql;
SELECT is(pg_temp.attack(1, 'INSERT INTO attack.notes (id) VALUES (30) RETURNING workspace_id'), '1', 'a row that names no workspace is ours');
SELECT pg_temp.refused(pg_temp.attack(12, 'INSERT INTO attack.notes (id) VALUES (30)'), '23502', 'or of none, with several in scope');

-- Every branch of MERGE
SELECT pg_temp.refused(pg_temp.attack(1, 'MERGE INTO attack.notes AS n USING (VALUES (20)) AS v (id) ON n.id = v.id ' || branch), state, 'MERGE: ' || branch)
  FROM (VALUES ('WHEN MATCHED THEN UPDATE SET body = ''stolen''', '0 row'),
               ('WHEN MATCHED THEN DELETE', '0 row'),
               ('WHEN NOT MATCHED THEN INSERT VALUES (v.id, 1)', '23505'),
               ('WHEN NOT MATCHED THEN INSERT VALUES (30, 2)', '42501'),
               ('WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN DO NOTHING', '0 row')) AS t (branch, state);
SELECT is(pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (10), (20)) AS v (id) ON m.id = v.id WHEN MATCHED THEN DELETE'),
          '1 rows', 'MERGE soft-deletes what is in scope');
SELECT pg_temp.alike(pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (30)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id) VALUES (30, 2)'),
                     pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (30)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id) VALUES (30, 99)'),
                     'MERGE that references');

-- TRUNCATE asks no policy
SELECT pg_temp.refused(pg_temp.attack(1, 'TRUNCATE ' || what), '42501', 'TRUNCATE ' || what)
  FROM unnest('{attack.notes,attack.channels CASCADE,attack.workspaces CASCADE,attack.events,attack.events_2,ONLY attack.files,attack.images}'::text[]) AS what;
SELECT pg_temp.refused(pg_temp.attack(NULL, 'TRUNCATE attack.notes'), '42501', 'TRUNCATE without a context');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'TRUNCATE attack.messages CASCADE', session_user::text), '55000', 'TRUNCATE of what is soft-deleted only, as a superuser');

-- Triggers of the application's own that rewrite the row, before and after ours
SET ROLE regress_owner;
CREATE FUNCTION attack.rewrite() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.workspace_id := 2; RETURN NEW; END';
CREATE TRIGGER aa BEFORE INSERT OR UPDATE ON attack.files FOR EACH ROW EXECUTE FUNCTION attack.rewrite();
CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON attack.notes FOR EACH ROW EXECUTE FUNCTION attack.rewrite();
RESET ROLE;
SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', 'rewritten by a trigger: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.files VALUES (30, 1)', 'UPDATE attack.files SET body = ''''',
                    'INSERT INTO attack.notes VALUES (30, 1)', 'UPDATE attack.notes SET body = ''''']) AS sql;
DROP TRIGGER aa ON attack.files;
DROP TRIGGER zz ON attack.notes;

-- ----------------------------------------------- does a row exist? References

SELECT pg_temp.alike(pg_temp.attack(who, format(sql, 'channel', 2)), pg_temp.attack(who, format(sql, 'channel', 99)),
                     format('as user %s: %s', who, sql))
  FROM unnest(ARRAY[1, NULL]) AS who,
       unnest(ARRAY[
         'INSERT INTO attack.messages (id, %s_id) VALUES (30, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 2, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 99, %s)',
         'INSERT INTO attack.messages (id, %s_id) VALUES (30, %s) ON CONFLICT DO NOTHING',
         'INSERT INTO attack.active_messages (id, %s_id) VALUES (30, %s) RETURNING id',
         'INSERT INTO attack.pins (id, workspace_id, %s_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.pins (id, workspace_id, %s_id) VALUES (30, 2, %s)',
         'WITH w AS (INSERT INTO attack.messages (id, %s_id) VALUES (30, %s) RETURNING id) SELECT * FROM w'
       ]) AS sql;
SELECT pg_temp.alike(pg_temp.attack(1, format(sql, 20)), pg_temp.attack(1, format(sql, 99)), sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, channel_id, parent_id) VALUES (30, 1, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, channel_id, parent_id) VALUES (30, 2, 2, %s)',
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 2, %s)',
         'UPDATE attack.messages SET parent_id = %s'
       ]) AS sql;
SELECT pg_temp.alike(pg_temp.attack(1, 'UPDATE attack.messages SET channel_id = 2'),
                     pg_temp.attack(1, 'UPDATE attack.messages SET channel_id = 99'), 'UPDATE of a reference');
SELECT pg_temp.alike(pg_temp.command(NULL, format(sql, 2)), pg_temp.command(NULL, format(sql, 99)), 'with an empty context: ' || sql)
  FROM unnest(ARRAY['SET LOCAL forge_comm.missing_context = empty; INSERT INTO attack.messages (id, channel_id) VALUES (30, %s)',
                    'SET LOCAL forge_comm.missing_context = empty; INSERT INTO attack.messages (id, workspace_id, channel_id) VALUES (30, 2, %s)']) AS sql;
SELECT is(pg_temp.attack(1, 'UPDATE attack.notes SET id = 20'), pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1)'),
          'a key that is taken says no more than that');
SELECT unalike(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1)'), '%(id)=%', 'and shows no value');

-- A key on a generated column is computed after BEFORE triggers
SET ROLE regress_owner;
DO $$
BEGIN
  PERFORM forge_comm.enable_tenancy('attack.computed');
EXCEPTION WHEN OTHERS THEN
END
$$;
RESET ROLE;
SELECT CASE WHEN (SELECT relrowsecurity FROM pg_class WHERE oid = 'attack.computed'::regclass) THEN
         pg_temp.refused(pg_temp.attack(1, 'INSERT INTO attack.computed VALUES (30, 1, 2)'), '0A000', 'a generated column that references')
       ELSE pass('a generated column that references is refused from the start') END;

-- Without tables of ours in between
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT has_table_privilege(''forge_comm.settings'', ''INSERT,UPDATE,DELETE,SELECT'')'), 'false',
                       'the settings are nobody''s');
SELECT pg_temp.refused(pg_temp.command(1, sql), '42501', sql)
  FROM unnest(ARRAY[
         'PERFORM * FROM forge_comm.settings',
         'DELETE FROM forge_comm.settings',
         'PERFORM forge_comm.forget_memberships()',
         'PERFORM forge_comm.use_memberships(''attack.memberships'')',
         'PERFORM forge_comm.grant_owner(''regress_attacker'')',
         'PERFORM forge_comm.disable_tenancy(''attack.notes'')',
         'PERFORM forge_comm.backfill_blocks(''attack.messages'', 0, 1)',
         'ALTER TABLE attack.notes DISABLE ROW LEVEL SECURITY',
         'ALTER TABLE attack.notes DISABLE TRIGGER ALL',
         'DROP POLICY forge_comm_tenancy ON attack.notes',
         'CREATE POLICY mine ON attack.notes USING (true)',
         'SET session_replication_role = replica',
         'CREATE FUNCTION forge_comm.in_workspace(text) RETURNS boolean LANGUAGE sql AS ''SELECT true'''
       ]) AS sql;

-- The owner may add policies, and tenancy remains the floor
SET ROLE regress_owner;
CREATE POLICY wide ON attack.notes USING (true) WITH CHECK (true);
RESET ROLE;
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.notes'), 'ours', 'no other policy widens what is seen');
SELECT pg_temp.refused(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (30, 2)'), '42501', 'or written');

-- -------------------------------------------------------------- soft deletion

SELECT is(pg_temp.attack(1, 'WITH d AS (DELETE FROM attack.messages RETURNING id) SELECT count(*) FROM d'), '1', 'DELETE of everything');
SELECT is(pg_temp.attack(1, 'DELETE FROM attack.messages WHERE evil.leak(body)'), '1 rows', 'DELETE shows nothing to functions');
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 20)'), 'P0002', 'restore() of a foreign row');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 20)'),
          replace(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 99)'), '99', '20'),
          'says the same as of none');

-- ------------------------------------- names of ours in an earlier schema

SET ROLE regress_attacker;
DO $$
DECLARE
  types constant regtype[] := '{smallint,integer,bigint,numeric,text,name,oid,regclass,jsonb,"char",timestamptz}';
  f record;
BEGIN
  FOR f IN SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS args, p.prorettype::regtype AS result
             FROM pg_proc AS p
            WHERE p.prokind = 'f' AND NOT p.proretset
              AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype, 'record'::regtype)
              AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) AS a WHERE a::regtype::text ~ '^(any|internal)')
              AND (p.pronamespace = 'forge_comm'::regnamespace
                   OR p.proname IN ('now', 'quote_ident', 'to_regclass', 'to_regnamespace', 'obj_description', 'pg_relation_size',
                                    'current_setting', 'set_config', 'left', 'md5', 'octet_length', 'jsonb_strip_nulls',
                                    'pg_has_role', 'pg_get_expr', 'has_table_privilege', 'int4eq', 'int8eq', 'nameeq'))
  LOOP
    EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                   f.proname, f.args, f.result, 'BEGIN RAISE EXCEPTION ''pwned by a function''; END');
  END LOOP;
  FOR f IN SELECT o.oid, o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result
             FROM pg_operator AS o
            WHERE o.oprkind = 'b' AND o.oprname IN ('=', '<>', '||', '->', '->>', '?', '<', '<=', '>', '>=', '-', '+', '/', '*')
              AND o.oprleft = ANY (types) AND o.oprright = ANY (types)
  LOOP
    EXECUTE format('CREATE FUNCTION evil.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
                   f.oid, f.l, f.r, f.result, 'BEGIN RAISE EXCEPTION ''pwned by an operator''; END');
    EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.op_%s)', f.oprname, f.l, f.r, f.oid);
  END LOOP;
END
$$;
CREATE DOMAIN evil.name AS text CHECK (false);
CREATE DOMAIN evil.regclass AS text CHECK (false);
CREATE DOMAIN evil.jsonb AS text CHECK (false);
CREATE TABLE evil.pg_class (LIKE pg_catalog.pg_class);
CREATE TABLE evil.pg_trigger (LIKE pg_catalog.pg_trigger);
CREATE TABLE evil.settings (LIKE attack.memberships);
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
RESET ROLE;
CREATE TEMP TABLE pg_class (LIKE pg_catalog.pg_class);
CREATE TEMP TABLE pg_policy (LIKE pg_catalog.pg_policy);
CREATE TEMP TABLE settings (LIKE attack.memberships);
CREATE TEMP TABLE messages (LIKE attack.messages);
CREATE TEMP TABLE channels (LIKE attack.channels);
GRANT ALL ON pg_temp.pg_class, pg_temp.pg_policy, pg_temp.settings, pg_temp.messages, pg_temp.channels TO PUBLIC;

-- What it is that would be run instead, to be sure of the bait
SELECT matches(pg_temp.command(1, 'SET LOCAL search_path = evil, pg_catalog; PERFORM now()'), 'pwned', 'the bait works for functions');
SELECT matches(pg_temp.command(1, 'SET LOCAL search_path = evil, pg_catalog; PERFORM 1 = 1'), 'pwned', 'the bait works for operators');

SELECT is(pg_temp.command(who, 'SET LOCAL search_path = evil, pg_temp, pg_catalog; ' || sql, role), '0 rows', role || ' under a hostile path: ' || sql)
  FROM (VALUES
    (1, 'regress_attacker', 'PERFORM forge_comm.workspace_ids(), forge_comm.context()'),
    (1, 'regress_attacker', 'PERFORM forge_comm.set_context(user_id => 1, workspace_id => 1)'),
    (1, 'regress_attacker', 'INSERT INTO attack.messages (id, channel_id) VALUES (30, 1)'),
    (1, 'regress_attacker', 'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, 10)'),
    (1, 'regress_attacker', 'UPDATE attack.messages SET body = ''new'''),
    (1, 'regress_attacker', 'DELETE FROM attack.messages; PERFORM forge_comm.restore(''attack.messages'', 10)'),
    (1, 'regress_attacker', 'PERFORM * FROM attack.get_messages(1)'),
    (1, 'regress_attacker', 'PERFORM * FROM attack.active_messages'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.rules(''attack.messages'')'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.t (id int PRIMARY KEY, workspace_id int, channel_id int REFERENCES attack.channels);
                             PERFORM forge_comm.enable_tenancy(''attack.t'', via => ''channel_id''); PERFORM forge_comm.backfill_blocks(''attack.t'', 0, 1);
                             PERFORM forge_comm.disable_tenancy(''attack.t'', true)'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_timestamps(''attack.notes''); PERFORM forge_comm.disable_timestamps(''attack.notes'', true)'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_soft_delete(''attack.notes''); PERFORM forge_comm.disable_soft_delete(''attack.notes'', true)'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.disable_messages(''attack.messages''); PERFORM forge_comm.enable_messages(''attack.messages'')'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.events_3 PARTITION OF attack.events FOR VALUES IN (3)'),
    (NULL, session_user::text, 'PERFORM forge_comm.use_memberships(''attack.memberships'', active => ''user_id > 0'')'),
    (NULL, session_user::text, 'PERFORM forge_comm.grant_app(''regress_nobody''), forge_comm.revoke_app(''regress_nobody'')'),
    (NULL, session_user::text, 'PERFORM forge_comm.create_chat_schema(''attack_chat'')')
  ) AS t (who, role, sql);

-- What is read stays the same
SELECT is(pg_temp.attack(1, 'WITH p AS MATERIALIZED (SELECT set_config(''search_path'', ''evil, pg_temp, pg_catalog'', true))
                             SELECT string_agg(body, '','') FROM p, attack.notes'), 'ours', 'policies do not follow the path');

-- ------------------------------------------------- ending the context

-- makes no room for another one
SAVEPOINT ended;
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 12);
DECLARE wide CURSOR FOR SELECT body FROM attack.notes;
SAVEPOINT reset;
RESET forge_comm.context;
SELECT is(pg_temp.fetch_all('wide'), '42501', 'a cursor does not outlive it');
SELECT throws_ok('SELECT forge_comm.set_context(user_id => 1)', '42501', NULL, 'nobody comes after');
ROLLBACK TO reset;
SELECT is(forge_comm.workspace_ids(), '{1,2}', 'ROLLBACK TO brings it back');
SELECT throws_ok('SELECT forge_comm.set_context(user_id => 1)', '42501', NULL, 'and with it the one user');
ROLLBACK TO ended;
RESET ROLE;

SELECT pg_temp.refused(pg_temp.command(1, sql), '42501', sql)
  FROM unnest(ARRAY[
         'RESET forge_comm.context; PERFORM forge_comm.set_context(user_id => 2)',
         'SET forge_comm.context TO DEFAULT; PERFORM forge_comm.set_context(user_id => 2)',
         'SET LOCAL forge_comm.context = ''''; PERFORM forge_comm.set_context(user_id => 2)',
         'PERFORM set_config(''forge_comm.context'', '''', true); PERFORM forge_comm.set_context(user_id => 2)',
         'RESET ALL; SET ROLE regress_attacker; PERFORM forge_comm.set_context(user_id => 2)',
         'BEGIN RESET forge_comm.context; RAISE division_by_zero;
            EXCEPTION WHEN division_by_zero THEN PERFORM forge_comm.set_context(user_id => 2); END',
         'CREATE FUNCTION evil.f() RETURNS void LANGUAGE sql SET forge_comm.context = '''' AS
            ''SELECT forge_comm.set_context(user_id => 2)''; PERFORM evil.f()'
       ]) AS sql;
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.workspace_ids()::text'), '{1}', 'what was undone leaves no trace');

SELECT * FROM finish();
ROLLBACK;
