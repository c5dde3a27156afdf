# Between the moment the guard looks at a parent and the moment the foreign key
# does, the parent may be deleted and its id taken by another tenant's row. The
# reference must not end up there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

my $app = ForgeComm->new('reused_id');
$app->owner($ForgeComm::seed);
$app->onboard;
$app->admin(q{
	INSERT INTO channels (id, workspace_id, name) VALUES (50, 1, 'doomed');
});

# Alice's statement stops at its second row, the guard has passed the first.
my $gate = $app->node->background_psql('app');
$gate->query_safe('SELECT pg_advisory_lock(1)');
my $insert = $app->background(
	'insert',
	ForgeComm::transaction(1, 1, q{
		INSERT INTO messages (channel_id, user_id, body)
		SELECT 50, 1, 'x' || CASE i WHEN 2 THEN pg_advisory_xact_lock(1)::text ELSE '' END
		FROM generate_series(1, 2) i}));
$app->node->poll_query_until('app',
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
  or BAIL_OUT('the statement does not come to the gate');

# Meanwhile her colleague deletes the channel, and Bob takes its id.
note($app->as(1, 1, q{SET LOCAL lock_timeout = '1s'; DELETE FROM channels WHERE id = 50}));
note($app->as(2, 2, q{SET LOCAL lock_timeout = '1s';
	INSERT INTO channels (id, workspace_id, name) VALUES (50, 2, 'taken')}));
$gate->query_safe('SELECT pg_advisory_unlock(1)');
$gate->quit;
note($app->finish($insert));

is( $app->admin(q{
		SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id
		WHERE m.workspace_id <> c.workspace_id}),
	'0', 'no message is in a channel of another workspace');
is($app->admin(q{
		SELECT (SELECT count(*) FROM messages WHERE channel_id = 50)
			 + (SELECT count(*) FROM channels WHERE id = 50 AND workspace_id = 2)}) > 0,
	1, 'somebody got through');

done_testing();
