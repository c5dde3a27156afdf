# An attacker inside the application's role, as far as that takes a connection
# of its own, several of them, or the end of a transaction: settings that come
# with the connection, two-phase and chained commits, cancels and timeouts amid
# set_context(), logical decoding, COPY, and the one procedure that commits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('attacker',
	conf => "wal_level = logical\nmax_prepared_transactions = 4\n");
$app->owner($ForgeComm::seed);
$app->onboard;

# Here the application is not the owner
$app->admin(q{
	CREATE ROLE app_user LOGIN;
	SELECT forge_comm.grant_app('app_user');
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_user;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_user;
	CREATE SCHEMA evil AUTHORIZATION app_user;
});

# A session that goes on after errors: what comes out, and the SQLSTATEs.
sub session
{
	my ($sql, %params) = @_;
	my ($ret, $stdout, $stderr) = $app->node->psql(
		'app', $sql,
		on_error_stop => 0,
		extra_params => [
			'-U', $params{user} // 'app_user', '-v', 'VERBOSITY=verbose'
		]);

	return ($stdout, states($stderr));
}

sub states
{
	my ($stderr) = @_;
	return join ' ', $stderr =~ /(?:ERROR|FATAL): +([0-9A-Z]{5}):/g;
}

sub session_is
{
	my ($sql, $stdout, $states, $name, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is_deeply([ session($sql, %params) ], [ $stdout, $states ], $name);
}

sub wait_for
{
	my ($sql) = @_;
	$app->node->poll_query_until('app', $sql) or die "waited in vain for $sql";
	return;
}

my $one = 'SELECT forge_comm.set_context(1) \g /dev/null' . "\n";
my $two = 'SELECT forge_comm.set_context(2) \g /dev/null' . "\n";
my $count = 'SELECT count(*) FROM messages;';
session_is("BEGIN; $one $count COMMIT;", 3, '', 'there is something to read');

# ------------------------------------- settings that come with the connection

my $hidden = q{
	SELECT name, CASE vartype WHEN 'bool' THEN 'on' WHEN 'enum' THEN enumvals[1] ELSE '1' END, boot_val
	FROM pg_settings WHERE name LIKE 'forge\_comm.%' AND context = 'superuser'};
my @hidden = map { [ split /\|/ ] } split /\n/, $app->admin("LOAD 'forge_comm'; $hidden");
cmp_ok(@hidden, '>=', 3, 'there are settings for superusers only');

for my $preload (0, 1)
{
	my $how = $preload ? 'preloaded' : 'placeholder';

	$app->admin(q{ALTER DATABASE app SET session_preload_libraries = 'forge_comm'}) if $preload;
	for (@hidden, [ 'forge_comm.context', 'scope=*', '' ])
	{
		my ($name, $value) = @$_;
		my ($default) = session("SELECT forge_comm.context() \\g /dev/null\n SELECT current_setting('$name');");
		my $show = "SELECT forge_comm.context() \\g /dev/null\n SELECT current_setting('$name') = '$default';";

		{
			local $ENV{PGOPTIONS} = "-c $name=$value";
			my ($stdout, $states) = session($show);
			isnt($stdout, 'f', "$how: $name in PGOPTIONS has no effect");
		}
		my ($stdout, $states) = session("SET $name = '$value'; $show");
		is($stdout, 't', "$how: $name by SET has no effect");
		($stdout, $states) = session("BEGIN; SET LOCAL $name = '$value'; SAVEPOINT s; $show ROLLBACK;");
		isnt($stdout, 'f', "$how: $name by SET LOCAL has no effect");
		next if $name eq 'forge_comm.context' && !$preload;
		session_is("ALTER ROLE app_user SET $name = '$value';", '', '42501', "$how: $name by ALTER ROLE SET");
		session_is("ALTER ROLE app_user IN DATABASE app SET $name = '$value';", '', '42501', "$how: $name by ALTER ROLE IN DATABASE SET");
		session_is("CREATE FUNCTION evil.f() RETURNS text LANGUAGE sql SET $name = '$value' AS \$\$ SELECT '' \$\$;",
			'', '42501', "$how: $name in a function's SET clause");
	}
	$app->admin('ALTER DATABASE app RESET ALL') if $preload;
}
# The carrier is worth nothing where it could be stored
for my $store (
	q{ALTER ROLE app_user SET forge_comm.context = 'scope=*'},
	q{CREATE OR REPLACE FUNCTION evil.f() RETURNS bigint LANGUAGE sql SET forge_comm.context = 'scope=*' AS 'SELECT count(*) FROM messages'})
{
	session($store);
	my ($stdout, $states) = session("SELECT evil.f(); $count");
	is($stdout, '', "nothing is read after $store");
}
$app->admin('ALTER ROLE app_user RESET ALL');
$app->refused("LOAD 'forge_comm'; ALTER SYSTEM SET forge_comm.context = 'scope=*'",
	'55P02', 'nor does it come from a file', user => $app->admin('SELECT current_user'));

# ------------------------------------------------- the end of the transaction

session_is("BEGIN; $one COMMIT AND CHAIN; $count ROLLBACK;", '', '42501', 'COMMIT AND CHAIN ends the context');
session_is("BEGIN; $one ROLLBACK AND CHAIN; $count ROLLBACK;", '', '42501', 'so does ROLLBACK AND CHAIN');
session_is("BEGIN; $one RESET forge_comm.context; COMMIT AND CHAIN; $two $count ROLLBACK;", 2, '', 'another may begin then');
session_is("BEGIN; $one RESET forge_comm.context; $two $count ROLLBACK;", '', '42501 25P02', 'but not before');

session_is("BEGIN; $one INSERT INTO messages (channel_id, user_id, body) VALUES (1, 1, 'prepared'); PREPARE TRANSACTION 'attack'; $count",
	'', '42501', 'PREPARE TRANSACTION ends the context');
session_is("COMMIT PREPARED 'attack'; $count BEGIN; $two $count COMMIT;", 2, '42501', 'and COMMIT PREPARED brings none');
session_is("BEGIN; $one RESET forge_comm.context; PREPARE TRANSACTION 'attack'; BEGIN; $two $count COMMIT; ROLLBACK PREPARED 'attack';",
	2, '', 'nor does what was reset stand in the next one\'s way');
session_is("BEGIN; $one RESET forge_comm.context; $two PREPARE TRANSACTION 'attack'; ROLLBACK PREPARED 'attack';",
	'', '42501 42704', 'as it does in this');
is($app->admin(q{SELECT workspace_id FROM messages WHERE body = 'prepared'}), 1, 'what was prepared is where it belongs');
$app->admin(q{SET forge_comm.allow_hard_delete = on; DELETE FROM messages WHERE body = 'prepared'});

session_is("$one $count", '', '42501', 'without BEGIN a context ends with its statement');
session_is("SELECT forge_comm.set_context(1, is_local => false) \\g /dev/null\n $count DISCARD ALL; $count", 3, '42501', 'DISCARD ALL ends that of a session');
session_is("SELECT forge_comm.set_context(1, is_local => false) \\g /dev/null\n BEGIN; DISCARD ALL; ROLLBACK; $two $count", 3, '25001 42501',
	'and not within a transaction');
session_is("BEGIN; $one SET SESSION AUTHORIZATION app_owner; ROLLBACK; BEGIN; $one SET ROLE app_owner; ROLLBACK;", '', '42501 42501', 'no other role is had');

$app->owner('GRANT CREATE ON DATABASE app TO app_user');
session(q{
	CREATE TABLE evil.late (id int);
	CREATE FUNCTION evil.become_another() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RESET forge_comm.context; PERFORM forge_comm.set_context(2); INSERT INTO evil.late SELECT count(*) FROM messages; RETURN NULL; END';
	CREATE FUNCTION evil.count() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RAISE EXCEPTION ''counted %'', (SELECT count(*) FROM messages); END';
	CREATE CONSTRAINT TRIGGER become_another AFTER INSERT ON evil.late DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.id = -1) EXECUTE FUNCTION evil.become_another();
	CREATE CONSTRAINT TRIGGER count AFTER INSERT ON evil.late DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.id = -2) EXECUTE FUNCTION evil.count();
	CREATE PROCEDURE evil.commits(other int) LANGUAGE plpgsql AS
	'BEGIN PERFORM forge_comm.set_context(1); COMMIT; INSERT INTO evil.late SELECT count(*) FROM messages; END';
});
session_is("BEGIN; $one INSERT INTO evil.late VALUES (-1); COMMIT; TABLE evil.late;", '', '42501', 'a deferred trigger names no other user at the commit');
session_is("BEGIN; $one INSERT INTO evil.late VALUES (-2); COMMIT;", '', 'P0001', 'it still has the context');
session_is("BEGIN; $one INSERT INTO evil.late VALUES (-2); RESET forge_comm.context; COMMIT;", '', '42501', 'or none');
session_is('CALL evil.commits(2); TABLE evil.late;', '', '42501', 'COMMIT in a procedure ends the context');
session_is("BEGIN; $one CALL evil.commits(2); ROLLBACK; BEGIN; $one DO 'BEGIN COMMIT; END'; ROLLBACK;", '', '2D000 2D000', 'and is refused in a transaction that is under way');

session_is("BEGIN; $one DECLARE held CURSOR WITH HOLD FOR SELECT body FROM messages ORDER BY id; COMMIT; BEGIN; $two FETCH ALL held; COMMIT; DISCARD ALL; FETCH ALL held;",
	"one\ntwo\nthree", '34000', 'a cursor WITH HOLD keeps its rows, gets no others, and DISCARD ALL ends it');
session_is("BEGIN; $one DECLARE held CURSOR WITH HOLD FOR SELECT body FROM messages ORDER BY id; RESET forge_comm.context; COMMIT; FETCH ALL held;",
	'', '42501 34000', 'one that outlives the context is closed');

# -------------------------------------------- cancelled amid set_context()

my $holder = $app->background('holder', q{
	SET application_name = 'holder';
	BEGIN; LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600);});
wait_for(q{
	SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'memberships'::regclass AND mode = 'AccessExclusiveLock' AND granted)});

my $amid = "BEGIN; SAVEPOINT s; $one ROLLBACK TO s; $count ROLLBACK TO s; SET forge_comm.context = 'scope=*'; ROLLBACK; $count";
session_is("SET statement_timeout = '100ms'; $amid", '', '57014 42501 42501 42501', 'a statement timeout amid set_context() leaves no context');
session_is("SET lock_timeout = '100ms'; $amid", '', '55P03 42501 42501 42501', 'nor does a lock timeout');
session_is("SET statement_timeout = '100ms'; BEGIN; SAVEPOINT s; $one ROLLBACK TO s; SET statement_timeout = 0; SELECT forge_comm.context(); ROLLBACK;",
	'(,,,)', '57014', 'nobody is asking then');

my $cancelled = $app->background('cancelled',
	"\\set ON_ERROR_STOP 0\nSET application_name = 'cancelled'; $amid BEGIN; $two $count COMMIT;", user => 'app_user');
wait_for(q{
	SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'cancelled' AND wait_event_type = 'Lock')});
$app->admin(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'cancelled'});
# the rest of that session waits until the table is free again
wait_for(q{
	SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'cancelled' AND query ~ 'set_context\(2\)' AND wait_event_type = 'Lock')});
$app->admin(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'});
$app->finish($holder);
my ($stdout, $stderr) = $app->finish($cancelled);
is(states($stderr), '57014 42501 42501 42501', 'a cancelled set_context() leaves no context');
is($stdout, "2\n", 'and the session goes on as it should');

# A user of very many workspaces can be waited for, or not
$app->admin(q{
	CREATE TABLE many (user_id int, workspace_id int);
	INSERT INTO many SELECT 1, i FROM generate_series(1, 500000) AS i;
	CREATE INDEX ON many (user_id);
	SELECT forge_comm.use_memberships('many');
});
session_is("SET statement_timeout = '10ms'; BEGIN; SAVEPOINT s; $one ROLLBACK TO s; SET statement_timeout = 0; $count ROLLBACK;",
	'', '57014 42501', 'a timeout amid the reading of memberships');
$app->admin("$ForgeComm::memberships DROP TABLE many");

# ------------------------------------------------------------ logical decoding

my $slot = q{pg_create_logical_replication_slot('attack', 'test_decoding')};
session_is("SELECT $slot;", '', '42501', 'the application makes no replication slot');
$app->admin("SELECT $slot");
$app->as(2, 2, q{INSERT INTO messages (channel_id, user_id, body) VALUES (3, 2, 'canary')});
session_is("SELECT * FROM pg_logical_slot_${_}_changes('attack', NULL, NULL);", '', '42501', "nor does it $_ what one decodes")
  for qw(peek get peek_binary get_binary);
session_is('CREATE PUBLICATION attack FOR TABLE messages;', '', '42501', 'nor does it publish a table');
{
	my ($ret, $out, $err) = $app->node->psql('app', 'IDENTIFY_SYSTEM', replication => 'database', extra_params => [ '-U', 'app_user' ]);
	isnt($ret, 0, 'nor does it connect for replication');
}
like($app->admin(q{SELECT string_agg(data, '') FROM pg_logical_slot_peek_changes('attack', NULL, NULL)}), qr/canary/,
	'whoever may decode sees every workspace, as documented');
$app->admin(q{SELECT pg_drop_replication_slot('attack')});

# ------------------------------------------------------------------------ COPY

session_is("BEGIN; $one COPY (SELECT body FROM messages ORDER BY id) TO STDOUT; COPY channels (name) TO STDOUT; COMMIT;",
	"one\ntwo\nthree\ngeneral\nrandom", '', 'COPY TO copies what is in scope');
session_is('COPY messages TO STDOUT;', '', '42501', 'and nothing without a context');
session_is("BEGIN; $one COPY messages (channel_id, user_id, body) FROM STDIN;\n3\t1\tstolen\n\\.\nROLLBACK;", '', '0A000', 'COPY FROM is refused');
session_is("BEGIN; $one COPY messages TO PROGRAM 'cat'; ROLLBACK; BEGIN; $one COPY messages TO '/tmp/attack'; ROLLBACK;", '', '42501 42501', 'so are programs and files');

# ---------------------------------------------------- backfill(), which commits

# The attacker's schema comes first in the owner's path
session(q{
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	CREATE FUNCTION evil.taken() RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE EXCEPTION ''pwned''; END';
	DO $$
	DECLARE
		f record;
	BEGIN
		FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS args, p.prorettype::regtype AS result FROM pg_proc AS p
			WHERE p.prokind = 'f' AND NOT p.proretset AND p.pronamespace = 'pg_catalog'::regnamespace
			AND p.proname IN ('pg_relation_size', 'current_setting', 'set_config', 'ceil', 'int8', 'quote_ident')
		LOOP
			EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.args, f.result, 'BEGIN RAISE EXCEPTION ''pwned''; END');
		END LOOP;
		FOR f IN SELECT o.oid, o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result FROM pg_operator AS o
			WHERE o.oprkind = 'b' AND o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '||', '->>', '?')
			AND o.oprleft = ANY ('{integer,bigint,numeric,text,name,oid,jsonb,"char"}'::regtype[])
			AND o.oprright = ANY ('{integer,bigint,numeric,text,name,oid,jsonb,"char"}'::regtype[])
		LOOP
			EXECUTE format('CREATE FUNCTION evil.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', f.oid, f.l, f.r, f.result, 'BEGIN RAISE EXCEPTION ''pwned''; END');
			EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.op_%s)', f.oprname, f.l, f.r, f.oid);
		END LOOP;
	END $$;
	CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE evil.taken();
	CREATE DOMAIN evil.name AS pg_catalog.text CHECK (evil.taken());
	CREATE DOMAIN evil.jsonb AS pg_catalog.text CHECK (evil.taken());
	GRANT SELECT ON evil.pg_class TO PUBLIC;
});
$app->owner(q{
	CREATE TABLE drafts (id int PRIMARY KEY, channel_id int NOT NULL REFERENCES channels);
	INSERT INTO drafts SELECT i, 1 + i % 3 FROM generate_series(1, 3000) AS i;
	SELECT forge_comm.enable_tenancy('drafts', via => 'channel_id');
});
like($app->complaint(q{SET search_path = evil, pg_catalog, public; SELECT 1 = 1}), qr/pwned/, 'the bait works');
like($app->owner(q{
		CREATE TEMP VIEW pg_class AS SELECT * FROM evil.pg_class;
		CREATE TEMP VIEW pg_attribute AS SELECT 1 AS attrelid WHERE evil.taken();
		CREATE TEMP TABLE drafts (id int, channel_id int, workspace_id int);
		SET search_path = evil, pg_temp, pg_catalog, public;
		CALL forge_comm.backfill('public.drafts', 1000)}),
	qr/^3000\|/, 'backfill() takes no bait, in any of its transactions');
is($app->admin('SELECT count(*) FROM drafts JOIN channels AS c ON c.id = channel_id WHERE drafts.workspace_id = c.workspace_id'), 3000, 'and fills what it should');

# --------------------------------------------------------- without the extension

my $rows = $app->admin('SELECT count(*) FROM messages');
$app->admin('DROP EXTENSION forge_comm CASCADE');
session_is("$count DELETE FROM messages; INSERT INTO channels (workspace_id, name) VALUES (2, 'stolen');", 0, '42501', "without the extension $_ has no row", user => $_)
  for qw(app_user app_owner);
is($app->admin('SELECT count(*) FROM messages'), $rows, 'all of them are there');

unlike(slurp_file($app->node->logfile), qr/terminated by signal|PANIC/, 'no crash');

done_testing();
