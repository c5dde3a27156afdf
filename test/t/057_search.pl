# Search over real messages of five communities, in the tables of a chat
# schema: what it finds is what a sequential scan of the same rows finds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $shared = $ENV{FORGE_COMM_SHARED};
plan skip_all => 'FORGE_COMM_SHARED names no folder with the real messages'
  unless defined $shared && -r "$shared/data/irc/messages.tsv.gz";

my $file = PostgreSQL::Test::Utils::tempdir . '/messages.tsv';
system("zcat '$shared/data/irc/messages.tsv.gz' > '$file'") == 0
  or die 'could not unpack the messages';

my $node = PostgreSQL::Test::Cluster->new('search');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "log_statement = none\ntimezone = UTC\nautovacuum = off\nmax_wal_size = 2GB\n");
$node->start;

# A community is a workspace, every third channel of it is private; a member of
# a private channel is who wrote there on a line of an even number.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION forge_comm;
	SELECT forge_comm.create_chat_schema('chat');
	CREATE ROLE app;
	SELECT forge_comm.grant_app('app');
	GRANT USAGE ON SCHEMA chat TO app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chat TO app;
	GRANT TEMPORARY ON DATABASE postgres TO app;
	CREATE TABLE irc (workspace text, channel text, line integer, sent_at timestamptz, nick text,
					  reply_to_line integer, body text);
	COPY irc FROM '$file' WITH (FORMAT text, HEADER, NULL '');
	SET search_path = chat, public;
	SET session_replication_role = replica;
	INSERT INTO workspaces (name, slug) SELECT workspace, workspace FROM irc GROUP BY 1 ORDER BY 1;
	INSERT INTO users (email, display_name) SELECT md5(nick), left(nick, 80) FROM irc GROUP BY nick ORDER BY nick;
	INSERT INTO memberships (workspace_id, user_id)
		SELECT DISTINCT w.id, u.id FROM irc JOIN workspaces w ON w.name = workspace JOIN users u ON u.email = md5(nick);
	INSERT INTO channels (workspace_id, name, is_private)
		SELECT w.id, channel, row_number() OVER (ORDER BY channel) % 3 = 0
		FROM irc JOIN workspaces w ON w.name = workspace GROUP BY w.id, channel ORDER BY channel;
	INSERT INTO channel_memberships (workspace_id, channel_id, user_id)
		SELECT DISTINCT c.workspace_id, c.id, u.id
		FROM irc JOIN channels c ON c.name = channel JOIN users u ON u.email = md5(nick) WHERE line % 2 = 0;
	INSERT INTO messages (workspace_id, channel_id, user_id, body, created_at, updated_at, deleted_at)
		SELECT c.workspace_id, c.id, u.id, body, sent_at, sent_at, CASE WHEN line % 50 = 0 THEN sent_at END
		FROM irc JOIN channels c ON c.name = channel JOIN users u ON u.email = md5(nick) ORDER BY sent_at DESC;
	RESET session_replication_role;
	VACUUM ANALYZE;

	-- What a sequential scan finds of the rows that are visible, which are kept
	-- as they are parsed by PostgreSQL itself; and what search finds page by page
	CREATE FUNCTION chat.look() RETURNS void LANGUAGE sql AS \$\$
		DROP TABLE IF EXISTS visible;
		CREATE TEMP TABLE visible AS
		SELECT id, created_at, channel_id, user_id, to_tsvector('simple', translate(body, '<>', '  ')) AS words
		FROM chat.messages WHERE deleted_at IS NULL;
	\$\$;
	CREATE FUNCTION chat.scanned(query text, channels bigint[] DEFAULT NULL, author bigint DEFAULT NULL, most int DEFAULT 600)
	RETURNS bigint[] LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN (SELECT coalesce(array_agg(id ORDER BY created_at DESC, id DESC), '{}')
				FROM (SELECT * FROM visible
					  WHERE words @@ websearch_to_tsquery('simple', translate(query, '<>', '  '))
						AND (channels IS NULL OR channel_id = ANY (channels)) AND (author IS NULL OR user_id = author)
					  ORDER BY created_at DESC, id DESC LIMIT most) AS newest);
	END \$\$;
	CREATE FUNCTION chat.found(query text, channels bigint[] DEFAULT NULL, author bigint DEFAULT NULL, per_page int DEFAULT 100, most int DEFAULT 600)
	RETURNS bigint[] LANGUAGE plpgsql AS \$\$
	DECLARE
		ids bigint[] := '{}';
		page record;
		cursor text;
	BEGIN
		LOOP
			SELECT array_agg((s.message).id ORDER BY n) AS ids, (array_agg(s.cursor ORDER BY n))[count(*)] AS cursor INTO page
			FROM chat.search_messages(query, channels, author, cursor, per_page) WITH ORDINALITY AS s (message, highlight, cursor, n);
			ids := ids || coalesce(page.ids, '{}');
			EXIT WHEN coalesce(cardinality(page.ids), 0) < per_page OR cardinality(ids) >= most;
			cursor := page.cursor;
		END LOOP;
		RETURN ids[:most];
	END \$\$;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA chat TO app;
});

sub as
{
	my ($user, $sql) = @_;
	my ($stdout, $stderr) = ('', '');

	$node->psql('postgres', "SET client_min_messages = warning; SET ROLE app; BEGIN; SELECT forge_comm.set_context(user_id => $user) \\gset\n$sql; COMMIT",
		stdout => \$stdout, stderr => \$stderr, on_error_stop => 1);
	is($stderr, '', 'no error and no notice') if $stderr ne '';
	return $stdout;
}

# Words of each sort: common ones, ones of one community, of its first and of
# its last day, rare ones, and what looks like markup or operators.
my @queries = split /\n/, $node->safe_psql('postgres', q{
	WITH words AS MATERIALIZED (
		SELECT word, ndoc FROM ts_stat('SELECT to_tsvector(''simple'', body) FROM irc') WHERE word ~ '^[a-z]+$'),
	picked AS (
		(SELECT word FROM words ORDER BY ndoc DESC, word LIMIT 12)
		UNION ALL (SELECT word FROM words WHERE ndoc BETWEEN 200 AND 2000 ORDER BY md5(word) LIMIT 15)
		UNION ALL (SELECT word FROM words WHERE ndoc BETWEEN 1 AND 20 ORDER BY md5(word) LIMIT 15))
	SELECT word FROM picked
	UNION ALL
	SELECT a.word || ' ' || b.word FROM (SELECT word, row_number() OVER () AS n FROM picked) AS a
	JOIN (SELECT word, row_number() OVER () AS n FROM picked) AS b ON b.n = (a.n * 7) % 42 + 1 AND a.n < 30
});
push @queries, '"i have"', '"thanks for"', 'i -the', '-the', '-the -a -i -to', 'sudo or apt', '"apt get" -install',
  '<b>', 'a & b | !c', '"', '--', 'http://ubuntu.com', 'e-mail', "don't", 'nosuchwordanywhere', 'the nosuchwordanywhere';
cmp_ok(scalar @queries, '>', 70, scalar(@queries) . ' queries');

# A member of the largest community, of a small one, and of several
my @users = split /\n/, $node->safe_psql('postgres', q{
	(SELECT user_id FROM chat.channel_memberships GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 1)
	UNION ALL
	(SELECT min(user_id) FROM chat.memberships WHERE workspace_id = (SELECT id FROM chat.workspaces WHERE name = 'rust'))
	UNION ALL
	(SELECT user_id FROM chat.memberships GROUP BY user_id HAVING count(*) > 1 ORDER BY user_id LIMIT 1)
});

my $list = join ', ', map { my $q = s/'/''/gr; "('$q')" } @queries;
my $hits = 0;
for my $user (@users)
{
	my ($wrong, $n) = split /\|/, as($user, qq{
		SELECT chat.look() \\gset
		SELECT string_agg(q, ', ') FILTER (WHERE chat.found(q) <> chat.scanned(q)), sum(cardinality(chat.scanned(q)))
		FROM (VALUES $list) AS queries (q)});

	is($wrong, '', "user $user finds what a sequential scan finds: $n messages");
	$hits += $n;
}
cmp_ok($hits, '>', 20000, 'which is something');

# In channels, of authors, in small pages
my $user = $users[0];
is(as($user, q{
	SELECT chat.look() \gset
	SELECT string_agg(concat_ws(' ', q, channels, author, per_page), ', ')
	FROM unnest('{the,ubuntu,"i the",-the,kernel}'::text[]) AS q,
		(SELECT (array_agg(id ORDER BY id))[1:1] FROM chat.channels UNION ALL
		 SELECT (array_agg(id ORDER BY id))[2:30] FROM chat.channels UNION ALL SELECT NULL) AS c (channels),
		(SELECT user_id FROM chat.messages GROUP BY 1 ORDER BY count(*) DESC LIMIT 2) AS a (author),
		(VALUES (true), (false)) AS b (by_author), (VALUES (3), (100)) AS p (per_page)
	WHERE chat.found(q, channels, CASE WHEN by_author THEN author END, per_page, 150)
		  <> chat.scanned(q, channels, CASE WHEN by_author THEN author END, 150)}),
	'', 'in channels, of authors and in pages of three');

# What is private is found by its members only
is(as($user, q{
	SELECT count(*) FROM chat.search_messages('the', "limit" => 100) AS s
	JOIN chat.channels AS c ON c.id = (s.message).channel_id
	WHERE c.is_private AND NOT EXISTS (SELECT FROM chat.channel_memberships AS m
									   WHERE m.channel_id = c.id AND m.user_id = forge_comm.current_user_id())}),
	0, 'and not by others');

# Highlights: the text itself, escaped, and nothing else
is(as($user, q{
	SELECT count(*) FROM unnest('{the,script,a,"b or i",http,"lt or gt"}'::text[]) AS q, chat.search_messages(q, "limit" => 100)
	WHERE highlight ~ '<(?!/?mark>)' OR highlight ~ '&(?!(lt|gt|amp|quot|#39);)' OR highlight !~ '<mark>'
	   OR length((message).body) < 300 AND
		  replace(replace(replace(replace(replace(replace(replace(highlight, '<mark>', ''), '</mark>', ''), '&lt;', '<'), '&gt;', '>'),
			'&quot;', '"'), '&#39;', ''''), '&amp;', '&') <> translate((message).body, E'\x01\x02\x03\x04', '    ')}),
	0, 'highlights are the text, and safe in HTML');

# Neither a rare word nor a common one reads much, wherever the page is
sub buffers
{
	my ($query, $before) = @_;
	my $from = $before ? ", before => '$before'" : '';
	# once before, so that only the search itself counts
	my $plan = as($user, "SELECT count(*) AS n FROM chat.search_messages('$query'$from) \\gset\n"
		  . "EXPLAIN (ANALYZE, BUFFERS, TIMING off, COSTS off) SELECT * FROM chat.search_messages('$query'$from)");
	my ($hit) = $plan =~ /hit=(\d+)/;
	my ($read) = $plan =~ /read=(\d+)/;

	return ($hit // 0) + ($read // 0);
}
my ($rare) = $node->safe_psql('postgres', q{
	SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', body) FROM irc') WHERE word ~ '^[a-z]+$' AND ndoc = 5 ORDER BY word LIMIT 1});
cmp_ok(buffers($rare), '<', 100, 'a rare word reads little');
cmp_ok(buffers('the'), '<', 1500, 'and so does a common one');
my $deep = as($user, q{
	SELECT cursor FROM chat.search_messages('the', "limit" => 1, before => NULL)});
for (1 .. 20)
{
	$deep = as($user, "SELECT cursor FROM chat.search_messages('the', \"limit\" => 100, before => '$deep') OFFSET 99");
}
cmp_ok(buffers('the', $deep), '<', 1500, 'as on page 20');
cmp_ok(buffers('nosuchwordanywhere the'), '<', 100, 'or one of two words that nobody wrote');

# Rows that come and go between two pages
is(as($user, q{
	SELECT cursor AS cursor, (message).id AS last FROM chat.search_messages('the', "limit" => 10) OFFSET 9 \gset
	INSERT INTO chat.messages (channel_id, body, created_at) SELECT id, 'the newest', now() FROM chat.channels LIMIT 3;
	INSERT INTO chat.messages (channel_id, body, created_at) SELECT id, 'the oldest', '1999-01-01' FROM chat.channels LIMIT 3;
	SELECT chat.look() \gset
	SELECT (SELECT array_agg((message).id ORDER BY n) FROM chat.search_messages('the', before => :'cursor', "limit" => 100) WITH ORDINALITY AS s (message, highlight, cursor, n))
		   = (chat.scanned('the'))[14:113];
	ROLLBACK; BEGIN}),
	't', 'rows inserted between two pages neither come twice nor hide others');

# Without VACUUM, with the list of pending insertions full of new rows
$node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO chat.messages (workspace_id, channel_id, user_id, body, created_at)
	SELECT workspace_id, channel_id, user_id, 'again ' || body, created_at + interval '1 minute' FROM chat.messages WHERE id % 20 = 0;
	UPDATE chat.messages SET body = 'edited ' || body WHERE id % 25 = 0;
	UPDATE chat.messages SET deleted_at = now() WHERE id % 26 = 0;
	DELETE FROM chat.messages WHERE id % 27 = 0;
});
is(as($user, q{
	SELECT chat.look() \gset
	SELECT string_agg(q, ', ') FROM unnest('{the,again,edited,"again the","edited kernel","-the -again",nosuchwordanywhere}'::text[]) AS q
	WHERE chat.found(q) <> chat.scanned(q)}),
	'', 'and after changes that no VACUUM has seen');

$node->stop;
done_testing();
