-- The tenant condition in plans: index conditions, estimates, cached plans.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
CREATE SCHEMA regress_planner;
GRANT USAGE ON SCHEMA regress_planner TO regress_app;
SET search_path = regress_planner;
SELECT forge_comm.grant_app('regress_app');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_app;

-- Which of these words a query's plan has
CREATE FUNCTION plan_has(query text, VARIADIC words text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  line text;
  plan text := '';
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    plan := plan || E'\n' || line;
  END LOOP;
  RETURN ARRAY(SELECT w FROM unnest(words) WITH ORDINALITY AS u (w, n) WHERE strpos(plan, w) > 0 ORDER BY n);
END $$;

-- How many rows the planner expects of a scan
CREATE FUNCTION estimate(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;

-- Workspace n has 10 n rows, n from 1 to 40
CREATE TABLE t2 (id int, workspace_id smallint NOT NULL, body text);
CREATE TABLE t4 (id int, workspace_id int NOT NULL, body text);
CREATE TABLE t8 (id int, workspace_id bigint NOT NULL, body text);
INSERT INTO t8 SELECT row_number() OVER (), w, repeat('x', 100) FROM generate_series(1, 40) AS w, generate_series(1, 10 * w);
INSERT INTO t4 TABLE t8;
INSERT INTO t2 TABLE t8;
CREATE INDEX t8_index ON t8 (workspace_id, id);
SELECT forge_comm.enable_tenancy('t2');
SELECT forge_comm.enable_tenancy('t4');
SELECT forge_comm.enable_tenancy('t8');
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_planner TO regress_app;
VACUUM ANALYZE t2, t4, t8;
CREATE TABLE second (n int, workspace_id bigint NOT NULL, body text);
INSERT INTO second SELECT n, w FROM generate_series(1, 100) AS n, generate_series(1, 40) AS w;
CREATE INDEX ON second (n, workspace_id);
SELECT forge_comm.enable_tenancy('second');
GRANT SELECT ON second TO regress_app;
ANALYZE second;
-- Channel 1, of workspace 2, has two fifths of all posts
CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL);
INSERT INTO channels SELECT c, 1 + c % 40 FROM generate_series(1, 400) AS c;
CREATE TABLE posts (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int REFERENCES channels, made timestamptz);
INSERT INTO posts SELECT p, w, c, '2001-01-01'::timestamptz + make_interval(secs => p)
  FROM (SELECT p, CASE WHEN p % 5 < 2 THEN 1 ELSE 1 + p % 400 END FROM generate_series(1, 20000) AS p) AS s (p, c)
  JOIN channels AS t (channel, w) ON t.channel = s.c;
CREATE INDEX posts_page ON posts (channel_id, made DESC, id DESC);
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('posts', via => 'channel_id');
GRANT SELECT ON channels, posts TO regress_app;
VACUUM ANALYZE channels, posts;
CREATE TABLE memberships (user_id int, workspace_id bigint);
CREATE INDEX ON memberships (user_id);
INSERT INTO memberships SELECT 7, w FROM generate_series(1, 4) AS w;
INSERT INTO memberships SELECT 8, w FROM generate_series(1, 40) AS w;
SET max_parallel_workers_per_gather = 0;
SET SESSION AUTHORIZATION regress_app;

-- --------------------------------------------------------- index condition

BEGIN;
SELECT forge_comm.set_context(7, 3);
SELECT plan_has('SELECT * FROM t8', 'Index Cond', 'workspace_ids', 'Seq Scan', 'Filter');
SELECT plan_has('SELECT * FROM t4', 'Index Cond', 'workspace_ids', 'Seq Scan');
SELECT plan_has('SELECT * FROM t2', 'Index Cond', 'workspace_ids', 'Seq Scan');
SELECT plan_has('SELECT count(*) FROM t8', 'Index Only Scan', 'Seq Scan', 'Filter');
SELECT plan_has('SELECT * FROM t8 ORDER BY id LIMIT 5', 'Index Cond', 'Seq Scan');
SELECT plan_has('UPDATE t8 SET body = NULL', 'Index Cond', 'Seq Scan');
SELECT plan_has('DELETE FROM t4', 'Index Cond', 'Seq Scan');
SELECT (SELECT count(*) FROM t2), (SELECT count(*) FROM t4), (SELECT count(*) FROM t8);
-- The same rows by any road
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_indexonlyscan = off;
SELECT plan_has('SELECT * FROM t8', 'Index Cond', 'Seq Scan');
SELECT (SELECT count(*) FROM t2), (SELECT count(*) FROM t4), (SELECT count(*) FROM t8);
COMMIT;

-- Ids that a narrow column cannot hold match nothing, and are no error
BEGIN;
SELECT forge_comm.set_context(7, 3 + 65536::bigint * 65536);
SELECT (SELECT count(*) FROM t2), (SELECT count(*) FROM t4), (SELECT count(*) FROM t8);
SET LOCAL enable_seqscan = off;
SELECT (SELECT count(*) FROM t2), (SELECT count(*) FROM t4), (SELECT count(*) FROM t8);
COMMIT;

-- ---------------------------------------------------------------- estimates

-- Within a factor of two of the truth
CREATE FUNCTION pg_temp.fair(rel regclass) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  rows numeric;
BEGIN
  EXECUTE format('SELECT count(*) FROM %s', rel) INTO rows;
  RETURN estimate(format('SELECT * FROM %s', rel)) BETWEEN rows / 2 AND rows * 2;
END $$;
BEGIN;
SELECT forge_comm.set_context(7, 1);
SELECT count(*), pg_temp.fair('t2'), pg_temp.fair('t4'), pg_temp.fair('t8') FROM t8;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7, 40);
SELECT count(*), pg_temp.fair('t2'), pg_temp.fair('t4'), pg_temp.fair('t8') FROM t8;
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7, 12345);
SELECT count(*), estimate('SELECT * FROM t8') < 50, estimate('SELECT * FROM t2') < 50 FROM t8;
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('count');
SELECT count(*), pg_temp.fair('t2'), pg_temp.fair('t4'), pg_temp.fair('t8') FROM t8;
SELECT plan_has('SELECT * FROM t8', 'Index Cond', 'workspace_ids');
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(7);
SELECT count(*), pg_temp.fair('t2'), pg_temp.fair('t4'), pg_temp.fair('t8') FROM t8;
SELECT plan_has('SELECT * FROM t8', 'Index Cond', 'workspace_ids');
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8);
SELECT count(*), pg_temp.fair('t2'), pg_temp.fair('t4'), pg_temp.fair('t8') FROM t8;
SELECT plan_has('SELECT * FROM t8', 'Index Cond', 'Seq Scan');
COMMIT;
-- nothing in scope
BEGIN;
SELECT forge_comm.set_context(9);
SELECT count(*) FROM t8;
COMMIT;
-- An order over several workspaces is made, not believed
BEGIN;
SELECT forge_comm.set_context(7);
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT array_agg(workspace_id) = array_agg(workspace_id ORDER BY workspace_id)
  FROM (SELECT workspace_id FROM t8 ORDER BY workspace_id) AS s;
SELECT array_agg(id) = array_agg(id ORDER BY id DESC) FROM (SELECT id FROM t8 ORDER BY id DESC) AS s;
-- nor where the column comes second
SELECT plan_has('SELECT n, workspace_id FROM second WHERE n < 5 ORDER BY n, workspace_id', 'Index');
SELECT array_agg(n) = array_agg(n ORDER BY n) FROM (SELECT n, workspace_id FROM second WHERE n < 5 ORDER BY n, workspace_id) AS s;
COMMIT;

-- ------------------------------------------------------------ within a parent

-- The rows of one channel are of one workspace: the second condition takes
-- none away, and a page is read in order rather than the channel sorted.
BEGIN;
SELECT forge_comm.set_context(7, 2);
SELECT estimate('SELECT * FROM posts WHERE channel_id = 1') BETWEEN 7000 AND 9000;
SELECT estimate('SELECT * FROM posts') BETWEEN 7000 AND 9000;
SELECT plan_has('SELECT * FROM posts WHERE channel_id = 1 ORDER BY made DESC, id DESC LIMIT 50', 'posts_page', 'Sort', 'BitmapAnd');
PREPARE page AS SELECT count(*) FROM (SELECT * FROM posts WHERE channel_id = $1 ORDER BY made DESC, id DESC LIMIT 50) AS p;
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE page(1);
EXECUTE page(2);
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();

-- -------------------------------------------------------------- cached plans

SET SESSION AUTHORIZATION regress_app;
CREATE FUNCTION pg_temp.rows_of_t8() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(*) FROM regress_planner.t8);
END $$;
PREPARE counted AS SELECT count(*), min(workspace_id), max(workspace_id) FROM t8;
PREPARE written AS WITH u AS (UPDATE t8 SET body = '' RETURNING workspace_id) SELECT count(*), min(workspace_id) FROM u;
-- first a tenant, then another, none, all, and one again
BEGIN;
SELECT forge_comm.set_context(7, 1);
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8, 2);
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
COMMIT;
EXECUTE counted;
SELECT pg_temp.rows_of_t8();
BEGIN;
SET LOCAL forge_comm.missing_context = 'empty';
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
COMMIT;
BEGIN;
SELECT forge_comm.set_service_context('count');
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
SELECT forge_comm.pin_workspace(3);
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7, 4);
EXECUTE counted;
EXECUTE written;
SELECT pg_temp.rows_of_t8();
ROLLBACK;
-- generic plans and custom ones
SET plan_cache_mode = force_generic_plan;
PREPARE one(int) AS SELECT count(*), min(workspace_id) FROM t8 WHERE id > $1;
BEGIN;
SELECT forge_comm.set_service_context('count');
EXECUTE one(0);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(7, 1);
EXECUTE one(0);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(8, 2);
EXECUTE one(0);
COMMIT;
EXECUTE one(0);
-- a service context begun and undone within a transaction
BEGIN;
SAVEPOINT s;
SELECT forge_comm.set_service_context('count');
EXECUTE one(0);
ROLLBACK TO s;
SELECT forge_comm.set_context(8, 2);
EXECUTE one(0);
COMMIT;
-- one role's plan is not another's
RESET SESSION AUTHORIZATION;
EXECUTE one(0);
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(8, 2);
EXECUTE one(0);
COMMIT;
RESET plan_cache_mode;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_planner CASCADE;
DROP OWNED BY regress_app;
DROP ROLE regress_app;
