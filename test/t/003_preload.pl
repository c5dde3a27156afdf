# The library is loaded by the first function that needs it, or by
# session_preload_libraries. Before it is loaded its planner hook is not there
# and its settings are placeholders that anyone may write: neither may help.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('preload');
$app->owner($ForgeComm::seed);
$app->onboard;

my $live = 'SELECT count(*), count(*) FILTER (WHERE deleted_at IS NULL) FROM messages';

# Every call of admin is a session of its own. The superuser passes by row
# security, so nothing loads the library before the DELETE is planned.
my $complaint = $app->complaint('DELETE FROM messages WHERE id = 1',
	user => $app->admin('SELECT current_user'));
like($complaint, qr/ERROR:  55000:/, 'without the library a DELETE is refused');
like($complaint, qr/HINT:  .*session_preload_libraries/,
	'and the hint says what to do');
is($app->admin($live), '5|5', 'nothing was deleted');

is( $app->admin(q{
		SELECT forge_comm.current_user_id();
		DELETE FROM messages WHERE id = 1;
		\echo :ROW_COUNT}),
	"\n1", 'with the library loaded by a call it is soft');
is($app->admin($live), '5|3', 'the row is still there, and its reply');

# A plan made before the library came must not outlive its coming.
$app->node->psql('app', q{
	SET plan_cache_mode = force_generic_plan;
	PREPARE remove AS DELETE FROM messages WHERE id = 2;
	EXPLAIN (COSTS off) EXECUTE remove;
	SELECT forge_comm.current_user_id();
	EXECUTE remove;
});
is($app->admin('SELECT count(*) FROM messages'),
	'5', 'a plan from before the library deletes nothing for good');
$app->admin(q{UPDATE messages SET deleted_at = NULL WHERE id = 2});

is($app->as(1, 1, "DELETE FROM messages WHERE id = 3;\n\\echo :ROW_COUNT"),
	'1', 'the application loads it by setting its context');
is($app->admin($live), '5|3', 'so its DELETE is soft');

# What a session writes into the settings before the library is loaded
my $genuine = $app->as(2, 2, q{SELECT current_setting('forge_comm.context')});
isnt($genuine, '', 'there is a value to steal');
(my $quoted = $genuine) =~ s/'/''/g;
my $steal = "SET forge_comm.context = '$quoted'";
my $read = 'SELECT count(*) FROM messages';

sub closed_to
{
	my ($name, $before, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	# Once the reading itself loads the library, once a call before it.
	for my $load ('', "SELECT forge_comm.context();\n")
	{
		my ($ret, $stdout, $stderr) = $app->node->psql(
			'app',
			"$before;\n$load$read;\n",
			extra_params => [
				'-U', $params{user} // 'app_owner', '-v', 'VERBOSITY=verbose'
			]);

		isnt($ret, 0, "$name gives no access");
		like($stderr, qr/ERROR:  (42501|22023):|FATAL: /, '... it is refused');
		unlike($stdout, qr/^\d+$/m, '... and nothing is read');
	}
}
closed_to('SET',                     $steal);
closed_to('SET LOCAL',               "BEGIN; SET LOCAL forge_comm.context = '$quoted'");
closed_to('set_config',              "SELECT set_config('forge_comm.context', '$quoted', false)");
closed_to('SET under a savepoint',
	"$steal; BEGIN; SAVEPOINT s; SET LOCAL forge_comm.context = '$quoted'");
closed_to('SET before a rollback to a savepoint',
	"BEGIN; SET LOCAL forge_comm.context = '$quoted'; SAVEPOINT s; "
	  . 'SELECT forge_comm.current_user_id(); ROLLBACK TO s');
closed_to('SET before and RESET after',
	"$steal; SELECT forge_comm.current_user_id(); RESET forge_comm.context");
closed_to('a function that SETs', qq{
	CREATE FUNCTION pg_temp.steal() RETURNS bigint LANGUAGE sql
	SET forge_comm.context = '$quoted' AS 'SELECT count(*) FROM messages';
	SELECT pg_temp.steal()});
{
	(my $option = $genuine) =~ s/([\\ ])/\\$1/g;
	local $ENV{PGOPTIONS} = "-c forge_comm.context=$option";
	closed_to('PGOPTIONS', 'SELECT 1 WHERE false');
}
$app->admin('CREATE ROLE thief LOGIN IN ROLE app_owner');
$app->admin("ALTER ROLE thief SET forge_comm.context = '$quoted'");
closed_to('ALTER ROLE SET', 'SELECT 1 WHERE false', user => 'thief');
$app->admin('ALTER ROLE thief RESET ALL');
$app->admin("ALTER DATABASE app SET forge_comm.context = '$quoted'");
closed_to('ALTER DATABASE SET', 'SELECT 1 WHERE false');
$app->admin('ALTER DATABASE app RESET ALL');

# An empty or a mangled value is no context either.
for my $value ('', '*', '0', 'all', '{}', $genuine . $genuine, 'x' x 10000)
{
	(my $literal = $value) =~ s/'/''/g;
	my $name = length $value > 40 ? substr($value, 0, 40) . '...' : $value;

	closed_to("SET to '$name'", "SET forge_comm.context = '$literal'");
}

# Settings for superusers, written as placeholders by the application
is( $app->owner(q{
		SET forge_comm.allow_hard_delete = on;
		SET forge_comm.allow_bypass_role = on;
		SET forge_comm.preserve_timestamps = on;
		} . ForgeComm::transaction(1, 1, q{
		DELETE FROM messages WHERE id = 2;
		\echo :ROW_COUNT})),
	'1', 'a placeholder for allow_hard_delete');
is($app->admin($live), '5|2', 'makes no DELETE hard');
is($app->admin(q{SELECT updated_at > created_at FROM messages WHERE id = 2}),
	't', 'nor does one for preserve_timestamps keep a stamp back');

# Once it is loaded, nobody but the setter writes the context.
for my $sql ($steal, "SELECT set_config('forge_comm.context', '$quoted', true)",
	"UPDATE pg_settings SET setting = '$quoted' WHERE name = 'forge_comm.context'")
{
	$app->refused("SELECT forge_comm.context();\n$sql;\n$read",
		'42501', "$sql gives no access once the library is there");
}

# With preload
$app->admin(q{ALTER DATABASE app SET session_preload_libraries = 'forge_comm'});
is($app->admin(q{
		DELETE FROM messages WHERE id = 5;
		\echo :ROW_COUNT}),
	'1', 'with preload the first DELETE of a session is soft');
is($app->admin($live), '5|1', 'the row is still there');
closed_to('SET, with preload,', $steal);
{
	(my $option = $genuine) =~ s/([\\ ])/\\$1/g;
	local $ENV{PGOPTIONS} = "-c forge_comm.context=$option";
	closed_to('PGOPTIONS, with preload,', 'SELECT 1 WHERE false');
}
is($app->as(1, 1, 'SELECT count(*) FROM messages'), '3', 'and the application works');

unlike(slurp_file($app->node->logfile), qr/terminated by signal|PANIC/, 'no crash');

done_testing();
