# A token from before a restore, a promotion or a server that was set back says
# so: everything is to be loaded anew. A standby tells what the primary tells,
# a subscriber keeps a log of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $setup = q{
	SELECT forge_comm.create_chat_schema('chat');
	GRANT USAGE ON SCHEMA chat TO app;
	GRANT SELECT ON ALL TABLES IN SCHEMA chat TO app;
	REVOKE ALL ON chat.message_changes FROM app;
};
my $people = q{
	INSERT INTO chat.users (email, display_name) VALUES ('ann@acme.example', 'Ann');
	INSERT INTO chat.workspaces (name, slug) VALUES ('Acme', 'acme');
	INSERT INTO chat.memberships (workspace_id, user_id) VALUES (1, 1);
	INSERT INTO chat.channels (workspace_id, name) VALUES (1, 'general');
	INSERT INTO chat.messages (channel_id, user_id, body) VALUES (1, 1, 'first');
};
my $say = q{INSERT INTO chat.messages (channel_id, user_id, body) VALUES (1, 1, '%s')};

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(
	allows_streaming => 'logical',
	has_archiving    => 1,
	extra            => [ '--encoding=UTF8', '--locale=C' ]);
$primary->append_conf('postgresql.conf', "log_statement = none\nmax_prepared_transactions = 4\n");
$primary->start;
$primary->safe_psql('postgres',
	"CREATE ROLE app LOGIN; CREATE EXTENSION forge_comm; SELECT forge_comm.grant_app('app'); $setup $people");

# What one client is told with a token, and the token for the next time
sub told
{
	my ($node, $token, $db, $limit) = @_;
	my $since = $token ? "'$token'" : 'NULL';
	$limit //= 500;
	my ($ret, $stdout, $stderr) = $node->psql(
		$db // 'postgres', qq{
			BEGIN READ ONLY;
			SELECT forge_comm.set_context(user_id => 1) \\g /dev/null
			SELECT kind, (message).body, token FROM chat.get_changes($since, $limit);
			COMMIT},
		extra_params => [ '-U', 'app', '-v', 'VERBOSITY=verbose' ]);
	return ($stderr =~ /ERROR:  (\w+)/ ? $1 : $stderr) if $ret != 0;
	my $next = $stdout =~ /\|(c\S+)\z/ ? $1 : undef;
	$stdout =~ s/\|c\S+\z//;
	$stdout =~ s/\|/ /g;
	$stdout =~ s/ +$//gm;
	return ($stdout, $next);
}

my ($out, $token) = told($primary);
is($out, 'end', 'the first call gives a token');
$primary->safe_psql('postgres', sprintf($say, 'second'));
my $old = $token;
($out, $token) = told($primary, $old);
is($out, "inserted second\nend", 'by which what follows is told');
my (undef, $walking) = do
{
	$primary->safe_psql('postgres', sprintf($say, 'third'));
	told($primary, $old, undef, 1);
};

# ------------------------------------------------------- dump and restore

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$primary->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'a dump');
for my $db ('copy', 'text_copy')
{
	$primary->safe_psql('postgres', "CREATE DATABASE $db");
}
$primary->command_ok([ 'pg_restore', '-j', '2', '-d', 'copy', $dump ], 'is restored into another database');
for ([ 'token', $token ], [ 'token of a walk', $walking ], [ 'old token', $old ])
{
	my ($what, $t) = @$_;
	my ($said, $next) = told($primary, $t, 'copy');
	is($said, 'reset_required', "an $what from before requires all to be loaded anew");
	($said) = told($primary, $next, 'copy');
	is($said, 'end', '... and gives one by which nothing old is told');
}
my (undef, $copied) = told($primary, undef, 'copy');
$primary->safe_psql('copy', sprintf($say, 'in the copy'));
is((told($primary, $copied, 'copy'))[0], "inserted in the copy\nend", 'the copy tells of itself');
is((told($primary, $copied))[0], 'MC001', 'its tokens are signed with a key that the first has not');
is((told($primary, $token))[0], "inserted third\nend", 'which goes on as if nothing had happened');
is($primary->safe_psql('copy', q{SELECT forge_comm.maintain_changes('chat.messages') > 0,
		(SELECT count(DISTINCT epoch) FROM chat.message_changes)}),
	't|2', 'maintenance of the copy removes what it brought');
is($primary->safe_psql('copy', 'SELECT count(DISTINCT epoch) FROM chat.message_changes'), '1', '... all of it');

# A key that is not known here
$primary->safe_psql('copy', 'SELECT forge_comm.new_cursor_key(forget_others => true)');
is((told($primary, $copied, 'copy'))[0], 'MC001', 'once keys are forgotten their tokens are forged ones');

# Restored in place
$primary->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'copy', $dump ], 'restored over what was there');
is((told($primary, (told($primary, $token))[1], 'copy'))[0], 'reset_required', 'is another log');

# ----------------------------------------------------------------- standbys

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
($out, $token) = told($primary);
$primary->safe_psql('postgres', sprintf($say, 'for both'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my ($there, $theirs) = told($standby, $token);
is($there, "inserted for both\nend", 'a standby tells what the primary tells');

# A transaction that was running, in tokens of either
my $running = "BEGIN; " . sprintf($say, 'low') . '; SAVEPOINT s; ' . sprintf($say, 'lower') . "; PREPARE TRANSACTION 'slow'; ";
$primary->safe_psql('postgres', $running . sprintf($say, 'high'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my (undef, $of_standby) = told($standby, $theirs);
my ($said, $of_primary) = told($primary, $theirs);
is($said, "inserted high\nend", 'what is not committed is not told');
$primary->safe_psql('postgres', "COMMIT PREPARED 'slow'; " . sprintf($say, 'higher'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $late = "inserted low\ninserted lower\ninserted higher\nend";
is((told($primary, $of_primary))[0], $late, 'once it is committed it is: by the primary with its token');
is((told($standby, $of_primary))[0], $late, '... by the standby with that of the primary');
is((told($primary, $of_standby))[0], $late, '... by the primary with that of the standby');
($said, $token) = told($standby, $of_standby);
is($said, $late, '... and by the standby with its own');
# In small steps, also where nothing is known of the order of ids
($said, my $step) = told($standby, $of_standby, undef, 1);
is($said, "inserted low\nmore", 'a step at a time on the standby');
($said, $step) = told($primary, $step, undef, 1);
is($said, "inserted lower\nmore", '... the next one on the primary');
is((told($standby, $step, undef, 1))[0], "inserted higher\nend", '... and back');

# A standby that is behind the token
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'});
$primary->safe_psql('postgres', sprintf($say, 'ahead'));
(undef, my $ahead) = told($primary, $token);
($said, my $same) = told($standby, $ahead);
is($said, 'end', 'a standby that is behind has nothing to tell');
$primary->safe_psql('postgres', sprintf($say, 'further'));
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is((told($standby, $same))[0], "inserted further\nend", '... until it has come there, and then what is new');

# A server that was set back, with the same history as far as it can tell
my $back = PostgreSQL::Test::Cluster->new('back');
$back->init_from_backup($primary, 'base');
$back->start;
is((told($back, $ahead))[0], 'reset_required', 'a token that is ahead of its server requires all to be loaded anew');
$back->stop;

# Another timeline
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
($said, $token) = told($standby, $same);
is($said, 'reset_required', 'after a promotion all is to be loaded anew: the latest may be missing');
$standby->safe_psql('postgres', sprintf($say, 'promoted'));
is((told($standby, $token))[0], "inserted promoted\nend", '... and goes on from there');
is((told($primary, $token))[0], 'reset_required', 'also if the old server is asked');

# -------------------------------------------------------------- subscribers

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$subscriber->start;
$subscriber->safe_psql('postgres',
	"CREATE ROLE app LOGIN; CREATE EXTENSION forge_comm; SELECT forge_comm.grant_app('app'); $setup");
my @tables = map { "chat.$_" } qw(users workspaces memberships channels channel_memberships messages message_changes);
$primary->safe_psql('postgres', 'CREATE PUBLICATION chat FOR TABLE ' . join ', ', @tables);
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION chat CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION chat");
$subscriber->wait_for_subscription_sync($primary, 'chat') if $subscriber->can('wait_for_subscription_sync');
$subscriber->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')});
($said, $token) = told($subscriber);
is($said, 'end', 'a subscriber has a log of its own');
$primary->safe_psql('postgres', sprintf($say, 'published'));
$primary->safe_psql('postgres', q{UPDATE chat.messages SET body = 'edited' WHERE body = 'published'; DELETE FROM chat.messages WHERE body = 'second'});
$primary->wait_for_catchup('chat');
is((told($subscriber, $token))[0], "inserted edited\nedited edited\ndeleted\nend", 'what it applies it tells, once');
cmp_ok($subscriber->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM chat.message_changes'),
	'>=', 2, 'though the lines of the other log are there, too');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION chat');

done_testing();
