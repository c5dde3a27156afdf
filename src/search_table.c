/*
 * search_table.c
 *		A table that search is enabled on, and the queries that search it.
 *
 * What enable_search() was told stands in the expressions of its index.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "foreign_keys.h"
#include "invalidation.h"
#include "search_index.h"
#include "search_table.h"

static HTAB *tables = NULL;

/* Relcache callback; InvalidOid means all relations. */
static void
forget_table(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	SearchTable *table;

	hash_seq_init(&status, tables);
	while ((table = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || table->relid == relid || table->index == relid ||
			table->channels == relid)
			table->valid = false;
	}
}

/* Syscache callback: the queries name schemas. */
static void
forget_all(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_table(arg, InvalidOid);
}

void
search_table_init(void)
{
	HASHCTL control = { .keysize = sizeof(Oid), .entrysize = sizeof(SearchTable) };

	tables = hash_create("forge_comm search", 16, &control, HASH_ELEM | HASH_BLOBS);
	when_table_changes(forget_table);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_all, (Datum) 0);
}

/* ------------------------------------------------------------------ reading */

/* The column that an argument is made of; 0 if it is a constant. */
static AttrNumber
column_of(Node *argument)
{
	List *vars = pull_var_clause(argument, 0);

	return vars == NIL ? InvalidAttrNumber : linitial_node(Var, vars)->varattno;
}

/* The column that is NULL in the rows of a partial index of ours, 0 if none. */
static AttrNumber
deleted_column(Relation index)
{
	return column_of((Node *) RelationGetIndexPredicate(index));
}

static void
read_index(SearchTable *table, Relation index)
{
	List *expressions = RelationGetIndexExpressions(index);
	FuncExpr *words = list_nth_node(FuncExpr, expressions, WORDS_COLUMN - 1);
	FuncExpr *places = list_nth_node(FuncExpr, expressions, PLACES_COLUMN - 1);

	table->index = RelationGetRelid(index);
	table->config = DatumGetObjectId(linitial_node(Const, words->args)->constvalue);
	table->body = column_of(lsecond(words->args));
	table->created_at = column_of(linitial(places->args));
	table->workspace = column_of(lsecond(places->args));
	table->channel = column_of(lthird(places->args));
	table->author = column_of(lfourth(places->args));
	table->deleted_at = deleted_column(index);
}

static bool
is_search_index(Relation index, Oid family)
{
	return OidIsValid(family) && index->rd_rel->relam == GIN_AM_OID &&
		   index->rd_index->indisvalid && IndexRelationGetNumberOfKeyAttributes(index) == 2 &&
		   index->rd_opfamily[WORDS_COLUMN - 1] == family;
}

static bool
find_index(SearchTable *table, Relation rel)
{
	Oid class = get_opclass_oid(GIN_AM_OID,
								list_make2(makeString("forge_comm"), makeString("search_words_ops")), true);
	Oid family = OidIsValid(class) ? get_opclass_family(class) : InvalidOid;
	List *oids = RelationGetIndexList(rel);
	ListCell *cell;

	table->index = InvalidOid;
	foreach(cell, oids)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (is_search_index(index, family))
			read_index(table, index);
		index_close(index, NoLock);
	}
	list_free(oids);
	return OidIsValid(table->index);
}

/* Where the channels of messages are, if a foreign key says so. */
static Oid
find_channels(SearchTable *table, Relation rel)
{
	List *keys = RelationGetFKeyList(rel);
	ListCell *cell;

	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, cell);

		for (int i = 0; i < key->nkeys; i++)
		{
			if (key->conkey[i] != table->channel || key->confrelid == table->relid)
				continue;
			table->channels_key = key->confkey[i];
			return key->confrelid;
		}
	}
	return InvalidOid;
}

static void
free_plans(SearchTable *table)
{
	for (int i = 0; i < 2 * (MOST_CONJUNCTS + 1); i++)
	{
		SPIPlanPtr *plan = &table->plans[i % 2][i / 2];

		if (*plan)
			SPI_freeplan(*plan);
		*plan = NULL;
	}
	if (table->visible)
		SPI_freeplan(table->visible);
	table->visible = NULL;
}

SearchTable *
search_table(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	bool found;
	SearchTable *table = hash_search(tables, &relid, HASH_ENTER, &found);

	if (!found)
	{
		memset(table, 0, sizeof(SearchTable));
		table->relid = relid;
	}
	if (!table->valid)
	{
		free_plans(table);
		table->key = id_column(rel);
		table->valid = find_index(table, rel);
		table->channels = table->valid ? find_channels(table, rel) : InvalidOid;
	}
	if (!table->valid || !table->key)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("search is not enabled on table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_search().")));
	return table;
}

/* ------------------------------------------------------------------ queries */

static const char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static const char *
column(Relation rel, AttrNumber attnum)
{
	return psprintf("m.%s", quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname)));
}

/* The same of an id that a table may lack. */
static const char *
id_or_none(Relation rel, AttrNumber attnum, const char *none)
{
	return attnum == InvalidAttrNumber ? none : column(rel, attnum);
}

/* The expressions are those of the index, and so the planner finds it. */
static void
append_words(StringInfo sql, const SearchTable *table, Relation rel, int nparts)
{
	char *vector = psprintf("forge_comm.search_vector(CAST('%u' AS pg_catalog.regconfig), %s)",
							table->config, column(rel, table->body));

	if (nparts == 0)
		appendStringInfo(sql, "forge_comm.search_matches(%s, $1)", vector);
	else
		appendStringInfo(sql, "%s OPERATOR(forge_comm.@@) $1", vector);
	for (int i = 1; i < nparts; i++)
		appendStringInfo(sql, " AND %s OPERATOR(forge_comm.@@) $%d", vector, PARAM_CONJUNCTS + i);
}

static void
append_places(StringInfo sql, const SearchTable *table, Relation rel)
{
	appendStringInfo(sql, " AND forge_comm.search_places(%s, %s, %s, %s) OPERATOR(forge_comm.<@) $%d",
					 column(rel, table->created_at), id_or_none(rel, table->workspace, "0"),
					 column(rel, table->channel), id_or_none(rel, table->author, "NULL"), PARAM_PLACES + 1);
}

static SPIPlanPtr
prepare(const char *sql, int n, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare_cursor(sql, n, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare search: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

SPIPlanPtr
search_plan(SearchTable *table, Relation rel, int nparts, bool by_places)
{
	SPIPlanPtr *plan = &table->plans[by_places][nparts];
	Oid types[NUM_PARAMS] = { TSQUERYOID, TIMESTAMPTZOID, INT8OID, INT8ARRAYOID, INT8OID, INT8OID, INT8ARRAYOID };
	const char *at = column(rel, table->created_at);
	const char *id = column(rel, table->key);
	StringInfoData sql;

	if (*plan)
		return *plan;
	for (int i = PARAM_CONJUNCTS; i < NUM_PARAMS; i++)
		types[i] = TSQUERYOID;
	types[PARAM_TIME] = TupleDescAttr(RelationGetDescr(rel), table->created_at - 1)->atttypid;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT m, %s, CAST(%s AS pg_catalog.int8), CAST(%s AS pg_catalog.text) FROM %s AS m WHERE ",
					 at, id, column(rel, table->body), table_name(table->relid));
	append_words(&sql, table, rel, nparts);
	if (by_places)
		append_places(&sql, table, rel);
	appendStringInfo(&sql, " AND (%s, %s) OPERATOR(pg_catalog.<=) ($2, $3)", at, id);
	if (table->deleted_at)
		appendStringInfo(&sql, " AND %s IS NULL", column(rel, table->deleted_at));
	appendStringInfo(&sql, " AND ($4 IS NULL OR %s OPERATOR(pg_catalog.=) ANY ($4))", column(rel, table->channel));
	if (table->author)
		appendStringInfo(&sql, " AND ($5 IS NULL OR %s OPERATOR(pg_catalog.=) $5)", column(rel, table->author));
	appendStringInfo(&sql, " ORDER BY %s DESC, %s DESC LIMIT $6", at, id);
	*plan = prepare(sql.data, by_places ? PARAM_PLACES + Max(nparts, 1) : PARAM_PLACES, types);
	return *plan;
}

SPIPlanPtr
channels_plan(SearchTable *table)
{
	Oid type = INT8ARRAYOID;

	if (table->visible == NULL && OidIsValid(table->channels))
		table->visible = prepare(psprintf("SELECT pg_catalog.count(*) FROM %s AS c WHERE c.%s OPERATOR(pg_catalog.=) ANY ($1)",
										  table_name(table->channels),
										  quote_identifier(get_attname(table->channels, table->channels_key, false))),
								 1, &type);
	return table->visible;
}

/* --------------------------------------------------------------- statistics */

PG_FUNCTION_INFO_V1(forge_comm_settle_search_index);

/*
 * settle_search_index(index): for this session, too, its columns have no
 * statistics from now on.
 */
Datum
forge_comm_settle_search_index(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation index;

	if (get_rel_relkind(relid) != RELKIND_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the index of search is not an index"),
				 errhint("Call forge_comm.enable_search().")));
	if (!compat_owns_table(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(relid));
	index = index_open(relid, AccessShareLock);
	compat_stop_statistics(index);
	index_close(index, NoLock);
	PG_RETURN_VOID();
}
