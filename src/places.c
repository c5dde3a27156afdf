/*
 * places.c
 *		The order of messages within a channel, and reading an index in it.
 *
 * As in lookup.c, neither privileges nor row security apply here: callers
 * decide what may be told.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "lookup.h"
#include "places.h"

/* A condition on an id column of an index, whatever its width. */
void
id_condition(ScanKey key, Relation index, AttrNumber attno, StrategyNumber strategy, int64 id)
{
	Oid comparison = get_opfamily_member(index->rd_opfamily[attno - 1],
										 index->rd_opcintype[attno - 1], INT8OID, strategy);

	ScanKeyEntryInitialize(key, 0, attno, strategy, INT8OID, InvalidOid,
						   get_opcode(comparison), Int64GetDatum(id));
}

/* One column of the comparison of a row with a place. */
static void
compare_column(ScanKey key, Relation index, AttrNumber attno, StrategyNumber strategy,
			   Oid type, int64 value, int flags)
{
	RegProcedure compare = get_opfamily_proc(index->rd_opfamily[attno - 1],
											 index->rd_opcintype[attno - 1], type, BTORDER_PROC);

	ScanKeyEntryInitialize(key, SK_ROW_MEMBER | flags, attno, strategy, type, InvalidOid,
						   compare, Int64GetDatum(value));
}

/* (at, id) <= or > a place, which a btree takes as where to begin. */
static void
compare_place(PlaceScan *scan, ScanKey header, StrategyNumber strategy, const Place *place)
{
	Relation index = scan->in->index;
	AttrNumber at = scan->in->nprefix + 1;

	compare_column(&scan->bound[0], index, at, strategy,
				   index->rd_opcintype[at - 1], place->at, 0);
	compare_column(&scan->bound[1], index, at + 1, strategy, INT8OID, place->id, SK_ROW_END);
	MemSet(header, 0, sizeof(ScanKeyData));
	header->sk_flags = SK_ROW_HEADER;
	header->sk_attno = at;
	header->sk_strategy = strategy;
	header->sk_argument = PointerGetDatum(scan->bound);
}

/* Read the rows that a snapshot sees under some ids, in order. */
void
places_begin(PlaceScan *scan, const PlaceIndex *in, Snapshot snapshot,
			 const int64 *prefix, bool newest_first, const Place *bound)
{
	int nkeys = in->nprefix;

	scan->in = in;
	scan->direction = newest_first == in->newest_last ? BackwardScanDirection : ForwardScanDirection;
	for (int i = 0; i < in->nprefix; i++)
		id_condition(&scan->keys[i], in->index, i + 1, BTEqualStrategyNumber, prefix[i]);
	if (bound)
		compare_place(scan, &scan->keys[nkeys++],
					  newest_first ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber, bound);
	scan->slot = table_slot_create(in->table, NULL);
	scan->scan = compat_index_beginscan(in->table, in->index, snapshot, nkeys);
	index_rescan(scan->scan, scan->keys, nkeys, NULL, 0);
}

static int64
number_in(TupleTableSlot *slot, AttrNumber attnum)
{
	Oid type = TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1)->atttypid;
	bool isnull;
	Datum value = slot_getattr(slot, attnum, &isnull);

	return is_id_type(type) ? id_from_datum(value, type) : DatumGetInt64(value);
}

/* The next row, which is in the slot then; false if there is none. */
bool
places_next(PlaceScan *scan, Place *place)
{
	const Form_pg_index form = scan->in->index->rd_index;

	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(scan->scan, scan->direction, scan->slot))
		return false;
	place->at = number_in(scan->slot, form->indkey.values[scan->in->nprefix]);
	place->id = number_in(scan->slot, form->indkey.values[scan->in->nprefix + 1]);
	return true;
}

void
places_end(PlaceScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
}

void
places_close(PlaceIndex *in)
{
	index_close(in->index, NoLock);
	table_close(in->table, NoLock);
}
