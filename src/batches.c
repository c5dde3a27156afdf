/*
 * batches.c
 *		Rows noted by a foreign key that references them, and statements over
 *		those.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "batches.h"
#include "context.h"
#include "options.h"
#include "statements.h"

static const char *const stamp_names[STAMPS] = {
	"workspace", "deleted_at", "deleted_by", "deletion_id"
};

/* ------------------------------------------------------------ foreign keys */

static HeapTuple
constraint_tuple(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	return tuple;
}

/* The foreign key of which others are copies for partitions, on either side. */
Oid
topmost_key(Oid constraint)
{
	for (;;)
	{
		HeapTuple tuple = constraint_tuple(constraint);
		Oid above = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;

		ReleaseSysCache(tuple);
		if (!OidIsValid(above))
			return constraint;
		constraint = above;
	}
}

void
read_key(Oid constraint, Key *key)
{
	HeapTuple tuple = constraint_tuple(constraint);
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	key->constraint = constraint;
	key->parent = form->confrelid;
	key->child = form->conrelid;
	key->action = form->confdeltype;
	DeconstructFkConstraintRow(tuple, &key->n, key->referencing, key->referenced,
							   key->operators, NULL, NULL, &key->nset, key->set);
	ReleaseSysCache(tuple);
}

const SoftDeleteRule *
soft_delete_of(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	const SoftDeleteRule *rule = rules_of(rel)->soft_delete;

	table_close(rel, NoLock);
	return rule;
}

/* ----------------------------------------------------------------- batches */

/* Columns k1, k2, ... and the stamps, as the parent has them. */
static TupleDesc
batch_desc(Relation rel, int nkeys, const AttrNumber *keys, AttrNumber deleted_at)
{
	TupleDesc own = RelationGetDescr(rel);
	TupleDesc desc = CreateTemplateTupleDesc(nkeys + STAMPS);
	Oid types[STAMPS] = {
		INT8OID,
		deleted_at ? TupleDescAttr(own, deleted_at - 1)->atttypid : TIMESTAMPTZOID,
		INT8OID, UUIDOID
	};

	for (int i = 0; i < nkeys; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(own, keys[i] - 1);

		TupleDescInitEntry(desc, i + 1, psprintf("k%d", i + 1),
						   attr->atttypid, attr->atttypmod, 0);
	}
	for (int i = 0; i < STAMPS; i++)
		TupleDescInitEntry(desc, nkeys + i + 1, stamp_names[i], types[i], -1, 0);
	return desc;
}

/* The batch for such rows, a new one if need be. */
Batch *
batch_for(List **batches, Oid constraint, int depth, bool rising, Relation rel,
		  int nkeys, const AttrNumber *keys, AttrNumber deleted_at)
{
	ListCell *cell;
	MemoryContext context;
	MemoryContext old;
	Batch *batch;

	foreach(cell, *batches)
	{
		batch = lfirst(cell);
		if (batch->constraint == constraint && batch->depth == depth &&
			batch->nest == GetCurrentTransactionNestLevel() && batch->rising == rising)
			return batch;
	}

	context = AllocSetContextCreate(TopTransactionContext, "forge_comm cascade",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	batch = palloc0(sizeof(Batch));
	batch->constraint = constraint;
	batch->depth = depth;
	batch->nest = GetCurrentTransactionNestLevel();
	batch->rising = rising;
	batch->context = context;
	batch->desc = batch_desc(rel, nkeys, keys, deleted_at);
	batch->rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(TopTransactionContext);
	*batches = lappend(*batches, batch);
	MemoryContextSwitchTo(old);
	return batch;
}

void
batch_add(Batch *batch, Datum *values, bool *nulls)
{
	tuplestore_putvalues(batch->rows, batch->desc, values, nulls);
	batch->count++;
}

void
batch_drop(List **batches, Batch *batch)
{
	*batches = list_delete_ptr(*batches, batch);
	tuplestore_end(batch->rows);
	MemoryContextDelete(batch->context);
}

/* -------------------------------------------------------------- statements */

char *
table_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* A foreign key holds for a plain table alone, not for its inheritance children. */
const char *
only(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ";
}

const char *
column_name(Relation rel, AttrNumber attnum)
{
	return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
}

char *
column_type(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	return format_type_with_typemod(attr->atttypid, attr->atttypmod);
}

/* A lone row comes as parameters, so that its plan can be kept. */
void
append_batch(StringInfo text, const Batch *batch)
{
	if (batch->count > 1)
	{
		appendStringInfoString(text, "forge_comm_noted AS g");
		return;
	}
	appendStringInfoString(text, "(SELECT ");
	for (int i = 0; i < batch->desc->natts; i++)
		appendStringInfo(text, "%s$%d AS %s", i ? ", " : "", i + 2,
						 NameStr(TupleDescAttr(batch->desc, i)->attname));
	appendStringInfoString(text, ") AS g");
}

/* The rows noted, matched with those of the referencing or referenced table. */
void
append_match(StringInfo text, const Key *key, bool with_child)
{
	const AttrNumber *attnums = with_child ? key->referencing : key->referenced;
	Oid relid = with_child ? key->child : key->parent;

	for (int i = 0; i < key->n; i++)
	{
		char *noted_key = psprintf("g.k%d", i + 1);
		char *column = psprintf("t.%s", quote_identifier(get_attname(relid, attnums[i], false)));

		if (i)
			appendStringInfoString(text, " AND ");
		if (with_child)
			generate_operator_clause(text, noted_key, get_atttype(key->parent, key->referenced[i]),
									 key->operators[i], column, get_atttype(relid, attnums[i]));
		else
			generate_operator_clause(text, column, get_atttype(relid, attnums[i]),
									 key->operators[i], noted_key, get_atttype(key->child, key->referencing[i]));
	}
}

/*
 * Nothing leaves the workspace of the row that fell.  One that has none, such
 * as a user, takes along what is in scope.
 */
void
append_workspace(StringInfo text, Relation child, const Key *key)
{
	const TenancyRule *rule = rules_of(child)->tenancy;
	Relation parent;
	bool parent_has_one;

	if (rule == NULL)
		return;
	parent = table_open(key->parent, AccessShareLock);
	parent_has_one = rules_of(parent)->tenancy != NULL;
	table_close(parent, NoLock);
	rule = rules_of(child)->tenancy;

	if (parent_has_one)
		appendStringInfo(text, " AND t.%s OPERATOR(pg_catalog.=) g.workspace",
						 column_name(child, rule->workspace));
	else if (!context_bypassed() && !context_is_everywhere())
	{
		context_require();
		appendStringInfo(text, " AND t.%s OPERATOR(pg_catalog.=) ANY ($1)",
						 column_name(child, rule->workspace));
	}
}

/* The workspaces in scope, as bigint[]. */
static Datum
scope_array(void)
{
	const int64 *ids;
	int n = context_workspaces(&ids);
	Datum *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(ids[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Run a statement over a batch, as the owner of the table that it is about. */
uint64
batch_run(const char *text, const Batch *batch, Oid owner, Oid keep_for, int use)
{
	int natts = batch->desc->natts;
	Oid *types = palloc((natts + 1) * sizeof(Oid));
	Datum *values = palloc0((natts + 1) * sizeof(Datum));
	char *nulls = palloc(natts + 1);
	EphemeralNamedRelationData source = { 0 };
	OwnStatement statement = {
		.text = text,
		.nargs = 1,
		.argtypes = types,
		.values = values,
		.nulls = nulls,
		.owner = owner
	};
	uint64 processed;

	types[0] = INT8ARRAYOID;
	values[0] = scope_array();
	nulls[0] = ' ';
	tuplestore_rescan(batch->rows);
	if (batch->count == 1)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(batch->desc, &TTSOpsMinimalTuple);

		(void) tuplestore_gettupleslot(batch->rows, true, true, slot);
		slot_getallattrs(slot);
		for (int i = 0; i < natts; i++)
		{
			types[i + 1] = TupleDescAttr(batch->desc, i)->atttypid;
			values[i + 1] = slot->tts_values[i];
			nulls[i + 1] = slot->tts_isnull[i] ? 'n' : ' ';
		}
		statement.nargs = natts + 1;
		statement.keep_for = keep_for;
		statement.keep_use = use;
		return run_own_statement(&statement);
	}

	source.md.name = "forge_comm_noted";
	source.md.reliddesc = InvalidOid;
	source.md.tupdesc = batch->desc;
	source.md.enrtype = ENR_NAMED_TUPLESTORE;
	source.md.enrtuples = batch->count;
	source.reldata = batch->rows;
	if (SPI_register_relation(&source) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
	processed = run_own_statement(&statement);
	(void) SPI_unregister_relation(source.md.name);
	return processed;
}
