/*
 * places.h
 *		The order of messages within a channel, and reading an index in it.
 */
#ifndef FORGE_COMM_PLACES_H
#define FORGE_COMM_PLACES_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Where a message is in its channel: by its time, in microseconds, and its id. */
typedef struct Place
{
	int64 at;
	int64 id;
} Place;

static inline int
place_compare(const Place *a, const Place *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return 0;
}

/* Ids before the place in the key of an index. */
#define MAX_PLACE_PREFIX 2

/* A table and an index whose key is some ids, a time and an id. */
typedef struct PlaceIndex
{
	Relation table;
	Relation index;
	int nprefix;
	bool newest_last; /* read forwards */
} PlaceIndex;

typedef struct PlaceScan
{
	const PlaceIndex *in;
	IndexScanDesc scan;
	TupleTableSlot *slot; /* the row that was read */
	ScanDirection direction;
	ScanKeyData keys[MAX_PLACE_PREFIX + 1];
	ScanKeyData bound[2];
} PlaceScan;

/*
 * Read the rows that a snapshot sees under some ids: the newest first, from a
 * place on, or the oldest first, from after a place; or all of them.
 */
extern void places_begin(PlaceScan *scan, const PlaceIndex *in, Snapshot snapshot,
						 const int64 *prefix, bool newest_first, const Place *bound);
extern bool places_next(PlaceScan *scan, Place *place);
extern void places_end(PlaceScan *scan);

extern void places_close(PlaceIndex *in);

/* A condition on an id column of an index, whatever its width. */
extern void id_condition(ScanKey key, Relation index, AttrNumber attno,
						 StrategyNumber strategy, int64 id);

#endif /* FORGE_COMM_PLACES_H */
