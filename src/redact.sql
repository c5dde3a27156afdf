-- What the log does not tell: the log hook itself is in C and needs no SQL.

CREATE FUNCTION forge_comm.mask_literals(statement text)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_mask_literals'
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.mask_literals(text) IS
  'A statement with an asterisk in the place of each string';
