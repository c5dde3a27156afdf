-- Soft-deleted rows come back, with exactly what fell with them.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner, regress_other;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA regress_restore AUTHORIZATION regress_owner;
SET search_path = regress_restore;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_other');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_restore TO PUBLIC;
GRANT CREATE ON SCHEMA regress_restore TO regress_other;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql
-- ----------------------------------------------------- what fell, and no more

CREATE TABLE channels (id int PRIMARY KEY, name text);
CREATE TABLE messages (id int PRIMARY KEY, channel int REFERENCES channels ON DELETE CASCADE,
                       parent int REFERENCES messages ON DELETE CASCADE, is_on boolean DEFAULT true);
CREATE TABLE reactions (message int REFERENCES messages ON DELETE CASCADE, emoji text, PRIMARY KEY (message, emoji));
CREATE TABLE pins (id int PRIMARY KEY, message int REFERENCES messages ON DELETE SET NULL);
-- every way of telling deletions apart: by an id, by time and user, and mixed
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
  INSERT INTO regress_restore.channels (id, name) VALUES (1, 'one'), (2, 'two');
  INSERT INTO regress_restore.messages (id, channel, parent) SELECT i, 1 + i % 2, CASE WHEN i > 4 THEN i - 4 END FROM generate_series(1, 12) AS i;
  INSERT INTO regress_restore.reactions (message, emoji) SELECT i, 'yes' FROM generate_series(1, 12) AS i;
  INSERT INTO regress_restore.pins (id, message) VALUES (1, 1);
$$;
CREATE FUNCTION live() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN format('channels %s messages %s reactions %s',
                (SELECT string_agg(id::text, ',' ORDER BY id) FROM regress_restore.active_channels),
                (SELECT string_agg(id::text || CASE WHEN is_on THEN '' ELSE '!' END, ',' ORDER BY id) FROM regress_restore.active_messages),
                (SELECT string_agg(message::text, ',' ORDER BY message) FROM regress_restore.active_reactions));
END $$;
CREATE PROCEDURE story(kind text) LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  PERFORM forge_comm.enable_soft_delete('channels', deleted_by => CASE WHEN kind <> 'ids' THEN 'who' END, deletion_id => CASE WHEN kind <> 'times' THEN 'did' END);
  PERFORM forge_comm.enable_soft_delete('messages', deleted_by => CASE WHEN kind <> 'ids' THEN 'who' END, is_active => 'is_on', deletion_id => CASE WHEN kind = 'ids' THEN 'did' END);
  PERFORM forge_comm.enable_soft_delete('reactions', deleted_by => CASE WHEN kind = 'times' THEN 'who' END, deletion_id => CASE WHEN kind <> 'times' THEN 'did' END);
  PERFORM regress_restore.fill();
  COMMIT;
  DELETE FROM reactions WHERE message = 1;
  COMMIT;
  DELETE FROM messages WHERE id = 5;
  COMMIT;
  RAISE WARNING '% reply deleted: %', kind, regress_restore.live();
  DELETE FROM channels;
  COMMIT;
  RAISE WARNING '% all deleted: %', kind, regress_restore.live();
  -- one of the two that fell together
  line := forge_comm.restore('channels', 2);
  RAISE WARNING '% restored %: %', kind, line, regress_restore.live();
  COMMIT;
  line := forge_comm.restore('channels', 1);
  RAISE WARNING '% restored %: %', kind, line, regress_restore.live();
  COMMIT;
  -- what was deleted before comes back on its own
  line := forge_comm.restore('messages', 5);
  RAISE WARNING '% restored %: %', kind, line, regress_restore.live();
  COMMIT;
  SELECT forge_comm.restore('reactions', ARRAY['1', 'yes']) INTO line;
  RAISE WARNING '% restored %: %', kind, line, regress_restore.live();
  SELECT string_agg(t::text, '') FROM (SELECT deleted_at FROM messages UNION ALL SELECT deleted_at FROM channels UNION ALL SELECT deleted_at FROM reactions) AS t
   WHERE deleted_at IS NOT NULL INTO line;
  RAISE WARNING '% left: %', kind, line;
  PERFORM forge_comm.disable_soft_delete('reactions', true);
  PERFORM forge_comm.disable_soft_delete('messages', true);
  PERFORM forge_comm.disable_soft_delete('channels', true);
  TRUNCATE channels, messages, reactions, pins;
END $$;
CALL story('times');
CALL story('ids');
CALL story('mixed');

-- --------------------------------------------------- refused, and what it says

SELECT forge_comm.enable_soft_delete('channels', deletion_id => 'did', unique_keys => 'live');
SELECT forge_comm.enable_soft_delete('messages', deletion_id => 'did', is_active => 'is_on');
SELECT forge_comm.enable_soft_delete('reactions', deletion_id => 'did');
SELECT fill();
-- the parent is still deleted, at any level
DELETE FROM channels WHERE id = 1;
SELECT refused('SELECT forge_comm.restore(''messages'', 2)');
SELECT refused('SELECT forge_comm.restore(''reactions'', ARRAY[''2'', ''yes''])');
SELECT live();
SELECT forge_comm.restore('channels', 1);
-- two parents, one after the other: the row comes back once both are there
CREATE TABLE ends (id int PRIMARY KEY);
CREATE TABLE links (id int PRIMARY KEY, one int REFERENCES ends ON DELETE CASCADE, two int REFERENCES ends ON DELETE CASCADE,
                    hint int REFERENCES ends ON DELETE SET NULL);
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'did') FROM unnest('{ends,links}'::regclass[]) AS rel;
INSERT INTO ends VALUES (1), (2), (3);
INSERT INTO links VALUES (1, 1, 2, 3), (2, 1, NULL, 2);
DELETE FROM ends WHERE id = 1;
DELETE FROM ends WHERE id = 2;
SELECT refused('SELECT forge_comm.restore(''ends'', 1)');
SELECT id FROM active_links;
SELECT forge_comm.restore('ends', 2);
SELECT forge_comm.restore('ends', 1);
SELECT id, one, two, hint FROM active_links ORDER BY id;
-- a live row holds its key; the message tells no value
CREATE TABLE accounts (id int PRIMARY KEY, email text CONSTRAINT one_email UNIQUE);
CREATE TABLE aliases (id int PRIMARY KEY, account int REFERENCES accounts ON DELETE CASCADE, alias text UNIQUE);
SELECT forge_comm.enable_soft_delete(rel, unique_keys => 'live', deletion_id => 'did') FROM unnest('{accounts,aliases}'::regclass[]) AS rel;
INSERT INTO accounts VALUES (1, 'a@example.com'), (2, 'b@example.com');
INSERT INTO aliases VALUES (1, 1, 'alpha'), (2, 2, 'beta');
DELETE FROM accounts WHERE id = 1;
INSERT INTO accounts VALUES (3, 'a@example.com');
SELECT refused('SELECT forge_comm.restore(''accounts'', 1)');
UPDATE accounts SET email = 'c@example.com' WHERE id = 3;
INSERT INTO aliases VALUES (3, 3, 'alpha');
SELECT refused('SELECT forge_comm.restore(''accounts'', 1)');
SELECT refused(format('SELECT forge_comm.restore_all(%L)', did)) FROM accounts WHERE id = 1;
DELETE FROM aliases WHERE id = 3;
SELECT forge_comm.restore('accounts', 1);
SELECT id, alias FROM active_aliases ORDER BY id;
-- no such row, nothing to restore, no key, wrong arguments
SELECT refused('SELECT forge_comm.restore(''channels'', 1)');
SELECT refused('SELECT forge_comm.restore(''channels'', 99)');
SELECT refused('SELECT forge_comm.restore(''channels'', ''one'')');
SELECT refused('SELECT forge_comm.restore(''channels'', NULL::int)');
SELECT refused('SELECT forge_comm.restore(NULL, 1)');
SELECT refused('SELECT forge_comm.restore(''pins'', 1)');
SELECT refused('SELECT forge_comm.restore(''reactions'', 1)');
SELECT refused('SELECT forge_comm.restore(''reactions'', ARRAY[''1''])');
SELECT refused('SELECT forge_comm.restore(''active_channels'', 1)');
SELECT refused('SELECT forge_comm.restore_all(NULL)');
SELECT refused('SELECT forge_comm.restore_all(''11111111-1111-1111-1111-111111111111'')');
SELECT refused('SELECT forge_comm.restore_key(1, ''{1}'')');
SELECT refused('SELECT forge_comm.restore_key(NULL, ''{1}'')');

-- ------------------------------------------------------------------- restore_all

SELECT live();
DELETE FROM messages WHERE id = 9;
DELETE FROM channels;
SELECT live();
SELECT forge_comm.restore_all(did) FROM channels WHERE id = 2;
SELECT live();
-- partitions, children, a table without the column
CREATE TABLE era (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE era_1 PARTITION OF era FOR VALUES IN (1);
CREATE TABLE era_2 PARTITION OF era FOR VALUES IN (2);
CREATE TABLE king (id int PRIMARY KEY, era int, part int, FOREIGN KEY (era, part) REFERENCES era ON DELETE CASCADE);
CREATE TABLE base (id int PRIMARY KEY);
CREATE TABLE derived (PRIMARY KEY (id)) INHERITS (base);
SELECT forge_comm.enable_soft_delete('era', deletion_id => 'did');
SELECT forge_comm.enable_soft_delete('base', deletion_id => 'did');
SELECT forge_comm.enable_soft_delete('king');
INSERT INTO era VALUES (1, 1), (2, 2);
INSERT INTO king VALUES (1, 1, 1), (2, 2, 2), (3, 2, 2);
INSERT INTO base VALUES (1);
INSERT INTO derived VALUES (2);
DELETE FROM era;
DELETE FROM base;
SELECT forge_comm.restore_all(did) FROM era WHERE id = 1;
SELECT forge_comm.restore_all(did) FROM base WHERE id = 1;
SELECT count(*) FROM active_king;
DELETE FROM era;
SELECT forge_comm.restore('era', ARRAY[2, 2]);
SELECT id FROM active_king ORDER BY 1;
SELECT forge_comm.restore('era_1', ARRAY[1, 1]);
SELECT id FROM active_king ORDER BY 1;

-- ------------------------------------------------------- whose rights, whose rows

GRANT SELECT, UPDATE ON channels TO regress_app;
DELETE FROM channels WHERE id = 1;
SET SESSION AUTHORIZATION regress_app;
-- the row takes the privilege; what fell with it comes with it
SELECT forge_comm.restore('channels', 1);
SELECT refused('SELECT forge_comm.restore(''messages'', 9)');
SET SESSION AUTHORIZATION regress_owner;
SELECT live();
DELETE FROM channels WHERE id = 1;
REVOKE UPDATE ON channels FROM regress_app;
SET SESSION AUTHORIZATION regress_app;
SELECT refused('SELECT forge_comm.restore(''channels'', 1)');
SELECT refused(format('SELECT forge_comm.restore_all(%L)', did)) FROM channels WHERE id = 1;
SET SESSION AUTHORIZATION regress_owner;
-- clearing the mark by hand brings back that row alone, also within a restore
UPDATE channels SET deleted_at = NULL WHERE id = 1;
SELECT live();
SELECT did IS NULL FROM channels WHERE id = 1;
CREATE TABLE alone (id int PRIMARY KEY);
CREATE TABLE below (id int PRIMARY KEY, alone int REFERENCES alone ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete(rel, deletion_id => 'did') FROM unnest('{alone,below}'::regclass[]) AS rel;
INSERT INTO alone VALUES (1);
INSERT INTO below VALUES (1, 1);
DELETE FROM alone;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE regress_restore.alone SET deleted_at = NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER meddle AFTER UPDATE ON channels FOR EACH ROW EXECUTE FUNCTION meddle();
DELETE FROM channels WHERE id = 2;
SELECT forge_comm.restore('channels', 2) > 1;
SELECT (SELECT count(*) FROM active_alone), (SELECT count(*) FROM active_below);
-- a chain of many levels
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
SELECT forge_comm.enable_soft_delete('tree', deletion_id => 'did');
INSERT INTO tree SELECT i, nullif(i - 1, 0) FROM generate_series(1, 3000) AS i;
DELETE FROM tree WHERE id = 2000;
DELETE FROM tree WHERE id = 2;
SELECT forge_comm.restore('tree', 2);
SELECT count(*) FROM active_tree;
SELECT forge_comm.restore('tree', 2000);

-- ------------------------------------------------------------------ the end

RESET SESSION AUTHORIZATION;
DROP SCHEMA regress_restore CASCADE;
DROP OWNED BY regress_app, regress_owner, regress_other;
DROP ROLE regress_app, regress_owner, regress_other;
