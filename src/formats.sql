-- What e-mail addresses, names, URLs and the like look like. They read their
-- arguments and nothing else, and none but clean_text can fail.

CREATE FUNCTION forge_comm.is_email(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_email'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_email(text) IS
  'Is this an e-mail address by the HTML standard and RFC 5321?';

CREATE FUNCTION forge_comm.normalize_email(value text)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_normalize_email'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.normalize_email(text) IS
  'An e-mail address trimmed and in lower case; null if it is none';

CREATE FUNCTION forge_comm.is_display_name(value text, min integer DEFAULT 1, max integer DEFAULT 80)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_display_name'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_display_name(text, integer, integer) IS
  'Is this a name to show, of so many characters, that does not deceive the eye?';

CREATE FUNCTION forge_comm.is_slug(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_slug'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_slug(text) IS
  'Are these words of lower case letters and digits with hyphens between them?';

CREATE FUNCTION forge_comm.is_channel_name(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_channel_name'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_channel_name(text) IS
  'Are these lower case letters, digits, hyphens and underscores?';

CREATE FUNCTION forge_comm.is_url(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_url'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_url(text) IS
  'Is this an http or https URL by RFC 3986, with an honest host?';

CREATE FUNCTION forge_comm.is_color(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_color'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_color(text) IS
  'Is this a colour in the hexadecimal notation of CSS?';

-- It looks for a file, and so promises less
CREATE FUNCTION forge_comm.is_timezone(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_timezone'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_timezone(text) IS
  'Is this the IANA name of a time zone that PostgreSQL knows?';

CREATE FUNCTION forge_comm.is_message_body(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_message_body'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_message_body(text) IS
  'Are these 1 to 40,000 characters that show something?';

CREATE FUNCTION forge_comm.is_password_hash(value text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_is_password_hash'
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.is_password_hash(text) IS
  'Is this what bcrypt, argon2, scrypt or PBKDF2 make of a password?';

CREATE FUNCTION forge_comm.password_problem(password text, email text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_password_problem'
LANGUAGE c IMMUTABLE LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.password_problem(text, text) IS
  'The name of the rule that a password breaks, or null';

-- It fails for what is too long
CREATE FUNCTION forge_comm.clean_text(value text)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_clean_text'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.clean_text(text) IS
  'A text in Normalization Form C, trimmed and without control characters';
