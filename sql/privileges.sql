-- Who may call what: nothing, unless it is granted.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_nobody, regress_owner, regress_service, "Regress 'app'";
CREATE ROLE regress_nobody;
CREATE ROLE regress_owner;
CREATE ROLE regress_service;
CREATE ROLE "Regress 'app'";

-- Whatever default privileges say, the extension's objects are not open
DROP EXTENSION forge_comm CASCADE;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, regress_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC, regress_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_nobody;
CREATE EXTENSION forge_comm;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC, regress_nobody;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_nobody;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_nobody;
SELECT nspname, a.grantee::regrole, a.privilege_type FROM pg_namespace, aclexplode(nspacl) AS a
 WHERE nspname = 'forge_comm' AND a.grantee <> nspowner;
SELECT relname FROM pg_class, aclexplode(relacl) AS a WHERE relnamespace = 'forge_comm'::regnamespace AND a.grantee <> relowner;
SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
 WHERE pronamespace = 'forge_comm'::regnamespace AND a.grantee NOT IN (0, proowner);
SELECT count(*) FROM pg_default_acl WHERE defaclacl::text LIKE '%regress%';

CREATE SCHEMA regress_privileges;
GRANT USAGE ON SCHEMA regress_privileges TO PUBLIC;
SET search_path = regress_privileges;
-- What a role may call
CREATE FUNCTION may_call(who regrole) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT p.oid::regprocedure::text COLLATE "C" FROM pg_proc AS p
   WHERE pronamespace = 'forge_comm'::regnamespace AND has_function_privilege(who, p.oid, 'EXECUTE') ORDER BY 1
$$;

-- ---------------------------------------------------------------- everybody

SELECT may_call('regress_nobody');
SELECT has_schema_privilege('regress_nobody', 'forge_comm', 'USAGE'), has_schema_privilege('regress_nobody', 'forge_comm', 'CREATE'),
       has_table_privilege('regress_nobody', 'forge_comm.settings', 'SELECT, INSERT, UPDATE, DELETE');
-- What it does not stop: tables of one's own, partitions and all
GRANT CREATE ON SCHEMA regress_privileges TO regress_nobody;
SET SESSION AUTHORIZATION regress_nobody;
CREATE TABLE own (id int, workspace_id int) PARTITION BY LIST (id);
CREATE TABLE own_1 PARTITION OF own FOR VALUES IN (1);
ALTER TABLE own ADD COLUMN body text;
INSERT INTO own VALUES (1);
DELETE FROM own;
DROP TABLE own;
RESET SESSION AUTHORIZATION;

-- ----------------------------------------------------------- an application

SELECT forge_comm.grant_app('"Regress ''app''"');
SELECT may_call('"Regress ''app''"') EXCEPT SELECT may_call('regress_nobody') ORDER BY 1;
SELECT forge_comm.grant_app('"Regress ''app''"');
SELECT forge_comm.revoke_app('"Regress ''app''"');
SELECT may_call('"Regress ''app''"') EXCEPT SELECT may_call('regress_nobody') ORDER BY 1;

-- --------------------------------------------------------------- the owner

SELECT forge_comm.grant_owner('regress_owner');
-- the verbs, and the functions of triggers
SELECT f FROM (SELECT may_call('regress_owner') EXCEPT SELECT may_call('regress_nobody')) AS s (f)
 WHERE f ~ 'forge_comm\.(enable|disable|create_chat_schema|backfill\()' OR f ~ '(guard|stamp)\(\)$' ORDER BY 1;
-- What neither the owner nor an application gets
SELECT forge_comm.grant_app('regress_owner');
SELECT p.oid::regprocedure::text COLLATE "C" FROM pg_proc AS p WHERE pronamespace = 'forge_comm'::regnamespace
EXCEPT SELECT may_call('regress_owner') ORDER BY 1;
-- A service context is a grant of its own, and no owner's
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO regress_service;
SELECT forge_comm.revoke_app('regress_owner');
SELECT forge_comm.revoke_owner('regress_owner');
SELECT may_call('regress_owner') EXCEPT SELECT may_call('regress_nobody');
SELECT may_call('regress_service') EXCEPT SELECT may_call('regress_nobody');
-- Who has no grant cannot give one
SET SESSION AUTHORIZATION regress_owner;
SELECT forge_comm.grant_app('regress_owner');
\echo :SQLSTATE
SELECT forge_comm.grant_owner('regress_owner');
\echo :SQLSTATE
SELECT forge_comm.set_service_context('mine');
\echo :SQLSTATE
SELECT forge_comm.set_context(1, 1);
\echo :SQLSTATE
SELECT * FROM forge_comm.settings;
\echo :SQLSTATE
RESET SESSION AUTHORIZATION;

-- Registering memberships can be granted, with the table it writes
CREATE TABLE memberships (user_id int, workspace_id int);
CREATE INDEX ON memberships (user_id);
ALTER TABLE memberships OWNER TO regress_service;
GRANT EXECUTE ON FUNCTION forge_comm.use_memberships(regclass, name, name, name, text), forge_comm.forget_memberships(),
  forge_comm.check_memberships(), forge_comm.check_table(regclass), forge_comm.check_column(regclass, name, regtype[]),
  forge_comm.column_type(regclass, name) TO regress_service;
GRANT SELECT, INSERT, DELETE ON forge_comm.settings TO regress_service;
SET SESSION AUTHORIZATION regress_service;
SELECT forge_comm.use_memberships('memberships');
SELECT memberships FROM forge_comm.settings;
SELECT forge_comm.forget_memberships();
SELECT count(*) FROM forge_comm.settings;
RESET SESSION AUTHORIZATION;

-- ----------------------------------------------------- how the objects are made

-- Nothing runs with its owner's rights
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE pronamespace = 'forge_comm'::regnamespace AND prosecdef;
-- Every function that is not C has its own search path, but those that commit
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
 WHERE pronamespace = 'forge_comm'::regnamespace AND lanname <> 'c'
   AND (proconfig IS NULL OR NOT proconfig @> ARRAY['search_path=pg_catalog, pg_temp'])
 ORDER BY p.proname COLLATE "C";
-- Each object has a comment
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
 WHERE e.extname = 'forge_comm' AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass
   AND d.objid NOT IN (SELECT indexrelid FROM pg_index)
   AND obj_description(d.objid, d.classid::regclass::name) IS NULL;
-- and is in the schema
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid,
       LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
 WHERE e.extname = 'forge_comm' AND d.deptype = 'e' AND i.schema IS DISTINCT FROM 'forge_comm' ORDER BY 1;
-- What a policy calls tells nothing and may run anywhere; what sets the context may not
SELECT p.oid::regprocedure, p.provolatile, p.proparallel, p.proleakproof, p.proisstrict FROM pg_proc AS p
 WHERE pronamespace = 'forge_comm'::regnamespace
   AND proname IN ('in_workspace', 'workspace_ids', 'has_role', 'current_user_id', 'current_workspace_id', 'set_context', 'pin_workspace', 'set_service_context')
 ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT extversion IS NOT NULL, extrelocatable, extconfig::regclass[] FROM pg_extension WHERE extname = 'forge_comm';

-- ------------------------------------------------------------------ the end

DROP SCHEMA regress_privileges CASCADE;
DROP OWNED BY regress_nobody, regress_owner, regress_service, "Regress 'app'";
DROP ROLE regress_nobody, regress_owner, regress_service, "Regress 'app'";
