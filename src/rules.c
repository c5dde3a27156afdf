/*
 * rules.c
 *		What is enabled on a relation, read from its triggers' arguments.
 *
 * The schema is the configuration: each capability is a trigger whose
 * arguments, "option=value", name the columns.  They are resolved once and
 * kept by relid until the relcache says that something changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "options.h"
#include "rules.h"

typedef struct RulesEntry
{
	Oid relid; /* hash key */
	bool valid;
	MemoryContext context; /* holds all that follows, or NULL */
	RelationRules rules;
	List *parents; /* tables referenced: their changes matter */
} RulesEntry;

static HTAB *rules_cache = NULL;
static bool some_invalid = false;

/* The workspace column of a table; 0 if it is not under tenancy. */
static AttrNumber
workspace_column(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_tenancy", "tenancy_guard", false);

	return trigger ? required_column(rel, trigger, "workspace_column", is_id_type) : InvalidAttrNumber;
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

/* Fill in how the parent of a foreign key is found in the key's own index. */
static void
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
		Oid left;
		Oid type;
		int32 typmod;

		key->attnums[i] = info->confkey[i];
		op_input_types(info->conpfeqop[i], &left, &key->argtypes[i]);
		get_atttypetypmodcoll(info->confrelid, info->confkey[i],
							  &type, &typmod, &key->collations[i]);
		key->equals[i] = get_opcode(info->conpfeqop[i]);
	}
}

/*
 * A key to a partitioned table has a copy for each of its partitions, for
 * PostgreSQL's own use.  No row is meant to satisfy them all.
 */
static bool
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

/*
 * Resolve "via": the workspace of the row that one column references.  With
 * a composite key the parent is looked up by that column's counterpart
 * alone, since the workspace is what we want to know.
 */
static bool
via_key(const ForeignKeyCacheInfo *info, TenancyRule *rule,
		AttrNumber parent_workspace)
{
	ForeignKey *via = &rule->via_key;
	int position = key_position(info, rule->via);

	if (position < 0)
		return false;

	via->constraint = info->conoid;
	via->columns[0] = rule->via;
	via->parent_workspace = parent_workspace;
	if (info->nkeys == 1)
		foreign_key_lookup(info, &via->parent);
	else
	{
		Oid left;

		if (!lookup_index(info->confrelid, info->confkey[position], true, &via->parent))
			return false;
		op_input_types(info->conpfeqop[position], &left, &via->parent.argtypes[0]);
		via->parent.equals[0] = get_opcode(info->conpfeqop[position]);
	}
	return true;
}

/*
 * Does the foreign key itself see to it that both rows have one workspace?
 * It does if it includes the workspace columns of both.
 */
static bool
enforces_workspace(const ForeignKeyCacheInfo *info, AttrNumber workspace,
				   AttrNumber parent_workspace)
{
	int position = key_position(info, workspace);

	return position >= 0 && info->confkey[position] == parent_workspace;
}

static void
add_reference(Relation rel, const ForeignKeyCacheInfo *info, TenancyRule *rule,
			  AttrNumber parent_workspace)
{
	ForeignKey *key = &rule->references[rule->nreferences++];

	/* generated columns are computed only after BEFORE triggers */
	for (int i = 0; i < info->nkeys; i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), info->conkey[i] - 1)->attgenerated)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign key \"%s\" of table \"%s\" has a generated column and cannot be kept within a workspace",
							get_constraint_name(info->conoid), RelationGetRelationName(rel)),
					 errhint("Reference the other table by an ordinary column.")));
	}

	key->constraint = info->conoid;
	key->parent_workspace = parent_workspace;
	memcpy(key->columns, info->conkey, info->nkeys * sizeof(AttrNumber));
	foreign_key_lookup(info, &key->parent);
}

static TenancyRule *
read_tenancy(Relation rel, RulesEntry *entry)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_tenancy", "tenancy_guard", false);
	TenancyRule *rule;
	List *keys;
	ListCell *cell;
	bool via_found = false;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(TenancyRule));
	rule->workspace = required_column(rel, trigger, "workspace_column", is_id_type);
	rule->workspace_type = get_atttype(RelationGetRelid(rel), rule->workspace);
	rule->via = option_column(rel, trigger, "via", is_any_type);

	keys = copyObject(RelationGetFKeyList(rel));
	rule->references = palloc0(Max(list_length(keys), 1) * sizeof(ForeignKey));
	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);
		Relation parent;
		AttrNumber parent_workspace;

		if (is_partition_copy(info))
			continue;
		parent = table_open(info->confrelid, AccessShareLock);
		parent_workspace = workspace_column(parent);
		table_close(parent, NoLock);
		entry->parents = list_append_unique_oid(entry->parents, info->confrelid);
		if (parent_workspace == InvalidAttrNumber)
			continue;
		if (rule->via && !via_found)
			via_found = via_key(info, rule, parent_workspace);
		if (!enforces_workspace(info, rule->workspace, parent_workspace))
			add_reference(rel, info, rule, parent_workspace);
	}

	if (rule->via && !via_found)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("column \"%s\" of table \"%s\" references no table under tenancy",
						option(trigger, "via"), RelationGetRelationName(rel)),
				 errhint("Restore its foreign key and the tenancy of the table it references, or disable tenancy here.")));
	return rule;
}

static TimestampsRule *
read_timestamps(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_timestamps", "timestamps_stamp", false);
	TimestampsRule *rule;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(TimestampsRule));
	rule->created_at = option_column(rel, trigger, "created_at", is_time_type);
	rule->updated_at = option_column(rel, trigger, "updated_at", is_time_type);
	rule->created_by = option_column(rel, trigger, "created_by", is_id_type);
	rule->updated_by = option_column(rel, trigger, "updated_by", is_id_type);

	rule->unnoticed = option_columns(rel, trigger, "ignore");
	/* a stamp that is not kept has number 0, which no column has */
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->created_at);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->updated_at);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->created_by);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->updated_by);
	return rule;
}

static SoftDeleteRule *
read_soft_delete(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_soft_delete", "soft_delete_guard", false);
	SoftDeleteRule *rule;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(SoftDeleteRule));
	rule->deleted_at = required_column(rel, trigger, "deleted_at", is_time_type);
	rule->deleted_by = option_column(rel, trigger, "deleted_by", is_id_type);
	rule->is_active = option_column(rel, trigger, "is_active", is_flag_type);
	return rule;
}

/*
 * Read all rules of a relation anew.  The entry counts as valid from before
 * the reading, so that a change that arrives meanwhile is not lost.
 */
static void
read_rules(Relation rel, RulesEntry *entry)
{
	MemoryContext old;

	entry->context = AllocSetContextCreate(CacheMemoryContext, "forge_comm rules",
										   ALLOCSET_SMALL_SIZES);
	entry->parents = NIL;
	memset(&entry->rules, 0, sizeof(RelationRules));

	old = MemoryContextSwitchTo(entry->context);
	entry->valid = true;
	PG_TRY();
	{
		RelationRules rules;

		rules.tenancy = read_tenancy(rel, entry);
		rules.timestamps = read_timestamps(rel);
		rules.soft_delete = read_soft_delete(rel);
		entry->rules = rules;
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/*
 * What is enabled on a relation.  An outdated reading may still be in use up
 * the stack, so it is given to the transaction to free.
 */
const RelationRules *
rules_of(Relation rel)
{
	static const RelationRules none = { 0 };
	Oid relid = RelationGetRelid(rel);
	RulesEntry *entry;
	bool found;

	if (rel->trigdesc == NULL)
		return &none;

	entry = hash_search(rules_cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->context = NULL;
		entry->parents = NIL;
	}
	if (!entry->valid)
	{
		if (entry->context)
			MemoryContextSetParent(entry->context, TopTransactionContext);
		entry->context = NULL;
		entry->parents = NIL;
		read_rules(rel, entry);
	}
	return &entry->rules;
}

/* Relcache callback: the relation, or a parent of it, has changed. */
static void
forget_rules(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	RulesEntry *entry;

	hash_seq_init(&status, rules_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->relid == relid ||
			list_member_oid(entry->parents, relid))
		{
			entry->valid = false;
			some_invalid = true;
		}
	}
}

/*
 * At the end of a transaction nobody reads rules any more: drop those that are
 * outdated, or a session that makes and drops tables would collect them.
 */
static void
drop_invalid(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS status;
	RulesEntry *entry;

	if (!some_invalid)
		return;
	some_invalid = false;
	hash_seq_init(&status, rules_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid)
			continue;
		if (entry->context)
			MemoryContextDelete(entry->context);
		(void) hash_search(rules_cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

void
rules_init(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(RulesEntry),
		.hcxt = TopMemoryContext
	};

	rules_cache = hash_create("forge_comm rules", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_rules, (Datum) 0);
	RegisterXactCallback(drop_invalid, NULL);
}
