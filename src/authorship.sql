-- Rows have an author, who is the one that wrote them.

CREATE FUNCTION forge_comm.authorship_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_authorship_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.authorship_guard() IS
  'Trigger: fills the author of a row in, and keeps it';

CREATE FUNCTION forge_comm.create_authorship_policies(member regclass, author name, workspace_column name,
                                                      moderators text[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  self text := format('forge_comm.is_current_user(%I)', author);
  anyone text := self || CASE WHEN moderators <> '{}'
                              THEN format(' OR forge_comm.has_role(%I, VARIADIC %L::pg_catalog.text[])',
                                          workspace_column, moderators)
                              ELSE '' END;
BEGIN
  -- A service may write in nobody's name.
  PERFORM forge_comm.create_policy(member, 'forge_comm_authorship_insert',
                                   format('AS RESTRICTIVE FOR INSERT WITH CHECK (forge_comm.is_current_user(coalesce(%I, 0)))', author),
                                   'Nobody writes in the name of another');
  PERFORM forge_comm.create_policy(member, 'forge_comm_authorship_update',
                                   format('AS RESTRICTIVE FOR UPDATE USING (%s)', anyone),
                                   'Authors change their own rows, moderators any');
  PERFORM forge_comm.create_policy(member, 'forge_comm_authorship_delete',
                                   format('AS RESTRICTIVE FOR DELETE USING (%s)', anyone),
                                   'Authors delete their own rows, moderators any');
END
$$;
COMMENT ON FUNCTION forge_comm.create_authorship_policies(regclass, name, name, text[]) IS
  'Put a table or one of its children under the policies of authorship';

CREATE FUNCTION forge_comm.enable_authorship(rel regclass, author name DEFAULT 'user_id',
                                             moderators text[] DEFAULT '{owner,admin}')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := jsonb_build_object('author', author, 'moderators', moderators::text);
  workspace_column name;
  member record;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'authorship', options) THEN
    RETURN;
  END IF;
  workspace_column := forge_comm.tenancy_column(rel);
  PERFORM forge_comm.check_written_column(rel, author, '{smallint,integer,bigint}');
  IF moderators <> '{}' THEN
    PERFORM forge_comm.check_roles(moderators, 'moderators');
  END IF;
  FOR member IN
    SELECT f.member AS rel, f.is_partition FROM forge_comm.family(rel) AS f ORDER BY f.depth DESC
  LOOP
    IF NOT member.is_partition THEN
      PERFORM forge_comm.create_rule_trigger(member.rel, 'authorship', 'INSERT OR UPDATE', 'authorship_guard', options);
    END IF;
    PERFORM forge_comm.create_authorship_policies(member.rel, author, workspace_column, moderators);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_authorship(regclass, name, text[]) IS
  'Let rows be changed and deleted by their author, or a moderator of the workspace';

CREATE FUNCTION forge_comm.disable_authorship(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_options(rel, 'forge_comm_authorship', 'authorship_guard') IS NULL THEN
    RAISE NOTICE 'authorship is not enabled on table %', rel;
    RETURN;
  END IF;
  PERFORM forge_comm.drop_policies(rel, 'forge_comm_authorship');
  PERFORM forge_comm.drop_rule_triggers(rel, 'authorship');
END
$$;
COMMENT ON FUNCTION forge_comm.disable_authorship(regclass) IS
  'Undo forge_comm.enable_authorship()';
