-- Partitions and inheritance children made later follow their parent.
-- PostgreSQL itself copies no more than row triggers, and to partitions only.

CREATE FUNCTION forge_comm.has_trigger(rel regclass, trigger_name name)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = rel AND t.tgname = trigger_name)
$$;
COMMENT ON FUNCTION forge_comm.has_trigger(regclass, name) IS
  'Has the table a trigger of this name?';

CREATE FUNCTION forge_comm.follow_parent(member regclass, parent regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rule record;
  condition text;
  privacy jsonb := forge_comm.rule_options(parent, 'forge_comm_privacy', 'privacy_guard');
BEGIN
  -- A restore runs ALTER TABLE, if only to disable a trigger, before it has
  -- made all the triggers that it brings itself.  Policies come after them.
  IF forge_comm.rule_options(parent, 'forge_comm_tenancy', 'tenancy_guard') IS NOT NULL
     AND NOT (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = parent)
     AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = parent AND p.polname = 'forge_comm_tenancy') THEN
    RETURN;
  END IF;
  FOR rule IN
    SELECT t.capability, o.options - '{added,view,via,same,founding,unique,revoked,statistics}'::text[] AS options,
           t.function_name, t.events, t.guards_truncate
      FROM (VALUES ('tenancy', 'tenancy_guard', 'INSERT OR UPDATE OR DELETE', true),
                   ('timestamps', 'timestamps_stamp', 'INSERT OR UPDATE', false),
                   ('soft_delete', 'soft_delete_guard', 'DELETE', true),
                   ('authorship', 'authorship_guard', 'INSERT OR UPDATE', false),
                   ('directory', 'directory_guard', 'UPDATE', true),
                   ('secrets', 'secrets_guard', 'INSERT OR UPDATE', false),
                   ('validation', 'validation_guard', 'INSERT OR UPDATE', false))
           AS t (capability, function_name, events, guards_truncate)
      -- also where the parent's trigger happens to be disabled
     CROSS JOIN LATERAL forge_comm.rule_options(parent, 'forge_comm_' || t.capability, t.function_name)
           AS o (options)
     WHERE o.options IS NOT NULL
  LOOP
    IF NOT forge_comm.has_trigger(member, 'forge_comm_' || rule.capability) THEN
      PERFORM forge_comm.create_rule_trigger(member, rule.capability, rule.events,
                                             rule.function_name, rule.options);
      IF rule.capability = 'tenancy' THEN
        PERFORM forge_comm.create_trigger(member, 'forge_comm_tenancy_stored', 'AFTER INSERT OR UPDATE',
                                          'FOR EACH ROW EXECUTE FUNCTION forge_comm.tenancy_guard()', 'tenancy');
      END IF;
    END IF;
    IF rule.capability = 'validation' THEN
      PERFORM forge_comm.ensure_second_look(member);
    END IF;
    IF rule.capability = 'secrets' THEN
      PERFORM forge_comm.stop_statistics(member, (rule.options ->> 'columns')::name[]);
    END IF;
    CONTINUE WHEN NOT rule.guards_truncate
      OR forge_comm.has_trigger(member, 'forge_comm_' || rule.capability || '_truncate');
    IF rule.capability = 'tenancy' THEN
      condition := forge_comm.tenancy_expression(member, rule.options ->> 'workspace_column');
      PERFORM forge_comm.protect_member(member, condition, condition);
    ELSE
      PERFORM forge_comm.create_truncate_trigger(member, rule.capability, rule.function_name);
    END IF;
  END LOOP;
  IF privacy ? 'via' AND NOT forge_comm.has_trigger(member, 'forge_comm_privacy') THEN
    PERFORM forge_comm.create_rule_trigger(member, 'privacy', format('UPDATE OF %I', privacy ->> 'via'),
                                           'privacy_guard', privacy);
    PERFORM forge_comm.hide_private_lines(member);
  END IF;
  PERFORM forge_comm.copy_policies(member, parent);
  IF forge_comm.has_trigger(parent, 'forge_comm_soft_delete_follow') THEN
    PERFORM forge_comm.create_cascade_triggers(member);
  END IF;

  -- What a restore makes last tells that the parent is complete.
  IF forge_comm.history_options(parent) IS NOT NULL AND forge_comm.has_trigger(parent, 'forge_comm_history_truncate') THEN
    PERFORM forge_comm.create_history_triggers(member, forge_comm.history_options(parent));
  ELSIF forge_comm.is_history_log(parent)
        AND (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = parent)
        AND NOT forge_comm.has_trigger(member, 'forge_comm_append_only_truncate') THEN
    PERFORM forge_comm.protect_log(member);
  END IF;
  IF forge_comm.changes_options(parent) IS NOT NULL AND forge_comm.has_trigger(parent, 'forge_comm_changes_truncate') THEN
    PERFORM forge_comm.create_changes_triggers(member, forge_comm.changes_options(parent));
  END IF;
  PERFORM forge_comm.stop_search_statistics(member);
END
$$;
COMMENT ON FUNCTION forge_comm.follow_parent(regclass, regclass) IS
  'Enable on a partition or child what is enabled on its parent';

-- A restore brings all of this by itself, and with several jobs at a time, in an
-- order of which we would get in the way. It begins with switching row security
-- off, which is for those whom it does not bind anyway.
CREATE FUNCTION forge_comm.is_restoring()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT NOT current_setting('row_security')::boolean
         AND EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = session_user AND (r.rolsuper OR r.rolbypassrls))
$$;
COMMENT ON FUNCTION forge_comm.is_restoring() IS
  'Is this session restoring a dump?';

CREATE FUNCTION forge_comm.follow_parents()
RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.follow_parent(i.inhrelid, i.inhparent)
     FROM pg_event_trigger_ddl_commands() AS d
     JOIN pg_inherits AS i ON d.objid IN (i.inhrelid, i.inhparent)
     JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p')
    WHERE d.classid = 'pg_class'::regclass AND NOT forge_comm.is_restoring()
      AND EXISTS (SELECT FROM pg_trigger AS t
                   WHERE t.tgrelid = i.inhparent AND starts_with(t.tgname::text, 'forge_comm_'));
END
$$;
COMMENT ON FUNCTION forge_comm.follow_parents() IS
  'Event trigger: partitions and children made later follow their parent';

CREATE EVENT TRIGGER forge_comm_follow_parents ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA')
  EXECUTE FUNCTION forge_comm.follow_parents();
COMMENT ON EVENT TRIGGER forge_comm_follow_parents IS
  'Partitions and children made later follow their parent';
