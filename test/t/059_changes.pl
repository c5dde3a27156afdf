# Clients that keep a copy by get_changes(), while many write at once: each is
# told everything that was committed, once, in an order that makes sense, and
# ends with what is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('changes');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "log_statement = none\ndeadlock_timeout = 100ms\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION forge_comm;
	SELECT forge_comm.create_chat_schema('chat');
	CREATE ROLE app LOGIN;
	SELECT forge_comm.grant_app('app');
	GRANT USAGE ON SCHEMA chat TO app;
	GRANT SELECT ON ALL TABLES IN SCHEMA chat TO app;
	SET search_path = chat;
	INSERT INTO users (email, display_name) SELECT i || '@acme.example', 'User ' || i FROM generate_series(1, 3) AS i;
	INSERT INTO workspaces (name, slug) VALUES ('Acme', 'acme'), ('Bolt', 'bolt');
	INSERT INTO memberships (workspace_id, user_id) VALUES (1, 1), (1, 2), (2, 2), (2, 3);
	-- Channels 1 and 2 are public, 3 is private, 4 now and then; 5 is elsewhere
	INSERT INTO channels (workspace_id, name, is_private)
	VALUES (1, 'general', false), (1, 'random', false), (1, 'secret', true), (1, 'door', false), (2, 'general', false);
	INSERT INTO channel_memberships (channel_id, user_id) VALUES (3, 1), (4, 1), (4, 2);
	INSERT INTO messages (channel_id, user_id, body) SELECT 1 + i % 5, 1, 'at first' FROM generate_series(1, 40) AS i;

	-- What was done, in the transaction that did it: of one message in the
	-- order in which it happened, since whoever does it has locked the row.
	CREATE TABLE done (id bigint GENERATED ALWAYS AS IDENTITY, workspace_id bigint, kind text, message_id bigint);
	CREATE FUNCTION act() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		choice float := random();
		m record;
		made bigint;
	BEGIN
		IF choice < 0.45 THEN
			INSERT INTO chat.messages (channel_id, user_id, body)
			VALUES (1 + floor(random() * 5), 1, 'new') RETURNING id INTO made;
			INSERT INTO chat.done (workspace_id, kind, message_id)
			SELECT workspace_id, 'inserted', id FROM chat.messages WHERE id = made;
			RETURN;
		ELSIF choice < 0.48 THEN
			DELETE FROM chat.channel_memberships WHERE channel_id = 3 AND user_id = 2;
			IF NOT FOUND THEN
				INSERT INTO chat.channel_memberships (channel_id, user_id) VALUES (3, 2) ON CONFLICT DO NOTHING;
			END IF;
			RETURN;
		ELSIF choice < 0.5 THEN
			UPDATE chat.channels SET is_private = NOT is_private WHERE id = 4;
			RETURN;
		END IF;
		SELECT * INTO m FROM chat.messages ORDER BY random() LIMIT 1;
		SELECT * INTO m FROM chat.messages WHERE id = m.id FOR UPDATE;
		IF m.deleted_at IS NOT NULL THEN
			UPDATE chat.messages SET deleted_at = NULL WHERE id = m.id;
			INSERT INTO chat.done (workspace_id, kind, message_id) VALUES (m.workspace_id, 'restored', m.id);
		ELSIF choice < 0.8 THEN
			UPDATE chat.messages SET body = 'edited ' || md5(random()::text), edited_at = now() WHERE id = m.id;
			INSERT INTO chat.done (workspace_id, kind, message_id) VALUES (m.workspace_id, 'edited', m.id);
		ELSE
			UPDATE chat.messages SET deleted_at = now() WHERE id = m.id;
			INSERT INTO chat.done (workspace_id, kind, message_id) VALUES (m.workspace_id, 'deleted', m.id);
		END IF;
	END $$;
	-- Several acts, some of them in subtransactions, some of those undone
	CREATE FUNCTION work() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 1 + floor(random() * 4) LOOP
			IF random() < 0.5 THEN
				PERFORM chat.act();
			ELSE
				BEGIN
					PERFORM chat.act();
					IF random() < 0.4 THEN
						RAISE EXCEPTION USING ERRCODE = 'XX123';
					END IF;
				EXCEPTION WHEN SQLSTATE 'XX123' THEN
					NULL;
				END;
			END IF;
			PERFORM pg_sleep(random() * 0.01);
		END LOOP;
	END $$;

	CREATE TABLE finished (yes boolean);
	CREATE TABLE told (walker text, step bigint GENERATED ALWAYS AS IDENTITY, n int, kind text, message_id bigint, token text);
	CREATE TABLE copies (walker text, id bigint, channel_id bigint, body text, PRIMARY KEY (walker, id));
	CREATE TABLE places (walker text PRIMARY KEY, who bigint, "limit" int, token text);
	INSERT INTO places VALUES ('exact 1', 1, 1, NULL), ('exact 7', 2, 7, NULL), ('exact 500', 1, 500, NULL), ('exact repeatable', 2, 20, NULL),
		('copy 2', 2, 2, NULL), ('copy 500', 2, 500, NULL), ('copy of one', 1, 30, NULL), ('copy of three', 3, 30, NULL);
	GRANT ALL ON finished, told, copies, places TO app;

	-- Walks from one token to the next, a transaction each
	CREATE PROCEDURE walk(walker text, copying boolean) LANGUAGE plpgsql AS $$
	DECLARE
		place record;
		change record;
		over boolean;
		ended boolean := true;
		load bigint[];
	BEGIN
		LOOP
			-- A walk goes as far as was seen when it began
			IF ended THEN
				over := EXISTS (SELECT FROM chat.finished);
				COMMIT;
			END IF;
			SELECT * INTO place FROM chat.places AS p WHERE p.walker = walk.walker;
			PERFORM forge_comm.set_context(user_id => place.who);
			load := '{}';
			IF copying THEN
				IF place.token IS NULL THEN
					load := '{1,2,3,4,5}';
				END IF;
				FOR change IN SELECT * FROM chat.get_changes(place.token, place."limit") LOOP
					IF change.kind IN ('inserted', 'edited', 'restored') THEN
						INSERT INTO chat.copies AS c VALUES (walk.walker, change.message_id, change.channel_id, (change.message).body)
						ON CONFLICT ON CONSTRAINT copies_pkey DO UPDATE SET body = EXCLUDED.body;
					ELSIF change.kind = 'deleted' THEN
						DELETE FROM chat.copies AS c WHERE c.walker = walk.walker AND c.id = change.message_id;
					ELSIF change.kind IN ('joined', 'access_gained') THEN
						load := load || change.channel_id;
					ELSIF change.kind = 'access_lost' THEN
						DELETE FROM chat.copies AS c WHERE c.walker = walk.walker AND c.channel_id = change.channel_id;
						load := array_remove(load, change.channel_id);
					ELSIF change.kind NOT IN ('left', 'more', 'end') THEN
						RAISE EXCEPTION 'unexpected: %', change.kind;
					END IF;
				END LOOP;
				-- What is shown in the same snapshot, or a later one
				INSERT INTO chat.copies AS c
				SELECT walk.walker, m.id, m.channel_id, m.body FROM chat.messages AS m
				 WHERE m.channel_id = ANY (load) AND m.deleted_at IS NULL
				ON CONFLICT ON CONSTRAINT copies_pkey DO UPDATE SET body = EXCLUDED.body;
			ELSE
				FOR change IN SELECT * FROM forge_comm.read_changes('chat.messages', place.token, place."limit") LOOP
					INSERT INTO chat.told (walker, n, kind, message_id, token)
					VALUES (walk.walker, change.n, change.kind, change.message_id, change.token);
				END LOOP;
			END IF;
			UPDATE chat.places AS p SET token = change.token WHERE p.walker = walk.walker;
			COMMIT;
			ended := change.kind = 'end';
			EXIT WHEN over AND ended OR place.token IS NULL;
			IF ended THEN
				PERFORM pg_sleep(random() * 0.02);
			END IF;
		END LOOP;
	END $$;
});

sub start_walker
{
	my ($walker) = @_;
	my $copying = $walker =~ /^copy/ ? 'true' : 'false';
	local $ENV{PGOPTIONS} =
	  $walker =~ /repeatable/ ? '-c default_transaction_isolation=repeatable\ read' : '';
	my $out = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ' user=app',
			'-c', "CALL chat.walk('$walker', $copying)" ],
		'<', \undef, '>&', \$out);
	return [ $walker, $run, \$out ];
}

sub finish_walker
{
	my ($walker, $run, $out) = @{ $_[0] };
	ok($run->finish, "$walker went to the end") or diag($$out);
	return;
}

my @walkers = split /\n/, $node->safe_psql('postgres', 'SELECT walker FROM chat.places ORDER BY walker');
# Each gets its first token, or loads what is there, before anything happens
finish_walker(start_walker($_)) for @walkers;

# One transaction goes on for as long as all others together
my $slow = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{
		DO $$ BEGIN
			FOR i IN 1 .. 40 LOOP
				INSERT INTO chat.messages (channel_id, user_id, body) VALUES (1 + i % 2, 1, 'slow');
				INSERT INTO chat.done (workspace_id, kind, message_id) VALUES (1, 'inserted', currval('chat.messages_id_seq'));
				PERFORM pg_sleep(0.2);
			END LOOP;
		END $$
	} ], '<', \undef, '>', \my $slow_out, '2>', \my $slow_err);
my @running = map { start_walker($_) } @walkers;
my $script = PostgreSQL::Test::Utils::tempdir . '/work.sql';
append_to_file($script, <<'SQL');
\set undo random(1, 100)
BEGIN;
SELECT chat.work();
\if :undo <= 15
ROLLBACK;
\else
COMMIT;
\endif
SQL
$node->command_ok(
	[ 'pgbench', '-n', '-c', '6', '-j', '2', '-T', '9', '--max-tries=1000', '-f', $script, 'postgres' ],
	'many write');
ok($slow->finish, 'and one takes long') or diag($slow_err);
$node->safe_psql('postgres', 'INSERT INTO chat.finished VALUES (true)');
finish_walker($_) for @running;

note($node->safe_psql('postgres', 'SELECT kind, count(*) FROM chat.done GROUP BY 1 ORDER BY 1'));
note($node->safe_psql('postgres', 'SELECT walker, count(*), count(token) FROM chat.told GROUP BY 1 ORDER BY 1'));
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM chat.done'), '>', 500, 'enough has happened');

# What each may see at any time: the public channels of its workspaces
my $seen = q{
	CREATE TEMP VIEW seen AS
	SELECT p.walker, d.* FROM chat.places AS p
	  JOIN chat.memberships AS w ON w.user_id = p.who
	  JOIN chat.done AS d USING (workspace_id)
	  JOIN chat.messages AS m ON m.id = d.message_id AND m.channel_id IN (1, 2, 5)
	 WHERE p.walker LIKE 'exact%';
	CREATE TEMP VIEW heard AS
	SELECT t.* FROM chat.told AS t JOIN chat.messages AS m ON m.id = t.message_id AND m.channel_id IN (1, 2, 5)
	 WHERE t.kind IN ('inserted', 'edited', 'deleted', 'restored');
};
is( $node->safe_psql('postgres', qq{$seen
		SELECT 'missed', walker, kind, message_id, count(*) FROM
		(SELECT walker, kind, message_id FROM seen EXCEPT ALL SELECT walker, kind, message_id FROM heard) AS x GROUP BY 1, 2, 3, 4 LIMIT 20}),
	'', 'nothing was missed');
is( $node->safe_psql('postgres', qq{$seen
		SELECT 'too much', walker, kind, message_id, count(*) FROM
		(SELECT walker, kind, message_id FROM heard EXCEPT ALL SELECT walker, kind, message_id FROM seen) AS x GROUP BY 1, 2, 3, 4 LIMIT 20}),
	'', 'nothing was told twice, nor what was undone');
is( $node->safe_psql('postgres', qq{$seen
		SELECT walker, message_id, s.kinds, h.kinds FROM
		(SELECT walker, message_id, string_agg(kind, ' ' ORDER BY id) AS kinds FROM seen GROUP BY 1, 2) AS s
		FULL JOIN (SELECT walker, message_id, string_agg(kind, ' ' ORDER BY step) AS kinds FROM heard GROUP BY 1, 2) AS h
		USING (walker, message_id) WHERE s.kinds IS DISTINCT FROM h.kinds LIMIT 5}),
	'', 'of each message it was told in the order in which it happened');
is($node->safe_psql('postgres', q{SELECT walker, n FROM chat.told WHERE walker = 'exact 1' AND n > 2}),
	'', 'one at a time is one at a time');

# Copies are what their owners see
for my $walker (grep { /^copy/ } @walkers)
{
	my $who = $node->safe_psql('postgres', "SELECT who FROM chat.places WHERE walker = '$walker'");
	is( $node->safe_psql('postgres', qq{
			SET ROLE app;
			BEGIN;
			SELECT forge_comm.set_context(user_id => $who) \\g /dev/null
			SELECT coalesce(c.id, m.id), c.channel_id, c.body, m.channel_id, m.body
			  FROM (SELECT * FROM chat.copies WHERE walker = '$walker') AS c
			  FULL JOIN (SELECT * FROM chat.messages WHERE deleted_at IS NULL) AS m USING (id)
			 WHERE (c.channel_id, c.body) IS DISTINCT FROM (m.channel_id, m.body) LIMIT 5;
			COMMIT}),
		'', "$walker: the copy is what its owner sees");
}

done_testing();
