\set ECHO none
-- What tests begin with that have a schema of their own, whose name is in
-- :schema: an application, an owner, as whom they go on, and their tools.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA :schema AUTHORIZATION regress_owner;
SET search_path = :schema;
SELECT forge_comm.grant_app('regress_app'), forge_comm.grant_app('regress_owner'), forge_comm.grant_owner('regress_owner') \g /dev/null
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner, regress_app;

SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA :schema TO PUBLIC;

-- All that a client is told of an error
CREATE FUNCTION diagnostics(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
  table_ text;
  column_ text;
  constraint_ text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    table_ = TABLE_NAME, column_ = COLUMN_NAME, constraint_ = CONSTRAINT_NAME;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''),
                   'at: ' || nullif(concat_ws(' ', nullif(table_, ''), nullif(column_, ''), nullif(constraint_, '')), ''));
END $$;

-- What there is in the catalogue about the schema
CREATE VIEW state AS
SELECT relname, what COLLATE "C" FROM (
  SELECT c.relname, concat_ws(' ', 'rls', c.relrowsecurity, c.relforcerowsecurity) AS what
    FROM pg_class AS c WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT tablename, concat_ws(' ', 'policy', policyname, lower(permissive), cmd, qual, with_check)
    FROM pg_policies WHERE schemaname = :'schema'
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'trigger', regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER ', ''))
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
   WHERE c.relnamespace = :'schema'::regnamespace AND NOT t.tgisinternal
  UNION ALL
  SELECT c.relname, concat_ws(' ', 'index', i.indexrelid::regclass)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
   WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT c.relname,
         concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END)
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
   WHERE c.relnamespace = :'schema'::regnamespace AND c.relkind IN ('r', 'p')
     AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  -- those that enabling has made have a comment
  SELECT '(function)', pg_get_functiondef(p.oid) || obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p
   WHERE p.pronamespace = :'schema'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NOT NULL
) AS s (relname, what);
\set ECHO all
