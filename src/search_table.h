/*
 * search_table.h
 *		A table that search is enabled on, and the queries that search it.
 */
#ifndef FORGE_COMM_SEARCH_TABLE_H
#define FORGE_COMM_SEARCH_TABLE_H

#include "executor/spi.h"
#include "utils/relcache.h"

/*
 * The words of a query that must all be there are asked for one by one, up to
 * so many: only so does the index skip from row to row with all of them, rather
 * than look for the next row with two words in what other places wrote.
 */
#define MOST_CONJUNCTS 6

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
	PARAM_CONJUNCTS, /* the second and further parts of the query */
	NUM_PARAMS = PARAM_CONJUNCTS + MOST_CONJUNCTS - 1
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
	SPIPlanPtr plans[2][MOST_CONJUNCTS + 1]; /* by places or not, and so many words */
	AttrNumber channels_key;
	Oid channels; /* InvalidOid where no foreign key leads to any */
	SPIPlanPtr visible; /* how many of some channels can be seen */
} SearchTable;

/* How search is enabled on a table, an error if it is not; until the next call. */
extern SearchTable *search_table(Relation rel);

/*
 * Its query, of so many parts.  Words that the index cannot find, 0 parts, are
 * looked for in each row.
 */
extern SPIPlanPtr search_plan(SearchTable *table, Relation rel, int nparts, bool by_places);

/*
 * Counts those of the channels in its parameter, an array, that can be seen.
 * NULL where there is no table of channels.
 */
extern SPIPlanPtr channels_plan(SearchTable *table);

extern void search_table_init(void);

#endif /* FORGE_COMM_SEARCH_TABLE_H */
