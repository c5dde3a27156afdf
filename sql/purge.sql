-- Soft-deleted rows are removed for good, children first, in batches that commit.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner, regress_job;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_job;
CREATE SCHEMA regress_purge AUTHORIZATION regress_owner;
SET search_path = regress_purge;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_job');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_purge TO PUBLIC;
GRANT CREATE ON SCHEMA regress_purge TO regress_job;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE messages (id int PRIMARY KEY, workspace_id int NOT NULL, channel int REFERENCES channels ON DELETE CASCADE,
                       parent int REFERENCES messages ON DELETE CASCADE, body text);
CREATE TABLE reactions (id int PRIMARY KEY, workspace_id int NOT NULL, message int REFERENCES messages ON DELETE CASCADE);
-- plain tables, which follow as PostgreSQL has it
CREATE TABLE members (id int PRIMARY KEY, channel int REFERENCES channels ON DELETE CASCADE);
CREATE TABLE pins (id int PRIMARY KEY, message int REFERENCES messages ON DELETE SET NULL);
CREATE TABLE reports (id int PRIMARY KEY, message int REFERENCES messages);
INSERT INTO channels SELECT i, 1 + i % 2 FROM generate_series(1, 4) AS i;
INSERT INTO messages SELECT i, 1 + (1 + i % 4) % 2, 1 + i % 4, CASE WHEN i > 40 THEN i - 40 END, repeat('x', 500) FROM generate_series(1, 200) AS i;
INSERT INTO reactions SELECT i, 1 + (1 + i % 4) % 2, i FROM generate_series(1, 200) AS i;
INSERT INTO members SELECT i, i FROM generate_series(1, 4) AS i;
INSERT INTO pins VALUES (1, 4), (2, 1);
ANALYZE channels, messages, reactions;
SELECT forge_comm.enable_tenancy(rel) FROM unnest('{channels,messages,reactions}'::regclass[]) AS rel;
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{channels,messages,reactions}'::regclass[]) AS rel;
GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_purge TO regress_app, regress_job;

-- ----------------------------------------------------------------- who may, and how

SET SESSION AUTHORIZATION regress_app;
CALL forge_comm.purge('channels', '0');
SELECT refused('SELECT forge_comm.purge_blocks(''channels''::regclass, 0, 1, now(), '''', '''')');
SELECT refused('SELECT forge_comm.enter_service(''me'')');
SET SESSION AUTHORIZATION regress_owner;
CALL forge_comm.purge('channels', '0');
RESET SESSION AUTHORIZATION;
SELECT forge_comm.grant_app('regress_job');
SELECT forge_comm.grant_purge('regress_app'), forge_comm.grant_purge('regress_job');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_job;
-- not without a service context, whatever else was granted
SET SESSION AUTHORIZATION regress_app;
CALL forge_comm.purge('channels', '0');
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT refused('SELECT forge_comm.purge_blocks(''channels''::regclass, 0, 1, now(), '''', '''')');
ROLLBACK;
-- wrong arguments
SET SESSION AUTHORIZATION regress_job;
SELECT refused('CALL forge_comm.purge(''channels'', ''0'')');
BEGIN;
CALL forge_comm.purge('channels', '0');
ROLLBACK;
CALL forge_comm.purge(NULL, '0');
CALL forge_comm.purge('members', '0');
CALL forge_comm.purge('channels', NULL);
CALL forge_comm.purge('channels', '-1 day');
CALL forge_comm.purge('channels', '0', 0);
CALL forge_comm.purge('channels', '0', NULL);
CALL forge_comm.purge('channels', '0', reason => '');

-- ---------------------------------------------------------------- what is purged

SET SESSION AUTHORIZATION regress_job;
SET client_min_messages = notice;
-- nothing is deleted yet
CALL forge_comm.purge('channels', '0');
RESET SESSION AUTHORIZATION;
-- 1 and 3 are long gone, 2 since today; a message of 4, which lives, is long gone too
UPDATE channels SET deleted_at = now() - interval '100 days' WHERE id IN (1, 3);
DELETE FROM channels WHERE id = 2;
UPDATE messages SET deleted_at = now() - interval '100 days' WHERE id = 199;
SELECT channel, count(*), count(deleted_at) FROM messages GROUP BY channel ORDER BY channel;
SET SESSION AUTHORIZATION regress_job;
CALL forge_comm.purge('channels', older_than => '30 days', batch => 15, reason => 'nightly');
RESET SESSION AUTHORIZATION;
SELECT id, deleted_at IS NULL FROM channels ORDER BY id;
SELECT channel, count(*), count(deleted_at) FROM messages GROUP BY channel ORDER BY channel;
SELECT count(*) FROM reactions;
SELECT * FROM members ORDER BY id;
SELECT * FROM pins ORDER BY id;
-- no key dangles
SELECT count(*) FROM messages WHERE channel NOT IN (SELECT id FROM channels) OR parent NOT IN (SELECT id FROM messages);
-- once more does nothing; the rest is due when it is old enough; as a superuser
CALL forge_comm.purge('channels', '0', reason => NULL);
CALL forge_comm.purge('channels', '30 days');
CALL forge_comm.purge('channels', '0');
CALL forge_comm.purge('messages', '0');
SELECT channel, count(*), count(deleted_at) FROM messages GROUP BY channel ORDER BY channel;
SELECT count(*) FROM reactions;

-- ------------------------------------------------------------- what is not purged

-- a row that live ones are below, at any depth, or that others reference
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
CREATE TABLE leaves (id int PRIMARY KEY, tree int REFERENCES tree ON DELETE CASCADE);
CREATE TABLE quotes (id int PRIMARY KEY, tree int REFERENCES tree);
SELECT forge_comm.enable_soft_delete('tree');
SELECT forge_comm.enable_soft_delete('leaves');
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, NULL), (5, 4), (6, 5), (7, NULL), (8, NULL), (9, 9), (10, NULL), (11, 10);
UPDATE tree SET parent = 11 WHERE id = 10;
INSERT INTO leaves VALUES (1, 7);
INSERT INTO quotes VALUES (1, 8);
DELETE FROM tree;
UPDATE tree SET deleted_at = NULL WHERE id = 6;
UPDATE leaves SET deleted_at = NULL;
CALL forge_comm.purge('tree', '0');
SELECT id, deleted_at IS NULL FROM tree ORDER BY id;
DELETE FROM quotes;
DELETE FROM leaves;
DELETE FROM tree;
CALL forge_comm.purge('tree', '0');
SELECT (SELECT count(*) FROM tree), (SELECT count(*) FROM leaves);
-- rows that are spread over many blocks go in many batches
CREATE TABLE many (id int PRIMARY KEY, body text);
SELECT forge_comm.enable_soft_delete('many');
INSERT INTO many SELECT i, repeat('x', 700) FROM generate_series(1, 1000) AS i;
ANALYZE many;
DELETE FROM many WHERE id % 2 = 0;
SET client_min_messages = warning;
DO $$
DECLARE
  purged bigint;
  batches bigint;
BEGIN
  CALL forge_comm.purge('many', '0', 50, 'counted', purged, batches);
  RAISE WARNING '%, in more than 5 batches: %', purged, batches > 5;
END $$;
SET client_min_messages = notice;
SELECT count(*) FROM many;
-- a table that references itself without a cascade goes from its ends
CREATE TABLE chain (id int PRIMARY KEY, next int REFERENCES chain);
SELECT forge_comm.enable_soft_delete('chain');
INSERT INTO chain VALUES (1, NULL), (2, 1), (3, 3);
DELETE FROM chain;
CALL forge_comm.purge('chain', '0');
CALL forge_comm.purge('chain', '0');
SELECT count(*) FROM chain;

-- ------------------------------------------------- partitions, children, triggers

CREATE TABLE era (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE era_1 PARTITION OF era FOR VALUES IN (1);
CREATE TABLE era_2 (junk int, part int NOT NULL, id int NOT NULL);
ALTER TABLE era_2 DROP COLUMN junk;
ALTER TABLE era ATTACH PARTITION era_2 FOR VALUES IN (2);
CREATE TABLE king (id int, era int, part int, FOREIGN KEY (era, part) REFERENCES era ON DELETE CASCADE) PARTITION BY LIST (part);
CREATE TABLE king_1 PARTITION OF king FOR VALUES IN (1);
CREATE TABLE king_2 PARTITION OF king FOR VALUES IN (2);
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE derived () INHERITS (base);
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{era,king,base}'::regclass[]) AS rel;
INSERT INTO era VALUES (1, 1), (2, 2), (3, 2);
INSERT INTO king VALUES (1, 1, 1), (2, 2, 2), (3, 3, 2);
INSERT INTO base VALUES (1), (2);
INSERT INTO derived VALUES (3), (4);
DELETE FROM era WHERE id < 3;
DELETE FROM base WHERE id IN (2, 3);
CALL forge_comm.purge('era_2', '0');
CALL forge_comm.purge('era', '0');
CALL forge_comm.purge('base', '0');
SELECT id FROM era ORDER BY 1;
SELECT id FROM king ORDER BY 1;
SELECT id FROM base ORDER BY 1;
-- a trigger of the table's that deletes elsewhere does so softly
CREATE TABLE elsewhere (id int PRIMARY KEY);
SELECT forge_comm.enable_soft_delete('elsewhere');
INSERT INTO elsewhere VALUES (3);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM elsewhere WHERE id = OLD.id;
  RETURN OLD;
END $$;
CREATE TRIGGER tidy BEFORE DELETE ON era_2 FOR EACH ROW EXECUTE FUNCTION tidy();
DELETE FROM era;
CALL forge_comm.purge('era', '0');
SELECT id, deleted_at IS NOT NULL FROM elsewhere;
-- and no other way has opened
SELECT refused('TRUNCATE elsewhere');
DELETE FROM base WHERE id = 1;
SELECT count(*) FROM base;
-- the emergency door: a hard delete of a parent leaves no dangling key
SET forge_comm.allow_hard_delete = on;
INSERT INTO era VALUES (5, 2);
INSERT INTO king VALUES (5, 5, 2), (6, 5, 2);
DELETE FROM king WHERE id = 6;
DELETE FROM era WHERE id = 5;
SELECT count(*) FROM king;
RESET forge_comm.allow_hard_delete;

-- taken back
SELECT forge_comm.revoke_purge('regress_job');
SET SESSION AUTHORIZATION regress_job;
CALL forge_comm.purge('channels', '0');

-- ------------------------------------------------------------------ the end

SET client_min_messages = warning;
RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_purge CASCADE;
DROP OWNED BY regress_app, regress_owner, regress_job;
DROP ROLE regress_app, regress_owner, regress_job;
