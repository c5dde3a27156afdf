# Logical replication knows no row security: it carries the rows of every
# workspace. So an application's role must not get at it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

my $app = ForgeComm->new('replication', conf => "wal_level = logical\nmax_wal_senders = 4\n");
$app->owner($ForgeComm::seed);
$app->onboard;
$app->admin(q{
	CREATE ROLE tenant LOGIN;
	SELECT forge_comm.grant_app('tenant');
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tenant;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tenant;
});

# The ways in, in a context and without
my %way = (
	'make a replication slot' => q{SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')},
	'read one'                => q{SELECT * FROM pg_logical_slot_peek_binary_changes('ours', NULL, NULL,
		'proto_version', '1', 'publication_names', 'everything')},
	'make a publication'           => q{CREATE PUBLICATION theirs FOR TABLE messages},
	'make a publication of all'    => q{CREATE PUBLICATION theirs FOR ALL TABLES},
	'add a table to a publication' => q{ALTER PUBLICATION few ADD TABLE messages},
	'make a subscription'          => q{CREATE SUBSCRIPTION theirs CONNECTION 'dbname=app'
		PUBLICATION everything WITH (connect = false)});
$app->admin(q{
	CREATE PUBLICATION everything FOR ALL TABLES;
	CREATE PUBLICATION few FOR TABLE channels;
	SELECT pg_create_logical_replication_slot('ours', 'pgoutput');
});
for my $what (sort keys %way)
{
	$app->refused($way{$what}, '42501', "an application's role cannot $what", user => 'tenant');
	$app->refused(ForgeComm::transaction(1, 1, $way{$what}),
		'42501', '... nor in a context', user => 'tenant');
}
my ($ret, $stdout, $stderr) = $app->node->psql('app', 'IDENTIFY_SYSTEM',
	replication => 'database', extra_params => [ '-U', 'tenant' ]);
isnt($ret, 0, 'nor connect as a standby does');
like($stderr, qr/(superuser or replication role|REPLICATION)/, '... for want of the attribute');

# What the slot carries, for whoever may read it: as documented, everything
$app->as(1, 1, q{INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'word of Acme')});
$app->as(2, 2, q{INSERT INTO messages (channel_id, user_id, body) VALUES (3, 2, 'word of Bolt')});
my $changes = $app->admin(q{
	SELECT encode(data, 'escape')
	FROM pg_logical_slot_peek_binary_changes('ours', NULL, NULL,
		'proto_version', '1', 'publication_names', 'everything')
});
like($changes, qr/word of Acme/, 'a subscriber gets the rows of one workspace');
like($changes, qr/word of Bolt/, '... and those of the other');
$app->admin(q{SELECT pg_drop_replication_slot('ours')});

done_testing();
