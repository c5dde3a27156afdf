-- An attacker makes functions, operators, types and relations with the names
-- that ours use, where a path finds them first, for a victim with more rights to
-- run. Each case fails when its guard is taken out.
SET client_min_messages = error;
LOAD 'forge_comm';

BEGIN;
SELECT * FROM no_plan();	-- what is called is generated from the catalogue
\ir attack.psql

-- --------------------------------------------------- what the catalogue says

CREATE TEMP VIEW functions_of_ours AS
  SELECT p.oid, p.oid::regprocedure AS function, p.proname, l.lanname, p.proconfig, p.prosrc, p.prosecdef
    FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
   WHERE p.pronamespace = 'forge_comm'::regnamespace;
SELECT is_empty('SELECT function FROM functions_of_ours WHERE prosecdef', 'no function lends its owner''s rights');
SELECT set_eq('SELECT DISTINCT lanname::text FROM functions_of_ours', '{c,sql,plpgsql}'::text[], 'the languages are C, SQL and PL/pgSQL');
-- backfill(), maintain_deep_pages() and purge() commit, and restore(), restore_all() and revert() run the
-- application's triggers: none can have a SET clause. What they do under a hostile path is shown below.
SELECT set_eq($$SELECT proname::text FROM functions_of_ours
                 WHERE lanname <> 'c' AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(proconfig, '{""}'))$$,
              '{backfill,maintain_deep_pages,purge,restore,restore_all,revert}'::text[], 'all that is not C pins its path, with pg_temp last');
SELECT is_empty($$SELECT polname FROM pg_policy WHERE polrelid::regclass::text ~ '^attack'
                   AND pg_get_expr(coalesce(polqual, polwithcheck), polrelid) !~ '^(forge_comm\.|true)'$$, 'policies name our functions with their schema');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p
                   WHERE p.pronamespace = 'attack'::regnamespace
                     AND (p.prosecdef OR p.prosrc ~ '(?<!\.)\m(page_limit|page_offset|list_limit|count_limit|one_place|visible_channel|message_id|count|max|bool_or|array_agg|jsonb_agg|to_jsonb|jsonb_build_object|now)\M *\(' OR p.prosrc ~ '[^(.<>]=[^>]')$$,
                'what enable_messages() makes, to be inlined, names functions and operators with theirs');

-- ------------------------------------------------------------------- the bait

-- Whatever of it is run says so, and counts where no rollback undoes it
SET ROLE regress_attacker;
CREATE SEQUENCE evil.touched;
GRANT USAGE ON SEQUENCE evil.touched TO PUBLIC;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.touch() RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  'BEGIN PERFORM pg_catalog.nextval(''evil.touched''); RAISE EXCEPTION ''pwned by a relation''; END';
RESET ROLE;

CREATE FUNCTION pg_temp.make_bait(schema text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $make$
DECLARE
  body constant text := 'BEGIN PERFORM pg_catalog.nextval(''evil.touched''); RAISE EXCEPTION ''pwned by a %s''; END';
  types constant regtype[] := '{smallint,integer,bigint,numeric,text,name,oid,regclass,regtype,regprocedure,jsonb,"char",boolean,timestamptz,name[],text[],regtype[]}';
  sources constant text := (SELECT string_agg(prosrc, ' ') FROM functions_of_ours WHERE lanname <> 'c');
  f record;
BEGIN
  -- functions: ours, those that ours call, and format() for what it is given
  FOR f IN SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS args, p.prorettype::regtype AS result
             FROM pg_proc AS p
            WHERE p.prokind = 'f' AND NOT p.proretset
              AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype, 'record'::regtype)
              AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) AS a WHERE a::regtype::text ~ '^"?(any|internal|cstring)')
              AND (p.pronamespace = 'forge_comm'::regnamespace
                   OR p.pronamespace = 'pg_catalog'::regnamespace
                      AND (sources ~ ('\m' || p.proname || ' *\(') OR p.proname IN ('int4eq', 'int8eq', 'nameeq', 'oideq', 'texteq')))
           UNION ALL
           SELECT 'format', args, 'text'
             FROM unnest('{text,name,regclass}'::text[]) AS a, unnest('{"",text,name,regclass}'::text[]) AS b,
                  unnest('{"",text,name,regclass}'::text[]) AS c,
                  concat_ws(', ', 'text', a, nullif(b, ''), nullif(c, '')) AS args WHERE b <> '' OR c = ''
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', schema, f.proname, f.args, f.result, format(body, 'function'));
  END LOOP;
  -- relations: of the catalogue, of ours and of the application
  FOR f IN SELECT c.relname, c.oid::regclass AS rel,
                  (SELECT string_agg(CASE a.atttypid WHEN 'anyarray'::regtype THEN format('NULL::pg_catalog.text AS %I', a.attname)
                                                     ELSE format('%I', a.attname) END, ', ' ORDER BY a.attnum)
                     FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
             FROM pg_class AS c
            WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') AND sources ~ ('\m' || c.relname || '\M')
               OR c.oid IN ('forge_comm.settings'::regclass, 'attack.messages'::regclass, 'attack.channels'::regclass)
  LOOP
    EXECUTE format('CREATE VIEW %I.%I AS SELECT %s FROM %s WHERE evil.touch()', schema, f.relname, f.columns, f.rel);
    EXECUTE format('GRANT ALL ON %I.%I TO PUBLIC', schema, f.relname);
  END LOOP;
  FOR f IN SELECT t.name FROM unnest('{name,regclass,regrole,regtype,regprocedure,jsonb,oid,int8,text}'::text[]) AS t (name) LOOP
    EXECUTE format('CREATE DOMAIN %I.%I AS pg_catalog.text CHECK (evil.touch())', schema, f.name);
    EXECUTE format('GRANT ALL ON DOMAIN %I.%I TO PUBLIC', schema, f.name);
  END LOOP;
  -- operators cannot be reached in pg_temp, as functions cannot; they are there all the same
  FOR f IN SELECT n.name, l, r, CASE WHEN n.name IN ('||', '->', '->>', '-', '+', '*', '/') THEN 'text' ELSE 'boolean' END AS result
             FROM unnest('{=,<>,||,->,->>,?,<,<=,>,>=,-,+,*,/,~,~~,@>}'::text[]) AS n (name), unnest(types) AS l, unnest(types) AS r
            WHERE l = r OR n.name IN ('=', '<>', '||', '-') AND (l IN ('text', 'name', 'oid', 'integer', 'name[]', 'text[]', 'jsonb'))
                                                            AND (r IN ('text', 'name', 'oid', 'regclass', 'integer', 'bigint'))
               OR n.name IN ('->', '->>', '?') AND l = 'jsonb'::regtype AND r = 'text'::regtype
               OR n.name IN ('<', '>', '*', '/', '<=', '>=', '+') AND l IN ('integer', 'bigint', 'numeric') AND r IN ('integer', 'bigint', 'numeric')
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', schema, f.result, f.l, f.r, f.result, format(body, 'operator'));
    EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %I.op_%s)', schema, f.name, f.l, f.r, schema, f.result);
  END LOOP;
END
$make$;
-- the tools themselves are not to take it
SET LOCAL search_path = pg_catalog, public, pg_temp;
SELECT pg_temp.make_bait('evil');
SELECT nspname AS temporary FROM pg_namespace WHERE oid = pg_my_temp_schema() \gset
SELECT pg_temp.make_bait(:'temporary');
GRANT USAGE ON SCHEMA :"temporary" TO PUBLIC;

-- What it is that would be run instead, to be sure of the bait
SELECT matches(pg_temp.command(1, 'SET LOCAL search_path = evil, pg_catalog; ' || sql), 'pwned', 'the bait works: ' || sql)
  FROM unnest(ARRAY['PERFORM now()', 'PERFORM 1 = 1', 'PERFORM format(''%s'', ''x''::name, ''attack.notes''::pg_catalog.regclass)',
                    'PERFORM workspace_ids()', 'PERFORM ''{}''::pg_catalog.jsonb -> ''x''::pg_catalog.text', 'PERFORM * FROM pg_class',
                    'PERFORM ''x''::name']) AS sql;
SELECT matches(pg_temp.command(1, 'SET LOCAL search_path = public; PERFORM * FROM ' || rel), 'pwned', 'the bait works in pg_temp, without any path: ' || rel)
  FROM unnest('{pg_class,pg_trigger,pg_attribute,pg_constraint,pg_proc,settings,messages}'::text[]) AS rel;
SELECT last_value AS touched FROM evil.touched \gset

-- -------------------------------------------- every verb and trigger of ours

GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner;
SELECT forge_comm.grant_purge('regress_owner');
GRANT CREATE ON DATABASE :DBNAME TO regress_owner;
SET LOCAL track_functions = 'all';
SELECT matches(pg_temp.command(who, 'SET LOCAL search_path = evil, pg_temp, pg_catalog; ' || sql, role), '^(0 rows|' || coalesce(state, '-') || ')',
               role || ' under a hostile path: ' || sql)
  FROM (VALUES
    (1, 'regress_attacker', 'PERFORM forge_comm.workspace_ids(), forge_comm.context(), forge_comm.current_user_id(), forge_comm.current_workspace_id(),
                                     forge_comm.has_role(1, ''x''), forge_comm.in_workspace(1), forge_comm.in_workspace(1::pg_catalog.int8), forge_comm.in_workspace(1::pg_catalog.int2)', NULL),
    (1, 'regress_attacker', 'PERFORM forge_comm.set_context(user_id => 1, workspace_id => 1); PERFORM forge_comm.pin_workspace(1)', NULL),
    (1, 'regress_attacker', 'INSERT INTO attack.messages (id, channel_id) VALUES (30, 1)', NULL),
    (1, 'regress_attacker', 'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, 10)', NULL),
    (1, 'regress_attacker', 'UPDATE attack.messages SET body = ''new''', NULL),
    (1, 'regress_attacker', 'UPDATE attack.messages SET id = id', NULL),
    (1, 'regress_attacker', 'DELETE FROM attack.messages; PERFORM forge_comm.restore(''attack.messages'', 10)', NULL),
    (1, 'regress_owner', 'DELETE FROM attack.messages; PERFORM forge_comm.restore(''attack.messages'', 10)', NULL),
    (1, 'regress_attacker', 'MERGE INTO attack.messages AS m USING (VALUES (10)) AS v (id) ON m.id OPERATOR(pg_catalog.=) v.id WHEN MATCHED THEN DELETE', NULL),
    (1, 'regress_attacker', 'PERFORM * FROM attack.get_messages(1)', NULL),
    (1, 'regress_attacker', 'PERFORM * FROM attack.list_messages(1); PERFORM * FROM attack.list_messages(1, before => ''10''::pg_catalog.text);
                             PERFORM * FROM attack.list_messages(1, around => ''2026-01-01''::pg_catalog.text); PERFORM attack.message_cursor(m) FROM attack.messages AS m;
                             PERFORM * FROM attack.messages AS m, attack.list_messages(1, after => attack.message_cursor(m));
                             PERFORM * FROM attack.get_message(10, true); PERFORM attack.count_messages(1, 5); PERFORM * FROM attack.get_thread(10, ''10''::pg_catalog.text);
                             PERFORM attack.message_page(1); PERFORM forge_comm.visible_channel(1, true)', NULL),
    (NULL, 'regress_attacker', 'PERFORM forge_comm.no_markers()', '22023'),
    (1, 'regress_attacker', 'PERFORM forge_comm.known_time(1, ''10''::pg_catalog.text, ''SELECT pg_catalog.now() WHERE $1 IS NOT NULL AND $2 IS NOT NULL'', NULL, pg_catalog.now()),
                                     forge_comm.known_id(1, ''unread''::pg_catalog.text, NULL, ''SELECT 1::pg_catalog.int8, pg_catalog.now() WHERE $1 IS NOT NULL'', pg_catalog.now());
                             PERFORM * FROM attack.list_messages(1, before => ''10''::pg_catalog.text)', NULL),
    (1, 'regress_attacker', 'PERFORM forge_comm.message_page(''attack.messages'', 1, NULL, NULL, NULL, 1, ''timestamptz'', false, ARRAY[NULL, NULL, ''SELECT 1::pg_catalog.int8, pg_catalog.now(), 1::pg_catalog.int8 WHERE $1 IS NOT NULL AND $2 IS NOT NULL AND $3 IS NOT NULL'', NULL, NULL, NULL, NULL])', NULL),
    (1, 'regress_attacker', 'PERFORM forge_comm.older_time(''attack.messages'', 1, NULL, NULL, pg_catalog."timestamp"(pg_catalog.now())),
                                     forge_comm.newer_time(''attack.messages'', 1, NULL, NULL, pg_catalog."timestamp"(pg_catalog.now())),
                                     forge_comm.older_time(''attack.messages'', 1, NULL, NULL, pg_catalog.now()),
                                     forge_comm.newer_time(''attack.messages'', 1, NULL, NULL, pg_catalog.now()),
                                     forge_comm.message_cursor(''attack.messages'', 1, pg_catalog.now(), 1),
                                     forge_comm.message_cursor(''attack.messages'', 1, pg_catalog."timestamp"(pg_catalog.now()), 1),
                                     forge_comm.thread_place(''attack.messages'', 1, 10, NULL)', NULL),
    (NULL, 'postgres', 'PERFORM forge_comm.new_cursor_key()', NULL),
    (1, 'regress_attacker', 'PERFORM * FROM attack.active_messages', NULL),
    (1, 'regress_owner', 'TRUNCATE attack.notes', '42501'),
    (1, 'regress_owner', 'TRUNCATE attack.messages CASCADE', '55000'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.set_service_context(''check''); PERFORM * FROM attack.notes', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.rules(''attack.messages'')', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.in_transaction_block(), forge_comm.backfill_step(''attack.messages'', 100)', NULL),
    (NULL, 'regress_owner', 'EXECUTE ''CALL forge_comm.backfill(''''attack.messages'''')''', '25001'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.t (id int PRIMARY KEY, channel_id int REFERENCES attack.channels); INSERT INTO attack.t VALUES (1, 1);
                             PERFORM forge_comm.enable_tenancy(''attack.t'', via => ''channel_id''); PERFORM forge_comm.backfill_blocks(''attack.t'', 0, 1);
                             PERFORM forge_comm.announce_filled(''attack.t'', ''workspace_id''); PERFORM forge_comm.verify_filled(''attack.t'', ''workspace_id'');
                             PERFORM forge_comm.settle_filled(''attack.t'', ''workspace_id''); PERFORM forge_comm.ensure_tenancy_index(''attack.t'', ''workspace_id'');
                             PERFORM forge_comm.disable_tenancy(''attack.t'', true)', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_timestamps(''attack.notes'', created_by => ''created_by'', ignore => ''{amount}'');
                             PERFORM forge_comm.enable_timestamps(''attack.notes'', created_by => ''created_by'', ignore => ''{amount}'');
                             PERFORM forge_comm.disable_timestamps(''attack.notes'', true)', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_soft_delete(''attack.notes'', deleted_by => ''deleted_by''); PERFORM forge_comm.disable_soft_delete(''attack.notes'', true)', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.above (id int PRIMARY KEY, code int UNIQUE, who int);
                             CREATE TABLE attack.below (id int PRIMARY KEY, above int REFERENCES attack.above ON DELETE CASCADE);
                             CREATE TABLE attack.beside (id int PRIMARY KEY, above int REFERENCES attack.above ON DELETE SET NULL, below int REFERENCES attack.below ON DELETE RESTRICT);
                             PERFORM forge_comm.enable_soft_delete(''attack.above'', deleted_by => ''who'', deletion_id => ''did'', unique_keys => ''live'');
                             PERFORM forge_comm.enable_soft_delete(''attack.below'', deletion_id => ''did'');
                             INSERT INTO attack.above VALUES (1, 1), (2, 2); INSERT INTO attack.below VALUES (1, 1), (2, 2); INSERT INTO attack.beside VALUES (1, 1), (2, 2);
                             DELETE FROM attack.above; PERFORM forge_comm.restore(''attack.above'', 1);
                             PERFORM forge_comm.restore_all(did) FROM attack.above WHERE did IS NOT NULL;
                             DELETE FROM attack.above; PERFORM forge_comm.enter_service(''check'');
                             PERFORM forge_comm.has_purgeable(''attack.above'', ''infinity''), forge_comm.block_count(''attack.above'');
                             PERFORM forge_comm.purge_blocks(s.member, 0, 1, ''infinity'', s.condition, '''') FROM forge_comm.purge_steps(''attack.above'') AS s;
                             PERFORM forge_comm.disable_soft_delete(''attack.above'', true), forge_comm.disable_soft_delete(''attack.below'', true)', NULL),
    (NULL, 'regress_owner', 'EXECUTE ''CALL forge_comm.purge(''''attack.messages'''', ''''0'''')''', '25001'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.disable_messages(''attack.messages''); PERFORM forge_comm.enable_messages(''attack.messages'')', NULL),
    (1, 'regress_owner', 'PERFORM forge_comm.enable_changes(''attack.messages'', notify => true);
                          INSERT INTO attack.messages (id, channel_id) VALUES (30, 1); UPDATE attack.messages SET body = ''new''; DELETE FROM attack.messages;
                          PERFORM * FROM attack.get_changes((SELECT g.token FROM attack.get_changes() AS g));
                          PERFORM forge_comm.maintain_changes(''attack.messages'', ''0''); PERFORM forge_comm.disable_changes(''attack.messages'')', NULL),
    (1, 'regress_owner', 'PERFORM forge_comm.enable_changes(''attack.messages''); DELETE FROM attack.message_changes; TRUNCATE attack.message_changes', '42501'),
    (1, 'regress_owner', 'PERFORM forge_comm.enable_search(''attack.messages''); PERFORM * FROM attack.search_messages(''ours''); PERFORM * FROM attack.search_messages(''-ours'', ''{1}'');
                          UPDATE attack.messages SET body = ''new''; PERFORM forge_comm.search_places(NULL::pg_catalog.timestamp, 1, 1, 1); PERFORM forge_comm.disable_search(''attack.messages'')', NULL),
    (1, 'regress_attacker', 'PERFORM forge_comm.search_matches(''a'', ''a'')', '42501'),
    (1, 'regress_attacker', 'PERFORM forge_comm.in_places(''{1,2,3,4}'', ''{0,1,1,1}'')', '42501'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_deep_pages(''attack.messages'', 40); PERFORM forge_comm.check_deep_pages(''attack.messages'');
                             PERFORM forge_comm.set_service_context(''check'');
                             INSERT INTO attack.messages (id, channel_id) SELECT i, 1 FROM pg_catalog.generate_series(1000, 1900) AS i;
                             PERFORM forge_comm.own_deep_pages(), forge_comm.begin_fencing(''attack.messages''), forge_comm.mark_fences(''attack.messages''),
                                     forge_comm.await_fencing(''attack.messages'');
                             PERFORM forge_comm.make_fences(''attack.messages'', 1, true);
                             UPDATE attack.messages SET channel_id = channel_id; DELETE FROM attack.messages WHERE id OPERATOR(pg_catalog.<) 1010;
                             PERFORM forge_comm.changed_channels(''attack.messages''); PERFORM forge_comm.make_fences(''attack.messages'', 1, false);
                             INSERT INTO attack.messages_fences VALUES (1, 0, 0, 0);
                             PERFORM forge_comm.end_fencing(''attack.messages''); PERFORM * FROM attack.get_messages(1, 12, 50);
                             PERFORM forge_comm.page_local_time(''attack.messages'', 1, 12, 50);
                             PERFORM forge_comm.disable_deep_pages(''attack.messages'')', NULL),
    (NULL, 'regress_owner', 'EXECUTE ''CALL forge_comm.maintain_deep_pages(''''attack.messages'''')''', '25001'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.events_3 PARTITION OF attack.events FOR VALUES IN (3)', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.photos () INHERITS (attack.files)', NULL),
    (NULL, 'regress_owner', 'ALTER TABLE attack.events DETACH PARTITION attack.events_2; PERFORM forge_comm.disable_tenancy(''attack.events_2'')', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.disable_tenancy(''attack.events'')', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.create_chat_schema(''attack_chat'')', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.t (workspace_id int, token text); CREATE POLICY p ON attack.t USING (true);
                             PERFORM * FROM forge_comm.checklist(''attack'');
                             PERFORM forge_comm.gate_remember(''attack.t''::pg_catalog.regclass::pg_catalog.oid);
                             PERFORM * FROM forge_comm.gate_findings(ARRAY[''attack.t''::pg_catalog.regclass::pg_catalog.oid])', NULL),
    (1, 'regress_attacker', 'PERFORM forge_comm.in_workspace(1::bigint, ''attack.workspaces''), forge_comm.in_workspace(1, ''attack.workspaces''),
                                     forge_comm.in_workspace(1::smallint, ''attack.workspaces'')', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.create_chat_schema(''attack_chat''); PERFORM forge_comm.set_service_context(''check'');
                             INSERT INTO attack_chat.users (id, email, display_name) VALUES (1, ''a@b'', ''A''); UPDATE attack_chat.users SET id = id;
                             INSERT INTO attack_chat.workspaces (id, name, slug) VALUES (1, ''A'', ''a'');
                             INSERT INTO attack_chat.channels (id, workspace_id, name, is_private) VALUES (1, 1, ''a'', true);
                             INSERT INTO attack_chat.messages (channel_id, user_id, body) VALUES (1, 1, ''a''); UPDATE attack_chat.messages SET body = ''b'';
                             PERFORM * FROM attack_chat.users, attack_chat.workspaces, attack_chat.channels, attack_chat.messages;
                             PERFORM * FROM attack_chat.unread_summary(); PERFORM attack_chat.mark_read(1, 1);
                             PERFORM attack_chat.inbox_cursor(m), forge_comm.inbox_place(''attack_chat.messages'', attack_chat.inbox_cursor(m))
                                FROM attack_chat.messages AS m;
                             PERFORM * FROM attack_chat.inbox();
                             PERFORM forge_comm.disable_privacy(''attack_chat.channels''), forge_comm.disable_authorship(''attack_chat.messages''),
                                     forge_comm.disable_directory(''attack_chat.users'')', NULL),
    (1, 'regress_owner', 'CREATE TABLE attack.t (id bigint PRIMARY KEY, email pg_catalog.text, digest pg_catalog.text, expires_at timestamptz, deleted_at timestamptz);
                          CREATE INDEX ON attack.t (digest); CREATE INDEX ON attack.t (pg_catalog.upper(email)); GRANT SELECT ON attack.t TO regress_attacker;
                          PERFORM forge_comm.enable_soft_delete(''attack.t'');
                          PERFORM forge_comm.mark_secret(''attack.t'', ''email''), forge_comm.mark_secret(''attack.t'', ''digest'', ''token_digest'', expires_at => ''expires_at'');
                          INSERT INTO attack.t VALUES (1, ''a'', pg_catalog.encode(pg_catalog.sha256(''a''), ''hex''));
                          PERFORM forge_comm.verify_token(''attack.t'', ''digest'', ''a''), forge_comm.mask_literals(''x''), forge_comm.secret_columns(''attack.t'');
                          PERFORM * FROM forge_comm.checklist(''attack'');
                          PERFORM forge_comm.unmark_secret(''attack.t'', ''digest''), forge_comm.unmark_secret(''attack.t'', ''email'')', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.logged (id int PRIMARY KEY, body pg_catalog.text); PERFORM forge_comm.enable_history(''attack.logged'');
                             PERFORM forge_comm.set_service_context(''check''); INSERT INTO attack.logged VALUES (1, ''a''); UPDATE attack.logged SET body = ''b'';
                             PERFORM * FROM forge_comm.history_of(''attack.logged'', 1);
                             PERFORM * FROM forge_comm.row_at(NULL::attack.logged, 1, pg_catalog.clock_timestamp());
                             PERFORM forge_comm.revert(''attack.logged'', 1, pg_catalog.clock_timestamp());
                             DELETE FROM attack.logged; INSERT INTO attack.logged VALUES (2, ''a''); TRUNCATE attack.logged;
                             PERFORM * FROM forge_comm.row_at(NULL::attack.logged, 2, pg_catalog.clock_timestamp());
                             PERFORM forge_comm.seal_history(''attack.audit_log''), forge_comm.add_seals(''attack.audit_log'', 0, 9, ''0'', ''9999999999'');
                             PERFORM forge_comm.verify_history(''attack.audit_log''), forge_comm.maintain_history(''attack.audit_log'', 9);
                             PERFORM forge_comm.maintain_history(); PERFORM forge_comm.disable_history(''attack.logged'', true)', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.logged (id int PRIMARY KEY, body pg_catalog.text); PERFORM forge_comm.enable_history(''attack.logged'');
                             INSERT INTO attack.logged VALUES (1, ''a''); DELETE FROM attack.audit_log', '42501'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.t (email forge_comm.email, name forge_comm.display_name, slug forge_comm.slug, channel forge_comm.channel_name,
                                                    body forge_comm.message_body, hash forge_comm.password_hash);
                             INSERT INTO attack.t VALUES (forge_comm.normalize_email('' A@b''), forge_comm.clean_text('' A''), ''a'', ''a'', ''a'', ''$2b$12$'' OPERATOR(pg_catalog.||) pg_catalog.repeat(''a'', 53));
                             PERFORM forge_comm.is_email(email), forge_comm.is_display_name(name), forge_comm.is_slug(slug), forge_comm.is_channel_name(channel), forge_comm.is_message_body(body),
                                     forge_comm.is_password_hash(hash), forge_comm.is_url(body), forge_comm.is_color(body), forge_comm.is_timezone(body), forge_comm.password_problem(body, email)
                                FROM attack.t', NULL),
    (NULL, 'regress_owner', 'CREATE TABLE attack.above (id int PRIMARY KEY, kind pg_catalog.text); INSERT INTO attack.above VALUES (1, ''a'');
                             CREATE TABLE attack.t (id int PRIMARY KEY, above_id int REFERENCES attack.above, kind pg_catalog.text, age int, at timestamptz);
                             INSERT INTO attack.t VALUES (1, 1, ''a'', 1);
                             PERFORM forge_comm.add_validation(''attack.t'', ''kind'', ''one_of'', ''a'', ''b''), forge_comm.add_validation(''attack.t'', ''kind'', ''unique_ci''),
                                     forge_comm.add_validation(''attack.t'', ''kind'', ''same_as_parent'', ''via=above_id''), forge_comm.add_validation(''attack.t'', ''kind'', ''matches'', ''[ab]''),
                                     forge_comm.add_validation(''attack.t'', ''age'', ''range'', ''min=0''), forge_comm.add_validation(''attack.t'', ''at'', ''past'');
                             UPDATE attack.t SET age = 2, at = pg_catalog.now(); INSERT INTO attack.t VALUES (2, NULL, ''b'', 1);
                             PERFORM forge_comm.report_invalid(''attack.t'', ''kind'', ''unique_ci''), forge_comm.report_invalid(''attack.t'', ''kind'', ''same_as_parent'', ''via=above_id''),
                                     forge_comm.report_invalid(''attack.t'', ''kind'', ''length'', ''max=0'');
                             CREATE TRIGGER zz BEFORE UPDATE ON attack.t FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger();
                             UPDATE attack.t SET age = 3;
                             PERFORM forge_comm.drop_validation(''attack.t'', ''kind''), forge_comm.drop_validation(''attack.t'', ''age'', ''range'')', NULL),
    (NULL, 'regress_owner', 'PERFORM forge_comm.create_chat_schema(''attack_chat''); PERFORM forge_comm.enable_history(''attack_chat.channels'')', NULL),
    (NULL, session_user::text, 'CREATE TABLE attack.logged (id int PRIMARY KEY, body pg_catalog.text); PERFORM forge_comm.enable_history(''attack.logged'', log => ''log'');
                                INSERT INTO attack.log (changed_at, table_id, table_schema, table_name, action, transaction_id, role)
                                VALUES (pg_catalog.now(), 1, ''x'', ''x'', ''x'', ''1'', ''x'')', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.use_memberships(''attack.memberships'', active => ''user_id > 0'')', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.forget_memberships()', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.grant_app(''regress_nobody''), forge_comm.revoke_app(''regress_nobody'')', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.grant_owner(''regress_nobody''), forge_comm.revoke_owner(''regress_nobody'')', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.grant_purge(''regress_nobody''), forge_comm.revoke_purge(''regress_nobody'')', NULL),
    (NULL, session_user::text, 'PERFORM forge_comm.create_chat_schema(''attack_chat'')', NULL)
  ) AS t (who, role, sql, state);
-- In pg_temp they are found without a path, ahead of pg_catalog
SELECT matches(pg_temp.command(who, 'SET LOCAL search_path = public; ' || sql, role), '^0 rows', role || ' with hostile temporary objects: ' || sql)
  FROM (VALUES
    (1, 'regress_attacker', 'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, 10)'),
    (1, 'regress_attacker', 'DELETE FROM attack.messages; PERFORM forge_comm.restore(''attack.messages'', 10)'),
    (1, 'regress_attacker', 'PERFORM * FROM attack.get_messages(1); PERFORM * FROM attack.active_messages; PERFORM * FROM attack.files'),
    (NULL, 'regress_owner', 'PERFORM forge_comm.enable_soft_delete(''attack.notes''); PERFORM forge_comm.disable_soft_delete(''attack.notes'', true)'),
    (NULL, 'regress_owner', 'CREATE TABLE attack.events_3 PARTITION OF attack.events FOR VALUES IN (3)'),
    (NULL, session_user::text, 'PERFORM forge_comm.create_chat_schema(''attack_chat'')')
  ) AS t (who, role, sql);

-- The planner's own support functions, and those of indexes, are called by no statement
SELECT set_eq($$SELECT f.proname::text FROM functions_of_ours AS f JOIN pg_proc AS p USING (oid)
                 WHERE NOT 'internal'::regtype = ANY (p.proargtypes::oid[] || p.prorettype) AND NOT EXISTS (SELECT FROM pg_stat_xact_user_functions AS s WHERE s.funcid = f.oid)$$,
              '{}'::text[], 'every function of ours was called under the hostile path');
SELECT is((SELECT last_value FROM evil.touched), :touched::bigint, 'and no bait was taken, not even where an error was caught');

-- What is read stays the same
SELECT is(pg_temp.attack(1, 'WITH p AS MATERIALIZED (SELECT set_config(''search_path'', ''evil, pg_temp, pg_catalog'', true))
                             SELECT string_agg(body, '','') FROM p, attack.notes'), 'ours', 'policies do not follow the path');
SELECT pg_temp.refused(pg_temp.command(1, 'CREATE FUNCTION forge_comm.in_workspace(pg_catalog.text) RETURNS boolean LANGUAGE sql AS ''SELECT true'''), '42501',
                       'and our schema takes no function of others');

SELECT * FROM finish();
ROLLBACK;
