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
