-- Who is asking.

CREATE TABLE forge_comm.settings (
  memberships regclass NOT NULL,
  user_column name NOT NULL,
  workspace_column name NOT NULL,
  role_column name,
  active text
);
CREATE UNIQUE INDEX settings_one_row ON forge_comm.settings ((true));
SELECT pg_extension_config_dump('forge_comm.settings', '');
COMMENT ON TABLE forge_comm.settings IS
  'Where memberships are kept: no row or one, written by forge_comm.use_memberships()';
COMMENT ON INDEX forge_comm.settings_one_row IS 'There is one row at most';
COMMENT ON COLUMN forge_comm.settings.memberships IS 'The table of memberships';
COMMENT ON COLUMN forge_comm.settings.user_column IS 'Its column with the user''s id';
COMMENT ON COLUMN forge_comm.settings.workspace_column IS 'Its column with the workspace''s id';
COMMENT ON COLUMN forge_comm.settings.role_column IS 'Its column with the user''s role there';
COMMENT ON COLUMN forge_comm.settings.active IS 'Which of its rows count, as a boolean expression';

CREATE FUNCTION forge_comm.settings_changed()
RETURNS trigger
AS 'MODULE_PATHNAME', 'forge_comm_settings_changed'
LANGUAGE c;
COMMENT ON FUNCTION forge_comm.settings_changed() IS
  'Trigger: lets all sessions notice a change of the settings';

CREATE TRIGGER settings_changed
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON forge_comm.settings
  FOR EACH STATEMENT EXECUTE FUNCTION forge_comm.settings_changed();
COMMENT ON TRIGGER settings_changed ON forge_comm.settings IS
  'Lets all sessions notice a change of the settings';

CREATE FUNCTION forge_comm.set_context(user_id bigint DEFAULT NULL, workspace_id bigint DEFAULT NULL,
                                       is_local boolean DEFAULT true)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_set_context'
LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION forge_comm.set_context(bigint, bigint, boolean) IS
  'Say who is asking, for this transaction or session';

CREATE FUNCTION forge_comm.pin_workspace(workspace_id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_pin_workspace'
LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION forge_comm.pin_workspace(bigint) IS
  'Narrow the context to one workspace, for this transaction';

CREATE FUNCTION forge_comm.set_service_context(reason text)
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_set_service_context'
LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION forge_comm.set_service_context(text) IS
  'Take all workspaces into scope, for this transaction: for jobs and migrations';

CREATE FUNCTION forge_comm.current_user_id()
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_current_user_id'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.current_user_id() IS
  'The user of the context, null if there is none';

CREATE FUNCTION forge_comm.current_workspace_id()
RETURNS bigint
AS 'MODULE_PATHNAME', 'forge_comm_current_workspace_id'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.current_workspace_id() IS
  'The workspace of the context, null unless there is just one in scope';

CREATE FUNCTION forge_comm.workspace_ids()
RETURNS bigint[]
AS 'MODULE_PATHNAME', 'forge_comm_workspace_ids'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.workspace_ids() IS
  'The workspaces in scope, ascending';

CREATE FUNCTION forge_comm.has_role(workspace_id bigint, VARIADIC roles text[])
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_has_role'
LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.has_role(bigint, text[]) IS
  'Has the user of the context one of these roles in the workspace?';

CREATE FUNCTION forge_comm.in_service_context()
RETURNS boolean
AS 'MODULE_PATHNAME', 'forge_comm_in_service_context'
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.in_service_context() IS
  'Is every workspace in scope?';

CREATE FUNCTION forge_comm.context(OUT user_id bigint, OUT workspace_ids bigint[],
                                   OUT roles text[], OUT service_reason text)
AS 'MODULE_PATHNAME', 'forge_comm_context'
LANGUAGE c STABLE PARALLEL SAFE;
COMMENT ON FUNCTION forge_comm.context() IS
  'The context as a row, all null if there is none';

CREATE FUNCTION forge_comm.check_memberships()
RETURNS void
AS 'MODULE_PATHNAME', 'forge_comm_check_memberships'
LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION forge_comm.check_memberships() IS
  'An error unless the registered table of memberships can be used';

CREATE FUNCTION forge_comm.use_memberships(rel regclass, user_column name DEFAULT 'user_id',
                                           workspace_column name DEFAULT 'workspace_id',
                                           role_column name DEFAULT NULL, active text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM forge_comm.check_table(rel);
  PERFORM forge_comm.check_column(rel, user_column, '{smallint,integer,bigint}');
  PERFORM forge_comm.check_column(rel, workspace_column, '{smallint,integer,bigint}');
  DELETE FROM forge_comm.settings;
  INSERT INTO forge_comm.settings
  VALUES (rel, user_column, workspace_column, role_column, active);
  PERFORM forge_comm.check_memberships();
END
$$;
COMMENT ON FUNCTION forge_comm.use_memberships(regclass, name, name, name, text) IS
  'Register the table that says which users belong to which workspaces';

CREATE FUNCTION forge_comm.forget_memberships()
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ DELETE FROM forge_comm.settings $$;
COMMENT ON FUNCTION forge_comm.forget_memberships() IS
  'Register no table of memberships: workspaces are taken on trust again';
