# Random queries as an application's role: whatever sqlsmith thinks of, in the
# context of one tenant, brings back nothing of the others and changes nothing
# of theirs, and the server does not crash. Both schemas get their turn, the
# existing one also as the role that owns its tables.
#
# The rows of the other tenants are marked, by words, dates and ids that occur
# nowhere else, and what the server sends is searched for these marks. sqlsmith
# connects through a relay, which also begins each of its transactions with a
# context and commits it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Eavesdropper;
use ForgeComm;
use List::Util qw(head sum0);
use POSIX ();
use PostgreSQL::Test::Utils;
use Storable qw(retrieve store);
use Test::More;

my $wanted  = 20000;
my $seconds = 400;    # on a machine that is busy; otherwise less than a minute

plan skip_all => 'sqlsmith is not installed: random queries are not tried'
  unless grep { -x "$_/sqlsmith" } split /:/, $ENV{PATH};

# What only rows of the others have: a word (as bytea, too), a date, high ids.
my $theirs = qr/kestrel|6b65737472656c|2003-05-07|\b198765\d{4}\b/i;

# And what only rows of the tenant have, to know that something comes back.
my $ours = qr/pigeon/;

# Workspaces and users 1 to 25 are the tenant's; user 1 is in all of these
# workspaces, the others in one each. What belongs to others has ids that a
# query is likely to guess, 26 to 50, and ids above 1987650000 that it is not.
# Users bear the marks only where they are guarded: elsewhere all may see them.
my $fill = q{
	CREATE FUNCTION pg_temp.word(id bigint) RETURNS text
	RETURN CASE WHEN id <= 25 THEN 'pigeon ' ELSE 'kestrel ' END || id % 1000;
	CREATE FUNCTION pg_temp.moment(id bigint) RETURNS timestamptz
	RETURN CASE WHEN id <= 25 THEN timestamptz '2024-02-03' ELSE timestamptz '2003-05-07' END;

	CREATE TEMP TABLE tenants AS
	SELECT i AS id, CASE WHEN relrowsecurity OR i <= 50 THEN i ELSE i % 1000 + 50 END AS user_id, relrowsecurity
	FROM pg_class,
		 (SELECT generate_series(1, 50) UNION ALL SELECT generate_series(1987650001, 1987650025)) AS ids (i)
	WHERE oid = 'users'::regclass;

	INSERT INTO users (id, email, display_name, created_at, updated_at)
	SELECT user_id, word || '@example.com', word, moment, moment
	FROM (SELECT user_id,
				 CASE WHEN relrowsecurity THEN pg_temp.word(id) ELSE 'user ' || user_id END AS word,
				 CASE WHEN relrowsecurity THEN pg_temp.moment(id) ELSE pg_temp.moment(1) END AS moment
		  FROM tenants) AS u;
	INSERT INTO workspaces (id, name, slug)
	SELECT id, pg_temp.word(id), pg_temp.word(id) FROM tenants;
	INSERT INTO memberships (id, workspace_id, user_id, role)
	SELECT id, id, CASE WHEN id <= 25 THEN 1 ELSE user_id END, 'owner' FROM tenants;
	INSERT INTO memberships (id, workspace_id, user_id)
	SELECT id + 100, id, id FROM tenants WHERE id BETWEEN 2 AND 25;
	INSERT INTO channels (id, workspace_id, name, topic, created_at)
	SELECT id, id, pg_temp.word(id), pg_temp.word(id), pg_temp.moment(id) FROM tenants;
	INSERT INTO messages (id, channel_id, user_id, body, parent_id, created_at, updated_at)
	SELECT id + more, id, user_id, pg_temp.word(id), nullif(id, id + more),
		   pg_temp.moment(id), pg_temp.moment(id)
	FROM tenants, (VALUES (0), (100), (200), (300)) AS m (more) WHERE more = 0 OR id <= 25
	ORDER BY more;
	SELECT setval(format('%I.%I', schemaname, sequencename), 1000) FROM pg_sequences;
};

# A table with little that an INSERT can get wrong.
my $notes = q{
	CREATE TABLE notes (
		id integer, workspace_id integer NOT NULL, channel_id bigint REFERENCES channels,
		message_id bigint, note text);
	SELECT forge_comm.enable_tenancy('notes', via => 'channel_id');
	SELECT forge_comm.enable_timestamps('notes');
	SELECT forge_comm.enable_soft_delete('notes');
};
my $write_notes = q{
	INSERT INTO notes (id, channel_id, note) SELECT id, id, body FROM messages WHERE id = channel_id
};

# A page of messages for random queries to join: sqlsmith knows no functions
# that return sets. And an ordinary role that may read and write.
my $role = q{
	CREATE VIEW pages WITH (security_invoker) AS
	SELECT page.* FROM channels AS c, LATERAL get_messages(c.id) AS page;
	GRANT USAGE ON SCHEMA :schema TO tenant;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :schema TO tenant;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA :schema TO tenant;
	SELECT forge_comm.grant_app('tenant');
	ANALYZE;
};

# Where everybody sees the users, a physical delete of one reaches into every
# workspace, so nobody should have that privilege.
my $keep_users = q{
	DO $$ BEGIN
		IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = 'users'::regclass) THEN
			REVOKE DELETE ON users FROM tenant, app_owner;
		END IF;
	END $$;
};

# Which workspaces are the others'. The tenant may found more.
my $note_others = q{
	CREATE SCHEMA kept;
	CREATE TABLE kept.others AS SELECT id FROM workspaces WHERE id NOT BETWEEN 1 AND 25;
};

# All that the others have, in one line. It must not change.
my $state = q{
	SELECT string_agg(md5(query_to_xml(format(
			   CASE c.relname WHEN 'users' THEN 'SELECT * FROM %s AS t WHERE %I NOT BETWEEN 1 AND 25 ORDER BY 1, t'
			   ELSE 'SELECT * FROM %s AS t WHERE %I IN (SELECT id FROM kept.others) ORDER BY 1, t' END,
			   c.oid::regclass, a.attname), true, false, '')::text), ' ' ORDER BY c.relname)
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
	WHERE c.relkind = 'r' AND c.relnamespace = ':schema'::regnamespace
	  AND a.attname = CASE WHEN c.relname = 'workspaces'
						   OR c.relname = 'users' AND c.relrowsecurity THEN 'id' ELSE 'workspace_id' END
};

# Rows of one workspace that reference another's.
my $astray = q{
	SELECT (SELECT count(*) FROM notes AS n JOIN channels AS c ON c.id = n.channel_id
			WHERE n.workspace_id <> c.workspace_id)
		 + (SELECT count(*) FROM messages AS m JOIN channels AS c ON c.id = m.channel_id
			WHERE m.workspace_id <> c.workspace_id)
		 + (SELECT count(*) FROM messages AS m JOIN messages AS p ON p.id = m.parent_id
			WHERE m.workspace_id <> p.workspace_id)
};

sub in_schema
{
	my ($schema, $sql) = @_;
	$sql =~ s/:schema\b/$schema/g;
	return $sql;
}

# What makes most random queries fail is kept from sqlsmith, which reads the
# catalogs through the relay: functions that the role may not execute, and types
# that it makes no proper use of. Half of the runs get few types, so that
# queries are more about the columns of the tables.
my $wide = q{(SELECT oid FROM pg_type WHERE typtype <> 'p' AND oid NOT IN (SELECT rngtypid FROM pg_range)
	AND typname NOT IN ('point', 'polygon', 'jsonpath'))};
my $narrow = q{(SELECT oid FROM pg_type WHERE typname IN ('bool', 'int2', 'int4', 'int8', 'numeric',
	'text', 'varchar', 'name', 'oid', 'regclass', 'timestamptz', 'date', 'jsonb', 'bytea', '_text', '_int8'))};

sub filter_catalog
{
	my ($query, $types) = @_;

	$query =~ s{(from pg_proc where )(prorettype)}{$1
		has_function_privilege(oid, 'EXECUTE') AND prorettype IN $types
		AND NOT EXISTS (SELECT unnest(proargtypes::oid[]) EXCEPT SELECT t.oid FROM $types AS t) AND $2}i;
	$query =~ s{(from pg_catalog\.pg_operator where )}{$1
		has_function_privilege(oprcode, 'EXECUTE') AND oprresult IN $types
		AND oprleft IN $types AND oprright IN $types AND }i;
	return $query;
}

# What sqlsmith sends for itself, in both its connections.
sub is_random
{
	return $_[0] !~ m{
		^(set|begin|rollback)\b | ^select\ (version|case\ typnamespace|table_name,|attname,|conname
		|oprname,|unnest\(proargtypes\)|\(select\ nspname\ from\ pg_namespace\ where\ oid\ =\ pronamespace\)) }xi;
}

# Most of what a random query compares with or inserts is null. Ids of both the
# tenant's and the others' make more of it.
sub sharpen
{
	my ($query) = @_;

	$query =~ s/cast\(null as (int[48])\)/rand() < 0.5 ? 'cast(' . (1 + int rand 50) . " as $1)" : $&/ge;
	$query =~ s/cast\(null as bool\)/rand() < 0.5 ? 'true' : $&/ge;
	return $query;
}

# User 1 in one workspace or in all, another user, or nobody at all. An error
# where an earlier query has removed the membership, and then no query follows.
sub context
{
	my $dice = rand;
	my $workspace = 1 + int rand 25;

	return '' if $dice < 0.05;
	return 'SELECT forge_comm.set_context(1)' if $dice < 0.35;
	return "SELECT forge_comm.set_context($workspace)" if $dice < 0.5;
	return "SELECT forge_comm.set_context(1, $workspace)";
}

# One run of sqlsmith: how many queries ran, with and without error, how many
# of the tenant's rows came back, what was found that should not have been.
sub run_sqlsmith
{
	my ($app, $run, $until) = @_;
	my %count = (name => $app->{db}, queries => 0, fine => 0, rows => 0);
	my ($random, $query, $error, @found, %errors);
	my $socket = PostgreSQL::Test::Utils::tempdir_short;

	srand $run->{seed};
	my $relay = Eavesdropper->new(
		directory => $socket,
		port      => $app->node->port,
		server    => $app->node->host . '/.s.PGSQL.' . $app->node->port,
		on_query  => sub {
			($query, $error) = ($_[0], undef);
			$random = is_random($query);
			return sharpen($query) if $random;
			return 'BEGIN;' . context() if $query =~ /^begin;$/i;
			return 'COMMIT' if $query =~ /^rollback;$/i;
			return q{SET client_min_messages = 'debug1'} if $query =~ /^set client_min_messages/i;
			return q{SET statement_timeout = '200ms'} if $query =~ /^set statement_timeout/i;
			return filter_catalog($query, $run->{types});
		},
		on_message => sub {
			my ($type, $body) = @_;

			push @found, "$body\nafter: $query\n" if $body =~ $theirs && @found < 5;
			$count{rows}++ if $type eq 'D' && $body =~ $ours;
			return unless $random;
			($error) = $body =~ /\0M([^\0"]*)/ if $type eq 'E';
			return unless $type eq 'Z';
			$count{queries}++;
			$count{fine}++ unless defined $error;
			$errors{$error}++ if defined $error;
			$random = 0;
		});

	my $pid = fork // die "cannot fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>>', $app->node->logfile . '.sqlsmith';
		open STDERR, '>&', \*STDOUT;
		exec('sqlsmith', "--seed=$run->{seed}", "--max-queries=$run->{queries}", @{ $run->{options} },
			"--target=host=$socket port=" . $app->node->port . " dbname=$app->{db} user=$run->{role}")
		  or POSIX::_exit(127);
	}
	my $status = $relay->watch($pid, $until - time);
	if (!defined $status)
	{
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	return { %count, found => \@found, errors => \%errors, status => $status // 'killed' };
}

# One run in a copy of the database, so that there is always something left to
# see. Nothing of the others' rows may have changed in the copy.
sub try_run
{
	my ($template, $run, $until) = @_;
	my $node = $template->node;
	my $db   = "$template->{db}_$run->{seed}";
	my $app  = $template->in_database($db);
	my $look = in_schema($run->{schema}, $state);

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE $template->{db}");
	$node->safe_psql('postgres', "ALTER DATABASE $db SET search_path = $run->{schema}");
	my $before = $app->admin($look);
	my $result = run_sqlsmith($app, $run, $until);
	$result->{changed} = $app->admin($look) ne $before;
	$result->{astray}  = $app->admin($astray);
	$node->safe_psql('postgres', "DROP DATABASE $db WITH (FORCE)");
	return $result;
}

# Runs until there are enough queries, or time is up. Every other has narrow
# types, the first some of the system's catalogs, which tell of tables, too.
sub try_runs
{
	my ($template, $schema, $roles, $until) = @_;
	my @results;

	while (sum0(map { $_->{queries} } @results) < $wanted / 2 && time < $until)
	{
		my $seed = @results + 1;

		push @results, try_run(
			$template,
			{
				seed    => $seed,
				queries => 1100,
				schema  => $schema,
				role    => $roles->[ $seed % @$roles ],
				types   => $seed % 2 ? $narrow : $wide,
				options => $seed == 1 ? [] : ['--exclude-catalog']
			},
			$until);
	}
	return \@results;
}

# The two schemas, each in a database that is the template of others.
my $app = ForgeComm->new('random_queries', conf => 'autovacuum = off');
$app->admin('CREATE ROLE tenant LOGIN');
$app->admin($fill);
$app->admin(q{
	INSERT INTO reactions (id, message_id, user_id, emoji)
	SELECT id, id, user_id, left(body, 7) FROM messages WHERE id = channel_id
});
$app->onboard;
$app->owner($notes);
$app->admin($write_notes);
$app->admin($note_others);
$app->admin(in_schema('public', $role));
$app->admin($keep_users);
$app->admin(q{SELECT forge_comm.revoke_owner('app_owner')});

$app->create_database('chat');
my $chat = $app->in_database('chat');
$chat->admin(q{
	CREATE EXTENSION forge_comm;
	SELECT forge_comm.create_chat_schema('chat');
	ALTER DATABASE chat SET search_path = chat;
	-- Rules would refuse most of what is written at random, before tenancy could
	SELECT forge_comm.drop_validation('chat.users', c) FROM unnest('{email,display_name,hashed_password}'::name[]) AS c;
	SELECT forge_comm.drop_validation('chat.workspaces', c) FROM unnest('{name,slug}'::name[]) AS c;
	SELECT forge_comm.drop_validation('chat.channels', 'name'), forge_comm.drop_validation('chat.messages', 'body');
});
$chat->admin($fill);
$chat->admin(q{
	INSERT INTO channel_memberships (id, channel_id, user_id, last_read_message_id)
	SELECT id, channel_id, user_id, id FROM messages WHERE id = channel_id
});
$chat->admin($notes);
$chat->admin($write_notes);
$chat->admin($note_others);
$chat->admin(in_schema('chat', $role));

# Does the search see what it looks for?
for my $table (
	(map { "public.$_" } qw(workspaces channels messages reactions notes)),
	(map { "chat.$_" } qw(workspaces channels messages notes)))
{
	my $where = $table =~ /^chat/ ? $chat : $app;

	like($where->admin("SELECT * FROM $table"), $theirs, "$table has marked rows");
}

# Both schemas at a time. The children leave by POSIX::_exit, lest they stop
# the server.
my $until = time + $seconds;
my %lane  = (
	public => [ $app,  'public', [ 'tenant', 'tenant', 'app_owner' ] ],
	chat   => [ $chat, 'chat',   ['tenant'] ]);
my @children;

$SIG{PIPE} = 'IGNORE';
for my $name (sort keys %lane)
{
	push @children, fork // die "cannot fork: $!";
	next if $children[-1];
	eval { store(try_runs(@{ $lane{$name} }, $until), "$PostgreSQL::Test::Utils::tmp_check/$name"); 1; }
	  or print STDERR $@;
	POSIX::_exit($@ ? 1 : 0);
}
for my $child (@children)
{
	waitpid $child, 0;
	is($?, 0, 'a series of runs came to its end');
}
my @results =
  map { @{ retrieve($_) } } grep { -e } map { "$PostgreSQL::Test::Utils::tmp_check/$_" } sort keys %lane;
my ($queries, $fine, $rows) = map { my $what = $_; sum0(map { $_->{$what} } @results) } qw(queries fine rows);

is(join("\n", map { @{ $_->{found} } } @results), '', 'nothing of the others came back');
is(join(' ', map { $_->{name} } grep { $_->{changed} } @results), '', 'nor has any of it changed');
is(sum0(map { $_->{astray} } @results), 0, '... or been referenced');
unlike(slurp_file($app->node->logfile), qr/terminated by signal|PANIC:|TRAP:/, 'the server did not crash');
is($app->admin('SELECT 1'), '1', '... and answers');

# What sqlsmith itself made of it, and what most of the others failed of
my %errors;
for my $result (@results)
{
	note("$result->{name}: $result->{fine} of $result->{queries}, sqlsmith's exit status $result->{status}");
	$errors{$_} += $result->{errors}{$_} for keys %{ $result->{errors} };
}
note("$errors{$_} times: $_") for head(20, sort { $errors{$b} <=> $errors{$a} } keys %errors);
diag("$fine of $queries random queries ran without error, $rows rows of the tenant's came back");
cmp_ok($queries, '>=', $wanted, "$wanted random queries were tried");
cmp_ok($fine, '>=', 0.75 * $queries, 'most ran without error');
cmp_ok($rows, '>=', $queries / 100, 'the tenant got to see its own rows');

done_testing();
