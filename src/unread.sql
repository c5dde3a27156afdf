-- What somebody has not read yet, in all their channels.

CREATE FUNCTION forge_comm.unread_cap(cap integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_unread_cap'
LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.unread_cap(integer) IS
  'How far unread messages are counted: 1 to 1000';

CREATE FUNCTION forge_comm.first_id(type regtype)
RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE type WHEN 'smallint'::regtype THEN -32768 WHEN 'integer'::regtype THEN -2147483648
                   ELSE -9223372036854775808 END
$$;
COMMENT ON FUNCTION forge_comm.first_id(regtype) IS
  'The id that comes before all others of a type';

-- Counted are messages of the channel itself, by others.
CREATE FUNCTION forge_comm.unread_condition(shape forge_comm.message_shape)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.live_condition(shape, 'm')
         || CASE WHEN (shape).author IS NULL THEN ''
                 ELSE ' AND m.{author} IS DISTINCT FROM forge_comm.current_user_id()' END
         || CASE WHEN (shape).parent IS NULL THEN '' ELSE ' AND m.{parent} IS NULL' END
$$;
COMMENT ON FUNCTION forge_comm.unread_condition(forge_comm.message_shape) IS
  'Which messages count as unread for the user, wherever they have read to';

CREATE FUNCTION forge_comm.create_mention_index(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  index name := forge_comm.object_name((SELECT c.relname FROM pg_class AS c WHERE c.oid = shape.rel), '_mention_idx');
BEGIN
  EXECUTE forge_comm.fit(format(
    $template$CREATE INDEX %I ON {rel} ({channel}, {created_at}, {key}) WHERE strpos({body}, '<@') > 0%s$template$,
    index, CASE WHEN shape.deleted_at IS NOT NULL THEN ' AND {deleted_at} IS NULL' END), shape);
  EXECUTE format('COMMENT ON INDEX %I.%I IS %L', shape.schema, index, forge_comm.index_comment('messages'));
END
$$;
COMMENT ON FUNCTION forge_comm.create_mention_index(forge_comm.message_shape) IS
  'Make the index that holds only messages which mention somebody';

-- What follows the marker, as far as to the cap; index order, which
-- array_agg() keeps.  COALESCE would not do in the index's condition:
-- PostgreSQL takes it for leaky.
CREATE FUNCTION forge_comm.unread_query(shape forge_comm.message_shape, condition text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($template$
        SELECT m.{key}
          FROM {rel} AS m
         WHERE m.{channel} = f.{marker_channel}
           AND (m.{created_at}, m.{key}) >
               (CASE WHEN r.{key} IS NULL THEN '-infinity' ELSE r.{created_at} END,
                CASE WHEN r.{key} IS NULL THEN (%s)::{key_type} ELSE r.{key} END)
           AND %s AND %s
         ORDER BY m.{created_at}, m.{key}
         LIMIT most$template$,
                forge_comm.first_id((shape).key_type), forge_comm.unread_condition(shape), condition)
$$;
COMMENT ON FUNCTION forge_comm.unread_query(forge_comm.message_shape, text) IS
  'The ids of what is unread in a channel f after the message r, as a template';

CREATE FUNCTION forge_comm.create_unread_summary(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  workspace name := forge_comm.rule_options(shape.markers, 'forge_comm_tenancy', 'tenancy_guard') ->> 'workspace_column';
  mention text := 'false';
  preview text := 'NULL::text';
BEGIN
  IF shape.body IS NOT NULL THEN
    PERFORM forge_comm.create_mention_index(shape);
    mention := $template$strpos(m.{body}, '<@') > 0 AND strpos(m.{body}, mention) > 0$template$;
    preview := '"left"(m.{body}, 140)';
  END IF;
  PERFORM forge_comm.create_walking_function(
    shape, 'unread_summary',
    CASE WHEN workspace IS NOT NULL THEN 'workspace_id bigint DEFAULT NULL, ' ELSE '' END || 'cap integer DEFAULT 100',
    'TABLE (channel_id {channel_type}, unread integer, mentions integer, first_unread_id {key_type},
            last_message_id {key_type}, last_message_at {created_at_type}, last_message_preview text)',
    format($template$
  most CONSTANT bigint := forge_comm.unread_cap($%s);
  mention CONSTANT text := '<@' || forge_comm.reading_user() || '>';$template$, CASE WHEN workspace IS NOT NULL THEN 2 ELSE 1 END),
    format($template$
  SELECT f.{marker_channel}, u.unread, (SELECT count(*)::integer FROM (%1$s) AS m), u.first_unread, l.{key}, l.{created_at}, l.preview
    FROM {markers} AS f
    LEFT JOIN {rel} AS r ON r.{key} = f.{marker}
    CROSS JOIN LATERAL (SELECT count(*)::integer AS unread, (array_agg(m.{key}))[1] AS first_unread FROM (%2$s) AS m) AS u
    LEFT JOIN LATERAL (
      SELECT m.{key}, m.{created_at}, %3$s AS preview
        FROM {rel} AS m
       WHERE m.{channel} = f.{marker_channel} AND %4$s
       ORDER BY m.{created_at} DESC, m.{key} DESC
       LIMIT 1
    ) AS l ON true
   WHERE f.{marker_user} = forge_comm.reading_user()%5$s$template$,
           forge_comm.unread_query(shape, mention), forge_comm.unread_query(shape, 'true'),
           preview, forge_comm.live_condition(shape, 'm'),
           CASE WHEN workspace IS NOT NULL THEN format(' AND ($1 IS NULL OR f.%I = $1)', workspace) END),
    'What the user has not read yet, for each of their channels');
END
$$;
COMMENT ON FUNCTION forge_comm.create_unread_summary(forge_comm.message_shape) IS
  'Make unread_summary()';

-- Whoever was slower finds the marker as the other one left it: PostgreSQL
-- looks at the conditions again then.  A message that is not seen yet is later
-- than all that are, one that is gone lets the marker be null.  Without a
-- foreign key that would see to that, ids have to tell.
CREATE FUNCTION forge_comm.create_mark_read(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  is_key boolean := (SELECT r.parent FROM forge_comm.referenced_by(shape.markers, shape.marker) AS r) IS NOT DISTINCT FROM shape.rel;
BEGIN
  PERFORM forge_comm.create_message_function(
    shape, 'mark_read', 'channel_id {channel_type}, message_id {key_type}', '{key_type}', 'VOLATILE', format($body$
  UPDATE {markers} AS f
     SET {marker} = m.{key}
    FROM {rel} AS m
   WHERE f.{marker_channel} OPERATOR(pg_catalog.=) $1
     AND f.{marker_user} OPERATOR(pg_catalog.=) (SELECT forge_comm.reading_user())
     AND m.{key} OPERATOR(pg_catalog.=) $2 AND m.{channel} OPERATOR(pg_catalog.=) $1
     AND (f.{marker} IS NULL
          OR COALESCE((SELECT (r.{created_at}, r.{key}) OPERATOR(pg_catalog.<) (m.{created_at}, m.{key})
                         FROM {rel} AS r WHERE r.{key} OPERATOR(pg_catalog.=) f.{marker}),
                      %s))
  RETURNING f.{marker}
$body$, CASE WHEN is_key THEN 'false' ELSE 'm.{key} OPERATOR(pg_catalog.>) f.{marker}' END),
    'Remember that the user has read a channel up to a message; never moves back');
END
$$;
COMMENT ON FUNCTION forge_comm.create_mark_read(forge_comm.message_shape) IS
  'Make mark_read()';

CREATE FUNCTION forge_comm.create_unread_functions(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF shape.markers IS NOT NULL THEN
    PERFORM forge_comm.create_unread_summary(shape);
    PERFORM forge_comm.create_mark_read(shape);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.create_unread_functions(forge_comm.message_shape) IS
  'Make what goes by read markers, if there are any';
