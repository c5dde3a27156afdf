-- An attacker inside the application's role, against the life of rows: of
-- another workspace, of others in the same one, and for good.
LOAD 'forge_comm';
SET client_min_messages = error;

BEGIN;
SELECT plan(71);

CREATE ROLE regress_owner;
CREATE ROLE regress_attacker;
CREATE ROLE regress_job;
SELECT forge_comm.grant_owner('regress_owner'), forge_comm.grant_app('regress_owner'), forge_comm.grant_app('regress_attacker'),
       forge_comm.grant_app('regress_job'), forge_comm.grant_purge('regress_job');
CREATE SCHEMA life AUTHORIZATION regress_owner;
CREATE SCHEMA evil AUTHORIZATION regress_attacker;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT CREATE ON DATABASE :DBNAME TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE life.users (id int PRIMARY KEY, name text);
CREATE TABLE life.channels (id int PRIMARY KEY, workspace_id int NOT NULL, name text, secret boolean NOT NULL DEFAULT false);
CREATE TABLE life.messages (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int REFERENCES life.channels ON DELETE CASCADE,
                            user_id int REFERENCES life.users ON DELETE CASCADE, body text, secret boolean NOT NULL DEFAULT false);
CREATE TABLE life.notes (id int PRIMARY KEY, workspace_id int NOT NULL, message_id int REFERENCES life.messages ON DELETE SET NULL);
CREATE TABLE life.holds (id int PRIMARY KEY, workspace_id int NOT NULL, message_id int REFERENCES life.messages ON DELETE RESTRICT);
INSERT INTO life.users VALUES (1, 'one'), (2, 'two'), (3, 'both');
INSERT INTO life.channels VALUES (1, 1, 'ours', false), (2, 2, 'canary', false), (3, 1, 'hidden', true);
-- 12, of another workspace than its channel, is from before tenancy; so are a
-- note and a hold of workspace 2 on our message
INSERT INTO life.messages VALUES (10, 1, 1, 1, 'ours', false), (11, 1, 1, 3, 'hidden', true), (12, 2, 1, 3, 'canary', false), (20, 2, 2, 3, 'canary', false);
INSERT INTO life.notes VALUES (1, 1, 10), (2, 2, 10);
INSERT INTO life.holds VALUES (2, 2, 10);
SELECT forge_comm.enable_tenancy(rel) FROM unnest('{life.channels,life.messages,life.notes,life.holds}'::regclass[]) AS rel;
CREATE POLICY no_secrets ON life.messages AS RESTRICTIVE USING (NOT secret);
CREATE POLICY no_secrets ON life.channels AS RESTRICTIVE USING (NOT secret);
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'did') FROM unnest('{life.users,life.channels,life.messages}'::regclass[]) AS rel;
GRANT USAGE ON SCHEMA life TO regress_attacker, regress_job;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRUNCATE ON ALL TABLES IN SCHEMA life TO regress_attacker, regress_job;
RESET ROLE;

-- What an attacker gets in a workspace (the error's code, or what the SQL
-- gives), and what is then true of all rows, read by a superuser.
CREATE FUNCTION pg_temp.attack(workspace int, sql text, look text DEFAULT NULL, as_role text DEFAULT 'regress_attacker')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', as_role);
  IF workspace IS NOT NULL THEN
    PERFORM forge_comm.set_context(user_id => 1, workspace_id => workspace);
  END IF;
  IF sql ~ '^\s*(SELECT|WITH)|RETURNING' THEN
    EXECUTE sql INTO result;
  ELSE
    EXECUTE sql;
  END IF;
  IF look IS NOT NULL THEN
    RESET ROLE;
    EXECUTE look INTO result;
  END IF;
  RAISE SQLSTATE 'T0000' USING MESSAGE = coalesce(result, 'nothing');
EXCEPTION
  WHEN SQLSTATE 'T0000' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
CREATE FUNCTION pg_temp.live(rel text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  ids text;
BEGIN
  EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %s WHERE deleted_at IS NULL', rel) INTO ids;
  RETURN coalesce(ids, '');
END $$;
CREATE TEMPORARY TABLE looks (messages text, notes text);
INSERT INTO looks VALUES ('SELECT pg_temp.live(''life.messages'')', 'SELECT string_agg(coalesce(message_id::text, ''-''), '','' ORDER BY id) FROM life.notes');

-- --------------------------------------------------------- out of the workspace

SELECT is(pg_temp.attack(1, 'DELETE FROM life.channels', messages), '12,20', 'a cascade reaches hidden rows, and no other workspace''s') FROM looks;
SELECT is(pg_temp.attack(1, 'UPDATE life.channels SET deleted_at = now()', messages), '12,20', 'nor by hand') FROM looks;
SELECT is(pg_temp.attack(1, 'MERGE INTO life.channels AS c USING (VALUES (1), (2)) AS v (x) ON c.id = x WHEN MATCHED THEN DELETE', messages), '12,20', 'nor by MERGE') FROM looks;
SELECT is(pg_temp.attack(2, 'DELETE FROM life.channels WHERE id = 1', messages), '10,11,12,20', 'nor does a foreign channel fall') FROM looks;
SELECT is(pg_temp.attack(1, 'DELETE FROM life.messages', notes), '-,10', 'SET NULL stays in the workspace') FROM looks;
SELECT is(pg_temp.attack(1, 'DELETE FROM life.messages WHERE id = 10 RETURNING 1'), '1', 'RESTRICT does not tell of another workspace''s rows');
SELECT is(pg_temp.attack(1, 'DELETE FROM life.users WHERE id = 3', messages), '10,12,20', 'who is in no workspace takes along what is in scope') FROM looks;
SELECT is(pg_temp.attack(NULL, 'DELETE FROM life.users WHERE id = 3'), '42501', 'and nothing without a context');
SELECT is(pg_temp.attack(NULL, 'UPDATE life.users SET deleted_at = now()'), '42501', 'nor by hand');
SELECT is(pg_temp.attack(NULL, 'SET LOCAL forge_comm.missing_context = empty; DELETE FROM life.users', messages), '10,11,12,20',
          'nor where that is no error') FROM looks;
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM life.messages WHERE secret'), '0', 'the cascade''s rights end with it');
SELECT is(pg_temp.attack(1, 'WITH d AS (DELETE FROM life.channels RETURNING id) SELECT count(*) FROM life.messages WHERE secret'), '0', 'and start after the statement');

-- ------------------------------------------------------------- others' deletions

DELETE FROM life.channels WHERE id = 2;
DELETE FROM life.messages WHERE id = 12;
DELETE FROM life.channels WHERE id = 3;
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''life.channels'', 2)'), 'P0002', 'restore() of another workspace''s row');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''life.channels'', 3)'), 'P0002', 'restore() of a row that one cannot see');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore_key(''life.channels''::regclass, ''{3}'')'), '0', 'nor by what restore() calls');
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_all(%L)', did)), 'P0002', 'restore_all() of another workspace''s deletion')
  FROM life.channels WHERE id = 2;
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_deletion(''{%s,%s}'', %L)', 'life.channels'::regclass::oid, 'life.messages'::regclass::oid, did)), '0',
          'nor by what restore_all() calls') FROM life.channels WHERE id = 2;
SELECT is(pg_temp.attack(1, 'UPDATE life.channels SET deleted_at = NULL WHERE id = 2 RETURNING id'), 'nothing', 'nor by hand');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''life.channels'', ''1) OR (true'')'), '22P02', 'a key is a value');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''pg_catalog.pg_class'', 1)'), '55000', 'restore() of a system table');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore_key(1::oid, ''{1}'')'), '42P01', 'restore_key() of nothing');
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_key(%s, ''{1}'')', 'life.active_channels'::regclass::oid)), '55000', 'of a view');
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_key(%s, ARRAY[NULL]::text[])', 'life.channels'::regclass::oid)), '22004', 'of a null key');
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_key(%s, ''{}'')', 'life.channels'::regclass::oid)), '55000', 'of too few values');
SELECT is(pg_temp.attack(1, format('SELECT forge_comm.restore_key(%s, array_fill(''1''::text, ARRAY[5000]))', 'life.channels'::regclass::oid)), '55000', 'of too many');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore_deletion(ARRAY[NULL]::oid[], gen_random_uuid())'), '22004', 'of no table');

-- An id is not for users to give: not theirs to join, not theirs to change
SELECT is(pg_temp.attack(1, format(sql, did), 'SELECT count(*) FROM life.channels AS a, life.channels AS b WHERE a.id = 1 AND b.id = 3 AND a.did = b.did'), '0', format(sql, 'an id'))
  FROM (SELECT quote_literal(did) AS did FROM life.channels WHERE id = 3) AS c,
       unnest(ARRAY['UPDATE life.channels SET deleted_at = now(), did = %s WHERE id = 1',
                    'UPDATE life.channels SET did = %s WHERE id = 1',
                    'UPDATE life.active_channels SET did = %s, deleted_at = ''2020-01-01'' WHERE id = 1',
                    'UPDATE life.channels SET (did, deleted_at) = (%s::uuid, now()) WHERE id = 1',
                    'INSERT INTO life.channels (id, workspace_id) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET deleted_at = now(), did = %s',
                    'MERGE INTO life.channels AS c USING (VALUES (1)) AS v (x) ON c.id = x WHEN MATCHED THEN UPDATE SET deleted_at = now(), did = %s',
                    'DELETE FROM life.channels WHERE id = 1; UPDATE life.channels SET did = %s WHERE id = 1',
                    'WITH x AS (UPDATE life.channels SET deleted_at = now(), did = %s WHERE id = 1 RETURNING id) SELECT count(*) FROM x']) AS sql;
-- A row that was deleted by others, with its own id, does not come back with what an attacker deletes and restores
UPDATE life.messages SET deleted_at = now() WHERE id = 10;
SELECT is(pg_temp.attack(1, 'DELETE FROM life.channels WHERE id = 1; UPDATE life.channels SET deleted_at = (SELECT deleted_at FROM life.messages WHERE id = 10) WHERE id = 1;'
                            || ' DO $x$ BEGIN PERFORM forge_comm.restore(''life.channels'', 1); END $x$', messages), '11', 'restore() brings back what fell with the row alone') FROM looks;
-- Functions and tables of the attacker's, on the way
SELECT is(pg_temp.attack(1, 'CREATE FUNCTION evil.gen_random_uuid() RETURNS uuid LANGUAGE sql AS $x$ SELECT ''11111111-1111-1111-1111-111111111111''::uuid $x$;
                             CREATE TABLE evil.forge_comm_noted (k1 int); SET LOCAL search_path = evil, pg_catalog; DELETE FROM life.channels WHERE id = 1',
                         'SELECT count(*) FROM life.channels WHERE did = ''11111111-1111-1111-1111-111111111111'''), '0', 'the path does not matter');
SELECT is(pg_temp.attack(1, 'CREATE TEMP TABLE forge_comm_noted (k1 int, workspace int, deleted_at timestamptz); INSERT INTO forge_comm_noted VALUES (2, 2, now());
                             UPDATE life.channels SET deleted_at = now() WHERE id = 1', messages), '', 'nor does a table called like ours') FROM looks;
SELECT is(pg_temp.attack(1, 'CREATE TABLE evil.child (id int, workspace_id int, channel int REFERENCES life.channels ON DELETE RESTRICT)'), 'nothing', 'REFERENCES is granted')
  FROM looks;
-- The owner's rights meet no operator of the attacker's
SET ROLE regress_owner;
CREATE TABLE life.above (id int PRIMARY KEY);
CREATE TABLE life.below (id int PRIMARY KEY, above int REFERENCES life.above ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('life.above', deleted_by => 'who'), forge_comm.enable_soft_delete('life.below', deleted_by => 'who');
INSERT INTO life.above VALUES (1);
INSERT INTO life.below VALUES (1, 1);
GRANT SELECT, UPDATE, DELETE ON life.above TO regress_attacker;
RESET ROLE;
SELECT is(pg_temp.attack(1, format('CREATE FUNCTION evil.f(%1$s, %2$s) RETURNS boolean LANGUAGE plpgsql AS $x$ BEGIN RAISE SQLSTATE ''T0000'' USING MESSAGE = current_user; END $x$;
                                    CREATE OPERATOR evil.= (LEFTARG = %1$s, RIGHTARG = %2$s, FUNCTION = evil.f);
                                    SET LOCAL search_path = evil, pg_catalog;
                                    DELETE FROM life.above WHERE id IN (SELECT 1);
                                    DO $x$ BEGIN PERFORM forge_comm.restore(''life.above'', 1); END $x$', a, b), 'SELECT pg_temp.live(''life.below'')'), '1',
          format('an operator on %s and %s in the path', a, b))
  FROM (VALUES ('bigint', 'bigint'), ('timestamptz', 'timestamptz'), ('uuid', 'uuid'), ('integer', 'bigint'), ('bigint', 'integer')) AS t (a, b);
-- Such a reference makes no more of a soft delete than its owner lets it
SELECT is(pg_temp.attack(1, 'CREATE FUNCTION evil.who() RETURNS trigger LANGUAGE plpgsql AS $x$
                               BEGIN RAISE SQLSTATE ''T0000'' USING MESSAGE = current_user; END $x$;
                             CREATE TABLE evil.child (id int, channel int REFERENCES life.channels ON DELETE SET NULL);
                             CREATE TRIGGER who AFTER UPDATE ON evil.child FOR EACH ROW EXECUTE FUNCTION evil.who();
                             INSERT INTO evil.child VALUES (1, 1); DELETE FROM life.channels WHERE id = 1'), 'regress_attacker', 'a trigger there runs as the one who owns it');

-- ---------------------------------------------------------------------- for good

SELECT is(pg_temp.attack(1, format('SELECT forge_comm.purge_blocks(%s, 0, 100, now(), '''', '''')', 'life.messages'::regclass::oid)), '42501', 'the application may not purge');
SELECT is(pg_temp.attack(1, 'CALL forge_comm.purge(''life.messages'', ''0'')'), '42501', 'nor call the procedure');
SELECT is(pg_temp.attack(workspace, format('SELECT forge_comm.purge_blocks(%s, 0, 100, now(), '''', '''')', 'life.messages'::regclass::oid), as_role => 'regress_job'), '42501',
          format('a job may not without a service context (%s)', coalesce(workspace::text, 'none'))) FROM unnest('{NULL,1}'::int[]) AS workspace;
SELECT is(pg_temp.attack(NULL, 'SELECT forge_comm.enter_service(''me'')', as_role => 'regress_job'), '42501', 'and makes itself none');
-- with one, its parts called by hand: nothing live goes, whatever they are given
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_job;
SELECT is(pg_temp.attack(NULL, format('DO $x$ BEGIN PERFORM forge_comm.set_service_context(''by hand'');
                                         DELETE FROM life.channels WHERE id = 1; %s
                                         PERFORM forge_comm.purge_blocks(%s, 0, 100, ''infinity'', '''', ''x''); END $x$', sql, 'life.channels'::regclass::oid),
                         'SELECT count(*) FROM life.messages', 'regress_job'), expected, 'purge_blocks() by hand: ' || sql)
  FROM (VALUES ('DELETE FROM life.holds;', '0'),
               ('DELETE FROM life.holds; UPDATE life.messages SET deleted_at = NULL WHERE id = 20;', '55000'),
               ('DELETE FROM life.holds; UPDATE life.messages SET deleted_at = ''infinity'' WHERE id = 10;', '55000')) AS t (sql, expected);
REVOKE EXECUTE ON FUNCTION forge_comm.set_service_context(text) FROM regress_job;
SELECT is(pg_temp.attack(1, sql, 'SELECT count(*) FROM life.messages'), expected, sql)
  FROM (VALUES ('DELETE FROM ONLY life.messages WHERE id = 10', '4'),
               ('DELETE FROM life.messages AS t WHERE t.ctid >= ''(0,0)''', '4'),
               ('TRUNCATE life.messages CASCADE', '55000'),
               ('SET LOCAL forge_comm.allow_hard_delete = on', '42501'),
               ('SET LOCAL session_replication_role = replica', '42501'),
               ('ALTER TABLE life.messages DISABLE TRIGGER USER', '42501')) AS t (sql, expected);

-- ------------------------------------------- privacy, authors, what agrees

-- What falls is not asked for: rows that the deleter neither sees nor wrote
SET ROLE regress_owner;
CREATE SCHEMA talk;
GRANT USAGE ON SCHEMA talk TO regress_attacker;
CREATE TABLE talk.memberships (user_id int, workspace_id int, PRIMARY KEY (user_id, workspace_id));
CREATE TABLE talk.projects (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE talk.channels (id int PRIMARY KEY, workspace_id int NOT NULL, project_id int REFERENCES talk.projects ON DELETE CASCADE, private boolean NOT NULL);
CREATE TABLE talk.members (channel_id int REFERENCES talk.channels, user_id int, workspace_id int, PRIMARY KEY (user_id, channel_id));
CREATE TABLE talk.users (id int PRIMARY KEY);
CREATE TABLE talk.messages (id int PRIMARY KEY, workspace_id int, channel_id int REFERENCES talk.channels ON DELETE CASCADE,
                            user_id int REFERENCES talk.users ON DELETE SET NULL, parent_id int REFERENCES talk.messages ON DELETE SET NULL);
CREATE TABLE talk.pins (id int PRIMARY KEY, workspace_id int, channel_id int REFERENCES talk.channels ON DELETE SET NULL,
                        message_id int REFERENCES talk.messages ON DELETE SET NULL);
INSERT INTO talk.memberships VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO talk.projects VALUES (1, 1), (2, 2);
INSERT INTO talk.channels VALUES (1, 1, 1, false), (2, 1, 1, true), (3, 2, 1, false);
INSERT INTO talk.members VALUES (2, 2, 1);
INSERT INTO talk.users VALUES (1), (2);
INSERT INTO talk.messages VALUES (10, 1, 1, 1, NULL), (11, 1, 1, 2, 10), (20, 1, 2, 2, NULL), (30, 2, 3, 2, NULL);
INSERT INTO talk.pins VALUES (1, 1, 1, 10), (2, 1, 2, 20);
SELECT forge_comm.enable_directory('talk.users');
SELECT forge_comm.enable_tenancy(rel) FROM unnest('{talk.memberships,talk.projects,talk.channels}'::regclass[]) AS rel;
SELECT forge_comm.enable_tenancy('talk.members', via => 'channel_id');
SELECT forge_comm.enable_tenancy('talk.messages', via => 'channel_id', same => '{channel_id}');
SELECT forge_comm.enable_tenancy('talk.pins', same => '{channel_id}');
SELECT forge_comm.enable_privacy('talk.channels', 'private', 'talk.members', children => '{talk.messages}');
SELECT forge_comm.enable_authorship('talk.messages');
SELECT forge_comm.enable_soft_delete(rel) FROM unnest('{talk.users,talk.projects,talk.channels,talk.messages}'::regclass[]) AS rel;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA talk TO regress_attacker;
RESET ROLE;
SELECT forge_comm.use_memberships('talk.memberships');
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.projects', 'SELECT pg_temp.live(''talk.channels'') || '' '' || pg_temp.live(''talk.messages'')'), '3 30',
          'a cascade reaches a private channel, and no other workspace''s');
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.projects; DO $x$ BEGIN PERFORM forge_comm.restore(''talk.projects'', 1); END $x$',
                         'SELECT pg_temp.live(''talk.channels'') || '' '' || pg_temp.live(''talk.messages'')'), '1,2,3 10,11,20,30',
          'and restore() brings that back');
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.projects', 'SELECT string_agg(coalesce(channel_id::text, ''-''), '','') FROM talk.pins'), '-,-',
          'SET NULL of a column that references agree in');
SELECT is(pg_temp.attack(1, 'UPDATE talk.pins SET channel_id = NULL'), '42501', 'which users cannot do');
-- where triggers of the owner's look at rows, they are looked at once more, when the action is over
CREATE FUNCTION talk.look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER later BEFORE UPDATE ON talk.pins FOR EACH ROW EXECUTE FUNCTION talk.look();
CREATE TRIGGER later BEFORE UPDATE ON talk.messages FOR EACH ROW EXECUTE FUNCTION talk.look();
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.projects', 'SELECT string_agg(coalesce(channel_id::text, ''-''), '','') FROM talk.pins'), '-,-',
          'SET NULL of rows that are looked at once more');
SELECT is(pg_temp.attack(1, 'UPDATE talk.pins SET channel_id = NULL'), '42501', 'which users still cannot do');
RESET ROLE;
SAVEPOINT hard;
SET forge_comm.allow_hard_delete = on;
DELETE FROM talk.messages WHERE channel_id = 2;
DELETE FROM talk.members;
DELETE FROM talk.channels WHERE id = 2;
SELECT is((SELECT string_agg(coalesce(channel_id::text, '-'), ',' ORDER BY id) FROM talk.pins), '1,-', 'PostgreSQL''s own SET NULL of such rows');
ROLLBACK TO hard;
-- among them such as the user, who may delete a row that no workspace owns, does not see
CREATE TABLE talk.labels (id int PRIMARY KEY);
ALTER TABLE talk.labels OWNER TO regress_owner;
INSERT INTO talk.labels VALUES (1);
ALTER TABLE talk.pins ADD label_id int DEFAULT 1 REFERENCES talk.labels ON UPDATE CASCADE ON DELETE SET NULL;
GRANT SELECT, UPDATE, DELETE ON talk.labels TO regress_attacker;
INSERT INTO talk.pins VALUES (3, 2);
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.labels', 'SELECT count(label_id) FROM talk.pins'), '0', 'and in rows of another workspace');
SELECT is(pg_temp.attack(1, 'UPDATE talk.labels SET id = 2', 'SELECT string_agg(label_id::text, '','') FROM talk.pins'), '2,2,2', 'ON UPDATE CASCADE likewise');
-- not so what a trigger of the owner's makes of it
CREATE FUNCTION talk.move() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.workspace_id := 2; RETURN NEW; END';
CREATE TRIGGER move BEFORE UPDATE ON talk.pins FOR EACH ROW EXECUTE FUNCTION talk.move();
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.labels'), '42501', 'a row is not moved to another workspace thereby');
DROP TRIGGER move ON talk.pins;
-- and what a trigger keeps an action from writing is not remembered as written by it
CREATE OR REPLACE FUNCTION talk.look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('talk.mode', true) = 'skip' THEN
    RETURN NULL;
  ELSIF current_setting('talk.mode', true) = 'null' THEN
    NEW.channel_id := NULL;
  END IF;
  RETURN NEW;
END $$;
SELECT is(pg_temp.attack(1, 'SET LOCAL talk.mode = ''skip''; DELETE FROM talk.labels; SET LOCAL talk.mode = ''null''; UPDATE talk.pins SET label_id = NULL'), '42501',
          'nor is a user''s update taken for the action''s');
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.messages WHERE id = 10', 'SELECT coalesce(parent_id, 0) FROM talk.messages WHERE id = 11'), '0',
          'SET NULL in a row of another author''s');
SELECT is(pg_temp.attack(1, 'DELETE FROM talk.users WHERE id = 1', 'SELECT string_agg(coalesce(user_id::text, ''-''), '','' ORDER BY id) FROM talk.messages'), '-,2,2,2',
          'SET NULL of an author');

SELECT * FROM finish();
ROLLBACK;
