/*
 * foreign_keys.c
 *		What a foreign key of a table under tenancy asks of both rows.
 *
 * Read for rules.c: which tables a key leads to, what is enabled there, and
 * how the row referenced is found.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "foreign_keys.h"
#include "options.h"

/*
 * The workspace column of a table; 0 if it is not under tenancy.  A trigger
 * that happens to be disabled still says which it is: references are no freer
 * for it.
 */
AttrNumber
workspace_column(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_tenancy", "tenancy_guard", true);

	return trigger ? required_column(rel, trigger, "workspace_column", is_id_type) : InvalidAttrNumber;
}

/* A table's id, by which others hang under it: a primary key of one id column. */
AttrNumber
id_column(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	AttrNumber attnum = InvalidAttrNumber;

	list_free(indexes);
	if (OidIsValid(rel->rd_pkindex))
	{
		Relation index = index_open(rel->rd_pkindex, AccessShareLock);

		if (index->rd_index->indnkeyatts == 1)
			attnum = index->rd_index->indkey.values[0];
		index_close(index, NoLock);
	}
	if (attnum == InvalidAttrNumber ||
		!is_id_type(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid))
		return InvalidAttrNumber;
	return attnum;
}

/* Temporal keys have another kind of index, and another kind of equality. */
static bool
is_btree(Oid index)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	bool btree = HeapTupleIsValid(tuple) &&
				 (((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID ||
				  ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_PARTITIONED_INDEX);

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return btree;
}

/*
 * Compare one column of the parent as the foreign key does: where no operator
 * takes both types, the referencing value is converted first, such as integer
 * to numeric.
 */
static void
compare_as_key_does(const ForeignKeyCacheInfo *info, int position, LookupKey *key, int i)
{
	Oid equals = info->conpfeqop[position];
	Oid given = get_atttype(info->conrelid, info->conkey[position]);
	Oid left;

	op_input_types(equals, &left, &key->argtypes[i]);
	key->equals[i] = get_opcode(equals);
	if (find_coercion_pathway(key->argtypes[i], given, COERCION_IMPLICIT,
							  &key->casts[i]) != COERCION_PATH_FUNC)
		key->casts[i] = InvalidOid;
}

/* Fill in how the parent of a foreign key is found in the key's own index. */
void
foreign_key_lookup(const ForeignKeyCacheInfo *info, LookupKey *key)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(info->conoid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", info->conoid);
	key->relid = info->confrelid;
	key->index = ((Form_pg_constraint) GETSTRUCT(tuple))->conindid;
	ReleaseSysCache(tuple);
	if (!is_btree(key->index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign key \"%s\" has no btree index and cannot be kept within a workspace",
						get_constraint_name(info->conoid)),
				 errhint("Temporal keys between tables under tenancy are not supported.")));

	key->nkeys = info->nkeys;
	for (int i = 0; i < info->nkeys; i++)
	{
		Oid type;
		int32 typmod;

		key->attnums[i] = info->confkey[i];
		get_atttypetypmodcoll(info->confrelid, info->confkey[i],
							  &type, &typmod, &key->collations[i]);
		compare_as_key_does(info, i, key, i);
	}
}

/*
 * A key to a partitioned table has a copy for each of its partitions, for
 * PostgreSQL's own use.  No row is meant to satisfy them all.
 */
bool
is_partition_copy(const ForeignKeyCacheInfo *info)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(info->conoid));
	Oid original = InvalidOid;
	Oid rel = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		original = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;
		ReleaseSysCache(tuple);
	}
	if (OidIsValid(original))
	{
		tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(original));
		if (HeapTupleIsValid(tuple))
		{
			rel = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
			ReleaseSysCache(tuple);
		}
	}
	return rel == info->conrelid;
}

/* The position of a column in a foreign key; -1 if it is not part of it. */
static int
key_position(const ForeignKeyCacheInfo *info, AttrNumber column)
{
	for (int i = 0; i < info->nkeys; i++)
	{
		if (info->conkey[i] == column)
			return i;
	}
	return -1;
}

/* Both rows must agree in a pair of columns. */
static void
add_agreed(ForeignKey *key, AttrNumber column, AttrNumber parent_column)
{
	Assert(key->nagreed < MAX_ID_COLUMNS);
	key->agreed[key->nagreed] = column;
	key->parent_agreed[key->nagreed++] = parent_column;
}

/* Does the foreign key itself see to it that a pair of columns is equal? */
static bool
key_includes(const ForeignKeyCacheInfo *info, AttrNumber column, AttrNumber parent_column)
{
	int position = key_position(info, column);

	return position >= 0 && info->confkey[position] == parent_column;
}

/* What both rows must agree in beyond the key: the workspace and "same". */
static void
find_agreed(Relation rel, const ForeignKeyCacheInfo *info, const TenancyRule *rule,
			AttrNumber parent_workspace, ForeignKey *key)
{
	if (parent_workspace && !key_includes(info, rule->workspace, parent_workspace))
		add_agreed(key, rule->workspace, parent_workspace);
	for (int i = 0; i < rule->nsame; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), rule->same[i] - 1);
		AttrNumber counterpart = get_attnum(info->confrelid, NameStr(attr->attname));

		if (counterpart > 0 && is_id_type(get_atttype(info->confrelid, counterpart)) &&
			!key_includes(info, rule->same[i], counterpart))
			add_agreed(key, rule->same[i], counterpart);
	}
}

/* Does a foreign key put rows under those of another table with privacy? */
static bool
leads_under(Relation rel, const ForeignKeyCacheInfo *info, AttrNumber via)
{
	int position = key_position(info, via);
	Relation parent;
	bool leads;

	/* what a row is under is never a row beside it, as the root of a thread that has the thread's id */
	if (position < 0 || info->confrelid == RelationGetRelid(rel) || is_partition_copy(info))
		return false;
	parent = table_open(info->confrelid, AccessShareLock);
	leads = info->confkey[position] == id_column(parent) &&
			find_trigger(parent, "forge_comm_privacy", "privacy_guard", true);
	table_close(parent, NoLock);
	return leads;
}

/* The table under whose rows those of a table are; InvalidOid if there is none. */
Oid
private_parent(Relation rel, AttrNumber via)
{
	List *keys = copyObject(RelationGetFKeyList(rel));
	ListCell *cell;

	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);

		if (leads_under(rel, info, via))
			return info->confrelid;
	}
	return InvalidOid;
}

/* The column of a foreign key that references this one; 0 if none does. */
static AttrNumber
referencing_column(Relation rel, const ForeignKeyCacheInfo *info, AttrNumber referenced)
{
	for (int i = 0; i < info->nkeys; i++)
	{
		if (info->confkey[i] == referenced &&
			is_id_type(TupleDescAttr(RelationGetDescr(rel), info->conkey[i] - 1)->atttypid))
			return info->conkey[i];
	}
	return InvalidAttrNumber;
}

static void
refuse_without_id(Relation rel, const ForeignKeyCacheInfo *info)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign key \"%s\" of table \"%s\" leaves out the primary key of table \"%s\"",
					get_constraint_name(info->conoid), RelationGetRelationName(rel),
					get_rel_name(info->confrelid)),
			 errhint("Who may reference its rows is decided by their id, or what they are under: let the key include one of them.")));
}

/*
 * Rows of the other table may be private: what tells is their id, or the row
 * that they are under.
 */
static void
find_private(Relation rel, const ForeignKeyCacheInfo *info, Relation parent,
			 const Trigger *trigger, ForeignKey *key)
{
	AttrNumber via;

	key->to = REFERENCE_TO_PRIVATE;
	key->private_in = info->confrelid;
	key->id = referencing_column(rel, info, id_column(parent));
	if (key->id)
		return;
	via = option_column(parent, trigger, "via", is_id_type);
	key->private_in = via ? private_parent(parent, via) : InvalidOid;
	key->id = via ? referencing_column(rel, info, via) : InvalidAttrNumber;
	if (key->id == InvalidAttrNumber || !OidIsValid(key->private_in))
		refuse_without_id(rel, info);
}

/* Who may reference rows of the other table. */
static void
find_permission(Relation rel, const ForeignKeyCacheInfo *info, Relation parent, ForeignKey *key)
{
	/* also where the trigger happens to be disabled: what it stood for is not open then */
	const Trigger *privacy = find_trigger(parent, "forge_comm_privacy", "privacy_guard", true);

	if (privacy)
		find_private(rel, info, parent, privacy, key);
	else if (find_trigger(parent, "forge_comm_directory", "directory_guard", true))
	{
		key->to = REFERENCE_TO_PERSON;
		key->id = referencing_column(rel, info, id_column(parent));
		if (key->id == InvalidAttrNumber)
			refuse_without_id(rel, info);
	}
}

/* Generated columns are computed only after BEFORE triggers. */
static void
refuse_generated(Relation rel, const ForeignKeyCacheInfo *info)
{
	for (int i = 0; i < info->nkeys; i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), info->conkey[i] - 1)->attgenerated)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign key \"%s\" of table \"%s\" has a generated column and cannot be kept within a workspace",
							get_constraint_name(info->conoid), RelationGetRelationName(rel)),
					 errhint("Reference the other table by an ordinary column.")));
	}
}

/*
 * Resolve a composite "via": the parent is looked up by the counterpart of
 * that column alone, since the workspace is what we want to know.
 */
static ForeignKey *
composite_via(const ForeignKeyCacheInfo *info, const TenancyRule *rule,
			  AttrNumber parent_workspace, const ForeignKey *whole)
{
	int position = key_position(info, rule->via);
	ForeignKey *key = palloc0(sizeof(ForeignKey));
	Relation parent = table_open(info->confrelid, AccessShareLock);
	bool found = lookup_index(parent, &info->confkey[position], 1, true, &key->parent);

	table_close(parent, NoLock);
	if (!found)
		return NULL;
	key->constraint = info->conoid;
	key->columns[0] = rule->via;
	key->to = whole->to;
	key->id = whole->id;
	key->private_in = whole->private_in;
	compare_as_key_does(info, position, &key->parent, 0);
	add_agreed(key, rule->workspace, parent_workspace);
	return key;
}

/* Read one foreign key, whose parent may be under tenancy, too, or a directory. */
void
read_reference(Relation rel, const ForeignKeyCacheInfo *info, TenancyRule *rule)
{
	Relation parent = table_open(info->confrelid, AccessShareLock);
	AttrNumber parent_workspace = workspace_column(parent);
	ForeignKey *key = &rule->references[rule->nreferences];
	bool wanted;

	memset(key, 0, sizeof(ForeignKey));
	if (parent_workspace)
		find_agreed(rel, info, rule, parent_workspace, key);
	find_permission(rel, info, parent, key);
	table_close(parent, NoLock);

	wanted = key->nagreed > 0 || key->to != REFERENCE_TO_ANY;
	if (wanted)
	{
		refuse_generated(rel, info);
		key->constraint = info->conoid;
		memcpy(key->columns, info->conkey, info->nkeys * sizeof(AttrNumber));
		foreign_key_lookup(info, &key->parent);
		rule->nreferences++;
	}
	if (parent_workspace && rule->via && rule->via_key == NULL &&
		key_position(info, rule->via) >= 0)
		rule->via_key = info->nkeys == 1 ? key : composite_via(info, rule, parent_workspace, key);
}
