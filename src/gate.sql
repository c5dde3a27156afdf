-- Who makes a table that belongs to workspaces, and leaves it open, is told.

CREATE FUNCTION forge_comm.gate_findings(tables oid[])
RETURNS SETOF forge_comm.finding
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT f.*
    FROM (SELECT DISTINCT c.relnamespace AS oid FROM pg_class AS c WHERE c.oid = ANY (tables)) AS n
   CROSS JOIN LATERAL (
     SELECT * FROM forge_comm.finding_table_unprotected(n.oid)
     UNION ALL SELECT * FROM forge_comm.finding_row_security_off(n.oid)
     UNION ALL SELECT * FROM forge_comm.finding_partition_uncovered(n.oid)) AS f
   WHERE f.object IN (SELECT t::regclass::text FROM unnest(tables) AS t)
$$;
COMMENT ON FUNCTION forge_comm.gate_findings(oid[]) IS
  'What is wrong with tables that a transaction made or altered';

CREATE FUNCTION forge_comm.gate_remember(rel oid)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_gate_remember'
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION forge_comm.gate_remember(oid) IS
  'Look at a table when the transaction commits, if forge_comm.require_tenancy says so';

CREATE FUNCTION forge_comm.require_tenancy()
RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.gate_remember(d.objid)
     FROM pg_event_trigger_ddl_commands() AS d
    WHERE d.classid = 'pg_class'::regclass AND d.object_type = 'table' AND NOT d.in_extension;
END
$$;
COMMENT ON FUNCTION forge_comm.require_tenancy() IS
  'Event trigger: tables made or altered are looked at when the transaction commits';

CREATE EVENT TRIGGER forge_comm_require_tenancy ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE SCHEMA')
  EXECUTE FUNCTION forge_comm.require_tenancy();
COMMENT ON EVENT TRIGGER forge_comm_require_tenancy IS
  'Tables made or altered are looked at when the transaction commits';
