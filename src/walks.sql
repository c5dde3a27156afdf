-- Walks through the messages of all channels of a user.

CREATE FUNCTION forge_comm.reading_user()
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_reading_user'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.reading_user() IS
  'The user who reads, an error without a context';

-- The planner cannot know how much of a channel is unread, and would rather
-- collect and sort all of it than stop at the cap.  So these functions take the
-- choice from it, and are not inlined; PL/pgSQL keeps their plans.
CREATE FUNCTION forge_comm.create_walking_function(shape forge_comm.message_shape, function_name name, arguments text,
                                                   returns text, declarations text, query text, description text)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.create_message_function(
    shape, function_name, arguments, returns,
    'STABLE PARALLEL SAFE ROWS 100 SET search_path = pg_catalog, pg_temp '
    'SET enable_bitmapscan = off SET enable_sort = off SET jit = off',
    format(E'\n#variable_conflict use_column\nDECLARE%s\nBEGIN\n  RETURN QUERY%s;\nEND\n', declarations, query),
    description, 'plpgsql')
$$;
COMMENT ON FUNCTION forge_comm.create_walking_function(forge_comm.message_shape, name, text, text, text, text, text) IS
  'Make a function that walks along an index in many channels';
