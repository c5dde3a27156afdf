/*
 * tenancy.c
 *		Rows belong to a workspace: the trigger that guards their writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "context.h"
#include "founding.h"
#include "memberships.h"
#include "references.h"
#include "rules.h"

/* The transaction in which a row under tenancy was last deleted, or given another key. */
static LocalTransactionId keys_freed_in = InvalidLocalTransactionId;

/* --------------------------------------------------------------- workspace */

static void
refuse_row(const GuardState *guard)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("new row violates row-level security policy for table \"%s\"",
					RelationGetRelationName(guard->rel))));
}

/* The workspace for a row that names none. */
static int64
missing_workspace(const GuardState *guard, HeapTuple tuple)
{
	int64 workspace;

	if (!guard->bypassed)
		context_require();
	if (via_workspace(guard, tuple, &workspace) || context_pinned(&workspace))
		return workspace;
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("a row of table \"%s\" belongs to no workspace",
					RelationGetRelationName(guard->rel)),
			 errhint("Give column \"%s\" a value, or narrow the context to one workspace with forge_comm.pin_workspace().",
					 NameStr(TupleDescAttr(guard->desc, guard->rule->workspace - 1)->attname)),
			 errtablecol(guard->rel, guard->rule->workspace)));
	return 0;
}

/* Does the row make a workspace that is not there yet? */
static bool
founds_workspace(const GuardState *guard, int64 workspace)
{
	return guard->rule->founding && memberships_are_of(RelationGetRelid(guard->rel)) &&
		   founding_begin(&guard->rule->by_id, guard->rule->workspace_type, workspace);
}

static HeapTuple
fill_workspace(const GuardState *guard, HeapTuple tuple, int64 workspace)
{
	const TenancyRule *rule = guard->rule;
	Datum value = id_to_datum(workspace, rule->workspace_type);
	int attnum = rule->workspace;
	bool isnull = false;

	return heap_modify_tuple_by_cols(tuple, guard->desc, 1, &attnum, &value, &isnull);
}

/* ------------------------------------------------------------ replaced rows */

/* What rows that reference each other agree in, as the new row has it. */
typedef struct Replacement
{
	IdColumns place;
	AttrNumber differs; /* the column in which the old row had something else */
} Replacement;

static bool
was_elsewhere(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Replacement *replacement = (Replacement *) arg;
	IdColumns place = replacement->place;
	int differs;

	if (HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_data->t_infomask) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple->t_data)))
		return true;
	read_ids(tuple, desc, &place);
	differs = first_difference(&replacement->place, &place);
	if (differs < 0)
		return true;
	replacement->differs = place.attnums[differs];
	return false;
}

static void
refuse_replacement(const GuardState *guard, AttrNumber attnum)
{
	if (attnum == guard->rule->workspace)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("a key of table \"%s\" cannot pass from one workspace to another in one transaction",
						RelationGetRelationName(guard->rel)),
				 errhint("Insert the row with another key.")));
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("a key of table \"%s\" cannot pass to a row with another \"%s\" in one transaction",
					RelationGetRelationName(guard->rel),
					NameStr(TupleDescAttr(guard->desc, attnum - 1)->attname)),
			 errhint("Insert the row with another key.")));
}

static void
add_place(IdColumns *place, AttrNumber attnum)
{
	Assert(place->n < MAX_ID_COLUMNS);
	place->attnums[place->n++] = attnum;
}

static bool
note_found(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(bool *) arg = true;
	return false;
}

/* Has a row the key still, as a new version of what it was? */
static bool
has_key(const LookupKey *key, const Datum *values)
{
	bool found = false;

	lookup_each(key, values, SnapshotSelf, note_found, &found);
	return found;
}

/*
 * A key that this transaction has taken from a row must not turn up in another
 * workspace or channel, or with another "same" column: PostgreSQL would let the rows that
 * referenced the old one reference the new.
 */
static void
check_not_replaced(const GuardState *guard, HeapTuple tuple, bool stored)
{
	const PrivacyRule *privacy = rules_of(guard->rel)->privacy;
	Replacement replacement = { 0 };

	add_place(&replacement.place, guard->rule->workspace);
	for (int i = 0; i < guard->rule->nsame; i++)
		add_place(&replacement.place, guard->rule->same[i]);
	if (privacy && privacy->via)
		add_place(&replacement.place, privacy->via);
	read_ids(tuple, guard->desc, &replacement.place);

	for (int i = 0; i < guard->rule->nkeys; i++)
	{
		const LookupKey *key = &guard->rule->keys[i];
		Datum values[INDEX_MAX_KEYS];

		if (!read_values(tuple, guard->desc, key->attnums, key->nkeys, values))
			continue;
		replacement.differs = InvalidAttrNumber;
		lookup_each(key, values, SnapshotAny, was_elsewhere, &replacement);
		/* another row that still has the key is the unique index's business */
		if (replacement.differs && (stored || !has_key(key, values)))
			refuse_replacement(guard, replacement.differs);
	}
}

static bool
changes_key(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	for (int i = 0; i < guard->rule->nkeys; i++)
	{
		const LookupKey *key = &guard->rule->keys[i];

		for (int j = 0; j < key->nkeys; j++)
		{
			if (!same_column(guard->desc, key->attnums[j], old, new))
				return true;
		}
	}
	return false;
}

static void
note_freed_key(void)
{
	keys_freed_in = compat_local_xid();
}

static bool
keys_were_freed(void)
{
	return keys_freed_in == compat_local_xid();
}

/* ----------------------------------------------------- referential actions */

/*
 * The AFTER triggers of what a referential action writes fire when the action
 * is over, and nothing tells them of it.  So the rows are remembered by where
 * their old versions are.
 */
typedef struct ActedOn /* a hash key: must not have padding */
{
	Oid relid;
	BlockNumber block;
	uint32 offset;
} ActedOn;

static HTAB *acted_on = NULL; /* of the transaction acted_on_in */
static LocalTransactionId acted_on_in = InvalidLocalTransactionId;

static ActedOn
row_acted_on(const GuardState *guard, HeapTuple old)
{
	ActedOn row = {
		.relid = RelationGetRelid(guard->rel),
		.block = ItemPointerGetBlockNumber(&old->t_self),
		.offset = ItemPointerGetOffsetNumber(&old->t_self)
	};

	return row;
}

static void
remember_action(const GuardState *guard, HeapTuple old)
{
	ActedOn row = row_acted_on(guard, old);

	if (acted_on_in != compat_local_xid())
	{
		HASHCTL ctl = {
			.keysize = sizeof(ActedOn),
			.entrysize = sizeof(ActedOn),
			.hcxt = TopTransactionContext
		};

		acted_on = hash_create("forge_comm referential actions", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		acted_on_in = compat_local_xid();
	}
	(void) hash_search(acted_on, &row, HASH_ENTER, NULL);
}

static bool
forget_action(const GuardState *guard, HeapTuple old)
{
	ActedOn row;
	bool found;

	if (acted_on_in != compat_local_xid())
		return false;
	row = row_acted_on(guard, old);
	(void) hash_search(acted_on, &row, HASH_REMOVE, &found);
	return found;
}

/* Does a referential action write the row? */
static bool
is_by_action(const GuardState *guard, HeapTuple old, bool stored)
{
	bool acts = by_referential_action(guard->rel);
	bool acted;

	if (old == NULL || !guard->rule->rewritten)
		return acts;
	acted = forget_action(guard, old);
	if (stored)
		return acts || acted;
	if (acts)
		remember_action(guard, old);
	return acts;
}

/* ------------------------------------------------------------------ guards */

/* A row that is new, or had no workspace until now. */
static HeapTuple
guard_insert(const GuardState *guard, HeapTuple new)
{
	int64 workspace;

	if (!tuple_id(new, guard->desc, guard->rule->workspace, &workspace))
	{
		workspace = missing_workspace(guard, new);
		new = fill_workspace(guard, new, workspace);
	}
	if (!may_write_to(guard, workspace) && !founds_workspace(guard, workspace))
		refuse_row(guard);
	check_references(guard, NULL, new);
	if (keys_were_freed())
		check_not_replaced(guard, new, false);
	return new;
}

static void
refuse_change(const GuardState *guard, AttrNumber attnum)
{
	if (attnum == guard->rule->workspace)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a row of table \"%s\" cannot change its workspace",
						RelationGetRelationName(guard->rel)),
				 errhint("Insert a copy there, and delete the row here.")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a row of table \"%s\" cannot change its column \"%s\"",
					RelationGetRelationName(guard->rel),
					NameStr(TupleDescAttr(guard->desc, attnum - 1)->attname)),
			 errdetail("Rows that reference each other have the same value there."),
			 errhint("Insert a copy with the other value, and delete the row.")));
}

/* Does the owner's ON DELETE SET NULL take a value away?  That moves no row elsewhere. */
static bool
is_set_null(const GuardState *guard, AttrNumber attnum, HeapTuple new)
{
	return guard->by_action && heap_attisnull(new, attnum, guard->desc);
}

/* A row stays in its workspace, and keeps what references agree in. */
static void
check_unchanged(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	const TenancyRule *rule = guard->rule;

	if (!same_column(guard->desc, rule->workspace, old, new))
		refuse_change(guard, rule->workspace);
	for (int i = 0; i < rule->nsame; i++)
	{
		if (!same_column(guard->desc, rule->same[i], old, new) &&
			!is_set_null(guard, rule->same[i], new))
			refuse_change(guard, rule->same[i]);
	}
}

static HeapTuple
guard_update(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	if (heap_attisnull(old, guard->rule->workspace, guard->desc))
		return guard_insert(guard, new);
	check_unchanged(guard, old, new);
	check_references(guard, old, new);
	if (changes_key(guard, old, new))
	{
		if (keys_were_freed())
			check_not_replaced(guard, new, false);
		note_freed_key();
	}
	return new;
}

/*
 * Look once more at a row as it was stored, where triggers of the owner's own
 * may have changed it since.
 */
static void
guard_stored(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	AttrNumber attnum = guard->rule->workspace;
	int64 workspace;

	if (old && heap_attisnull(old, attnum, guard->desc))
		old = NULL;
	if (old)
		check_unchanged(guard, old, new);
	if (!tuple_id(new, guard->desc, attnum, &workspace) || !may_write_to(guard, workspace))
		refuse_row(guard);
	check_references(guard, old, new);
	if (keys_were_freed() && (old == NULL || changes_key(guard, old, new)))
		check_not_replaced(guard, new, true);
}

static void
refuse_trigger(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("tenancy_guard() must be called by the triggers of tenancy"),
			 errhint("Call forge_comm.enable_tenancy().")));
}

PG_FUNCTION_INFO_V1(forge_comm_tenancy_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW, with the arguments
 * "workspace_column=..." and perhaps "via=...", "same=...", "founding=...";
 * AFTER INSERT OR UPDATE FOR EACH ROW; and BEFORE TRUNCATE.
 *
 * Fills the workspace of a row that names none, from the row that "via"
 * references or from the pinned workspace.  A row keeps its workspace, and
 * references rows of its own workspace only.
 */
Datum
forge_comm_tenancy_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple old;
	bool stored;
	GuardState guard;

	if (!CALLED_AS_TRIGGER(fcinfo))
		refuse_trigger();
	guard.rel = trigger->tg_relation;
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) && TRIGGER_FIRED_BEFORE(trigger->tg_event))
	{
		context_guard_truncate(guard.rel);
		PG_RETURN_POINTER(NULL);
	}

	guard.desc = RelationGetDescr(guard.rel);
	guard.rule = rules_of(guard.rel)->tenancy;
	stored = TRIGGER_FIRED_AFTER(trigger->tg_event);
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		(stored ? strcmp(trigger->tg_trigger->tgname, "forge_comm_tenancy_stored") != 0 :
				  guard.rule == NULL))
		refuse_trigger();
	/* behind a guard that is disabled, or that saw the row last, nothing is left to do */
	if (stored && (guard.rule == NULL || !guard.rule->rewritten))
		PG_RETURN_POINTER(NULL);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		note_freed_key();
		PG_RETURN_POINTER(trigger->tg_trigtuple);
	}

	/* referential actions are exempt from policies, and so from ours */
	old = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_trigtuple : NULL;
	guard.by_action = is_by_action(&guard, old, stored);
	guard.bypassed = guard.by_action || context_bypassed();
	guard.parents = parent_slots(fcinfo);
	if (stored)
		guard_stored(&guard, old, old ? trigger->tg_newtuple : trigger->tg_trigtuple);
	else if (old)
		PG_RETURN_POINTER(guard_update(&guard, old, trigger->tg_newtuple));
	else
		PG_RETURN_POINTER(guard_insert(&guard, trigger->tg_trigtuple));
	PG_RETURN_POINTER(NULL);
}
