-- What happened to messages since a token was given.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');

-- The application of a few years: integers as ids, no privacy yet
CREATE SCHEMA regress_changes AUTHORIZATION regress_owner;
SET search_path = regress_changes;
SET ROLE regress_owner;
CREATE TABLE users (id int PRIMARY KEY, display_name text);
CREATE TABLE workspaces (id int PRIMARY KEY);
CREATE TABLE memberships (workspace_id int REFERENCES workspaces, user_id int REFERENCES users, PRIMARY KEY (user_id, workspace_id));
CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL REFERENCES workspaces, is_private boolean NOT NULL DEFAULT false);
CREATE TABLE members (
  workspace_id int NOT NULL,
  channel_id int REFERENCES channels ON DELETE CASCADE,
  user_id int REFERENCES users,
  last_read_message_id int,
  muted boolean NOT NULL DEFAULT false,
  banned boolean NOT NULL DEFAULT false,
  PRIMARY KEY (channel_id, user_id)
);
CREATE TABLE messages (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id int REFERENCES users,
  body text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE reactions (
  message_id int REFERENCES messages ON DELETE CASCADE,
  user_id int REFERENCES users,
  emoji text,
  workspace_id int NOT NULL,
  PRIMARY KEY (message_id, user_id, emoji)
);
INSERT INTO users SELECT i, 'User ' || i FROM generate_series(1, 3) AS i;
INSERT INTO workspaces VALUES (1), (2);
INSERT INTO memberships VALUES (1, 1), (1, 2), (2, 2), (2, 3);
INSERT INTO channels VALUES (1, 1, false), (2, 2, false), (3, 1, true);
INSERT INTO members VALUES (1, 1, 1), (1, 3, 1);
SELECT forge_comm.enable_tenancy('workspaces', 'id');
SELECT forge_comm.enable_tenancy('memberships');
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('members', via => 'channel_id');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
GRANT USAGE, CREATE ON SCHEMA regress_changes TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_changes TO regress_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_changes GRANT ALL ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_changes GRANT ALL ON SEQUENCES TO regress_app;
RESET ROLE;
SELECT forge_comm.use_memberships('memberships');

CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  hint text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' / ', SQLSTATE, message, hint);
END
$$;

-- ------------------------------------------------------------------ enabling

SET ROLE regress_owner;
SELECT refused('SELECT forge_comm.enable_changes(''messages'')');
SELECT forge_comm.enable_messages('messages', markers => 'members', reactions => 'reactions');
SELECT refused('SELECT forge_comm.enable_changes(''messages'', NULL)');
SELECT refused('SELECT forge_comm.enable_changes(NULL)');
SELECT refused('SELECT forge_comm.maintain_changes(''messages'')');
CREATE TABLE message_changes (id int);
SELECT refused('SELECT forge_comm.enable_changes(''messages'')');
DROP TABLE message_changes;
SELECT forge_comm.enable_changes('messages');
SET client_min_messages = notice;
SELECT forge_comm.enable_changes('messages');
SELECT refused('SELECT forge_comm.enable_changes(''messages'', notify => true)');
SET client_min_messages = warning;
SELECT rel, options FROM (VALUES ('messages'), ('reactions'), ('members'), ('channels')) AS t (rel), forge_comm.rules(rel::regclass)
 WHERE capability = 'changes' ORDER BY rel;
\d message_changes
-- Nobody is granted it, whatever the defaults are (the owner may "m", MAINTAIN, from 17 on)
SELECT relname, replace(relacl::text, 'm/', '/') FROM pg_class WHERE relnamespace = 'regress_changes'::regnamespace AND relname ~ '^message_changes' ORDER BY 1;
SELECT pg_get_function_arguments('get_changes'::regproc), pg_get_function_result('get_changes'::regproc), obj_description('get_changes'::regproc);
RESET ROLE;

-- Each client keeps its last token. What it is told is one line a change.
CREATE TABLE clients (client text PRIMARY KEY, who int, workspace int, token text);
GRANT ALL ON clients TO regress_app;
CREATE FUNCTION told(of text, "limit" int DEFAULT 500) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  known record;
  change record;
BEGIN
  SELECT * INTO known FROM regress_changes.clients WHERE client = of;
  PERFORM forge_comm.set_context(user_id => known.who, workspace_id => known.workspace);
  FOR change IN SELECT * FROM regress_changes.get_changes(known.token, "limit") LOOP
    RETURN NEXT concat_ws(' ', of || ':', change.kind, 'w' || change.workspace_id, 'c' || change.channel_id, 'm' || change.message_id,
                          'u' || change.user_id, change.emoji, quote_literal((change.message).body));
    known.token := coalesce(change.token, known.token);
  END LOOP;
  UPDATE regress_changes.clients SET token = known.token WHERE client = of;
END
$$;
ALTER FUNCTION told(text, int) OWNER TO regress_app;
\set all 'SELECT told(''one''); SELECT told(''two''); SELECT told(''two in 2''); SELECT told(''three'');'
INSERT INTO clients VALUES ('one', 1, NULL), ('two', 2, NULL), ('three', 3, NULL), ('two in 2', 2, 2);
:all

-- Inserts, edits, deletes; what leads nowhere is not told
INSERT INTO messages VALUES (10, 1, 1, 1, 'a'), (20, 2, 2, 3, 'b'), (30, 1, 3, 1, 'c');
UPDATE messages SET body = body || '!' WHERE id = 10;
UPDATE messages SET body = body;
INSERT INTO messages VALUES (11, 1, 1, 1, 'gone');
DELETE FROM messages WHERE id = 11;
INSERT INTO reactions VALUES (10, 2, ':+1:', 1), (20, 2, ':-1:', 2);
UPDATE reactions SET workspace_id = workspace_id;
UPDATE reactions SET emoji = ':eyes:' WHERE message_id = 10;
UPDATE members SET last_read_message_id = 10 WHERE channel_id = 1;
UPDATE members SET muted = true;
:all
:all

-- A message is elsewhere
ALTER TABLE messages DISABLE TRIGGER forge_comm_tenancy;
UPDATE messages SET workspace_id = 2, channel_id = 2 WHERE id = 30;
ALTER TABLE messages ENABLE TRIGGER forge_comm_tenancy;
:all

-- A walk in small steps is told the same, once
INSERT INTO messages SELECT i, 1, 1, 1, 'm' || i FROM generate_series(100, 104) AS i;
UPDATE messages SET body = 'edited' WHERE id BETWEEN 101 AND 103;
SELECT told('one', 2);
INSERT INTO messages VALUES (105, 1, 1, 1, 'while walking');
SELECT told('one', 3);
SELECT told('one', 4);
SELECT told('one', 1);
SELECT told('two', 8);
SELECT refused(format('SELECT told(''one'', %s)', n)) FROM unnest(ARRAY['NULL', '0', '-1', '1001']) AS n;

-- What is not committed is not told, nor what is undone
BEGIN;
INSERT INTO messages VALUES (110, 1, 1, 1, 'x');
SELECT told('one');
SAVEPOINT s;
INSERT INTO messages VALUES (111, 1, 1, 1, 'never');
ROLLBACK TO s;
SAVEPOINT s;
INSERT INTO messages VALUES (112, 1, 1, 1, 'in a subtransaction');
RELEASE s;
DO $$ BEGIN INSERT INTO messages VALUES (113, 1, 1, 1, 'in another'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
SELECT told('one');
COMMIT;
SELECT told('one');
BEGIN;
UPDATE messages SET body = 'y' WHERE id = 110;
ROLLBACK;
SELECT told('one');

-- ---------------------------------------------------------------- soft delete

SET ROLE regress_owner;
SELECT forge_comm.disable_changes('messages');
SELECT forge_comm.disable_messages('messages');
SELECT forge_comm.enable_soft_delete('messages');
SELECT forge_comm.enable_messages('messages', markers => 'members', reactions => 'reactions');
SELECT forge_comm.enable_privacy('channels', 'is_private', 'members', active => 'NOT banned', children => '{messages,reactions}');
SELECT forge_comm.enable_changes('messages');
GRANT SELECT, INSERT, UPDATE, DELETE ON messages TO regress_app;
RESET ROLE;
-- The log was another one: what happened in between was not written
:all

DELETE FROM messages WHERE id = 100;
UPDATE messages SET body = 'secret edit' WHERE id = 100;
INSERT INTO reactions VALUES (100, 1, ':x:', 1);
INSERT INTO messages (id, workspace_id, channel_id, body, deleted_at) VALUES (200, 1, 1, 'born deleted', now());
SELECT told('one');
SELECT forge_comm.restore('messages', 100);
SELECT told('one');
DELETE FROM messages WHERE id = 100;
SET forge_comm.allow_hard_delete = on;
DELETE FROM messages WHERE id IN (100, 101);
RESET forge_comm.allow_hard_delete;
SELECT told('one');
UPDATE messages SET body = 'edited, then deleted' WHERE id = 102;
DELETE FROM messages WHERE id = 102;
SELECT told('one');

-- --------------------------------------------------------------------- access

:all
INSERT INTO messages VALUES (300, 1, 3, 1, 'private'), (301, 1, 1, 1, 'public');
UPDATE members SET last_read_message_id = 300 WHERE channel_id = 3;
:all
-- Joined and left, also by a row that no longer counts
INSERT INTO members VALUES (1, 3, 2);
SELECT told('two');
INSERT INTO messages VALUES (302, 1, 3, 1, 'more');
SELECT told('two');
INSERT INTO messages VALUES (303, 1, 3, 1, 'too late');
UPDATE members SET banned = true WHERE channel_id = 3 AND user_id = 2;
SELECT told('two');
UPDATE members SET banned = false WHERE channel_id = 3 AND user_id = 2;
SELECT told('two');
DELETE FROM members WHERE channel_id = 3 AND user_id = 2;
SELECT told('two');
-- What a public channel was, and will be
UPDATE channels SET is_private = true WHERE id = 1;
INSERT INTO messages VALUES (304, 1, 1, 1, 'behind the door');
:all
UPDATE channels SET is_private = false WHERE id = 1;
:all
INSERT INTO channels VALUES (4, 1, false), (5, 1, true);
DELETE FROM channels WHERE id IN (4, 5);
BEGIN;
INSERT INTO channels VALUES (6, 1, false);
UPDATE channels SET is_private = true WHERE id = 6;
COMMIT;
SELECT told('two');
-- In one transaction with what it changes about access it is not to be asked
BEGIN;
DELETE FROM members WHERE channel_id = 3;
SELECT refused('SELECT told(''one'')');
ROLLBACK;
SELECT told('one');
-- Workspaces
INSERT INTO memberships VALUES (1, 3);
INSERT INTO messages VALUES (305, 1, 1, 1, 'new here');
SELECT told('three');
INSERT INTO messages VALUES (306, 1, 1, 1, 'first heard');
SELECT told('three');
DELETE FROM memberships WHERE user_id = 3 AND workspace_id = 1;
SELECT told('three');
SELECT told('three');
-- A token of both workspaces would pass over what happens in one
UPDATE clients SET workspace = 2 WHERE client = 'two';
SELECT refused('SELECT told(''two'')');
UPDATE clients SET workspace = NULL WHERE client = 'two';
SELECT told('two');
-- A policy of the application's own hides messages, and that they changed
SET ROLE regress_owner;
CREATE POLICY shadow ON messages AS RESTRICTIVE USING (body IS DISTINCT FROM 'shadow');
RESET ROLE;
INSERT INTO messages VALUES (307, 1, 1, 1, 'shadow'), (308, 1, 1, 1, 'light');
INSERT INTO reactions VALUES (307, 1, ':x:', 1), (308, 1, ':y:', 1);
SELECT told('one');
SET ROLE regress_owner;
DROP POLICY shadow ON messages;
RESET ROLE;

-- --------------------------------------------------------------------- tokens

SELECT told('one');
CREATE FUNCTION ask(who int, since text, relation text DEFAULT 'messages') RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM forge_comm.set_context(user_id => who);
  RETURN QUERY SELECT kind FROM forge_comm.read_changes(to_regclass(relation), since, 10);
END
$$;
ALTER FUNCTION ask(int, text, text) OWNER TO regress_app;
SELECT token AS one FROM clients WHERE client = 'one' \gset
SELECT token AS two FROM clients WHERE client = 'two' \gset
SELECT ask(1, :'one');
SELECT refused(format('SELECT ask(1, %L)', t))
  FROM unnest(ARRAY[:'two', '', 'c', 'x', 'é', left(:'one', -1), :'one' || 'A', 'm' || substr(:'one', 2), reverse(:'one'),
                    overlay(:'one' PLACING CASE WHEN substr(:'one', 9, 1) = 'A' THEN 'B' ELSE 'A' END FROM 9)]) AS t;
SELECT refused('SELECT ask(1, NULL, NULL)');
SELECT refused('SELECT ask(1, NULL, ''channels'')');
SELECT refused('SELECT ask(1, NULL, ''workspaces'')');
SELECT refused('SELECT * FROM get_changes()'); -- a superuser
SET ROLE regress_app;
SELECT refused('SELECT * FROM get_changes()');
SET forge_comm.missing_context = empty;
SELECT count(*) FROM get_changes();
RESET forge_comm.missing_context;
SELECT refused('TABLE message_changes');
SELECT refused('INSERT INTO message_changes DEFAULT VALUES');
SELECT refused('SELECT nextval(''message_changes_id_seq'')');
RESET ROLE;
-- Whoever may read the messages may be told of them
REVOKE SELECT ON messages FROM regress_app;
SELECT refused('SELECT ask(1, NULL)');
GRANT SELECT ON messages TO regress_app;
-- The owner does not write there either, nor reads what row security hides
SET ROLE regress_owner;
DELETE FROM message_changes;
SELECT refused('TRUNCATE message_changes');
SELECT refused('INSERT INTO message_changes (transaction_id, epoch, changed_at, kind) VALUES (''1'', 1, now(), ''floor'')');
SELECT count(*) FROM message_changes;
RESET ROLE;
SELECT refused('DELETE FROM message_changes');
SELECT refused('UPDATE message_changes SET user_id = 1');
-- A role that is granted it by mistake reads nothing
GRANT ALL ON message_changes TO regress_app;
SET ROLE regress_app;
SELECT count(*) FROM message_changes;
RESET ROLE;
REVOKE ALL ON message_changes FROM regress_app;
-- Lines of another database, brought here by a superuser, are not told
INSERT INTO message_changes (transaction_id, epoch, changed_at, kind, workspace_id, channel_id)
VALUES (pg_current_xact_id(), 1, now(), 'opened', 1, 1), (pg_current_xact_id(), 1, now(), 'floor', NULL, NULL);
SELECT told('one');

-- ------------------------------------------------------------------ retention

SELECT refused('SELECT forge_comm.maintain_changes(''messages'', NULL)');
SELECT refused('SELECT forge_comm.maintain_changes(''messages'', ''-1 day'')');
SET ROLE regress_app;
SELECT refused('SELECT forge_comm.maintain_changes(''messages'')');
RESET ROLE;
UPDATE clients SET token = NULL WHERE client = 'three';
SELECT told('three');
INSERT INTO messages VALUES (400, 1, 1, 1, 'old');
SET ROLE regress_owner;
SELECT forge_comm.maintain_changes('messages', '0') = 2 AS only_the_others_lines_go; -- it leaves a mark, for the next
RESET ROLE;
INSERT INTO messages VALUES (401, 1, 1, 1, 'new'), (402, 2, 2, 1, 'new');
SELECT told('one');
SELECT kind, count(*) > 0 AS any FROM message_changes WHERE kind IN ('mark', 'floor', 'inserted') GROUP BY 1 ORDER BY 1;
SET ROLE regress_owner;
SELECT forge_comm.maintain_changes('messages', '1 hour');
SELECT forge_comm.maintain_changes('messages', '0') > 0 AS old_lines_go;
RESET ROLE;
SELECT kind, count(*) FROM message_changes WHERE kind IN ('mark', 'floor', 'inserted') GROUP BY 1 ORDER BY 1;
SELECT told('one');
SELECT refused('SELECT told(''three'')');
UPDATE clients SET token = NULL WHERE client = 'three';
SELECT told('three');

-- --------------------------------------------------------------- other writers

-- Nobody knows what was there
SET ROLE regress_owner;
SELECT refused('TRUNCATE reactions');
RESET ROLE;
ALTER TABLE reactions DISABLE TRIGGER forge_comm_tenancy_truncate;
TRUNCATE reactions;
ALTER TABLE reactions ENABLE TRIGGER forge_comm_tenancy_truncate;
SELECT told('one');
SELECT told('one');
-- What is applied as a replica is told, too
SET session_replication_role = replica;
INSERT INTO messages VALUES (500, 1, 1, 1, 'replicated');
RESET session_replication_role;
SELECT told('one');
-- ids must come in order
ALTER SEQUENCE message_changes_id_seq CACHE 10;
SELECT refused('INSERT INTO messages VALUES (504, 1, 1, 1, ''x'')');
ALTER SEQUENCE message_changes_id_seq CACHE 1;
DROP INDEX message_changes_transaction_idx;
SELECT refused('INSERT INTO messages VALUES (504, 1, 1, 1, ''x'')');
CREATE INDEX ON message_changes (workspace_id, user_id, transaction_id, id);
INSERT INTO messages VALUES (504, 1, 1, 1, 'x');
SELECT told('one');
-- Triggers of another make no log of ours
CREATE TABLE forged AS TABLE message_changes;
CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE mine (id int PRIMARY KEY, workspace_id int, channel_id int);
SELECT forge_comm.enable_tenancy('mine');
CREATE TRIGGER forge_comm_changes AFTER INSERT ON mine FOR EACH ROW
  EXECUTE FUNCTION forge_comm.changes_record('of=messages', 'log=regress_changes.forged', 'key=id', 'channel=channel_id');
SELECT refused('INSERT INTO mine VALUES (1, 1, 1)');
DROP TRIGGER forge_comm_changes ON mine;
CREATE TRIGGER forge_comm_changes AFTER INSERT ON mine FOR EACH ROW
  EXECUTE FUNCTION forge_comm.changes_record('of=messages', 'log=regress_changes.message_changes', 'key=id', 'channel=channel_id');
SELECT refused('INSERT INTO mine VALUES (1, 1, 1)'); -- the owner is another
DROP TABLE mine, forged;
DROP FUNCTION forge();

-- ------------------------------------------------------------------ partitions

SET ROLE regress_owner;
CREATE TABLE posts (id int, workspace_id int NOT NULL, channel_id int NOT NULL REFERENCES channels, user_id int REFERENCES users, body text,
                    created_at timestamptz NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE posts_1 PARTITION OF posts FOR VALUES FROM (0) TO (10);
SELECT forge_comm.enable_tenancy('posts', via => 'channel_id');
SELECT forge_comm.enable_messages('posts', prefix => 'post_');
SELECT refused('SELECT forge_comm.enable_changes(''posts'')'); -- the channels tell of the messages already
SELECT forge_comm.disable_changes('messages');
SELECT forge_comm.enable_changes('posts');
CREATE TABLE posts_2 PARTITION OF posts FOR VALUES FROM (10) TO (20);
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname ~ '^forge_comm_changes' AND tgrelid::regclass::text ~ '^posts' ORDER BY 1, 2;
GRANT SELECT ON posts TO regress_app;
RESET ROLE;
CREATE FUNCTION posted(who int, since text) RETURNS TABLE (change text, token text) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM forge_comm.set_context(user_id => who);
  RETURN QUERY SELECT concat_ws(' ', c.kind, 'm' || c.message_id, (c.message).body), c.token FROM regress_changes.post_get_changes(since) AS c;
END
$$;
ALTER FUNCTION posted(int, text) OWNER TO regress_app;
SELECT token FROM posted(1, NULL) \gset
INSERT INTO posts VALUES (1, 1, 1, 1, 'one', now()), (11, 1, 1, 1, 'eleven', now());
UPDATE posts SET body = 'two' WHERE id = 11;
UPDATE posts_1 SET body = 'by its own name';
SET session_replication_role = replica;
UPDATE posts SET body = 'replica' WHERE id = 11;
RESET session_replication_role;
SELECT change FROM posted(1, :'token');
SELECT relname FROM pg_class WHERE relnamespace = 'regress_changes'::regnamespace AND relname ~ '_changes$' ORDER BY 1;

-- ---------------------------------------------------------------------- the end

SET ROLE regress_owner;
SET client_min_messages = notice;
SELECT forge_comm.disable_messages('posts');
SELECT forge_comm.disable_changes('messages');
SET client_min_messages = warning;
RESET ROLE;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ '^forge_comm_changes' AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_changes'::regnamespace);
SELECT proname FROM pg_proc WHERE pronamespace = 'regress_changes'::regnamespace AND proname ~ 'get_changes';
SELECT relname FROM pg_class WHERE relnamespace = 'regress_changes'::regnamespace AND relname ~ '_changes';
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_changes CASCADE;
DROP OWNED BY regress_owner, regress_app;
DROP ROLE regress_owner, regress_app;
