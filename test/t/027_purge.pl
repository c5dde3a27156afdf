# A purge commits as it goes: interrupted half-way it keeps what it has done,
# leaves no dangling key, and calling it again finishes. By a job with no more
# rights than it needs; the application works all the while.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

my $app = ForgeComm->new('purge');
$app->owner($ForgeComm::seed);
$app->onboard;
$app->admin(q{
	CREATE ROLE job LOGIN;
	SELECT forge_comm.grant_app('job'), forge_comm.grant_purge('job');
	GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO job;
	GRANT SELECT, DELETE ON channels, messages, reactions TO job;
});
$app->owner(q{
	SELECT forge_comm.enable_soft_delete('channels');
	ALTER TABLE messages ALTER body SET STORAGE plain;
});
$app->admin(q{
	INSERT INTO messages (channel_id, user_id, body)
	SELECT 1, 1, repeat('x', 700) FROM generate_series(1, 3000) AS i;
	INSERT INTO reactions (message_id, user_id, emoji) SELECT id, 1, 'ok' FROM messages WHERE body LIKE 'xx%';
	ANALYZE;
});
# In an application's words: the channel goes, and all that is in it
is($app->as(1, 1, q{DELETE FROM channels WHERE id = 1 RETURNING id}), '1', 'a channel is deleted');

my $purge = q{CALL forge_comm.purge('channels', '0', 100, 'clean up')};
my $left = 'SELECT (SELECT count(*) FROM channels), (SELECT count(*) FROM messages), (SELECT count(*) FROM reactions)';
my $dangling = q{
	SELECT (SELECT count(*) FROM messages WHERE channel_id NOT IN (SELECT id FROM channels)),
		(SELECT count(*) FROM reactions WHERE message_id NOT IN (SELECT id FROM messages))
};
my ($channels, $messages, $reactions) = split /\|/, $app->admin($left);
is($app->admin(q{SELECT count(*) FROM messages WHERE deleted_at IS NULL AND channel_id = 1}), '0', '... with its messages');

$app->refused($purge, '42501', 'the application may not purge');
$app->refused("BEGIN; $purge", '25001', 'nor anybody in a transaction block', user => 'job');

# Somebody holds a row in the middle, so the purge stops there
sub stop_half_way
{
	my ($how, $condition) = @_;
	my $row = $app->admin("SELECT id FROM messages WHERE $condition ORDER BY ctid DESC LIMIT 1 OFFSET (SELECT count(*) / 2 FROM messages WHERE $condition)");
	my $before = $app->admin('SELECT count(*) FROM messages');
	my $lock = $app->node->background_psql('app', on_error_stop => 0);
	my $background;

	$lock->query_safe("BEGIN; SELECT 1 FROM messages WHERE id = $row FOR UPDATE");
	$background = $app->background("purge_$row", "$purge;", user => 'job');
	$app->node->poll_query_until('app', "SELECT count(*) < $before FROM messages")
	  or BAIL_OUT('the purge does not get on');
	$app->node->poll_query_until('app', q{
		SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'job' AND wait_event_type = 'Lock'})
	  or BAIL_OUT('the purge does not stop');

	is( $app->as(1, undef, q{INSERT INTO messages (channel_id, user_id, body) VALUES (2, 1, 'meanwhile') RETURNING body}),
		'meanwhile', "$how: the application goes on");
	if ($how eq 'crash')
	{
		$app->node->stop('immediate');
		$app->node->start;
	}
	else
	{
		$app->admin(qq{SELECT pg_${how}_backend(pid) FROM pg_stat_activity WHERE usename = 'job'});
	}
	$app->finish($background);
	eval { $lock->quit };
	cmp_ok($app->admin('SELECT count(*) FROM messages'), '<', $before, "$how: what was done is kept");
	is($app->admin($dangling), '0|0', "$how: no key dangles");
	is($app->admin(q{SELECT count(*) FROM channels WHERE id = 1}), '1', "$how: the parent is there until its children are gone");
	return;
}
stop_half_way('cancel', 'deleted_at IS NOT NULL');
stop_half_way('terminate', 'deleted_at IS NOT NULL');
stop_half_way('crash', 'deleted_at IS NOT NULL');

my $deleted = $app->admin(q{
	SELECT (SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL) + (SELECT count(*) FROM channels WHERE deleted_at IS NOT NULL)});
like( $app->node->safe_psql('app', $purge, extra_params => [ '-U', 'job' ]),
	qr/^$deleted\|/, 'called again, it finishes and counts the rest');
is($app->admin(q{SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL OR channel_id = 1}), '0', 'nothing deleted is left');
is($app->admin(q{SELECT count(*) FROM channels}), $channels - 1, 'the channel is gone');
is($app->admin($dangling), '0|0', 'no key dangles');
is($app->admin(q{SELECT count(*) FROM messages WHERE body = 'meanwhile'}), '3', 'and nothing live is lost');
is($app->node->safe_psql('app', $purge, extra_params => [ '-U', 'job' ]), '0|0', 'once more does nothing');

done_testing();
