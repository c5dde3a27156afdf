/*
 * fence_upkeep.c
 *		What maintenance of fences does in C: it reads the messages of everybody,
 *		and waits for those who write some.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fences.h"
#include "lookup.h"
#include "options.h"

/* Open a table of one's own that has deep pages. */
static Relation
open_table(Oid relid, const DeepPagesRule **rule)
{
	Relation rel = try_table_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	if (!compat_owns_table(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
	*rule = rules_of(rel)->deep_pages;
	if (*rule == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("deep_pages is not enabled on table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_deep_pages(), or enable its trigger ALWAYS.")));
	return rel;
}

static void
open_messages(Relation rel, const DeepPagesRule *rule, PlaceIndex *messages)
{
	if (!page_index_open(rel, rule, messages))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no index that has its messages in order",
						RelationGetRelationName(rel)),
				 errhint("forge_comm.enable_messages() makes it.")));
}

/* ------------------------------------------------------------------- locks */

PG_FUNCTION_INFO_V1(forge_comm_begin_fencing);
PG_FUNCTION_INFO_V1(forge_comm_end_fencing);
PG_FUNCTION_INFO_V1(forge_comm_await_fencing);

static bool
lock_for_session(Oid relid)
{
	LOCKTAG tag;

	fence_upkeep_tag(&tag, relid);
	return LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static void
unlock_for_session(Oid relid)
{
	LOCKTAG tag;

	fence_upkeep_tag(&tag, relid);
	LockRelease(&tag, ShareUpdateExclusiveLock, true);
}

/*
 * begin_fencing(rel): be the only one who maintains the fences of a table, over
 * several transactions; false if somebody else is.  An error ends it.
 */
Datum
forge_comm_begin_fencing(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);
	bool locked = lock_for_session(rule->fences);

	if (locked && !lock_for_session(rule->changes))
	{
		unlock_for_session(rule->fences);
		locked = false;
	}
	table_close(rel, NoLock);
	PG_RETURN_BOOL(locked);
}

/* end_fencing(rel) */
Datum
forge_comm_end_fencing(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);

	unlock_for_session(rule->changes);
	unlock_for_session(rule->fences);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * await_fencing(rel): wait for all transactions that may have looked at the
 * marks before those that were committed last.
 */
Datum
forge_comm_await_fencing(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);
	LOCKTAG tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, rule->changes);
	table_close(rel, NoLock);
	WaitForLockers(tag, ShareLock, false);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(forge_comm_announce_marks);

/* announce_marks(rel): when this transaction commits, everybody reads marks anew. */
Datum
forge_comm_announce_marks(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);

	CacheInvalidateRelcacheByRelid(rule->fences);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(forge_comm_fence_stamp);

/* fence_stamp(rel): see there; null where the trigger is not enabled ALWAYS */
Datum
forge_comm_fence_stamp(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);
	int64 stamp = fence_stamp(rel, rule);

	table_close(rel, NoLock);
	if (stamp == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(stamp);
}

/* -------------------------------------------------------------- candidates */

/*
 * Whether there is something to do for a channel is guessed from the entries
 * of the index alone, whoever sees their rows.
 */
typedef struct Entries
{
	const PlaceIndex *in;
	const DeepPagesRule *rule;
	IndexScanDesc scan;
} Entries;

static int64
entry_number(const Entries *entries, int column, Oid type)
{
	bool isnull;
	Datum value = index_getattr(entries->scan->xs_itup, column, entries->scan->xs_itupdesc, &isnull);

	return is_id_type(type) ? id_from_datum(value, type) : DatumGetInt64(value);
}

/* The next channel after one, in the order of the index; false after the last. */
static bool
next_channel(const Entries *entries, bool first, int64 *channel)
{
	Relation index = entries->in->index;
	bool descending = index->rd_indoption[0] & INDOPTION_DESC;
	StrategyNumber further = descending ? BTLessStrategyNumber : BTGreaterStrategyNumber;
	ScanKeyData key;
	bool isnull;

	id_condition(&key, index, 1, first ? BTGreaterEqualStrategyNumber : further,
				 first ? PG_INT64_MIN : *channel);
	index_rescan(entries->scan, &key, 1, NULL, 0);
	if (index_getnext_tid(entries->scan, ForwardScanDirection) == NULL)
		return false;
	*channel = id_from_datum(index_getattr(entries->scan->xs_itup, 1, entries->scan->xs_itupdesc, &isnull),
							 entries->rule->channel_type);
	return true;
}

/* So many times what is enough may have times to come. */
#define MOST_FUTURE 20

/*
 * Are there enough messages above a place, or at all, for a mark that leaves
 * out the newest?  Those of the future would make others come below it.
 */
static bool
find_mark(const Entries *entries, int64 channel, const Place *above, Place *mark)
{
	const DeepPagesRule *rule = entries->rule;
	int64 now = GetCurrentTimestamp();
	int enough = above ? 5 * rule->block : rule->least;
	int most = MOST_FUTURE * enough;
	int n = 0;
	bool found = false;
	ScanKeyData key;

	id_condition(&key, entries->in->index, 1, BTEqualStrategyNumber, channel);
	index_rescan(entries->scan, &key, 1, NULL, 0);
	while ((n < enough || (!found && n < most)) &&
		   index_getnext_tid(entries->scan, entries->in->newest_last ? BackwardScanDirection : ForwardScanDirection))
	{
		Place place = {
			.at = entry_number(entries, 2, TIMESTAMPTZOID),
			.id = entry_number(entries, 3, rule->key_type)
		};

		CHECK_FOR_INTERRUPTS();
		if (above && place_compare(&place, above) <= 0)
			break;
		if (++n > rule->block && !found && place.at <= now)
		{
			*mark = place;
			found = true;
		}
	}
	return found && n >= enough;
}

static void
put_candidate(ReturnSetInfo *result, int64 channel, const Place *place)
{
	Datum values[] = { Int64GetDatum(channel), Int64GetDatum(place->at), Int64GetDatum(place->id) };
	bool nulls[lengthof(values)] = { false };

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(forge_comm_fence_candidates);

/* fence_candidates(rel): the channels that lack fences, and up to where */
Datum
forge_comm_fence_candidates(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);
	PlaceIndex messages;
	PlaceIndex fences;
	Entries channels = { .in = &messages, .rule = rule };
	Entries entries = channels;
	bool first = true;
	int64 channel;

	InitMaterializedSRF(fcinfo, 0);
	open_messages(rel, rule, &messages);
	fences_open(rule, AccessShareLock, &fences);
	channels.scan = compat_index_beginscan(rel, messages.index, GetActiveSnapshot(), 1);
	channels.scan->xs_want_itup = true;
	entries.scan = compat_index_beginscan(rel, messages.index, GetActiveSnapshot(), 1);
	entries.scan->xs_want_itup = true;
	while (next_channel(&channels, first, &channel))
	{
		Place top;
		Place mark = { 0 };
		int64 n;
		bool fenced = newest_fence(&fences, GetActiveSnapshot(), channel, LEVEL_GROUP, &top, FENCE_N, &n);

		first = false;
		if (find_mark(&entries, channel, fenced ? &top : NULL, &mark))
			put_candidate((ReturnSetInfo *) fcinfo->resultinfo, channel, &mark);
	}
	index_endscan(entries.scan);
	index_endscan(channels.scan);
	places_close(&fences);
	places_close(&messages);
	return (Datum) 0;
}

/* ---------------------------------------------------------------- counting */

/* A fence of a level in the making: its place is that of the newest message. */
typedef struct Pile
{
	FenceLevel level;
	int64 most;
	int64 n;
	Place place;
} Pile;

static void
put_fence(ReturnSetInfo *result, Pile *pile)
{
	Datum values[] = { Int64GetDatum(pile->level), Int64GetDatum(pile->place.at),
					   Int64GetDatum(pile->place.id), Int64GetDatum(pile->n) };
	bool nulls[lengthof(values)] = { false };

	if (pile->n > 0)
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pile->n = 0;
}

static void
add_message(ReturnSetInfo *result, Pile *pile, const Place *place)
{
	pile->n++;
	pile->place = *place;
	if (pile->n == pile->most)
		put_fence(result, pile);
}

PG_FUNCTION_INFO_V1(forge_comm_count_fences);

/*
 * count_fences(rel, channel, after_at, after_id, to_at, to_id): the fences for
 * the messages after a place, up to another one, in the snapshot of the query
 */
Datum
forge_comm_count_fences(PG_FUNCTION_ARGS)
{
	const DeepPagesRule *rule;
	Relation rel = open_table(PG_GETARG_OID(0), &rule);
	int64 channel = PG_GETARG_INT64(1);
	Place after = { PG_GETARG_INT64(2), PG_GETARG_INT64(3) };
	Place to = { PG_GETARG_INT64(4), PG_GETARG_INT64(5) };
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Pile block = { .level = LEVEL_BLOCK, .most = rule->block };
	Pile group = { .level = LEVEL_GROUP, .most = (int64) rule->block * BLOCKS_IN_GROUP };
	PlaceIndex messages;
	PlaceScan scan;
	Place place;

	InitMaterializedSRF(fcinfo, 0);
	open_messages(rel, rule, &messages);
	places_begin(&scan, &messages, GetActiveSnapshot(), &channel, false, &after);
	while (places_next(&scan, &place) && place_compare(&place, &to) <= 0)
	{
		if (!message_is_live(&scan, rule))
			continue;
		add_message(result, &block, &place);
		add_message(result, &group, &place);
	}
	put_fence(result, &block);
	put_fence(result, &group);
	places_end(&scan);
	places_close(&messages);
	return (Datum) 0;
}
