# Two tenants behind pgbouncer in transaction mode: eight clients share two
# server connections, so each connection serves both tenants in turn.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgbouncer) = grep { -x }
  map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgbouncer is not installed' unless defined $pgbouncer;

my ($clients, $each) = (8, 2500);

my $app = ForgeComm->new('pgbouncer');
$app->owner($ForgeComm::seed);
$app->owner(q{
	TRUNCATE messages RESTART IDENTITY CASCADE;
	INSERT INTO messages (channel_id, user_id, body)
	SELECT CASE i % 2 WHEN 0 THEN 1 ELSE 3 END, 3, 'seed'
	FROM generate_series(1, 2000) i;

	-- Other tenants, so that the tenant's index is worth a scan
	INSERT INTO workspaces (name, slug) SELECT i, i FROM generate_series(3, 102) i;
	INSERT INTO channels (workspace_id, name)
	SELECT w, c FROM generate_series(3, 102) w, generate_series(1, 20) c;
	ANALYZE;
});
$app->onboard;
$app->owner('CREATE TABLE visits (workspace_id integer, pid integer)');

# Any of these fails the transaction, which pgbench reports. They are PL/pgSQL
# on purpose: its plans are kept by the server connection, for both tenants.
$app->owner(q{
	CREATE FUNCTION check_own(own integer, first integer) RETURNS void
	LANGUAGE plpgsql AS $$
	BEGIN
		-- Ids alternate between the tenants: half of any range is ours.
		IF (SELECT count(*) FILTER (WHERE workspace_id = own) <> 10
				OR count(*) FILTER (WHERE workspace_id IS DISTINCT FROM own) > 0
			FROM messages WHERE id BETWEEN first AND first + 19) THEN
			RAISE EXCEPTION 'a foreign row, or one of ours is missing';
		END IF;
		IF (SELECT count(*) <> CASE own WHEN 1 THEN 2 ELSE 1 END FROM channels) THEN
			RAISE EXCEPTION 'a foreign channel, or one of ours is missing';
		END IF;
		IF (SELECT count(*) <> 20 OR bool_or(workspace_id <> own)
			FROM get_messages(CASE own WHEN 1 THEN 1 ELSE 3 END, 1, 20)) THEN
			RAISE EXCEPTION 'a wrong page';
		END IF;
		IF EXISTS (SELECT FROM get_messages(CASE own WHEN 1 THEN 3 ELSE 1 END)) THEN
			RAISE EXCEPTION 'a foreign page';
		END IF;
	END $$;

	CREATE FUNCTION check_closed() RETURNS void
	LANGUAGE plpgsql AS $$
	BEGIN
		IF forge_comm.current_workspace_id() IS NOT NULL THEN
			RAISE EXCEPTION 'a context left behind';
		END IF;
		PERFORM FROM messages LIMIT 1;
		RAISE EXCEPTION 'open without a context';
	EXCEPTION WHEN insufficient_privilege THEN
		RETURN;
	END $$;
});

# pgbouncer, on a socket of its own
my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$dir/users", qq{"app_owner" ""\n});
append_to_file(
	"$dir/pgbouncer.ini", qq{
[databases]
app = host=${\ $app->node->host} port=${\ $app->node->port} dbname=app
[pgbouncer]
listen_addr =
unix_socket_dir = $dir
listen_port = $port
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 2
logfile = $dir/log
});
my $bouncer = IPC::Run::start [ $pgbouncer, '-q', "$dir/pgbouncer.ini" ],
  '<', '/dev/null', '>', "$dir/out", '2>', "$dir/err";
END { $bouncer->kill_kill if defined $bouncer; }

my $connstr = "host=$dir port=$port dbname=app user=app_owner";
my $up = 0;
for (1 .. 100)
{
	last
	  if $up = run_log([ 'psql', '-XAtqc', 'SELECT 1', '-d', $connstr ]);
	select undef, undef, undef, 0.1;
}
ok($up, 'pgbouncer answers')
  or BAIL_OUT(slurp_file("$dir/err") . slurp_file("$dir/log"));

# A transaction as an application runs it, then two statements that pgbouncer
# may send to any of the connections.
append_to_file("$dir/script.sql", <<'SQL');
\set own random(1, 2)
\set channel CASE WHEN :own = 1 THEN 1 ELSE 3 END
\set first random(1, 1900)
BEGIN;
SELECT forge_comm.set_context(3, :own);
SELECT check_own(:own, :first);
SELECT 1 / (count(*) = 10)::integer FROM messages WHERE id BETWEEN :first AND :first + 19;
INSERT INTO messages (channel_id, user_id, body) VALUES (:channel, 3, 'run ' || :own) RETURNING id;
INSERT INTO visits VALUES (:own, pg_backend_pid());
COMMIT;
SELECT check_closed();
SQL
my ($stdout, $stderr);
my $ok = IPC::Run::run [
	'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $each,
	'-f', "$dir/script.sql", $connstr
  ],
  '>', \$stdout, '2>', \$stderr;
note($stdout);

my $total = $clients * $each;
ok($ok, 'pgbench met no error') or diag($stderr);
like($stdout, qr{actually processed: $total/$total$}m, "$total transactions");
like($stdout, qr{number of failed transactions: 0 }, 'none of them failed');

# What the server has to say about it
is($app->admin(q{SELECT count(*) FROM messages WHERE body LIKE 'run %'}),
	$total, 'every message is there');
is( $app->admin(q{
		SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id
		WHERE body LIKE 'run %'
		  AND (body <> 'run ' || m.workspace_id OR m.workspace_id <> c.workspace_id)}),
	'0', 'and in the workspace that wrote it');
is($app->admin('SELECT count(*), count(DISTINCT workspace_id) FROM visits'),
	"$total|2", 'both tenants came');
my $shared = $app->admin(q{
	SELECT count(*) FROM (SELECT pid FROM visits GROUP BY pid
						  HAVING count(DISTINCT workspace_id) = 2) s});
my $used = $app->admin('SELECT count(DISTINCT pid) FROM visits');
ok($used <= 2, 'over two server connections');
is($shared, $used, 'each of which served both');

$bouncer->signal('INT');
$bouncer->finish;
undef $bouncer;

done_testing();
