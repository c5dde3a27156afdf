# An application that knows nothing of forge_comm is onboarded with its data,
# keeps its queries, and is offboarded without a trace.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use Test::More;

my $app = ForgeComm->new('existing_app');

$app->owner($ForgeComm::seed);
my $bare_schema = $app->dump('--schema-only');
$app->admin('CREATE EXTENSION forge_comm');
my $schema_before = $app->dump('--schema-only');
my $columns = q{
	SELECT id, channel_id, user_id, body, parent_id, deleted_at, created_at, updated_at
	FROM messages ORDER BY id
};
my $rows_before = $app->admin($columns);

# Onboarding
$app->onboard;
$app->onboard_people;
is( $app->admin(q{
		SELECT count(*), count(m.workspace_id), bool_and(m.workspace_id = c.workspace_id)
		FROM messages m JOIN channels c ON c.id = m.channel_id}),
	'5|5|t', 'every message has the workspace of its channel');
is( $app->admin(q{
		SELECT count(*), count(r.workspace_id), bool_and(r.workspace_id = m.workspace_id)
		FROM reactions r JOIN messages m ON m.id = r.message_id}),
	'3|3|t', 'every reaction has the workspace of its message');
is( $app->admin(q{
		SELECT count(*) FROM pg_attribute
		WHERE attrelid IN ('messages'::regclass, 'reactions'::regclass)
		  AND attname = 'workspace_id' AND attnotnull}),
	'2', 'the new columns are NOT NULL');
is($app->admin($columns), $rows_before, 'nothing else in the rows has changed');

my $schema_enabled = $app->dump('--schema-only');
isnt($schema_enabled, $schema_before, 'onboarding is visible in the schema');
$app->onboard;
$app->onboard_people;
is($app->dump('--schema-only'), $schema_enabled, 'onboarding twice changes nothing');

# Whose rows
for my $table (qw(users workspaces memberships channels channel_members messages reactions))
{
	$app->refused("SELECT count(*) FROM $table",
		'42501', "without a context $table cannot be read");
}
$app->refused('UPDATE messages SET body = body',
	'42501', 'without a context nothing can be written');

my $ids = q{SELECT string_agg(id::text, ',' ORDER BY id) FROM messages};
is($app->as(1, undef, $ids), '1,2,3',     'Alice sees her workspace');
is($app->as(2, undef, $ids), '4,5',       'Bob sees his');
is($app->as(3, undef, $ids), '1,2,3,4,5', 'Carol sees both');
is($app->as(3, 2,     $ids), '4,5',       'Carol in one workspace sees one');
is( $app->as(1, undef, q{
		SELECT (SELECT count(*) FROM workspaces), (SELECT count(*) FROM memberships),
			   (SELECT count(*) FROM channels), (SELECT count(*) FROM reactions)}),
	'1|2|2|2', 'so it is with every table');
$app->refused_as(1, 2, 'SELECT 1', '42501', 'Alice cannot enter the other workspace');

# The application's queries, unchanged, as a driver sends them
is( $app->as(1, 1, q{
		PREPARE add(int, int, text) AS
			INSERT INTO messages (channel_id, user_id, body) VALUES ($1, $2, $3) RETURNING id;
		EXECUTE add(2, 1, 'six');
		EXECUTE add(2, 1, 'seven');
		INSERT INTO messages (channel_id, user_id, body, parent_id)
		VALUES (2, 1, 'eight', 6), (2, 1, 'nine', 7) RETURNING id, parent_id}),
	"6\n7\n8|6\n9|7", 'INSERT ... RETURNING id');
is($app->admin('SELECT DISTINCT workspace_id FROM messages WHERE id > 5'),
	'1', 'the workspace came from the channel');
is( $app->as(1, 1, q{
		PREPARE page(int, int) AS
			SELECT messages.id, messages.channel_id, messages.user_id, messages.body
			FROM messages WHERE messages.channel_id = $1 AND messages.deleted_at IS NULL
			ORDER BY messages.id DESC LIMIT $2;
		EXECUTE page(2, 2);
		EXECUTE page(3, 2)}),
	"9|2|1|nine\n8|2|1|eight", 'a SELECT with a column list');
is( $app->as(1, 1, q{
		INSERT INTO reactions (message_id, user_id, emoji) VALUES (6, 1, '+1')
		ON CONFLICT (message_id, user_id, emoji) DO NOTHING RETURNING id;
		INSERT INTO reactions (message_id, user_id, emoji) VALUES (6, 1, '+1')
		ON CONFLICT (message_id, user_id, emoji) DO NOTHING RETURNING id}),
	'4', 'an INSERT on the second level of via, ON CONFLICT');
is( $app->as(1, 1, q{
		PREPARE edit(text, int) AS UPDATE messages SET body = $1 WHERE id = $2;
		EXECUTE edit('SIX', 6);
		\echo :ROW_COUNT
		EXECUTE edit('stolen', 4);
		\echo :ROW_COUNT
		UPDATE messages SET body = body || '!' WHERE channel_id = 2;
		\echo :ROW_COUNT
		UPDATE messages SET body = body || '?';
		\echo :ROW_COUNT}),
	"1\n0\n5\n7", 'UPDATE of one row, a foreign row, a channel, all');
is($app->admin(q{SELECT count(*) FROM messages WHERE body ~ '[?]$' AND workspace_id = 2}),
	'0', 'the bulk UPDATE stayed at home');
is( $app->admin(q{
		SELECT id FROM messages
		WHERE updated_at > created_at AND body ~ '[?]$' ORDER BY id LIMIT 1}),
	'1', 'updated_at was stamped');
is( $app->as(1, 1, q{
		PREPARE remove(int) AS DELETE FROM messages WHERE id = $1;
		EXECUTE remove(9);
		\echo :ROW_COUNT
		EXECUTE remove(9);
		\echo :ROW_COUNT
		EXECUTE remove(4);
		\echo :ROW_COUNT
		DELETE FROM messages WHERE id IN (7, 8) RETURNING id;
		\echo :ROW_COUNT}),
	"1\n0\n0\n7\n8\n2", 'DELETE counts what it deleted: once, and only its own');
is( $app->admin('SELECT id, deleted_at IS NOT NULL FROM messages WHERE id > 3 ORDER BY id'),
	"4|f\n5|f\n6|f\n7|t\n8|t\n9|t", 'and the rows are still there');
is($app->as(1, 1, 'SELECT id FROM active_messages WHERE channel_id = 2 ORDER BY id'),
	"3\n6", 'the view shows live rows');
is($app->as(1, 1, 'SELECT id FROM get_messages(2)'),
	"6\n3", 'the page shows them newest first');
is($app->as(1, 1, 'SELECT id FROM get_messages(3)'), '', 'a foreign channel is an empty page');

# References across tenants
my %foreign = (
	'a message in a channel' =>
	  [ 'INSERT INTO messages (channel_id, user_id, body) VALUES (%d, 1, $$x$$)', 3 ],
	'a reply to a message' =>
	  [ 'INSERT INTO messages (channel_id, user_id, body, parent_id) VALUES (1, 1, $$x$$, %d)', 4 ],
	'a reaction to a message' =>
	  [ 'INSERT INTO reactions (message_id, user_id, emoji) VALUES (%d, 1, $$x$$)', 4 ],
	'a parent moved to a message' => [ 'UPDATE messages SET parent_id = %d WHERE id = 2', 4 ]);
for my $what (sort keys %foreign)
{
	my ($sql, $id) = @{ $foreign{$what} };
	my $theirs  = $app->complaint(ForgeComm::transaction(1, 1, sprintf($sql, $id)));
	my $missing = $app->complaint(ForgeComm::transaction(1, 1, sprintf($sql, 999)));

	like($theirs, qr/ERROR:  23503:/, "$what of another workspace is refused");
	$missing =~ s/999/$id/g;
	is($theirs, $missing, "$what of another workspace: as if it did not exist");
}

# Nor does it help to guess the workspace along with the id.
for my $id (3, 999)
{
	$app->refused_as(1, 1,
		"INSERT INTO messages (workspace_id, channel_id, user_id, body) VALUES (2, $id, 1, 'x')",
		'42501', "channel $id of a foreign workspace, named as such");
}
for my $id (2, 3, 999)
{
	$app->refused_as(1, 1, "UPDATE messages SET channel_id = $id WHERE id = 2",
		'42501', "a message does not move to channel $id");
}
$app->refused_as(3, undef, 'UPDATE messages SET workspace_id = 2 WHERE id = 2',
	'42501', 'a row cannot change its workspace, not even between two of one user');
$app->refused_as(1, 1, q{INSERT INTO channels (workspace_id, name) VALUES (2, 'x')},
	'42501', 'a row cannot be put into another workspace');

# Private channels
is( $app->as(3, 1, q{
		INSERT INTO channels (id, workspace_id, name, is_private) VALUES (40, 1, 'secret', true) RETURNING id;
		INSERT INTO channel_members (channel_id, user_id) VALUES (40, 3) RETURNING user_id;
		INSERT INTO messages (id, channel_id, body) VALUES (400, 40, 'psst') RETURNING id, user_id;
		INSERT INTO reactions (message_id, emoji) VALUES (400, '!') RETURNING user_id}),
	"40\n3\n400|3\n3", 'Carol makes a private channel');
my $private = q{
	SELECT (SELECT count(*) FROM channels WHERE id = 40), (SELECT count(*) FROM channel_members),
		   (SELECT count(*) FROM messages WHERE channel_id = 40), (SELECT count(*) FROM reactions WHERE message_id = 400),
		   (SELECT count(*) FROM get_messages(40)), can_access_channel(40)
};
is($app->as(3, undef, $private), '1|1|1|1|1|t', 'and is alone in it');
is($app->as(1, undef, $private), '0|0|0|0|0|f', 'Alice, who owns the workspace, is not');
is($app->as(2, undef, $private), '0|0|0|0|0|f', 'nor is Bob');
$app->refused_as(1, 1, 'INSERT INTO channel_members (channel_id, user_id) VALUES (40, 1)',
	'23503', 'she does not let herself in');
is( $app->as(3, 1, 'INSERT INTO channel_members (channel_id, user_id) VALUES (40, 1) RETURNING user_id'),
	'1', 'Carol does');
is($app->as(1, undef, $private), '1|2|1|1|1|t', 'and there she is');

# People
my $known = q{SELECT string_agg(email, ' ' ORDER BY id) FROM users};
is($app->as(1, undef, $known), 'alice carol',     'Alice knows Carol');
is($app->as(3, undef, $known), 'alice bob carol', 'who knows both');
is( $app->as(3, undef, q{
		UPDATE users SET display_name = 'Me';
		\echo :ROW_COUNT}),
	'1', 'people write their own row');
is( $app->as(3, 1, q{
		UPDATE messages SET body = body;
		\echo :ROW_COUNT}),
	'2', 'and edit their own messages');
$app->refused_as(3, 1, q{INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'x')},
	'42501', 'they write in no other name');
$app->refused_as(3, 1, q{INSERT INTO memberships (user_id, workspace_id) VALUES (2, 1)},
	'23503', 'and ask nobody in whom they do not know of');
$app->refused_as(3, 1, q{UPDATE memberships SET role = 'owner' WHERE user_id = 3;
	INSERT INTO memberships (user_id, workspace_id) VALUES (1, 1)},
	'42501', 'nor at all, if they are members only');
is( $app->as(3, undef, q{
		INSERT INTO workspaces (name, slug) VALUES ('Carols', 'carols') RETURNING id;
		INSERT INTO memberships (user_id, workspace_id, role) VALUES (3, 3, 'owner') RETURNING workspace_id}),
	"3\n3", 'they found workspaces of their own');
is( $app->as(3, undef, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM workspaces'),
	'1 2 3', 'which they are in');

# A cascade is the database's own DELETE: it is not made soft.
is( $app->as(1, 1, q{
		DELETE FROM channels WHERE id = 2;
		\echo :ROW_COUNT}),
	'1', 'DELETE of a parent');
is($app->admin('SELECT count(*) FROM messages WHERE channel_id = 2'), '0', 'cascades');

# Offboarding
my $counts = q{
	SELECT (SELECT count(*) FROM workspaces), (SELECT count(*) FROM memberships),
		   (SELECT count(*) FROM channels), (SELECT count(*) FROM messages),
		   (SELECT count(*) FROM reactions), (SELECT count(*) FROM channel_members),
		   (SELECT count(*) FROM users)
};
my $counts_before = $app->admin($counts);
my $rows = $app->admin($columns);
$app->offboard;
is($app->dump('--schema-only'), $schema_before, 'offboarding leaves the schema as it was');
is($app->owner($columns),    $rows,          'and every row');
is($app->owner($counts), $counts_before, 'in every table');
$app->admin('DROP EXTENSION forge_comm');
is($app->dump('--schema-only'), $bare_schema, 'nothing is left of the extension either');

done_testing();
