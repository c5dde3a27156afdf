-- The schema is made here rather than by the control file, so that nobody
-- can have made one of that name beforehand.
CREATE SCHEMA forge_comm;
COMMENT ON SCHEMA forge_comm IS
  'A messaging database that keeps its own rules';
