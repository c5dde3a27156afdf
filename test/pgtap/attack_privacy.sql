-- An attacker inside the application's role, with SQL of their own, against
-- the private channels of their own workspace, its people, its authors, and
-- the workspaces that are not theirs. Each case fails when its guard is taken
-- out.

SET client_min_messages = error;
LOAD 'forge_comm';

BEGIN;
SELECT plan(76);

-- ---------------------------------------------------------------- the victim

CREATE ROLE regress_owner;
CREATE ROLE regress_attacker;
CREATE ROLE regress_stranger; -- owns tables of its own, and reads none of these
SELECT forge_comm.grant_owner('regress_owner'), forge_comm.grant_owner('regress_stranger');
SELECT forge_comm.grant_app('regress_owner'), forge_comm.grant_app('regress_attacker'), forge_comm.grant_app('regress_stranger');
CREATE SCHEMA attack AUTHORIZATION regress_owner;
CREATE SCHEMA evil AUTHORIZATION regress_attacker;
CREATE SCHEMA strange AUTHORIZATION regress_stranger;

SET ROLE regress_owner;
CREATE TABLE attack.users (id int PRIMARY KEY, name text);
CREATE TABLE attack.workspaces (id int PRIMARY KEY, name text);
CREATE TABLE attack.memberships (
  workspace_id int NOT NULL REFERENCES attack.workspaces ON DELETE CASCADE,
  user_id int NOT NULL REFERENCES attack.users,
  role text NOT NULL,
  PRIMARY KEY (user_id, workspace_id)
);
CREATE TABLE attack.channels (
  id int PRIMARY KEY,
  workspace_id int NOT NULL REFERENCES attack.workspaces ON DELETE CASCADE,
  is_private boolean NOT NULL DEFAULT false
);
CREATE TABLE attack.members (
  workspace_id int NOT NULL,
  channel_id int NOT NULL REFERENCES attack.channels ON DELETE CASCADE,
  user_id int NOT NULL REFERENCES attack.users,
  PRIMARY KEY (channel_id, user_id)
);
CREATE TABLE attack.messages (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  channel_id int NOT NULL REFERENCES attack.channels ON DELETE CASCADE,
  parent_id int REFERENCES attack.messages,
  user_id int REFERENCES attack.users,
  body text,
  deleted_at timestamptz
);
CREATE TABLE attack.files (
  id int PRIMARY KEY,
  workspace_id int NOT NULL,
  message_id int REFERENCES attack.messages ON DELETE CASCADE
);
CREATE TABLE attack.pins (
  id int PRIMARY KEY,
  workspace_id int NOT NULL REFERENCES attack.workspaces ON DELETE CASCADE,
  message_id int REFERENCES attack.messages,
  user_id int REFERENCES attack.users
);

-- User 1 owns workspace 1, where 2 and 3 have channel 11 for themselves; 4 is
-- a stranger to all of them.
INSERT INTO attack.users VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'canary');
INSERT INTO attack.workspaces VALUES (1, 'ours'), (2, 'canary');
INSERT INTO attack.memberships VALUES (1, 1, 'owner'), (1, 2, 'member'), (1, 3, '*'), (2, 4, 'owner');
INSERT INTO attack.channels VALUES (10, 1, false), (11, 1, true), (20, 2, false), (21, 2, true);
INSERT INTO attack.members VALUES (1, 11, 2), (1, 11, 3), (2, 21, 4);
INSERT INTO attack.messages VALUES (100, 1, 10, NULL, 1, 'ours'), (101, 1, 10, NULL, 2, 'ours'), (110, 1, 11, NULL, 2, 'canary'),
                                   (200, 2, 20, NULL, 4, 'canary'), (210, 2, 21, NULL, 4, 'canary');
INSERT INTO attack.files VALUES (1000, 1, 100), (1001, 1, NULL), (1100, 1, 110), (2000, 2, NULL), (2100, 2, 210);

SELECT forge_comm.enable_directory('attack.users');
SELECT forge_comm.enable_tenancy('attack.workspaces', 'id', write_roles => '{owner}', founding => true);
SELECT forge_comm.enable_tenancy('attack.memberships', write_roles => '{owner}');
SELECT forge_comm.enable_tenancy('attack.channels');
SELECT forge_comm.enable_tenancy('attack.members', via => 'channel_id');
SELECT forge_comm.enable_tenancy('attack.messages', via => 'channel_id', same => '{channel_id}');
SELECT forge_comm.enable_tenancy('attack.files', via => 'message_id');
SELECT forge_comm.enable_tenancy('attack.pins');
SELECT forge_comm.enable_privacy('attack.channels', 'is_private', 'attack.members', children => '{attack.files,attack.messages}');
SELECT forge_comm.enable_authorship('attack.messages', moderators => '{moderator}');
SELECT forge_comm.enable_soft_delete('attack.messages');
GRANT USAGE ON SCHEMA attack TO regress_attacker, regress_stranger;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA attack TO regress_attacker;
RESET ROLE;
SELECT forge_comm.use_memberships('attack.memberships', role_column => 'role');

-- ----------------------------------------------------------------- the tools

-- What the attacker gets who runs this as a user: the rows that it gives, or
-- all that the error says. Nothing of it stays.
CREATE FUNCTION pg_temp.attack(as_user int, sql text, as_role text DEFAULT 'regress_attacker')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text; rel text; col text; con text;
  result text;
  n bigint;
BEGIN
  BEGIN
    EXECUTE format('SET LOCAL ROLE %I', as_role);
    IF as_user IS NOT NULL THEN
      PERFORM forge_comm.set_context(user_id => as_user);
    END IF;
    IF sql ~ '^\s*(SELECT|WITH|EXECUTE)|RETURNING' THEN
      EXECUTE sql INTO result;
    ELSE
      EXECUTE sql;
    END IF;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE SQLSTATE 'T0000' USING MESSAGE = coalesce(result, pg_catalog.concat(n, ' rows'));
  EXCEPTION
    WHEN SQLSTATE 'T0000' THEN
      RETURN SQLERRM;
    WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, rel = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME;
      RETURN concat_ws('|', state, message, detail, hint, rel, col, con);
  END;
END
$$;

-- Several statements, the last a SELECT.
CREATE FUNCTION pg_temp.attacks(as_user int, sqls text[], as_role text DEFAULT 'regress_attacker')
RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.attack(as_user, format('DO %L', 'DECLARE r text; BEGIN ' || array_to_string(sqls[:cardinality(sqls) - 1], '; ') || '; '
         || regexp_replace(sqls[cardinality(sqls)], '^SELECT', 'SELECT coalesce((SELECT') || ')::text, '''') INTO r; RAISE SQLSTATE ''T0000'' USING MESSAGE = r; END'), as_role)
$$;

-- Has the cursor a row?
CREATE FUNCTION pg_temp.fetches(cursor_name refcursor)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FETCH cursor_name INTO r;
  RETURN FOUND;
END
$$;

-- Refused in the very words that are used where there is nothing.
CREATE FUNCTION pg_temp.alike(sql text, hidden int, missing int)
RETURNS text LANGUAGE sql AS $$
  SELECT is(pg_temp.attack(1, format(sql, hidden)), pg_temp.attack(1, format(sql, missing)), sql) || E'\n'
         || matches(pg_temp.attack(1, format(sql, hidden)), '^23503', 'an error: ' || sql)
$$;

SELECT is(pg_temp.attack(2, 'SELECT string_agg(DISTINCT body, '','') FROM attack.messages'), 'canary,ours', 'a member reads the private channel');
SELECT is(pg_temp.attacks(1, '{INSERT INTO attack.pins VALUES (1\, 1\, 100),SELECT count(*) FROM attack.pins}'), '1', 'the tools work');

-- ------------------------------------------------------- the rows themselves

SELECT is(pg_temp.attack(1, 'SELECT string_agg(DISTINCT body, '','') FROM attack.messages'), 'ours', 'messages');
SELECT is(pg_temp.attack(1, 'SELECT string_agg(id::text, '','' ORDER BY id) FROM attack.' || rel), seen, rel)
  FROM (VALUES ('channels', '10'), ('messages', '100,101'), ('files', '1000,1001'), ('users', '1,2,3'), ('workspaces', '1')) AS t (rel, seen);
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM attack.members'), '0', 'members');
SELECT is(pg_temp.attack(1, sql), '0 rows', sql)
  FROM unnest(ARRAY['UPDATE attack.messages SET body = ''mine'' WHERE id = 110', 'DELETE FROM attack.messages WHERE channel_id = 11',
                    'UPDATE attack.channels SET is_private = false WHERE id = 11', 'DELETE FROM attack.channels WHERE id = 11',
                    'DELETE FROM attack.members', 'UPDATE attack.members SET user_id = 1', 'DELETE FROM attack.files WHERE id = 1100',
                    'MERGE INTO attack.channels AS c USING (VALUES (11)) AS v (id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET is_private = false']) AS sql;

-- -------------------------------------------------------- going in, reaching

SELECT pg_temp.alike(sql, 11, 99)
  FROM unnest(ARRAY['INSERT INTO attack.members (channel_id, user_id) VALUES (%s, 1)',
                    'INSERT INTO attack.members (channel_id, user_id) VALUES (%s, 2) ON CONFLICT (channel_id, user_id) DO UPDATE SET user_id = 1',
                    'INSERT INTO attack.messages (id, channel_id) VALUES (300, %s)',
                    'WITH c AS (INSERT INTO attack.channels VALUES (11, 1, false) ON CONFLICT DO NOTHING) INSERT INTO attack.members (channel_id, user_id) VALUES (%s, 1)']) AS sql;
SELECT pg_temp.alike(sql, 110, 999)
  FROM unnest(ARRAY['INSERT INTO attack.messages (id, channel_id, parent_id) VALUES (300, 10, %s)',
                    'UPDATE attack.messages SET parent_id = %s WHERE id = 100',
                    'INSERT INTO attack.files (id, message_id) VALUES (3000, %s)',
                    'INSERT INTO attack.pins VALUES (1, 1, %s)']) AS sql;
SELECT pg_temp.alike('INSERT INTO attack.memberships VALUES (1, %s, ''member'')', 4, 99);
SELECT matches(pg_temp.attack(who, sql), '^42501', sql)
  FROM (VALUES (1, 'UPDATE attack.channels SET is_private = true WHERE id = 10'),
               (2, 'UPDATE attack.files SET message_id = NULL WHERE id = 1100'),
               (2, 'UPDATE attack.channels SET id = 12 WHERE id = 11'),
               (1, 'UPDATE attack.users SET id = 7 WHERE id = 1'),
               (1, 'INSERT INTO attack.messages (id, channel_id, user_id) VALUES (300, 10, 2)'),
               (1, 'UPDATE attack.messages SET user_id = 2 WHERE id = 100'),
               (1, 'INSERT INTO attack.workspaces VALUES (2, ''mine'') ON CONFLICT DO NOTHING')) AS t (who, sql);
SELECT is(pg_temp.attack(3, 'SELECT forge_comm.has_role(1, ''owner'')'), 'false', 'a role that looks like a founder''s is none');

-- ----------------------------------------------------- asking the functions

SELECT is(pg_temp.attack(1, 'SELECT array_agg(forge_comm.can_access(''attack.files'', i)) FROM unnest(''{1000,1001,1100,2000,2100,9999}''::int[]) AS i'),
          '{t,t,f,f,f,f}', 'can_access() says of a foreign row under nothing what it says of none');
SELECT matches(pg_temp.attack(1, 'SELECT forge_comm.can_enter(''attack.messages'', 100)'), '^55000', 'can_enter() of a table without members');

-- Errors and locks depend on the table asked about, and the planner runs
-- LEAKPROOF functions before the policies.
SET ROLE regress_owner;
CREATE TABLE attack.rooms (id int PRIMARY KEY, workspace_id int NOT NULL, secret boolean, creator int);
CREATE TABLE attack.guests (channel_id int REFERENCES attack.rooms, user_id int, workspace_id int, PRIMARY KEY (channel_id, user_id));
INSERT INTO attack.rooms VALUES (1, 1, true, 2), (2, 1, false, 2);
SELECT forge_comm.enable_tenancy('attack.rooms'), forge_comm.enable_tenancy('attack.guests');
DROP FUNCTION attack.can_access_channel(int);
SELECT forge_comm.enable_privacy('attack.rooms', 'secret', 'attack.guests', creator => 'creator');
GRANT SELECT, INSERT, UPDATE, DELETE ON attack.rooms, attack.guests TO regress_attacker;
RESET ROLE;
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM attack.rooms WHERE forge_comm.can_access(CASE WHEN secret THEN 0::regclass ELSE ''attack.channels''::regclass END, 10)'),
          '1', 'can_access() is not asked of hidden rows');
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM attack.rooms WHERE forge_comm.can_enter(CASE WHEN secret THEN 0::regclass ELSE ''attack.channels''::regclass END, 11)'),
          '0', 'nor is can_enter()');

-- Who is named as the creator of a public channel would keep it once it is private
SELECT matches(pg_temp.attack(1, 'UPDATE attack.rooms SET creator = 1 WHERE id = 2'), '^42501', 'nobody becomes a creator later');

-- ---------------------------------------------- founding what has been before

-- The workspace's owner deletes it with all that is in it, and makes the
-- channel anew, to read on in a cursor that was open before. ROLLBACK.
SAVEPOINT cursors;
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 1);
DECLARE before CURSOR FOR SELECT body FROM attack.messages WHERE channel_id = 11;
DELETE FROM attack.workspaces WHERE id = 1;
INSERT INTO attack.workspaces VALUES (1, 'anew');
SELECT throws_ok('INSERT INTO attack.channels VALUES (11, 1, true)', '42501', NULL, 'a channel of before is not founded');
SELECT lives_ok('INSERT INTO attack.channels VALUES (12, 1, true)', 'another is');
SELECT is(pg_temp.fetches('before'), false, 'the cursor shows nothing');
ROLLBACK TO cursors;

-- With a column for the creator the policy lets it pass; it counts for nothing
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 2);
DELETE FROM attack.rooms WHERE id = 1;
INSERT INTO attack.rooms VALUES (1, 1, true, 2);
SELECT unalike(current_setting('forge_comm.context'), '%founded%', 'a creator has not founded what was there before');
ROLLBACK TO cursors;

SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 1);
INSERT INTO attack.workspaces VALUES (3, 'new');
INSERT INTO attack.channels VALUES (30, 3, true);
SELECT is(forge_comm.workspace_ids(), '{1,3}', 'founding widens the scope');
SAVEPOINT founded;
INSERT INTO attack.workspaces VALUES (4, 'new');
ROLLBACK TO founded;
SELECT is(forge_comm.workspace_ids(), '{1,3}', 'what is undone does not');
SELECT is((SELECT count(*) FROM attack.channels WHERE is_private), 1::bigint, 'a private channel is its founder''s');
ROLLBACK TO cursors;

-- Where nothing is registered a role could make a table of workspaces itself
SELECT forge_comm.forget_memberships();
SET LOCAL ROLE regress_stranger;
CREATE TABLE strange.workspaces (id int PRIMARY KEY);
SELECT forge_comm.enable_tenancy('strange.workspaces', 'id', founding => true);
SELECT forge_comm.set_context(user_id => 1, workspace_id => 1);
SELECT throws_ok('INSERT INTO strange.workspaces VALUES (2)', '42501', NULL, 'no table of one''s own founds workspaces');
SELECT is(forge_comm.workspace_ids(), '{1}', 'and the scope is what it was');
ROLLBACK TO cursors;
SET LOCAL ROLE regress_stranger;
CREATE TABLE strange.workspaces (id int PRIMARY KEY);
SELECT forge_comm.enable_tenancy('strange.workspaces', 'id', founding => true);
SELECT forge_comm.set_context(user_id => 1, workspace_id => 1);
SELECT throws_ok('INSERT INTO strange.workspaces VALUES (2)', '42501', NULL, 'nor does it where they are registered');
ROLLBACK TO cursors;

-- ------------------------------------------------ tables and triggers by hand

-- Privacy reads the table of members with nobody's privileges
SET LOCAL ROLE regress_stranger;
CREATE TABLE strange.rooms (id int PRIMARY KEY, workspace_id int NOT NULL);
SELECT forge_comm.enable_tenancy('strange.rooms');
CREATE TRIGGER forge_comm_privacy BEFORE INSERT OR UPDATE ON strange.rooms FOR EACH ROW
  EXECUTE FUNCTION forge_comm.privacy_guard('private=true', 'members=attack.memberships', 'member_channel=workspace_id',
                                            'member_user=user_id', 'active=role = ''owner''');
SELECT forge_comm.set_context(user_id => 4);
SELECT throws_ok('SELECT forge_comm.can_enter(''strange.rooms'', 2)', '42501', NULL, 'no role reads the tables of another');
ROLLBACK TO cursors;

-- A referential action on a table of one's own is none on others
CREATE FUNCTION pg_temp.in_action(sql text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.attacks(1, ARRAY[
    'CREATE TEMP TABLE p (id int PRIMARY KEY)', 'CREATE TEMP TABLE c (id int REFERENCES p ON DELETE CASCADE)',
    'INSERT INTO p VALUES (1)', 'INSERT INTO c VALUES (1)',
    format('CREATE FUNCTION evil.f() RETURNS trigger LANGUAGE plpgsql AS %L', 'BEGIN EXECUTE ' || quote_literal(sql) || ' USING true; RETURN OLD; END'),
    'CREATE TRIGGER t BEFORE DELETE ON c FOR EACH ROW EXECUTE FUNCTION evil.f()',
    'DELETE FROM p', 'SELECT count(*) FROM attack.messages'])
$$;
SELECT is(pg_temp.in_action('INSERT INTO attack.pins VALUES (1, 1, 110)'),
          replace(pg_temp.in_action('INSERT INTO attack.pins VALUES (1, 1, 999)'), '999', '110'), 'in a referential action: a private message');
SELECT matches(pg_temp.in_action(sql), state, 'in a referential action: ' || sql)
  FROM (VALUES ('INSERT INTO attack.pins VALUES (1, 1, 110)', '^23503'),
               ('INSERT INTO attack.pins VALUES (1, 1, NULL, 4)', '^23503'),
               ('INSERT INTO attack.messages (id, channel_id) VALUES (300, 20)', '^23503'),
               ('UPDATE attack.messages SET user_id = 2 WHERE id = 100', '^42501'),
               ('UPDATE attack.channels SET id = 15 WHERE id = 10', '^42501'),
               ('DELETE FROM ONLY "attack"."messages" WHERE $1 AND id = 100', '^2$')) AS t (sql, state);

-- What is under a private row does not pass to a public one with its key
SELECT matches(pg_temp.attacks(2, ARRAY['DELETE FROM attack.files WHERE id = 1100', format('INSERT INTO attack.files VALUES (1100, 1, %s)', under), 'SELECT 1']),
               state, 'a file of a private message made anew ' || meaning)
  FROM (VALUES (100, '^23503', 'under a public one'), (110, '^1$', 'where it was')) AS t (under, state, meaning);

-- ------------------------------------------------------ what an owner might do

SET ROLE regress_owner;
CREATE TABLE attack.reactions (id int PRIMARY KEY, workspace_id int NOT NULL, message_id int REFERENCES attack.messages ON DELETE SET NULL);
SELECT forge_comm.enable_tenancy('attack.reactions', via => 'message_id');
SELECT throws_ok('SELECT forge_comm.enable_privacy(''attack.reactions'', via => ''message_id'')', '42830', NULL,
                 'what is private does not come to light when its parent goes');

-- A column that was added with a value for the rows there were
CREATE TABLE attack.old (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE attack.guests_of_old (channel_id int REFERENCES attack.old, user_id int, workspace_id int, PRIMARY KEY (channel_id, user_id));
INSERT INTO attack.old VALUES (1, 1);
ALTER TABLE attack.old ADD COLUMN hidden boolean NOT NULL DEFAULT true;
SELECT forge_comm.enable_tenancy('attack.old'), forge_comm.enable_tenancy('attack.guests_of_old');
DROP FUNCTION attack.can_access_channel(int);
SELECT forge_comm.enable_privacy('attack.old', 'coalesce(hidden, false)', 'attack.guests_of_old');
GRANT SELECT ON attack.old TO regress_attacker;
RESET ROLE;
SELECT is(pg_temp.attack(1, 'SELECT forge_comm.can_access(''attack.old'', 1)'), 'false', 'a column added later counts');

-- Views work for those who may not use the schema
SET ROLE regress_owner;
CREATE VIEW attack.published AS SELECT body FROM attack.messages;
RESET ROLE;
REVOKE USAGE ON SCHEMA attack FROM regress_stranger;
CREATE VIEW pg_temp.published AS SELECT body FROM attack.published;
ALTER VIEW pg_temp.published OWNER TO regress_owner;
GRANT SELECT ON pg_temp.published TO regress_stranger;
ALTER TABLE attack.members SET (fillfactor = 90); -- the rules are read anew
SELECT is(pg_temp.attack(2, 'SELECT count(*) FROM pg_temp.published', 'regress_stranger'), '3', 'a view for who may not use the schema');

-- ------------------------------------------------------------------ the cache

SAVEPOINT cache;
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 2);
SELECT is((SELECT count(*) FROM attack.messages), 3::bigint, 'a member');
SAVEPOINT gone;
DELETE FROM attack.members WHERE channel_id = 11 AND user_id = 2;
SELECT is((SELECT count(*) FROM attack.messages), 2::bigint, 'no longer one');
ROLLBACK TO gone;
SELECT is((SELECT count(*) FROM attack.messages), 3::bigint, 'again');
CREATE FUNCTION evil.leave() RETURNS int LANGUAGE sql VOLATILE AS 'DELETE FROM attack.members WHERE channel_id = 11 AND user_id = 2; SELECT 1';
CREATE FUNCTION evil.seen() RETURNS bigint LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN (SELECT count(*) FROM attack.messages); END';
CREATE FUNCTION evil.seen_before() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM attack.messages); END';
SELECT is(ARRAY[evil.seen(), evil.leave(), evil.seen(), evil.seen_before()], '{3,1,2,3}', 'each query by its own snapshot');
ROLLBACK TO cache;
SET LOCAL ROLE regress_attacker;
SELECT forge_comm.set_context(user_id => 2, workspace_id => 1);
DECLARE mine CURSOR FOR SELECT body FROM attack.messages WHERE channel_id = 11;
DELETE FROM attack.members WHERE channel_id = 11;
SELECT is((SELECT count(*) FROM attack.messages), 2::bigint, 'after leaving');
ROLLBACK TO cache;

SELECT * FROM finish();
ROLLBACK;
