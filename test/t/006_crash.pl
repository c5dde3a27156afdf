# The server goes down at once while several sessions write, and comes back:
# what was committed is there, every row has its tenant, the rules still hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('crash');
$app->owner($ForgeComm::seed);
$app->owner(q{
	INSERT INTO messages (channel_id, user_id, body)
	SELECT 1, 1, 'old' FROM generate_series(1, 20000);
});
$app->onboard;

# Writers print what they have done once it is committed, and not before.
my $rounds = 20000;
my %statement = (
	alice => sub { (1, 1, "INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'alice $_[0]')") },
	bob   => sub { (2, 2, "INSERT INTO messages (channel_id, user_id, body) VALUES (3, 2, 'bob $_[0]')") },
	# Carol is in both, and adds reactions: two levels of via.
	carol => sub {
		my $message = $_[0] % 2 ? 1 : 4;
		(3, 'NULL', "INSERT INTO reactions (message_id, user_id, emoji) VALUES ($message, 3, 'carol $_[0]')");
	},
	remover => sub { (1, 1, 'DELETE FROM messages WHERE id = ' . ($_[0] + 5)) });
my %writer;
for my $name (sort keys %statement)
{
	my $script = join '', map {
		ForgeComm::transaction($statement{$name}->($_)) . "\\echo $_\n"
	} 1 .. $rounds;

	$writer{$name} = $app->background($name, $script);
}

# All are well under way
$app->node->poll_query_until('app', q{
	SELECT (SELECT count(*) > 300 FROM messages WHERE body LIKE 'alice %')
	   AND (SELECT count(*) > 300 FROM messages WHERE body LIKE 'bob %')
	   AND (SELECT count(*) > 300 FROM reactions WHERE emoji LIKE 'carol %')
	   AND (SELECT count(*) > 300 FROM messages WHERE deleted_at IS NOT NULL)})
  or BAIL_OUT('the writers do not get on');
$app->node->stop('immediate');

my %done;
for my $name (sort keys %writer)
{
	my ($stdout, $stderr) = $app->finish($writer{$name});

	($done{$name}) = $stdout =~ /(\d+)\n\z/;
	cmp_ok($done{$name}, '<', $rounds, "$name was interrupted");
	like($stderr, qr/server closed the connection|could not (receive|send)|no connection to the server|57P0[123]/,
		'... by the crash and nothing else');
}
$app->node->start;

# One more of each may have been committed without being reported.
my %found = (
	alice   => q{SELECT count(*), max(substr(body, 7)::integer) FROM messages WHERE body LIKE 'alice %'},
	bob     => q{SELECT count(*), max(substr(body, 5)::integer) FROM messages WHERE body LIKE 'bob %'},
	carol   => q{SELECT count(*), max(substr(emoji, 7)::integer) FROM reactions WHERE emoji LIKE 'carol %'},
	remover => q{SELECT count(*), max(id) - 5 FROM messages WHERE deleted_at IS NOT NULL});
for my $name (sort keys %found)
{
	my ($count, $last) = split /\|/, $app->admin($found{$name});

	is($count, $last, "$name: no gap");
	ok($count == $done{$name} || $count == $done{$name} + 1,
		"... and all that was committed ($done{$name}, found $count)");
}

is( $app->admin(q{
		SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id
		WHERE m.workspace_id IS DISTINCT FROM c.workspace_id}),
	'0', 'every message is in the workspace of its channel');
is( $app->admin(q{
		SELECT count(*) FROM reactions r JOIN messages m ON m.id = r.message_id
		WHERE r.workspace_id IS DISTINCT FROM m.workspace_id}),
	'0', 'every reaction in that of its message');
is($app->admin(q{SELECT count(*) FROM messages WHERE body = 'old'}),
	'20000', 'a soft delete in mid-crash loses no row');

SKIP:
{
	skip 'amcheck is not installed', 2
	  if $app->admin(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'}) == 0;
	$app->admin('CREATE EXTENSION amcheck');
	is( $app->complaint(q{
			SELECT bt_index_check(c.oid, heapallindexed => true)
			FROM pg_class c JOIN pg_am a ON a.oid = c.relam
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'i' AND a.amname = 'btree'
			\g /dev/null
			}, user => $app->admin('SELECT current_user')),
		'no error, but: ', 'the indexes are sound');
	is( $app->admin(q{
			SELECT count(*) FROM (VALUES ('messages'), ('reactions')) AS t (rel),
			LATERAL verify_heapam(rel::regclass)}),
		'0', 'and the tables');
}

# Everything is still enforced
$app->refused('SELECT count(*) FROM messages', '42501', 'no context, no row');
is($app->as(1, undef, q{SELECT count(*) FROM messages WHERE body LIKE 'bob %'}),
	'0', 'no foreign row');
$app->refused_as(1, undef,
	"INSERT INTO messages (channel_id, user_id, body) VALUES (3, 1, 'x')",
	'23503', 'no foreign reference');
is( $app->as(2, undef, q{
		INSERT INTO messages (channel_id, user_id, body) VALUES (3, 2, 'after') RETURNING workspace_id;
		DELETE FROM messages WHERE body = 'after';
		\echo :ROW_COUNT}),
	"2\n1", 'and the application goes on');
is($app->admin(q{SELECT count(*) FROM messages WHERE body = 'after' AND deleted_at IS NOT NULL}),
	'1', 'softly');

done_testing();
