# Walks through real messages of five communities: whichever way a client goes,
# it sees each message once, in one order, with the numbers that plain queries
# count. Those read a copy of the table that nothing of ours looks at.

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

# All of the four small communities, and three channels of the largest
my $file = PostgreSQL::Test::Utils::tempdir . '/messages.tsv';
system("zcat '$shared/data/irc/messages.tsv.gz' | awk -F '\\t' "
	  . q{'NR > 1 && ($1 != "ubuntu" || $2 ~ /^2008-0[1-3]-..[.]train-c/) && !($2 in seen) {seen[$2] = ++n[$1]}}
	  . q{ NR == 1 || (seen[$2] && seen[$2] <= 3)'} . " > '$file'") == 0
  or die 'could not unpack the messages';

my $node = PostgreSQL::Test::Cluster->new('walks');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf',
	"session_preload_libraries = forge_comm\nlog_statement = none\ntimezone = UTC\nautovacuum = off\nmax_wal_size = 2GB\n");
$node->start;

# The reader, user 1, belongs to all communities and is in all their channels
# but two: rust-2 is private, so closed to it, mediawiki-0 it does not follow.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION forge_comm;
	SELECT forge_comm.create_chat_schema('chat');
	CREATE ROLE app;
	SELECT forge_comm.grant_app('app');
	GRANT USAGE ON SCHEMA chat TO app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chat TO app;
	CREATE TABLE irc (workspace text, channel text, line integer, sent_at timestamptz, nick text,
					  reply_to_line integer, body text, n integer GENERATED ALWAYS AS IDENTITY);
	COPY irc (workspace, channel, line, sent_at, nick, reply_to_line, body) FROM '$file' WITH (FORMAT text, HEADER, NULL '');
	UPDATE irc SET channel = replace(channel, '.', '-');
	CREATE UNIQUE INDEX ON irc (channel, line);
	ANALYZE irc;
	SET search_path = chat, public;
	INSERT INTO workspaces (name, slug) SELECT workspace, workspace FROM irc GROUP BY 1 ORDER BY 1;
	INSERT INTO users (email, display_name) VALUES ('reader\@example.com', 'Reader');
	INSERT INTO users (email, display_name)
		SELECT md5(nick) || '\@example.com', 'nick ' || md5(nick) FROM irc GROUP BY nick ORDER BY count(*) DESC, nick;
	INSERT INTO memberships (workspace_id, user_id) SELECT id, 1 FROM workspaces;
	INSERT INTO memberships (workspace_id, user_id)
		SELECT DISTINCT w.id, u.id FROM irc JOIN workspaces w ON w.name = workspace
		JOIN users u ON u.email = md5(nick) || '\@example.com';
	INSERT INTO channels (workspace_id, name, is_private)
		SELECT w.id, channel, row_number() OVER (PARTITION BY workspace ORDER BY channel) > 1
		FROM irc JOIN workspaces w ON w.name = workspace GROUP BY workspace, w.id, channel ORDER BY workspace, channel;
	INSERT INTO channel_memberships (channel_id, user_id)
		SELECT id, 1 FROM channels WHERE name NOT IN ('mediawiki-0', 'rust-2');
	INSERT INTO channel_memberships (channel_id, user_id)
		SELECT DISTINCT c.id, u.id
		FROM irc JOIN channels c ON c.name = channel JOIN users u ON u.email = md5(nick) || '\@example.com' WHERE line % 2 = 0;
});

# Runs statements as the application, for a user
sub as
{
	my ($user, $sql) = @_;
	my ($stdout, $stderr) = ('', '');

	$node->psql('postgres',
		"SET client_min_messages = warning; SET ROLE app; SET search_path = chat, public; BEGIN;\n"
		  . "SELECT forge_comm.set_context(user_id => $user) \\gset\n$sql; COMMIT",
		stdout => \$stdout, stderr => \$stderr, on_error_stop => 1);
	is($stderr, '', 'no error and no notice') if $stderr ne '';
	return $stdout;
}

# From here on changes are told.
my $token = as(1, 'SELECT token FROM get_changes()');

# The messages come in four transactions, each with ids and times between those
# of the others: replies once what they reply to is there. Some are deleted as
# they come, some afterwards with the replies to them, and each twentieth is
# edited.
$node->safe_psql('postgres', q{
	CREATE TABLE incoming AS
		SELECT i.n, i.line, i.n * 48271 % 1000003 AS id, c.id AS channel_id, u.id AS user_id, p.n * 48271 % 1000003 AS parent_id,
			   CASE WHEN i.line % 23 = 0 THEN '<@1> ' ELSE '' END || i.body AS body, i.sent_at,
			   CASE WHEN i.line % 37 = 0 THEN i.sent_at END AS deleted_at
		FROM irc i JOIN chat.channels c ON c.name = i.channel JOIN chat.users u ON u.email = md5(i.nick) || '@example.com'
		LEFT JOIN irc p ON p.channel = i.channel AND p.line = i.reply_to_line;
	ANALYZE incoming;
});
my $has_parent = 'parent_id IN (SELECT id FROM chat.messages)';
for my $which ('parent_id IS NULL AND line / 50 % 2 = 0', "parent_id IS NULL OR $has_parent", $has_parent, 'true')
{
	$node->safe_psql('postgres', qq{
		INSERT INTO chat.messages (id, channel_id, user_id, parent_id, body, created_at, deleted_at)
		SELECT id, channel_id, user_id, parent_id, body, sent_at, deleted_at FROM incoming
		WHERE id NOT IN (SELECT id FROM chat.messages) AND ($which)
		ORDER BY n;
		ANALYZE chat.messages});
}
$node->safe_psql('postgres', q{
	DELETE FROM chat.messages WHERE id IN (SELECT id FROM incoming WHERE line % 50 = 0);
	UPDATE chat.messages SET body = body || ' (edited)' WHERE id % 20 = 0 AND deleted_at IS NULL;
	SELECT setval('chat.messages_id_seq', 1000003);
	VACUUM ANALYZE;

	-- What a walk must show, read by plain queries
	CREATE TABLE truth AS
		SELECT m.id, m.channel_id, c.workspace_id, m.user_id, m.parent_id, m.created_at, m.body, m.deleted_at IS NULL AS lives,
			   c.name <> 'rust-2' AS readable, c.name NOT IN ('mediawiki-0', 'rust-2') AS followed
		FROM chat.messages m JOIN chat.channels c ON c.id = m.channel_id;
	CREATE UNIQUE INDEX ON truth (id);
	CREATE INDEX ON truth (channel_id, created_at, id);
	CREATE INDEX ON truth (parent_id);
	ANALYZE truth;
	GRANT SELECT ON truth, irc TO app;
});
my ($all, $live, $replies) = split /\|/, $node->safe_psql('postgres',
	'SELECT count(*), count(*) FILTER (WHERE lives), count(parent_id) FILTER (WHERE lives) FROM truth');
is($all, $node->safe_psql('postgres', 'SELECT count(*) FROM irc'), "$all messages came in");
cmp_ok($live, '>', 15000, "of which $live live");
cmp_ok($replies, '>', 2000, "$replies of them replies");

# ------------------------------------------------------------------ changes

# Cut into parts that do not fall in with the transactions
$node->safe_psql('postgres', q{
	CREATE TABLE told (n bigint GENERATED ALWAYS AS IDENTITY, kind text, message_id bigint, body text);
	GRANT SELECT, INSERT ON told TO app;
	CREATE FUNCTION chat.tell(token text, "limit" integer) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		change record;
		last record;
	BEGIN
		LOOP
			FOR change IN SELECT * FROM chat.get_changes(token, "limit") LOOP
				last := change;
				IF change.token IS NULL THEN
					INSERT INTO public.told (kind, message_id, body) VALUES (change.kind, change.message_id, (change.message).body);
				END IF;
			END LOOP;
			token := last.token;
			EXIT WHEN last.kind <> 'more';
		END LOOP;
		RETURN last.kind || ' ' || token;
	END $$;
});
my ($end, $next) = split / /, as(1, "SELECT chat.tell('$token', 777)");
is($end, 'end', 'the walk through the changes comes to its end');
is( $node->safe_psql('postgres', q{
		SELECT count(*), count(DISTINCT message_id) FROM told WHERE kind = 'inserted'}),
	$node->safe_psql('postgres', 'SELECT count(*), count(*) FROM truth WHERE lives AND readable'),
	'each message that is to be seen is told as inserted, once');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM told LEFT JOIN truth ON id = message_id
		WHERE kind = 'inserted' AND (lives AND readable AND told.body = truth.body) IS NOT TRUE}),
	0, 'as it is now, and none else');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM told LEFT JOIN truth ON id = message_id
		WHERE kind <> 'inserted' AND (readable AND CASE kind WHEN 'deleted' THEN NOT lives WHEN 'edited' THEN lives AND truth.id % 20 = 0 END) IS NOT TRUE}),
	0, 'what else is told is an edit or the end of one');
is( $node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM told GROUP BY kind, message_id HAVING count(*) > 1) AS twice'),
	0, 'and nothing is told twice');
is(as(1, "SELECT count(*), min(kind) FROM get_changes('$next')"), '1|end', 'nor in the next walk');

# ------------------------------------------------- channels, page after page

$node->safe_psql('postgres', q{
	CREATE FUNCTION chat.wanted(channel bigint) RETURNS bigint[] LANGUAGE sql AS $$
		SELECT array_agg(id ORDER BY created_at DESC, id DESC) FROM public.truth WHERE channel_id = channel AND lives
	$$;
	CREATE FUNCTION chat.by_pages(channel bigint, n integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[] := '{}';
		page bigint[];
	BEGIN
		FOR number IN 1 .. 100000 LOOP
			page := ARRAY(SELECT m.id FROM chat.get_messages(channel, number, n) AS m);
			EXIT WHEN cardinality(page) = 0;
			ids := ids || page;
		END LOOP;
		RETURN ids;
	END $$;
	CREATE FUNCTION chat.backward(channel bigint, n integer, by_id boolean) RETURNS bigint[] LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[] := '{}';
		page chat.messages[] := ARRAY(SELECT m FROM chat.list_messages(channel, "limit" => n) AS m);
		place text;
	BEGIN
		WHILE cardinality(page) > 0 LOOP
			ids := ids || ARRAY(SELECT p.id FROM unnest(page) AS p);
			place := CASE WHEN by_id THEN page[cardinality(page)].id::text ELSE chat.message_cursor(page[cardinality(page)]) END;
			page := ARRAY(SELECT m FROM chat.list_messages(channel, before => place, "limit" => n) AS m);
		END LOOP;
		RETURN ids;
	END $$;
	CREATE FUNCTION chat.forward(channel bigint, n integer, by_id boolean) RETURNS bigint[] LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[];
		page chat.messages[] := ARRAY(SELECT m FROM chat.list_messages(channel, around => '-infinity', "limit" => 2) AS m);
		place text;
	BEGIN
		ids := ARRAY(SELECT p.id FROM unnest(page) AS p);
		WHILE cardinality(page) > 0 LOOP
			place := CASE WHEN by_id THEN page[1].id::text ELSE chat.message_cursor(page[1]) END;
			page := ARRAY(SELECT m FROM chat.list_messages(channel, after => place, "limit" => n) AS m);
			ids := ARRAY(SELECT p.id FROM unnest(page) AS p) || ids;
		END LOOP;
		RETURN ids;
	END $$;
});
my $readable = q{(SELECT DISTINCT channel_id AS c FROM truth WHERE readable) AS channels};
for ([ 100, 'true' ], [ 50, 'channel_id % 4 = 0' ], [ 7, 'channel_id % 5 = 1' ], [ 1, 'channel_id = 2' ])
{
	my ($n, $which) = @$_;
	my $channels = "(SELECT DISTINCT channel_id AS c FROM truth WHERE readable AND $which) AS channels";
	my $number = $node->safe_psql('postgres', "SELECT count(*) FROM $channels");

	cmp_ok($number, '>', 0, "$number channels in pages of $n");
	is(as(1, qq{
			SELECT string_agg(c::text, ' ') FROM $channels WHERE chat.by_pages(c, $n) IS DISTINCT FROM chat.wanted(c);
			SELECT string_agg(c::text, ' ') FROM $channels, unnest('{t,f}'::boolean[]) AS by_id
			WHERE chat.backward(c, $n, by_id) IS DISTINCT FROM chat.wanted(c);
			SELECT string_agg(c::text, ' ') FROM $channels, unnest('{t,f}'::boolean[]) AS by_id
			WHERE chat.forward(c, $n, by_id) IS DISTINCT FROM chat.wanted(c)}),
		"\n\n", 'pages, and walks back and forth by cursors and ids, are the same');
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT (channel_id, created_at)) FROM truth WHERE lives'),
	'>', 1000, 'with ties in time');

is(as(1, qq{
		SELECT count(*) FROM $readable, unnest('{1,10,1000,1150,1000000}'::bigint[]) AS cap
		WHERE count_messages(c) <> cardinality(chat.wanted(c)) OR count_messages(c, cap) <> least(cap, cardinality(chat.wanted(c)))}),
	0, 'messages are counted, to the end and to a cap');

# ------------------------------------------------------------------- around

# Half of the rows up to a place, half after it. Messages and times begin with
# those that are deleted, and with what ties.
$node->safe_psql('postgres', q{
	CREATE FUNCTION chat.near(channel bigint, at timestamptz, last_id bigint, n integer) RETURNS bigint[] LANGUAGE sql AS $$
		SELECT coalesce(array_agg(id ORDER BY created_at DESC, id DESC), '{}') FROM (
			(SELECT id, created_at FROM public.truth WHERE channel_id = channel AND lives AND (created_at, id) <= (at, last_id)
			 ORDER BY created_at DESC, id DESC LIMIT (n + 1) / 2)
			UNION ALL
			(SELECT id, created_at FROM public.truth WHERE channel_id = channel AND lives AND (created_at, id) > (at, last_id)
			 ORDER BY created_at, id LIMIT n / 2)) AS halves
	$$;
	CREATE FUNCTION chat.around(channel bigint, around text, n integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
	BEGIN
		RETURN ARRAY(SELECT m.id FROM chat.list_messages(channel, around => around.around, "limit" => n) AS m);
	END $$;
});
my $places = q{(SELECT id, channel_id, created_at FROM truth WHERE readable AND (id % 97 = 0 OR NOT lives AND id % 7 = 0)) AS place
			   CROSS JOIN unnest('{1,2,7,50}'::int[]) AS n};
is(as(1, qq{
		SELECT count(*) > 1000 FROM $places;
		SELECT count(*) FROM $places WHERE chat.around(channel_id, id::text, n) <> chat.near(channel_id, created_at, id, n);
		SELECT count(*) FROM $places JOIN messages AS m USING (id)
		WHERE chat.around(m.channel_id, message_cursor(m), n) <> chat.near(m.channel_id, m.created_at, id, n);
		SELECT count(*) FROM $places CROSS JOIN unnest('{0s,-1us,17s}'::interval[]) AS apart
		WHERE chat.around(channel_id, (created_at + apart)::text, n)
			  <> chat.near(channel_id, created_at + apart, 9223372036854775807, n)}),
	"t\n0\n0\n0", 'around a message, its cursor, and a time');

# ------------------------------------------------------------------ threads

$node->safe_psql('postgres', q{
	CREATE FUNCTION chat.thread(parent bigint, n integer, by_id boolean) RETURNS bigint[] LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[] := '{}';
		page chat.messages[] := ARRAY(SELECT m FROM chat.get_thread(parent, "limit" => n) AS m);
		place text;
	BEGIN
		WHILE cardinality(page) > 0 LOOP
			ids := ids || ARRAY(SELECT p.id FROM unnest(page) AS p);
			place := CASE WHEN by_id THEN page[cardinality(page)].id::text ELSE chat.message_cursor(page[cardinality(page)]) END;
			page := ARRAY(SELECT m FROM chat.get_thread(parent, place, n) AS m);
		END LOOP;
		RETURN ids;
	END $$;
	CREATE FUNCTION chat.wanted_thread(parent bigint) RETURNS bigint[] LANGUAGE sql AS $$
		SELECT coalesce(array_agg(id ORDER BY id <> parent, created_at, id), '{}') FROM public.truth
		WHERE (id = parent OR parent_id = parent) AND lives AND readable
	$$;
});
my $threads = q{(SELECT parent_id AS p, count(*) AS replies, bool_or(lives) AS lives FROM truth WHERE parent_id IS NOT NULL GROUP BY 1) AS threads};
is(as(1, qq{
		SELECT count(*) > 1500, max(replies) > 4 FROM $threads;
		SELECT count(*) FROM $threads WHERE chat.thread(p, 50, true) <> chat.wanted_thread(p);
		SELECT count(*) FROM $threads CROSS JOIN (VALUES (1, true), (1, false), (2, true), (3, false)) AS steps (n, by_id)
		WHERE replies > 1 AND chat.thread(p, n, by_id) <> chat.wanted_thread(p);
		SELECT count(*) > 10 FROM truth AS t WHERE NOT lives AND EXISTS (SELECT FROM truth AS r WHERE r.parent_id = t.id AND r.lives)}),
	"t|t\n0\n0\nt", 'threads, also those whose first message is deleted');

# -------------------------------------------------------- pages for a client

# Every page is checked against the copy: what it shows of each message, and
# what it says is beyond its ends. Answers what is wrong.
$node->safe_psql('postgres', q{
	CREATE FUNCTION chat.ids(page jsonb) RETURNS bigint[] LANGUAGE sql AS $$
		SELECT coalesce(array_agg((message ->> 'id')::bigint ORDER BY n), '{}')
		FROM jsonb_array_elements(page -> 'messages') WITH ORDINALITY AS m (message, n)
	$$;
	CREATE FUNCTION chat.wrong(page jsonb, wanted bigint[]) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[] := chat.ids(page);
	BEGIN
		RETURN (SELECT string_agg(m.id::text, ' ') FROM jsonb_array_elements(page -> 'messages') AS e (message)
				LEFT JOIN public.truth AS m ON m.id = (message ->> 'id')::bigint
				CROSS JOIN LATERAL (SELECT count(*) AS n, max(created_at) AS last FROM public.truth AS r WHERE r.parent_id = m.id AND r.lives) AS r
				WHERE (m.lives AND m.id = ANY (wanted) AND message ->> 'body' = m.body AND (message -> 'author' ->> 'id')::bigint = m.user_id
					   AND (message ->> 'reply_count')::bigint = r.n AND (message ->> 'last_reply_at')::timestamptz IS NOT DISTINCT FROM r.last) IS NOT TRUE)
			   || ' told wrong';
	END $$;
	CREATE FUNCTION chat.wrong_ends(page jsonb, wanted bigint[]) RETURNS text LANGUAGE sql AS $$
		SELECT CASE WHEN (page -> 'has_newer')::boolean IS DISTINCT FROM (ids[1] <> wanted[1])
					  OR (page -> 'has_older')::boolean IS DISTINCT FROM (ids[cardinality(ids)] <> wanted[cardinality(wanted)])
					THEN 'wrong about what is beyond ' || ids[1] END
		FROM chat.ids(page) AS ids
	$$;
	CREATE FUNCTION chat.wrong_walk(channel bigint, n integer) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		wanted bigint[] := chat.wanted(channel);
		page jsonb := chat.message_page(channel, "limit" => n);
		ids bigint[] := chat.ids(page);
		wrong text := concat_ws(', ', chat.wrong(page, wanted), chat.wrong_ends(page, wanted));
	BEGIN
		WHILE (page -> 'has_older')::boolean LOOP
			page := chat.message_page(channel, before => page ->> 'older', "limit" => n);
			ids := ids || chat.ids(page);
			wrong := concat_ws(', ', nullif(wrong, ''), chat.wrong(page, wanted), chat.wrong_ends(page, wanted));
		END LOOP;
		IF ids <> wanted THEN
			wrong := concat_ws(', ', nullif(wrong, ''), 'back');
		END IF;
		ids := chat.ids(page);
		WHILE (page -> 'has_newer')::boolean LOOP
			page := chat.message_page(channel, after => page ->> 'newer', "limit" => n);
			ids := chat.ids(page) || ids;
			wrong := concat_ws(', ', nullif(wrong, ''), chat.wrong_ends(page, wanted));
		END LOOP;
		IF ids <> wanted THEN
			wrong := concat_ws(', ', nullif(wrong, ''), 'forth');
		END IF;
		-- who asks on gets nothing, as often as they ask
		FOR i IN 1 .. 2 LOOP
			page := chat.message_page(channel, after => page ->> 'newer', "limit" => n);
			IF cardinality(chat.ids(page)) > 0 OR (page -> 'has_newer')::boolean OR NOT (page -> 'has_older')::boolean THEN
				wrong := concat_ws(', ', nullif(wrong, ''), 'more after the newest');
			END IF;
		END LOOP;
		RETURN nullif(wrong, '');
	END $$;
});
for ([ 100, 'true' ], [ 17, 'channel_id % 4 = 1' ])
{
	my ($n, $which) = @$_;

	is(as(1, qq{
			SELECT string_agg(c || ': ' || chat.wrong_walk(c, $n), '; ')
			FROM (SELECT DISTINCT channel_id AS c FROM truth WHERE readable AND $which) AS channels}),
		'', "pages of $n for a client, with their replies counted, lead to both ends");
}
is(as(1, q{
		SELECT count(*) > 20, count(*) FILTER (WHERE chat.wrong(p, w) IS NOT NULL OR chat.wrong_ends(p, w) IS NOT NULL)
		FROM truth, message_page(channel_id, around => id::text, "limit" => 10) AS p, chat.wanted(channel_id) AS w
		WHERE readable AND id % 397 = 0}),
	't|0', 'also from the middle');

# ------------------------------------------------------------------- unread

# What the plain queries count. A mention needs the user's id.
my $summary = q{
	SELECT f.channel_id,
		   (SELECT least(count(*), :cap) FROM truth AS t WHERE t.channel_id = f.channel_id AND lives AND parent_id IS NULL AND t.user_id <> :user
			AND (r.id IS NULL OR (t.created_at, t.id) > (r.created_at, r.id))) AS unread,
		   (SELECT least(count(*), :cap) FROM truth AS t WHERE t.channel_id = f.channel_id AND lives AND parent_id IS NULL AND t.user_id <> :user
			AND (r.id IS NULL OR (t.created_at, t.id) > (r.created_at, r.id)) AND body LIKE '%<@:user>%') AS mentions,
		   (SELECT t.id FROM truth AS t WHERE t.channel_id = f.channel_id AND lives AND parent_id IS NULL AND t.user_id <> :user
			AND (r.id IS NULL OR (t.created_at, t.id) > (r.created_at, r.id)) ORDER BY t.created_at, t.id LIMIT 1) AS first_unread_id,
		   l.id, l.created_at, left(l.body, 140)
	FROM channel_memberships AS f LEFT JOIN truth AS r ON r.id = f.last_read_message_id
	LEFT JOIN LATERAL (SELECT * FROM truth AS t WHERE t.channel_id = f.channel_id AND lives ORDER BY created_at DESC, id DESC LIMIT 1) AS l ON true
	WHERE f.user_id = :user};

sub same_summary
{
	my ($user, $cap, $what) = @_;
	my $plain = $summary =~ s/:user/$user/gr =~ s/:cap/$cap/gr;

	like(as($user, qq{
			SELECT (SELECT count(*) FROM ((SELECT * FROM unread_summary(cap => $cap)) EXCEPT ALL ($plain)) AS a),
				   (SELECT count(*) FROM (($plain) EXCEPT ALL (SELECT * FROM unread_summary(cap => $cap))) AS b),
				   (SELECT count(*) FROM unread_summary())}),
		qr/^0\|0\|[1-9]/, "unread messages of user $user, $what, to a cap of $cap");
}

# The reader, who wrote nothing, and two who wrote most
for my $user (1, 2, 5)
{
	same_summary($user, $_, 'who has read nothing') for (1000, 10);
}

# Somewhere in each channel, on messages that live or are deleted
sub marks
{
	my ($third) = @_;

	return qq{(SELECT DISTINCT ON (channel_id) channel_id AS c, id AS mark, created_at AS at FROM truth
			   WHERE followed AND id % 3 = $third ORDER BY channel_id, md5(id::text)) AS marks};
}
my $first = marks(0);
my $second = marks(1);
is(as(1, qq{
		SELECT count(*) > 12, count(*) FILTER (WHERE mark_read(c, mark) IS DISTINCT FROM mark) FROM $first;
		SELECT count(mark_read(c, mark)),
			   count(mark_read(c, (SELECT id FROM truth WHERE channel_id = c AND (created_at, id) < (at, mark) ORDER BY id LIMIT 1))) FROM $first;
		SELECT count(*) FROM $first JOIN channel_memberships ON channel_id = c AND user_id = 1
		WHERE last_read_message_id IS DISTINCT FROM mark}),
	"t|0\n0|0\n0", 'markers move to a message, and neither twice nor back');
same_summary(1, 1000, 'who has read something');
same_summary(1, 3, 'who has read something');
is(as(1, q{
		SELECT count(*) FROM channel_memberships AS f JOIN truth AS r ON r.id = last_read_message_id CROSS JOIN unnest('{1,2,9,50}'::int[]) AS n
		WHERE f.user_id = 1 AND chat.around(f.channel_id, 'unread', n) <> chat.near(f.channel_id, r.created_at, r.id, n);
		SELECT chat.around(id, 'unread', 10) = w[cardinality(w) - 4:] FROM channels, chat.wanted(id) AS w WHERE name = 'mediawiki-0'}),
	"0\nt", 'around what is unread, which is all where nothing was marked');
is(as(1, qq{
		SELECT count(*) FILTER (WHERE (r.created_at, r.id) < (at, mark)) > 2, count(*) FILTER (WHERE (r.created_at, r.id) > (at, mark)) > 2,
			   count(*) FILTER (WHERE mark_read(c, mark) IS DISTINCT FROM CASE WHEN (r.created_at, r.id) < (at, mark) THEN mark END)
		FROM $second JOIN channel_memberships AS f ON f.channel_id = c AND f.user_id = 1 JOIN truth AS r ON r.id = f.last_read_message_id}),
	't|t|0', 'another message is marked where it is newer');
same_summary(1, 1000, 'who has read on');
is(as(1, q{SELECT count(mark_read(channel_id, id)) FROM truth WHERE NOT followed AND id % 11 = 0}),
	0, 'channels that are not followed have no marker');

# -------------------------------------------------------------------- inbox

$node->safe_psql('postgres', q{
	CREATE FUNCTION chat.inbox_walk(n integer, most integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[] := '{}';
		page chat.messages[] := ARRAY(SELECT m FROM chat.inbox(n) AS m);
	BEGIN
		WHILE cardinality(page) > 0 AND cardinality(ids) < most LOOP
			ids := ids || ARRAY(SELECT p.id FROM unnest(page) AS p);
			page := ARRAY(SELECT m FROM chat.inbox(n, chat.inbox_cursor(page[cardinality(page)])) AS m);
		END LOOP;
		RETURN ids[:most];
	END $$;
});
for my $user (1, 2, 5)
{
	my $wanted = qq{ARRAY(SELECT t.id FROM truth AS t JOIN channel_memberships AS f USING (channel_id) WHERE f.user_id = $user AND lives
						  ORDER BY t.created_at DESC, t.id DESC)};

	is(as($user, qq{
			SELECT cardinality(w) > 500, chat.inbox_walk(100, 100000) = w, chat.inbox_walk(7, 700) = w[:700]
			FROM (SELECT $wanted AS w) AS w}),
		't|t|t', "the inbox of user $user is all of their channels, in order");
}

# ---------------------------------------------------------------- and not beyond

for my $call ('list_messages(:c)', 'message_page(:c)', 'count_messages(:c)')
{
	my $channel = $node->safe_psql('postgres', q{SELECT id FROM chat.channels WHERE name = 'rust-2'});
	my ($stdout, $stderr) = ('', '');
	my $asked = $call =~ s/:c/$channel/r;

	$node->psql('postgres', "SET ROLE app; BEGIN; SELECT forge_comm.set_context(user_id => 1); \\set VERBOSITY sqlstate\nSELECT * FROM chat.$asked",
		stdout => \$stdout, stderr => \$stderr);
	like($stderr, qr/ERROR:  42501/, "$call refuses a private channel of others");
}

$node->stop;
done_testing();
