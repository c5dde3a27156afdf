-- The life of a row: soft delete, cascade, restore, purge and secrets, as history tells them.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner, regress_job;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_job;
CREATE SCHEMA regress_life AUTHORIZATION regress_owner;
SET search_path = regress_life;
SELECT forge_comm.grant_app(role::regrole) FROM unnest('{regress_app,regress_owner,regress_job}'::text[]) AS role;
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_purge('regress_job');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_owner, regress_job;
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_life TO regress_app, regress_job;

CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL, name text, UNIQUE (workspace_id, name));
CREATE TABLE messages (id int PRIMARY KEY, workspace_id int NOT NULL, channel int REFERENCES channels ON DELETE CASCADE,
                       parent int REFERENCES messages ON DELETE CASCADE, body text);
CREATE TABLE tokens (id int PRIMARY KEY, workspace_id int NOT NULL, channel int REFERENCES channels ON DELETE CASCADE,
                     token text, label text);
CREATE TABLE pins (id int PRIMARY KEY, workspace_id int NOT NULL, message int REFERENCES messages ON DELETE SET NULL);
-- a plain table: what is purged takes its rows along
CREATE TABLE members (id int PRIMARY KEY, workspace_id int NOT NULL, channel int REFERENCES channels ON DELETE CASCADE);
SELECT forge_comm.enable_tenancy(rel) FROM unnest('{channels,messages,tokens,pins,members}'::regclass[]) AS rel;
SELECT forge_comm.enable_soft_delete('channels', deleted_by => 'deleted_by', deletion_id => 'did', unique_keys => 'live');
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'did') FROM unnest('{messages,tokens}'::regclass[]) AS rel;
SELECT forge_comm.enable_history(rel) FROM unnest('{channels,messages,tokens,pins,members}'::regclass[]) AS rel;
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, messages, tokens, pins, members TO regress_app, regress_job;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.mark_secret('tokens', 'token');

-- What was told since, with a number for each deletion in place of its id
CREATE FUNCTION told(since bigint DEFAULT 0)
RETURNS TABLE (tab text, key jsonb, action text, usr bigint, role text, reason text, deletion bigint, old jsonb, new jsonb)
LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
  SELECT l.table_name, l.key, l.action, l.user_id, l.role, l.service_reason,
         CASE WHEN l.deletion_id IS NOT NULL THEN dense_rank() OVER (ORDER BY l.deletion_id IS NULL, f.first) END,
         l.old - '{deleted_at,did,deleted_by}'::text[], l.new - '{deleted_at,did,deleted_by,deleted_before}'::text[]
    FROM regress_life.audit_log AS l
    LEFT JOIN LATERAL (SELECT min(m.id) AS first FROM regress_life.audit_log AS m
                        WHERE m.id > since AND m.deletion_id = l.deletion_id) AS f ON true
   WHERE l.id > since ORDER BY l.id;
END $$;
INSERT INTO channels VALUES (1, 1, 'one'), (2, 1, 'two'), (3, 2, 'three');
INSERT INTO messages VALUES (10, 1, 1, NULL, 'ten'), (11, 1, 1, 10, 'eleven'), (12, 1, 1, NULL, 'gone before'), (20, 1, 2, NULL, 'twenty');
INSERT INTO tokens VALUES (1, 1, 1, 'canary', 'key');
INSERT INTO pins VALUES (1, 1, 11);
INSERT INTO members VALUES (1, 1, 1);
SELECT clock_timestamp() AS alive \gset

-- ------------------------------------------------------- a cascade, and its restore

SELECT max(id) AS since FROM audit_log \gset
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 7, workspace_id => 1);
DELETE FROM messages WHERE id = 12;
COMMIT;
SELECT clock_timestamp() AS between \gset
BEGIN;
SELECT forge_comm.set_context(user_id => 8, workspace_id => 1);
DELETE FROM channels WHERE id = 1;
COMMIT;
RESET SESSION AUTHORIZATION;
-- all of it is told of whoever deleted, though the cascade runs as the owner
SELECT * FROM told(:since);
SELECT count(DISTINCT deletion_id) = 2 AND bool_and(deletion_id IS NULL = (action = 'UPDATE')) FROM audit_log WHERE id > :since;
SELECT l.new ->> 'deleted_by' FROM audit_log AS l WHERE l.id > :since AND l.table_name = 'channels';
SELECT clock_timestamp() AS dead \gset

SELECT max(id) AS since FROM audit_log \gset
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 9, workspace_id => 1);
SELECT forge_comm.restore('channels', 1);
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT * FROM told(:since);
-- of the same deletion, as their lines say
SELECT count(*) FROM audit_log AS r JOIN audit_log AS d USING (table_id, row_hash, key, deletion_id)
 WHERE r.action = 'RESTORE' AND d.action = 'SOFT_DELETE';
SELECT clock_timestamp() AS restored \gset

-- the story of one row, to whoever may read it
GRANT SELECT ON audit_log TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT action, user_id, old - '{deleted_at,did,deleted_by}'::text[], deletion_id IS NOT NULL FROM forge_comm.history_of('messages', 11);
COMMIT;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 2);
SELECT count(*) FROM forge_comm.history_of('messages', 11);
COMMIT;
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON audit_log FROM regress_app;

-- ------------------------------------------------------------------ restore_all

SELECT max(id) AS since FROM audit_log \gset
DELETE FROM channels WHERE id = 1;
SELECT did FROM channels WHERE id = 1 \gset
SELECT forge_comm.restore_all(:'did');
SELECT tab, key, action, usr, deletion, new FROM told(:since);
-- what is rolled back was never there
SELECT max(id) AS since FROM audit_log \gset
BEGIN;
SAVEPOINT s;
DELETE FROM channels WHERE id = 1;
ROLLBACK TO s;
COMMIT;
SELECT * FROM told(:since);

-- ----------------------------------------------------- row_at and revert, across it

SELECT at, m.id, m.parent, m.deleted_at IS NULL AS live, m.did IS NULL AS no_id
  FROM (VALUES ('alive', :'alive'::timestamptz), ('between', :'between'), ('dead', :'dead'), ('restored', :'restored')) AS t (at, time),
       forge_comm.row_at(NULL::messages, 11, t.time) AS m;
SELECT at, m.deleted_at IS NULL AS live
  FROM (VALUES ('alive', :'alive'::timestamptz), ('between', :'between'), ('dead', :'dead')) AS t (at, time),
       forge_comm.row_at(NULL::messages, 12, t.time) AS m;
-- the secret is not told, then or now
SELECT id, token, label, deleted_at IS NULL AS live FROM forge_comm.row_at(NULL::tokens, 1, :'dead');

-- Back to when it was deleted: a soft delete like any other, which takes along
-- what references the row, with an id of its own
SELECT max(id) AS since FROM audit_log \gset
SELECT forge_comm.revert('channels', 1, :'dead');
SELECT tab, key, action, deletion, new FROM told(:since);
SELECT c.deleted_at = (SELECT deleted_at FROM forge_comm.row_at(NULL::channels, 1, :'dead')) AS then,
       c.did <> (SELECT did FROM forge_comm.row_at(NULL::channels, 1, :'dead')) AS another,
       (SELECT count(*) FROM messages WHERE did = c.did)
  FROM channels AS c WHERE id = 1;
-- and back to life: the row alone, by an update, which restores nothing else
SELECT max(id) AS since FROM audit_log \gset
SELECT forge_comm.revert('channels', 1, :'restored');
SELECT tab, key, action, deletion, new FROM told(:since);
SELECT deleted_at, deleted_by, did FROM channels WHERE id = 1;
SELECT count(*) FROM active_messages WHERE channel = 1;
-- what fell with it still has the id of that deletion
SELECT did FROM messages WHERE id = 10 \gset
SELECT forge_comm.restore_all(:'did');
SELECT count(*) FROM active_messages WHERE channel = 1;
SELECT forge_comm.revert('channels', 1, :'restored');
-- a live row has its unique key meanwhile
DELETE FROM channels WHERE id = 1;
INSERT INTO channels VALUES (4, 1, 'one');
\set VERBOSITY terse
SELECT forge_comm.revert('channels', 1, :'restored');
SELECT forge_comm.restore('channels', 1);
\set VERBOSITY default
DELETE FROM channels WHERE id = 4;
SELECT forge_comm.restore('channels', 1);

-- ------------------------------------------------------------------------ purge

DELETE FROM channels WHERE id = 1;
UPDATE messages SET body = 'body of a message deleted' WHERE id = 10;
SELECT clock_timestamp() AS before_purge \gset
SELECT max(id) AS since FROM audit_log \gset
-- not without a service context, and then nothing is told
SET SESSION AUTHORIZATION regress_app;
CALL forge_comm.purge('channels', '0');
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM told(:since);
SET SESSION AUTHORIZATION regress_job;
CALL forge_comm.purge('channels', '0', reason => 'the "nightly" purge');
RESET SESSION AUTHORIZATION;
-- each row with what it was but for the secret, and the batches with their counts
SELECT * FROM told(:since);
SELECT count(*) FROM audit_log AS l WHERE l.id > :since AND l.new ->> 'deleted_before' ~ '^\d{4}-\d\d-\d\dT[0-9:.]+\+00:00$';
-- the deletion that a row was purged after is that which its other lines tell
SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM audit_log AS d WHERE d.key = p.key AND d.table_id = p.table_id
                                                   AND d.deletion_id = p.deletion_id AND d.action = 'SOFT_DELETE'))
  FROM audit_log AS p WHERE p.action = 'PURGE' AND p.deletion_id IS NOT NULL;
SELECT (SELECT count(*) FROM channels), (SELECT count(*) FROM messages), (SELECT count(*) FROM tokens), (SELECT count(*) FROM members);
-- a row that is gone for good can still be read
SELECT id, channel, body, deleted_at IS NOT NULL AS deleted FROM forge_comm.row_at(NULL::messages, 10, :'before_purge');
SELECT id, channel, body, deleted_at IS NOT NULL AS deleted FROM forge_comm.row_at(NULL::messages, 10, :'alive');
SELECT count(*) FROM forge_comm.row_at(NULL::messages, 10, clock_timestamp());
SELECT id, token, label FROM forge_comm.row_at(NULL::tokens, 1, :'alive');
SELECT action, service_reason FROM forge_comm.history_of('messages', 10) ORDER BY id DESC LIMIT 2;
SELECT forge_comm.revert('messages', 10, :'alive');
-- it never was anywhere
SELECT count(*) FROM audit_log AS l WHERE l::text ~ 'canary';
-- as a superuser, who has no context: the line of the batch says why. A row
-- that a purge leaves has no line
DELETE FROM messages WHERE id = 20;
INSERT INTO messages VALUES (21, 1, 2, 20, 'live');
SELECT max(id) AS since FROM audit_log \gset
CALL forge_comm.purge('messages', '0', reason => 'by hand');
SELECT count(*) FROM told(:since);
DELETE FROM messages WHERE id = 21;
CALL forge_comm.purge('messages', '0', reason => 'by hand');
SELECT * FROM told(:since) WHERE action = 'PURGE';
-- an emergency is no purge
DELETE FROM channels WHERE id = 3;
SELECT max(id) AS since FROM audit_log \gset
SET forge_comm.allow_hard_delete = on;
DELETE FROM channels WHERE id = 3;
RESET forge_comm.allow_hard_delete;
SELECT * FROM told(:since);
-- ------------------------------------------------------- partitions, and other ways

SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE eras (id int, part int, workspace_id int NOT NULL, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE eras_1 PARTITION OF eras FOR VALUES IN (1);
CREATE TABLE kings (id int PRIMARY KEY, workspace_id int NOT NULL, era int, part int, FOREIGN KEY (era, part) REFERENCES eras ON DELETE CASCADE);
SELECT forge_comm.enable_tenancy(rel) FROM unnest('{eras,kings}'::regclass[]) AS rel;
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'did') FROM unnest('{eras,kings}'::regclass[]) AS rel;
SELECT forge_comm.enable_history(rel) FROM unnest('{eras,kings}'::regclass[]) AS rel;
CREATE TABLE eras_2 PARTITION OF eras FOR VALUES IN (2);
RESET SESSION AUTHORIZATION;
INSERT INTO eras SELECT i, 1 + i % 2, 1 FROM generate_series(1, 8) AS i;
INSERT INTO kings SELECT i, 1, i, 1 + i % 2 FROM generate_series(1, 8) AS i;
SELECT max(id) AS since FROM audit_log \gset
-- of both partitions, under the name of the whole
DELETE FROM eras WHERE id <= 2;
SELECT forge_comm.restore('eras', '{2,1}'::int[]);
SELECT tab, key, action, deletion FROM told(:since);
-- marked and moved at once is one line
SELECT max(id) AS since FROM audit_log \gset
INSERT INTO eras VALUES (9, 2, 1);
UPDATE eras SET deleted_at = now(), part = 1 WHERE id = 9;
SELECT tab, key, action, old, new FROM told(:since);
-- by MERGE, ON CONFLICT, a cursor, a writable CTE
SELECT max(id) AS since FROM audit_log \gset
MERGE INTO eras AS e USING (VALUES (4, 1)) AS v (id, part) ON e.id = v.id AND e.part = v.part WHEN MATCHED THEN DELETE;
INSERT INTO kings VALUES (5, 1) ON CONFLICT (id) DO UPDATE SET deleted_at = now();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM eras_1 WHERE id = 6 FOR UPDATE;
FETCH c \g /dev/null
DELETE FROM eras_1 WHERE CURRENT OF c;
COMMIT;
WITH d AS (DELETE FROM eras WHERE id = 7 RETURNING id) SELECT id FROM d;
SELECT tab, key, action, deletion FROM told(:since);
SELECT max(id) AS since FROM audit_log \gset
CALL forge_comm.purge('eras', '0', reason => 'eras');
SELECT tab, key, action, new FROM told(:since);
-- what is soft delete's is told as that while it is enabled
SELECT max(id) AS since FROM audit_log \gset
UPDATE kings SET deleted_at = now() WHERE id = 8;
SELECT forge_comm.disable_soft_delete('kings');
UPDATE kings SET deleted_at = NULL WHERE id = 8;
SELECT forge_comm.enable_soft_delete('kings', deletion_id => 'did');
UPDATE kings SET deleted_at = now() WHERE id = 8;
SELECT tab, key, action FROM told(:since);
-- what belongs to no workspace, such as the counts of a purge, is for services
GRANT SELECT ON audit_log TO regress_app;
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(workspace_id => 1);
SELECT count(*) > 0, count(*) FILTER (WHERE key IS NULL) FROM audit_log WHERE action = 'PURGE';
COMMIT;
RESET SESSION AUTHORIZATION;
-- and all of it is sealed
SELECT count(*) > 0 FROM forge_comm.seal_history('audit_log');
SELECT lines > 0, problem FROM forge_comm.verify_history('audit_log');

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_life CASCADE;
DROP OWNED BY regress_app, regress_owner, regress_job;
DROP ROLE regress_app, regress_owner, regress_job;
