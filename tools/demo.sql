-- The main job, step by step: `make demo` runs this in an empty database, as
-- the superuser. What psql shows is between "ECHO queries" and "ECHO none";
-- demo.must() then looks, unseen, whether the step did what its text says.

SET client_min_messages = warning;
CREATE SCHEMA demo;
GRANT USAGE ON SCHEMA demo TO PUBLIC;
CREATE FUNCTION demo.must(ok boolean, what text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF ok IS NOT TRUE THEN
		RAISE EXCEPTION 'this step did not do what it says: %', what;
	END IF;
END $$;
\pset footer off

\echo
\echo '=== 1. The extension, a chat schema of ordinary tables, and a role for the application'
\echo
\set ECHO queries
CREATE EXTENSION forge_comm;
\o /dev/null
SELECT forge_comm.create_chat_schema('chat');
\o
ALTER DATABASE demo SET search_path = chat, public;
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA chat TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chat TO app;
\o /dev/null
SELECT forge_comm.grant_app('app');
\o
\set ECHO none

\echo
\echo '=== 2. Two customers in the same tables, acme (1) and globex (2), with 200 messages each.'
\echo '       Ann (1) works at acme, Bob (2) at globex, Zoe (3) for both. Nobody says which'
\echo '       workspace a message belongs to: the database fills it in from the channel.'
\echo
\connect -
\set ECHO queries
INSERT INTO workspaces (name, slug) VALUES ('Acme', 'acme'), ('Globex', 'globex');
INSERT INTO users (email, display_name) VALUES
	('ann@acme.example', 'Ann'),
	('bob@globex.example', 'Bob'),
	('zoe@both.example', 'Zoe');
INSERT INTO memberships (workspace_id, user_id, role) VALUES
	(1, 1, 'owner'), (2, 2, 'owner'), (1, 3, 'member'), (2, 3, 'guest');
INSERT INTO channels (workspace_id, name) VALUES (1, 'general'), (2, 'general');
INSERT INTO messages (channel_id, user_id, body, created_at)
	SELECT channel, channel, 'message ' || n, now() - make_interval(mins => 1000 - n)
	FROM generate_series(1, 200) AS n, generate_series(1, 2) AS channel;
SELECT workspace_id, count(*) FROM messages GROUP BY workspace_id ORDER BY workspace_id;
\set ECHO none
SELECT demo.must((SELECT count(*) FROM messages WHERE workspace_id = channel_id) = 400,
	'the workspace is that of the channel') \g /dev/null

\echo
\echo '=== 3. The application connects. It has not said for whom it asks: no rows, and an error that tells how.'
\echo
\connect - app
\set LAST_ERROR_SQLSTATE 00000
\set ON_ERROR_STOP off
\set ECHO queries
SELECT count(*) FROM messages;
\set ECHO none
\set ON_ERROR_STOP on
SELECT demo.must(:'LAST_ERROR_SQLSTATE' = '42501', 'no context is an error') \g /dev/null

\echo
\echo '=== 4. Ann asks, in a transaction: she sees acme, though her query does not mention it.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT workspace_id, count(*) FROM messages GROUP BY workspace_id;
COMMIT;
\set ECHO none
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT demo.must((SELECT count(*) = 200 AND min(workspace_id) = 1 AND max(workspace_id) = 1 FROM messages),
	'Ann sees the 200 messages of acme') \g /dev/null
COMMIT;

\echo
\echo '=== 5. A channel is read in pages, newest first.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT id, body FROM get_messages(1, page => 1, per_page => 3);
SELECT id, body FROM get_messages(1, page => 2, per_page => 3);
\set ECHO none
SELECT demo.must((SELECT array_agg(body) = '{message 200,message 199,message 198}' FROM get_messages(1, 1, 3)),
	'page 1 has the newest three') \g /dev/null
SELECT demo.must((SELECT array_agg(body) = '{message 197,message 196,message 195}' FROM get_messages(1, 2, 3)),
	'page 2 has the next three') \g /dev/null
\set ECHO queries
COMMIT;
\set ECHO none

\echo
\echo '=== 6. Ann reads the channel of globex: to her it does not exist, not even by an injected OR.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT count(*) FROM get_messages(2);
SELECT count(*) FROM messages WHERE workspace_id = 2 OR true;
\set ECHO none
SELECT demo.must((SELECT count(*) = 0 FROM messages WHERE channel_id = 2), 'no row of globex') \g /dev/null
SELECT demo.must((SELECT count(*) = 0 FROM get_messages(2)), 'no page of globex') \g /dev/null
SELECT demo.must((SELECT count(*) = 200 FROM messages WHERE workspace_id = 2 OR true), 'only acme') \g /dev/null
\set ECHO queries
COMMIT;
\set ECHO none

\echo
\echo '=== 7. Ann writes to it: refused, in the words for a channel that is not there ...'
\echo
\set LAST_ERROR_SQLSTATE 00000
\set ON_ERROR_STOP off
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
INSERT INTO messages (channel_id, user_id, body) VALUES (2, 1, 'hello, globex');
ROLLBACK;
\set ECHO none
\set ON_ERROR_STOP on
SELECT demo.must(:'LAST_ERROR_SQLSTATE' = '23503', 'a foreign channel is a missing one') \g /dev/null

\echo
\echo '       ... also when she gives the workspace herself ...'
\echo
\set LAST_ERROR_SQLSTATE 00000
\set ON_ERROR_STOP off
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
INSERT INTO channels (workspace_id, name) VALUES (2, 'trojan');
ROLLBACK;
\set ECHO none
\set ON_ERROR_STOP on
SELECT demo.must(:'LAST_ERROR_SQLSTATE' = '42501', 'no row for a foreign workspace') \g /dev/null

\echo
\echo '       ... or asks to be let in.'
\echo
\set LAST_ERROR_SQLSTATE 00000
\set ON_ERROR_STOP off
\set ECHO queries
SELECT forge_comm.set_context(user_id => 1, workspace_id => 2);
\set ECHO none
\set ON_ERROR_STOP on
SELECT demo.must(:'LAST_ERROR_SQLSTATE' = '42501', 'only members get in') \g /dev/null

\echo
\echo '=== 8. Zoe, a member of both, sees both, and may narrow herself to one.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 3);
\o
SELECT forge_comm.workspace_ids(), count(*) FROM messages;
\o /dev/null
SELECT forge_comm.pin_workspace(2);
\o
SELECT forge_comm.workspace_ids(), count(*) FROM messages;
\set ECHO none
SELECT demo.must((SELECT count(*) = 200 AND min(workspace_id) = 2 FROM messages), 'the pinned one only') \g /dev/null
\set ECHO queries
COMMIT;
\set ECHO none

\echo
\echo '=== 9. An import brings its own created_at; a message written now gets it from the database.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
INSERT INTO messages (channel_id, user_id, body, created_at)
	VALUES (1, 1, 'from the old system', '2019-05-04 12:00+00'), (1, 1, 'written now', NULL)
	RETURNING id, workspace_id, body, created_at::date = current_date AS created_today;
COMMIT;
\set ECHO none
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT demo.must((SELECT created_at = '2019-05-04 12:00+00' FROM messages WHERE id = 402), 'it kept its time') \g /dev/null
SELECT demo.must((SELECT created_at > now() - interval '1 minute' FROM messages WHERE id = 403), 'it got a time') \g /dev/null
COMMIT;

\echo
\echo '=== 10. An edit moves updated_at; created_at stays, whatever the application sends.'
\echo '        A write that changes nothing moves neither.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
UPDATE messages SET body = 'from the old system (edited)', created_at = now() WHERE id = 402
	RETURNING id, created_at < '2020-01-01' AS created_at_stayed, updated_at = now() AS updated_at_moved;
COMMIT;
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
UPDATE messages SET body = body WHERE id = 402
	RETURNING id, updated_at = now() AS updated_at_moved;
COMMIT;
\set ECHO none
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT demo.must((SELECT created_at = '2019-05-04 12:00+00' FROM messages WHERE id = 402), 'created_at stays') \g /dev/null
SELECT demo.must((SELECT updated_at > now() - interval '1 minute' AND updated_at < now() FROM messages WHERE id = 402),
	'updated_at moved at the edit') \g /dev/null
UPDATE messages SET body = body WHERE id = 402;
SELECT demo.must((SELECT updated_at < now() FROM messages WHERE id = 402), 'and only then') \g /dev/null
UPDATE messages SET body = body || '!' WHERE id = 402;
SELECT demo.must((SELECT updated_at = now() FROM messages WHERE id = 402), 'it moves in its transaction') \g /dev/null
ROLLBACK;

\echo
\echo '=== 11. DELETE says DELETE 1, and the live view no longer has the message. The row is kept ...'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
\set QUIET off
DELETE FROM messages WHERE id = 402;
\set ECHO none
SELECT demo.must(:ROW_COUNT = 1, 'one row deleted') \g /dev/null
\set QUIET on
\set ECHO queries
SELECT count(*) AS live FROM active_messages WHERE id = 402;
SELECT body, deleted_at IS NOT NULL AS deleted FROM messages WHERE id = 402;
COMMIT;
\set ECHO none
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT demo.must((SELECT count(*) = 0 FROM active_messages WHERE id = 402), 'it is not live') \g /dev/null
SELECT demo.must((SELECT deleted_at IS NOT NULL FROM messages WHERE id = 402), 'it is kept') \g /dev/null
SELECT demo.must((SELECT count(*) = 0 FROM get_messages(1, 1, 100) WHERE deleted_at IS NOT NULL),
	'no page has it') \g /dev/null
COMMIT;

\echo
\echo '        ... and can be restored.'
\echo
\set ECHO queries
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT forge_comm.restore('messages', 402);
SELECT id, body FROM active_messages WHERE id = 402;
COMMIT;
\set ECHO none
BEGIN;
\o /dev/null
SELECT forge_comm.set_context(user_id => 1);
\o
SELECT demo.must((SELECT count(*) = 1 FROM active_messages WHERE id = 402), 'it is live again') \g /dev/null
COMMIT;
