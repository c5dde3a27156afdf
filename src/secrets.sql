-- Columns whose values are nobody's to see.

CREATE FUNCTION forge_comm.secrets_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_secrets_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.secrets_guard() IS
  'Trigger: names the columns that are secret, and refuses what is not of their kind';

CREATE FUNCTION forge_comm.clear_statistics(rel regclass, attnum smallint)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_clear_statistics'
LANGUAGE c STRICT;
COMMENT ON FUNCTION forge_comm.clear_statistics(regclass, smallint) IS
  'Forget what ANALYZE has collected of a column';

-- The last argument tells the type of the key, and is otherwise not looked at.
CREATE FUNCTION forge_comm.verify_token(rel regclass, column_name name, token text, key anyelement DEFAULT NULL::bigint)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'forge_comm_verify_token'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.verify_token(regclass, name, text, anyelement) IS
  'The primary key of the live, unexpired row that has this token''s digest, else null';

CREATE FUNCTION forge_comm.secret_options(rel regclass)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT forge_comm.rule_options(rel, 'forge_comm_secrets', 'secrets_guard') $$;
COMMENT ON FUNCTION forge_comm.secret_options(regclass) IS
  'Which columns are secret, with all that is known of them; null if none is';

CREATE FUNCTION forge_comm.secret_columns(rel regclass)
RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce((forge_comm.secret_options(rel) ->> 'columns')::name[], '{}') $$;
COMMENT ON FUNCTION forge_comm.secret_columns(regclass) IS
  'The columns that are secret';

-- ---------------------------------------------------------------- statistics

CREATE FUNCTION forge_comm.stop_statistics(rel regclass, columns name[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kept record;
BEGIN
  FOR kept IN
    -- The columns, and what indexes have computed of them
    SELECT c.oid::regclass AS holder, c.relkind = 'i' AS is_index, s.attnum, a.attname,
           h.attstattarget IS DISTINCT FROM 0 AS is_kept
      FROM pg_attribute AS a
      CROSS JOIN LATERAL (
        SELECT a.attrelid, a.attnum
        UNION
        SELECT i.indexrelid, e.attnum
          FROM pg_depend AS d
          JOIN pg_index AS i ON i.indexrelid = d.objid AND i.indexprs IS NOT NULL
          JOIN pg_attribute AS e ON e.attrelid = i.indexrelid AND i.indkey[e.attnum - 1] = 0
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum) AS s (oid, attnum)
      JOIN pg_class AS c ON c.oid = s.oid AND c.relkind IN ('r', 'p', 'i')
      JOIN pg_attribute AS h ON h.attrelid = s.oid AND h.attnum = s.attnum
     WHERE a.attrelid = rel AND a.attname = ANY (columns) AND NOT a.attisdropped
  LOOP
    -- The event trigger calls this after each ALTER TABLE.
    IF kept.is_kept AND kept.is_index THEN
      EXECUTE format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0', kept.holder, kept.attnum);
    ELSIF kept.is_kept THEN
      EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS 0', kept.holder, kept.attname);
    END IF;
    PERFORM forge_comm.clear_statistics(kept.holder, kept.attnum);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.stop_statistics(regclass, name[]) IS
  'Let ANALYZE collect nothing of these columns, and forget what it has';

CREATE FUNCTION forge_comm.resume_statistics(rel regclass, column_name name, target integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  kept record;
BEGIN
  FOR kept IN
    SELECT f.member FROM forge_comm.family(rel) AS f
  LOOP
    EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS %s', kept.member, column_name, target);
  END LOOP;
  FOR kept IN
    SELECT DISTINCT i.indexrelid::regclass AS holder, e.attnum
      FROM forge_comm.family(rel) AS f
      JOIN pg_attribute AS a ON a.attrelid = f.member AND a.attname = column_name
      JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                         AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      JOIN pg_index AS i ON i.indexrelid = d.objid AND i.indexprs IS NOT NULL
      JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
      JOIN pg_attribute AS e ON e.attrelid = i.indexrelid AND i.indkey[e.attnum - 1] = 0
  LOOP
    EXECUTE format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS -1', kept.holder, kept.attnum);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.resume_statistics(regclass, name, integer) IS
  'Undo forge_comm.stop_statistics() for a column';

-- ---------------------------------------------------------------- privileges

-- A privilege on the table includes all columns, so it is traded for those on
-- the others. What was taken is returned, [table, role, column or null].
CREATE FUNCTION forge_comm.revoke_column(rel regclass, column_name name, readers regrole[])
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  held record;
  others text;
  revoked jsonb := '[]';
BEGIN
  FOR held IN
    SELECT f.member, r.role, c.relowner,
           EXISTS (SELECT FROM aclexplode(c.relacl) AS g
                    WHERE g.grantee = r.role AND g.privilege_type = 'SELECT') AS on_table,
           EXISTS (SELECT FROM aclexplode(a.attacl) AS g
                    WHERE g.grantee = r.role AND g.privilege_type = 'SELECT') AS on_column
      FROM forge_comm.family(rel) AS f
      JOIN pg_class AS c ON c.oid = f.member
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = column_name
     CROSS JOIN forge_comm.roles_without(readers) AS r (role)
     ORDER BY f.depth, f.member, r.role::text COLLATE "C"
  LOOP
    IF held.role = held.relowner THEN
      IF held.member = rel THEN
        RAISE NOTICE 'role % owns table % and can read its secret columns', held.role, rel
          USING HINT = 'Let the application connect as another role.';
      END IF;
      CONTINUE;
    ELSIF held.on_table THEN
      -- system columns, too: a purge asks for ctid, some applications for xmin
      others := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                   FROM pg_attribute AS a
                  WHERE a.attrelid = held.member AND NOT a.attisdropped
                    AND a.attname <> ALL (forge_comm.secret_columns(rel) || column_name));
      EXECUTE format('REVOKE SELECT ON TABLE %s FROM %s', held.member, held.role);
      IF others IS NOT NULL THEN
        EXECUTE format('GRANT SELECT (%s) ON TABLE %s TO %s', others, held.member, held.role);
      END IF;
      revoked := revoked || jsonb_build_array(jsonb_build_array(held.member, held.role, NULL));
    ELSIF held.on_column THEN
      EXECUTE format('REVOKE SELECT (%I) ON TABLE %s FROM %s', column_name, held.member, held.role);
      revoked := revoked || jsonb_build_array(jsonb_build_array(held.member, held.role, column_name));
    END IF;
  END LOOP;
  FOR held IN
    SELECT f.member, r.role
      FROM forge_comm.family(rel) AS f
      JOIN pg_class AS c ON c.oid = f.member
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = column_name
     CROSS JOIN forge_comm.roles_without(readers) AS r (role)
     -- by its number: other tables, which may be looked at first, have no such name
     WHERE r.role <> c.relowner AND has_column_privilege(r.role::oid, a.attrelid, a.attnum, 'SELECT')
     ORDER BY f.depth, f.member, r.role::text COLLATE "C"
  LOOP
    RAISE WARNING 'role % can still read column % of table %', held.role, quote_ident(column_name), held.member
      USING HINT = 'It has the privilege through PUBLIC or another role.';
  END LOOP;
  RETURN revoked;
END
$$;
COMMENT ON FUNCTION forge_comm.revoke_column(regclass, name, regrole[]) IS
  'Take the privilege to read a column from the roles of applications';

-- Gives back what was taken for one column, and, where none is left, what was
-- taken from the table. Returns what is still to be given back.
CREATE FUNCTION forge_comm.regrant_column(rel regclass, column_name name, is_last boolean, revoked jsonb)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  taken record;
  kept jsonb := '[]';
BEGIN
  FOR taken IN
    SELECT to_regclass(e.entry ->> 0) AS member, e.entry ->> 1 AS role, e.entry ->> 2 AS column_name, e.entry
      FROM jsonb_array_elements(coalesce(revoked, '[]')) AS e (entry)
     -- privileges on columns first, lest they undo one on the table
     ORDER BY e.entry ->> 2 IS NULL
  LOOP
    IF taken.column_name IS DISTINCT FROM regrant_column.column_name AND taken.column_name IS NOT NULL THEN
      kept := kept || jsonb_build_array(taken.entry);
      CONTINUE;
    ELSIF taken.column_name IS NULL AND NOT is_last THEN
      kept := kept || jsonb_build_array(taken.entry);
    END IF;
    CONTINUE WHEN taken.member IS NULL OR to_regrole(taken.role) IS NULL;
    IF taken.column_name IS NULL AND is_last THEN
      EXECUTE format('REVOKE SELECT ON TABLE %s FROM %s', taken.member, to_regrole(taken.role));
      EXECUTE format('GRANT SELECT ON TABLE %s TO %s', taken.member, to_regrole(taken.role));
    ELSE
      EXECUTE format('GRANT SELECT (%I) ON TABLE %s TO %s', regrant_column.column_name, taken.member, to_regrole(taken.role));
    END IF;
  END LOOP;
  RETURN kept;
END
$$;
COMMENT ON FUNCTION forge_comm.regrant_column(regclass, name, boolean, jsonb) IS
  'Undo forge_comm.revoke_column()';

-- The view of live rows runs with its reader's privileges, and needs them for
-- each of its columns: secret ones are null in it.
CREATE FUNCTION forge_comm.hide_in_live_view(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  view regclass := forge_comm.live_view(rel);
  secret name[] := forge_comm.secret_columns(rel);
  list text;
  unknown name;
BEGIN
  IF view IS NULL THEN
    RETURN;
  END IF;
  SELECT string_agg(CASE WHEN v.attname = ANY (secret)
                         THEN format('NULL::%s%s AS %I', format_type(v.atttypid, v.atttypmod),
                                     CASE WHEN v.attcollation <> 0 THEN ' COLLATE ' || v.attcollation::regcollation END,
                                     v.attname)
                         ELSE quote_ident(v.attname) END, ', ' ORDER BY v.attnum),
         min(v.attname) FILTER (WHERE forge_comm.column_type(rel, v.attname) IS NULL)
    INTO list, unknown
    FROM pg_attribute AS v
   WHERE v.attrelid = view AND v.attnum > 0;
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'column % of view % is called otherwise in table %', quote_ident(unknown), view, rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Disable soft delete and enable it again, which makes the view anew.';
  END IF;
  EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS SELECT %s FROM %s WHERE %I IS NULL',
                 view, list, rel,
                 forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at');
END
$$;
COMMENT ON FUNCTION forge_comm.hide_in_live_view(regclass) IS
  'Let the view of live rows show nulls for secret columns, and no others';

-- ------------------------------------------------------------------ marking

-- The trigger of each table and inheritance child anew; partitions follow.
CREATE FUNCTION forge_comm.store_secrets(rel regclass, options jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  member regclass;
BEGIN
  PERFORM forge_comm.drop_rule_triggers(rel, 'secrets');
  IF options IS NULL THEN
    RETURN;
  END IF;
  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f WHERE NOT f.is_partition LOOP
    PERFORM forge_comm.create_rule_trigger(member, 'secrets', 'INSERT OR UPDATE', 'secrets_guard',
                                           CASE WHEN member = rel THEN options
                                                ELSE options - 'revoked' - 'statistics' END);
    EXECUTE format('COMMENT ON TRIGGER forge_comm_secrets ON %s IS %L', member,
                   'Made by forge_comm.mark_secret()');
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.store_secrets(regclass, jsonb) IS
  'Make the trigger that says what is secret; none if there are no options';

CREATE FUNCTION forge_comm.check_secret(rel regclass, column_name name, kind text, digest_bytes integer, expires_at name)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  statistics text;
BEGIN
  IF kind IS NULL THEN
    PERFORM forge_comm.check_column(rel, column_name, ARRAY[forge_comm.column_type(rel, column_name)]);
  ELSIF kind = 'password_hash' THEN
    PERFORM forge_comm.check_written_column(rel, column_name, '{text,varchar,bpchar}');
  ELSIF kind = 'token_digest' THEN
    PERFORM forge_comm.check_written_column(rel, column_name, '{text,varchar,bpchar,bytea}');
    IF digest_bytes IS NULL OR digest_bytes NOT IN (28, 32, 48, 64) THEN
      RAISE EXCEPTION 'digest_bytes must be 28, 32, 48 or 64'
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'These are the lengths of SHA-224, SHA-256, SHA-384 and SHA-512 digests.';
    END IF;
    IF expires_at IS NOT NULL THEN
      PERFORM forge_comm.check_column(rel, expires_at, '{timestamptz,timestamp}');
    END IF;
  ELSE
    RAISE EXCEPTION 'there is no such kind of secret'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'kind must be password_hash, token_digest or null.';
  END IF;
  SELECT pg_describe_object(d.classid, d.objid, 0) INTO statistics
    FROM forge_comm.family(rel) AS f
    JOIN pg_attribute AS a ON a.attrelid = f.member AND a.attname = column_name
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                       AND d.classid = 'pg_statistic_ext'::regclass
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% keeps values of column % of table %', statistics, quote_ident(column_name), rel
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'Drop it first.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_secret(regclass, name, text, integer, name) IS
  'An error unless the column can be marked as this kind of secret';

CREATE FUNCTION forge_comm.mark_secret(rel regclass, column_name name, kind text DEFAULT NULL,
                                       readers regrole[] DEFAULT '{}', digest_bytes integer DEFAULT 32,
                                       expires_at name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  columns name[];
  kinds text[];
  position integer;
  expiry name;
  stored text := coalesce(kind, 'plain') || CASE WHEN kind = 'token_digest' THEN ':' || digest_bytes ELSE '' END;
  member regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF kind = 'token_digest' THEN
    -- A column of that name is hardly there to be overlooked.
    expiry := nullif(coalesce(expires_at,
                              CASE WHEN forge_comm.column_type(rel, 'expires_at') = ANY ('{timestamptz,timestamp}'::regtype[])
                                   THEN 'expires_at' END), '');
  END IF;
  PERFORM forge_comm.check_secret(rel, column_name, kind, digest_bytes, expiry);
  IF readers IS NULL OR array_position(readers, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'readers must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass an array of roles, which may be empty.';
  END IF;
  options := coalesce(forge_comm.secret_options(rel), '{}');
  columns := coalesce((options ->> 'columns')::name[], '{}');
  kinds := coalesce((options ->> 'kinds')::text[], '{}');
  position := array_position(columns, column_name);
  IF position IS NOT NULL THEN
    IF kinds[position] <> stored OR (expiry IS NOT NULL AND options ->> 'expires_at' IS DISTINCT FROM expiry) THEN
      RAISE EXCEPTION 'column % of table % is marked as secret with other options', quote_ident(column_name), rel
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Call forge_comm.unmark_secret() first.';
    END IF;
    RAISE NOTICE 'column % of table % is marked as secret already', quote_ident(column_name), rel;
    RETURN;
  ELSIF expiry IS NOT NULL AND options ->> 'expires_at' <> expiry THEN
    RAISE EXCEPTION 'tokens of table % expire by column % already', rel, quote_ident(options ->> 'expires_at')
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'All tokens of a row expire together; name that column, or unmark the others first.';
  END IF;

  options := options || jsonb_build_object(
    'columns', (columns || column_name)::text,
    'kinds', (kinds || stored)::text,
    'expires_at', coalesce(options ->> 'expires_at', expiry),
    -- What unmarking restores
    'statistics', (coalesce((options ->> 'statistics')::integer[], '{}')
                   || (SELECT coalesce(a.attstattarget::integer, -1) FROM pg_attribute AS a
                        WHERE a.attrelid = rel AND a.attname = column_name))::text,
    'readers', coalesce((options ->> 'readers')::jsonb, '{}') || jsonb_build_object(column_name, readers),
    'revoked', coalesce((options ->> 'revoked')::jsonb, '[]')
               || forge_comm.revoke_column(rel, column_name, readers));
  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f LOOP
    PERFORM forge_comm.stop_statistics(member, ARRAY[column_name]);
  END LOOP;
  PERFORM forge_comm.store_secrets(rel, options);
  PERFORM forge_comm.hide_in_live_view(rel);
END
$$;
COMMENT ON FUNCTION forge_comm.mark_secret(regclass, name, text, regrole[], integer, name) IS
  'Keep the values of a column out of history, statistics, errors, the log and the reach of applications';

CREATE FUNCTION forge_comm.unmark_secret(rel regclass, column_name name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  columns name[];
  kinds text[];
  targets integer[];
  position integer;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := coalesce(forge_comm.secret_options(rel), '{}');
  columns := coalesce((options ->> 'columns')::name[], '{}');
  kinds := coalesce((options ->> 'kinds')::text[], '{}');
  targets := coalesce((options ->> 'statistics')::integer[], '{}');
  position := array_position(columns, column_name);
  IF position IS NULL THEN
    RAISE NOTICE 'column % of table % is not marked as secret', coalesce(quote_ident(column_name), 'null'), rel;
    RETURN;
  END IF;

  columns := columns[:position - 1] || columns[position + 1:];
  -- It may have been dropped, or have another name by now.
  IF forge_comm.column_type(rel, column_name) IS NOT NULL THEN
    options := options || jsonb_build_object(
      'revoked', forge_comm.regrant_column(rel, column_name, columns = '{}', (options ->> 'revoked')::jsonb));
  END IF;
  kinds := kinds[:position - 1] || kinds[position + 1:];
  options := options || jsonb_build_object(
    'columns', columns::text,
    'kinds', kinds::text,
    'statistics', (targets[:position - 1] || targets[position + 1:])::text,
    'readers', (options ->> 'readers')::jsonb - column_name::text,
    'expires_at', CASE WHEN array_to_string(kinds, ',') LIKE '%token_digest%' THEN options ->> 'expires_at' END);
  -- As long as the trigger is there, so is what the event trigger does for it.
  PERFORM forge_comm.store_secrets(rel, CASE WHEN columns <> '{}' THEN options END);
  IF forge_comm.column_type(rel, column_name) IS NOT NULL THEN
    PERFORM forge_comm.resume_statistics(rel, column_name, coalesce(targets[position], -1));
  END IF;
  PERFORM forge_comm.hide_in_live_view(rel);
END
$$;
COMMENT ON FUNCTION forge_comm.unmark_secret(regclass, name) IS
  'Undo forge_comm.mark_secret()';

-- ------------------------------------------------------------ for the checklist

-- Whoever owns a table can make a trigger on it whose arguments make no sense;
-- that must not keep others from their findings.
CREATE FUNCTION forge_comm.known_secrets(rel regclass)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
BEGIN
  options := forge_comm.secret_options(rel);
  PERFORM (options ->> 'columns')::name[], (options ->> 'readers')::jsonb;
  RETURN options;
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION forge_comm.known_secrets(regclass) IS
  'As forge_comm.secret_options(), and null if the trigger makes no sense';

-- Partitions and inheritance children are read and analyzed on their own, too.
CREATE FUNCTION forge_comm.marked_columns(schema regnamespace)
RETURNS TABLE (rel regclass, attname name, attnum int2, readers regrole[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid, a.attname, a.attnum,
         ARRAY(SELECT r.oid::regrole FROM pg_roles AS r
                WHERE (o.options ->> 'readers')::jsonb -> a.attname::text ? r.oid::regrole::text)
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = schema
   CROSS JOIN LATERAL forge_comm.known_secrets(c.oid) AS o (options)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = ANY ((o.options ->> 'columns')::name[])
   WHERE t.tgname = 'forge_comm_secrets'
$$;
COMMENT ON FUNCTION forge_comm.marked_columns(regnamespace) IS
  'The columns of a schema that are marked as secret';
