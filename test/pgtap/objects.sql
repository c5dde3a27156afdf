-- What enabling leaves in the schema, that twice is once, and that disabling
-- takes all of it away.
BEGIN;
SELECT plan(50);

CREATE ROLE regress_owner;
SELECT forge_comm.grant_owner('regress_owner');
CREATE SCHEMA app AUTHORIZATION regress_owner;
-- pgTAP looks at what it can see, and this role may look
GRANT CREATE ON SCHEMA public TO regress_owner;
SET client_min_messages = warning;
SET ROLE regress_owner;

CREATE TABLE app.channels (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE TABLE app.messages (id int PRIMARY KEY, channel_id int NOT NULL REFERENCES app.channels, is_live boolean NOT NULL DEFAULT true);
CREATE TABLE public.app_pins (id int PRIMARY KEY, message_id int REFERENCES app.messages ON DELETE CASCADE);
CREATE UNIQUE INDEX one_a_channel ON app.messages (channel_id) WHERE is_live;
ALTER TABLE app.messages ADD UNIQUE (channel_id, is_live);
CREATE TABLE app.events (id int, workspace_id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES IN (1);
CREATE TABLE app.files (id int, workspace_id int NOT NULL);
CREATE TABLE app.images () INHERITS (app.files);
CREATE TABLE app.guarded (id int PRIMARY KEY, workspace_id int NOT NULL);
CREATE INDEX ON app.guarded (workspace_id, id);
ALTER TABLE app.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY theirs ON app.guarded USING (id > 0);
GRANT SELECT, DELETE ON app.messages TO PUBLIC;

-- All there is about the schema, one line an object
CREATE FUNCTION app.everything() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s %s %s %s %s %s', oid::regclass, relkind, relrowsecurity, relforcerowsecurity, relacl, obj_description(oid, 'pg_class'))
    FROM pg_class WHERE relnamespace = 'app'::regnamespace
  UNION ALL SELECT format('%s.%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, atthasdef)
    FROM pg_attribute JOIN pg_class ON attrelid = oid
   WHERE relnamespace = 'app'::regnamespace AND attnum > 0 AND NOT attisdropped
  UNION ALL SELECT format('%s: policy %s', polrelid::regclass, polname) FROM pg_policy JOIN pg_class AS c ON polrelid = c.oid
   WHERE relnamespace = 'app'::regnamespace
  UNION ALL SELECT format('%s: trigger %s', tgrelid::regclass, pg_get_triggerdef(t.oid)) FROM pg_trigger AS t JOIN pg_class AS c ON tgrelid = c.oid
   WHERE relnamespace = 'app'::regnamespace AND NOT tgisinternal
  UNION ALL SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'app'::regnamespace
  UNION ALL SELECT format('%s: index %s', indrelid::regclass, pg_get_indexdef(indexrelid)) FROM pg_index JOIN pg_class AS c ON indrelid = c.oid
   WHERE relnamespace = 'app'::regnamespace
  UNION ALL SELECT format('function %s', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'app'::regnamespace
  UNION ALL SELECT format('statistics %s', stxname) FROM pg_statistic_ext WHERE stxnamespace = 'app'::regnamespace
$$;
CREATE FUNCTION app.enable(capability text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CASE capability
    WHEN 'tenancy' THEN
      PERFORM forge_comm.enable_tenancy('app.channels'), forge_comm.enable_tenancy('app.messages', via => 'channel_id'),
              forge_comm.enable_tenancy('app.events'), forge_comm.enable_tenancy('app.files'), forge_comm.enable_tenancy('app.guarded');
    WHEN 'timestamps' THEN
      PERFORM forge_comm.enable_timestamps('app.messages', updated_by => 'editor', ignore => '{is_live}'),
              forge_comm.enable_timestamps('app.events'), forge_comm.enable_timestamps('app.files');
    WHEN 'soft_delete' THEN
      PERFORM forge_comm.enable_soft_delete('app.messages', deleted_by => 'deleter', is_active => 'is_live', deletion_id => 'deletion', unique_keys => 'live'),
              forge_comm.enable_soft_delete('app.events', view => 'live_events'), forge_comm.enable_soft_delete('app.files', view => '');
    WHEN 'messages' THEN
      PERFORM forge_comm.enable_messages('app.messages');
  END CASE;
END
$$;
CREATE FUNCTION app.disable(capability text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CASE capability
    WHEN 'tenancy' THEN
      PERFORM forge_comm.disable_tenancy('app.messages', drop_column => true), forge_comm.disable_tenancy('app.channels'),
              forge_comm.disable_tenancy('app.events'), forge_comm.disable_tenancy('app.files'), forge_comm.disable_tenancy('app.guarded');
    WHEN 'timestamps' THEN
      PERFORM forge_comm.disable_timestamps('app.messages', drop_columns => true),
              forge_comm.disable_timestamps('app.events', drop_columns => true), forge_comm.disable_timestamps('app.files', drop_columns => true);
    WHEN 'soft_delete' THEN
      PERFORM forge_comm.disable_soft_delete('app.messages', drop_columns => true),
              forge_comm.disable_soft_delete('app.events', drop_columns => true), forge_comm.disable_soft_delete('app.files', drop_columns => true);
    WHEN 'messages' THEN
      PERFORM forge_comm.disable_messages('app.messages');
  END CASE;
END
$$;

CREATE TEMP TABLE bare AS SELECT app.everything() AS line;

-- Tenancy
SELECT lives_ok('SELECT app.enable(''tenancy'')', 'grant_owner() is enough to enable tenancy');
SELECT policies_are('app', 'channels', '{forge_comm_tenancy,forge_comm_access}'::name[], 'channels: policies');
SELECT policies_are('app', 'messages', '{forge_comm_tenancy,forge_comm_access}'::name[], 'messages: policies');
SELECT policies_are('app', 'events_1', '{forge_comm_tenancy,forge_comm_access}'::name[], 'a partition: policies');
SELECT policies_are('app', 'images', '{forge_comm_tenancy,forge_comm_access}'::name[], 'an inheritance child: policies');
SELECT policies_are('app', 'guarded', '{forge_comm_tenancy,theirs}'::name[], 'where there were policies, no permissive one is added');
SELECT results_eq('SELECT DISTINCT polroles FROM pg_policy WHERE polname = ''forge_comm_tenancy''', $$VALUES ('{0}'::oid[])$$, 'the policy is for everybody');
SELECT policy_cmd_is('app', 'channels', 'forge_comm_tenancy', 'all', 'and for every command');
SELECT is_empty($$SELECT polrelid::regclass FROM pg_policy
                   WHERE polname = 'forge_comm_tenancy' AND (polpermissive OR polqual IS NULL OR polwithcheck IS NULL)$$,
                'it is restrictive, on what is read and what is written');
SELECT is_empty($$SELECT oid::regclass FROM pg_class
                   WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)$$,
                'row security is on, for the owner too');
SELECT triggers_are('app', 'channels', '{forge_comm_tenancy,forge_comm_tenancy_truncate,forge_comm_tenancy_stored}'::name[], 'channels: triggers');
SELECT triggers_are('app', 'images', '{forge_comm_tenancy,forge_comm_tenancy_truncate,forge_comm_tenancy_stored}'::name[], 'an inheritance child: triggers');
SELECT has_trigger('app', 'events_1', 'forge_comm_tenancy_truncate'::name, 'a partition: trigger against TRUNCATE');
SELECT trigger_is('app', 'messages', 'forge_comm_tenancy', 'forge_comm', 'tenancy_guard', 'the trigger calls the guard');
SELECT results_eq('SELECT capability, options ->> ''workspace_column'', options ->> ''via'' FROM forge_comm.rules(''app.messages'')',
                  $$VALUES ('tenancy', 'workspace_id', 'channel_id')$$, 'rules() reads it back');
SELECT col_type_is('app', 'messages', 'workspace_id', 'integer', 'the column added has the parent''s type');
SELECT col_not_null('app', 'messages', 'workspace_id', 'and is NOT NULL where there is nothing to fill');
SELECT is_indexed('app', 'channels', '{workspace_id}'::name[], 'an index on the workspace');
SELECT is_indexed('app', 'images', '{workspace_id}'::name[], 'in an inheritance child, too');
SELECT indexes_are('app', 'guarded', '{guarded_pkey,guarded_workspace_id_id_idx}'::name[], 'but not where one is led by it');

-- Timestamps
SELECT lives_ok('SELECT app.enable(''timestamps'')', 'grant_owner() is enough to enable timestamps');
SELECT col_type_is('app', 'messages', name, 'timestamp with time zone', name || ' is a timestamptz') FROM unnest('{created_at,updated_at}'::name[]) AS name;
SELECT col_not_null('app', 'messages', name, name || ' is NOT NULL') FROM unnest('{created_at,updated_at}'::name[]) AS name;
SELECT col_type_is('app', 'messages', 'editor', 'bigint', 'updated_by is a bigint');
SELECT has_trigger('app', rel, 'forge_comm_timestamps'::name, rel || ': trigger') FROM unnest('{messages,events,events_1,files,images}'::name[]) AS rel;

-- Soft delete
SELECT lives_ok('SELECT app.enable(''soft_delete'')', 'grant_owner() is enough to enable soft_delete');
SELECT views_are('app', '{active_messages,live_events}'::name[], 'a view of the live rows, if wanted');
SELECT is((SELECT reloptions FROM pg_class WHERE oid = 'app.active_messages'::regclass), '{security_invoker=true}',
          'with the rights of who reads it');
SELECT ok(has_table_privilege('pg_monitor', 'app.active_messages', 'SELECT, DELETE') AND NOT has_table_privilege('pg_monitor', 'app.active_messages', 'INSERT'),
          'for those who may use the table');
SELECT has_trigger('app', rel, 'forge_comm_soft_delete'::name, rel || ': trigger') FROM unnest('{messages,events,events_1,files,images}'::name[]) AS rel;

-- Messages
SELECT lives_ok('SELECT app.enable(''messages'')', 'grant_owner() is enough to enable messages');
SELECT has_function('app', 'get_messages', '{integer,integer,integer}'::name[], 'get_messages()');
SELECT set_eq('SELECT capability FROM forge_comm.rules(''app.messages'')', ARRAY['tenancy', 'timestamps', 'soft_delete', 'messages'], 'rules() of everything');

-- Twice is once
CREATE TEMP TABLE enabled AS SELECT app.everything() AS line;
SELECT app.enable(capability) FROM unnest('{tenancy,timestamps,soft_delete,messages}'::text[]) AS capability;
SELECT bag_eq('SELECT app.everything()', 'TABLE enabled', 'enabling again changes nothing');
SELECT throws_ok(sql, '55000', NULL, sql) FROM unnest(ARRAY[
  'SELECT forge_comm.enable_tenancy(''app.channels'', workspace_column => ''id'')',
  'SELECT forge_comm.enable_timestamps(''app.messages'')',
  'SELECT forge_comm.enable_soft_delete(''app.messages'')']) AS sql;
SELECT bag_eq('SELECT app.everything()', 'TABLE enabled', 'and with other options neither');

-- And back
SELECT app.disable(capability) FROM unnest('{messages,soft_delete,timestamps,tenancy}'::text[]) AS capability;
SELECT bag_eq('SELECT app.everything()', 'TABLE bare', 'disabling leaves nothing');
SELECT app.disable(capability) FROM unnest('{messages,soft_delete,timestamps,tenancy}'::text[]) AS capability;
SELECT bag_eq('SELECT app.everything()', 'TABLE bare', 'nor does it again');

RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
