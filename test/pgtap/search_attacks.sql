-- What search tells of rows that one cannot see: nothing, be it by results,
-- errors, plans, statistics or counters.
SET client_min_messages = error;
LOAD 'forge_comm';

BEGIN;
SELECT * FROM no_plan();
\ir attack.psql

INSERT INTO attack.messages (id, workspace_id, channel_id, body) SELECT 1000 + i, 2, 2, 'canary sings' FROM generate_series(1, 500) AS i;
INSERT INTO attack.messages (id, workspace_id, channel_id, body) SELECT 2000 + i, 1, 1, 'ours all' FROM generate_series(1, 500) AS i;
SET ROLE regress_owner;
ALTER TABLE attack.messages ADD COLUMN user_id int;
SELECT forge_comm.disable_messages('attack.messages');
SELECT forge_comm.enable_messages('attack.messages');
SELECT forge_comm.enable_search('attack.messages');
ANALYZE attack.messages;
RESET ROLE;

CREATE TEMP TABLE queries AS
SELECT q, replace(q, 'canary', 'absent') AS same
  FROM unnest('{canary,"canary or sings","canary sings","\"canary sings\"","ours canary","canary -ours","-ours -canary","ours -canary"}'::text[]) AS q;

-- --------------------------------------------------------------------- results

SELECT is(pg_temp.attack(2, 'SELECT count(*) FROM attack.search_messages(''canary'', "limit" => 100)'), '100', 'they find it whose it is');
SELECT is(pg_temp.attack(1, format('SELECT jsonb_agg(s) - ''cursor'' FROM attack.search_messages(%L) AS s', q)),
          pg_temp.attack(1, format('SELECT jsonb_agg(s) - ''cursor'' FROM attack.search_messages(%L) AS s', same)),
          'what others wrote is what nobody wrote: ' || q) FROM queries;
SELECT doesnt_match(pg_temp.attack(1, format('SELECT jsonb_agg(s) FROM attack.search_messages(%L) AS s', q)), 'sings', 'nor does a highlight show it: ' || q) FROM queries;
SELECT pg_temp.alike(pg_temp.attack(1, 'SELECT count(*) FROM attack.search_messages(''canary'', ''{2}'')'),
                     pg_temp.attack(1, 'SELECT count(*) FROM attack.search_messages(''canary'', ''{77}'')'), 'a channel of others is one that does not exist');
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM attack.search_messages(''canary'', author_id => 2)'), '0', 'nor is it found by its author');
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM attack.search_messages(''canary or ours'', "limit" => 100) WHERE evil.leak((message).body)'), '100',
          'a function of the attacker''s is shown no other row');
SELECT pg_temp.refused(pg_temp.attack(NULL, 'SELECT count(*) FROM attack.search_messages(''canary'')'), '42501', 'no context, no answer');
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT count(*) FROM attack.search_messages(''canary'')', 'regress_nobody'), '42501', 'nor for those who may not read');

-- Two scopes, one prepared statement
PREPARE searching AS SELECT count(*) FROM attack.search_messages('canary', "limit" => 100);
SELECT is(pg_temp.attack(2, 'EXECUTE searching'), '100', 'a prepared search, of those whose it is');
SELECT is(pg_temp.attack(1, 'EXECUTE searching'), '0', 'finds nothing for others');
SELECT is(pg_temp.attack(12, 'EXECUTE searching'), '100', 'and is right for the next');
SELECT is(pg_temp.attack(1, 'EXECUTE searching'), '0', 'and the next');

-- ------------------------------------------------------------ around the function

CREATE TEMP TABLE direct AS
SELECT sql
  FROM unnest(ARRAY[
    $$SELECT count(*) FROM attack.messages WHERE forge_comm.search_vector('simple', body) OPERATOR(forge_comm.@@) 'canary'$$,
    $$SELECT count(*) FROM attack.messages WHERE forge_comm.search_matches(forge_comm.search_vector('simple', body), 'canary')$$,
    $$SELECT count(*) FROM attack.messages WHERE forge_comm.search_places(created_at, workspace_id, channel_id, user_id) OPERATOR(forge_comm.<@) '{0,99999999,-99999999,2}'$$,
    $$SELECT forge_comm.search_matches('canary', 'canary')$$,
    $$SELECT forge_comm.in_places('{1,2,3,4}', '{0,9,-9,2}')$$]) AS sql;
SELECT pg_temp.refused(pg_temp.attack(1, sql), '42501', 'the index answers nobody else: ' || sql) FROM direct;
SELECT pg_temp.refused(pg_temp.command(1, 'SET LOCAL enable_seqscan = off; EXECUTE ' || quote_literal('EXPLAIN (ANALYZE) ' || sql)), '42501', 'nor counts rows: ' || sql) FROM direct;
SELECT pg_temp.refused(pg_temp.command(1, 'PERFORM * FROM attack.search_messages(''ours''); ' || replace(sql, 'SELECT', 'PERFORM')), '42501', 'nor once somebody has searched: ' || sql) FROM direct;
SELECT pg_temp.refused(pg_temp.attack(2, sql), '42501', 'nor those whose it is: ' || sql) FROM direct;

-- An error amid a search leaves nothing open, and what is counted is counted again
SET ROLE regress_owner;
CREATE FUNCTION attack.fail() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'failed'; END $$;
CREATE POLICY fail ON attack.messages AS RESTRICTIVE USING (attack.fail());
RESET ROLE;
SELECT pg_temp.refused(pg_temp.command(1, format(
         'BEGIN PERFORM * FROM attack.search_messages(''ours''); EXCEPTION WHEN raise_exception THEN PERFORM count(*) FROM attack.notes; END;
          IF pg_stat_get_xact_numscans(''attack.notes''::regclass) = 0 THEN RAISE EXCEPTION ''not counted''; END IF; %s',
         replace(sql, 'SELECT', 'PERFORM'))), '42501', 'nor after an error: ' || sql) FROM direct WHERE sql ~ '^SELECT forge';
SET ROLE regress_owner;
DROP POLICY fail ON attack.messages;
RESET ROLE;

-- A configuration of the attacker's own could fail on words of its choice
SELECT pg_temp.refused(pg_temp.command(1, 'CREATE TEXT SEARCH CONFIGURATION pg_temp.mine (COPY = simple);
         PERFORM forge_comm.search_vector(''pg_temp.mine'', body) FROM attack.messages'), '42501', 'rows are parsed by no configuration of others');
SELECT is(pg_temp.command(1, 'PERFORM forge_comm.search_vector(''english'', body) FROM attack.messages'), '0 rows', 'only by trusted ones');

-- ------------------------------------------------- plans, statistics, counters

SELECT is(pg_temp.attack(1, 'EXPLAIN SELECT * FROM attack.search_messages(''canary'')'), pg_temp.attack(1, 'EXPLAIN SELECT * FROM attack.search_messages(''absent'')'),
          'a plan tells no word');
SELECT is(pg_temp.attack(1, replace('EXPLAIN ' || sql, 'canary', 'absent')), pg_temp.attack(1, 'EXPLAIN ' || sql), 'nor does one around the function: ' || sql) FROM direct;
SELECT is_empty($$SELECT a.attname FROM pg_attribute AS a LEFT JOIN pg_statistic AS s ON s.starelid = a.attrelid AND s.staattnum = a.attnum
                   WHERE a.attrelid = 'attack.messages_search_idx'::regclass AND s.starelid IS NOT NULL$$, 'no statistics are kept of the words');
SELECT is(pg_temp.attack(1, 'SELECT count(*) FROM pg_stats WHERE concat_ws('' '', most_common_vals, most_common_elems, histogram_bounds) ~ ''canary''', 'regress_owner'), '0',
          'that the owner could read');
CREATE FUNCTION evil.counted(rel regclass) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT pg_stat_get_xact_numscans(rel) + pg_stat_get_xact_tuples_returned(rel) + pg_stat_get_xact_tuples_fetched(rel)
         + pg_stat_get_xact_blocks_fetched(rel) + pg_stat_get_xact_blocks_hit(rel)
$$;
SELECT is(pg_temp.command(1, format($$
         DECLARE index bigint := evil.counted('attack.messages_search_idx'); messages bigint := evil.counted('attack.messages');
         BEGIN
           PERFORM count(*) FROM attack.search_messages(%L);
           IF (evil.counted('attack.messages_search_idx'), evil.counted('attack.messages')) <> (index, messages) THEN RAISE EXCEPTION 'counted'; END IF;
         END$$, q)), '0 rows', 'nor do counters tell what the index and the table were asked: ' || q) FROM queries;
-- --------------------------------------------------------------------- cursors

SELECT pg_temp.refused(pg_temp.attack(1, format('SELECT attack.search_messages(''ours'', before => %L)', cursor)), 'MC001', 'a cursor is not made up: ' || cursor)
  FROM unnest(ARRAY['', 's', 'sAAAA', 'm' || repeat('A', 24), repeat('s', 1000), 's' || repeat('_', 24), E's\u00e9']) AS cursor;
SELECT pg_temp.refused(pg_temp.attack(1, 'SELECT (SELECT count(*) FROM attack.search_messages(''ours'', before => overlay(s.cursor placing ''AA'' from 5 for 2)))
                                            FROM attack.search_messages(''ours'', "limit" => 1) AS s'), 'MC001', 'nor altered');

SELECT * FROM finish();
ROLLBACK;
