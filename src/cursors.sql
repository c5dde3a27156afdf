-- Places in a walk through rows, as texts that clients cannot make up.

-- A dump takes the keys along, so that a token from before is told from a
-- forged one; the key that CREATE EXTENSION makes as it is restored stays beside
-- them.  Nobody but the superuser reads or writes them.
CREATE TABLE forge_comm.cursor_keys (
  made_at timestamptz NOT NULL DEFAULT now(),
  key bytea NOT NULL CONSTRAINT cursor_keys_length CHECK (octet_length(key) BETWEEN 16 AND 64)
);
SELECT pg_extension_config_dump('forge_comm.cursor_keys', '');
COMMENT ON TABLE forge_comm.cursor_keys IS
  'What cursors are signed with: the newest key signs, all verify';
COMMENT ON COLUMN forge_comm.cursor_keys.made_at IS 'Since when the key is used';
COMMENT ON COLUMN forge_comm.cursor_keys.key IS 'Random bytes, never told';
COMMENT ON CONSTRAINT cursor_keys_length ON forge_comm.cursor_keys IS 'A key that can be guessed is none';

CREATE TRIGGER settings_changed
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON forge_comm.cursor_keys
  FOR EACH STATEMENT EXECUTE FUNCTION forge_comm.settings_changed();
COMMENT ON TRIGGER settings_changed ON forge_comm.cursor_keys IS
  'Lets all sessions notice a change of the keys';

-- uuids of version 4 come from the strong random numbers of the server.
CREATE FUNCTION forge_comm.new_cursor_key(forget_others boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF forget_others IS NULL THEN
    RAISE EXCEPTION 'the argument "forget_others" must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass true or false.';
  ELSIF forget_others THEN
    DELETE FROM forge_comm.cursor_keys;
  END IF;
  INSERT INTO forge_comm.cursor_keys
  VALUES (clock_timestamp(), uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
END
$$;
COMMENT ON FUNCTION forge_comm.new_cursor_key(boolean) IS
  'Sign cursors with a new key; those that were given out stay valid, or not';

SELECT forge_comm.new_cursor_key();
