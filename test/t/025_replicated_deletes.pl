# A subscriber that has soft delete itself: what the publisher marked arrives
# marked, what it removed for good goes, and nothing is done twice. And a
# transaction that is prepared for two phases.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %node;
my $tables = q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE channels (id int PRIMARY KEY, name text);
	CREATE TABLE messages (id int PRIMARY KEY, channel int REFERENCES channels ON DELETE CASCADE);
	SELECT forge_comm.enable_soft_delete('channels', deletion_id => 'did');
	SELECT forge_comm.enable_soft_delete('messages', deletion_id => 'did');
};
for my $name (qw(publisher subscriber))
{
	$node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node{$name}->init(allows_streaming => 'logical');
	$node{$name}->append_conf('postgresql.conf', "max_prepared_transactions = 4\nsession_preload_libraries = 'forge_comm'");
	$node{$name}->start;
	$node{$name}->safe_psql('postgres', $tables);
}
my ($publisher, $subscriber) = @node{qw(publisher subscriber)};

$publisher->safe_psql('postgres', q{
	INSERT INTO channels VALUES (1, 'one'), (2, 'two'), (3, 'three');
	INSERT INTO messages SELECT i, 1 + i % 3 FROM generate_series(1, 30) AS i;
	CREATE PUBLICATION all_of_it FOR TABLE channels, messages;
});
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION all_of_it CONNECTION '$connstr' PUBLICATION all_of_it");
$subscriber->wait_for_subscription_sync($publisher, 'all_of_it');

# Both sides, all columns
my $rows = q{
	SELECT 'channel', id, deleted_at, did FROM channels
	UNION ALL SELECT 'message', id, deleted_at, did FROM messages ORDER BY 1, 2
};
sub same
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$publisher->wait_for_catchup('all_of_it');
	return is($subscriber->safe_psql('postgres', $rows), $publisher->safe_psql('postgres', $rows), $name);
}
my $live = 'SELECT (SELECT count(*) FROM active_channels), (SELECT count(*) FROM active_messages)';

same('what was there is there');
$publisher->safe_psql('postgres', 'DELETE FROM channels WHERE id = 1');
same('a soft delete, and what fell with it');
is($subscriber->safe_psql('postgres', $live), '2|20', '... are marked there');
$publisher->safe_psql('postgres', q{SELECT forge_comm.restore('channels', 1)});
same('a restore');
is($subscriber->safe_psql('postgres', $live), '3|30', '... is one there');

# What the subscriber has of its own does not fall with what arrives
$subscriber->safe_psql('postgres', 'INSERT INTO messages VALUES (100, 2)');
$publisher->safe_psql('postgres', 'DELETE FROM channels WHERE id = 2');
$publisher->wait_for_catchup('all_of_it');
is($subscriber->safe_psql('postgres', 'SELECT id FROM active_messages WHERE channel = 2'),
	'100', 'a row of the subscriber is left to the subscriber');
$subscriber->safe_psql('postgres', 'DELETE FROM messages WHERE id = 100');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM messages WHERE id = 100'),
	'1', '... whose own DELETE is soft');
$subscriber->safe_psql('postgres', 'SET forge_comm.allow_hard_delete = on; DELETE FROM messages WHERE id = 100');

$publisher->safe_psql('postgres', q{CALL forge_comm.purge('channels', '0')});
same('a purge');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM channels'), '2', '... is one there');
is($subscriber->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0}),
	'0', 'nothing was refused on the way');

# Two phases: the cascade is part of what is prepared
$publisher->safe_psql('postgres', q{
	BEGIN;
	DELETE FROM channels WHERE id = 3;
	PREPARE TRANSACTION 'fall';
});
is($publisher->safe_psql('postgres', $live), '2|20', 'prepared, not yet there');
$publisher->restart;
$publisher->safe_psql('postgres', q{COMMIT PREPARED 'fall'});
is($publisher->safe_psql('postgres', $live), '1|10', 'committed, whole');
same('and sent');

done_testing();
