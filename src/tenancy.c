/*
 * tenancy.c
 *		Rows belong to a workspace: the trigger that guards their writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "context.h"
#include "rules.h"

/*
 * The workspaces of parents met earlier in the statement.  A row never changes
 * its workspace, and each of these is locked, so that no other transaction can
 * put another row in its place.
 */
#define PARENT_SLOTS 256

typedef struct ParentSlot
{
	Oid constraint; /* InvalidOid: unused */
	Datum key;
	int64 workspace;
} ParentSlot;

typedef struct GuardState
{
	Relation rel;
	TupleDesc desc;
	const TenancyRule *rule;
	bool bypassed; /* row security does not bind the role */
	ParentSlot *parents;
} GuardState;

static ParentSlot *
parent_slots(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
								   PARENT_SLOTS * sizeof(ParentSlot));
	return (ParentSlot *) fcinfo->flinfo->fn_extra;
}

/*
 * Word for word what the foreign key says of a parent that does not exist, to
 * a role that row security binds.
 */
static void
refuse_reference(const GuardState *guard, const ForeignKey *key)
{
	char *constraint = get_constraint_name(key->constraint);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(guard->rel), constraint),
			 errdetail("Key is not present in table \"%s\".",
					   get_rel_name(key->parent.relid)),
			 errtableconstraint(guard->rel, constraint)));
}

/* The values of a foreign key; false if one is null and nothing is referenced. */
static bool
key_values(const GuardState *guard, HeapTuple tuple, const ForeignKey *key, Datum *values)
{
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		bool isnull;

		values[i] = heap_getattr(tuple, key->columns[i], guard->desc, &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/*
 * The workspace of a row that a backfill has not come to yet: it follows from
 * the row above it, which has one.
 */
static bool
unfilled_workspace(const ForeignKey *key, const Datum *values, int64 *workspace)
{
	Relation rel = table_open(key->parent.relid, AccessShareLock);
	const TenancyRule *rule = rules_of(rel)->tenancy;
	bool found = false;

	if (rule && rule->via)
	{
		Oid type = TupleDescAttr(RelationGetDescr(rel), rule->via - 1)->atttypid;
		int64 id;
		bool isnull;

		if (is_id_type(type) &&
			lookup_referenced(&key->parent, values, rule->via, false, &id, &isnull) &&
			!isnull)
		{
			Datum above = id_to_datum(id, type);

			found = lookup_referenced(&rule->via_key.parent, &above,
									  rule->via_key.parent_workspace, false,
									  workspace, &isnull) &&
					!isnull;
		}
	}
	table_close(rel, NoLock);
	return found;
}

/* The workspace of the row referenced, which must exist. */
static int64
find_parent(const GuardState *guard, const ForeignKey *key, const Datum *values, bool lock)
{
	int64 workspace;
	bool isnull;

	if (!lookup_referenced(&key->parent, values, key->parent_workspace, lock,
						   &workspace, &isnull) ||
		(isnull && !unfilled_workspace(key, values, &workspace)))
		refuse_reference(guard, key);
	return workspace;
}

/*
 * May the row be in this workspace?  The policies ask again, but they come
 * too late: the references are looked at first, and whether those were right
 * or wrong must not show for a workspace that is not in scope.
 */
static bool
may_write_to(const GuardState *guard, int64 workspace)
{
	return guard->bypassed || context_allows(workspace);
}

/*
 * The workspace of the row referenced, which must exist and be either in the
 * workspace named or, if none is, in scope.  Only then is it locked: nobody
 * waits for another workspace's rows, or can tell by it that they are there.
 */
static int64
parent_workspace(const GuardState *guard, const ForeignKey *key, const Datum *values,
				 const int64 *named)
{
	bool simple = key->parent.nkeys == 1 && is_id_type(key->parent.argtypes[0]);
	ParentSlot *slot = &guard->parents[(uint64) values[0] % PARENT_SLOTS];
	bool known = simple && slot->constraint == key->constraint && slot->key == values[0];
	int64 workspace;

	workspace = known ? slot->workspace : find_parent(guard, key, values, false);
	if (named ? workspace != *named : !may_write_to(guard, workspace))
		refuse_reference(guard, key);
	if (known)
		return workspace;

	/* somebody may have been here between the look and the lock */
	if (find_parent(guard, key, values, true) != workspace)
		refuse_reference(guard, key);
	if (simple)
	{
		slot->constraint = key->constraint;
		slot->key = values[0];
		slot->workspace = workspace;
	}
	return workspace;
}

/* The workspace for a row that names none. */
static int64
missing_workspace(const GuardState *guard, HeapTuple tuple)
{
	const ForeignKey *via = &guard->rule->via_key;
	Datum value;
	int64 workspace;

	if (!guard->bypassed)
		context_require();
	if (guard->rule->via && key_values(guard, tuple, via, &value))
		return parent_workspace(guard, via, &value, NULL);
	if (!context_pinned(&workspace))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a row of table \"%s\" belongs to no workspace",
						RelationGetRelationName(guard->rel)),
				 errhint("Give column \"%s\" a value, or narrow the context to one workspace with forge_comm.pin_workspace().",
						 NameStr(TupleDescAttr(guard->desc, guard->rule->workspace - 1)->attname)),
				 errtablecol(guard->rel, guard->rule->workspace)));
	return workspace;
}

/* Is a value of one column the same in both rows? */
static bool
same_value(const GuardState *guard, AttrNumber a, HeapTuple left, AttrNumber b, HeapTuple right)
{
	Form_pg_attribute attr = TupleDescAttr(guard->desc, a - 1);
	bool leftnull;
	bool rightnull;
	Datum leftvalue = heap_getattr(left, a, guard->desc, &leftnull);
	Datum rightvalue = heap_getattr(right, b, guard->desc, &rightnull);

	if (leftnull || rightnull)
		return leftnull && rightnull;
	return attr->atttypid == TupleDescAttr(guard->desc, b - 1)->atttypid &&
		   datum_image_eq(leftvalue, rightvalue, attr->attbyval, attr->attlen);
}

/* Does an update leave the columns of a foreign key as they were? */
static bool
same_key(const GuardState *guard, const ForeignKey *key, HeapTuple old, HeapTuple new)
{
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		if (!same_value(guard, key->columns[i], old, key->columns[i], new))
			return false;
	}
	return true;
}

/* Does a row reference itself? */
static bool
is_own_parent(const GuardState *guard, const ForeignKey *key, HeapTuple tuple)
{
	if (key->parent.relid != RelationGetRelid(guard->rel))
		return false;
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		if (!same_value(guard, key->columns[i], tuple, key->parent.attnums[i], tuple))
			return false;
	}
	return true;
}

/*
 * Every row referenced must be of the row's own workspace.  Referential
 * checks bypass row security, so nobody else asks.
 */
static void
check_references(const GuardState *guard, HeapTuple old, HeapTuple new, int64 workspace)
{
	for (int i = 0; i < guard->rule->nreferences; i++)
	{
		const ForeignKey *key = &guard->rule->references[i];
		Datum values[INDEX_MAX_KEYS];

		if ((old && same_key(guard, key, old, new)) ||
			is_own_parent(guard, key, new) ||
			!key_values(guard, new, key, values))
			continue;
		(void) parent_workspace(guard, key, values, &workspace);
	}
}

/* A row that is new, or had no workspace until now. */
static HeapTuple
guard_insert(const GuardState *guard, HeapTuple new)
{
	const TenancyRule *rule = guard->rule;
	bool isnull;
	Datum value = heap_getattr(new, rule->workspace, guard->desc, &isnull);
	int64 workspace;

	if (isnull)
	{
		int attnum = rule->workspace;
		bool setnull = false;

		workspace = missing_workspace(guard, new);
		value = id_to_datum(workspace, rule->workspace_type);
		new = heap_modify_tuple_by_cols(new, guard->desc, 1, &attnum, &value, &setnull);
	}
	else
	{
		workspace = id_from_datum(value, rule->workspace_type);
		if (!may_write_to(guard, workspace))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("new row violates row-level security policy for table \"%s\"",
							RelationGetRelationName(guard->rel))));
	}
	check_references(guard, NULL, new, workspace);
	return new;
}

static void
refuse_move(const GuardState *guard)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a row of table \"%s\" cannot change its workspace",
					RelationGetRelationName(guard->rel)),
			 errhint("Insert a copy there, and delete the row here.")));
}

static HeapTuple
guard_update(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	AttrNumber attnum = guard->rule->workspace;
	bool oldnull,
		newnull;
	Datum oldvalue = heap_getattr(old, attnum, guard->desc, &oldnull);
	Datum newvalue = heap_getattr(new, attnum, guard->desc, &newnull);

	if (oldnull)
		return guard_insert(guard, new);
	if (newnull || oldvalue != newvalue)
		refuse_move(guard);
	check_references(guard, old, new, id_from_datum(newvalue, guard->rule->workspace_type));
	return new;
}

/* TRUNCATE asks no policy, so it is for those who see everything. */
static void
guard_truncate(Relation rel)
{
	if (context_is_everywhere() || context_bypassed())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\" holds rows of all workspaces and cannot be truncated",
					RelationGetRelationName(rel)),
			 errhint("Delete the rows, or call forge_comm.set_service_context() first.")));
}

PG_FUNCTION_INFO_V1(forge_comm_tenancy_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the arguments
 * "workspace_column=..." and perhaps "via=...", and BEFORE TRUNCATE.
 *
 * Fills the workspace of a row that names none, from the row that "via"
 * references or from the pinned workspace.  A row keeps its workspace, and
 * references rows of its own workspace only.
 */
Datum
forge_comm_tenancy_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	GuardState guard;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy_guard() must be called by a BEFORE trigger"),
				 errhint("Call forge_comm.enable_tenancy().")));
	guard.rel = trigger->tg_relation;
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		guard_truncate(guard.rel);
		PG_RETURN_POINTER(NULL);
	}

	guard.desc = RelationGetDescr(guard.rel);
	guard.rule = rules_of(guard.rel)->tenancy;
	if (guard.rule == NULL || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy_guard() must be called by the row trigger \"forge_comm_tenancy\""),
				 errhint("Call forge_comm.enable_tenancy().")));
	/* referential actions are exempt from policies, and so from ours */
	guard.bypassed = context_bypassed() || InNoForceRLSOperation();
	guard.parents = parent_slots(fcinfo);

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		PG_RETURN_POINTER(guard_update(&guard, trigger->tg_trigtuple,
									   trigger->tg_newtuple));
	PG_RETURN_POINTER(guard_insert(&guard, trigger->tg_trigtuple));
}
