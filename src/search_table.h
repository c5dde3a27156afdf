/*
 * search_table.h
 *		A table that search is enabled on, and the queries that search it.
 */
#ifndef FORGE_COMM_SEARCH_TABLE_H
#define FORGE_COMM_SEARCH_TABLE_H

#include "executor/spi.h"
#include "utils/relcache.h"

/* The parameters of its queries. */
enum
{
	PARAM_QUERY,
	PARAM_TIME, /* rows up to this time and id, both included */
	PARAM_ID,
	PARAM_CHANNELS, /* may be NULL: all */
	PARAM_AUTHOR, /* likewise */
	PARAM_LIMIT,
	PARAM_PLACES, /* only where places are asked for */
	NUM_PARAMS
};

/* The columns of their result. */
enum
{
	FOUND_ROW = 1,
	FOUND_TIME,
	FOUND_ID,
	FOUND_BODY
};

typedef struct SearchTable
{
	Oid relid; /* hash key */
	bool valid;
	Oid index;
	Oid config;
	AttrNumber key;
	AttrNumber body;
	AttrNumber created_at;
	AttrNumber workspace; /* these and deleted_at 0 where there is none */
	AttrNumber channel;
	AttrNumber author;
	AttrNumber deleted_at;
	SPIPlanPtr plans[2][2]; /* by what the index is asked: words, places */
	AttrNumber channels_key;
	Oid channels; /* InvalidOid where no foreign key leads to any */
	SPIPlanPtr visible; /* how many of some channels can be seen */
} SearchTable;

/* How search is enabled on a table, an error if it is not; until the next call. */
extern SearchTable *search_table(Relation rel);

/* Its query.  Words that the index cannot find are looked for in each row. */
extern SPIPlanPtr search_plan(SearchTable *table, Relation rel, bool by_words, bool by_places);

/*
 * Counts those of the channels in its parameter, an array, that can be seen.
 * NULL where there is no table of channels.
 */
extern SPIPlanPtr channels_plan(SearchTable *table);

extern void search_table_init(void);

#endif /* FORGE_COMM_SEARCH_TABLE_H */
