# What a client and the log are told of rows that break a rule: in COPY, in the
# first statement of a session without preloading, with the log redacted, in
# other encodings, and after a restore. The canary is in none of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('validation');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "log_statement = none\nlog_error_verbosity = verbose\n");
$node->start;
my $setup = q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE users (id int PRIMARY KEY, email varchar(60) NOT NULL, name text NOT NULL, code text UNIQUE DEFERRABLE INITIALLY DEFERRED,
	                    CONSTRAINT no_thirteen CHECK (id <> 13));
	SELECT forge_comm.add_validation('users', 'email', 'email');
	SELECT forge_comm.add_validation('users', 'email', 'unique_ci');
	SELECT forge_comm.add_validation('users', 'name', 'display_name', 'max=20');
	SELECT forge_comm.add_validation('users', 'code', 'unique_ci');
	SELECT forge_comm.add_validation('users', 'code', 'matches', '^[A-Z]+$');
	-- what is left is a key that is checked as the transaction ends
	DROP INDEX users_code_ci_key;
	INSERT INTO users VALUES (1, 'canary@x.example', 'Ann', 'CANARYCODE')};
$node->safe_psql('postgres', $setup);

# What psql says on standard error, and what is logged meanwhile
sub fails
{
	my ($sql, %options) = @_;
	my $from = -s $node->logfile;
	my ($stdout, $stderr);

	$node->psql($options{db} // 'postgres', $sql, stdout => \$stdout, stderr => \$stderr,
		extra_params => [ '-v', 'VERBOSITY=verbose' ], on_error_stop => 0, on_error_die => 0);
	return ($stderr, substr(slurp_file($node->logfile), $from));
}

# Lines of the log but for the statement, which redact_log is for
sub told
{
	my ($log) = @_;
	return join("\n", grep { !/STATEMENT:/ } split(/\n/, $log));
}

# ----------------------------------------------------------------------- COPY

sub copied
{
	my ($bad, $at) = @_;
	return "COPY users (id, email, name) FROM stdin;\n"
	  . join('', map { $_ == $at ? "$bad\n" : "${_}00\tuser$_\@x.example\tUser $_\n" } 1 .. 100_000) . "\\.\n";
}

for my $case (
	[ "50001\tcanary\tUser",                 qr/23514: email is not a valid e-mail address/ ],
	[ "50001\tu\@x.example\tcanary" . 'x' x 20, qr/23514: name is not a valid display name/ ],
	[ "50001\t\\N\tcanary",                  qr/23502: email is required/ ],
	[ "50001\tCANARY\@X.example\tUser",      qr/23505: email is already registered/ ],
	[ "13\tcanary2\@x.example\tUser",        qr/23514: new row for relation "users" violates check/ ],
	[ "300\tcanary3\@x.example\tUser",         qr/23505: duplicate key value violates unique constraint "users_pkey"/ ])
{
	my ($bad, $message) = @$case;
	my ($client, $log) = fails(copied($bad, 50_000));

	like($client, $message, "COPY: $message");
	like($client, qr/COPY users, line 50000\b/, '... says in which line');
	unlike($client, qr/canary/i, '... shows no value to the client');
	unlike($log, qr/canary/i, '... nor to the log');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM users'), '1', 'COPY has left nothing');

# What comes before our trigger is PostgreSQL's: a value that is not of its type
my ($client, $log) = fails("COPY users (id, email, name) FROM stdin;\ncanary\tx\ty\n\\.\n");
like($client, qr/column id: "canary"/, 'COPY shows what is not of the type of its column, as documented');

# -------------------------------------------- the first statement of a session

($client, $log) = fails(q{INSERT INTO users VALUES (2, 'CANARY@x.example', 'Bob')});
like($client, qr/ERROR:  23505: email is already registered/, 'a duplicate in a first statement is told in our words');
unlike($client, qr/canary/i, '... without the value') or diag $client;
unlike(told($log), qr/canary/i, '... which is not in the log either');
($client, $log) = fails(q{INSERT INTO users VALUES (13, 'new@x.example', 'canary')});
unlike($client, qr/canary/, 'nor is a row that PostgreSQL refuses');
($client, $log) = fails(q{INSERT INTO users VALUES (2, 'new@x.example', 'Bob', 'CANARYCODE')});
like($client, qr/ERROR:  23505: code is already registered/, 'a deferred key is told in our words, too');
unlike($client, qr/canary/i, '... without the value') or diag $client;
like($client, qr/CONSTRAINT NAME:  users_code_key/, '... with its fields');

# ------------------------------------------------------- the log is redacted

for my $redact (qw(off secrets literals))
{
	($client, $log) = fails(qq{
		LOAD 'forge_comm'; SET forge_comm.redact_log = $redact; SET forge_comm.all_errors = on;
		INSERT INTO users VALUES (2, 'canary', NULL)});
	like($client, qr/DETAIL:  \{"email": \[\{"code": "email", .*"name": \[\{"code": "not_null"/, "redact_log = $redact leaves the details of a form");
	unlike(told($log), qr/canary/, '... and no value');
}
$node->safe_psql('postgres', q{SELECT forge_comm.mark_secret('users', 'name')});
($client, $log) = fails(q{SET forge_comm.all_errors = on; LOAD 'forge_comm'; INSERT INTO users VALUES (2, 'canary', NULL)});
like($client, qr/"name": \[\{"code": "not_null"/, 'so does a secret column');
$node->safe_psql('postgres', q{SELECT forge_comm.unmark_secret('users', 'name')});

# ------------------------------------------------------- dumped and restored

$node->safe_psql('postgres', q{
	CREATE TABLE parts (id int, slug text) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
	CREATE TABLE above (id int, slug text);
	CREATE TABLE below () INHERITS (above);
	CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.slug := NEW.slug || ''!''; RETURN NEW; END';
	SELECT forge_comm.add_validation('parts', 'slug', 'slug');
	SELECT forge_comm.add_validation('above', 'slug', 'slug');
	CREATE TRIGGER zz BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION change();
	CREATE TRIGGER zz BEFORE INSERT ON below FOR EACH ROW EXECUTE FUNCTION change()});
my $what = q{SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname ~ '^forge_comm' ORDER BY 1, 2};
my $before = $node->safe_psql('postgres', $what);
like($before, qr/below\|.*forge_comm_validation_stored/, 'a second look is taken where a trigger comes later');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $node->basedir . '/dump', '-p', $node->port, '-h', $node->host, 'postgres' ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', 'restored', '-p', $node->port, '-h', $node->host, $node->basedir . '/dump' ], 'restore');
is($node->safe_psql('restored', $what), $before, 'a restore brings the rules');
($client, $log) = fails(q{INSERT INTO below VALUES (1, 'canary')}, db => 'restored');
like($client, qr/slug is not a valid slug/, 'which hold there');

# -------------------------------------------------------- other encodings

for my $encoding (qw(SQL_ASCII LATIN1))
{
	$node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E ENCODING $encoding LOCALE 'C' TEMPLATE template0");
	$node->safe_psql(lc $encoding, $setup);
	for my $case (
		[ "(2, 'canary\@x', E'\\xe4\\xe4')" => $encoding eq 'LATIN1' ? qr/^$/ : undef ],
		[ "(3, E'can\\xe4ary', 'x')"        => qr/email is not a valid e-mail address/ ],
		[ "(4, 'canary\@x.example', 'x')"   => qr/email is already registered/ ],
		[ "(5, 'e\@x.example', repeat(E'\\xe4', 21))" => qr/name is not a valid display name/ ])
	{
		my ($values, $expected) = @$case;
		my ($client, $log) = fails("SET client_encoding = $encoding; INSERT INTO users VALUES $values", db => lc $encoding);

		like($client, $expected, "$encoding: $values") if $expected;
		unlike($client, qr/canary/i, '... without the value');
	}
}

$node->stop;
done_testing();
