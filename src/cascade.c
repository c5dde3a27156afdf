/*
 * cascade.c
 *		What references a soft-deleted row falls with it, and rises with it.
 *
 * A row trigger notes the keys of rows that fell, however they did.  At the
 * end of the statement a statement trigger does to the rows that reference
 * them what their foreign keys say: one statement a key, whose own rows are
 * noted likewise, and so on level by level.  That loop never calls itself, so
 * that neither a long chain nor a cycle of references runs out of stack.
 *
 * These statements run as PostgreSQL's own referential actions do: as the
 * owner of the referencing table and without row security, since a row that
 * the user cannot see must not be left without its parent.  They stay within
 * the workspace of the row that fell.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "batches.h"
#include "cascade.h"
#include "context.h"
#include "options.h"
#include "restore.h"
#include "rules.h"
#include "statements.h"

/* A foreign key into a table, as one relation of that table sees it. */
typedef struct Reference
{
	Oid constraint; /* of the whole tables, if they are partitioned */
	int nkeys;
	AttrNumber keys[INDEX_MAX_KEYS];
	char action;
} Reference;

/* In a memory context of the transaction, which takes it along if it fails. */
static List *noted = NIL;

/*
 * The depth of the triggers whose statement is being followed, and whether
 * its rows rise.  What our statements do is noted one level deeper.
 */
static int following = -1;
static bool following_rising = false;

/* What rows fall under whose table keeps no deletion_id. */
static bool have_common_id = false;
static pg_uuid_t common_id;

/* ------------------------------------------------------------ foreign keys */

/* Does a trigger of PostgreSQL's stand for what a delete does? */
static bool
acts_on_delete(const Trigger *trigger)
{
	if (!OidIsValid(trigger->tgconstraint) || trigger->tgenabled == TRIGGER_DISABLED)
		return false;
	switch (trigger->tgfoid)
	{
		case F_RI_FKEY_CASCADE_DEL:
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_RESTRICT_DEL:
			return true;
	}
	return false;
}

/*
 * Is this the key of read markers?  Those tell a place, and a deleted message
 * is one like any other, until a purge.
 */
static bool
is_marker(Relation rel, const Key *key)
{
	const Trigger *messages = find_trigger(rel, "forge_comm_messages", "messages_guard", false);
	const char *marker = messages ? option(messages, "marker") : NULL;
	AttrNumber attnum = marker ? get_attnum(key->child, marker) : InvalidAttrNumber;

	for (int i = 0; i < key->n; i++)
	{
		if (key->referencing[i] == attnum)
			return true;
	}
	return false;
}

static bool
is_noted(const List *references, Oid constraint)
{
	ListCell *cell;

	foreach(cell, references)
	{
		if (((Reference *) lfirst(cell))->constraint == constraint)
			return true;
	}
	return false;
}

/* The foreign keys that a row's fall concerns, from the triggers they have. */
static List *
references_to(Relation rel)
{
	List *references = NIL;
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Oid constraint = triggers->triggers[i].tgconstraint;
		Reference *reference;
		Key here;
		Key key;

		if (!acts_on_delete(&triggers->triggers[i]))
			continue;
		read_key(constraint, &here);
		read_key(topmost_key(constraint), &key);
		if (is_noted(references, key.constraint) ||
			(key.action == FKCONSTR_ACTION_CASCADE && soft_delete_of(key.child) == NULL) ||
			is_marker(rel, &key))
			continue;
		reference = palloc(sizeof(Reference));
		reference->constraint = key.constraint;
		reference->nkeys = here.n;
		memcpy(reference->keys, here.referenced, here.n * sizeof(AttrNumber));
		reference->action = key.action;
		references = lappend(references, reference);
	}
	return references;
}

/* ------------------------------------------------------------------ noting */

/* A new id for those who have none: one for all that falls together. */
static Datum
id_in_common(void)
{
	if (!have_common_id)
		common_id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	have_common_id = true;
	return UUIDPGetDatum(&common_id);
}

/* What the row trigger keeps for the rows of one statement. */
typedef struct Noting
{
	RelationRules rules;
	List *references;
	TupleTableSlot *locked;
} Noting;

static Noting *
noting(FunctionCallInfo fcinfo, Relation rel)
{
	Noting *state = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (state)
		return state;
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	state = palloc0(sizeof(Noting));
	state->rules = *rules_of(rel);
	if (state->rules.soft_delete)
		state->references = references_to(rel);
	state->locked = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
											 table_slot_callbacks(rel));
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

/* What a row says of its deletion. */
static void
read_stamps(const Noting *state, TupleTableSlot *row, bool rising, Datum *values, bool *nulls)
{
	const TenancyRule *tenancy = state->rules.tenancy;
	const SoftDeleteRule *rule = state->rules.soft_delete;
	int64 user;

	for (int i = 0; i < STAMPS; i++)
		nulls[i] = true;
	if (tenancy)
	{
		values[WORKSPACE] = slot_getattr(row, tenancy->workspace, &nulls[WORKSPACE]);
		if (!nulls[WORKSPACE])
			values[WORKSPACE] = Int64GetDatum(id_from_datum(values[WORKSPACE], tenancy->workspace_type));
	}
	values[DELETED_AT] = slot_getattr(row, rule->deleted_at, &nulls[DELETED_AT]);
	if (rule->deleted_by)
	{
		Oid type = TupleDescAttr(row->tts_tupleDescriptor, rule->deleted_by - 1)->atttypid;

		values[DELETED_BY] = slot_getattr(row, rule->deleted_by, &nulls[DELETED_BY]);
		if (!nulls[DELETED_BY])
			values[DELETED_BY] = Int64GetDatum(id_from_datum(values[DELETED_BY], type));
	}
	else if (!rising && context_user(&user))
	{
		values[DELETED_BY] = Int64GetDatum(user);
		nulls[DELETED_BY] = false;
	}
	if (rule->deletion_id)
		values[DELETION_ID] = slot_getattr(row, rule->deletion_id, &nulls[DELETION_ID]);
	if (!nulls[DELETION_ID] && !have_common_id)
	{
		common_id = *DatumGetUUIDP(values[DELETION_ID]);
		have_common_id = true;
	}
	if (nulls[DELETION_ID] && !rising)
	{
		values[DELETION_ID] = id_in_common();
		nulls[DELETION_ID] = false;
	}
}

static void
note_row(const Noting *state, Relation rel, TupleTableSlot *row, int depth, bool rising)
{
	Datum stamps[STAMPS];
	bool no_stamps[STAMPS];
	ListCell *cell;

	read_stamps(state, row, rising, stamps, no_stamps);
	foreach(cell, state->references)
	{
		Reference *reference = lfirst(cell);
		Datum values[INDEX_MAX_KEYS + STAMPS];
		bool nulls[INDEX_MAX_KEYS + STAMPS];
		bool any_null = false;

		if (rising && reference->action != FKCONSTR_ACTION_CASCADE)
			continue;
		for (int i = 0; i < reference->nkeys; i++)
		{
			values[i] = slot_getattr(row, reference->keys[i], &nulls[i]);
			any_null |= nulls[i];
		}
		if (any_null)
			continue;
		memcpy(values + reference->nkeys, stamps, sizeof(stamps));
		memcpy(nulls + reference->nkeys, no_stamps, sizeof(no_stamps));
		batch_add(batch_for(&noted, reference->constraint, depth, rising, rel,
							reference->nkeys, reference->keys,
							state->rules.soft_delete->deleted_at),
				  values, nulls);
	}
}

/*
 * Wait for whoever is about to reference the row, as a real delete would: what
 * they insert is to fall as well.
 */
static void
await_references(const Noting *state, Relation rel, TupleTableSlot *row)
{
	TM_FailureData failure;

	(void) table_tuple_lock(rel, &row->tts_tid, GetActiveSnapshot(), state->locked,
							GetCurrentCommandId(true) + 1, LockTupleExclusive,
							LockWaitBlock, 0, &failure);
	ExecClearTuple(state->locked);
}

/* Do rows that lose their mark now take others along? */
static bool
rises(int depth)
{
	return restores_at(depth) || (depth == following + 1 && following >= 0 && following_rising);
}

PG_FUNCTION_INFO_V1(forge_comm_soft_delete_note);

/*
 * Trigger: AFTER UPDATE FOR EACH ROW, when a row gets or loses its mark.  Notes
 * its keys for the end of the statement.
 */
Datum
forge_comm_soft_delete_note(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Noting *state;
	bool was_live;
	bool is_live;
	int depth;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("soft_delete_note() must be called by a trigger of enable_soft_delete()"),
				 errhint("Call forge_comm.enable_soft_delete().")));

	state = noting(fcinfo, trigger->tg_relation);
	if (state->references == NIL)
		PG_RETURN_POINTER(NULL);
	was_live = slot_attisnull(trigger->tg_trigslot, state->rules.soft_delete->deleted_at);
	is_live = slot_attisnull(trigger->tg_newslot, state->rules.soft_delete->deleted_at);
	depth = trigger_depth();
	if (was_live && !is_live)
	{
		await_references(state, trigger->tg_relation, trigger->tg_newslot);
		note_row(state, trigger->tg_relation, trigger->tg_newslot, depth, false);
	}
	else if (!was_live && is_live && rises(depth))
		note_row(state, trigger->tg_relation, trigger->tg_trigslot, depth, true);
	PG_RETURN_POINTER(NULL);
}

/* -------------------------------------------------------------- statements */

/* SET the marks of rows that fall. */
static void
append_marks(StringInfo text, Relation child, const SoftDeleteRule *rule)
{
	appendStringInfo(text, "%s = CAST(g.deleted_at AS %s)", column_name(child, rule->deleted_at),
					 column_type(child, rule->deleted_at));
	if (rule->deleted_by)
		appendStringInfo(text, ", %s = CAST(g.deleted_by AS %s)",
						 column_name(child, rule->deleted_by), column_type(child, rule->deleted_by));
	if (rule->deletion_id)
		appendStringInfo(text, ", %s = g.deletion_id", column_name(child, rule->deletion_id));
	if (rule->is_active)
		appendStringInfo(text, ", %s = false", column_name(child, rule->is_active));
}

static void
append_set_null(StringInfo text, Relation child, const Key *key)
{
	int n = key->nset ? key->nset : key->n;
	const AttrNumber *columns = key->nset ? key->set : key->referencing;

	for (int i = 0; i < n; i++)
		appendStringInfo(text, "%s%s = %s", i ? ", " : "", column_name(child, columns[i]),
						 key->action == FKCONSTR_ACTION_SETNULL ? "NULL" : "DEFAULT");
}

/* Only live rows fall or lose a reference; where nothing is marked all are. */
static void
append_live(StringInfo text, Relation child)
{
	const SoftDeleteRule *rule = rules_of(child)->soft_delete;

	if (rule)
		appendStringInfo(text, " AND t.%s IS NULL", column_name(child, rule->deleted_at));
}

/* --------------------------------------------------------------- following */

/* Rows fall: do to those that reference them what the key says. */
static void
fell(const Batch *batch, const Key *key)
{
	Relation child = table_open(key->child, RowExclusiveLock);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "UPDATE %s%s AS t SET ", only(child), table_name(child));
	if (key->action == FKCONSTR_ACTION_CASCADE)
		append_marks(&text, child, rules_of(child)->soft_delete);
	else
		append_set_null(&text, child, key);
	appendStringInfoString(&text, " FROM ");
	append_batch(&text, batch);
	appendStringInfoString(&text, " WHERE ");
	append_match(&text, key, true);
	append_live(&text, child);
	append_workspace(&text, child, key);

	SPI_connect();
	(void) batch_run(text.data, batch, child->rd_rel->relowner, key->constraint, 'f');
	SPI_finish();
	table_close(child, NoLock);
}

/* Live rows that reference ones that fell and do not allow it. */
static void
check_restricted(const Batch *batch)
{
	StringInfoData text;
	Relation child;
	Key key;

	read_key(batch->constraint, &key);
	child = table_open(key.child, AccessShareLock);
	initStringInfo(&text);
	appendStringInfo(&text, "SELECT FROM %s%s AS t, ", only(child), table_name(child));
	append_batch(&text, batch);
	appendStringInfoString(&text, " WHERE ");
	append_match(&text, &key, true);
	append_live(&text, child);
	append_workspace(&text, child, &key);
	appendStringInfoString(&text, " LIMIT 1");

	SPI_connect();
	if (batch_run(text.data, batch, child->rd_rel->relowner, key.constraint, 'c') > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
						get_rel_name(key.parent), get_constraint_name(key.constraint),
						RelationGetRelationName(child)),
				 errdetail("The row is still referenced from table \"%s\" by one that is not deleted.",
						   RelationGetRelationName(child)),
				 errtableconstraint(child, get_constraint_name(key.constraint))));
	SPI_finish();
	table_close(child, NoLock);
}

/* What was noted at a depth, or what our own statements did one deeper. */
static Batch *
next_noted(int depth)
{
	ListCell *cell;

	foreach(cell, noted)
	{
		Batch *batch = lfirst(cell);

		if (batch->depth == depth || batch->depth == depth + 1)
			return batch;
	}
	return NULL;
}

static void
follow_batch(Batch *batch, List **restricted)
{
	Key key;

	noted = list_delete_ptr(noted, batch);
	read_key(batch->constraint, &key);
	if (key.action == FKCONSTR_ACTION_RESTRICT)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		*restricted = lappend(*restricted, batch);
		MemoryContextSwitchTo(old);
		return;
	}
	following_rising = batch->rising;
	if (batch->rising)
		rose(batch, &key);
	else
		fell(batch, &key);
	batch_drop(&noted, batch);
}

/*
 * Follow what a statement did, to the end.  What may not happen is looked at
 * last, since what falls meanwhile no longer stands in the way.
 */
static void
follow_all(int depth)
{
	List *restricted = NIL;
	Batch *batch;

	while ((batch = next_noted(depth)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		follow_batch(batch, &restricted);
	}
	while (restricted != NIL)
	{
		check_restricted(linitial(restricted));
		batch_drop(&restricted, linitial(restricted));
	}
}

static void
follow(int depth)
{
	int outer = following;
	bool outer_rising = following_rising;

	following = depth;
	PG_TRY();
	{
		follow_all(depth);
	}
	PG_FINALLY();
	{
		following = outer;
		following_rising = outer_rising;
	}
	PG_END_TRY();
	if (following < 0)
		have_common_id = false;
}

PG_FUNCTION_INFO_V1(forge_comm_soft_delete_follow);

/*
 * Trigger: AFTER UPDATE FOR EACH STATEMENT.  Follows what the row trigger has
 * noted; our own statements are followed by whoever runs them.
 */
Datum
forge_comm_soft_delete_follow(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int depth;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("soft_delete_follow() must be called by a trigger of enable_soft_delete()"),
				 errhint("Call forge_comm.enable_soft_delete().")));

	if (noted == NIL)
		PG_RETURN_POINTER(NULL);
	depth = trigger_depth();
	if (following < 0 || depth != following + 1)
		follow(depth);
	PG_RETURN_POINTER(NULL);
}

/* ------------------------------------------------------------- deletion ids */

PG_FUNCTION_INFO_V1(forge_comm_new_deletion_id);

/* new_deletion_id(): the planner hook sees to it that a statement gets one. */
Datum
forge_comm_new_deletion_id(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(gen_random_uuid, (Datum) 0);
}

/* ----------------------------------------------------------- end of it all */

/* The memory goes with the transaction. */
static void
forget_noted(XactEvent event, void *arg)
{
	noted = NIL;
	following = -1;
	have_common_id = false;
}

/* A subtransaction that fails takes along what it noted. */
static void
forget_failed(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();
	ListCell *cell;

	if (event == SUBXACT_EVENT_ABORT_SUB && following < 0)
		have_common_id = false;
	foreach(cell, noted)
	{
		Batch *batch = lfirst(cell);

		if (batch->nest < level)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			noted = foreach_delete_current(noted, cell);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			batch->nest = level - 1;
	}
}

void
cascade_init(void)
{
	RegisterXactCallback(forget_noted, NULL);
	RegisterSubXactCallback(forget_failed, NULL);
}
