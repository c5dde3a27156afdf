-- The data of the benchmark: the schema chat, under every capability, with
-- 100 workspaces, 10,000 users and 1,000 channels. Channel c is in workspace
-- 1 + (c - 1) % 100, and a channel's share of the messages falls with its
-- rank (Zipf): the first has about 400,000 of 3 million, the last about 430.
-- Nothing here differs from one run to the next.

SELECT setseed(0.5);

-- VACUUM takes no row for visible to all whose commit is not on disk yet.
SET synchronous_commit = on;

CREATE EXTENSION forge_comm;
CREATE EXTENSION moddatetime;
SELECT forge_comm.create_chat_schema('chat');
-- What privacy, authorship and search cost is measured in schemas of their own.
SELECT forge_comm.disable_search('chat.messages');
SELECT forge_comm.disable_privacy('chat.channels');
SELECT forge_comm.disable_authorship('chat.messages');
SELECT forge_comm.disable_changes('chat.messages'); -- has a measure of its own
SELECT forge_comm.disable_directory('chat.users');

INSERT INTO chat.users (email, display_name)
SELECT format('user%s@example.org', u), format('User %s', u)
FROM generate_series(1, 10000) AS u;

INSERT INTO chat.workspaces (name, slug)
SELECT format('Workspace %s', w), format('workspace-%s', w)
FROM generate_series(1, 100) AS w;

-- User u belongs to the workspace of the same number, modulo 100, and to one
-- more.
INSERT INTO chat.memberships (workspace_id, user_id, role)
SELECT 1 + (u - 1) % 100, u, 'member' FROM generate_series(1, 10000) AS u
UNION ALL
SELECT 1 + u % 100, u, 'guest' FROM generate_series(1, 10000) AS u;

INSERT INTO chat.channels (workspace_id, name)
SELECT 1 + (c - 1) % 100, format('channel-%s', c)
FROM generate_series(1, 1000) AS c;

-- One message in 3 seconds, two at a time so that there are ties.
CREATE SCHEMA bench;
CREATE FUNCTION bench.body() RETURNS text LANGUAGE sql VOLATILE AS
$$
SELECT left(repeat('Lorem ipsum dolor sit amet, consectetur. ', 6),
            20 + (random() * 200)::int)
$$;

SET session_replication_role = replica; -- no stamps, no keys to check: quicker
INSERT INTO chat.messages (workspace_id, channel_id, user_id, body, created_at, updated_at)
SELECT 1 + (channel - 1) % 100, channel, author, bench.body(), at, at
FROM (SELECT floor(exp(random() * ln(1001)))::bigint AS channel,
             1 + floor(random() * 10000)::bigint AS author,
             timestamptz '2026-01-01 00:00Z' + i / 2 * interval '6 seconds' AS at
      FROM generate_series(1, :rows) AS i) AS message;
RESET session_replication_role;

-- A channel has one workspace. Where PostgreSQL is not told, it takes the two
-- for independent, expects too few messages, and the query by hand collects
-- and sorts the whole channel.
CREATE STATISTICS chat.messages_workspace (dependencies)
    ON workspace_id, channel_id FROM chat.messages;

-- A batch to write: messages to workspace 10, one in four of them a reply.
CREATE TABLE bench.batch AS
SELECT i AS id, 10 + 100 * (i % 10) AS channel_id, i % 10000 + 1 AS user_id,
       parent.id AS parent_id, bench.body() AS body, now() AS at
FROM generate_series(1, :batch) AS i
LEFT JOIN (SELECT id, row_number() OVER () AS n
           FROM chat.messages WHERE workspace_id = 10) AS parent
       ON i % 4 = 0 AND parent.n = 1 + i % 40000;

CREATE TABLE bench.lap (measure text, side text, pair int, ms double precision);

-- Those who measure: an application, and a role that row security lets pass,
-- which may have a context as well, so that both do the same before the clock
-- starts.
CREATE ROLE app LOGIN;
SELECT forge_comm.grant_app('app');
CREATE ROLE bypass LOGIN BYPASSRLS;
SELECT forge_comm.grant_app('bypass');
SELECT forge_comm.grant_purge('bypass');
ALTER DATABASE postgres SET forge_comm.allow_bypass_role = on;
GRANT USAGE ON SCHEMA bench, chat TO app, bypass;
GRANT ALL ON ALL TABLES IN SCHEMA bench, chat TO app, bypass;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO app, bypass;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app, bypass;

VACUUM ANALYZE;
