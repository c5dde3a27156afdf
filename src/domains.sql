-- Types for new tables, each a text that is of its format. DROP EXTENSION ...
-- CASCADE drops columns of them with their data, so nothing of ours uses them.

CREATE DOMAIN forge_comm.email AS text
  CONSTRAINT email_check CHECK (forge_comm.is_email(VALUE));
COMMENT ON DOMAIN forge_comm.email IS
  'An e-mail address; gone with the extension, columns and all';

CREATE DOMAIN forge_comm.display_name AS text
  CONSTRAINT display_name_check CHECK (forge_comm.is_display_name(VALUE, 1, 80));
COMMENT ON DOMAIN forge_comm.display_name IS
  'A name to show, of 1 to 80 characters; gone with the extension, columns and all';

CREATE DOMAIN forge_comm.slug AS text
  CONSTRAINT slug_check CHECK (forge_comm.is_slug(VALUE));
COMMENT ON DOMAIN forge_comm.slug IS
  'A part of a URL; gone with the extension, columns and all';

CREATE DOMAIN forge_comm.channel_name AS text
  CONSTRAINT channel_name_check CHECK (forge_comm.is_channel_name(VALUE));
COMMENT ON DOMAIN forge_comm.channel_name IS
  'The name of a channel; gone with the extension, columns and all';

CREATE DOMAIN forge_comm.message_body AS text
  CONSTRAINT message_body_check CHECK (forge_comm.is_message_body(VALUE));
COMMENT ON DOMAIN forge_comm.message_body IS
  'A message, of 1 to 40,000 characters; gone with the extension, columns and all';

CREATE DOMAIN forge_comm.password_hash AS text
  CONSTRAINT password_hash_check CHECK (forge_comm.is_password_hash(VALUE));
COMMENT ON DOMAIN forge_comm.password_hash IS
  'The hash of a password; gone with the extension, columns and all';
