# A server of its own with the application of examples/existing_app.sql in it.
#
#   my $app = ForgeComm->new('name');
#   $app->onboard;
#   $app->as(7, 42, 'SELECT ...');    # the application, in a context
#
# The database is "app"; app_owner owns the tables and is also the role the
# application connects as, so only FORCE ROW LEVEL SECURITY holds it.

package ForgeComm;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $examples =
  File::Spec->rel2abs(dirname(__FILE__)) . '/../../../examples';

# What an administrator runs, what the owner's migration runs, and back.
our $grant = q{
	SELECT forge_comm.grant_owner('app_owner');
	SELECT forge_comm.grant_app('app_owner');
};
our $enable = q{
	SELECT forge_comm.enable_tenancy('workspaces', workspace_column => 'id', founding => true);
	SELECT forge_comm.enable_tenancy('memberships', write_roles => '{owner,admin}');
	SELECT forge_comm.enable_tenancy('channels');
	SELECT forge_comm.enable_tenancy('channel_members', via => 'channel_id');
	CALL forge_comm.backfill('channel_members');
	SELECT forge_comm.enable_tenancy('messages', via => 'channel_id');
	CALL forge_comm.backfill('messages');
	SELECT forge_comm.enable_tenancy('reactions', via => 'message_id');
	CALL forge_comm.backfill('reactions');
	SELECT forge_comm.enable_timestamps('channels');
	SELECT forge_comm.enable_timestamps('messages');
	SELECT forge_comm.enable_soft_delete('messages');
	SELECT forge_comm.enable_messages('messages', deleted_at => 'deleted_at');
};
# What keeps the people of one workspace apart, on top of it.
our $enable_people = q{
	SELECT forge_comm.enable_directory('users');
	SELECT forge_comm.enable_privacy('channels', private => 'is_private',
									 members => 'channel_members', children => '{messages,reactions}');
	SELECT forge_comm.enable_authorship('messages');
	SELECT forge_comm.enable_authorship('reactions', moderators => '{}');
};
our $memberships = q{
	SELECT forge_comm.use_memberships('memberships', role_column => 'role');
};
our $disable = q{
	SELECT forge_comm.disable_messages('messages');
	SELECT forge_comm.disable_soft_delete('messages', drop_columns => true);
	SELECT forge_comm.disable_timestamps('messages', drop_columns => true);
	SELECT forge_comm.disable_timestamps('channels', drop_columns => true);
	SELECT forge_comm.disable_authorship('reactions');
	SELECT forge_comm.disable_authorship('messages');
	SELECT forge_comm.disable_privacy('channels');
	SELECT forge_comm.disable_tenancy('reactions', drop_column => true);
	SELECT forge_comm.disable_tenancy('messages', drop_column => true);
	SELECT forge_comm.disable_tenancy('channel_members', drop_column => true);
	SELECT forge_comm.disable_tenancy('channels', drop_column => true);
	SELECT forge_comm.disable_tenancy('memberships', drop_column => true);
	SELECT forge_comm.disable_tenancy('workspaces', drop_column => true);
	SELECT forge_comm.disable_directory('users');
};
our $revoke = q{
	SELECT forge_comm.forget_memberships();
	SELECT forge_comm.revoke_app('app_owner');
	SELECT forge_comm.revoke_owner('app_owner');
};

# Two workspaces. Alice (1) is in the first, Bob (2) in the second, Carol (3)
# in both. Channels 1 and 2 are in the first workspace, 3 in the second.
our $seed = q{
	INSERT INTO users (email) VALUES ('alice'), ('bob'), ('carol');
	INSERT INTO workspaces (name, slug) VALUES ('Acme', 'acme'), ('Bolt', 'bolt');
	INSERT INTO memberships (user_id, workspace_id, role)
	VALUES (1, 1, 'owner'), (2, 2, 'owner'), (3, 1, 'member'), (3, 2, 'guest');
	INSERT INTO channels (workspace_id, name)
	VALUES (1, 'general'), (1, 'random'), (2, 'general');
	INSERT INTO messages (channel_id, user_id, body, parent_id)
	VALUES (1, 1, 'one', NULL), (1, 3, 'two', 1), (2, 1, 'three', NULL),
		   (3, 2, 'four', NULL), (3, 3, 'five', 4);
	INSERT INTO reactions (message_id, user_id, emoji)
	VALUES (1, 3, '+1'), (2, 1, '+1'), (4, 3, '+1');
};

sub new
{
	my ($class, $name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf(
		'postgresql.conf', q{
log_statement = none
timezone = UTC
max_wal_size = 2GB
} . ($params{conf} // ''));
	$node->start;

	my $self = bless { node => $node, db => 'app' }, $class;
	$node->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN');
	$self->create_database('app');
	$self->owner(slurp_file("$examples/existing_app.sql"));
	return $self;
}

sub node { return $_[0]->{node}; }

# The same server, another database.
sub in_database
{
	my ($self, $db) = @_;
	return bless { %$self, db => $db }, ref $self;
}

sub create_database
{
	my ($self, $db) = @_;
	return $self->node->safe_psql('postgres',
		"CREATE DATABASE $db OWNER app_owner");
}

sub onboard
{
	my ($self) = @_;
	$self->admin("CREATE EXTENSION IF NOT EXISTS forge_comm; $grant");
	$self->owner($enable);
	$self->admin($memberships);
	return;
}

sub onboard_people
{
	my ($self) = @_;
	$self->owner($enable_people);
	return;
}

sub offboard
{
	my ($self) = @_;
	$self->owner($disable);
	$self->admin($revoke);
	return;
}

# SQL as the superuser, who needs no context.
sub admin
{
	my ($self, $sql) = @_;
	return $self->node->safe_psql($self->{db}, $sql);
}

# SQL as the application's role, with no context.
sub owner
{
	my ($self, $sql) = @_;
	return $self->node->safe_psql($self->{db}, $sql,
		extra_params => [ '-U', 'app_owner' ]);
}

# One transaction in a context.
sub transaction
{
	my ($user, $workspace, $sql) = @_;
	$workspace //= 'NULL';
	return "BEGIN;\n"
	  . "SELECT forge_comm.set_context($user, $workspace) \\g /dev/null\n"
	  . "$sql\n;\nCOMMIT;\n";
}

# SQL as the application's role, in a context (no workspace: all of the user's).
# What comes out, or the error: a test that compares it shows either.
sub as
{
	my ($self, $user, $workspace, $sql) = @_;
	my ($ret, $stdout, $stderr) = $self->node->psql(
		$self->{db},
		transaction($user, $workspace, $sql),
		extra_params => [ '-U', 'app_owner' ]);

	return $ret == 0 ? $stdout : $stderr;
}

# What the server says to SQL that must fail, with its SQLSTATE.
sub complaint
{
	my ($self, $sql, %params) = @_;
	my ($ret, $stdout, $stderr) = $self->node->psql(
		$self->{db},
		$sql,
		extra_params => [
			'-U', $params{user} // 'app_owner', '-v', 'VERBOSITY=verbose'
		]);

	$stderr =~ s/^psql:.*?: (?=[A-Z]+: )//gm;
	$stderr =~ s/^LOCATION: .*\n?//gm;
	return $ret == 0 ? "no error, but: $stdout" : $stderr;
}

# SQL without a context must fail with this SQLSTATE.
sub refused
{
	my ($self, $sql, $sqlstate, $name, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($self->complaint($sql, %params), qr/ERROR:  $sqlstate:/, $name);
}

# SQL in a context must fail with this SQLSTATE.
sub refused_as
{
	my ($self, $user, $workspace, $sql, $sqlstate, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->refused(transaction($user, $workspace, $sql),
		$sqlstate, $name);
}

# pg_dump's plain text, without what differs from one run to the next, and
# without the keys of cursors: CREATE EXTENSION adds one.
sub dump
{
	my ($self, @options) = @_;
	my $dump = $self->run_program('pg_dump', @options,
		'--exclude-table-data=forge_comm.cursor_keys', '-d',
		$self->node->connstr($self->{db}));

	$dump =~ s/^\\(un)?restrict .*\n//gm;
	return $dump;
}

# A client program of the server's version; dies unless it succeeds.
sub run_program
{
	my ($self, $program, @args) = @_;
	my ($stdout, $stderr);

	IPC::Run::run [ $program, @args ], '>', \$stdout, '2>', \$stderr
	  or die "$program failed: $stderr";
	return $stdout;
}

# Starts psql on a script and returns at once; see finish.
sub background
{
	my ($self, $name, $sql, %params) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir . "/$name";

	append_to_file("$base.sql", $sql);
	my $run = IPC::Run::start [
		'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
		'-U', $params{user} // 'app_owner',
		'-d', $self->node->connstr($self->{db}), '-f', "$base.sql"
	  ],
	  '<', '/dev/null', '>', "$base.out", '2>', "$base.err";
	return { run => $run, base => $base };
}

# Waits for a background psql: its output, what it complained of.
sub finish
{
	my ($self, $background) = @_;

	$background->{run}->finish;
	return map { slurp_file("$background->{base}.$_") } qw(out err);
}

1;
