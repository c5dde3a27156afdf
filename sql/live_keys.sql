-- Unique keys that hold among the live rows only, and back.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_owner;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_keys AUTHORIZATION regress_owner;
SET search_path = regress_keys;
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SET SESSION AUTHORIZATION regress_owner;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql
-- All that a dump would say of the indexes and constraints of a table
CREATE VIEW keys AS
SELECT i.indrelid::regclass AS rel, c.relname,
       concat_ws(E'\n  ', pg_get_indexdef(c.oid), (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint AS k WHERE k.conindid = c.oid AND k.conrelid = i.indrelid),
                 obj_description(c.oid, 'pg_class'),
                 (SELECT obj_description(k.oid, 'pg_constraint') FROM pg_constraint AS k WHERE k.conindid = c.oid AND k.conrelid = i.indrelid)) AS definition
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'regress_keys'::regnamespace;

CREATE TABLE users (
  id int PRIMARY KEY,
  email text NOT NULL,
  workspace int,
  "Nick Name" varchar(20),
  extra text,
  code int,
  is_bot boolean DEFAULT false,
  CONSTRAINT "one email" UNIQUE (email),
  UNIQUE NULLS NOT DISTINCT (workspace, code) INCLUDE (extra) WITH (fillfactor = 70),
  UNIQUE (id, workspace)
);
COMMENT ON CONSTRAINT "one email" ON users IS 'It''s the address';
CREATE UNIQUE INDEX users_nick ON users (lower("Nick Name") text_pattern_ops DESC, workspace);
COMMENT ON INDEX users_nick IS E'How they are called\nhere';
CREATE UNIQUE INDEX users_bot ON users USING btree (code) WHERE is_bot AND code > 0;
CREATE UNIQUE INDEX users_done ON users (code, email) WHERE code = 1 OR code = 2;
CREATE INDEX users_plain ON users (code);
CREATE TABLE before AS SELECT * FROM keys;
-- a key that includes the primary one is unique anyhow, and may be referenced
CREATE TABLE notes (id int PRIMARY KEY, workspace int, FOREIGN KEY (id, workspace) REFERENCES users (id, workspace));
SELECT forge_comm.enable_soft_delete('users', unique_keys => 'live');
SELECT * FROM forge_comm.rules('users');
SELECT definition FROM keys WHERE rel = 'users'::regclass AND definition NOT IN (SELECT definition FROM before) ORDER BY relname;
SELECT relname FROM before EXCEPT SELECT relname FROM keys;
SET client_min_messages = notice;
SELECT forge_comm.enable_soft_delete('users', unique_keys => 'live');
SET client_min_messages = warning;

-- Deleted rows are in nobody's way, live ones are
INSERT INTO users VALUES (1, 'a@example.com', 1, 'Ann', NULL, 1);
DELETE FROM users;
INSERT INTO users VALUES (2, 'a@example.com', 1, 'ANN', NULL, 1);
SELECT refused('INSERT INTO users VALUES (3, ''a@example.com'')') ~ '^23505';
SELECT refused('INSERT INTO users VALUES (3, ''b'', 1, ''aNN'')') ~ '^23505';
SELECT refused('INSERT INTO users VALUES (3, ''b'', 1, ''Bo'', NULL, 1)') ~ '^23505';
-- ON CONFLICT has to say the same
SELECT refused('INSERT INTO users VALUES (3, ''a@example.com'') ON CONFLICT (email) DO NOTHING');
INSERT INTO users VALUES (3, 'a@example.com') ON CONFLICT (email) WHERE deleted_at IS NULL DO UPDATE SET extra = 'met' RETURNING id, extra;
INSERT INTO users VALUES (3, 'a@example.com') ON CONFLICT DO NOTHING;
SELECT id, email, deleted_at IS NULL FROM users ORDER BY id;

-- Back: not while deleted rows are in the way, then exactly as it was
SELECT refused('SELECT forge_comm.disable_soft_delete(''users'', true)');
SELECT count(*) FROM keys WHERE relname = 'one email' AND definition ~ 'deleted_at IS NULL';
CREATE TABLE dead AS SELECT * FROM users WHERE deleted_at IS NOT NULL;
UPDATE users SET email = 'was ' || email, workspace = 0, "Nick Name" = NULL WHERE deleted_at IS NOT NULL;
SELECT forge_comm.disable_soft_delete('users', true);
SELECT rel, relname, definition FROM before EXCEPT SELECT * FROM keys;
SELECT rel, relname, definition FROM keys WHERE rel = 'users'::regclass EXCEPT SELECT * FROM before;

-- Also when the columns and the table have other names by then
SELECT forge_comm.enable_soft_delete('users', deleted_at => 'Gone At', unique_keys => 'live');
ALTER TABLE users RENAME COLUMN email TO address;
ALTER TABLE users RENAME TO people;
SELECT refused('INSERT INTO people VALUES (4, ''a@example.com'')') ~ '^23505';
SELECT forge_comm.disable_soft_delete('people');
ALTER TABLE people RENAME TO users;
ALTER TABLE users RENAME COLUMN address TO email;
ALTER TABLE users DROP COLUMN "Gone At";
SELECT rel, relname, definition FROM before EXCEPT SELECT * FROM keys;
SELECT rel, relname, definition FROM keys WHERE rel = 'users'::regclass EXCEPT SELECT * FROM before;

-- ------------------------------------------------------------------- refused

CREATE TABLE by_email (id int PRIMARY KEY, email text CONSTRAINT "to the address" REFERENCES users (email));
SELECT refused('SELECT forge_comm.enable_soft_delete(''users'', unique_keys => ''live'')');
SELECT refused('SELECT forge_comm.enable_soft_delete(''users'', unique_keys => ''dead'')');
DROP TABLE by_email;
CREATE TABLE put_off (id int PRIMARY KEY, n int UNIQUE DEFERRABLE);
SELECT refused('SELECT forge_comm.enable_soft_delete(''put_off'', unique_keys => ''live'')');
CREATE TABLE sent (id int PRIMARY KEY, n int NOT NULL UNIQUE);
ALTER TABLE sent REPLICA IDENTITY USING INDEX sent_n_key;
SELECT refused('SELECT forge_comm.enable_soft_delete(''sent'', unique_keys => ''live'')');
-- nothing is left of it
SELECT count(*) FROM pg_attribute WHERE attrelid IN ('users'::regclass, 'put_off'::regclass, 'sent'::regclass) AND attname = 'deleted_at';
-- a foreign key that comes later finds no key to reference
SELECT forge_comm.enable_soft_delete('users', unique_keys => 'live');
SELECT refused('CREATE TABLE by_email (id int PRIMARY KEY, email text REFERENCES users (email))');

-- ---------------------------------------------------------- partitions, children

CREATE TABLE parts (id int, part int, name text, PRIMARY KEY (id, part), CONSTRAINT name_key UNIQUE (part, name) INCLUDE (id)) PARTITION BY LIST (part);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE UNIQUE INDEX parts_lower ON parts (part, lower(name));
CREATE TABLE base (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE derived (PRIMARY KEY (id), UNIQUE (name)) INHERITS (base);
TRUNCATE before;
INSERT INTO before SELECT * FROM keys;
SELECT forge_comm.enable_soft_delete('parts', unique_keys => 'live');
SELECT forge_comm.enable_soft_delete('base', unique_keys => 'live');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO derived VALUES (1, 'x');
DELETE FROM parts;
DELETE FROM base;
INSERT INTO parts VALUES (11, 1, 'A'), (12, 2, 'B');
INSERT INTO derived VALUES (2, 'x');
SELECT refused('INSERT INTO parts VALUES (22, 2, ''b'')') ~ '^23505', refused('INSERT INTO parts VALUES (22, 1, ''A'')') ~ '^23505',
       refused('INSERT INTO derived VALUES (3, ''x'')') ~ '^23505';
UPDATE parts SET name = NULL WHERE deleted_at IS NOT NULL;
UPDATE base SET name = NULL WHERE deleted_at IS NOT NULL;
DROP TABLE parts_2;
SELECT forge_comm.disable_soft_delete('parts', true);
SELECT forge_comm.disable_soft_delete('base', true);
SELECT rel, relname, definition FROM before EXCEPT SELECT * FROM keys;
SELECT rel, relname, definition FROM keys EXCEPT SELECT * FROM before;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_keys CASCADE;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
