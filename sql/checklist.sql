-- What is wrong with a schema. Each item's two examples are in
-- doc/checklist.md, and run by test/t; here is what is less plain.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_login, regress_owner, regress_bypass, regress_group, regress_nobody;
CREATE ROLE regress_app;
CREATE ROLE regress_login LOGIN IN ROLE regress_app;
CREATE ROLE regress_owner;
CREATE ROLE regress_bypass BYPASSRLS;
CREATE ROLE regress_group IN ROLE regress_bypass;
CREATE ROLE regress_nobody;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_owner('regress_owner');
-- For this session the library is preloaded
SET session_preload_libraries = 'forge_comm';
CREATE SCHEMA regress_checklist;
SET search_path = regress_checklist;
CREATE FUNCTION found(schema text DEFAULT 'regress_checklist') RETURNS TABLE (id text, severity text, object text, mend text)
LANGUAGE sql AS $$ SELECT id, severity, object, mend FROM forge_comm.checklist(schema::regnamespace) $$;

CREATE PROCEDURE mend(item text) LANGUAGE plpgsql AS $$
DECLARE
  statement text;
BEGIN
  FOR statement IN SELECT mend FROM found() WHERE id LIKE item LOOP
    EXECUTE statement;
  END LOOP;
END $$;

-- -------------------------------------------------------------------- sound

SELECT forge_comm.create_chat_schema('regress chat');
SELECT * FROM found('"regress chat"');
GRANT USAGE ON SCHEMA "regress chat" TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "regress chat" TO regress_app;
SELECT * FROM found('"regress chat"');
-- Without a preload a DELETE may be planned without the library
RESET session_preload_libraries;
SELECT id, severity, replace(mend, quote_ident(current_database()), '...') FROM found('"regress chat"') WHERE id LIKE 'preload%';
SET session_preload_libraries = 'other, "$libdir/forge_comm"';
SELECT count(*) FROM found('"regress chat"') WHERE id LIKE 'preload%';
SET session_preload_libraries = 'forge_comm_other, "a""b''c"';
SELECT substring(mend from 'SET .*') FROM found('"regress chat"') WHERE id LIKE 'preload%';
SET session_preload_libraries = 'forge_comm';
DROP SCHEMA "regress chat" CASCADE;
SELECT forge_comm.forget_memberships();

-- ------------------------------------------------------------------ arguments

SELECT * FROM forge_comm.checklist(NULL);
\echo :SQLSTATE
SELECT * FROM forge_comm.checklist('no_such_schema');
\echo :SQLSTATE
SELECT * FROM forge_comm.checklist('pg_catalog');
\echo :SQLSTATE
SELECT * FROM forge_comm.checklist('forge_comm');
\echo :SQLSTATE
SET ROLE regress_nobody;
SELECT * FROM forge_comm.checklist('public');
\echo :SQLSTATE
SET ROLE regress_app;
SELECT * FROM forge_comm.checklist('public');
\echo :SQLSTATE
SET ROLE regress_owner;
SELECT count(*) > -1 FROM forge_comm.checklist('public');
RESET ROLE;

-- --------------------------------------------------- whose rows are a table's

CREATE TABLE workspaces (id bigint PRIMARY KEY, name text UNIQUE);
CREATE TABLE users (id bigint PRIMARY KEY, email text, default_workspace_id bigint REFERENCES workspaces);
CREATE TABLE channels (id bigint PRIMARY KEY, workspace_id bigint NOT NULL REFERENCES workspaces);
-- at a remove or two, and not at all
CREATE TABLE messages (id bigint PRIMARY KEY, channel_id bigint NOT NULL REFERENCES channels);
CREATE TABLE reactions (id bigint PRIMARY KEY, message_id bigint NOT NULL REFERENCES messages);
CREATE TABLE plans (id bigint PRIMARY KEY, ws bigint NOT NULL REFERENCES workspaces);
CREATE TABLE feedback (id bigint PRIMARY KEY, message_id bigint REFERENCES messages, user_id bigint NOT NULL REFERENCES users);
-- no kind of id that could be enabled; a table that references itself; partitions
CREATE TABLE files (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE threads (id bigint PRIMARY KEY, org_id int NOT NULL, parent_id bigint NOT NULL REFERENCES threads);
CREATE TABLE parts (id bigint, workspace_id bigint) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE VIEW a_view AS SELECT id, workspace_id FROM channels;
CREATE TEMPORARY TABLE temporary (workspace_id bigint);
SELECT * FROM found() WHERE id = 'table-unprotected';
-- The mends, run in this order
SELECT mend FROM found() WHERE id = 'table-unprotected' \gexec
SELECT * FROM found() WHERE id = 'table-unprotected';
-- Another name that is in use from now on
CREATE TABLE notes (id bigint PRIMARY KEY, ws bigint NOT NULL);
SELECT * FROM found() WHERE id = 'table-unprotected' AND object LIKE '%notes';
-- A policy of one's own that looks at the workspace will do; one that does not, or none that lets anybody in, will not
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
SELECT id, mend FROM found() WHERE object LIKE '%notes' AND severity <> 'note';
CREATE POLICY own ON notes USING (id > 0);
SELECT id, mend FROM found() WHERE object LIKE '%notes' AND severity <> 'note';
ALTER POLICY own ON notes USING (ws = 1);
SELECT id, mend FROM found() WHERE object LIKE '%notes' AND severity <> 'note';
ALTER TABLE notes DISABLE ROW LEVEL SECURITY;
SELECT id, mend FROM found() WHERE object LIKE '%notes' AND severity <> 'note';
-- A directory is no table of a workspace, and nothing is through it
DROP TABLE notes;
ALTER TABLE users ALTER default_workspace_id SET NOT NULL;
SELECT id, object FROM found() WHERE id = 'table-unprotected' ORDER BY object COLLATE "C";
CREATE TRIGGER forge_comm_directory BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION forge_comm.timestamps_stamp();
SELECT id, object FROM found() WHERE id = 'table-unprotected' ORDER BY object COLLATE "C";
DROP TRIGGER forge_comm_directory ON users;
ALTER TABLE users ALTER default_workspace_id DROP NOT NULL;

-- ------------------------------------------------------------ the rest of it

-- a policy that follows the parent's while the table is filled
INSERT INTO workspaces VALUES (1);
INSERT INTO channels VALUES (1, 1);
SELECT forge_comm.disable_tenancy('reactions'), forge_comm.disable_tenancy('messages', true);
INSERT INTO messages VALUES (1, 1);
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
SELECT * FROM found() WHERE id IN ('workspace-nullable', 'table-unprotected') ORDER BY object COLLATE "C";
CALL forge_comm.backfill('messages');
SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
SELECT * FROM found() WHERE id IN ('workspace-nullable', 'table-unprotected') ORDER BY object COLLATE "C";

-- keys: what the mend makes of what is there
ALTER TABLE messages DROP CONSTRAINT messages_channel_id_fkey;
ALTER TABLE messages ADD CONSTRAINT "a key" FOREIGN KEY (channel_id) REFERENCES channels
  ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM found() WHERE id = 'key-across-workspaces';
SELECT mend FROM found() WHERE id = 'key-across-workspaces' AND object LIKE '%messages' \gexec
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'a key';
SELECT id, object FROM found() WHERE id = 'key-across-workspaces';
-- indexes: in any order, but first
CREATE TABLE tags (id bigint PRIMARY KEY, workspace_id bigint NOT NULL, message_id bigint NOT NULL, label text);
SELECT forge_comm.enable_tenancy('tags');
ALTER TABLE messages ADD UNIQUE (workspace_id, id);
ALTER TABLE tags ADD FOREIGN KEY (workspace_id, message_id) REFERENCES messages (workspace_id, id);
SELECT object, mend FROM found() WHERE id = 'key-unindexed' AND object LIKE '%tags';
CREATE INDEX tags_1 ON tags (label, message_id, workspace_id);
CREATE INDEX tags_2 ON tags (message_id, workspace_id) WHERE label <> '';
SELECT count(*) FROM found() WHERE id = 'key-unindexed' AND object LIKE '%tags';
CREATE INDEX tags_3 ON tags (message_id, workspace_id, label);
SELECT count(*) FROM found() WHERE id = 'key-unindexed' AND object LIKE '%tags';
-- unique: expressions and predicates stay; keys through a reference are fine
CREATE UNIQUE INDEX tags_label ON tags (lower(label)) WHERE label <> '';
CREATE UNIQUE INDEX tags_of_message ON tags (message_id, label);
ALTER TABLE tags ADD COLUMN number int GENERATED ALWAYS AS IDENTITY UNIQUE, ADD EXCLUDE USING hash (label WITH =);
SELECT object, mend FROM found() WHERE id = 'unique-across-workspaces' ORDER BY object COLLATE "C";
SELECT mend FROM found() WHERE id = 'unique-across-workspaces' \gexec
SELECT pg_get_indexdef('tags_label'::regclass);
SELECT object FROM found() WHERE id = 'unique-across-workspaces';
ALTER TABLE tags DROP CONSTRAINT tags_label_excl;
-- what cannot search under row security
ALTER TABLE tags ADD COLUMN price numeric, ADD COLUMN data jsonb, ADD COLUMN at timestamptz;
CREATE INDEX tags_price ON tags (workspace_id, price);
CREATE INDEX tags_data ON tags USING gin (data);
CREATE INDEX tags_at ON tags (at, label, workspace_id);
CREATE INDEX users_email ON users USING gin (to_tsvector('simple', email));
SELECT object FROM found() WHERE id = 'index-not-leakproof' ORDER BY object COLLATE "C";

-- roles: through groups, and not those of others
GRANT regress_group TO regress_login;
CREATE ROLE regress_cousin IN ROLE regress_group;
SELECT id, object, replace(mend, current_user, '...') FROM found() WHERE id LIKE 'role-%';
CALL mend('role-%');
SELECT id, object FROM found() WHERE id LIKE 'role-%';
DROP ROLE regress_cousin;
-- also what a group holds, and everybody
GRANT TRUNCATE ON channels TO regress_group;
GRANT TRIGGER ON messages TO PUBLIC;
GRANT REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA regress_checklist TO regress_nobody;
GRANT regress_group TO regress_app;
ALTER ROLE regress_bypass NOBYPASSRLS;
GRANT CREATE ON SCHEMA regress_checklist TO regress_bypass;
SELECT id, object, mend FROM found() WHERE id LIKE 'role-%' ORDER BY id, object COLLATE "C";
CALL mend('role-%');
SELECT id, object, mend FROM found() WHERE id LIKE 'role-%';

-- secrets: all of a table's in one grant, whoever it is granted to
ALTER TABLE users ADD COLUMN "API key" text, ADD COLUMN apikey text, ADD COLUMN reset_token uuid, ADD COLUMN tokens int,
  ADD COLUMN password_changed_at timestamptz;
GRANT SELECT ON users TO regress_group, PUBLIC;
GRANT SELECT (reset_token) ON users TO regress_app;
SELECT object, mend FROM found() WHERE id = 'secret-readable';
SELECT mend FROM found() WHERE id = 'secret-readable' LIMIT 1 \gexec
SELECT object FROM found() WHERE id = 'secret-readable';
SELECT has_column_privilege('regress_app', 'users', 'email', 'SELECT'), has_column_privilege('regress_app', 'users', 'apikey', 'SELECT'),
       has_column_privilege('regress_nobody', 'users', 'reset_token', 'SELECT');
-- or marked; a trigger of that name that is not ours, or has no such column, does not do
GRANT SELECT ON users TO regress_app;
CREATE TRIGGER forge_comm_secrets BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION forge_comm.timestamps_stamp('columns={apikey}');
SELECT severity, object FROM found() WHERE id = 'secret-readable';
DROP TRIGGER forge_comm_secrets ON users;
CREATE TRIGGER forge_comm_secrets BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION forge_comm.secrets_guard('columns={apikeys,reset_token_2}', 'kinds={plain,plain}');
SELECT severity, object FROM found() WHERE id = 'secret-readable';
DROP TRIGGER forge_comm_secrets ON users;
SELECT forge_comm.mark_secret('users', 'apikey', readers => '{regress_group}');
SELECT severity, object, mend FROM found() WHERE id = 'secret-readable';
SELECT forge_comm.mark_secret('users', 'reset_token');
SELECT forge_comm.mark_secret('users', 'API key');
SELECT severity, object FROM found() WHERE id = 'secret-readable';
-- Granted later: all but what each may not read
GRANT SELECT ON users TO regress_app, regress_group;
SELECT severity, object, mend FROM found() WHERE id = 'secret-readable';
SELECT mend FROM found() WHERE id = 'secret-readable' \gexec
SELECT severity, object FROM found() WHERE id = 'secret-readable';
SELECT has_column_privilege('regress_group', 'users', 'apikey', 'SELECT'), has_column_privilege('regress_group', 'users', 'reset_token', 'SELECT');
SELECT forge_comm.unmark_secret('users', 'API key'), forge_comm.unmark_secret('users', 'reset_token'), forge_comm.unmark_secret('users', 'apikey');
REVOKE ALL ON users FROM regress_group;
REVOKE ALL ON users FROM regress_app;

-- views of views, and of other schemas
CREATE SCHEMA regress_api;
DROP VIEW a_view;
CREATE VIEW inner_view WITH (security_invoker) AS SELECT * FROM channels;
CREATE VIEW regress_api.outer_view AS SELECT * FROM inner_view;
CREATE VIEW regress_api.beside AS SELECT * FROM users;
CREATE MATERIALIZED VIEW regress_api.kept AS SELECT * FROM inner_view WITH NO DATA;
GRANT SELECT ON regress_api.kept TO regress_group;
SELECT * FROM found() WHERE id LIKE '%view%';
SELECT id, object FROM found('regress_api') WHERE id LIKE '%view%';
ALTER VIEW regress_api.outer_view OWNER TO regress_owner;
SELECT id, severity FROM found() WHERE id LIKE 'view%';
DROP SCHEMA regress_api CASCADE;
DROP VIEW inner_view;

-- ------------------------------------------------------------- what code says

-- A missing context for a yes
SELECT forge_comm.opens_without_context(forge_comm.plain_code(c)), c FROM (VALUES
  ('(current_setting(''app.ws''::text, true) IS NULL) OR (ws = 1)'),
  ('((current_setting(''app.ws'', true))::bigint IS NULL) OR ws = 1'),
  ('(NULLIF(current_setting(''app.ws''::text, true), ''''::text) IS NULL) OR (ws = 1)'),
  ('(ws = 1) OR (forge_comm.current_workspace_id() IS NULL)'),
  ('ws = COALESCE(current_setting(''app.ws'', true)::bigint, ws)'),
  ('COALESCE((ws = forge_comm.current_workspace_id()), true)'),
  ('(COALESCE(current_setting(''app.ws'', true), '''') = '''') OR ws = 1'),
  ('(ws = forge_comm.current_workspace_id()) IS NOT FALSE'),
  ('CASE WHEN forge_comm.current_user_id() IS NULL THEN true ELSE ws = 1 END'),
  ('BEGIN IF Current_Setting( ''app.ws'', TRUE ) is  null THEN RETURN true; END IF; END'),
  -- and for a no
  ('ws = (current_setting(''app.ws''::text, true))::bigint'),
  ('ws = COALESCE(current_setting(''app.ws'', true), ''0'')::bigint'),
  ('forge_comm.current_user_id() IS NOT NULL AND deleted_at IS NULL'),
  ('(ws = forge_comm.current_workspace_id()) AND (deleted_at IS NULL)'),
  ('CASE WHEN forge_comm.current_user_id() IS NULL THEN false ELSE ws = 1 END'),
  ('IF current_setting(''app.ws'', true) IS NULL THEN RAISE EXCEPTION ''no''; END IF;'),
  ('NULLIF(current_setting(''app.ws'', true), '''')::bigint = ws'),
  ('-- current_setting(''app.ws'') IS NULL
    ws = 1 /* current_setting(''app.ws'') IS NULL */ AND true /* */')) AS v (c);
SELECT c, array(SELECT forge_comm.open_settings(forge_comm.plain_code(c)) ORDER BY 1) FROM (VALUES
  ('current_setting(''app.ws''::text) || current_setting(''App.User'', true)'),
  ('current_setting(''timezone'')'), ('current_setting(''data_directory'')'), ('current_setting(''forge_comm.context'')'),
  ('current_setting(''forge_comm.allow_hard_delete'')'), ('current_setting(''app.'' || name)'), ('current_setting(name)')) AS v (c);

-- In policies, and functions they call, of either kind of body
CREATE FUNCTION by_text() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT coalesce(current_setting('app.ws', true)::bigint, 1) $$;
CREATE FUNCTION by_tree() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT current_setting('app.ws')::bigint; END;
CREATE FUNCTION by_block(ws bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN forge_comm.current_user_id() IS NULL OR ws = 1; END $$;
CREATE POLICY a ON plans FOR SELECT USING (ws = by_text());
CREATE POLICY b ON plans FOR INSERT WITH CHECK (ws = by_tree() AND random() < 2);
CREATE POLICY c ON plans FOR UPDATE USING (by_block(ws)) WITH CHECK (ws = 3);
CREATE POLICY d ON plans FOR DELETE USING (ws = current_setting('app.ws')::bigint);
SELECT * FROM found() WHERE id LIKE 'policy-%';
SELECT mend FROM found() WHERE id LIKE 'policy-%' \gexec
SELECT id, object FROM found() WHERE id LIKE 'policy-%';
SELECT polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy
 WHERE polrelid = 'plans'::regclass AND polname IN ('a', 'b', 'c', 'd') ORDER BY 1;
-- always true, in other words; a restrictive policy for some is none for all
CREATE TABLE open (id bigint PRIMARY KEY, workspace_id bigint NOT NULL);
ALTER TABLE open ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY a ON open FOR INSERT WITH CHECK (1 = 1 OR NULL);
CREATE POLICY b ON open FOR UPDATE USING (workspace_id = 1) WITH CHECK (true);
CREATE POLICY c ON open FOR DELETE USING (true);
CREATE POLICY d ON open FOR DELETE USING (false);
CREATE POLICY e ON open FOR SELECT USING (true);
CREATE POLICY f ON open AS RESTRICTIVE FOR DELETE TO regress_nobody USING (false);
SELECT object FROM found() WHERE id = 'policy-write-open' ORDER BY object COLLATE "C";
CREATE POLICY g ON open AS RESTRICTIVE FOR DELETE USING (false);
SELECT object FROM found() WHERE id = 'policy-write-open' ORDER BY object COLLATE "C";
DROP TABLE open;
-- the mark of soft delete, whatever it is called
SELECT forge_comm.enable_soft_delete('tags', deleted_at => 'gone');
CREATE POLICY live ON tags AS RESTRICTIVE USING (gone IS NULL) WITH CHECK (gone IS NULL OR label = 'gone');
SELECT object, mend FROM found() WHERE id = 'policy-soft-delete';
ALTER POLICY live ON tags USING (label <> 'deleted_at IS NULL') WITH CHECK (true);
SELECT count(*) FROM found() WHERE id = 'policy-soft-delete';
-- functions
CREATE FUNCTION path_1() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
CREATE FUNCTION path_2() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, "$user", "A,b", public AS 'SELECT 1';
CREATE FUNCTION path_3() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT 1';
CREATE FUNCTION path_4() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE path_5() LANGUAGE sql SECURITY DEFINER SET work_mem = '1MB' AS 'SELECT 1';
SELECT object, mend FROM found() WHERE id = 'definer-path';
SELECT mend FROM found() WHERE id = 'definer-path' \gexec
SELECT object FROM found() WHERE id = 'definer-path';
SELECT object, mend FROM found() WHERE id = 'definer-unbound';
SELECT mend FROM found() WHERE id = 'definer-unbound' \gexec
SELECT object FROM found() WHERE id = 'definer-unbound';

-- -------------------------------------------- what is under a private channel

-- As enable_privacy() would: a trigger on the channels, and on what is covered a policy
CREATE TRIGGER forge_comm_privacy BEFORE UPDATE ON channels FOR EACH ROW EXECUTE FUNCTION forge_comm.timestamps_stamp();
CREATE POLICY forge_comm_privacy ON channels AS RESTRICTIVE USING (true);
CREATE TABLE members (id bigint PRIMARY KEY, channel_id bigint NOT NULL REFERENCES channels, last_read bigint REFERENCES messages);
SELECT severity, object, mend FROM found() WHERE id = 'private-child-open' ORDER BY object COLLATE "C";
CREATE POLICY forge_comm_privacy ON messages AS RESTRICTIVE USING (true);
CREATE POLICY forge_comm_privacy ON members AS RESTRICTIVE USING (true);
SELECT severity, object, mend FROM found() WHERE id = 'private-child-open' ORDER BY object COLLATE "C";
-- what lies above is not under it
ALTER TABLE workspaces ADD COLUMN main_channel bigint REFERENCES channels;
SELECT object FROM found() WHERE id = 'private-child-open' ORDER BY object COLLATE "C";

-- ------------------------------------------------------ ids that were used before

DROP TRIGGER forge_comm_tenancy ON workspaces;
CREATE TRIGGER forge_comm_tenancy BEFORE INSERT OR UPDATE ON workspaces FOR EACH ROW
  EXECUTE FUNCTION forge_comm.tenancy_guard('workspace_column=id', 'founding=true');
SELECT object, mend FROM found() WHERE id = 'workspace-without-key' ORDER BY object COLLATE "C";
-- a reference that may be null, or was not checked, ties nothing
ALTER TABLE channels DROP CONSTRAINT channels_workspace_id_fkey;
SELECT object FROM found() WHERE id = 'workspace-without-key' ORDER BY object COLLATE "C";
ALTER TABLE channels ADD FOREIGN KEY (workspace_id) REFERENCES workspaces NOT VALID;
SELECT object FROM found() WHERE id = 'workspace-without-key' ORDER BY object COLLATE "C";
ALTER TABLE channels VALIDATE CONSTRAINT channels_workspace_id_fkey;
ALTER TABLE messages ALTER COLUMN channel_id DROP NOT NULL;
SELECT object FROM found() WHERE id = 'workspace-without-key' ORDER BY object COLLATE "C";
ALTER TABLE messages ALTER COLUMN channel_id SET NOT NULL;
SELECT mend FROM found() WHERE id = 'workspace-without-key' \gexec
SELECT object FROM found() WHERE id = 'workspace-without-key' ORDER BY object COLLATE "C";

-- ------------------------------------------------------------- hostile names

-- Nothing that a name says is run with the mends
CREATE TABLE victim (id bigint PRIMARY KEY);
CREATE SCHEMA "regress
DROP TABLE regress_checklist.victim; --";
SET search_path = "regress
DROP TABLE regress_checklist.victim; --";
CREATE TABLE "a
DROP TABLE regress_checklist.victim; --'" (id bigint, "tenant_id
DROP TABLE regress_checklist.victim; --" int, tenant_id uuid);
ALTER TABLE "a
DROP TABLE regress_checklist.victim; --'" ENABLE ROW LEVEL SECURITY;
CREATE TABLE "b
DROP TABLE regress_checklist.victim; --'" (tenant_id uuid, secret text) PARTITION BY LIST (secret);
CREATE POLICY "c
DROP TABLE regress_checklist.victim; --" ON "b
DROP TABLE regress_checklist.victim; --'" USING (current_setting('app.x') IS NULL);
CREATE FUNCTION "d
DROP TABLE regress_checklist.victim; --"() RETURNS int LANGUAGE sql IMMUTABLE SECURITY DEFINER AS $$ SELECT current_setting('app.x')::int $$;
SELECT set_config('search_path', 'a;DROP/**/TABLE/**/regress_checklist.victim;--', false);
ALTER FUNCTION "regress
DROP TABLE regress_checklist.victim; --"."d
DROP TABLE regress_checklist.victim; --"() SET search_path FROM CURRENT;
GRANT ALL ON ALL TABLES IN SCHEMA "regress
DROP TABLE regress_checklist.victim; --" TO regress_app;
SET search_path = regress_checklist;
CREATE TEMPORARY TABLE hostile AS SELECT * FROM found('"regress
DROP TABLE regress_checklist.victim; --"');
SELECT id FROM hostile ORDER BY 1;
SELECT mend FROM hostile WHERE mend LIKE '--%' AND mend ~ '[\n\r]';
SELECT mend FROM hostile WHERE mend NOT LIKE 'SELECT forge_comm.%' \gexec
SELECT to_regclass('victim') IS NOT NULL;

-- ------------------------------------------------------------------ the end

DROP SCHEMA "regress
DROP TABLE regress_checklist.victim; --" CASCADE;
DROP SCHEMA regress_checklist CASCADE;
RESET session_preload_libraries;
DROP OWNED BY regress_app, regress_login, regress_owner, regress_bypass, regress_group, regress_nobody;
DROP ROLE regress_app, regress_login, regress_owner, regress_bypass, regress_group, regress_nobody;
