-- Threads: a message and the replies to it.

CREATE FUNCTION forge_comm.thread_place(rel regclass, channel bigint, parent bigint, after text)
RETURNS text
AS 'MODULE_PATHNAME', 'forge_comm_thread_place'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.thread_place(regclass, bigint, bigint, text) IS
  'The place after which replies are listed, null for the first: after none, or the parent';

-- The parent comes first whatever the times say, and once: not on later pages,
-- nor if it is its own parent.
CREATE FUNCTION forge_comm.create_thread_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF shape.parent IS NULL THEN
    RETURN;
  END IF;
  PERFORM forge_comm.create_message_function(
    shape, 'get_thread', 'parent_id {key_type}, after text DEFAULT NULL, "limit" integer DEFAULT 50',
    'SETOF {rel}', 'STABLE PARALLEL SAFE ROWS 50', format($template$
  SELECT m.*
    FROM ((SELECT m.*
             FROM {rel} AS m
            WHERE m.{key} OPERATOR(pg_catalog.=) $1 AND %1$s AND $2 IS NULL)
          UNION ALL
          (SELECT r.*
             FROM (SELECT m.*
                     FROM {rel} AS m
                    WHERE m.{parent} OPERATOR(pg_catalog.=) $1 AND m.{key} OPERATOR(pg_catalog.<>) $1 AND %1$s
                      AND (m.{created_at}, m.{key}) OPERATOR(pg_catalog.>)
                          ((SELECT forge_comm.newer_time({rel_constant}, p.{channel}, %2$s, NULL, %3$s)
                              FROM {rel} AS p WHERE p.{key} OPERATOR(pg_catalog.=) $1),
                           (SELECT forge_comm.newer_id({rel_constant}, p.{channel}, %2$s, NULL, NULL)
                              FROM {rel} AS p WHERE p.{key} OPERATOR(pg_catalog.=) $1))
                    ORDER BY m.{created_at}, m.{key}
                    LIMIT 100) AS r
            ORDER BY r.{created_at}, r.{key}
            LIMIT forge_comm.list_limit($3))) AS m
   ORDER BY m.{key} OPERATOR(pg_catalog.<>) $1, m.{created_at}, m.{key}
   LIMIT forge_comm.list_limit($3)
$template$,
      forge_comm.live_condition(shape, 'm'), 'forge_comm.thread_place({rel_constant}, p.{channel}, $1, $2)',
      $template$CASE WHEN forge_comm.message_id($2) IS NOT NULL
                               THEN (SELECT a.{created_at} FROM {rel} AS a
                                      WHERE a.{key} OPERATOR(pg_catalog.=) forge_comm.message_id($2)
                                        AND a.{parent} OPERATOR(pg_catalog.=) $1) END$template$),
    'A message and the replies to it, oldest first');
  PERFORM forge_comm.ensure_page_index(shape.rel, ARRAY[shape.parent, shape.created_at, shape.key],
                                       format('%I IS NOT NULL', shape.parent), '_thread_idx');
END
$$;
COMMENT ON FUNCTION forge_comm.create_thread_functions(forge_comm.message_shape) IS
  'Make get_thread(), and the index it needs';
