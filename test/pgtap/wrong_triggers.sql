-- Triggers made by hand with our functions: an error that says so, and never
-- a crash, whatever their kind, their name and their arguments.
BEGIN;
SELECT * FROM no_plan();	-- each new trigger is tried in all ways

CREATE ROLE regress_owner;
SELECT forge_comm.grant_owner('regress_owner');
CREATE SCHEMA app AUTHORIZATION regress_owner;
SET client_min_messages = warning;
SET ROLE regress_owner;
CREATE TABLE app.rows (id int PRIMARY KEY, workspace_id int, parent_id int REFERENCES app.rows, body text, at timestamptz, day date, flag boolean);
CREATE VIEW app.view AS SELECT * FROM app.rows;
INSERT INTO app.rows (id, workspace_id) VALUES (1, 1), (2, 1);

-- Make a trigger, write through it, take it all back; the error's code
CREATE FUNCTION pg_temp.try(trigger text, function text, rel text DEFAULT 'app.rows') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  command text;
  states text[] := '{}';
BEGIN
  EXECUTE format('CREATE TRIGGER %s ON %s %s EXECUTE FUNCTION forge_comm.%s', split_part(trigger, '/', 1), rel, split_part(trigger, '/', 2), function);
  FOREACH command IN ARRAY ARRAY['INSERT INTO %s (id) VALUES (3)', 'INSERT INTO %s (id, workspace_id, body) VALUES (4, 1, ''x'')',
                                 'UPDATE %s SET body = ''new''', 'UPDATE %s SET body = NULL', 'DELETE FROM %s WHERE id = 2',
                                 'INSERT INTO %s (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET body = ''upsert''',
                                 'TRUNCATE %s CASCADE', 'SELECT forge_comm.rules(''%s'')']
  LOOP
    BEGIN
      EXECUTE format(command, rel);
      RAISE SQLSTATE 'T0000';
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE <> 'T0000' AND NOT SQLSTATE = ANY (states) THEN
        states := states || SQLSTATE::text;
      END IF;
    END;
  END LOOP;
  RAISE SQLSTATE 'T0000' USING MESSAGE = array_to_string(states, ',');
EXCEPTION
  WHEN SQLSTATE 'T0000' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

-- Not a trigger at all
SELECT throws_ok(format('SELECT forge_comm.%s()', f), '39P01', NULL, f || '() called directly') FROM unnest('{tenancy_guard,timestamps_stamp,soft_delete_guard,soft_delete_note,soft_delete_follow,secrets_guard,messages_guard,history_record,history_guard,validation_guard}'::text[]) AS f;

-- Of the wrong kind, under our name and under another
SELECT is(pg_temp.try(format('%I %s', name, events), function || '()'), '39P01', format('%s: %s %s', function, name, events))
  FROM (VALUES ('tenancy_guard', 'forge_comm_tenancy'), ('timestamps_stamp', 'forge_comm_timestamps'),
               ('soft_delete_guard', 'forge_comm_soft_delete'), ('secrets_guard', 'forge_comm_secrets'), ('validation_guard', 'forge_comm_validation')) AS t (function, ours),
       unnest(ARRAY[ours, 'other']) AS name,
       unnest(ARRAY['AFTER INSERT OR UPDATE OR DELETE/FOR EACH ROW', 'AFTER INSERT OR UPDATE OR DELETE/FOR EACH STATEMENT',
                    'BEFORE INSERT OR UPDATE OR DELETE/FOR EACH STATEMENT', 'BEFORE UPDATE/FOR EACH STATEMENT',
                    'BEFORE DELETE/FOR EACH STATEMENT', 'BEFORE INSERT/FOR EACH STATEMENT', 'AFTER TRUNCATE/FOR EACH STATEMENT']) AS events;
SELECT is(pg_temp.try('other INSTEAD OF INSERT OR UPDATE OR DELETE/FOR EACH ROW', function || '()', 'app.view') ~ '39P01', true, function || ': INSTEAD OF')
  FROM unnest('{tenancy_guard,timestamps_stamp,soft_delete_guard,secrets_guard,validation_guard}'::text[]) AS function;

-- What tells of changes comes after them, and its guard before
SELECT is(pg_temp.try(format('%I %s', name, events), function || '()'), '39P01', format('%s: %s %s', function, name, events))
  FROM (VALUES ('history_record', 'forge_comm_history', 'BEFORE INSERT OR UPDATE OR DELETE/FOR EACH ROW'),
               ('history_record', 'forge_comm_history', 'AFTER INSERT OR UPDATE OR DELETE/FOR EACH STATEMENT'),
               ('history_record', 'other', 'AFTER INSERT OR UPDATE OR DELETE/FOR EACH ROW'),
               ('history_record', 'forge_comm_history', 'AFTER INSERT OR UPDATE OR DELETE/FOR EACH ROW'),
               ('history_guard', 'forge_comm_append_only', 'AFTER INSERT OR UPDATE OR DELETE/FOR EACH ROW')) AS t (function, name, events);
SELECT is(pg_temp.try('other ' || events, 'soft_delete_note()') ~ '39P01', true, 'soft_delete_note: ' || events)
  FROM unnest(ARRAY['BEFORE UPDATE/FOR EACH ROW', 'AFTER INSERT OR UPDATE/FOR EACH ROW', 'AFTER UPDATE/FOR EACH STATEMENT', 'AFTER DELETE/FOR EACH ROW']) AS events;
SELECT is(pg_temp.try('other ' || events, 'soft_delete_follow()') ~ '39P01', true, 'soft_delete_follow: ' || events)
  FROM unnest(ARRAY['BEFORE UPDATE/FOR EACH STATEMENT', 'AFTER INSERT OR UPDATE/FOR EACH STATEMENT', 'AFTER UPDATE/FOR EACH ROW', 'AFTER TRUNCATE/FOR EACH STATEMENT']) AS events;
-- of the right kind, where nothing is enabled: nothing to follow
SELECT is(pg_temp.try('other AFTER UPDATE/' || level, function || '()'), '', function || ' where soft delete is not enabled')
  FROM (VALUES ('soft_delete_note', 'FOR EACH ROW'), ('soft_delete_follow', 'FOR EACH STATEMENT')) AS t (function, level);

-- Of the right kind, with a name that is not ours
SELECT is(pg_temp.try('other BEFORE INSERT OR UPDATE/FOR EACH ROW', function), '39P01', function || ' under another name')
  FROM unnest(ARRAY['tenancy_guard(''workspace_column=workspace_id'')', 'timestamps_stamp(''created_at=at'')', 'secrets_guard(''columns={body}'', ''kinds={plain}'')', 'validation_guard(''rules={}'')']) AS function;

-- Of the right kind and name, with arguments that make no sense
SELECT unalike(pg_temp.try(format('%I BEFORE INSERT OR UPDATE OR DELETE/FOR EACH ROW', ours), format('%s(%s)', function, args)), '%XX%',
               format('%s(%s)', function, args))
  FROM (VALUES ('tenancy_guard', 'forge_comm_tenancy', 'workspace_column', 'via'), ('timestamps_stamp', 'forge_comm_timestamps', 'created_at', 'updated_by'),
               ('soft_delete_guard', 'forge_comm_soft_delete', 'deleted_at', 'deleted_by'), ('secrets_guard', 'forge_comm_secrets', 'columns', 'kinds'), ('validation_guard', 'forge_comm_validation', 'rules', 'rules')) AS t (function, ours, first, second),
       unnest(ARRAY['', '''''', '''=''', '''nonsense''', '''no=thing''', format('''%s''', first), format('''%s=''', first), format('''%s=no_such_column''', first),
                    format('''%s=id''', first), format('''%s=body''', first), format('''%s=day''', first), format('''%s=flag''', first), format('''%s=ctid''', first),
                    format('''%s=workspace_id'', ''%s=workspace_id''', first, second), format('''%s=at'', ''%s=body''', first, second),
                    format('''%s=at'', ''%s=parent_id''', first, second), format('''%s=workspace_id'', ''%s=parent_id''', first, second),
                    format('''%s=at'', ''ignore={''', first), format('''%s=at'', ''ignore={body,nobody}''', first), format('''%s=at'', ''is_active=body''', first)]) AS args;

-- Rules that are not as add_validation() writes them
SELECT unalike(pg_temp.try('forge_comm_validation BEFORE INSERT OR UPDATE OR DELETE/FOR EACH ROW', format('validation_guard(%L)', 'rules=' || rules)), '%XX%', 'rules=' || rules)
  FROM unnest(ARRAY['{', '[]', '1', '"body"', 'null', '{"body": 1}', '{"body": []}', '{"body": {"email": 1}}', '{"body": {"fun": {}}}', '{"body": {"length": []}}',
                    '{"body": {"length": {"max": null}}}', '{"body": {"length": {"max": -1}}}', '{"body": {"length": {"max": 1e9}}}', '{"body": {"one_of": {"values": {}}}}',
                    '{"body": {"one_of": {"values": [1, null]}}}', '{"body": {"matches": {"pattern": 1}}}', '{"body": {"matches": {"pattern": "("}}}', '{"id": {"range": {"min": []}}}',
                    '{"id": {"range": {"min": "x"}}}', '{"id": {"same_as_parent": {"via": {}}}}', '{"nowhere": {"email": {}}}', '{"ctid": {"not_null": {}}}', '{"body": {}}', '{}']) AS rules;

-- What is changed under a rule that stood
CREATE FUNCTION pg_temp.after(change text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE change;
  EXECUTE command;
  RAISE SQLSTATE 'T0000' USING MESSAGE = 'no error';
EXCEPTION
  WHEN SQLSTATE 'T0000' THEN RETURN SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
SELECT forge_comm.enable_timestamps('app.rows', updated_at => 'at', created_at => NULL, updated_by => 'workspace_id');
SELECT forge_comm.enable_soft_delete('app.rows', deleted_at => 'deleted_at', deleted_by => 'deleted_by', is_active => 'flag', view => '');
SELECT unalike(pg_temp.after(change, command), '%XX%', format('%s; %s', change, command))
  FROM unnest(ARRAY['ALTER TABLE app.rows ALTER at TYPE text', 'ALTER TABLE app.rows ALTER at TYPE date', 'ALTER TABLE app.rows RENAME at TO moment',
                    'ALTER TABLE app.rows DROP at', 'ALTER TABLE app.rows ALTER workspace_id TYPE text', 'ALTER TABLE app.rows ALTER deleted_at TYPE text',
                    'ALTER TABLE app.rows ALTER deleted_by TYPE text', 'ALTER TABLE app.rows ALTER flag TYPE text', 'ALTER TABLE app.rows DROP deleted_at',
                    'ALTER TABLE app.rows DROP flag', 'ALTER TABLE app.rows RENAME deleted_at TO gone']) AS change,
       unnest(ARRAY['UPDATE app.rows SET body = ''new''', 'INSERT INTO app.rows (id) VALUES (3)', 'DELETE FROM app.rows', 'SELECT forge_comm.rules(''app.rows'')',
                    'SELECT forge_comm.disable_timestamps(''app.rows'', true), forge_comm.disable_soft_delete(''app.rows'', true)']) AS command;

RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
