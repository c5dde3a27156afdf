-- An attacker inside the application's role, with SQL of their own, writes rows
-- of another workspace, or learns by writing that they exist. Each case fails
-- when its guard is taken out.
SET client_min_messages = error;
LOAD 'forge_comm';

BEGIN;
SELECT plan(217);
\ir attack.psql

-- -------------------------------------------------------------------- writing

SELECT is(pg_temp.attack(1, sql), '0 rows', sql)
  FROM unnest(ARRAY[
         'UPDATE attack.notes SET body = ''stolen'' WHERE id = 20 RETURNING body',
         'UPDATE attack.messages SET body = ''stolen'' WHERE id = 20 RETURNING body',
         'UPDATE attack.events_2 SET body = ''stolen'' RETURNING body',
         'UPDATE attack.images SET body = ''stolen'' WHERE id = 21 RETURNING body',
         'DELETE FROM attack.notes WHERE id = 20 RETURNING body',
         'DELETE FROM attack.messages WHERE id = 20 RETURNING body',
         'DELETE FROM attack.events WHERE id = 20 RETURNING body',
         'DELETE FROM attack.events_2 RETURNING body',
         'DELETE FROM attack.images WHERE id = 21 RETURNING body',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT DO NOTHING RETURNING body',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO NOTHING RETURNING body'
       ]) AS sql;
-- Minor versions of PostgreSQL differ in what they look at first
SELECT matches(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET body = ''stolen'' WHERE false'),
               '^(42501|0 rows)', 'ON CONFLICT DO UPDATE of nothing');
SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.notes VALUES (30, 2)',
         'INSERT INTO attack.messages VALUES (30, 2, 2)',
         'INSERT INTO attack.messages VALUES (30, 2, 1)',
         'INSERT INTO attack.active_messages (id, workspace_id, channel_id) VALUES (30, 2, 2)',
         'INSERT INTO attack.events VALUES (30, 2)',
         'INSERT INTO attack.events_2 VALUES (30, 2)',
         'INSERT INTO attack.images VALUES (30, 2)',
         'INSERT INTO attack.workspaces VALUES (3)',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET body = ''stolen''',
         'INSERT INTO attack.notes VALUES (20, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 1 RETURNING notes.body',
         'INSERT INTO attack.notes VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 2',
         'UPDATE attack.notes SET workspace_id = 2',
         'UPDATE attack.notes SET workspace_id = NULL',
         'UPDATE attack.messages SET workspace_id = 2',
         'UPDATE attack.messages SET workspace_id = 2, channel_id = 2',
         'UPDATE attack.events SET workspace_id = 2',
         'UPDATE attack.events_1 SET workspace_id = 2',
         'UPDATE attack.images SET workspace_id = 2',
         'UPDATE attack.workspaces SET id = 3',
         'UPDATE attack.workspaces SET id = 2'
       ]) AS sql;
SELECT pg_temp.refused(pg_temp.attack(12, sql), '42501', 'with both in scope: ' || sql)
  FROM unnest(ARRAY[
         'UPDATE attack.notes SET workspace_id = 3 - workspace_id',
         'UPDATE attack.messages SET workspace_id = 2, channel_id = 2 WHERE id = 10',
         'UPDATE attack.events SET workspace_id = 2 WHERE id = 10',
         'INSERT INTO attack.notes VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET workspace_id = 2',
         'MERGE INTO attack.notes AS n USING (VALUES (10)) AS v (id) ON n.id = v.id WHEN MATCHED THEN UPDATE SET workspace_id = 2'
       ]) AS sql;
SELECT pg_temp.refused(pg_temp.attack(12, sql), '23503', 'with both in scope: ' || sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.messages VALUES (30, 1, 2)',
         'UPDATE attack.messages SET channel_id = 2 WHERE id = 10',
         'UPDATE attack.messages SET parent_id = 20 WHERE id = 10',
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, 20)',
         'INSERT INTO attack.pins VALUES (30, 1, 2)'
       ]) AS sql;
SELECT is(pg_temp.attack(1, 'INSERT INTO attack.notes (id) VALUES (30) RETURNING workspace_id'), '1', 'a row that names no workspace is ours');
SELECT pg_temp.refused(pg_temp.attack(12, 'INSERT INTO attack.notes (id) VALUES (30)'), '23502', 'or of none, with several in scope');

SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', sql)
  FROM unnest(ARRAY['INSERT INTO attack.memberships VALUES (1, 2)',
                    'INSERT INTO attack.memberships VALUES (99, 2)',
                    'UPDATE attack.memberships SET workspace_id = 2',
                    'MERGE INTO attack.memberships AS m USING (VALUES (1, 2)) AS v ON false WHEN NOT MATCHED THEN INSERT VALUES (1, 2)']) AS sql;
SELECT is(pg_temp.attack(1, 'UPDATE attack.memberships SET user_id = 1 WHERE user_id = 2'), '0 rows', 'nobody takes another workspace''s membership over');

-- A row without a workspace is nobody's
CREATE TABLE attack.loose (id int PRIMARY KEY, workspace_id int, body text);
SELECT forge_comm.enable_tenancy('attack.loose');
ALTER TABLE attack.loose DISABLE TRIGGER forge_comm_tenancy;
INSERT INTO attack.loose VALUES (10, 1, 'ours'), (40, NULL, 'canary');
ALTER TABLE attack.loose ENABLE TRIGGER forge_comm_tenancy;
GRANT SELECT, INSERT, UPDATE, DELETE ON attack.loose TO regress_attacker;
SELECT is(pg_temp.attack(1, sql), '0 rows', sql)
  FROM unnest(ARRAY['UPDATE attack.loose SET workspace_id = 1 WHERE id = 40 RETURNING body',
                    'UPDATE attack.loose SET body = ''stolen'' WHERE workspace_id IS NULL RETURNING body',
                    'DELETE FROM attack.loose WHERE workspace_id IS NULL RETURNING body']) AS sql;
SELECT is(pg_temp.attack(1, 'SELECT string_agg(body, '','') FROM attack.loose'), 'ours', 'nor is it read');
SELECT is(pg_temp.attack(1, 'INSERT INTO attack.loose VALUES (30, NULL) RETURNING workspace_id'), '1', 'one that is inserted belongs to the workspace');
SELECT pg_temp.refused(pg_temp.attack(12, 'INSERT INTO attack.loose VALUES (30, NULL)'), '23502', 'which must be known');
SELECT pg_temp.refused(pg_temp.attack(1, 'UPDATE attack.loose SET workspace_id = NULL'), '42501', 'and remains');

-- Every branch of MERGE
SELECT pg_temp.refused(pg_temp.attack(1, 'MERGE INTO attack.notes AS n USING (VALUES (20)) AS v (id) ON n.id = v.id ' || branch), state, 'MERGE: ' || branch)
  FROM (VALUES ('WHEN MATCHED THEN UPDATE SET body = ''stolen''', '0 row'),
               ('WHEN MATCHED THEN DELETE', '0 row'),
               ('WHEN NOT MATCHED THEN INSERT VALUES (v.id, 1)', '23505'),
               ('WHEN NOT MATCHED THEN INSERT VALUES (30, 2)', '42501'),
               ('WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN DO NOTHING', '0 row')) AS t (branch, state);
SELECT is(pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (10), (20)) AS v (id) ON m.id = v.id WHEN MATCHED THEN DELETE'),
          '1 rows', 'MERGE soft-deletes what is in scope');
SELECT pg_temp.alike(pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (30)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id) VALUES (30, 2)'),
                     pg_temp.attack(1, 'MERGE INTO attack.messages AS m USING (VALUES (30)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id, channel_id) VALUES (30, 99)'),
                     'MERGE that references');
SELECT is(pg_temp.attack(1, 'MERGE INTO attack.notes AS n USING attack.notes AS s ON n.id = s.id ' || branch), '1 rows', 'MERGE of a table with itself: ' || branch)
  FROM unnest('{WHEN MATCHED THEN UPDATE SET body = n.body,WHEN MATCHED AND evil.leak(n.body) AND evil.leak(s.body) THEN DELETE}'::text[]) AS branch;
SELECT pg_temp.refused(pg_temp.attack(who, 'MERGE INTO attack.notes AS n USING (VALUES (10)) AS v (id) ON n.id = v.id ' || branch), '42501', format('MERGE as user %s: %s', who, branch))
  FROM (VALUES (1, 'WHEN MATCHED THEN UPDATE SET workspace_id = 2'), (1, 'WHEN MATCHED THEN UPDATE SET workspace_id = NULL'),
               (NULL, 'WHEN MATCHED THEN UPDATE SET body = ''stolen'''), (NULL, 'WHEN MATCHED THEN DELETE'),
               (NULL, 'WHEN NOT MATCHED THEN INSERT VALUES (30, 2)')) AS t (who, branch);
SELECT current_setting('server_version_num')::int >= 170000 AS has_by_source \gset
\if :has_by_source
SELECT is(pg_temp.attack(1, 'MERGE INTO attack.notes AS n USING (VALUES (99)) AS v (id) ON n.id = v.id WHEN NOT MATCHED BY SOURCE THEN ' || action), '1 rows',
          'MERGE, NOT MATCHED BY SOURCE THEN ' || action)
  FROM unnest('{DELETE,UPDATE SET body = NULL}'::text[]) AS action;
SELECT is(pg_temp.attack(1, 'MERGE INTO attack.notes AS n USING (VALUES (20)) AS v (id) ON n.id = v.id WHEN MATCHED THEN DELETE RETURNING n.body'), '0 rows', 'MERGE RETURNING');
\else
SELECT skip('PostgreSQL 17 has it', 3);
\endif

-- TRUNCATE asks no policy
SELECT pg_temp.refused(pg_temp.attack(1, 'TRUNCATE ' || what), '42501', 'TRUNCATE ' || what)
  FROM unnest('{attack.notes,attack.channels CASCADE,attack.workspaces CASCADE,attack.events,attack.events_2,ONLY attack.files,attack.images}'::text[]) AS what;
-- also where it arrives from a table that is not guarded
SELECT pg_temp.refused(pg_temp.attack(1, 'TRUNCATE attack.labels CASCADE'), '42501', 'TRUNCATE attack.labels CASCADE');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'TRUNCATE attack.notes'), '42501', 'TRUNCATE without a context');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'TRUNCATE attack.messages CASCADE', session_user::text), '55000', 'TRUNCATE of what is soft-deleted only, as a superuser');

-- Triggers of the application's own that rewrite the row, before and after ours
SET ROLE regress_owner;
CREATE FUNCTION attack.rewrite() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.workspace_id := 2; RETURN NEW; END';
CREATE TRIGGER aa BEFORE INSERT OR UPDATE ON attack.files FOR EACH ROW EXECUTE FUNCTION attack.rewrite();
CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON attack.notes FOR EACH ROW EXECUTE FUNCTION attack.rewrite();
RESET ROLE;
SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', 'rewritten by a trigger: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.files VALUES (30, 1)', 'UPDATE attack.files SET body = ''''',
                    'INSERT INTO attack.notes VALUES (30, 1)', 'UPDATE attack.notes SET body = ''''']) AS sql;
DROP TRIGGER aa ON attack.files;
DROP TRIGGER zz ON attack.notes;

-- The same for a reference, by a trigger that comes after ours. PostgreSQL's
-- own check of the key does not ask row security.
CREATE TABLE attack.replies (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int REFERENCES attack.channels ON DELETE CASCADE, wish int);
SELECT forge_comm.enable_tenancy('attack.replies');
GRANT SELECT, INSERT, UPDATE, DELETE ON attack.replies TO regress_attacker;
CREATE FUNCTION attack.grant_wish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.channel_id := coalesce(NEW.wish, NEW.channel_id); RETURN NEW; END';
CREATE FUNCTION attack.move_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.workspace_id := 2; RETURN NEW; END';
INSERT INTO attack.replies VALUES (10, 1, 1);
CREATE TRIGGER aa BEFORE INSERT OR UPDATE ON attack.replies FOR EACH ROW EXECUTE FUNCTION attack.grant_wish();
SELECT pg_temp.alike(pg_temp.attack(1, format(sql, 2)), pg_temp.attack(1, format(sql, 99)), 'a trigger before ours: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.replies VALUES (30, 1, 1, %s)', 'UPDATE attack.replies SET wish = %s']) AS sql;
DROP TRIGGER aa ON attack.replies;
CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON attack.replies FOR EACH ROW EXECUTE FUNCTION attack.grant_wish();
SELECT pg_temp.alike(pg_temp.attack(1, format(sql, 2)), pg_temp.attack(1, format(sql, 99)), 'a trigger after ours: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.replies VALUES (30, 1, 1, %s)', 'UPDATE attack.replies SET wish = %s']) AS sql;
SELECT pg_temp.refused(pg_temp.attack(12, sql), '23503', 'with both in scope, a trigger after ours: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.replies VALUES (30, 1, 1, 2)', 'UPDATE attack.replies SET wish = 2']) AS sql;
DROP TRIGGER zz ON attack.replies;
CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON attack.replies FOR EACH ROW EXECUTE FUNCTION attack.move_it();
SELECT matches(pg_temp.attack(12, sql), '^(23503|42501)', 'with both in scope, moved by a trigger after ours: ' || sql)
  FROM unnest(ARRAY['INSERT INTO attack.replies VALUES (30, 1, 1)', 'UPDATE attack.replies SET wish = 2']) AS sql;
DROP TRIGGER zz ON attack.replies;

-- ----------------------------------------------- does a row exist? References

SELECT pg_temp.alike(pg_temp.attack(who, format(sql, 'channel', 2)), pg_temp.attack(who, format(sql, 'channel', 99)),
                     format('as user %s: %s', who, sql))
  FROM unnest(ARRAY[1, NULL]) AS who,
       unnest(ARRAY[
         'INSERT INTO attack.messages (id, %s_id) VALUES (30, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 2, %s)',
         'INSERT INTO attack.messages (id, workspace_id, %s_id) VALUES (30, 99, %s)',
         'INSERT INTO attack.messages (id, %s_id) VALUES (30, %s) ON CONFLICT DO NOTHING',
         'INSERT INTO attack.active_messages (id, %s_id) VALUES (30, %s) RETURNING id',
         'INSERT INTO attack.pins (id, workspace_id, %s_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.pins (id, workspace_id, %s_id) VALUES (30, 2, %s)',
         'WITH w AS (INSERT INTO attack.messages (id, %s_id) VALUES (30, %s) RETURNING id) SELECT * FROM w'
       ]) AS sql;
SELECT pg_temp.alike(pg_temp.attack(1, format(sql, 20)), pg_temp.attack(1, format(sql, 99)), sql)
  FROM unnest(ARRAY[
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, channel_id, parent_id) VALUES (30, 1, 1, %s)',
         'INSERT INTO attack.messages (id, workspace_id, channel_id, parent_id) VALUES (30, 2, 2, %s)',
         'INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 2, %s)',
         'UPDATE attack.messages SET parent_id = %s'
       ]) AS sql;
SELECT pg_temp.alike(pg_temp.attack(1, 'UPDATE attack.messages SET channel_id = 2'),
                     pg_temp.attack(1, 'UPDATE attack.messages SET channel_id = 99'), 'UPDATE of a reference');
SELECT pg_temp.alike(pg_temp.command(NULL, format(sql, 2)), pg_temp.command(NULL, format(sql, 99)), 'with an empty context: ' || sql)
  FROM unnest(ARRAY['SET LOCAL forge_comm.missing_context = empty; INSERT INTO attack.messages (id, channel_id) VALUES (30, %s)',
                    'SET LOCAL forge_comm.missing_context = empty; INSERT INTO attack.messages (id, workspace_id, channel_id) VALUES (30, 2, %s)']) AS sql;
SELECT is(pg_temp.attack(1, 'UPDATE attack.notes SET id = 20'), pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1)'),
          'a key that is taken says no more than that');
SELECT unalike(pg_temp.attack(1, 'INSERT INTO attack.notes VALUES (20, 1)'), '%(id)=%', 'and shows no value');

-- A key on a generated column is computed after BEFORE triggers
SET ROLE regress_owner;
DO $$
BEGIN
  PERFORM forge_comm.enable_tenancy('attack.computed');
EXCEPTION WHEN OTHERS THEN
END
$$;
RESET ROLE;
SELECT CASE WHEN (SELECT relrowsecurity FROM pg_class WHERE oid = 'attack.computed'::regclass) THEN
         pg_temp.refused(pg_temp.attack(1, 'INSERT INTO attack.computed VALUES (30, 1, 2)'), '0A000', 'a generated column that references')
       ELSE pass('a generated column that references is refused from the start') END;

-- Keys of other kinds: deferred, converted on the way, of several columns
CREATE TABLE attack.parents (id numeric PRIMARY KEY, code text UNIQUE, workspace_id int NOT NULL, UNIQUE (id, code));
CREATE TABLE attack.deferred (id int PRIMARY KEY, workspace_id int NOT NULL, channel_id int REFERENCES attack.channels DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE attack.converted (id int PRIMARY KEY, workspace_id int NOT NULL, parent_id int REFERENCES attack.parents);
CREATE TABLE attack.coded (id int PRIMARY KEY, workspace_id int NOT NULL, code char(10) REFERENCES attack.parents (code));
CREATE TABLE attack.several (id int PRIMARY KEY, workspace_id int NOT NULL, parent_id bigint, code varchar,
                             FOREIGN KEY (parent_id, code) REFERENCES attack.parents (id, code) MATCH FULL);
INSERT INTO attack.parents VALUES (1, 'ours', 1), (2, 'canary', 2);
SELECT forge_comm.enable_tenancy(('attack.' || rel)::regclass) FROM unnest('{parents,deferred,converted,coded,several}'::text[]) AS rel;
GRANT SELECT, INSERT, UPDATE, DELETE ON attack.parents, attack.deferred, attack.converted, attack.coded, attack.several TO regress_attacker;
SELECT is(pg_temp.attack(1, format('INSERT INTO %s RETURNING workspace_id', format(sql, ours))), '1', format(sql, ours)) || E'\n' ||
       pg_temp.alike(pg_temp.attack(1, 'INSERT INTO ' || format(sql, theirs)), pg_temp.attack(1, 'INSERT INTO ' || format(sql, nobodys)), format(sql, theirs))
  FROM (VALUES ('attack.deferred VALUES (30, 1, %s)', '1', '2', '99'),
               ('attack.converted VALUES (30, 1, %s)', '1', '2', '99'),
               ('attack.coded VALUES (30, 1, %s)', '''ours''', '''canary''', '''nobody'''),
               ('attack.several VALUES (30, 1, %s)', '1, ''ours''', '2, ''canary''', '2, ''nobody''')) AS t (sql, ours, theirs, nobodys);

-- A table of the attacker's own cannot ask by a key: that takes a privilege
-- which no application needs
SELECT pg_temp.refused(pg_temp.command(1, 'CREATE TABLE evil.asking (channel_id int REFERENCES attack.channels)'), '42501', 'a key of the attacker''s own');

-- --------------------------------------------------- does a row exist? Unique keys

SET ROLE regress_owner;
CREATE TABLE attack.slugs (id int, workspace_id int NOT NULL, slug text, at int4range,
                           UNIQUE (slug) DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING gist (at WITH &&), CHECK (slug <> ''));
CREATE UNIQUE INDEX slugs_lower ON attack.slugs (lower(slug), id);
INSERT INTO attack.slugs VALUES (10, 1, 'ours', '[1,2)'), (20, 2, 'canary', '[5,7)');
SELECT forge_comm.enable_tenancy('attack.slugs');
GRANT SELECT, INSERT, UPDATE, DELETE ON attack.slugs TO regress_attacker;
RESET ROLE;
-- That it is taken cannot be hidden, all else about it is
SELECT matches(attempt, state, sql) || E'\n' || unalike(attempt, '%canary%', sql || ': shows no value') || E'\n' ||
       doesnt_match(attempt, '\((5|6|7|20)', sql || ': nor a part of it')
  FROM (SELECT sql, state, pg_temp.command(1, sql) AS attempt
          FROM (VALUES ('INSERT INTO attack.slugs VALUES (30, 1, ''canary''); SET CONSTRAINTS ALL IMMEDIATE', '^23505'),
                       ('UPDATE attack.slugs SET slug = ''canary''; SET CONSTRAINTS ALL IMMEDIATE', '^23505'),
                       ('INSERT INTO attack.slugs VALUES (20, 1, ''CANARY'')', '^23505'),
                       ('INSERT INTO attack.slugs VALUES (30, 1, ''free'', ''[6,9)'')', '^23P01'),
                       ('UPDATE attack.slugs SET at = ''[4,6)''', '^23P01'),
                       ('UPDATE attack.slugs SET slug = '''' WHERE evil.leak(slug)', '^23514')) AS t (sql, state)) AS a;

-- ------------------------------------------------------- forged audit columns

SELECT is(pg_temp.attack(1, format('UPDATE attack.messages SET %s WHERE id = 10 RETURNING concat_ws('','', created_at = now(), created_by, updated_by)', forged)),
          't,1,1', 'UPDATE SET ' || forged)
  FROM unnest(ARRAY['body = ''new''', 'created_at = ''2000-01-01'', body = ''new''', 'created_by = 2, body = ''new''', 'updated_by = 2, body = ''new''',
                    'created_at = NULL, created_by = NULL, updated_by = NULL, body = ''new''']) AS forged;
SELECT is(pg_temp.attack(1, sql), '1,1', sql)
  FROM unnest(ARRAY['INSERT INTO attack.messages (id, channel_id) VALUES (30, 1) RETURNING concat_ws('','', created_by, updated_by)',
                    'INSERT INTO attack.messages (id, channel_id) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET created_by = 2, updated_by = 2, body = ''new''
                       RETURNING concat_ws('','', messages.created_by, messages.updated_by)']) AS sql;
SELECT is(pg_temp.attack(1, 'DELETE FROM attack.messages WHERE id = 10 RETURNING deleted_by'), '1', 'DELETE is signed by who does it');

-- -------------------------------------------------------------- soft deletion

-- A row that is marked as deleted is still its workspace's alone
SAVEPOINT marked;
DELETE FROM attack.messages WHERE id = 20;
SELECT is((SELECT count(*) FROM attack.messages WHERE id = 20 AND deleted_at IS NOT NULL), 1::bigint, 'a row is marked as deleted');
SELECT is(pg_temp.attack(1, sql), '0 rows', 'a deleted row: ' || sql)
  FROM unnest(ARRAY['SELECT body FROM attack.messages WHERE id = 20',
                    'SELECT body FROM attack.active_messages WHERE id = 20',
                    'SELECT body FROM attack.get_messages(2)',
                    'DELETE FROM attack.messages WHERE id = 20 RETURNING body',
                    'UPDATE attack.messages SET deleted_at = NULL WHERE id = 20 RETURNING body',
                    'UPDATE attack.active_messages SET body = ''stolen'' WHERE id = 20 RETURNING body',
                    'INSERT INTO attack.messages (id, channel_id) VALUES (20, 1) ON CONFLICT DO NOTHING RETURNING body']) AS sql;
SELECT pg_temp.alike(pg_temp.attack(1, format('INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, %s)', 20)),
                     pg_temp.attack(1, format('INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (30, 1, %s)', 99)), 'a deleted row: a reference to it');
SELECT is(pg_temp.attack(2, sql), result, 'a deleted row of one''s own: ' || sql)
  FROM (VALUES ('SELECT body FROM attack.messages WHERE id = 20', 'canary'),
               ('SELECT body FROM attack.active_messages WHERE id = 20', '0 rows'),
               ('SELECT body FROM attack.get_messages(2)', '0 rows'),
               ('UPDATE attack.active_messages SET body = '''' WHERE id = 20 RETURNING body', '0 rows'),
               ('DELETE FROM attack.messages WHERE id = 20 RETURNING body', '0 rows'),
               ('DELETE FROM ONLY attack.messages RETURNING body', '0 rows')) AS t (sql, result);
SELECT is((SELECT count(*) FROM attack.messages WHERE id = 20), 1::bigint, 'it is there to the end');
ROLLBACK TO marked;

SELECT is(pg_temp.attack(1, 'WITH d AS (DELETE FROM attack.messages RETURNING id) SELECT count(*) FROM d'), '1', 'DELETE of everything');
SELECT is(pg_temp.attack(1, 'DELETE FROM attack.messages WHERE evil.leak(body)'), '1 rows', 'DELETE shows nothing to functions');
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 20)'), 'P0002', 'restore() of a foreign row');
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 20)'),
          replace(pg_temp.attack(1, 'SELECT forge_comm.restore(''attack.messages'', 99)'), '99', '20'),
          'says the same as of none');

SELECT * FROM finish();
ROLLBACK;
