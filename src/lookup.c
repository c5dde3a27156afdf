/*
 * lookup.c
 *		Rows by key, straight from an index, without SPI.
 *
 * Neither privileges nor row security apply here: that is the point, since a
 * policy cannot query the tables it guards.  Callers decide what may be told.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "lookup.h"

/* Does an index begin with just these columns, in any order? */
static bool
begins_with(const Form_pg_index form, const AttrNumber *attnums, int n)
{
	if (form->indnkeyatts < n)
		return false;
	for (int i = 0; i < n; i++)
	{
		bool found = false;

		for (int j = 0; j < n; j++)
			found |= form->indkey.values[j] == attnums[i];
		if (!found)
			return false;
	}
	return true;
}

/*
 * Is this a live, complete btree index that begins with the columns or, if
 * unique, consists of them?
 */
static bool
index_serves(Oid indexid, const AttrNumber *attnums, int n, bool unique, LookupKey *key)
{
	Relation index = index_open(indexid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool serves;

	serves = form->indisvalid &&
			 begins_with(form, attnums, n) &&
			 index->rd_rel->relam == BTREE_AM_OID &&
			 RelationGetIndexPredicate(index) == NIL &&
			 (!unique || (form->indisunique && form->indimmediate &&
						  form->indnkeyatts == n));
	if (serves)
	{
		key->index = indexid;
		key->nkeys = n;
	}
	for (int i = 0; serves && i < n; i++)
	{
		Oid type = index->rd_opcintype[i];

		key->attnums[i] = form->indkey.values[i];
		key->argtypes[i] = type;
		key->casts[i] = InvalidOid;
		key->collations[i] = index->rd_indcollation[i];
		key->equals[i] = get_opcode(get_opfamily_member(index->rd_opfamily[i], type, type,
														BTEqualStrategyNumber));
	}
	index_close(index, NoLock);
	return serves;
}

/*
 * Find a btree index to look rows up by some columns.  The key lists them in
 * the order of the index.  Returns false if there is none.
 */
bool
lookup_index(Relation rel, const AttrNumber *attnums, int n, bool unique, LookupKey *key)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;
	bool found = false;

	key->relid = RelationGetRelid(rel);
	foreach(cell, indexes)
	{
		if (index_serves(lfirst_oid(cell), attnums, n, unique, key))
		{
			found = true;
			break;
		}
	}
	list_free(indexes);
	return found;
}

/*
 * Keep a row from being deleted, or given another key, before the transaction
 * ends.  False if somebody has just done that.
 */
static bool
lock_row(Relation rel, HeapTuple tuple)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TM_FailureData failure;
	TM_Result result;

	result = table_tuple_lock(rel, &tuple->t_self, SnapshotSelf, slot,
							  GetCurrentCommandId(true), LockTupleKeyShare,
							  LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
							  &failure);
	ExecDropSingleTupleTableSlot(slot);

	/* a row of this very statement is invisible to it, and to all others */
	return result == TM_Ok || result == TM_Invisible || result == TM_SelfModified;
}

/* One search, as it goes through the partitions of a table. */
typedef struct Search
{
	const LookupKey *key;
	const Datum *values;
	Snapshot snapshot;
	bool lock;
	TupleDesc desc; /* the shape in which rows are shown: the root's */
	LookupCallback callback;
	void *arg;
} Search;

/* Search one table by its own index; false if the callback has had enough. */
static bool
scan_table(const Search *search, Relation rel, Oid index, const AttrNumber *attnums,
		   TupleConversionMap *map)
{
	const LookupKey *key = search->key;
	ScanKeyData scankeys[INDEX_MAX_KEYS];
	SysScanDesc scan;
	HeapTuple tuple;
	bool more = true;

	for (int i = 0; i < key->nkeys; i++)
		ScanKeyEntryInitialize(&scankeys[i], 0, attnums[i],
							   BTEqualStrategyNumber, key->argtypes[i],
							   key->collations[i], key->equals[i], search->values[i]);

	scan = systable_beginscan(rel, index, true, search->snapshot, key->nkeys, scankeys);
	while (more && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (search->lock && !lock_row(rel, tuple))
			continue;
		if (map)
			tuple = execute_attr_map_tuple(tuple, map);
		more = search->callback(tuple, search->desc, search->arg);
	}
	systable_endscan(scan);
	return more;
}

/* The same in a partition, whose columns may be numbered differently. */
static bool
scan_partition(const Search *search, Relation rel, Oid index)
{
	AttrNumber attnums[INDEX_MAX_KEYS];

	for (int i = 0; i < search->key->nkeys; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(search->desc, search->key->attnums[i] - 1);

		attnums[i] = get_attnum(RelationGetRelid(rel), NameStr(attr->attname));
	}
	return scan_table(search, rel, index, attnums,
					  convert_tuples_by_name(RelationGetDescr(rel), search->desc));
}

static bool
scan_partitions(const Search *search, Relation rel, Oid index)
{
	PartitionDesc parts = RelationGetPartitionDesc(rel, false);
	bool more = true;

	for (int i = 0; more && i < parts->nparts; i++)
	{
		Relation part = table_open(parts->oids[i], AccessShareLock);
		Oid partindex = index_get_partition(part, index);

		if (!OidIsValid(partindex))
			elog(ERROR, "index %u has no partition on \"%s\"",
				 index, RelationGetRelationName(part));
		if (part->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			more = scan_partitions(search, part, partindex);
		else
			more = scan_partition(search, part, partindex);
		table_close(part, NoLock);
	}
	return more;
}

static void
run_search(Search *search)
{
	const LookupKey *key = search->key;
	Relation rel = table_open(key->relid, search->lock ? RowShareLock : AccessShareLock);

	search->desc = RelationGetDescr(rel);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		scan_partitions(search, rel, key->index);
	else
		scan_table(search, rel, key->index, key->attnums, NULL);
	table_close(rel, NoLock);
}

/* Call back for every row with these key values that the snapshot sees. */
void
lookup_each(const LookupKey *key, const Datum *values, Snapshot snapshot,
			LookupCallback callback, void *arg)
{
	Search search = {
		.key = key,
		.values = values,
		.snapshot = snapshot,
		.callback = callback,
		.arg = arg
	};

	run_search(&search);
}

static bool
take_columns(HeapTuple tuple, TupleDesc desc, void *arg)
{
	IdColumns *columns = (IdColumns *) arg;

	read_ids(tuple, desc, columns);
	columns->found = true;
	return false;
}

/* Search for a row that a foreign key references, with one snapshot. */
static bool
find_referenced(Search *search, Snapshot snapshot)
{
	search->snapshot = snapshot;
	run_search(search);
	return ((IdColumns *) search->arg)->found;
}

/* The values of a foreign key, of the types that the comparison takes. */
void
lookup_convert(const LookupKey *key, const Datum *values, Datum *compared)
{
	for (int i = 0; i < key->nkeys; i++)
		compared[i] = OidIsValid(key->casts[i]) ?
						  OidFunctionCall3(key->casts[i], values[i],
										   Int32GetDatum(-1), BoolGetDatum(false)) :
						  values[i];
}

/*
 * Id columns of the row that a foreign key references; false if there is no
 * such row.  The latest snapshot finds it even while others update it; what
 * this very statement has inserted, which counts for the key itself too, only
 * SnapshotSelf shows.  If asked to, keep the row for as long as the
 * transaction lasts.
 */
bool
lookup_referenced(const LookupKey *key, const Datum *values, bool lock, IdColumns *columns)
{
	Datum compared[INDEX_MAX_KEYS];
	Search search = {
		.key = key,
		.values = compared,
		.lock = lock,
		.callback = take_columns,
		.arg = columns
	};
	Snapshot latest = RegisterSnapshot(GetLatestSnapshot());

	lookup_convert(key, values, compared);
	columns->found = false;
	(void) (find_referenced(&search, latest) || find_referenced(&search, SnapshotSelf));
	UnregisterSnapshot(latest);
	return columns->found;
}
