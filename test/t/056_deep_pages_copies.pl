# Fences in copies of a database: a dump, the data alone, a subscription. What
# is copied is either right or not relied on, and nothing is counted twice.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('original');
$node->init(allows_streaming => 'logical');
$node->start;
my $copies = PostgreSQL::Test::Cluster->new('copies');
$copies->init(allows_streaming => 'logical');
$copies->start;

my $tables = q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE messages (
		id int PRIMARY KEY, channel_id int NOT NULL, created_at timestamptz NOT NULL, deleted_at timestamptz);
	SELECT forge_comm.enable_messages('messages', deleted_at => 'deleted_at');
	SELECT forge_comm.enable_deep_pages('messages', 160);
};
my $fill = q{
	INSERT INTO messages
	SELECT i, 1, timestamptz '2024-01-01Z' + i / 3 * interval '1 minute', CASE WHEN i % 9 = 0 THEN now() END
	FROM generate_series(1, 3000) AS i;
};
my $maintain = q{CALL forge_comm.maintain_deep_pages();};

# Noted, and not yet folded
my $write = q{
	INSERT INTO messages SELECT 10000 + id, 1, created_at FROM messages WHERE id % 50 = 0;
	UPDATE messages SET deleted_at = now() WHERE id % 70 = 0;
	DELETE FROM messages WHERE id % 90 = 1;
};

# "wrong pages | found by fences"
sub pages
{
	my ($where, $db) = @_;
	return $where->safe_psql($db, q{
		SELECT count(*) FILTER (WHERE g.ids <> p.ids), bool_or(forge_comm.page_rest('messages', 1, page, 20) < 2)
		FROM generate_series(26, 130) AS page
		CROSS JOIN LATERAL (SELECT ARRAY(SELECT id FROM get_messages(1, page, 20)) AS ids) AS g
		CROSS JOIN LATERAL (SELECT ARRAY(SELECT id FROM messages WHERE deleted_at IS NULL
										 ORDER BY created_at DESC, id DESC LIMIT 20 OFFSET (page - 1) * 20) AS ids) AS p});
}

$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', $tables);
$node->safe_psql('app', $fill);
is(pages($node, 'app'), '0|f', 'before maintenance there is no shortcut');
$node->safe_psql('app', $maintain);
$node->safe_psql('app', $write);
is(pages($node, 'app'), '0|t', 'the original');

# ---------------------------------------------------------------------- a dump

my $dir = PostgreSQL::Test::Utils::tempdir;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/all", '-d', $node->connstr('app') ], 'dumped');
$copies->safe_psql('postgres', 'CREATE DATABASE restored');
$copies->command_ok([ 'pg_restore', '-e', '-j', 2, '-d', $copies->connstr('restored'), "$dir/all" ], 'restored');
is(pages($copies, 'restored'), '0|f', 'what is restored is not relied on');
$copies->safe_psql('restored', $write =~ s/10000/20000/r);
is(pages($copies, 'restored'), '0|f', 'when it is written to, neither');
$copies->safe_psql('restored', $maintain);
is(pages($copies, 'restored'), '0|t', 'after maintenance it is right');
is($copies->safe_psql('restored', q{SELECT tgenabled FROM pg_trigger WHERE tgname IN ('forge_comm_deep_pages', 'forge_comm_fences') GROUP BY 1}),
	'A', 'the triggers are enabled ALWAYS, as before');

# ---------------------------------------------------------------- data alone

# Into tables that have fences of their own, which stay: messages are noted one
# by one, the fences that come along are passed over
$node->command_ok([ 'pg_dump', '-a', '-f', "$dir/data", '-d', $node->connstr('app') ], 'data dumped');
$copies->safe_psql('postgres', 'CREATE DATABASE filled');
$copies->safe_psql('filled', $tables);
$copies->safe_psql('filled', $fill);
$copies->safe_psql('filled', $maintain);
$copies->safe_psql('filled', 'DELETE FROM messages');
my $fences = 'SELECT count(*), sum(n), sum(hashtext(f::text)) FROM messages_fences AS f';
my $before = $copies->safe_psql('filled', $fences);
$copies->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data", '-d', $copies->connstr('filled') ], 'data restored');
is($copies->safe_psql('filled', $fences), $before, 'no fence came along');
is(pages($copies, 'filled'), '0|t', 'and the pages are right, by fences');
$copies->safe_psql('filled', $maintain);
is(pages($copies, 'filled'), '0|t', 'also when folded');

# The same past all triggers: nobody relies on fences that saw nothing of it
$copies->safe_psql('filled', 'DELETE FROM messages');
$node->command_ok([ 'pg_dump', '-a', '--disable-triggers', '-t', 'messages', '-f', "$dir/past", '-d', $node->connstr('app') ], 'dumped once more');
$copies->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/past", '-d', $copies->connstr('filled') ], 'restored past triggers');
is(pages($copies, 'filled'), '0|f', 'what came past the trigger is not counted on');
# --disable-triggers enables them for the origin only: maintenance says so
my ($code, $out, $err) = $copies->psql('filled', $maintain);
like($err, qr/is not enabled ALWAYS/, 'until it is enabled as it was');
$copies->safe_psql('filled', 'ALTER TABLE messages ENABLE ALWAYS TRIGGER forge_comm_deep_pages');
$copies->safe_psql('filled', $maintain);
is(pages($copies, 'filled'), '0|t', 'then it is right');

# --------------------------------------------------------------- a subscription

# Of all tables, fences included, into a database that keeps its own
$node->safe_psql('app', 'CREATE PUBLICATION everything FOR ALL TABLES');
$copies->safe_psql('postgres', 'CREATE DATABASE subscriber');
$copies->safe_psql('subscriber', $tables);
$copies->safe_psql('subscriber', "CREATE SUBSCRIPTION s CONNECTION 'host=" . $node->host . ' port=' . $node->port . " dbname=app' PUBLICATION everything");
$copies->wait_for_subscription_sync($node, 's', 'subscriber');
is($copies->safe_psql('subscriber', 'SELECT count(*) FROM messages_fences'), 0, 'fences are not received');
$copies->safe_psql('subscriber', $maintain);
is(pages($copies, 'subscriber'), '0|t', 'the subscriber has its own');
$node->safe_psql('app', $write =~ s/10000/30000/r);
$node->wait_for_catchup('s');
is(pages($copies, 'subscriber'), '0|t', 'what it receives is noted');
$node->safe_psql('app', $maintain);
$node->wait_for_catchup('s');
is(pages($copies, 'subscriber'), '0|t', 'the publisher\'s maintenance changes nothing there');
$copies->safe_psql('subscriber', $maintain);
is(pages($copies, 'subscriber'), '0|t', 'nor does its own');
is($node->safe_psql('app', 'SELECT count(*), sum(hashtext(m::text)) FROM messages AS m'),
	$copies->safe_psql('subscriber', 'SELECT count(*), sum(hashtext(m::text)) FROM messages AS m'), 'and all arrived');

$copies->safe_psql('subscriber', 'DROP SUBSCRIPTION s');
$copies->stop;
$node->stop;
done_testing();
