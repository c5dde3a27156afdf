-- What happens to messages, for clients that keep a copy of them.

CREATE FUNCTION forge_comm.changes_record()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_changes_record'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.changes_record() IS
  'Trigger: writes what clients are to be told of a change';

CREATE FUNCTION forge_comm.read_changes(rel regclass, since text, "limit" integer)
RETURNS TABLE (n integer, kind text, workspace_id bigint, channel_id bigint, message_id bigint, user_id bigint,
               emoji text, changed_at timestamptz, shown bigint, content boolean, token text)
AS 'MODULE_PATHNAME', 'forge_comm_read_changes'
LANGUAGE c STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION forge_comm.read_changes(regclass, text, integer) IS
  'What get_changes() tells, without the messages';

CREATE FUNCTION forge_comm.trim_changes(log regclass, keep_from timestamptz, mark_from timestamptz)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_trim_changes'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.trim_changes(regclass, timestamptz, timestamptz) IS
  'Remove lines that no token from a time on needs; mark the present if the last mark is that old';

CREATE FUNCTION forge_comm.changes_options(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT forge_comm.rule_options(rel, 'forge_comm_changes', 'changes_record') $$;
COMMENT ON FUNCTION forge_comm.changes_options(regclass) IS
  'What is told of the changes of a table, null if nothing';

-- ------------------------------------------------------- enable and disable

-- A message is not all there is: who reacted to it, who read it, and who may
-- see its channel.
CREATE FUNCTION forge_comm.told_tables(shape forge_comm.message_shape)
RETURNS TABLE (rel regclass, options jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  privacy constant jsonb := forge_comm.enabled_privacy(shape.channels);
  members constant regclass := privacy ->> 'members';
BEGIN
  RETURN QUERY VALUES (shape.rel, jsonb_build_object('of', 'messages', 'key', shape.key, 'channel', shape.channel,
                                                     'deleted_at', shape.deleted_at));
  IF shape.reactions IS NOT NULL THEN
    RETURN QUERY VALUES (shape.reactions, jsonb_build_object(
      'of', 'reactions', 'messages', forge_comm.qualified_name(shape.rel), 'message', shape.reaction_message,
      'user', shape.reaction_user, 'emoji', shape.emoji));
  END IF;
  IF members IS NOT NULL THEN
    RETURN QUERY VALUES
      (shape.channels, jsonb_build_object('of', 'channels', 'key', shape.channels_key)),
      (members, jsonb_build_object('of', 'members', 'channels', forge_comm.qualified_name(shape.channels),
                                   'channel', privacy ->> 'member_channel', 'user', privacy ->> 'member_user',
                                   'marker', CASE WHEN shape.markers = members THEN shape.marker END));
  END IF;
  IF shape.markers IS DISTINCT FROM members AND shape.markers IS NOT NULL THEN
    RETURN QUERY VALUES (shape.markers, jsonb_build_object('of', 'members', 'channel', shape.marker_channel,
                                                           'user', shape.marker_user, 'marker', shape.marker));
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.told_tables(forge_comm.message_shape) IS
  'The tables whose changes are told, with what is to be known of them';

CREATE FUNCTION forge_comm.qualified_name(rel regclass)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel
$$;
COMMENT ON FUNCTION forge_comm.qualified_name(regclass) IS
  'The name of a table with its schema, whatever the path';

-- ALWAYS: what a subscription applies is told here, too.
CREATE FUNCTION forge_comm.create_changes_triggers(member regclass, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT * FROM (VALUES ('forge_comm_changes', 'INSERT OR UPDATE OR DELETE', 'ROW'),
                          ('forge_comm_changes_truncate', 'TRUNCATE', 'STATEMENT')) AS t (name, events, level)
     -- a partition has the first from its parent
     WHERE NOT forge_comm.has_trigger(member, t.name)
  LOOP
    PERFORM forge_comm.create_trigger(
      member, made.name, 'AFTER ' || made.events,
      format('FOR EACH %s EXECUTE FUNCTION forge_comm.changes_record(%s)', made.level, forge_comm.trigger_arguments(options)),
      'changes');
  END LOOP;
  FOR made IN
    SELECT t.tgname AS name FROM pg_trigger AS t
     WHERE t.tgrelid = member AND t.tgname IN ('forge_comm_changes', 'forge_comm_changes_truncate') AND t.tgenabled <> 'A'
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', member, made.name);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.create_changes_triggers(regclass, jsonb) IS
  'Create the triggers that tell the changes of a table';

CREATE FUNCTION forge_comm.create_changes_function(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- A message that is not to be seen, be it by a policy that we know nothing
  -- of, is told of only where it was deleted.
  PERFORM forge_comm.create_message_function(
    shape, 'get_changes', 'since text DEFAULT NULL, "limit" integer DEFAULT 500',
    'TABLE (kind text, workspace_id bigint, channel_id {channel_type}, message_id {key_type}, user_id bigint, emoji text, changed_at timestamptz, message {rel}, token text)',
    'STABLE PARALLEL SAFE ROWS 100', format($body$
  SELECT c.kind, c.workspace_id, CAST(c.channel_id AS {channel_type}), CAST(c.message_id AS {key_type}),
         c.user_id, c.emoji, c.changed_at, CASE WHEN c.content THEN m END, c.token
    FROM forge_comm.read_changes(%L::pg_catalog.regclass, $1, $2) AS c
    LEFT JOIN {rel} AS m ON m.{key} OPERATOR(pg_catalog.=) c.shown AND %s
   WHERE c.shown IS NULL OR m.{key} IS NOT NULL
   ORDER BY c.n
$body$, forge_comm.qualified_name(shape.rel), forge_comm.live_condition(shape, 'm')),
    'What has changed since a token was given');
END
$$;
COMMENT ON FUNCTION forge_comm.create_changes_function(forge_comm.message_shape) IS
  'Make get_changes()';

CREATE FUNCTION forge_comm.enable_changes(rel regclass, notify boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shape forge_comm.message_shape;
  owner regrole;
  log text;
  told record;
  member regclass;
  wanted jsonb;
  present jsonb;
  added boolean := false;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  shape := forge_comm.message_shape(rel);
  IF notify IS NULL THEN
    RAISE EXCEPTION 'the argument "notify" must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass true or false.';
  END IF;
  owner := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = rel);
  log := forge_comm.changes_options(rel) ->> 'log';
  IF log IS NULL THEN
    log := format('%I.%I', shape.schema, shape.prefix || 'message_changes');
    PERFORM forge_comm.create_change_log(shape.schema, shape.prefix || 'message_changes', owner);
    PERFORM forge_comm.create_changes_function(shape);
  END IF;

  FOR told IN SELECT * FROM forge_comm.told_tables(shape) LOOP
    PERFORM forge_comm.claim_table(told.rel);
    wanted := jsonb_strip_nulls(told.options || jsonb_build_object(
      'log', log, 'notify', CASE WHEN notify THEN 'true' END,
      -- a reaction's is that of the message
      'workspace', CASE WHEN told.options ->> 'of' <> 'reactions' THEN forge_comm.tenancy_column(told.rel) END));
    present := forge_comm.changes_options(told.rel);
    CONTINUE WHEN present = wanted;
    IF present IS NOT NULL THEN
      RAISE EXCEPTION 'changes of table % are told already, with other options or to another log', told.rel
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Call forge_comm.disable_changes() first, for the table of messages.';
    ELSIF (SELECT c.relowner <> owner FROM pg_class AS c WHERE c.oid = told.rel) THEN
      RAISE EXCEPTION 'table % has another owner than table %', told.rel, rel
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'All must have one owner, as the log of their changes has.';
    END IF;
    added := true;
    FOR member IN SELECT f.member FROM forge_comm.family(told.rel) AS f LOOP
      PERFORM forge_comm.create_changes_triggers(member, wanted);
    END LOOP;
  END LOOP;
  IF NOT added THEN
    RAISE NOTICE 'changes is enabled on table % already', rel;
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_changes(regclass, boolean) IS
  'Keep a log of what happens to messages, and make get_changes()';

-- The log goes, too: what happens from now on would be missing there.
CREATE FUNCTION forge_comm.disable_changes(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  log text;
  told regclass;
  made regprocedure;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  log := forge_comm.changes_options(rel) ->> 'log';
  IF log IS NULL THEN
    RAISE NOTICE 'changes is not enabled on table %', rel;
    RETURN;
  END IF;
  FOR told IN
    SELECT DISTINCT t.tgrelid::regclass
      FROM pg_trigger AS t
     WHERE t.tgname = 'forge_comm_changes' AND t.tgfoid = 'forge_comm.changes_record()'::regprocedure
       AND t.tgparentid = 0 AND forge_comm.changes_options(t.tgrelid) ->> 'log' = log
  LOOP
    PERFORM forge_comm.drop_rule_triggers(told, 'changes');
  END LOOP;
  FOR made IN
    SELECT p.oid
      FROM pg_class AS c
      JOIN pg_proc AS p ON p.pronamespace = c.relnamespace
     WHERE c.oid = rel AND p.proname = coalesce(forge_comm.messages_options(rel) ->> 'prefix', '') || 'get_changes'
       AND starts_with(obj_description(p.oid, 'pg_proc'), 'What has changed since a token was given (made by ')
  LOOP
    EXECUTE format('DROP FUNCTION %s', made);
  END LOOP;
  IF forge_comm.is_change_log(to_regclass(log)) THEN
    EXECUTE format('DROP TABLE %s', log);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_changes(regclass) IS
  'Undo forge_comm.enable_changes(); the log goes with it';

-- -------------------------------------------------------------- maintenance

CREATE FUNCTION forge_comm.maintain_changes(rel regclass, keep interval DEFAULT '7 days')
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  log regclass;
BEGIN
  PERFORM forge_comm.check_table(rel);
  IF keep IS NULL OR keep < interval '0' THEN
    RAISE EXCEPTION 'keep must not be null or negative'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It says for how long a token is good for certain.';
  END IF;
  log := forge_comm.changes_options(rel) ->> 'log';
  IF log IS NULL THEN
    RAISE EXCEPTION 'changes is not enabled on table %', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_changes() first.';
  END IF;
  RETURN forge_comm.trim_changes(log, clock_timestamp() - keep, clock_timestamp() - keep / 20);
END
$$;
COMMENT ON FUNCTION forge_comm.maintain_changes(regclass, interval) IS
  'Remove what no token needs that is younger than so long; says how many lines';
