# Formats where text is not UTF-8, and passwords in the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Wire;

my $node = PostgreSQL::Test::Cluster->new('formats');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', q{
log_statement = none
log_parameter_max_length_on_error = -1
});
$node->start;

my $database;

sub in_encoding
{
	my ($encoding) = @_;
	$database = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' TEMPLATE template0");
	$node->safe_psql($database, 'CREATE EXTENSION forge_comm');
	return;
}

# Conditions in SQL, each with its verdict; bytes are written in escapes, so
# that what we send is ASCII. Strings are as the functions are called with them:
# the extension's schema is in the path.
sub verdicts
{
	my @cases = @_;

	while (my ($condition, $expected) = splice @cases, 0, 2)
	{
		is($node->safe_psql($database, "SET search_path = forge_comm; SELECT $condition"),
			$expected, "$database: $condition");
	}
	return;
}

# Whatever bytes there are: cleaning once is enough, and nothing fails.
sub survives_all_bytes
{
	my ($bytes) = @_;
	is($node->safe_psql($database, qq{
		SET search_path = forge_comm;
		CREATE TEMP TABLE texts AS SELECT $bytes AS value FROM generate_series(1, 255) AS a, generate_series(1, 255) AS b;
		SELECT count(*) FROM texts
		 WHERE clean_text(clean_text(value)) <> clean_text(value) OR clean_text(value) ~ '^[ \\t\\n]|[\\x01-\\x08\\x0e-\\x1f]|[ \\t\\n]\$'
		    OR is_email(value) OR is_url(value) OR is_display_name(value) IS NULL OR is_message_body(value) IS NULL
		    OR (password_problem(value) IS DISTINCT FROM 'min_length') OR (is_timezone(value) AND value NOT IN ('NZ', 'GB'))}),
		'0', "$database: any two bytes");
	return;
}

# What is ASCII is judged alike everywhere.
my @ascii = (
	q{is_email('ann@example.com')} => 't', q{is_email('ann@example..com')} => 'f', q{is_slug('acme-inc')} => 't', q{is_slug('Acme')} => 'f',
	q{is_channel_name('general_2')} => 't', q{is_url('https://example.com/a?b#c')} => 't', q{is_url('https://a b')} => 'f', q{is_color('#fff')} => 't',
	q{is_timezone('Europe/Paris')} => 't', q{is_timezone('Nowhere')} => 'f', q{is_display_name('Ann Lee')} => 't', q{is_display_name(E'Ann\x01')} => 'f',
	q{is_display_name(' ')} => 'f', q{is_message_body('x')} => 't', q{is_message_body(E' \n')} => 'f', q{password_problem('1234567')} => 'min_length',
	q{password_problem('12345678') IS NULL} => 't', q{clean_text(E' a\x01\r\nb\t ') = E'a\nb'} => 't', q{normalize_email(' A@B ')} => 'a@b',
	q{'ann@example.com'::forge_comm.email} => 'ann@example.com', q{'Ann'::display_name} => 'Ann', q{'hello'::message_body} => 'hello');

# Single bytes: characters beyond ASCII, C1 controls, no-break space, soft hyphen
in_encoding('LATIN1');
verdicts(@ascii,
	q{is_display_name(E'Zo\xeb')} => 't', q{is_display_name(repeat(E'\xe9', 80))} => 't', q{is_display_name(repeat(E'\xe9', 81))} => 'f',
	q{is_display_name(E'\xe9', 2, 80)} => 'f', q{is_display_name(E'Ann\x85')} => 'f', q{is_display_name(E'A\x9bnn')} => 'f', q{is_display_name(E'A\xadnn')} => 'f',
	q{is_display_name(E'Ann\xa0Lee')} => 't', q{is_display_name(E'\xa0Ann')} => 'f', q{is_display_name(E'\xa0')} => 'f',
	q{is_message_body(repeat(E'\xe9', 40000))} => 't', q{is_message_body(repeat(E'\xe9', 40001))} => 'f', q{is_message_body(E'\xa0\x85\xad')} => 'f',
	q{is_email(E'\xe9@example.com')} => 'f', q{is_url(E'https://example.com/\xe9')} => 'f', q{is_slug(E'\xe9')} => 'f', q{is_channel_name(E'\xe9')} => 'f',
	q{normalize_email(E'\xa0a@b') IS NULL} => 't', q{clean_text(E'\xa0 Zo\xeb \x85') = E'Zo\xeb'} => 't', q{clean_text(E'a\x85b\x80\x9fc') = E'a\nbc'} => 't',
	q{clean_text(E'A\xadnn') = E'A\xadnn'} => 't',
	# bcrypt sees what the application hashes, which is UTF-8
	q{password_problem(repeat(E'\xe9', 7))} => 'min_length', q{password_problem(repeat(E'\xe9', 36)) IS NULL} => 't', q{password_problem(repeat(E'\xe9', 37))} => 'max_bytes');
survives_all_bytes(q{convert_from(set_byte(set_byte(E'\\\\x0000', 0, a), 1, b), 'LATIN1')});

# Bytes that stand for nothing, and so cannot be converted
in_encoding('WIN1252');
verdicts(@ascii, q{is_display_name(E'Ann\x92s')} => 't', q{is_display_name(E'Ann\x81')} => 'f', q{is_message_body(E'a\x81')} => 'f',
	q{clean_text(E' a\x81\x01 ') = E'a\x81'} => 't', q{password_problem(E'1234567\x81') IS NULL} => 't');

# Several bytes a character; U+3000 is \xa1\xa1, and U+212B, which NFC would
# replace by what EUC_JP does not have, is \xa2\xf2
in_encoding('EUC_JP');
verdicts(@ascii, q{is_display_name(repeat(E'\xa4\xa2', 80))} => 't', q{is_display_name(repeat(E'\xa4\xa2', 81))} => 'f',
	q{is_display_name(E'\xa4\xa2\xa1\xa1\xa4\xa2')} => 't', q{is_display_name(E'\xa1\xa1\xa4\xa2')} => 'f', q{is_message_body(E'\xa1\xa1')} => 'f',
	q{clean_text(E'\xa1\xa1\xa4\xa2\xa1\xa1') = E'\xa4\xa2'} => 't', q{clean_text(E'\xa2\xf2') = E'\xa2\xf2'} => 't',
	q{password_problem(repeat(E'\xa4\xa2', 8)) IS NULL} => 't', q{password_problem(repeat(E'\xa4\xa2', 25))} => 'max_bytes');

# Bytes that nobody knows the meaning of: read as UTF-8, or refused in names
in_encoding('SQL_ASCII');
verdicts(@ascii, q{is_display_name(E'Zo\xc3\xab')} => 't', q{is_display_name(repeat(E'\xc3\xa9', 80))} => 't', q{is_display_name(repeat(E'\xc3\xa9', 81))} => 'f',
	q{is_display_name(E'Zo\xeb')} => 'f', q{is_display_name(E'\xe2\x80\xaeAnn')} => 'f', q{is_display_name(E'A\xe2\x80\x8bnn')} => 'f', q{is_display_name(E'\xc2\xa0')} => 'f',
	q{is_display_name(E'A\xed\xa0\x80')} => 'f', q{is_display_name(E'A\xc0\x80')} => 'f', q{is_display_name(E'A\xe0\x81\x81')} => 'f', q{is_display_name(E'A\xc3(')} => 'f', q{is_display_name(E'A\xf4\x90\x80\x80')} => 'f', q{is_display_name(E'A\xe2\x80')} => 'f',
	q{is_message_body(E'\xeb')} => 't', q{is_message_body(repeat(E'\xc3\xa9', 40000))} => 't', q{is_message_body(repeat(E'\xeb', 40001))} => 'f',
	q{is_email(E'\xeb@example.com')} => 'f', q{clean_text(E' \xeb\x01 ') = E'\xeb'} => 't', q{clean_text(E'a\xc2\x85') = E'a\xc2\x85'} => 't', q{clean_text(E'Zoe\xcc\x88') = E'Zoe\xcc\x88'} => 't',
	q{password_problem(repeat(E'\xc3\xa9', 7))} => 'min_length', q{password_problem(repeat(E'\xeb', 8)) IS NULL} => 't');
survives_all_bytes(q{convert_from(set_byte(set_byte(E'\\\\x0000', 0, a), 1, b), 'SQL_ASCII')});

# What is logged of passwords, and what the client is told, with the library
# preloaded and nothing marked as secret
$node->safe_psql('postgres', q{
	CREATE EXTENSION forge_comm;
	CREATE TABLE people (email forge_comm.email);
	ALTER DATABASE postgres SET session_preload_libraries = 'forge_comm'});

sub logs
{
	my ($how) = @_;
	my $wire = Wire->new($node, 'postgres', 'postgres');
	my $from = -s $node->logfile;

	$wire->query(q{SET log_statement = 'all'; SET log_min_duration_statement = 0});
	$how->($wire);
	return (substr(slurp_file($node->logfile), $from), $wire->said);
}

my %calls = (
	'a call' => sub { $_[0]->query(q{SELECT forge_comm.password_problem('CANARY')}); },
	'in capitals, with another error' => sub { $_[0]->query(q{SELECT FORGE_COMM.Password_Problem('CANARY'), 1 / 0}); },
	'one that is no statement' => sub { $_[0]->query(q{SELECT forge_comm.password_problem('CANARY' 'CANARY')}); },
	'too many arguments' => sub { $_[0]->query(q{SELECT forge_comm.password_problem('CANARY', 'CANARY', 'CANARY')}); },
	'a parameter' => sub { $_[0]->prepare('p', q{SELECT forge_comm.password_problem($1)}); $_[0]->execute('p', 'CANARY'); },
	'a parameter, with an error' => sub { $_[0]->prepare('p', q{SELECT forge_comm.password_problem($1), 1 / length($1) - 1 / (length($1) - 6)}); $_[0]->execute('p', 'CANARY'); },
	'PREPARE and EXECUTE' => sub { $_[0]->query(q{PREPARE q AS SELECT forge_comm.password_problem($1)}); $_[0]->query(q{EXECUTE q('CANARY')}); },
	'DO' => sub { $_[0]->query(q{DO $$ BEGIN PERFORM forge_comm.password_problem('CANARY'); PERFORM 1 / 0; END $$}); });
for my $what (sort keys %calls)
{
	my ($log, $said) = logs($calls{$what});
	unlike($log, qr/CANARY/, "a password is not logged: $what");
	like($log, qr/\(hidden\)/, "the statement is, as hidden: $what");
}
my ($log) = logs(sub { $_[0]->query(q{SELECT 'VISIBLE', 'no_password_problem_here'}) });
like($log, qr/VISIBLE/, 'other statements are logged as they are');

# A domain shows no value. What PostgreSQL itself adds, if told to, is masked
# with "literals".
sub refuse
{
	my ($wire, @settings) = @_;
	$wire->query("SET $_") for 'log_statement = none', 'log_min_duration_statement = -1', @settings;
	$wire->prepare('p', q{INSERT INTO people VALUES ($1)});
	$wire->execute('p', 'CANARY');
	$wire->query(q{UPDATE people SET email = email || '@CANARY'});
	$wire->copy('COPY people FROM STDIN', "CANARY\n");
	return;
}
$node->safe_psql('postgres', q{INSERT INTO people VALUES ('a@b')});
my $said;
($log, $said) = logs(sub { refuse($_[0], 'log_parameter_max_length_on_error = 0') });
is(() = $said =~ /violates check constraint "email_check"/g, 3, 'a domain refuses values');
is(() = $said =~ /CANARY/g, 1, 'and none is shown, but by COPY');
like($said, qr/COPY people, line 1, column email: "CANARY"/, 'in its context');
($log, $said) = logs(sub { refuse($_[0], q{forge_comm.redact_log = 'literals'}) });
unlike("$log$said", qr/CANARY/, 'with "literals" not even there');

$node->stop;
done_testing();
