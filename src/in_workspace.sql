-- The test in the policies of tenancy.

CREATE FUNCTION forge_comm.in_workspace_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_support'
LANGUAGE c STRICT;
COMMENT ON FUNCTION forge_comm.in_workspace_support(internal) IS
  'Planner support for in_workspace: index condition and selectivity';

-- STABLE and never IMMUTABLE: the answer differs from transaction to
-- transaction.  LEAKPROOF: it tells nothing of its argument, not even by an
-- error.
CREATE FUNCTION forge_comm.in_workspace(workspace_id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_int8'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(bigint) IS
  'Is the workspace in scope?';

CREATE FUNCTION forge_comm.in_workspace(workspace_id integer)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_int4'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(integer) IS
  'Is the workspace in scope?';

CREATE FUNCTION forge_comm.in_workspace(workspace_id smallint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_int2'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(smallint) IS
  'Is the workspace in scope?';

-- For the table of workspaces itself.  Of the rows that are there it says what
-- the functions above do, so the same index condition is exact.
CREATE FUNCTION forge_comm.in_workspace(workspace_id bigint, founded_in regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_or_new_int8'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(bigint, regclass) IS
  'Is the workspace in scope, or just being made in that table?';

CREATE FUNCTION forge_comm.in_workspace(workspace_id integer, founded_in regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_or_new_int4'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(integer, regclass) IS
  'Is the workspace in scope, or just being made in that table?';

CREATE FUNCTION forge_comm.in_workspace(workspace_id smallint, founded_in regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_workspace_or_new_int2'
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE
SUPPORT forge_comm.in_workspace_support;
COMMENT ON FUNCTION forge_comm.in_workspace(smallint, regclass) IS
  'Is the workspace in scope, or just being made in that table?';
