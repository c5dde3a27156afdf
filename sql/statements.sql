-- Every kind of statement that deletes does the right thing, with what follows from it.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_stmt AUTHORIZATION regress_owner;
SET search_path = regress_stmt;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_stmt TO PUBLIC;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

CREATE TABLE parent (id int PRIMARY KEY, name text, old_name text, weight int DEFAULT 1, twice int GENERATED ALWAYS AS (weight * 2) STORED);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
INSERT INTO parent SELECT i, 'name ' || i FROM generate_series(1, 60) AS i;
INSERT INTO child SELECT i, i FROM generate_series(1, 60) AS i;
SELECT forge_comm.enable_soft_delete('parent', deletion_id => 'did');
SELECT forge_comm.enable_soft_delete('child', deletion_id => 'did');
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_stmt TO regress_app;
-- Of these rows: are they all there, marked, and their children with them?
CREATE FUNCTION fell(VARIADIC ids int[]) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  RETURN (SELECT format('%s there, %s marked, %s children with them', count(*), count(p.deleted_at),
                        count(*) FILTER (WHERE c.deleted_at = p.deleted_at AND c.did = p.did))
            FROM regress_stmt.parent AS p JOIN regress_stmt.child AS c ON c.parent = p.id WHERE p.id = ANY (ids));
END $$;
SET SESSION AUTHORIZATION regress_app;
\set QUIET off

-- ----------------------------------------------------- MERGE, with several arms
MERGE INTO parent AS p USING (VALUES (1), (2), (3), (999)) AS v (x) ON p.id = x
  WHEN MATCHED AND x = 1 THEN DELETE
  WHEN MATCHED AND x = 2 THEN UPDATE SET name = 'merged'
  WHEN MATCHED THEN DELETE
  WHEN NOT MATCHED THEN INSERT (id, name) VALUES (x, 'new');
SELECT fell(1, 3), fell(2);
\set QUIET on
-- PostgreSQL merges into views from 17 on
SELECT current_setting('server_version_num')::int >= 170000 AS merges_views \gset
\if :merges_views
MERGE INTO active_parent AS p USING (VALUES (4)) AS v (x) ON p.id = x WHEN MATCHED THEN DELETE;
\else
DELETE FROM active_parent WHERE id = 4;
\endif
SELECT fell(4);
\set QUIET off

-- ------------------------------------------------- writable CTEs, several of them
WITH one AS (DELETE FROM parent WHERE id = 5 RETURNING id),
     two AS (DELETE FROM parent WHERE id = 6 RETURNING id),
     moved AS (INSERT INTO child (id, parent) SELECT 1000 + id, 7 FROM one RETURNING id)
DELETE FROM parent WHERE id IN (SELECT id + 3 FROM two);
SELECT fell(5, 6), fell(9);
WITH d AS (DELETE FROM parent WHERE id = 10) SELECT count(*) FROM parent WHERE id = 10 AND deleted_at IS NULL;
SELECT fell(10);
-- one row twice in one statement is marked once
WITH d AS (DELETE FROM parent WHERE id = 11 RETURNING id) DELETE FROM parent WHERE id = 11;
SELECT fell(11);

-- --------------------------------------------------- views over views, and rules
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
CREATE VIEW light WITH (security_invoker = true) AS SELECT id, name FROM active_parent WHERE weight < 10 WITH CASCADED CHECK OPTION;
CREATE VIEW lighter WITH (security_invoker = true) AS SELECT id AS key, upper(name) AS name FROM light WHERE id > 11;
CREATE VIEW joined AS SELECT p.id, c.id AS child FROM active_parent AS p JOIN active_child AS c ON c.parent = p.id;
CREATE VIEW instead AS SELECT id FROM active_parent;
CREATE RULE go AS ON DELETE TO instead DO INSTEAD DELETE FROM parent WHERE id = OLD.id;
CREATE VIEW with_trigger AS SELECT id FROM active_parent;
CREATE FUNCTION instead_of() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM regress_stmt.parent WHERE id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER go INSTEAD OF DELETE ON with_trigger FOR EACH ROW EXECUTE FUNCTION instead_of();
CREATE TABLE queue (id int);
CREATE RULE also AS ON INSERT TO queue DO ALSO DELETE FROM parent WHERE id = NEW.id;
GRANT ALL ON light, lighter, joined, instead, with_trigger, queue TO regress_app;
SET SESSION AUTHORIZATION regress_app;
DELETE FROM lighter WHERE key BETWEEN 10 AND 13 RETURNING key, name;
DELETE FROM lighter WHERE key = 13;
UPDATE parent SET weight = 20 WHERE id = 14;
DELETE FROM light WHERE id = 14;
SELECT refused('DELETE FROM joined WHERE id = 15');
DELETE FROM instead WHERE id = 15;
DELETE FROM with_trigger WHERE id IN (16, 17);
INSERT INTO queue VALUES (18), (19);
SELECT fell(12, 13), fell(14), fell(15, 16, 17, 18, 19);

-- ---------------------------------------------------------- prepared statements
PREPARE by_id(int) AS DELETE FROM parent WHERE id = $1 RETURNING id, deleted_at IS NOT NULL;
EXECUTE by_id(20);
EXECUTE by_id(20);
SET plan_cache_mode = force_generic_plan;
EXECUTE by_id(21);
SET plan_cache_mode = force_custom_plan;
EXECUTE by_id(22);
RESET plan_cache_mode;
SELECT fell(20, 21, 22);
SELECT count(DISTINCT did) FROM parent WHERE id IN (20, 21, 22);

-- ----------------------------------------------------------------------- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM parent WHERE id BETWEEN 23 AND 25 ORDER BY id FOR UPDATE;
FETCH 2 FROM c \g /dev/null
DELETE FROM parent WHERE CURRENT OF c;
FETCH c \g /dev/null
DELETE FROM parent WHERE CURRENT OF c;
DELETE FROM parent WHERE CURRENT OF c;
COMMIT;
SELECT fell(23), fell(24, 25);

-- ------------------------------------------------------- PL/pgSQL, SQL functions
\set QUIET on
DO $$
DECLARE
  r record;
  n bigint;
  c CURSOR FOR SELECT id FROM parent WHERE id IN (26, 27) FOR UPDATE;
BEGIN
  FOR r IN c LOOP
    DELETE FROM parent WHERE CURRENT OF c;
  END LOOP;
  DELETE FROM parent WHERE id = 28 RETURNING id, name INTO STRICT r;
  RAISE WARNING 'into: %', r;
  FOR r IN DELETE FROM parent WHERE id IN (29, 30) RETURNING id LOOP
    RAISE WARNING 'loop: %', r;
  END LOOP;
  EXECUTE 'DELETE FROM parent WHERE id = $1' USING 31;
  GET DIAGNOSTICS n = ROW_COUNT;
  RAISE WARNING 'rows: %', n;
  BEGIN
    DELETE FROM parent WHERE id = 31 RETURNING id INTO STRICT r;
  EXCEPTION WHEN no_data_found THEN
    RAISE WARNING 'no such row';
  END;
END $$;
SELECT fell(26, 27, 28, 29, 30, 31);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
CREATE FUNCTION standard(int) RETURNS int BEGIN ATOMIC DELETE FROM parent WHERE id = $1 RETURNING id; END;
CREATE FUNCTION inlined(int) RETURNS TABLE (id int, name text) LANGUAGE sql AS 'DELETE FROM regress_stmt.parent AS p WHERE p.id = $1 RETURNING p.id, p.name';
SET SESSION AUTHORIZATION regress_app;
SELECT standard(32), standard(32);
SELECT * FROM inlined(33) AS i;
SELECT fell(32, 33);

-- ----------------------------------------------------- triggers of the user's own
-- Those for UPDATE fire, those for DELETE do not: what runs is an update.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING '% % % on %: old % new %', TG_WHEN, TG_OP, TG_LEVEL, TG_TABLE_NAME,
                CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN OLD.deleted_at IS NOT NULL END,
                CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN NEW.deleted_at IS NOT NULL END;
  IF TG_WHEN = 'BEFORE' AND TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'parent' AND TG_LEVEL = 'ROW' THEN
    NEW.old_name := OLD.name;
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION tell_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING 'transition: % were live, % are deleted', (SELECT count(*) FROM gone WHERE deleted_at IS NULL), (SELECT count(deleted_at) FROM made);
  RETURN NULL;
END $$;
CREATE TRIGGER a BEFORE UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER b BEFORE UPDATE OR DELETE ON parent FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER c AFTER UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER d AFTER UPDATE OF deleted_at ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER e AFTER UPDATE ON child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER f AFTER UPDATE ON child REFERENCING OLD TABLE AS gone NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION tell_rows();
SET SESSION AUTHORIZATION regress_app;
DELETE FROM parent WHERE id = 34 RETURNING old_name;
SELECT fell(34);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
DROP TRIGGER a ON parent;
DROP TRIGGER b ON parent;
DROP TRIGGER c ON parent;
DROP TRIGGER d ON parent;
DROP TRIGGER e ON child;
DROP TRIGGER f ON child;
-- One that returns NULL keeps the row, and it does not count
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER no BEFORE UPDATE ON parent FOR EACH ROW WHEN (OLD.id = 35) EXECUTE FUNCTION no();
SET SESSION AUTHORIZATION regress_app;
\set QUIET off
DELETE FROM parent WHERE id IN (35, 36);
SELECT fell(35), fell(36);

-- ------------------------------------------------------- RETURNING the old values
DELETE FROM parent WHERE id = 37 RETURNING id, name, weight, twice, deleted_at = now() AS now, did IS NOT NULL AS has_id, parent.*::text ~ 'name 37' AS whole;
DELETE FROM parent AS p USING child AS c WHERE c.parent = p.id AND p.id = 38 RETURNING p.name, c.id, c.deleted_at;

-- ---------------------------------------------------------------------- EXPLAIN
\set QUIET on
CREATE TEMPORARY TABLE plans (line text);
DO $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) DELETE FROM parent WHERE id = 39' LOOP
    INSERT INTO plans VALUES ('plain: ' || line);
  END LOOP;
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) DELETE FROM parent WHERE id = 40' LOOP
    INSERT INTO plans VALUES ('analyze: ' || line);
  END LOOP;
END $$;
SELECT regexp_replace(line, '\(actual.*\)', '') FROM plans WHERE line ~ 'Update on|Delete on|deleted_at IS NULL';
SELECT regexp_replace(line, 'time=\S+', 'time') FROM plans WHERE line ~ 'soft_delete_(note|follow)';
SELECT fell(39), fell(40);

-- ------------------------------------------------------------ COPY of deleted rows
COPY (SELECT id, name, deleted_at IS NOT NULL FROM parent WHERE id IN (40, 41) ORDER BY id) TO stdout;
COPY (SELECT id, name FROM active_parent WHERE id IN (40, 41)) TO stdout;
COPY (DELETE FROM parent WHERE id = 42 RETURNING id) TO stdout;
SELECT fell(42);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE copied (LIKE child INCLUDING ALL, FOREIGN KEY (parent) REFERENCES parent ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('copied', deletion_id => 'did');
COPY copied (id, parent, deleted_at, did) FROM stdin;
1	40	2020-01-01 00:00:00+00	11111111-1111-1111-1111-111111111111
2	41	\N	\N
\.
SELECT id, deleted_at = '2020-01-01Z', did FROM copied ORDER BY id;
SELECT id FROM active_copied;
DELETE FROM parent WHERE id = 41;
SELECT id, deleted_at = '2020-01-01Z' FROM copied ORDER BY id;

-- ------------------------------------------------- partitions, inheritance, ONLY
CREATE TABLE root (id int PRIMARY KEY, part int);
CREATE TABLE leaf () INHERITS (root);
SELECT forge_comm.enable_soft_delete('root');
INSERT INTO root VALUES (1), (2);
INSERT INTO leaf VALUES (3), (4);
\set QUIET off
DELETE FROM ONLY root;
DELETE FROM root;
\set QUIET on
SELECT count(*), count(deleted_at) FROM root;

-- ------------------------------------------------------------ kinds of transaction

-- REPEATABLE READ and SERIALIZABLE
BEGIN ISOLATION LEVEL SERIALIZABLE;
DELETE FROM parent WHERE id = 44;
SELECT fell(44);
SELECT forge_comm.restore('parent', 44);
COMMIT;
SELECT fell(44);
BEGIN READ ONLY;
SELECT refused('DELETE FROM parent WHERE id = 44');
COMMIT;
-- as a replica applies what others did, nothing follows
RESET SESSION AUTHORIZATION;
SET session_replication_role = replica;
DELETE FROM parent WHERE id = 45;
RESET session_replication_role;
SELECT fell(45);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_stmt CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
