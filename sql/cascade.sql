-- What references a soft-deleted row falls with it, level by level.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner, regress_other;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA regress_cascade AUTHORIZATION regress_owner;
SET search_path = regress_cascade;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_other');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_cascade TO PUBLIC;
GRANT CREATE ON SCHEMA regress_cascade TO regress_other;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql
-- How many statements change a table, and how many rows
CREATE TABLE counted (rel regclass, statements int);
CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE regress_cascade.counted SET statements = statements + 1 WHERE rel = TG_RELID;
  IF NOT FOUND THEN
    INSERT INTO regress_cascade.counted VALUES (TG_RELID, 1);
  END IF;
  RETURN NULL;
END $$;

-- ----------------------------------------------------------------- the levels

CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE);
CREATE TABLE d (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE);
CREATE TABLE kept (id int PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE);
INSERT INTO a SELECT generate_series(1, 3);
INSERT INTO b SELECT i, 1 + i % 3 FROM generate_series(1, 30) AS i;
INSERT INTO c SELECT i, 1 + i % 30 FROM generate_series(1, 300) AS i;
INSERT INTO d SELECT i, 1 + i % 300 FROM generate_series(1, 3000) AS i;
INSERT INTO kept VALUES (1, 3), (2, 4);
SELECT forge_comm.enable_soft_delete('a');
SELECT forge_comm.enable_soft_delete('b');
SELECT forge_comm.enable_soft_delete('c');
SELECT forge_comm.enable_soft_delete('d');
CREATE TRIGGER z_count AFTER UPDATE ON b FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
CREATE TRIGGER z_count AFTER UPDATE ON c FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
CREATE TRIGGER z_count AFTER UPDATE ON d FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
CREATE FUNCTION deleted() RETURNS text LANGUAGE sql AS $$
  SELECT format('a %s b %s c %s d %s',
                (SELECT count(deleted_at) FROM regress_cascade.a), (SELECT count(deleted_at) FROM regress_cascade.b),
                (SELECT count(deleted_at) FROM regress_cascade.c), (SELECT count(deleted_at) FROM regress_cascade.d))
$$;
-- Some rows are deleted before, and keep their own mark
DELETE FROM c WHERE id IN (2, 32);
SELECT deleted();
SELECT pg_sleep(0.01);
TRUNCATE counted;
\set QUIET off
DELETE FROM a WHERE id = 1;
\set QUIET on
SELECT deleted();
SELECT * FROM counted ORDER BY rel::text;
SELECT count(DISTINCT deleted_at) FROM (SELECT deleted_at FROM a UNION ALL SELECT deleted_at FROM b UNION ALL SELECT deleted_at FROM d) AS x;
SELECT count(DISTINCT deleted_at) FROM c;
-- What is not soft-deletable stays, and what is deleted twice is not
SELECT * FROM kept ORDER BY 1;
DELETE FROM a WHERE id = 1;
SELECT deleted();
-- Two rows at once: still one statement a level
TRUNCATE counted;
DELETE FROM a;
SELECT deleted();
SELECT * FROM counted ORDER BY rel::text;

-- Rolled back, with a savepoint, and in a block that fails
UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL;
BEGIN;
SAVEPOINT s;
DELETE FROM a;
SELECT deleted();
ROLLBACK TO s;
SELECT deleted();
DELETE FROM b WHERE id = 1;
COMMIT;
SELECT deleted();
DO $$
BEGIN
  BEGIN
    DELETE FROM a WHERE id = 1;
    RAISE EXCEPTION 'no';
  EXCEPTION WHEN raise_exception THEN
    DELETE FROM b WHERE id = 2;
  END;
END $$;
SELECT deleted();

-- ------------------------------------------------ however the mark gets there

UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL;
-- by hand, and the mark is the one that was set
UPDATE a SET deleted_at = '2020-02-20 20:20:20+00' WHERE id = 1;
SELECT deleted();
SELECT DISTINCT deleted_at = '2020-02-20 20:20:20+00' FROM d WHERE deleted_at IS NOT NULL;
UPDATE a SET deleted_at = '2021-01-01' WHERE id = 1;
SELECT deleted();
-- MERGE, either way
MERGE INTO a USING (VALUES (2)) AS v (x) ON id = x WHEN MATCHED THEN DELETE;
SELECT deleted();
MERGE INTO a USING (VALUES (3)) AS v (x) ON id = x WHEN MATCHED THEN UPDATE SET deleted_at = now();
SELECT deleted();
-- ON CONFLICT, a writable CTE, a trigger that changes its mind
UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL;
INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET deleted_at = now();
SELECT deleted();
WITH x AS (DELETE FROM a WHERE id = 2 RETURNING id), y AS (DELETE FROM b WHERE id = 2 RETURNING id) SELECT * FROM x, y;
SELECT deleted();
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.deleted_at := now(); RETURN NEW; END $$;
CREATE TRIGGER mark BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION mark();
UPDATE a SET id = id WHERE id = 3;
SELECT deleted();
DROP TRIGGER mark ON a;
-- a trigger that keeps a row from falling keeps what is below it
UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON b FOR EACH ROW WHEN (OLD.id > 3) EXECUTE FUNCTION keep();
DELETE FROM a WHERE id = 1;
SELECT deleted();
DROP TRIGGER keep ON b;

-- ------------------------------------------------ chains, cycles and themselves

CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('tree');
INSERT INTO tree SELECT i, nullif(i - 1, 0) FROM generate_series(1, 3000) AS i;
INSERT INTO tree VALUES (5000, 5000), (5001, NULL), (5002, 5001);
UPDATE tree SET parent = 5002 WHERE id = 5001;
-- a chain of 3000 rows, from its middle, from its top
DELETE FROM tree WHERE id = 1500;
SELECT count(*), min(id) FROM tree WHERE deleted_at IS NOT NULL;
DELETE FROM tree WHERE id = 1;
SELECT count(*) FROM tree WHERE deleted_at IS NULL;
DELETE FROM tree WHERE id = 5000;
DELETE FROM tree WHERE id = 5001;
SELECT count(*) FROM tree WHERE deleted_at IS NULL;
-- two tables that reference each other
CREATE TABLE hen (id int PRIMARY KEY, egg int);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen ON DELETE CASCADE);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg ON DELETE CASCADE;
SELECT forge_comm.enable_soft_delete('hen');
SELECT forge_comm.enable_soft_delete('egg');
INSERT INTO hen VALUES (1, NULL), (2, NULL), (3, NULL);
INSERT INTO egg VALUES (1, 1), (2, 2);
UPDATE hen SET egg = id - 1 WHERE id > 1;
UPDATE hen SET egg = 2 WHERE id = 1;
DELETE FROM egg WHERE id = 1;
SELECT count(*) FROM hen WHERE deleted_at IS NULL;
SELECT count(*) FROM egg WHERE deleted_at IS NULL;

-- ------------------------------------------------------ what other keys say

CREATE TABLE p (x int, y text, PRIMARY KEY (x, y));
CREATE TABLE loosened (id int PRIMARY KEY, x int, y text, FOREIGN KEY (x, y) REFERENCES p ON DELETE SET NULL);
CREATE TABLE half (id int PRIMARY KEY, x int, y text, FOREIGN KEY (x, y) REFERENCES p ON DELETE SET NULL (y));
CREATE TABLE defaulted (id int PRIMARY KEY, x int DEFAULT 9, y text DEFAULT 'nine', FOREIGN KEY (x, y) REFERENCES p ON DELETE SET DEFAULT);
CREATE TABLE fallen (id int PRIMARY KEY, x int, y text, FOREIGN KEY (x, y) REFERENCES p ON DELETE CASCADE);
CREATE TABLE free (id int PRIMARY KEY, x int, y text, FOREIGN KEY (x, y) REFERENCES p);
CREATE TABLE strict (id int PRIMARY KEY, x int, y text, FOREIGN KEY (x, y) REFERENCES p ON DELETE RESTRICT);
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{p,loosened,fallen,strict}'::regclass[]) AS rel;
INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three'), (9, 'nine');
INSERT INTO loosened VALUES (1, 1, 'one'), (2, 1, 'one'), (3, 2, 'two');
INSERT INTO half VALUES (1, 1, 'one'), (2, 2, 'two');
INSERT INTO defaulted VALUES (1, 1, 'one'), (2, 2, 'two');
INSERT INTO fallen VALUES (1, 1, 'one'), (2, 1, NULL), (3, 2, 'two');
INSERT INTO free VALUES (1, 1, 'one');
INSERT INTO strict VALUES (1, 3, 'three');
DELETE FROM loosened WHERE id = 2;
DELETE FROM p WHERE x = 1;
SELECT id, x, y, deleted_at IS NULL FROM loosened ORDER BY id;
SELECT * FROM half ORDER BY id;
SELECT * FROM defaulted ORDER BY id;
SELECT id, deleted_at IS NULL FROM fallen ORDER BY id;
SELECT * FROM free;
SELECT refused('DELETE FROM p WHERE x = 3');
SELECT refused('UPDATE p SET deleted_at = now()');
SELECT x, deleted_at IS NULL FROM p ORDER BY x;
SELECT id, x, y, deleted_at IS NULL FROM loosened ORDER BY id;
-- a deleted row restricts nothing
DELETE FROM strict;
DELETE FROM p WHERE x = 3;
SELECT x, deleted_at IS NULL FROM p ORDER BY x;

-- nor does one that falls meanwhile
CREATE TABLE shelf (id int PRIMARY KEY);
CREATE TABLE book (id int PRIMARY KEY, shelf int REFERENCES shelf ON DELETE CASCADE);
CREATE TABLE page (id int PRIMARY KEY, book int REFERENCES book ON DELETE RESTRICT, shelf int REFERENCES shelf ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{shelf,book,page}'::regclass[]) AS rel;
INSERT INTO shelf VALUES (1), (2);
INSERT INTO book VALUES (1, 1), (2, 2);
INSERT INTO page VALUES (1, 1, 1), (2, 2, NULL);
SELECT refused('DELETE FROM shelf WHERE id = 2');
DELETE FROM shelf WHERE id = 1;
SELECT id, deleted_at IS NULL FROM page ORDER BY id;

-- however many levels later
CREATE TABLE roll (id int PRIMARY KEY, shelf int REFERENCES shelf ON DELETE CASCADE);
CREATE TABLE tape (id int PRIMARY KEY, roll int REFERENCES roll ON DELETE CASCADE);
CREATE TABLE strap (id int PRIMARY KEY, book int REFERENCES book ON DELETE RESTRICT, tape int REFERENCES tape ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{roll,tape,strap}'::regclass[]) AS rel;
INSERT INTO shelf VALUES (3);
INSERT INTO book VALUES (3, 3);
INSERT INTO roll VALUES (3, 3);
INSERT INTO tape VALUES (3, 3);
INSERT INTO strap VALUES (3, 3, 3);
DELETE FROM shelf WHERE id = 3;
SELECT count(deleted_at) FROM strap;

-- keys of other types and collations than what they reference, dropped columns
CREATE TABLE wide (junk int, id bigint PRIMARY KEY, name varchar(20) UNIQUE, tag text COLLATE "C" UNIQUE);
ALTER TABLE wide DROP COLUMN junk;
CREATE TABLE narrow (junk int, id int PRIMARY KEY, wide int REFERENCES wide ON DELETE CASCADE, name text REFERENCES wide (name) ON DELETE CASCADE,
                     tag varchar COLLATE "POSIX" REFERENCES wide (tag) ON DELETE CASCADE);
ALTER TABLE narrow DROP COLUMN junk;
SELECT forge_comm.enable_soft_delete('wide', deleted_at => 'gone at');
SELECT forge_comm.enable_soft_delete('narrow', deleted_at => 'ended');
INSERT INTO wide VALUES (1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', NULL);
INSERT INTO narrow VALUES (1, 1, NULL, NULL), (2, NULL, 'two', NULL), (3, NULL, NULL, 'y'), (4, 3, 'three', NULL), (5, NULL, NULL, NULL);
DELETE FROM wide WHERE id = 1;
SELECT id FROM active_narrow ORDER BY id;
DELETE FROM wide;
SELECT id FROM active_narrow ORDER BY id;

-- --------------------------------------------------- marks and deletion ids

CREATE TABLE room (id int PRIMARY KEY);
CREATE TABLE seat (id int PRIMARY KEY, room int REFERENCES room ON DELETE CASCADE, is_on boolean DEFAULT true);
CREATE TABLE guest (id int PRIMARY KEY, seat int REFERENCES seat ON DELETE CASCADE);
CREATE TABLE coat (id int PRIMARY KEY, guest int REFERENCES guest ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('room', deleted_by => 'deleted_by', deletion_id => 'deletion_id');
SELECT forge_comm.enable_soft_delete('seat', deleted_by => 'gone_by', is_active => 'is_on');
SELECT forge_comm.enable_soft_delete('guest', deletion_id => 'deletion');
SELECT forge_comm.enable_soft_delete('coat', deleted_by => 'who', deletion_id => 'which');
SELECT * FROM forge_comm.rules('room');
INSERT INTO room VALUES (1), (2), (3);
INSERT INTO seat SELECT i, 1 + i % 3 FROM generate_series(1, 6) AS i;
INSERT INTO guest SELECT i, i FROM generate_series(1, 6) AS i;
INSERT INTO coat SELECT i, i FROM generate_series(1, 6) AS i;
GRANT SELECT, UPDATE, DELETE ON room, coat TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7, 1);
DELETE FROM room WHERE id < 3;
COMMIT;
-- the same statement, the same id; another statement, another id
BEGIN;
DELETE FROM room WHERE id = 3;
DELETE FROM coat WHERE id = 1;
COMMIT;
SET SESSION AUTHORIZATION regress_owner;
SELECT id, deleted_by FROM room ORDER BY id;
SELECT id, gone_by, is_on FROM seat ORDER BY id;
SELECT count(DISTINCT deletion_id) FROM room;
SELECT count(*) FROM room AS r JOIN seat AS s ON s.room = r.id JOIN guest AS g ON g.seat = s.id JOIN coat AS c ON c.guest = g.id
 WHERE r.deletion_id = g.deletion AND g.deletion = c.which AND r.deleted_at = c.deleted_at AND c.who IS NOT DISTINCT FROM r.deleted_by;
-- is_active is the application's own, unless it is named
CREATE TABLE lamp (id int PRIMARY KEY, room int REFERENCES room ON DELETE CASCADE, is_active boolean DEFAULT true);
SELECT forge_comm.enable_soft_delete('lamp');
INSERT INTO lamp VALUES (1, 1, true), (2, 1, false);
DELETE FROM lamp;
SELECT id, is_active, deleted_at IS NULL FROM lamp ORDER BY id;
UPDATE room SET deleted_at = NULL WHERE id = 1;
SELECT forge_comm.restore('lamp', 2);
SELECT id, is_active, deleted_at IS NULL FROM lamp ORDER BY id;
DELETE FROM room WHERE id = 1;
SELECT id, is_active, deleted_at IS NULL FROM lamp ORDER BY id;
DROP TABLE lamp CASCADE;
-- The id is not for users to give, neither with the mark nor without it
SET SESSION AUTHORIZATION regress_app;
UPDATE room SET deleted_at = NULL;
SELECT count(deletion_id) FROM room;
UPDATE room SET deletion_id = '11111111-1111-1111-1111-111111111111' WHERE id = 1;
UPDATE room SET deleted_at = now(), deletion_id = '11111111-1111-1111-1111-111111111111' WHERE id = 2;
UPDATE room SET (deletion_id, deleted_at) = (SELECT '11111111-1111-1111-1111-111111111111'::uuid, now()) WHERE id = 3;
MERGE INTO room USING (VALUES (1)) AS v (x) ON id = x WHEN MATCHED THEN UPDATE SET deleted_at = now(), deletion_id = '11111111-1111-1111-1111-111111111111';
SELECT id, deletion_id = '11111111-1111-1111-1111-111111111111' FROM room ORDER BY id;
SELECT count(DISTINCT deletion_id) FROM room;
-- a mark that is moved keeps its id
CREATE TEMPORARY TABLE ids AS SELECT * FROM room;
UPDATE room SET deleted_at = '2020-01-01', deletion_id = NULL;
SELECT count(*) FROM room JOIN ids USING (id, deletion_id);
SET SESSION AUTHORIZATION regress_owner;

-- ------------------------------------------------------ partitions, children

CREATE TABLE era (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE era_1 PARTITION OF era FOR VALUES IN (1);
CREATE TABLE era_2 (junk int, part int NOT NULL, id int NOT NULL);
ALTER TABLE era_2 DROP COLUMN junk;
ALTER TABLE era ATTACH PARTITION era_2 FOR VALUES IN (2);
CREATE TABLE king (id int, part int, era int, era_part int, FOREIGN KEY (era, era_part) REFERENCES era ON DELETE CASCADE, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE king_1 PARTITION OF king FOR VALUES IN (1);
CREATE TABLE king_2 (junk int, part int NOT NULL, id int NOT NULL, era_part int, era int);
ALTER TABLE king_2 DROP COLUMN junk;
ALTER TABLE king ATTACH PARTITION king_2 FOR VALUES IN (2);
INSERT INTO era SELECT i, 1 + i % 2 FROM generate_series(1, 6) AS i;
INSERT INTO king SELECT i, 1 + i / 3 % 2, 1 + i % 6, 1 + (1 + i) % 2 FROM generate_series(1, 24) AS i;
SELECT forge_comm.enable_soft_delete('era');
SELECT forge_comm.enable_soft_delete('king');
CREATE TRIGGER z_count AFTER UPDATE ON king FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
TRUNCATE counted;
DELETE FROM era WHERE id < 3;
SELECT era, count(*), count(deleted_at), count(DISTINCT tableoid) FROM king GROUP BY era ORDER BY era;
SELECT statements FROM counted;
-- a partition named itself, and one made later
DELETE FROM era_1 WHERE id = 4;
CREATE TABLE era_3 PARTITION OF era FOR VALUES IN (3);
CREATE TABLE king_3 PARTITION OF king FOR VALUES IN (3);
INSERT INTO era VALUES (7, 3), (8, 3);
INSERT INTO king VALUES (50, 3, 7, 3), (51, 3, 8, 3);
DELETE FROM era_3 WHERE id = 7;
DELETE FROM era WHERE id = 8;
SELECT era, count(*), count(deleted_at) FROM king GROUP BY era ORDER BY era;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ '^forge_comm_soft_delete_(note|follow)$' AND tgrelid::regclass::text ~ '^era' ORDER BY 1, 2;
-- the mark must not decide about the partition
CREATE TABLE bin (id int, deleted_at timestamptz, UNIQUE (id, deleted_at)) PARTITION BY LIST (deleted_at);
CREATE TABLE bin_live PARTITION OF bin FOR VALUES IN (NULL);
CREATE TABLE bin_dead PARTITION OF bin DEFAULT;
CREATE TABLE trash (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES bin (id, deleted_at) ON DELETE CASCADE);
SELECT refused('SELECT forge_comm.enable_soft_delete(''bin'')');
SELECT forge_comm.enable_soft_delete('bin', cascade => false);
INSERT INTO bin VALUES (1), (2);
DELETE FROM bin WHERE id = 1;
SELECT id, tableoid::regclass FROM bin ORDER BY id;
-- inheritance: the key is of one table alone
CREATE TABLE animal (id int PRIMARY KEY);
CREATE TABLE dog () INHERITS (animal);
CREATE TABLE tail (id int PRIMARY KEY, animal int REFERENCES animal ON DELETE CASCADE);
CREATE TABLE dog_tail () INHERITS (tail);
INSERT INTO animal VALUES (1);
INSERT INTO dog VALUES (1), (2);
INSERT INTO tail VALUES (1, 1);
INSERT INTO dog_tail VALUES (2, 1);
SELECT forge_comm.enable_soft_delete('animal');
SELECT forge_comm.enable_soft_delete('tail');
DELETE FROM dog WHERE id = 1;
SELECT count(deleted_at) FROM tail;
DELETE FROM animal;
SELECT tableoid::regclass, id, deleted_at IS NULL FROM tail ORDER BY id;

-- ---------------------------------------------- keys that come and go, owners

CREATE TABLE late (id int PRIMARY KEY);
SELECT forge_comm.enable_soft_delete('late');
-- nothing references it: nothing is there
SELECT tgname FROM pg_trigger WHERE tgrelid = 'late'::regclass AND NOT tgisinternal ORDER BY 1;
CREATE TABLE later (id int PRIMARY KEY, late int REFERENCES late ON DELETE CASCADE);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'late'::regclass AND NOT tgisinternal ORDER BY 1;
INSERT INTO late VALUES (1), (2), (3);
INSERT INTO later VALUES (1, 1), (2, 2), (3, 3);
DELETE FROM late WHERE id = 1;
SELECT count(*) FROM later;
SELECT forge_comm.enable_soft_delete('later');
DELETE FROM late WHERE id = 2;
SELECT id, deleted_at IS NULL FROM later ORDER BY id;
ALTER TABLE later RENAME COLUMN late TO was_late;
ALTER TABLE later RENAME TO latest;
ALTER TABLE late RENAME COLUMN id TO key;
DELETE FROM late WHERE key = 3;
SELECT id, deleted_at IS NULL FROM latest ORDER BY id;
-- while a dump is restored, which brings the triggers along, nothing is made
CREATE TABLE dumped (id int PRIMARY KEY);
SELECT forge_comm.enable_soft_delete('dumped');
RESET SESSION AUTHORIZATION;
SET row_security = off;
CREATE TABLE restored (id int PRIMARY KEY, dumped int REFERENCES dumped ON DELETE CASCADE);
ALTER TABLE restored OWNER TO regress_owner;
RESET row_security;
SET SESSION AUTHORIZATION regress_owner;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'dumped'::regclass AND tgname ~ 'note|follow';
SELECT forge_comm.enable_soft_delete('dumped');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'dumped'::regclass AND tgname ~ 'note|follow' ORDER BY 1;
-- someone else's table, whose owner may not alter ours
CREATE TABLE ours (id int PRIMARY KEY);
SELECT forge_comm.enable_soft_delete('ours');
GRANT REFERENCES, SELECT ON ours TO regress_other;
SET SESSION AUTHORIZATION regress_other;
CREATE TABLE theirs (id int PRIMARY KEY, ours int REFERENCES ours ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('theirs');
INSERT INTO theirs SELECT i, NULL FROM generate_series(1, 2) AS i;
SET SESSION AUTHORIZATION regress_owner;
INSERT INTO ours VALUES (1), (2);
SET SESSION AUTHORIZATION regress_other;
UPDATE theirs SET ours = id;
SET SESSION AUTHORIZATION regress_owner;
DELETE FROM ours WHERE id = 1;
SELECT forge_comm.enable_soft_delete('ours');
-- the cascade has the rights of the one whose rows fall, not the deleter's
DELETE FROM ours WHERE id = 2;
SELECT refused('SELECT * FROM theirs');
SET SESSION AUTHORIZATION regress_other;
SELECT id, deleted_at IS NULL FROM theirs ORDER BY id;
SET SESSION AUTHORIZATION regress_owner;
-- without a cascade nothing follows
SELECT forge_comm.disable_soft_delete('ours');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'ours'::regclass AND NOT tgisinternal;
SELECT forge_comm.enable_soft_delete('ours', cascade => false);
SELECT * FROM forge_comm.rules('ours');
SELECT refused('SELECT forge_comm.enable_soft_delete(''ours'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''free'', cascade => NULL)');

-- ------------------------------------------------------------ triggers within

-- A trigger in the cascade deletes something: its own cascade is whole, and
-- what it undoes does not count.
CREATE TABLE side (id int PRIMARY KEY);
CREATE TABLE side_note (id int PRIMARY KEY, side int REFERENCES side ON DELETE CASCADE);
CREATE TABLE top (id int PRIMARY KEY);
CREATE TABLE low (id int PRIMARY KEY, top int REFERENCES top ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{side,side_note,top,low}'::regclass[]) AS rel;
CREATE FUNCTION on_low() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM regress_cascade.side WHERE id = OLD.id;
  RAISE WARNING 'notes left: %', (SELECT count(*) FROM regress_cascade.side_note WHERE deleted_at IS NULL);
  BEGIN
    DELETE FROM regress_cascade.side WHERE id = 9;
    RAISE EXCEPTION 'no';
  EXCEPTION WHEN raise_exception THEN
  END;
  RETURN NULL;
END $$;
CREATE TRIGGER on_low AFTER UPDATE ON low FOR EACH ROW EXECUTE FUNCTION on_low();
INSERT INTO side VALUES (1), (2), (9);
INSERT INTO side_note VALUES (1, 1), (2, 2), (9, 9);
INSERT INTO top VALUES (1);
INSERT INTO low VALUES (1, 1), (2, 1);
DELETE FROM top;
SELECT id FROM side WHERE deleted_at IS NULL;
SELECT id FROM side_note WHERE deleted_at IS NULL;
-- An error in the cascade undoes it all, and the session goes on
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER fail BEFORE UPDATE ON d FOR EACH ROW WHEN (OLD.id = 3000) EXECUTE FUNCTION fail();
UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL WHERE id <> 3000;
SELECT refused('DELETE FROM a');
SELECT deleted();
DROP TRIGGER fail ON d;
DELETE FROM a WHERE id = 2;
SELECT deleted();

-- What a statement noted that failed in the end is forgotten
UPDATE a SET deleted_at = NULL;
UPDATE b SET deleted_at = NULL;
UPDATE c SET deleted_at = NULL;
UPDATE d SET deleted_at = NULL;
CREATE TRIGGER z_fail AFTER UPDATE ON a FOR EACH ROW WHEN (OLD.id = 3) EXECUTE FUNCTION fail();
DO $$
BEGIN
  BEGIN
    DELETE FROM a WHERE id = 3;
  EXCEPTION WHEN raise_exception THEN
  END;
  DELETE FROM a WHERE id = 1;
END $$;
SELECT deleted();
SELECT count(*) FROM b WHERE deleted_at IS NOT NULL AND a = 3;
DROP TRIGGER z_fail ON a;

-- ------------------------------------------------------------------ workspaces

-- The cascade reaches rows that the deleter cannot see, but no other workspace
RESET SESSION AUTHORIZATION;
CREATE TABLE ws_users (id int PRIMARY KEY);
CREATE TABLE ws_channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE ws_messages (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int REFERENCES ws_channels ON DELETE CASCADE,
                          user_id int REFERENCES ws_users ON DELETE CASCADE, is_secret boolean DEFAULT false);
INSERT INTO ws_users VALUES (1), (2), (3);
INSERT INTO ws_channels VALUES (1, 1), (2, 2), (3, 1);
-- 13 is of another workspace than its channel, from before tenancy was
INSERT INTO ws_messages VALUES (10, 1, 1, 1, false), (11, 1, 1, 2, true), (13, 2, 1, 3, false), (20, 2, 2, 1, false), (30, 1, 3, 1, false);
ALTER TABLE ws_users OWNER TO regress_owner;
ALTER TABLE ws_channels OWNER TO regress_owner;
ALTER TABLE ws_messages OWNER TO regress_owner;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('ws_channels');
SELECT forge_comm.enable_tenancy('ws_messages');
CREATE POLICY not_secret ON ws_messages AS RESTRICTIVE USING (NOT is_secret);
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'deletion_id') FROM unnest('{ws_users,ws_channels,ws_messages}'::regclass[]) AS rel;
GRANT SELECT, DELETE ON ws_users, ws_channels TO regress_app;
GRANT SELECT ON ws_messages TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
\set QUIET off
DELETE FROM ws_channels WHERE id = 1;
\set QUIET on
SELECT id, deleted_at IS NULL FROM ws_messages ORDER BY id;
RESET SESSION AUTHORIZATION;
SELECT id, deleted_at IS NULL FROM ws_messages ORDER BY id;
ROLLBACK;
-- Who belongs to no workspace takes along what is in scope
SET SESSION AUTHORIZATION regress_app;
SELECT refused('DELETE FROM ws_users WHERE id = 1');
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
DELETE FROM ws_users WHERE id = 1;
RESET SESSION AUTHORIZATION;
SELECT id, deleted_at IS NULL FROM ws_messages ORDER BY id;
ROLLBACK;
RESET SESSION AUTHORIZATION;
DELETE FROM ws_users WHERE id = 1;
SELECT id, deleted_at IS NULL FROM ws_messages ORDER BY id;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_cascade CASCADE;
DROP OWNED BY regress_app, regress_owner, regress_other;
DROP ROLE regress_app, regress_owner, regress_other;
