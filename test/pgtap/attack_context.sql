-- An attacker inside the application's role, with SQL of their own, against the
-- context: who is asking. Each case fails when its guard is taken out.

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
SELECT plan(119);
\ir attack.psql

SELECT is(current_setting('forge_comm.context'), '', 'a context from before the library was loaded is dropped');
SELECT is(current_setting('forge_comm.' || name), 'off', name || ' from before the library was loaded is dropped')
  FROM unnest('{allow_hard_delete,allow_bypass_role,preserve_timestamps}'::text[]) AS name;

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
-- Every setting that is not the user's to set, in every way to set one. The
-- context itself is hidden from pg_settings.
CREATE TEMP VIEW hidden_settings AS
  SELECT name, CASE vartype WHEN 'bool' THEN 'on' WHEN 'enum' THEN enumvals[1] ELSE '1' END AS value
    FROM pg_settings WHERE name LIKE 'forge\_comm.%' AND context = 'superuser'
  UNION ALL SELECT 'forge_comm.context', 'scope=*';
SELECT is_empty($$
  SELECT s.name, who, w.way
    FROM hidden_settings AS s, unnest(ARRAY[NULL, 1]) AS who, unnest(ARRAY[
           'SET %1$s = %2$L',
           'SET SESSION %1$s = %2$L',
           'SET LOCAL %1$s = %2$L',
           'PERFORM set_config(%1$L, %2$L, false)',
           'PERFORM set_config(%1$L, %2$L, true)',
           'PERFORM set_config(upper(%1$L), %2$L, true)',
           'ALTER ROLE regress_attacker SET %1$s = %2$L',
           'ALTER ROLE regress_attacker IN DATABASE postgres SET %1$s = %2$L',
           'ALTER ROLE ALL SET %1$s = %2$L',
           'CREATE FUNCTION evil.f() RETURNS int LANGUAGE sql SET %1$s = %2$L AS ''SELECT 1''; PERFORM evil.f()',
           'CREATE FUNCTION evil.f() RETURNS int LANGUAGE sql AS ''SELECT 1''; ALTER FUNCTION evil.f() SET %1$s = %2$L; PERFORM evil.f()',
           'CREATE PROCEDURE evil.p() LANGUAGE plpgsql SET %1$s = %2$L AS ''BEGIN END''; CALL evil.p()']) AS w (way)
   WHERE left(pg_temp.command(who, format(w.way, s.name, s.value)), 5) <> '42501'
$$, 'no setting of a superuser is set by SET, set_config(), ALTER ROLE or a SET clause');
SELECT set_eq('SELECT name FROM pg_settings WHERE name LIKE ''forge\_comm.%'' AND context <> ''superuser''',
              '{forge_comm.missing_context,forge_comm.all_errors}'::text[], 'what else there is says how it fails, not whether');
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
SELECT pg_temp.refused(pg_temp.command(1, sql), '2D000', sql)
  FROM unnest(ARRAY[
         'COMMIT; PERFORM forge_comm.set_context(user_id => 2)',
         'ROLLBACK; PERFORM forge_comm.set_context(user_id => 2)',
         'COMMIT AND CHAIN; PERFORM forge_comm.set_context(user_id => 2)',
         'CREATE PROCEDURE evil.p() LANGUAGE plpgsql AS ''BEGIN COMMIT; PERFORM forge_comm.set_context(user_id => 2); END''; CALL evil.p()'
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

-- ------------------------------------------- deferred triggers, at the commit

SET ROLE regress_attacker;
CREATE TABLE evil.late (id int);
CREATE FUNCTION evil.become_another() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RESET forge_comm.context; PERFORM forge_comm.set_context(user_id => 2); RETURN NULL; END';
CREATE FUNCTION evil.tell() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''%'', (SELECT string_agg(body, '','') FROM attack.notes); END';
CREATE CONSTRAINT TRIGGER become_another AFTER INSERT ON evil.late DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION evil.become_another();
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON evil.late DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION evil.tell();
RESET ROLE;
SELECT pg_temp.refused(pg_temp.command(1, 'INSERT INTO evil.late VALUES (1); SET CONSTRAINTS ALL IMMEDIATE'),
                       '42501', 'a deferred trigger names no other user');
SELECT matches(pg_temp.command(1, 'INSERT INTO evil.late VALUES (2); SET CONSTRAINTS ALL IMMEDIATE'),
               '^P0001.ours.', 'and sees what is in scope');
SELECT pg_temp.refused(pg_temp.command(1, 'INSERT INTO evil.late VALUES (2); RESET forge_comm.context; SET CONSTRAINTS ALL IMMEDIATE'),
                       '42501', 'or nothing, once the context is gone');

-- --------------------------------------------- an error amid set_context()

SAVEPOINT amid;
INSERT INTO attack.memberships VALUES (13, 1);
SELECT forge_comm.use_memberships('attack.memberships', active => '1 / (13 - user_id) IS NOT NULL');
SELECT pg_temp.refused(pg_temp.attack(13, 'SELECT 1'), '22012', 'set_context() fails on its way');
SELECT pg_temp.refused(pg_temp.command(NULL, format(
         'BEGIN PERFORM forge_comm.set_context(user_id => 13); EXCEPTION WHEN division_by_zero THEN END; %s', sql)),
       '42501', 'what it leaves behind is no context: ' || sql)
  FROM unnest(ARRAY['PERFORM * FROM attack.notes', 'PERFORM forge_comm.workspace_ids()',
                    'SET forge_comm.context = ''scope=*''']) AS sql;
SELECT is(pg_temp.command(NULL, 'BEGIN PERFORM forge_comm.set_context(user_id => 13); EXCEPTION WHEN division_by_zero THEN END;
                                 PERFORM forge_comm.set_context(user_id => 1)'), '0 rows', 'and no trace of the user');
SELECT forge_comm.use_memberships('attack.memberships');
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 12);
SELECT forge_comm.pin_workspace(1);
RESET ROLE;
SELECT forge_comm.use_memberships('attack.memberships', active => '1 / (2 - workspace_id) IS NOT NULL');
SET LOCAL ROLE regress_attacker;
SELECT throws_ok('SELECT forge_comm.set_context(user_id => 12)', '22012', NULL, 'an error amid a second set_context()');
SELECT is(forge_comm.workspace_ids(), '{1}', 'leaves the first');
ROLLBACK TO amid;
RESET ROLE;

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

-- ------------------------------------------------------------ the machinery

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

-- Every C function, called directly with arguments that it could take
CREATE FUNCTION pg_temp.call_of(function regprocedure) RETURNS text LANGUAGE sql AS $$
  SELECT format('SELECT %s(%s)', function::regproc,
                string_agg(CASE WHEN p.provariadic <> 0 AND a.n = p.pronargs THEN 'VARIADIC ' ELSE '' END ||
                           CASE WHEN a.type = 'regclass'::regtype THEN '''attack.notes'''
                                WHEN a.type = 'record'::regtype THEN 'ROW(1)'
                                WHEN a.type = 'uuid'::regtype THEN '''11111111-1111-1111-1111-111111111111'''
                                WHEN t.typcategory = 'D' THEN '''now'''
                                WHEN t.typcategory = 'N' OR t.typtype = 'p' THEN '1'
                                WHEN t.typcategory = 'B' THEN 'true'
                                WHEN t.typcategory = 'D' THEN '''2026-01-01'''
                                WHEN t.typcategory = 'A' OR a.type = 'jsonb'::regtype THEN '''{}'''
                                WHEN t.typcategory = 'D' THEN '''now'''
                                ELSE '''x''' END || '::' || CASE WHEN t.typtype = 'p' AND a.type <> 'record'::regtype THEN 'bigint' ELSE a.type::regtype::text END, ', ' ORDER BY a.n))
    FROM pg_proc AS p
    LEFT JOIN unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n) ON true
    LEFT JOIN pg_type AS t ON t.oid = a.type
   WHERE p.oid = function
   GROUP BY p.oid
$$;
CREATE TEMP VIEW c_functions AS
  SELECT p.oid::regprocedure AS function, p.proname
    FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'c'
   WHERE p.pronamespace = 'forge_comm'::regnamespace AND p.proname NOT IN ('in_workspace_support', 'privacy_support')
     -- which SQL cannot call
     AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]) AND p.prorettype <> 'internal'::regtype;
SELECT set_eq('SELECT proname::text FROM c_functions WHERE left(pg_temp.attack(NULL, pg_temp.call_of(function), ''regress_nobody''), 5) <> ''42501''',
              '{page_limit,page_offset,rule_options,gate_remember,mask_literals,new_deletion_id,in_transaction_block,is_email,normalize_email,is_display_name,is_slug,is_channel_name,is_url,is_color,is_timezone,is_message_body,is_password_hash,password_problem,clean_text,list_limit,count_limit,message_id,one_place,older_time,older_id,newer_time,newer_id,message_cursor,visible_channel,message_found,thread_place,no_markers,search_vector,search_places,settle_search_index,page_time,page_local_time,page_id,page_rest,message_page,known_time,known_id}'::text[],
              'the C functions that PUBLIC may call look at their arguments, or at the catalogue, make an id, or note a table for the gate');
SELECT is_empty($$
  SELECT function FROM c_functions
   WHERE left(pg_temp.attack(1, pg_temp.call_of(function)), 5) <> '42501'
     AND function NOT IN (SELECT forge_comm.app_functions())
     AND proname NOT IN ('page_limit', 'page_offset', 'rule_options', 'gate_remember', 'mask_literals', 'new_deletion_id', 'in_transaction_block', 'is_email', 'normalize_email', 'is_display_name', 'is_slug', 'is_channel_name', 'is_url', 'is_color', 'is_timezone', 'is_message_body', 'is_password_hash', 'password_problem', 'clean_text', 'list_limit', 'count_limit', 'message_id', 'one_place', 'older_time', 'older_id', 'newer_time', 'newer_id', 'message_cursor', 'visible_channel', 'message_found', 'thread_place', 'no_markers', 'search_vector', 'search_places', 'settle_search_index', 'page_time', 'page_local_time', 'page_id', 'page_rest', 'message_page', 'known_time', 'known_id')
$$, 'an application calls no more of them than grant_app() says');
SELECT is_empty('SELECT function FROM c_functions WHERE pg_temp.attack(NULL, pg_temp.call_of(function), session_user::text) ~ ''^XX''',
                'and none takes what it is given for something else, even from a superuser');
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT forge_comm.in_workspace_support(1)'), '42883', 'the planner''s takes nothing that SQL can name');

SELECT * FROM finish();
ROLLBACK;
