# Deep pages are what OFFSET gives, to the row, whoever looks and whatever the
# others do: writers of every kind (backdated, moving, deleting, restoring,
# purging, rolling back, prepared, with old snapshots), two maintenances at once
# that are killed now and then, and somebody who switches the trigger off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $seconds = 20;

my $node = PostgreSQL::Test::Cluster->new('deep_pages');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nautovacuum_naptime = 1s\n"
	  . "log_statement = none\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE messages (
		id bigserial PRIMARY KEY, channel_id int NOT NULL, body text,
		created_at timestamptz NOT NULL DEFAULT clock_timestamp(), deleted_at timestamptz);
	-- times that many share, and neighbours
	INSERT INTO messages (channel_id, created_at, deleted_at)
	SELECT 1 + i % 3, now() - interval '1 day' + i / 20 * interval '1 second' + i % 3 * interval '1 microsecond',
		   CASE WHEN i % 10 = 0 THEN now() END
	FROM generate_series(1, 12000) AS i;
	SELECT forge_comm.enable_messages('messages', deleted_at => 'deleted_at');
	SELECT forge_comm.enable_deep_pages('messages', 160);
	CREATE SEQUENCE checks;
	CREATE SEQUENCE found;

	-- Some place in what there is
	CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql AS $$
		SELECT now() - interval '1 day' + random() ^ 2 * 700 * interval '1 second' $$;
	CREATE FUNCTION some_ids(n int) RETURNS SETOF bigint LANGUAGE sql AS $$
		SELECT (1 + random() * (SELECT last_value FROM messages_id_seq))::bigint FROM generate_series(1, n) $$;

	-- Pages here and there against OFFSET, in one snapshot
	CREATE FUNCTION check_pages(who text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		place record;
	BEGIN
		FOR place IN
			SELECT p.*, get.ids AS got, plain.ids AS wanted, forge_comm.page_rest('messages', c, page, per_page) < 2 AS found
			FROM (SELECT 1 + i % 3 AS c, (1 + random() * 300)::int AS page, (5 + random() * 30)::int AS per_page
				  FROM generate_series(1, 12) AS i) AS p,
				 LATERAL (SELECT ARRAY(SELECT id FROM get_messages(c, page, per_page)) AS ids) AS get,
				 LATERAL (SELECT ARRAY(
					 SELECT id FROM messages WHERE channel_id = c AND deleted_at IS NULL
					 ORDER BY created_at DESC, id DESC LIMIT per_page OFFSET (page - 1) * per_page) AS ids) AS plain
		LOOP
			PERFORM nextval('checks');
			IF place.found THEN
				PERFORM nextval('found');
			END IF;
			IF place.got <> place.wanted THEN
				RAISE EXCEPTION 'WRONG PAGE for %: %', who, place;
			END IF;
		END LOOP;
	END $$;
});

my $dir = PostgreSQL::Test::Utils::tempdir;
my @running;
my $connection = $node->connstr('postgres');

# Run a script over and over, in some sessions at once
sub start
{
	my ($name, $clients, $sql) = @_;
	my ($out, $err) = ('', '');

	append_to_file("$dir/$name", $sql);
	my $handle = IPC::Run::start([ 'pgbench', '-n', '-T', $seconds, '-c', $clients, '-f', "$dir/$name", $connection ],
		'>', \$out, '2>', \$err);
	push @running, { name => $name, handle => $handle, out => \$out, err => \$err };
}

# Newest messages, and what happens to them at once
start('newest', 1, q{
	INSERT INTO messages (channel_id) SELECT 1 + i % 3 FROM generate_series(1, 20) AS i;
	UPDATE messages SET deleted_at = now() WHERE id = (SELECT max(id) FROM messages);
	\sleep 20 ms
});
# Backdated, in parts that come to nothing
start('backdated', 2, q{
	BEGIN;
	SELECT check_pages('an old writer');
	INSERT INTO messages (channel_id, created_at) SELECT 1 + i % 3, moment() FROM generate_series(1, 5) AS i;
	SELECT check_pages('a writer');
	SAVEPOINT a;
	DELETE FROM messages WHERE id IN (SELECT some_ids(20));
	SELECT check_pages('a writer in a subtransaction');
	ROLLBACK TO a;
	SELECT check_pages('a writer after one');
	\sleep 30 ms
	UPDATE messages SET channel_id = 1 + (channel_id + id) % 3 WHERE id IN (SELECT some_ids(5));
	SELECT check_pages('a writer in the end');
	COMMIT;
});
# The lock is taken in a part that is undone, and time goes by
start('undone', 2, q{
	BEGIN;
	SAVEPOINT a;
	DELETE FROM messages WHERE id IN (SELECT some_ids(3));
	INSERT INTO messages (channel_id, created_at) SELECT 1 + i % 3, moment() FROM generate_series(1, 3) AS i;
	ROLLBACK TO a;
	\sleep 200 ms
	INSERT INTO messages (channel_id, created_at) SELECT 1 + i % 3, clock_timestamp() - interval '100 ms' FROM generate_series(1, 3) AS i;
	\sleep 100 ms
	COMMIT;
});
# Old snapshots that write late; some fail, as they should
start('repeatable', 2, q{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT check_pages('an old snapshot');
	\sleep 200 ms
	SELECT check_pages('an older snapshot');
	UPDATE messages SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END WHERE id IN (SELECT some_ids(1));
	INSERT INTO messages (channel_id, created_at) VALUES (1, moment());
	SELECT check_pages('an old snapshot that wrote');
	COMMIT;
});
start('serializable', 1, q{
	BEGIN ISOLATION LEVEL SERIALIZABLE;
	SELECT check_pages('serializable');
	INSERT INTO messages (channel_id, created_at) VALUES (2, moment());
	SELECT check_pages('serializable, written');
	COMMIT;
	\sleep 50 ms
});
# Soft delete, restore, purge; what is rolled back as a whole
start('delete', 1, q{
	BEGIN;
	UPDATE messages SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END WHERE id IN (SELECT some_ids(20));
	DELETE FROM messages WHERE id IN (SELECT some_ids(5));
	UPDATE messages SET created_at = moment() WHERE id IN (SELECT some_ids(5));
	\set commit random(0, 1)
	\if :commit
	COMMIT;
	\else
	ROLLBACK;
	\endif
	\sleep 10 ms
});
start('prepared', 2, q{
	BEGIN;
	INSERT INTO messages (channel_id, created_at) VALUES (3, moment());
	DELETE FROM messages WHERE id IN (SELECT some_ids(3));
	PREPARE TRANSACTION 'p:client_id';
	\sleep 50 ms
	\set commit random(0, 1)
	\if :commit
	COMMIT PREPARED 'p:client_id';
	\else
	ROLLBACK PREPARED 'p:client_id';
	\endif
	\sleep 100 ms
});
start('reader', 1, q{
	SELECT check_pages('a reader');
});
# While the trigger is off, nobody relies on what it notes
start('disabled', 1, q{
	BEGIN;
	ALTER TABLE messages DISABLE TRIGGER forge_comm_deep_pages;
	DELETE FROM messages WHERE id IN (SELECT some_ids(5));
	SELECT check_pages('without the trigger');
	ALTER TABLE messages ENABLE ALWAYS TRIGGER forge_comm_deep_pages;
	SELECT check_pages('with the trigger back');
	COMMIT;
	\sleep 3000 ms
});

# Maintenance, twice at a time, and killed at any moment
my ($calls, $killed) = (0, 0);
my @maintenance = map {
	my ($out, $err) = ('', '');
	my $start = sub {
		$calls++;
		return IPC::Run::start([ 'psql', '-Xq', '-d', $connection, '-c', 'CALL forge_comm.maintain_deep_pages()' ],
			'>', \$out, '2>', \$err);
	};
	{ start => $start, handle => $start->(), err => \$err };
} 1 .. 2;
my $until = time + $seconds;
while (time < $until)
{
	sleep 0.05;
	if (rand() < 0.1)
	{
		my $n = $node->safe_psql('postgres', q{
			SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE query ~ '^CALL' AND random() < 0.5});
		$killed += $n;
	}
	foreach my $one (@maintenance)
	{
		next if $one->{handle}->pumpable && eval { $one->{handle}->pump_nb; $one->{handle}->pumpable };
		IPC::Run::finish($one->{handle});
		$one->{handle} = $one->{start}->();
	}
}
IPC::Run::finish($_->{handle}) foreach @maintenance;
foreach my $one (@running)
{
	IPC::Run::finish($one->{handle});
	my ($done) = ${ $one->{out} } =~ /actually processed: (\d+)/;
	cmp_ok($done // 0, '>', 0, "$one->{name} did something");
	unlike(${ $one->{err} }, qr/WRONG|PANIC|ERROR:  (?!could not serialize|deadlock)/, "$one->{name} found nothing wrong");
	note("$one->{name}: " . ($done // 0));
}
my $problems = join '', map { ${ $_->{err} } } @maintenance;
unlike($problems, qr/ERROR/, 'maintenance went well, unless killed');
note("maintenance: $calls, killed $killed");

my ($checks, $found) = split /\|/, $node->safe_psql('postgres', 'SELECT c.last_value, f.last_value FROM checks AS c, found AS f');
note("$checks pages checked, $found of them found by fences");
cmp_ok($found, '>', $checks / 10, 'many pages are found by fences');

# In the end all is folded and right
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'p0'}) if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'p0'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'p1'}) if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'p1'});
$node->safe_psql('postgres', 'CALL forge_comm.maintain_deep_pages()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM messages_fence_changes'), 0, 'nothing is left to be folded');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM messages_fences AS f
	CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM messages AS m
		CROSS JOIN LATERAL (SELECT (extract(epoch FROM m.created_at - timestamptz '2000-01-01Z') * 1000000)::bigint AS at) AS t
		LEFT JOIN LATERAL (SELECT b.at, b.id FROM messages_fences AS b
						   WHERE b.channel_id = f.channel_id AND b.level = f.level AND (b.at, b.id) < (f.at, f.id)
						   ORDER BY b.at DESC, b.id DESC LIMIT 1) AS below ON true
		WHERE m.channel_id = f.channel_id AND m.deleted_at IS NULL AND (t.at, m.id) <= (f.at, f.id)
		  AND (below.at IS NULL OR (t.at, m.id) > (below.at, below.id))) AS counted
	WHERE f.level < 2 AND f.n <> counted.n}), 0, 'every fence has its number of messages');
$node->safe_psql('postgres', q{SELECT check_pages('in the end') FROM generate_series(1, 50)});

$node->stop;
done_testing();
