# Every item of doc/checklist.md, both ways: its failing example gives the
# finding, the mend makes it vanish, its passing example does not give it.

use strict;
use warnings;

use File::Basename qw(dirname);
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What other capabilities are yet to bring
my %needs = (
	'workspace-without-key' => q{SELECT count(*) FROM pg_proc WHERE proname = 'enable_tenancy' AND 'founding' = ANY (proargnames)},
	'private-child-open' => q{SELECT count(*) FROM pg_proc WHERE proname = 'enable_privacy'});

my $node = PostgreSQL::Test::Cluster->new('checklist');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

# The document, taken apart
my $doc = slurp_file(dirname($FindBin::RealBin) . '/../doc/checklist.md');
my ($sound) = $doc =~ /^The examples below.*?^```sql\n(.*?)^```/ms;
my (@ids, %fails, %passes, %severities);
while ($doc =~ /^### ([a-z-]+)\n\n\*(\w+)(.*?)(?=^##)/msg)
{
	my ($id, $severity, $text) = ($1, $2, $3);
	push @ids, $id;
	$severities{$id} = $severity;
	($fails{$id}) = $text =~ /^Fails:\n\n```sql\n(.*?)^```/ms;
	($passes{$id}) = $text =~ /^Passes:\n\n```sql\n(.*?)^```/ms;
}

$node->safe_psql('postgres', 'CREATE DATABASE sound');
$node->safe_psql('sound', $sound);
my $roles = $node->safe_psql('postgres', 'SELECT string_agg(quote_literal(rolname), \',\') FROM pg_roles');
is($node->safe_psql('sound', q{SELECT * FROM forge_comm.checklist('public')}),
	'', 'the schema that the examples start from is sound');

# A fresh copy, with some SQL run in it
sub example
{
	my ($sql) = @_;

	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS example');
	$node->safe_psql('postgres', $_)
	  for split /\n/, $node->safe_psql('postgres', "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname NOT IN ($roles)");
	$node->safe_psql('postgres', 'CREATE DATABASE example TEMPLATE sound');
	$node->safe_psql('example', $sql);
	return;
}

sub findings
{
	my ($id) = @_;
	return $node->safe_psql('example',
		"SELECT severity, object, mend FROM forge_comm.checklist('public') WHERE id = '$id'");
}

# Each mend in a session of its own, as some cannot be in a transaction
sub mend
{
	my ($id) = @_;
	for my $n (1 .. 5)
	{
		my $mend = $node->safe_psql('example',
			"SELECT mend FROM forge_comm.checklist('public') WHERE id = '$id' LIMIT 1");
		last if $mend eq '' || $mend =~ /^--/;
		$node->safe_psql('example', $mend);
	}
	return;
}

for my $id (@ids)
{
  SKIP:
	{
		skip "$id: not in this version", 1
		  if $needs{$id} && !$node->safe_psql('sound', $needs{$id});
		subtest $id => sub {
			ok($fails{$id} && $passes{$id}, 'has both examples');

			example($fails{$id});
			my $findings = findings($id);
			like($findings, qr/^(error|warning|note)\|/, 'the failing example fails')
			  or return;
			note($findings);
			if ($findings =~ /\|-- [^\n]*$/)
			{
				pass('no SQL can mend it');
			}
			else
			{
				mend($id);
				is(findings($id), '', 'the mend makes it vanish');
			}

			example($passes{$id});
			is(findings($id), '', 'the passing example passes');
		};
	}
}

# The document has every item that there is, and only those
my $source = $node->safe_psql('sound', q{
	SELECT string_agg(DISTINCT m[1], ' ' ORDER BY m[1])
	  FROM pg_proc AS p, regexp_matches(p.prosrc, 'SELECT (?:DISTINCT ON [^\n]*\) )?''([a-z-]+)'', ', 'g') AS m
	 WHERE p.pronamespace = 'forge_comm'::regnamespace AND p.proname ~ '^finding_'});
is(join(' ', sort @ids), $source, 'every item is in the document');

done_testing();
