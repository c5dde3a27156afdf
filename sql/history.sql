-- History: what is logged, who reads it, and what is rebuilt from it
\set SHOW_CONTEXT never
\pset null (null)
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE ROLE regress_owner;
CREATE ROLE regress_app;
CREATE SCHEMA history AUTHORIZATION regress_owner;
SELECT forge_comm.grant_owner('regress_owner') \g /dev/null
SELECT forge_comm.grant_app('regress_owner') \g /dev/null
SELECT forge_comm.grant_app('regress_app') \g /dev/null
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner, regress_app;
GRANT USAGE ON SCHEMA history TO regress_app;
SET search_path = history, public;

-- The story of a statement: what differs from run to run left out
CREATE FUNCTION public.told(since bigint DEFAULT 0)
RETURNS TABLE (id bigint, ws bigint, tab text, key jsonb, action text, usr bigint, role text, reason text, old jsonb, new jsonb)
LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
  SELECT l.id, l.workspace_id, l.table_schema || '.' || l.table_name, l.key, l.action, l.user_id, l.role, l.service_reason, l.old, l.new
    FROM history.audit_log AS l WHERE l.id > since ORDER BY l.id;
END
$$;

SET ROLE regress_owner;
CREATE TABLE notes (
  id bigint PRIMARY KEY,
  workspace_id int,
  body text,
  size int GENERATED ALWAYS AS (length(body)) STORED,
  seen timestamptz
);

-- Enabling
SELECT forge_comm.enable_history('notes', ignore => '{seen}');
SELECT forge_comm.enable_history('notes', ignore => '{seen}');
SELECT forge_comm.enable_history('notes');
SELECT forge_comm.enable_history(NULL);
SELECT forge_comm.enable_history('audit_log');
SELECT forge_comm.enable_history('notes', log => NULL);
CREATE TABLE keyless (a int);
SELECT forge_comm.enable_history('keyless');
CREATE TABLE keyed (a int PRIMARY KEY, b int);
SELECT forge_comm.enable_history('keyed', ignore => '{c}');
SELECT forge_comm.enable_history('keyed', ignore => '{a}');
SELECT forge_comm.enable_history('keyed', log => 'notes');
CREATE VIEW seen AS SELECT * FROM notes;
SELECT forge_comm.enable_history('seen');
DROP VIEW seen;
SELECT options - 'table_id' AS options FROM forge_comm.rules('notes') WHERE capability = 'history';

-- What is logged: inserts, changes of columns, deletes; neither a no-op nor
-- the change of an ignored column alone
INSERT INTO notes (id, workspace_id, body) VALUES (1, 10, 'one'), (2, 10, 'two'), (3, NULL, NULL);
UPDATE notes SET body = body || '!' WHERE id < 3;
UPDATE notes SET body = body;
UPDATE notes SET seen = 'epoch';
UPDATE notes SET body = 'seen, too', seen = 'epoch'::timestamptz + '1 day' WHERE id = 3;
UPDATE notes SET body = NULL WHERE id = 3;
DELETE FROM notes WHERE id = 2;
INSERT INTO notes (id, workspace_id, body) VALUES (1, 10, 'again') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
INSERT INTO notes (id, workspace_id, body) VALUES (1, 10, 'again') ON CONFLICT DO NOTHING;
MERGE INTO notes AS n USING (VALUES (1, 'merged'), (4, 'new')) AS v (id, body) ON n.id = v.id
  WHEN MATCHED THEN UPDATE SET body = v.body WHEN NOT MATCHED THEN INSERT (id, body) VALUES (v.id, v.body);
COPY notes (id, body) FROM stdin;
5	copied
\.
RESET ROLE;
SELECT * FROM told();
SELECT count(*) AS lines, count(DISTINCT table_id) AS tables, bool_and(changed_at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS timely,
       bool_and(transaction_id <= pg_current_xact_id()) AS numbered
  FROM audit_log;

-- What is undone leaves no line, be it in part
SELECT max(id) AS since FROM audit_log \gset
SET ROLE regress_owner;
BEGIN;
INSERT INTO notes VALUES (6, 10, 'kept');
SAVEPOINT s;
INSERT INTO notes VALUES (7, 10, 'undone');
ROLLBACK TO s;
UPDATE notes SET body = 'kept!' WHERE id = 6;
COMMIT;
BEGIN; DELETE FROM notes; ROLLBACK;
RESET ROLE;
SELECT action, key, old, new FROM told(:since);

-- TRUNCATE is one line
SELECT max(id) AS since FROM audit_log \gset
TRUNCATE notes;
SELECT * FROM told(:since);

-- Columns that come, go, and get other names in mid-session
SELECT max(id) AS since FROM audit_log \gset
SET ROLE regress_owner;
INSERT INTO notes VALUES (1, 10, 'one');
ALTER TABLE notes ADD COLUMN stars int DEFAULT 3;
UPDATE notes SET stars = 4;
ALTER TABLE notes RENAME COLUMN body TO content;
UPDATE notes SET content = 'two';
ALTER TABLE notes DROP COLUMN workspace_id;
UPDATE notes SET content = 'three', stars = NULL;
ALTER TABLE notes ALTER COLUMN stars TYPE text USING 'many';
UPDATE notes SET stars = 'few';
ALTER TABLE notes RENAME TO papers;
UPDATE papers SET stars = 'none';
ALTER TABLE papers DROP COLUMN seen;
UPDATE papers SET stars = 'all';
RESET ROLE;
ALTER SCHEMA history RENAME TO archive;
UPDATE archive.papers SET stars = 'refused';
ALTER SCHEMA archive RENAME TO history;
SET ROLE regress_owner;
ALTER TABLE papers RENAME TO notes;
UPDATE notes SET stars = 'back';
SELECT forge_comm.disable_history('notes');
SELECT forge_comm.enable_history('notes');
DELETE FROM notes;
RESET ROLE;
SELECT tab, action, old, new FROM told(:since);
SELECT count(DISTINCT table_id) AS "still one" FROM audit_log WHERE table_name IN ('notes', 'papers');

-- The log is there, or the change is refused
ALTER TABLE audit_log RENAME TO log;
INSERT INTO notes (id) VALUES (1);
ALTER TABLE log RENAME TO audit_log;
ALTER TABLE audit_log OWNER TO regress_app;
INSERT INTO notes (id) VALUES (1);
ALTER TABLE audit_log OWNER TO regress_owner;
INSERT INTO notes (id) VALUES (1);

-- Soft delete, restore, and a purge
SET ROLE regress_owner;
CREATE TABLE soft (id int PRIMARY KEY, body text);
SELECT forge_comm.enable_soft_delete('soft') \g /dev/null
SELECT forge_comm.enable_history('soft', ignore => '{deleted_at}') \g /dev/null
INSERT INTO soft VALUES (1, 'one');
RESET ROLE;
SELECT max(id) AS since FROM audit_log \gset
DELETE FROM soft;
SELECT forge_comm.restore('soft', 1);
UPDATE soft SET body = 'two';
SELECT action, old ? 'deleted_at' AS old, new ? 'deleted_at' AS new, new ->> 'body' AS body FROM told(:since);
SET ROLE regress_owner;
SELECT forge_comm.disable_history('soft') \g /dev/null
SELECT forge_comm.enable_history('soft') \g /dev/null
RESET ROLE;
SELECT max(id) AS since FROM audit_log \gset
DELETE FROM soft;
SELECT forge_comm.restore('soft', 1);
SET forge_comm.allow_hard_delete = on;
DELETE FROM soft;
RESET forge_comm.allow_hard_delete;
SELECT action, old ? 'deleted_at' AS old, new ? 'deleted_at' AS new FROM told(:since);

-- What tells rows deleted together
CREATE TABLE grouped (id int PRIMARY KEY);
ALTER TABLE grouped OWNER TO regress_owner;
SELECT forge_comm.enable_soft_delete('grouped', deletion_id => 'deletion_id') \g /dev/null
SELECT forge_comm.enable_history('grouped') \g /dev/null
INSERT INTO grouped VALUES (1);
SELECT max(id) AS since FROM audit_log \gset
DELETE FROM grouped;
SELECT deletion_id AS deletion FROM grouped \gset
SELECT forge_comm.restore('grouped', 1);
SELECT action, deletion_id = :'deletion' AS told FROM audit_log WHERE id > :since ORDER BY id;

-- Types: what is told does not depend on the session's settings
SET ROLE regress_owner;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS varchar(5);
CREATE TABLE types (
  id uuid, at timestamptz, PRIMARY KEY (id, at),
  b boolean, i2 int2, i8 int8, n numeric, nn numeric, f4 float4, f8 float8, d date, ts timestamp, ti time, iv interval,
  t text, v short, c char(3), e mood, p pair, ia int[], ta timestamptz[], j json, jb jsonb, jn jsonb, by bytea, r int4range, tr tstzrange,
  reg regclass, ip inet);
SELECT forge_comm.enable_history('types') \g /dev/null
RESET ROLE;
SELECT max(id) AS since FROM audit_log \gset
SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'; SET extra_float_digits = 0;
INSERT INTO types VALUES (
  '00000000-0000-0000-0000-000000000001', '2026-02-01 00:00Z',
  true, -7, 9223372036854775807, 1.50, 'NaN', 0.1, 1e300, '2026-02-01', 'infinity', '12:34', '1 mon 2 days 03:04',
  E'line\nline', 'short', 'c', 'bad', ROW(1, 'b'), '{1,NULL,3}', '{2026-02-01 00:00Z}', '{"a": "\u0000", "a": 1}', '{"k": [1, {}]}', '[null]', '\xdead', '[1,5)', '[2026-02-01 00:00Z,)',
  'notes', '10.0.0.1/8');
SET timezone = 'UTC'; RESET datestyle; RESET intervalstyle; RESET extra_float_digits;
SELECT key, jsonb_pretty(new) FROM told(:since);
SET search_path = public;
SELECT count(*) FROM history.types AS t,
       forge_comm.row_at(NULL::history.types, '{"id": "00000000-0000-0000-0000-000000000001", "at": "2026-02-01 05:30:00+05:30"}', now()) AS was
 WHERE was::text = (t.*)::text;
SET search_path = history, public;
SELECT count(*) FROM types AS t, forge_comm.row_at(NULL::types, jsonb_build_object('id', t.id, 'at', t.at), clock_timestamp()) AS was
 WHERE was::text = (t.*)::text;
SELECT count(*) FROM forge_comm.history_of('types', '{"id": "00000000-0000-0000-0000-000000000001"}'::jsonb);
SELECT count(*) FROM forge_comm.history_of('types', 'nonsense');
DELETE FROM types;
SELECT was.j, was.ts, was.ia, was.reg, was.nn FROM forge_comm.row_at(NULL::types, jsonb_build_object('id', '00000000-0000-0000-0000-000000000001', 'at', '2026-02-01 00:00Z'),
  (SELECT max(changed_at) - interval '1 us' FROM audit_log)) AS was;

-- Values that are stored out of line and stay as they were are not read
CREATE TABLE big (id int PRIMARY KEY, n int, body text);
ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
ALTER TABLE big OWNER TO regress_owner;
SELECT forge_comm.enable_history('big') \g /dev/null
INSERT INTO big VALUES (1, 1, repeat('x', 100000));
SELECT reltoastrelid AS toast FROM pg_class WHERE oid = 'big'::regclass \gset
SELECT max(id) AS since FROM audit_log \gset
BEGIN;
SELECT coalesce(sum(idx_scan + seq_scan), 0) AS reads FROM pg_stat_xact_all_tables WHERE relid = :toast \gset
UPDATE big SET n = 2;
SELECT sum(idx_scan + seq_scan) - :reads AS reads FROM pg_stat_xact_all_tables WHERE relid = :toast;
UPDATE big SET body = body || 'y';
SELECT sum(idx_scan + seq_scan) > :reads AS reads FROM pg_stat_xact_all_tables WHERE relid = :toast;
COMMIT;
SELECT action, length(old ->> 'body') AS old, length(new ->> 'body') AS new, new -> 'n' AS n FROM told(:since);

-- Partitions: one story, under the name of the partitioned table
SET ROLE regress_owner;
CREATE TABLE parts (id int, region text, body text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
SELECT forge_comm.enable_history('parts') \g /dev/null
CREATE TABLE parts_us (junk int, body text, region text NOT NULL, id int NOT NULL);
ALTER TABLE parts_us DROP COLUMN junk;
ALTER TABLE parts ATTACH PARTITION parts_us FOR VALUES IN ('us');
RESET ROLE;
SELECT max(id) AS since FROM audit_log \gset
INSERT INTO parts VALUES (1, 'eu', 'one'), (2, 'eu', 'two'), (3, 'us', 'three');
UPDATE parts SET region = 'us', body = body || '!' WHERE id < 3;
UPDATE parts_us SET body = 'direct' WHERE id = 3;
DELETE FROM parts WHERE id = 2;
TRUNCATE parts;
SELECT tab, key, action, old, new FROM told(:since);
SELECT action, row_key, old, new FROM forge_comm.history_of('parts', '{"id": 1, "region": "us"}'::jsonb);
SELECT action, row_key FROM forge_comm.history_of('parts', '{"id": 1, "region": "eu"}');

-- A move whose insertion a trigger skips is a deletion; one that is undone is none
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
INSERT INTO parts VALUES (1, 'eu', 'one'), (2, 'eu', 'two');
CREATE TRIGGER skip BEFORE INSERT ON parts_us FOR EACH ROW EXECUTE FUNCTION skip();
SELECT max(id) AS since FROM audit_log \gset
BEGIN;
UPDATE parts SET region = 'us' WHERE id = 1;
INSERT INTO parts VALUES (3, 'eu', 'three');
SAVEPOINT s;
UPDATE parts SET region = 'us' WHERE id = 3;
ROLLBACK TO s;
UPDATE parts SET region = 'us' WHERE id = 2;
COMMIT;
SELECT key, action, old FROM told(:since);
DROP TRIGGER skip ON parts_us;

-- Inheritance children have a story of their own
SET ROLE regress_owner;
CREATE TABLE base (id int PRIMARY KEY, body text);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (base);
SELECT forge_comm.enable_history('base') \g /dev/null
CREATE TABLE later (PRIMARY KEY (id)) INHERITS (base);
RESET ROLE;
SELECT max(id) AS since FROM audit_log \gset
INSERT INTO child VALUES (1, 'child'); INSERT INTO later VALUES (2, 'later');
UPDATE base SET body = 'changed';
SELECT tab, key, action FROM told(:since);

-- A key that changes: the story goes on under the new one
CREATE TABLE renamed (id int PRIMARY KEY, body text);
ALTER TABLE renamed OWNER TO regress_owner;
SELECT forge_comm.enable_history('renamed') \g /dev/null
INSERT INTO renamed VALUES (1, 'one');
UPDATE renamed SET id = 2;
UPDATE renamed SET body = 'two';
UPDATE renamed SET id = 3;
SELECT action, row_key, old, new FROM forge_comm.history_of('renamed', 3);
SELECT action, row_key FROM forge_comm.history_of('renamed', 1);
SELECT r.* FROM generate_series(1, 3) AS id, forge_comm.row_at(NULL::renamed, id, clock_timestamp()) AS r;

-- A column that the key's index only includes is none of the key's
SET ROLE regress_owner;
CREATE TABLE included (id int, label text, PRIMARY KEY (id) INCLUDE (label));
SELECT forge_comm.enable_history('included') \g /dev/null
RESET ROLE;
INSERT INTO included VALUES (1, 'one');
UPDATE included SET label = 'uno' WHERE id = 1;
SELECT action, row_key, old, new FROM forge_comm.history_of('included', 1);
SELECT * FROM forge_comm.row_at(NULL::included, 1, now());
DROP TABLE included;

-- row_at() and revert(): times are those of the lines
CREATE FUNCTION public.at(rel text, n int) RETURNS timestamptz LANGUAGE sql AS
$$ SELECT changed_at FROM history.audit_log WHERE table_name = rel ORDER BY id OFFSET n - 1 LIMIT 1 $$;
CREATE TABLE docs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, "odd ""name" jsonb, raw json, size int GENERATED ALWAYS AS (length(title)) STORED, seen int);
ALTER TABLE docs OWNER TO regress_owner;
SELECT forge_comm.enable_soft_delete('docs') \g /dev/null
SELECT forge_comm.enable_history('docs', ignore => '{seen}') \g /dev/null
INSERT INTO docs (title, "odd ""name", raw, seen) VALUES ('draft', '{"a": 1}', '{"b":  2}', 1);	-- 1
UPDATE docs SET title = 'final', "odd ""name" = NULL, raw = NULL, seen = 2;	-- 2
DELETE FROM docs;	-- 3
SELECT forge_comm.restore('docs', 1);	-- 4
UPDATE docs SET title = 'last';	-- 5
SELECT n, r.* FROM generate_series(1, 5) AS n, forge_comm.row_at(NULL::docs, 1, at('docs', n)) AS r (id, title, odd, raw, size, seen, deleted) WHERE n <> 3;
SELECT count(r.deleted_at) FROM forge_comm.row_at(NULL::docs, 1, at('docs', 3)) AS r;
SELECT count(*) FROM forge_comm.row_at(NULL::docs, 1, at('docs', 1) - interval '1 us');
SELECT forge_comm.revert('docs', 1, at('docs', 1));
SELECT * FROM docs;
SELECT forge_comm.revert('docs', 1, at('docs', 1));
SELECT forge_comm.revert('docs', 1, at('docs', 3));
SELECT deleted_at IS NOT NULL AS deleted, title FROM docs;
SELECT action, old - 'deleted_at' AS old, new - 'deleted_at' AS new FROM forge_comm.history_of('docs', 1);
SELECT forge_comm.revert('docs', 1, at('docs', 1) - interval '1 us');
SELECT forge_comm.revert('docs', 2, now());
SELECT forge_comm.revert('docs', NULL::int, now());
SELECT forge_comm.revert('docs', 1, NULL);
SELECT forge_comm.row_at(NULL::int, 1, now());
SELECT forge_comm.history_of(NULL, 1);
SELECT forge_comm.history_of('keyed', 1);

-- Gone without a line of its own, and come again
CREATE TABLE gone (id int PRIMARY KEY, body text);
ALTER TABLE gone OWNER TO regress_owner;
INSERT INTO gone VALUES (9, 'old');
SELECT forge_comm.enable_history('gone') \g /dev/null
INSERT INTO gone VALUES (1, 'one');	-- 1
UPDATE gone SET body = 'two' WHERE id = 1;	-- 2
UPDATE gone SET body = 'old!' WHERE id = 9;	-- 3
TRUNCATE gone;	-- 4
INSERT INTO gone VALUES (1, 'three');	-- 5
DELETE FROM gone;	-- 6
INSERT INTO gone VALUES (1, 'four');	-- 7
SELECT n, r.body FROM generate_series(1, 7) AS n LEFT JOIN forge_comm.row_at(NULL::gone, 1, at('gone', n)) AS r ON true ORDER BY n;
SELECT forge_comm.row_at(NULL::gone, 9, at('gone', 3));
SELECT forge_comm.row_at(NULL::gone, 9, at('gone', 4));

-- A table made again under the same name has a story of its own
DROP TABLE gone;
CREATE TABLE gone (id int PRIMARY KEY, body text);
ALTER TABLE gone OWNER TO regress_owner;
SELECT forge_comm.enable_history('gone') \g /dev/null
SELECT count(*) FROM forge_comm.history_of('gone', 1);
SELECT count(*) > 0 AS "the old one is still told" FROM audit_log WHERE table_name = 'gone';

-- Secret columns are told to have changed, no more
CREATE TABLE users (id int PRIMARY KEY, name text, password text);
ALTER TABLE users OWNER TO regress_owner;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER forge_comm_secrets BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION nothing('columns={password}');
SELECT forge_comm.enable_history('users') \g /dev/null
INSERT INTO users VALUES (1, 'ann', 'hunter2'), (2, 'bob', NULL);
UPDATE users SET password = 'hunter3' WHERE id = 1;
UPDATE users SET name = 'anna' WHERE id = 1;
DELETE FROM users WHERE id = 2;
SELECT action, key, old, new FROM told() WHERE tab = 'history.users';
SELECT * FROM forge_comm.row_at(NULL::users, 1, at('users', 1));
SELECT forge_comm.revert('users', 1, at('users', 1));
SELECT * FROM users;
DROP TRIGGER forge_comm_secrets ON users;
UPDATE users SET name = 'anne';
SELECT forge_comm.revert('users', 1, at('users', 1));
SELECT * FROM users;

-- Indexes of every kind that one may add to the log are kept, and columns
CREATE TABLE indexed (id int PRIMARY KEY, body text);
ALTER TABLE indexed OWNER TO regress_owner;
SELECT forge_comm.enable_history('indexed') \g /dev/null
INSERT INTO indexed VALUES (1, 'one');
CREATE UNIQUE INDEX ON audit_log (id, changed_at);
CREATE INDEX ON audit_log ((new ->> 'body')) WHERE action = 'UPDATE';
CREATE INDEX ON audit_log USING gin (new);
CREATE INDEX ON audit_log USING brin (changed_at);
CREATE INDEX ON audit_log USING hash (action);
ALTER TABLE audit_log ADD COLUMN comment text, ADD CHECK (role <> '');
BEGIN;
INSERT INTO indexed SELECT i, 'row ' || i FROM generate_series(2, 500) AS i;
UPDATE indexed SET body = 'new ' || id;
SAVEPOINT s;
UPDATE indexed SET body = 'undone ' || id;
ROLLBACK TO s;
UPDATE indexed SET body = 'last ' || id;
COMMIT;
SET enable_seqscan = off; SET enable_indexscan = on; SET enable_bitmapscan = on;
SELECT count(*) FROM audit_log WHERE new ->> 'body' = 'last 77' AND action = 'UPDATE';
SELECT count(*) FROM audit_log WHERE new @> '{"body": "new 77"}';
SELECT count(*) FROM audit_log WHERE new @> '{"body": "undone 77"}';
SELECT count(*) > 1000 FROM audit_log WHERE changed_at > now() - interval '1 hour';
SELECT count(*) FROM forge_comm.history_of('indexed', 77);
RESET enable_seqscan; RESET enable_indexscan; RESET enable_bitmapscan;
ALTER TABLE audit_log ADD CONSTRAINT none CHECK (table_name <> 'indexed') NOT VALID;
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, '\d{4}_\d\d', 'MONTH');
END $$;
SELECT refused('UPDATE indexed SET body = ''refused''');
ALTER TABLE audit_log DROP CONSTRAINT none;
ALTER TABLE audit_log DROP COLUMN service_reason;
SELECT refused('UPDATE indexed SET body = ''refused''');
ALTER TABLE audit_log ADD COLUMN service_reason text;
UPDATE indexed SET body = 'taken' WHERE id = 1;
SELECT action, new FROM forge_comm.history_of('indexed', 1);

-- Only the log's own rows: months, retention, and what came in between
SELECT partition, action FROM forge_comm.maintain_history('audit_log', months_ahead => 3);
SELECT count(*) FROM forge_comm.maintain_history('audit_log', months_ahead => 6);
SELECT count(*), bool_and(relrowsecurity AND relforcerowsecurity) AS closed,
       bool_and(relowner = 'regress_owner'::regrole) AS owned,
       bool_and((SELECT count(*) = 2 FROM pg_policy WHERE polrelid = c.oid)) AS policies,
       bool_and((SELECT count(*) = 2 FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled = 'A')) AS guarded
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE inhparent = 'audit_log'::regclass;
SELECT forge_comm.maintain_history('audit_log', -1);
SELECT forge_comm.maintain_history('audit_log', keep => '-1 day');
SELECT forge_comm.maintain_history('notes');
SET ROLE regress_app;
SELECT forge_comm.maintain_history('audit_log');
RESET ROLE;

-- Seals need to see everything
SET ROLE regress_owner;
SELECT forge_comm.seal_history('audit_log');
SELECT forge_comm.verify_history('audit_log');
RESET ROLE;
-- what is closed is below every transaction that runs, such as autovacuum's
CREATE FUNCTION quiet() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..1000 LOOP
    EXIT WHEN (SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s);
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SELECT quiet() \g /dev/null
SELECT seal, lines = (SELECT count(*) FROM audit_log) AS "all lines", length(hash) FROM forge_comm.seal_history('audit_log');
SELECT count(*) FROM forge_comm.seal_history('audit_log');
UPDATE docs SET title = 'one more';
SELECT quiet() \g /dev/null
BEGIN;
UPDATE docs SET title = 'in a transaction that is not over';
SET LOCAL ROLE regress_owner;
SELECT forge_comm.set_service_context('sealing');
SELECT seal, lines FROM forge_comm.seal_history('audit_log');
COMMIT;
SELECT quiet() \g /dev/null
SELECT seal, lines, hash AS head FROM forge_comm.seal_history('audit_log') \gset
SELECT :seal AS seal, :lines AS lines;
SELECT seals, lines = (SELECT count(*) FROM audit_log) AS "all lines", dropped, bad_seal, problem FROM forge_comm.verify_history('audit_log', :'head');
SELECT bad_seal, problem FROM forge_comm.verify_history('audit_log', 'another');
SELECT forge_comm.verify_history(head => 'any');
-- What its owner can do to it shows
CREATE FUNCTION tampered(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found record;
BEGIN
  ALTER TABLE history.audit_log DISABLE TRIGGER ALL;
  ALTER TABLE history.audit_log_seals DISABLE TRIGGER ALL;
  EXECUTE statement;
  SELECT * INTO found FROM forge_comm.verify_history('history.audit_log');
  RAISE SQLSTATE 'T0000' USING MESSAGE = concat_ws(': ', coalesce(found.bad_seal::text, 'nothing wrong'), regexp_replace(found.problem, '[0-9]+', 'N', 'g'));
EXCEPTION WHEN SQLSTATE 'T0000' THEN RETURN SQLERRM;
END $$;
SELECT tampered(statement) FROM unnest(ARRAY[
  'SELECT 1',
  'UPDATE audit_log SET new = new || ''{"body": "forged"}'' WHERE id = 1',
  'UPDATE audit_log SET role = ''somebody'' WHERE id = 2',
  'UPDATE audit_log SET changed_at = changed_at + interval ''1 us'' WHERE id = 2',
  'DELETE FROM audit_log WHERE id = 3',
  'DELETE FROM audit_log WHERE id = (SELECT max(last_id) FROM audit_log_seals)',
  'DELETE FROM audit_log',
  'INSERT INTO audit_log (id, changed_at, workspace_id, table_id, table_schema, table_name, key, row_hash, action, transaction_id, user_id, role, service_reason, deletion_id, old, new) OVERRIDING SYSTEM VALUE SELECT 1000000, changed_at, workspace_id, table_id, table_schema, table_name, key, row_hash, action, transaction_id, user_id, role, service_reason, deletion_id, old, new FROM audit_log WHERE id = 1',
  'UPDATE audit_log_seals SET lines = lines + 1 WHERE seal = 1',
  'UPDATE audit_log_seals SET digest = sha256(''x'') WHERE seal = 2',
  'DELETE FROM audit_log_seals WHERE seal = 1',
  'UPDATE audit_log_seals SET seal = 7 WHERE seal = 2']) AS statement;

-- Disabling: the log stays, unless asked otherwise and nobody else uses it
SET ROLE regress_owner;
SELECT forge_comm.disable_history('keyed');
SELECT forge_comm.disable_history('big');
SELECT forge_comm.disable_history('big');
SELECT forge_comm.disable_history('notes', drop_log => true);
SELECT forge_comm.enable_history('keyed', log => 'other log') \g /dev/null
INSERT INTO keyed VALUES (1);
SELECT count(*) FROM pg_class WHERE relnamespace = 'history'::regnamespace AND relname LIKE 'other log%' AND relkind IN ('r', 'p');
SELECT forge_comm.disable_history('keyed', drop_log => true);
SELECT count(*) FROM pg_class WHERE relnamespace = 'history'::regnamespace AND relname LIKE 'other log%';
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('keyed'::regclass, 'big'::regclass);
RESET ROLE;

-- After DROP EXTENSION the log is there, closed
SELECT count(*) AS lines FROM audit_log \gset
BEGIN;
SET client_min_messages = error;
DROP EXTENSION forge_comm CASCADE;
SELECT count(*) = :lines AS "all lines" FROM audit_log;
INSERT INTO docs (title) VALUES ('not logged');
SET ROLE regress_owner;
SELECT count(*) FROM audit_log;
ROLLBACK;

SET client_min_messages = error;
DROP SCHEMA history CASCADE;
DROP FUNCTION public.told, public.at;
SELECT forge_comm.revoke_app('regress_owner'), forge_comm.revoke_owner('regress_owner'), forge_comm.revoke_app('regress_app') \g /dev/null
REVOKE EXECUTE ON FUNCTION forge_comm.set_service_context(text) FROM regress_owner, regress_app;
DROP ROLE regress_owner, regress_app;
