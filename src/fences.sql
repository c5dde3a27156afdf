-- Deep pages: how many messages there are between places of a channel.  What
-- is kept, and why it is exact, is told in fences.c.

CREATE FUNCTION forge_comm.page_time(rel regclass, channel bigint, page integer, per_page integer)
RETURNS timestamptz
AS 'MODULE_PATHNAME', 'forge_comm_page_time'
LANGUAGE c STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION forge_comm.page_time(regclass, bigint, integer, integer) IS
  'The time at which to begin a page; infinity where that is not known ahead';

CREATE FUNCTION forge_comm.page_local_time(rel regclass, channel bigint, page integer, per_page integer)
RETURNS timestamp
AS 'MODULE_PATHNAME', 'forge_comm_page_time'
LANGUAGE c STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION forge_comm.page_local_time(regclass, bigint, integer, integer) IS
  'The same for tables whose times have no time zone';

CREATE FUNCTION forge_comm.page_id(rel regclass, channel bigint, page integer, per_page integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_page_id'
LANGUAGE c STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION forge_comm.page_id(regclass, bigint, integer, integer) IS
  'The id at which to begin a page; the highest where that is not known ahead';

CREATE FUNCTION forge_comm.page_rest(rel regclass, channel bigint, page integer, per_page integer)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_page_rest'
LANGUAGE c STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION forge_comm.page_rest(regclass, bigint, integer, integer) IS
  'How many rows to pass over from where a page begins';

CREATE FUNCTION forge_comm.deep_pages_note()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_deep_pages_note'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.deep_pages_note() IS
  'Trigger: notes what changes among messages that are counted';

CREATE FUNCTION forge_comm.fences_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_fences_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.fences_guard() IS
  'Trigger: passes over what anybody but maintenance writes to fences';

CREATE FUNCTION forge_comm.deep_pages_options(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.rule_options(rel, 'forge_comm_deep_pages', 'deep_pages_note')
$$;
COMMENT ON FUNCTION forge_comm.deep_pages_options(regclass) IS
  'The options of deep pages on a table, null if they are not enabled';

-- ------------------------------------------------------- enable and disable

CREATE FUNCTION forge_comm.fences_comment(rel regclass)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('Kept for deep pages of table %s (made by forge_comm.enable_deep_pages())', rel) $$;
COMMENT ON FUNCTION forge_comm.fences_comment(regclass) IS
  'The comment by which a table of fences is known';

CREATE FUNCTION forge_comm.keeps_fences(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_trigger AS t
                  WHERE t.tgrelid = rel AND t.tgfoid = 'forge_comm.fences_guard()'::regprocedure)
$$;
COMMENT ON FUNCTION forge_comm.keeps_fences(regclass) IS
  'Is the table one of fences or of their changes? Its owner alone reads it';

-- Nobody reads it but the functions of this extension, which need no privilege.
CREATE FUNCTION forge_comm.create_fences_table(rel regclass, suffix text, columns text)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class record;
  qualified text;
  made regclass;
  grantee text;
BEGIN
  SELECT n.nspname, c.relname, c.relowner::regrole AS owner INTO class
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel;
  qualified := format('%I.%I', class.nspname, forge_comm.object_name(class.relname, suffix));
  -- One that is left of a table of that name, which was dropped.
  IF obj_description(to_regclass(qualified), 'pg_class') = forge_comm.fences_comment(rel) THEN
    EXECUTE format('DROP TABLE %s', qualified);
  END IF;
  EXECUTE format('CREATE TABLE %s (%s)', qualified, columns);
  made := qualified::regclass;
  EXECUTE format('COMMENT ON TABLE %s IS %L', made, forge_comm.fences_comment(rel));
  EXECUTE format('CREATE TRIGGER forge_comm_fences BEFORE INSERT OR UPDATE OR DELETE ON %s
                  FOR EACH ROW EXECUTE FUNCTION forge_comm.fences_guard()', made);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER forge_comm_fences', made);
  EXECUTE format('COMMENT ON TRIGGER forge_comm_fences ON %s IS %L', made, 'Made by forge_comm.enable_deep_pages()');
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made);
  FOR grantee IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid = made AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s', made, grantee);
  END LOOP;
  PERFORM forge_comm.give_to_owner(made, class.owner);
  RETURN made;
END
$$;
COMMENT ON FUNCTION forge_comm.create_fences_table(regclass, text, text) IS
  'Make a table that goes with a table of messages, for nobody to read';

CREATE FUNCTION forge_comm.describe_columns(rel regclass, meanings jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  meaning record;
BEGIN
  FOR meaning IN SELECT m.key, m.value FROM jsonb_each_text(meanings) AS m LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', rel, meaning.key, meaning.value);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.describe_columns(regclass, jsonb) IS
  'Comment on columns of a table';

CREATE FUNCTION forge_comm.create_fences(rel regclass, OUT fences regclass, OUT changes regclass)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  fences := forge_comm.create_fences_table(rel, '_fences', '
    channel_id bigint NOT NULL,
    level bigint NOT NULL,
    at bigint NOT NULL,
    id bigint NOT NULL,
    n bigint NOT NULL DEFAULT 0,
    stamp bigint,
    PRIMARY KEY (channel_id, level, at, id)');
  PERFORM forge_comm.describe_columns(fences, '{
    "channel_id": "The channel",
    "level": "0: a block, 1: a group of blocks, 2: the mark up to which changes are noted",
    "at": "Time of the newest message of the block, in microseconds since 2000-01-01",
    "id": "Its id",
    "n": "Live messages in the block when it was counted",
    "stamp": "Of a mark: what the table was then, so that an old one does not count"}');
  changes := forge_comm.create_fences_table(rel, '_fence_changes', '
    channel_id bigint NOT NULL,
    at bigint NOT NULL,
    id bigint NOT NULL,
    number bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (channel_id, at, id, number)');
  PERFORM forge_comm.describe_columns(changes, '{
    "channel_id": "The channel",
    "at": "Time of the message, in microseconds since 2000-01-01",
    "id": "Its id",
    "number": "Tells changes of one message apart",
    "n": "1 for a live message more, -1 for one less"}');
END
$$;
COMMENT ON FUNCTION forge_comm.create_fences(regclass) IS
  'Make the tables that deep pages are found by';

CREATE FUNCTION forge_comm.check_pageable(shape forge_comm.message_shape)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (SELECT c.relkind <> 'r' OR c.relhassubclass FROM pg_class AS c WHERE c.oid = shape.rel) THEN
    RAISE EXCEPTION 'table % has partitions or children', shape.rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Deep pages are for ordinary tables; get_messages() works as it does without.';
  ELSIF (SELECT NOT a.attnotnull FROM pg_attribute AS a
          WHERE a.attrelid = shape.rel AND a.attname = shape.created_at) THEN
    RAISE EXCEPTION 'column % of table % may be null', quote_ident(shape.created_at), shape.rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL;', shape.rel, shape.created_at);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_pageable(forge_comm.message_shape) IS
  'An error unless a table of messages can have deep pages';

-- How often there is a fence: as many messages are passed over one by one.
CREATE FUNCTION forge_comm.fence_block(min_messages integer)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT greatest(1, least(256, $1 / 40)) $$;
COMMENT ON FUNCTION forge_comm.fence_block(integer) IS
  'How many messages there are between two fences';

CREATE FUNCTION forge_comm.enable_deep_pages(rel regclass, min_messages integer DEFAULT 10000)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  shape forge_comm.message_shape;
  options jsonb;
  made record;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  shape := forge_comm.message_shape(rel);
  IF min_messages IS NULL OR min_messages < 40 THEN
    RAISE EXCEPTION 'min_messages must be 40 or more'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the number of messages that a channel has at least for fences to be kept.';
  END IF;
  PERFORM forge_comm.check_pageable(shape);
  options := jsonb_build_object('channel', shape.channel, 'created_at', shape.created_at, 'key', shape.key,
                                'deleted_at', shape.deleted_at, 'min_messages', min_messages,
                                'block', forge_comm.fence_block(min_messages));
  IF (forge_comm.deep_pages_options(rel) - '{fences,changes}'::text[]) = (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each_text(jsonb_strip_nulls(options)) AS o) THEN
    RAISE NOTICE 'deep_pages is enabled on table % already', rel;
    RETURN;
  ELSIF forge_comm.deep_pages_options(rel) IS NOT NULL THEN
    RAISE EXCEPTION 'deep_pages is enabled on table % with other options', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.disable_deep_pages() first.';
  END IF;
  SELECT * INTO made FROM forge_comm.create_fences(rel);
  PERFORM forge_comm.create_deep_pages_trigger(rel, options || jsonb_build_object('fences', made.fences, 'changes', made.changes));
  PERFORM forge_comm.replace_get_messages(shape);
END
$$;
COMMENT ON FUNCTION forge_comm.enable_deep_pages(regclass, integer) IS
  'Let get_messages() find the pages of a large channel that are far from the newest';

-- ALWAYS: what a subscription receives counts as well.
CREATE FUNCTION forge_comm.create_deep_pages_trigger(rel regclass, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  arguments text := (SELECT string_agg(quote_literal(o.key || '=' || o.value), ', ' ORDER BY o.ordinality)
                       FROM jsonb_each_text(jsonb_strip_nulls(options)) WITH ORDINALITY AS o);
BEGIN
  EXECUTE format('CREATE TRIGGER forge_comm_deep_pages AFTER INSERT OR UPDATE OR DELETE ON %s
                  FOR EACH ROW EXECUTE FUNCTION forge_comm.deep_pages_note(%s)', rel, arguments);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER forge_comm_deep_pages', rel);
  EXECUTE format('COMMENT ON TRIGGER forge_comm_deep_pages ON %s IS %L', rel, 'Made by forge_comm.enable_deep_pages()');
END
$$;
COMMENT ON FUNCTION forge_comm.create_deep_pages_trigger(regclass, jsonb) IS
  'Create the trigger that notes what changes among messages that are counted';

CREATE FUNCTION forge_comm.disable_deep_pages(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  made text;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.deep_pages_options(rel);
  IF options IS NULL THEN
    RAISE NOTICE 'deep_pages is not enabled on table %', rel;
    RETURN;
  END IF;
  PERFORM forge_comm.drop_rule_triggers(rel, 'deep_pages');
  PERFORM forge_comm.replace_get_messages(forge_comm.message_shape(rel));
  FOREACH made IN ARRAY ARRAY[options ->> 'fences', options ->> 'changes'] LOOP
    IF obj_description(to_regclass(made), 'pg_class') LIKE '%(made by forge_comm.enable_deep_pages())' THEN
      EXECUTE format('DROP TABLE %s', made);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_deep_pages(regclass) IS
  'Undo forge_comm.enable_deep_pages()';

-- ------------------------------------------------------------- maintenance

CREATE FUNCTION forge_comm.begin_fencing(rel regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_begin_fencing'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.begin_fencing(regclass) IS
  'Be the only one who maintains fences of a table; false if somebody else does';

CREATE FUNCTION forge_comm.end_fencing(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_end_fencing'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.end_fencing(regclass) IS
  'Let others maintain fences of a table';

CREATE FUNCTION forge_comm.await_fencing(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_await_fencing'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.await_fencing(regclass) IS
  'Wait for those who write messages and may not know of the marks committed last';

CREATE FUNCTION forge_comm.announce_marks(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_announce_marks'
LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION forge_comm.announce_marks(regclass) IS
  'Let all sessions read marks anew when this transaction commits';

CREATE FUNCTION forge_comm.fence_stamp(rel regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_fence_stamp'
LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION forge_comm.fence_stamp(regclass) IS
  'What changes whenever rows of a table may have changed unnoticed; null where they may now';

CREATE FUNCTION forge_comm.fence_candidates(rel regclass)
RETURNS TABLE (channel_id bigint, at bigint, id bigint)
AS 'MODULE_PATHNAME', 'forge_comm_fence_candidates'
LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION forge_comm.fence_candidates(regclass) IS
  'The channels that lack fences, and the place up to which to make them';

CREATE FUNCTION forge_comm.count_fences(rel regclass, channel bigint, after_at bigint, after_id bigint,
                                        to_at bigint, to_id bigint)
RETURNS TABLE (level bigint, at bigint, id bigint, n bigint)
AS 'MODULE_PATHNAME', 'forge_comm_count_fences'
LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION forge_comm.count_fences(regclass, bigint, bigint, bigint, bigint, bigint) IS
  'The fences for the messages between two places of a channel, by this query''s snapshot';

-- A template of SQL, with the names of the tables in {braces}.
CREATE FUNCTION forge_comm.fence_query(rel regclass, template text)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.fill(template, forge_comm.deep_pages_options(rel))
$$;
COMMENT ON FUNCTION forge_comm.fence_query(regclass, text) IS
  'A template of SQL about fences, for those of a table';

-- First phase: marks up to where changes are to be noted.  Fences of another
-- stamp are worth nothing, and neither is what was noted to go with them.
CREATE FUNCTION forge_comm.mark_fences(rel regclass)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stamp constant bigint := forge_comm.fence_stamp(rel);
  worthless boolean;
  marked bigint[];
BEGIN
  IF stamp IS NULL THEN
    RAISE EXCEPTION 'trigger forge_comm_deep_pages on table % is not enabled ALWAYS', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('ALTER TABLE %s ENABLE ALWAYS TRIGGER forge_comm_deep_pages;', rel);
  END IF;
  EXECUTE forge_comm.fence_query(rel, 'SELECT EXISTS (SELECT FROM {fences} AS f WHERE f.level = 2 AND f.stamp <> $1)')
     INTO worthless USING stamp;
  IF worthless THEN
    EXECUTE forge_comm.fence_query(rel, 'DELETE FROM {fences}');
    EXECUTE forge_comm.fence_query(rel, 'DELETE FROM {changes}');
  END IF;
  EXECUTE forge_comm.fence_query(rel, '
    WITH wanted AS MATERIALIZED (SELECT c.* FROM forge_comm.fence_candidates($1) AS c),
         raised AS (
           UPDATE {fences} AS f SET at = w.at, id = w.id FROM wanted AS w
            WHERE f.channel_id = w.channel_id AND f.level = 2 AND (f.at, f.id) < (w.at, w.id)),
         made AS (
           INSERT INTO {fences} (channel_id, level, at, id, stamp)
           SELECT w.channel_id, 2, w.at, w.id, $2 FROM wanted AS w
            WHERE NOT EXISTS (SELECT FROM {fences} AS f WHERE f.channel_id = w.channel_id AND f.level = 2))
    SELECT coalesce(array_agg(w.channel_id), ARRAY[]::bigint[]) FROM wanted AS w') INTO marked USING rel, stamp;
  PERFORM forge_comm.announce_marks(rel);
  RETURN marked;
END
$$;
COMMENT ON FUNCTION forge_comm.mark_fences(regclass) IS
  'Let changes be noted up to where there are to be fences; says in which channels';

CREATE FUNCTION forge_comm.changed_channels(rel regclass)
RETURNS SETOF bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY EXECUTE forge_comm.fence_query(rel, 'SELECT DISTINCT c.channel_id FROM {changes} AS c');
END
$$;
COMMENT ON FUNCTION forge_comm.changed_channels(regclass) IS
  'The channels of which changes are noted';

-- Each statement that changes fences counts in its own snapshot, and removes
-- the changes that this snapshot shows in the same breath.

CREATE FUNCTION forge_comm.fold_changes(rel regclass, channel bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE forge_comm.fence_query(rel, '
    WITH folded AS (DELETE FROM {changes} AS c WHERE c.channel_id = $1 RETURNING c.at, c.id, c.n),
         sums AS (
           SELECT f.level, f.at, f.id, sum(c.n) AS n
             FROM folded AS c
            CROSS JOIN (VALUES (0::bigint), (1)) AS l (level)
            CROSS JOIN LATERAL (
              SELECT f.level, f.at, f.id FROM {fences} AS f
               WHERE f.channel_id = $1 AND f.level = l.level AND (f.at, f.id) >= (c.at, c.id)
               ORDER BY f.at, f.id LIMIT 1) AS f
            GROUP BY f.level, f.at, f.id)
    UPDATE {fences} AS f SET n = f.n + s.n FROM sums AS s
     WHERE f.channel_id = $1 AND f.level = s.level AND f.at = s.at AND f.id = s.id') USING channel;
END
$$;
COMMENT ON FUNCTION forge_comm.fold_changes(regclass, bigint) IS
  'Add changes that are noted to the fences';

CREATE FUNCTION forge_comm.renew_fences(rel regclass, channel bigint, after_at bigint, after_id bigint,
                                        to_at bigint, to_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- What is counted is inserted once the old fences are gone: the condition
  -- reads how many those were.
  EXECUTE forge_comm.fence_query(rel, '
    WITH noted AS (
           DELETE FROM {changes} AS c
            WHERE c.channel_id = $2 AND (c.at, c.id) > ($3, $4) AND (c.at, c.id) <= ($5, $6)),
         outdated AS (
           DELETE FROM {fences} AS f
            WHERE f.channel_id = $2 AND f.level IN (0, 1) AND (f.at, f.id) > ($3, $4) AND (f.at, f.id) <= ($5, $6)
           RETURNING f.level)
    INSERT INTO {fences} (channel_id, level, at, id, n)
    SELECT $2, c.level, c.at, c.id, c.n FROM forge_comm.count_fences($1, $2, $3, $4, $5, $6) AS c
     WHERE (SELECT count(*) FROM outdated) >= 0') USING rel, channel, after_at, after_id, to_at, to_id;
END
$$;
COMMENT ON FUNCTION forge_comm.renew_fences(regclass, bigint, bigint, bigint, bigint, bigint) IS
  'Make the fences between two places of a channel anew';

-- Up to the mark; the newest group is made anew until it is full.
CREATE FUNCTION forge_comm.extend_fences(rel regclass, channel bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lowest constant bigint := -9223372036854775808;
  mark record;
  last record;
BEGIN
  EXECUTE forge_comm.fence_query(rel, 'SELECT f.at, f.id FROM {fences} AS f WHERE f.channel_id = $1 AND f.level = 2')
     INTO mark USING channel;
  EXECUTE forge_comm.fence_query(rel, '
    SELECT f.at, f.id FROM {fences} AS f
     WHERE f.channel_id = $1 AND f.level = 1
       AND (f.n >= $2 OR (f.at, f.id) < (SELECT g.at, g.id FROM {fences} AS g WHERE g.channel_id = $1 AND g.level = 1
                                          ORDER BY g.at DESC, g.id DESC LIMIT 1))
     ORDER BY f.at DESC, f.id DESC LIMIT 1') INTO last USING channel, forge_comm.group_size(rel);
  PERFORM forge_comm.renew_fences(rel, channel, coalesce(last.at, lowest), coalesce(last.id, lowest), mark.at, mark.id);
END
$$;
COMMENT ON FUNCTION forge_comm.extend_fences(regclass, bigint) IS
  'Make fences up to the mark of a channel';

CREATE FUNCTION forge_comm.group_size(rel regclass)
RETURNS bigint
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 64 * (forge_comm.deep_pages_options(rel) ->> 'block')::bigint $$;
COMMENT ON FUNCTION forge_comm.group_size(regclass) IS
  'How many messages a group of blocks has when it is made';

-- A group that has grown, or has a block that has, and two that have shrunk
-- into what is less than half of one.
CREATE FUNCTION forge_comm.uneven_fences(rel regclass, channel bigint,
                                         OUT after_at bigint, OUT after_id bigint, OUT to_at bigint, OUT to_id bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lowest constant bigint := -9223372036854775808;
BEGIN
  EXECUTE forge_comm.fence_query(rel, '
    WITH groups AS (
      SELECT g.at, g.id, g.n,
             coalesce(lead(g.at) OVER newest_first, $3) AS next_at, coalesce(lead(g.id) OVER newest_first, $3) AS next_id,
             coalesce(lead(g.at, 2) OVER newest_first, $3) AS after_at, coalesce(lead(g.id, 2) OVER newest_first, $3) AS after_id,
             lead(g.n) OVER newest_first AS next_n
        FROM {fences} AS g WHERE g.channel_id = $1 AND g.level = 1
      WINDOW newest_first AS (ORDER BY g.at DESC, g.id DESC))
    SELECT CASE WHEN u.merge THEN g.after_at ELSE g.next_at END, CASE WHEN u.merge THEN g.after_id ELSE g.next_id END,
           g.at, g.id
      FROM groups AS g
     CROSS JOIN LATERAL (SELECT g.n + g.next_n <= $2 / 2 AS merge) AS u
     WHERE u.merge OR g.n > 2 * $2
        OR EXISTS (SELECT FROM {fences} AS b
                    WHERE b.channel_id = $1 AND b.level = 0 AND b.n > $2 / 16
                      AND (b.at, b.id) > (g.next_at, g.next_id) AND (b.at, b.id) <= (g.at, g.id))
     LIMIT 1') INTO after_at, after_id, to_at, to_id USING channel, forge_comm.group_size(rel), lowest;
END
$$;
COMMENT ON FUNCTION forge_comm.uneven_fences(regclass, bigint) IS
  'A range of fences that should be made anew, null if there is none';

-- Last phase: fences, a channel at a time.
CREATE FUNCTION forge_comm.make_fences(rel regclass, channel bigint, extend boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  is_marked boolean;
  uneven record;
BEGIN
  -- The table may have been truncated since; then there is a next time.
  EXECUTE forge_comm.fence_query(rel, '
    SELECT EXISTS (SELECT FROM {fences} AS f WHERE f.channel_id = $1 AND f.level = 2 AND f.stamp = $2)')
     INTO is_marked USING channel, forge_comm.fence_stamp(rel);
  IF NOT is_marked THEN
    RETURN;
  END IF;
  IF extend THEN
    PERFORM forge_comm.extend_fences(rel, channel);
  END IF;
  PERFORM forge_comm.fold_changes(rel, channel);
  LOOP
    uneven := forge_comm.uneven_fences(rel, channel);
    EXIT WHEN uneven.to_at IS NULL;
    PERFORM forge_comm.renew_fences(rel, channel, uneven.after_at, uneven.after_id, uneven.to_at, uneven.to_id);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.make_fences(regclass, bigint, boolean) IS
  'Bring the fences of a channel up to date';

CREATE FUNCTION forge_comm.own_deep_pages()
RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.tgrelid::regclass
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
   WHERE t.tgname = 'forge_comm_deep_pages' AND pg_has_role(c.relowner, 'USAGE')
     AND forge_comm.deep_pages_options(t.tgrelid) IS NOT NULL
   ORDER BY 1
$$;
COMMENT ON FUNCTION forge_comm.own_deep_pages() IS
  'The tables with deep pages that the caller may maintain';

CREATE FUNCTION forge_comm.check_deep_pages(rel regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_table(rel);
  IF forge_comm.deep_pages_options(rel) IS NULL THEN
    RAISE EXCEPTION 'deep_pages is not enabled on table %', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_deep_pages() first.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_deep_pages(regclass) IS
  'An error unless the table has deep pages that the caller may maintain';

-- Every transaction that changes fences locks the table before it takes its
-- snapshot, so that no TRUNCATE comes between.
CREATE PROCEDURE forge_comm.maintain_deep_pages(rel regclass DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  one pg_catalog.regclass;
  marked pg_catalog.int8[];
  channel pg_catalog.int8;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF forge_comm.in_transaction_block() THEN
    RAISE EXCEPTION 'maintain_deep_pages cannot run inside a transaction block'
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'It commits each step. Call it outside of BEGIN, in Alembic within an autocommit_block().';
  END IF;
  IF rel IS NOT NULL THEN
    PERFORM forge_comm.check_deep_pages(rel);
  END IF;
  FOREACH one IN ARRAY CASE WHEN rel IS NULL THEN ARRAY(SELECT forge_comm.own_deep_pages()) ELSE ARRAY[rel] END LOOP
    COMMIT;
    EXECUTE pg_catalog.format('LOCK TABLE %s IN ACCESS SHARE MODE', one);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF NOT forge_comm.begin_fencing(one) THEN
      RAISE NOTICE 'fences of table % are being maintained by another session', one;
      CONTINUE;
    END IF;
    marked := forge_comm.mark_fences(one);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF marked <> '{}' THEN
      PERFORM forge_comm.await_fencing(one);
      COMMIT;
      PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    END IF;
    FOREACH channel IN ARRAY ARRAY(SELECT unnest(marked) UNION SELECT forge_comm.changed_channels(one)) LOOP
      COMMIT;
      EXECUTE pg_catalog.format('LOCK TABLE %s IN ACCESS SHARE MODE', one);
      PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
      PERFORM forge_comm.make_fences(one, channel, channel = ANY (marked));
    END LOOP;
    PERFORM forge_comm.end_fencing(one);
  END LOOP;
END
$$;
COMMENT ON PROCEDURE forge_comm.maintain_deep_pages(regclass) IS
  'Make fences for large channels, and bring those there are up to date';
