-- When a row was made and last changed, and by whom.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_owner;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_timestamps AUTHORIZATION regress_owner;
SET search_path = regress_timestamps;
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
SET SESSION AUTHORIZATION regress_owner;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

-- -------------------------------------------------------------- the columns

CREATE TABLE notes (id int PRIMARY KEY, body text, seen int);
INSERT INTO notes VALUES (1, 'there before');
SELECT forge_comm.enable_timestamps('notes', ignore => '{seen}');
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = 'notes'::regclass AND a.attnum > 3 ORDER BY a.attnum;
SELECT id, created_at IS NOT NULL, created_at = updated_at FROM notes;
SELECT * FROM forge_comm.rules('notes');
SET client_min_messages = notice;
SELECT forge_comm.enable_timestamps('notes', ignore => '{seen}');
SET client_min_messages = warning;
SELECT refused('SELECT forge_comm.enable_timestamps(''notes'')');

-- ------------------------------------------------------------------- INSERT

BEGIN;
INSERT INTO notes VALUES (2, 'plain') RETURNING created_at = now(), updated_at = now();
INSERT INTO notes VALUES (3, 'nulls', NULL, NULL, NULL) RETURNING created_at = now(), updated_at = now();
COMMIT;
-- An import brings its own
INSERT INTO notes VALUES (4, 'old', 0, '2001-02-03 04:05:06.789+00', '2002-01-01 00:00+00')
  RETURNING created_at = '2001-02-03 04:05:06.789+00', updated_at = '2002-01-01 00:00+00';
BEGIN;
INSERT INTO notes (id, created_at, updated_at) VALUES (5, '2001-01-01 00:00+00', NULL)
  RETURNING created_at = '2001-01-01 00:00+00', updated_at = now();
COMMIT;

-- ------------------------------------------------------------------- UPDATE

UPDATE notes SET body = 'changed' WHERE id = 4;
SELECT created_at = '2001-02-03 04:05:06.789+00', updated_at > '2020-01-01' FROM notes WHERE id = 4;
BEGIN;
UPDATE notes SET body = 'changed again' WHERE id = 4 RETURNING updated_at = now();
-- What the application says of the stamps does not count, and is no error
UPDATE notes SET body = 'thrice', created_at = '1999-01-01', updated_at = '1999-01-01' WHERE id = 4
  RETURNING created_at = '2001-02-03 04:05:06.789+00', updated_at = now();
UPDATE notes SET created_at = NULL, updated_at = NULL, body = 'nulls' WHERE id = 4
  RETURNING created_at = '2001-02-03 04:05:06.789+00', updated_at = now();
COMMIT;
-- No change is no change, and still counts as a row
SELECT updated_at AS before FROM notes WHERE id = 4 \gset
\set QUIET off
UPDATE notes SET body = body WHERE id = 4;
UPDATE notes SET body = 'nulls', seen = 0 WHERE id = 4;
UPDATE notes SET updated_at = '1999-01-01' WHERE id = 4;
UPDATE notes SET created_at = '1999-01-01', updated_at = now() WHERE id = 4;
UPDATE notes SET seen = 5 WHERE id = 4;
UPDATE notes SET seen = NULL, body = 'nulls' WHERE id = 4;
\set QUIET on
SELECT updated_at = :'before', created_at = '2001-02-03 04:05:06.789+00', seen FROM notes WHERE id = 4;
UPDATE notes SET seen = 6, body = NULL WHERE id = 4;
SELECT updated_at > :'before', seen FROM notes WHERE id = 4;
-- From null to a value is a change
SELECT updated_at AS before FROM notes WHERE id = 5 \gset
UPDATE notes SET body = 'from null' WHERE id = 5;
SELECT updated_at > :'before' FROM notes WHERE id = 5;
-- ON CONFLICT and MERGE are updates like others
BEGIN;
INSERT INTO notes VALUES (4, 'upsert') ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body, created_at = EXCLUDED.created_at
  RETURNING created_at = '2001-02-03 04:05:06.789+00', updated_at = now();
MERGE INTO notes USING (VALUES (4), (6)) AS v (x) ON id = x
  WHEN MATCHED THEN UPDATE SET body = 'merged', created_at = now()
  WHEN NOT MATCHED THEN INSERT (id, body) VALUES (x, 'merged');
SELECT id, created_at = now(), updated_at = now() FROM notes WHERE body = 'merged' ORDER BY id;
COMMIT;
-- A big value that is stored apart is compared as well
UPDATE notes SET body = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i) WHERE id = 6;
SELECT updated_at AS before FROM notes WHERE id = 6 \gset
UPDATE notes SET seen = 1 WHERE id = 6;
SELECT updated_at = :'before' FROM notes WHERE id = 6;
UPDATE notes SET body = body || 'x' WHERE id = 6;
SELECT updated_at > :'before' FROM notes WHERE id = 6;

-- ---------------------------------------------------------------------- HOT

-- The new version of a row needs no new index entry
CREATE TABLE hot (id int PRIMARY KEY, body text) WITH (fillfactor = 50);
SELECT forge_comm.enable_timestamps('hot');
INSERT INTO hot VALUES (1, 'one');
BEGIN;
UPDATE hot SET body = 'two';
UPDATE hot SET body = 'three';
SELECT pg_stat_get_xact_tuples_updated('hot'::regclass) = pg_stat_get_xact_tuples_hot_updated('hot'::regclass),
       pg_stat_get_xact_tuples_hot_updated('hot'::regclass) >= 2;
COMMIT;

-- -------------------------------------------------- who, types, generated columns

CREATE TABLE papers (
  junk text,
  id smallint PRIMARY KEY,
  made timestamp,
  title text,
  maker int,
  shouted text GENERATED ALWAYS AS (upper(title)) STORED,
  changer smallint,
  gone int,
  changed timestamp(0)
);
ALTER TABLE papers DROP COLUMN junk, DROP COLUMN gone;
SELECT forge_comm.enable_timestamps('papers', 'made', 'changed', created_by => 'maker', updated_by => 'changer');
BEGIN;
SELECT forge_comm.set_context(7, 1);
INSERT INTO papers (id, title) VALUES (1, 'one') RETURNING made = localtimestamp, changed = localtimestamp(0), maker, changer, shouted;
-- an import again brings its own
INSERT INTO papers (id, title, maker, changer) VALUES (2, 'two', 3, 4) RETURNING maker, changer;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8, 1);
UPDATE papers SET title = 'uno' WHERE id = 1 RETURNING changed = localtimestamp(0), maker, changer, shouted;
UPDATE papers SET title = 'due', maker = 99, changer = 99 WHERE id = 2 RETURNING maker, changer, shouted;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(9, 1);
UPDATE papers SET title = 'uno' WHERE id = 1 RETURNING maker, changer;
UPDATE papers SET changer = 1, changed = NULL WHERE id = 1 RETURNING maker, changer, changed IS NOT NULL;
COMMIT;
-- Without a user what is given stands, but for the creation
UPDATE papers SET title = 'eins', maker = 5, changer = 6 WHERE id = 1 RETURNING maker, changer;
UPDATE papers SET title = 'un' WHERE id = 1 RETURNING maker, changer;
INSERT INTO papers (id) VALUES (3) RETURNING maker, changer;
-- A user that the column cannot hold
BEGIN;
SELECT forge_comm.set_context(70000, 1);
SELECT refused('INSERT INTO papers (id) VALUES (4)');
SELECT refused('UPDATE papers SET title = ''x'' WHERE id = 1');
ROLLBACK;
-- The time zone of the session is that of a column without one
BEGIN;
SET LOCAL timezone = 'Asia/Tokyo';
INSERT INTO papers (id) VALUES (5) RETURNING made = now() AT TIME ZONE 'Asia/Tokyo';
COMMIT;
-- Only some of them
CREATE TABLE part (id int, changed timestamptz, by_whom bigint);
SELECT forge_comm.enable_timestamps('part', created_at => NULL, updated_at => 'changed');
INSERT INTO part VALUES (1) RETURNING changed = now();
CREATE TABLE whom (id int, by_whom bigint);
SELECT forge_comm.enable_timestamps('whom', NULL, NULL, updated_by => 'by_whom');
BEGIN;
SELECT forge_comm.set_context(7, 1);
INSERT INTO whom VALUES (1) RETURNING *;
COMMIT;
-- Renamed columns are noticed, not guessed
ALTER TABLE part RENAME COLUMN changed TO altered;
SELECT refused('UPDATE part SET id = 2');
ALTER TABLE part RENAME COLUMN altered TO changed;
SELECT refused('UPDATE part SET id = 2');

-- ----------------------------------------------------- partitions, inheritance

CREATE TABLE events (id int, at date, created_at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2 (created_at timestamptz, junk int, at date, id int);
ALTER TABLE events_2 DROP COLUMN junk;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT forge_comm.enable_timestamps('events');
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events VALUES (1, '2024-01-01', '2001-01-01 00:00+00'), (2, '2025-01-01', NULL), (3, '2026-01-01', NULL);
INSERT INTO events_2 (id, at) VALUES (4, '2025-01-01');
SELECT id, tableoid::regclass, created_at IS NOT NULL, updated_at IS NOT NULL FROM events ORDER BY id;
-- A row that moves keeps the day it was made
UPDATE events SET at = '2025-06-01', created_at = now() WHERE id = 1;
SELECT tableoid::regclass, created_at = '2001-01-01 00:00+00', updated_at > '2020-01-01' FROM events WHERE id = 1;
UPDATE events SET at = '2026-06-01' WHERE id = 1;
SELECT tableoid::regclass, created_at = '2001-01-01 00:00+00' FROM events WHERE id = 1;
CREATE TABLE base (id int);
CREATE TABLE child (extra text) INHERITS (base);
SELECT forge_comm.enable_timestamps('base');
INSERT INTO child (id, created_at) VALUES (1, '2001-01-01 00:00+00');
UPDATE base SET id = 2, created_at = now();
SELECT id, created_at = '2001-01-01 00:00+00' FROM child;

-- ---------------------------------------------------- writing stamps on purpose

SELECT refused('SET forge_comm.preserve_timestamps = on');
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL forge_comm.preserve_timestamps = on;
UPDATE notes SET created_at = '1970-01-01 00:00+00', updated_at = '1971-01-01 00:00+00', body = 'corrected' WHERE id = 1;
UPDATE notes SET body = 'and again' WHERE id = 1;
COMMIT;
SELECT created_at = '1970-01-01 00:00+00', updated_at = '1971-01-01 00:00+00' FROM notes WHERE id = 1;
UPDATE notes SET created_at = now(), body = 'not any more' WHERE id = 1;
SELECT created_at = '1970-01-01 00:00+00', updated_at > '2020-01-01' FROM notes WHERE id = 1;
SET SESSION AUTHORIZATION regress_owner;

-- ----------------------------------------------------------------- disabling

-- The trigger is what does it
ALTER TABLE notes DISABLE TRIGGER forge_comm_timestamps;
UPDATE notes SET created_at = '1980-01-01 00:00+00' WHERE id = 1 RETURNING created_at = '1980-01-01 00:00+00';
ALTER TABLE notes ENABLE TRIGGER forge_comm_timestamps;
UPDATE notes SET created_at = '1990-01-01 00:00+00' WHERE id = 1 RETURNING created_at = '1980-01-01 00:00+00';
SELECT forge_comm.disable_timestamps('notes');
UPDATE notes SET created_at = '1990-01-01 00:00+00' WHERE id = 1 RETURNING created_at = '1990-01-01 00:00+00';
SELECT forge_comm.enable_timestamps('notes');
SELECT forge_comm.disable_timestamps('notes', drop_columns => true);
SELECT forge_comm.disable_timestamps('papers', drop_columns => true);
SELECT forge_comm.disable_timestamps('events', drop_columns => true);
SELECT forge_comm.disable_timestamps('base', drop_columns => true);
SELECT forge_comm.disable_timestamps('part', drop_columns => true);
-- those that were there before stay
SELECT attrelid::regclass, string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid IN ('notes'::regclass, 'papers'::regclass, 'events'::regclass, 'events_2'::regclass, 'child'::regclass, 'part'::regclass)
   AND attnum > 0 AND NOT attisdropped GROUP BY attrelid ORDER BY attrelid::regclass::text COLLATE "C";
SELECT t.tgrelid::regclass, t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'regress_timestamps'::regnamespace AND NOT t.tgisinternal ORDER BY t.tgrelid::regclass::text;
SET client_min_messages = notice;
SELECT forge_comm.disable_timestamps('notes');
SET client_min_messages = warning;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_timestamps CASCADE;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
