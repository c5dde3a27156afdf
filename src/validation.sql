-- Rows are as their table's rules say.

CREATE FUNCTION forge_comm.validation_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_validation_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.validation_guard() IS
  'Trigger: checks what is new in a row, and stores it in its normal form';

CREATE FUNCTION forge_comm.check_rule(rel regclass, column_name name, rule text, options jsonb)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_check_rule'
LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION forge_comm.check_rule(regclass, name, text, jsonb) IS
  'An error unless the column can have this rule';

CREATE FUNCTION forge_comm.is_valid(rel regclass, column_name name, rule text, options jsonb, value anyelement)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_valid'
LANGUAGE c STABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION forge_comm.is_valid(regclass, name, text, jsonb, anyelement) IS
  'Would a rule let a column have the value?';

CREATE FUNCTION forge_comm.validation_rules(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce((forge_comm.rule_options(rel, 'forge_comm_validation', 'validation_guard') ->> 'rules')::jsonb, '{}')
$$;
COMMENT ON FUNCTION forge_comm.validation_rules(regclass) IS
  'The rules of a table: {"column": {"rule": {"option": ...}}}';

-- What is given as 'max=80', or as the values or the pattern themselves.
CREATE FUNCTION forge_comm.validation_options(rule text, options text[])
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known text[] := CASE WHEN rule IN ('length', 'display_name', 'range') THEN '{min,max}'::text[]
                       WHEN rule = 'same_as_parent' THEN '{via,column}'
                       WHEN rule = 'unique_ci' THEN '{within}'
                       ELSE '{}' END;
  given text[] := coalesce(options, '{}');
  entry text;
  result jsonb := '{}';
BEGIN
  IF array_position(given, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'an option must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Leave it out.';
  ELSIF rule = 'one_of' THEN
    RETURN jsonb_build_object('values', given);
  ELSIF rule = 'matches' AND cardinality(given) = 1 THEN
    RETURN jsonb_build_object('pattern', given[1]);
  END IF;
  FOREACH entry IN ARRAY given LOOP
    IF strpos(entry, '=') = 0 OR NOT split_part(entry, '=', 1) = ANY (known) THEN
      RAISE EXCEPTION 'rule % has no such option', quote_ident(rule)
        USING ERRCODE = 'invalid_parameter_value',
              HINT = CASE WHEN known = '{}' THEN 'It takes none but existing=check and existing=ignore.'
                          ELSE format('Options are %s=..., and existing=check or existing=ignore.', array_to_string(known, '=..., ')) END;
    END IF;
    result := result || jsonb_build_object(split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1));
  END LOOP;
  -- Lengths are numbers; a range is of whatever type the column has.
  IF rule <> 'range' THEN
    result := (SELECT coalesce(jsonb_object_agg(o.key, CASE WHEN o.key IN ('min', 'max') AND o.value ~ '^[0-9]{1,9}$'
                                                            THEN to_jsonb(o.value::integer) ELSE to_jsonb(o.value) END), '{}')
                 FROM jsonb_each_text(result) AS o);
  END IF;
  RETURN result;
END
$$;
COMMENT ON FUNCTION forge_comm.validation_options(text, text[]) IS
  'The options of a rule, as its trigger keeps them';

-- ------------------------------------------------------- what is there already

CREATE FUNCTION forge_comm.check_validated_column(rel regclass, column_name name, rule text, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF rule IS NULL THEN
    RAISE EXCEPTION 'the rule must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a rule, such as email.';
  END IF;
  PERFORM forge_comm.check_written_column(rel, column_name, ARRAY[forge_comm.column_type(rel, column_name)]);
  PERFORM forge_comm.check_rule(rel, column_name, rule, options);
END
$$;
COMMENT ON FUNCTION forge_comm.check_validated_column(regclass, name, text, jsonb) IS
  'An error unless the column is there to be checked, and can have this rule';

-- The columns within which another one is unique.
CREATE FUNCTION forge_comm.unique_within(rel regclass, options jsonb)
RETURNS name[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  within name[] := coalesce(string_to_array(options ->> 'within', ','), '{}');
  column_name name;
BEGIN
  FOREACH column_name IN ARRAY within LOOP
    PERFORM forge_comm.check_column(rel, column_name, ARRAY[forge_comm.column_type(rel, column_name)]);
  END LOOP;
  RETURN within;
END
$$;
COMMENT ON FUNCTION forge_comm.unique_within(regclass, jsonb) IS
  'The columns that the option "within" names';

CREATE FUNCTION forge_comm.living_condition(rel regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%I IS NULL', forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at')
   WHERE forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') IS NOT NULL
$$;
COMMENT ON FUNCTION forge_comm.living_condition(regclass) IS
  'What is true of the rows that soft delete has left, null where it is not enabled';

-- The foreign key that a rule same_as_parent follows, as the condition of a join.
CREATE FUNCTION forge_comm.parent_join(rel regclass, via name, parent_column name, OUT parent regclass, OUT condition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.confrelid::regclass,
         (SELECT string_agg(format('p.%I = t.%I', pa.attname, ta.attname), ' AND ')
            FROM unnest(c.conkey, c.confkey) AS k (attnum, refnum)
            JOIN pg_attribute AS ta ON ta.attrelid = c.conrelid AND ta.attnum = k.attnum
            JOIN pg_attribute AS pa ON pa.attrelid = c.confrelid AND pa.attnum = k.refnum)
    FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
   WHERE c.conrelid = rel AND c.contype = 'f' AND a.attname = via
     AND forge_comm.column_type(c.confrelid, parent_column) IS NOT NULL
     AND NOT EXISTS (SELECT FROM pg_constraint AS o WHERE o.oid = c.conparentid AND o.conrelid = c.conrelid)
   ORDER BY c.oid LIMIT 1
$$;
COMMENT ON FUNCTION forge_comm.parent_join(regclass, name, name) IS
  'How a table is joined to the one that a column of it references';

-- The rows that break a rule, as the FROM and WHERE clauses of a query for t.
CREATE FUNCTION forge_comm.invalid_rows(rel regclass, column_name name, rule text, options jsonb)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  parent_column name := coalesce(options ->> 'column', column_name);
  living text := forge_comm.living_condition(rel);
  joined record;
BEGIN
  IF rule = 'same_as_parent' THEN
    SELECT * INTO joined FROM forge_comm.parent_join(rel, options ->> 'via', parent_column);
    RETURN format('%s AS t JOIN %s AS p ON %s WHERE t.%I IS NOT NULL AND t.%I IS DISTINCT FROM p.%I',
                  rel, joined.parent, joined.condition, column_name, column_name, parent_column);
  ELSIF rule = 'unique_ci' THEN
    RETURN format('(SELECT r.*, r.ctid, count(*) OVER (PARTITION BY %s lower(%I)) AS forge_comm_count FROM %s AS r WHERE %I IS NOT NULL %s) AS t'
                  ' WHERE t.forge_comm_count > 1',
                  (SELECT string_agg(quote_ident(w) || ',', ' ') FROM unnest(forge_comm.unique_within(rel, options)) AS w),
                  column_name, rel, column_name, 'AND ' || living);
  END IF;
  RETURN format('%s AS t WHERE NOT forge_comm.is_valid(%L::regclass, %L::name, %L::text, %L::jsonb, t.%I)',
                rel, rel, column_name, rule, options, column_name);
END
$$;
COMMENT ON FUNCTION forge_comm.invalid_rows(regclass, name, text, jsonb) IS
  'Which rows break a rule, as part of a query';

CREATE FUNCTION forge_comm.count_invalid(rel regclass, column_name name, rule text, options jsonb,
                                         OUT invalid bigint, OUT first_keys jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  key record;
BEGIN
  SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY k.ordinality) AS columns,
         string_agg(format('f.%I', a.attname), ', ' ORDER BY k.ordinality) AS ordering,
         string_agg(format('%L, f.%I', a.attname, a.attname), ', ' ORDER BY k.ordinality) AS pairs
    INTO key
    FROM pg_index AS i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ordinality)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
   WHERE i.indrelid = rel AND i.indisprimary AND k.ordinality <= i.indnkeyatts;
  -- One scan, in whatever order; what it finds is put in order afterwards.
  EXECUTE format('WITH found AS MATERIALIZED (SELECT %s FROM %s)
                  SELECT (SELECT count(*) FROM found),
                         (SELECT coalesce(jsonb_agg(k.key), ''[]'')
                            FROM (SELECT jsonb_build_object(%s) AS key FROM found AS f ORDER BY %s LIMIT 10) AS k)',
                 coalesce(key.columns, 't.ctid'), forge_comm.invalid_rows(rel, column_name, rule, options),
                 coalesce(key.pairs, $$'ctid', f.ctid$$), coalesce(key.ordering, 'f.ctid'))
     INTO invalid, first_keys;
END
$body$;
COMMENT ON FUNCTION forge_comm.count_invalid(regclass, name, text, jsonb) IS
  'How many rows break a rule, and the keys of the first of them';

CREATE FUNCTION forge_comm.report_invalid(rel regclass, column_name name, rule text, VARIADIC options text[] DEFAULT '{}',
                                          OUT invalid bigint, OUT first_keys jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stored jsonb := forge_comm.validation_options(rule, options);
BEGIN
  PERFORM forge_comm.check_table(rel);
  PERFORM forge_comm.check_validated_column(rel, column_name, rule, stored);
  SELECT c.invalid, c.first_keys INTO invalid, first_keys FROM forge_comm.count_invalid(rel, column_name, rule, stored) AS c;
END
$$;
COMMENT ON FUNCTION forge_comm.report_invalid(regclass, name, text, text[]) IS
  'How many rows break a rule, and the keys of the first of them';

-- ------------------------------------------------------------------ unique_ci

CREATE FUNCTION forge_comm.unique_index(rel regclass, column_name name, within name[])
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  -- The columns first, in any order, then lower(column), whatever it casts it to
  SELECT i.indexrelid::regclass
    FROM pg_index AS i
   WHERE i.indrelid = rel AND i.indisunique AND i.indisvalid AND i.indimmediate
     AND i.indnkeyatts = cardinality(within) + 1
     AND (SELECT count(*) = 1 FROM unnest(i.indkey::int2[]) AS k (attnum) WHERE k.attnum = 0)
     AND replace(regexp_replace(regexp_replace(pg_get_expr(i.indexprs, i.indrelid), '::[a-z ]+', '', 'g'), '[()]', '', 'g'), ' ', '')
         = 'lower' || replace(quote_ident(column_name), ' ', '')
     AND NOT EXISTS (SELECT FROM unnest(within) AS w
                      WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                                         WHERE a.attrelid = rel AND a.attname = w AND a.attnum = ANY (i.indkey::int2[])))
     AND (i.indpred IS NULL
          OR pg_get_expr(i.indpred, i.indrelid) = '(' || forge_comm.living_condition(rel) || ')')
   ORDER BY i.indpred IS NULL LIMIT 1
$$;
COMMENT ON FUNCTION forge_comm.unique_index(regclass, name, name[]) IS
  'The index that keeps a column unique whatever the letter case, null if there is none';

-- It names the column as it was called then, as the rule does.
CREATE FUNCTION forge_comm.unique_index_comment(column_name name)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('Keeps %I unique whatever the letter case (made by forge_comm.add_validation())', column_name) $$;
COMMENT ON FUNCTION forge_comm.unique_index_comment(name) IS
  'The comment by which an index of ours is known';

CREATE FUNCTION forge_comm.ensure_unique_index(rel regclass, column_name name, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  within name[] := forge_comm.unique_within(rel, options);
  class record;
  index name;
BEGIN
  SELECT n.nspname, c.relname, c.relkind INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel;
  IF forge_comm.unique_index(rel, column_name, within) IS NOT NULL THEN
    RETURN;
  ELSIF class.relkind = 'p' THEN
    RAISE EXCEPTION 'table % is partitioned, and cannot have the index that rule unique_ci needs', rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Keep what must be unique in an ordinary table.';
  END IF;
  index := forge_comm.object_name(class.relname || '_' || column_name, '_ci_key');
  BEGIN
    EXECUTE format('CREATE UNIQUE INDEX %I ON %s (%s lower(%I))%s', index, rel,
                   (SELECT string_agg(quote_ident(w) || ',', ' ') FROM unnest(within) AS w), column_name,
                   ' WHERE ' || forge_comm.living_condition(rel));
  EXCEPTION WHEN unique_violation THEN
    -- PostgreSQL's own words show a value.
    RAISE EXCEPTION 'column % of table % has values that differ in letter case at most', quote_ident(column_name), rel
      USING ERRCODE = 'unique_violation',
            HINT = format('SELECT * FROM forge_comm.report_invalid(%L, %L, ''unique_ci''%s) says in which rows.', rel, column_name,
                          ', ' || quote_literal('within=' || (options ->> 'within')));
  END;
  EXECUTE format('COMMENT ON INDEX %I.%I IS %L', class.nspname, index, forge_comm.unique_index_comment(column_name));
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_unique_index(regclass, name, jsonb) IS
  'Make the index that keeps a column unique whatever the letter case, unless there is one';

CREATE FUNCTION forge_comm.drop_unique_index(rel regclass, column_name name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  index regclass;
BEGIN
  FOR index IN
    SELECT i.indexrelid FROM pg_index AS i
     WHERE i.indrelid = rel AND obj_description(i.indexrelid, 'pg_class') = forge_comm.unique_index_comment(column_name)
  LOOP
    EXECUTE format('DROP INDEX %s', index);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_unique_index(regclass, name) IS
  'Drop the index that rule unique_ci made';

-- ------------------------------------------------------------------- triggers

-- Triggers of the owner's own that fire later may write what no rule has seen:
-- a trigger after them looks once more.
CREATE FUNCTION forge_comm.has_later_trigger(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
                  WHERE t.tgrelid = rel AND NOT t.tgisinternal
                    -- row, before, insert or update
                    AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0
                    AND t.tgname::text COLLATE "C" > 'forge_comm_validation'
                    AND p.pronamespace <> 'forge_comm'::regnamespace)
$$;
COMMENT ON FUNCTION forge_comm.has_later_trigger(regclass) IS
  'Does another trigger change rows once the rules have seen them?';

CREATE FUNCTION forge_comm.create_validation_triggers(member regclass, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.create_rule_trigger(member, 'validation', 'INSERT OR UPDATE', 'validation_guard', options);
  EXECUTE format('COMMENT ON TRIGGER forge_comm_validation ON %s IS %L', member, 'Made by forge_comm.add_validation()');
END
$$;
COMMENT ON FUNCTION forge_comm.create_validation_triggers(regclass, jsonb) IS
  'Make the trigger that checks the rows of a table';

CREATE FUNCTION forge_comm.ensure_second_look(member regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF forge_comm.has_later_trigger(member) AND forge_comm.has_trigger(member, 'forge_comm_validation')
     AND NOT forge_comm.has_trigger(member, 'forge_comm_validation_stored') THEN
    EXECUTE format('CREATE TRIGGER forge_comm_validation_stored AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION forge_comm.validation_guard()', member);
    EXECUTE format('COMMENT ON TRIGGER forge_comm_validation_stored ON %s IS %L', member, 'Made by forge_comm.add_validation()');
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_second_look(regclass) IS
  'Where other triggers come later, make the one that checks rows as they were stored';

-- The triggers of a table and its inheritance children anew; partitions follow.
CREATE FUNCTION forge_comm.store_validation(rel regclass, rules jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  member record;
BEGIN
  PERFORM forge_comm.drop_rule_triggers(rel, 'validation');
  IF rules = '{}' THEN
    RETURN;
  END IF;
  FOR member IN SELECT f.member AS rel, f.is_partition FROM forge_comm.family(rel) AS f LOOP
    IF NOT member.is_partition THEN
      PERFORM forge_comm.create_validation_triggers(member.rel, jsonb_build_object('rules', rules::text));
    END IF;
    PERFORM forge_comm.ensure_second_look(member.rel);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.store_validation(regclass, jsonb) IS
  'Make the triggers that check the rows of a table; none if there are no rules';

CREATE FUNCTION forge_comm.follow_triggers()
RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- A restore brings its triggers by itself, and with several jobs at a time.
  IF NOT current_setting('row_security')::boolean
     AND EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = session_user AND (r.rolsuper OR r.rolbypassrls)) THEN
    RETURN;
  END IF;
  PERFORM forge_comm.ensure_second_look(t.tgrelid)
     FROM pg_event_trigger_ddl_commands() AS d
     JOIN pg_trigger AS t ON t.oid = d.objid
    WHERE d.classid = 'pg_trigger'::regclass;
END
$$;
COMMENT ON FUNCTION forge_comm.follow_triggers() IS
  'Event trigger: where a later trigger is made, rows are checked once more';

CREATE EVENT TRIGGER forge_comm_follow_triggers ON ddl_command_end
  WHEN TAG IN ('CREATE TRIGGER', 'ALTER TRIGGER')
  EXECUTE FUNCTION forge_comm.follow_triggers();
COMMENT ON EVENT TRIGGER forge_comm_follow_triggers IS
  'Rows are checked once more where triggers are made that change them later';

-- --------------------------------------------------------------------- adding

CREATE FUNCTION forge_comm.check_existing_rows(rel regclass, column_name name, rule text, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  IF row_security_active(rel) AND (SELECT c.service_reason IS NULL FROM forge_comm.context() AS c) THEN
    RAISE EXCEPTION 'the rows of table % can be checked only as a whole', rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Call forge_comm.set_service_context() first, run this as a role that bypasses row security, or pass ''existing=ignore''.';
  END IF;
  SELECT * INTO found FROM forge_comm.count_invalid(rel, column_name, rule, options);
  IF found.invalid > 0 THEN
    RAISE EXCEPTION '% rows of table % break rule % of column %', found.invalid, rel, rule, quote_ident(column_name)
      USING ERRCODE = CASE rule WHEN 'unique_ci' THEN 'unique_violation' WHEN 'not_null' THEN 'not_null_violation'
                                ELSE 'check_violation' END,
            DETAIL = format('The first are %s.', found.first_keys),
            HINT = 'Mend them' || CASE WHEN rule = 'unique_ci' THEN '.'
                                       ELSE ', or pass ''existing=ignore'' to let them be until they change.' END,
            TABLE = (SELECT c.relname FROM pg_class AS c WHERE c.oid = rel), COLUMN = column_name;
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_existing_rows(regclass, name, text, jsonb) IS
  'An error unless all rows keep a rule';

CREATE FUNCTION forge_comm.add_validation(rel regclass, column_name name, rule text, VARIADIC options text[] DEFAULT '{}')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  existing text := coalesce((SELECT substr(o, 10) FROM unnest(options) AS o WHERE o IN ('existing=check', 'existing=ignore') LIMIT 1),
                            'check');
  stored jsonb := forge_comm.validation_options(rule, array_remove(array_remove(options, 'existing=check'), 'existing=ignore'));
  rules jsonb;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  PERFORM forge_comm.check_validated_column(rel, column_name, rule, stored);
  rules := forge_comm.validation_rules(rel);
  IF rules #> ARRAY[column_name, rule]::text[] = stored THEN
    RAISE NOTICE 'column % of table % has rule % already', quote_ident(column_name), rel, rule;
    RETURN;
  ELSIF rules #> ARRAY[column_name, rule]::text[] IS NOT NULL THEN
    RAISE EXCEPTION 'column % of table % has rule % with other options', quote_ident(column_name), rel, rule
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.drop_validation() first.';
  END IF;

  IF rule = 'unique_ci' THEN
    -- An index that is there already has checked the rows.
    IF existing = 'check' AND forge_comm.unique_index(rel, column_name, forge_comm.unique_within(rel, stored)) IS NULL
       AND NOT row_security_active(rel) THEN
      PERFORM forge_comm.check_existing_rows(rel, column_name, rule, stored);
    END IF;
    PERFORM forge_comm.ensure_unique_index(rel, column_name, stored);
  ELSIF existing = 'check' THEN
    PERFORM forge_comm.check_existing_rows(rel, column_name, rule, stored);
  END IF;
  PERFORM forge_comm.store_validation(rel, rules || jsonb_build_object(column_name,
                                        coalesce(rules -> column_name::text, '{}') || jsonb_build_object(rule, stored)));
END
$$;
COMMENT ON FUNCTION forge_comm.add_validation(regclass, name, text, text[]) IS
  'Let a column have only values that keep a rule';

CREATE FUNCTION forge_comm.drop_validation(rel regclass, column_name name, rule text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rules jsonb;
  dropped jsonb;
  others jsonb;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  rules := forge_comm.validation_rules(rel);
  -- The column itself may be gone, or have another name by now.
  dropped := CASE WHEN rule IS NULL THEN rules -> column_name::text
                  ELSE jsonb_build_object(rule, rules #> ARRAY[column_name, rule]::text[]) END;
  IF column_name IS NULL OR coalesce(jsonb_strip_nulls(dropped), '{}') = '{}' THEN
    RAISE NOTICE 'column % of table % has no such rule', coalesce(quote_ident(column_name), 'null'), rel;
    RETURN;
  END IF;
  others := (rules -> column_name::text) - ARRAY(SELECT jsonb_object_keys(dropped));
  PERFORM forge_comm.store_validation(rel, CASE WHEN others = '{}' THEN rules - column_name::text
                                                ELSE rules || jsonb_build_object(column_name, others) END);
  IF dropped ? 'unique_ci' THEN
    PERFORM forge_comm.drop_unique_index(rel, column_name);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_validation(regclass, name, text) IS
  'Undo forge_comm.add_validation(), for one rule or for all of a column';
