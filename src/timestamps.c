/*
 * timestamps.c
 *		When a row was made and last changed, and by whom.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "context.h"
#include "rules.h"
#include "timestamps.h"

static bool preserve_timestamps = false;

/* Put a row together again in the place of another, as heap_modify_tuple does. */
static HeapTuple
put_together(const Row *row, TupleDesc desc, HeapTuple original)
{
	HeapTuple tuple = heap_form_tuple(desc, row->values, row->nulls);

	tuple->t_data->t_ctid = original->t_data->t_ctid;
	tuple->t_self = original->t_self;
	tuple->t_tableOid = original->t_tableOid;
	return tuple;
}

/* The transaction's time, as the column has it. */
static Datum
now_for(Form_pg_attribute attr)
{
	Datum now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	Datum precision = Int32GetDatum(attr->atttypmod);

	if (attr->atttypid == TIMESTAMPOID)
		return DirectFunctionCall2(timestamp_scale,
								   DirectFunctionCall1(timestamptz_timestamp, now),
								   precision);
	if (attr->atttypmod < 0)
		return now;
	return DirectFunctionCall2(timestamptz_scale, now, precision);
}

static bool
is_same(const Row *a, const Row *b, Form_pg_attribute attr)
{
	int i = attr->attnum - 1;

	if (a->nulls[i] || b->nulls[i])
		return a->nulls[i] && b->nulls[i];
	return datum_image_eq(a->values[i], b->values[i], attr->attbyval, attr->attlen);
}

/*
 * Does an update leave all columns alone but those that do not count?
 * Generated ones follow from the others, and are not computed yet.
 */
static bool
is_unchanged(const Row *old, const Row *new, TupleDesc desc, const TimestampsRule *rule)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attisdropped || attr->attgenerated ||
			bms_is_member(attr->attnum, rule->unnoticed))
			continue;
		if (!is_same(old, new, attr))
			return false;
	}
	return true;
}

static void
set_time(Row *row, TupleDesc desc, AttrNumber attnum)
{
	row->values[attnum - 1] = now_for(TupleDescAttr(desc, attnum - 1));
	row->nulls[attnum - 1] = false;
}

/* Without a user, as in a seed or a job, the value given stands. */
static void
set_user(Row *row, TupleDesc desc, AttrNumber attnum)
{
	int64 user;

	if (!context_user(&user))
		return;
	row->values[attnum - 1] =
		id_to_datum(user, TupleDescAttr(desc, attnum - 1)->atttypid);
	row->nulls[attnum - 1] = false;
}

static void
keep(const Row *old, Row *new, AttrNumber attnum)
{
	if (attnum)
	{
		new->values[attnum - 1] = old->values[attnum - 1];
		new->nulls[attnum - 1] = old->nulls[attnum - 1];
	}
}

/* Fill what is null: imports bring stamps of their own. */
static void
stamp_insert(Row *row, TupleDesc desc, const TimestampsRule *rule)
{
	if (rule->created_at && row->nulls[rule->created_at - 1])
		set_time(row, desc, rule->created_at);
	if (rule->updated_at && row->nulls[rule->updated_at - 1])
		set_time(row, desc, rule->updated_at);
	if (rule->created_by && row->nulls[rule->created_by - 1])
		set_user(row, desc, rule->created_by);
	if (rule->updated_by && row->nulls[rule->updated_by - 1])
		set_user(row, desc, rule->updated_by);
}

/*
 * The creation stays as it was, whatever the application sends along; the
 * update counts only if something else has changed.
 */
static void
stamp_update(const Row *old, Row *new, TupleDesc desc, const TimestampsRule *rule)
{
	keep(old, new, rule->created_at);
	keep(old, new, rule->created_by);
	if (is_unchanged(old, new, desc, rule))
	{
		keep(old, new, rule->updated_at);
		keep(old, new, rule->updated_by);
		return;
	}
	if (rule->updated_at)
		set_time(new, desc, rule->updated_at);
	if (rule->updated_by)
		set_user(new, desc, rule->updated_by);
}

/* Is any stamp of an inserted row still to be filled? */
static bool
lacks_stamps(HeapTuple tuple, const TimestampsRule *rule)
{
	return HeapTupleHasNulls(tuple) &&
		   ((rule->created_at && heap_attisnull(tuple, rule->created_at, NULL)) ||
			(rule->updated_at && heap_attisnull(tuple, rule->updated_at, NULL)) ||
			(rule->created_by && heap_attisnull(tuple, rule->created_by, NULL)) ||
			(rule->updated_by && heap_attisnull(tuple, rule->updated_by, NULL)));
}

PG_FUNCTION_INFO_V1(forge_comm_timestamps_stamp);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the arguments
 * "created_at=...", "updated_at=...", "created_by=...", "updated_by=..." and
 * "ignore={...}", each of which may be missing.
 */
Datum
forge_comm_timestamps_stamp(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const TimestampsRule *rule;
	TupleDesc desc;
	HeapTuple tuple;
	Row row;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->timestamps) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("timestamps_stamp() must be called by the BEFORE row trigger \"forge_comm_timestamps\""),
				 errhint("Call forge_comm.enable_timestamps().")));
	desc = RelationGetDescr(trigger->tg_relation);

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		tuple = trigger->tg_trigtuple;
		if (!lacks_stamps(tuple, rule))
			PG_RETURN_POINTER(tuple);
		row = take_apart(tuple, desc);
		stamp_insert(&row, desc, rule);
	}
	else
	{
		Row old;

		tuple = trigger->tg_newtuple;
		if (preserve_timestamps)
			PG_RETURN_POINTER(tuple);
		old = take_apart(trigger->tg_trigtuple, desc);
		row = take_apart(tuple, desc);
		stamp_update(&old, &row, desc, rule);
	}
	PG_RETURN_POINTER(put_together(&row, desc, tuple));
}

void
timestamps_init(void)
{
	DefineCustomBoolVariable("forge_comm.preserve_timestamps",
							 "Lets updates write the stamps themselves.",
							 "For imports and corrections.",
							 &preserve_timestamps, false, PGC_SUSET, 0,
							 NULL, NULL, NULL);
}
