/*
 * lookup.h
 *		Rows by key, straight from an index, without SPI.
 */
#ifndef FORGE_COMM_LOOKUP_H
#define FORGE_COMM_LOOKUP_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/snapshot.h"

/* How to find rows of a table: equality on the columns of one of its indexes. */
typedef struct LookupKey
{
	Oid relid;
	Oid index;
	int nkeys;
	AttrNumber attnums[INDEX_MAX_KEYS]; /* the table's columns */
	Oid argtypes[INDEX_MAX_KEYS]; /* types of the values compared */
	Oid collations[INDEX_MAX_KEYS];
	RegProcedure equals[INDEX_MAX_KEYS]; /* column = value */
} LookupKey;

/* Called with each row found; false ends the search. */
typedef bool (*LookupCallback)(HeapTuple tuple, TupleDesc desc, void *arg);

extern bool lookup_index(Oid relid, AttrNumber attnum, bool unique, LookupKey *key);
extern void lookup_each(const LookupKey *key, const Datum *values, Snapshot snapshot,
						LookupCallback callback, void *arg);
extern bool lookup_referenced(const LookupKey *key, const Datum *values, AttrNumber attnum,
							  bool lock, int64 *result, bool *isnull);

/* An id column's value, whatever its width. */
extern bool is_id_type(Oid type);
extern bool id_fits(int64 id, Oid type);
extern int64 id_from_datum(Datum value, Oid type);
extern Datum id_to_datum(int64 id, Oid type);

#endif /* FORGE_COMM_LOOKUP_H */
