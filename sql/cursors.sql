-- Whatever a client passes as a cursor is refused as one, and is no internal error.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app;
CREATE ROLE regress_app;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.create_chat_schema('regress_cursors');
SET search_path = regress_cursors;
GRANT USAGE ON SCHEMA regress_cursors TO regress_app;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_cursors TO regress_app;
INSERT INTO users (email, display_name) VALUES ('user@example.com', 'User');
INSERT INTO workspaces (name, slug) VALUES ('A', 'a');
INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1);
INSERT INTO channels (workspace_id, name) VALUES (1, 'general');
INSERT INTO channel_memberships (channel_id, user_id) VALUES (1, 1);
INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'words'), (1, 1, 'words');
INSERT INTO messages (channel_id, user_id, body, parent_id) VALUES (1, 1, 'words', 1);

CREATE FUNCTION state_of(call text, input text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT count(*) FROM ' || call, input);
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
CREATE TEMP TABLE walks AS
SELECT w.name, w.call, w.good
  FROM messages AS m, LATERAL (VALUES
    ('before', 'list_messages(1, before => %L)', message_cursor(m)),
    ('after', 'list_messages(1, after => %L)', message_cursor(m)),
    ('around', 'list_messages(1, around => %L)', message_cursor(m)),
    ('page', 'message_page(1, after => %L)', message_cursor(m)),
    ('thread', 'get_thread(1, %L)', message_cursor(m)),
    ('inbox', 'inbox(before => %L)', inbox_cursor(m)),
    ('search', 'search_messages(''words'', before => %L)', (SELECT s.cursor FROM search_messages('words') AS s LIMIT 1)),
    ('changes', 'get_changes(%L)', (SELECT token FROM get_changes()))) AS w (name, call, good)
 WHERE m.id = 3;
SELECT name, state_of(call, good) FROM walks ORDER BY name;

-- Prefixes, and more; each character another
SELECT name, state_of(call, input), count(*) > 20
  FROM walks, LATERAL (SELECT left(good, n) FROM generate_series(0, length(good) - 1) AS n
                       UNION ALL SELECT good || right(good, n) FROM generate_series(1, length(good)) AS n) AS i (input)
 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT name, state_of(call, input), count(*) > 100
  FROM walks, generate_series(1, length(good)) AS n, unnest(ARRAY['A', '9', '=', E'\x01', '\x00']) AS c,
       LATERAL (SELECT overlay(good PLACING c FROM n FOR 1)) AS i (input)
 WHERE input <> good
 GROUP BY 1, 2 ORDER BY 1, 2;
-- Anything after the letter: what is too short for a code, and what is not
SELECT name, state_of(call, input), count(*)
  FROM walks, generate_series(1, 60) AS n,
       LATERAL (SELECT left(good, 1) || left(translate(encode(sha512(n::text::bytea), 'base64'), E'+/=\n', '-_'), n)) AS i (input)
 GROUP BY 1, 2 ORDER BY 1, 2;
-- The cursor of another walk
SELECT w.name, state_of(w.call, o.good), string_agg(o.name, ' ' ORDER BY o.name)
  FROM walks AS w JOIN walks AS o ON left(o.good, 1) <> left(w.good, 1) GROUP BY 1, 2 ORDER BY 1, 2;
-- Of a token so long that there is no memory for as many numbers
SELECT state_of('get_changes(repeat(''c'', 150000000)) -- %s', '');
-- Long ones; numbers, and what looks like them or like a time
SELECT name, state_of(call, left(good, 1) || repeat('A', n)), string_agg(n::text, ' ' ORDER BY n)
  FROM walks, unnest('{15,16,17,127,128,129,100000,3000000}'::int[]) AS n
 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT name, state_of(call, input), string_agg(left(input, 20), ' | ' ORDER BY n)
  FROM walks, unnest(ARRAY['9223372036854775808', '-9223372036854775809', repeat('9', 1000), '-', '--1', '+1', ' 1', '1 ', '1e3', '0x1', '1.5', '-0',
                           '2026-13-01', '2026-01-01 25:00', '2026-01-01 00:00 Nowhere/Else', '999999-01-01', repeat('1-', 500), 'epoch', 'now',
                           'Infinity', 'NaN', 'unread ', 'UNREAD', '', 'null', '\x00', E'\x01']) WITH ORDINALITY AS i (input, n)
 GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- Who asks on after the newest message gets what is new, and nothing else, as
-- often as they ask; a message that replies to itself is no reply
INSERT INTO messages (id, channel_id, user_id, body, parent_id) VALUES (10, 1, 1, 'itself', 10);
SELECT jsonb_array_length(p -> 'messages'), p -> 'has_newer', jsonb_array_length(message_page(1, after => p ->> 'newer') -> 'messages')
  FROM unnest(ARRAY['10', (SELECT message_cursor(m) FROM messages AS m WHERE id = 10)]) AS place, message_page(1, after => place) AS p;
SELECT message -> 'reply_count', message -> 'last_reply_at', (SELECT count(*) FROM get_thread(10))
  FROM jsonb_array_elements(message_page(1, "limit" => 1) -> 'messages') AS message;

SET forge_comm.allow_hard_delete = on;
SET client_min_messages = error;
DROP SCHEMA regress_cursors CASCADE;
SELECT forge_comm.forget_memberships();
SELECT forge_comm.revoke_app('regress_app');
DROP ROLE regress_app;
