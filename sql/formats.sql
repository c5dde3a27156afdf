-- What e-mail addresses, names, URLs and the like look like. Each table holds
-- a clause, the verdict by it, and values; what is printed are those on which
-- the functions judge otherwise. In other encodings than UTF-8: test/t/044;
-- there is nothing but this comment in formats_1.out then.
SELECT getdatabaseencoding() <> 'UTF8' AS skip \gset
\if :skip
\quit
\endif
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_formats_user;
CREATE SCHEMA regress_formats;
SET search_path = regress_formats;

-- What a case is called in the output, since many do not show
CREATE FUNCTION shown(value text) RETURNS text LANGUAGE sql AS $$
  SELECT left(to_json(regexp_replace(value, '[^ -~]', '?', 'g'))::text, 60) || ' of ' || octet_length(value) || ' bytes'
$$;

-- -------------------------------------------------------------------- e-mail

CREATE TABLE emails (valid boolean, clause text, value text);
INSERT INTO emails SELECT true, clause, unnest(given) FROM (VALUES
  ('HTML 4.10.5.1.5, the grammar: atext @ labels', ARRAY[
    'ann@example.com', 'ann.lee@example.com', 'a@b.co', 'ann@sub.example.com', 'ann@a.b.c.d.e.f',
    'first.middle.last@example.org', 'ann+tag@example.com', 'ann-lee@example.com', 'ann_lee@example.com',
    'ANN@EXAMPLE.COM', 'Ann.Lee@Example.Com', '1@example.com', '12345678@example.com', 'a1@example.com', 'x@y.museum']),
  ('RFC 5322 3.2.3, atext: each of its marks', ARRAY[
    '!@example.com', '#@example.com', '$@example.com', '%@example.com', '&@example.com', '''@example.com', '*@example.com',
    '+@example.com', '-@example.com', '/@example.com', '=@example.com', '?@example.com', '^@example.com', '_@example.com',
    '`@example.com', '{@example.com', '|@example.com', '}@example.com', '~@example.com', 'o''hara@example.com',
    '!#$%&''*+-/=?^_`{|}~@example.com', 'a=b@example.com', 'a/b@example.com', '-a@example.com', 'a-@example.com', '_.-@example.com']),
  ('RFC 5321 4.1.2, Domain: one label is one', ARRAY['ann@localhost', 'root@a', 'ann@1']),
  ('RFC 1123 2.1: a label may begin with a digit', ARRAY[
    'ann@3com.com', 'ann@1.2.3.4', 'ann@0.example', 'ann@example.1', 'ann@123.example.com']),
  ('RFC 1034 3.5, let-dig-hyp: hyphens within', ARRAY[
    'ann@my-host.com', 'ann@a--b.com', 'ann@a-b-c.d-e', 'ann@1-2.example']),
  ('RFC 5890 2.3.2.1: domains in their ASCII form', ARRAY[
    'ann@xn--mnchen-3ya.de', 'ann@xn--fiqs8s', 'ann@xn--80ak6aa92e.com', 'xn--a@xn--p1ai']),
  ('RFC 5321 4.5.3.1.1: 64 before the @', ARRAY[
    repeat('a', 64) || '@example.com', repeat('a.', 31) || 'aa@example.com', repeat('a', 63) || '@b']),
  ('RFC 1035 2.3.4: 63 in a label', ARRAY[
    'ann@' || repeat('a', 63) || '.com', 'ann@' || repeat('1', 63), 'ann@a.' || repeat('b', 63)]),
  ('RFC 5321 4.5.3.1.3: 254 in all', ARRAY[
    'ann@' || repeat('a.', 124) || 'bb', 'a@' || repeat(repeat('b', 61) || '.', 4) || 'abcd'])
) AS t (clause, given);
INSERT INTO emails SELECT false, clause, unnest(given) FROM (VALUES
  ('HTML 4.10.5.1.5: one @ with something on each side', ARRAY[
    '', ' ', '@', 'ann', 'ann@', '@example.com', 'ann@@example.com', 'ann@lee@example.com', 'ann.example.com', 'a@b@',
    '@@', '@a@b', 'ann@example.com@']),
  ('RFC 5321 4.1.2, Dot-string: atoms between dots', ARRAY[
    '.ann@example.com', 'ann.@example.com', 'ann..lee@example.com', '.@example.com', '..@example.com', 'a...b@example.com']),
  ('RFC 5321 4.1.2, Domain: labels between dots', ARRAY[
    'ann@.example.com', 'ann@example.com.', 'ann@example..com', 'ann@.', 'ann@..', 'ann@com.', 'ann@.com.',
    repeat('a', 64) || '@' || repeat(repeat('b', 62) || '.', 3)]),
  ('RFC 1034 3.5: a hyphen is at no end of a label', ARRAY[
    'ann@-example.com', 'ann@example-.com', 'ann@-', 'ann@a.-b', 'ann@a-.b', 'ann@example.com-', 'ann@a.-', 'ann@--']),
  ('RFC 1034 3.5: letters, digits and hyphens', ARRAY[
    'ann@exa_mple.com', 'ann@exam ple.com', 'ann@example!com', 'ann@example,com', 'ann@example/com', 'ann@ex*mple.com',
    'ann@example.c@m', 'ann@#.com', 'ann@example.com/x', 'ann@example.com?x', 'ann@example.com:25', 'ann@ex+ample.com',
    'ann@ex''ample.com', 'ann@~', 'ann@example.com;']),
  ('RFC 5322 3.2.3: specials are no atext', ARRAY[
    'a(b@example.com', 'a)b@example.com', 'a<b@example.com', 'a>b@example.com', 'a[b@example.com', 'a]b@example.com',
    'a:b@example.com', 'a;b@example.com', 'a\b@example.com', 'a,b@example.com', 'a"b@example.com', 'a b@example.com',
    ',@example.com', 'ann,bob@example.com', 'mailto:ann@example.com']),
  ('HTML 4.10.5.1.5: no quoted local part, comment, name or literal', ARRAY[
    '"ann"@example.com', '"ann lee"@example.com', '""@example.com', 'ann(comment)@example.com', '(x)ann@example.com',
    'ann@(x)example.com', 'Ann <ann@example.com>', '<ann@example.com>', 'ann@[127.0.0.1]', 'ann@[IPv6:::1]', 'ann@[]',
    'ann@127.0.0.1]', 'ann\@bob@example.com']),
  ('HTML 4.10.5.1.5: no white space, and none is taken away', ARRAY[
    ' ann@example.com', 'ann@example.com ', E'ann@example.com\n', E'\tann@example.com', E'ann@exam\nple.com', E'a\tb@example.com',
    'ann @example.com', 'ann@ example.com', E'ann@example.com\r\n', E'ann@example.com\nBcc: bob@example.com']),
  ('RFC 5322 3.2.3: no control characters', ARRAY[
    E'a\x01@example.com', E'a\x7f@example.com', E'ann@exa\x1fmple.com', E'ann\x0b@example.com', E'ann@example.com\x02']),
  ('RFC 6531 is not HTML''s: no letters beyond ASCII', ARRAY[
    U&'\00e4nn@example.com', U&'ann@m\00fcnchen.de', U&'ann@\4f8b\5b50.com', U&'\4f8b@example.com', U&'ann@example.c\043em',
    U&'ann@example\3002com', U&'ann\ff20example.com', U&'ann@\ff45xample.com', U&'ann\200b@example.com', U&'ann@example.com\200b',
    U&'\feffann@example.com', U&'ann@exam\00adple.com', U&'ann@example.com\00a0', U&'\202eann@example.com', U&'ann@\+01f600.com']),
  ('RFC 5321 4.5.3.1.1: more than 64 before the @', ARRAY[
    repeat('a', 65) || '@example.com', repeat('a.', 32) || 'a@example.com', repeat('a', 250) || '@b']),
  ('RFC 1035 2.3.4: more than 63 in a label', ARRAY[
    'ann@' || repeat('a', 64) || '.com', 'ann@' || repeat('1', 64), 'ann@a.' || repeat('b', 64), 'ann@' || repeat('a', 64) || '-']),
  ('RFC 5321 4.5.3.1.3: more than 254 in all', ARRAY[
    'ann@' || repeat('a.', 125) || 'b', 'ann@' || repeat('a.', 500) || 'b', repeat('a', 64) || '@' || repeat(repeat('b', 62) || '.', 3) || 'c',
    repeat('a', 1000000), 'a@' || repeat('a', 1000000)])
) AS t (clause, given);
SELECT valid, count(*), count(DISTINCT value) = count(*) FROM emails GROUP BY valid ORDER BY valid;
SELECT shown(value), clause FROM emails WHERE forge_comm.is_email(value) <> valid;

-- What HTML's own regular expression takes and we do not is too long or has
-- its dots wrong; the reverse there is not.
CREATE FUNCTION html_email(value text) RETURNS boolean LANGUAGE sql AS $$
  SELECT value ~ '^[a-zA-Z0-9.!#$%&''*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$'
$$;
SELECT shown(value), clause FROM emails WHERE octet_length(value) < 1000 AND html_email(value) AND NOT valid
   AND clause !~ '^RFC 5321 4\.5\.3|Dot-string';
SELECT shown(value), clause FROM emails WHERE octet_length(value) < 1000 AND valid AND NOT html_email(value);

-- Normalised: trimmed, lower case, or null
SELECT forge_comm.normalize_email(value) FROM (VALUES
  ('Ann@Example.COM'), (E' \t\r\n\fann@example.com\n '), ('ann @example.com'), (' '), (''), (NULL),
  (U&'\00a0ann@example.com'), ('O''Hara+X@EXAMPLE.com'), ('ann@example.com.'), (U&'ANN@M\00dcNCHEN.DE')) AS t (value);
SELECT shown(value), clause FROM emails
 WHERE (forge_comm.normalize_email(value) IS NOT NULL) <> forge_comm.is_email(btrim(value, E' \t\r\n\f'))
    OR forge_comm.normalize_email(forge_comm.normalize_email(value)) <> forge_comm.normalize_email(value)
    OR NOT forge_comm.is_email(forge_comm.normalize_email(value))
    OR forge_comm.normalize_email(value) <> lower(btrim(value, E' \t\r\n\f'))
    OR forge_comm.normalize_email(upper(value)) <> forge_comm.normalize_email(lower(value));

-- --------------------------------------------------------------------- slugs

CREATE TABLE slugs (valid boolean, clause text, value text);
INSERT INTO slugs SELECT true, 'ours: words of a-z and 0-9, hyphens between; RFC 1123 2.1 as a label', unnest(ARRAY[
  'a', 'z', '0', '9', 'acme', 'acme-inc', 'a-b-c-d', '3com', '123', 'a1', '1a', 'x-1', '1-2-3', '2026-11-23', 'hello-world-2',
  repeat('a', 63), repeat('a-', 31) || 'a', repeat('1', 63), 'xn-a', 'my-team', 'new', 'admin', 'a0-0a']
  || ARRAY(SELECT chr(c) FROM generate_series(ascii('b'), ascii('y')) AS c)
  || ARRAY(SELECT chr(c) FROM generate_series(ascii('1'), ascii('8')) AS c));
INSERT INTO slugs SELECT false, clause, unnest(given) FROM (VALUES
  ('RFC 1035 2.3.4: 1 to 63', ARRAY['', repeat('a', 64), repeat('a-', 31) || 'ab', repeat('a', 1000), repeat('a', 1000000)]),
  ('RFC 1034 3.5: no hyphen at an end', ARRAY['-', '-a', 'a-', '-a-', '--', 'acme-', '-acme', repeat('a', 62) || '-']),
  ('RFC 5891 4.2.3.1: no hyphens in a row, so no xn--', ARRAY['a--b', 'xn--a', 'a---b', 'a-b--c', 'xn--p1ai', '1--2']),
  ('ours: one case', ARRAY['A', 'Acme', 'aCME', 'ACME', 'acmE', 'acme-Inc']),
  ('ours: nothing else', ARRAY[
    'a b', ' a', 'a ', ' ', E'a\n', E'\na', E'a\tb', 'a.b', '.', '..', '../a', 'a/b', '/', 'a\b', 'a_b', '_', '%61', 'a%20b', 'a+b',
    E'a\x01', E'\x7f', E'a\x1b', E'a\r\n', 'a''b', 'a"b', 'a;b', 'null;', '<a>', '{a}', '[a]', '(a)']),
  ('ours: nothing beyond ASCII', ARRAY[
    U&'\00e9', U&'caf\00e9', U&'cafe\0301', U&'\0430', U&'\0430cme', U&'ac\043ce', U&'a\200bb', U&'a\00adb', U&'a\2010b', U&'a\2011b',
    U&'a\2212b', U&'a\ff0db', U&'\ff41', U&'\4f8b', U&'\+01f600', U&'\feffa', U&'a\202e', U&'\0661', U&'\00b2', U&'\0131', U&'\017f'])
) AS t (clause, given);
INSERT INTO slugs SELECT false, 'ours: nothing else, of ASCII', 'a' || chr(c) || 'b'
  FROM generate_series(1, 127) AS c WHERE chr(c) !~ '[a-z0-9-]' AND chr(c) NOT IN (' ', E'\t', '.', '/', E'\\', '_', '+', '''', '"', ';');
SELECT valid, count(*), count(DISTINCT value) = count(*) FROM slugs GROUP BY valid ORDER BY valid;
SELECT shown(value), clause FROM slugs WHERE forge_comm.is_slug(value) <> valid;
SELECT shown(value) FROM slugs WHERE forge_comm.is_slug(value) <> (value ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND octet_length(value) <= 63);
-- Each is a host name of one label, unless it is a number
SELECT shown(value) FROM slugs WHERE valid AND NOT forge_comm.is_url('https://' || value || '.example.com/');

-- ------------------------------------------------------------- channel names

CREATE TABLE channel_names (valid boolean, value text);
INSERT INTO channel_names
  SELECT true, unnest(ARRAY['general', 'a', '0', 'dev-ops', 'dev_ops', 'a--b', 'a__b', 'a-', 'a_', '2026', 'team-42_x', repeat('a', 80)])
  UNION ALL
  SELECT false, unnest(ARRAY['', ' ', '-a', '_a', '#general', 'General', 'a b', 'a.b', 'a/b', E'a\n', repeat('a', 81), U&'g\0435neral',
                             U&'caf\00e9', U&'a\200b', U&'\65e5\672c', 'a@b', '@here'])
  UNION ALL
  SELECT chr(c) ~ '[a-z0-9]', chr(c) FROM generate_series(1, 127) AS c WHERE chr(c) NOT IN ('a', '0', ' ')
  UNION ALL
  SELECT chr(c) ~ '[a-z0-9_-]', 'x' || chr(c) || 'y' FROM generate_series(1, 127) AS c;
SELECT valid, count(*) FROM channel_names GROUP BY valid ORDER BY valid;
SELECT shown(value) FROM channel_names WHERE forge_comm.is_channel_name(value) <> valid;
SELECT shown(value) FROM channel_names WHERE forge_comm.is_channel_name(value) <> (value ~ '^[a-z0-9][a-z0-9_-]{0,79}$');

-- ---------------------------------------------------------------------- URLs

CREATE TABLE urls (valid boolean, clause text, value text);
INSERT INTO urls SELECT true, clause, unnest(given) FROM (VALUES
  ('RFC 3986 3: scheme, authority, path, query, fragment', ARRAY[
    'http://example.com', 'https://example.com', 'https://example.com/', 'https://example.com/a', 'https://example.com/a/b/c',
    'https://example.com?q', 'https://example.com/?q=1&r=2', 'https://example.com#f', 'https://example.com/#', 'https://example.com/?',
    'https://example.com/a?b#c', 'https://example.com/a?b?c/d#e?f/g', 'https://www.example.co.uk/a.html', 'https://a.b.c.d.e/']),
  ('RFC 3986 3.1 and 3.2.2: case is no matter', ARRAY[
    'HTTP://example.com', 'HTTPS://EXAMPLE.COM/', 'HtTpS://Example.Com/A']),
  ('RFC 3986 3.3, path: segments may be empty', ARRAY[
    'https://example.com//', 'https://example.com//a//b', 'https://example.com/.', 'https://example.com/../a', 'https://example.com/a/']),
  ('RFC 3986 3.3, pchar', ARRAY[
    'https://example.com/-._~', 'https://example.com/!$&''()*+,;=', 'https://example.com/:@', 'https://example.com/a;b=c,d',
    'https://example.com/@ann', 'https://example.com/ann@example.org', 'https://example.com/(a)', 'https://example.com/a:80']),
  ('RFC 3986 2.1: percent-encoded', ARRAY[
    'https://example.com/%20', 'https://example.com/caf%C3%A9', 'https://example.com/%2F%2f', 'https://example.com/?q=%26', 'https://example.com/#%23',
    'https://example.com/%00']),
  ('RFC 3986 3.4 and 3.5: / and ? in queries and fragments', ARRAY[
    'https://example.com/?/', 'https://example.com/?a=/b?c', 'https://example.com/#/route?x', 'https://example.com/?u=https://example.org/']),
  ('RFC 3986 3.2.3: ports', ARRAY[
    'http://example.com:80', 'http://example.com:8080/', 'https://example.com:443/a', 'http://example.com:1', 'http://example.com:65535/', 'http://localhost:3000?q',
    'http://example.com:0080/']),
  ('RFC 1123 2.1: hosts', ARRAY[
    'http://localhost', 'http://a', 'http://3com.com', 'http://a-b.c-d/', 'http://example.com.', 'http://example.com./a', 'http://1.example/',
    'http://1.2.3.4.example/', 'http://xn--mnchen-3ya.de/', 'http://xn--p1ai', 'http://' || repeat('a', 63) || '.com', 'http://a--b/',
    'http://' || repeat('a.', 126) || 'a/', 'http://0xg.com', 'http://a.0b1']),
  ('RFC 3986 3.2.2, IPv4address', ARRAY[
    'http://127.0.0.1', 'http://0.0.0.0/', 'http://255.255.255.255:80/', 'http://192.168.1.10/a', 'http://1.2.3.4']),
  ('RFC 3986 3.2.2, IPv6address', ARRAY[
    'http://[::1]', 'http://[::]/', 'http://[1:2:3:4:5:6:7:8]', 'http://[2001:db8::1]:8080/a', 'http://[1::]', 'http://[::8]', 'http://[1:2:3:4:5:6:7::]',
    'http://[::2:3:4:5:6:7:8]', 'http://[1::8]', 'http://[::ffff:192.0.2.1]', 'http://[1:2:3:4:5:6:1.2.3.4]', 'http://[FE80::ABCD]', 'http://[1:2::7:8]/',
    'http://[::1.2.3.4]', 'http://[1::2.3.4.5]']),
  ('ours: 2048', ARRAY[rpad('https://example.com/', 2048, 'a')])
) AS t (clause, given);
INSERT INTO urls SELECT false, clause, unnest(given) FROM (VALUES
  ('ours: http and https', ARRAY[
    '', ' ', 'example.com', '//example.com', 'ftp://example.com', 'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'mailto:ann@example.com',
    'httpss://example.com', 'http:example.com', 'http:/example.com', 'http', 'http:', '/a', 'a', '?q', '#f', 'ws://example.com', 'view-source:http://a',
    'JavaScript://example.com/%0Aalert(1)', 'xhttp://example.com', 'http//example.com', 'https:\\example.com']),
  ('RFC 3986 3.2.2: a host', ARRAY[
    'http://', 'https://', 'http:///', 'http:///a', 'http://?q', 'http://#f', 'http://:80', 'http://:80/', 'http:////a', 'http://./']),
  ('RFC 3986 7.6: no user name before the host', ARRAY[
    'http://ann@example.com', 'http://ann:pw@example.com/', 'http://example.com@evil.example/', 'http://@example.com', 'http://:@example.com',
    'http://example.com:80@evil.example', 'http://example.com%40evil.example/', 'http://a@[::1]/']),
  ('RFC 1123 2.1: hosts', ARRAY[
    'http://-a.com', 'http://a-.com', 'http://a..b', 'http://.a', 'http://a..', 'http://a_b.com', 'http://a b.com', 'http://' || repeat('a', 64) || '.com',
    'http://' || repeat('a.', 127) || 'a', 'http://a!b', 'http://a,b', 'http://a;b', 'http://a%2eb', 'http://a%20b', 'http://*.example.com', 'http://a.com\b',
    'http://a\@b.com', 'http://a=b', 'http://$', 'http://(a)', 'http://..']),
  ('URL standard 3.5, ends in a number: IPv4 in one form', ARRAY[
    'http://2130706433', 'http://0x7f000001', 'http://0x7f.1', 'http://127.1', 'http://017700000001', 'http://127.0.0.01', 'http://256.0.0.1', 'http://1.2.3.4.5',
    'http://1.2.3', 'http://1.2.3.4.', 'http://0x', 'http://0X7F000001', 'http://a.1', 'http://a.0x1', 'http://1.2.3.256', 'http://1.2.3.1000', 'http://00.0.0.0',
    'http://1', 'http://a.99.']),
  ('RFC 3986 3.2.2, IPv6address', ARRAY[
    'http://[', 'http://[]', 'http://[:]', 'http://[:::]', 'http://[1]', 'http://[1:2:3:4:5:6:7]', 'http://[1:2:3:4:5:6:7:8:9]', 'http://[1::2::3]', 'http://[12345::]',
    'http://[::g]', 'http://[1:]', 'http://[:1]', 'http://[1:2:3:4:5:6:7:8::]', 'http://[::1', 'http://::1/', 'http://[::1]a', 'http://[::256.0.0.1]',
    'http://[1.2.3.4]', 'http://[1.2.3.4::]', 'http://[::1%25eth0]', 'http://[fe80::1%eth0]', 'http://[v1.a]', 'http://[::1.2.3]', 'http://[1:2:3:4:5:6:7:1.2.3.4]',
    'http://[::1:2:3:4:5:6:7:8]', 'http://[:1::]', 'http://[1::2:]', 'http://[::1]]', 'http://[ ::1]', 'http://[1:::2]']),
  ('RFC 3986 3.2.3: ports from 1 to 65535', ARRAY[
    'http://a:', 'http://a:/', 'http://a:0', 'http://a:65536', 'http://a:99999999999999999999', 'http://a:x', 'http://a:-1', 'http://a:80:80', 'http://a:80a/',
    'http://a:+80', 'http://a: 80', 'http://[::1]:', 'http://a:8 0/']),
  ('RFC 3986 3.3: what is no pchar is encoded', ARRAY[
    'http://a/ ', 'http://a/b c', ' http://a/', 'http://a/"', 'http://a/<script>', 'http://a/>', 'http://a/\', 'http://a/^', 'http://a/`', 'http://a/{x}', 'http://a/|',
    'http://a/[x]', 'http://a/]', 'http://a/?a b', 'http://a/?"', 'http://a/#a#b', 'http://a/#"', E'http://a/\n', E'http://a/\t', E'http://a\n', E'http://a/\x01',
    E'http://a/b\r\nSet-Cookie: x', E'ht\ntp://a', E'http://a/?\x7f', 'http://a/?[x]', 'http://a/?<']),
  ('RFC 3986 2.1: % and two hexadecimal digits', ARRAY[
    'http://a/%', 'http://a/%2', 'http://a/%g0', 'http://a/%0g', 'http://a/%%20', 'http://a/?%', 'http://a/#%1', 'http://a/%u0041']),
  ('RFC 3987 3.1: what is beyond ASCII is encoded', ARRAY[
    U&'http://a/\00e9', U&'http://m\00fcnchen.de', U&'http://a/\200b', U&'http://\ff41.com', U&'http://example\3002com', U&'http://a/?\4f8b', U&'http://a/#\+01f600',
    U&'\feffhttp://a', U&'http://a/\202e', U&'http://\0430pple.com/', U&'http://a\2044b', U&'http://a\ff0fb']),
  ('ours: more than 2048', ARRAY[rpad('https://example.com/', 2049, 'a'), rpad('https://example.com/', 1000000, 'a')])
) AS t (clause, given);
SELECT valid, count(*), count(DISTINCT value) = count(*) FROM urls GROUP BY valid ORDER BY valid;
SELECT shown(value), clause FROM urls WHERE forge_comm.is_url(value) <> valid;

-- ------------------------------------------------------------- display names

CREATE TABLE display_names (valid boolean, clause text, value text);
INSERT INTO display_names SELECT true, clause, unnest(given) FROM (VALUES
  ('ours: what people are called', ARRAY[
    'Ann', 'Ann Lee', 'A', 'O''Hara', 'Jean-Luc', 'Dr. No', 'J. R. R.', 'Ann (she/her)', '42', '@ann', '<b>', 'a_b', '!', 'x  y', 'Robert"); DROP TABLE',
    U&'Zo\00eb', U&'Zoe\0308', U&'Bj\00f6rk Gu\00f0mundsd\00f3ttir', U&'\0141ukasz', U&'Nguy\1ec5n', U&'\0418\0432\0430\043d', U&'\0391\03bd\03b4\03c1\03ad\03b1\03c2',
    U&'\05d3\05d5\05d3', U&'\0645\062d\0645\062f', U&'\0639\0628\062f \0627\0644\0644\0647', U&'\0645\064f\062d\064e\0645\064e\0651\062f', U&'\0905\0928\093f\0924\093e',
    U&'\0e2a\0e21\0e0a\0e32\0e22', U&'\738b\5c0f\660e', U&'\5c71\7530 \592a\90ce', U&'\5c71\7530\3000\592a\90ce', U&'\c774\c601\c218', U&'\1112\1161\11ab',
    U&'\10d2\10d8\10dd\10e0\10d2\10d8', U&'\0531\0580\0561\0574', U&'\12a0\1260\1260', U&'\13e3\13b3\13a9', U&'\1780\1798\17d2\1796', U&'\0b95\0ba3\0bcd\0ba3\0ba9\0bcd',
    U&'\00d8', U&'\00df', U&'\0130', U&'\fb01', U&'\ff21', U&'\00c5ngstr\00f6m', U&'\212b', U&'Ann\00a0Lee', U&'Ann\2019s', U&'Ann\2014Lee', U&'\00bfQui\00e9n?',
    U&'\0660\0661', U&'a\0301\0302', U&'\0301', U&'\fffd', U&'\e000', U&'\+020000', U&'\+01d49c', U&'\+010900\+010901']),
  ('ours: 1 to 80 characters, not bytes', ARRAY[
    repeat('a', 80), repeat(U&'\00e9', 80), repeat(U&'\738b', 80), repeat(U&'\+01f600', 80), U&'\+01f600', U&'\738b', repeat('a ', 39) || 'a']),
  ('UTS 51 1.4: emoji', ARRAY[
    U&'Ann \+01f600', U&'\2764', U&'\00a9', U&'\+01f44b\+01f3fd', U&'\+01f1eb\+01f1f7', U&'\2600 \2601']),
  ('UTS 51 1.4.5, presentation selectors', ARRAY[
    U&'\2764\fe0f', U&'\2764\fe0e', U&'\00a9\fe0f', U&'Ann \263a\fe0f', U&'\2764\fe0f\2764\fe0f', U&'\+01f44b\fe0f']),
  ('UTS 51 1.4.5, keycaps', ARRAY[U&'1\fe0f\20e3', U&'#\fe0f\20e3', U&'*\fe0f\20e3', U&'9\20e3']),
  ('UTS 51 1.4.5, sequences with ZWJ', ARRAY[
    U&'\+01f468\200d\+01f469\200d\+01f467', U&'\+01f469\200d\2764\fe0f\200d\+01f468', U&'\+01f469\+01f3fd\200d\+01f4bb', U&'\+01f3f3\fe0f\200d\+01f308',
    U&'\+01f3f4\200d\2620\fe0f', U&'\+01f9d4\200d\2642\fe0f x']),
  ('RFC 5892 A.1: ZWNJ after a virama, or between letters that would join', ARRAY[
    U&'\0646\0627\0645\0647\200c\0627\06cc', U&'\0645\06cc\200c\062e\0648\0627\0647\0645', U&'\0628\200c\0628', U&'\0628\064e\200c\0628', U&'\0628\200c\064e\0628',
    U&'\0915\094d\200c\0937', U&'\0c15\0c4d\200c\0c37', U&'\1820\200c\1821', U&'\0628\200c\0627', U&'\0712\200c\0712']),
  ('RFC 5892 A.2: ZWJ after a virama', ARRAY[U&'\0915\094d\200d\0937', U&'\0dc1\0dca\200d\0dbb\0dd3', U&'\0d28\0d4d\200d']),
  ('Unicode 23.4: variants of ideographs', ARRAY[U&'\845b\+0e0100', U&'\845b\+0e0101\57ce', U&'\9089\+0e01ef']),
  ('Unicode 13.5: variants of Mongolian letters', ARRAY[U&'\1820\180b', U&'\1820\180c\1821', U&'\182d\180d'])
) AS t (clause, given);
INSERT INTO display_names SELECT false, clause, unnest(given) FROM (VALUES
  ('ours: not blank', ARRAY[
    '', ' ', '   ', U&'\00a0', U&'\3000', U&'\2003\2003', U&'\2800', U&'\1680', U&'\202f', U&'\205f', U&'\200b', U&'\3164', U&'\ffa0', U&'\115f', U&'\00ad', U&'\2060',
    U&'\fe0f', U&'\200d', U&'\200c', U&'\+0e0020', U&'\034f', U&'\180e', U&'\feff']),
  ('ours: no white space around it', ARRAY[
    ' Ann', 'Ann ', U&'\00a0Ann', U&'Ann\00a0', U&'Ann\3000', U&'\2009Ann', U&'Ann\2800', U&'\2800Ann', U&'Ann\200a']),
  ('ours: one line', ARRAY[
    E'Ann\n', E'\nAnn', E'Ann\nLee', E'Ann\r\nLee', E'Ann\tLee', E'Ann\x0bLee', E'Ann\x0cLee', U&'Ann\0085Lee', U&'Ann\2028Lee', U&'Ann\2029Lee']),
  ('Unicode 23.1: control characters', ARRAY[
    E'Ann\x01', E'\x1b[31mAnn', E'Ann\x08\x08\x08Bob', E'Ann\x7f', U&'Ann\0080', U&'\009bAnn', U&'Ann\009f', E'A\x02nn', E'\x1f']),
  ('UAX 9 2: directional embeddings, overrides, isolates', ARRAY[
    U&'\202eAnn', U&'Ann\202e', U&'A\202dnn', U&'\202aAnn\202c', U&'\202bAnn\202c', U&'\202c', U&'\2066Ann\2069', U&'\2067Ann\2069', U&'\2068Ann\2069', U&'nna\202e']),
  ('UAX 9 2.6: implicit directional marks', ARRAY[U&'Ann\200e', U&'\200fAnn', U&'\061cAnn', U&'A\200enn', U&'\05d3\200f']),
  ('Unicode 23.2: zero width', ARRAY[
    U&'Ann\200b', U&'\200bAnn', U&'A\200bnn', U&'A\2060nn', U&'\feffAnn', U&'Ann\feff', U&'A\00adnn', U&'A\034fnn', U&'A\2061nn', U&'A\2062nn', U&'A\2063nn', U&'A\2064nn',
    U&'A\2065nn', U&'A\206ann', U&'A\206fnn', U&'A\180enn', U&'A\17b4nn', U&'A\3164nn', U&'Ann\3164', U&'A\115fnn', U&'A\1160nn', U&'A\ffa0nn', U&'A\+01d173nn', U&'A\+01bca0nn',
    U&'A\fff9nn', U&'A\fff0nn', U&'A\+0e0001nn', U&'A\+0e0041nn', U&'Ann\+0e007f', U&'A\+0e0fffnn']),
  ('RFC 5892 A.1: ZWNJ elsewhere', ARRAY[
    U&'A\200cnn', U&'\200cAnn', U&'Ann\200c', U&'\0628\200c', U&'\200c\0628', U&'\0628\200c\200c\0628', U&'\0627\200c\0628', U&'\0660\200c\0661', U&'\0628\200c \0628',
    U&'\0628 \200c\0628', U&'\0628\200ca', U&'\4f8b\200c\4f8b', U&'\0915\200c\0937', U&'\0628\200c\064e', U&'a\064e\200c\0628']),
  ('RFC 5892 A.2, UTS 51: ZWJ elsewhere', ARRAY[
    U&'A\200dnn', U&'Ann\200d', U&'\200dAnn', U&'\+01f468\200d', U&'\200d\+01f468', U&'\+01f468\200d\200d\+01f468', U&'\+01f468\200da', U&'a\200d\+01f468', U&'\0915\200d\0937',
    U&'\0915\094d\200d\200d\0937', U&'\0628\200d\0628', U&'\4f8b\200d\4f8b', U&'\0915\094d\200c\200d\0937']),
  ('UTS 51 1.4.5: selectors elsewhere', ARRAY[
    U&'Ann\fe0f', U&'A\fe0fnn', U&'\fe0fAnn', U&'\2764\fe0f\fe0f', U&'1\fe0f', U&'Ann1\fe0f', U&'1\fe0fa', U&'a\fe0f\20e3', U&'\2764\fe0f\fe0e', U&'A\fe00nn', U&'\2764\fe0d', U&' \fe0f', U&'\4f8b\fe0f']),
  ('Unicode 23.4 and 13.5: selectors elsewhere', ARRAY[
    U&'Ann\+0e0100', U&'\+0e0100\845b', U&'\845b\+0e0100\+0e0100', U&'a\180b', U&'\0628\180b', U&'\180b\1820', U&'\1820\180b\180b', U&'\3042\+0e0100']),
  ('Unicode 23.7: noncharacters', ARRAY[U&'Ann\ffff', U&'Ann\fffe', U&'\fdd0Ann', U&'A\fdefnn', U&'A\+01ffffnn', U&'A\+10fffenn']),
  ('ours: more than 80 characters', ARRAY[
    repeat('a', 81), repeat(U&'\00e9', 81), repeat(U&'\+01f600', 81), repeat('a ', 40) || 'a', repeat('a', 1000000)])
) AS t (clause, given);
SELECT valid, count(*), count(DISTINCT value) = count(*) FROM display_names GROUP BY valid ORDER BY valid;
SELECT shown(value), clause FROM display_names WHERE forge_comm.is_display_name(value) <> valid;
-- The limits count what char_length() counts
SELECT shown(value) FROM display_names
 WHERE valid AND (NOT forge_comm.is_display_name(value, char_length(value), char_length(value))
               OR forge_comm.is_display_name(value, char_length(value) + 1, 1000)
               OR forge_comm.is_display_name(value, 0, char_length(value) - 1));
-- Limits that make no sense make no error
SELECT forge_comm.is_display_name('Ann', min, max)
  FROM (VALUES (3, 3), (0, 3), (-1, 2147483647), (4, 3), (1, 0), (1, -1), (2147483647, 2147483647), (-2147483648, -2147483648), (NULL, 3), (3, NULL)) AS t (min, max);

-- What every character is taken for, by itself in the middle of a word:
-- refused are controls, and what Unicode says is ignored when shown
SELECT count(*) FILTER (WHERE c < 160) AS first, count(*), md5(string_agg(to_hex(c), ',' ORDER BY c))
  FROM generate_series(1, 1114111) AS c
 WHERE c NOT BETWEEN 55296 AND 57343 AND NOT forge_comm.is_display_name('A' || chr(c) || 'n');

-- ------------------------------------------------------------- message bodies

SELECT what, forge_comm.is_message_body(value) FROM (VALUES
  ('one', 'x'), ('empty', ''), ('blank', E' \n\t '), ('invisible', U&'\200b\feff\00ad'), ('lines', E'\nhello\n\n  world\n'), ('bidi', U&'\202ehello'),
  ('emoji', U&'\+01f600'), ('braille blank', U&'\2800'), ('longest', repeat(U&'\+01f600', 40000)), ('too long', repeat('x', 40001)), ('far too long', repeat('x', 2000000)),
  ('one that shows', repeat(' ', 39999) || 'x'), ('and one too far', repeat(' ', 40000) || 'x'), ('null', NULL)) AS t (what, value);

-- ------------------------------------------------- colours, time zones, hashes

SELECT value, forge_comm.is_color(value) FROM unnest(ARRAY[
  '#fff', '#FFF', '#0a9f', '#00ff7f', '#00FF7F80', '#abcde', '#abcdefg', '#ggg', 'fff', '#', '', '#ff', '#1234567', '# fff', ' #fff', '#fff ', 'red', 'rgb(0,0,0)',
  '#ffffffff0', U&'#\ff46ff', E'#fff\n', '##ff', '#ff f']) AS value;
SELECT value, forge_comm.is_timezone(value) FROM unnest(ARRAY[
  'UTC', 'GMT', 'Europe/Paris', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata', 'Etc/GMT+5', 'Etc/GMT-14', 'Etc/GMT+12', 'EST5EDT', 'GMT0', 'Etc/Zulu', 'Asia/Ust-Nera', 'America/North_Dakota/New_Salem',
  'europe/paris', 'EUROPE/PARIS', 'utc', 'Etc/GMT+13', 'Etc/GMT-15', 'Etc/GMT+05', 'Etc/GMT+', 'Etc/GMT++5', 'Etc/GMT+5x', 'FOO5', 'ABC-3', 'PST8', '<x>5', '+02:00', '+02', '5', '',
  ' ', 'Europe/', '/Europe/Paris', 'Europe//Paris', 'Europe', './UTC', '../UTC', 'Europe/../Europe/Paris', '/etc/passwd', 'posix/UTC', 'right/UTC', 'localtime', 'posixrules',
  'UTC ', ' UTC', E'UTC\n', 'zone.tab', 'Nowhere/Land', repeat('A', 255), repeat('A', 256), U&'Europe/P\00e1ris']) AS value;
-- PostgreSQL's own list, but for what a system adds to it
SELECT name FROM pg_timezone_names WHERE NOT forge_comm.is_timezone(name) AND name !~ '^(posix|right)/|^(localtime|posixrules)$';
SELECT value, forge_comm.is_password_hash(value) FROM unnest(ARRAY[
  '$2b$12$' || repeat('a', 53), '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzYWx0$' || repeat('A', 43), 'secret', '', '$2b$12$short']) AS value;

-- ----------------------------------------------------------------- passwords

SELECT what, forge_comm.password_problem(password, email) FROM (VALUES
  ('good', 'correct horse', NULL), ('good, with an e-mail', 'correct horse', 'ann@example.com'), ('null', NULL, 'ann@example.com'), ('empty', '', NULL),
  ('7', 'abcdefg', NULL), ('8', 'abcdefgh', NULL), ('7 characters in 28 bytes', repeat(U&'\+01f600', 7), NULL), ('8 in 32', repeat(U&'\+01f600', 8), NULL),
  ('72 bytes', repeat('a', 72), NULL), ('73 bytes', repeat('a', 73), NULL), ('19 characters in 76 bytes', repeat(U&'\+01f600', 19), NULL),
  ('128', repeat('a', 128), NULL), ('129', repeat('a', 129), NULL), ('a million', repeat('a', 1000000), NULL),
  ('the e-mail', 'ann@example.com', 'ann@example.com'), ('in capitals', 'ANN@EXAMPLE.com', 'ann@example.COM'), ('what is before the @', 'annabell.lee', 'Annabell.Lee@example.com'),
  ('no e-mail', 'annabell', 'annabell'), ('empty e-mail', 'annabell', ''), ('more than the e-mail', 'ann@example.com!', 'ann@example.com'), ('blanks', '        ', NULL)
) AS t (what, password, email);

-- ------------------------------------------------------------------ cleaning

SELECT what, to_json(regexp_replace(forge_comm.clean_text(value), '[^ -~\t\n]', '?', 'g')), forge_comm.clean_text(value) = wanted FROM (VALUES
  ('nothing to do', 'Ann', 'Ann'), ('trimmed', U&' \00a0\3000\2028 Ann Lee \2003\0085', 'Ann Lee'), ('composed', U&'Zoe\0308', U&'Zo\00eb'),
  ('composed from three', U&'\1100\1161\11a8', U&'\ac01'), ('another code', U&'\212b', U&'\00c5'), ('order of marks', U&'q\0307\0323', U&'q\0323\0307'),
  ('not NFKC', U&'\fb01 \ff21', U&'\fb01 \ff21'), ('controls', E'a\x01\x02b\x7fc', 'abc'), ('C1', U&'a\0080\009fb', 'ab'), ('noncharacters', U&'a\ffff\fdd0\+10ffffb', 'ab'),
  ('byte order mark', U&'\feffa\feffb', 'ab'), ('lines', E'a\r\nb\rc\nd', E'a\nb\nc\nd'), ('lines of others', U&'a\0085b\2028c\2029d', E'a\nb\nc\nd'), ('lines of printers', E'a\x0bb\x0cc', E'a\nb\nc'),
  ('tabs stay', E'\ta\tb\t', E'a\tb'), ('spaces within stay', 'a  b', 'a  b'), ('blank', E' \n\t\x01 ', ''), ('empty', '', ''),
  ('a control between letter and mark', U&'e\0001\0301', U&'\00e9'), ('a mark that loses its space', U&' \0301a', U&'\0301a'), ('joiners stay', U&'\0628\200c\0628', U&'\0628\200c\0628')
) AS t (what, value, wanted);
-- Too long to be composed; what need not be is fine
SELECT length(forge_comm.clean_text(repeat(U&'\00e9', 35000000)));
SELECT forge_comm.clean_text(repeat(U&'\0344', 35000000));
CREATE TABLE texts AS
  SELECT value FROM emails UNION SELECT value FROM urls UNION SELECT value FROM display_names
  UNION SELECT chr(c) || ' a' || chr(c) || ' b ' || chr(c) FROM generate_series(1, 70000) AS c WHERE c NOT BETWEEN 55296 AND 57343
  UNION SELECT string_agg(chr((ARRAY[9, 10, 13, 32, 97, 101, 769, 776, 803, 7, 133, 160, 8232, 65279, 8204, 8205, 4352, 4449, 4520, 2381, 64, 46])[1 + (hashint4(i * 31 + j) & 1048575) % 22]), '')
          FROM generate_series(1, 20000) AS i, generate_series(1, 12) AS j GROUP BY i;
SELECT count(*) > 80000 FROM texts;
-- Twice is once; clean is composed, trimmed and without controls; and a clean
-- text that can be no name lacks nothing but what cleaning does not do
SELECT shown(value) FROM texts, forge_comm.clean_text(value) AS clean
 WHERE forge_comm.clean_text(clean) <> clean OR clean IS NOT NFC NORMALIZED OR clean ~ U&'[\0001-\0008\000b-\001f\007f-\009f\2028\2029\feff\ffff]' OR clean ~ '^[ \t\n]|[ \t\n]$'
    OR (forge_comm.is_display_name(value, 1, 100000) AND NOT forge_comm.is_display_name(clean, 1, 100000) AND value IS NFC NORMALIZED)
    OR (forge_comm.is_message_body(value) AND NOT forge_comm.is_message_body(clean) AND octet_length(value) < 40000);
-- Whatever is valid is so in any words
SELECT shown(value) FROM texts
 WHERE (forge_comm.is_email(value) AND NOT (html_email(value) AND octet_length(value) <= 254 AND value !~ '^\.|\.\.|\.@'))
    OR (forge_comm.is_slug(value) AND value !~ '^[a-z0-9-]{1,63}$') OR (forge_comm.is_url(value) AND value !~ '^https?://[!-~]+$' AND value ~ '^https?:')
    OR (forge_comm.is_display_name(value) AND char_length(value) NOT BETWEEN 1 AND 80);

-- ------------------------------------------------------------------- domains

CREATE TABLE people (
  id int PRIMARY KEY, workspace_id int NOT NULL DEFAULT 1, email forge_comm.email UNIQUE, name forge_comm.display_name, home forge_comm.slug,
  channel forge_comm.channel_name, body forge_comm.message_body, hash forge_comm.password_hash, others forge_comm.email[]);
INSERT INTO people (id, email, name, home, channel, body, hash, others)
VALUES (1, 'ann@example.com', 'Ann', 'acme', 'general', 'hello', '$2b$12$' || repeat('a', 53), '{a@b,c@d}'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- All that a driver is told of an error; no value is in it
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
  context text;
  constraint_of text;
  datatype text;
BEGIN
  EXECUTE statement;
  RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    context = PG_EXCEPTION_CONTEXT, constraint_of = CONSTRAINT_NAME, datatype = PG_DATATYPE_NAME;
  RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''), constraint_of, datatype,
                   CASE WHEN replace(context, statement, '') LIKE '%Canary%' THEN context END);
END $$;
SELECT refused(format('UPDATE people SET %I = %L', col, E'a \x01 Canary..')) FROM unnest('{email,name,home,channel,hash}'::text[]) AS col;
SELECT refused('UPDATE people SET body = '' ''');
SELECT refused('UPDATE people SET name = repeat(''a'', 81)');
SELECT refused('UPDATE people SET others[1] = ''a Canary''');
SELECT refused('SELECT ''a Canary''::forge_comm.email');
SELECT refused('INSERT INTO people (id, email) SELECT 3, ''a Canary''');

-- They are for everybody, and their operators are those of text: an index
-- serves in spite of row security.
CREATE ROLE regress_formats_user;
GRANT USAGE ON SCHEMA regress_formats TO regress_formats_user;
GRANT SELECT, INSERT ON people TO regress_formats_user;
INSERT INTO people (id, workspace_id, email) SELECT i, 1 + i % 10, 'user' || i || '@example.com' FROM generate_series(3, 5000) AS i;
ANALYZE people;
CREATE FUNCTION mine(workspace_id int) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN workspace_id = 1; END';
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON people USING (mine(workspace_id));
SET ROLE regress_formats_user;
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE email = 'user10@example.com';
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE email = forge_comm.normalize_email('User10@Example.com');
SELECT id FROM people WHERE email = forge_comm.normalize_email('User10@Example.com ');
SELECT forge_comm.is_email('a@b'), forge_comm.normalize_email('A@b'), forge_comm.is_display_name('a'), forge_comm.is_slug('a'), forge_comm.is_channel_name('a'), forge_comm.is_url('http://a'),
       forge_comm.is_color('#fff'), forge_comm.is_timezone('UTC'), forge_comm.is_message_body('a'), forge_comm.is_password_hash('a'), forge_comm.password_problem('a'), forge_comm.clean_text(' a ');
-- What is leakproof need not wait for the policy, other functions must
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE forge_comm.is_email(name);
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE forge_comm.clean_text(name) = 'Ann';
INSERT INTO people (id, email) VALUES (5001, 'bob@example.com');
RESET ROLE;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM emails WHERE forge_comm.is_email(value);
SELECT count(*) FROM emails WHERE forge_comm.is_email(value);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- What is documented in red: the columns go with the extension.
BEGIN;
DROP EXTENSION forge_comm CASCADE;
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 AND NOT attisdropped;
ROLLBACK;
-- And so nothing of ours has one.
SELECT forge_comm.create_chat_schema('regress_formats_chat');
SELECT a.attrelid::regclass, a.attname FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid JOIN pg_class AS c ON c.oid = a.attrelid
 WHERE t.typnamespace = 'forge_comm'::regnamespace AND c.relnamespace <> 'forge_comm'::regnamespace AND c.relkind <> 'i' AND c.oid <> 'people'::regclass;
SELECT forge_comm.forget_memberships();
DROP SCHEMA regress_formats_chat CASCADE;
DROP SCHEMA regress_formats CASCADE;
DROP ROLE regress_formats_user;
