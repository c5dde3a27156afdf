/*
 * inbox.c
 *		Places among the messages of all channels.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "context.h"
#include "cursors.h"

PG_FUNCTION_INFO_V1(forge_comm_inbox_cursor);
PG_FUNCTION_INFO_V1(forge_comm_inbox_place);

/* Somebody else's inbox has other messages, so a cursor is its user's. */
static CursorUse
inbox_of_user(Oid relid)
{
	CursorUse use = { .kind = CURSOR_OF_INBOX, .relid = relid };

	context_require();
	if (!context_user(&use.user))
		use.user = 0;
	return use;
}

/* inbox_cursor(rel, at, id) */
Datum
forge_comm_inbox_cursor(PG_FUNCTION_ARGS)
{
	CursorUse use = inbox_of_user(PG_GETARG_OID(0));
	int64 values[] = { PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_INT64(2) };

	PG_RETURN_TEXT_P(cursor_encode(&use, values, lengthof(values)));
}

/*
 * inbox_place(rel, cursor, OUT at, OUT id): where the cursor is; without one
 * after everything.
 */
Datum
forge_comm_inbox_place(PG_FUNCTION_ARGS)
{
	CursorUse use = inbox_of_user(PG_GETARG_OID(0));
	int64 place[] = { DT_NOEND, PG_INT64_MAX };
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = { false, false };

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "inbox_place() returns a row");
	if (!PG_ARGISNULL(1))
	{
		text *cursor = PG_GETARG_TEXT_PP(1);

		if (cursor_decode(&use, VARDATA_ANY(cursor), VARSIZE_ANY_EXHDR(cursor), place,
						  lengthof(place)) != lengthof(place))
			cursor_is_invalid();
	}
	values[0] = TimestampTzGetDatum(place[0]);
	values[1] = Int64GetDatum(place[1]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
