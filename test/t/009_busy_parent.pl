# While some update a channel, others write messages to it: the guard finds
# the channel every time, though there is a moment at which the old version of
# its row is dead already and the new one not yet seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('busy_parent');
$app->owner($ForgeComm::seed);
$app->onboard;
# Indexed, so that each update makes a new index entry as well
$app->owner('CREATE INDEX ON channels (name)');

my $dir = PostgreSQL::Test::Utils::tempdir;

sub script
{
	my ($name, $sql) = @_;
	append_to_file("$dir/$name",
		"BEGIN; SELECT forge_comm.set_context(user_id => 1); $sql COMMIT;\n");
	return "$dir/$name";
}

my $connection = $app->node->connstr('app') . ' user=app_owner';
my $update = script('update', q{UPDATE channels SET name = md5(random()::text) WHERE id = 1;});
my $insert = script('insert',
	q{INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'busy');} x 4);
my @bench = ('pgbench', '-n', '-T', 5, '-c', 2);
my ($out_update, $out_insert, $err_update, $err_insert) = ('') x 4;
my $updates = IPC::Run::start([ @bench, '-f', $update, $connection ],
	'>', \$out_update, '2>', \$err_update);
my $inserts = IPC::Run::start([ @bench, '-f', $insert, $connection ],
	'>', \$out_insert, '2>', \$err_insert);
IPC::Run::finish($updates);
IPC::Run::finish($inserts);

my ($updated) = $out_update =~ /actually processed: (\d+)/;
my ($inserted) = $out_insert =~ /actually processed: (\d+)/;
note("$updated updates, $inserted inserts of four");
unlike($err_update . $err_insert, qr/ERROR/, 'nobody was refused');
cmp_ok($updated, '>', 100, 'the channel was busy');
cmp_ok($inserted, '>', 100, 'so were its writers');
is($app->admin(q{SELECT count(*) FROM messages WHERE body = 'busy'}), 4 * $inserted,
	'every message is there');

done_testing();
