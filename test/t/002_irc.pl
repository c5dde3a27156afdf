# Real messages of five communities, loaded as five workspaces through the
# existing application's schema and by its role. What must come out is
# computed here from the file, not by the server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $shared = $ENV{FORGE_COMM_SHARED};
plan skip_all => 'FORGE_COMM_SHARED names no folder with the real messages'
  unless defined $shared && -r "$shared/data/irc/messages.tsv.gz";

# The ids do not ascend with time, as after a merge of several imports: ties
# must be broken by id, and not by the order in which rows happen to lie.
my ($multiplier, $prime) = (48271, 1000003);
sub message_id { return $_[0] * $multiplier % $prime; }

my $file = PostgreSQL::Test::Utils::tempdir . '/messages.tsv';
system("zcat '$shared/data/irc/messages.tsv.gz' > '$file'") == 0
  or die 'could not unpack the messages';

# A few replies name a line that the file does not have (it leaves the servers'
# own lines out): these have no parent to keep.
my (%messages, %channels, %nicks);
my ($replies, $orphans) = (0, 0);
{
	my ($n, %line_id) = (0);

	open my $fh, '<', $file or die "could not open $file: $!";
	<$fh>;
	while (my $line = <$fh>)
	{
		my ($workspace, $channel, $number, $sent_at, $nick, $reply_to) =
		  split /\t/, $line;
		my $id = message_id(++$n);
		my $parent = $line_id{$channel}{$reply_to} // '';

		$line_id{$channel}{$number} = $id;
		$messages{$workspace}++;
		$nicks{$nick}{$workspace}++;
		$replies++ if $reply_to ne '';
		$orphans++ if $reply_to ne '' && $parent eq '';
		push @{ $channels{$workspace}{$channel} }, [ $sent_at, $id, $parent ];
	}
	close $fh;
}
my @workspaces = sort keys %messages;
my $total = 0;
$total += $_ for values %messages;

my $app = ForgeComm->new('irc');
$app->onboard;

# The file as a table that the application may read. It logs each line's
# number, from which the message's id follows.
$app->admin(qq{
	CREATE TABLE irc (
		workspace text, channel text, line integer, sent_at timestamptz,
		nick text, reply_to_line integer, body text,
		n bigint GENERATED ALWAYS AS IDENTITY
	);
	COPY irc (workspace, channel, line, sent_at, nick, reply_to_line, body)
	FROM '$file' WITH (FORMAT text, HEADER, NULL '');
	ALTER TABLE irc ADD COLUMN id integer;
	UPDATE irc SET id = n * $multiplier % $prime;
	CREATE INDEX ON irc (channel, line);
	ANALYZE irc;
	GRANT SELECT ON irc TO app_owner;

	INSERT INTO workspaces (name, slug)
	SELECT DISTINCT workspace, workspace FROM irc;
});
$app->owner(q{
	INSERT INTO users (email, display_name)
	SELECT DISTINCT nick, nick FROM irc;
	ANALYZE users;
});
$app->admin(q{
	INSERT INTO memberships (user_id, workspace_id)
	SELECT DISTINCT u.id, w.id
	FROM irc JOIN users u ON u.email = nick JOIN workspaces w ON w.slug = workspace;
	ANALYZE memberships;
});

my %workspace_id =
  split /[|\n]/, $app->admin('SELECT slug, id FROM workspaces');

# One who speaks for each community and is in no other
my %member;
for my $workspace (@workspaces)
{
	my ($nick) = grep { $nicks{$_}{$workspace} && keys %{ $nicks{$_} } == 1 }
	  sort keys %nicks;

	$nick =~ s/'/''/g;
	$member{$workspace} =
	  $app->admin("SELECT id FROM users WHERE email = E'$nick'");
}

# The import, as the application, one community at a time
for my $workspace (@workspaces)
{
	$app->as($member{$workspace}, $workspace_id{$workspace}, qq{
		INSERT INTO channels (workspace_id, name)
		SELECT DISTINCT $workspace_id{$workspace}, channel FROM irc
		WHERE workspace = '$workspace';
		INSERT INTO messages (id, channel_id, user_id, body, parent_id, created_at)
		SELECT i.id, c.id, u.id, i.body, p.id, i.sent_at
		FROM irc i
		JOIN channels c ON c.name = i.channel
		JOIN users u ON u.email = i.nick
		LEFT JOIN irc p ON p.channel = i.channel AND p.line = i.reply_to_line
		WHERE i.workspace = '$workspace'
		ORDER BY i.n});
}
$app->admin(qq{
	SELECT setval('messages_id_seq', $prime);
	VACUUM ANALYZE messages;
});
is($app->admin('SELECT count(*) FROM messages'), $total, "$total messages came in");
is($total, 235567, 'which is all of them');

# Nothing was altered on the way
is( $app->admin(q{
		SELECT count(*) FROM irc i JOIN messages m USING (id)
		JOIN channels c ON c.id = m.channel_id JOIN workspaces w ON w.id = m.workspace_id
		JOIN users u ON u.id = m.user_id
		WHERE m.body = i.body AND m.created_at = i.sent_at AND c.name = i.channel
		  AND w.slug = i.workspace AND c.workspace_id = w.id AND u.email = i.nick}),
	$total, 'each with its body, time, author, channel and workspace');
is( $app->admin(q{
		SELECT count(*) FROM irc i JOIN irc p ON p.channel = i.channel AND p.line = i.reply_to_line
		JOIN messages m ON m.id = i.id WHERE m.parent_id = p.id}),
	$replies - $orphans, 'each reply with its parent');
is($replies, 58873, 'of all replies');

my $fingerprint = q{
	SELECT count(*), sum(hashtextextended(m::text, 0)) FROM messages m
};
my $untouched = $app->admin($fingerprint);

# Each community's member sees that community
my $visible = q{SELECT count(*), count(parent_id), count(DISTINCT workspace_id) FROM messages};
for my $workspace (@workspaces)
{
	my $parents = grep { $_->[2] ne '' } map { @$_ } values %{ $channels{$workspace} };

	is($app->as($member{$workspace}, undef, $visible),
		"$messages{$workspace}|$parents|1",
		"a member of $workspace sees $messages{$workspace} messages");
}
{
	my ($nick) = grep { keys %{ $nicks{$_} } == 2 && !/[\\']/ } sort keys %nicks;
	my $both = 0;

	$both += $messages{$_} for keys %{ $nicks{$nick} };
	my $user = $app->admin("SELECT id FROM users WHERE email = '$nick'");
	is($app->as($user, undef, 'SELECT count(*) FROM messages'),
		$both, 'a member of two communities sees both, and no more');
}

# Every channel, page by page to the first empty one
my ($walked, $wrong) = (0, 0);
for my $workspace (@workspaces)
{
	my $names = $app->as($member{$workspace}, undef,
		'SELECT name, id FROM channels');
	my %channel_id = split /[|\n]/, $names;
	my (%expected, $script);

	is(scalar keys %channel_id, scalar keys %{ $channels{$workspace} },
		"the channels of $workspace are there");
	for my $name (sort keys %{ $channels{$workspace} })
	{
		my @newest_first =
		  sort { $b->[0] cmp $a->[0] || $b->[1] <=> $a->[1] }
		  @{ $channels{$workspace}{$name} };
		my $last = 1 + int((@newest_first + 99) / 100);

		for my $page (1 .. $last)
		{
			$script .= "\\echo $name $page\n"
			  . "SELECT id, parent_id FROM get_messages($channel_id{$name}, $page, 100);\n";
			$expected{"$name $page"} = join '',
			  map { "$_->[1]|$_->[2]\n" } splice @newest_first, 0, 100;
		}
		$walked++;
	}

	my %got;
	my $where = '';
	for (split /\n/, $app->as($member{$workspace}, undef, $script))
	{
		if (/\|/) { $got{$where} .= "$_\n"; }
		else      { $where = $_; $got{$where} = ''; }
	}
	for my $page (sort keys %expected)
	{
		next if ($got{$page} // 'missing') eq $expected{$page};
		diag("page $page of $workspace differs") if $wrong++ < 5;
	}
}
is($walked, 185, 'every channel was walked');
is($wrong,  0,   'each message once, newest first, ties by id, with its parent');

# What one community can do to the next: nothing
for my $i (0 .. $#workspaces)
{
	my ($ours, $theirs) = @workspaces[ $i, ($i + 1) % @workspaces ];
	my $user = $member{$ours};
	my ($own_channel, $own_message, $channel, $message) = map {
		my ($name) = sort keys %{ $channels{$_} };
		($app->admin("SELECT id FROM channels WHERE name = '$name'"),
			$channels{$_}{$name}[0][1]);
	} ($ours, $theirs);
	my $new = 'INSERT INTO messages (channel_id, user_id, body';

	is( $app->as($user, undef, qq{
			SELECT id FROM messages WHERE id = $message;
			SELECT id FROM get_messages($channel);
			SELECT id FROM channels WHERE id = $channel;
			SELECT id FROM workspaces WHERE id = $workspace_id{$theirs};
			SELECT user_id FROM memberships WHERE user_id = $member{$theirs};
			UPDATE messages SET body = 'stolen' WHERE id = $message RETURNING id;
			UPDATE messages SET body = 'stolen' WHERE channel_id = $channel;
			\\echo :ROW_COUNT
			DELETE FROM messages WHERE id = $message;
			\\echo :ROW_COUNT
			DELETE FROM channels WHERE id = $channel;
			\\echo :ROW_COUNT}),
		"0\n0\n0", "$ours does not see, change or delete what $theirs has");

	$app->refused_as($user, undef, "$new) VALUES ($channel, $user, 'x')",
		'23503', "$ours cannot write into a channel of $theirs");
	$app->refused_as($user, undef,
		"$new, workspace_id) VALUES ($channel, $user, 'x', $workspace_id{$theirs})",
		'42501', 'nor when it names the workspace');
	$app->refused_as($user, undef,
		"$new, parent_id) VALUES ($own_channel, $user, 'x', $message)",
		'23503', 'nor reply to its message');
	$app->refused_as($user, undef,
		"INSERT INTO reactions (message_id, user_id, emoji) VALUES ($message, $user, '+1')",
		'23503', 'nor react to it');
	$app->refused_as($user, undef,
		"UPDATE messages SET channel_id = $channel WHERE id = $own_message",
		'23503', 'nor move a message there');
	$app->refused_as($user, undef,
		"UPDATE messages SET workspace_id = $workspace_id{$theirs} WHERE id = $own_message",
		'42501', 'nor give it away');
	$app->refused_as($user, $workspace_id{$theirs}, 'SELECT 1',
		'42501', 'nor enter');
	$app->refused_as($user, undef,
		"SELECT forge_comm.pin_workspace($workspace_id{$theirs})",
		'42501', 'nor pin it');
}
is($app->admin($fingerprint), $untouched, 'not a byte of any message has changed');

# A statement without WHERE stays at home. (The largest would only take longer.)
for my $workspace (grep { $messages{$_} < 10000 } @workspaces)
{
	is( $app->as($member{$workspace}, undef, q{
			UPDATE messages SET body = 'x';
			\echo :ROW_COUNT
			DELETE FROM messages;
			\echo :ROW_COUNT
			SELECT count(*) FROM active_messages;
			ROLLBACK}),
		"$messages{$workspace}\n$messages{$workspace}\n0",
		"UPDATE and DELETE of everything end where $workspace ends");
}
is($app->admin($fingerprint), $untouched, 'and a rollback takes it all back');

# After the import the sequence goes on.
cmp_ok(
	$app->as($member{rust}, undef, q{
		INSERT INTO messages (channel_id, user_id, body)
		SELECT min(id), forge_comm.current_user_id(), 'new' FROM channels RETURNING id}),
	'>', $prime, 'a new message gets the next id');

done_testing();
