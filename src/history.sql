-- What was changed, when and by whom.

CREATE FUNCTION forge_comm.history_record()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_history_record'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.history_record() IS
  'Trigger: logs changes of rows';

CREATE FUNCTION forge_comm.row_values(given record)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'forge_comm_row_values'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.row_values(record) IS
  'A row of a table as history has it, without its secrets';

CREATE FUNCTION forge_comm.history_key(rel regclass, key jsonb)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'forge_comm_history_key'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.history_key(regclass, jsonb) IS
  'The primary key of a row as history has it';

CREATE FUNCTION forge_comm.row_hash(key jsonb, table_id bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_row_hash'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.row_hash(jsonb, bigint) IS
  'The number by which the lines of a row are found';

-- ------------------------------------------------------- enable and disable

CREATE FUNCTION forge_comm.history_options(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT forge_comm.rule_options(rel, 'forge_comm_history', 'history_record') $$;
COMMENT ON FUNCTION forge_comm.history_options(regclass) IS
  'The options of history on a table, null if it is not enabled';

CREATE FUNCTION forge_comm.create_history_triggers(member regclass, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_trigger(
            member, t.name, 'AFTER ' || t.events,
            format('FOR EACH %s EXECUTE FUNCTION forge_comm.history_record(%s)', t.level, t.arguments), 'history')
     FROM (VALUES ('forge_comm_history', 'INSERT OR UPDATE OR DELETE', 'ROW', forge_comm.trigger_arguments(options)),
                  ('forge_comm_history_truncate', 'TRUNCATE', 'STATEMENT', ''))
          AS t (name, events, level, arguments)
    -- a partition has the first from its parent
    WHERE NOT forge_comm.has_trigger(member, t.name);
END
$$;
COMMENT ON FUNCTION forge_comm.create_history_triggers(regclass, jsonb) IS
  'Create the triggers that log changes of a table';

-- The same table has the same number when history is disabled and enabled
-- again, and no other has it, be it of another cluster that is restored here.
CREATE FUNCTION forge_comm.new_table_id(rel regclass)
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT hashtextextended(concat_ws('/', s.system_identifier, d.oid, rel::oid), 0) & 9223372036854775807
    FROM pg_control_system() AS s, pg_database AS d
   WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION forge_comm.new_table_id(regclass) IS
  'A number for a table that no other has';

CREATE FUNCTION forge_comm.private_lines_policy(table_id text)
RETURNS name
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'forge_comm_private_' || table_id $$;
COMMENT ON FUNCTION forge_comm.private_lines_policy(text) IS
  'The name of the policy that hides the lines of a table under privacy';

-- What a line tells may have been private when it was written, and be of a row
-- or a channel that is gone: its id may be another's by now, even one that the
-- reader has made.  So nobody's membership opens it.  The policy names the
-- table by its number, and goes neither with the table nor with its privacy.
CREATE FUNCTION forge_comm.hide_private_lines(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  table_id constant text := forge_comm.history_options(rel) ->> 'table_id';
  policy constant name := forge_comm.private_lines_policy(table_id);
  member regclass;
BEGIN
  IF table_id IS NULL THEN
    RETURN;
  END IF;
  FOR member IN
    SELECT f.member FROM forge_comm.family(forge_comm.history_log(rel)) AS f
     WHERE NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = f.member AND p.polname = policy)
  LOOP
    PERFORM forge_comm.create_policy(
      member, policy, format('AS RESTRICTIVE USING (table_id <> %L::bigint OR forge_comm.in_service_context())', table_id),
      'No line of a table under privacy but in a service context, whatever other policies say');
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.hide_private_lines(regclass) IS
  'Keep the lines of a table under privacy for service contexts';

CREATE FUNCTION forge_comm.check_may_read_history(rel regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  log constant regclass := forge_comm.history_log(rel);
BEGIN
  IF row_security_active(log)
     AND EXISTS (SELECT FROM pg_policy AS p
                  WHERE p.polrelid = log
                    AND p.polname = forge_comm.private_lines_policy(forge_comm.history_options(rel) ->> 'table_id'))
     AND NOT forge_comm.in_service_context() THEN
    RAISE EXCEPTION 'the history of table % is private', rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'The table is under privacy, or was: its history is told in a service context only.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_may_read_history(regclass) IS
  'An error where no line of a table would show, rather than answers made of none';

CREATE FUNCTION forge_comm.enable_history(rel regclass, ignore name[] DEFAULT '{}', log name DEFAULT 'audit_log')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
  log_table regclass;
  options jsonb;
  ignored name;
  member regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF log IS NULL OR log = '' THEN
    RAISE EXCEPTION 'log must not be null or empty'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the table to log changes to.';
  END IF;
  SELECT n.nspname, c.relowner, c.relpersistence INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel;
  options := jsonb_build_object(
    'log', format('%I.%I', class.nspname, log),
    'table_id', coalesce(forge_comm.history_options(rel) ->> 'table_id', forge_comm.new_table_id(rel)::text),
    'ignore', CASE WHEN ignore <> '{}' THEN ignore::text END);
  IF forge_comm.rule_enabled(rel, 'history', options) THEN
    RETURN;
  ELSIF forge_comm.is_history_log(rel) THEN
    RAISE EXCEPTION 'table % is a history log', rel
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Its lines are never changed, so that there is nothing to log.';
  ELSIF forge_comm.key_columns(rel) = '{}' THEN
    RAISE EXCEPTION 'table % has no primary key', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'History tells rows apart by their primary key; add one first.';
  END IF;
  FOREACH ignored IN ARRAY coalesce(ignore, '{}') LOOP
    PERFORM forge_comm.check_column(rel, ignored, ARRAY[forge_comm.column_type(rel, ignored)]);
    IF ignored = ANY (forge_comm.key_columns(rel)) THEN
      RAISE EXCEPTION 'column % of table % is part of the primary key and cannot be ignored', quote_ident(ignored), rel
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'History tells rows apart by their primary key.';
    END IF;
  END LOOP;

  log_table := to_regclass(options ->> 'log');
  IF log_table IS NULL THEN
    log_table := forge_comm.create_log(class.nspname, log, class.relowner::regrole);
  ELSIF NOT forge_comm.is_history_log(log_table) OR NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = log_table AND c.relkind = 'p') THEN
    RAISE EXCEPTION 'table % is no history log', log_table
      USING ERRCODE = 'duplicate_table',
            HINT = 'Name another with the argument "log"; it is made if it does not exist.';
  ELSIF (SELECT c.relowner <> class.relowner FROM pg_class AS c WHERE c.oid = log_table) THEN
    RAISE EXCEPTION 'history log % has another owner than table %', log_table, rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Name another with the argument "log"; it is made if it does not exist.';
  END IF;
  PERFORM FROM forge_comm.maintain_history(log_table);

  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f LOOP
    PERFORM forge_comm.create_history_triggers(member, options);
    IF forge_comm.enabled_privacy(member) IS NOT NULL THEN
      PERFORM forge_comm.hide_private_lines(member);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_history(regclass, name[], name) IS
  'Log each change of a table: which row, when, by whom, from what to what';

CREATE FUNCTION forge_comm.disable_history(rel regclass, drop_log boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  log regclass;
  other regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.history_options(rel);
  -- Also what a detached partition keeps of them.
  PERFORM forge_comm.drop_rule_triggers(rel, 'history');
  IF options IS NULL THEN
    RAISE NOTICE 'history is not enabled on table %', rel;
    RETURN;
  END IF;
  log := to_regclass(options ->> 'log');
  IF NOT drop_log OR log IS NULL THEN
    RETURN;
  END IF;
  PERFORM forge_comm.check_log(log);
  SELECT t.tgrelid INTO other
    FROM pg_trigger AS t
   WHERE t.tgname = 'forge_comm_history' AND to_regclass(forge_comm.history_options(t.tgrelid) ->> 'log') = log
   ORDER BY t.tgrelid
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'table % is logged to history log %, too', other, log
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'Disable history there first, or keep the log.';
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS %s', forge_comm.log_seals(log));
  EXECUTE format('DROP TABLE %s', log);
END
$$;
COMMENT ON FUNCTION forge_comm.disable_history(regclass, boolean) IS
  'Undo forge_comm.enable_history(); the log stays unless asked otherwise';

-- ------------------------------------------------------------------ reading

CREATE FUNCTION forge_comm.history_log(rel regclass)
RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := forge_comm.history_options(rel);
BEGIN
  IF rel IS NULL THEN
    RAISE EXCEPTION 'the table must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a table.';
  ELSIF options IS NULL THEN
    RAISE EXCEPTION 'history is not enabled on table %', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_history() first.';
  END IF;
  RETURN (options ->> 'log')::regclass;
END
$$;
COMMENT ON FUNCTION forge_comm.history_log(regclass) IS
  'The log of a table';

-- What the caller gives: the value of a key of one column, or an object.
CREATE FUNCTION forge_comm.given_key(rel regclass, value text, type regtype)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_may_read_history(rel);
  IF value IS NULL THEN
    RAISE EXCEPTION 'the key must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the value of the primary key, or a jsonb object with each of its columns.';
  ELSIF type = 'jsonb'::regtype OR cardinality(forge_comm.key_columns(rel)) > 1 AND value LIKE '{%' THEN
    RETURN forge_comm.history_key(rel, value::jsonb);
  END IF;
  RETURN forge_comm.history_key(rel, to_jsonb(value));
END
$$;
COMMENT ON FUNCTION forge_comm.given_key(regclass, text, regtype) IS
  'The primary key that a caller means, as history has it';

-- The latest line first.  Where a row got another key, its earlier lines are
-- under the one it had before.
CREATE FUNCTION forge_comm.history_lines(rel regclass, key jsonb)
RETURNS TABLE (id bigint, changed_at timestamptz, action text, user_id bigint, role text, service_reason text,
               workspace_id bigint, transaction_id xid8, deletion_id uuid, row_key jsonb, old jsonb, new jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  query constant text := format(
    'SELECT l.id, l.changed_at, l.action, l.user_id, l.role, l.service_reason,
            l.workspace_id, l.transaction_id, l.deletion_id, l.key, l.old, l.new
       FROM %s AS l
      WHERE l.row_hash = forge_comm.row_hash($1, $2) AND l.key = $1 AND l.table_id = $2 AND l.id < $3
      ORDER BY l.id DESC', forge_comm.history_log(rel));
  table_id constant bigint := (forge_comm.history_options(rel) ->> 'table_id')::bigint;
  columns constant text[] := forge_comm.key_columns(rel);
  under jsonb := key;
  before bigint := 9223372036854775807;
  renamed boolean := true;
BEGIN
  WHILE renamed LOOP
    renamed := false;
    FOR id, changed_at, action, user_id, role, service_reason, workspace_id, transaction_id, deletion_id,
        row_key, old, new IN EXECUTE query USING under, table_id, before
    LOOP
      RETURN NEXT;
      before := id;
      IF action IN ('UPDATE', 'SOFT_DELETE', 'RESTORE') AND old ?| columns THEN
        under := (SELECT jsonb_object_agg(k.name, coalesce(old -> k.name, under -> k.name))
                    FROM unnest(columns) AS k (name));
        renamed := true;
        EXIT;
      END IF;
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.history_lines(regclass, jsonb) IS
  'The lines of one row, the latest first';

CREATE FUNCTION forge_comm.history_of(rel regclass, key anycompatible)
RETURNS TABLE (id bigint, changed_at timestamptz, action text, user_id bigint, role text, service_reason text,
               workspace_id bigint, transaction_id xid8, deletion_id uuid, row_key jsonb, old jsonb, new jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT * FROM forge_comm.history_lines(rel, forge_comm.given_key(rel, key::text, pg_typeof(key))) AS l
                ORDER BY l.id;
END
$$;
COMMENT ON FUNCTION forge_comm.history_of(regclass, anycompatible) IS
  'The story of one row, from its beginning';

CREATE FUNCTION forge_comm.key_condition(rel regclass, parameter text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('t.%1$I OPERATOR(pg_catalog.=) (pg_catalog.jsonb_populate_record(NULL::%2$s, %3$s)).%1$I',
                           k.name, rel, parameter), ' AND ')
    FROM unnest(forge_comm.key_columns(rel)) AS k (name)
$$;
COMMENT ON FUNCTION forge_comm.key_condition(regclass, text) IS
  'The condition that a row "t" has the key that a jsonb parameter gives';

CREATE FUNCTION forge_comm.current_values(rel regclass, key jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  result jsonb;
BEGIN
  EXECUTE format('SELECT forge_comm.row_values(t.*) FROM %s AS t WHERE %s', rel, forge_comm.key_condition(rel, '$1'))
     INTO result USING key;
  RETURN result;
END
$$;
COMMENT ON FUNCTION forge_comm.current_values(regclass, jsonb) IS
  'A row as history would have it now, null if there is none';

-- When a row that is gone without a line of its own left: with a TRUNCATE, or
-- when it got another key.
CREATE FUNCTION forge_comm.left_at(rel regclass, key jsonb, last_id bigint, since timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  result timestamptz;
BEGIN
  EXECUTE format('SELECT l.changed_at FROM %s AS l
                   WHERE l.table_id = $1 AND l.id > $2 AND l.changed_at >= $3
                     AND (l.action = ''TRUNCATE'' OR l.action = ''UPDATE'' AND l.old ?| $4
                          AND l.key || l.old @> $5)
                   ORDER BY l.id LIMIT 1', forge_comm.history_log(rel))
     INTO result
    USING (forge_comm.history_options(rel) ->> 'table_id')::bigint, last_id, since,
          forge_comm.key_columns(rel)::text[], key;
  RETURN result;
END
$$;
COMMENT ON FUNCTION forge_comm.left_at(regclass, jsonb, bigint, timestamptz) IS
  'When a row left the table without a line of its own, null if unknown';

-- Backwards from the row as it is, or was when it was deleted.  Only where it
-- left without a line, forwards from when it came.
CREATE FUNCTION forge_comm.values_at(rel regclass, key jsonb, at timestamptz)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  state jsonb := forge_comm.current_values(rel, key);
  later jsonb[] := '{}';
  line record;
  left_at timestamptz;
BEGIN
  IF at IS NULL THEN
    RAISE EXCEPTION 'the time must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the time as of which to rebuild the row.';
  END IF;
  FOR line IN SELECT * FROM forge_comm.history_lines(rel, key) LOOP
    IF line.action IN ('DELETE', 'PURGE') THEN
      EXIT WHEN line.changed_at <= at AND state IS NULL;
      state := CASE WHEN line.changed_at > at THEN line.old ELSE state END;
      EXIT WHEN line.changed_at <= at;
    ELSIF line.changed_at > at THEN
      state := CASE WHEN line.action <> 'INSERT' THEN state || line.old END;
    ELSE
      EXIT WHEN state IS NOT NULL;
      -- It is not there, and no line says that it went.
      IF later = '{}' THEN
        left_at := forge_comm.left_at(rel, line.row_key, line.id, line.changed_at);
        EXIT WHEN left_at <= at;
      END IF;
      later := line.new || later;
      IF line.action = 'INSERT' THEN
        RETURN (SELECT jsonb_object_agg(e.key, e.value) FROM
                 (SELECT DISTINCT ON (p.key) p.key, p.value
                    FROM unnest(later) WITH ORDINALITY AS l (change, n), jsonb_each(l.change) AS p
                   ORDER BY p.key, l.n DESC) AS e);
      END IF;
    END IF;
  END LOOP;
  IF later <> '{}' AND state IS NULL THEN
    RAISE EXCEPTION 'the history of this row of table % does not reach back to its beginning', rel
      USING ERRCODE = 'no_data_found',
            HINT = 'The row is gone without a line that says what it was; forge_comm.history_of() tells what is known.';
  END IF;
  RETURN state;
END
$$;
COMMENT ON FUNCTION forge_comm.values_at(regclass, jsonb, timestamptz) IS
  'A row as of a time, null if it was not there';

-- A secret, or a value too long to be recorded, has left a note in its place.
CREATE FUNCTION forge_comm.untold_columns(rel regclass, given jsonb)
RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(a.attname), '{}')
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_trigger AS s ON s.tgrelid = rel AND s.tgname = 'forge_comm_secrets'
   WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped
     AND jsonb_typeof(given -> a.attname::text) = 'object'
     AND (given -> a.attname::text = '{"changed": true}'
          OR given -> a.attname::text ? 'bytes'
             AND (SELECT count(*) = 1 FROM jsonb_object_keys(given -> a.attname::text)))
     -- other objects there are values of such columns only
     AND (coalesce(nullif(t.typbasetype, 0), t.oid) <> 'jsonb'::regtype AND t.typtype <> 'c'
          OR s.oid IS NOT NULL)
$$;
COMMENT ON FUNCTION forge_comm.untold_columns(regclass, jsonb) IS
  'The columns whose values history does not tell';

-- json is recorded as its text, since jsonb does not hold all of it.
CREATE FUNCTION forge_comm.told_value(rel regclass, column_name name, parameter text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN coalesce(nullif(t.typbasetype, 0), t.oid) = 'json'::regtype
              THEN format('(%s OPERATOR(pg_catalog.->>) %L)::pg_catalog.json', parameter, column_name)
              ELSE format('(pg_catalog.jsonb_populate_record(NULL::%s, %s)).%I', rel, parameter, column_name) END
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
   WHERE a.attrelid = rel AND a.attname = column_name
$$;
COMMENT ON FUNCTION forge_comm.told_value(regclass, name, text) IS
  'The value of a column in a jsonb parameter, typed like the column';

CREATE FUNCTION forge_comm.row_at("row" anyelement, key anycompatible, at timestamptz)
RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rel regclass := (SELECT nullif(t.typrelid, 0) FROM pg_type AS t WHERE t.oid = pg_typeof("row"));
  told jsonb;
BEGIN
  IF rel IS NULL THEN
    RAISE EXCEPTION 'the first argument must be of the type of a table'
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Pass a null of the type of the table, such as NULL::messages.';
  END IF;
  told := forge_comm.values_at(rel, forge_comm.given_key(rel, key::text, pg_typeof(key)), at);
  IF told IS NULL THEN
    RETURN;
  END IF;
  told := told - forge_comm.untold_columns(rel, told)::text[];
  RETURN QUERY EXECUTE (
    SELECT 'SELECT ' || string_agg(forge_comm.told_value(rel, a.attname, '$1'), ', ' ORDER BY a.attnum)
      FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped)
    USING told;
END
$$;
COMMENT ON FUNCTION forge_comm.row_at(anyelement, anycompatible, timestamptz) IS
  'A row as it was at a time, typed like the table; no row if it was not there';

-- What an update may write, and history knows: no generated column, no part of
-- the key, none that is ignored.
CREATE FUNCTION forge_comm.revert_statement(rel regclass, key jsonb, at timestamptz, OUT statement text, OUT told jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  current jsonb := forge_comm.current_values(rel, key);
  options jsonb := forge_comm.history_options(rel);
BEGIN
  told := forge_comm.values_at(rel, key, at);
  IF current IS NULL THEN
    RAISE EXCEPTION 'table % has no row with this key', rel
      USING ERRCODE = 'no_data_found',
            HINT = 'A row that is gone can be inserted anew: forge_comm.row_at() gives its values.';
  ELSIF told IS NULL THEN
    RAISE EXCEPTION 'table % had no row with this key at that time', rel
      USING ERRCODE = 'no_data_found',
            HINT = 'forge_comm.history_of() tells since when there is one.';
  END IF;
  SELECT format('UPDATE %s AS t SET %s WHERE %s', rel,
                string_agg(format('%I = %s', a.attname, forge_comm.told_value(rel, a.attname, '$1')), ', ' ORDER BY a.attnum),
                forge_comm.key_condition(rel, '$2'))
    INTO statement
    FROM pg_attribute AS a
   WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped
     AND a.attgenerated = '' AND a.attidentity <> 'a'
     AND a.attname <> ALL (forge_comm.key_columns(rel))
     AND a.attname <> ALL (coalesce((options ->> 'ignore')::name[], '{}'))
     AND a.attname <> ALL (forge_comm.untold_columns(rel, told))
     AND current ? a.attname::text
     AND coalesce(told -> a.attname::text, 'null') <> coalesce(current -> a.attname::text, 'null')
  HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION forge_comm.revert_statement(regclass, jsonb, timestamptz) IS
  'The UPDATE that makes a row what it was at a time, null if it is that';

-- No SET clause: the application's triggers run within it, under the path
-- that they are used to.
CREATE FUNCTION forge_comm.revert(rel regclass, key anycompatible, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  given pg_catalog.jsonb := forge_comm.given_key(rel, CAST(key AS pg_catalog.text), pg_catalog.pg_typeof(key));
  what pg_catalog.record;
  reverted pg_catalog.int8;
BEGIN
  SELECT * INTO what FROM forge_comm.revert_statement(rel, given, at);
  IF what.statement IS NULL THEN
    RETURN 0;
  END IF;
  EXECUTE what.statement USING what.told, given;
  GET DIAGNOSTICS reverted = ROW_COUNT;
  RETURN reverted;
END
$$;
COMMENT ON FUNCTION forge_comm.revert(regclass, anycompatible, timestamptz) IS
  'Make a row what it was at a time, by an update that is logged like any other';
