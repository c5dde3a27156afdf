-- What references a soft-deleted row falls with it.

CREATE FUNCTION forge_comm.soft_delete_note()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_soft_delete_note'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.soft_delete_note() IS
  'Trigger: notes rows that get or lose their mark';

CREATE FUNCTION forge_comm.soft_delete_follow()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_soft_delete_follow'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.soft_delete_follow() IS
  'Trigger: does to the rows that reference those noted what their keys say';

CREATE FUNCTION forge_comm.new_deletion_id()
RETURNS uuid
AS 'MODULE_PATHNAME', 'forge_comm_new_deletion_id'
LANGUAGE c VOLATILE;
COMMENT ON FUNCTION forge_comm.new_deletion_id() IS
  'The id of a deletion';

CREATE FUNCTION forge_comm.is_referenced(rel regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_constraint AS c
                  WHERE c.contype = 'f' AND c.confrelid = rel AND c.confdeltype IN ('c', 'n', 'd', 'r'))
$$;
COMMENT ON FUNCTION forge_comm.is_referenced(regclass) IS
  'Is there a foreign key to the table that does something when a row is deleted?';

-- The row trigger is cloned to partitions by PostgreSQL, the other one is not.
CREATE FUNCTION forge_comm.create_cascade_triggers(member regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  deleted_at name := forge_comm.rule_options(member, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'deleted_at';
BEGIN
  IF NOT forge_comm.has_trigger(member, 'forge_comm_soft_delete_note') THEN
    PERFORM forge_comm.create_trigger(
      member, 'forge_comm_soft_delete_note', 'AFTER UPDATE',
      format('FOR EACH ROW WHEN ((OLD.%1$I IS NULL) IS DISTINCT FROM (NEW.%1$I IS NULL))
              EXECUTE FUNCTION forge_comm.soft_delete_note()', deleted_at),
      'soft_delete');
  END IF;
  IF NOT forge_comm.has_trigger(member, 'forge_comm_soft_delete_follow') THEN
    PERFORM forge_comm.create_trigger(
      member, 'forge_comm_soft_delete_follow', 'AFTER UPDATE',
      'FOR EACH STATEMENT EXECUTE FUNCTION forge_comm.soft_delete_follow()', 'soft_delete');
  END IF;
END
$$;
COMMENT ON FUNCTION forge_comm.create_cascade_triggers(regclass) IS
  'Create the triggers that let rows fall with what they reference';

CREATE FUNCTION forge_comm.drop_cascade_triggers(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT t.tgrelid::regclass AS member, t.tgname
      FROM forge_comm.family(rel) AS f
      JOIN pg_trigger AS t ON t.tgrelid = f.member
     WHERE t.tgname IN ('forge_comm_soft_delete_note', 'forge_comm_soft_delete_follow')
       AND t.tgparentid = 0
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.member);
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.drop_cascade_triggers(regclass) IS
  'Drop the triggers that let rows fall with what they reference';

-- A table that nothing references goes without, and so costs nothing more.
CREATE FUNCTION forge_comm.follow_references(rel regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  options jsonb := forge_comm.rule_options(rel, 'forge_comm_soft_delete', 'soft_delete_guard');
BEGIN
  IF options IS NULL OR options ->> 'cascade' = 'false' OR NOT forge_comm.is_referenced(rel) THEN
    RETURN;
  ELSIF EXISTS (SELECT FROM pg_partitioned_table AS p
                  JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs)
                 WHERE p.partrelid = rel AND a.attname = options ->> 'deleted_at') THEN
    RAISE EXCEPTION 'table % is partitioned by the mark of its deleted rows', rel
      USING ERRCODE = 'feature_not_supported',
            HINT = 'What references a row that moves to another partition cannot fall with it. Call forge_comm.enable_soft_delete() with cascade => false.';
  END IF;
  PERFORM forge_comm.create_cascade_triggers(f.member) FROM forge_comm.family(rel) AS f;
END
$$;
COMMENT ON FUNCTION forge_comm.follow_references(regclass) IS
  'Let the rows of other tables fall with those of this one, if any reference it';

CREATE FUNCTION forge_comm.follow_new_references()
RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  parent record;
BEGIN
  FOR parent IN
    SELECT DISTINCT c.oid::regclass AS rel,
           pg_has_role(c.relowner, 'USAGE')
           AND has_function_privilege('forge_comm.soft_delete_note()', 'EXECUTE')
           AND has_function_privilege('forge_comm.soft_delete_follow()', 'EXECUTE') AS may_follow
      FROM pg_event_trigger_ddl_commands() AS d
      JOIN pg_constraint AS k ON k.conrelid = d.objid AND k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd', 'r')
      JOIN pg_class AS c ON c.oid = k.confrelid AND NOT c.relispartition
     WHERE d.classid = 'pg_class'::regclass AND NOT forge_comm.is_restoring()
       AND forge_comm.has_trigger(c.oid, 'forge_comm_soft_delete')
       AND NOT forge_comm.has_trigger(c.oid, 'forge_comm_soft_delete_follow')
       AND forge_comm.rule_options(c.oid, 'forge_comm_soft_delete', 'soft_delete_guard') ->> 'cascade' IS DISTINCT FROM 'false'
  LOOP
    IF parent.may_follow THEN
      PERFORM forge_comm.follow_references(parent.rel);
    ELSE
      RAISE WARNING 'soft-deleting a row of table % will not concern the rows that reference it', parent.rel
        USING HINT = format('Let its owner call forge_comm.enable_soft_delete(%L) again, with the same arguments.', parent.rel);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION forge_comm.follow_new_references() IS
  'Event trigger: rows that come to reference a table with soft delete fall with its rows';

CREATE EVENT TRIGGER forge_comm_follow_references ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA')
  EXECUTE FUNCTION forge_comm.follow_new_references();
COMMENT ON EVENT TRIGGER forge_comm_follow_references IS
  'Rows that come to reference a table with soft delete fall with its rows';
