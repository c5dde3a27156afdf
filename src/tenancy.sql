-- Rows belong to a workspace.

CREATE FUNCTION forge_comm.tenancy_guard()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_tenancy_guard'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.tenancy_guard() IS
  'Trigger: fills the workspace of rows, keeps them in it, and their references too';

-- ---------------------------------------------------------------- policies

CREATE FUNCTION forge_comm.tenancy_parent(rel regclass, via name, OUT parent regclass, OUT key_column name,
                                          OUT workspace_column name)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  referenced regclass;
  equals oid;
BEGIN
  SELECT c.confrelid, ka.attname,
         forge_comm.rule_options(c.confrelid, 'forge_comm_tenancy', 'tenancy_guard') ->> 'workspace_column',
         k.operator
    INTO parent, key_column, workspace_column, equals
    FROM pg_constraint AS c
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey, c.conpfeqop) AS k (attnum, refnum, operator)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
    JOIN pg_attribute AS ka ON ka.attrelid = c.confrelid AND ka.attnum = k.refnum
   WHERE c.conrelid = rel AND c.contype = 'f' AND a.attname = via
     -- a key to a partitioned table has copies for its partitions, which do not count
     AND NOT EXISTS (SELECT FROM pg_constraint AS p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid)
   ORDER BY c.confrelid = rel, forge_comm.rule_options(c.confrelid, 'forge_comm_tenancy', 'tenancy_guard') IS NULL,
            cardinality(c.conkey), c.conname
   LIMIT 1;
  referenced := parent;

  IF NOT FOUND THEN
    RAISE EXCEPTION 'column % of table % has no foreign key', quote_ident(via), rel
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'The workspace comes through a foreign key; add it first.';
  ELSIF referenced = rel THEN
    RAISE EXCEPTION 'column % of table % references the table itself', quote_ident(via), rel
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'Name the foreign key to the table above it, such as the channel of a message.';
  ELSIF workspace_column IS NULL THEN
    RAISE EXCEPTION 'table %, which column % of table % references, is not under tenancy',
                    referenced, quote_ident(via), rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Call forge_comm.enable_tenancy() for that table first. If each references the other, one must have a workspace column of its own.';
  ELSIF NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                     WHERE i.indrelid = referenced AND i.indisunique AND i.indisvalid AND i.indimmediate
                       AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = key_column) THEN
    RAISE EXCEPTION 'table % has no unique index on column % alone', referenced, quote_ident(key_column)
      USING ERRCODE = 'invalid_foreign_key',
            HINT = 'The row that gives the workspace must be found by one column; make it a primary or unique key.';
  ELSIF (SELECT o.oprnamespace <> 'pg_catalog'::regnamespace FROM pg_operator AS o WHERE o.oid = equals) THEN
    RAISE EXCEPTION 'column % of table % is of a type that did not come with PostgreSQL', quote_ident(via), rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Name a foreign key of a built-in type.';
  ELSIF (SELECT NOT a.attnotnull FROM pg_attribute AS a
          WHERE a.attrelid = referenced AND a.attname = workspace_column
            AND forge_comm.rule_options(referenced, 'forge_comm_tenancy', 'tenancy_guard') ? 'via') THEN
    RAISE EXCEPTION 'table %, which column % of table % references, has rows without a workspace yet',
                    referenced, quote_ident(via), rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('CALL forge_comm.backfill(%L) first.', referenced);
  ELSIF (SELECT p.relowner <> c.relowner FROM pg_class AS p, pg_class AS c
          WHERE p.oid = referenced AND c.oid = rel) THEN
    RAISE EXCEPTION 'table %, which column % of table % references, has another owner',
                    referenced, quote_ident(via), rel
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Both tables must have one owner, who fills the workspaces in.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.tenancy_parent(regclass, name) IS
  'The table through which a column leads to the workspace';

-- While a table is being filled, a row without a workspace shows where its
-- parent does: the parent's own policies decide.
CREATE FUNCTION forge_comm.tenancy_expression(member regclass, workspace_column name, via name DEFAULT NULL,
                                              parent regclass DEFAULT NULL, key_column name DEFAULT NULL,
                                              parent_column name DEFAULT NULL, founding boolean DEFAULT false)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  -- The child is named with its schema: no alias can stand in for it then.
  SELECT CASE WHEN founding
              THEN format('forge_comm.in_workspace(%I, %L::pg_catalog.regclass)', workspace_column,
                          format('%I.%I', n.nspname, c.relname))
              WHEN parent IS NULL
              THEN format('forge_comm.in_workspace(%I)', workspace_column)
              ELSE format('forge_comm.in_workspace(CASE WHEN %1$s.%2$I IS NULL'
                          ' THEN (SELECT p.%3$I FROM %4$s AS p WHERE p.%5$I OPERATOR(pg_catalog.=) %1$s.%6$I)'
                          ' ELSE %1$s.%2$I END)',
                          format('%I.%I', n.nspname, c.relname),
                          workspace_column, parent_column, parent, key_column, via)
         END
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = member
$$;
COMMENT ON FUNCTION forge_comm.tenancy_expression(regclass, name, name, regclass, name, name, boolean) IS
  'What the policies of a table ask of a row';

-- Row security asks the table named in the query, so every member of the
-- family needs the policies.  The permissive one says no more than the
-- restrictive: the planner merges them, and with the extension both go.  It is
-- left out where the application has permissive policies of its own.
CREATE FUNCTION forge_comm.protect_member(member regclass, condition text, check_condition text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  clauses text := format('USING (%s) WITH CHECK (%s)', condition, check_condition);
BEGIN
  -- First, since its trigger tells the event trigger that the member is looked after.
  PERFORM forge_comm.force_row_security(member, 'tenancy', 'tenancy_guard');
  PERFORM forge_comm.create_policy(member, 'forge_comm_tenancy', 'AS RESTRICTIVE ' || clauses,
                                   'No row of a workspace that is not in scope, whatever other policies say');
  IF NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = member AND p.polpermissive) THEN
    PERFORM forge_comm.create_policy(member, 'forge_comm_access', clauses,
                                     'Every row of the workspaces in scope; replace it to allow less');
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.protect_member(regclass, text, text) IS
  'Put a table or one of its children under the policies of tenancy';

-- Who may not write gets the errors and the silence that row security gives.
CREATE FUNCTION forge_comm.create_role_policies(member regclass, workspace_column name, roles text[], founding boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  condition text := format('forge_comm.has_role(%I, VARIADIC %L::pg_catalog.text[])', workspace_column, roles);
  meaning text := 'Only these roles write rows of a workspace';
BEGIN
  -- Who may found a workspace has no role in it yet.
  IF NOT founding THEN
    PERFORM forge_comm.create_policy(member, 'forge_comm_write_insert',
                                     format('AS RESTRICTIVE FOR INSERT WITH CHECK (%s)', condition), meaning);
  END IF;
  PERFORM forge_comm.create_policy(member, 'forge_comm_write_update',
                                   format('AS RESTRICTIVE FOR UPDATE USING (%s)', condition), meaning);
  PERFORM forge_comm.create_policy(member, 'forge_comm_write_delete',
                                   format('AS RESTRICTIVE FOR DELETE USING (%s)', condition), meaning);
END
$$;
COMMENT ON FUNCTION forge_comm.create_role_policies(regclass, name, text[], boolean) IS
  'Let only some roles write the rows of a table';

CREATE FUNCTION forge_comm.alter_policies(member regclass, expression text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  policy name;
BEGIN
  FOR policy IN
    SELECT p.polname FROM pg_policy AS p
     WHERE p.polrelid = member AND p.polname IN ('forge_comm_tenancy', 'forge_comm_access')
  LOOP
    EXECUTE format('ALTER POLICY %I ON %s USING (%s)', policy, member, expression);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.alter_policies(regclass, text) IS
  'Change what the policies of tenancy ask';

CREATE FUNCTION forge_comm.unprotect_member(member regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  policy name;
BEGIN
  FOR policy IN
    SELECT p.polname FROM pg_policy AS p
     WHERE p.polrelid = member AND (p.polname IN ('forge_comm_tenancy', 'forge_comm_access')
                                    OR starts_with(p.polname::text, 'forge_comm_write_'))
  LOOP
    EXECUTE format('DROP POLICY %I ON %s', policy, member);
  END LOOP;
  PERFORM forge_comm.restore_row_security(member, 'tenancy');
END
$$;
COMMENT ON FUNCTION forge_comm.unprotect_member(regclass) IS
  'Undo forge_comm.protect_member(), back to the row security there was';

-- A partition that is detached loses its guard to PostgreSQL, but not its
-- policies: it stays closed until somebody decides.
CREATE FUNCTION forge_comm.drop_leftovers(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = rel AND p.polname = 'forge_comm_tenancy') THEN
    PERFORM forge_comm.unprotect_member(rel);
    PERFORM forge_comm.drop_rule_triggers(rel, 'tenancy');
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_leftovers(regclass) IS
  'Take off what a detached partition keeps of tenancy';

-- ------------------------------------------------------------------ index

CREATE FUNCTION forge_comm.ensure_tenancy_index(rel regclass, workspace_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  member record;
  index name;
BEGIN
  FOR member IN
    SELECT c.oid::regclass AS rel, c.relname, n.nspname
      FROM forge_comm.family(ensure_tenancy_index.rel) AS f
      JOIN pg_class AS c ON c.oid = f.member
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE NOT f.is_partition
       AND NOT EXISTS (SELECT
                         FROM pg_index AS i
                         JOIN pg_class AS ic ON ic.oid = i.indexrelid
                         JOIN pg_am AS am ON am.oid = ic.relam AND am.amname = 'btree'
                         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = f.member AND i.indisvalid AND i.indpred IS NULL
                          AND a.attname = workspace_column)
  LOOP
    index := forge_comm.object_name(member.relname, '_workspace_idx');
    EXECUTE format('CREATE INDEX %I ON %s (%I)', index, member.rel, workspace_column);
    EXECUTE format('COMMENT ON INDEX %I.%I IS %L', member.nspname, index,
                   forge_comm.index_comment('tenancy'));
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.ensure_tenancy_index(regclass, name) IS
  'Make an index on the workspace column unless a btree index is led by it';

-- ------------------------------------------------------- references, founding

-- Columns that references agree in never change; so both sides must keep them.
CREATE FUNCTION forge_comm.check_same(rel regclass, same name[])
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  column_name name;
  careless regclass;
BEGIN
  FOREACH column_name IN ARRAY same LOOP
    PERFORM forge_comm.check_written_column(rel, column_name, '{smallint,integer,bigint}');
    IF NOT EXISTS (SELECT FROM pg_constraint AS c
                    WHERE c.conrelid = rel AND c.contype = 'f'
                      AND forge_comm.column_type(c.confrelid, column_name) IS NOT NULL
                      AND (c.confrelid = rel
                           OR forge_comm.rule_options(c.confrelid, 'forge_comm_tenancy', 'tenancy_guard') IS NOT NULL)) THEN
      RAISE EXCEPTION 'table % references no table under tenancy with a column %', rel, quote_ident(column_name)
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'The argument "same" names columns that a row has in common with the rows it references.';
    END IF;
    SELECT c.confrelid INTO careless
      FROM pg_constraint AS c,
           forge_comm.rule_options(c.confrelid, 'forge_comm_tenancy', 'tenancy_guard') AS o
     WHERE c.conrelid = rel AND c.contype = 'f' AND c.confrelid <> rel
       AND o IS NOT NULL AND forge_comm.column_type(c.confrelid, column_name) IS NOT NULL
       AND NOT column_name = ANY (coalesce((o ->> 'same')::name[], '{}'))
     LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'column % of table % may change', quote_ident(column_name), careless
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = format('Enable tenancy there with the argument "same" naming it, before table %s.', rel);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.check_same(regclass, name[]) IS
  'An error unless the rows of a table can be kept alike with those they reference';

CREATE FUNCTION forge_comm.check_founding(rel regclass, workspace_column name, via name)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF via IS NOT NULL
     OR NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                     WHERE i.indrelid = rel AND i.indisprimary AND i.indimmediate AND i.indnkeyatts = 1
                       AND a.attname = workspace_column)
     OR EXISTS (SELECT FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
                 WHERE c.conrelid = rel AND c.contype = 'f' AND a.attname = workspace_column)
     OR (SELECT count(*) > 1 FROM forge_comm.family(rel)) THEN
    RAISE EXCEPTION 'table % is not the table of workspaces', rel
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Users found workspaces in an ordinary table without children, whose workspace_column is its primary key and references nothing.';
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.check_founding(regclass, name, name) IS
  'An error unless users can found workspaces in a table';

CREATE FUNCTION forge_comm.founding_done()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_founding_done'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.founding_done() IS
  'Trigger: takes a workspace that was made into the scope of its maker';

-- ------------------------------------------------------- enable and disable

CREATE FUNCTION forge_comm.enable_tenancy(rel regclass, workspace_column name DEFAULT 'workspace_id',
                                          via name DEFAULT NULL, write_roles text[] DEFAULT NULL,
                                          same name[] DEFAULT NULL, founding boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := jsonb_build_object('workspace_column', workspace_column, 'via', via,
                                      'write_roles', write_roles::text, 'same', same::text,
                                      'founding', CASE WHEN founding THEN 'true' END);
  parent regclass;
  key_column name;
  parent_column name;
  added boolean := false;
  nullable boolean;
  unfilled boolean := false;
  check_condition text;
  member record;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  IF forge_comm.rule_enabled(rel, 'tenancy', options) THEN
    RETURN;
  END IF;
  PERFORM forge_comm.drop_leftovers(rel);
  IF write_roles IS NOT NULL THEN
    PERFORM forge_comm.check_roles(write_roles, 'write_roles');
  END IF;
  IF founding THEN
    PERFORM forge_comm.check_founding(rel, workspace_column, via);
  END IF;
  IF same IS NOT NULL THEN
    PERFORM forge_comm.check_same(rel, same);
  END IF;

  IF via IS NOT NULL THEN
    PERFORM forge_comm.check_column(rel, via, ARRAY[forge_comm.column_type(rel, via)]);
    SELECT p.* INTO parent, key_column, parent_column FROM forge_comm.tenancy_parent(rel, via) AS p;
    added := forge_comm.ensure_column(rel, workspace_column, '{smallint,integer,bigint}',
                                      forge_comm.column_type(parent, parent_column)::text);
  END IF;
  PERFORM forge_comm.check_written_column(rel, workspace_column, '{smallint,integer,bigint}');

  nullable := (SELECT NOT a.attnotnull FROM pg_attribute AS a
                WHERE a.attrelid = rel AND a.attname = workspace_column);
  IF nullable THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', rel, workspace_column)
       INTO unfilled;
  END IF;
  IF unfilled AND via IS NULL THEN
    RAISE EXCEPTION 'column % of table % contains null values', quote_ident(workspace_column), rel
      USING ERRCODE = 'not_null_violation',
            HINT = 'Fill them in, or name the foreign key they follow from with the argument "via".';
  ELSIF nullable AND via IS NOT NULL AND NOT unfilled THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', rel, workspace_column);
  END IF;

  options := options || jsonb_build_object(
    'added', CASE WHEN added THEN 'column' WHEN nullable AND via IS NOT NULL THEN 'not null' END);
  -- Children first: the event trigger below looks after those of guarded parents.
  FOR member IN
    SELECT f.member AS rel, f.is_partition FROM forge_comm.family(rel) AS f ORDER BY f.depth DESC
  LOOP
    IF NOT member.is_partition THEN
      -- An inheritance child has no foreign keys but its own.
      IF via IS NOT NULL THEN
        PERFORM forge_comm.tenancy_parent(member.rel, via);
      END IF;
      PERFORM forge_comm.create_rule_trigger(
        member.rel, 'tenancy', 'INSERT OR UPDATE OR DELETE', 'tenancy_guard',
        CASE WHEN member.rel = enable_tenancy.rel THEN options
             ELSE options - 'added' END);
      -- Triggers of the owner's own may change a row once ours has seen it: this
      -- one sees what was stored.
      PERFORM forge_comm.create_trigger(member.rel, 'forge_comm_tenancy_stored', 'AFTER INSERT OR UPDATE',
                                        'FOR EACH ROW EXECUTE FUNCTION forge_comm.tenancy_guard()', 'tenancy');
    END IF;
    check_condition := forge_comm.tenancy_expression(member.rel, workspace_column, founding => founding);
    PERFORM forge_comm.protect_member(
      member.rel,
      CASE WHEN unfilled
           THEN forge_comm.tenancy_expression(member.rel, workspace_column, via, parent,
                                              key_column, parent_column)
           ELSE check_condition END,
      check_condition);
    IF write_roles IS NOT NULL THEN
      PERFORM forge_comm.create_role_policies(member.rel, workspace_column, write_roles, founding);
    END IF;
  END LOOP;
  IF founding THEN
    PERFORM forge_comm.create_trigger(rel, 'forge_comm_founding', 'AFTER INSERT',
                                      'FOR EACH ROW EXECUTE FUNCTION forge_comm.founding_done()', 'tenancy');
  END IF;

  IF unfilled THEN
    RAISE NOTICE 'rows of table % are still to be given their workspace', rel
      USING HINT = format('CALL forge_comm.backfill(%L);', rel);
  ELSE
    PERFORM forge_comm.ensure_tenancy_index(rel, workspace_column);
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.enable_tenancy(regclass, name, name, text[], name[], boolean) IS
  'Show and write rows of a table only in the workspaces of the context';

CREATE FUNCTION forge_comm.disable_tenancy(rel regclass, drop_column boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb;
  child regclass;
  dependent text;
  member regclass;
BEGIN
  PERFORM forge_comm.claim_table(rel);
  options := forge_comm.rule_options(rel, 'forge_comm_tenancy', 'tenancy_guard');
  IF options IS NULL THEN
    RAISE NOTICE 'tenancy is not enabled on table %', rel;
    PERFORM forge_comm.drop_leftovers(rel);
    RETURN;
  END IF;

  SELECT c.conrelid::regclass INTO child
    FROM pg_constraint AS c
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
   WHERE c.contype = 'f' AND c.confrelid = rel
     AND c.conrelid NOT IN (SELECT f.member FROM forge_comm.family(rel) AS f)
     AND forge_comm.rule_options(c.conrelid, 'forge_comm_tenancy', 'tenancy_guard') ->> 'via' = a.attname
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'table % gets its workspaces through table %', child, rel
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'Disable tenancy there first.';
  END IF;

  SELECT r.capability INTO dependent FROM forge_comm.rules(rel) AS r
   WHERE r.capability IN ('privacy', 'authorship') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% is enabled on table %, and needs its workspaces', dependent, rel
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = format('Call forge_comm.disable_%s() first.', dependent);
  END IF;

  FOR member IN SELECT f.member FROM forge_comm.family(rel) AS f LOOP
    PERFORM forge_comm.unprotect_member(member);
  END LOOP;
  PERFORM forge_comm.drop_rule_triggers(rel, 'tenancy');
  IF options ? 'founding' THEN
    EXECUTE format('DROP TRIGGER IF EXISTS forge_comm_founding ON %s', rel);
  END IF;
  PERFORM forge_comm.drop_indexes(rel, 'tenancy');
  IF EXISTS (SELECT FROM pg_constraint AS c
              WHERE c.conrelid = rel AND c.conname = 'forge_comm_workspace_filled') THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT forge_comm_workspace_filled', rel);
  END IF;
  IF options ->> 'added' = 'column' AND drop_column
     AND forge_comm.column_type(rel, (options ->> 'workspace_column')::name) IS NOT NULL THEN
    PERFORM forge_comm.drop_columns(rel, ARRAY[options ->> 'workspace_column']::name[]);
  ELSIF options ? 'added' AND forge_comm.column_type(rel, (options ->> 'workspace_column')::name) IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', rel, options ->> 'workspace_column');
  ELSIF options ? 'added' THEN
    RAISE NOTICE 'column % of table % was renamed and stays as it is',
                 quote_ident(options ->> 'workspace_column'), rel;
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.disable_tenancy(regclass, boolean) IS
  'Undo forge_comm.enable_tenancy(); the column it added stays unless asked otherwise';
