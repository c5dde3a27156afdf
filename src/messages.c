/*
 * messages.c
 *		The numbers and the user that reading messages asks for, and messages
 *		keep their ids.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "context.h"
#include "messages.h"
#include "options.h"
#include "tuples.h"

#define MOST_PER_PAGE 100
#define MOST_UNREAD	  1000

/* Wrong numbers are refused rather than clamped: nobody asked for those. */
static int64
checked_per_page(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1 ||
		PG_GETARG_INT32(arg) > MOST_PER_PAGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("per_page must be from 1 to %d", MOST_PER_PAGE),
				 errhint("Ask for several pages to get more rows.")));
	return PG_GETARG_INT32(arg);
}

static int64
checked_page(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("page must be 1 or more"),
				 errhint("Page 1 holds the newest rows.")));
	return PG_GETARG_INT32(arg);
}

/* How many rows come before a page, by two arguments of a function. */
int64
page_offset(FunctionCallInfo fcinfo, int page, int per_page)
{
	return (checked_page(fcinfo, page) - 1) * checked_per_page(fcinfo, per_page);
}

PG_FUNCTION_INFO_V1(forge_comm_page_limit);
PG_FUNCTION_INFO_V1(forge_comm_page_offset);

/* page_limit(per_page) */
Datum
forge_comm_page_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(checked_per_page(fcinfo, 0));
}

/* page_offset(page, per_page): how many rows the pages before hold. */
Datum
forge_comm_page_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(page_offset(fcinfo, 0, 1));
}

PG_FUNCTION_INFO_V1(forge_comm_unread_cap);

/* unread_cap(cap) */
Datum
forge_comm_unread_cap(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1 || PG_GETARG_INT32(0) > MOST_UNREAD)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cap must be from 1 to %d", MOST_UNREAD),
				 errhint("Messages beyond the cap are not counted.")));
	PG_RETURN_INT64(PG_GETARG_INT32(0));
}

PG_FUNCTION_INFO_V1(forge_comm_reading_user);

/*
 * reading_user(): the user, an error where there is no context.  Policies would
 * raise it, but they are not asked when nothing belongs to nobody.
 */
Datum
forge_comm_reading_user(PG_FUNCTION_ARGS)
{
	int64 user;

	context_require();
	if (!context_user(&user))
		PG_RETURN_NULL();
	PG_RETURN_INT64(user);
}

PG_FUNCTION_INFO_V1(forge_comm_messages_guard);

/*
 * Trigger: its arguments name what a message consists of.  Read markers,
 * cursors and clients know a message by its id, so that stays as it is.
 */
Datum
forge_comm_messages_guard(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Relation rel;
	AttrNumber key;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("messages_guard() must be called by the row trigger \"forge_comm_messages\""),
				 errhint("Call forge_comm.enable_messages().")));
	rel = data->tg_relation;
	key = required_column(rel, data->tg_trigger, "key", is_id_type);
	if (!same_column(RelationGetDescr(rel), key, data->tg_trigtuple, data->tg_newtuple))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a row of table \"%s\" cannot change its column \"%s\"",
						RelationGetRelationName(rel),
						NameStr(TupleDescAttr(RelationGetDescr(rel), key - 1)->attname)),
				 errhint("A message keeps its id, by which it is known to cursors and read markers.")));
	return PointerGetDatum(data->tg_newtuple);
}
