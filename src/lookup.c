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
#include "access/tupconvert.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "lookup.h"

/* Workspace and user ids are integers of any width, carried as int64. */
bool
is_id_type(Oid type)
{
	return type == INT8OID || type == INT4OID || type == INT2OID;
}

int64
id_from_datum(Datum value, Oid type)
{
	switch (type)
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT2OID:
			return DatumGetInt16(value);
	}
	elog(ERROR, "type %u is not an id type", type);
	return 0;
}

/* Can a column of this type hold the id? */
bool
id_fits(int64 id, Oid type)
{
	switch (type)
	{
		case INT4OID:
			return id == (int32) id;
		case INT2OID:
			return id == (int16) id;
	}
	return true;
}

Datum
id_to_datum(int64 id, Oid type)
{
	if (!id_fits(id, type))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("id is out of range for type %s", format_type_be(type)),
				 errhint("Give the column the type bigint.")));
	switch (type)
	{
		case INT8OID:
			return Int64GetDatum(id);
		case INT4OID:
			return Int32GetDatum((int32) id);
		case INT2OID:
			return Int16GetDatum((int16) id);
	}
	elog(ERROR, "type %u is not an id type", type);
	return (Datum) 0;
}

/* Is this a live, complete btree index led (or, if unique, made) by attnum? */
static bool
index_serves(Oid indexid, AttrNumber attnum, bool unique, LookupKey *key)
{
	Relation index = index_open(indexid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool serves;

	serves = form->indisvalid &&
			 form->indkey.values[0] == attnum &&
			 index->rd_rel->relam == BTREE_AM_OID &&
			 RelationGetIndexPredicate(index) == NIL &&
			 (!unique || (form->indisunique && form->indimmediate &&
						  form->indnkeyatts == 1));
	if (serves)
	{
		Oid type = index->rd_opcintype[0];
		Oid equals = get_opfamily_member(index->rd_opfamily[0],
										 type, type,
										 BTEqualStrategyNumber);

		key->index = indexid;
		key->nkeys = 1;
		key->attnums[0] = attnum;
		key->argtypes[0] = type;
		key->collations[0] = index->rd_indcollation[0];
		key->equals[0] = get_opcode(equals);
	}
	index_close(index, NoLock);
	return serves;
}

/*
 * Find a btree index to look rows up by one column.  Returns false if there
 * is none.
 */
bool
lookup_index(Oid relid, AttrNumber attnum, bool unique, LookupKey *key)
{
	Relation rel = table_open(relid, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;
	bool found = false;

	key->relid = relid;
	foreach(cell, indexes)
	{
		if (index_serves(lfirst_oid(cell), attnum, unique, key))
		{
			found = true;
			break;
		}
	}
	list_free(indexes);
	table_close(rel, NoLock);
	return found;
}

static bool
scan_table(Relation rel, Oid index, const LookupKey *key, const AttrNumber *attnums,
		   const Datum *values, Snapshot snapshot, TupleConversionMap *map,
		   TupleDesc desc, LookupCallback callback, void *arg)
{
	ScanKeyData scankeys[INDEX_MAX_KEYS];
	SysScanDesc scan;
	HeapTuple tuple;
	bool more = true;

	for (int i = 0; i < key->nkeys; i++)
		ScanKeyEntryInitialize(&scankeys[i], 0, attnums[i],
							   BTEqualStrategyNumber, key->argtypes[i],
							   key->collations[i], key->equals[i], values[i]);

	scan = systable_beginscan(rel, index, true, snapshot, key->nkeys, scankeys);
	while (more && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (map)
			tuple = execute_attr_map_tuple(tuple, map);
		more = callback(tuple, desc, arg);
	}
	systable_endscan(scan);
	return more;
}

/* The same in each partition; its rows are shown in the root's shape. */
static bool
scan_partitions(Relation root, Relation rel, Oid index, const LookupKey *key,
				const Datum *values, Snapshot snapshot,
				LookupCallback callback, void *arg)
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
			more = scan_partitions(root, part, partindex, key, values, snapshot,
								   callback, arg);
		else
		{
			TupleDesc rootdesc = RelationGetDescr(root);
			AttrNumber attnums[INDEX_MAX_KEYS];

			for (int k = 0; k < key->nkeys; k++)
			{
				Form_pg_attribute attr = TupleDescAttr(rootdesc, key->attnums[k] - 1);

				attnums[k] = get_attnum(RelationGetRelid(part), NameStr(attr->attname));
			}
			more = scan_table(part, partindex, key, attnums, values, snapshot,
							  convert_tuples_by_name(RelationGetDescr(part),
													 rootdesc),
							  rootdesc, callback, arg);
		}
		table_close(part, NoLock);
	}
	return more;
}

/*
 * Call back for every row with these key values that the snapshot sees.
 * SnapshotSelf sees what this very statement has inserted, too.
 */
void
lookup_each(const LookupKey *key, const Datum *values, Snapshot snapshot,
			LookupCallback callback, void *arg)
{
	Relation rel = table_open(key->relid, AccessShareLock);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		scan_partitions(rel, rel, key->index, key, values, snapshot, callback, arg);
	else
		scan_table(rel, key->index, key, key->attnums, values, snapshot, NULL,
				   RelationGetDescr(rel), callback, arg);
	table_close(rel, NoLock);
}

typedef struct ColumnSearch
{
	AttrNumber attnum;
	int64 value;
	bool isnull;
	bool found;
} ColumnSearch;

static bool
take_column(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ColumnSearch *search = (ColumnSearch *) arg;
	Datum value = heap_getattr(tuple, search->attnum, desc, &search->isnull);

	if (!search->isnull)
		search->value = id_from_datum(value,
									  TupleDescAttr(desc, search->attnum - 1)->atttypid);
	search->found = true;
	return false;
}

/* One id column of the first row found; false if there is no such row. */
bool
lookup_column(const LookupKey *key, const Datum *values, Snapshot snapshot,
			  AttrNumber attnum, int64 *result, bool *isnull)
{
	ColumnSearch search = { .attnum = attnum };

	lookup_each(key, values, snapshot, take_column, &search);
	*result = search.value;
	*isnull = search.isnull;
	return search.found;
}
