/*
 * memberships.c
 *		Who belongs to which workspace, from the application's own table.
 *
 * The table is named by the one row of forge_comm.settings.  Its rows are
 * read straight from an index: no query runs, so neither its policies nor
 * its owner's functions do, and no role's rights are borrowed.  The optional
 * "active" expression is held to built-in functions for the same reason.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "conditions.h"
#include "invalidation.h"
#include "lookup.h"
#include "memberships.h"

/* The columns of forge_comm.settings, in order. */
enum
{
	SETTING_MEMBERSHIPS,
	SETTING_USER_COLUMN,
	SETTING_WORKSPACE_COLUMN,
	SETTING_ROLE_COLUMN,
	SETTING_ACTIVE,
	NUM_SETTINGS
};

/* The registered table, resolved. */
typedef struct MembershipTable
{
	LookupKey key; /* by user */
	Oid user_type;
	AttrNumber workspace;
	Oid workspace_type;
	Oid workspaces; /* the table that column references, if any */
	bool has_by_workspace;
	LookupKey by_workspace;
	AttrNumber role; /* 0 where no role is kept */
	FmgrInfo role_output;
	Condition *active; /* NULL where every row counts */
} MembershipTable;

/* The setting as last resolved, until it or the table changes. */
static struct
{
	bool valid;
	Oid settings; /* forge_comm.settings itself */
	Oid relid; /* the table registered */
	MembershipTable *table; /* NULL where none is registered */
	MemoryContext context; /* holds the table's resolution */
} cache;

/* ------------------------------------------------------------- the setting */

/*
 * A copy of the row of forge_comm.settings, taken apart; NULL if there is
 * none.  It is read like a catalog, as it is now whatever the transaction's
 * snapshot says, since what is made of it outlives the transaction.
 */
static HeapTuple
read_settings(Datum *values, bool *nulls)
{
	Oid relid = get_relname_relid("settings",
								  get_namespace_oid("forge_comm", false));
	Relation rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	cache.settings = relid;
	return tuple;
}

PG_FUNCTION_INFO_V1(forge_comm_settings_changed);

/* Trigger: AFTER any change of the settings, to be noticed by all sessions. */
Datum
forge_comm_settings_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("settings_changed() must be called as a trigger"),
				 errhint("It belongs to table forge_comm.settings only.")));
	CacheInvalidateRelcache(trigger->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/* --------------------------------------------------------------- resolving */

static void
table_is_gone(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("the registered table of memberships no longer exists"),
			 errhint("Register another with forge_comm.use_memberships(), or call forge_comm.forget_memberships().")));
}

static AttrNumber
settings_column(Relation rel, Datum name)
{
	const char *column = NameStr(*DatumGetName(name));
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						column, RelationGetRelationName(rel)),
				 errhint("Name the columns of the table of memberships to forge_comm.use_memberships().")));
	return attnum;
}

static AttrNumber
id_column(Relation rel, Datum name, Oid *type)
{
	AttrNumber attnum = settings_column(rel, name);

	*type = get_atttype(RelationGetRelid(rel), attnum);
	if (!is_id_type(*type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" has type %s",
						NameStr(*DatumGetName(name)), RelationGetRelationName(rel),
						format_type_be(*type)),
				 errhint("Ids must be smallint, integer or bigint.")));
	return attnum;
}

/* The table that a column references by itself. */
static Oid
referenced_table(Relation rel, AttrNumber attnum)
{
	List *keys = copyObject(RelationGetFKeyList(rel));
	ListCell *cell;

	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);

		if (info->nkeys == 1 && info->conkey[0] == attnum)
			return info->confrelid;
	}
	return InvalidOid;
}

/* Resolve the settings into the current memory context. */
static MembershipTable *
resolve(Relation rel, const Datum *values, const bool *nulls)
{
	MembershipTable *table = palloc0(sizeof(MembershipTable));
	AttrNumber user;

	user = id_column(rel, values[SETTING_USER_COLUMN], &table->user_type);
	table->workspace = id_column(rel, values[SETTING_WORKSPACE_COLUMN],
								 &table->workspace_type);
	if (!nulls[SETTING_ROLE_COLUMN])
	{
		Oid output;
		bool is_varlena;

		table->role = settings_column(rel, values[SETTING_ROLE_COLUMN]);
		getTypeOutputInfo(get_atttype(RelationGetRelid(rel), table->role),
						  &output, &is_varlena);
		fmgr_info_cxt(output, &table->role_output, CurrentMemoryContext);
	}
	if (!lookup_index(rel, &user, 1, false, &table->key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no btree index that is led by column \"%s\"",
						RelationGetRelationName(rel),
						NameStr(*DatumGetName(values[SETTING_USER_COLUMN]))),
				 errhint("Create one: each context looks the user's memberships up.")));
	table->workspaces = referenced_table(rel, table->workspace);
	table->has_by_workspace = lookup_index(rel, &table->workspace, 1, false,
										   &table->by_workspace);
	if (!nulls[SETTING_ACTIVE])
		table->active = condition_prepare(rel, "active",
										  TextDatumGetCString(values[SETTING_ACTIVE]));
	return table;
}

/* Relcache callback: the settings, or the table they name, have changed. */
static void
forget_table(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == cache.settings || relid == cache.relid)
		cache.valid = false;
}

/* Resolve the setting as it is now. */
static MembershipTable *
resolve_settings(void)
{
	Datum values[NUM_SETTINGS];
	bool nulls[NUM_SETTINGS];
	MembershipTable *table;
	Relation rel;

	if (read_settings(values, nulls) == NULL)
		return NULL;
	cache.relid = DatumGetObjectId(values[SETTING_MEMBERSHIPS]);
	rel = try_table_open(cache.relid, AccessShareLock);
	if (rel == NULL)
		table_is_gone();
	table = resolve(rel, values, nulls);
	table_close(rel, NoLock);
	return table;
}

/*
 * The registered table; NULL if none is.  It counts as valid from before it
 * is resolved, so that a change that arrives meanwhile is not lost.
 */
static const MembershipTable *
registered_table(void)
{
	MemoryContext old;

	if (cache.valid)
		return cache.table;

	/* what was read before may still be in use up the stack */
	MemoryContextSetParent(cache.context, TopTransactionContext);
	cache.context = AllocSetContextCreate(TopMemoryContext, "forge_comm memberships",
										  ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cache.context);
	cache.valid = true;
	PG_TRY();
	{
		cache.table = resolve_settings();
	}
	PG_CATCH();
	{
		cache.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return cache.table;
}

bool
memberships_registered(void)
{
	return registered_table() != NULL;
}

/* ----------------------------------------------------------------- reading */

typedef struct Collection
{
	const MembershipTable *table;
	Membership *found;
	int nfound;
	int size;
} Collection;

static bool
collect(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Collection *collection = (Collection *) arg;
	const MembershipTable *table = collection->table;
	Membership membership = { .role = "" };

	if (!tuple_id(tuple, desc, table->workspace, &membership.workspace) ||
		(table->active && !condition_is_true(table->active, tuple)))
		return true;
	if (table->role)
	{
		bool isnull;
		Datum role = heap_getattr(tuple, table->role, desc, &isnull);

		if (!isnull)
			membership.role = OutputFunctionCall((FmgrInfo *) &table->role_output, role);
	}

	if (collection->nfound == collection->size)
	{
		collection->size *= 2;
		collection->found = repalloc(collection->found,
									 collection->size * sizeof(Membership));
	}
	collection->found[collection->nfound++] = membership;
	return true;
}

static int
by_workspace(const void *a, const void *b)
{
	const Membership *left = (const Membership *) a;
	const Membership *right = (const Membership *) b;

	if (left->workspace != right->workspace)
		return left->workspace < right->workspace ? -1 : 1;
	return strcmp(left->role, right->role);
}

/* Sort by workspace and keep one membership of each. */
static int
sort_distinct(Membership *memberships, int n)
{
	int kept = 0;

	qsort(memberships, n, sizeof(Membership), by_workspace);
	for (int i = 0; i < n; i++)
	{
		if (kept == 0 || memberships[kept - 1].workspace != memberships[i].workspace)
			memberships[kept++] = memberships[i];
	}
	return kept;
}

int
memberships_of(int64 user, Membership **memberships)
{
	Collection collection = { .table = registered_table(), .size = 16 };
	const MembershipTable *table = collection.table;
	Datum key;

	collection.found = palloc(collection.size * sizeof(Membership));
	*memberships = collection.found;
	if (table == NULL || !id_fits(user, table->user_type))
		return 0;

	key = id_to_datum(user, table->user_type);
	lookup_each(&table->key, &key, GetActiveSnapshot(), collect, &collection);
	*memberships = collection.found;
	return sort_distinct(collection.found, collection.nfound);
}

bool
memberships_are_of(Oid workspaces)
{
	const MembershipTable *table = registered_table();

	return table != NULL && table->workspaces == workspaces;
}

/* ------------------------------------------------------------------ people */

/* Whether one user is connected, or who is. */
typedef struct People
{
	const MembershipTable *table;
	bool (*in_scope)(int64 workspace);
	bool connected;
	IdList *users;
} People;

static bool
is_connected(HeapTuple tuple, TupleDesc desc, void *arg)
{
	People *people = (People *) arg;
	int64 workspace;

	people->connected = tuple_id(tuple, desc, people->table->workspace, &workspace) &&
						people->in_scope(workspace);
	return !people->connected;
}

bool
memberships_connect(int64 user, bool (*in_scope)(int64 workspace))
{
	People people = { .table = registered_table(), .in_scope = in_scope };
	Datum key;

	if (people.table == NULL || !id_fits(user, people.table->user_type))
		return false;
	key = id_to_datum(user, people.table->user_type);
	lookup_each(&people.table->key, &key, GetActiveSnapshot(), is_connected, &people);
	return people.connected;
}

static bool
collect_person(HeapTuple tuple, TupleDesc desc, void *arg)
{
	People *people = (People *) arg;
	int64 user;

	if (tuple_id(tuple, desc, people->table->key.attnums[0], &user))
		add_id(people->users, user);
	return true;
}

bool
memberships_people(const int64 *workspaces, int nworkspaces, IdList *users)
{
	People people = { .table = registered_table(), .users = users };

	if (people.table == NULL || !people.table->has_by_workspace)
		return false;
	begin_ids(users);
	for (int i = 0; i < nworkspaces; i++)
	{
		Datum key;

		if (!id_fits(workspaces[i], people.table->workspace_type))
			continue;
		key = id_to_datum(workspaces[i], people.table->workspace_type);
		lookup_each(&people.table->by_workspace, &key, GetActiveSnapshot(), collect_person,
					&people);
	}
	return true;
}

PG_FUNCTION_INFO_V1(forge_comm_check_memberships);

/* check_memberships(): resolve the setting, with an error if it cannot be. */
Datum
forge_comm_check_memberships(PG_FUNCTION_ARGS)
{
	(void) registered_table();
	PG_RETURN_VOID();
}

void
memberships_init(void)
{
	cache.context = AllocSetContextCreate(TopMemoryContext, "forge_comm memberships",
										  ALLOCSET_SMALL_SIZES);
	when_table_changes(forget_table);
}
