/*
 * fences.h
 *		How many messages there are between places of a channel.
 */
#ifndef FORGE_COMM_FENCES_H
#define FORGE_COMM_FENCES_H

#include "storage/lock.h"

#include "places.h"
#include "rules.h"

/* The columns of the table of fences. */
enum
{
	FENCE_CHANNEL = 1,
	FENCE_LEVEL,
	FENCE_AT,
	FENCE_ID,
	FENCE_N,
	FENCE_STAMP,
	FENCE_COLUMNS = FENCE_STAMP
};

typedef enum FenceLevel
{
	LEVEL_BLOCK,
	LEVEL_GROUP, /* of blocks */
	LEVEL_MARK /* up to where changes are noted; has a stamp */
} FenceLevel;

/* The columns of the table of changes. */
enum
{
	CHANGE_CHANNEL = 1,
	CHANGE_AT,
	CHANGE_ID,
	CHANGE_NUMBER,
	CHANGE_N,
	CHANGE_COLUMNS = CHANGE_N
};

#define BLOCKS_IN_GROUP 64

/* An error unless the tables are what they were made as. */
extern void fences_open(const DeepPagesRule *rule, LOCKMODE mode, PlaceIndex *fences);
extern void fence_changes_open(const DeepPagesRule *rule, LOCKMODE mode, PlaceIndex *changes);

/* The index that has a table's messages in order; false if it has none. */
extern bool page_index_open(Relation rel, const DeepPagesRule *rule, PlaceIndex *messages);

/* Is the message that was read not deleted? */
extern bool message_is_live(const PlaceScan *scan, const DeepPagesRule *rule);

/* The newest fence of a level, and the value of a column there. */
extern bool newest_fence(const PlaceIndex *fences, Snapshot snapshot, int64 channel,
						 FenceLevel level, Place *place, AttrNumber column, int64 *value);

extern int64 fence_number(const PlaceScan *scan, AttrNumber column);

/*
 * What changes whenever rows of the table may have changed unnoticed; 0 where
 * they may now.
 */
extern int64 fence_stamp(Relation rel, const DeepPagesRule *rule);

/* Who holds this lock on a table of fences or of changes may write to it. */
extern void fence_upkeep_tag(LOCKTAG *tag, Oid relid);

extern void fences_init(void);

#endif /* FORGE_COMM_FENCES_H */
