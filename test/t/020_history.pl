# History over time: months that begin while a session writes, memory over a
# million rows, retention, and what a dump brings to another cluster.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ForgeComm;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('history', conf => "autovacuum = off\n");
my $log_count = 'SELECT count(*) FROM audit_log';

$app->onboard;
$app->admin($ForgeComm::seed);
$app->owner(q{SELECT forge_comm.enable_history('messages'), forge_comm.enable_history('users')});

# --- Under tenancy
$app->as(1, 1, q{UPDATE messages SET body = 'changed' WHERE id = 1});
$app->as(2, 2, q{UPDATE messages SET body = 'changed, too' WHERE id = 4; DELETE FROM messages WHERE id = 5});
is( $app->as(1, 1, q{SELECT workspace_id, user_id, role, action FROM audit_log ORDER BY id}),
	'1|1|app_owner|UPDATE', 'a member reads the history of their workspace');
is( $app->as(2, 2, q{SELECT workspace_id, user_id, action FROM audit_log ORDER BY id}),
	"2|2|UPDATE\n2|2|SOFT_DELETE", 'and so does another');
$app->refused('SELECT count(*) FROM audit_log', '42501', 'nobody without a context');
$app->refused_as(1, 1, 'DELETE FROM audit_log', '42501', 'the owner cannot delete');

# --- A month begins while a session writes
my $parts = $app->admin(q{SELECT string_agg(partition::text, ',') FROM forge_comm.log_partitions('audit_log') WHERE month IS NOT NULL});
$app->admin(join ';', map { "DROP TABLE $_" } split /,/, $parts);
$app->admin(q{
	DO $$
	DECLARE
		soon timestamptz := clock_timestamp() + interval '3 s';
	BEGIN
		EXECUTE format('CREATE TABLE before PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', soon - interval '1 h', soon);
		EXECUTE format('CREATE TABLE after PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', soon, soon + interval '1 h');
	END $$});
$app->admin(q{
	CREATE TABLE ticks (id int PRIMARY KEY, n int);
	ALTER TABLE ticks OWNER TO app_owner;
	INSERT INTO ticks VALUES (1, 0);
	SELECT forge_comm.enable_history('ticks')});
$app->admin(q{
	DO $$
	BEGIN
		FOR i IN 1..60 LOOP
			UPDATE ticks SET n = i;
			PERFORM pg_sleep(0.1);
		END LOOP;
	END $$});
is( $app->admin(q{
		SELECT min((new ->> 'n')::int) > 1, max((new ->> 'n')::int) FROM after WHERE table_name = 'ticks' AND action = 'UPDATE';
		SELECT min((new ->> 'n')::int), max((new ->> 'n')::int) < 60 FROM before WHERE table_name = 'ticks' AND action = 'UPDATE';
		SELECT count(*), count(DISTINCT new) FROM audit_log WHERE table_name = 'ticks' AND action = 'UPDATE'}),
	"t|60\n1|t\n60|60", 'one statement writes on into the partition that follows');

# --- Months that had no partition: the default one took their lines
$app->admin('DROP TABLE before, after');
$app->admin(q{UPDATE ticks SET n = 100});
is($app->admin(q{SELECT count(*) FROM audit_log_default}), '1', 'the default partition takes what no other does');
is( $app->owner(q{
		UPDATE ticks SET n = 101;
		SELECT count(*) > 0 FROM forge_comm.maintain_history();
		UPDATE ticks SET n = 102}),
	't', 'maintain_history() by the owner, who has no context, within a session that writes');
is( $app->admin(q{
		SELECT count(*) FROM audit_log_default;
		SELECT string_agg(new ->> 'n', ',' ORDER BY id) FROM audit_log WHERE table_name = 'ticks'}),
	"0\n100,101,102", 'moves them to the month that they belong to');
is( $app->admin(q{
		SELECT relrowsecurity, relforcerowsecurity,
			   (SELECT string_agg(tgname::text || ':' || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid)
		FROM pg_class AS c WHERE oid = 'audit_log_default'::regclass}),
	't|t|forge_comm_append_only:A,forge_comm_append_only_truncate:A', 'and leaves the guards as they were');

# --- Memory: what a backend has held at most, over a million rows
sub peak
{
	my ($rows) = @_;
	my $out = $app->admin(qq{
		CREATE TABLE IF NOT EXISTS rows_$rows (id int PRIMARY KEY, body text, more jsonb);
		ALTER TABLE rows_$rows OWNER TO app_owner;
		SELECT forge_comm.enable_history('rows_$rows') \\g /dev/null
		DO \$\$
		BEGIN
			FOR i IN 0..$rows / 1000 - 1 LOOP
				INSERT INTO rows_$rows SELECT n, repeat('x', 100), '{"a": [1, 2]}' FROM generate_series(i * 1000, i * 1000 + 999) AS n;
			END LOOP;
		END \$\$;
		SELECT sum(total_bytes) FROM pg_backend_memory_contexts});
	return $out;
}
my ($few, $many) = (peak(10_000), peak(1_000_000));
note "memory contexts after 10 thousand rows: $few, after a million: $many";
cmp_ok($many, '<', $few + 1024 * 1024, 'a million rows in one transaction leave no more memory in use than ten thousand');
is($app->admin(q{SELECT count(*) FROM audit_log WHERE table_name = 'rows_1000000'}), '1000000', 'and each has its line');
# in one statement: PostgreSQL queues its own events, 12 bytes or so each
my $held = $app->admin(q{
	SELECT pg_read_file(format('/proc/%s/status', pg_backend_pid())) AS status \gset before_
	UPDATE rows_1000000 SET body = 'y';
	SELECT pg_read_file(format('/proc/%s/status', pg_backend_pid())) AS status \gset after_
	SELECT (regexp_match(:'after_status', 'RssAnon:\s+(\d+)'))[1]::int - (regexp_match(:'before_status', 'RssAnon:\s+(\d+)'))[1]::int
	WHERE :'after_status' ~ 'RssAnon'});
note "private memory kept by a statement of a million rows: $held kB";
cmp_ok($held, '<', 64 * 1024, 'a statement of a million rows stays within what PostgreSQL queues') if $held ne '';
$app->admin('DROP TABLE rows_10000, rows_1000000');
$app->admin(q{DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT min(partition::text) FROM forge_comm.log_partitions('audit_log') WHERE month IS NOT NULL); END $$;
	SELECT 1 FROM forge_comm.maintain_history()});

# --- Retention, and seals over what it leaves
$app->admin(q{SET client_min_messages = warning; SELECT 1 FROM forge_comm.seal_history()});
my $start = $app->admin(q{SELECT date_trunc('month', now()) - interval '2 months'});
$app->admin(qq{DO \$\$ BEGIN
	EXECUTE format('CREATE TABLE old PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', timestamptz '$start', timestamptz '$start' + interval '1 month');
	END \$\$;
	INSERT INTO audit_log (changed_at, table_id, table_schema, table_name, action, transaction_id, role)
	SELECT timestamptz '$start' + interval '1 day', 1, 'public', 'past', 'INSERT', pg_current_xact_id(), 'postgres' FROM generate_series(1, 3)});
is($app->admin(q{SELECT lines FROM forge_comm.seal_history('audit_log')}), '3', 'each month is sealed by itself');
is( $app->admin(q{SELECT partition, action FROM forge_comm.maintain_history(keep => '25 days') WHERE action = 'dropped'}),
	'public.old|dropped', 'retention drops whole partitions');
is( $app->admin(q{SELECT seals, dropped, bad_seal, problem FROM forge_comm.verify_history()}),
	'1|1||', 'which is no tampering');
$app->admin(q{UPDATE ticks SET n = 103});
$app->admin(q{SELECT 1 FROM forge_comm.seal_history()});
my $head = $app->admin(q{SELECT encode(hash, 'hex') FROM audit_log_seals ORDER BY seal DESC LIMIT 1});
$app->admin(q{UPDATE ticks SET n = 104}); # not sealed yet

# --- Another cluster: its transactions count from the beginning
my $dump = PostgreSQL::Test::Utils::tempdir . '/app.sql';
$app->run_program('pg_dump', '-f', $dump, '-d', $app->node->connstr('app'));
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$other->append_conf('postgresql.conf', "autovacuum = off\n");
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN');
$other->safe_psql('postgres', 'CREATE DATABASE app OWNER app_owner');
$app->run_program('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', $dump, '-d', $other->connstr('app'));
my $there = bless { node => $other, db => 'app' }, 'ForgeComm';
is($there->dump, $app->dump, 'a dump of the restored database is the same');
is( $there->admin(q{SELECT min(transaction_id) < max(transaction_id) AND max(transaction_id) > pg_current_xact_id() FROM audit_log}),
	't', 'the log comes from the future') or diag($there->admin('SELECT max(transaction_id), pg_current_xact_id() FROM audit_log'));
is($there->admin(qq{SELECT bad_seal, problem FROM forge_comm.verify_history('audit_log', '$head')}), '|', 'the seals hold');
$there->admin(q{UPDATE ticks SET n = 105});
is( $there->admin(q{SELECT string_agg(lines::text, ',' ORDER BY seal) FROM forge_comm.seal_history('audit_log')}),
	'1,1', 'what came unsealed and what was written here are sealed');
is($there->admin(q{SELECT bad_seal, lines = (SELECT count(*) FROM audit_log) FROM forge_comm.verify_history('audit_log')}), '|t', 'and verified');
$there->admin(q{UPDATE ticks SET n = 106; UPDATE ticks SET n = 107});
is($there->admin(q{SELECT sum(lines) FROM forge_comm.seal_history('audit_log')}), '2', 'and so on');
is($there->admin(q{SELECT bad_seal, lines = (SELECT count(*) FROM audit_log) FROM forge_comm.verify_history('audit_log')}), '|t', 'verified again');
is( $there->admin(q{
		SELECT string_agg(new ->> 'n', ',') FROM forge_comm.history_of('ticks', 1);
		SELECT n FROM forge_comm.row_at(NULL::ticks, 1, (SELECT changed_at FROM audit_log WHERE new ->> 'n' = '104'))}),
	"103,104,105,106,107\n104", 'the story of a row goes on where it was');
$there->admin(q{
	ALTER TABLE audit_log DISABLE TRIGGER forge_comm_append_only;
	UPDATE audit_log SET new = '{"n": 0}' WHERE new ->> 'n' = '104'});
is($there->admin(q{SELECT bad_seal IS NOT NULL, problem ~ 'differs' FROM forge_comm.verify_history('audit_log')}), 't|t', 'and tampering shows');

done_testing();
