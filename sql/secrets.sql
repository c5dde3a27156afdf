-- Secret columns: what marking does, what may be stored, what errors tell,
-- tokens, the lexer.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
CREATE ROLE regress_secrets_owner;
CREATE ROLE regress_secrets_app;
CREATE ROLE regress_secrets_reader;
CREATE ROLE regress_secrets_group;
SELECT forge_comm.grant_owner('regress_secrets_owner'), forge_comm.grant_app('regress_secrets_owner');
SELECT forge_comm.grant_app('regress_secrets_app'), forge_comm.grant_app('regress_secrets_reader');
CREATE SCHEMA regress_secrets AUTHORIZATION regress_secrets_owner;
GRANT USAGE ON SCHEMA regress_secrets TO PUBLIC;
SET search_path = regress_secrets;
SET ROLE regress_secrets_owner;
RESET client_min_messages;

CREATE TABLE users (
  id int PRIMARY KEY,
  email text NOT NULL UNIQUE,
  hashed_password text CHECK (hashed_password <> 'hidden'),
  totp text UNIQUE,
  deleted_at timestamptz
);
ALTER TABLE users ALTER totp SET STATISTICS 7;
CREATE INDEX users_totp_idx ON users (lower(totp), email, (totp || 'x'));
INSERT INTO users SELECT i, i || '@', NULL, 'totp' || i FROM generate_series(1, 20) AS i;
ANALYZE users;
GRANT SELECT, INSERT, UPDATE ON users TO regress_secrets_app, regress_secrets_reader, regress_secrets_group;
SELECT forge_comm.enable_soft_delete('users');

CREATE VIEW what_is_there AS
SELECT 'column ' || a.attname AS what, coalesce(a.attstattarget::int, -1) || ' ' || coalesce(a.attacl::text, '') AS how
  FROM pg_attribute AS a WHERE a.attrelid = 'users'::regclass AND a.attnum > 0
UNION ALL SELECT 'table', c.relacl::text FROM pg_class AS c WHERE c.oid = 'users'::regclass
UNION ALL SELECT 'index column ' || a.attname, coalesce(a.attstattarget::int, -1)::text FROM pg_attribute AS a WHERE a.attrelid = 'users_totp_idx'::regclass
UNION ALL SELECT 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t WHERE t.tgrelid = 'users'::regclass AND t.tgname = 'forge_comm_secrets'
UNION ALL SELECT 'view', pg_get_viewdef('active_users'::regclass);
CREATE TABLE before AS SELECT * FROM what_is_there;
CREATE VIEW collected AS SELECT tablename, attname FROM pg_stats WHERE schemaname = 'regress_secrets' AND tablename LIKE 'users%';
SELECT * FROM collected ORDER BY 1, 2;

-- ----------------------------------------------------------------- marking

SELECT forge_comm.mark_secret('users', 'totp');
SELECT forge_comm.mark_secret('users', 'totp');
SELECT forge_comm.mark_secret('users', 'totp', 'password_hash');
SELECT forge_comm.mark_secret('users', 'hashed_password', 'password_hash', readers => '{regress_secrets_reader}');
SELECT * FROM what_is_there WHERE what NOT IN ('table', 'view') ORDER BY what COLLATE "C";
SELECT capability, options - 'revoked' - 'readers' FROM forge_comm.rules('users') ORDER BY 1;
SELECT * FROM collected ORDER BY 1, 2;
ANALYZE users;
SELECT * FROM collected ORDER BY 1, 2;

-- Who may read what
RESET ROLE;
SELECT s.starelid::regclass, s.staattnum FROM pg_statistic AS s WHERE s.starelid = 'users'::regclass ORDER BY 2;
SELECT role, column_name, has_column_privilege(role, 'users', column_name, 'SELECT') AS reads, has_column_privilege(role, 'users', column_name, 'UPDATE') AS writes
  FROM unnest('{regress_secrets_app,regress_secrets_reader,regress_secrets_group,regress_secrets_owner}'::text[]) AS role,
       unnest('{id,hashed_password,totp}'::text[]) AS column_name ORDER BY 1, 2;
SET ROLE regress_secrets_app;
SELECT count(id) FROM users;
SELECT totp FROM users;
SELECT id, totp FROM active_users WHERE id < 3 ORDER BY id;
UPDATE users SET totp = 'new' WHERE id = 1 RETURNING id;
UPDATE users SET totp = 'new' WHERE id = 1 RETURNING totp;
SET ROLE regress_secrets_reader;
SELECT DISTINCT hashed_password FROM users;
SELECT totp FROM users;
SET ROLE regress_secrets_owner;

-- ---------------------------------------------------------- password hashes

\set hash '$2b$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m5'
UPDATE users SET hashed_password = :'hash' WHERE id = 1;
UPDATE users SET hashed_password = 'hunter2' WHERE id = 1;
\echo :SQLSTATE
INSERT INTO users VALUES (30, '30@', 'correct horse battery staple');
INSERT INTO users VALUES (30, '30@', NULL);
UPDATE users SET email = 'other' WHERE id = 30;
CREATE TABLE hashes (hash char(200));
SELECT forge_comm.mark_secret('hashes', 'hash', 'password_hash');
CREATE FUNCTION accepted(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO hashes VALUES ($1);
  RETURN true;
EXCEPTION WHEN check_violation THEN
  RETURN false;
END
$$;
SELECT accepted(h), h FROM unnest(ARRAY[
  '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
  '$2y$05$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
  '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$RdescudvJCsgt3ub+b4dWRWJTmaaJObGlCdvbWVoaGk',
  '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$IMit9qkFULCMA/ViizL57cnTLOa5DiVM9eMwpAvPwr4',
  '$argon2d$v=19$m=65536,t=3,p=4,keyid=aGk,data=eA$c29tZXNhbHRzb21l$RdescudvJCsgt3ub+b4dWRWJTmaaJObGlCdvbWVoaGk',
  '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E',
  '$pbkdf2-sha256$29000$9t7be09prfXee2/NOUeotQ$Y.RDnnq8vsezSZSKy1QNy6xhKPdoBIwc.0XDdRm9sJ8',
  '$pbkdf2-sha512$i=210000,l=64$9t7be09prfXee2/NOUeotQ$Y.RDnnq8vsezSZSKy1QNy6xhKPdoBIwc.0XDdRm9sJ8',
  '$pbkdf2$i=29000$9t7be09prfXee2/NOUeotQ$Y.RDnnq8vsezSZSKy1QNy6xhKPdoBIwc.0XDdRm9sJ8']) AS h;
SELECT accepted(h), h FROM unnest(ARRAY[
  '', '$', '$2', '$2b$', '$2b$12$', 'password', '$ecret$word$', '$2b$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m',
  '$2b$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m55', '$2c$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m5',
  '$2b$xx$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m5', '$2b$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m!',
  '$argon2id$', '$argon2id$v=19$m=65536,t=3,p=4$$', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$short', '$argon2$m=1,t=2,p=1$c29tZXNhbHQ$IMit9qkFULCMA/ViizL57cnTLOa5DiVM9eMwpAvPwr4',
  '$argon2id$v=$m=65536,t=3,p=4$c29tZXNhbHRzb21l$RdescudvJCsgt3ub', '$argon2id$v=19$m=65536,t=3$c29tZXNhbHRzb21l$RdescudvJCsgt3ub',
  '$scrypt$ln=16,r=8$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E', '$pbkdf2-md5$29000$9t7be09prfXee2/NOUeotQ$Y.RDnnq8vsezSZSKy1QNy6xhKPdo',
  '$pbkdf2-sha256$$9t7be09prfXee2/NOUeotQ$Y.RDnnq8vsezSZSKy1QNy6xhKPdo', '5f4dcc3b5aa765d61d8327deb882cf99',
  '$2b$12$KIXQ4GZ0QvYz5rK1m9m5uOe2mF3dC4eB5a6s7d8f9g0h1j2k3l4m5 hunter2']) AS h;
-- A row from before is not in the way of other changes
CREATE TABLE old (id int, password text);
INSERT INTO old VALUES (1, 'plain'), (2, 'plain');
SELECT forge_comm.mark_secret('old', 'password', 'password_hash');
UPDATE old SET id = 3 WHERE id = 1;
UPDATE old SET password = password || '!' WHERE id = 3;
CREATE FUNCTION plaintext() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.password := 'a trigger''s'; RETURN NEW; END $$;
CREATE TRIGGER a_first BEFORE UPDATE ON old FOR EACH ROW EXECUTE FUNCTION plaintext();
UPDATE old SET id = 4 WHERE id = 2;

-- ------------------------------------------------------------------- errors

\set VERBOSITY default
INSERT INTO users VALUES (1, '1@', NULL, 'CANARY');
INSERT INTO users VALUES (31, NULL, NULL, 'CANARY');
INSERT INTO users VALUES (31, '31@', NULL, 'totp2');
INSERT INTO users VALUES (31, '2@', NULL, 'CANARY');
INSERT INTO users VALUES (31, '31@', 'hidden', 'CANARY');
ALTER TABLE users ADD CHECK (totp <> 'totp3');
ALTER TABLE users ADD CHECK (totp <> 'CANARY');
UPDATE users SET totp = 'CANARY' WHERE id = 2;
DO $$
DECLARE
  detail text;
BEGIN
  UPDATE users SET totp = 'CANARY' WHERE id = 2;
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RAISE NOTICE 'caught: %', detail;
END
$$;
CREATE VIEW checked AS SELECT * FROM users WHERE totp <> 'CANARY' WITH CHECK OPTION;
ALTER TABLE users DROP CONSTRAINT users_totp_check;
INSERT INTO checked (id, email, totp) VALUES (31, '31@', 'CANARY');
CREATE TABLE keys (key text PRIMARY KEY, other text UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE uses (id int, key text REFERENCES keys DEFERRABLE);
SELECT forge_comm.mark_secret('keys', 'key'), forge_comm.mark_secret('keys', 'other');
INSERT INTO uses VALUES (1, 'CANARY');
INSERT INTO keys VALUES ('CANARY', 'other');
INSERT INTO uses VALUES (1, 'CANARY');
DELETE FROM keys;
INSERT INTO keys VALUES ('CANARY2', 'other');
BEGIN;
INSERT INTO keys VALUES ('CANARY2', 'other');
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
ALTER TABLE keys ADD COLUMN third text DEFAULT 'CANARY';
SELECT forge_comm.mark_secret('keys', 'third');
INSERT INTO keys (key) VALUES ('one more');
CREATE UNIQUE INDEX ON keys (third);
-- what is not secret is told as ever
CREATE TABLE open (id int PRIMARY KEY, email text NOT NULL);
INSERT INTO open VALUES (1, 'a'), (1, 'b');
INSERT INTO open VALUES (1, NULL);

-- ------------------------------------------------------------------- tokens

CREATE TABLE sessions (
  id int PRIMARY KEY,
  digest text NOT NULL UNIQUE,
  raw bytea,
  expires_at timestamptz,
  deleted_at timestamptz
);
SELECT forge_comm.mark_secret('sessions', 'digest', 'token_digest');
SELECT forge_comm.mark_secret('sessions', 'raw', 'token_digest', digest_bytes => 64);
SELECT forge_comm.enable_soft_delete('sessions', view => '');
SELECT options ->> 'columns', options ->> 'kinds', options ->> 'expires_at' FROM forge_comm.rules('sessions') WHERE capability = 'secrets';
INSERT INTO sessions VALUES (1, 'token1');
INSERT INTO sessions VALUES (1, upper(encode(sha256('token1'), 'hex')));
INSERT INTO sessions VALUES (1, encode(sha512('token1'), 'hex'));
INSERT INTO sessions VALUES (1, encode(sha256('token1'), 'hex'), sha256('token1'));
INSERT INTO sessions VALUES
  (1, encode(sha256('token1'), 'hex'), sha512('raw1'), NULL),
  (2, encode(sha256('token2'), 'hex'), sha512('raw2'), clock_timestamp() + interval '1 hour'),
  (3, encode(sha256('token3'), 'hex'), sha512('raw3'), clock_timestamp() - interval '1 second'),
  (4, encode(sha256('token4'), 'hex'), sha512('raw4'), 'infinity'),
  (5, encode(sha256('token5'), 'hex'), NULL, '-infinity'),
  (6, encode(sha256(''), 'hex'), NULL, NULL);
DELETE FROM sessions WHERE id = 4;
SELECT t, forge_comm.verify_token('sessions', 'digest', t), pg_typeof(forge_comm.verify_token('sessions', 'digest', t))
  FROM unnest(ARRAY['token1', 'token2', 'token3', 'token4', 'token5', 'token9', '', 'TOKEN1', 'token1 ', NULL]) AS t;
SELECT forge_comm.verify_token('sessions', 'digest', encode(sha256('token1'), 'hex'));
SELECT forge_comm.verify_token('sessions', 'raw', 'raw1');
CREATE INDEX ON sessions (raw);
SELECT forge_comm.verify_token('sessions', 'raw', 'raw1'), forge_comm.verify_token('sessions', 'raw', 'token1');
SELECT forge_comm.verify_token('sessions', 'digest', 'token1', key => NULL::int), forge_comm.verify_token('sessions', 'digest', 'token1', key => 99::int);
SELECT forge_comm.verify_token('sessions', 'digest', 'token1', key => NULL::text);
SELECT forge_comm.verify_token('sessions', 'expires_at', 'token1');
SELECT forge_comm.verify_token('users', 'totp', 'totp1');
SELECT forge_comm.verify_token(NULL, 'digest', 'token1');
SELECT forge_comm.verify_token('sessions', NULL, 'token1');
-- A token that expires while the transaction is open
BEGIN;
UPDATE sessions SET expires_at = clock_timestamp() + interval '50 ms' WHERE id = 1;
SELECT forge_comm.verify_token('sessions', 'digest', 'token1');
SELECT pg_sleep(0.06);
SELECT forge_comm.verify_token('sessions', 'digest', 'token1');
ROLLBACK;
-- Past the column's privilege, but not past the key's
RESET ROLE;
SET ROLE regress_secrets_app;
SELECT forge_comm.verify_token('sessions', 'digest', 'token1');
SET ROLE regress_secrets_owner;
GRANT SELECT (id) ON sessions TO regress_secrets_app;
SET ROLE regress_secrets_app;
SELECT forge_comm.verify_token('sessions', 'digest', 'token1');
SELECT digest FROM sessions;
SET ROLE regress_secrets_owner;
-- Other types, partitions, no expiry
CREATE TABLE api_keys (key uuid, part int, hash char(56), PRIMARY KEY (key, part)) PARTITION BY LIST (part);
SELECT forge_comm.mark_secret('api_keys', 'hash', 'token_digest', digest_bytes => 28);
CREATE TABLE api_keys_1 PARTITION OF api_keys FOR VALUES IN (1);
CREATE INDEX ON api_keys (hash);
SELECT forge_comm.verify_token('api_keys', 'hash', 'x', NULL::uuid);
CREATE TABLE invites (key uuid PRIMARY KEY, hash varchar(96) UNIQUE, expires_at timestamp);
SELECT forge_comm.mark_secret('invites', 'hash', 'token_digest', digest_bytes => 48, expires_at => '');
INSERT INTO invites VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', encode(sha384('x'), 'hex'), '2000-01-01');
SELECT forge_comm.verify_token('invites', 'hash', 'x', NULL::uuid);
SELECT forge_comm.verify_token('invites', 'hash', 'x');
SELECT forge_comm.unmark_secret('invites', 'hash');
SELECT forge_comm.mark_secret('invites', 'hash', 'token_digest', digest_bytes => 48);
SELECT forge_comm.verify_token('invites', 'hash', 'x', NULL::uuid);

-- ------------------------------------------------- partitions and children

INSERT INTO api_keys VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 'x');
INSERT INTO api_keys_1 VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 'x');
INSERT INTO api_keys VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, encode(sha224('x'), 'hex'));
CREATE TABLE api_keys_2 (hash char(56), key uuid NOT NULL, part int NOT NULL);
INSERT INTO api_keys_2 SELECT encode(sha224('x' || i::text::bytea), 'hex'), md5(i::text)::uuid, 2 FROM generate_series(1, 9) AS i;
ANALYZE api_keys_2;
ALTER TABLE api_keys ATTACH PARTITION api_keys_2 FOR VALUES IN (2);
ANALYZE api_keys;
CREATE TABLE more_users () INHERITS (old);
INSERT INTO more_users VALUES (1, 'plain');
SELECT tablename, attname FROM pg_stats WHERE schemaname = 'regress_secrets' AND tablename ~ 'api_keys|old|more' ORDER BY 1, 2;
SELECT attrelid::regclass, attstattarget FROM pg_attribute WHERE attrelid IN ('api_keys'::regclass, 'api_keys_1'::regclass, 'api_keys_2'::regclass) AND attname = 'hash' ORDER BY 1;
SELECT forge_comm.unmark_secret('api_keys', 'hash');
SELECT attrelid::regclass, coalesce(attstattarget, -1) FROM pg_attribute WHERE attrelid IN ('api_keys'::regclass, 'api_keys_1'::regclass, 'api_keys_2'::regclass) AND attname = 'hash' ORDER BY 1;
SELECT count(*) FROM pg_trigger WHERE tgname = 'forge_comm_secrets' AND tgrelid IN ('api_keys'::regclass, 'api_keys_1'::regclass, 'api_keys_2'::regclass);

-- ------------------------------------------------------------ wrong arguments

SELECT forge_comm.mark_secret(NULL, 'x');
SELECT forge_comm.mark_secret('users', NULL);
SELECT forge_comm.mark_secret('users', 'nothing');
SELECT forge_comm.mark_secret('users', 'email', 'plaintext');
SELECT forge_comm.mark_secret('users', 'id', 'password_hash');
SELECT forge_comm.mark_secret('users', 'id', 'token_digest');
SELECT forge_comm.mark_secret('users', 'email', 'token_digest', digest_bytes => 16);
SELECT forge_comm.mark_secret('users', 'email', 'token_digest', digest_bytes => NULL);
SELECT forge_comm.mark_secret('users', 'email', 'token_digest', expires_at => 'id');
SELECT forge_comm.mark_secret('users', 'email', 'token_digest', expires_at => 'nothing');
SELECT forge_comm.mark_secret('users', 'email', readers => NULL);
SELECT forge_comm.mark_secret('users', 'email', readers => '{NULL}');
SELECT forge_comm.mark_secret('active_users', 'email');
SELECT forge_comm.mark_secret('api_keys_1', 'hash');
SELECT forge_comm.unmark_secret('users', 'nothing');
SELECT forge_comm.unmark_secret('users', NULL);
SELECT forge_comm.unmark_secret(NULL, 'totp');
CREATE STATISTICS users_statistics (mcv) ON email, id FROM users;
SELECT forge_comm.mark_secret('users', 'email');
DROP STATISTICS users_statistics;
RESET ROLE;
SET ROLE regress_secrets_app;
SELECT forge_comm.mark_secret('users', 'email');
SELECT forge_comm.clear_statistics('users', 1::smallint);
RESET ROLE;
SET ROLE regress_secrets_owner;

-- ---------------------------------------------------------------- findings

RESET ROLE;
GRANT SELECT ON users TO regress_secrets_app;
CREATE TABLE others (password text, access_token text, token_count int, name text);
ALTER TABLE users ALTER totp SET STATISTICS 100;
CREATE INDEX later ON users (upper(totp));
CREATE STATISTICS later_too (mcv) ON totp, email FROM users;
SELECT id, severity, object, mend FROM forge_comm.checklist('regress_secrets') WHERE id LIKE 'secret-%' ORDER BY 1, 3, 4;
DROP INDEX later;
DROP STATISTICS later_too;
REVOKE SELECT ON users FROM regress_secrets_app;
GRANT SELECT (id, email, deleted_at) ON users TO regress_secrets_app;
SET ROLE regress_secrets_owner;

-- --------------------------------------------------------------- unmarking

SELECT forge_comm.unmark_secret('users', 'hashed_password');
SELECT has_column_privilege('regress_secrets_app', 'users', 'hashed_password', 'SELECT'), has_column_privilege('regress_secrets_app', 'users', 'totp', 'SELECT');
SELECT forge_comm.unmark_secret('users', 'totp');
TABLE before EXCEPT TABLE what_is_there;
TABLE what_is_there EXCEPT TABLE before;
INSERT INTO users VALUES (40, '40@', 'plain again');
SELECT hashed_password FROM active_users WHERE id = 40;

-- A column that is renamed stops writes until it is marked anew
DROP TRIGGER a_first ON old;
ALTER TABLE old RENAME password TO passphrase;
UPDATE old SET id = 5;
SELECT forge_comm.unmark_secret('old', 'password');
UPDATE old SET id = 5 WHERE id = 2;

-- ---------------------------------------------------------------- the lexer

SELECT forge_comm.mask_literals(s) FROM unnest(ARRAY[
  'SELECT 1', '', '''''', '''a''', 'SELECT ''it''''s'', ''b''', 'E''it\''s''', 'e''\\'' || ''x''', 'N''x''', 'U&''x\0041''', 'b''1'' x''ff''',
  '$$it''s$$', '$a$ $$ $b$ $a$ + $1', 'x$$y$$', '"it''s" = ''x''', '-- it''s' || E'\n' || '''x''', '/* it''s /* nested ''*/ '' */ ''x''',
  '''a'' ' || E'\n' || ' ''b''', 'E''a''' || E'\n' || '''\''b''', '''unterminated', '$$unterminated', '"unterminated ''x''', '/* ''x''',
  '''C:\'' || ''x''', '1e5$$x$$', '''a''''', U&'''\00e9'' \00e9$$x$$']) AS s;

RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_secrets CASCADE;
DROP OWNED BY regress_secrets_owner, regress_secrets_app, regress_secrets_reader, regress_secrets_group;
DROP ROLE regress_secrets_owner, regress_secrets_app, regress_secrets_reader, regress_secrets_group;
