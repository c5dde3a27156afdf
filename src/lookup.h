/*
 * lookup.h
 *		Rows by key, straight from an index, without SPI.
 */
#ifndef FORGE_COMM_LOOKUP_H
#define FORGE_COMM_LOOKUP_H

#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "tuples.h"

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

extern bool lookup_index(Relation rel, const AttrNumber *attnums, int n, bool unique,
						 LookupKey *key);
extern void lookup_each(const LookupKey *key, const Datum *values, Snapshot snapshot,
						LookupCallback callback, void *arg);
extern void lookup_convert(const LookupKey *key, const Datum *values, Datum *compared);
extern bool lookup_referenced(const LookupKey *key, const Datum *values, bool lock,
							  IdColumns *columns);

#endif /* FORGE_COMM_LOOKUP_H */
