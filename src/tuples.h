/*
 * tuples.h
 *		What a row holds: ids, and whether two rows hold the same.
 */
#ifndef FORGE_COMM_TUPLES_H
#define FORGE_COMM_TUPLES_H

#include "access/htup.h"
#include "access/tupdesc.h"

/* Workspaces, users and rows have integers as ids, of any width, carried as int64. */
extern bool is_id_type(Oid type);
extern bool id_fits(int64 id, Oid type);
extern int64 id_from_datum(Datum value, Oid type);
extern Datum id_to_datum(int64 id, Oid type);

/* The id in a column; false if it is null, or there is no such column. */
extern bool tuple_id(HeapTuple tuple, TupleDesc desc, AttrNumber attnum, int64 *id);

/* Several id columns of one row. */
#define MAX_ID_COLUMNS 5

typedef struct IdColumns
{
	int n;
	AttrNumber attnums[MAX_ID_COLUMNS];
	int64 values[MAX_ID_COLUMNS];
	bool nulls[MAX_ID_COLUMNS];
	bool found; /* of a row looked up: there is one */
} IdColumns;

extern void read_ids(HeapTuple tuple, TupleDesc desc, IdColumns *columns);

/* The first place at which two rows' ids differ; -1 if they are the same. */
extern int first_difference(const IdColumns *left, const IdColumns *right);

/* Ids, as many as come. */
typedef struct IdList
{
	int64 *ids;
	int n;
	int size;
} IdList;

extern void begin_ids(IdList *list);
extern void add_id(IdList *list, int64 id);

/* The values of some columns; false if one of them is null. */
extern bool read_values(HeapTuple tuple, TupleDesc desc, const AttrNumber *attnums, int n,
						Datum *values);

/* Do two rows of a table hold the same, to the bit?  Nulls are the same as nulls only. */
extern bool same_value(TupleDesc desc, AttrNumber a, HeapTuple left, AttrNumber b,
					   HeapTuple right);
extern bool same_column(TupleDesc desc, AttrNumber attnum, HeapTuple old, HeapTuple new);

/* A row taken apart. */
typedef struct Row
{
	Datum *values;
	bool *nulls;
} Row;

extern Row take_apart(HeapTuple tuple, TupleDesc desc);

#endif /* FORGE_COMM_TUPLES_H */
