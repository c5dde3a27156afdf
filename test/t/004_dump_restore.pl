# What pg_dump brings back is as closed as what it took, and DROP EXTENSION
# takes the rules away but no row, and opens nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('dump_restore');
my $base = PostgreSQL::Test::Utils::tempdir;

$app->owner($ForgeComm::seed);
$app->onboard;

# Beside the existing application, in the same database, a schema made from
# nothing. Memberships are registered for the application's.
$app->owner(q{SELECT forge_comm.create_chat_schema('chat')});
$app->admin(q{
	INSERT INTO chat.users (email, display_name) VALUES ('dora@x.example', 'Dora');
	INSERT INTO chat.workspaces (name, slug) VALUES ('Acme', 'acme'), ('Bolt', 'bolt');
	INSERT INTO chat.channels (workspace_id, name) VALUES (1, 'general'), (2, 'general');
	INSERT INTO chat.messages (workspace_id, channel_id, user_id, body)
	VALUES (1, 1, 1, 'a'), (2, 2, 1, 'b'), (2, 2, 1, 'c');
	INSERT INTO chat.channels (workspace_id, name, is_private) VALUES (2, 'secret', true);
	INSERT INTO chat.messages (channel_id, body) VALUES (3, 'd');
});
$app->as(1, 1, 'DELETE FROM messages WHERE id = 2');

# A partitioned table whose guard is disabled: a dump says so before it brings
# the other triggers of its partitions.
$app->owner(q{
	CREATE TABLE chat.visits (id bigint PRIMARY KEY, workspace_id bigint NOT NULL)
		PARTITION BY RANGE (id);
	CREATE TABLE chat.first_visits PARTITION OF chat.visits FOR VALUES FROM (0) TO (9);
	SELECT forge_comm.enable_tenancy('chat.visits');
	ALTER TABLE chat.visits DISABLE TRIGGER forge_comm_tenancy;
});

my $counts = q{
	SELECT count(*), count(workspace_id), count(deleted_at) FROM messages
	UNION ALL SELECT count(*), count(workspace_id), count(deleted_at) FROM chat.messages
	UNION ALL SELECT count(*), count(workspace_id), 0 FROM reactions
};
my $rules = q{
	SELECT rel, r.* FROM (VALUES ('workspaces'), ('memberships'), ('channels'), ('messages'),
		('reactions'), ('chat.messages'), ('chat.channels')) AS t (rel),
	forge_comm.rules(rel::regclass) r ORDER BY 1, 2
};
my $before = $app->admin($counts);
my $rules_before = $app->admin($rules);

# All that is promised, in one database; leaves it as it was.
sub enforced
{
	my ($app, $name) = @_;

	subtest $name => sub {
		is($app->admin($counts), $before,       'every row');
		is($app->admin($rules),  $rules_before, 'every rule');
		$app->refused('SELECT count(*) FROM messages', '42501', 'no context, no row');
		$app->refused('SELECT count(*) FROM chat.messages',
			'42501', 'nor in the chat schema');
		is( $app->as(1, undef, 'SELECT count(*), count(DISTINCT workspace_id) FROM messages'),
			'3|1', 'the scope comes from the registered memberships');
		$app->refused_as(1, 2, 'SELECT 1', '42501', 'and is checked against them');
		$app->refused_as(1, undef,
			"INSERT INTO messages (channel_id, user_id, body) VALUES (3, 1, 'x')",
			'23503', 'a foreign reference is refused');
		$app->refused_as(2, undef,
			"INSERT INTO reactions (message_id, user_id, emoji) VALUES (1, 2, 'x')",
			'23503', 'and one level further');
		$app->refused_as(2, undef, 'TRUNCATE reactions', '42501', 'TRUNCATE is refused');
		$app->refused_as(2, undef, 'TRUNCATE messages CASCADE', '(42501|55000)',
			'with soft delete, too');
		is( $app->as(1, undef, q{
				INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'x')
				RETURNING workspace_id;
				UPDATE messages SET body = body WHERE id = 1;
				UPDATE messages SET body = 'y', created_at = '2000-01-01' WHERE id = 1
				RETURNING created_at > '2000-01-02', updated_at = now();
				DELETE FROM messages WHERE id = 1;
				\echo :ROW_COUNT
				SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL;
				SELECT id > 5, body FROM get_messages(1);
				SELECT count(*) FROM active_messages;
				ROLLBACK}),
			"1\nt|t\n1\n2\nt|x\n2",
			'guard, stamps, soft delete, pages and view work');
		is( $app->owner(q{
				SELECT has_table_privilege('app_owner', 'active_messages', 'SELECT'),
					   has_function_privilege('app_owner', 'get_messages(integer, integer, integer)', 'EXECUTE')}),
			't|t', 'privileges are there');
		is( $app->as(2, 2, q{
				SELECT count(*) FROM chat.messages;
				SELECT string_agg(body, '' ORDER BY id) FROM chat.get_messages(2);
				SELECT count(*) FROM chat.get_messages(1)}),
			"2\nbc\n0", 'the chat schema is one tenant at a time');
		is( $app->as(2, 2, q{SELECT chat.can_access_channel(2), chat.can_access_channel(3)}),
			't|f', 'private channels stay private');
		$app->refused_as(2, 2,
			"INSERT INTO chat.messages (channel_id, body) VALUES (1, 'x')",
			'23503', 'with the same guard');
	};
	return;
}
enforced($app, 'before');

# Plain and custom format
my $plain = "$base/app.sql";
my $custom = "$base/app.dump";
$app->run_program('pg_dump', '-f', $plain, '-d', $app->node->connstr('app'));
$app->run_program('pg_dump', '-Fc', '-f', $custom, '-d', $app->node->connstr('app'));

my $from_plain = $app->in_database('from_plain');
$app->create_database('from_plain');
$app->run_program('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', $plain,
	'-d', $app->node->connstr('from_plain'));
my $from_custom = $app->in_database('from_custom');
$app->create_database('from_custom');
$app->run_program('pg_restore', '--exit-on-error', '-j', '2',
	'-d', $app->node->connstr('from_custom'), $custom);
# First the dumps: what follows draws from the sequences.
my $schema = $app->dump('--schema-only');
is($from_plain->dump('--schema-only'),  $schema, 'a dump of the first is the same');
is($from_custom->dump('--schema-only'), $schema, 'and of the second');
is($from_plain->dump, $app->dump, 'with its data');

enforced($from_plain,  'restored by psql from a plain dump');
enforced($from_custom, 'restored by pg_restore from a custom dump');

# The rules can be taken off a restored database as well.
$from_plain->offboard;
is($from_plain->owner('SELECT count(*) FROM messages'), '5', 'offboarded after a restore');

# DROP EXTENSION
$from_custom->admin('DROP EXTENSION forge_comm CASCADE');
is($from_custom->admin($counts), $before, 'DROP EXTENSION leaves every row');
is( $from_custom->admin(q{
		SELECT count(*) FROM pg_class
		WHERE relnamespace IN ('public'::regnamespace, 'chat'::regnamespace)
		  AND relkind = 'r' AND relname IN ('messages', 'channels', 'reactions', 'memberships')
		  AND relrowsecurity AND relforcerowsecurity}),
	'8', 'row security stays on');
for my $table (
	qw(workspaces memberships channels messages reactions active_messages
	chat.workspaces chat.memberships chat.channels chat.messages chat.active_messages))
{
	my ($ret, $stdout) = $from_custom->node->psql('from_custom',
		"SELECT count(*) FROM $table", extra_params => [ '-U', 'app_owner' ]);

	ok($ret != 0 || $stdout eq '0', "and closes $table")
	  or diag("$stdout rows are open");
}
$from_custom->node->psql('from_custom', q{
	UPDATE messages SET body = 'stolen';
	DELETE FROM messages;
	INSERT INTO messages (channel_id, user_id, body, workspace_id) VALUES (3, 1, 'stolen', 2);
}, on_error_stop => 0, extra_params => [ '-U', 'app_owner' ]);
is($from_custom->admin($counts), $before, 'nothing can be written');
is($from_custom->admin(q{SELECT count(*) FROM messages WHERE body = 'stolen'}),
	'0', 'or changed');

# And back again
$from_custom->onboard;
is( $from_custom->as(1, undef, 'SELECT count(*), count(DISTINCT workspace_id) FROM messages'),
	'3|1', 'after CREATE EXTENSION and the same calls the tenants are back');
$from_custom->refused_as(1, undef,
	"INSERT INTO messages (channel_id, user_id, body) VALUES (3, 1, 'x')",
	'23503', 'with their guard');
is( $from_custom->as(1, undef, q{
		DELETE FROM messages WHERE id = 1;
		\echo :ROW_COUNT
		SELECT count(*) FROM get_messages(1);
		SELECT count(*) FROM messages}),
	"1\n0\n3", 'and soft deletes');

done_testing();
