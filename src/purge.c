/*
 * purge.c
 *		Soft-deleted rows are removed for good.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "context.h"
#include "history.h"
#include "options.h"
#include "purge.h"
#include "rules.h"
#include "statements.h"

static Oid purging = InvalidOid; /* the table whose rows may go */
static TimestampTz purging_before; /* if they were deleted before then */
static int64 purged = 0;
static bool guard_spared = false; /* does it not count what the purge itself removes? */
static ExecutorStart_hook_type previous_start = NULL;

/* Was a row deleted long enough ago? */
static bool
is_purgeable(Relation rel, HeapTuple row)
{
	AttrNumber mark = rules_of(rel)->soft_delete->deleted_at;
	bool isnull;
	Datum deleted_at = heap_getattr(row, mark, RelationGetDescr(rel), &isnull);

	if (!isnull && TupleDescAttr(RelationGetDescr(rel), mark - 1)->atttypid == TIMESTAMPOID)
		deleted_at = DirectFunctionCall1(timestamp_timestamptz, deleted_at);
	return !isnull && DatumGetTimestampTz(deleted_at) < purging_before;
}

/*
 * The rows of the table itself, and those that its foreign keys take along.
 * Among these may be one that has come to life since the purge looked, or that
 * somebody who calls our parts by hand has not looked for.
 */
bool
count_purged(Relation rel, HeapTuple row)
{
	if (!OidIsValid(purging) ||
		(RelationGetRelid(rel) != purging && !by_referential_action(rel)))
		return false;
	if (!is_purgeable(rel, row))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a purge would remove a row of table \"%s\" that is live, or was deleted not long enough ago",
						RelationGetRelationName(rel)),
				 errdetail("The row references one that is to be removed."),
				 errhint("CALL forge_comm.purge() again: it leaves what such rows reference.")));
	purged++;
	return true;
}

/* Has a relation BEFORE DELETE triggers other than our guard? */
static bool
has_other_triggers(const TriggerDesc *triggers)
{
	Oid guard = own_function("soft_delete_guard", 0, NULL);

	for (int i = 0; i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_DELETE(trigger->tgtype) && trigger->tgfoid != guard)
			return true;
	}
	return false;
}

/*
 * The guard has nothing to say to a purge, and to be asked about each row it
 * must be locked first, which takes as long as removing it. So where it would
 * be alone, this execution's copy of the triggers goes without.
 */
static void
purge_executor_start(QueryDesc *query, int eflags)
{
	ListCell *cell;

	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (!OidIsValid(purging) || !is_own_statement(query->sourceText))
		return;

	foreach(cell, query->estate->es_opened_result_relations)
	{
		ResultRelInfo *info = lfirst(cell);

		if (RelationGetRelid(info->ri_RelationDesc) == purging && info->ri_TrigDesc &&
			!has_other_triggers(info->ri_TrigDesc))
		{
			info->ri_TrigDesc->trig_delete_before_row = false;
			guard_spared = true;
		}
	}
}

static void
refuse_purge(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("rows are purged in a service context only"),
			 errhint("CALL forge_comm.purge(), as a role that may call forge_comm.set_service_context().")));
}

/* Remove what was deleted before $1, of a range of blocks. */
static char *
purge_query(Relation rel, int64 first, int64 past, const char *condition)
{
	const SoftDeleteRule *rule = rules_of(rel)->soft_delete;
	StringInfoData text;

	if (rule == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("soft_delete is not enabled on table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_soft_delete() first.")));
	initStringInfo(&text);
	appendStringInfo(&text,
					 "DELETE FROM ONLY %s AS t WHERE t.ctid OPERATOR(pg_catalog.>=) '(" INT64_FORMAT ",0)'"
					 " AND t.ctid OPERATOR(pg_catalog.<) '(" INT64_FORMAT ",0)'"
					 " AND t.%s OPERATOR(pg_catalog.<) $1%s",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel)),
					 first, past,
					 quote_identifier(get_attname(RelationGetRelid(rel), rule->deleted_at, false)),
					 condition);
	return text.data;
}

/* What a history says of the batch as a whole. */
static void
tell_batch(Relation rel, int64 rows, Datum cutoff, text *reason)
{
	const int utc = 0;
	StringInfoData what;

	initStringInfo(&what);
	appendStringInfo(&what, "{\"rows\": " INT64_FORMAT ", \"deleted_before\": \"%s\", \"reason\": ", rows,
					 JsonEncodeDateTime(NULL, cutoff, TIMESTAMPTZOID, &utc));
	escape_json(&what, text_to_cstring(reason));
	appendStringInfoChar(&what, '}');
	history_tell_purge(rel, what.data);
	pfree(what.data);
}

PG_FUNCTION_INFO_V1(forge_comm_purge_blocks);

/*
 * purge_blocks(rel, first, past, cutoff, condition, reason): remove the rows in
 * blocks [first, past) that were deleted before the cutoff and meet the
 * condition.  Returns how many rows of tables with soft delete are gone.
 */
Datum
forge_comm_purge_blocks(PG_FUNCTION_ARGS)
{
	Relation rel = try_table_open(PG_GETARG_OID(0), RowExclusiveLock);
	Oid type = TIMESTAMPTZOID;
	Datum cutoff = PG_GETARG_DATUM(3);
	OwnStatement statement = { .nargs = 1, .argtypes = &type, .values = &cutoff };
	Oid outer = purging;
	volatile int64 removed = 0;

	if (!context_is_everywhere() && !context_bypassed())
		refuse_purge();
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	statement.text = purge_query(rel, PG_GETARG_INT64(1), PG_GETARG_INT64(2),
								 text_to_cstring(PG_GETARG_TEXT_PP(4)));
	purging = RelationGetRelid(rel);
	purging_before = DatumGetTimestampTz(cutoff);
	history_purging = true;
	purged = 0;
	guard_spared = false;
	PG_TRY();
	{
		SPI_connect();
		removed = (int64) run_own_statement(&statement);
		SPI_finish();
	}
	PG_FINALLY();
	{
		purging = outer;
		history_purging = OidIsValid(outer);
	}
	PG_END_TRY();
	if (guard_spared)
		purged += removed;
	if (purged > 0)
		tell_batch(rel, purged, cutoff, PG_GETARG_TEXT_PP(5));
	table_close(rel, NoLock);

	PG_RETURN_INT64(purged);
}

void
purge_init(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = purge_executor_start;
}
