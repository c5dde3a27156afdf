# The gate for new tables with real migrations, dumps and restores, and what
# the checklist says of the two schemas that everybody starts from.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('gate', conf => 'max_prepared_transactions = 2');
my $base = PostgreSQL::Test::Utils::tempdir;

$app->owner($ForgeComm::seed);
$app->onboard;
$app->owner(qq{SELECT forge_comm.enable_timestamps('$_')}) for qw(users workspaces memberships reactions);
$app->owner(q{SELECT forge_comm.create_chat_schema('chat')});
$app->admin(q{ALTER DATABASE app SET session_preload_libraries = 'forge_comm'});

# All that is left of the existing application is true of it: one role owns
# the tables and uses them, and its keys were made before there was tenancy.
is( $app->admin(q{SELECT id, object FROM forge_comm.checklist('public') ORDER BY 1, 2}),
	join("\n",
		'key-across-workspaces|channel_members_channel_id_fkey on public.channel_members',
		'key-across-workspaces|messages_channel_id_fkey on public.messages',
		'key-across-workspaces|messages_parent_id_fkey on public.messages',
		'key-across-workspaces|reactions_message_id_fkey on public.reactions',
		'role-owns-tables|app_owner',
		'secret-readable|public.users.hashed_password',
		'timestamps-missing|public.channel_members'),
	'the existing application');
is( $app->admin(q{SELECT id, object FROM forge_comm.checklist('chat') ORDER BY 1, 2}),
	"role-owns-tables|app_owner\nsecret-readable|chat.users.hashed_password",
	'the chat schema, owned by the application');

# Its mends, one after the other, leave what nobody but a person can mend
$app->admin($_)
  for split /\n/, $app->admin(q{SELECT mend FROM forge_comm.checklist('public')});
$app->admin($_)
  for split /\n/, $app->admin(q{SELECT mend FROM forge_comm.checklist('public')});
is( $app->admin(q{SELECT id FROM forge_comm.checklist('public')}),
	'role-owns-tables', 'mends that are run as written');
is( $app->as(1, 1, q{
		INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'x') RETURNING workspace_id;
		SELECT email FROM users WHERE id = 1}),
	"1\nalice", 'and the application works');
$app->refused_as(1, 1, 'SELECT hashed_password FROM users', '42501',
	'without its secrets');

# Who is told
is( $app->admin(q{
		CREATE SCHEMA chat2;
		CREATE ROLE dba LOGIN SUPERUSER;
		CREATE ROLE outsider LOGIN;
		SELECT count(*) FROM forge_comm.checklist('chat2')}), '0', 'an empty schema');
$app->refused(q{SELECT * FROM forge_comm.checklist('chat')},
	'42501', 'it is not for everybody', user => 'outsider');
$app->admin('CREATE EXTENSION IF NOT EXISTS plpgsql; GRANT CREATE ON SCHEMA public TO outsider');

# The gate
$app->admin(q{ALTER DATABASE app SET forge_comm.require_tenancy = 'error'});

sub passes
{
	my ($sql, $name, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($app->complaint($sql, %params) =~ s/^no error, but: .*//sr, '', $name);
}
my $files = 'CREATE TABLE files (id serial PRIMARY KEY, workspace_id integer NOT NULL REFERENCES workspaces)';

$app->refused($files, '55000', 'an open table is refused');
is($app->admin(q{SELECT to_regclass('files') IS NULL}), 't', 'and is not there');
like(
	$app->complaint($files),
	qr/HINT:  .*SELECT forge_comm.enable_tenancy\('public.files', workspace_column => 'workspace_id'\);/,
	'the hint is the mend');
$app->refused($files, '55000', 'also one of a superuser',
	user => 'dba');
$app->refused('CREATE TABLE files (id serial, workspace_id integer)', '55000',
	'and of a role without any grant', user => 'outsider');
$app->refused("SET forge_comm.require_tenancy = 'off'; $files",
	'55000', 'a setting from before the library is loaded opens nothing')
  if $app->admin('ALTER DATABASE app RESET session_preload_libraries') eq '';
$app->refused("SELECT forge_comm.rules('users'); SET forge_comm.require_tenancy = 'off'",
	'42501', 'nor may the owner turn it off');
$app->refused("SET row_security = off; SET application_name = 'pg_restore'; $files",
	'55000', 'and looks like no restore to anybody who is bound');
$app->refused("BEGIN; $files; COMMIT", '55000', 'a transaction is refused as it ends');
$app->refused("BEGIN; SAVEPOINT s; $files; RELEASE s; COMMIT", '55000', 'with a savepoint, too');
$app->refused("DO \$\$ BEGIN $files; COMMIT; END \$\$", '55000', 'as is one that a block ends');
$app->refused('CREATE TABLE copy AS SELECT * FROM messages WHERE false', '55000', 'a copy is refused',
	user => 'dba');
$app->refused('SELECT * INTO copy FROM messages WHERE false',
	'55000', 'however it is made', user => 'dba');
$app->refused('CREATE SCHEMA other CREATE TABLE files (id int, workspace_id int)',
	'55000', 'even with its schema', user => 'dba');
$app->refused('CREATE TABLE pages (id serial PRIMARY KEY, message_id integer NOT NULL REFERENCES messages)',
	'55000', 'and what hangs under a table of a workspace');
$app->refused('ALTER TABLE messages DISABLE ROW LEVEL SECURITY', '55000',
	'row security stays on');
$app->refused(q{SELECT forge_comm.disable_tenancy('reactions')}, '55000', 'tenancy, too');

passes("BEGIN; SAVEPOINT s; $files; ROLLBACK TO s; COMMIT", 'what is undone does not matter');
passes("BEGIN; $files; DROP TABLE files; COMMIT", 'nor does what is dropped');
passes('CREATE TABLE emoji (id serial PRIMARY KEY, name text)', 'a table of no workspace passes');
passes('CREATE TEMPORARY TABLE mine (workspace_id integer)', 'so does a temporary one');
passes("BEGIN; $files; SELECT forge_comm.enable_tenancy('files'); COMMIT",
	'and one that the same transaction enables');
passes(q{
	BEGIN;
	CREATE TABLE pages (id serial PRIMARY KEY, message_id integer NOT NULL REFERENCES messages);
	INSERT INTO pages (message_id) SELECT 1 WHERE false;
	SELECT forge_comm.enable_tenancy('pages', via => 'message_id');
	COMMIT;
	CALL forge_comm.backfill('pages')}, 'and is filled afterwards');
passes('ALTER TABLE files ADD COLUMN name text', 'a sound table can be altered');
passes(q{
	BEGIN;
	CREATE TABLE events (id int, workspace_id int NOT NULL) PARTITION BY LIST (id);
	SELECT forge_comm.enable_tenancy('events');
	CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
	COMMIT;
	CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2)}, 'partitions follow');
passes(q{
	ALTER DATABASE app SET forge_comm.require_tenancy = 'error';
	SET forge_comm.require_tenancy = off;
	CREATE TABLE later (id serial PRIMARY KEY, workspace_id int)},
	'a superuser can turn it off', user => 'dba');
passes('CREATE INDEX ON later (workspace_id)', 'what is open already is left alone', user => 'dba');
$app->refused('ALTER TABLE later ADD COLUMN name text', '55000', 'until it is altered',
	user => 'dba');
$app->admin('BEGIN; SET LOCAL forge_comm.require_tenancy = off; DROP TABLE later; COMMIT');

# Two phases
like(
	$app->complaint("BEGIN; $files; PREPARE TRANSACTION 'x'" =~ s/files/prepared/r),
	qr/table public\.prepared is left open/,
	'a transaction is not prepared either');
$app->admin($_)
  for split /\n/, $app->admin(q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts});

# Warnings
$app->admin(q{GRANT SET ON PARAMETER forge_comm.require_tenancy TO app_owner});
my ($ret, $out, $err) = $app->node->psql('app', q{
		SET forge_comm.require_tenancy = 'warn';
		CREATE TABLE later (id serial PRIMARY KEY, workspace_id int);
		DROP TABLE later;
	}, extra_params => [ '-U', 'app_owner' ]);
is($ret, 0, 'with "warn" nothing is refused');
like($err, qr/WARNING: .*table public\.later is left open/, 'but it is said');
is(() = $err =~ /WARNING/g, 1, 'once');
{
	local $ENV{PGOPTIONS} = '-c forge_comm.require_tenancy=off';
	passes('CREATE TABLE later (id serial PRIMARY KEY, workspace_id int); DROP TABLE later',
		'whom it was granted can turn it off');
}
$app->admin(q{REVOKE SET ON PARAMETER forge_comm.require_tenancy FROM app_owner});

# Extensions come and go
passes('BEGIN; CREATE TABLE later (id int, workspace_id int); DROP EXTENSION forge_comm CASCADE; ROLLBACK',
	'DROP EXTENSION', user => 'dba');
$app->create_database('gone');
my $gone = $app->in_database('gone');
is($gone->admin(q{
	CREATE EXTENSION forge_comm;
	SET forge_comm.require_tenancy = 'error';
	BEGIN;
	CREATE TABLE t (id int, workspace_id int);
	DROP EXTENSION forge_comm;
	COMMIT;
	SELECT 'gone'}), 'gone', 'where the extension goes, so does the gate');

# Dumps: the setting comes with "pg_dump -C", or from postgresql.conf
$app->node->append_conf('postgresql.conf', q{forge_comm.require_tenancy = 'error'});
$app->node->reload;
my $schema = $app->dump('--schema-only');
$app->run_program('pg_dump', '-f', "$base/app.sql", '-d', $app->node->connstr('app'));
$app->run_program('pg_dump', '-Fc', '-f', "$base/app.dump", '-d', $app->node->connstr('app'));
my %restores = (
	plain => [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$base/app.sql" ],
	single => [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', "$base/app.sql" ],
	custom => [ 'pg_restore', '--exit-on-error', "$base/app.dump" ],
	parallel => [ 'pg_restore', '--exit-on-error', '-j', '2', "$base/app.dump" ]);
for my $name (sort keys %restores)
{
	my $restored = $app->in_database("from_$name");
	my ($program, @args) = @{ $restores{$name} };

	$app->create_database("from_$name");
	$app->admin(qq{ALTER DATABASE from_$name SET forge_comm.require_tenancy = 'error'});
	my @file = $program eq 'pg_restore' ? pop @args : ();
	eval { $app->run_program($program, @args, '-d', $app->node->connstr("from_$name"), @file) };
	is($@, '', "restored: $name") or next;
	is($restored->dump('--schema-only'), $schema, '... as it was');
	$restored->refused($files =~ s/files/more/r, '55000', '... and closed after');
}

# A role that row security binds restores no open table, unless it is let
$app->admin(q{CREATE ROLE restorer LOGIN; GRANT SET ON PARAMETER forge_comm.require_tenancy TO restorer});
$app->create_database('by_owner');
my $by_owner = $app->in_database('by_owner');
$by_owner->admin('CREATE EXTENSION forge_comm; GRANT CREATE ON SCHEMA public TO restorer');
append_to_file("$base/later.sql", "SET row_security = off;\nCREATE TABLE later (id int, workspace_id int);\n");
my @restore = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-U', 'restorer', '-f', "$base/later.sql",
	'-d', $app->node->connstr('by_owner'));
eval { $app->run_program(@restore) };
like($@, qr/table public\.later is left open/, 'by a role that is bound it is no restore');
{
	local $ENV{PGOPTIONS} = '-c forge_comm.require_tenancy=off';
	eval { $app->run_program(@restore) };
	is($@, '', 'unless the setting says so');
}

# Connection options come before the library, unless it is there from the start
$app->node->append_conf('postgresql.conf', q{shared_preload_libraries = 'forge_comm'});
$app->node->restart;
{
	local $ENV{PGOPTIONS} = '-c forge_comm.require_tenancy=off';
	like($app->complaint('SELECT 1'), qr/permission denied to set parameter/,
		'with shared_preload_libraries nobody connects with the gate off');
}
is($app->admin(q{SELECT count(*) FROM forge_comm.checklist('public') WHERE id = 'preload-missing'}),
	'0', 'which is preloading, too');

unlike(slurp_file($app->node->logfile), qr/terminated by signal|PANIC/, 'no crash');

done_testing();
