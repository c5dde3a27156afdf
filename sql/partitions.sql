-- Tenancy where a table has partitions or inheritance children.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_partitions AUTHORIZATION regress_owner;
SET search_path = regress_partitions;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner;
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_partitions TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_partitions GRANT ALL ON TABLES TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

-- Whether each table is guarded: by policies, forced, and by triggers
CREATE VIEW guarded AS
  SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS rls,
         ARRAY(SELECT p.polname FROM pg_policy AS p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
         ARRAY(SELECT t.tgname FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal ORDER BY 1) AS triggers
    FROM pg_class AS c WHERE c.relnamespace = 'regress_partitions'::regnamespace AND c.relkind IN ('r', 'p');

-- --------------------------------------------------------------- partitions

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE messages (
  id int,
  at date,
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  body text,
  reply_id int,
  reply_at date,
  PRIMARY KEY (at, id),
  FOREIGN KEY (reply_at, reply_id) REFERENCES messages (at, id)
) PARTITION BY RANGE (at);
CREATE TABLE messages_2024 PARTITION OF messages FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- another order of columns, and one that is gone
CREATE TABLE messages_2025 (junk int, body text, channel_id int NOT NULL, reply_at date, id int NOT NULL, reply_id int, at date NOT NULL);
ALTER TABLE messages_2025 DROP COLUMN junk;
ALTER TABLE messages ATTACH PARTITION messages_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE messages_old PARTITION OF messages FOR VALUES FROM (MINVALUE) TO ('2024-01-01') PARTITION BY HASH (id);
CREATE TABLE messages_old_all PARTITION OF messages_old FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT * FROM guarded ORDER BY 1;

BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO channels VALUES (1, 1), (2, 2);
INSERT INTO messages (id, at, channel_id, body)
SELECT c * 10 + y, make_date(2022 + y, 6, 1), c, c || ' in ' || 2022 + y FROM generate_series(1, 3) AS y, generate_series(1, 2) AS c;
COMMIT;

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id, workspace_id, tableoid::regclass FROM messages ORDER BY id;
-- each partition by itself
SELECT id FROM messages_2024 ORDER BY id;
SELECT id FROM messages_2025 ORDER BY id;
SELECT id FROM messages_old ORDER BY id;
SELECT id FROM messages_old_all ORDER BY id;
SELECT id FROM ONLY messages_2024;
UPDATE messages_2025 SET body = 'mine' WHERE id = 23 RETURNING id;
DELETE FROM messages_old_all WHERE id = 21 RETURNING id;
INSERT INTO messages_2025 (id, at, channel_id) VALUES (14, '2025-02-01', 1) RETURNING id, workspace_id;
INSERT INTO messages (id, at, channel_id) VALUES (15, '2025-02-01', 1), (16, '2020-02-01', 1) RETURNING id, workspace_id, tableoid::regclass;
SELECT refused('INSERT INTO messages_2024 (id, at, channel_id) VALUES (17, ''2024-02-01'', 2)');
SELECT refused('INSERT INTO messages_2025 (id, at, channel_id) VALUES (17, ''2025-02-01'', 2)');
SELECT refused('INSERT INTO messages_2025 (id, at, channel_id, workspace_id) VALUES (17, ''2025-02-01'', 2, 2)');
SELECT refused('INSERT INTO messages_old_all (id, at, channel_id) VALUES (17, ''2020-02-01'', 999)');
SELECT refused('UPDATE messages_2025 SET channel_id = 2 WHERE id = 14');
SELECT refused('UPDATE messages_2025 SET workspace_id = 2 WHERE id = 14');
-- a parent in another partition: found there, or as good as missing
INSERT INTO messages (id, at, channel_id, reply_at, reply_id) VALUES (18, '2025-03-01', 1, '2024-06-01', 12) RETURNING workspace_id;
SELECT refused('INSERT INTO messages (id, at, channel_id, reply_at, reply_id) VALUES (19, ''2025-03-01'', 1, ''2024-06-01'', 22)') AS foreign_,
       refused('INSERT INTO messages (id, at, channel_id, reply_at, reply_id) VALUES (19, ''2025-03-01'', 1, ''2024-06-01'', 99)') AS missing
\gset
\echo :foreign_
SELECT :'foreign_' = :'missing';
-- a row that moves stays what it is
UPDATE messages SET at = '2024-07-01' WHERE id = 15 RETURNING id, workspace_id, tableoid::regclass;
SELECT refused('UPDATE messages SET at = ''2024-08-01'', channel_id = 2 WHERE id = 14');
COMMIT;

-- ----------------------------------------------------- partitions made later

SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE messages DROP CONSTRAINT messages_reply_at_reply_id_fkey;
CREATE TABLE messages_2026 PARTITION OF messages FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE messages_2027 (LIKE messages);
BEGIN;
SELECT forge_comm.set_context(2, 2);
INSERT INTO messages_2027 (id, at, channel_id, workspace_id) VALUES (27, '2027-01-01', 2, 2);
COMMIT;
-- PostgreSQL checks the rows' foreign keys in the owner's name, who needs a context
SELECT refused('ALTER TABLE messages ATTACH PARTITION messages_2027 FOR VALUES FROM (''2027-01-01'') TO (''2028-01-01'')');
BEGIN;
SELECT forge_comm.set_service_context('migration');
ALTER TABLE messages ATTACH PARTITION messages_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
COMMIT;
CREATE TABLE messages_2028 PARTITION OF messages FOR VALUES FROM ('2028-01-01') TO ('2029-01-01') PARTITION BY HASH (id);
CREATE TABLE messages_2028_all PARTITION OF messages_2028 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT * FROM guarded WHERE relname ~ '202[678]' ORDER BY 1;
-- made along with a schema
RESET SESSION AUTHORIZATION;
CREATE SCHEMA regress_partitions_too AUTHORIZATION regress_owner
  CREATE TABLE messages_2030 PARTITION OF regress_partitions.messages FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'messages_2030';
DROP SCHEMA regress_partitions_too CASCADE;
SET SESSION AUTHORIZATION regress_owner;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT * FROM messages_2027');
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id FROM messages_2027;
INSERT INTO messages_2026 (id, at, channel_id) VALUES (26, '2026-02-01', 1) RETURNING workspace_id;
SELECT refused('INSERT INTO messages_2028_all (id, at, channel_id) VALUES (28, ''2028-02-01'', 2)');
SELECT refused('TRUNCATE messages_2024');
SELECT refused('TRUNCATE messages_old');
SELECT refused('TRUNCATE messages_2028_all');
SELECT refused('TRUNCATE messages');
ROLLBACK;
-- One that leaves stays closed
SET SESSION AUTHORIZATION regress_owner;
BEGIN;
SELECT forge_comm.set_service_context('migration');
ALTER TABLE messages DETACH PARTITION messages_2027;
COMMIT;
SELECT rls, policies FROM guarded WHERE relname = 'messages_2027';
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT * FROM messages_2027');
SET SESSION AUTHORIZATION regress_owner;
DROP TABLE messages_2027;

-- Partitions are no targets of their own
SELECT refused('SELECT forge_comm.enable_tenancy(''messages_2024'')');
SELECT refused('SELECT forge_comm.disable_tenancy(''messages_2024'')');

-- Disabling takes it from all of them
SELECT forge_comm.disable_tenancy('messages', drop_column => true);
SELECT forge_comm.disable_tenancy('channels');
SELECT * FROM guarded WHERE rls OR policies <> '{}' OR triggers <> '{}';
SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'regress_partitions'::regnamespace AND c.relname LIKE 'messages%' AND a.attname = 'workspace_id';
SELECT id, tableoid::regclass FROM messages ORDER BY id;
CREATE TABLE messages_2029 PARTITION OF messages FOR VALUES FROM ('2029-01-01') TO ('2030-01-01');
SELECT * FROM guarded WHERE relname = 'messages_2029';

-- --------------------------------------------------------------- inheritance

CREATE TABLE things (id int PRIMARY KEY, workspace_id bigint NOT NULL);
CREATE TABLE blue_things (shade text) INHERITS (things);
SELECT forge_comm.enable_tenancy('things');
CREATE TABLE red_things (heat int) INHERITS (things);
CREATE TABLE green_things (id int NOT NULL, workspace_id bigint NOT NULL);
ALTER TABLE green_things INHERIT things;
CREATE TABLE dark_blue_things () INHERITS (blue_things);
SELECT * FROM guarded WHERE relname LIKE '%things' ORDER BY 1;
BEGIN;
SELECT forge_comm.set_service_context('seed');
INSERT INTO things VALUES (1, 1), (2, 2);
INSERT INTO blue_things VALUES (11, 1, 'sky'), (12, 2, 'sea');
INSERT INTO red_things VALUES (21, 1, 1), (22, 2, 2);
INSERT INTO green_things VALUES (31, 1), (32, 2);
INSERT INTO dark_blue_things VALUES (41, 1, 'ink'), (42, 2, 'night');
COMMIT;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(1, 1);
SELECT id FROM things ORDER BY id;
SELECT id FROM ONLY things ORDER BY id;
SELECT id FROM blue_things ORDER BY id;
SELECT id FROM red_things ORDER BY id;
SELECT id FROM green_things ORDER BY id;
SELECT id FROM dark_blue_things ORDER BY id;
INSERT INTO blue_things (id) VALUES (13) RETURNING workspace_id;
INSERT INTO red_things (id) VALUES (23) RETURNING workspace_id;
INSERT INTO dark_blue_things (id) VALUES (43) RETURNING workspace_id;
SELECT refused('INSERT INTO blue_things VALUES (14, 2)');
SELECT refused('INSERT INTO dark_blue_things VALUES (44, 2)');
SELECT refused('UPDATE things SET workspace_id = 2 WHERE id = 21');
SELECT refused('UPDATE green_things SET workspace_id = 2 WHERE id = 31');
SELECT refused('TRUNCATE ONLY blue_things');
SELECT refused('TRUNCATE red_things');
ROLLBACK;
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.disable_tenancy('things');
SELECT * FROM guarded WHERE rls OR policies <> '{}' OR triggers <> '{}';

-- --------------------------------------------------- row security of its own

-- Each member gets back what it had
CREATE TABLE own (id int NOT NULL, workspace_id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE own_1 PARTITION OF own FOR VALUES IN (1);
CREATE TABLE own_2 PARTITION OF own FOR VALUES IN (2);
ALTER TABLE own_1 ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON own_1 USING (id = 1);
ALTER TABLE own_2 FORCE ROW LEVEL SECURITY;
SELECT forge_comm.enable_tenancy('own');
SELECT forge_comm.disable_tenancy('own');
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname IN ('own', 'own_1', 'own_2') ORDER BY 1;

-- A partition made while the guard is disabled is guarded all the same
SELECT forge_comm.enable_tenancy('own');
ALTER TABLE own DISABLE TRIGGER forge_comm_tenancy;
CREATE TABLE own_3 PARTITION OF own FOR VALUES IN (3);
SELECT rls, policies FROM guarded WHERE relname = 'own_3';
ALTER TABLE own ENABLE TRIGGER forge_comm_tenancy;

-- ------------------------------------------------- keys to a partitioned table

CREATE TABLE owners (id int PRIMARY KEY, workspace_id int NOT NULL) PARTITION BY HASH (id);
CREATE TABLE owners_0 PARTITION OF owners FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE owners_1 PARTITION OF owners FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE owned (id int PRIMARY KEY, owner int CONSTRAINT zz REFERENCES owners);
INSERT INTO owners SELECT i, 1 + i % 2 FROM generate_series(1, 20) AS i;
INSERT INTO owned SELECT i, i FROM generate_series(1, 20) AS i;
SELECT forge_comm.enable_tenancy('owners');
SELECT forge_comm.enable_tenancy('owned', via => 'owner');
CALL forge_comm.backfill('owned');
BEGIN;
SELECT forge_comm.set_context(workspace_id => 2);
SELECT count(*) FROM owned;
INSERT INTO owned VALUES (21, 1), (22, 3) RETURNING workspace_id;
SELECT refused('INSERT INTO owned VALUES (23, 2)');
SELECT refused('INSERT INTO owned VALUES (23, 99)');
COMMIT;

-- ------------------------------------------------ moves, and what comes between

CREATE TABLE moved (id int, k int, seen int DEFAULT 0) PARTITION BY LIST (k);
CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1);
CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
SELECT forge_comm.enable_soft_delete('moved');
INSERT INTO moved VALUES (1, 1), (2, 2);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id = 1 THEN
    UPDATE regress_partitions.moved SET seen = seen + 1 WHERE id = 2;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER later BEFORE UPDATE ON moved FOR EACH ROW EXECUTE FUNCTION look();
UPDATE moved SET k = 2 WHERE id = 1;
SELECT tableoid::regclass, id, seen FROM moved ORDER BY id;

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_partitions CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
