/*
 * listing.c
 *		Places in a channel, from which messages are listed.
 *
 * A place is a time and an id; texts name it: the id of a message, a cursor,
 * a time, or the word "unread".  What has to be looked up for that the query
 * looks up, with the rights of whoever asks, and passes on as "known".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "cursors.h"
#include "listing.h"
#include "message_errors.h"
#include "queries.h"
#include "visible.h"

/* ------------------------------------------------------------------ limits */

/* Wrong numbers are refused rather than clamped: nobody asked for those. */
int32
checked_limit(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1 || PG_GETARG_INT32(arg) > MOST_LISTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"limit\" must be from 1 to %d", MOST_LISTED),
				 errhint("Go on from a cursor to get more rows.")));
	return PG_GETARG_INT32(arg);
}

PG_FUNCTION_INFO_V1(forge_comm_list_limit);
PG_FUNCTION_INFO_V1(forge_comm_one_place);

/* list_limit(limit) */
Datum
forge_comm_list_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(checked_limit(fcinfo, 0));
}

/* The arguments from "first" on: channel, before, after, around. */
void
check_places(FunctionCallInfo fcinfo, int first)
{
	int given = 0;

	if (PG_ARGISNULL(first))
		channel_is_null();
	for (int i = 1; i <= 3; i++)
		given += !PG_ARGISNULL(first + i);
	if (given > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only one of \"before\", \"after\" and \"around\" can be given"),
				 errhint("Rows begin at one place and go on in one direction, or in both.")));
}

/*
 * one_place(channel, before, after, around): true, an error if no channel or
 * more than one place is given.
 */
Datum
forge_comm_one_place(PG_FUNCTION_ARGS)
{
	check_places(fcinfo, 0);
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(forge_comm_count_limit);

/* count_limit(cap): null where all are to be counted */
Datum
forge_comm_count_limit(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_GETARG_INT64(0) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"cap\" must be 1 or more"),
				 errhint("Pass null to count all.")));
	PG_RETURN_INT64(PG_GETARG_INT64(0));
}

/* ------------------------------------------------------------------ places */

/*
 * The number that a text is: digits, with a sign if need be.  A number that
 * is too large is the id of no message.
 */
bool
place_is_id(const text *place, int64 *id)
{
	const char *at = VARDATA_ANY(place);
	const char *end = at + VARSIZE_ANY_EXHDR(place);
	bool negative = at < end && *at == '-';
	int64 sum = 0;

	at += negative;
	if (at == end)
		return false;
	for (const char *c = at; c < end; c++)
		if (*c < '0' || *c > '9')
			return false;
	for (; at < end; at++)
		if (pg_mul_s64_overflow(sum, 10, &sum) || pg_sub_s64_overflow(sum, *at - '0', &sum))
			break;
	if (at < end || (!negative && sum == PG_INT64_MIN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the id of a message is out of range"),
				 errhint("Ids are numbers of 64 bits at most.")));
	*id = negative ? sum : -sum;
	return true;
}

PG_FUNCTION_INFO_V1(forge_comm_message_id);

/* message_id(place): the id, null if the place is named in another way */
Datum
forge_comm_message_id(PG_FUNCTION_ARGS)
{
	int64 id;

	if (!place_is_id(PG_GETARG_TEXT_PP(0), &id))
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

/* A time begins with a digit, or is an infinite one. */
static bool
is_time(const text *place)
{
	const char *at = VARDATA_ANY(place);
	int length = VARSIZE_ANY_EXHDR(place);

	return (length > 0 && *at >= '0' && *at <= '9') ||
		   (length == 8 && memcmp(at, "infinity", 8) == 0) ||
		   (length == 9 && memcmp(at, "-infinity", 9) == 0);
}

bool
place_is_unread(const text *place)
{
	return VARSIZE_ANY_EXHDR(place) == 6 && memcmp(VARDATA_ANY(place), "unread", 6) == 0;
}

void
anchor_is_elsewhere(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_ANCHOR_ELSEWHERE),
			 errmsg("the message is not in this channel"),
			 errhint("Name a message of the channel; of one that is gone, its cursor still tells the place.")));
}

/* The cursor that was read last: its time and its id are asked for in turn. */
static struct
{
	uint64 generation;
	Oid relid;
	int64 channel;
	int length;
	char text[128];
	Place place;
} last;

static bool
is_last(Oid relid, int64 channel, const char *cursor, int length)
{
	return last.length == length && memcmp(last.text, cursor, length) == 0 &&
		   last.relid == relid && last.channel == channel &&
		   last.generation == cursor_generation();
}

static Place
read_cursor(Oid relid, int64 channel, const text *place)
{
	const char *cursor = VARDATA_ANY(place);
	int length = VARSIZE_ANY_EXHDR(place);
	CursorUse use = { .kind = CURSOR_OF_MESSAGES, .relid = relid };
	int64 values[3];

	if (length > (int) sizeof(last.text))
		cursor_is_invalid();
	if (length > 0 && is_last(relid, channel, cursor, length))
		return last.place;
	if (cursor_decode(&use, cursor, length, values, lengthof(values)) != lengthof(values))
		cursor_is_invalid();
	if (values[2] != channel)
		anchor_is_elsewhere();
	last.place = (Place){ .time = values[0], .id = values[1] };
	last.generation = cursor_generation();
	last.relid = relid;
	last.channel = channel;
	last.length = length;
	memcpy(last.text, cursor, length);
	return last.place;
}

static int64
read_time(const text *place, Oid type)
{
	PGFunction input = type == TIMESTAMPOID ? timestamp_in : timestamptz_in;

	return DatumGetInt64(DirectFunctionCall3(input, CStringGetDatum(text_to_cstring(place)),
											 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* A place named by a time, if it may be, or by a cursor. */
Place
place_read(Oid relid, int64 channel, const text *name, bool may_be_time, Oid type)
{
	if (may_be_time && is_time(name))
		return (Place){ .time = read_time(name, type), .id = PG_INT64_MAX };
	return read_cursor(relid, channel, name);
}

text *
place_cursor(Oid relid, int64 channel, Place place)
{
	CursorUse use = { .kind = CURSOR_OF_MESSAGES, .relid = relid };
	int64 values[] = { place.time, place.id, channel };

	return cursor_encode(&use, values, lengthof(values));
}

/* The last place before this one; false if it is the first. */
bool
place_step_back(Place *place)
{
	if (place->id > PG_INT64_MIN)
		place->id--;
	else if (place->time == PG_INT64_MIN)
		return false;
	else
		*place = (Place){ .time = place->time - 1, .id = PG_INT64_MAX };
	return true;
}

static int64
int_column(int column, bool *isnull)
{
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull));
}

bool
place_of_message(const text *query, int64 scope, Oid type, Place *place)
{
	Oid types[] = { INT8OID, INT8OID };
	Datum values[] = { Int64GetDatum(place->id), Int64GetDatum(scope) };
	bool isnull;

	if (run_query(query, 2, types, values, 1) == 0)
		return false;
	require_columns(&type, 1);
	place->time = int_column(1, &isnull);
	return !isnull;
}

/* Where nothing was read, before all messages. */
Place
place_last_read(const text *query, int64 channel, Oid type)
{
	Oid types[] = { INT8OID };
	Oid columns[] = { INT8OID, type };
	Datum values[] = { Int64GetDatum(channel) };
	Place place;
	bool no_id, no_time;

	if (query == NULL)
		markers_are_unknown();
	if (run_query(query, 1, types, values, 1) == 0)
		return FIRST_PLACE;
	require_columns(columns, 2);
	place.id = int_column(1, &no_id);
	place.time = int_column(2, &no_time);
	return no_id || no_time ? FIRST_PLACE : place;
}

/* What may name a place, as arguments of the functions below. */
enum
{
	ARG_TABLE,
	ARG_CHANNEL,
	ARG_AT, /* only a message: its id or its cursor */
	ARG_AROUND, /* other names, too */
	ARG_KNOWN /* what was looked up */
};

/*
 * The place that an argument names.  Of one that was looked up only the time
 * is known, or only the id, by what the function returns.
 */
static Place
read_place(FunctionCallInfo fcinfo, int arg, Oid type)
{
	const text *name = PG_GETARG_TEXT_PP(arg);
	bool wants_time = type != INT8OID;
	Place place = { .time = PG_INT64_MIN, .id = PG_INT64_MIN };

	if (place_is_id(name, &place.id))
	{
		if (wants_time && PG_ARGISNULL(ARG_KNOWN))
			anchor_is_elsewhere();
		if (wants_time)
			place.time = PG_GETARG_INT64(ARG_KNOWN);
	}
	else if (arg == ARG_AROUND && place_is_unread(name))
	{
		/* where nothing was read, before all messages */
		if (!PG_ARGISNULL(ARG_KNOWN))
			*(wants_time ? &place.time : &place.id) = PG_GETARG_INT64(ARG_KNOWN);
	}
	else
		place = place_read(PG_GETARG_OID(ARG_TABLE), PG_GETARG_INT64(ARG_CHANNEL), name,
						   arg == ARG_AROUND, wants_time ? type : TIMESTAMPTZOID);
	return place;
}

/* Errors unless it is that of times: nothing else fits into a place. */
void
require_time_type(Oid type)
{
	if (type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the type is not one of times"),
				 errhint("Messages have a timestamp, with or without time zone.")));
}

/* What may have to be looked up, as arguments of the functions below. */
enum
{
	KNOWN_SCOPE,
	KNOWN_NAME,
	KNOWN_BY_ID, /* queries */
	KNOWN_BY_MARKER,
	KNOWN_LIKE
};

/* Look a place up: false if it is not there, or is known without. */
static bool
look_up(FunctionCallInfo fcinfo, Place *place)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, KNOWN_LIKE);
	int64 scope = PG_GETARG_INT64(KNOWN_SCOPE);
	const text *name = PG_GETARG_TEXT_PP(KNOWN_NAME);
	bool is_id = place_is_id(name, &place->id);
	int query = is_id ? KNOWN_BY_ID : KNOWN_BY_MARKER;
	bool found = true;

	require_time_type(type);
	if (PG_ARGISNULL(query) || (!is_id && !place_is_unread(name)))
		return false;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (is_id)
		found = place_of_message(PG_GETARG_TEXT_PP(query), scope, type, place);
	else
		*place = place_last_read(PG_GETARG_TEXT_PP(query), scope, type);
	SPI_finish();
	return found;
}

PG_FUNCTION_INFO_V1(forge_comm_known_time);
PG_FUNCTION_INFO_V1(forge_comm_known_id);

/*
 * known_time(scope, place, by_id, by_marker, like): the time of a place that
 * has to be looked up by one of the queries, in a channel (or thread).
 */
Datum
forge_comm_known_time(PG_FUNCTION_ARGS)
{
	Place place;

	if (PG_ARGISNULL(KNOWN_SCOPE) || PG_ARGISNULL(KNOWN_NAME) || !look_up(fcinfo, &place))
		PG_RETURN_NULL();
	PG_RETURN_INT64(place.time);
}

/* known_id(scope, place, by_id, by_marker, like): its id */
Datum
forge_comm_known_id(PG_FUNCTION_ARGS)
{
	Place place;

	if (PG_ARGISNULL(KNOWN_SCOPE) || PG_ARGISNULL(KNOWN_NAME) || !look_up(fcinfo, &place))
		PG_RETURN_NULL();
	PG_RETURN_INT64(place.id);
}

PG_FUNCTION_INFO_V1(forge_comm_older_place);
PG_FUNCTION_INFO_V1(forge_comm_newer_place);

/*
 * older_time(rel, channel, before, around, known), older_id(...): the place
 * at which the rows before another end, itself included.
 */
Datum
forge_comm_older_place(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_rettype(fcinfo->flinfo);
	Place place = { .time = PG_INT64_MAX, .id = PG_INT64_MAX };

	if (PG_ARGISNULL(ARG_TABLE) || PG_ARGISNULL(ARG_CHANNEL))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(ARG_AT))
	{
		place = read_place(fcinfo, ARG_AT, type);
		if (!place_step_back(&place))
			PG_RETURN_NULL();
	}
	else if (!PG_ARGISNULL(ARG_AROUND))
		place = read_place(fcinfo, ARG_AROUND, type);
	PG_RETURN_INT64(type == INT8OID ? place.id : place.time);
}

/*
 * newer_time(rel, channel, after, around, known), newer_id(...): the place
 * after which rows begin; before all of them where none is given.
 */
Datum
forge_comm_newer_place(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_rettype(fcinfo->flinfo);
	int arg = PG_ARGISNULL(ARG_AT) ? ARG_AROUND : ARG_AT;
	Place place;

	if (PG_ARGISNULL(ARG_TABLE) || PG_ARGISNULL(ARG_CHANNEL))
		PG_RETURN_NULL();
	place = PG_ARGISNULL(arg) ? (Place){ .time = PG_INT64_MIN, .id = PG_INT64_MIN } :
								read_place(fcinfo, arg, type);
	PG_RETURN_INT64(type == INT8OID ? place.id : place.time);
}

PG_FUNCTION_INFO_V1(forge_comm_message_cursor);

/* message_cursor(rel, channel, created_at, id) */
Datum
forge_comm_message_cursor(PG_FUNCTION_ARGS)
{
	Place place = { .time = PG_GETARG_INT64(2), .id = PG_GETARG_INT64(3) };

	PG_RETURN_TEXT_P(place_cursor(PG_GETARG_OID(0), PG_GETARG_INT64(1), place));
}

PG_FUNCTION_INFO_V1(forge_comm_thread_place);

/*
 * thread_place(rel, channel, parent, after): the place, null if it is that of
 * the parent, which comes before all replies whatever their times.
 */
Datum
forge_comm_thread_place(PG_FUNCTION_ARGS)
{
	const text *after;
	int64 id;

	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	after = PG_GETARG_TEXT_PP(3);
	if (!place_is_id(after, &id))
		id = read_cursor(PG_GETARG_OID(0), PG_GETARG_INT64(1), after).id;
	if (id == PG_GETARG_INT64(2))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(3));
}

PG_FUNCTION_INFO_V1(forge_comm_message_found);

/* message_found(found): true, or an error. */
Datum
forge_comm_message_found(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || !PG_GETARG_BOOL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the message does not exist or is not visible"),
				 errhint("Without \"strict\" there is no row instead.")));
	PG_RETURN_BOOL(true);
}

void
markers_are_unknown(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("it is not known what is unread"),
			 errhint("Name the table with the read markers in the argument \"markers\" of forge_comm.enable_messages().")));
}

PG_FUNCTION_INFO_V1(forge_comm_no_markers);

Datum
forge_comm_no_markers(PG_FUNCTION_ARGS)
{
	markers_are_unknown();
	PG_RETURN_NULL();
}
