-- What a table of messages is like, and the functions that are made to fit it.

CREATE TYPE forge_comm.message_shape AS (
  rel regclass,
  schema name,
  prefix text,
  key name,
  key_type regtype,
  channel name,
  channel_type regtype,
  created_at name,
  created_at_type regtype,
  deleted_at name,
  edited_at name,
  body name,
  parent name,
  author name,
  author_type regtype,
  workspace name,
  -- where the foreign keys of channel and author lead
  channels regclass,
  channels_key name,
  authors regclass,
  authors_key name,
  author_name name,
  -- who has read how far
  markers regclass,
  marker_channel name,
  marker_user name,
  marker name,
  reactions regclass,
  reaction_message name,
  reaction_user name,
  emoji name,
  -- what functions ask, with names already in it
  place_query_constant text,
  marker_query_constant text,
  queries_constant text
);
COMMENT ON TYPE forge_comm.message_shape IS
  'A table of messages and what belongs to it; what is null, it does not have';

CREATE FUNCTION forge_comm.messages_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_messages_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.messages_guard() IS
  'Trigger: names what messages consist of, and lets them keep their ids';

CREATE FUNCTION forge_comm.referenced_by(rel regclass, column_name name, OUT parent regclass, OUT key name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT r.parent, r.parent_column
    FROM forge_comm.referencing_columns(rel) AS r
   WHERE r.column_name = referenced_by.column_name
   LIMIT 1
$$;
COMMENT ON FUNCTION forge_comm.referenced_by(regclass, name) IS
  'Which column of which table a foreign key leads to from this one';

-- ------------------------------------------------------------------- options

-- What has its usual name may be missing; what was named must be there.
CREATE FUNCTION forge_comm.optional_column(rel regclass, column_name name, usual name, types regtype[])
RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF column_name IS NULL OR column_name = usual AND forge_comm.column_type(rel, column_name) IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM forge_comm.check_column(rel, column_name, types);
  RETURN column_name;
END
$$;
COMMENT ON FUNCTION forge_comm.optional_column(regclass, name, name, regtype[]) IS
  'A column that a table may lack under its usual name, null if it does';

CREATE FUNCTION forge_comm.messages_options(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.rule_options(rel, 'forge_comm_messages', 'messages_guard')
$$;
COMMENT ON FUNCTION forge_comm.messages_options(regclass) IS
  'The options of messages on a table, null if it is not enabled';

-- Privacy knows who is a member of a channel; most keep there what was read.
CREATE FUNCTION forge_comm.markers_of(channels regclass, marker name)
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT m.members
    FROM forge_comm.enabled_privacy(channels) AS options,
         CAST(options ->> 'members' AS regclass) AS m (members)
   WHERE forge_comm.column_type(m.members, marker) IS NOT NULL
$$;
COMMENT ON FUNCTION forge_comm.markers_of(regclass, name) IS
  'The members of channels, if what they have read is kept with them';

CREATE FUNCTION forge_comm.required_reference(rel regclass, parent regclass, key name)
RETURNS name
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found_column name := (SELECT r.column_name FROM forge_comm.referencing_columns(rel) AS r
                         WHERE r.parent = required_reference.parent AND r.parent_column = key
                         LIMIT 1);
BEGIN
  IF found_column IS NULL THEN
    RAISE EXCEPTION 'table % has no foreign key to %', rel,
                    coalesce('table ' || parent, 'what the channel and the author of a message reference')
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'What belongs to messages is found by its foreign keys, and those of the messages.';
  END IF;
  RETURN found_column;
END
$$;
COMMENT ON FUNCTION forge_comm.required_reference(regclass, regclass, name) IS
  'The column of a foreign key that has to be there';

CREATE FUNCTION forge_comm.message_shape(rel regclass)
RETURNS forge_comm.message_shape
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := forge_comm.messages_options(rel);
  shape forge_comm.message_shape;
BEGIN
  IF options IS NULL THEN
    RAISE EXCEPTION 'messages is not enabled on table %', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_messages() first.';
  END IF;
  shape := jsonb_populate_record(NULL::forge_comm.message_shape, options);
  shape.rel := rel;
  shape.schema := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
  shape.prefix := coalesce(shape.prefix, '');
  shape.key_type := forge_comm.column_type(rel, shape.key);
  shape.channel_type := forge_comm.column_type(rel, shape.channel);
  shape.created_at_type := forge_comm.column_type(rel, shape.created_at);
  shape.author_type := forge_comm.column_type(rel, shape.author);
  shape.workspace := forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard') ->> 'workspace_column';

  SELECT r.parent, r.key INTO shape.channels, shape.channels_key FROM forge_comm.referenced_by(rel, shape.channel) AS r;
  SELECT r.parent, r.key INTO shape.authors, shape.authors_key FROM forge_comm.referenced_by(rel, shape.author) AS r;
  shape.author_name := forge_comm.optional_column(shape.authors, shape.author_name, shape.author_name, '{text,varchar,bpchar,name}');

  IF shape.markers IS NOT NULL THEN
    shape.marker_channel := forge_comm.required_reference(shape.markers, shape.channels, shape.channels_key);
    shape.marker_user := forge_comm.required_reference(shape.markers, shape.authors, shape.authors_key);
  END IF;
  IF shape.reactions IS NOT NULL THEN
    shape.reaction_message := forge_comm.required_reference(shape.reactions, rel, shape.key);
    shape.reaction_user := forge_comm.required_reference(shape.reactions, shape.authors, shape.authors_key);
  END IF;
  RETURN shape;
END
$$;
COMMENT ON FUNCTION forge_comm.message_shape(regclass) IS
  'What a table of messages is like, by what enable_messages() was told and the foreign keys';

-- ----------------------------------------------------------------- functions

CREATE FUNCTION forge_comm.fit(template text, shape forge_comm.message_shape)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  names jsonb := jsonb_strip_nulls(to_jsonb(shape))
                 || jsonb_build_object('rel_constant', format('%L::pg_catalog.regclass', shape.rel),
                                       'channels_constant', format('%L::pg_catalog.regclass', shape.channels),
                                       'channels_key_constant', quote_literal(shape.channels_key));
  lacking text := (SELECT p.part[1] FROM regexp_matches(template, '\{([a-z_]+)\}', 'g') AS p (part)
                    WHERE NOT names ? p.part[1] LIMIT 1);
BEGIN
  IF lacking IS NOT NULL THEN
    RAISE EXCEPTION 'table % has no "%" of messages', shape.rel, lacking
      USING ERRCODE = 'undefined_column',
            HINT = 'Name it in the arguments of forge_comm.enable_messages().';
  END IF;
  -- A table, a type or a constant comes quoted already.
  RETURN forge_comm.fill(template, (
    SELECT jsonb_object_agg(n.key, CASE
             WHEN n.key IN ('rel', 'channels', 'authors', 'markers', 'reactions') OR n.key ~ '_(type|constant)$' THEN n.value
             ELSE quote_ident(n.value)
           END)
      FROM jsonb_each_text(jsonb_strip_nulls(names)) AS n));
END
$$;
COMMENT ON FUNCTION forge_comm.fit(text, forge_comm.message_shape) IS
  'A template, with the table''s own names for those in {braces}';

CREATE FUNCTION forge_comm.live_condition(shape forge_comm.message_shape, alias text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (shape).deleted_at IS NULL THEN 'true' ELSE alias || '.{deleted_at} IS NULL' END
$$;
COMMENT ON FUNCTION forge_comm.live_condition(forge_comm.message_shape, text) IS
  'The condition that a message is not deleted, as a template';

-- Functions of ours are known by their comment.  The prefix tells those of two
-- tables in one schema apart.
CREATE FUNCTION forge_comm.message_function_comment(description text, prefix text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('%s (made by forge_comm.enable_messages()%s)', description,
                CASE WHEN prefix <> '' THEN format(' with prefix %L', prefix) END)
$$;
COMMENT ON FUNCTION forge_comm.message_function_comment(text, text) IS
  'The comment by which a function of ours is known';

CREATE FUNCTION forge_comm.functions_named(schema name, function_name name)
RETURNS oid[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(p.oid), '{}')
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
   WHERE n.nspname = schema AND p.proname = function_name
$$;
COMMENT ON FUNCTION forge_comm.functions_named(name, name) IS
  'All functions of one name';

CREATE FUNCTION forge_comm.create_message_function(shape forge_comm.message_shape, function_name name, arguments text,
                                                   returns text, attributes text, body text, description text,
                                                   language name DEFAULT 'sql')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  full_name name := shape.prefix || function_name;
  others oid[] := forge_comm.functions_named(shape.schema, full_name);
  made regprocedure;
BEGIN
  BEGIN
    -- Where the planner is to inline the function, there is no SET clause; what
    -- is in its body is qualified instead.
    EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE %I %s AS %L', shape.schema, full_name,
                   forge_comm.fit(arguments, shape), forge_comm.fit(returns, shape), language, attributes,
                   forge_comm.fit(body, shape));
  EXCEPTION WHEN duplicate_function THEN
    RAISE EXCEPTION 'function %.% exists already', quote_ident(shape.schema), quote_ident(full_name)
      USING ERRCODE = 'duplicate_function',
            HINT = 'Drop or rename it, or give ours other names by the argument "prefix".';
  END;
  SELECT f INTO STRICT made
    FROM unnest(forge_comm.functions_named(shape.schema, full_name)) AS f WHERE NOT f = ANY (others);
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', made, forge_comm.message_function_comment(description, shape.prefix));
END
$$;
COMMENT ON FUNCTION forge_comm.create_message_function(forge_comm.message_shape, name, text, text, text, text, text, name) IS
  'Make a function of a template, in the schema of the table of messages';

CREATE FUNCTION forge_comm.drop_message_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made regprocedure;
BEGIN
  FOR made IN
    SELECT p.oid
      FROM pg_proc AS p
     WHERE p.pronamespace = to_regnamespace(quote_ident(shape.schema)) AND starts_with(p.proname::text, shape.prefix)
       AND right(obj_description(p.oid, 'pg_proc'), length(forge_comm.message_function_comment('', shape.prefix)))
           = forge_comm.message_function_comment('', shape.prefix)
  LOOP
    EXECUTE format('DROP FUNCTION %s', made);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_message_functions(forge_comm.message_shape) IS
  'Drop what create_message_function() made for a table';
