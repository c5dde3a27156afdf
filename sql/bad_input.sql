-- What nobody should ask for: a clear error each, and nothing half done.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_owner, regress_other;
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA regress_bad AUTHORIZATION regress_owner;
SET search_path = regress_bad;
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
GRANT USAGE ON FOREIGN SERVER regress_server TO regress_owner;
CREATE TABLE elsewhere (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int, created_at timestamptz);
ALTER TABLE elsewhere OWNER TO regress_other;
SET SESSION AUTHORIZATION regress_owner;

-- How a statement is refused; if it is not, it is undone all the same
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE statement;
  RAISE 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE TABLE good (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int,
  word text,
  flag boolean,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  doubled int GENERATED ALWAYS AS (id * 2) STORED
);
CREATE VIEW a_view AS SELECT * FROM good;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM good;
CREATE SEQUENCE a_sequence;
CREATE INDEX an_index ON good (word);
CREATE TYPE a_type AS (id int);
CREATE FOREIGN TABLE a_foreign (id int, workspace_id int) SERVER regress_server;
CREATE TEMPORARY TABLE a_temp (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int, created_at timestamptz);
CREATE TABLE parted (id int, workspace_id int NOT NULL, channel_id int, created_at timestamptz) PARTITION BY LIST (id);
CREATE TABLE a_partition PARTITION OF parted FOR VALUES IN (1);
CREATE UNLOGGED TABLE unlogged (id int, workspace_id int NOT NULL);

-- What is in the schema, to see that nothing changes
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
  SELECT md5(string_agg(what, E'\n' ORDER BY what COLLATE "C")) FROM (
    SELECT format('%s %s %s %s', relname, relkind, relrowsecurity, relforcerowsecurity) FROM pg_class WHERE relnamespace = 'regress_bad'::regnamespace
    UNION ALL
    SELECT format('%s %s %s', attrelid::regclass, attname, attnotnull) FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
     WHERE relnamespace = 'regress_bad'::regnamespace AND attnum > 0
    UNION ALL
    SELECT format('%s %s', tgrelid::regclass, tgname) FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid WHERE relnamespace = 'regress_bad'::regnamespace AND NOT tgisinternal
    UNION ALL
    SELECT format('%s %s', polrelid::regclass, polname) FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid WHERE relnamespace = 'regress_bad'::regnamespace
    UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'regress_bad'::regnamespace
  ) AS s (what)
$$;
SELECT state() AS before \gset

-- ------------------------------------------------------------ what is no table

-- One answer of every verb
CREATE TEMPORARY TABLE verbs (call text);
INSERT INTO verbs VALUES ('enable_tenancy'), ('enable_timestamps'), ('enable_soft_delete'), ('enable_messages'),
  ('disable_tenancy'), ('disable_timestamps'), ('disable_soft_delete'), ('disable_messages');
CREATE FUNCTION pg_temp.answers(target text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT string_agg(call, ' ' ORDER BY call) || E'\n  ' || answer
    FROM (SELECT call, refused(format('SELECT forge_comm.%s(%s)', call, target)) AS answer FROM verbs) AS s
   GROUP BY answer ORDER BY answer COLLATE "C"
$$;
SELECT pg_temp.answers('NULL');
SELECT pg_temp.answers('0');
SELECT pg_temp.answers('2147483647');
SELECT pg_temp.answers('''nothing''');
SELECT pg_temp.answers('''a_view''');
SELECT pg_temp.answers('''a_matview''');
SELECT pg_temp.answers('''a_sequence''');
SELECT pg_temp.answers('''an_index''');
SELECT pg_temp.answers('''a_type''');
SELECT pg_temp.answers('''a_foreign''');
SELECT pg_temp.answers('''a_temp''');
SELECT pg_temp.answers('''a_partition''');
SELECT pg_temp.answers('''elsewhere''');
SELECT pg_temp.answers('''pg_class''');
SELECT pg_temp.answers('''information_schema.sql_features''');
SELECT pg_temp.answers('''forge_comm.settings''');
RESET SESSION AUTHORIZATION;
SELECT pg_temp.answers('''pg_class''');
SELECT pg_temp.answers('''forge_comm.settings''');
SELECT pg_temp.answers((SELECT reltoastrelid::text FROM pg_class WHERE oid = 'good'::regclass)) ~ 'is a system table';
SET SESSION AUTHORIZATION regress_owner;

-- ----------------------------------------------------------------- tenancy

SELECT refused('SELECT forge_comm.enable_tenancy(''good'', NULL)');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', ''nowhere'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', ''ctid'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', ''word'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', ''doubled'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', via => ''nowhere'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', via => ''channel_id'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''good'', ''word'', via => ''channel_id'')');
-- Rows without a workspace, and no way to tell it
CREATE TABLE loose (id int PRIMARY KEY, workspace_id int, up int REFERENCES loose);
INSERT INTO loose VALUES (1);
SELECT refused('SELECT forge_comm.enable_tenancy(''loose'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''loose'', via => ''up'')');
-- A parent that is not under tenancy, and a cycle of two
CREATE TABLE hen (id int PRIMARY KEY, egg int);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg;
SELECT refused('SELECT forge_comm.enable_tenancy(''egg'', via => ''hen'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''hen'', via => ''egg'')');
-- One of a cycle must know by itself; and one cannot then be taken away
ALTER TABLE hen ADD COLUMN workspace_id int NOT NULL;
SELECT forge_comm.enable_tenancy('hen');
SELECT forge_comm.enable_tenancy('egg', via => 'hen');
SELECT refused('SELECT forge_comm.enable_tenancy(''hen'', via => ''egg'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''egg'')');
SELECT refused('SELECT forge_comm.enable_tenancy(''egg'', ''id'', via => ''hen'')');
SELECT refused('SELECT forge_comm.disable_tenancy(''hen'')');
SELECT forge_comm.disable_tenancy('egg', true);
SELECT forge_comm.disable_tenancy('hen');
DROP TABLE hen, egg, loose;
-- A parent that is still to be filled, or belongs to somebody else
CREATE TABLE tops (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE mids (id int PRIMARY KEY, top int REFERENCES tops);
CREATE TABLE lows (id int PRIMARY KEY, mid int REFERENCES mids);
INSERT INTO tops VALUES (1, 1);
INSERT INTO mids VALUES (1, 1);
SELECT forge_comm.enable_tenancy('tops');
SET client_min_messages = notice;
SELECT forge_comm.enable_tenancy('mids', via => 'top');
SET client_min_messages = warning;
SELECT refused('SELECT forge_comm.enable_tenancy(''lows'', via => ''mid'')');
CALL forge_comm.backfill('mids');
RESET SESSION AUTHORIZATION;
ALTER TABLE mids OWNER TO regress_other;
SET SESSION AUTHORIZATION regress_owner;
SELECT refused('SELECT forge_comm.enable_tenancy(''lows'', via => ''mid'')');
RESET SESSION AUTHORIZATION;
DROP TABLE lows, mids, tops;
SET SESSION AUTHORIZATION regress_owner;

-- ---------------------------------------------------------------- backfill

SELECT refused('CALL forge_comm.backfill(''good'')');
BEGIN;
CALL forge_comm.backfill('good');
\echo :SQLSTATE
ROLLBACK;
CALL forge_comm.backfill('good');
\echo :SQLSTATE
CALL forge_comm.backfill('good', 0);
\echo :SQLSTATE
CALL forge_comm.backfill('good', -1);
\echo :SQLSTATE
CALL forge_comm.backfill('good', NULL);
\echo :SQLSTATE
CALL forge_comm.backfill(NULL);
\echo :SQLSTATE
CALL forge_comm.backfill('a_view');
\echo :SQLSTATE
CALL forge_comm.backfill('elsewhere');
\echo :SQLSTATE
SHOW search_path;

-- --------------------------------------------------------------- timestamps

SELECT refused('SELECT forge_comm.enable_timestamps(''good'', NULL, NULL)');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', ''word'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', updated_at => ''id'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', created_by => ''word'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', updated_by => ''flag'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', created_at => ''ctid'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', created_at => '''')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', ignore => ''{nowhere}'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', ignore => ''{word,NULL}'')');
-- generated, or one column for two purposes
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', updated_by => ''doubled'')');
SELECT refused('SELECT forge_comm.enable_timestamps(''good'', updated_at => ''created_at'')');
SELECT forge_comm.enable_timestamps('good', updated_at => NULL, ignore => NULL);
SELECT refused('SELECT forge_comm.enable_timestamps(''good'')');
SELECT forge_comm.disable_timestamps('good', NULL);

-- -------------------------------------------------------------- soft delete

SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', NULL)');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', ''word'')');
-- NOT NULL, or generated
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', ''created_at'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', deleted_by => ''doubled'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', deleted_by => ''word'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', is_active => ''word'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', is_active => ''nowhere'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', view => ''a_view'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', view => ''good'')');
SELECT forge_comm.enable_soft_delete('good');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', is_active => ''flag'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''good'', view => '''')');
SELECT forge_comm.disable_soft_delete('good');

-- ----------------------------------------------------------------- messages

CREATE TABLE keyless (channel_id int, created_at timestamptz);
CREATE TABLE two_keys (a int, b int, channel_id int, created_at timestamptz, PRIMARY KEY (a, b));
SELECT refused('SELECT forge_comm.enable_messages(''keyless'')');
SELECT refused('SELECT forge_comm.enable_messages(''two_keys'')');
DROP TABLE keyless, two_keys;
SELECT refused('SELECT forge_comm.enable_messages(''good'', ''nowhere'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', NULL)');
SELECT refused('SELECT forge_comm.enable_messages(''good'', ''word'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', created_at => ''word'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', created_at => NULL)');
SELECT refused('SELECT forge_comm.enable_messages(''good'', deleted_at => ''word'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', prefix => NULL)');
SELECT refused('SELECT forge_comm.enable_messages(''good'', author => ''word'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', parent => ''nowhere'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', markers => ''good'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', markers => ''good'', marker => ''id'')');
SELECT refused('SELECT forge_comm.enable_messages(''good'', reactions => ''good'', emoji => ''id'')');
CREATE FUNCTION get_messages(int, int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT refused('SELECT forge_comm.enable_messages(''good'')');
DROP FUNCTION get_messages;
SELECT forge_comm.enable_messages('good');
SELECT refused('SELECT forge_comm.enable_messages(''good'', deleted_at => ''deleted_at'')');
SELECT refused('SELECT get_messages(1, 0)');
SELECT refused('SELECT get_messages(1, -1)');
SELECT refused('SELECT get_messages(1, NULL)');
SELECT refused('SELECT get_messages(1, 1, 0)');
SELECT refused('SELECT get_messages(1, 1, -1)');
SELECT refused('SELECT get_messages(1, 1, 101)');
SELECT refused('SELECT get_messages(1, 1, NULL)');
SELECT count(*) FROM get_messages(1, 2147483647, 100);
SELECT count(*) FROM get_messages(1, 1, 100);
SELECT count(*) FROM get_messages(999);
SELECT count(*) FROM get_messages(NULL);
SELECT forge_comm.disable_messages('good');

-- -------------------------------------------------------------- chat schema

SELECT refused('SELECT forge_comm.create_chat_schema(NULL)');
SELECT refused('SELECT forge_comm.create_chat_schema('''')');
SELECT refused('SELECT forge_comm.create_chat_schema(''regress_bad'')');
SELECT refused('SELECT forge_comm.create_chat_schema(''regress_new'')') ~ '^42501 permission denied for database';
RESET SESSION AUTHORIZATION;
SELECT refused('SELECT forge_comm.create_chat_schema(''pg_chat'')');
SELECT refused('SELECT forge_comm.grant_app(NULL)');
SELECT refused('SELECT forge_comm.grant_app(''regress_nobody'')');
SELECT refused('SELECT forge_comm.grant_owner(NULL)');
SELECT refused('SELECT forge_comm.revoke_app(NULL)');
SELECT refused('SELECT forge_comm.revoke_owner(NULL)');
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.rules(NULL);
SELECT refused('SELECT forge_comm.rules(''nothing'')');
SELECT * FROM forge_comm.rules('a_view');

-- ------------------------------------------- triggers that nobody should make

SELECT refused('CREATE TRIGGER t BEFORE INSERT ON good FOR EACH ROW EXECUTE FUNCTION forge_comm.tenancy_guard();
                INSERT INTO good VALUES (1, 1)');
SELECT refused('CREATE TRIGGER forge_comm_tenancy AFTER INSERT ON good FOR EACH ROW EXECUTE FUNCTION forge_comm.tenancy_guard(''workspace_column=workspace_id'');
                INSERT INTO good VALUES (1, 1)');
SELECT refused('CREATE TRIGGER forge_comm_timestamps BEFORE UPDATE ON good FOR EACH STATEMENT EXECUTE FUNCTION forge_comm.timestamps_stamp();
                UPDATE good SET word = NULL');
SELECT refused('CREATE TRIGGER t BEFORE INSERT ON good FOR EACH ROW EXECUTE FUNCTION forge_comm.timestamps_stamp();
                INSERT INTO good VALUES (1, 1)');
SELECT refused('SELECT forge_comm.tenancy_guard()');

-- ------------------------------------------------------------- nothing half done

SELECT state() = :'before';

-- --------------------------------------------------------- names of all kinds

RESET SESSION AUTHORIZATION;
CREATE SCHEMA "Regress ""bad"" 'Names'" AUTHORIZATION regress_owner;
SET SESSION AUTHORIZATION regress_owner;

SET search_path = "Regress ""bad"" 'Names'", regress_bad;
CREATE TABLE "Work % Spaces" ("The ""Id""" int PRIMARY KEY);
CREATE TABLE "channels '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," ("ID" int PRIMARY KEY, "Work = Space" int NOT NULL);
CREATE TABLE "messages '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," (
  "select" int PRIMARY KEY,
  "the channel's" int NOT NULL REFERENCES "channels '{and}' $1 = \ as long as a name can be: 63 bytes,,,,,",
  "a,b{}""\=" text,
  "Is Active" boolean
);
SELECT octet_length(relname) FROM pg_class WHERE oid IN
  ('"channels ''{and}'' $1 = \ as long as a name can be: 63 bytes,,,,,"'::regclass, '"messages ''{and}'' $1 = \ as long as a name can be: 63 bytes,,,,,"'::regclass);
\set messages '\'"messages \'\'{and}\'\' $1 = \\ as long as a name can be: 63 bytes,,,,,"\''
\set channels '\'"channels \'\'{and}\'\' $1 = \\ as long as a name can be: 63 bytes,,,,,"\''
SELECT forge_comm.enable_tenancy('"Work % Spaces"', 'The "Id"');
SELECT forge_comm.enable_tenancy(:channels, 'Work = Space');
SELECT forge_comm.enable_tenancy(:messages, 'It''s "Work"', via => 'the channel''s');
SELECT forge_comm.enable_timestamps(:messages, 'When (%)', 'Then $$', 'Who "made"', 'Who''s changed', ignore => ARRAY['a,b{}"\=']);
SELECT forge_comm.enable_soft_delete(:messages, 'Gone?', 'Gone; by', 'Is Active');
SELECT forge_comm.enable_messages(:messages, 'the channel''s', 'When (%)', prefix => 'Get ''em {"all"} ');
SELECT * FROM forge_comm.rules(:messages) ORDER BY capability COLLATE "C";
-- names that would be too long are cut, and differ
SELECT relname, octet_length(relname) FROM pg_class
 WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = CURRENT_SCHEMA) AND relkind IN ('v', 'i') AND relname !~ 'pkey$' ORDER BY 1;
BEGIN;
SELECT forge_comm.set_context(7, 1);
INSERT INTO "channels '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," VALUES (1);
INSERT INTO "messages '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," VALUES (1, 1, 'one'), (2, 1, 'two') RETURNING "select", "It's ""Work""";
UPDATE "messages '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," SET "a,b{}""\=" = 'changed', "Who's changed" = 9 WHERE "select" = 1
  RETURNING "a,b{}""\=", "Who ""made""", "Who's changed";
\set QUIET off
DELETE FROM "messages '{and}' $1 = \ as long as a name can be: 63 bytes,,,,," WHERE "select" = 1;
\set QUIET on
SELECT "select", "a,b{}""\=" FROM "Get 'em {""all""} get_messages"(1);
SELECT forge_comm.restore(:messages, 1);
SELECT count(*) FROM "Get 'em {""all""} get_messages"(1);
COMMIT;
SELECT forge_comm.disable_messages(:messages);
SELECT forge_comm.disable_soft_delete(:messages, true);
SELECT forge_comm.disable_timestamps(:messages, true);
SELECT forge_comm.disable_tenancy(:messages, true);
SELECT forge_comm.disable_tenancy(:channels);
SELECT forge_comm.disable_tenancy('"Work % Spaces"');
SELECT attname FROM pg_attribute WHERE attrelid = :messages::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = CURRENT_SCHEMA) AND NOT t.tgisinternal;
SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = CURRENT_SCHEMA) AND relkind IN ('v', 'i') ORDER BY 1;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_bad, "Regress ""bad"" 'Names'" CASCADE;
DROP FOREIGN DATA WRAPPER regress_fdw CASCADE;
DROP OWNED BY regress_owner, regress_other;
DROP ROLE regress_owner, regress_other;
