# A subscriber that gets the log along with the tables: lines arrive as they
# were told, what arrives leaves no lines of its own, and the story, the seals
# and the protection of the log are there as well.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %node;
for my $name (qw(publisher subscriber))
{
	$node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node{$name}->init(allows_streaming => 'logical');
	$node{$name}->append_conf('postgresql.conf', "session_preload_libraries = 'forge_comm'");
	$node{$name}->start;
}
my ($publisher, $subscriber) = @node{qw(publisher subscriber)};

$publisher->safe_psql('postgres', q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE channels (id int PRIMARY KEY, name text);
	CREATE TABLE messages (id int PRIMARY KEY, channel int REFERENCES channels ON DELETE CASCADE, body text);
	SELECT forge_comm.enable_soft_delete('channels', deletion_id => 'did');
	SELECT forge_comm.enable_soft_delete('messages', deletion_id => 'did');
	SELECT forge_comm.enable_history('channels'), forge_comm.enable_history('messages');
	INSERT INTO channels VALUES (1, 'one'), (2, 'two');
	INSERT INTO messages VALUES (10, 1, 'ten'), (20, 2, 'twenty');
	CREATE PUBLICATION all_of_it FOR TABLE channels, messages, audit_log, audit_log_seals WITH (publish_via_partition_root = true);
});

# The schema is the publisher's, so that tables have the same ids in the log
my $dump = PostgreSQL::Test::Utils::tempdir . '/schema.sql';
$publisher->command_ok([ 'pg_dump', '--schema-only', '--no-publications', '-f', $dump, '-d', $publisher->connstr('postgres') ], 'a dump of the schema');
$subscriber->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $subscriber->connstr('postgres') ], '... restored');
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION all_of_it CONNECTION '$connstr' PUBLICATION all_of_it");
$subscriber->wait_for_subscription_sync($publisher, 'all_of_it');

my $lines = q{SELECT * FROM audit_log ORDER BY id};
sub same
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$publisher->wait_for_catchup('all_of_it');
	my $here = $publisher->safe_psql('postgres', $sql);
	isnt($here, '', "$name: there is something");
	return is($subscriber->safe_psql('postgres', $sql), $here, $name);
}

same($lines, 'what was told before');
$publisher->safe_psql('postgres', q{
	UPDATE messages SET body = 'changed' WHERE id = 10;
	DELETE FROM channels WHERE id = 1;
	SELECT forge_comm.restore('channels', 1);
	DELETE FROM channels WHERE id = 2;
});
$publisher->safe_psql('postgres', q{CALL forge_comm.purge('channels', '0')});
same($lines, 'what is told now, once');
same(q{SELECT action, old, new, deletion_id FROM forge_comm.history_of('messages', 10)}, 'the story of a row');
same(q{SELECT * FROM forge_comm.row_at(NULL::messages, 20, (SELECT max(changed_at) FROM audit_log WHERE action = 'INSERT'))},
	'a row that is gone');

$publisher->safe_psql('postgres', q{SELECT forge_comm.seal_history('audit_log')});
same(q{SELECT seals, lines, bad_seal, problem FROM forge_comm.verify_history('audit_log')}, 'the seals');

# Nobody changes a line there either
for my $statement ('UPDATE audit_log SET action = \'INSERT\'', 'DELETE FROM audit_log', 'TRUNCATE audit_log')
{
	my (undef, undef, $stderr) = $subscriber->psql('postgres', "SET session_replication_role = replica; $statement", on_error_stop => 0);
	like($stderr, qr/can be neither changed nor removed/, "refused: $statement");
}
is($subscriber->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count + sync_error_count > 0}),
	'0', 'nothing was refused on the way');

done_testing();
