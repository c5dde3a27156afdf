-- Full-text search of messages under row security, by an index.

-- ----------------------------------------------------------------- the index

-- LEAKPROOF, so that the index may be asked before the policies: what these
-- functions do with a row shows in nothing but their result, whatever the row.
-- See search_index.c.
CREATE FUNCTION forge_comm.search_vector(config regconfig, body text)
RETURNS tsvector
AS 'MODULE_PATHNAME', 'forge_comm_search_vector'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE COST 100;
COMMENT ON FUNCTION forge_comm.search_vector(regconfig, text) IS
  'The words of a message, as search has them';

CREATE FUNCTION forge_comm.search_places(created_at timestamptz, workspace bigint, channel bigint, author bigint)
RETURNS bigint[]
AS 'MODULE_PATHNAME', 'forge_comm_search_places'
LANGUAGE c IMMUTABLE LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.search_places(timestamptz, bigint, bigint, bigint) IS
  'When and where a message was written, and by whom, as search has it';

CREATE FUNCTION forge_comm.search_places(created_at timestamp, workspace bigint, channel bigint, author bigint)
RETURNS bigint[]
AS 'MODULE_PATHNAME', 'forge_comm_search_places'
LANGUAGE c IMMUTABLE LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.search_places(timestamp, bigint, bigint, bigint) IS
  'When and where a message was written, and by whom, as search has it';

-- PARALLEL UNSAFE: who may ask is not known to other processes.
CREATE FUNCTION forge_comm.search_matches(words tsvector, query tsquery)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_search_matches'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL UNSAFE COST 2;
COMMENT ON FUNCTION forge_comm.search_matches(tsvector, tsquery) IS
  'Has a message these words?  For search functions only';

CREATE FUNCTION forge_comm.in_places(places bigint[], wanted bigint[])
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_places'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL UNSAFE COST 2;
COMMENT ON FUNCTION forge_comm.in_places(bigint[], bigint[]) IS
  'Was a message written in one of these places, and then?  For search functions only';

CREATE FUNCTION forge_comm.search_selectivity(internal, oid, internal, integer)
RETURNS double precision
AS 'MODULE_PATHNAME', 'forge_comm_search_selectivity'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.search_selectivity(internal, oid, internal, integer) IS
  'Estimator of search: few rows';

CREATE OPERATOR forge_comm.@@ (
  LEFTARG = tsvector, RIGHTARG = tsquery, FUNCTION = forge_comm.search_matches,
  RESTRICT = forge_comm.search_selectivity
);
COMMENT ON OPERATOR forge_comm.@@ (tsvector, tsquery) IS 'Has a message these words?';

CREATE OPERATOR forge_comm.<@ (
  LEFTARG = bigint[], RIGHTARG = bigint[], FUNCTION = forge_comm.in_places,
  RESTRICT = forge_comm.search_selectivity
);
COMMENT ON OPERATOR forge_comm.<@ (bigint[], bigint[]) IS 'Was a message written there and then?';

CREATE FUNCTION forge_comm.search_extract_query(tsquery, internal, smallint, internal, internal, internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'forge_comm_search_extract_query'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.search_extract_query(tsquery, internal, smallint, internal, internal, internal, internal) IS
  'Support function of the index of search';

CREATE FUNCTION forge_comm.places_extract_value(bigint[], internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'forge_comm_places_extract_value'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.places_extract_value(bigint[], internal) IS
  'Support function of the index of search';

CREATE FUNCTION forge_comm.places_extract_query(bigint[], internal, smallint, internal, internal, internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'forge_comm_places_extract_query'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.places_extract_query(bigint[], internal, smallint, internal, internal, internal, internal) IS
  'Support function of the index of search';

CREATE FUNCTION forge_comm.places_compare_partial(bytea, bytea, smallint, internal)
RETURNS integer
AS 'MODULE_PATHNAME', 'forge_comm_places_compare_partial'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.places_compare_partial(bytea, bytea, smallint, internal) IS
  'Support function of the index of search';

CREATE FUNCTION forge_comm.places_consistent(internal, smallint, bigint[], integer, internal, internal, internal, internal)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_places_consistent'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.places_consistent(internal, smallint, bigint[], integer, internal, internal, internal, internal) IS
  'Support function of the index of search';

CREATE FUNCTION forge_comm.places_tri_consistent(internal, smallint, bigint[], integer, internal, internal, internal)
RETURNS "char"
AS 'MODULE_PATHNAME', 'forge_comm_places_tri_consistent'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.places_tri_consistent(internal, smallint, bigint[], integer, internal, internal, internal) IS
  'Support function of the index of search';

CREATE OPERATOR CLASS forge_comm.search_words_ops
FOR TYPE tsvector USING gin AS
  OPERATOR 1 forge_comm.@@ (tsvector, tsquery),
  FUNCTION 1 gin_cmp_tslexeme(text, text),
  FUNCTION 2 gin_extract_tsvector(tsvector, internal, internal),
  FUNCTION 3 forge_comm.search_extract_query(tsquery, internal, smallint, internal, internal, internal, internal),
  FUNCTION 4 gin_tsquery_consistent(internal, smallint, tsvector, integer, internal, internal, internal, internal),
  FUNCTION 5 gin_cmp_prefix(text, text, smallint, internal),
  FUNCTION 6 gin_tsquery_triconsistent(internal, smallint, tsvector, integer, internal, internal, internal),
  STORAGE text;
COMMENT ON OPERATOR CLASS forge_comm.search_words_ops USING gin IS
  'The words of messages, for search functions only';
COMMENT ON OPERATOR FAMILY forge_comm.search_words_ops USING gin IS
  'The words of messages, for search functions only';

CREATE OPERATOR CLASS forge_comm.search_places_ops
FOR TYPE bigint[] USING gin AS
  OPERATOR 1 forge_comm.<@ (bigint[], bigint[]),
  FUNCTION 1 byteacmp(bytea, bytea),
  FUNCTION 2 forge_comm.places_extract_value(bigint[], internal),
  FUNCTION 3 forge_comm.places_extract_query(bigint[], internal, smallint, internal, internal, internal, internal),
  FUNCTION 4 forge_comm.places_consistent(internal, smallint, bigint[], integer, internal, internal, internal, internal),
  FUNCTION 5 forge_comm.places_compare_partial(bytea, bytea, smallint, internal),
  FUNCTION 6 forge_comm.places_tri_consistent(internal, smallint, bigint[], integer, internal, internal, internal),
  STORAGE bytea;
COMMENT ON OPERATOR CLASS forge_comm.search_places_ops USING gin IS
  'Where and when messages were written, for search functions only';
COMMENT ON OPERATOR FAMILY forge_comm.search_places_ops USING gin IS
  'Where and when messages were written, for search functions only';

-- ----------------------------------------------------------------- searching

-- PARALLEL RESTRICTED, since it runs queries.
CREATE FUNCTION forge_comm.search_rows(type anyelement, query text, channel_ids bigint[], author_id bigint,
                                       before text, "limit" integer,
                                       OUT message anyelement, OUT highlight text, OUT cursor text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'forge_comm_search_rows'
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 50;
COMMENT ON FUNCTION forge_comm.search_rows(anyelement, text, bigint[], bigint, text, integer) IS
  'The messages with some words that the caller may see, newest first';

-- --------------------------------------------------------- enabling, disabling

CREATE FUNCTION forge_comm.search_index(rel regclass)
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.indexrelid::regclass
    FROM pg_index AS i
    JOIN pg_opclass AS o ON o.oid = i.indclass[1] AND o.opcname = 'search_words_ops'
    JOIN pg_namespace AS n ON n.oid = o.opcnamespace AND n.nspname = 'forge_comm'
   WHERE i.indrelid = rel AND i.indisvalid
   ORDER BY i.indexrelid
   LIMIT 1
$$;
COMMENT ON FUNCTION forge_comm.search_index(regclass) IS
  'The index of search on a table, null if search is not enabled';

CREATE FUNCTION forge_comm.search_index_definition(shape forge_comm.message_shape, config regconfig)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('USING gin (forge_comm.search_places(%I, %s, %I, %s) forge_comm.search_places_ops, '
                'forge_comm.search_vector(%L::pg_catalog.regconfig, %I) forge_comm.search_words_ops)%s',
                (shape).created_at, coalesce(quote_ident((shape).workspace), '0'), (shape).channel,
                coalesce(quote_ident((shape).author), 'NULL'), config, (shape).body,
                CASE WHEN (shape).deleted_at IS NOT NULL THEN format(' WHERE %I IS NULL', (shape).deleted_at) END)
$$;
COMMENT ON FUNCTION forge_comm.search_index_definition(forge_comm.message_shape, regconfig) IS
  'What the index of search is on';

CREATE FUNCTION forge_comm.settle_search_index(index regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_settle_search_index'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.settle_search_index(regclass) IS
  'Let this session notice that ANALYZE is to collect nothing of the index';

-- No statistics are kept of the index: they would hold words of all workspaces,
-- which the table's owner could read, whatever the policies say.
CREATE FUNCTION forge_comm.stop_search_statistics(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kept record;
BEGIN
  FOR kept IN
    SELECT a.attrelid::regclass AS index, a.attnum
      FROM pg_attribute AS a
      JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'i'
     WHERE a.attrelid = forge_comm.search_index(rel) AND a.attstattarget IS DISTINCT FROM 0
  LOOP
    EXECUTE format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0', kept.index, kept.attnum);
    PERFORM forge_comm.clear_statistics(kept.index, kept.attnum);
    PERFORM forge_comm.settle_search_index(kept.index);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.stop_search_statistics(regclass) IS
  'Let ANALYZE collect nothing of the index of search';

CREATE FUNCTION forge_comm.create_search_index(shape forge_comm.message_shape, config regconfig)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  index name := forge_comm.object_name((SELECT c.relname FROM pg_class AS c WHERE c.oid = shape.rel), '_search_idx');
BEGIN
  EXECUTE format('CREATE INDEX %I ON %s %s', index, shape.rel, forge_comm.search_index_definition(shape, config));
  PERFORM forge_comm.stop_search_statistics(f.member) FROM forge_comm.family(shape.rel) AS f;
  EXECUTE format('COMMENT ON INDEX %I.%I IS %L', shape.schema, index, forge_comm.index_comment('search'));
END
$$;
COMMENT ON FUNCTION forge_comm.create_search_index(forge_comm.message_shape, regconfig) IS
  'Make the index of search';

CREATE FUNCTION forge_comm.search_description()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'Messages with some words, newest first' $$;
COMMENT ON FUNCTION forge_comm.search_description() IS
  'What is said of search_messages()';

CREATE FUNCTION forge_comm.enable_search(rel regclass, config regconfig DEFAULT 'pg_catalog.simple')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shape forge_comm.message_shape;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF config IS NULL THEN
    RAISE EXCEPTION 'the argument "config" must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass a text search configuration, such as ''simple'' or ''english''.';
  END IF;
  shape := forge_comm.message_shape(rel);
  PERFORM forge_comm.check_column(rel, shape.body, '{text,varchar,bpchar}');
  IF forge_comm.search_index(rel) IS NOT NULL THEN
    RAISE NOTICE 'search is enabled on table % already', rel;
    RETURN;
  END IF;
  PERFORM forge_comm.create_search_index(shape, config);
  PERFORM forge_comm.create_message_function(
    shape, 'search_messages',
    'query text, channel_ids {channel_type}[] DEFAULT NULL, author_id bigint DEFAULT NULL, before text DEFAULT NULL, "limit" integer DEFAULT 50',
    'TABLE (message {rel}, highlight text, cursor text)', 'STABLE PARALLEL RESTRICTED ROWS 50',
    'SELECT s.message, s.highlight, s.cursor FROM forge_comm.search_rows(NULL::{rel}, $1, $2::pg_catalog.int8[], $3, $4, $5) AS s',
    forge_comm.search_description());
END
$$;
COMMENT ON FUNCTION forge_comm.enable_search(regclass, regconfig) IS
  'Make search_messages(), and the index it needs';

CREATE FUNCTION forge_comm.disable_search(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shape forge_comm.message_shape;
  function regprocedure;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.search_index(rel) IS NULL THEN
    RAISE NOTICE 'search is not enabled on table %', rel;
    RETURN;
  END IF;
  shape := forge_comm.message_shape(rel);
  FOR function IN
    SELECT f::regprocedure FROM unnest(forge_comm.functions_named(shape.schema, shape.prefix || 'search_messages')) AS f
     WHERE obj_description(f, 'pg_proc') = forge_comm.message_function_comment(forge_comm.search_description(), shape.prefix)
  LOOP
    EXECUTE format('DROP FUNCTION %s', function);
  END LOOP;
  PERFORM forge_comm.drop_indexes(rel, 'search');
END
$$;
COMMENT ON FUNCTION forge_comm.disable_search(regclass) IS
  'Undo forge_comm.enable_search()';
