-- What is wrong with a schema, and what mends it.  All of it is read from the
-- catalogues: no expression and no function of the schema's is ever run.

CREATE TYPE forge_comm.finding AS (
  id text,
  severity text,
  object text,
  problem text,
  mend text
);
COMMENT ON TYPE forge_comm.finding IS 'A row of forge_comm.checklist()';
COMMENT ON COLUMN forge_comm.finding.id IS 'Which item of the list it is';
COMMENT ON COLUMN forge_comm.finding.severity IS 'error, warning or note';
COMMENT ON COLUMN forge_comm.finding.object IS 'What is concerned';
COMMENT ON COLUMN forge_comm.finding.problem IS 'What is wrong with it';
COMMENT ON COLUMN forge_comm.finding.mend IS 'SQL that mends it, or a comment where none can';

-- Names are in it as their owners chose them, line breaks and all; whatever
-- follows such a break would be run with the other mends.
CREATE FUNCTION forge_comm.remark(what text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT '-- ' || translate(what, E'\n\r', '  ') $$;
COMMENT ON FUNCTION forge_comm.remark(text) IS
  'A mend that no SQL can do: a comment of one line';

-- ------------------------------------------------- whose rows a table holds

CREATE FUNCTION forge_comm.guarded_tables()
RETURNS TABLE (rel regclass, namespace regnamespace, is_partition boolean, tenancy jsonb,
               is_directory boolean, is_private boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid, c.relnamespace, c.relispartition,
         CASE WHEN bool_or(t.tgname = 'forge_comm_tenancy')
              THEN forge_comm.rule_options(c.oid, 'forge_comm_tenancy', 'tenancy_guard') END,
         bool_or(t.tgname = 'forge_comm_directory'),
         bool_or(t.tgname = 'forge_comm_privacy')
    FROM pg_trigger AS t
    JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'forge_comm'::regnamespace
    JOIN pg_class AS c ON c.oid = t.tgrelid
   WHERE t.tgname IN ('forge_comm_tenancy', 'forge_comm_directory', 'forge_comm_privacy')
   GROUP BY c.oid, c.relnamespace, c.relispartition
$$;
COMMENT ON FUNCTION forge_comm.guarded_tables() IS
  'The tables under tenancy, of a directory or with privacy, as their triggers say';

CREATE FUNCTION forge_comm.foreign_keys()
RETURNS TABLE (key oid, rel regclass, parent regclass, columns int2[], parent_columns int2[],
               last_column name, is_required boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT k.oid, k.conrelid, k.confrelid, k.conkey, k.confkey,
         (SELECT a.attname FROM pg_attribute AS a
           WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[cardinality(k.conkey)]),
         (SELECT bool_and(a.attnotnull) FROM pg_attribute AS a
           WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
    FROM pg_constraint AS k
   WHERE k.contype = 'f' AND k.conparentid = 0
$$;
COMMENT ON FUNCTION forge_comm.foreign_keys() IS
  'The foreign keys, without the copies that partitions have';

-- Under tenancy, or looking as if they should be: by the name of a column, as
-- what such a column references, or because each row must reference a row of
-- such a table.  Partitions go with their parents.
CREATE FUNCTION forge_comm.tenant_tables()
RETURNS TABLE (rel regclass, namespace regnamespace, tenancy jsonb, tenant_column name, attnum int2,
               is_id boolean, via name, is_root boolean, depth integer)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE guarded AS MATERIALIZED (
    SELECT * FROM forge_comm.guarded_tables()
  ), keys AS MATERIALIZED (
    SELECT * FROM forge_comm.foreign_keys()
  ), tables AS MATERIALIZED (
    SELECT c.oid, c.relnamespace, g.tenancy
      FROM pg_class AS c LEFT JOIN guarded AS g ON g.rel = c.oid
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                                  'forge_comm'::regnamespace)
       AND g.is_directory IS NOT TRUE
       AND NOT forge_comm.keeps_history(c.oid)
       AND NOT forge_comm.keeps_fences(c.oid)
       AND NOT EXISTS (SELECT FROM pg_depend AS d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ), names AS (
    SELECT unnest('{workspace_id,tenant_id,organization_id,organisation_id,org_id}'::name[]) AS name
    UNION
    -- those in use, but where they are a key of the table of workspaces itself
    SELECT g.tenancy ->> 'workspace_column'
      FROM guarded AS g
     WHERE NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = g.rel AND i.indisprimary AND i.indnkeyatts = 1
                          AND a.attname = g.tenancy ->> 'workspace_column')
  ), named AS MATERIALIZED (
    SELECT t.oid, a.attname, a.attnum, a.atttypid, t.tenancy IS NULL AS is_guess
      FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE CASE WHEN t.tenancy IS NULL THEN a.attname IN (SELECT n.name FROM names AS n)
                ELSE a.attname = t.tenancy ->> 'workspace_column' END
  ), roots AS MATERIALIZED (
    SELECT DISTINCT k.parent AS oid, k.parent_columns[1] AS attnum
      FROM named AS n JOIN keys AS k ON k.rel = n.oid AND k.columns = ARRAY[n.attnum] AND k.parent <> k.rel
     -- not a table beside the workspaces, such as their settings, which has the column itself
     WHERE NOT EXISTS (SELECT FROM named AS p WHERE p.oid = k.parent AND p.is_guess)
  ), direct AS MATERIALIZED (
    SELECT DISTINCT ON (d.oid) d.oid, d.attname, d.attnum, d.atttypid
      FROM (SELECT n.oid, n.attname, n.attnum, n.atttypid, n.is_guess::int AS preference FROM named AS n
            UNION ALL
            SELECT r.oid, a.attname, a.attnum, a.atttypid, 2
              FROM roots AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = r.attnum
            UNION ALL
            SELECT k.rel, a.attname, a.attnum, a.atttypid, 3
              FROM roots AS r
              JOIN keys AS k ON k.parent = r.oid AND k.parent_columns = ARRAY[r.attnum] AND k.rel <> k.parent AND k.is_required
              JOIN pg_attribute AS a ON a.attrelid = k.rel AND a.attnum = k.columns[1])
           AS d
     ORDER BY d.oid, d.preference, d.attnum
  ), belonging AS (
    SELECT d.oid, NULL::name AS via, 0 AS depth FROM direct AS d
    UNION
    SELECT k.rel, k.last_column, b.depth + 1
      FROM belonging AS b JOIN keys AS k ON k.parent = b.oid AND k.rel <> k.parent AND k.is_required
     WHERE b.depth < 32 AND NOT EXISTS (SELECT FROM direct AS d WHERE d.oid = k.rel)
  )
  SELECT DISTINCT ON (t.oid) t.oid, t.relnamespace, t.tenancy, d.attname, d.attnum,
         d.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype), b.via,
         EXISTS (SELECT FROM roots AS r WHERE r.oid = t.oid AND r.attnum = d.attnum), b.depth
    FROM belonging AS b
    JOIN tables AS t ON t.oid = b.oid
    LEFT JOIN direct AS d ON d.oid = t.oid
   ORDER BY t.oid, b.depth, b.via
$$;
COMMENT ON FUNCTION forge_comm.tenant_tables() IS
  'The tables whose rows belong to a workspace, enabled or not';

CREATE FUNCTION forge_comm.enable_statement(rel regclass, tenant_column name, is_id boolean, via name)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN tenant_column IS NULL OR is_id
              THEN format('SELECT forge_comm.enable_tenancy(%L%s%s);', rel,
                          ', workspace_column => ' || quote_literal(tenant_column), ', via => ' || quote_literal(via))
              ELSE forge_comm.remark(format('Column %I is no smallint, integer or bigint: write policies of your own', tenant_column))
         END
   WHERE rel IS NOT NULL
$$;
COMMENT ON FUNCTION forge_comm.enable_statement(regclass, name, boolean, name) IS
  'The call that puts a table under tenancy';

-- ------------------------------------------------------- who the application is

CREATE FUNCTION forge_comm.app_roles()
RETURNS TABLE (role regrole)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE roles AS (
    SELECT a.grantee AS oid
      FROM pg_proc AS p, aclexplode(p.proacl) AS a
     WHERE p.oid = 'forge_comm.set_context(bigint, bigint, boolean)'::regprocedure
       AND a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, p.proowner)
    UNION
    SELECT m.member FROM roles AS r JOIN pg_auth_members AS m ON m.roleid = r.oid
  )
  SELECT r.oid FROM roles AS r
$$;
COMMENT ON FUNCTION forge_comm.app_roles() IS
  'The roles of applications: those that may set the context, and their members';

-- Superusers read everything, and who is a member of a reader reads as it does.
CREATE FUNCTION forge_comm.roles_without(readers regrole[])
RETURNS SETOF regrole
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.role
    FROM forge_comm.app_roles() AS a JOIN pg_roles AS o ON o.oid = a.role
   WHERE NOT o.rolsuper
     AND NOT EXISTS (SELECT FROM unnest(readers) AS r (role) WHERE pg_has_role(a.role::oid, r.role::oid, 'USAGE'))
$$;
COMMENT ON FUNCTION forge_comm.roles_without(regrole[]) IS
  'The roles of applications that are not to read a column with these readers';

-- What a role is a member of, and by which of its own memberships.  From 16
-- on a membership may be for administration only, which row_to_json() shows
-- without an error where there is no such column.
CREATE FUNCTION forge_comm.app_memberships()
RETURNS TABLE (role regrole, reached regrole, step regrole, grantor oid)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE usable AS MATERIALIZED (
    SELECT m.roleid, m.member, m.grantor
      FROM pg_auth_members AS m
     WHERE coalesce(row_to_json(m) ->> 'set_option', 'true') = 'true'
        OR row_to_json(m) ->> 'inherit_option' = 'true'
  ), reach AS (
    SELECT r.role AS role, u.roleid AS reached, u.roleid AS step, u.grantor
      FROM forge_comm.app_roles() AS r JOIN usable AS u ON u.member = r.role
    UNION
    SELECT r.role, u.roleid, r.step, r.grantor
      FROM reach AS r JOIN usable AS u ON u.member = r.reached
  )
  SELECT r.role, r.reached, r.step, r.grantor FROM reach AS r
$$;
COMMENT ON FUNCTION forge_comm.app_memberships() IS
  'The roles that the applications'' roles can become';

CREATE FUNCTION forge_comm.app_grantees()
RETURNS TABLE (grantee oid, name text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH grantees AS (
    SELECT r.role::oid AS oid FROM forge_comm.app_roles() AS r
    UNION
    SELECT m.reached FROM forge_comm.app_memberships() AS m
  )
  SELECT g.oid, g.oid::regrole::text FROM grantees AS g
  UNION ALL
  SELECT 0, 'PUBLIC' WHERE EXISTS (SELECT FROM grantees)
$$;
COMMENT ON FUNCTION forge_comm.app_grantees() IS
  'To whom a grant reaches an application: its roles, what they are members of, PUBLIC';

-- ------------------------------------------------------------ what policies say

CREATE FUNCTION forge_comm.policies(schema regnamespace)
RETURNS TABLE (policy oid, rel regclass, name name, command "char", is_permissive boolean,
               condition text, check_condition text, trees text, functions oid[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive,
         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), t.trees,
         -- also of PostgreSQL's own, on which nothing depends
         ARRAY(SELECT DISTINCT m[1]::oid FROM regexp_matches(t.trees, ':(?:op)?funcid (\d+)', 'g') AS m)
    FROM pg_policy AS p
    JOIN pg_class AS c ON c.oid = p.polrelid
   CROSS JOIN LATERAL (SELECT concat(p.polqual::text, ' ', p.polwithcheck::text)) AS t (trees)
   WHERE c.relnamespace = schema
$$;
COMMENT ON FUNCTION forge_comm.policies(regnamespace) IS
  'The policies of a schema, with the functions they call';

-- Without comments, in lower case, and one blank wherever there are any: what
-- patterns are looked for in.  current_setting() loses its second argument,
-- which is a "true" of its own.
CREATE FUNCTION forge_comm.plain_code(code text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT regexp_replace(
           regexp_replace(
             lower(regexp_replace(regexp_replace(code, '--[^\n]*', ' ', 'g'), '/\*.*?\*/', ' ', 'g')),
             '\s+', ' ', 'g'),
           'current_setting ?\( ?([^(),]*), ?(?:true|false) ?\)', 'current_setting(\1)', 'g')
$$;
COMMENT ON FUNCTION forge_comm.plain_code(text) IS
  'Code as patterns are looked for in it';

CREATE FUNCTION forge_comm.function_code(function oid)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT forge_comm.plain_code(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc))
    FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
   WHERE p.oid = function AND l.lanname NOT IN ('internal', 'c')
$$;
COMMENT ON FUNCTION forge_comm.function_code(oid) IS
  'The body of a function, as patterns are looked for in it';

CREATE FUNCTION forge_comm.policy_code(schema regnamespace)
RETURNS TABLE (rel regclass, name name, command "char", condition text, check_condition text, function oid, code text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.rel, p.name, p.command, p.condition, p.check_condition, NULL::oid,
         forge_comm.plain_code(concat_ws(' ; ', p.condition, p.check_condition))
    FROM forge_comm.policies(schema) AS p
  UNION ALL
  SELECT p.rel, p.name, p.command, p.condition, p.check_condition, f.oid, forge_comm.function_code(f.oid)
    FROM forge_comm.policies(schema) AS p
    JOIN pg_proc AS f ON f.oid = ANY (p.functions)
   WHERE f.pronamespace NOT IN ('pg_catalog'::regnamespace, 'forge_comm'::regnamespace)
$$;
COMMENT ON FUNCTION forge_comm.policy_code(regnamespace) IS
  'What the policies of a schema say, and what the functions say that they call';

-- The context or a setting is compared with nothing (null, the empty text, the
-- row itself), and that is not the way to "no".
CREATE FUNCTION forge_comm.opens_without_context(code text)
RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT code ~ (reader || same || ' is (null|unknown|not true|not false)' || refusal)
      OR code ~ (reader || same || '[^!<>]= ?''''' || '(::text)?' || refusal)
      OR code ~ ('coalesce\([^;]*' || reader || same || ', ?(true|"?[a-z_][a-z_0-9.]*"?)\)')
    FROM (VALUES ('(current_setting ?\(|forge_comm\.current_(user|workspace)_id ?\()',
                  '(?:(?! and | or | then |;).)*',
                  '(?!\)* then (false|return false|return null|raise|null))'))
         AS p (reader, same, refusal)
$$;
COMMENT ON FUNCTION forge_comm.opens_without_context(text) IS
  'Does code take a missing context for a yes?';

-- Without a literal name it may be any.
CREATE FUNCTION forge_comm.open_settings(code text)
RETURNS SETOF text
LANGUAGE sql STABLE STRICT ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT m[1]
    FROM regexp_matches(code, 'current_setting ?\( ?''([^'']+)''', 'g') AS m
    LEFT JOIN pg_settings AS s ON lower(s.name) = m[1]
   WHERE m[1] <> 'forge_comm.context' AND coalesce(s.context = 'user', m[1] LIKE '%.%')
  UNION
  SELECT '(computed)' WHERE code ~ 'current_setting ?\( ?[^'' )]'
$$;
COMMENT ON FUNCTION forge_comm.open_settings(text) IS
  'Which settings code reads that anybody may set';

CREATE FUNCTION forge_comm.alter_policy_statement(rel regclass, name name, command "char", condition text, check_condition text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('ALTER POLICY %I ON %s', name, rel)
         || CASE WHEN command <> 'a' THEN format(' USING (%s)', condition) ELSE '' END
         || CASE WHEN command = 'a' OR (command IN ('*', 'w') AND check_condition IS NOT NULL)
                 THEN format(' WITH CHECK (%s)', check_condition) ELSE '' END
         || ';'
$$;
COMMENT ON FUNCTION forge_comm.alter_policy_statement(regclass, name, "char", text, text) IS
  'The statement that changes what a policy asks';

CREATE FUNCTION forge_comm.ask_tenancy_statement(rel regclass, name name, command "char")
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(
    (SELECT forge_comm.alter_policy_statement(rel, name, command, e.expression, e.expression)
       FROM forge_comm.tenant_tables() AS t
      CROSS JOIN LATERAL (SELECT forge_comm.tenancy_expression(t.rel, t.tenant_column)) AS e (expression)
      WHERE t.rel = ask_tenancy_statement.rel AND t.is_id),
    forge_comm.remark(format('Let policy %I on %s ask forge_comm.current_user_id(), has_role() or in_workspace()', name, rel)))
$$;
COMMENT ON FUNCTION forge_comm.ask_tenancy_statement(regclass, name, "char") IS
  'The statement that lets a policy ask for the workspace instead';

-- ---------------------------------------------------------- items: protection

CREATE FUNCTION forge_comm.finding_table_unprotected(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenants AS MATERIALIZED (
    SELECT * FROM forge_comm.tenant_tables()
  ), filled AS (
    -- a column that may be null is filled through a parent, if there is one
    SELECT k.rel, min(k.last_column::text)::name AS via
      FROM tenants AS t
      JOIN pg_attribute AS a ON a.attrelid = t.rel AND a.attnum = t.attnum AND NOT a.attnotnull
      JOIN forge_comm.foreign_keys() AS k ON k.rel = t.rel AND k.parent <> k.rel AND k.is_required
      JOIN tenants AS p ON p.rel = k.parent AND NOT p.is_root
     WHERE t.is_id
     GROUP BY k.rel
  ), looking AS MATERIALIZED (
    -- what the policies depend on: functions of ours, or columns
    SELECT p.polrelid AS rel, y.oid IS NOT NULL AS is_ours, a.attname
      FROM pg_policy AS p
      JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
      LEFT JOIN pg_proc AS y ON d.refclassid = 'pg_proc'::regclass AND y.oid = d.refobjid
                            AND y.pronamespace = 'forge_comm'::regnamespace
      LEFT JOIN pg_attribute AS a ON d.refclassid = 'pg_class'::regclass AND a.attrelid = d.refobjid
                                 AND a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
  )
  SELECT 'table-unprotected', 'error', t.rel::text,
         'Its rows belong to workspaces (' || coalesce('column ' || quote_ident(t.tenant_column),
                                                       'through ' || quote_ident(t.via))
         || '), and no policy keeps them apart.',
         forge_comm.enable_statement(t.rel, t.tenant_column, t.is_id, coalesce(t.via, f.via))
    FROM tenants AS t
    JOIN pg_class AS c ON c.oid = t.rel
    LEFT JOIN filled AS f ON f.rel = t.rel
   WHERE t.namespace = schema AND t.tenancy IS NULL
     -- what has row security and no permissive policy is closed
     AND (NOT c.relrowsecurity OR EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = t.rel AND p.polpermissive))
     AND NOT EXISTS (SELECT FROM looking AS l
                      WHERE l.rel = t.rel AND (l.is_ours OR l.attname IN (t.tenant_column, t.via)))
   ORDER BY t.depth, t.is_root DESC, t.rel::text COLLATE "C"
$$;
COMMENT ON FUNCTION forge_comm.finding_table_unprotected(regnamespace) IS
  'Item table-unprotected of the checklist';

CREATE FUNCTION forge_comm.finding_row_security_off(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'row-security-off', 'error', c.oid::regclass::text,
         'It has policies, and row security is off: they do nothing.',
         format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass)
    FROM pg_class AS c
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
     AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid)
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_row_security_off(regnamespace) IS
  'Item row-security-off of the checklist';

CREATE FUNCTION forge_comm.finding_row_security_not_forced(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'row-security-not-forced', 'error', c.oid::regclass::text,
         'Row security does not bind its owner, nor the views and functions of its owner.',
         format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', c.oid::regclass)
    FROM pg_class AS c
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relforcerowsecurity
     AND NOT forge_comm.keeps_fences(c.oid)
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_row_security_not_forced(regnamespace) IS
  'Item row-security-not-forced of the checklist';

CREATE FUNCTION forge_comm.finding_partition_uncovered(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'partition-uncovered', 'error', c.oid::regclass::text,
         format('Its parent %s is guarded; it is not, and can be read and written by its own name.', i.inhparent::regclass),
         CASE WHEN g.tenancy IS NOT NULL AND forge_comm.has_trigger(c.oid, 'forge_comm_tenancy_truncate')
              THEN format('SELECT forge_comm.protect_member(%1$L, c, c) FROM forge_comm.tenancy_expression(%1$L, %2$L) AS c;',
                          c.oid::regclass, g.tenancy ->> 'workspace_column')
              ELSE format('SELECT forge_comm.follow_parent(%L, %L);', c.oid::regclass, i.inhparent::regclass)
         END
    FROM forge_comm.guarded_tables() AS g
    JOIN pg_inherits AS i ON i.inhparent = g.rel
    JOIN pg_class AS c ON c.oid = i.inhrelid
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p')
     AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND starts_with(p.polname::text, 'forge_comm_')
                                                  AND p.polname <> 'forge_comm_access')
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_partition_uncovered(regnamespace) IS
  'Item partition-uncovered of the checklist';

CREATE FUNCTION forge_comm.finding_policy_missing(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'policy-missing', 'warning', c.oid::regclass::text,
         'Row security is on, and there is no permissive policy: nobody whom it binds sees a row.',
         CASE WHEN t.tenancy IS NOT NULL
              THEN format('CREATE POLICY forge_comm_access ON %s USING (%s);', t.rel,
                          forge_comm.tenancy_expression(t.rel, t.tenant_column))
              WHEN t.rel IS NOT NULL
              THEN forge_comm.enable_statement(t.rel, t.tenant_column, t.is_id, t.via)
              ELSE forge_comm.remark(format('CREATE POLICY ... ON %1$s, or ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY', c.oid::regclass))
         END
    FROM pg_class AS c
    LEFT JOIN forge_comm.tenant_tables() AS t ON t.rel = c.oid
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND c.relrowsecurity
     AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polpermissive)
     AND NOT forge_comm.keeps_history(c.oid)
     AND NOT EXISTS (SELECT FROM forge_comm.finding_partition_uncovered(schema) AS u WHERE u.object = c.oid::regclass::text)
     AND NOT forge_comm.keeps_fences(c.oid)
   ORDER BY t.depth, c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_missing(regnamespace) IS
  'Item policy-missing of the checklist';

CREATE FUNCTION forge_comm.finding_trigger_disabled(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'trigger-disabled', 'error', format('%s on %s', quote_ident(t.tgname), c.oid::regclass),
         'The trigger is disabled, or fires for replication only: what it guards is not guarded.',
         format('ALTER TABLE %s ENABLE TRIGGER %I;', c.oid::regclass, t.tgname)
    FROM pg_trigger AS t
    JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'forge_comm'::regnamespace
    JOIN pg_class AS c ON c.oid = t.tgrelid
   WHERE c.relnamespace = schema AND t.tgenabled IN ('D', 'R')
   ORDER BY c.relname, t.tgname
$$;
COMMENT ON FUNCTION forge_comm.finding_trigger_disabled(regnamespace) IS
  'Item trigger-disabled of the checklist';

-- tgtype: 4 is INSERT, 16 is UPDATE, 8 is DELETE; tenancy wants all three
CREATE FUNCTION forge_comm.finding_trigger_altered(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'trigger-altered', 'error', format('%s on %s', quote_ident(t.tgname), c.oid::regclass),
         'The trigger does not fire for every row that is written.',
         format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT OR UPDATE%s ON %s FOR EACH ROW %s;', t.tgname,
                CASE WHEN t.tgname = 'forge_comm_tenancy' THEN ' OR DELETE' END, c.oid::regclass,
                substring(pg_get_triggerdef(t.oid) from 'EXECUTE FUNCTION forge_comm\.(?:tenancy_guard|timestamps_stamp|secrets_guard)\(.*\)$'))
    FROM pg_trigger AS t
    JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'forge_comm'::regnamespace
    JOIN pg_class AS c ON c.oid = t.tgrelid
   WHERE c.relnamespace = schema AND t.tgparentid = 0
     AND t.tgname IN ('forge_comm_tenancy', 'forge_comm_timestamps', 'forge_comm_secrets')
     AND (t.tgtype & 20 <> 20 OR (t.tgtype & 8 = 0 AND t.tgname = 'forge_comm_tenancy') OR t.tgattr <> '' OR t.tgqual IS NOT NULL)
   ORDER BY c.relname, t.tgname
$$;
COMMENT ON FUNCTION forge_comm.finding_trigger_altered(regnamespace) IS
  'Item trigger-altered of the checklist';

-- The policy of tenancy is there, so the triggers should be.
CREATE FUNCTION forge_comm.finding_trigger_missing(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'trigger-missing', 'error', c.oid::regclass::text,
         format('It has the policies of tenancy, and no trigger %s beside them.', wanted.name),
         CASE WHEN c.relispartition
              THEN format('SELECT forge_comm.follow_parent(%L, %L);', c.oid::regclass,
                          (SELECT i.inhparent::regclass FROM pg_inherits AS i WHERE i.inhrelid = c.oid))
              WHEN wanted.name = 'forge_comm_tenancy_truncate'
              THEN format('SELECT forge_comm.create_truncate_trigger(%L, %L, %L);', c.oid::regclass, 'tenancy', 'tenancy_guard')
              ELSE coalesce(forge_comm.enable_statement(t.rel, t.tenant_column, t.is_id, t.via),
                            forge_comm.remark('SELECT forge_comm.enable_tenancy(...), with the workspace column'))
         END
    FROM pg_policy AS p
    JOIN pg_class AS c ON c.oid = p.polrelid
   CROSS JOIN (VALUES ('forge_comm_tenancy'), ('forge_comm_tenancy_truncate')) AS wanted (name)
    LEFT JOIN forge_comm.tenant_tables() AS t ON t.rel = c.oid
   WHERE c.relnamespace = schema AND p.polname = 'forge_comm_tenancy'
     AND NOT forge_comm.has_trigger(c.oid, wanted.name::name)
     AND NOT forge_comm.keeps_history(c.oid)
   ORDER BY c.relname, wanted.name
$$;
COMMENT ON FUNCTION forge_comm.finding_trigger_missing(regnamespace) IS
  'Item trigger-missing of the checklist';

-- A key that somebody else added, or that came without the triggers.
CREATE FUNCTION forge_comm.finding_soft_delete_not_followed(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'soft-delete-not-followed', 'warning', c.oid::regclass::text,
         'A soft delete does not do to the rows that reference its rows what their foreign keys say.',
         format('SELECT forge_comm.follow_references(%L);', c.oid::regclass)
    FROM pg_class AS c
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     AND forge_comm.has_trigger(c.oid, 'forge_comm_soft_delete')
     AND forge_comm.rule_options(c.oid, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'cascade' IS DISTINCT FROM 'false'
     AND forge_comm.is_referenced(c.oid)
     AND EXISTS (SELECT FROM forge_comm.family(c.oid) AS f
                  WHERE NOT forge_comm.has_trigger(f.member, 'forge_comm_soft_delete_note')
                     OR NOT forge_comm.has_trigger(f.member, 'forge_comm_soft_delete_follow'))
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_soft_delete_not_followed(regnamespace) IS
  'Item soft-delete-not-followed of the checklist';

-- An outsider who founds a workspace is given an id that rows may be left with.
CREATE FUNCTION forge_comm.finding_workspace_without_key(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tenants AS MATERIALIZED (
    SELECT t.*, t.tenancy ->> 'founding' = 'true' AS is_founded FROM forge_comm.tenant_tables() AS t
     WHERE t.tenancy IS NOT NULL
  ), keys AS MATERIALIZED (
    SELECT k.* FROM forge_comm.foreign_keys() AS k JOIN pg_constraint AS c ON c.oid = k.key
     WHERE c.convalidated
  ), anchored AS (
    SELECT t.rel FROM tenants AS t WHERE t.is_founded
    UNION
    -- by a key on the workspace, alone or with others, or on the parent it comes from
    SELECT t.rel
      FROM anchored AS a
      JOIN keys AS k ON k.parent = a.rel
      JOIN tenants AS t ON t.rel = k.rel
     WHERE k.columns = ARRAY[t.attnum]
        OR k.is_required AND (t.attnum = ANY (k.columns) OR k.last_column = t.tenancy ->> 'via')
  )
  SELECT 'workspace-without-key', 'error', t.rel::text,
         format('Rows may be left over from a workspace that is gone, and go to whoever founds one with its id in table %s.', w.rel),
         format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (%I);', t.rel, t.tenant_column, w.rel, w.tenant_column)
    FROM tenants AS t
   CROSS JOIN (SELECT * FROM tenants AS t WHERE t.is_founded ORDER BY t.rel LIMIT 1) AS w
   WHERE t.namespace = schema AND t.rel NOT IN (SELECT a.rel FROM anchored AS a)
   ORDER BY t.rel::text COLLATE "C"
$$;
COMMENT ON FUNCTION forge_comm.finding_workspace_without_key(regnamespace) IS
  'Item workspace-without-key of the checklist';

CREATE FUNCTION forge_comm.finding_private_child_open(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE keys AS MATERIALIZED (
    SELECT * FROM forge_comm.foreign_keys()
  ), tops AS MATERIALIZED (
    -- what lies above the channels may well reference one
    SELECT t.rel FROM forge_comm.tenant_tables() AS t WHERE t.is_root
    UNION ALL
    SELECT g.rel FROM forge_comm.guarded_tables() AS g WHERE g.is_directory
  ), hanging AS (
    SELECT g.rel, NULL::regclass AS parent, NULL::name AS via, true AS is_required
      FROM forge_comm.guarded_tables() AS g WHERE g.is_private
    UNION
    SELECT k.rel, k.parent, k.last_column, k.is_required AND (h.via IS NULL OR h.is_required)
      FROM hanging AS h JOIN keys AS k ON k.parent = h.rel AND k.rel <> k.parent
     WHERE k.rel NOT IN (SELECT t.rel FROM tops AS t)
  )
  SELECT DISTINCT ON (h.rel) 'private-child-open', CASE WHEN h.is_required THEN 'error' ELSE 'note' END, h.rel::text,
         format('It references table %s, which leads to private channels, and whoever may not read those may read it.', h.parent),
         format('SELECT forge_comm.enable_privacy(%L, via => %L);', h.rel, h.via)
    FROM hanging AS h
    JOIN pg_class AS c ON c.oid = h.rel
   WHERE c.relnamespace = schema AND h.via IS NOT NULL
     AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = h.rel AND p.polname = 'forge_comm_privacy')
   ORDER BY h.rel, h.is_required DESC, h.via
$$;
COMMENT ON FUNCTION forge_comm.finding_private_child_open(regnamespace) IS
  'Item private-child-open of the checklist';

-- ---------------------------------------------------------------- items: roles

-- Then every role is the application's.
CREATE FUNCTION forge_comm.finding_context_public()
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'context-public', 'error', p.oid::regprocedure::text,
         'Everybody may call it, and so say who is asking.',
         format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', p.oid::regprocedure)
    FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
   WHERE p.pronamespace = 'forge_comm'::regnamespace
     AND p.proname IN ('set_context', 'set_service_context', 'use_memberships')
     AND a.grantee = 0
   ORDER BY p.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_context_public() IS
  'Item context-public of the checklist';

-- The superuser that initdb made cannot be anything else.
CREATE FUNCTION forge_comm.finding_role_superuser()
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'role-superuser', 'error', a.role::text,
         'The application''s role is a superuser: no policy binds it.',
         CASE WHEN r.oid = 10
              THEN forge_comm.remark('Connect as another role, and revoke from this one the application''s')
              ELSE format('ALTER ROLE %s NOSUPERUSER;', a.role) END
    FROM forge_comm.app_roles() AS a JOIN pg_roles AS r ON r.oid = a.role
   WHERE r.rolsuper
   ORDER BY r.rolname
$$;
COMMENT ON FUNCTION forge_comm.finding_role_superuser() IS
  'Item role-superuser of the checklist';

CREATE FUNCTION forge_comm.finding_role_bypassrls()
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'role-bypassrls', 'error', a.role::text,
         'The application''s role has BYPASSRLS: no policy binds it.',
         format('ALTER ROLE %s NOBYPASSRLS;', a.role)
    FROM forge_comm.app_roles() AS a JOIN pg_roles AS r ON r.oid = a.role
   WHERE r.rolbypassrls
   ORDER BY r.rolname
$$;
COMMENT ON FUNCTION forge_comm.finding_role_bypassrls() IS
  'Item role-bypassrls of the checklist';

CREATE FUNCTION forge_comm.finding_role_ladder()
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (r.rolname, m.step) 'role-ladder', 'error', m.role::text,
         format('The application''s role can become %s, which no policy binds.', m.reached),
         format('REVOKE %s FROM %s%s;', m.step, m.role,
                (SELECT ' GRANTED BY ' || g.oid::regrole FROM pg_roles AS g WHERE g.oid = m.grantor))
    FROM forge_comm.app_memberships() AS m
    JOIN pg_roles AS r ON r.oid = m.role
    JOIN pg_roles AS above ON above.oid = m.reached AND (above.rolsuper OR above.rolbypassrls)
   WHERE NOT r.rolsuper
   ORDER BY r.rolname, m.step, m.reached::text
$$;
COMMENT ON FUNCTION forge_comm.finding_role_ladder() IS
  'Item role-ladder of the checklist';

-- TRUNCATE knows no rows; a trigger runs as whoever writes; a foreign key
-- tells what exists.
CREATE FUNCTION forge_comm.finding_role_privileges(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'role-privileges', 'warning', g.name,
         format('Holds %s on %s table(s), %s among them; an application needs none of these.',
                string_agg(DISTINCT a.privilege_type, ', '), count(DISTINCT c.oid), min(c.oid::regclass::text)),
         format('REVOKE %s ON ALL TABLES IN SCHEMA %s FROM %s;',
                string_agg(DISTINCT a.privilege_type, ', '), schema, g.name)
    FROM pg_class AS c
   CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    JOIN forge_comm.app_grantees() AS g ON g.grantee = a.grantee
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> c.relowner
     AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')
   GROUP BY g.name
   ORDER BY g.name
$$;
COMMENT ON FUNCTION forge_comm.finding_role_privileges(regnamespace) IS
  'Item role-privileges of the checklist';

CREATE FUNCTION forge_comm.finding_role_creates(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'role-creates', 'error', g.name,
         format('May create objects in schema %s: tables beside the guarded ones, functions that others call.', schema),
         format('REVOKE CREATE ON SCHEMA %s FROM %s;', schema, g.name)
    FROM pg_namespace AS n
   CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
    JOIN forge_comm.app_grantees() AS g ON g.grantee = a.grantee
   WHERE n.oid = schema AND a.grantee <> n.nspowner AND a.privilege_type = 'CREATE'
   ORDER BY g.name
$$;
COMMENT ON FUNCTION forge_comm.finding_role_creates(regnamespace) IS
  'Item role-creates of the checklist';

CREATE FUNCTION forge_comm.finding_role_owns_tables(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'role-owns-tables', 'note', g.name,
         format('Owns %s table(s) of schema %s and so can take their guards down.', count(*), schema),
         forge_comm.remark('Let another role own them: ALTER TABLE ... OWNER TO ...')
    FROM forge_comm.app_grantees() AS g
    JOIN pg_class AS c ON c.relowner = g.grantee
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p')
   GROUP BY g.name
   ORDER BY g.name
$$;
COMMENT ON FUNCTION forge_comm.finding_role_owns_tables(regnamespace) IS
  'Item role-owns-tables of the checklist';

-- ------------------------------------------------------------- items: policies

-- A restrictive policy for the same command stands in its way.  What has no
-- column and no function in it is the same for every row.
CREATE FUNCTION forge_comm.finding_policy_write_open(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'policy-write-open', 'error', format('%s on %s', quote_ident(p.name), p.rel),
         'It lets every row be written.',
         forge_comm.ask_tenancy_statement(p.rel, p.name, p.command)
    FROM forge_comm.policies(schema) AS p
   WHERE p.is_permissive AND p.command <> 'r'
     AND coalesce(p.check_condition, p.condition, 'true') NOT IN ('false', 'NULL::boolean')
     AND (SELECT concat(y.polwithcheck::text, CASE WHEN y.polwithcheck IS NULL THEN y.polqual::text END)
            FROM pg_policy AS y WHERE y.oid = p.policy) !~ '\{(VAR|FUNCEXPR|SUBLINK|SQLVALUEFUNCTION|MINMAXEXPR) '
     AND NOT EXISTS (SELECT FROM pg_policy AS r
                      WHERE r.polrelid = p.rel AND NOT r.polpermissive AND r.polcmd IN ('*', p.command)
                        AND r.polroles = '{0}')
   ORDER BY p.rel::text, p.name
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_write_open(regnamespace) IS
  'Item policy-write-open of the checklist';

CREATE FUNCTION forge_comm.finding_policy_opens(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (p.rel::text, p.name) 'policy-opens', 'error', format('%s on %s', quote_ident(p.name), p.rel),
         'It takes a missing context for a yes' || coalesce(', in function ' || p.function::regprocedure, '') || '.',
         forge_comm.ask_tenancy_statement(p.rel, p.name, p.command)
    FROM forge_comm.policy_code(schema) AS p
   WHERE forge_comm.opens_without_context(p.code)
   ORDER BY p.rel::text, p.name, p.function NULLS FIRST
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_opens(regnamespace) IS
  'Item policy-opens of the checklist';

CREATE FUNCTION forge_comm.finding_policy_reads_setting(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (p.rel::text, p.name) 'policy-reads-setting', 'error', format('%s on %s', quote_ident(p.name), p.rel),
         format('It reads %s%s, which any session may set to what it likes.', 'setting ' || s,
                ' in function ' || p.function::regprocedure),
         forge_comm.ask_tenancy_statement(p.rel, p.name, p.command)
    FROM forge_comm.policy_code(schema) AS p, forge_comm.open_settings(p.code) AS s
   ORDER BY p.rel::text, p.name, p.function NULLS FIRST, s
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_reads_setting(regnamespace) IS
  'Item policy-reads-setting of the checklist';

CREATE FUNCTION forge_comm.finding_policy_volatile(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'policy-volatile', 'warning', format('%s on %s', quote_ident(p.name), p.rel),
         format('It calls the volatile function %s for each row, and no index can help.', f.oid::regprocedure),
         CASE WHEN f.pronamespace = 'pg_catalog'::regnamespace
              THEN forge_comm.remark(format('Let the policy do without %s', f.oid::regprocedure))
              ELSE format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure) END
    FROM forge_comm.policies(schema) AS p JOIN pg_proc AS f ON f.oid = ANY (p.functions)
   WHERE f.provolatile = 'v'
   ORDER BY p.rel::text, p.name, f.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_volatile(regnamespace) IS
  'Item policy-volatile of the checklist';

-- In a subquery of its own, (SELECT f()), a function is called once.
CREATE FUNCTION forge_comm.finding_policy_plpgsql(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'policy-plpgsql', 'warning', format('%s on %s', quote_ident(p.name), p.rel),
         format('It calls %s, written in %s, for each row.', f.oid::regprocedure, l.lanname),
         CASE WHEN f.pronargs = 0 AND f.provolatile <> 'v'
              THEN forge_comm.alter_policy_statement(
                     p.rel, p.name, p.command,
                     replace(p.condition, c.call, format('(SELECT %s)', c.call)),
                     replace(p.check_condition, c.call, format('(SELECT %s)', c.call)))
              ELSE forge_comm.remark(format('Write %s in LANGUAGE sql, STABLE and without SET, so that it is inlined', f.oid::regprocedure)) END
    FROM forge_comm.policies(schema) AS p
    JOIN pg_proc AS f ON f.oid = ANY (p.functions)
    JOIN pg_language AS l ON l.oid = f.prolang AND l.lanname NOT IN ('internal', 'c', 'sql')
    JOIN pg_namespace AS n ON n.oid = f.pronamespace
   CROSS JOIN LATERAL (SELECT format('%I.%I()', n.nspname, f.proname)) AS c (call)
   WHERE NOT (f.pronargs = 0 AND f.provolatile <> 'v'
              AND strpos(replace(concat(p.condition, ' ', p.check_condition), 'SELECT ' || c.call, ''), c.call) = 0)
   ORDER BY p.rel::text, p.name, f.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_plpgsql(regnamespace) IS
  'Item policy-plpgsql of the checklist';

-- The very UPDATE that marks a row would fail: the new row is not visible.
CREATE FUNCTION forge_comm.finding_policy_soft_delete(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'policy-soft-delete', 'error', format('%s on %s', quote_ident(p.name), p.rel),
         'It hides deleted rows, and so refuses the update that deletes one; that is for a view.',
         forge_comm.alter_policy_statement(p.rel, p.name, p.command,
                                           regexp_replace(p.condition, s.predicate, 'true', 'g'),
                                           regexp_replace(p.check_condition, s.predicate, 'true', 'g'))
    FROM forge_comm.policies(schema) AS p
   CROSS JOIN LATERAL (
     SELECT '\((?:NOT )?\m(?:' || string_agg(m.name, '|') || ')\M(?: IS (?:NOT )?(?:NULL|TRUE|FALSE))?\)|'
            || '\mNOT (?:' || string_agg(m.name, '|') || ')\M|^(?:' || string_agg(m.name, '|') || ')$'
       FROM (SELECT unnest('{deleted_at,is_deleted,deleted}'::text[])
             UNION
             SELECT r.options ->> o.option
               FROM forge_comm.rules(p.rel) AS r, unnest('{deleted_at,is_active}'::text[]) AS o (option)
              WHERE r.capability = 'soft_delete' AND r.options ->> o.option ~ '^[a-z_0-9]+$')
            AS m (name)
   ) AS s (predicate)
   WHERE p.command IN ('*', 'r', 'w') AND concat_ws(' ', p.condition, p.check_condition) ~ s.predicate
   ORDER BY p.rel::text, p.name
$$;
COMMENT ON FUNCTION forge_comm.finding_policy_soft_delete(regnamespace) IS
  'Item policy-soft-delete of the checklist';

-- ------------------------------------------------- items: functions and views

CREATE FUNCTION forge_comm.finding_function_reads_setting(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (f.oid::regprocedure::text) 'function-reads-setting', 'warning', f.oid::regprocedure::text,
         format('It reads %s, which any session may set to what it likes.', 'setting ' || s),
         forge_comm.remark('Let it ask forge_comm.current_user_id() or current_workspace_id() instead')
    FROM pg_proc AS f
   CROSS JOIN LATERAL forge_comm.open_settings(forge_comm.function_code(f.oid)) AS s
   WHERE f.pronamespace = schema AND f.prokind IN ('f', 'p') AND s LIKE '%.%'
   ORDER BY f.oid::regprocedure::text, s
$$;
COMMENT ON FUNCTION forge_comm.finding_function_reads_setting(regnamespace) IS
  'Item function-reads-setting of the checklist';

CREATE FUNCTION forge_comm.finding_function_immutable(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'function-immutable', 'error', f.oid::regprocedure::text,
         'It is IMMUTABLE and reads the context: a plan may keep one workspace''s answer for another.',
         format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
    FROM pg_proc AS f
   WHERE f.pronamespace = schema AND f.prokind = 'f' AND f.provolatile = 'i'
     AND forge_comm.function_code(f.oid) ~ ('current_setting ?\(|forge_comm\."?(in_workspace|workspace_ids|has_role|context|'
                                            || 'current_(user|workspace)_id|can_access|can_enter|knows_user|is_current_user)')
   ORDER BY f.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_function_immutable(regnamespace) IS
  'Item function-immutable of the checklist';

-- Without pg_temp at the end PostgreSQL looks for tables there first.
CREATE FUNCTION forge_comm.finding_definer_path(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'definer-path', 'error', f.oid::regprocedure::text,
         'It runs with its owner''s rights, and its search_path does not end in pg_temp: a temporary table can stand in for one of its own.',
         format('ALTER ROUTINE %s SET search_path = %s;', f.oid::regprocedure,
                concat_ws(', ', coalesce((SELECT string_agg(quote_ident(e.name), ', ' ORDER BY e.ordinality)
                                            FROM unnest(path.elements) WITH ORDINALITY AS e (name, ordinality)
                                           WHERE e.name NOT IN ('pg_temp', '$user')),
                                         CASE WHEN path.elements IS NULL THEN format('pg_catalog, %s', schema) END),
                          'pg_temp'))
    FROM pg_proc AS f
    LEFT JOIN LATERAL (
      -- taken apart and quoted anew, as what is in it was written by others
      SELECT ARRAY(SELECT CASE WHEN m[1] LIKE '"%' THEN replace(trim(BOTH '"' FROM m[1]), '""', '"') ELSE lower(m[1]) END
                     FROM regexp_matches(substr(s.setting, 13), '"(?:[^"]|"")*"|[^", ]+', 'g') AS m WHERE m[1] <> '""')
        FROM unnest(f.proconfig) AS s (setting) WHERE starts_with(s.setting, 'search_path=')
    ) AS path (elements) ON true
   WHERE f.pronamespace = schema AND f.prosecdef
     AND path.elements[cardinality(path.elements)] IS DISTINCT FROM 'pg_temp'
   ORDER BY f.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_definer_path(regnamespace) IS
  'Item definer-path of the checklist';

-- A trigger function is not called by the application.
CREATE FUNCTION forge_comm.finding_definer_unbound(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'definer-unbound', 'warning', f.oid::regprocedure::text,
         'The application may call it, and it runs with the rights of a role that no policy binds.',
         format('REVOKE EXECUTE ON ROUTINE %s FROM %s;', f.oid::regprocedure, string_agg(DISTINCT g.name, ', '))
    FROM pg_proc AS f
    JOIN pg_roles AS r ON r.oid = f.proowner AND (r.rolsuper OR r.rolbypassrls)
   CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
    JOIN forge_comm.app_grantees() AS g ON g.grantee = a.grantee
   WHERE f.pronamespace = schema AND f.prosecdef
     AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
   GROUP BY f.oid
   ORDER BY f.oid::regprocedure::text
$$;
COMMENT ON FUNCTION forge_comm.finding_definer_unbound(regnamespace) IS
  'Item definer-unbound of the checklist';

CREATE FUNCTION forge_comm.views_of_guarded_tables(schema regnamespace)
RETURNS TABLE (view regclass, kind "char", owner oid, rel regclass)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE readers AS MATERIALIZED (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS rel
      FROM pg_rewrite AS r
      JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
      JOIN pg_class AS c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
  ), views AS (
    SELECT r.view, r.rel FROM readers AS r JOIN forge_comm.guarded_tables() AS g ON g.rel = r.rel
    UNION
    SELECT r.view, v.rel FROM views AS v JOIN readers AS r ON r.rel = v.view
  )
  SELECT v.view, c.relkind, c.relowner, min(v.rel::regclass::text)::regclass
    FROM views AS v
    JOIN pg_class AS c ON c.oid = v.view
    JOIN pg_class AS t ON t.oid = v.rel
   WHERE schema IN (c.relnamespace, t.relnamespace)
   GROUP BY v.view, c.relkind, c.relowner
$$;
COMMENT ON FUNCTION forge_comm.views_of_guarded_tables(regnamespace) IS
  'Views of guarded tables, where they or the tables are in a schema';

CREATE FUNCTION forge_comm.finding_view_not_invoker(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'view-not-invoker', CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'error' ELSE 'warning' END, v.view::text,
         format('It reads %s with the rights of its owner%s.', v.rel,
                CASE WHEN r.rolsuper OR r.rolbypassrls THEN ', whom no policy binds' END),
         format('ALTER VIEW %s SET (security_invoker = true);', v.view)
    FROM forge_comm.views_of_guarded_tables(schema) AS v
    JOIN pg_class AS c ON c.oid = v.view
    JOIN pg_roles AS r ON r.oid = v.owner
   WHERE v.kind = 'v'
     AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) AS o
                      WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
   ORDER BY v.view::text
$$;
COMMENT ON FUNCTION forge_comm.finding_view_not_invoker(regnamespace) IS
  'Item view-not-invoker of the checklist';

CREATE FUNCTION forge_comm.finding_materialized_view(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'materialized-view', 'error', v.view::text,
         format('It keeps rows of %s, and the application may read all of them.', v.rel),
         format('REVOKE ALL ON %s FROM %s;', v.view, string_agg(DISTINCT g.name, ', '))
    FROM forge_comm.views_of_guarded_tables(schema) AS v
    JOIN pg_class AS c ON c.oid = v.view
   CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    JOIN forge_comm.app_grantees() AS g ON g.grantee = a.grantee
   WHERE v.kind = 'm' AND a.privilege_type = 'SELECT'
   GROUP BY v.view, v.rel
   ORDER BY v.view::text
$$;
COMMENT ON FUNCTION forge_comm.finding_materialized_view(regnamespace) IS
  'Item materialized-view of the checklist';

-- ----------------------------------------------------- items: columns and keys

CREATE FUNCTION forge_comm.finding_workspace_nullable(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'workspace-nullable', 'error', format('%s.%I', t.rel, t.tenant_column),
         'The workspace of a row may be null: such a row is nobody''s.',
         CASE WHEN t.tenancy ? 'via' THEN format('CALL forge_comm.backfill(%L);', t.rel)
              ELSE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', t.rel, t.tenant_column) END
    FROM forge_comm.tenant_tables() AS t
    JOIN pg_attribute AS a ON a.attrelid = t.rel AND a.attnum = t.attnum
   WHERE t.namespace = schema AND NOT a.attnotnull
     -- one that is not under tenancy is to be enabled first
     AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = t.rel)
   ORDER BY t.rel::text
$$;
COMMENT ON FUNCTION forge_comm.finding_workspace_nullable(regnamespace) IS
  'Item workspace-nullable of the checklist';

CREATE FUNCTION forge_comm.finding_workspace_updatable(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'workspace-updatable', 'warning', format('%s.%I', t.rel, t.tenant_column),
         'Its policies leave the workspace of a row to be changed, and no trigger keeps it.',
         forge_comm.enable_statement(t.rel, t.tenant_column, t.is_id, NULL)
    FROM forge_comm.tenant_tables() AS t
    JOIN pg_class AS c ON c.oid = t.rel AND c.relrowsecurity
   WHERE t.namespace = schema AND t.tenancy IS NULL AND t.tenant_column IS NOT NULL
     AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = t.rel AND p.polpermissive)
     AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = t.rel AND p.polname = 'forge_comm_tenancy')
     AND EXISTS (SELECT FROM forge_comm.app_roles() AS r
                  WHERE has_column_privilege(r.role, t.rel, t.attnum, 'UPDATE'))
   ORDER BY t.rel::text
$$;
COMMENT ON FUNCTION forge_comm.finding_workspace_updatable(regnamespace) IS
  'Item workspace-updatable of the checklist';

-- Secrets are the columns that are marked, and those that are named like one
-- and are not.  The mend grants each role what it may read.
CREATE FUNCTION forge_comm.finding_secret_readable(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH secrets AS MATERIALIZED (
    SELECT c.oid, c.relowner, a.attname, a.attnum, m.rel IS NOT NULL AS is_marked, coalesce(m.readers, '{}') AS readers
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type AS y ON y.oid = a.atttypid
      LEFT JOIN forge_comm.marked_columns(schema) AS m ON m.rel = c.oid AND m.attnum = a.attnum
     WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p')
       AND (m.rel IS NOT NULL
            OR NOT c.relispartition
               AND (y.typcategory = 'S' OR a.atttypid IN ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'uuid'::regtype))
               AND a.attname ~* '(password|passwd|passphrase|secret|token|api.?key|private.?key|credential)')
  ), grantees AS MATERIALIZED (
    SELECT DISTINCT s.oid, g.grantee, g.name
      FROM (SELECT DISTINCT s.oid FROM secrets AS s) AS s
      JOIN pg_class AS c ON c.oid = s.oid
     CROSS JOIN LATERAL (
       SELECT e.grantee FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS e WHERE e.privilege_type = 'SELECT'
       UNION
       SELECT e.grantee FROM secrets AS x JOIN pg_attribute AS a ON a.attrelid = x.oid AND a.attnum = x.attnum,
              aclexplode(a.attacl) AS e WHERE x.oid = s.oid AND e.privilege_type = 'SELECT') AS a
      JOIN forge_comm.app_grantees() AS g ON g.grantee = a.grantee
  ), allowed AS MATERIALIZED (
    SELECT g.oid, g.grantee, g.name,
           (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
              FROM pg_attribute AS a
             WHERE a.attrelid = g.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attname NOT IN (SELECT x.attname FROM secrets AS x
                                      WHERE x.oid = g.oid AND g.grantee <> ALL (x.readers::oid[]))) AS columns
      FROM grantees AS g
  )
  SELECT 'secret-readable', CASE WHEN s.is_marked THEN 'error' ELSE 'warning' END, format('%s.%I', s.oid::regclass, s.attname),
         CASE WHEN s.is_marked THEN 'It is marked as secret, and the application may read it.'
              ELSE 'It looks like a secret, and the application may read it.' END,
         m.mend
    FROM secrets AS s
   CROSS JOIN LATERAL (
     SELECT string_agg(concat_ws(' ', format('REVOKE SELECT ON %s FROM %s;', s.oid::regclass, r.names),
                                 format('GRANT SELECT (%s) ON %s TO %s;', r.columns, s.oid::regclass, r.names)),
                       ' ' ORDER BY r.names) AS mend
       FROM (SELECT a.columns, string_agg(a.name, ', ' ORDER BY a.name) AS names
               FROM allowed AS a
              WHERE a.oid = s.oid AND a.grantee <> ALL (s.readers::oid[]) AND (NOT s.is_marked OR a.grantee <> s.relowner)
              GROUP BY a.columns) AS r) AS m
   WHERE m.mend IS NOT NULL
     AND EXISTS (SELECT FROM forge_comm.roles_without(s.readers) AS a (role)
                  WHERE (NOT s.is_marked OR a.role <> s.relowner) AND has_column_privilege(a.role::oid, s.oid, s.attnum, 'SELECT'))
   ORDER BY s.oid::regclass::text, s.attnum
$$;
COMMENT ON FUNCTION forge_comm.finding_secret_readable(regnamespace) IS
  'Item secret-readable of the checklist';

CREATE FUNCTION forge_comm.finding_secret_statistics(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH marked AS MATERIALIZED (
    SELECT m.rel, m.attname, m.attnum, d.classid, d.objid
      FROM forge_comm.marked_columns(schema) AS m
      LEFT JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.rel AND d.refobjsubid = m.attnum
  )
  SELECT 'secret-statistics', 'error', format('%s.%I', s.rel, s.attname), s.problem, s.mend
    FROM (
      SELECT m.rel, m.attname, m.attnum, 'It is marked as secret, and ANALYZE collects values of it.' AS problem,
             format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS 0;', m.rel, m.attname) AS mend
        FROM marked AS m
        JOIN pg_attribute AS a ON a.attrelid = m.rel AND a.attnum = m.attnum AND a.attstattarget IS DISTINCT FROM 0
      UNION
      SELECT m.rel, m.attname, m.attnum, format('It is marked as secret, and ANALYZE collects values of it for index %s.', i.indexrelid::regclass),
             format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0;', i.indexrelid::regclass, e.attnum)
        FROM marked AS m
        JOIN pg_index AS i ON m.classid = 'pg_class'::regclass AND i.indexrelid = m.objid AND i.indexprs IS NOT NULL
        JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
        JOIN pg_attribute AS e ON e.attrelid = i.indexrelid AND i.indkey[e.attnum - 1] = 0 AND e.attstattarget IS DISTINCT FROM 0
      UNION
      SELECT m.rel, m.attname, m.attnum, format('It is marked as secret, and %s keeps values of it.', pg_describe_object(m.classid, m.objid, 0)),
             format('DROP STATISTICS %I.%I;', n.nspname, x.stxname)
        FROM marked AS m
        JOIN pg_statistic_ext AS x ON m.classid = 'pg_statistic_ext'::regclass AND x.oid = m.objid
        JOIN pg_namespace AS n ON n.oid = x.stxnamespace) AS s
   ORDER BY s.rel::text, s.attnum, s.mend
$$;
COMMENT ON FUNCTION forge_comm.finding_secret_statistics(regnamespace) IS
  'Item secret-statistics of the checklist';

CREATE FUNCTION forge_comm.finding_primary_key_missing(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'primary-key-missing', 'warning', c.oid::regclass::text,
         'It has no primary key: rows cannot be named, restored or replicated.',
         CASE WHEN c.relkind = 'p' THEN forge_comm.remark(format('ALTER TABLE %s ADD PRIMARY KEY (...), the columns of the partition key among them', c.oid::regclass))
              WHEN forge_comm.column_type(c.oid, 'id') IS NOT NULL THEN format('ALTER TABLE %s ADD PRIMARY KEY (id);', c.oid::regclass)
              ELSE format('ALTER TABLE %s ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY;', c.oid::regclass) END
    FROM pg_class AS c
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)
     AND NOT forge_comm.keeps_history(c.oid)
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_primary_key_missing(regnamespace) IS
  'Item primary-key-missing of the checklist';

CREATE FUNCTION forge_comm.finding_timestamps_missing(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'timestamps-missing', 'note', c.oid::regclass::text,
         'Nothing keeps when its rows were made and last changed.',
         format('SELECT forge_comm.enable_timestamps(%L);', c.oid::regclass)
    FROM pg_class AS c
   WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     AND NOT forge_comm.has_trigger(c.oid, 'forge_comm_timestamps')
     AND NOT forge_comm.keeps_history(c.oid)
     AND NOT forge_comm.keeps_fences(c.oid)
   ORDER BY c.relname
$$;
COMMENT ON FUNCTION forge_comm.finding_timestamps_missing(regnamespace) IS
  'Item timestamps-missing of the checklist';

-- An index serves if the key's columns, in any order, are its first, and it
-- leaves out no row that has them.
CREATE FUNCTION forge_comm.finding_key_unindexed(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'key-unindexed', 'warning', format('%s on %s', quote_ident(n.conname), k.rel),
         format('No index leads with the columns of this foreign key: a delete in %s reads the whole table.', k.parent),
         format('CREATE INDEX ON %s (%s);', k.rel, n.columns)
    FROM forge_comm.foreign_keys() AS k
    JOIN pg_class AS c ON c.oid = k.rel AND c.relnamespace = schema
   CROSS JOIN LATERAL (
     SELECT (SELECT x.conname FROM pg_constraint AS x WHERE x.oid = k.key) AS conname,
            string_agg(quote_ident(a.attname), ', ' ORDER BY u.ordinality) AS columns,
            array_agg(format('(%I IS NOT NULL)', a.attname)) AS predicates
       FROM unnest(k.columns) WITH ORDINALITY AS u (attnum, ordinality)
       JOIN pg_attribute AS a ON a.attrelid = k.rel AND a.attnum = u.attnum) AS n
   WHERE NOT EXISTS (
     SELECT FROM pg_index AS i
      WHERE i.indrelid = k.rel AND i.indisvalid
        AND (i.indkey::int2[])[0:cardinality(k.columns) - 1] @> k.columns
        AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = ANY (n.predicates)))
   ORDER BY k.rel::text, n.conname
$$;
COMMENT ON FUNCTION forge_comm.finding_key_unindexed(regnamespace) IS
  'Item key-unindexed of the checklist';

-- The trigger looks references up as rows are written, not those that were
-- there before, and PostgreSQL lets a row be replaced under its references.
CREATE FUNCTION forge_comm.finding_key_across_workspaces(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenants AS MATERIALIZED (SELECT * FROM forge_comm.tenant_tables())
  SELECT 'key-across-workspaces', CASE WHEN t.tenancy IS NULL OR p.tenancy IS NULL THEN 'warning' ELSE 'note' END,
         format('%s on %s', quote_ident(x.conname), t.rel),
         CASE WHEN t.tenancy IS NULL OR p.tenancy IS NULL
              THEN format('This foreign key accepts a row of %s that is of another workspace.', p.rel)
              ELSE format('Only a trigger keeps this foreign key to rows of %s of the same workspace; a key with the workspace in it would, too.', p.rel)
         END,
         CASE WHEN cardinality(k.columns) = 1 AND c.relkind = 'r'
              THEN CASE WHEN NOT u.is_there THEN format('ALTER TABLE %s ADD UNIQUE (%I, %s); ', p.rel, p.tenant_column, u.columns) ELSE '' END
                   || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (%I, %I) REFERENCES %s (%I, %s)%s%s%s;',
                             t.rel, x.conname, x.conname, t.tenant_column, k.last_column, p.rel, p.tenant_column, u.columns,
                             CASE x.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
                                                WHEN 'n' THEN format(' ON DELETE SET NULL (%I)', k.last_column)
                                                WHEN 'd' THEN format(' ON DELETE SET DEFAULT (%I)', k.last_column) END,
                             CASE x.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' END,
                             CASE WHEN x.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN x.condeferrable THEN ' DEFERRABLE' END)
              ELSE forge_comm.remark(format('Let constraint %I of %s include the columns of the workspace', x.conname, t.rel))
         END
    FROM forge_comm.foreign_keys() AS k
    JOIN pg_constraint AS x ON x.oid = k.key
    JOIN tenants AS t ON t.rel = k.rel AND t.namespace = schema
    JOIN tenants AS p ON p.rel = k.parent
    JOIN pg_class AS c ON c.oid = k.parent
   CROSS JOIN LATERAL (
     SELECT (SELECT quote_ident(a.attname) FROM pg_attribute AS a WHERE a.attrelid = k.parent AND a.attnum = k.parent_columns[1]),
            EXISTS (SELECT FROM pg_index AS i
                     WHERE i.indrelid = k.parent AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
                       AND i.indnkeyatts = 2 AND i.indnatts = 2 AND i.indexprs IS NULL
                       AND i.indkey::int2[] @> ARRAY[p.attnum, k.parent_columns[1]])) AS u (columns, is_there)
   -- where a column of either is missing, that is another item's
   WHERE t.attnum IS NOT NULL AND p.attnum IS NOT NULL
     AND NOT EXISTS (SELECT FROM unnest(k.columns, k.parent_columns) AS m (attnum, parent_attnum)
                      WHERE m.attnum = t.attnum AND m.parent_attnum = p.attnum)
   ORDER BY t.rel::text, x.conname
$$;
COMMENT ON FUNCTION forge_comm.finding_key_across_workspaces(regnamespace) IS
  'Item key-across-workspaces of the checklist';

-- Not keys that lead to a row of the workspace, since the reference is refused
-- first, nor those that only number rows, nor the names of workspaces.
CREATE FUNCTION forge_comm.finding_unique_across_workspaces(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH tenants AS MATERIALIZED (SELECT * FROM forge_comm.tenant_tables())
  SELECT 'unique-across-workspaces', 'warning', i.indexrelid::regclass::text,
         format('It is unique across workspaces: whoever is refused a value of %s learns that another has it.', t.rel),
         CASE WHEN i.indisexclusion OR EXISTS (SELECT FROM pg_constraint AS f WHERE f.contype = 'f' AND f.conindid = i.indexrelid)
              THEN forge_comm.remark(format('Make %s anew with column %I, and what depends on it', i.indexrelid::regclass, t.tenant_column))
              WHEN x.oid IS NOT NULL
              THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', t.rel, x.conname, x.conname,
                          regexp_replace(pg_get_constraintdef(x.oid), '\(', format('(%I, ', t.tenant_column)))
              ELSE format('DROP INDEX %s; %s;', i.indexrelid::regclass,
                          regexp_replace(pg_get_indexdef(i.indexrelid), '( USING btree \()', format('\1%I, ', t.tenant_column)))
         END
    FROM tenants AS t
    JOIN pg_index AS i ON i.indrelid = t.rel AND (i.indisunique OR i.indisexclusion)
    LEFT JOIN pg_constraint AS x ON x.conindid = i.indexrelid AND x.contype IN ('u', 'x')
   WHERE t.namespace = schema AND t.attnum IS NOT NULL AND NOT t.is_root
     AND NOT t.attnum = ANY (i.indkey::int2[])
     AND NOT EXISTS (SELECT FROM forge_comm.foreign_keys() AS k JOIN tenants AS p ON p.rel = k.parent
                      WHERE k.rel = t.rel AND k.columns && i.indkey::int2[])
     AND EXISTS (SELECT FROM unnest(i.indkey::int2[]) AS u (attnum)
                   LEFT JOIN pg_attribute AS a ON a.attrelid = t.rel AND a.attnum = u.attnum
                   LEFT JOIN pg_type AS y ON y.oid = a.atttypid
                   LEFT JOIN pg_attrdef AS d ON d.adrelid = t.rel AND d.adnum = u.attnum
                  WHERE NOT coalesce(a.attidentity <> '' OR a.atttypid = 'uuid'::regtype
                                     OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%'
                                     OR i.indisprimary AND y.typcategory = 'N', false))
   ORDER BY i.indexrelid::regclass::text
$$;
COMMENT ON FUNCTION forge_comm.finding_unique_across_workspaces(regnamespace) IS
  'Item unique-across-workspaces of the checklist';

-- Under row security a condition may only go before the policy, and so into an
-- index, if its operator is leakproof.
CREATE FUNCTION forge_comm.finding_index_not_leakproof(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'index-not-leakproof', 'note', x.indexrelid::regclass::text,
         format('No operator of its operator class %s is leakproof: under row security the index is not used for searching.', x.class),
         forge_comm.remark('Search the rows of the workspace without it, or find a type whose operators are leakproof')
    FROM (SELECT i.indexrelid, min(o.opcname) AS class
            FROM pg_index AS i
            JOIN pg_class AS c ON c.oid = i.indrelid AND c.relnamespace = schema AND c.relrowsecurity AND NOT c.relispartition
           CROSS JOIN LATERAL unnest(i.indclass::oid[]) AS u (opclass)
            JOIN pg_opclass AS o ON o.oid = u.opclass
           WHERE NOT i.indisunique
             AND NOT EXISTS (SELECT FROM pg_amop AS s
                               JOIN pg_operator AS p ON p.oid = s.amopopr
                               JOIN pg_proc AS f ON f.oid = p.oprcode
                              WHERE s.amopfamily = o.opcfamily AND s.amoplefttype = o.opcintype
                                AND s.amoppurpose = 's' AND f.proleakproof)
           GROUP BY i.indexrelid) AS x
   ORDER BY x.indexrelid::regclass::text
$$;
COMMENT ON FUNCTION forge_comm.finding_index_not_leakproof(regnamespace) IS
  'Item index-not-leakproof of the checklist';

-- ------------------------------------------------------ items: the surroundings

CREATE FUNCTION forge_comm.finding_published(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'published', 'warning', format('publication %I', b.pubname),
         format('It ships the rows of all workspaces in %s.', b.what), b.mend
    FROM (
      SELECT p.pubname, r.prrelid::regclass::text AS what, format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.prrelid::regclass) AS mend
        FROM pg_publication_rel AS r
        JOIN pg_publication AS p ON p.oid = r.prpubid
        JOIN forge_comm.guarded_tables() AS g ON g.rel = r.prrelid AND g.namespace = schema
      UNION ALL
      SELECT p.pubname, format('schema %s', schema), format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %s;', p.pubname, schema)
        FROM pg_publication_namespace AS n
        JOIN pg_publication AS p ON p.oid = n.pnpubid
       WHERE n.pnnspid = schema AND EXISTS (SELECT FROM forge_comm.guarded_tables() AS g WHERE g.namespace = schema)
      UNION ALL
      SELECT p.pubname, format('schema %s', schema), forge_comm.remark(format('Name the tables to be published: DROP PUBLICATION %1$I, and CREATE PUBLICATION %1$I FOR TABLE ...', p.pubname))
        FROM pg_publication AS p
       WHERE p.puballtables AND EXISTS (SELECT FROM forge_comm.guarded_tables() AS g WHERE g.namespace = schema)
    ) AS b
   ORDER BY b.pubname, b.what
$$;
COMMENT ON FUNCTION forge_comm.finding_published(regnamespace) IS
  'Item published of the checklist';

-- Who may not see these settings cannot tell, and is not told.
CREATE FUNCTION forge_comm.preload_statement()
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('ALTER DATABASE %I SET session_preload_libraries = %s;', current_database(),
                concat_ws(', ', (SELECT string_agg(quote_literal(l), ', ') FROM regexp_split_to_table(s.setting, ' *, *') AS l WHERE l <> ''),
                          '''forge_comm'''))
    FROM pg_settings AS s
   WHERE s.name = 'session_preload_libraries'
     AND NOT EXISTS (SELECT FROM pg_settings AS p
                      WHERE p.name IN ('session_preload_libraries', 'shared_preload_libraries')
                        AND p.setting ~ '(^|[ ,/"])forge_comm(\.so)?($|[ ,"])')
     AND NOT EXISTS (SELECT FROM pg_db_role_setting AS d CROSS JOIN LATERAL unnest(d.setconfig) AS u (setting)
                      WHERE d.setrole = 0 AND d.setdatabase IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
                        AND u.setting ~ '^session_preload_libraries=(.*[ ,/"])?forge_comm(\.so)?($|[ ,"])')
$$;
COMMENT ON FUNCTION forge_comm.preload_statement() IS
  'What preloads the library in this database; null if it is preloaded';

CREATE FUNCTION forge_comm.finding_preload_missing(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 'preload-missing', 'warning', format('database %I', current_database()),
         'A session that has not loaded the library plans a DELETE without it, which is then refused on tables with soft delete.',
         p.mend
    FROM forge_comm.preload_statement() AS p (mend)
   WHERE p.mend IS NOT NULL
     AND EXISTS (SELECT FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
                  WHERE c.relnamespace = schema AND t.tgname = 'forge_comm_soft_delete')
$$;
COMMENT ON FUNCTION forge_comm.finding_preload_missing(regnamespace) IS
  'Item preload-missing of the checklist';

-- What shows statements and values to who reads the log and the statistics.
-- Of a session that has loaded the library late, only what was set on purpose
-- tells whether the log is to be redacted.
CREATE FUNCTION forge_comm.finding_secrets_told(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.*
    FROM (
      SELECT 'log-not-redacted', 'warning', format('database %I', current_database()),
             'The log shows statements that use columns marked as secret.',
             coalesce(p.mend, format('ALTER DATABASE %I SET forge_comm.redact_log = ''secrets'';', current_database()))
        FROM forge_comm.preload_statement() AS p (mend)
        JOIN pg_settings AS s ON s.name = 'forge_comm.redact_log'
       WHERE p.mend IS NOT NULL OR s.setting = 'off' AND s.source <> 'default'
      UNION ALL
      SELECT 'errors-not-logged', 'warning', 'log_min_messages',
             'Errors are not logged, and what is not logged is not redacted for the client either.',
             format('ALTER DATABASE %I SET log_min_messages = ''warning'';', current_database())
       WHERE current_setting('log_min_messages') IN ('fatal', 'panic')
      UNION ALL
      SELECT 'utility-statements-kept', 'warning', 'pg_stat_statements.track_utility',
             'The view pg_stat_statements keeps utility commands as they were sent, DO and CALL among them.',
             format('ALTER DATABASE %I SET pg_stat_statements.track_utility = ''off'';', current_database())
       WHERE current_setting('pg_stat_statements.track_utility', true) = 'on'
      UNION ALL
      (SELECT DISTINCT ON (r.rolname, m.step) 'statements-visible', 'warning', m.role::text,
              'The application''s role sees the statements of all others in pg_stat_activity.',
              format('REVOKE %s FROM %s%s;', m.step, m.role,
                     (SELECT ' GRANTED BY ' || g.oid::regrole FROM pg_roles AS g WHERE g.oid = m.grantor))
         FROM forge_comm.app_memberships() AS m
         JOIN pg_roles AS r ON r.oid = m.role AND NOT r.rolsuper
        WHERE m.reached = 'pg_read_all_stats'::regrole
        ORDER BY r.rolname, m.step)
    ) AS f
   WHERE EXISTS (SELECT FROM forge_comm.marked_columns(schema))
$$;
COMMENT ON FUNCTION forge_comm.finding_secrets_told(regnamespace) IS
  'Items log-not-redacted, errors-not-logged, utility-statements-kept and statements-visible of the checklist';

-- Who may not read the settings of the extension is not told either.
CREATE FUNCTION forge_comm.finding_memberships(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT has_table_privilege('forge_comm.settings', 'SELECT') THEN
    RETURN;
  END IF;
  RETURN QUERY
    SELECT 'memberships-unindexed', 'error', s.memberships::text,
           format('No btree index leads with column %I: the context of a user cannot be set.', s.user_column),
           format('CREATE INDEX ON %s (%I);', s.memberships, s.user_column)
      FROM forge_comm.settings AS s
      JOIN pg_class AS c ON c.oid = s.memberships AND c.relnamespace = schema
     WHERE NOT EXISTS (SELECT FROM pg_index AS i
                         JOIN pg_class AS ic ON ic.oid = i.indexrelid
                         JOIN pg_am AS am ON am.oid = ic.relam AND am.amname = 'btree'
                         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = s.memberships AND i.indisvalid AND i.indpred IS NULL
                          AND a.attname = s.user_column);
  IF NOT EXISTS (SELECT FROM forge_comm.settings)
     AND EXISTS (SELECT FROM forge_comm.guarded_tables() AS g WHERE g.namespace = schema) THEN
    RETURN QUERY
      SELECT 'memberships-unregistered', 'warning', format('schema %s', schema),
             'No table of memberships is registered: the application is trusted to name any workspace.',
             coalesce((SELECT format('SELECT forge_comm.use_memberships(%L, workspace_column => %L);', t.rel, t.tenant_column)
                         FROM forge_comm.tenant_tables() AS t
                         JOIN pg_index AS i ON i.indrelid = t.rel AND i.indisvalid AND i.indpred IS NULL
                         JOIN pg_attribute AS a ON a.attrelid = t.rel AND a.attnum = i.indkey[0] AND a.attname = 'user_id'
                        WHERE t.namespace = schema AND t.is_id AND t.rel::text ~* 'member'
                        ORDER BY length(t.rel::text) LIMIT 1),
                      forge_comm.remark('SELECT forge_comm.use_memberships(...), with the table that says who belongs where'));
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.finding_memberships(regnamespace) IS
  'Items memberships-unindexed and memberships-unregistered of the checklist';

-- ------------------------------------------------------------------- the whole

CREATE FUNCTION forge_comm.checklist(schema regnamespace)
RETURNS SETOF forge_comm.finding
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF schema IS NULL THEN
    RAISE EXCEPTION 'the schema must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the name of a schema.';
  ELSIF schema IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace,
                   'forge_comm'::regnamespace) THEN
    RAISE EXCEPTION '% is a system schema', schema
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Pass the name of an application''s schema.';
  END IF;
  RETURN QUERY
    WITH findings AS (
      SELECT f.*, row_number() OVER () AS place
        FROM (
          SELECT * FROM forge_comm.finding_table_unprotected(schema)
          UNION ALL SELECT * FROM forge_comm.finding_row_security_off(schema)
          UNION ALL SELECT * FROM forge_comm.finding_row_security_not_forced(schema)
          UNION ALL SELECT * FROM forge_comm.finding_partition_uncovered(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_missing(schema)
          UNION ALL SELECT * FROM forge_comm.finding_trigger_disabled(schema)
          UNION ALL SELECT * FROM forge_comm.finding_trigger_altered(schema)
          UNION ALL SELECT * FROM forge_comm.finding_trigger_missing(schema)
          UNION ALL SELECT * FROM forge_comm.finding_soft_delete_not_followed(schema)
          UNION ALL SELECT * FROM forge_comm.finding_workspace_without_key(schema)
          UNION ALL SELECT * FROM forge_comm.finding_private_child_open(schema)
          UNION ALL SELECT * FROM forge_comm.finding_context_public()
          UNION ALL SELECT * FROM forge_comm.finding_role_superuser()
          UNION ALL SELECT * FROM forge_comm.finding_role_bypassrls()
          UNION ALL SELECT * FROM forge_comm.finding_role_ladder()
          UNION ALL SELECT * FROM forge_comm.finding_role_privileges(schema)
          UNION ALL SELECT * FROM forge_comm.finding_role_creates(schema)
          UNION ALL SELECT * FROM forge_comm.finding_role_owns_tables(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_write_open(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_opens(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_reads_setting(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_volatile(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_plpgsql(schema)
          UNION ALL SELECT * FROM forge_comm.finding_policy_soft_delete(schema)
          UNION ALL SELECT * FROM forge_comm.finding_function_reads_setting(schema)
          UNION ALL SELECT * FROM forge_comm.finding_function_immutable(schema)
          UNION ALL SELECT * FROM forge_comm.finding_definer_path(schema)
          UNION ALL SELECT * FROM forge_comm.finding_definer_unbound(schema)
          UNION ALL SELECT * FROM forge_comm.finding_view_not_invoker(schema)
          UNION ALL SELECT * FROM forge_comm.finding_materialized_view(schema)
          UNION ALL SELECT * FROM forge_comm.finding_workspace_nullable(schema)
          UNION ALL SELECT * FROM forge_comm.finding_workspace_updatable(schema)
          UNION ALL SELECT * FROM forge_comm.finding_secret_readable(schema)
          UNION ALL SELECT * FROM forge_comm.finding_secret_statistics(schema)
          UNION ALL SELECT * FROM forge_comm.finding_secrets_told(schema)
          UNION ALL SELECT * FROM forge_comm.finding_memberships(schema)
          UNION ALL SELECT * FROM forge_comm.finding_primary_key_missing(schema)
          UNION ALL SELECT * FROM forge_comm.finding_key_unindexed(schema)
          UNION ALL SELECT * FROM forge_comm.finding_key_across_workspaces(schema)
          UNION ALL SELECT * FROM forge_comm.finding_unique_across_workspaces(schema)
          UNION ALL SELECT * FROM forge_comm.finding_index_not_leakproof(schema)
          UNION ALL SELECT * FROM forge_comm.finding_published(schema)
          UNION ALL SELECT * FROM forge_comm.finding_preload_missing(schema)
          UNION ALL SELECT * FROM forge_comm.finding_timestamps_missing(schema)
        ) AS f
    )
    SELECT f.id, f.severity, f.object, f.problem, f.mend FROM findings AS f
     ORDER BY array_position('{error,warning,note}', f.severity), f.place;
END
$$;
COMMENT ON FUNCTION forge_comm.checklist(regnamespace) IS
  'What is wrong with the tables, policies, roles and functions of a schema, and the SQL that mends it';
