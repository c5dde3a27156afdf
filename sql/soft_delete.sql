-- DELETE marks a row instead of removing it, and the client cannot tell.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_soft AUTHORIZATION regress_owner;
SET search_path = regress_soft;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_soft TO PUBLIC;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

CREATE TABLE items (id int PRIMARY KEY, kind text, secret text);
INSERT INTO items SELECT i, CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END FROM generate_series(1, 40) AS i;
-- DELETE and what the condition reads is all that it takes, no UPDATE
GRANT SELECT (id, kind), DELETE ON items TO regress_app;

-- ---------------------------------------------------------------- enabling

-- Plans from before: prepared, and in a function
PREPARE before_enabling(int) AS DELETE FROM items WHERE id = $1;
EXECUTE before_enabling(1);
CREATE FUNCTION removed(which int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  DELETE FROM items WHERE id = which;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;
SELECT removed(2);
SELECT forge_comm.enable_soft_delete('items');
SELECT * FROM forge_comm.rules('items');
\set QUIET off
EXECUTE before_enabling(3);
EXECUTE before_enabling(3);
EXECUTE before_enabling(999);
\set QUIET on
SELECT removed(4), removed(4), removed(999);
SELECT id, deleted_at = now() FROM items WHERE id < 5 ORDER BY id;
-- Again changes nothing
SET client_min_messages = notice;
SELECT forge_comm.enable_soft_delete('items');
SET client_min_messages = warning;
SELECT refused('SELECT forge_comm.enable_soft_delete(''items'', view => ''living'')');

-- ------------------------------------------------------------------- DELETE

SET SESSION AUTHORIZATION regress_app;
\set QUIET off
DELETE FROM items WHERE id = 5;
\set QUIET on
\echo :ROW_COUNT
\set QUIET off
DELETE FROM items WHERE id = 5;
DELETE FROM items WHERE id BETWEEN 5 AND 8;
DELETE FROM items WHERE id = 9 RETURNING id, kind;
DELETE FROM items USING (VALUES (10), (11), (11)) AS v (x) WHERE id = x;
WITH d AS (DELETE FROM items WHERE id IN (12, 13) RETURNING id, kind) SELECT * FROM d ORDER BY id;
WITH d AS (DELETE FROM items WHERE id = 14 RETURNING id) DELETE FROM items WHERE id = 15;
WITH gone AS (SELECT 16 AS x) DELETE FROM items AS i USING gone AS g WHERE i.id = g.x RETURNING i.id;
DELETE FROM items WHERE id IN (SELECT id + 1 FROM items WHERE id = 16);
DELETE FROM ONLY items WHERE id = 18;
DELETE FROM items WHERE false;
PREPARE again(int) AS DELETE FROM items WHERE id = $1 RETURNING id;
EXECUTE again(19);
EXECUTE again(19);
COPY (DELETE FROM items WHERE id = 37 RETURNING id, kind) TO stdout;
\set QUIET on
SELECT count(*) FROM items;
RESET SESSION AUTHORIZATION;
GRANT UPDATE (id) ON items TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM items WHERE id = 20 FOR UPDATE;
FETCH c;
\set QUIET off
DELETE FROM items WHERE CURRENT OF c;
\set QUIET on
COMMIT;
DO $$
DECLARE
  n int;
  gone int;
BEGIN
  EXECUTE 'DELETE FROM items WHERE id = $1 RETURNING id' INTO gone USING 21;
  GET DIAGNOSTICS n = ROW_COUNT;
  RAISE WARNING 'dynamic: % row, id %', n, gone;
  DELETE FROM items WHERE id = 21;
  RAISE WARNING 'found: %', FOUND;
END $$;
RESET SESSION AUTHORIZATION;
-- All of these are still there
SELECT count(*), count(deleted_at), min(id) FILTER (WHERE deleted_at IS NULL) FROM items;
-- In the SQL function of somebody else
CREATE FUNCTION remove(int) RETURNS SETOF int LANGUAGE sql AS 'DELETE FROM items WHERE id = $1 RETURNING id';
SELECT remove(22);
SELECT remove(22);
-- Moved to an archive in one statement
CREATE TABLE archive (id int);
WITH d AS (DELETE FROM items WHERE id = 38 RETURNING id) INSERT INTO archive SELECT id FROM d;
SELECT a.id, deleted_at IS NOT NULL FROM archive AS a JOIN items USING (id);
-- By a rule of another table
INSERT INTO items VALUES (50);
CREATE RULE clear AS ON DELETE TO archive DO ALSO DELETE FROM items WHERE id = old.id + 12;
DELETE FROM archive;
SELECT deleted_at IS NOT NULL FROM items WHERE id = 50;

-- The mark is the transaction's time; EXPLAIN shows an update on the table
BEGIN;
DELETE FROM items WHERE id = 23;
SELECT deleted_at = now() FROM items WHERE id = 23;
ROLLBACK;
SELECT deleted_at FROM items WHERE id = 23;
CREATE FUNCTION plan_has(query text, VARIADIC words text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  line text;
  plan text := '';
BEGIN
  FOR line IN EXECUTE query LOOP
    plan := plan || E'\n' || line;
  END LOOP;
  RETURN ARRAY(SELECT w FROM unnest(words) WITH ORDINALITY AS u (w, n) WHERE strpos(plan, w) > 0 ORDER BY n);
END $$;
SELECT plan_has('EXPLAIN (COSTS OFF) DELETE FROM items WHERE id = 23', 'Update on items', 'Delete on items', 'deleted_at IS NULL');
SELECT plan_has('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) DELETE FROM items WHERE id = 23', 'Update on items');
SELECT deleted_at IS NOT NULL FROM items WHERE id = 23;

-- --------------------------------------------------------- privileges, policies

CREATE ROLE regress_updater;
GRANT USAGE ON SCHEMA regress_soft TO regress_updater;
GRANT SELECT, UPDATE ON items TO regress_updater;
SET SESSION AUTHORIZATION regress_updater;
SELECT refused('DELETE FROM items WHERE id = 24');
RESET SESSION AUTHORIZATION;
DROP OWNED BY regress_updater;
DROP ROLE regress_updater;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('DELETE FROM items WHERE secret IS NULL');
SELECT refused('DELETE FROM items WHERE id = 24 RETURNING secret');
SELECT refused('UPDATE items SET deleted_at = now() WHERE id = 24');
-- Policies for DELETE say who may; those for UPDATE have no say
RESET SESSION AUTHORIZATION;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY reads ON items FOR SELECT USING (true);
CREATE POLICY deletes ON items FOR DELETE USING (kind = 'even');
CREATE POLICY updates ON items FOR UPDATE USING (kind = 'odd') WITH CHECK (kind = 'odd' AND deleted_at IS NULL);
SET SESSION AUTHORIZATION regress_app;
WITH d AS (DELETE FROM items WHERE id BETWEEN 24 AND 27 RETURNING id) SELECT * FROM d ORDER BY id;
RESET SESSION AUTHORIZATION;
DROP POLICY reads ON items;
DROP POLICY deletes ON items;
DROP POLICY updates ON items;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
SELECT id FROM items WHERE deleted_at IS NULL AND id BETWEEN 24 AND 27 ORDER BY id;

-- --------------------------------------------------------------------- MERGE

SET SESSION AUTHORIZATION regress_app;
\set QUIET off
MERGE INTO items USING (VALUES (28), (29), (29 + 100), (5)) AS v (x) ON id = x
  WHEN MATCHED AND x = 28 THEN DO NOTHING
  WHEN MATCHED THEN DELETE;
\set QUIET on
RESET SESSION AUTHORIZATION;
SELECT id, deleted_at IS NULL FROM items WHERE id IN (28, 29) ORDER BY id;

-- ------------------------------------------------------------------ the view

-- Those who had privileges on the table when it was made have them on it
SELECT grantee::regrole, privilege_type FROM pg_class, aclexplode(relacl)
 WHERE oid = 'active_items'::regclass AND grantee <> relowner ORDER BY grantee::regrole::text, privilege_type;
GRANT SELECT, INSERT, UPDATE, DELETE ON items, active_items TO regress_app;
SET SESSION AUTHORIZATION regress_app;
SELECT count(*) = (SELECT count(*) FROM items WHERE deleted_at IS NULL) FROM active_items;
SELECT count(*) FROM active_items WHERE id = 5;
\set QUIET off
DELETE FROM active_items WHERE id = 30 RETURNING id;
DELETE FROM active_items WHERE id = 30;
UPDATE active_items SET kind = 'changed' WHERE id = 31;
INSERT INTO active_items (id, kind) VALUES (41, 'new');
\set QUIET on
SELECT id, kind FROM active_items WHERE id IN (30, 31, 41) ORDER BY id;
-- It has its reader's rights, not its owner's
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON items FROM regress_app;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT * FROM active_items');
RESET SESSION AUTHORIZATION;
GRANT SELECT ON items TO regress_app;
SELECT reloptions FROM pg_class WHERE oid = 'active_items'::regclass;

-- ----------------------------------------------------------------- hard deletes

SET SESSION AUTHORIZATION regress_app;
SELECT refused('SET forge_comm.allow_hard_delete = on');
SET SESSION AUTHORIZATION regress_owner;
SELECT refused('SET forge_comm.allow_hard_delete = on');
SELECT refused('TRUNCATE items');
RESET SESSION AUTHORIZATION;
SELECT refused('TRUNCATE items');
PREPARE door(int) AS DELETE FROM items WHERE id = $1;
EXECUTE door(32);
BEGIN;
SET LOCAL forge_comm.allow_hard_delete = on;
EXECUTE door(32);
EXECUTE door(33);
DELETE FROM items WHERE id = 34;
COMMIT;
EXECUTE door(35);
SELECT id, deleted_at IS NOT NULL FROM items WHERE id BETWEEN 32 AND 35 ORDER BY id;
BEGIN;
SET LOCAL forge_comm.allow_hard_delete = on;
TRUNCATE items;
ROLLBACK;
-- The net: in a session where the library was not there to plan the DELETE
\c -
SET search_path = regress_soft;
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('DELETE FROM items WHERE id = 36');
\set QUIET off
DELETE FROM items WHERE id = 36;
\set QUIET on
SELECT id, deleted_at IS NOT NULL FROM items WHERE id = 36;
SET SESSION AUTHORIZATION regress_owner;

-- ------------------------------------------------------------------ cascades

CREATE TABLE boxes (id int PRIMARY KEY);
CREATE TABLE things (
  id int PRIMARY KEY,
  box_id int REFERENCES boxes ON DELETE CASCADE,
  in_thing int REFERENCES things ON DELETE CASCADE
);
CREATE TABLE labels (thing_id int REFERENCES things ON DELETE CASCADE, word text);
CREATE TABLE notes (thing_id int REFERENCES things ON DELETE SET NULL, word text);
INSERT INTO boxes VALUES (1), (2);
INSERT INTO things VALUES (1, 1, NULL), (2, 1, 1), (3, 2, NULL);
INSERT INTO labels VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO notes VALUES (1, 'one'), (2, 'two'), (3, 'three');
SELECT forge_comm.enable_soft_delete('things', cascade => false);
SELECT forge_comm.enable_soft_delete('labels');
-- Without a cascade a mark leaves what refers to the row alone
DELETE FROM things WHERE id = 1;
SELECT id, deleted_at IS NOT NULL FROM things ORDER BY id;
SELECT * FROM active_labels ORDER BY 1;
-- A parent that is removed takes the rows along for good, marked or not
\set QUIET off
DELETE FROM boxes WHERE id = 1;
\set QUIET on
SELECT id FROM things ORDER BY id;
SELECT thing_id FROM labels ORDER BY 1;
SELECT thing_id, word FROM notes ORDER BY word;
-- A trigger's own DELETE is an ordinary one
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM labels; RETURN NULL; END $$;
CREATE TRIGGER tidy AFTER DELETE ON boxes FOR EACH ROW EXECUTE FUNCTION tidy();
INSERT INTO boxes VALUES (3);
DELETE FROM boxes WHERE id = 3;
SELECT thing_id, deleted_at IS NOT NULL FROM labels;

-- -------------------------------------- who, is_active, types, generated columns

CREATE TABLE people (
  id int PRIMARY KEY,
  name text,
  junk int,
  is_on boolean NOT NULL DEFAULT true,
  removed timestamp,
  remover int,
  is_gone boolean GENERATED ALWAYS AS (removed IS NOT NULL) STORED
);
ALTER TABLE people DROP COLUMN junk;
INSERT INTO people VALUES (1, 'one'), (2, 'two'), (3, 'three');
GRANT SELECT, DELETE, UPDATE ON people TO regress_app;
SELECT forge_comm.enable_soft_delete('people', 'removed', deleted_by => 'remover', is_active => 'is_on', view => 'living people');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7, 1);
DELETE FROM people WHERE id = 1 RETURNING id, name;
COMMIT;
DELETE FROM people WHERE id = 2;
SELECT id, name, is_on, removed IS NOT NULL AND removed <= localtimestamp, remover, is_gone FROM people ORDER BY id;
SELECT id FROM "living people";

-- ------------------------------------------------------------------- restore

SELECT forge_comm.restore('people', 1);
SELECT * FROM people WHERE id = 1;
SELECT refused('SELECT forge_comm.restore(''people'', 1)');
SELECT refused('SELECT forge_comm.restore(''people'', 999)');
SELECT refused('SELECT forge_comm.restore(''people'', NULL::int)');
SELECT refused('SELECT forge_comm.restore(NULL, 1)');
SELECT refused('SELECT forge_comm.restore(''people'', ''many'')');
SELECT refused('SELECT forge_comm.restore(''boxes'', 1)');
SET SESSION AUTHORIZATION regress_owner;
SELECT refused('SELECT forge_comm.restore(''labels'', 1)');
-- It is an UPDATE like any other
REVOKE UPDATE ON people FROM regress_app;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.restore(''people'', 2)');
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE words (word text PRIMARY KEY, deleted_at timestamptz);
INSERT INTO words VALUES ('it''s'), ('5');
SELECT forge_comm.enable_soft_delete('words', view => '');
DELETE FROM words;
SELECT forge_comm.restore('words', 'it''s'::text);
SELECT forge_comm.restore('words', 5);
SELECT word, deleted_at FROM words ORDER BY word;
SELECT to_regclass('active_words');

-- ---------------------------------------------------------------- partitions

CREATE TABLE events (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 (junk int, part int NOT NULL, id int NOT NULL);
ALTER TABLE events_2 DROP COLUMN junk;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES IN (2);
INSERT INTO events SELECT i, 1 + i % 2 FROM generate_series(1, 12) AS i;
SELECT forge_comm.enable_soft_delete('events');
\set QUIET off
DELETE FROM events WHERE id < 5;
DELETE FROM events_2 WHERE id = 5;
DELETE FROM events_1 WHERE id = 6 RETURNING id;
-- A row still moves to another partition, which removes it from the first
UPDATE events SET part = 3 - part WHERE id IN (7, 8);
UPDATE events_1 SET id = 100 WHERE id = 10;
\set QUIET on
SELECT id, part, tableoid::regclass, deleted_at IS NOT NULL FROM events ORDER BY id;
SELECT refused('TRUNCATE events');
SELECT refused('TRUNCATE events_2');
-- Partitions made later know it, too
CREATE TABLE events_3 PARTITION OF events FOR VALUES IN (3);
INSERT INTO events VALUES (30, 3), (31, 3);
\set QUIET off
DELETE FROM events WHERE id = 30;
DELETE FROM events_3 WHERE id = 31;
\set QUIET on
SELECT id, deleted_at IS NOT NULL FROM events_3 ORDER BY id;
SELECT refused('TRUNCATE events_3');
-- Inheritance children, there before or made later
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (base);
INSERT INTO base VALUES (1), (2);
INSERT INTO child VALUES (3), (4), (5);
SELECT forge_comm.enable_soft_delete('base');
\set QUIET off
DELETE FROM base WHERE id IN (1, 3);
DELETE FROM child WHERE id = 4;
\set QUIET on
CREATE TABLE later () INHERITS (base);
INSERT INTO later VALUES (6), (7), (8);
\set QUIET off
DELETE FROM base WHERE id = 6;
DELETE FROM later WHERE id = 7;
\set QUIET on
SELECT id, tableoid::regclass, deleted_at IS NOT NULL FROM base ORDER BY id;
SELECT refused('TRUNCATE later');

-- ----------------------------------------------------------------- disabling

PREPARE after_disabling(int) AS DELETE FROM events WHERE id = $1;
EXECUTE after_disabling(9);
SELECT forge_comm.disable_soft_delete('events', drop_columns => true);
EXECUTE after_disabling(9);
SELECT id, part FROM events ORDER BY id;
SELECT forge_comm.disable_soft_delete('base');
SELECT forge_comm.disable_soft_delete('people', drop_columns => true);
SELECT forge_comm.disable_soft_delete('items');
SELECT forge_comm.disable_soft_delete('things');
SELECT forge_comm.disable_soft_delete('labels');
SELECT forge_comm.disable_soft_delete('words');
-- What was there is there, what was added goes if asked
SELECT relname, attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'regress_soft'::regnamespace AND c.relkind IN ('r', 'p') AND attname IN ('deleted_at', 'removed', 'remover', 'is_on')
 ORDER BY 1, 2;
SELECT c.relname, c.relkind FROM pg_class AS c WHERE c.relnamespace = 'regress_soft'::regnamespace AND c.relkind = 'v';
SELECT t.tgrelid::regclass, t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'regress_soft'::regnamespace AND NOT t.tgisinternal;
SET client_min_messages = notice;
SELECT forge_comm.disable_soft_delete('items');
SET client_min_messages = warning;
\set QUIET off
DELETE FROM items WHERE id = 5;
\set QUIET on
SELECT count(*) FROM items WHERE id = 5;

-- With the trigger off there is no soft delete: that is what stands for it
SELECT forge_comm.enable_soft_delete('items');
ALTER TABLE items DISABLE TRIGGER forge_comm_soft_delete;
DELETE FROM items WHERE id = 40;
SELECT count(*) FROM items WHERE id = 40;
SELECT * FROM forge_comm.rules('items');
ALTER TABLE items ENABLE TRIGGER forge_comm_soft_delete;
DELETE FROM items WHERE id = 39;
SELECT count(*) FROM items WHERE id = 39;

-- ------------------------------------------------------- triggers in a cascade

-- The cascade is physical; what a trigger deletes meanwhile is not.
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE folders (id int PRIMARY KEY);
CREATE TABLE files (id int PRIMARY KEY, folder int REFERENCES folders ON DELETE CASCADE);
CREATE TABLE notes_kept (id int PRIMARY KEY);
SELECT forge_comm.enable_soft_delete('files');
SELECT forge_comm.enable_soft_delete('notes_kept');
CREATE FUNCTION tidy_notes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM regress_soft.notes_kept WHERE id = OLD.id;
  RETURN OLD;
END $$;
CREATE TRIGGER tidy_notes BEFORE DELETE ON files FOR EACH ROW EXECUTE FUNCTION tidy_notes();
INSERT INTO folders VALUES (1);
INSERT INTO files VALUES (1, 1);
INSERT INTO notes_kept VALUES (1);
DELETE FROM folders;
SELECT count(*) FROM files;
SELECT deleted_at IS NOT NULL FROM notes_kept;

-- ------------------------------------------------------------ keys and names

-- The key's type is the column's, length included; the application's triggers
-- run under its own path.
CREATE TABLE codes (code char(3) PRIMARY KEY);
CREATE TABLE log_of_codes (code text);
CREATE FUNCTION note_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log_of_codes VALUES (NEW.code);
  RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE UPDATE ON codes FOR EACH ROW EXECUTE FUNCTION note_code();
SELECT forge_comm.enable_soft_delete('codes');
INSERT INTO codes VALUES ('abc');
DELETE FROM codes;
SELECT forge_comm.restore('codes', 'abc');
SELECT count(*) FROM log_of_codes;
-- the view is known wherever it is by now, and nobody else's is taken for it
ALTER TABLE codes RENAME TO old_codes;
CREATE TABLE codes (code char(3) PRIMARY KEY);
SELECT refused('SELECT forge_comm.enable_soft_delete(''codes'')');
SELECT forge_comm.enable_soft_delete('old_codes');
ALTER VIEW active_codes RENAME TO live_codes;
CREATE VIEW active_codes AS SELECT 1 AS one;
SELECT forge_comm.disable_soft_delete('old_codes');
SELECT to_regclass('live_codes'), to_regclass('active_codes');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_soft CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
