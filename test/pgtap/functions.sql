-- The functions: what each takes, gives and promises to the planner.
-- the settings are there once the library is
LOAD 'forge_comm';

BEGIN;
SELECT plan(16);

CREATE TEMP TABLE functions AS
SELECT p.oid, p.proname, l.lanname, p.provolatile, p.proparallel, p.proisstrict, p.proleakproof, p.prosecdef,
       p.prokind, p.proconfig, p.prorettype, p.proargtypes
  FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
 WHERE p.pronamespace = 'forge_comm'::regnamespace;

-- The public ones, each with its arguments and their defaults
SELECT set_eq($$
  SELECT format('%s(%s) %s', f.proname, pg_get_function_arguments(f.oid), coalesce(pg_get_function_result(f.oid), 'procedure'))
    FROM functions AS f
   WHERE f.proname ~ '^(set|pin|current|workspace_ids|in_workspace|has_role|context$|can_access|knows_user|is_current_user|use_|forget_|grant_|revoke_|enable_|disable_|restore$|backfill$|rules$|create_chat_schema$|checklist$|mark_secret$|unmark_|verify_token$|mask_literals$|in_service|history_of|row_at|revert$|maintain_|seal_history|verify_history|restore_all$|purge$|is_(email|display_name|slug|channel_name|url|color|timezone|message_body|password_hash)$|normalize_email$|password_problem$|clean_text$|add_validation$|drop_validation$|report_invalid$)'
     AND f.proname NOT IN ('in_workspace_support', 'settings_changed', 'settle_filled', 'enable_statement', 'revoke_column', 'current_values', 'settle_search_index')
$$, ARRAY[
  'set_context(user_id bigint DEFAULT NULL::bigint, workspace_id bigint DEFAULT NULL::bigint, is_local boolean DEFAULT true) void',
  'pin_workspace(workspace_id bigint) void',
  'set_service_context(reason text) void',
  'current_user_id() bigint',
  'current_workspace_id() bigint',
  'workspace_ids() bigint[]',
  'in_workspace(workspace_id bigint) boolean',
  'in_workspace(workspace_id integer) boolean',
  'in_workspace(workspace_id smallint) boolean',
  'in_workspace(workspace_id bigint, founded_in regclass) boolean',
  'in_workspace(workspace_id integer, founded_in regclass) boolean',
  'in_workspace(workspace_id smallint, founded_in regclass) boolean',
  'can_access(rel regclass, id bigint) boolean',
  'knows_user(id bigint) boolean',
  'is_current_user(id bigint) boolean',
  'has_role(workspace_id bigint, VARIADIC roles text[]) boolean',
  'context(OUT user_id bigint, OUT workspace_ids bigint[], OUT roles text[], OUT service_reason text) record',
  'use_memberships(rel regclass, user_column name DEFAULT ''user_id''::name, workspace_column name DEFAULT ''workspace_id''::name, role_column name DEFAULT NULL::name, active text DEFAULT NULL::text) void',
  'forget_memberships() void',
  'grant_app(role regrole) void',
  'revoke_app(role regrole) void',
  'grant_owner(role regrole) void',
  'revoke_owner(role regrole) void',
  'grant_purge(role regrole) void',
  'revoke_purge(role regrole) void',
  'enable_tenancy(rel regclass, workspace_column name DEFAULT ''workspace_id''::name, via name DEFAULT NULL::name, write_roles text[] DEFAULT NULL::text[], same name[] DEFAULT NULL::name[], founding boolean DEFAULT false) void',
  'disable_tenancy(rel regclass, drop_column boolean DEFAULT false) void',
  'backfill(IN rel regclass, IN batch_size integer DEFAULT 10000, INOUT filled bigint DEFAULT 0, INOUT batches bigint DEFAULT 0) procedure',
  'enable_timestamps(rel regclass, created_at name DEFAULT ''created_at''::name, updated_at name DEFAULT ''updated_at''::name, created_by name DEFAULT NULL::name, updated_by name DEFAULT NULL::name, ignore name[] DEFAULT ''{}''::name[]) void',
  'disable_timestamps(rel regclass, drop_columns boolean DEFAULT false) void',
  'enable_soft_delete(rel regclass, deleted_at name DEFAULT ''deleted_at''::name, deleted_by name DEFAULT NULL::name, is_active name DEFAULT NULL::name, view name DEFAULT NULL::name, cascade boolean DEFAULT true, deletion_id name DEFAULT NULL::name, unique_keys text DEFAULT NULL::text) void',
  'disable_soft_delete(rel regclass, drop_columns boolean DEFAULT false) void',
  'restore(rel regclass, id anycompatible) bigint',
  'restore_all(deletion_id uuid) bigint',
  'purge(IN rel regclass, IN older_than interval, IN batch integer DEFAULT 10000, IN reason text DEFAULT ''purge''::text, INOUT purged bigint DEFAULT 0, INOUT batches bigint DEFAULT 0) procedure',
  'in_service_context() boolean',
  'enable_history(rel regclass, ignore name[] DEFAULT ''{}''::name[], log name DEFAULT ''audit_log''::name) void',
  'disable_history(rel regclass, drop_log boolean DEFAULT false) void',
  'history_of(rel regclass, key anycompatible) TABLE(id bigint, changed_at timestamp with time zone, action text, user_id bigint, role text, service_reason text, workspace_id bigint, transaction_id xid8, deletion_id uuid, row_key jsonb, old jsonb, new jsonb)',
  'row_at("row" anyelement, key anycompatible, at timestamp with time zone) SETOF anyelement',
  'revert(rel regclass, key anycompatible, at timestamp with time zone) bigint',
  'maintain_history(log regclass DEFAULT NULL::regclass, months_ahead integer DEFAULT 3, keep interval DEFAULT NULL::interval) TABLE(partition text, action text)',
  'seal_history(log regclass DEFAULT NULL::regclass) TABLE(history_log text, seal bigint, lines bigint, hash text)',
  'verify_history(log regclass DEFAULT NULL::regclass, head text DEFAULT NULL::text) TABLE(history_log text, seals bigint, lines bigint, dropped bigint, bad_seal bigint, problem text)',
  'enable_messages(rel regclass, channel name DEFAULT ''channel_id''::name, created_at name DEFAULT ''created_at''::name, deleted_at name DEFAULT NULL::name, author name DEFAULT ''user_id''::name, parent name DEFAULT ''parent_id''::name, edited_at name DEFAULT ''edited_at''::name, body name DEFAULT ''body''::name, author_name name DEFAULT ''display_name''::name, markers regclass DEFAULT NULL::regclass, marker name DEFAULT ''last_read_message_id''::name, reactions regclass DEFAULT NULL::regclass, emoji name DEFAULT ''emoji''::name, prefix text DEFAULT ''''::text) void',
  'disable_messages(rel regclass) void',
  'enable_privacy(channels regclass, private text, members regclass, member_channel name DEFAULT ''channel_id''::name, member_user name DEFAULT ''user_id''::name, children regclass[] DEFAULT ''{}''::regclass[], creator name DEFAULT NULL::name, active text DEFAULT NULL::text) void',
  'enable_privacy(rel regclass, via name) void',
  'disable_privacy(rel regclass) void',
  'enable_directory(rel regclass, id name DEFAULT ''id''::name) void',
  'disable_directory(rel regclass) void',
  'enable_authorship(rel regclass, author name DEFAULT ''user_id''::name, moderators text[] DEFAULT ''{owner,admin}''::text[]) void',
  'disable_authorship(rel regclass) void',
  'create_chat_schema(schema_name name) void',
  'rules(rel regclass) TABLE(capability text, options jsonb)',
  'checklist(schema regnamespace) SETOF forge_comm.finding',
  'mark_secret(rel regclass, column_name name, kind text DEFAULT NULL::text, readers regrole[] DEFAULT ''{}''::regrole[], digest_bytes integer DEFAULT 32, expires_at name DEFAULT NULL::name) void',
  'unmark_secret(rel regclass, column_name name) void',
  'verify_token(rel regclass, column_name name, token text, key anyelement DEFAULT NULL::bigint) anyelement',
  'mask_literals(statement text) text',
  'is_email(value text) boolean',
  'normalize_email(value text) text',
  'is_display_name(value text, min integer DEFAULT 1, max integer DEFAULT 80) boolean',
  'is_slug(value text) boolean',
  'is_channel_name(value text) boolean',
  'is_url(value text) boolean',
  'is_color(value text) boolean',
  'is_timezone(value text) boolean',
  'is_message_body(value text) boolean',
  'is_password_hash(value text) boolean',
  'password_problem(password text, email text DEFAULT NULL::text) text',
  'clean_text(value text) text',
  'add_validation(rel regclass, column_name name, rule text, VARIADIC options text[] DEFAULT ''{}''::text[]) void',
  'drop_validation(rel regclass, column_name name, rule text DEFAULT NULL::text) void',
  'report_invalid(rel regclass, column_name name, rule text, VARIADIC options text[] DEFAULT ''{}''::text[], OUT invalid bigint, OUT first_keys jsonb) record',
  'enable_changes(rel regclass, notify boolean DEFAULT false) void',
  'disable_changes(rel regclass) void',
  'maintain_changes(rel regclass, keep interval DEFAULT ''7 days''::interval) bigint',
  'enable_search(rel regclass, config regconfig DEFAULT ''simple''::regconfig) void',
  'disable_search(rel regclass) void',
  'enable_deep_pages(rel regclass, min_messages integer DEFAULT 10000) void',
  'disable_deep_pages(rel regclass) void',
  'maintain_deep_pages(IN rel regclass DEFAULT NULL::regclass) procedure'
], 'the public functions');

-- What the planner may do with them. Whatever reads the context is STABLE:
-- an IMMUTABLE one would carry one tenant's answer into another's plan.
SELECT set_eq('SELECT proname::text FROM functions WHERE provolatile = ''i''',
              ARRAY['page_limit', 'page_offset', 'object_name', 'index_comment', 'check_roles', 'remark', 'plain_code',
                    'opens_without_context', 'mask_literals', 'row_hash', 'chain', 'private_lines_policy', 'live_condition',
                    'message_function_comment', 'trigger_arguments', 'live_key_comment', 'is_email', 'normalize_email',
                    'is_display_name', 'is_slug', 'is_channel_name', 'is_url', 'is_color', 'is_timezone', 'is_message_body',
                    'is_password_hash', 'password_problem', 'clean_text', 'validation_options', 'unique_index_comment', 'list_limit',
                    'one_place', 'count_limit', 'message_id', 'channel_condition', 'listing_branch', 'listing_query',
                    'unread_condition', 'unread_query', 'unread_cap', 'first_id', 'inbox_query', 'search_description',
                    'search_vector', 'search_places', 'search_extract_query', 'places_extract_value', 'places_extract_query',
                    'places_compare_partial', 'places_consistent', 'places_tri_consistent', 'fence_block', 'place_query',
                    'marker_query', 'rows_query', 'authors_query', 'replies_query', 'reactions_query', 'known_place',
                    'listing_place', 'fill'], 'IMMUTABLE is what looks at its arguments only');
SELECT set_eq('SELECT proname::text FROM functions WHERE lanname = ''c'' AND provolatile = ''s''',
              ARRAY['current_user_id', 'current_workspace_id', 'workspace_ids', 'in_workspace', 'has_role', 'context',
                    'rule_options', 'can_access', 'can_enter', 'knows_user', 'is_current_user', 'in_service_context', 'row_values',
                    'history_key', 'check_rule', 'is_valid', 'older_time', 'older_id', 'newer_time', 'newer_id', 'message_cursor',
                    'visible_channel', 'message_found', 'thread_place', 'no_markers', 'reading_user', 'inbox_cursor', 'inbox_place',
                    'read_changes', 'search_rows', 'search_matches', 'in_places', 'search_selectivity', 'page_time',
                    'page_local_time', 'page_id', 'page_rest', 'fence_stamp', 'fence_candidates', 'count_fences', 'message_page',
                    'known_time', 'known_id'],
              'STABLE in C is what reads the context or the catalogue');
SELECT is_empty('SELECT oid::regprocedure FROM functions WHERE proname ~ ''^(set_context|pin_|set_service|enable_|disable_|restore|use_|forget_|grant_|revoke_|create_|mark_secret|unmark_|verify_)'' AND proname NOT IN (''enable_statement'', ''verify_log'', ''verify_history'')
                    AND prokind = ''f'' AND provolatile <> ''v''', 'VOLATILE is what changes something');
SELECT set_eq('SELECT DISTINCT proname::text FROM functions WHERE proleakproof',
              ARRAY['in_workspace', 'in_service_context', 'knows_user', 'is_current_user', 'is_email', 'normalize_email',
                    'is_display_name', 'is_slug', 'is_channel_name', 'is_url', 'is_color', 'is_message_body', 'is_password_hash',
                    'password_problem',
                    -- no error or notice of theirs depends on a row, and the last two answer search_rows() only
                    'search_vector', 'search_places', 'search_matches', 'in_places'],
              'LEAKPROOF is what policies and checks ask, and no argument makes fail');
SELECT set_eq('SELECT DISTINCT proname::text FROM functions WHERE proparallel = ''s''',
              ARRAY['current_user_id', 'current_workspace_id', 'workspace_ids', 'in_workspace', 'has_role', 'context', 'page_limit',
                    'page_offset', 'rules', 'rule_options', 'object_name', 'index_comment', 'can_access', 'can_enter', 'knows_user',
                    'is_current_user', 'remark', 'plain_code', 'opens_without_context', 'mask_literals', 'in_service_context',
                    'row_values', 'history_key', 'row_hash', 'chain', 'private_lines_policy', 'trigger_arguments',
                    'live_key_comment', 'is_email', 'normalize_email', 'is_display_name', 'is_slug', 'is_channel_name', 'is_url',
                    'is_color', 'is_timezone', 'is_message_body', 'is_password_hash', 'password_problem', 'clean_text', 'is_valid',
                    'unique_index_comment', 'list_limit', 'one_place', 'count_limit', 'message_id', 'older_time', 'older_id',
                    'newer_time', 'newer_id', 'message_cursor', 'visible_channel', 'message_found', 'thread_place', 'no_markers',
                    'reading_user', 'unread_cap', 'inbox_cursor', 'inbox_place', 'read_changes', 'search_description',
                    'search_vector', 'search_places', 'search_selectivity', 'search_extract_query', 'places_extract_value',
                    'places_extract_query', 'places_compare_partial', 'places_consistent', 'places_tri_consistent', 'fence_block',
                    'message_page', 'known_time', 'known_id', 'fill'],
              'PARALLEL SAFE is what reads only');
SELECT set_eq('SELECT proname::text FROM functions WHERE proparallel = ''r''', ARRAY['search_rows', 'page_time', 'page_local_time', 'page_id', 'page_rest'],
              'PARALLEL RESTRICTED is what runs queries, or has to know whether a trigger is running');
SELECT set_eq('SELECT DISTINCT proname::text FROM functions WHERE proisstrict AND lanname = ''c''',
              ARRAY['in_workspace', 'in_workspace_support', 'has_role', 'rule_options', 'backfill_blocks', 'can_enter',
                    'privacy_support', 'check_privacy', 'knows_user', 'is_current_user', 'gate_remember', 'mask_literals',
                    'clear_statistics', 'row_values', 'history_key', 'row_hash', 'restore_key', 'restore_deletion', 'purge_blocks',
                    'is_email', 'normalize_email', 'is_display_name', 'is_slug', 'is_channel_name', 'is_url', 'is_color',
                    'is_timezone', 'is_message_body', 'is_password_hash', 'clean_text', 'check_rule', 'message_id', 'message_cursor',
                    'inbox_cursor', 'trim_changes', 'search_vector', 'search_matches', 'in_places', 'search_selectivity',
                    'search_extract_query', 'places_extract_value', 'places_extract_query', 'places_compare_partial',
                    'places_consistent', 'places_tri_consistent', 'settle_search_index', 'begin_fencing', 'end_fencing',
                    'await_fencing', 'announce_marks', 'fence_stamp', 'fence_candidates', 'count_fences'],
              'STRICT in C is what has no answer for nulls');
SELECT set_eq($$SELECT DISTINCT f.proname::text FROM functions AS f JOIN pg_proc AS p USING (oid)
                 WHERE p.prosupport = 'forge_comm.in_workspace_support'::regproc$$, ARRAY['in_workspace'],
              'in_workspace() has planner support');

-- Whose rights, and which path
SELECT is_empty('SELECT oid::regprocedure FROM functions WHERE prosecdef', 'no function runs with the rights of its owner');
SELECT is_empty($$SELECT oid::regprocedure FROM functions
                   WHERE lanname <> 'c' AND prokind = 'f'
                     AND proname NOT IN ('restore', 'restore_all', 'revert')
                     AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$, 'every path is pinned, pg_temp last');
SELECT set_eq('SELECT oid::regprocedure::text FROM functions WHERE lanname <> ''c'' AND proconfig IS NULL',
              ARRAY['forge_comm.backfill(regclass,integer,bigint,bigint)', 'forge_comm.restore(regclass,anycompatible)',
                    'forge_comm.restore_all(uuid)', 'forge_comm.purge(regclass,interval,integer,text,bigint,bigint)',
                    'forge_comm.revert(regclass,anycompatible,timestamp with time zone)', 'forge_comm.maintain_deep_pages(regclass)'],
              'but where it cannot be, or would be the application''s triggers'' too');

-- Comments, on every object
SELECT is_empty($$
  SELECT pg_describe_object(d.classid, d.objid, 0)
    FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
   WHERE e.extname = 'forge_comm' AND d.deptype = 'e'
     AND d.classid <> 'pg_type'::regclass   -- a table's row type, a member from 17 on
     AND obj_description(d.objid, (SELECT c.relname FROM pg_class AS c WHERE c.oid = d.classid)) IS NULL
$$, 'every object of the extension has a comment');
SELECT is_empty($$
  SELECT a.attrelid::regclass, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
   WHERE c.relnamespace = 'forge_comm'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
     AND col_description(a.attrelid, a.attnum) IS NULL
$$, 'and every column');

-- Settings
SELECT results_eq($$SELECT name::text, context::text, boot_val::text FROM pg_settings WHERE name LIKE 'forge\_comm.%' ORDER BY name$$,
                  $$VALUES ('forge_comm.all_errors', 'user', 'off'),
                           ('forge_comm.allow_bypass_role', 'superuser', 'off'),
                           ('forge_comm.allow_hard_delete', 'superuser', 'off'),
                           ('forge_comm.missing_context', 'user', 'error'),
                           ('forge_comm.preserve_timestamps', 'superuser', 'off'),
                           ('forge_comm.redact_log', 'superuser', 'off'),
                           ('forge_comm.require_tenancy', 'superuser', 'off')$$,
                  'the settings, and who may set them');
SELECT is((SELECT array_agg(t::regclass::text || c) FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS u (t, c)
            WHERE e.extname = 'forge_comm'), '{forge_comm.settings,forge_comm.cursor_keys}', 'where memberships are kept is dumped, and what cursors are signed with');

SELECT * FROM finish();
ROLLBACK;
