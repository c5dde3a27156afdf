-- Who may call what: closed by default, and exactly what is granted.
BEGIN;
SELECT plan(21);

CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_nobody;

CREATE FUNCTION pg_temp.may_call(role name) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT p.oid::regprocedure::text FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE')
$$;

-- PUBLIC: what tells and changes nothing, and what an event trigger calls
CREATE TEMP TABLE public_functions (name text);
INSERT INTO public_functions VALUES
  ('forge_comm.page_limit(integer)'),
  ('forge_comm.page_offset(integer,integer)'),
  ('forge_comm.list_limit(integer)'),
  ('forge_comm.count_limit(bigint)'),
  ('forge_comm.message_id(text)'),
  ('forge_comm.one_place(bigint,text,text,text)'),
  ('forge_comm.older_time(regclass,bigint,text,text,timestamp with time zone)'),
  ('forge_comm.older_time(regclass,bigint,text,text,timestamp without time zone)'),
  ('forge_comm.older_id(regclass,bigint,text,text,bigint)'),
  ('forge_comm.newer_time(regclass,bigint,text,text,timestamp with time zone)'),
  ('forge_comm.newer_time(regclass,bigint,text,text,timestamp without time zone)'),
  ('forge_comm.newer_id(regclass,bigint,text,text,bigint)'),
  ('forge_comm.message_cursor(regclass,bigint,timestamp with time zone,bigint)'),
  ('forge_comm.message_cursor(regclass,bigint,timestamp without time zone,bigint)'),
  ('forge_comm.visible_channel(bigint,boolean)'),
  ('forge_comm.visible_channel(bigint,regclass,name)'),
  ('forge_comm.message_found(boolean)'),
  ('forge_comm.thread_place(regclass,bigint,bigint,text)'),
  ('forge_comm.no_markers()'),
  ('forge_comm.search_vector(regconfig,text)'),
  ('forge_comm.search_places(timestamp with time zone,bigint,bigint,bigint)'),
  ('forge_comm.search_places(timestamp without time zone,bigint,bigint,bigint)'),
  ('forge_comm.search_matches(tsvector,tsquery)'),
  ('forge_comm.in_places(bigint[],bigint[])'),
  ('forge_comm.search_index(regclass)'),
  ('forge_comm.stop_search_statistics(regclass)'),
  ('forge_comm.settle_search_index(regclass)'),
  ('forge_comm.page_time(regclass,bigint,integer,integer)'),
  ('forge_comm.page_local_time(regclass,bigint,integer,integer)'),
  ('forge_comm.page_id(regclass,bigint,integer,integer)'),
  ('forge_comm.page_rest(regclass,bigint,integer,integer)'),
  ('forge_comm.known_id(bigint,text,text,text,anyelement)'),
  ('forge_comm.known_time(bigint,text,text,text,anyelement)'),
  ('forge_comm.message_page(regclass,bigint,text,text,text,integer,regtype,boolean,text[])'),
  ('forge_comm.rules(regclass)'),
  ('forge_comm.rule_options(regclass,name,name)'),
  ('forge_comm.has_trigger(regclass,name)'),
  ('forge_comm.follow_parent(regclass,regclass)'),
  ('forge_comm.protect_member(regclass,text,text)'),
  ('forge_comm.force_row_security(regclass,text,name)'),
  ('forge_comm.tenancy_expression(regclass,name,name,regclass,name,name,boolean)'),
  ('forge_comm.create_policy(regclass,name,text,text)'),
  ('forge_comm.copy_policies(regclass,regclass)'),
  ('forge_comm.create_trigger(regclass,name,text,text,text,boolean)'),
  ('forge_comm.trigger_arguments(jsonb)'),
  ('forge_comm.create_rule_trigger(regclass,text,text,name,jsonb)'),
  ('forge_comm.create_truncate_trigger(regclass,text,name,text)'),
  ('forge_comm.gate_remember(oid)'),
  ('forge_comm.gate_findings(oid[])'),
  ('forge_comm.finding_table_unprotected(regnamespace)'),
  ('forge_comm.finding_row_security_off(regnamespace)'),
  ('forge_comm.finding_partition_uncovered(regnamespace)'),
  ('forge_comm.tenant_tables()'),
  ('forge_comm.guarded_tables()'),
  ('forge_comm.foreign_keys()'),
  ('forge_comm.enable_statement(regclass,name,boolean,name)'),
  ('forge_comm.remark(text)'),
  ('forge_comm.mask_literals(text)'),
  ('forge_comm.stop_statistics(regclass,name[])'),
  ('forge_comm.clear_statistics(regclass,smallint)'),
  ('forge_comm.history_options(regclass)'),
  ('forge_comm.key_columns(regclass)'),
  ('forge_comm.is_history_log(regclass)'),
  ('forge_comm.keeps_history(regclass)'),
  ('forge_comm.keeps_fences(regclass)'),
  ('forge_comm.protect_log(regclass)'),
  ('forge_comm.create_guard(regclass,name,text,text)'),
  ('forge_comm.create_history_triggers(regclass,jsonb)'),
  ('forge_comm.hide_private_lines(regclass)'),
  ('forge_comm.private_lines_policy(text)'),
  ('forge_comm.history_log(regclass)'),
  ('forge_comm.changes_options(regclass)'),
  ('forge_comm.create_changes_triggers(regclass,jsonb)'),
  ('forge_comm.create_cascade_triggers(regclass)'),
  ('forge_comm.follow_references(regclass)'),
  ('forge_comm.is_referenced(regclass)'),
  ('forge_comm.family(regclass)'),
  ('forge_comm.is_restoring()'),
  ('forge_comm.new_deletion_id()'),
  ('forge_comm.in_transaction_block()'),
  ('forge_comm.backfill_step(regclass,integer)'),
  ('forge_comm.family(regclass)'),
  ('forge_comm.has_later_trigger(regclass)'),
  ('forge_comm.ensure_second_look(regclass)'),
  ('forge_comm.is_email(text)'),
  ('forge_comm.normalize_email(text)'),
  ('forge_comm.is_display_name(text,integer,integer)'),
  ('forge_comm.is_slug(text)'),
  ('forge_comm.is_channel_name(text)'),
  ('forge_comm.is_url(text)'),
  ('forge_comm.is_color(text)'),
  ('forge_comm.is_timezone(text)'),
  ('forge_comm.is_message_body(text)'),
  ('forge_comm.is_password_hash(text)'),
  ('forge_comm.password_problem(text,text)'),
  ('forge_comm.clean_text(text)');
SELECT set_eq('SELECT pg_temp.may_call(''regress_nobody'')', 'SELECT name FROM public_functions', 'PUBLIC');
SELECT schema_privs_are('forge_comm', 'regress_nobody', '{USAGE}', 'PUBLIC looks names up in the schema, no more');
SELECT table_privs_are('forge_comm', 'settings', 'regress_nobody', '{}', 'the settings are closed');

-- An application
CREATE TEMP TABLE app_functions (name text);
INSERT INTO app_functions VALUES
  ('forge_comm.search_rows(anyelement,text,bigint[],bigint,text,integer)'),
  ('forge_comm.set_context(bigint,bigint,boolean)'),
  ('forge_comm.pin_workspace(bigint)'),
  ('forge_comm.current_user_id()'),
  ('forge_comm.current_workspace_id()'),
  ('forge_comm.workspace_ids()'),
  ('forge_comm.in_workspace(bigint)'),
  ('forge_comm.in_workspace(integer)'),
  ('forge_comm.in_workspace(smallint)'),
  ('forge_comm.in_workspace(bigint,regclass)'),
  ('forge_comm.in_workspace(integer,regclass)'),
  ('forge_comm.in_workspace(smallint,regclass)'),
  ('forge_comm.can_access(regclass,bigint)'),
  ('forge_comm.can_enter(regclass,bigint)'),
  ('forge_comm.knows_user(bigint)'),
  ('forge_comm.is_current_user(bigint)'),
  ('forge_comm.has_role(bigint,text[])'),
  ('forge_comm.context()'),
  ('forge_comm.restore(regclass,anycompatible)'),
  ('forge_comm.verify_token(regclass,name,text,anyelement)'),
  ('forge_comm.in_service_context()'),
  ('forge_comm.history_of(regclass,anycompatible)'),
  ('forge_comm.check_may_read_history(regclass)'),
  ('forge_comm.history_lines(regclass,jsonb)'),
  ('forge_comm.history_key(regclass,jsonb)'),
  ('forge_comm.row_hash(jsonb,bigint)'),
  ('forge_comm.given_key(regclass,text,regtype)'),
  ('forge_comm.key_condition(regclass,text)'),
  ('forge_comm.row_at(anyelement,anycompatible,timestamp with time zone)'),
  ('forge_comm.values_at(regclass,jsonb,timestamp with time zone)'),
  ('forge_comm.current_values(regclass,jsonb)'),
  ('forge_comm.read_changes(regclass,text,integer)'),
  ('forge_comm.row_values(record)'),
  ('forge_comm.left_at(regclass,jsonb,bigint,timestamp with time zone)'),
  ('forge_comm.untold_columns(regclass,jsonb)'),
  ('forge_comm.told_value(regclass,name,text)'),
  ('forge_comm.revert(regclass,anycompatible,timestamp with time zone)'),
  ('forge_comm.revert_statement(regclass,jsonb,timestamp with time zone)'),
  ('forge_comm.restore_all(uuid)'),
  ('forge_comm.restore_key(oid,text[])'),
  ('forge_comm.restore_deletion(oid[],uuid)'),
  ('forge_comm.restorable_tables()'),
  ('forge_comm.key_values(regclass,text,regtype)'),
  ('forge_comm.reading_user()'),
  ('forge_comm.unread_cap(integer)'),
  ('forge_comm.inbox_cursor(regclass,timestamp with time zone,bigint)'),
  ('forge_comm.inbox_place(regclass,text)');
SELECT lives_ok('SELECT forge_comm.grant_app(''regress_app'')', 'grant_app()');
SELECT set_eq('SELECT pg_temp.may_call(''regress_app'')', 'TABLE public_functions UNION TABLE app_functions', 'grants what an application calls');
SELECT lives_ok('SELECT forge_comm.grant_app(''regress_app'')', 'twice does not matter');

-- An owner of tables: all but what is for superusers and whom they choose
SELECT lives_ok('SELECT forge_comm.grant_owner(''regress_owner'')', 'grant_owner()');
SELECT is_empty($$
  SELECT pg_temp.may_call('regress_owner') INTERSECT
  SELECT p.oid::regprocedure::text FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND p.proname IN ('set_context', 'pin_workspace', 'set_service_context', 'use_memberships', 'forget_memberships', 'check_memberships',
                       'settings_changed', 'grant_app', 'grant_owner', 'grant_purge', 'revoke_app', 'revoke_owner', 'revoke_purge',
                       'in_workspace_support', 'purge', 'purge_blocks', 'enter_service')
$$, 'grants no context and nothing to grant on');
SELECT is_empty($$
  SELECT p.oid::regprocedure::text FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND (p.proname ~ '^(enable|disable)_' OR p.proname IN ('backfill', 'create_chat_schema', 'mark_secret', 'unmark_secret',
                                                            'add_validation', 'drop_validation', 'report_invalid',
                                                            'validation_guard', 'tenancy_guard', 'timestamps_stamp',
                                                            'soft_delete_guard', 'soft_delete_note', 'soft_delete_follow',
                                                            'secrets_guard', 'history_record', 'history_guard',
                                                            'maintain_history', 'seal_history', 'verify_history',
                                                            'deep_pages_note', 'fences_guard', 'maintain_deep_pages'))
  EXCEPT SELECT pg_temp.may_call('regress_owner')
$$, 'grants what enables and disables, trigger functions included');
SELECT table_privs_are('forge_comm', 'settings', 'regress_owner', '{}', 'the settings stay closed');

-- A job that purges: that alone, and no service context
CREATE ROLE regress_job;
CREATE TEMP TABLE purge_functions (name text);
INSERT INTO purge_functions VALUES
  ('forge_comm.purge(regclass,interval,integer,text,bigint,bigint)'),
  ('forge_comm.purge_blocks(oid,bigint,bigint,timestamp with time zone,text,text)'),
  ('forge_comm.check_purge(regclass,interval,integer)'),
  ('forge_comm.enter_service(text)'),
  ('forge_comm.key_match(oid,text,text)'),
  ('forge_comm.keys_to(regclass)'),
  ('forge_comm.purge_obstacles(regclass)'),
  ('forge_comm.purge_steps(regclass,text,oid[])'),
  ('forge_comm.has_purgeable(regclass,timestamp with time zone)'),
  ('forge_comm.block_count(regclass)');
SELECT lives_ok('SELECT forge_comm.grant_purge(''regress_job'')', 'grant_purge()');
SELECT set_eq('SELECT pg_temp.may_call(''regress_job'')', 'TABLE public_functions UNION TABLE purge_functions', 'grants what a purge calls');
SELECT lives_ok('SELECT forge_comm.revoke_purge(''regress_job'')', 'revoke_purge()');
SELECT set_eq('SELECT pg_temp.may_call(''regress_job'')', 'SELECT name FROM public_functions', 'takes it back');

-- And back
SELECT lives_ok('SELECT forge_comm.revoke_app(''regress_app''), forge_comm.revoke_owner(''regress_owner'')', 'revoking');
SELECT set_eq('SELECT pg_temp.may_call(''regress_app'')', 'SELECT name FROM public_functions', 'leaves an application what PUBLIC has');
SELECT set_eq('SELECT pg_temp.may_call(''regress_owner'')', 'SELECT name FROM public_functions', 'and an owner');
SELECT lives_ok('DROP ROLE regress_app, regress_owner, regress_job', 'nothing holds the roles back');

-- Generous defaults for new objects are not for ours
DROP EXTENSION forge_comm CASCADE;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
CREATE EXTENSION forge_comm;
SELECT set_eq('SELECT pg_temp.may_call(''regress_nobody'')', 'SELECT name FROM public_functions', 'ALTER DEFAULT PRIVILEGES opens no function');
SELECT schema_privs_are('forge_comm', 'regress_nobody', '{USAGE}', 'nor the schema');
SELECT table_privs_are('forge_comm', 'settings', 'regress_nobody', '{}', 'nor the settings');

SELECT * FROM finish();
ROLLBACK;
