/*
 * restore.c
 *		Soft-deleted rows come back, with what fell with them.
 *
 * The rows named are updated by the caller.  Their triggers note them, and as
 * in a cascade what references them is followed: what bears the same stamp
 * rises, one statement a level.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "batches.h"
#include "options.h"
#include "restore.h"
#include "rules.h"
#include "statements.h"

/* The depth at which rows that lose their mark take others along; or -1. */
static int restoring = -1;

/* Keys of restored rows whose parents must be live. */
static List *to_be_live = NIL;

/* Rows that have risen below those named. */
static uint64 risen = 0;

bool
restores_at(int depth)
{
	return depth == restoring;
}

/* --------------------------------------------------- parents that must live */

/*
 * The foreign keys of a table whose row cannot live under a deleted one.  The
 * relcache may drop its own list at any look into the catalogs.
 */
static List *
keys_to_live_by(Relation rel)
{
	List *all = copyObject(RelationGetFKeyList(rel));
	List *keys = NIL;
	ListCell *cell;

	foreach(cell, all)
	{
		ForeignKeyCacheInfo *info = lfirst(cell);
		Key *key = palloc(sizeof(Key));

		read_key(topmost_key(info->conoid), key);
		if (key->constraint == info->conoid && soft_delete_of(key->parent) &&
			(key->action == FKCONSTR_ACTION_CASCADE || key->action == FKCONSTR_ACTION_RESTRICT))
			keys = lappend(keys, key);
	}
	return keys;
}

static void
append_returning(StringInfo text, Relation rel, const List *keys)
{
	const char *separator = " RETURNING ";
	ListCell *cell;

	foreach(cell, keys)
	{
		Key *key = lfirst(cell);

		for (int i = 0; i < key->n; i++)
		{
			appendStringInfo(text, "%st.%s", separator, column_name(rel, key->referencing[i]));
			separator = ", ";
		}
	}
}

/* Note what RETURNING gave: the parents that must be live in the end. */
static void
note_parents(Relation rel, const List *keys)
{
	SPITupleTable *table = SPI_tuptable;
	int column = 1;
	ListCell *cell;

	foreach(cell, keys)
	{
		Key *key = lfirst(cell);

		for (uint64 row = 0; row < SPI_processed; row++)
		{
			Datum values[INDEX_MAX_KEYS + STAMPS];
			bool nulls[INDEX_MAX_KEYS + STAMPS];
			bool any_null = false;

			for (int i = 0; i < STAMPS; i++)
				nulls[key->n + i] = true;
			for (int i = 0; i < key->n; i++)
			{
				values[i] = SPI_getbinval(table->vals[row], table->tupdesc, column + i, &nulls[i]);
				any_null |= nulls[i];
			}
			if (!any_null)
				batch_add(batch_for(&to_be_live, key->constraint, restoring, true, rel,
									key->n, key->referencing, InvalidAttrNumber),
						  values, nulls);
		}
		column += key->n;
	}
}

/* The parents stay live until we are done: a concurrent delete waits. */
static void
check_parents(const Batch *batch)
{
	StringInfoData text;
	Relation parent;
	Key key;
	bool isnull;

	read_key(batch->constraint, &key);
	parent = table_open(key.parent, RowShareLock);
	initStringInfo(&text);
	appendStringInfo(&text, "SELECT pg_catalog.bool_or(dead) FROM (SELECT t.%s IS NOT NULL AS dead FROM %s%s AS t WHERE EXISTS (SELECT FROM ",
					 column_name(parent, rules_of(parent)->soft_delete->deleted_at),
					 only(parent), table_name(parent));
	append_batch(&text, batch);
	appendStringInfoString(&text, " WHERE ");
	append_match(&text, &key, false);
	appendStringInfoString(&text, ") FOR SHARE OF t) AS parents");

	SPI_connect();
	(void) batch_run(text.data, batch, parent->rd_rel->relowner, key.constraint, 'p');
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)) && !isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row of table \"%s\" cannot be restored while the row of table \"%s\" that it references is deleted",
						get_rel_name(key.child), RelationGetRelationName(parent)),
				 errhint("Restore that row first; it brings back what fell with it.")));
	SPI_finish();
	table_close(parent, NoLock);
}

static void
check_all_parents(void)
{
	while (to_be_live != NIL)
	{
		check_parents(linitial(to_be_live));
		batch_drop(&to_be_live, linitial(to_be_live));
	}
}

/* --------------------------------------------------------------- statements */

/* The same for rows that rise: none of it. */
static void
append_no_marks(StringInfo text, Relation rel, const SoftDeleteRule *rule)
{
	appendStringInfo(text, "%s = NULL", column_name(rel, rule->deleted_at));
	if (rule->deleted_by)
		appendStringInfo(text, ", %s = NULL", column_name(rel, rule->deleted_by));
	if (rule->deletion_id)
		appendStringInfo(text, ", %s = NULL", column_name(rel, rule->deletion_id));
	if (rule->is_active)
		appendStringInfo(text, ", %s = true", column_name(rel, rule->is_active));
}

/* Rows that fell with those that rise: the same stamp says so. */
static void
append_same_stamp(StringInfo text, Relation child, const Key *key)
{
	const SoftDeleteRule *above = soft_delete_of(key->parent);
	const SoftDeleteRule *rule = rules_of(child)->soft_delete;
	bool ids = above && above->deletion_id && rule->deletion_id;

	if (ids)
		appendStringInfo(text, " AND (t.%s OPERATOR(pg_catalog.=) g.deletion_id OR g.deletion_id IS NULL",
						 column_name(child, rule->deletion_id));
	appendStringInfo(text, " AND t.%s OPERATOR(pg_catalog.=) CAST(g.deleted_at AS %s)",
					 column_name(child, rule->deleted_at), column_type(child, rule->deleted_at));
	if (above && above->deleted_by && rule->deleted_by)
	{
		/* not IS DISTINCT FROM, whose operator comes from the search path */
		const char *by = column_name(child, rule->deleted_by);

		appendStringInfo(text, " AND (t.%s OPERATOR(pg_catalog.=) g.deleted_by OR (t.%s IS NULL AND g.deleted_by IS NULL))",
						 by, by);
	}
	if (ids)
		appendStringInfoChar(text, ')');
}

/* Rows rise: so do those that fell with them. */
void
rose(const Batch *batch, const Key *key)
{
	Relation child = table_open(key->child, RowExclusiveLock);
	List *keys = keys_to_live_by(child);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "UPDATE %s%s AS t SET ", only(child), table_name(child));
	append_no_marks(&text, child, rules_of(child)->soft_delete);
	appendStringInfoString(&text, " FROM ");
	append_batch(&text, batch);
	appendStringInfoString(&text, " WHERE ");
	append_match(&text, key, true);
	append_same_stamp(&text, child, key);
	append_workspace(&text, child, key);
	append_returning(&text, child, keys);

	SPI_connect();
	risen += batch_run(text.data, batch, child->rd_rel->relowner, key->constraint, 'r');
	if (keys)
		note_parents(child, keys);
	SPI_finish();
	table_close(child, NoLock);
}

/* UPDATE of the rows that the condition names, by the caller. */
static uint64
restore_rows(Relation rel, const char *condition, int nargs, Oid *types, Datum *values)
{
	const SoftDeleteRule *rule = rules_of(rel)->soft_delete;
	List *keys = keys_to_live_by(rel);
	OwnStatement statement = { .nargs = nargs, .argtypes = types, .values = values };
	StringInfoData text;
	uint64 processed;

	initStringInfo(&text);
	appendStringInfo(&text, "UPDATE %s AS t SET ", table_name(rel));
	append_no_marks(&text, rel, rule);
	appendStringInfo(&text, " WHERE t.%s IS NOT NULL AND %s", column_name(rel, rule->deleted_at), condition);
	append_returning(&text, rel, keys);
	statement.text = text.data;

	SPI_connect();
	processed = run_own_statement(&statement);
	if (keys)
		note_parents(rel, keys);
	SPI_finish();
	return processed;
}

/* --------------------------------------------------------------- restoring */

/* Open a table to restore rows of it. */
static Relation
open_restorable(Oid relid)
{
	Relation rel = try_table_open(relid, RowExclusiveLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	if (rules_of(rel)->soft_delete == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("soft_delete is not enabled on table %s", table_name(rel)),
				 errhint("Call forge_comm.enable_soft_delete() first.")));
	return rel;
}

/* The condition that names a row by its primary key, the values as text. */
static char *
key_condition(Relation rel, int nvalues)
{
	Relation index;
	StringInfoData text;

	(void) RelationGetIndexList(rel);
	if (!OidIsValid(rel->rd_pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no primary key", table_name(rel)),
				 errhint("Give the table a primary key.")));
	index = index_open(rel->rd_pkindex, AccessShareLock);
	initStringInfo(&text);
	if (IndexRelationGetNumberOfKeyAttributes(index) != nvalues)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the primary key of table %s has %d columns", table_name(rel),
						IndexRelationGetNumberOfKeyAttributes(index)),
				 errhint("Pass the values of all of them, in its order, as an array of text.")));
	for (int i = 0; i < nvalues; i++)
	{
		AttrNumber attnum = index->rd_index->indkey.values[i];

		appendStringInfo(&text, "%st.%s OPERATOR(pg_catalog.=) CAST($%d AS %s)", i ? " AND " : "",
						 column_name(rel, attnum), i + 1, column_type(rel, attnum));
	}
	index_close(index, AccessShareLock);
	return text.data;
}

/* The row of a table that has this key. */
static uint64
restore_by_key(Relation rel, ArrayType *key)
{
	Oid types[INDEX_MAX_KEYS];
	Datum *values;
	char *condition;
	int n;

	deconstruct_array(key, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	condition = key_condition(rel, n);
	for (int i = 0; i < n; i++)
		types[i] = TEXTOID;
	return restore_rows(rel, condition, n, types, values);
}

/* The rows of a table that have this deletion_id. */
static uint64
restore_by_id(Relation rel, Datum deletion)
{
	AttrNumber attnum = rules_of(rel)->soft_delete->deletion_id;
	Oid type = UUIDOID;

	if (!attnum)
		return 0;
	return restore_rows(rel, psprintf("t.%s OPERATOR(pg_catalog.=) $1", column_name(rel, attnum)),
						1, &type, &deletion);
}

static int64
restore_each(ArrayType *rels, ArrayType *key, Datum deletion)
{
	int64 restored = 0;
	Datum *elements;
	int n;

	deconstruct_array(rels, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		Relation rel = open_restorable(DatumGetObjectId(elements[i]));

		restored += key ? restore_by_key(rel, key) : restore_by_id(rel, deletion);
		table_close(rel, NoLock);
	}
	check_all_parents();
	return restored + risen;
}

/* Restore, and look at the result as a whole. */
static int64
restore(ArrayType *rels, ArrayType *key, Datum deletion)
{
	int outer = restoring;
	List *outer_to_be_live = to_be_live;
	uint64 outer_risen = risen;
	int64 result;

	restoring = trigger_depth() + 1;
	to_be_live = NIL;
	risen = 0;
	PG_TRY();
	{
		result = restore_each(rels, key, deletion);
	}
	PG_FINALLY();
	{
		restoring = outer;
		to_be_live = outer_to_be_live;
		risen = outer_risen;
	}
	PG_END_TRY();
	return result;
}

static ArrayType *
oid_array(Oid oid)
{
	Datum element = ObjectIdGetDatum(oid);

	return construct_array(&element, 1, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

PG_FUNCTION_INFO_V1(forge_comm_restore_key);
PG_FUNCTION_INFO_V1(forge_comm_restore_deletion);

/* restore_key(rel, key): bring a row back, and what fell with it. */
Datum
forge_comm_restore_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(restore(oid_array(PG_GETARG_OID(0)), PG_GETARG_ARRAYTYPE_P(1), (Datum) 0));
}

/* restore_deletion(rels, deletion_id): bring back what fell by one deletion. */
Datum
forge_comm_restore_deletion(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(restore(PG_GETARG_ARRAYTYPE_P(0), NULL, PG_GETARG_DATUM(1)));
}

/* The memory goes with the transaction. */
static void
forget_restoring(XactEvent event, void *arg)
{
	to_be_live = NIL;
	restoring = -1;
}

void
restore_init(void)
{
	RegisterXactCallback(forget_restoring, NULL);
}
