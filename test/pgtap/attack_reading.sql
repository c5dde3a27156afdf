-- An attacker inside the application's role, with SQL of their own, reads rows
-- of another workspace, or learns of them otherwise. Each case fails when its
-- guard is taken out.
SET client_min_messages = error;
LOAD 'forge_comm';

BEGIN;
SELECT plan(142);
\ir attack.psql

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
SELECT pg_temp.refused(pg_temp.attack(1, sql), '0A000', sql)
  FROM unnest(ARRAY['COPY attack.messages FROM ''/dev/null''', 'COPY attack.events FROM ''/dev/null''', 'COPY attack.events_2 FROM ''/dev/null''',
                    'COPY attack.images FROM ''/dev/null''', 'COPY attack.workspaces FROM ''/dev/null''']) AS sql;
SELECT is(pg_temp.attack(1, sql), '1 rows', sql)
  FROM unnest(ARRAY['COPY (SELECT * FROM attack.notes) TO ''/dev/null''', 'COPY (SELECT * FROM ONLY attack.files) TO ''/dev/null''',
                    'COPY attack.events_1 TO ''/dev/null''', 'COPY (TABLE attack.active_messages) TO ''/dev/null''']) AS sql;
SELECT is(pg_temp.attack(1, 'COPY attack.events_2 TO ''/dev/null'''), '0 rows', 'COPY attack.events_2 TO');
SELECT pg_temp.refused(pg_temp.attack(1, 'COPY attack.notes TO PROGRAM ''cat'''), '42501', 'COPY TO a program');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'COPY attack.notes TO ''/dev/null'''), '42501', 'COPY TO without a context');
SELECT pg_temp.refused(pg_temp.command(1, 'SET LOCAL row_security = off; PERFORM * FROM attack.notes', 'regress_owner'), '42501', 'row_security = off, as the owner');
SELECT pg_temp.refused(pg_temp.command(1, 'SET LOCAL row_security = off; UPDATE attack.notes SET body = ''stolen'''), '42501', 'row_security = off, to write');
SELECT pg_temp.refused(pg_temp.command(1, 'LOCK TABLE attack.notes IN ACCESS EXCLUSIVE MODE', 'regress_nobody'), '42501', 'LOCK TABLE by those who only read');
SELECT is(pg_temp.attack(1, sql), 'nothing', sql)
  FROM unnest(ARRAY['SELECT coalesce((SELECT body FROM attack.notes WHERE id = 20 FOR UPDATE SKIP LOCKED), ''nothing'')',
                    'SELECT coalesce((SELECT body FROM attack.notes WHERE id = 20 FOR NO KEY UPDATE NOWAIT), ''nothing'')',
                    'SELECT coalesce((SELECT body FROM attack.messages WHERE id = 20 FOR SHARE), ''nothing'')',
                    'SELECT coalesce((SELECT body FROM ONLY attack.images WHERE id = 21), ''nothing'')',
                    'SELECT coalesce((SELECT body FROM attack.files WHERE tableoid = ''attack.images''::regclass AND id = 21), ''nothing'')',
                    'SELECT coalesce((SELECT body FROM attack.events WHERE tableoid = ''attack.events_2''::regclass), ''nothing'')']) AS sql;

-- What sees every row asked for says so
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

-- ------------------------------------------------ views, rules, materialized views

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

-- A superuser's views show what security_invoker makes them show; those without
-- it are the caveat of doc/security.md, whose query lists them
SELECT forge_comm.enable_soft_delete('attack.files');
CREATE VIEW attack.invoked WITH (security_invoker) AS SELECT * FROM attack.notes;
CREATE VIEW attack.invoked_twice WITH (security_invoker) AS SELECT * FROM attack.invoked;
CREATE VIEW attack.superuser_notes AS SELECT * FROM attack.notes;
CREATE VIEW attack.superuser_messages AS SELECT * FROM attack.active_messages;
GRANT SELECT ON attack.invoked, attack.invoked_twice, attack.superuser_notes, attack.superuser_messages TO regress_attacker;
SELECT is((SELECT string_agg(r.rolname, ',') FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner AND r.rolsuper
            WHERE c.oid = 'attack.active_files'::regclass), session_user::text, 'a superuser may own a view of ours');
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM ' || source), expected, 'reading ' || source)
  FROM (VALUES ('attack.active_files', 'ours,ours'), ('attack.invoked', 'ours'), ('attack.invoked_twice', 'ours'),
               ('attack.superuser_messages', 'ours')) AS t (source, expected);
SELECT set_eq($$
  SELECT c.oid::regclass::text
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
   WHERE c.relkind = 'v' AND (r.rolsuper OR r.rolbypassrls)
     AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
                      WHERE option_name = 'security_invoker' AND option_value::boolean)
     AND c.relnamespace = 'attack'::regnamespace
     AND pg_temp.attack(1, format('SELECT count(*) > 1 FROM %s', c.oid::regclass)) = 'true'
$$, ARRAY['attack.superuser_notes'], 'the views that show everything are among those that the documentation finds');

-- Materialized views hold what their owner could read
SELECT is(pg_temp.attack(1, $$
  DO 'BEGIN CREATE MATERIALIZED VIEW evil.mine AS SELECT * FROM attack.notes; REFRESH MATERIALIZED VIEW evil.mine;
            RAISE EXCEPTION ''%'', (SELECT string_agg(body, '','') FROM evil.mine); END'$$) ~ '^P0001.ours.', true,
          'a materialized view of the attacker''s own');
SELECT pg_temp.refused(pg_temp.command(NULL, 'CREATE MATERIALIZED VIEW evil.mine AS SELECT * FROM attack.notes'), '42501',
                       'one made without a context');
SAVEPOINT materialized;
SET LOCAL ROLE regress_owner;
SELECT forge_comm.set_context(user_id => 1);
CREATE MATERIALIZED VIEW attack.materialized AS SELECT * FROM attack.notes;
GRANT SELECT ON attack.materialized TO regress_attacker;
RESET ROLE;
SELECT is((SELECT string_agg(body, ',') FROM attack.materialized), 'ours', 'one of the owner''s, made in a context');
ROLLBACK TO materialized;

-- ---------------------------------------------- operators, casts and functions

SET ROLE regress_attacker;
CREATE FUNCTION evil.told(int, int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  'BEGIN IF 20 IN ($1, $2) THEN RAISE EXCEPTION ''seen''; END IF; RETURN false; END';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.told, RESTRICT = eqsel, COMMUTATOR = OPERATOR(evil.=), HASHES, MERGES);
CREATE TYPE evil.whole AS (body text);
CREATE FUNCTION evil.to_whole(attack.notes) RETURNS evil.whole LANGUAGE plpgsql COST 0.0000001 AS
  'BEGIN IF $1.body = ''canary'' THEN RAISE EXCEPTION ''seen''; END IF; RETURN ROW ($1.body); END';
CREATE CAST (attack.notes AS evil.whole) WITH FUNCTION evil.to_whole(attack.notes) AS IMPLICIT;
CREATE AGGREGATE evil.collect(text) (SFUNC = array_append, STYPE = text[], INITCOND = '{}');
RESET ROLE;
SELECT is(pg_temp.attack(1, sql), expected, sql)
  FROM (VALUES ('SELECT count(*) FROM attack.notes WHERE id OPERATOR(evil.=) 7', '0'),
               ('SELECT count(*) FROM attack.notes AS a JOIN attack.pins AS b ON a.id OPERATOR(evil.=) b.id', '0'),
               ('SELECT count(*) FROM attack.notes WHERE workspace_id = 1 OR id OPERATOR(evil.=) 7', '1'),
               ('SELECT count(*) FROM attack.notes AS n WHERE (n::evil.whole).body = ''ours''', '1'),
               ('SELECT evil.collect(body)::text FROM attack.notes', '{ours}'),
               ('SELECT count(*) FROM attack.notes GROUP BY evil.leak(body) HAVING evil.leak(min(body))', '1'),
               ('SELECT count(*) FROM attack.notes AS n, LATERAL (SELECT evil.leak(n.body)) AS l', '1'),
               ('SELECT count(*) FROM attack.notes AS n WHERE EXISTS (SELECT FROM attack.messages AS m WHERE evil.leak(n.body) AND evil.leak(m.body))', '1'),
               ('SELECT count(*) FROM attack.notes WHERE CASE WHEN workspace_id = 2 THEN 1 / amount = 1 ELSE true END', '1'),
               ('SELECT count(*) FROM attack.notes WHERE body::name::text::regclass IS NULL AND amount = 0', '0'),
               ('SELECT count(*) FROM attack.notes WHERE (''{"canary": 1}''::jsonb -> body)::int / 0 = 1', '0')) AS t (sql, expected);
SELECT pg_temp.refused(pg_temp.command(1, 'ALTER FUNCTION evil.leak(text) LEAKPROOF'), '42501', 'nobody calls a function leakproof');

-- -------------------------------------------------------------- statistics

SET ROLE regress_owner;
CREATE TABLE attack.secrets (id int PRIMARY KEY, workspace_id int NOT NULL, body text, kind text);
CREATE TABLE attack.secret_parts (LIKE attack.secrets) PARTITION BY LIST (workspace_id);
CREATE TABLE attack.secret_parts_1 PARTITION OF attack.secret_parts FOR VALUES IN (1);
CREATE TABLE attack.secret_parts_2 PARTITION OF attack.secret_parts FOR VALUES IN (2);
INSERT INTO attack.secrets SELECT i, 1 + i % 2, CASE i % 2 WHEN 0 THEN 'ours' ELSE 'canary' END || i, CASE i % 2 WHEN 0 THEN 'ours' ELSE 'canary' END
  FROM generate_series(1, 400) AS i;
INSERT INTO attack.secret_parts TABLE attack.secrets;
CREATE STATISTICS attack.secrets_statistics ON workspace_id, kind, (lower(body)) FROM attack.secrets;
SELECT forge_comm.enable_tenancy('attack.secrets');
SELECT forge_comm.enable_tenancy('attack.secret_parts');
GRANT SELECT ON attack.secrets, attack.secret_parts, attack.secret_parts_1, attack.secret_parts_2 TO regress_attacker;
SET ROLE regress_attacker;
CREATE FUNCTION evil.told(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  'BEGIN IF $1 ~ ''canary'' OR $2 ~ ''canary'' THEN RAISE EXCEPTION ''seen''; END IF; RETURN $1 OPERATOR(pg_catalog.<) $2; END';
CREATE OPERATOR evil.<< (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.told, RESTRICT = scalarltsel);
CREATE OPERATOR evil.== (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.told, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION evil.estimate(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
RESET ROLE;
ANALYZE attack.secrets, attack.secret_parts;

SELECT matches(pg_temp.attack(NULL, format('SELECT evil.estimate(%L)', sql), session_user::text), 'seen', 'the planner shows a superuser''s operator: ' || sql)
  FROM unnest(ARRAY['SELECT * FROM attack.secrets WHERE body OPERATOR(evil.<<) ''x''',
                    'SELECT * FROM attack.secrets WHERE kind OPERATOR(evil.==) ''x''']) AS sql;
SELECT matches(pg_temp.attack(1, format('SELECT evil.estimate(%L)', sql)), '^\d+$', 'the planner shows nothing to ' || sql)
  FROM unnest(ARRAY['SELECT * FROM attack.secrets WHERE body OPERATOR(evil.<<) ''x''',
                    'SELECT * FROM attack.secrets WHERE lower(body) OPERATOR(evil.<<) ''x''',
                    'SELECT * FROM attack.secrets WHERE kind OPERATOR(evil.==) ''x''',
                    'SELECT * FROM attack.secrets AS a JOIN attack.secrets AS b ON a.body OPERATOR(evil.==) b.body',
                    'SELECT * FROM attack.secret_parts WHERE body OPERATOR(evil.<<) ''x''',
                    'SELECT * FROM attack.secret_parts_2 WHERE body OPERATOR(evil.<<) ''x''']) AS sql;
SELECT is(pg_temp.attack(1, 'SELECT evil.estimate(''SELECT * FROM attack.secrets WHERE body ~ ''''canary'''''')'),
          pg_temp.attack(1, 'SELECT evil.estimate(''SELECT * FROM attack.secrets WHERE body ~ ''''nobody'''''')'),
          'EXPLAIN estimates a pattern alike, whether others have it or not');
SELECT isnt(pg_temp.attack(NULL, 'SELECT evil.estimate(''SELECT * FROM attack.secrets WHERE body ~ ''''canary'''''')', session_user::text),
            pg_temp.attack(NULL, 'SELECT evil.estimate(''SELECT * FROM attack.secrets WHERE body ~ ''''nobody'''''')', session_user::text),
            'but to a superuser');
SELECT is(pg_temp.attack(1, format('SELECT count(*) FROM %s WHERE schemaname = ''attack'' AND tablename IN (''secrets'', ''secret_parts'', ''secret_parts_2'')', view), role),
          '0', format('%s shows %s nothing', view, role))
  FROM unnest('{pg_stats,pg_stats_ext,pg_stats_ext_exprs}'::text[]) AS view, unnest('{regress_attacker,regress_owner}'::text[]) AS role;
SELECT isnt(pg_temp.attack(NULL, format('SELECT count(*) FROM %s WHERE schemaname = ''attack'' AND tablename = ''secrets''', view), session_user::text),
            '0', view || ' has something to show')
  FROM unnest('{pg_stats,pg_stats_ext,pg_stats_ext_exprs}'::text[]) AS view;
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT count(*) FROM ' || rel, role), '42501', format('%s is closed to %s', rel, role))
  FROM unnest('{pg_statistic,pg_statistic_ext_data}'::text[]) AS rel, unnest('{regress_attacker,regress_owner}'::text[]) AS role;

-- ---------------------------------------------------------------- policies

-- The owner may add policies, and tenancy remains the floor
SET ROLE regress_owner;
CREATE POLICY wide ON attack.notes USING (true) WITH CHECK (true);
RESET ROLE;
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.notes'), 'ours', 'no other policy widens what is seen');
SELECT pg_temp.refused(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (30, 2)'), '42501', 'or written');

-- -------------------------------------------------------------------- cursors

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

-- ------------------------------------------------------------ parallel = serial

CREATE FUNCTION evil.launched(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
  RETURN substring(plan::text FROM '"Workers Launched": *(\d+)');
END $$;
GRANT EXECUTE ON FUNCTION evil.launched(text) TO regress_attacker;
CREATE TEMP VIEW queries AS
  SELECT who, sql, pg_temp.attack(who, sql) AS result
    FROM unnest(ARRAY[1, 2, 12, 99, NULL]) AS who,
         unnest(ARRAY['SELECT string_agg(body, '','' ORDER BY body) FROM attack.notes',
                      'SELECT string_agg(body, '','' ORDER BY body) FROM attack.secrets',
                      'SELECT string_agg(body, '','' ORDER BY body) FROM attack.secret_parts',
                      'SELECT string_agg(body, '','' ORDER BY body) FROM attack.files',
                      'SELECT count(*) FROM attack.secrets AS a JOIN attack.secrets AS b USING (id)',
                      'SELECT forge_comm.workspace_ids()::text || forge_comm.current_user_id() || forge_comm.has_role(1, ''owner'')
                         FROM attack.secrets LIMIT 1']) AS sql;
CREATE TEMP TABLE serial AS SELECT * FROM queries;
SAVEPOINT parallel;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_leader_participation = off;
SELECT isnt(pg_temp.attack(1, 'SELECT evil.launched(''SELECT body FROM attack.secrets'')'), '0', 'there are workers');
SELECT set_eq('SELECT who, sql, result FROM queries', 'SELECT who, sql, result FROM serial', 'parallel workers answer as the leader does');
ROLLBACK TO parallel;
SELECT isnt((SELECT result FROM serial WHERE who = 1 AND sql ~ 'secrets AS a'), (SELECT result FROM serial WHERE who = 12 AND sql ~ 'secrets AS a'),
            'which differs from one user to the next');

SELECT * FROM finish();
ROLLBACK;
