-- The data by which retrieval is measured: a second chat schema, talk, with
-- the users, workspaces and memberships of chat, 1,000 channels in the
-- workspaces 1 to 21, and :messages messages, 5 million unless said otherwise.
--
--   channel 1          hot: 24 % of all messages, public, in workspace 1
--   channels 1-300     workspace 1; user 1 is a member of 1 to 200, and every
--                      other channel there is private (the even ones)
--   channels 301-1000  workspaces 2 to 21, 35 each
--   messages           one in 3 seconds from 2026-01-01, two at a time so that
--                      there are ties; ids follow the time. Of each channel one
--                      in five is a reply, to a message little older, or (one
--                      in a thousand) to the first one. 1 in 100 is deleted, 1
--                      in 30 edited, 1 in 200 has no author any more
--   reactions          on one message in ten, of up to three users
--   read markers       of user 1: 0 to 199 messages before the end of each
--                      channel, none in one channel of twenty
--   bodies             one or two of 20,000 sentences of 4 to 20 words w1 ...
--                      w5000, word n in proportion 1/n. Besides: oldrare in 20
--                      of the oldest 1 %, oldcommon in half of the oldest 10 %,
--                      newcommon in half of the newest 5 %, evenword in every
--                      50th message, oddword in every 50th other one (they never
--                      meet), and mention of user 1 as @user1 in one of 500
--
-- Nothing here differs from one run to the next. load.sql comes first.

SELECT setseed(0.5);
SET synchronous_commit = on;

SELECT forge_comm.create_chat_schema('talk');
SELECT forge_comm.disable_search('talk.messages'); -- until the rows are there
GRANT USAGE ON SCHEMA talk TO app, bypass;
GRANT ALL ON ALL TABLES IN SCHEMA talk TO app, bypass;

SELECT forge_comm.disable_changes('talk.messages');
SET session_replication_role = replica; -- no stamps, no keys to check: quicker
INSERT INTO talk.users TABLE chat.users;
INSERT INTO talk.workspaces TABLE chat.workspaces;
INSERT INTO talk.memberships TABLE chat.memberships;

INSERT INTO talk.channels (id, workspace_id, name, is_private)
SELECT c, CASE WHEN c <= 300 THEN 1 ELSE 2 + (c - 301) / 35 END, format('channel-%s', c),
       c <= 300 AND c % 2 = 0
FROM generate_series(1, 1000) AS c;

CREATE TABLE bench.sentence AS
SELECT s AS id, string_agg('w' || floor(exp(random() * ln(5001)))::int, ' ') AS words
FROM generate_series(0, 19999) AS s, generate_series(1, 4 + s % 17) AS word
GROUP BY s;
ALTER TABLE bench.sentence ADD PRIMARY KEY (id);

-- Sorted by channel to find parents, and then by time again.
WITH drawn AS (
    SELECT i, CASE WHEN random() < 0.24 THEN 1 ELSE 2 + floor(random() * 999)::bigint END AS channel,
           random() AS author, (random() * 20000)::int % 20000 AS one, (random() * 40000)::int AS two
    FROM generate_series(1, :messages) AS i),
ranked AS (
    SELECT *, row_number() OVER by_time AS k,
           lag(i, (1 + i % 10 * 5 + i % 4)) OVER by_time AS parent, first_value(i) OVER by_time AS first
    FROM drawn
    WINDOW by_time AS (PARTITION BY channel ORDER BY i))
INSERT INTO talk.messages (id, workspace_id, channel_id, user_id, parent_id, body, created_at, updated_at,
                           edited_at, deleted_at)
SELECT i, workspace, channel,
       -- members of workspace w: users w, w + 100, w + 200, ...
       CASE WHEN i % 200 <> 7 THEN workspace + 100 * floor(author * 100)::bigint END,
       CASE WHEN k % 1000 = 5 THEN first WHEN k % 5 = 0 THEN parent END,
       concat_ws(' ', one.words, two.words,
                 CASE WHEN i % (:messages / 2000) = 0 AND i <= :messages / 100 THEN 'oldrare' END,
                 CASE WHEN i % 2 = 0 AND i <= :messages / 10 THEN 'oldcommon' END,
                 CASE WHEN i % 2 = 0 AND i > :messages - :messages / 20 THEN 'newcommon' END,
                 CASE i % 50 WHEN 2 THEN 'evenword' WHEN 3 THEN 'oddword' END,
                 CASE WHEN i % 500 = 11 THEN '@user1' END),
       at, at, CASE WHEN i % 30 = 1 THEN at + interval '1 minute' END,
       CASE WHEN i % 100 = 37 THEN at + interval '1 hour' END
FROM ranked
CROSS JOIN LATERAL (SELECT CASE WHEN channel <= 300 THEN 1 ELSE 2 + (channel - 301) / 35 END,
                           timestamptz '2026-01-01 00:00Z' + i / 2 * interval '6 seconds') AS place (workspace, at)
JOIN bench.sentence AS one ON one.id = ranked.one
LEFT JOIN bench.sentence AS two ON two.id = ranked.two
ORDER BY i;

INSERT INTO talk.channel_memberships (workspace_id, channel_id, user_id, last_read_message_id)
SELECT channel.workspace_id, channel.id, 1,
       CASE WHEN channel.id % 20 <> 0 THEN
           (SELECT id FROM talk.messages AS message
            WHERE message.channel_id = channel.id AND deleted_at IS NULL
            ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET channel.id * 7919 % 200) END
FROM talk.channels AS channel WHERE id <= 200
UNION ALL
SELECT workspace_id, channel.id, workspace_id + 100 * u, NULL
FROM talk.channels AS channel, generate_series(1, 20) AS u;

SELECT to_regclass('talk.reactions') IS NOT NULL AS has_reactions \gset
\if :has_reactions
INSERT INTO talk.reactions (workspace_id, message_id, user_id, emoji)
SELECT workspace_id, id, workspace_id + 100 * ((id + n * 13) % 100), (ARRAY['👍', '🎉', '👀'])[1 + (id / 10 + n / 2) % 3]
FROM talk.messages, generate_series(1, 3) AS n
WHERE id % 10 = 1 AND n <= 1 + id / 10 % 3;
\endif
RESET session_replication_role;

SELECT setval(pg_get_serial_sequence(rel, 'id'), most)
FROM (VALUES ('talk.users', (SELECT max(id) FROM talk.users)),
             ('talk.workspaces', (SELECT max(id) FROM talk.workspaces)),
             ('talk.memberships', (SELECT max(id) FROM talk.memberships)),
             ('talk.channels', (SELECT max(id) FROM talk.channels)),
             ('talk.messages', (SELECT max(id) FROM talk.messages))) AS sequence (rel, most);

SELECT forge_comm.enable_search('talk.messages');

CREATE STATISTICS talk.messages_workspace (dependencies)
    ON workspace_id, channel_id FROM talk.messages;
VACUUM ANALYZE;
