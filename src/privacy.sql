-- Private channels, and all that is under them, are for their members.

CREATE FUNCTION forge_comm.privacy_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_privacy_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.privacy_guard() IS
  'Trigger: names what privacy goes by, keeps rows where they are, and remembers who made them';

CREATE FUNCTION forge_comm.privacy_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'forge_comm_privacy_support'
LANGUAGE c STRICT;
COMMENT ON FUNCTION forge_comm.privacy_support(internal) IS
  'Planner support for the tests of privacy: selectivity';

-- Dearer than in_workspace(), which is asked first.  Not STRICT: what is under
-- nothing is not private.  Not LEAKPROOF: errors and locks depend on the table,
-- which a caller may take from rows that other policies hide.
CREATE FUNCTION forge_comm.can_access(rel regclass, id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_can_access'
LANGUAGE c STABLE PARALLEL SAFE COST 10
SUPPORT forge_comm.privacy_support;
COMMENT ON FUNCTION forge_comm.can_access(regclass, bigint) IS
  'May the user see this row of a table under privacy, and what is under it?';

CREATE FUNCTION forge_comm.can_enter(rel regclass, id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_can_enter'
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
SUPPORT forge_comm.privacy_support;
COMMENT ON FUNCTION forge_comm.can_enter(regclass, bigint) IS
  'Is the user a member of this private channel, or about to make it?';

CREATE FUNCTION forge_comm.enabled_privacy(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.rule_options(rel, 'forge_comm_privacy', 'privacy_guard')
$$;
COMMENT ON FUNCTION forge_comm.enabled_privacy(regclass) IS
  'The options of privacy on a table, null if it is not enabled';

CREATE FUNCTION forge_comm.create_privacy(rel regclass, events text, options jsonb, condition text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  member record;
BEGIN
  FOR member IN SELECT f.member AS rel, f.is_partition FROM forge_comm.family(rel) AS f LOOP
    IF NOT member.is_partition THEN
      PERFORM forge_comm.create_rule_trigger(member.rel, 'privacy', events, 'privacy_guard', options);
    END IF;
    PERFORM forge_comm.create_policy(
      member.rel, 'forge_comm_privacy', format('AS RESTRICTIVE USING (%s)', condition),
      'Nothing private but for its members, whatever other policies say');
    PERFORM forge_comm.hide_private_lines(member.rel);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.create_privacy(regclass, text, jsonb, text) IS
  'Create the trigger and the policies of privacy on a table and its children';

-- ------------------------------------------------------- under a private row

CREATE FUNCTION forge_comm.enable_privacy(rel regclass, via name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  parent regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'privacy', jsonb_build_object('via', via)) THEN
    RETURN;
  END IF;
  PERFORM forge_comm.tenancy_column(rel);
  PERFORM forge_comm.check_column(rel, via, '{smallint,integer,bigint}');

  SELECT r.parent INTO parent
    FROM forge_comm.referencing_columns(rel) AS r
   WHERE r.column_name = via AND forge_comm.enabled_privacy(r.parent) IS NOT NULL
     AND r.parent_column = forge_comm.require_id(r.parent)
   LIMIT 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'column % of table % references no primary key of a table under privacy', quote_ident(via), rel
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'Name the column of a foreign key to the channels, or to a table that is under them; enable privacy there first.';
  ELSIF EXISTS (SELECT FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attname = via
                 WHERE c.conrelid = rel AND c.contype = 'f' AND c.confdeltype IN ('n', 'd')
                   AND a.attnum = ANY (coalesce(c.confdelsetcols, c.conkey))) THEN
    RAISE EXCEPTION 'column % of table % is set when the row it references is deleted', quote_ident(via), rel
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'What was private would be under nothing then, for all to see; let its foreign key be ON DELETE CASCADE or NO ACTION.';
  END IF;
  PERFORM forge_comm.create_privacy(rel, format('UPDATE OF %I', via), jsonb_build_object('via', via),
                                    format('forge_comm.can_access(%L::pg_catalog.regclass, %I)', parent, via));
END
$$;
COMMENT ON FUNCTION forge_comm.enable_privacy(regclass, name) IS
  'Show and write rows of a table only to those who may see the row they are under';

-- The one foreign key by which a table is under others of a list.
CREATE FUNCTION forge_comm.privacy_via(rel regclass, parents regclass[])
RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  columns name[] := ARRAY(
    SELECT DISTINCT r.column_name
      FROM forge_comm.referencing_columns(rel) AS r
     WHERE r.parent = ANY (parents) AND r.parent_column = forge_comm.require_id(r.parent));
BEGIN
  IF cardinality(columns) > 1 THEN
    RAISE EXCEPTION 'table % could be under private rows by more than one column', rel
      USING ERRCODE = 'ambiguous_column',
            HINT = format('Leave it out of "children" and call forge_comm.enable_privacy(%L, via => ...) for it.', rel);
  END IF;
  RETURN columns[1];
END
$$;
COMMENT ON FUNCTION forge_comm.privacy_via(regclass, regclass[]) IS
  'The column by which a table is under one of others';

-- Children may be under each other, in any order.
CREATE FUNCTION forge_comm.protect_under(channels regclass, children regclass[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  parents regclass[] := ARRAY[channels];
  next_parents regclass[];
  waiting regclass[] := ARRAY(SELECT DISTINCT c FROM unnest(children) AS c WHERE c <> channels ORDER BY c);
  child regclass;
  via name;
BEGIN
  PERFORM forge_comm.check_table(c) FROM unnest(children) AS c;
  WHILE cardinality(waiting) > 0 LOOP
    next_parents := '{}';
    FOREACH child IN ARRAY waiting LOOP
      via := forge_comm.privacy_via(child, parents);
      CONTINUE WHEN via IS NULL;
      PERFORM forge_comm.enable_privacy(child, via);
      next_parents := next_parents || child;
    END LOOP;
    IF next_parents = '{}' THEN
      RAISE EXCEPTION 'table % is not under table %', waiting[1], channels
        USING ERRCODE = 'invalid_foreign_key',
              HINT = 'A child has a foreign key to the channels, or to another of the children.';
    END IF;
    waiting := ARRAY(SELECT c FROM unnest(waiting) AS c WHERE NOT c = ANY (next_parents));
    parents := next_parents;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.protect_under(regclass, regclass[]) IS
  'Enable privacy on the tables that are under another';

-- -------------------------------------------------------------- the channels

CREATE FUNCTION forge_comm.check_members(channels regclass, members regclass, member_channel name, member_user name)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_table(members);
  PERFORM forge_comm.check_column(members, member_channel, '{smallint,integer,bigint}');
  PERFORM forge_comm.check_column(members, member_user, '{smallint,integer,bigint}');
  IF NOT EXISTS (SELECT FROM pg_index AS i
                  JOIN pg_class AS ic ON ic.oid = i.indexrelid
                  JOIN pg_am AS am ON am.oid = ic.relam AND am.amname = 'btree'
                 WHERE i.indrelid = members AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts > 1
                   AND (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute AS a
                         WHERE a.attrelid = members AND a.attnum IN (i.indkey[0], i.indkey[1]))
                       = (SELECT array_agg(c ORDER BY c) FROM unnest(ARRAY[member_channel, member_user]) AS c)) THEN
    RAISE EXCEPTION 'table % has no btree index on columns % and %', members,
                    quote_ident(member_channel), quote_ident(member_user)
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'A membership is looked up by both; make them a unique key.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_members(regclass, regclass, name, name) IS
  'An error unless a table can say who is a member of what';

CREATE FUNCTION forge_comm.create_access_function(channels regclass, id name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  function text := (SELECT format('%I.can_access_channel(channel_id %s)', n.nspname, forge_comm.column_type(channels, id))
                      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = channels);
BEGIN
  IF to_regprocedure(replace(function, 'channel_id ', '')) IS NOT NULL THEN
    RAISE EXCEPTION 'function % exists already', to_regprocedure(replace(function, 'channel_id ', ''))
      USING ERRCODE = 'duplicate_function',
            HINT = 'Drop or rename it first: enable_privacy() makes a function of that name.';
  END IF;
  EXECUTE format('CREATE FUNCTION %s RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE RETURN forge_comm.can_access(%L::pg_catalog.regclass, channel_id)',
                 function, channels);
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', function, 'Made by forge_comm.enable_privacy()');
END
$$;
COMMENT ON FUNCTION forge_comm.create_access_function(regclass, name) IS
  'Create the function by which applications ask for access';

CREATE FUNCTION forge_comm.enable_privacy(channels regclass, private text, members regclass,
                                          member_channel name DEFAULT 'channel_id', member_user name DEFAULT 'user_id',
                                          children regclass[] DEFAULT '{}', creator name DEFAULT NULL,
                                          active text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := jsonb_build_object('private', private, 'members', members::text, 'member_channel', member_channel,
                                      'member_user', member_user, 'creator', creator, 'active', active);
  id name;
BEGIN
  PERFORM forge_comm.claim_table(channels);
  IF NOT forge_comm.rule_enabled(channels, 'privacy', options) THEN
    IF private IS NULL THEN
      RAISE EXCEPTION 'the argument "private" must not be null'
        USING ERRCODE = 'null_value_not_allowed',
              HINT = 'Pass a condition over the columns of the table, such as ''is_private''.';
    ELSIF (SELECT count(*) > 1 FROM forge_comm.family(channels)) THEN
      RAISE EXCEPTION 'table % has partitions or children', channels
        USING ERRCODE = 'feature_not_supported',
              HINT = 'Only tables under the channels may have them.';
    END IF;
    PERFORM forge_comm.tenancy_column(channels);
    PERFORM forge_comm.check_members(channels, members, member_channel, member_user);
    id := forge_comm.require_id(channels);
    IF creator IS NOT NULL THEN
      PERFORM forge_comm.check_column(channels, creator, '{smallint,integer,bigint}');
    END IF;
    PERFORM forge_comm.create_privacy(
      channels, format('INSERT OR UPDATE OF %I', id) || CASE WHEN creator IS NOT NULL THEN format(', %I', creator) ELSE '' END, options,
      format('(%s) IS FALSE OR %sforge_comm.can_enter(%L::pg_catalog.regclass, %I)', private,
             CASE WHEN creator IS NOT NULL THEN format('forge_comm.is_current_user(%I) OR ', creator) ELSE '' END,
             channels, id));
    PERFORM forge_comm.create_trigger(channels, 'forge_comm_privacy_founded', 'AFTER INSERT',
                                      'FOR EACH ROW EXECUTE FUNCTION forge_comm.privacy_guard()', 'privacy');
    PERFORM forge_comm.create_access_function(channels, id);
    -- Read what was enabled once, with an error now rather than in a query.
    PERFORM forge_comm.check_privacy(channels);
  END IF;
  PERFORM forge_comm.protect_under(channels, members || coalesce(children, '{}'));
END
$$;
COMMENT ON FUNCTION forge_comm.enable_privacy(regclass, text, regclass, name, name, regclass[], name, text) IS
  'Show and write private rows, and what is under them, only to their members';

CREATE FUNCTION forge_comm.check_privacy(channels regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_check_privacy'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.check_privacy(regclass) IS
  'An error unless the options of privacy on a table can be used';

-- ------------------------------------------------------------------ disabling

-- Tables under a table are known by their policies, which name it.
CREATE FUNCTION forge_comm.tables_under(rel regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT p.polrelid::regclass
    FROM pg_depend AS d
    JOIN pg_policy AS p ON p.oid = d.objid AND p.polname = 'forge_comm_privacy'
    JOIN pg_class AS c ON c.oid = p.polrelid AND NOT c.relispartition
   WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = rel
     AND p.polrelid <> rel
$$;
COMMENT ON FUNCTION forge_comm.tables_under(regclass) IS
  'The tables whose rows are under those of another';

CREATE FUNCTION forge_comm.disable_privacy(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  child regclass;
  function regprocedure;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.enabled_privacy(rel);
  IF options IS NULL THEN
    RAISE NOTICE 'privacy is not enabled on table %', rel;
    RETURN;
  END IF;
  FOR child IN SELECT forge_comm.tables_under(rel) LOOP
    PERFORM forge_comm.disable_privacy(child);
  END LOOP;
  FOR function IN
    SELECT d.objid::regprocedure
      FROM pg_depend AS d
     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = rel
       AND obj_description(d.objid, 'pg_proc') = 'Made by forge_comm.enable_privacy()'
  LOOP
    EXECUTE format('DROP FUNCTION %s', function);
  END LOOP;
  PERFORM forge_comm.drop_policies(rel, 'forge_comm_privacy');
  PERFORM forge_comm.drop_rule_triggers(rel, 'privacy');
  IF options ? 'private' THEN
    EXECUTE format('DROP TRIGGER IF EXISTS forge_comm_privacy_founded ON %s', rel);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_privacy(regclass) IS
  'Undo forge_comm.enable_privacy(), for all tables under this one as well';
