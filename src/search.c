/*
 * search.c
 *		Full-text search of messages, newest first.
 *
 * Two ways lead to the newest rows with a word, and each is slow where the
 * other is quick.  All rows with the word, from the index: quick if they are
 * few, however old.  The rows of a place, span by span of time from the newest
 * on, and of those the ones with the word: quick if the word is common there,
 * and soon enough are found.  So we go back in time, in spans that grow, for as
 * long as that costs no more than the first way would; then we take that for
 * what is left.  Neither a rare old word nor a common one costs more than about
 * twice the better way.
 *
 * Each span is a query of the caller's, under row security.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tsearch/ts_utils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "context.h"
#include "cursors.h"
#include "highlight.h"
#include "lookup.h"
#include "search.h"
#include "search_index.h"
#include "search_peek.h"
#include "search_table.h"

#define MOST_FOUND		  100
#define LONGEST_QUERY	  1000 /* characters */
#define MOST_CHANNELS	  1000
#define MOST_PLACES_ASKED 16 /* of more, some stand for all */
#define LEAST_SPAN		  250 /* rows */

/* What things cost, in units of a row that is fetched from the table. */
#define COST_IN_SPAN 0.05 /* a row of a place, in the index */
#define COST_OF_WORD 0.03 /* a row with a word, in the index */
#define COST_OF_SCAN 20.0

typedef struct Search
{
	SearchTable *table;
	Relation rel;
	TSQuery query;
	bool by_words; /* can the index find the words? */
	int nparts;
	TSQuery parts[MOST_CONJUNCTS]; /* all of which a message must have */
	SearchPeek *peek;

	/* the rows asked for */
	int limit;
	TimestampTz time;
	int64 id;
	Datum channels;
	bool all_channels;
	Datum author;
	bool all_authors;

	/* the place that spans are of */
	bool has_place;
	PlaceKind kind;
	int nids;
	int64 *ids;

	ReturnSetInfo *result;
	int found;
} Search;

/* ---------------------------------------------------------------- arguments */

static TSQuery
read_query(FunctionCallInfo fcinfo, int arg, Oid config)
{
	text *words;
	Datum args[2];

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query must not be null"),
				 errhint("Pass the words to search for.")));
	words = PG_GETARG_TEXT_PP(arg);
	if (pg_mbstrlen_with_len(VARDATA_ANY(words), VARSIZE_ANY_EXHDR(words)) > LONGEST_QUERY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query must have no more than %d characters", LONGEST_QUERY),
				 errhint("Search for fewer words.")));
	args[0] = ObjectIdGetDatum(config);
	args[1] = PointerGetDatum(searched_text(words, ' ', ' '));
	return DatumGetTSQuery(call_quietly(websearch_to_tsquery_byid, 2, args));
}

static int
read_limit(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1 || PG_GETARG_INT32(arg) > MOST_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("limit must be from 1 to %d", MOST_FOUND),
				 errhint("Pass the cursor of the last row as \"before\" to get more.")));
	return PG_GETARG_INT32(arg);
}

static CursorUse
cursor_use(const Search *search)
{
	CursorUse use = { .kind = CURSOR_OF_SEARCH, .relid = RelationGetRelid(search->rel) };

	return use;
}

/* The newest place that a row may have: just before the one that a cursor names. */
static bool
read_before(Search *search, FunctionCallInfo fcinfo, int arg)
{
	CursorUse use = cursor_use(search);
	int64 values[2];
	text *before;

	search->time = PG_INT64_MAX;
	search->id = PG_INT64_MAX;
	if (PG_ARGISNULL(arg))
		return true;
	before = PG_GETARG_TEXT_PP(arg);
	if (cursor_decode(&use, VARDATA_ANY(before), VARSIZE_ANY_EXHDR(before), values, 2) != 2)
		cursor_is_invalid();
	search->time = values[0];
	if (!pg_sub_s64_overflow(values[1], 1, &search->id))
		return true;
	search->id = PG_INT64_MAX;
	return !pg_sub_s64_overflow(search->time, 1, &search->time);
}

static int
by_id(const void *a, const void *b)
{
	int64 left = *(const int64 *) a;
	int64 right = *(const int64 *) b;

	return (left > right) - (left < right);
}

/* The ids of an array, each once. */
static int
sorted_ids(ArrayType *array, int64 **ids)
{
	Datum *values;
	bool *nulls;
	int n;
	int kept = 0;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &n);
	if (n < 1 || n > MOST_CHANNELS || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("channel_ids must hold from 1 to %d ids, and no nulls", MOST_CHANNELS),
				 errhint("Leave it out to search all channels.")));
	*ids = palloc(n * sizeof(int64));
	for (int i = 0; i < n; i++)
		(*ids)[i] = DatumGetInt64(values[i]);
	qsort(*ids, n, sizeof(int64), by_id);
	for (int i = 0; i < n; i++)
	{
		if (kept == 0 || (*ids)[kept - 1] != (*ids)[i])
			(*ids)[kept++] = (*ids)[i];
	}
	return kept;
}

/* Channels that are missing and those that are hidden look the same. */
static void
check_channels(Search *search, int n)
{
	SPIPlanPtr plan = channels_plan(search->table);
	bool isnull;

	if (plan == NULL)
		return;
	if (SPI_execute_plan(plan, &search->channels, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look channels up");
	if (DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)) != n)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a channel does not exist or is not accessible"),
				 errhint("Name channels that the user can see, in the workspaces of the context.")));
}

/* Do the policies let all rows pass? */
static bool
is_everywhere(Relation rel)
{
	return check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED ||
		   context_is_everywhere();
}

static int
scope(const int64 **workspaces)
{
	context_require();
	return context_workspaces(workspaces);
}

/*
 * Spans are of the place that has the fewest rows.  There is none where all
 * workspaces are asked.
 */
static void
choose_place(Search *search, int64 author, int64 *channels, int nchannels)
{
	const int64 *workspaces;

	search->has_place = true;
	if (!search->all_authors)
	{
		search->kind = PLACE_AUTHOR;
		search->nids = 1;
		search->ids = palloc(sizeof(int64));
		search->ids[0] = author;
	}
	else if (!search->all_channels)
	{
		search->kind = PLACE_CHANNEL;
		search->nids = nchannels;
		search->ids = channels;
	}
	else
	{
		search->kind = PLACE_WORKSPACE;
		search->has_place = !search->table->workspace || !is_everywhere(search->rel);
		if (!search->has_place)
			return;
		search->nids = search->table->workspace ? scope(&workspaces) : 1;
		search->ids = palloc0(Max(search->nids, 1) * sizeof(int64));
		if (search->table->workspace)
			memcpy(search->ids, workspaces, search->nids * sizeof(int64));
	}
}

/* -------------------------------------------------------------------- costs */

/* In how many rows are the words, at most?  And is that what there is? */
typedef struct Words
{
	double most;
	double share; /* of all rows, if each word is as likely beside the others */
	bool exact;
} Words;

static Words
words_in_rows(const Search *search, double all, QueryItem *item)
{
	QueryOperand *operand = &item->qoperand;
	Words left;
	Words right;

	check_stack_depth();
	if (item->type == QI_VAL)
	{
		double rows = peek_word(search->peek, GETOPERAND(search->query) + operand->distance,
								operand->length);

		rows = Min(rows, all);
		return (Words){ rows, rows / all, true };
	}
	if (item->qoperator.oper == OP_NOT)
		return (Words){ all, 1.0, false };
	right = words_in_rows(search, all, item + 1);
	left = words_in_rows(search, all, item + item->qoperator.left);
	if (item->qoperator.oper == OP_OR)
		return (Words){ Min(left.most + right.most, all), Min(left.share + right.share, 1.0),
						left.exact && right.exact };
	return (Words){ Min(left.most, right.most), left.share * right.share, false };
}

/* ------------------------------------------------------------------ queries */

/* Take a query apart where all of it must be there; what is too much stays together. */
static void
split_query(Search *search, QueryItem *item, int room)
{
	if (item->type == QI_OPR && item->qoperator.oper == OP_AND && room > 1)
	{
		int before = search->nparts;

		split_query(search, item + item->qoperator.left, room - 1);
		split_query(search, item + 1, room - (search->nparts - before));
	}
	else
		search->parts[search->nparts++] = QTN2QT(QT2QTN(item, GETOPERAND(search->query)));
}

static void
keep_row(Search *search, HeapTuple row, TupleDesc desc)
{
	CursorUse use = cursor_use(search);
	Datum values[3];
	bool nulls[3] = { false };
	int64 place[2];
	Datum body;
	bool isnull;

	values[0] = SPI_getbinval(row, desc, FOUND_ROW, &isnull);
	body = SPI_getbinval(row, desc, FOUND_BODY, &nulls[1]);
	if (!nulls[1])
		values[1] = PointerGetDatum(highlight(search->table->config, DatumGetTextPP(body), search->query));
	place[0] = DatumGetTimestampTz(SPI_getbinval(row, desc, FOUND_TIME, &isnull));
	place[1] = DatumGetInt64(SPI_getbinval(row, desc, FOUND_ID, &isnull));
	values[2] = PointerGetDatum(cursor_encode(&use, place, 2));
	tuplestore_putvalues(search->result->setResult, search->result->setDesc, values, nulls);
	search->found++;
}

/* Ask for what is still missing, in some span or anywhere; how many were found. */
static int
ask(Search *search, bool by_places, int32 newest, int32 oldest)
{
	Datum values[NUM_PARAMS];
	char nulls[NUM_PARAMS];
	int nparts = !search->by_words ? 0 : by_places ? search->nparts :
													 1;
	SPIPlanPtr plan = search_plan(search->table, search->rel, nparts, by_places);
	int found;

	memset(nulls, ' ', sizeof(nulls));

	values[PARAM_QUERY] = TSQueryGetDatum(nparts > 1 ? search->parts[0] : search->query);
	for (int i = 1; i < nparts; i++)
		values[PARAM_CONJUNCTS + i - 1] = TSQueryGetDatum(search->parts[i]);
	values[PARAM_TIME] = TimestampTzGetDatum(search->time);
	values[PARAM_ID] = Int64GetDatum(search->id);
	values[PARAM_CHANNELS] = search->channels;
	nulls[PARAM_CHANNELS] = search->all_channels ? 'n' : ' ';
	values[PARAM_AUTHOR] = search->author;
	nulls[PARAM_AUTHOR] = search->all_authors ? 'n' : ' ';
	values[PARAM_LIMIT] = Int64GetDatum(search->limit - search->found);
	if (by_places)
		values[PARAM_PLACES] = wanted_places(search->kind, newest, oldest, search->ids, search->nids);

	if (SPI_execute_plan(plan, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not search");
	found = SPI_processed;
	for (int i = 0; i < found; i++)
		keep_row(search, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* The newest steps of the places that hold about so many rows, if not fewer. */
static PlaceSpan
next_span(const Search *search, int32 newest, double rows)
{
	int asked = Min(search->nids, MOST_PLACES_ASKED);
	PlaceSpan span = { .oldest = PG_INT32_MIN, .all = true };

	for (int i = 0; i < asked; i++)
	{
		int64 id = search->ids[(int64) i * search->nids / asked];
		PlaceSpan one = peek_place(search->peek, search->kind, id, newest, rows / asked);

		span.rows += one.rows;
		span.all &= one.all && asked == search->nids;
		if (!one.all)
			span.oldest = Max(span.oldest, one.oldest);
	}
	span.all |= span.oldest == PG_INT32_MIN;
	if (span.all)
		span.oldest = PG_INT32_MIN;
	return span;
}

/* No row from here on is newer than the end of a step. */
static void
go_on_before(Search *search, int32 step)
{
	TimestampTz end = place_step_end(search->kind, step);

	if (end < search->time)
	{
		search->time = end;
		search->id = PG_INT64_MAX;
	}
}

/* How many rows the next span is to have, to find what is missing. */
static double
next_rows(const Search *search, double share, double rows)
{
	double enough = 1.5 * (search->limit - search->found) / share;

	return Min(Max(enough, rows * 2), rows * 8);
}

/*
 * Back in time, for as long as it is worth it; true if no older row is left, or
 * none is needed.
 */
static bool
search_spans(Search *search, const Words *words, double all)
{
	int32 newest = place_step(search->kind, search->time);
	double share = words->share;
	double rows = LEAST_SPAN;
	double spent = 0;
	double walked = 0;

	for (;;)
	{
		double left = words->exact ? words->most : Min(words->most, share * all);
		double otherwise = COST_OF_SCAN + words->most * COST_OF_WORD + left;
		double cost = COST_OF_SCAN + rows * COST_IN_SPAN + rows * share;
		PlaceSpan span;

		if (search->by_words && spent + cost > otherwise)
			return false;
		span = next_span(search, newest, rows);
		(void) ask(search, true, newest, span.oldest);
		if (search->found == search->limit || span.all)
			return true;

		newest = span.oldest - 1;
		go_on_before(search, newest);
		spent += cost;
		walked += span.rows;
		share = (search->found + 1) / (walked + 1);
		rows = next_rows(search, share, rows);
	}
}

static void
search_both_ways(Search *search)
{
	double all = Max(search->rel->rd_rel->reltuples, 1000);
	Words words;

	search->peek = peek_begin(search->table->index);
	words = words_in_rows(search, all, GETQUERY(search->query));
	split_query(search, GETQUERY(search->query), MOST_CONJUNCTS);
	if (!search->has_place || !search_spans(search, &words, all))
		(void) ask(search, false, 0, 0);
	peek_end(search->peek);
}

static void
run_search(Search *search)
{
	SearchGuard guard = search_begin();

	PG_TRY();
	{
		search_both_ways(search);
	}
	PG_FINALLY();
	{
		search_end(&guard);
	}
	PG_END_TRY();
}

PG_FUNCTION_INFO_V1(forge_comm_search_rows);

/*
 * search_rows(type, query, channel_ids, author_id, before, limit): the messages
 * with these words; the type is that of the table's rows.
 */
Datum
forge_comm_search_rows(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;
	Search search = { .all_channels = PG_ARGISNULL(2), .all_authors = PG_ARGISNULL(3) };
	int64 *channels = NULL;
	int nchannels = 0;
	bool any;

	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the first argument must be of the type of a table's rows"),
				 errhint("Call search_messages().")));
	search.rel = table_open(relid, AccessShareLock);
	search.table = search_table(search.rel);
	search.query = read_query(fcinfo, 1, search.table->config);
	search.limit = read_limit(fcinfo, 5);
	any = read_before(&search, fcinfo, 4);
	if (!search.all_channels)
	{
		search.channels = PG_GETARG_DATUM(2);
		nchannels = sorted_ids(PG_GETARG_ARRAYTYPE_P(2), &channels);
	}
	if (!search.all_authors)
		search.author = PG_GETARG_DATUM(3);
	if (!search.all_authors && !search.table->author)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("messages of table \"%s\" have no author", RelationGetRelationName(search.rel)),
				 errhint("Leave author_id out.")));

	InitMaterializedSRF(fcinfo, 0);
	search.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	choose_place(&search, search.all_authors ? 0 : DatumGetInt64(search.author), channels, nchannels);
	if (!search.all_channels)
		check_channels(&search, nchannels);
	search.by_words = search.query->size > 0 && tsquery_requires_match(GETQUERY(search.query));
	if (any && search.query->size > 0 && (!search.has_place || search.nids > 0))
		run_search(&search);
	SPI_finish();
	table_close(search.rel, NoLock);
	return (Datum) 0;
}

void
search_init(void)
{
	search_table_init();
}
