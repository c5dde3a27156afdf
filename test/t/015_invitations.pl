# The functions of examples/invitations.sql: logging in, and joining by a code.
# They run over a service context; nothing of it is left to whoever calls them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ForgeComm;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = ForgeComm->new('invitations');
$app->owner($ForgeComm::seed);
$app->owner(q{UPDATE users SET hashed_password = 'hash of ' || email});
$app->onboard;
$app->onboard_people;
$app->admin(slurp_file("$FindBin::RealBin/../../examples/invitations.sql") =~ s/chat_app/app_owner/gr);

# SQL as the application's role, in a transaction without a context
sub anonymous
{
	my ($sql) = @_;
	return $app->complaint("BEGIN;\n$sql\n;\nCOMMIT;\n") =~ s/^no error, but: //r;
}

# Who owns the functions, and what they are
is( $app->admin(q{
		SELECT string_agg(p.proname || ' ' || p.proowner::regrole || ' ' || p.prosecdef || ' ' || p.proconfig::text, ', ' ORDER BY 1)
		FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
		WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
		  AND NOT r.rolsuper AND NOT r.rolbypassrls AND NOT r.rolcanlogin}),
	'accept_invitation chat_doorkeeper true {"search_path=pg_catalog, pg_temp"}, '
	  . 'find_login chat_doorkeeper true {"search_path=pg_catalog, pg_temp"}',
	'a role of their own owns the functions');
is( $app->admin(q{
		CREATE ROLE stranger;
		SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
		  AND p.proname IN ('find_login', 'invite', 'accept_invitation') AND has_function_privilege('stranger', p.oid, 'EXECUTE')}),
	'0', 'nobody else may call them');
$app->refused(q{SELECT forge_comm.set_service_context('mine')}, '42501',
	'the application itself has no service context');

# Logging in
is(anonymous(q{SELECT * FROM find_login('bob')}), '2|hash of bob', 'Bob is found');
is(anonymous(q{SELECT * FROM find_login('nobody')}), '|', 'nobody is not');
$app->admin(q{UPDATE users SET is_active = false WHERE email = 'carol'});
is(anonymous(q{SELECT * FROM find_login('carol')}), '|', 'nor is who may not log in');
$app->admin(q{UPDATE users SET is_active = true WHERE email = 'carol'});
like(anonymous(q{SELECT find_login('bob') \g /dev/null
	SELECT count(*) FROM users}), qr/ERROR:  42501: there is no workspace context/,
	'afterwards there is no context');
is(anonymous(q{SELECT user_id FROM find_login('bob') \gset
	SELECT forge_comm.set_context(:user_id) \g /dev/null
	SELECT string_agg(email, ' ' ORDER BY id) FROM users}), 'bob carol',
	'and then Bob has his');
$app->refused_as(1, undef, q{SELECT find_login('bob')}, '42501', 'who is logged in looks nobody up');
for my $reset ('RESET forge_comm.context', 'RESET ALL', 'SET forge_comm.context TO DEFAULT')
{
	$app->refused_as(1, undef, "$reset; SELECT find_login('bob')", '42501', "nor after $reset");
}
# What would have to be believed comes from nowhere else
is(anonymous(q{
	CREATE TEMPORARY TABLE users (id int, email text, hashed_password text, is_active boolean);
	INSERT INTO pg_temp.users VALUES (66, 'bob', 'forged', true);
	CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT $1 $$;
	CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '-infinity'::timestamptz $$;
	SET LOCAL search_path = pg_temp, public;
	SELECT * FROM public.find_login('bob')}), '2|hash of bob', 'a temporary table stands in for none');

# Inviting
my $bolt  = $app->as(2, undef, 'SELECT invite(2)');
my $acme  = $app->as(1, undef, q{SELECT invite(1, 'guest')});
my $again = $app->as(1, undef, 'SELECT invite(1)');
like($bolt, qr/^[0-9a-f]{64}$/, 'a code is long');
isnt($again, $acme, 'and another each time');
is($app->admin("SELECT count(*) FROM invitations i WHERE i::text LIKE '%$bolt%' OR code_hash = '$bolt'"), '0', 'it is not kept');
$app->refused_as(1, undef, 'SELECT invite(2)', '42501', 'Alice invites nobody to the other workspace');
$app->refused_as(3, 1, 'SELECT invite(1)', '42501', 'Carol, a member, invites nobody');
$app->refused_as(1, undef, q{SELECT invite(1, 'owner')}, '23514', 'nobody is invited to own it');
is($app->as(1, undef, 'SELECT count(*) FROM invitations'), '2', 'each sees their own invitations');
is($app->as(2, undef, q{UPDATE invitations SET expires_at = 'infinity' WHERE workspace_id = 1 RETURNING id}), '', 'and changes no others');

# Accepting
my $members = 'SELECT string_agg(workspace_id || $$/$$ || user_id || $$ $$ || role, $$, $$ ORDER BY workspace_id, user_id) FROM memberships';
my $before = $app->admin($members);
sub accept_sql { return "SELECT accept_invitation('$_[0]', $_[1])"; }
my $none = anonymous(accept_sql('no such code', 1));
like($none, qr/ERROR:  P0002: there is no such invitation/, 'a wrong code');
like(anonymous(accept_sql('', 1)), qr/ERROR:  P0002:/, 'an empty one');
like(anonymous('SELECT accept_invitation(NULL, 1)'), qr/ERROR:  P0002:/, 'none at all');
like(anonymous(accept_sql($app->admin('SELECT code_hash FROM invitations LIMIT 1'), 1)), qr/ERROR:  P0002:/, 'a hash is no code');
like(anonymous("SELECT accept_invitation('$bolt', NULL)"), qr/ERROR:  23502:/, 'nobody is let in');
like(anonymous(accept_sql($bolt, 999)), qr/ERROR:  23503:/, 'nor who is not there');
like(anonymous(accept_sql($bolt, 2)), qr/ERROR:  23505:/, 'who is in is not let in again');
$app->refused_as(1, undef, accept_sql($bolt, 1), '42501', 'within a context nothing is accepted');
$app->refused_as(1, undef, 'RESET forge_comm.context; ' . accept_sql($bolt, 1), '42501', 'nor after it is reset');
is($app->admin($members), $before, 'nobody came in by any of it');
is( anonymous(q{
		DO $$ BEGIN PERFORM accept_invitation('wrong', 1); EXCEPTION WHEN no_data_found THEN NULL; END $$;
		SELECT coalesce(service_reason, 'none') FROM forge_comm.context()}),
	'none', 'a wrong code leaves no context, even where its error is caught');

# The code is for one workspace, with one role, and for one who comes
is( anonymous(accept_sql($bolt, 1) . q{;
		SELECT user_id, workspace_ids, roles, service_reason FROM forge_comm.context();
		SELECT string_agg(id::text, ' ' ORDER BY id) FROM messages}),
	"2\n1|{2}|{member}|\n4 5", 'Alice comes into the other workspace, and is in it');
is($app->admin($members), "1/1 owner, 1/3 member, 2/1 member, 2/2 owner, 2/3 guest", 'and in no other');
is($app->admin(q{SELECT workspace_id, accepted_by, accepted_at IS NOT NULL FROM invitations WHERE accepted_by IS NOT NULL}),
	'2|1|t', 'which is written down');
is(anonymous(accept_sql($bolt, 3)), $none, 'a used code is a wrong one, word for word');
is( anonymous(accept_sql($acme, 2) . '; SELECT roles, (SELECT count(*) FROM workspaces) FROM forge_comm.context()'),
	"1\n{guest}|1", 'Bob, who has another workspace, is in the new one only until the next transaction');
is($app->as(2, undef, 'SELECT count(*) FROM workspaces'), '2', 'when he is in both');
$app->refused_as(2, undef, q{UPDATE memberships SET role = 'owner' WHERE workspace_id = 1;
	SELECT invite(1)}, '42501', 'and owns no more than before');
$app->admin(q{UPDATE invitations SET expires_at = now() - interval '1 second' WHERE accepted_at IS NULL});
is(anonymous(accept_sql($again, 2)), $none, 'an outdated code is a wrong one');

# Two come at once with one code: one gets in, also if the first changes its mind
for my $end ('COMMIT', 'ROLLBACK')
{
	my $code = $app->as(1, undef, 'SELECT invite(1)');
	my ($one, $two) = split /\n/, $app->admin(q{
		INSERT INTO users (email) VALUES (gen_random_uuid()), (gen_random_uuid()) RETURNING id});
	my $first = $app->background("first_$end", 'BEGIN; ' . accept_sql($code, $one)
		  . "; SELECT pg_sleep(2); $end;");
	$app->node->poll_query_until('app', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND wait_event = 'PgSleep')});
	my $second = $app->background("second_$end", accept_sql($code, $two));
	$app->finish($first);
	my ($out, $err) = $app->finish($second);

	is( $app->admin("SELECT string_agg(user_id::text, ' ') FROM memberships WHERE user_id IN ($one, $two)"),
		$end eq 'COMMIT' ? $one : $two, "of two one gets in: $end");
	like($end eq 'COMMIT' ? $err : $out,
		$end eq 'COMMIT' ? qr/P0002: there is no such invitation/ : qr/^1$/m, 'and the other is told');
}

done_testing();
