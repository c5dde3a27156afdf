-- The tables of create_chat_schema(): columns, keys, indexes, and what is
-- enabled on each.
BEGIN;
SELECT plan(79);

CREATE ROLE regress_owner;
SELECT forge_comm.grant_owner('regress_owner');
SELECT format('GRANT CREATE ON DATABASE %I TO regress_owner', current_database()) AS grant \gset
:grant;
SET client_min_messages = warning;
SET ROLE regress_owner;
SELECT forge_comm.create_chat_schema('Our chat');
RESET ROLE;
SELECT is_empty('TABLE forge_comm.settings', 'who may not register memberships, registers none');

-- Tables
SELECT tables_are('Our chat', '{users,workspaces,memberships,channels,channel_memberships,messages,reactions,
                                message_changes,messages_fences,messages_fence_changes}'::name[]);
SELECT views_are('Our chat', '{active_users,active_messages}'::name[]);
SELECT schema_owner_is('Our chat', 'regress_owner');
SELECT table_owner_is('Our chat', t, 'regress_owner', t || ' belongs to the caller')
  FROM unnest('{users,workspaces,memberships,channels,channel_memberships,messages,reactions}'::name[]) AS t;
SELECT columns_are('Our chat', rel, columns, rel || ': columns') FROM (VALUES
  ('users'::name, '{id,email,display_name,hashed_password,is_active,deleted_at,created_at,updated_at}'::name[]),
  ('workspaces', '{id,name,slug,created_at,updated_at}'),
  ('memberships', '{id,workspace_id,user_id,role,created_at,updated_at}'),
  ('channels', '{id,workspace_id,name,topic,is_private,is_dm,is_archived,created_at,updated_at}'),
  ('channel_memberships', '{id,workspace_id,channel_id,user_id,last_read_message_id,created_at,updated_at}'),
  ('reactions', '{id,workspace_id,message_id,user_id,emoji,created_at,updated_at}'),
  ('messages', '{id,workspace_id,channel_id,user_id,parent_id,body,edited_at,deleted_at,created_at,updated_at}')) AS t (rel, columns);

-- Types: bigint identity keys, plain types, none of the extension's
SELECT results_eq($$SELECT count(*), bool_and(attidentity = 'd' AND atttypid = 'bigint'::regtype AND attnotnull)
                      FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                     WHERE relnamespace = '"Our chat"'::regnamespace AND relkind = 'r' AND attname = 'id'
                       AND relname <> 'message_changes' AND NOT forge_comm.keeps_fences(c.oid)$$, 'VALUES (7::bigint, true)',
                  'every key is a bigint identity');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                   WHERE relnamespace = '"Our chat"'::regnamespace AND relkind = 'r' AND relname <> 'message_changes' AND attname ~ '_id$' AND atttypid <> 'bigint'::regtype$$,
                'every reference is a bigint');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                   WHERE relnamespace = '"Our chat"'::regnamespace AND relkind = 'r' AND relname <> 'message_changes' AND attname ~ '_at$'
                     AND (atttypid <> 'timestamptz'::regtype OR attnotnull <> (attname IN ('created_at', 'updated_at')))$$, 'every time is a timestamptz');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                    JOIN pg_type AS t ON t.oid = atttypid WHERE relnamespace = '"Our chat"'::regnamespace AND relkind = 'r'
                     AND t.typnamespace <> 'pg_catalog'::regnamespace$$, 'every type is PostgreSQL''s own');
SELECT col_type_is('Our chat', rel, col, type, format('%s.%s is %s', rel, col, type)) FROM (VALUES
  ('users'::name, 'email'::name, 'character varying(255)'), ('users', 'display_name', 'character varying(100)'),
  ('users', 'is_active', 'boolean'), ('channels', 'is_private', 'boolean'), ('channels', 'is_dm', 'boolean'), ('channels', 'is_archived', 'boolean'),
  ('messages', 'body', 'text'), ('memberships', 'role', 'text')) AS t (rel, col, type);
SELECT col_not_null('Our chat', rel, 'workspace_id'::name, rel || '.workspace_id is NOT NULL')
  FROM unnest('{memberships,channels,channel_memberships,messages}'::name[]) AS rel;

-- Keys
CREATE TEMP VIEW keys AS
SELECT c.conrelid, c.conname, c.confrelid, c.confdeltype, c.conkey,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)
          JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns
  FROM pg_constraint AS c WHERE c.contype = 'f' AND c.connamespace = '"Our chat"'::regnamespace;
SELECT set_eq($$SELECT format('%s(%s) %s', r.relname, array_to_string(columns, ','), p.relname)
                  FROM keys JOIN pg_class AS r ON r.oid = conrelid JOIN pg_class AS p ON p.oid = confrelid$$, ARRAY[
  'memberships(workspace_id) workspaces', 'memberships(user_id) users',
  'channels(workspace_id) workspaces',
  'channel_memberships(workspace_id,channel_id) channels', 'channel_memberships(user_id) users',
  'channel_memberships(workspace_id,last_read_message_id) messages',
  'messages(workspace_id,channel_id) channels', 'messages(user_id) users', 'messages(workspace_id,parent_id) messages',
  'reactions(workspace_id,message_id) messages', 'reactions(user_id) users'], 'the foreign keys');
SELECT is_empty($$SELECT conname FROM keys JOIN pg_class AS p ON p.oid = confrelid
                   WHERE p.relname NOT IN ('users', 'workspaces') AND NOT 'workspace_id' = ANY (columns)$$, 'those between tables of a workspace include it');
SELECT is_empty($$
  SELECT conname FROM keys AS k
   WHERE NOT EXISTS (SELECT FROM pg_index AS i
                      WHERE i.indrelid = k.conrelid
                        AND (SELECT array_agg(n ORDER BY n) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) AS n)
                            = (SELECT array_agg(n ORDER BY n) FROM unnest(k.conkey) AS n))
$$, 'an index is led by the columns of every one');
SELECT is_empty('SELECT conname FROM keys WHERE confdeltype NOT IN (''c'', ''n'')', 'what is deleted takes or leaves what references it');

-- What must be unique, and what else must hold
INSERT INTO "Our chat".workspaces (name, slug) VALUES ('One', 'one'), ('Two', 'two');
INSERT INTO "Our chat".users (email, display_name) VALUES ('a@example.com', 'A'), ('b@example.com', 'B');
INSERT INTO "Our chat".channels (workspace_id, name) VALUES (1, 'general'), (2, 'general');
INSERT INTO "Our chat".memberships (workspace_id, user_id) VALUES (1, 1);
INSERT INTO "Our chat".messages (channel_id, user_id, body) VALUES (1, 1, 'hello'), (2, 2, 'hello');
INSERT INTO "Our chat".channel_memberships (channel_id, user_id) VALUES (1, 1);
SELECT results_eq('SELECT workspace_id FROM "Our chat".messages ORDER BY id', 'VALUES (1::bigint), (2)', 'messages take the workspace of their channel');
SELECT results_eq('SELECT workspace_id FROM "Our chat".channel_memberships', 'VALUES (1::bigint)', 'so do memberships of channels');
SELECT throws_ok('INSERT INTO "Our chat".' || sql, state, NULL, sql) FROM (VALUES
  ('users (email, display_name) VALUES (''A@example.com'', ''C'')', '23505'),
  ('users (email, display_name) VALUES (NULL, ''C'')', '23502'),
  ('users (email, display_name) VALUES (''c@example.com'', '''')', '23514'),
  ('users (email, display_name) VALUES (repeat(''x'', 256), ''C'')', '22001'),
  ('workspaces (name, slug) VALUES (''Three'', ''one'')', '23505'),
  ('memberships (workspace_id, user_id) VALUES (1, 1)', '23505'),
  ('memberships (workspace_id, user_id, role) VALUES (1, 2, ''king'')', '23514'),
  ('memberships (workspace_id, user_id) VALUES (99, 1)', '23503'),
  ('channels (workspace_id, name) VALUES (1, ''general'')', '23505'),
  ('channels (workspace_id) VALUES (1)', '23514'),
  ('channel_memberships (channel_id, user_id) VALUES (1, 1)', '23505'),
  ('channel_memberships (channel_id, user_id, last_read_message_id) VALUES (1, 2, 2)', '23503'),
  ('messages (channel_id, body) VALUES (1, '''')', '23514'),
  ('messages (channel_id, body) VALUES (99, ''x'')', '23503'),
  ('messages (channel_id, body, parent_id) VALUES (1, ''x'', 2)', '23503'),
  ('messages (workspace_id, channel_id, body) VALUES (2, 1, ''x'')', '23503')) AS t (sql, state);
SELECT lives_ok('INSERT INTO "Our chat".memberships (workspace_id, user_id, role) SELECT 2, u, r FROM (VALUES (1, ''owner''), (2, ''guest'')) AS v (u, r)', 'roles');
DELETE FROM "Our chat".users WHERE id = 1;
SELECT isnt((SELECT deleted_at FROM "Our chat".users WHERE id = 1), NULL, 'a user is soft-deleted');
SELECT is((SELECT is_active FROM "Our chat".users WHERE id = 1), false, 'and not active');
SELECT lives_ok('INSERT INTO "Our chat".users (email, display_name) VALUES (''a@example.com'', ''C'')', 'the address is free again');

-- What is enabled
SELECT set_eq($$SELECT format('%s: %s %s', c.relname, r.capability, coalesce(r.options ->> 'via', r.options ->> 'workspace_column'))
                  FROM pg_class AS c, forge_comm.rules(c.oid) AS r
                 WHERE c.relnamespace = '"Our chat"'::regnamespace AND c.relkind = 'r'$$, ARRAY[
  'users: directory ', 'users: timestamps ', 'users: soft_delete ', 'users: validation ',
  'workspaces: validation ', 'channels: validation ', 'messages: validation ',
  'workspaces: tenancy id', 'workspaces: timestamps ',
  'memberships: tenancy workspace_id', 'memberships: timestamps ',
  'channels: tenancy workspace_id', 'channels: privacy ', 'channels: timestamps ',
  'channel_memberships: tenancy channel_id', 'channel_memberships: privacy channel_id', 'channel_memberships: timestamps ',
  'messages: tenancy channel_id', 'messages: privacy channel_id', 'messages: authorship ', 'messages: timestamps ', 'messages: soft_delete ', 'messages: messages ',
  'messages: changes ', 'messages: deep_pages ', 'channels: changes ', 'channel_memberships: changes ', 'reactions: changes ',
  'reactions: tenancy message_id', 'reactions: privacy message_id', 'reactions: authorship ', 'reactions: timestamps '], 'what is enabled');
SELECT has_function('Our chat', 'get_messages', '{bigint,integer,integer}'::name[]);
SELECT is((SELECT count(*) FROM "Our chat".get_messages(1)), 1::bigint, 'a page of a channel');

-- A superuser's first chat schema registers its memberships, the second leaves them
SELECT forge_comm.create_chat_schema('chat');
SELECT is((SELECT format('%s %s %s %s', memberships, user_column, workspace_column, role_column) FROM forge_comm.settings),
          'chat.memberships user_id workspace_id role', 'the memberships are registered');
SELECT forge_comm.create_chat_schema('chat2');
SELECT results_eq('SELECT memberships FROM forge_comm.settings', 'VALUES (''chat.memberships''::regclass)', 'and stay so');

-- Who registers is the user from then on, and nobody else's rights are needed
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
GRANT USAGE ON SCHEMA chat TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chat TO regress_app;
CREATE FUNCTION pg_temp.outcome(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; col text; result text;
BEGIN
  EXECUTE sql INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, col = COLUMN_NAME;
  RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(col, ''));
END $$;
SET LOCAL client_min_messages = error;
SELECT is(pg_get_function_identity_arguments(oid) || ' ' || prosecdef, 'email text, display_name text, password_hash text false', 'register_user() lends nobody''s rights')
  FROM pg_proc WHERE oid = 'chat.register_user'::regproc;
SET ROLE regress_app;
SELECT is(left(pg_temp.outcome($$SELECT chat.register_user('Ann@x.example', 'Ann', NULL)$$), 5), '42501', 'it takes the privilege to use the sequence');
RESET ROLE;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA chat TO regress_app;
SET ROLE regress_app;
SELECT is(pg_temp.outcome($$SELECT chat.register_user('ann', 'Ann', NULL)$$), '23514 | email is not a valid e-mail address | email', 'no address');
SELECT is(pg_temp.outcome($$SELECT chat.register_user('Ann@x.example', ' ', NULL)$$) ~ '^23514 . display_name is not', true, 'no name');
SELECT is(pg_temp.outcome($$SELECT chat.register_user('Ann@x.example', 'Ann', 'hunter2')$$), '23514 | hashed_password is not the hash of a password | hashed_password', 'no hash');
SELECT is(pg_temp.outcome($$SELECT chat.register_user(NULL, 'Ann', NULL)$$), '23502 | email is required | email', 'nothing');
SELECT is(forge_comm.current_user_id(), NULL, 'after an error nobody is the user');
SAVEPOINT registered;
CREATE TEMP TABLE mine AS SELECT chat.register_user('Ann@x.example', 'Ann', NULL) AS id;
SELECT is(forge_comm.current_user_id(), id, 'who has registered is the user') FROM mine;
SELECT is(forge_comm.workspace_ids(), '{}', 'in no workspace');
SELECT results_eq('SELECT email::text FROM chat.users', $$VALUES ('ann@x.example')$$, 'and sees nobody else');
SELECT isnt(chat.create_workspace('Ann''s', 'anns'), NULL, 'but may make one');
SELECT is(left(pg_temp.outcome($$SELECT chat.register_user('bob@x.example', 'Bob', NULL)$$), 5), '42501', 'nobody registers in the name of another');
RESET ROLE;
SELECT is(pg_temp.outcome($$SELECT chat.register_user('ANN@x.example', 'Eve', NULL)$$), '23505 | email is already registered | There is a row that has it. | email', 'an address is registered once');
SELECT is(pg_temp.outcome($$SELECT chat.register_user('eve@x.example', 'Eve', NULL) IS NOT NULL$$), 'true', 'a superuser registers others');

SELECT * FROM finish();
ROLLBACK;
