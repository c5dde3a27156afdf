-- Full-text search of messages.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_app, regress_owner;
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
CREATE SCHEMA regress_search AUTHORIZATION regress_owner;
SET search_path = regress_search;
SELECT forge_comm.grant_app('regress_app');
SELECT forge_comm.grant_app('regress_owner');
SELECT forge_comm.grant_owner('regress_owner');
SET SESSION AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_search TO regress_app;

\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/sql/include/refused.sql

CREATE TABLE workspaces (id int PRIMARY KEY);
CREATE TABLE memberships (user_id int, workspace_id int REFERENCES workspaces, PRIMARY KEY (user_id, workspace_id));
CREATE TABLE channels (id int PRIMARY KEY, workspace_id int NOT NULL REFERENCES workspaces, is_private boolean NOT NULL DEFAULT false);
CREATE TABLE channel_members (channel_id int REFERENCES channels, user_id int, PRIMARY KEY (channel_id, user_id));
CREATE TABLE messages (
  id serial PRIMARY KEY,
  channel_id int NOT NULL REFERENCES channels,
  user_id int,
  body varchar(100000),
  deleted_at timestamp,
  created_at timestamp NOT NULL
);
INSERT INTO workspaces VALUES (1), (2), (3);
INSERT INTO memberships VALUES (1, 1), (2, 2), (3, 3), (12, 1), (12, 2);
INSERT INTO channels VALUES (1, 1), (2, 2), (3, 1), (4, 1), (5, 3);
UPDATE channels SET is_private = true WHERE id = 3;
INSERT INTO channel_members VALUES (3, 12);
-- Channel 1: 500 messages of one time; one in each minute; and in between a
-- word that only old ones have, one that only new ones have, and a rare one
INSERT INTO messages (channel_id, user_id, body, created_at)
SELECT 1, 1 + i % 3, 'tied ' || i, '2024-01-01' FROM generate_series(1, 500) AS i
UNION ALL
SELECT 1, 1 + i % 3, concat_ws(' ', 'Minute', i, CASE WHEN i < 3000 THEN 'old' ELSE 'new' END,
                               CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END, CASE WHEN i IN (17, 5000) THEN 'rare' END),
       timestamp '2024-01-02' + i * interval '1 minute' FROM generate_series(1, 6000) AS i
UNION ALL
SELECT 2, 2, 'minute of others, secret' || i, timestamp '2024-01-02' + i * interval '1 minute' FROM generate_series(1, 3000) AS i
UNION ALL
SELECT 3, 1, 'minute hidden', timestamp '2024-01-02' + i * interval '1 minute' FROM generate_series(1, 50) AS i;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_search TO regress_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA regress_search TO regress_app;
RESET SESSION AUTHORIZATION;
SELECT forge_comm.use_memberships('memberships');
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.enable_tenancy('channels');
SELECT forge_comm.enable_tenancy('channel_members', via => 'channel_id');
SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
CALL forge_comm.backfill('channel_members');
CALL forge_comm.backfill('messages');
SELECT forge_comm.enable_privacy('channels', 'is_private', 'channel_members', children => '{messages}');
SELECT forge_comm.enable_soft_delete('messages');

-- Before it, there are messages to be enabled
SELECT refused($$SELECT forge_comm.enable_search('messages')$$);
SELECT forge_comm.enable_messages('messages');
SELECT refused($$SELECT forge_comm.enable_search('messages', NULL)$$);
SELECT refused($$SELECT forge_comm.enable_search('channels')$$);
SELECT forge_comm.enable_search('messages');
SET client_min_messages = notice;
SELECT forge_comm.enable_search('messages');
SET client_min_messages = warning;
SELECT indexname, indexdef FROM pg_indexes WHERE indexname = 'messages_search_idx';
\df search_messages
ANALYZE messages;

-- What a sequential scan finds: the ids of the rows that are visible
CREATE FUNCTION scanned(query text, channels int[] DEFAULT NULL, author int DEFAULT NULL)
RETURNS int[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(id ORDER BY created_at DESC, id DESC), '{}')
    FROM active_messages
   WHERE to_tsvector('simple', translate(body, '<>', '  ')) @@ websearch_to_tsquery('simple', query)
     AND (channels IS NULL OR channel_id = ANY (channels)) AND (author IS NULL OR user_id = author)
$$;
-- What search finds, page by page
CREATE FUNCTION found(query text, channels int[] DEFAULT NULL, author int DEFAULT NULL, per_page int DEFAULT 100)
RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
  ids int[] := '{}';
  page record;
  cursor text;
BEGIN
  LOOP
    SELECT array_agg((s.message).id ORDER BY n) AS ids, (array_agg(s.cursor ORDER BY n))[count(*)] AS cursor INTO page
      FROM search_messages(query, channels, author, cursor, per_page) WITH ORDINALITY AS s (message, highlight, cursor, n);
    ids := ids || coalesce(page.ids, '{}');
    EXIT WHEN coalesce(cardinality(page.ids), 0) < per_page;
    cursor := page.cursor;
  END LOOP;
  RETURN ids;
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_search TO regress_app;

-- ----------------------------------------------------------------- what is found

SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
SELECT (message).id, (message).channel_id, (message).body, highlight FROM search_messages('rare');
SELECT query, cardinality(scanned(query)) AS n, found(query) = scanned(query) AS same
  FROM unnest('{minute,old,new,even,odd,rare,tied,"even odd","rare odd","rare or 17","old -even","-tied","\"minute 5\"","\"5 minute\"",
                "MINUTE 1000",secret5,hidden,"","the","!!","nothing-like-it","minute or tied"}'::text[]) AS query;
SELECT query, found(query, per_page => 7) = scanned(query) AS same FROM unnest('{tied,"rare or 17"}'::text[]) AS query;
SELECT query, channels, author, cardinality(scanned(query, channels, author)) AS n,
       found(query, channels, author) = scanned(query, channels, author) AS same
  FROM unnest('{minute,old,rare,nothing,"-even"}'::text[]) AS query, (VALUES ('{1}'::int[], NULL::int), ('{4}', NULL), ('{4,1,1}', 2), (NULL, 1), (NULL, 99)) AS t (channels, author);
COMMIT;
-- A member of both workspaces, and of the private channel
BEGIN;
SELECT forge_comm.set_context(user_id => 12);
SELECT query, cardinality(scanned(query)) AS n, found(query) = scanned(query) AS same FROM unnest('{minute,hidden,secret5,"minute -old",rare}'::text[]) AS query;
SELECT forge_comm.pin_workspace(2);
SELECT query, cardinality(scanned(query)) AS n, found(query) = scanned(query) AS same FROM unnest('{minute,hidden,secret5,"minute -old",rare}'::text[]) AS query;
COMMIT;
-- A workspace without a message
BEGIN;
SELECT forge_comm.set_context(user_id => 3);
SELECT found('minute'), found('-minute'), found('minute', '{5}');
COMMIT;

-- ------------------------------------------------------------------- arguments

BEGIN;
SELECT forge_comm.set_context(user_id => 1);
SELECT count(*), min((message).created_at) FROM search_messages('minute');
SELECT count(*) FROM search_messages('minute', "limit" => 100);
SELECT refused(sql) FROM unnest(ARRAY[
  $$SELECT search_messages(NULL)$$,
  $$SELECT search_messages(repeat('x', 1001))$$,
  $$SELECT search_messages('x', "limit" => 0)$$,
  $$SELECT search_messages('x', "limit" => 101)$$,
  $$SELECT search_messages('x', "limit" => NULL)$$,
  $$SELECT search_messages('x', '{}')$$,
  $$SELECT search_messages('x', '{1,NULL}')$$,
  $$SELECT search_messages('x', array_fill(1, '{1001}'))$$,
  $$SELECT search_messages('x', '{2}')$$,
  $$SELECT search_messages('x', '{1,3}')$$,
  $$SELECT search_messages('x', '{77}')$$,
  $$SELECT search_messages('x', before => '')$$,
  $$SELECT search_messages('x', before => 's')$$,
  $$SELECT search_messages('x', before => 'sAAAAAAAAAAAAAAAAAAAA')$$]) AS sql;
-- A cursor outlives its row, and is not to be tampered with
SELECT cursor AS cursor FROM search_messages('tied', "limit" => 3) OFFSET 2 \gset
SELECT (message).id FROM search_messages('tied', before => :'cursor', "limit" => 2);
DELETE FROM messages WHERE body IN ('tied 498', 'tied 496');
SELECT (message).id FROM search_messages('tied', before => :'cursor', "limit" => 2);
SELECT count(*) FILTER (WHERE left(refused(format('SELECT search_messages(%L, before => %L)', 'tied', tampered)), 5) <> 'MC001') AS let_through, count(*)
  FROM generate_series(1, length(:'cursor')) AS i,
       LATERAL (VALUES (overlay(:'cursor' placing CASE substr(:'cursor', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END from i for 1)), (left(:'cursor', i - 1)), (:'cursor' || repeat('A', i))) AS t (tampered);
ROLLBACK;

-- ------------------------------------------------------- what changes meanwhile

BEGIN;
SELECT forge_comm.set_context(user_id => 1);
SELECT found('rare');
INSERT INTO messages (id, channel_id, user_id, body, created_at) VALUES (100001, 1, 1, 'a rare one', '2030-01-01'), (100002, 1, 1, 'rare, backdated', '2000-01-01');
UPDATE messages SET body = 'no more' WHERE id = (SELECT id FROM messages WHERE body LIKE '%5000%rare');
SELECT found('rare') = scanned('rare'), cardinality(found('rare'));
SAVEPOINT s;
DELETE FROM messages WHERE id = 100001;
SELECT found('rare') = scanned('rare'), cardinality(found('rare'));
ROLLBACK TO s;
SELECT found('rare') = scanned('rare'), cardinality(found('rare'));
DELETE FROM messages WHERE id = 100001;
SELECT forge_comm.restore('messages', 100001);
SELECT found('rare') = scanned('rare'), cardinality(found('rare'));
-- times and ids at the ends of what there is
INSERT INTO messages (id, channel_id, body, created_at)
SELECT id, 1, 'extreme', at FROM unnest('{2147483647,-2147483648,100003}'::int[]) AS id
 CROSS JOIN unnest('{infinity,-infinity,294276-12-31 23:59:59.999999,4713-01-01 00:00:00 BC,1969-12-31 23:59:59.999999,1970-01-01}'::timestamp[]) AS at
 WHERE (id, at) IN (VALUES (2147483647, timestamp 'infinity'), (-2147483648, '-infinity'));
INSERT INTO messages (channel_id, body, created_at)
SELECT 1, 'extreme', at FROM unnest('{infinity,infinity,-infinity,-infinity,294276-12-31 23:59:59.999999,4713-01-01 00:00:00 BC,1969-12-31 23:59:59.999999,1970-01-01,
                                      2024-01-02 03:04:05.000001,2024-01-02 03:04:05.000002,2024-01-02 03:04:05}'::timestamp[]) AS at;
SELECT cardinality(found('extreme')), found('extreme', per_page => 1) = scanned('extreme'), found('extreme', '{1}', per_page => 2) = scanned('extreme'), found('-minute -tied', per_page => 3) = scanned('-minute -tied');
ROLLBACK;

-- -------------------------------------------------------------------- highlights

BEGIN;
SELECT forge_comm.set_context(user_id => 1);
INSERT INTO messages (channel_id, body, created_at)
SELECT 4, body, timestamp '2024-01-01' + n * interval '1 second'
  FROM unnest(ARRAY['<script>alert("mark")</script> &amp; <b>found</b>', 'found <mark>fake</mark> ''quoted''', E'found \x01start\x02 end\x03 less\x04',
                    'Found, FOUND: found!', 'profound', '<found@example.org> <nick> found', 'https://example.org/found?a=1&b=<found>',
                    'no &lt;found&gt;', 'è <é>found</é> ü', repeat('x', 3000) || ' found ' || repeat('=', 3000), NULL]) WITH ORDINALITY AS t (body, n);
SELECT CASE WHEN length(highlight) > 300 THEN length(highlight)::text ELSE highlight END FROM search_messages('found', '{4}');
-- Nothing but our own tags is HTML, and what is left is the text
SELECT highlight ~ '<(?!/?mark>)', replace(replace(replace(replace(replace(replace(replace(highlight, '<mark>', ''), '</mark>', ''), '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', ''''), '&amp;', '&')
         = translate((message).body, E'\x01\x02\x03\x04', '    '), count(*)
  FROM search_messages('found', '{4}') WHERE length((message).body) < 400 GROUP BY 1, 2;
-- What PostgreSQL would notice of a long word it does not say: the row may be anybody's
SET LOCAL client_min_messages = notice;
SELECT count(*) FROM messages WHERE forge_comm.search_vector('simple', body) IS NULL;
SELECT count(*) FROM search_messages('found', '{4}');
SET LOCAL client_min_messages = warning;
-- Of a long text, the parts around
INSERT INTO messages (channel_id, body, created_at) VALUES (4, repeat('lorem ipsum <dolor> ', 50) || 'the needle "is" here ' || repeat('sit amet ', 50), '2024-02-01');
SELECT highlight FROM search_messages('needle', '{4}');
-- So long that the words do not fit into an index: its beginning is searched
INSERT INTO messages (channel_id, body, created_at) VALUES (4, 'beginning ' || (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 3000) AS i), '2024-02-02');
SELECT count(*), max(length(highlight)) < 2000 FROM search_messages('beginning', '{4}');
ROLLBACK;
-- A longer one yet is no error
RESET SESSION AUTHORIZATION;
SELECT length(forge_comm.search_vector('simple', (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 100000) AS i)));

-- ------------------------------------------------------------------------ plans

-- Generic plans, on the index, under row security
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT forge_comm.set_context(user_id => 1);
PREPARE searching (text) AS SELECT count(*) FROM search_messages($1);
EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute');
EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute'); EXECUTE searching ('minute');
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE searching ('rare');
-- What search asks, which nobody else may: by the index, before the policies
PREPARE asking (tsquery, bigint[], timestamp, bigint) AS
  SELECT m FROM messages AS m
   WHERE forge_comm.search_vector('simple', m.body) OPERATOR(forge_comm.@@) $1
     AND forge_comm.search_places(m.created_at, m.workspace_id, m.channel_id, m.user_id) OPERATOR(forge_comm.<@) $2
     AND (m.created_at, m.id) <= ($3, $4) AND m.deleted_at IS NULL
   ORDER BY m.created_at DESC, m.id DESC LIMIT 50;
EXPLAIN (COSTS OFF) EXECUTE asking ('x', '{1}', now(), 1);
SELECT refused($$EXECUTE asking ('rare', '{1}', now(), 1)$$);
COMMIT;
-- The plan is for whoever executes it
BEGIN;
SELECT forge_comm.set_context(user_id => 2);
EXECUTE searching ('minute');
EXECUTE searching ('secret17');
COMMIT;
SELECT refused($$EXECUTE searching ('minute')$$);
SET forge_comm.missing_context = empty;
EXECUTE searching ('minute');
RESET forge_comm.missing_context;
-- A superuser searches everywhere
RESET SESSION AUTHORIZATION;
SELECT cardinality(found('minute')), found('minute') = scanned('minute'), cardinality(found('hidden or secret5'));
DEALLOCATE searching;
DEALLOCATE asking;

-- ---------------------------------------------------------------- other tables

SET SESSION AUTHORIZATION regress_owner;
-- without a tenant, an author, deletions or a table of channels
CREATE TABLE plain (id bigint PRIMARY KEY, room smallint NOT NULL, words text, at timestamptz NOT NULL);
INSERT INTO plain SELECT i, i % 3, 'word ' || i, '2024-01-01Z'::timestamptz + i * interval '1 hour' FROM generate_series(1, 1000) AS i;
SELECT forge_comm.enable_messages('plain', channel => 'room', created_at => 'at', body => 'words', prefix => 'plain_');
SELECT forge_comm.enable_search('plain', config => 'english');
SELECT (message).id, highlight FROM plain_search_messages('words', "limit" => 2);
SELECT (message).id, highlight FROM plain_search_messages('998 or 999 or 1000', '{2,7}');
SELECT refused($$SELECT plain_search_messages('words', author_id => 1)$$);
-- a renamed column
ALTER TABLE plain RENAME words TO "the ""words""";
SELECT (message).id, highlight FROM plain_search_messages('word 17');
SELECT cursor FROM plain_search_messages('word', "limit" => 1) \gset
-- partitions
CREATE TABLE parts (id bigint, channel_id int NOT NULL, body text, created_at timestamptz NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (500);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (500) TO (2000);
INSERT INTO parts SELECT i, i % 3, 'word ' || i, '2024-01-01Z'::timestamptz + (i * 7919 % 1000) * interval '1 hour' FROM generate_series(1, 1000) AS i;
SELECT forge_comm.enable_messages('parts', prefix => 'parts_');
SELECT forge_comm.enable_search('parts');
SELECT array_agg((message).id) FROM parts_search_messages('word', "limit" => 5);
SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY created_at DESC, id DESC LIMIT 5) AS newest;
SELECT array_agg((message).id) FROM parts_search_messages('17 or 777');
-- and a cursor of another table
SELECT refused(format('SELECT parts_search_messages(%L, before => %L)', 'word', :'cursor'));
-- no words are kept in statistics
ANALYZE plain, parts, messages;
RESET SESSION AUTHORIZATION;
SELECT starelid::regclass FROM pg_statistic JOIN pg_index ON indexrelid = starelid WHERE indrelid IN ('plain'::regclass, 'parts_1'::regclass, 'messages'::regclass);
SET SESSION AUTHORIZATION regress_owner;

-- ------------------------------------------------------------------- disabling

SELECT forge_comm.disable_search('parts');
SELECT forge_comm.disable_search('messages');
SET client_min_messages = notice;
SELECT forge_comm.disable_search('messages');
SET client_min_messages = warning;
SELECT refused($$SELECT forge_comm.search_rows(NULL::messages, 'x', NULL, NULL, NULL, 1)$$);
SELECT refused($$SELECT forge_comm.search_rows(1, 'x', NULL, NULL, NULL, 1)$$);
SELECT forge_comm.disable_messages('plain');
SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'regress_search'::regnamespace AND c.relname ~ 'search';
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'regress_search'::regnamespace AND p.proname ~ 'search' ORDER BY 1;

RESET SESSION AUTHORIZATION;
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_search CASCADE;
DROP OWNED BY regress_app, regress_owner;
DROP ROLE regress_app, regress_owner;
