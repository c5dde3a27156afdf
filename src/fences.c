/*
 * fences.c
 *		How many messages there are between places of a channel.
 *
 * A fence says how many live messages there are from its place down to the
 * next fence.  It is made by maintenance, in one snapshot, and tells the truth
 * to whoever sees it, together with the changes that they see: whatever is
 * written below the newest fence, by a transaction that this snapshot does not
 * show, is noted in the table of changes.
 *
 * So that nobody misses it, maintenance first commits a mark, "changes up to
 * here are noted from now on", waits for those that were writing, and counts
 * only then.  Writers keep a lock on the table of changes from before they look
 * at the mark until their transaction, or what they wrote, is over.  They look
 * at it with the latest snapshot, whatever their own is.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "fences.h"
#include "lookup.h"

/* ------------------------------------------------------------------ tables */

/* Is the primary key the first columns, in their order? */
static bool
has_key_of(Relation index, int ncolumns)
{
	bool fits = index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
				index->rd_index->indnkeyatts == ncolumns;

	for (int i = 0; fits && i < ncolumns; i++)
		fits = index->rd_index->indkey.values[i] == i + 1;
	return fits;
}

static bool
has_bigints(TupleDesc desc, int ncolumns)
{
	bool fits = desc->natts >= ncolumns;

	for (int i = 0; fits && i < ncolumns; i++)
		fits = !TupleDescAttr(desc, i)->attisdropped && TupleDescAttr(desc, i)->atttypid == INT8OID;
	return fits;
}

/*
 * Open one of our tables.  They belong to the application, who may have done
 * anything to them.
 */
static void
open_own(Oid relid, LOCKMODE mode, int ncolumns, int nprefix, int nkey, PlaceIndex *own)
{
	Oid key;

	own->table = table_open(relid, mode);
	own->index = NULL;
	own->nprefix = nprefix;
	own->newest_last = true;
	key = compat_primary_key_index(own->table);
	if (OidIsValid(key))
		own->index = index_open(key, mode);
	if (own->index == NULL || own->table->rd_rel->relkind != RELKIND_RELATION ||
		!has_bigints(RelationGetDescr(own->table), ncolumns) || !has_key_of(own->index, nkey))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not as forge_comm.enable_deep_pages() made it",
						RelationGetRelationName(own->table)),
				 errhint("Undo the change, or call forge_comm.disable_deep_pages() and forge_comm.enable_deep_pages().")));
}

void
fences_open(const DeepPagesRule *rule, LOCKMODE mode, PlaceIndex *fences)
{
	open_own(rule->fences, mode, FENCE_COLUMNS, 2, FENCE_ID, fences);
}

void
fence_changes_open(const DeepPagesRule *rule, LOCKMODE mode, PlaceIndex *changes)
{
	open_own(rule->changes, mode, CHANGE_COLUMNS, 1, CHANGE_NUMBER, changes);
}

/* Does the predicate of an index leave out deleted messages, and no others? */
static bool
leaves_out_deleted(Relation index, const DeepPagesRule *rule)
{
	List *predicate = RelationGetIndexPredicate(index);
	NullTest *test;

	if (predicate == NIL)
		return true;
	test = linitial(predicate);
	return list_length(predicate) == 1 && IsA(test, NullTest) && test->nulltesttype == IS_NULL &&
		   IsA(test->arg, Var) && rule->deleted_at &&
		   castNode(Var, test->arg)->varattno == rule->deleted_at;
}

/* An index may be too young for old snapshots: as the planner has it. */
static bool
serves_everybody(Relation index)
{
	return index->rd_index->indisvalid &&
		   (!index->rd_index->indcheckxmin ||
			TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin));
}

static bool
is_page_index(Relation index, const DeepPagesRule *rule)
{
	const Form_pg_index form = index->rd_index;
	const AttrNumber columns[] = { rule->channel, rule->created_at, rule->key };

	if (index->rd_rel->relam != BTREE_AM_OID || !serves_everybody(index) ||
		form->indnkeyatts < (int) lengthof(columns) ||
		((index->rd_indoption[1] ^ index->rd_indoption[2]) & INDOPTION_DESC))
		return false;
	for (int i = 0; i < (int) lengthof(columns); i++)
	{
		if (form->indkey.values[i] != columns[i] ||
			index->rd_opcintype[i] != TupleDescAttr(RelationGetDescr(index), i)->atttypid)
			return false;
	}
	return leaves_out_deleted(index, rule);
}

/* The index that has a table's messages in order; false if it has none. */
bool
page_index_open(Relation rel, const DeepPagesRule *rule, PlaceIndex *messages)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;

	messages->table = rel;
	messages->nprefix = 1;
	foreach(cell, indexes)
	{
		messages->index = index_open(lfirst_oid(cell), AccessShareLock);
		if (is_page_index(messages->index, rule))
		{
			messages->newest_last = !(messages->index->rd_indoption[1] & INDOPTION_DESC);
			return true;
		}
		index_close(messages->index, NoLock);
	}
	return false;
}

/* Is the message that was read not deleted? */
bool
message_is_live(const PlaceScan *scan, const DeepPagesRule *rule)
{
	return rule->deleted_at == InvalidAttrNumber || slot_attisnull(scan->slot, rule->deleted_at);
}

int64
fence_number(const PlaceScan *scan, AttrNumber column)
{
	bool isnull;
	Datum value = slot_getattr(scan->slot, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* The newest fence of a level, and the value of a column there. */
bool
newest_fence(const PlaceIndex *fences, Snapshot snapshot, int64 channel, FenceLevel level,
			 Place *place, AttrNumber column, int64 *value)
{
	const int64 prefix[] = { channel, level };
	PlaceScan scan;
	bool found;

	places_begin(&scan, fences, snapshot, prefix, true, NULL);
	found = places_next(&scan, place);
	if (found)
		*value = fence_number(&scan, column);
	places_end(&scan);
	return found;
}

/* ------------------------------------------------------------------- stamp */

static Oid
file_of(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	Oid file = rel->rd_rel->relfilenode;

	relation_close(rel, NoLock);
	return file;
}

/*
 * What changes whenever rows of the table may have changed unnoticed: our
 * trigger is another one, or has been disabled and enabled, which writes its
 * row in the catalog anew; the table or that of changes has been truncated or
 * rewritten, which gives it another file; all of it was restored from a dump.
 * Each of these keeps writers out until it is committed.  0 where not every
 * session would fire the trigger.
 */
int64
fence_stamp(Relation rel, const DeepPagesRule *rule)
{
	struct
	{
		uint64 system;
		Oid trigger;
		TransactionId written;
		Oid files[2];
	} parts = { .system = GetSystemIdentifier() };
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("forge_comm_deep_pages"));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled == TRIGGER_FIRES_ALWAYS)
	{
		parts.trigger = ((Form_pg_trigger) GETSTRUCT(tuple))->oid;
		parts.written = HeapTupleHeaderGetRawXmin(tuple->t_data);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	if (!OidIsValid(parts.trigger))
		return 0;
	parts.files[0] = file_of(RelationGetRelid(rel));
	parts.files[1] = file_of(rule->changes);
	return (int64) hash_bytes_extended((unsigned char *) &parts, sizeof(parts), 0) | 1;
}

/* ------------------------------------------------------------------- marks */

/*
 * Marks are kept until maintenance announces others, by an invalidation of the
 * table of fences.  Whoever takes the lock on the table of changes learns of
 * what was announced before, and makes wait for him whatever comes after.
 */
typedef struct MarkKey
{
	int64 channel;
	int64 fences; /* an Oid, without holes beside it */
} MarkKey;

typedef struct Mark
{
	MarkKey key;
	bool exists;
	Place place;
} Mark;

/* More channels than this are not kept. */
#define MOST_MARKS 10000

static HTAB *marks = NULL;
static bool marks_outdated = false;

/* The tables that they are from; if there are more, any may be. */
static Oid marked_in[8];
static int nmarked_in = 0;

static bool
has_marks(Oid relid)
{
	for (int i = 0; i < Min(nmarked_in, (int) lengthof(marked_in)); i++)
	{
		if (marked_in[i] == relid)
			return true;
	}
	return nmarked_in > (int) lengthof(marked_in);
}

/* Relcache callback. */
static void
forget_marks(Datum arg, Oid relid)
{
	marks_outdated |= !OidIsValid(relid) || has_marks(relid);
}

static void
keep_mark(const Mark *mark)
{
	*(Mark *) hash_search(marks, &mark->key, HASH_ENTER, NULL) = *mark;
}

/* An empty table of marks, if the one there is cannot be used. */
static void
renew_marks(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(MarkKey),
		.entrysize = sizeof(Mark),
		.hcxt = CacheMemoryContext
	};

	if (marks && !marks_outdated && hash_get_num_entries(marks) < MOST_MARKS)
		return;
	if (marks)
		hash_destroy(marks);
	marks = NULL;
	marks = hash_create("forge_comm marks", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	marks_outdated = false;
	nmarked_in = 0;
}

static Mark
read_mark(const DeepPagesRule *rule, int64 channel)
{
	Mark mark = { .key = { channel, rule->fences } };
	PlaceIndex fences;
	Snapshot latest;
	int64 stamp;

	fences_open(rule, AccessShareLock, &fences);
	latest = RegisterSnapshot(GetLatestSnapshot());
	mark.exists = newest_fence(&fences, latest, channel, LEVEL_MARK, &mark.place, FENCE_STAMP, &stamp);
	UnregisterSnapshot(latest);
	places_close(&fences);
	return mark;
}

/* The mark of a channel, for whoever holds the lock on the table of changes. */
static Mark
mark_of(const DeepPagesRule *rule, int64 channel)
{
	MarkKey key = { channel, rule->fences };
	Mark *kept;
	Mark mark;

	renew_marks();
	kept = hash_search(marks, &key, HASH_FIND, NULL);
	if (kept)
		return *kept;
	if (!has_marks(rule->fences) && nmarked_in++ < (int) lengthof(marked_in))
		marked_in[nmarked_in - 1] = rule->fences;
	mark = read_mark(rule, channel);
	/* what came to light meanwhile may be another mark */
	if (!marks_outdated)
		keep_mark(&mark);
	return mark;
}

/* ----------------------------------------------------------------- changes */

static void
put(TupleTableSlot *slot, AttrNumber column, int64 value)
{
	slot->tts_values[column - 1] = Int64GetDatum(value);
	slot->tts_isnull[column - 1] = false;
}

/* Insert a row past triggers, privileges and policies of the table. */
static void
insert_change(const DeepPagesRule *rule, int64 channel, const Place *place, int n)
{
	PlaceIndex changes;
	EState *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	fence_changes_open(rule, RowExclusiveLock, &changes);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(changes.table), &TTSOpsVirtual);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	put(slot, CHANGE_CHANNEL, channel);
	put(slot, CHANGE_AT, place->at);
	put(slot, CHANGE_ID, place->id);
	put(slot, CHANGE_NUMBER, (int64) pg_prng_uint64(&pg_global_prng_state));
	put(slot, CHANGE_N, n);
	ExecStoreVirtualTuple(slot);

	InitResultRelInfo(result, changes.table, 0, NULL, 0);
	result->ri_TrigDesc = NULL;
	ExecOpenIndices(result, false);
	ExecSimpleRelationInsert(result, estate, slot);
	ExecCloseIndices(result);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	places_close(&changes);
}

/* A message as it counts. */
typedef struct Counted
{
	bool counts; /* it is in a channel, and not deleted */
	int64 channel;
	Place place;
} Counted;

static Counted
read_counted(const DeepPagesRule *rule, HeapTuple tuple, TupleDesc desc)
{
	Counted counted = { .counts = false };
	Datum values[3];
	bool nulls[3];

	if (rule->deleted_at && !heap_attisnull(tuple, rule->deleted_at, desc))
		return counted;
	values[0] = heap_getattr(tuple, rule->channel, desc, &nulls[0]);
	values[1] = heap_getattr(tuple, rule->created_at, desc, &nulls[1]);
	values[2] = heap_getattr(tuple, rule->key, desc, &nulls[2]);
	if (nulls[0] || nulls[1] || nulls[2])
		return counted;
	counted.counts = true;
	counted.channel = id_from_datum(values[0], rule->channel_type);
	counted.place.at = DatumGetInt64(values[1]);
	counted.place.id = id_from_datum(values[2], rule->key_type);
	return counted;
}

static bool
same_counted(const Counted *a, const Counted *b)
{
	if (!a->counts || !b->counts)
		return a->counts == b->counts;
	return a->channel == b->channel && place_compare(&a->place, &b->place) == 0;
}

/* Note that there is one more or one less, if that is below the mark. */
static void
note(const DeepPagesRule *rule, const Counted *counted, int n)
{
	Mark mark;

	if (!counted->counts)
		return;
	/* Each time: ROLLBACK TO SAVEPOINT may have let it go. */
	LockRelationOid(rule->changes, RowExclusiveLock);
	mark = mark_of(rule, counted->channel);
	if (mark.exists && place_compare(&counted->place, &mark.place) <= 0)
		insert_change(rule, counted->channel, &counted->place, n);
}

PG_FUNCTION_INFO_V1(forge_comm_deep_pages_note);

/*
 * Trigger: AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW, enabled ALWAYS.
 * Where it does not fire, fence_stamp() differs afterwards.
 */
Datum
forge_comm_deep_pages_note(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc desc;
	const DeepPagesRule *rule;
	Counted old = { .counts = false };
	Counted new = { .counts = false };

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		strcmp(data->tg_trigger->tgname, "forge_comm_deep_pages") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("deep_pages_note() must be called by the row trigger \"forge_comm_deep_pages\""),
				 errhint("Call forge_comm.enable_deep_pages().")));
	rule = rules_of(data->tg_relation)->deep_pages;
	if (rule == NULL)
		return PointerGetDatum(NULL); /* in the role of a replica only: nobody counts on it */

	desc = RelationGetDescr(data->tg_relation);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		new = read_counted(rule, data->tg_trigtuple, desc);
	else
		old = read_counted(rule, data->tg_trigtuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		new = read_counted(rule, data->tg_newtuple, desc);
	if (!same_counted(&old, &new))
	{
		note(rule, &old, -1);
		note(rule, &new, 1);
	}
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------- guarding */

/* Who holds this lock on a table of fences or of changes may write to it. */
void
fence_upkeep_tag(LOCKTAG *tag, Oid relid)
{
	/* a table has no such object, so nobody else locks it */
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, RelationRelationId, relid, 1);
}

PG_FUNCTION_INFO_V1(forge_comm_fences_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW of the tables of
 * fences and of changes, enabled ALWAYS.  What anybody but maintenance writes
 * is passed over: a restore of data alone, or a subscription, bring counts of
 * their own beside the rows of which our trigger notes the same.
 */
Datum
forge_comm_fences_guard(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	LOCKTAG tag;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("fences_guard() must be called by a BEFORE row trigger"),
				 errhint("Call forge_comm.enable_deep_pages().")));
	fence_upkeep_tag(&tag, RelationGetRelid(data->tg_relation));
	if (!compat_lock_held(&tag, ShareUpdateExclusiveLock))
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple :
																	 data->tg_trigtuple);
}

void
fences_init(void)
{
	CacheRegisterRelcacheCallback(forget_marks, (Datum) 0);
}
