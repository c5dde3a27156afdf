-- Who may call what.  Closed by default: PUBLIC keeps what tells and changes
-- nothing, roles get the rest by grant_app() and grant_owner().

CREATE FUNCTION forge_comm.app_functions()
RETURNS SETOF regprocedure
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid::regprocedure
    FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND p.proname IN ('set_context', 'pin_workspace', 'current_user_id', 'current_workspace_id', 'workspace_ids', 'in_workspace',
                    'in_service_context', 'has_role', 'context', 'restore', 'can_access', 'can_enter', 'knows_user',
                    'is_current_user', 'verify_token', 'history_of', 'row_hash', 'history_log', 'check_may_read_history',
                    'history_lines', 'history_key', 'given_key', 'key_condition', 'row_at', 'values_at', 'current_values',
                    'row_values', 'left_at', 'untold_columns', 'told_value', 'revert', 'revert_statement', 'restore_all',
                    'restore_key', 'restore_deletion', 'restorable_tables', 'key_values', 'reading_user', 'unread_cap',
                    'inbox_cursor', 'inbox_place', 'read_changes', 'search_rows')
$$;
COMMENT ON FUNCTION forge_comm.app_functions() IS
  'What grant_app() grants';

CREATE FUNCTION forge_comm.purge_functions()
RETURNS SETOF regprocedure
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid::regprocedure
    FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND p.proname IN ('purge', 'purge_blocks', 'check_purge', 'enter_service', 'key_match', 'keys_to', 'purge_obstacles',
                    'purge_steps', 'has_purgeable', 'block_count')
$$;
COMMENT ON FUNCTION forge_comm.purge_functions() IS
  'What grant_purge() grants';

CREATE FUNCTION forge_comm.owner_functions()
RETURNS SETOF regprocedure
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid::regprocedure
    FROM pg_proc AS p
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND p.oid NOT IN (SELECT forge_comm.app_functions())
     AND p.oid NOT IN (SELECT forge_comm.purge_functions())
     AND p.proname NOT IN ('set_service_context', 'use_memberships', 'forget_memberships', 'check_memberships', 'settings_changed',
                    'grant_app', 'revoke_app', 'grant_owner', 'revoke_owner', 'grant_purge', 'revoke_purge', 'change_grants',
                    'app_functions', 'owner_functions', 'purge_functions', 'in_transaction_block', 'backfill_step', 'family',
                    'is_restoring', 'in_workspace_support', 'privacy_support', 'page_limit', 'page_offset', 'rules', 'rule_options',
                    'new_deletion_id', 'mask_literals', 'history_options', 'key_columns', 'private_lines_policy', 'list_limit',
                    'one_place', 'count_limit', 'message_id', 'older_time', 'older_id', 'newer_time', 'newer_id', 'message_cursor',
                    'visible_channel', 'message_found', 'thread_place', 'no_markers', 'new_cursor_key', 'changes_options',
                    'message_page', 'known_time', 'known_id')
$$;
COMMENT ON FUNCTION forge_comm.owner_functions() IS
  'What grant_owner() grants';

CREATE FUNCTION forge_comm.change_grants(command text, functions regprocedure[], role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  function regprocedure;
BEGIN
  IF role IS NULL THEN
    RAISE EXCEPTION 'the role must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a role.';
  END IF;
  FOREACH function IN ARRAY functions LOOP
    EXECUTE format(command, function, role);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.change_grants(text, regprocedure[], regrole) IS
  'Grant or revoke functions, one by one';

CREATE FUNCTION forge_comm.grant_app(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('GRANT EXECUTE ON ROUTINE %s TO %s', ARRAY(SELECT forge_comm.app_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.grant_app(regrole) IS
  'Grant what the role of an application needs';

CREATE FUNCTION forge_comm.revoke_app(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('REVOKE EXECUTE ON ROUTINE %s FROM %s', ARRAY(SELECT forge_comm.app_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.revoke_app(regrole) IS
  'Undo forge_comm.grant_app()';

CREATE FUNCTION forge_comm.grant_owner(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('GRANT EXECUTE ON ROUTINE %s TO %s', ARRAY(SELECT forge_comm.owner_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.grant_owner(regrole) IS
  'Grant what the role that owns the tables and migrates them needs';

CREATE FUNCTION forge_comm.revoke_owner(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('REVOKE EXECUTE ON ROUTINE %s FROM %s', ARRAY(SELECT forge_comm.owner_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.revoke_owner(regrole) IS
  'Undo forge_comm.grant_owner()';

CREATE FUNCTION forge_comm.grant_purge(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('GRANT EXECUTE ON ROUTINE %s TO %s', ARRAY(SELECT forge_comm.purge_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.grant_purge(regrole) IS
  'Grant what the role of a job that purges needs';

CREATE FUNCTION forge_comm.revoke_purge(role regrole)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.change_grants('REVOKE EXECUTE ON ROUTINE %s FROM %s', ARRAY(SELECT forge_comm.purge_functions()), role);
END
$$;
COMMENT ON FUNCTION forge_comm.revoke_purge(regrole) IS
  'Undo forge_comm.grant_purge()';

-- Whatever ALTER DEFAULT PRIVILEGES had in mind for new objects, it was not
-- these.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    SELECT 'ROUTINE ' || p.oid::regprocedure AS object, a.grantee
      FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
     WHERE p.pronamespace = 'forge_comm'::regnamespace AND a.grantee <> p.proowner
    UNION
    SELECT 'TABLE ' || c.oid::regclass, a.grantee
      FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
     WHERE c.relnamespace = 'forge_comm'::regnamespace AND c.relkind = 'r' AND a.grantee <> c.relowner
    UNION
    SELECT 'SCHEMA ' || n.oid::regnamespace, a.grantee
      FROM pg_namespace AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
     WHERE n.nspname = 'forge_comm' AND a.grantee <> n.nspowner
    UNION
    SELECT 'DOMAIN ' || t.oid::regtype, a.grantee
      FROM pg_type AS t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS a
     WHERE t.typnamespace = 'forge_comm'::regnamespace AND t.typtype = 'd' AND a.grantee <> t.typowner
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object,
                   CASE WHEN granted.grantee = 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END);
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA forge_comm TO PUBLIC;
GRANT EXECUTE ON FUNCTION
  -- pure helpers, which inlined functions call
  forge_comm.page_limit(integer),
  forge_comm.page_offset(integer, integer),
  forge_comm.list_limit(integer),
  forge_comm.one_place(bigint, text, text, text),
  forge_comm.count_limit(bigint),
  forge_comm.message_id(text),
  forge_comm.older_time(regclass, bigint, text, text, timestamptz),
  forge_comm.older_time(regclass, bigint, text, text, timestamp),
  forge_comm.older_id(regclass, bigint, text, text, bigint),
  forge_comm.newer_time(regclass, bigint, text, text, timestamptz),
  forge_comm.newer_time(regclass, bigint, text, text, timestamp),
  forge_comm.newer_id(regclass, bigint, text, text, bigint),
  forge_comm.message_cursor(regclass, bigint, timestamptz, bigint),
  forge_comm.message_cursor(regclass, bigint, timestamp, bigint),
  forge_comm.visible_channel(bigint, boolean),
  forge_comm.visible_channel(bigint, regclass, name),
  forge_comm.message_found(boolean),
  forge_comm.thread_place(regclass, bigint, bigint, text),
  forge_comm.no_markers(),
  -- the index of search calls them for whoever writes, and its queries; what
  -- they tell they tell search_rows() only
  forge_comm.search_vector(regconfig, text),
  forge_comm.search_places(timestamptz, bigint, bigint, bigint),
  forge_comm.search_places(timestamp, bigint, bigint, bigint),
  forge_comm.search_matches(tsvector, tsquery),
  forge_comm.in_places(bigint[], bigint[]),
  -- these look at who asks, and tell where a message is that they may read
  forge_comm.page_time(regclass, bigint, integer, integer),
  forge_comm.page_local_time(regclass, bigint, integer, integer),
  forge_comm.page_id(regclass, bigint, integer, integer),
  forge_comm.page_rest(regclass, bigint, integer, integer),
  forge_comm.known_time(bigint, text, text, text, anyelement),
  forge_comm.known_id(bigint, text, text, text, anyelement),
  forge_comm.message_page(regclass, bigint, text, text, text, integer, regtype, boolean, text[]),
  -- what \d shows anyway
  forge_comm.rules(regclass),
  forge_comm.rule_options(regclass, name, name),
  forge_comm.mask_literals(text),
  forge_comm.history_options(regclass),
  forge_comm.key_columns(regclass),
  -- what a soft delete calls with the rights of whoever deletes
  forge_comm.new_deletion_id(),
  -- the event trigger's, for whoever adds a partition to a guarded table; they
  -- do nothing that the owner of a table could not do by hand
  forge_comm.has_trigger(regclass, name),
  forge_comm.follow_parent(regclass, regclass),
  forge_comm.protect_member(regclass, text, text),
  forge_comm.force_row_security(regclass, text, name),
  forge_comm.tenancy_expression(regclass, name, name, regclass, name, name, boolean),
  forge_comm.create_policy(regclass, name, text, text),
  forge_comm.copy_policies(regclass, regclass),
  forge_comm.create_trigger(regclass, name, text, text, text, boolean),
  forge_comm.trigger_arguments(jsonb),
  forge_comm.create_rule_trigger(regclass, text, text, name, jsonb),
  forge_comm.create_truncate_trigger(regclass, text, name, text),
  forge_comm.create_cascade_triggers(regclass),
  forge_comm.follow_references(regclass),
  forge_comm.is_referenced(regclass),
  forge_comm.family(regclass),
  forge_comm.is_restoring(),
  -- what procedures ask that commit
  forge_comm.in_transaction_block(),
  forge_comm.backfill_step(regclass, integer),
  -- the gate's, for whoever makes a table; they tell what the catalogues tell
  forge_comm.gate_remember(oid),
  forge_comm.gate_findings(oid[]),
  forge_comm.finding_table_unprotected(regnamespace),
  forge_comm.finding_row_security_off(regnamespace),
  forge_comm.finding_partition_uncovered(regnamespace),
  forge_comm.tenant_tables(),
  forge_comm.guarded_tables(),
  forge_comm.foreign_keys(),
  forge_comm.enable_statement(regclass, name, boolean, name),
  forge_comm.remark(text),
  forge_comm.stop_statistics(regclass, name[]),
  forge_comm.clear_statistics(regclass, smallint),
  forge_comm.stop_search_statistics(regclass),
  forge_comm.search_index(regclass),
  forge_comm.settle_search_index(regclass),
  forge_comm.is_history_log(regclass),
  forge_comm.keeps_history(regclass),
  forge_comm.keeps_fences(regclass),
  forge_comm.protect_log(regclass),
  forge_comm.create_guard(regclass, name, text, text),
  forge_comm.create_history_triggers(regclass, jsonb),
  forge_comm.hide_private_lines(regclass),
  forge_comm.private_lines_policy(text),
  forge_comm.history_log(regclass),
  forge_comm.changes_options(regclass),
  forge_comm.create_changes_triggers(regclass, jsonb),
  forge_comm.has_later_trigger(regclass),
  forge_comm.ensure_second_look(regclass),
  -- the formats: they look at their arguments alone, and checks call them
  forge_comm.is_email(text),
  forge_comm.normalize_email(text),
  forge_comm.is_display_name(text, integer, integer),
  forge_comm.is_slug(text),
  forge_comm.is_channel_name(text),
  forge_comm.is_url(text),
  forge_comm.is_color(text),
  forge_comm.is_timezone(text),
  forge_comm.is_message_body(text),
  forge_comm.is_password_hash(text),
  forge_comm.password_problem(text, text),
  forge_comm.clean_text(text)
TO PUBLIC;
GRANT USAGE ON DOMAIN
  forge_comm.email,
  forge_comm.display_name,
  forge_comm.slug,
  forge_comm.channel_name,
  forge_comm.message_body,
  forge_comm.password_hash
TO PUBLIC;
