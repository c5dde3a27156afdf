/*
 * queries.c
 *		Queries that functions of ours ask with the rights of whoever calls.
 *
 * Their texts are in the functions that enable_messages() makes for a table.
 * PostgreSQL makes a new plan where a table, a policy or the role changes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "queries.h"

/* More have no plan kept: nobody has so many tables of messages. */
#define MOST_QUERIES 256

typedef struct KeptQuery
{
	uint64 hash; /* hash key: of the text */
	text *text;
	SPIPlanPtr plan;
} KeptQuery;

static HTAB *queries;

static SPIPlanPtr
prepare(const text *query, int nargs, Oid *argtypes)
{
	char *string = text_to_cstring(query);
	SPIPlanPtr plan = SPI_prepare_cursor(string, nargs, argtypes, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", string);
	pfree(string);
	return plan;
}

static void
keep(uint64 hash, const text *query, SPIPlanPtr plan)
{
	text *copy = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(query));
	KeptQuery *entry;

	memcpy(copy, query, VARSIZE_ANY(query));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep a plan");
	entry = hash_search(queries, &hash, HASH_ENTER, NULL);
	entry->text = copy;
	entry->plan = plan;
}

/* Values of other types would be read as what they are not. */
static bool
is_query(const KeptQuery *entry, const text *query, int nargs, const Oid *argtypes)
{
	if (VARSIZE_ANY(entry->text) != VARSIZE_ANY(query) ||
		memcmp(entry->text, query, VARSIZE_ANY(query)) != 0 ||
		SPI_getargcount(entry->plan) != nargs)
		return false;
	for (int i = 0; i < nargs; i++)
		if (SPI_getargtypeid(entry->plan, i) != argtypes[i])
			return false;
	return true;
}

static SPIPlanPtr
plan_of(const text *query, int nargs, Oid *argtypes)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(query), VARSIZE_ANY_EXHDR(query), 0);
	KeptQuery *entry = hash_search(queries, &hash, HASH_FIND, NULL);
	SPIPlanPtr plan;

	if (entry != NULL && is_query(entry, query, nargs, argtypes))
		return entry->plan;
	plan = prepare(query, nargs, argtypes);
	if (entry == NULL && hash_get_num_entries(queries) < MOST_QUERIES)
		keep(hash, query, plan);
	return plan;
}

uint64
run_query(const text *query, int nargs, Oid *argtypes, Datum *values, long most)
{
	if (query == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a query for messages is missing"),
				 errhint("Call forge_comm.enable_messages() again.")));
	if (SPI_execute_plan(plan_of(query, nargs, argtypes), values, NULL, true, most) != SPI_OK_SELECT)
		elog(ERROR, "a query of ours is not a SELECT");
	return SPI_processed;
}

/* The texts come as arguments, and may be anybody's. */
void
require_columns(const Oid *types, int n)
{
	TupleDesc desc = SPI_tuptable->tupdesc;

	for (int i = 0; i < n; i++)
		if (desc->natts < n || TupleDescAttr(desc, i)->atttypid != types[i])
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a query for messages has other columns"),
					 errhint("Call forge_comm.enable_messages() again.")));
}

void
queries_init(void)
{
	HASHCTL info = { .keysize = sizeof(uint64), .entrysize = sizeof(KeptQuery) };

	queries = hash_create("forge_comm queries", 32, &info, HASH_ELEM | HASH_BLOBS);
}
