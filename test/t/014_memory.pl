# A session lives long and serves many: neither contexts nor guarded writes nor
# tables that come and go leave anything behind in its memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

# A leak of a few bytes each time shows in megabytes
my $rounds = 100000;
my $tables = 1000;

my $app = ForgeComm->new('memory');
$app->owner($ForgeComm::seed);

# Dave (4) is in many workspaces
$app->owner(q{
	INSERT INTO users (email) VALUES ('dave');
	INSERT INTO workspaces (name, slug) SELECT 'many', 'many ' || i FROM generate_series(1, 200) AS i;
	INSERT INTO memberships (user_id, workspace_id) SELECT 4, id FROM workspaces;
});
$app->onboard;
$app->admin(q{
	GRANT EXECUTE ON FUNCTION forge_comm.set_service_context TO app_owner;
	GRANT pg_read_all_stats TO app_owner;
});

# One transaction after the other in the context of this or that user, each with
# a write of every kind, or something that is refused; all in one session, which
# tells how much memory it has at the end.
$app->owner(q{
	CREATE FUNCTION attempt(command text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE command;
		RAISE EXCEPTION 'it was not refused: %', command;
	EXCEPTION WHEN insufficient_privilege OR foreign_key_violation OR not_null_violation THEN
	END $$;

	CREATE FUNCTION refused(i integer) RETURNS void LANGUAGE sql AS $$
	SELECT attempt((ARRAY[
		'INSERT INTO messages (channel_id, user_id, body) VALUES (3, 1, $x$x$x$)',
		'INSERT INTO messages (channel_id, user_id, body) VALUES (NULL, 1, $x$x$x$)',
		'UPDATE messages SET workspace_id = 2 WHERE id = 1',
		'UPDATE messages SET parent_id = 4 WHERE id = 2',
		'SELECT forge_comm.set_context(2)',
		'SELECT forge_comm.set_context(1, 2)',
		'SELECT forge_comm.pin_workspace(2)',
		'RESET forge_comm.context; SELECT count(*) FROM messages'])[1 + i % 8])
	$$;

	CREATE PROCEDURE one_round(i integer) LANGUAGE plpgsql AS $$
	DECLARE
		message integer;
	BEGIN
		PERFORM forge_comm.set_context(1 + i % 4, CASE WHEN i % 3 = 0 THEN 1 + (i % 4) % 2 END);
		COMMIT;
		PERFORM forge_comm.set_context(1, CASE WHEN i % 2 = 0 THEN 1 END);
		CASE i % 4
		WHEN 0 THEN
			INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'a') RETURNING id INTO message;
			INSERT INTO reactions (message_id, user_id, emoji) VALUES (message, 1, 'a');
		WHEN 1 THEN
			UPDATE messages SET body = 'b' || i WHERE id = 3;
		WHEN 2 THEN
			DELETE FROM messages WHERE id = 2;
			PERFORM forge_comm.restore('messages', 2);
		ELSE
			PERFORM refused(i / 4);
		END CASE;
		COMMIT;
		IF i % 50 = 0 THEN
			PERFORM forge_comm.set_context(3, NULL, false);
			COMMIT;
			RESET forge_comm.context;
			COMMIT;
			PERFORM forge_comm.set_service_context('memory');
			PERFORM count(*) FROM messages WHERE id = 1;
			COMMIT;
		END IF;
	END $$;

	-- The same tables, guarded and not: PostgreSQL itself keeps something of
	-- every table that a session has had to do with.
	CREATE PROCEDURE one_table(guarded boolean) LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TABLE passing (id integer, channel_id integer REFERENCES channels, name text,
							  workspace_id integer, created_at timestamptz, updated_at timestamptz,
							  deleted_at timestamptz);
		IF guarded THEN
			PERFORM forge_comm.enable_tenancy('passing', via => 'channel_id');
			PERFORM forge_comm.enable_timestamps('passing');
			PERFORM forge_comm.enable_soft_delete('passing');
		ELSE
			CREATE INDEX ON passing (workspace_id);
			CREATE VIEW active_passing AS SELECT * FROM passing;
		END IF;
		COMMIT;
		PERFORM forge_comm.set_context(1, 1);
		EXECUTE 'INSERT INTO passing (id, channel_id) VALUES (1, 1)';
		EXECUTE 'UPDATE passing SET name = ''x''';
		EXECUTE 'DELETE FROM passing';
		IF guarded THEN
			PERFORM attempt('INSERT INTO passing (id, channel_id) VALUES (1, 3)');
			PERFORM attempt('UPDATE passing SET workspace_id = 2');
		END IF;
		COMMIT;
		DROP TABLE passing CASCADE;
		COMMIT;
	END $$;

	-- Called for the rows of a statement one after the other, it notes how much
	-- memory is used at two of them. Triggers yet to fire rightly take some.
	CREATE FUNCTION tick(i integer) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		IF i IN (10000, 60000) THEN
			PERFORM set_config('memory.at_' || i, sum(used_bytes)::text, false)
			FROM pg_backend_memory_contexts WHERE name NOT LIKE 'AfterTrigger%';
		END IF;
		RETURN true;
	END $$;
});

# What a session says of its memory: in all contexts, in ours, and what it has
# from the system for itself alone, in bytes.
my $measure = q{
	SELECT sum(used_bytes) AS used, sum(total_bytes) FILTER (WHERE name LIKE 'forge_comm %') AS ours,
		   pg_backend_pid() AS pid
	FROM pg_backend_memory_contexts \gset
	\set system `sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' /proc/:pid/status`
	\echo :used :ours :system
};

# Does something a few times to warm up, then many times, in one session; how
# much memory of each kind it has more than after the warm-up.
sub growth
{
	my ($call, $warm_up, $times) = @_;
	my $loop = sub { "DO \$\$ BEGIN FOR i IN 1..$_[0] LOOP CALL $call; END LOOP; END \$\$;\n$measure" };
	my ($before, $after) = map { [split] } split /\n/,
	  $app->owner('SET client_min_messages = error;' . $loop->($warm_up) . $loop->($times));
	my @grown = map { $after->[$_] - $before->[$_] } 0 .. 2;

	note("$times times $call: used $before->[0] and $grown[0], ours $before->[1] and $grown[1],"
		  . " system $before->[2] and $grown[2] kB");
	return { used => $grown[0], ours => $grown[1], system => 1024 * $grown[2] };
}

# Contexts and writes
my $grown = growth('one_round(i)', 5000, $rounds);
cmp_ok($grown->{ours}, '<=', 0, "$rounds contexts and writes: no memory of ours");
cmp_ok($grown->{used}, '<', $rounds, '... nor any that we have from PostgreSQL');
cmp_ok($grown->{system}, '<', 10 * $rounds, '... nor from malloc');

# Tables
my $plain = growth('one_table(false)', 100, $tables);
$grown = growth('one_table(true)', 100, $tables);
cmp_ok($grown->{ours}, '<=', 0, "$tables guarded tables made and dropped: no memory of ours");
cmp_ok($grown->{used} - $plain->{used}, '<', 500 * $tables, '... and no more than as many others');

# Many rows in one statement, compared with what PostgreSQL needs for as many
# rows of a table like it, with a trigger of its own. There, the soft delete is
# the update that it becomes.
sub growth_within
{
	return $app->owner(qq{
		SET client_min_messages = error;
		SELECT forge_comm.set_context(1, 1, false) \\g /dev/null
		$_[0];
		SELECT current_setting('memory.at_60000')::bigint - current_setting('memory.at_10000')::bigint;
	});
}
my $insert = q{INSERT INTO %s (id, channel_id, user_id, body, workspace_id)
	SELECT 1000000 + i, 1, 1, 'x', 1 FROM generate_series(1, 60000) AS i WHERE tick(i)};
my $update = q{UPDATE %s SET %s WHERE id > 1000000 AND tick(id - 1000000)};
my $delete = q{DELETE FROM messages WHERE id > 1000000 AND tick(id - 1000000)};

$app->owner(q{
	CREATE TABLE plain (LIKE messages INCLUDING ALL);
	CREATE TRIGGER changed BEFORE UPDATE ON plain
	FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
});
for (
	[ 'an INSERT', sprintf($insert, 'messages'), sprintf($insert, 'plain') ],
	[ 'an UPDATE', sprintf($update, 'messages', q{body = 'y'}), sprintf($update, 'plain', q{body = 'y'}) ],
	[ 'a DELETE',  $delete, sprintf($update, 'plain', 'deleted_at = now()') ])
{
	my ($what, $sql, $baseline) = @$_;
	my ($guarded, $not) = map { growth_within($_) } $sql, $baseline;

	note("$what: $guarded, $not in the other table");
	cmp_ok($guarded - $not, '<', 50000, "$what of many rows needs no more memory than one of few");
}

done_testing();
