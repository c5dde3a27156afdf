/*
 * search_index.c
 *		The index that words of messages are found by.
 *
 * It is a GIN index of two columns.  One has the words: lexemes of an
 * expression rather than of a column, so that the table stays as it is.  The
 * other has where and when: keys of workspace, channel and author, each with
 * a step of time, so that "this word, in the newest rows of that workspace" is
 * answered without reading what is known of the word elsewhere.
 *
 * PostgreSQL uses an index under row security only if it may ask it before the
 * policies, that is, for functions that are LEAKPROOF.  Ours are, because no
 * error or notice of theirs depends on a row, and what they answer nobody but
 * search_rows() is told, which knows what to do with it.
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/transam.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "tsearch/ts_utils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "search_index.h"

/*
 * So much of a text is searched.  However many words a parser makes of it, they
 * fit into a tsvector: no message is refused for its length.
 */
#define MOST_SEARCHED (128 * 1024)

/* ------------------------------------------------------------------- guard */

static bool search_open = false;

/*
 * Nothing is counted meanwhile: how many rows of the index were read would say
 * in how many messages, of whomever, a word is.
 */
SearchGuard
search_begin(void)
{
	SearchGuard before = { .open = search_open, .counted = pgstat_track_counts };

	search_open = true;
	pgstat_track_counts = false;
	return before;
}

void
search_end(const SearchGuard *before)
{
	search_open = before->open;
	pgstat_track_counts = before->counted;
}

static void
require_search(void)
{
	if (!search_open)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the index of search can be asked by search functions only"),
				 errhint("Call search_messages().")));
}

/* -------------------------------------------------------------------- words */

/*
 * A configuration of somebody's own could be made to fail on a word of its
 * maker's choice, and so tell whether it is in rows that the maker cannot see.
 */
static void
require_trusted(Oid config)
{
	HeapTuple tuple = SearchSysCache1(TSCONFIGOID, ObjectIdGetDatum(config));
	bool trusted;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the text search configuration does not exist"),
				 errhint("Pass the name of one, such as 'simple'.")));
	trusted = config < FirstNormalObjectId ||
			  superuser_arg(((Form_pg_ts_config) GETSTRUCT(tuple))->cfgowner);
	ReleaseSysCache(tuple);
	if (!trusted)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the text search configuration belongs to a role that is no superuser"),
				 errhint("Use one of PostgreSQL's own, or let a superuser own it.")));
}

Datum
call_quietly(PGFunction function, int nargs, const Datum *args)
{
	LOCAL_FCINFO(fcinfo, 4);
	int told = client_min_messages;
	Datum result;

	Assert(nargs <= 4);
	InitFunctionCallInfoData(*fcinfo, NULL, nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
		fcinfo->args[i] = (NullableDatum){ .value = args[i] };
	PG_TRY();
	{
		client_min_messages = ERROR;
		result = function(fcinfo);
	}
	PG_FINALLY();
	{
		client_min_messages = told;
	}
	PG_END_TRY();
	return result;
}

/*
 * What stands between angle brackets is text like any other: the parser would
 * take "<nick> hello" for HTML.
 */
text *
searched_text(const text *body, char less, char greater)
{
	int length = VARSIZE_ANY_EXHDR(body);
	text *copy;
	char *bytes;

	if (length > MOST_SEARCHED)
		length = pg_mbcliplen(VARDATA_ANY(body), length, MOST_SEARCHED);
	copy = cstring_to_text_with_len(VARDATA_ANY(body), length);
	bytes = VARDATA(copy);
	for (int i = 0; i < length; i++)
	{
		if (bytes[i] == '<')
			bytes[i] = less;
		else if (bytes[i] == '>')
			bytes[i] = greater;
	}
	return copy;
}

PG_FUNCTION_INFO_V1(forge_comm_search_vector);
PG_FUNCTION_INFO_V1(forge_comm_search_query);
PG_FUNCTION_INFO_V1(forge_comm_search_matches);
PG_FUNCTION_INFO_V1(forge_comm_search_extract_query);

/* search_vector(config, body): the words of a message. */
Datum
forge_comm_search_vector(PG_FUNCTION_ARGS)
{
	Datum args[2];
	text *searched;

	require_trusted(PG_GETARG_OID(0));
	searched = searched_text(PG_GETARG_TEXT_PP(1), ' ', ' ');
	args[0] = PG_GETARG_DATUM(0);
	args[1] = PointerGetDatum(searched);
	args[0] = call_quietly(to_tsvector_byid, 2, args);
	pfree(searched);
	PG_RETURN_DATUM(args[0]);
}

/* search_matches(words, query): has a message these words? */
Datum
forge_comm_search_matches(PG_FUNCTION_ARGS)
{
	require_search();
	return ts_match_vq(fcinfo);
}

/* What a query asks of the index. */
Datum
forge_comm_search_extract_query(PG_FUNCTION_ARGS)
{
	require_search();
	return gin_extract_tsquery(fcinfo);
}

/* ------------------------------------------------------------------- places */

/* A place's key: so compared byte by byte, the newest step comes first. */
#define PLACE_LENGTH 9 /* kind and id */
#define KEY_LENGTH	 (PLACE_LENGTH + (int) sizeof(uint32))

/* What search_places() makes of a row: an array of these. */
enum
{
	AT,
	FIRST_ID,
	NUM_PLACE_VALUES = FIRST_ID + NUM_PLACE_KINDS
};

/* What wanted_places() makes: an array of these, and of ids. */
enum
{
	WANTED_KIND,
	WANTED_NEWEST,
	WANTED_OLDEST,
	FIRST_WANTED
};

static int64
step_width(PlaceKind kind)
{
	switch (kind)
	{
		case PLACE_WORKSPACE:
			return INT64CONST(1024) * USECS_PER_SEC; /* 17 minutes */
		case PLACE_CHANNEL:
			return INT64CONST(65536) * USECS_PER_SEC; /* 18 hours */
		default:
			return INT64CONST(1048576) * USECS_PER_SEC; /* 12 days */
	}
}

/* Infinite times are in the first and the last step, with all beyond those. */
int32
place_step(PlaceKind kind, TimestampTz time)
{
	int64 width = step_width(kind);
	int64 step = time / width - (time % width < 0 ? 1 : 0);

	return Max(PG_INT32_MIN, Min(PG_INT32_MAX, step));
}

/* The last microsecond of a step. */
TimestampTz
place_step_end(PlaceKind kind, int32 step)
{
	return step == PG_INT32_MAX ? PG_INT64_MAX : ((int64) step + 1) * step_width(kind) - 1;
}

Datum
place_key(PlaceKind kind, int64 id, int32 step)
{
	bytea *key = palloc(VARHDRSZ + KEY_LENGTH);
	uint8 *bytes = (uint8 *) VARDATA(key);
	uint64 place = pg_hton64((uint64) id ^ (UINT64CONST(1) << 63));
	uint32 age = pg_hton32(~((uint32) step ^ ((uint32) 1 << 31)));

	SET_VARSIZE(key, VARHDRSZ + KEY_LENGTH);
	bytes[0] = (uint8) kind;
	memcpy(bytes + 1, &place, sizeof(place));
	memcpy(bytes + PLACE_LENGTH, &age, sizeof(age));
	return PointerGetDatum(key);
}

bool
same_place(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY_EXHDR(a) == KEY_LENGTH && VARSIZE_ANY_EXHDR(b) == KEY_LENGTH &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), PLACE_LENGTH) == 0;
}

int32
place_key_step(const bytea *key)
{
	uint32 age;

	memcpy(&age, VARDATA_ANY(key) + PLACE_LENGTH, sizeof(age));
	return (int32) (~pg_ntoh32(age) ^ ((uint32) 1 << 31));
}

static ArrayType *
make_places(const int64 *values, bool *nulls, int n)
{
	Datum *elements = palloc(n * sizeof(Datum));
	int lower = 1;

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return construct_md_array(elements, nulls, 1, &n, &lower, INT8OID, sizeof(int64),
							  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* Take an array of ours apart; false if it has too few values to be one. */
static bool
read_places(ArrayType *places, int least, Datum **values, bool **nulls, int *n)
{
	if (ARR_NDIM(places) != 1)
		return false;
	deconstruct_array(places, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  values, nulls, n);
	return *n >= least;
}

PG_FUNCTION_INFO_V1(forge_comm_search_places);
PG_FUNCTION_INFO_V1(forge_comm_in_places);
PG_FUNCTION_INFO_V1(forge_comm_places_extract_value);
PG_FUNCTION_INFO_V1(forge_comm_places_extract_query);
PG_FUNCTION_INFO_V1(forge_comm_places_compare_partial);
PG_FUNCTION_INFO_V1(forge_comm_places_consistent);
PG_FUNCTION_INFO_V1(forge_comm_places_tri_consistent);
PG_FUNCTION_INFO_V1(forge_comm_search_selectivity);

/*
 * search_places(created_at, workspace, channel, author): where and when a
 * message was written.
 */
Datum
forge_comm_search_places(PG_FUNCTION_ARGS)
{
	int64 values[NUM_PLACE_VALUES];
	bool nulls[NUM_PLACE_VALUES];

	if (PG_ARGISNULL(AT))
		PG_RETURN_NULL();
	for (int i = 0; i < NUM_PLACE_VALUES; i++)
	{
		nulls[i] = PG_ARGISNULL(i);
		values[i] = nulls[i] ? 0 : PG_GETARG_INT64(i);
	}
	PG_RETURN_ARRAYTYPE_P(make_places(values, nulls, NUM_PLACE_VALUES));
}

Datum
wanted_places(PlaceKind kind, int32 newest, int32 oldest, const int64 *ids, int n)
{
	int64 *values = palloc((FIRST_WANTED + n) * sizeof(int64));

	values[WANTED_KIND] = kind;
	values[WANTED_NEWEST] = newest;
	values[WANTED_OLDEST] = oldest;
	memcpy(values + FIRST_WANTED, ids, n * sizeof(int64));
	return PointerGetDatum(make_places(values, NULL, FIRST_WANTED + n));
}

/* in_places(places, wanted): the same as the index says, of a row at hand. */
Datum
forge_comm_in_places(PG_FUNCTION_ARGS)
{
	Datum *places;
	Datum *wanted;
	bool *nulls;
	bool *ignored;
	int n;
	int nwanted;
	int kind;
	int32 step;

	require_search();
	if (!read_places(PG_GETARG_ARRAYTYPE_P(0), NUM_PLACE_VALUES, &places, &nulls, &n) ||
		!read_places(PG_GETARG_ARRAYTYPE_P(1), FIRST_WANTED, &wanted, &ignored, &nwanted))
		PG_RETURN_BOOL(false);
	kind = DatumGetInt64(wanted[WANTED_KIND]);
	if (kind < 0 || kind >= NUM_PLACE_KINDS)
		PG_RETURN_BOOL(false);
	step = place_step(kind, DatumGetInt64(places[AT]));
	if (nulls[FIRST_ID + kind] || step > DatumGetInt64(wanted[WANTED_NEWEST]) ||
		step < DatumGetInt64(wanted[WANTED_OLDEST]))
		PG_RETURN_BOOL(false);
	for (int i = FIRST_WANTED; i < nwanted; i++)
	{
		if (wanted[i] == places[FIRST_ID + kind])
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/* The keys of a row: one for each place that it has. */
Datum
forge_comm_places_extract_value(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	Datum *keys = palloc(NUM_PLACE_KINDS * sizeof(Datum));
	Datum *values;
	bool *nulls;
	int n;

	*nkeys = 0;
	if (read_places(PG_GETARG_ARRAYTYPE_P(0), NUM_PLACE_VALUES, &values, &nulls, &n))
	{
		for (int kind = 0; kind < NUM_PLACE_KINDS; kind++)
		{
			if (!nulls[FIRST_ID + kind])
				keys[(*nkeys)++] = place_key(kind, DatumGetInt64(values[FIRST_ID + kind]),
											 place_step(kind, DatumGetInt64(values[AT])));
		}
	}
	PG_RETURN_POINTER(keys);
}

/* A range of keys for each place that is wanted; its end is the extra data. */
Datum
forge_comm_places_extract_query(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	bool **partial = (bool **) PG_GETARG_POINTER(3);
	Pointer **ends = (Pointer **) PG_GETARG_POINTER(4);
	Datum *keys;
	Datum *wanted;
	bool *ignored;
	int n;

	require_search();
	*nkeys = 0;
	if (!read_places(PG_GETARG_ARRAYTYPE_P(0), FIRST_WANTED + 1, &wanted, &ignored, &n))
		PG_RETURN_POINTER(NULL);
	*nkeys = n - FIRST_WANTED;
	keys = palloc(*nkeys * sizeof(Datum));
	*partial = palloc(*nkeys * sizeof(bool));
	*ends = palloc(*nkeys * sizeof(Pointer));
	for (int i = 0; i < *nkeys; i++)
	{
		PlaceKind kind = DatumGetInt64(wanted[WANTED_KIND]);
		int64 id = DatumGetInt64(wanted[FIRST_WANTED + i]);

		keys[i] = place_key(kind, id, DatumGetInt64(wanted[WANTED_NEWEST]));
		(*ends)[i] = DatumGetPointer(place_key(kind, id, DatumGetInt64(wanted[WANTED_OLDEST])));
		(*partial)[i] = true;
	}
	PG_RETURN_POINTER(keys);
}

/* Is a key still within the range?  Those before its start are not asked for. */
Datum
forge_comm_places_compare_partial(PG_FUNCTION_ARGS)
{
	bytea *key = PG_GETARG_BYTEA_PP(1);
	bytea *end = (bytea *) PG_GETARG_POINTER(3);
	int length = Min(VARSIZE_ANY_EXHDR(key), KEY_LENGTH);

	PG_RETURN_INT32(memcmp(VARDATA_ANY(key), VARDATA_ANY(end), length) > 0 ? 1 : 0);
}

Datum
forge_comm_places_consistent(PG_FUNCTION_ARGS)
{
	bool *check = (bool *) PG_GETARG_POINTER(0);
	int32 nkeys = PG_GETARG_INT32(3);
	bool *recheck = (bool *) PG_GETARG_POINTER(5);
	bool found = false;

	*recheck = false;
	for (int i = 0; i < nkeys; i++)
		found |= check[i];
	PG_RETURN_BOOL(found);
}

Datum
forge_comm_places_tri_consistent(PG_FUNCTION_ARGS)
{
	GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	int32 nkeys = PG_GETARG_INT32(3);
	GinTernaryValue found = GIN_FALSE;

	for (int i = 0; i < nkeys && found != GIN_TRUE; i++)
	{
		if (check[i] != GIN_FALSE)
			found = check[i];
	}
	PG_RETURN_GIN_TERNARY_VALUE(found);
}

/*
 * Few rows, whatever is asked: the planner is to use the index, and its
 * estimates, which anybody may see, are not to tell what is in it.
 */
Datum
forge_comm_search_selectivity(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(0.0001);
}
