/*
 * lookup.h
 *		Rows by key, straight from an index, without SPI.
 */
#ifndef FORGE_COMM_LOOKUP_H
#define FORGE_COMM_LOOKUP_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* How to find rows of a table: equality on the columns of one of its indexes. */
typedef struct LookupKey
{
	Oid relid;
	Oid index;
	int nkeys;
	AttrNumber attnums[INDEX_MAX_KEYS]; /* the table's columns */
	Oid argtypes[INDEX_MAX_KEYS]; /* types of the values compared */
	Oid casts[INDEX_MAX_KEYS]; /* functions that make them of the values given, or 0 */
	Oid collations[INDEX_MAX_KEYS];
	RegProcedure equals[INDEX_MAX_KEYS]; /* column = value */
} LookupKey;

/* Called with each row found; false ends the search. */
typedef bool (*LookupCallback)(HeapTuple tuple, TupleDesc desc, void *arg);

/* Id columns of a row that is looked up. */
#define MAX_ID_COLUMNS 5

typedef struct IdColumns
{
	int n;
	AttrNumber attnums[MAX_ID_COLUMNS];
	int64 values[MAX_ID_COLUMNS];
	bool nulls[MAX_ID_COLUMNS];
	bool found; /* there is such a row */
} IdColumns;

extern bool lookup_index(Relation rel, const AttrNumber *attnums, int n, bool unique,
						 LookupKey *key);
extern void lookup_each(const LookupKey *key, const Datum *values, Snapshot snapshot,
						LookupCallback callback, void *arg);
extern bool lookup_referenced(const LookupKey *key, const Datum *values, bool lock,
							  IdColumns *columns);

/* An id column's value, whatever its width. */
extern bool is_id_type(Oid type);
extern bool id_fits(int64 id, Oid type);
extern int64 id_from_datum(Datum value, Oid type);
extern Datum id_to_datum(int64 id, Oid type);

#endif /* FORGE_COMM_LOOKUP_H */
