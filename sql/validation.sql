-- Rules of columns: what each asks, how errors say so, what is there already,
-- and every way in which a row may be written.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
CREATE ROLE regress_validation;
SELECT forge_comm.grant_owner('regress_validation'), forge_comm.grant_app('regress_validation');
CREATE SCHEMA regress_validation AUTHORIZATION regress_validation;
SET search_path = regress_validation;
SET ROLE regress_validation;
RESET client_min_messages;

-- What a driver is told
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; hint text; tab text; col text; con text; n bigint;
BEGIN
  EXECUTE statement;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN format('%s rows', n);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    tab = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME;
  RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''),
                   nullif(concat_ws(' ', nullif(tab, ''), nullif(col, ''), nullif(con, '')), ''));
END $$;

CREATE TABLE users (
  id int PRIMARY KEY,
  email varchar(60) NOT NULL,
  name text,
  role varchar(20),
  age int,
  seen timestamptz,
  due date,
  bio text,
  hashed_password text,
  colour char(9),
  stamp timestamp,
  twice int GENERATED ALWAYS AS (age * 2) STORED
);

-- --------------------------------------------------------- adding and dropping

SELECT forge_comm.add_validation('users', 'email', 'email');
SELECT forge_comm.add_validation('users', 'email', 'email');
SELECT forge_comm.add_validation('users', 'name', 'length', 'max=10');
SELECT refused($$SELECT forge_comm.add_validation('users', 'name', 'length', 'max=11')$$);
SELECT forge_comm.add_validation('users', 'name', 'not_blank');
SELECT forge_comm.add_validation('users', 'name', 'not_null');
SELECT forge_comm.add_validation('users', 'role', 'one_of', 'owner', 'member', 'it''s');
SELECT forge_comm.add_validation('users', 'age', 'range', 'min=0', 'max=150');
SELECT forge_comm.add_validation('users', 'seen', 'past');
SELECT forge_comm.add_validation('users', 'due', 'future');
SELECT forge_comm.add_validation('users', 'stamp', 'past');
SELECT forge_comm.add_validation('users', 'bio', 'clean_text');
SELECT forge_comm.add_validation('users', 'bio', 'length', 'min=3', 'max=20');
SELECT forge_comm.add_validation('users', 'hashed_password', 'password_hash');
SELECT forge_comm.add_validation('users', 'colour', 'color');
SELECT pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = 'users'::regclass;
SELECT * FROM forge_comm.rules('users');

-- Wrong calls
SELECT call, refused(format('SELECT forge_comm.add_validation(%s)', call)) FROM unnest(ARRAY[
  $$NULL, 'email', 'email'$$, $$'users', NULL, 'email'$$, $$'users', 'email', NULL$$, $$'users', 'nowhere', 'email'$$,
  $$'users', 'email', 'fun'$$, $$'users', 'email', 'email', 'max=3'$$, $$'users', 'email', 'length'$$,
  $$'users', 'email', 'length', NULL$$, $$'users', 'email', 'length', 'max=ten'$$, $$'users', 'email', 'length', 'min=9', 'max=3'$$,
  $$'users', 'email', 'length', 'max'$$, $$'users', 'email', 'length', 'max=99999999999999999999'$$, $$'users', 'email', 'length', 'max=-1'$$,
  $$'users', 'age', 'length', 'max=3'$$, $$'users', 'age', 'email'$$, $$'users', 'colour', 'email'$$, $$'users', 'colour', 'clean_text'$$,
  $$'users', 'age', 'future'$$, $$'users', 'age', 'one_of'$$, $$'users', 'role', 'matches'$$, $$'users', 'role', 'matches', '['$$,
  $$'users', 'role', 'matches', 'a', 'b'$$, $$'users', 'role', 'range', 'max='$$, $$'users', 'seen', 'range'$$, $$'users', 'seen', 'range', 'min=soon'$$,
  $$'users', 'seen', 'range', 'min=2020-01-01', 'max=2010-01-01'$$, $$'users', 'twice', 'range', 'min=1'$$, $$'users', 'ctid', 'not_null'$$,
  $$'users', 'age', 'same_as_parent'$$, $$'users', 'age', 'same_as_parent', 'via=id'$$, $$'users', 'role', 'unique_ci', 'within=nowhere'$$,
  $$'users', 'age', 'unique_ci'$$, $$'pg_class', 'relname', 'slug'$$]) AS call;
SELECT refused($$SELECT forge_comm.report_invalid('users', 'nowhere', 'email')$$);
SELECT refused($$SELECT forge_comm.report_invalid(NULL, 'email', 'email')$$);
SELECT refused($$SELECT forge_comm.is_valid('users', 'email', 'email', '{}', 1)$$);
SELECT forge_comm.is_valid(NULL::regclass, 'email', 'email', '{}', 'a@b.c'::varchar);
SELECT refused($$SELECT forge_comm.is_valid(1::oid::regclass, 'email', 'email', '{}', 'a@b.c'::varchar)$$);

-- ------------------------------------------------------------------- writing

SELECT values, refused(format('INSERT INTO users (id, email, name, role, age, seen, due, bio, hashed_password, colour, stamp) VALUES (%s)', values))
  FROM unnest(ARRAY[
    $$1, 'Ann@X.example', 'Ann', 'owner', 0, now(), current_date + 1, '  hello ', NULL, '#a1b2c3', 'now'$$,
    $$2, 'SECRET', 'Ann', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, NULL, 'Ann', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', E' \t\n', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', '01234567890', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'SECRET', NULL, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'it''s', -1, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 151, NULL, NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, now() + interval '1 second', NULL, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, current_date, NULL, NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, NULL, NULL, NULL, NULL, now() + interval '1 minute'$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, NULL, '   x   ', NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, NULL, repeat('SECRET', 4), NULL, NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, NULL, NULL, 'SECRET', NULL, NULL$$,
    $$2, 'b@x.example', 'x', 'member', 150, NULL, NULL, NULL, '$2b$12$abcdefghijklmnopqrstuu3yZ0yS0Kj6VZ0yS0Kj6VZ0yS0Kj6VZ0', 'SECRET', NULL$$]) AS values;
SELECT id, email, bio, colour FROM users;

-- All at once, as a form needs it
SET forge_comm.all_errors = on;
SELECT refused($$INSERT INTO users (id, email, name, role, age, bio) VALUES (3, 'SECRET', NULL, 'SECRET', 999, 'x')$$);
SELECT refused($$INSERT INTO users (id, email, name) VALUES (3, NULL, NULL)$$);
SELECT refused($$INSERT INTO users (id, email, name) VALUES (3, 'SECRET', 'x')$$);
SELECT refused($$INSERT INTO users (id, email, name) VALUES (3, 'c@x.example', 'fine')$$);
RESET forge_comm.all_errors;

-- Updates look at what they change, whatever was there before
ALTER TABLE users DISABLE TRIGGER forge_comm_validation;
INSERT INTO users (id, email, name, age) VALUES (10, 'old rubbish', NULL, 1000);
ALTER TABLE users ENABLE TRIGGER forge_comm_validation;
SELECT refused('UPDATE users SET role = ''member'', email = email WHERE id = 10');
SELECT refused('UPDATE users SET age = 1001 WHERE id = 10');
SELECT refused('UPDATE users SET name = ''Old'', email = '' Old@X.example '', age = 30 WHERE id = 10');
SELECT refused('UPDATE users SET name = NULL WHERE id = 10');
SELECT id, email, name, age, role FROM users WHERE id = 10;
-- Long values, stored elsewhere
ALTER TABLE users ALTER bio SET STORAGE EXTERNAL;
ALTER TABLE users DISABLE TRIGGER USER;
UPDATE users SET bio = repeat('long ', 10000) WHERE id = 10;
ALTER TABLE users ENABLE TRIGGER USER;
SELECT refused('UPDATE users SET age = 31 WHERE id = 10');
SELECT refused('UPDATE users SET bio = bio || ''er'' WHERE id = 10');

-- Views, MERGE, ON CONFLICT, CTEs
CREATE VIEW adults AS SELECT id, email, name, age FROM users WHERE age >= 18 WITH CHECK OPTION;
SELECT refused($$INSERT INTO adults VALUES (11, 'SECRET', 'v', 20)$$);
SELECT refused($$INSERT INTO adults VALUES (11, 'V@x.example', 'SECRET', 2)$$);
SELECT refused($$INSERT INTO adults VALUES (11, 'V@x.example', 'v', 20)$$);
SELECT refused($$UPDATE adults SET email = 'SECRET' WHERE id = 11$$);
SELECT refused($$MERGE INTO users AS u USING (VALUES (11), (12)) AS v (id) ON u.id = v.id
  WHEN MATCHED THEN UPDATE SET email = 'SECRET' WHEN NOT MATCHED THEN INSERT (id, email, name) VALUES (v.id, 'm@x.example', 'm')$$);
SELECT refused($$MERGE INTO users AS u USING (VALUES (11), (12)) AS v (id) ON u.id = v.id
  WHEN MATCHED THEN UPDATE SET email = 'W@x.example' WHEN NOT MATCHED THEN INSERT (id, email, name) VALUES (v.id, 'M@x.example', 'm')$$);
SELECT refused($$INSERT INTO users (id, email, name) VALUES (12, 'n@x.example', 'n') ON CONFLICT (id) DO UPDATE SET email = 'SECRET'$$);
SELECT refused($$INSERT INTO users (id, email, name) VALUES (12, 'n@x.example', 'n') ON CONFLICT (id) DO UPDATE SET email = 'N@X.example'$$);
SELECT refused($$WITH w AS (INSERT INTO users (id, email, name) VALUES (13, 'SECRET', 'n') RETURNING id) SELECT * FROM w$$);
SELECT id, email FROM users ORDER BY id;

-- PostgreSQL's own errors do not show the row either
ALTER TABLE users ADD CHECK (age <> 13);
SELECT refused($$INSERT INTO users (id, email, name, age) VALUES (14, 'SECRET@x.example', 'SECRET', 13)$$);
SELECT refused($$INSERT INTO users (id, email, name, age) VALUES (1, 'SECRET@x.example', 'SECRET', 12)$$);
SELECT refused($$INSERT INTO users (id, email, name, age) VALUES (NULL, 'SECRET@x.example', 'SECRET', 12)$$);
-- An application's own error is its own business
SELECT refused($$DO 'BEGIN RAISE check_violation USING MESSAGE = ''mine'', DETAIL = ''Failing (mine)'', TABLE = ''users''; END'$$);

-- COPY tells the line's number, but not the line
RESET ROLE;
\set SHOW_CONTEXT always
COPY users (id, email, name) FROM stdin;
20	Copied@x.example	first
21	SECRET	second
\.
COPY users (id, email, name) FROM stdin WITH (FORMAT csv);
20,Copied@x.example,first
1,SECRET@x.example,second
\.
COPY users (id, email, name) FROM stdin;
20	Copied@x.example	first
21	\N	SECRET
\.
COPY users (id, email, name) FROM stdin;
20	Copied@x.example	first
\.
\set SHOW_CONTEXT never
SELECT id, email FROM users WHERE id = 20;
SET ROLE regress_validation;

-- Where triggers are off, so are rules; and a text may be a domain or char(n)
CREATE DOMAIN short AS text CHECK (VALUE !~ 'q');
CREATE TABLE odd (id int PRIMARY KEY, d short, c char(20), n name, e numeric(5, 2), m text COLLATE "C", "odd=name" text);
SELECT forge_comm.add_validation('odd', 'd', 'clean_text');
SELECT forge_comm.add_validation('odd', 'd', 'length', 'min=2', 'max=5');
SELECT forge_comm.add_validation('odd', 'c', 'slug');
SELECT forge_comm.add_validation('odd', 'c', 'length', 'max=5');
SELECT refused($$SELECT forge_comm.add_validation('odd', 'n', 'slug')$$);
SELECT forge_comm.add_validation('odd', 'n', 'one_of', 'a', 'b');
SELECT forge_comm.add_validation('odd', 'e', 'one_of', '1', '2.50');
SELECT forge_comm.add_validation('odd', 'm', 'matches', '^\w{2,3}$');
SELECT forge_comm.add_validation('odd', 'odd=name', 'slug');
SELECT values, refused(format('INSERT INTO odd VALUES (%s)', values)) FROM unnest(ARRAY[
  $$1, ' abc ', 'abc', 'a', 2.5, 'abc', 'abc'$$, $$2, 'abcdef'$$, $$2, NULL, 'abcdef'$$, $$2, NULL, 'A'$$, $$2, NULL, NULL, 'c'$$,
  $$2, NULL, NULL, 'b', 3$$, $$2, NULL, NULL, NULL, 1.00, 'abcd'$$, $$2, NULL, NULL, NULL, NULL, NULL, 'A b'$$]) AS values;
SELECT * FROM odd;

-- ------------------------------------------------------------- what is there

CREATE TABLE existing (id int PRIMARY KEY, email text, tag text, deleted_at timestamptz);
INSERT INTO existing SELECT i, CASE WHEN i % 4 = 0 THEN 'SECRET' ELSE format('U%s@x.example', i % 90) END, 'tag' FROM generate_series(1, 100) AS i;
SELECT * FROM forge_comm.report_invalid('existing', 'email', 'email');
SELECT * FROM forge_comm.report_invalid('existing', 'tag', 'length', 'max=3');
SELECT * FROM forge_comm.report_invalid('existing', 'tag', 'length', 'max=4');
SELECT * FROM forge_comm.report_invalid('existing', 'deleted_at', 'not_null');
SELECT refused($$SELECT forge_comm.add_validation('existing', 'email', 'email')$$);
SELECT forge_comm.rules('existing');
SELECT forge_comm.add_validation('existing', 'email', 'email', 'existing=ignore');
SELECT refused($$UPDATE existing SET tag = 'x' WHERE id = 4$$);
SELECT refused($$UPDATE existing SET email = 'SECRET2' WHERE id = 4$$);
-- Keys of several columns, and none
CREATE TABLE composed (a int, b text, c text, PRIMARY KEY (b, a));
INSERT INTO composed VALUES (2, 'x', 'no'), (1, 'x', 'no'), (1, 'w', 'yes');
SELECT * FROM forge_comm.report_invalid('composed', 'c', 'one_of', 'yes');
CREATE TABLE keyless (c text);
INSERT INTO keyless VALUES ('no'), ('yes');
SELECT * FROM forge_comm.report_invalid('keyless', 'c', 'one_of', 'yes');

-- ------------------------------------------------------------------ unique_ci

DELETE FROM existing WHERE email = 'SECRET';
SELECT * FROM forge_comm.report_invalid('existing', 'email', 'unique_ci');
SELECT refused($$SELECT forge_comm.add_validation('existing', 'email', 'unique_ci')$$);
SELECT refused($$SELECT forge_comm.add_validation('existing', 'email', 'unique_ci', 'existing=ignore')$$);
SELECT forge_comm.enable_soft_delete('existing');
UPDATE existing SET deleted_at = now() WHERE id > 90;
SELECT * FROM forge_comm.report_invalid('existing', 'email', 'unique_ci');
SELECT forge_comm.add_validation('existing', 'email', 'unique_ci');
SELECT indexdef, obj_description(indexname::regclass, 'pg_class') FROM pg_indexes WHERE tablename = 'existing' ORDER BY 1;
SELECT refused($$INSERT INTO existing VALUES (201, 'u1@X.example')$$);
SELECT refused($$UPDATE existing SET email = 'u1@X.example' WHERE id = 2$$);
SELECT refused($$INSERT INTO existing VALUES (201, 'u1@X.example') ON CONFLICT DO NOTHING$$);
SELECT refused($$INSERT INTO existing VALUES (201, 'SECRET')$$);
SET forge_comm.all_errors = on;
SELECT refused($$INSERT INTO existing VALUES (201, 'u1@X.example')$$);
RESET forge_comm.all_errors;
DELETE FROM existing WHERE id = 1;
SELECT refused($$INSERT INTO existing VALUES (201, 'u1@X.example')$$);
SELECT refused($$UPDATE existing SET deleted_at = NULL WHERE id = 1$$);
-- The index may have another name
ALTER INDEX existing_email_ci_key RENAME TO renamed;
SELECT refused($$INSERT INTO existing VALUES (202, 'u1@X.example')$$);
-- Adding an index by hand keeps PostgreSQL's words, without values
SELECT refused($$CREATE UNIQUE INDEX ON existing (tag)$$);
SELECT forge_comm.drop_validation('existing', 'email', 'unique_ci');
SELECT to_regclass('renamed');
-- An index that is there already is used; one within a column
CREATE TABLE named (id int PRIMARY KEY, workspace_id int, name text, code text);
CREATE UNIQUE INDEX named_own ON named (lower(code));
SELECT forge_comm.add_validation('named', 'code', 'unique_ci');
SELECT forge_comm.add_validation('named', 'name', 'unique_ci', 'within=workspace_id');
SELECT indexdef FROM pg_indexes WHERE tablename = 'named' ORDER BY 1;
INSERT INTO named VALUES (1, 1, 'General', 'A'), (2, 2, 'general', 'B');
SELECT refused($$INSERT INTO named VALUES (3, 2, 'GENERAL', 'C')$$);
SELECT refused($$INSERT INTO named VALUES (3, 3, 'General', 'a')$$);
SELECT * FROM forge_comm.report_invalid('named', 'name', 'unique_ci', 'within=workspace_id');
SELECT invalid FROM forge_comm.report_invalid('named', 'name', 'unique_ci');
SELECT forge_comm.drop_validation('named', 'code'), forge_comm.drop_validation('named', 'name');
SELECT indexname FROM pg_indexes WHERE tablename = 'named' ORDER BY 1;

-- ------------------------------------------------------------- same_as_parent

CREATE TABLE rooms (id int PRIMARY KEY, kind text, floor int);
CREATE TABLE desks (id int PRIMARY KEY, room_id int REFERENCES rooms DEFERRABLE INITIALLY DEFERRED, kind text, level int);
INSERT INTO rooms VALUES (1, 'office', 1), (2, 'lab', 2), (3, NULL, NULL);
SELECT forge_comm.add_validation('desks', 'kind', 'same_as_parent', 'via=room_id');
SELECT forge_comm.add_validation('desks', 'level', 'same_as_parent', 'via=room_id', 'column=floor');
SELECT values, refused(format('INSERT INTO desks VALUES (%s)', values)) FROM unnest(ARRAY[
  $$1, 1, 'office', 1$$, $$2, 1, 'SECRET', 1$$, $$2, 2, 'lab', 1$$, $$2, NULL, 'any', 7$$, $$3, 3, 'any', NULL$$, $$4, 3, NULL, NULL$$]) AS values;
SELECT refused('UPDATE desks SET room_id = 2 WHERE id = 1');
SELECT refused('UPDATE desks SET room_id = 2, kind = ''lab'', level = 2 WHERE id = 1');
SELECT refused($$WITH r AS (INSERT INTO rooms VALUES (9, 'new', 9) RETURNING *) INSERT INTO desks SELECT 9, r.id, r.kind, r.floor FROM r$$);
ALTER TABLE desks DISABLE TRIGGER forge_comm_validation;
INSERT INTO desks VALUES (5, 1, 'lab', 1);
ALTER TABLE desks ENABLE TRIGGER forge_comm_validation;
SELECT * FROM forge_comm.report_invalid('desks', 'kind', 'same_as_parent', 'via=room_id');
ALTER TABLE desks ADD note text;
SELECT refused('UPDATE desks SET note = ''x'', kind = kind WHERE id = 5');
RESET ROLE;
ALTER TABLE rooms OWNER TO CURRENT_USER;
SELECT refused('UPDATE desks SET kind = ''x''');
ALTER TABLE rooms OWNER TO regress_validation;
SET ROLE regress_validation;
ALTER TABLE desks DROP CONSTRAINT desks_room_id_fkey;
SELECT refused('UPDATE desks SET kind = ''x''');

-- ---------------------------------------------------------- triggers of others

CREATE TABLE rewritten (id int PRIMARY KEY, slug text NOT NULL, note text);
SELECT forge_comm.add_validation('rewritten', 'slug', 'slug');
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.slug := coalesce(NEW.slug, NEW.note);
  RETURN NEW;
END $$;
CREATE TRIGGER a_first BEFORE INSERT OR UPDATE ON rewritten FOR EACH ROW EXECUTE FUNCTION fill();
SELECT tgname FROM pg_trigger WHERE tgrelid = 'rewritten'::regclass ORDER BY 1;
SELECT refused($$INSERT INTO rewritten VALUES (1, NULL, 'A b')$$);
-- One that comes later gets a second look
ALTER TRIGGER a_first ON rewritten RENAME TO z_last;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'rewritten'::regclass ORDER BY 1;
SELECT refused($$INSERT INTO rewritten VALUES (1, NULL, 'A b')$$);
SELECT refused($$INSERT INTO rewritten VALUES (1, NULL, 'a-b')$$);
SELECT refused($$UPDATE rewritten SET slug = NULL, note = 'A b'$$);
SELECT refused($$UPDATE rewritten SET slug = NULL, note = 'b-c' RETURNING *$$);
SELECT refused($$INSERT INTO rewritten VALUES (2, NULL, NULL)$$);
DROP TRIGGER z_last ON rewritten;
SELECT refused($$INSERT INTO rewritten VALUES (2, NULL, NULL)$$);
SELECT forge_comm.drop_validation('rewritten', 'slug');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'rewritten'::regclass;

-- ------------------------------------------------- partitions, children, names

CREATE TABLE parts (id int, email text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
SELECT forge_comm.add_validation('parts', 'email', 'email');
SELECT refused($$SELECT forge_comm.add_validation('parts', 'email', 'unique_ci')$$);
CREATE TABLE parts_2 (email text, junk int, id int NOT NULL);
ALTER TABLE parts_2 DROP junk;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
SELECT refused($$INSERT INTO parts VALUES (1, 'SECRET')$$);
SELECT refused($$INSERT INTO parts VALUES (11, 'SECRET')$$);
SELECT refused($$INSERT INTO parts_2 VALUES ('SECRET', 11)$$);
SELECT refused($$INSERT INTO parts VALUES (1, 'One@x.example'), (11, 'Eleven@x.example')$$);
SELECT refused($$UPDATE parts SET id = 12 WHERE id = 1$$);
SELECT refused($$UPDATE parts SET id = 2, email = 'SECRET' WHERE id = 12$$);
SELECT tableoid::regclass, * FROM parts ORDER BY id;
CREATE TRIGGER zz BEFORE INSERT ON parts_2 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid IN ('parts'::regclass, 'parts_1'::regclass, 'parts_2'::regclass) AND NOT tgisinternal ORDER BY 1, 2;
DROP TRIGGER zz ON parts_2;
SELECT forge_comm.drop_validation('parts', 'email');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('parts'::regclass, 'parts_1'::regclass, 'parts_2'::regclass) AND NOT tgisinternal;
CREATE TABLE above (id int, email text);
CREATE TABLE below () INHERITS (above);
SELECT forge_comm.add_validation('above', 'email', 'email');
CREATE TABLE later () INHERITS (above);
SELECT refused(format('INSERT INTO %s VALUES (1, ''SECRET'')', t)) FROM unnest('{above,below,later}'::text[]) AS t;
SELECT forge_comm.drop_validation('above', 'email');
SELECT tgrelid::regclass FROM pg_trigger WHERE tgrelid IN ('above'::regclass, 'below'::regclass, 'later'::regclass);

-- Columns renamed, dropped, of another type
CREATE TABLE moving (id int PRIMARY KEY, email text, age int);
SELECT forge_comm.add_validation('moving', 'email', 'email'), forge_comm.add_validation('moving', 'age', 'range', 'max=9');
SELECT forge_comm.add_validation('moving', 'email', 'unique_ci');
ALTER TABLE moving RENAME email TO mail;
SELECT refused($$INSERT INTO moving VALUES (1, 'a@x.example')$$);
SELECT forge_comm.drop_validation('moving', 'email');
SELECT to_regclass('moving_email_ci_key');
SELECT forge_comm.add_validation('moving', 'mail', 'email');
SELECT refused($$INSERT INTO moving VALUES (1, 'A@x.example')$$);
ALTER TABLE moving ALTER mail TYPE varchar(5) USING 'a@b.c';
SELECT refused($$UPDATE moving SET mail = 'A@b.c'$$);
SELECT mail FROM moving;
ALTER TABLE moving ALTER mail TYPE int USING 1;
SELECT refused($$INSERT INTO moving VALUES (2, 2)$$);
ALTER TABLE moving DROP mail;
SELECT refused($$INSERT INTO moving VALUES (2)$$);
SELECT forge_comm.drop_validation('moving', 'mail');
SELECT forge_comm.drop_validation('moving', 'mail'), forge_comm.drop_validation('moving', NULL), forge_comm.drop_validation('moving', 'age', 'email');
SELECT refused($$INSERT INTO moving VALUES (2, 10)$$);
SELECT refused($$INSERT INTO moving VALUES (2, 9)$$);
ALTER TABLE moving RENAME TO moved;
SELECT refused($$INSERT INTO moved VALUES (3, 10)$$);
SELECT refused($$INSERT INTO moved VALUES (2, 9)$$);

-- ------------------------------------------------------------ under row security

CREATE TABLE tenants (id int PRIMARY KEY, workspace_id int NOT NULL, name text);
INSERT INTO tenants VALUES (1, 1, 'fine'), (2, 2, 'SECRET name');
SELECT forge_comm.enable_tenancy('tenants');
SELECT refused($$SELECT forge_comm.add_validation('tenants', 'name', 'slug')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_validation;
SET ROLE regress_validation;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT * FROM forge_comm.report_invalid('tenants', 'name', 'slug');
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('migration');
SELECT * FROM forge_comm.report_invalid('tenants', 'name', 'slug');
SELECT refused($$SELECT forge_comm.add_validation('tenants', 'name', 'slug')$$);
UPDATE tenants SET name = 'mended' WHERE id = 2;
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('migration');
SELECT forge_comm.add_validation('tenants', 'name', 'slug');
COMMIT;
-- An index sees all rows, and its error shows none
BEGIN;
SELECT forge_comm.set_service_context('migration');
INSERT INTO tenants VALUES (3, 3, 'mended');
COMMIT;
SELECT refused($$SELECT forge_comm.add_validation('tenants', 'name', 'unique_ci')$$);
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT refused($$INSERT INTO tenants VALUES (4, 1, 'SECRET name')$$);
SELECT refused($$INSERT INTO tenants VALUES (4, 2, 'SECRET name')$$);
COMMIT;

-- ------------------------------------------------------------------- properties

-- What was stored is stored again as it is, and every rule holds of it
CREATE TABLE properties (id int PRIMARY KEY, email text, clean text, name text);
SELECT forge_comm.add_validation('properties', 'email', 'email'), forge_comm.add_validation('properties', 'clean', 'clean_text'),
       forge_comm.add_validation('properties', 'name', 'display_name');
SELECT setseed(0.5);
CREATE FUNCTION try(id int, email text, clean text, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO properties VALUES (id, email, clean, name);
EXCEPTION WHEN check_violation THEN
END $$;
CREATE FUNCTION garbage(letters text, n int) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT string_agg(substr(letters, 1 + floor(random() * length(letters))::int, 1), '') FROM generate_series(1, n) $$;
SELECT count(try(i, garbage('aB1.-_+ @', 3) || '@' || garbage('aB1-.', 3) || '.Example',
                 garbage(E' ab\t.e\n\r\x01', 6), garbage(E'  ab\txyz.,', 4)))
  FROM generate_series(1, 4000) AS i;
SELECT count(*) BETWEEN 200 AND 3800 FROM properties;
CREATE TABLE again (LIKE properties);
SELECT forge_comm.add_validation('again', 'email', 'email'), forge_comm.add_validation('again', 'clean', 'clean_text'),
       forge_comm.add_validation('again', 'name', 'display_name');
INSERT INTO again SELECT * FROM properties;
SELECT * FROM properties EXCEPT SELECT * FROM again;
SELECT count(*) FROM properties WHERE NOT (forge_comm.is_email(email) AND email = forge_comm.normalize_email(email) AND clean = forge_comm.clean_text(clean));

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_validation CASCADE;
SELECT forge_comm.revoke_owner('regress_validation'), forge_comm.revoke_app('regress_validation');
REVOKE EXECUTE ON FUNCTION forge_comm.set_service_context(text) FROM regress_validation;
DROP ROLE regress_validation;
