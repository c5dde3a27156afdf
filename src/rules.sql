-- What is enabled on a table, read from its triggers' arguments.

CREATE FUNCTION forge_comm.rule_options(rel regclass, trigger_name name, function_name name)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'forge_comm_rule_options'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.rule_options(regclass, name, name) IS
  'The arguments of a trigger of ours, null if the table has none of that name';

CREATE FUNCTION forge_comm.rules(rel regclass)
RETURNS TABLE (capability text, options jsonb)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT k.capability, k.options
    FROM (VALUES ('tenancy', forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard')),
                 ('timestamps', forge_comm.rule_options(rel, 'forge_comm_timestamps', 'timestamps_stamp')),
                 ('soft_delete', forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard')),
                 ('history', forge_comm.rule_options(rel, 'forge_comm_history', 'history_record')),
                 ('privacy', forge_comm.rule_options(rel, 'forge_comm_privacy', 'privacy_guard')),
                 ('directory', forge_comm.rule_options(rel, 'forge_comm_directory', 'directory_guard')),
                 ('authorship', forge_comm.rule_options(rel, 'forge_comm_authorship', 'authorship_guard')),
                 ('deep_pages', forge_comm.rule_options(rel, 'forge_comm_deep_pages', 'deep_pages_note')),
                 ('secrets', forge_comm.rule_options(rel, 'forge_comm_secrets', 'secrets_guard')),
                 ('messages', forge_comm.rule_options(rel, 'forge_comm_messages', 'messages_guard')),
                 ('validation', forge_comm.rule_options(rel, 'forge_comm_validation', 'validation_guard')),
                 ('changes', forge_comm.rule_options(rel, 'forge_comm_changes', 'changes_record'))
         ) AS k (capability, options)
    JOIN pg_trigger AS t ON t.tgrelid = rel AND t.tgname = 'forge_comm_' || k.capability
   WHERE k.options IS NOT NULL AND t.tgenabled IN ('O', 'A')
   ORDER BY k.capability
$$;
COMMENT ON FUNCTION forge_comm.rules(regclass) IS
  'What is enabled on a table, with its options';

-- An option is kept out of comparisons if it only notes what disabling undoes.
CREATE FUNCTION forge_comm.rule_enabled(rel regclass, capability text, wanted jsonb)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  present jsonb := (SELECT r.options FROM forge_comm.rules(rel) AS r
                     WHERE r.capability = rule_enabled.capability);
BEGIN
  IF EXISTS (SELECT FROM pg_trigger AS t
              WHERE t.tgrelid = rel AND t.tgname = 'forge_comm_' || capability AND t.tgenabled IN ('D', 'R')) THEN
    RAISE EXCEPTION 'trigger forge_comm_% on table % is disabled', capability, rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('ALTER TABLE %s ENABLE TRIGGER forge_comm_%s;', rel, capability);
  END IF;
  IF present IS NULL THEN
    RETURN false;
  END IF;
  IF present - 'added' <> jsonb_strip_nulls(wanted) THEN
    RAISE EXCEPTION '% is enabled on table % with other options', capability, rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Call forge_comm.disable_%s() first.', capability);
  END IF;
  RAISE NOTICE '% is enabled on table % already', capability, rel;
  RETURN true;
END
$$;
COMMENT ON FUNCTION forge_comm.rule_enabled(regclass, text, jsonb) IS
  'Is a capability enabled with these options? An error if with others';

-- CREATE TRIGGER name event ON rel action, which must not be there already
-- unless it is to be replaced.
CREATE FUNCTION forge_comm.create_trigger(rel regclass, name name, event text, action text, capability text,
                                          replace boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE %s TRIGGER %I %s ON %s %s', CASE WHEN replace THEN 'OR REPLACE' END, name, event, rel, action);
  EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', name, rel, format('Made by forge_comm.enable_%s()', capability));
END
$$;
COMMENT ON FUNCTION forge_comm.create_trigger(regclass, name, text, text, text, boolean) IS
  'Create a trigger that belongs to a capability';

CREATE FUNCTION forge_comm.trigger_arguments(options jsonb)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(quote_literal(o.key || '=' || o.value), ', ' ORDER BY o.ordinality)
    FROM jsonb_each_text(jsonb_strip_nulls(options)) WITH ORDINALITY AS o
$$;
COMMENT ON FUNCTION forge_comm.trigger_arguments(jsonb) IS
  'The options of a capability as arguments of its trigger';

CREATE FUNCTION forge_comm.create_rule_trigger(rel regclass, capability text, events text,
                                               function_name name, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_trigger(
    rel, 'forge_comm_' || capability, 'BEFORE ' || events,
    format('FOR EACH ROW EXECUTE FUNCTION forge_comm.%I(%s)', function_name, forge_comm.trigger_arguments(options)),
    capability);
END
$$;
COMMENT ON FUNCTION forge_comm.create_rule_trigger(regclass, text, text, name, jsonb) IS
  'Create the row trigger that stands for a capability, its options as arguments';

CREATE FUNCTION forge_comm.create_truncate_trigger(rel regclass, capability text, function_name name,
                                                   was text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_trigger(
    rel, 'forge_comm_' || capability || '_truncate', 'BEFORE TRUNCATE',
    format('FOR EACH STATEMENT EXECUTE FUNCTION forge_comm.%I(%s)', function_name, quote_literal('was=' || was)),
    capability, replace => true);
END
$$;
COMMENT ON FUNCTION forge_comm.create_truncate_trigger(regclass, text, name, text) IS
  'Create the trigger that guards a table against TRUNCATE';

CREATE FUNCTION forge_comm.drop_rule_triggers(rel regclass, capability text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT t.tgrelid::regclass AS member, t.tgname
      FROM forge_comm.family(rel) AS f
      JOIN pg_trigger AS t ON t.tgrelid = f.member
     WHERE t.tgname IN ('forge_comm_' || capability, 'forge_comm_' || capability || '_truncate',
                        'forge_comm_' || capability || '_stored')
       AND t.tgparentid = 0
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.member);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_rule_triggers(regclass, text) IS
  'Drop the triggers of a capability from a table and its children';
