/*
 * change_scan.c
 *		Lines of a log of changes, in the order of their ids.
 *
 * They are read straight from the log's indexes with the snapshot of the
 * query: nobody is granted the log, and what may be told is decided line by
 * line.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "change_scan.h"
#include "compat.h"

/* One scan of an index, at one of its lines. */
typedef struct Stream
{
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ChangeLine line;
} Stream;

struct ChangeMerge
{
	Relation rel;
	const ChangeLog *log;
	int nstreams;
	Stream *streams;
	binaryheap *heap; /* of the streams that are not at their end */
	bool started; /* the first one's line was given out */
};

static void
id_key(ScanKey key, AttrNumber attnum, bool given, int64 value)
{
	if (given)
		ScanKeyInit(key, attnum, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
	else
		ScanKeyEntryInitialize(key, SK_ISNULL | SK_SEARCHNULL, attnum, InvalidStrategy, InvalidOid,
							   InvalidOid, InvalidOid, (Datum) 0);
}

/* Both indexes begin with the columns that a range is about. */
static void
range_keys(ScanKey keys, const ChangeRange *range)
{
	id_key(&keys[0], 1, range->has_workspace, range->workspace);
	id_key(&keys[1], 2, range->has_user, range->user);
}

static void
stream_open(Stream *stream, Relation rel, Oid index, ScanKey keys, int nkeys)
{
	stream->index = index_open(index, AccessShareLock);
	stream->slot = table_slot_create(rel, NULL);
	stream->scan = compat_index_beginscan(rel, stream->index, GetActiveSnapshot(), nkeys);
	index_rescan(stream->scan, keys, nkeys, NULL, 0);
}

static bool
stream_next(Stream *stream, const ChangeLog *log)
{
	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(stream->scan, ForwardScanDirection, stream->slot))
		return false;
	change_log_read(log, stream->slot, &stream->line);
	return true;
}

static void
stream_close(Stream *stream)
{
	index_endscan(stream->scan);
	ExecDropSingleTupleTableSlot(stream->slot);
	index_close(stream->index, NoLock);
}

/* A heap has its greatest first, and here that is the lowest id. */
static int
compare_streams(Datum a, Datum b, void *arg)
{
	int64 left = ((Stream *) DatumGetPointer(a))->line.id;
	int64 right = ((Stream *) DatumGetPointer(b))->line.id;

	return left < right ? 1 : left > right ? -1 :
											 0;
}

ChangeMerge *
change_merge_begin(Relation rel, const ChangeRange *ranges, int n, int64 above, int64 upto)
{
	ChangeMerge *merge = palloc0(sizeof(ChangeMerge));

	merge->rel = rel;
	merge->log = change_log_of(rel);
	merge->nstreams = n;
	merge->streams = palloc0(Max(n, 1) * sizeof(Stream));
	merge->heap = binaryheap_allocate(Max(n, 1), compare_streams, NULL);
	for (int i = 0; i < n; i++)
	{
		ScanKeyData keys[4];

		range_keys(keys, &ranges[i]);
		ScanKeyInit(&keys[2], 3, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(above));
		ScanKeyInit(&keys[3], 3, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(upto));
		stream_open(&merge->streams[i], rel, merge->log->by_id, keys, 4);
		if (stream_next(&merge->streams[i], merge->log))
			binaryheap_add_unordered(merge->heap, PointerGetDatum(&merge->streams[i]));
	}
	binaryheap_build(merge->heap);
	return merge;
}

const ChangeLine *
change_merge_next(ChangeMerge *merge)
{
	Stream *stream;

	if (merge->started && !binaryheap_empty(merge->heap))
	{
		stream = (Stream *) DatumGetPointer(binaryheap_first(merge->heap));
		if (stream_next(stream, merge->log))
			binaryheap_replace_first(merge->heap, PointerGetDatum(stream));
		else
			(void) binaryheap_remove_first(merge->heap);
	}
	merge->started = true;
	if (binaryheap_empty(merge->heap))
		return NULL;
	stream = (Stream *) DatumGetPointer(binaryheap_first(merge->heap));
	return &stream->line;
}

void
change_merge_end(ChangeMerge *merge)
{
	for (int i = 0; i < merge->nstreams; i++)
		stream_close(&merge->streams[i]);
	binaryheap_free(merge->heap);
	pfree(merge->streams);
	pfree(merge);
}

void
change_scan_transactions(Relation rel, const ChangeRange *range, uint64 first, uint64 last,
						 void (*callback)(const ChangeLine *line, void *arg), void *arg)
{
	const ChangeLog *log = change_log_of(rel);
	Stream stream;
	ScanKeyData keys[4];

	range_keys(keys, range);
	ScanKeyInit(&keys[2], 3, BTGreaterEqualStrategyNumber, F_XID8GE, UInt64GetDatum(first));
	ScanKeyInit(&keys[3], 3, BTLessEqualStrategyNumber, F_XID8LE, UInt64GetDatum(last));
	stream_open(&stream, rel, log->by_xid, keys, 4);
	while (stream_next(&stream, log))
		callback(&stream.line, arg);
	stream_close(&stream);
}
