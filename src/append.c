/*
 * append.c
 *		Rows put straight into a table, past the executor.
 *
 * Triggers, privileges and policies of the table do not apply: constraints and
 * indexes are kept, and nothing is planned.  The relations are opened and
 * closed for each row, since nobody tells when a statement is over.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/rel.h"

#include "append.h"
#include "compat.h"

/* Indexes are kept as a list of their own: the relations come and go. */
static void
find_indexes(Relation rel, Appender *appender)
{
	ResultRelInfo *result = appender->result;
	List *indexes = RelationGetIndexList(rel);
	int n = 0;
	ListCell *cell;

	appender->indexes = palloc((list_length(indexes) + 1) * sizeof(Oid));
	result->ri_IndexRelationDescs = palloc0((list_length(indexes) + 1) * sizeof(Relation));
	result->ri_IndexRelationInfo = palloc0((list_length(indexes) + 1) * sizeof(IndexInfo *));
	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);

		appender->indexes[n] = lfirst_oid(cell);
		result->ri_IndexRelationInfo[n++] = BuildIndexInfo(index);
		index_close(index, NoLock);
	}
	result->ri_NumIndices = n;
}

Appender *
appender_make(Relation rel)
{
	Appender *appender = palloc0(sizeof(Appender));

	appender->relid = RelationGetRelid(rel);
	appender->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
											  &TTSOpsVirtual);
	appender->estate = CreateExecutorState();
	appender->result = makeNode(ResultRelInfo);
	InitResultRelInfo(appender->result, rel, 0, NULL, 0);
	find_indexes(rel, appender);
	return appender;
}

void
appender_clear(Appender *appender)
{
	TupleTableSlot *slot = appender->slot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
}

void
appender_put(Appender *appender, AttrNumber attnum, Datum value)
{
	appender->slot->tts_values[attnum - 1] = value;
	appender->slot->tts_isnull[attnum - 1] = false;
}

static void
open_indexes(Appender *appender)
{
	ResultRelInfo *result = appender->result;

	for (int i = 0; i < result->ri_NumIndices; i++)
	{
		result->ri_IndexRelationDescs[i] = index_open(appender->indexes[i], RowExclusiveLock);
		result->ri_IndexRelationInfo[i]->ii_Context = CurrentMemoryContext;
	}
}

/* What an index access method keeps for the next row points into the index. */
static void
close_indexes(Appender *appender)
{
	ResultRelInfo *result = appender->result;

	for (int i = 0; i < result->ri_NumIndices; i++)
	{
		IndexInfo *info = result->ri_IndexRelationInfo[i];

		compat_index_insert_cleanup(result->ri_IndexRelationDescs[i], info);
		info->ii_AmCache = NULL;
		index_close(result->ri_IndexRelationDescs[i], NoLock);
	}
}

void
appender_insert(Appender *appender)
{
	ResultRelInfo *result = appender->result;
	Relation rel = table_open(appender->relid, RowExclusiveLock);

	result->ri_RelationDesc = rel;
	ExecStoreVirtualTuple(appender->slot);
	if (RelationGetDescr(rel)->constr)
		ExecConstraints(result, appender->slot, appender->estate);
	table_tuple_insert(rel, appender->slot, GetCurrentCommandId(true), 0, NULL);
	if (result->ri_NumIndices > 0)
	{
		open_indexes(appender);
		compat_insert_index_tuples(result, appender->slot, appender->estate);
		close_indexes(appender);
	}
	ExecClearTuple(appender->slot);
	ResetPerTupleExprContext(appender->estate);
	table_close(rel, NoLock);
}
