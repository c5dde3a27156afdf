# A backfill works in batches that commit: interrupted half-way it keeps what
# it has, the application works all the while, and calling it again finishes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

my ($rows, $batch) = (5000, 100);

my $app = ForgeComm->new('backfill');
my $sql = $ForgeComm::seed =~ s/INSERT INTO messages.*//sr;
$app->owner($sql);
$app->owner(qq{
	INSERT INTO messages (channel_id, user_id, body)
	SELECT CASE i % 2 WHEN 0 THEN 1 ELSE 3 END, 3, 'old'
	FROM generate_series(1, $rows) i;
});
$app->admin("CREATE EXTENSION forge_comm; $ForgeComm::grant");
$app->owner(q{
	SELECT forge_comm.enable_tenancy('workspaces', workspace_column => 'id');
	SELECT forge_comm.enable_tenancy('memberships');
	SELECT forge_comm.enable_tenancy('channels');
	SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
});
$app->admin($ForgeComm::memberships);

my $half = $rows / 2;
my $backfill = "CALL forge_comm.backfill('messages', $batch)";
my $unfilled = 'SELECT count(*) FROM messages WHERE workspace_id IS NULL';
my $not_null = q{
	SELECT attnotnull FROM pg_attribute
	WHERE attrelid = 'messages'::regclass AND attname = 'workspace_id'
};
is($app->admin($unfilled), $rows, 'the column is there, and empty');

# Before any batch the rows are visible through their channel.
is($app->as(1, undef, 'SELECT count(*) FROM messages'),
	$half, 'unfilled rows are visible to their tenant');
is($app->as(2, undef, 'SELECT count(*) FROM messages WHERE channel_id = 1'),
	'0', 'and to no other');

# Inside a transaction it could not commit.
$app->refused("BEGIN; $backfill", '25001', 'refused in a transaction block');
$app->refused("CALL forge_comm.backfill('messages', 0)",
	'22023', 'a batch of no rows is refused');
is($app->admin($unfilled), $rows, 'nothing was done');

# Somebody holds a row in the middle, so the backfill stops there.
sub stop_half_way
{
	my ($row, $how) = @_;
	my $lock = $app->node->background_psql('app', on_error_stop => 0);
	$lock->query_safe("BEGIN; SELECT 1 FROM messages WHERE id = $row FOR UPDATE");

	my $before = $app->admin($unfilled);
	my $background = $app->background("backfill_$row", "$backfill;");
	$app->node->poll_query_until('app', q{
		SELECT count(*) = 1 FROM pg_stat_activity
		WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'})
	  or BAIL_OUT('the backfill does not come to the locked row');

	my $left = $app->admin($unfilled);
	cmp_ok($left, '<', $before, 'finished batches are committed');
	cmp_ok($left, '>', 0,       'while the rest is not');

	# Meanwhile the application works, on filled and on unfilled rows.
	my $visible = $app->as(1, undef, 'SELECT count(*) FROM messages');
	is($visible, $app->admin('SELECT count(*) FROM messages WHERE channel_id = 1'),
		'a tenant sees all of its rows');
	is($app->as(1, undef, 'SELECT count(*) FROM messages WHERE channel_id = 3'),
		'0', 'and none of the other');
	is( $app->as(1, undef, q{
			INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'new')
			RETURNING workspace_id}),
		'1', 'a row inserted meanwhile has its tenant');
	$app->refused_as(1, undef,
		"INSERT INTO messages (channel_id, user_id, body) VALUES (3, 1, 'new')",
		'23503', 'and a foreign one is refused');
	is( $app->as(1, undef, q{
			INSERT INTO messages (channel_id, user_id, body, parent_id)
			VALUES (1, 1, 'reply', 4996), (1, 1, 'reply', 2) RETURNING workspace_id}),
		"1\n1", 'so has a reply to a row not filled yet');
	$app->refused_as(1, undef,
		"INSERT INTO messages (channel_id, user_id, body, parent_id) VALUES (1, 1, 'x', 4999)",
		'23503', 'but not one to a foreign row not filled yet');
	is( $app->as(1, undef, q{
			UPDATE messages SET body = 'edited' WHERE id = 4998;
			\echo :ROW_COUNT
			UPDATE messages SET body = 'stolen' WHERE id = 4999;
			\echo :ROW_COUNT}),
		"1\n0", 'an unfilled row can be changed by its tenant only');

	$left = $app->admin($unfilled);
	is( $app->admin(qq{
			SELECT $how(pid) FROM pg_stat_activity
			WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'}),
		't', $how);
	my (undef, $stderr) = $app->finish($background);
	like($stderr, qr/(57014|57P01):/, 'the backfill ends there');
	like($stderr, qr/NOTICE: /, 'having told how far it came');
	$lock->query_safe('COMMIT');
	$lock->quit;

	is($app->admin($unfilled), $left, 'the finished batches stay');
	is($app->admin($not_null), 'f',   'and the column is not closed yet');
	return $left;
}
stop_half_way(1500, 'pg_cancel_backend');
my $left = stop_half_way(3500, 'pg_terminate_backend');

# To the end
my $finish = $app->background('finish', "$backfill;");
my ($stdout, $stderr) = $app->finish($finish);
my ($filled, $batches) = split /\|/, $stdout;
is($filled, $left, 'a second call does the rest and says so');
cmp_ok($batches, '>', $left / $batch / 2, 'in batches of about that size');
cmp_ok($batches, '<', $left / $batch * 2, 'and not row by row');
is(() = $stderr =~ /NOTICE: .*filled/g, $batches + 0, 'each with a notice');
unlike($stderr, qr/ERROR|WARNING/, 'and nothing else');

is($app->admin($unfilled), '0', 'no row is left');
is($app->admin($not_null), 't', 'the column is NOT NULL');
is( $app->admin(q{
		SELECT count(*) FROM pg_index i JOIN pg_attribute a
			ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = 'messages'::regclass AND a.attname = 'workspace_id' AND i.indisvalid}),
	'1', 'and leads an index');
is( $app->admin(q{
		SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id
		WHERE m.workspace_id IS DISTINCT FROM c.workspace_id}),
	'0', 'every row is in the workspace of its channel');
is($app->admin(q{SELECT count(*) FROM messages WHERE body IN ('old', 'edited')}),
	$rows, 'no row was lost');
is($app->admin(q{SELECT count(*) FROM messages WHERE body = 'stolen'}), '0', 'or stolen');
is($app->owner("$backfill;"), '0|0', 'once more has nothing to do');
is($app->as(1, undef, 'SELECT count(*) FROM messages'),
	$app->admin('SELECT count(*) FROM messages WHERE channel_id = 1'),
	'and each tenant sees its own');

done_testing();
