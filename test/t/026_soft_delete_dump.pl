# What soft delete is made of goes through pg_dump: a dump restored is the same
# schema and the same rows, in one piece or in parts, and works the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('soft_delete_dump');
my $base = PostgreSQL::Test::Utils::tempdir;

$app->admin("CREATE EXTENSION forge_comm; $ForgeComm::grant");
$app->owner(q{
	CREATE SCHEMA life;
	CREATE TABLE life.accounts (id int PRIMARY KEY, email text CONSTRAINT one_email UNIQUE, part int);
	CREATE UNIQUE INDEX lower_email ON life.accounts (lower(email)) WHERE part > 0;
	COMMENT ON CONSTRAINT one_email ON life.accounts IS 'theirs';
	CREATE TABLE life.posts (id int, part int, account int REFERENCES life.accounts ON DELETE CASCADE, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
	CREATE TABLE life.posts_1 PARTITION OF life.posts FOR VALUES IN (1);
	CREATE TABLE life.posts_2 PARTITION OF life.posts FOR VALUES IN (2);
	CREATE TABLE life.replies (id int PRIMARY KEY, post int, part int, FOREIGN KEY (post, part) REFERENCES life.posts ON DELETE CASCADE);
	SELECT forge_comm.enable_soft_delete('life.accounts', deletion_id => 'did', unique_keys => 'live');
	SELECT forge_comm.enable_soft_delete('life.posts', deleted_by => 'who', deletion_id => 'did');
	SELECT forge_comm.enable_soft_delete('life.replies', view => 'live_replies');
	INSERT INTO life.accounts SELECT i, 'a' || i, i FROM generate_series(1, 4) AS i;
	INSERT INTO life.posts SELECT i, 1 + i % 2, 1 + i % 4 FROM generate_series(1, 20) AS i;
	INSERT INTO life.replies SELECT i, 1 + i % 20, 1 + (1 + i % 20) % 2 FROM generate_series(1, 100) AS i;
	SELECT forge_comm.current_user_id();
	DELETE FROM life.accounts WHERE id < 3;
	INSERT INTO life.accounts VALUES (11, 'a1', 11);
});

my $rows = q{
	SELECT 'a', id, 0, email, deleted_at, did FROM life.accounts
	UNION ALL SELECT 'p', id, part, account::text, deleted_at, did FROM life.posts
	UNION ALL SELECT 'r', id, part, post::text, deleted_at, NULL FROM life.replies ORDER BY 1, 2, 3
};
my $dump = $app->dump;
my $before = $app->admin($rows);

sub works
{
	my ($copy, $name) = @_;

	subtest $name => sub {
		is($copy->admin($rows), $before, 'every row, deleted ones too');
		is($copy->dump, $dump, 'the same dump');
		is( $copy->owner(q{
				SELECT forge_comm.current_user_id();
				DELETE FROM life.accounts WHERE id = 3;
				SELECT (SELECT count(*) FROM life.active_accounts), (SELECT count(*) FROM life.active_posts), (SELECT count(*) FROM life.live_replies)}),
			"\n2|5|25", 'rows fall with what they reference');
		is($copy->owner(q{SELECT forge_comm.restore('life.accounts', 3)}), '31', 'and rise');
		$copy->refused(q{SELECT forge_comm.restore('life.accounts', 1)}, '23505', 'keys hold among the living');
		$copy->admin(q{CALL forge_comm.purge('life.accounts', '0')});
		is($copy->admin('SELECT (SELECT count(*) FROM life.accounts), (SELECT count(*) FROM life.posts), (SELECT count(*) FROM life.replies)'),
			'3|10|50', 'a purge takes what fell');
		# The keys are made total again by what the comment says they were
		$copy->owner(q{
			SELECT forge_comm.disable_soft_delete('life.replies', true);
			SELECT forge_comm.disable_soft_delete('life.posts', true);
			SELECT forge_comm.disable_soft_delete('life.accounts', true)});
		is( $copy->admin(q{SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'one_email'}),
			'theirs', 'and all of it can be undone');
		is($copy->admin(q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'forge%'}), '0', 'to the last trigger');
	};
}

# In one piece, as text
$app->create_database('whole');
my $whole = $app->in_database('whole');
append_to_file("$base/dump.sql", $app->run_program('pg_dump', '-d', $app->node->connstr('app')));
$app->node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $app->node->connstr('whole'), '-f', "$base/dump.sql" ],
	'restored by psql');
works($whole, 'by psql');

# In several sessions at once, from a directory
$app->create_database('parts');
my $parts = $app->in_database('parts');
$app->run_program('pg_dump', '-Fd', '-f', "$base/dir", '-d', $app->node->connstr('app'));
$app->node->command_ok([ 'pg_restore', '-j', '3', '--exit-on-error', '-d', $app->node->connstr('parts'), "$base/dir" ],
	'restored by pg_restore -j');
works($parts, 'by pg_restore -j');

# Schema first, then data on top of triggers that are there, as pg_restore -a does
$app->create_database('late');
my $late = $app->in_database('late');
$app->node->command_ok([ 'pg_restore', '--schema-only', '--exit-on-error', '-d', $app->node->connstr('late'), "$base/dir" ],
	'the schema alone');
$app->node->command_ok([ 'pg_restore', '--data-only', '--disable-triggers', '--exit-on-error', '-d', $app->node->connstr('late'), "$base/dir" ],
	'then the data');
works($late, 'schema and data apart');

done_testing();
