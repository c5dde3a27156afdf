# What the log hook does where the canary does not go: before anything is
# known, without preloading, with other levels, and for the whole of a session.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Wire;

my $node = PostgreSQL::Test::Cluster->new('redaction');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', q{
log_statement = none
log_parameter_max_length_on_error = -1
max_parallel_workers_per_gather = 2
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION forge_comm;
	CREATE ROLE app LOGIN;
	CREATE TABLE accounts (id int PRIMARY KEY, name text NOT NULL, secret text UNIQUE CHECK (secret <> 'bad'),
		late text UNIQUE DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE plain (id int PRIMARY KEY, body text NOT NULL);
	INSERT INTO plain SELECT i, 'CANARY' FROM generate_series(1, 10000) AS i;
	SELECT forge_comm.mark_secret('accounts', 'secret');
	SELECT forge_comm.mark_secret('accounts', 'late');
	GRANT ALL ON accounts, plain TO app;
	CREATE FUNCTION change(text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN UPDATE accounts SET secret = $1; END $$});

# What is logged while something runs, and what the client is told
sub logs
{
	my ($how) = @_;
	my $wire = Wire->new($node, 'postgres', 'postgres');
	my $from = -s $node->logfile;

	$how->($wire);
	return (substr(slurp_file($node->logfile), $from), $wire->said);
}

sub queries
{
	my @sql = @_;
	return logs(sub { my ($wire) = @_; $wire->query($_) for @sql });
}

# What is loaded when
is($node->safe_psql('postgres', q{SELECT current_setting('forge_comm.redact_log', true) IS NULL}),
	't', 'without preloading there is no such setting');
is($node->safe_psql('postgres', q{SELECT FROM forge_comm.mask_literals('x'); SHOW forge_comm.redact_log}),
	"off", 'the library that a call has loaded redacts nothing');

# Constraints tell nothing, whatever the mode. The trigger that loads the
# library in the middle of the first statement is early enough.
my ($log, $said) = queries(q{INSERT INTO accounts VALUES (1, NULL, 'CANARY')});
unlike("$log$said", qr/DETAIL.*CANARY|D.*Failing row/, 'not null, in the first statement of a session');
like($log, qr/STATEMENT:.*CANARY/, 'its statement is logged, since that is off');
($log, $said) = queries(q{INSERT INTO accounts VALUES (1, 'x', NULL, 'CANARY'), (2, 'x', NULL, 'CANARY')});
like($said, qr/Key \(late\)=\(\*\)/, 'a key that is checked as the transaction ends');
($log, $said) = logs(sub {
	my ($wire) = @_;
	$wire->query("INSERT INTO accounts VALUES (1, 'x', 'CANARY')");
	$wire->copy('COPY accounts FROM STDIN', "1\tx\tCANARY2\t\\N\n"); });
like($said, qr/Key \(id\)=\(1\)/, 'the values of other columns are told');

# Preloaded by the session
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET session_preload_libraries = 'forge_comm'});
is($node->safe_psql('postgres', 'SHOW forge_comm.redact_log'), 'secrets', 'preloaded for a session it hides secrets');
is($node->safe_psql('postgres', 'SET forge_comm.redact_log = off; RESET ALL; SHOW forge_comm.redact_log'),
	'secrets', 'and does so again after RESET ALL');
($log) = queries(q{SELECT nothing, 'VISIBLE' FROM plain}, q{SELECT nothing, 'CANARY' FROM accounts});
like($log, qr/STATEMENT:  SELECT nothing, 'VISIBLE'/, 'from the first statement on it knows what is marked');
unlike($log, qr/CANARY/, 'and what is');

# A function is known for what it does once it has done it.
($log) = queries('SET log_min_duration_statement = 0', q{SELECT change('CANARY')}, q{SELECT change('CANARY'), 1 / (id - id) FROM plain});
unlike($log, qr/CANARY/, 'a call that has used a secret column');
($log) = logs(sub {
	my ($wire) = @_;
	$wire->query('SET log_min_duration_statement = 0');
	$wire->prepare('p', q{SELECT change($1)});
	$wire->execute('p', 'CANARY'); });
unlike($log, qr/execute p.*\n.*CANARY/, 'the same with a parameter');
like($log, qr/bind p.*\n.*CANARY/, 'which is logged as it is bound, before the call');

# Parse trees show values as lists of bytes.
($log) = queries(q{SET debug_print_plan = on; SET forge_comm.redact_log = 'literals'}, q{SELECT id FROM plain WHERE body = 'x'});
like($log, qr/LOG:  [0-9A-Z: ]*plan/, 'a plan tree is logged');
unlike($log, qr/constvalue/, 'without its contents');

# What pgaudit would log: its own form, around the statement
($log) = queries(q{SET forge_comm.redact_log = 'literals'}, q{DO $$ BEGIN RAISE LOG 'AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.plain,"INSERT INTO plain VALUES (''CANARY'')",<none>'; END $$});
like($log, qr/AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.plain,\(hidden\)\n/, 'an audit line ends where the statement begins');

# Who may set it
for my $sql ('SET forge_comm.redact_log = off', q{SELECT set_config('forge_comm.redact_log', 'off', false)},
	'ALTER ROLE app SET forge_comm.redact_log = off')
{
	my ($ret, undef, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-U', 'app' ]);
	like($stderr, qr/permission denied/, "not an application: $sql");
}
{
	local $ENV{PGOPTIONS} = '-c forge_comm.redact_log=off';
	is($node->safe_psql('postgres', 'SHOW forge_comm.redact_log', extra_params => [ '-U', 'app' ]),
		'secrets', 'nor by a connection option');
}

# A mark made in another session is noticed; so is its end.
my $wire = Wire->new($node, 'postgres', 'postgres');
my $from = -s $node->logfile;
$wire->query(q{SELECT nothing, 'BEFORE' FROM plain});
$node->safe_psql('postgres', q{SELECT forge_comm.mark_secret('plain', 'body')});
$wire->query('SELECT 1');
$wire->query(q{SELECT nothing, 'WITHIN' FROM plain});
$node->safe_psql('postgres', q{CREATE VIEW later AS SELECT * FROM plain});
$wire->query('SELECT 1');
$wire->query(q{SELECT nothing, 'WITHIN' FROM later});
$node->safe_psql('postgres', q{ALTER TABLE plain RENAME TO planned});
$wire->query('SELECT 1');
$wire->query(q{SELECT nothing, 'WITHIN' FROM planned});
$node->safe_psql('postgres', q{DROP VIEW later; ALTER TABLE planned RENAME TO plain; SELECT forge_comm.unmark_secret('plain', 'body')});
$wire->query('SELECT 1');
$wire->query(q{SELECT nothing, 'AFTER' FROM plain});
$log = substr(slurp_file($node->logfile), $from);
like($log, qr/BEFORE/, 'before a table is marked its statements are logged');
unlike($log, qr/WITHIN/, 'while it is, under any name and through views, they are not');
like($log, qr/AFTER/, 'and afterwards they are');

# What is known of the first statements of a session when the server loads the
# library, and no session does: nothing, so they are hidden.
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET session_preload_libraries');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'forge_comm'\n");
$node->restart;
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET log_statement = 'all'});
($log) = queries(q{SELECT 'CANARY'}, q{SELECT change('CANARY2'), 'VISIBLE'}, q{SELECT 'VISIBLE2'});
unlike($log, qr/CANARY\b/, 'the first statement is hidden');
like($log, qr/VISIBLE.*VISIBLE2/s, 'what is known to be harmless is shown from the second on');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET log_statement');

# Parallel workers report for themselves.
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET forge_comm.redact_log = 'literals'});
($log, $said) = queries(
	'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off',
	q{SELECT count(*) FROM plain WHERE (body || 'CANARY2')::int > 0});
like($said, qr/parallel worker/, 'a parallel worker fails');
unlike("$log$said", qr/CANARY/, 'and tells nothing');

# An error that is not logged is not redacted, but a constraint is.
($log, $said) = queries('SET log_min_messages = fatal', q{SELECT 'CANARY1'::int}, q{INSERT INTO accounts VALUES (7, NULL, 'CANARY2')},
	q{INSERT INTO accounts VALUES (8, 'x', 'CANARY2'), (9, 'x', 'CANARY2')});
like($said, qr/CANARY1/, 'an error that is not logged is told to the client as it is');
unlike($said, qr/CANARY2/, 'a constraint on a secret column still tells nothing');
is($log, '', 'nothing was logged');

# Statements that are no use to anybody are not made up.
($log) = queries(q{DO $$ BEGIN RAISE WARNING 'a word'; END $$; SELECT current_query()}, q{SET log_min_error_statement = 'notice'; DO 'BEGIN RAISE WARNING ''two words''; END'});
like($log, qr/WARNING:  two words/, 'a warning');
unlike($log, qr/STATEMENT/, 'goes without its statement');
is($node->safe_psql('postgres', q{
	SET client_min_messages = error;
	SET log_min_error_statement = 'notice';
	CREATE FUNCTION pg_temp.warn() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'a word'; RETURN 'x'; END $$;
	SELECT pg_temp.warn() || current_query()}), q{xSELECT pg_temp.warn() || current_query()},
	'and current_query() tells the statement all the same');

# Each report of a session leaves nothing behind.
my $size = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name IN ('ErrorContext', 'TopMemoryContext')};
$wire = Wire->new($node, 'postgres', 'postgres');
$wire->query(q{SET log_min_duration_statement = 0; CREATE TEMP TABLE sizes AS } . "$size; $size");
$wire->prepare('p', q{SELECT $1::text || 'x'});
for my $round (1 .. 4)
{
	$wire->execute('p', 'y' x 2000) for 1 .. 500;
	$wire->query("INSERT INTO sizes $size");
}
$wire->query('CREATE TABLE public.sizes_of AS SELECT * FROM sizes OFFSET 1');
is($node->safe_psql('postgres', 'SELECT max(sum) - min(sum) FROM sizes_of'), '0', 'memory stays where it was');

# Long statements, broken ones, and those that are hardly any
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET ALL');
for my $sql (q{'}, q{$$}, q{"}, q{E'\\}, q{/*}, q{--}, ' ', q{SELECT '} . 'CANARY' x 200000 . q{'::int}, q{"CANARY in a name that does not end}, q{SELECT '} . 'x' x 100 . q{ CANARY}, "SELECT '\xff CANARY'")
{
	($log, $said) = queries(q{SET forge_comm.redact_log = literals; SET log_statement = 'all'; SET log_min_duration_statement = 0}, $sql, 'SELECT 1');
	unlike("$log$said", qr/CANARY/, 'odd statement: ' . substr($sql, 0, 20) =~ s/\xff/?/r);
}

# The marks come back with a dump.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, 'copy' ], 'restored');
is($node->safe_psql('copy', q{SELECT forge_comm.secret_columns('accounts')}), '{secret,late}', 'the marks are there');
is($node->safe_psql('copy', q{SELECT has_column_privilege('app', 'accounts', 'secret', 'SELECT')::text ||
	(SELECT attstattarget FROM pg_attribute WHERE attrelid = 'accounts'::regclass AND attname = 'secret')}),
	$node->safe_psql('postgres', q{SELECT has_column_privilege('app', 'accounts', 'secret', 'SELECT')::text || 0}),
	'and what goes with them');

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no crash');

done_testing();
