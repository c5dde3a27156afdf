/*
 * in_workspace.c
 *		The test in the policies of tenancy, with its planner support.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "context.h"
#include "founding.h"
#include "lookup.h"
#include "options.h"
#include "rules.h"

PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int8);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int4);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int2);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_or_new_int8);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_or_new_int4);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_or_new_int2);

/*
 * in_workspace(id): is the workspace in scope?  One function for each width,
 * since behind a cast the planner would not find the index column.
 */
Datum
forge_comm_in_workspace_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(context_allows(PG_GETARG_INT64(0)));
}

Datum
forge_comm_in_workspace_int4(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(context_allows(PG_GETARG_INT32(0)));
}

Datum
forge_comm_in_workspace_int2(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(context_allows(PG_GETARG_INT16(0)));
}

/*
 * in_workspace(id, founded_in): is it in scope, or just being made in that
 * table by a user who may?
 */
static bool
in_workspace_or_new(int64 workspace, Oid founded_in)
{
	return context_allows(workspace) || founding_is_new(founded_in, workspace);
}

Datum
forge_comm_in_workspace_or_new_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(in_workspace_or_new(PG_GETARG_INT64(0), PG_GETARG_OID(1)));
}

Datum
forge_comm_in_workspace_or_new_int4(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(in_workspace_or_new(PG_GETARG_INT32(0), PG_GETARG_OID(1)));
}

Datum
forge_comm_in_workspace_or_new_int2(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(in_workspace_or_new(PG_GETARG_INT16(0), PG_GETARG_OID(1)));
}

/* How many ids are looked up in the statistics; the rest is extrapolated. */
#define MOST_ESTIMATED 100

/* The share of rows whose column equals one id. */
static Selectivity
id_selectivity(SupportRequestSelectivity *req, Node *column, int64 id)
{
	Oid type = exprType(column);
	int16 length = get_typlen(type);
	Const *constant;

	if (!id_fits(id, type))
		return 0.0;
	constant = makeConst(type, -1, InvalidOid, length, id_to_datum(id, type), false, true);
	return restriction_selectivity(req->root,
								   get_opfamily_member(INTEGER_BTREE_FAM_OID, type, type,
													   BTEqualStrategyNumber),
								   list_make2(column, constant),
								   InvalidOid, req->varRelid);
}

/* The column that a condition like "column = 7" binds; 0 if it binds none. */
static AttrNumber
bound_column(Node *condition, int varno)
{
	List *args;

	if (!is_opclause(condition) || get_oprrest(((OpExpr *) condition)->opno) != F_EQSEL)
		return InvalidAttrNumber;
	args = ((OpExpr *) condition)->args;
	if (!IsA(linitial(args), Var) || linitial_node(Var, args)->varno != varno ||
		!is_pseudo_constant_clause(lsecond(args)))
		return InvalidAttrNumber;
	return Max(linitial_node(Var, args)->varattno, InvalidAttrNumber);
}

/* Does the column belong to a key into a table under row security? */
static bool
leads_to_guarded_table(Relation rel, AttrNumber column)
{
	List *keys = copyObject(RelationGetFKeyList(rel));
	ListCell *cell;
	bool leads = false;

	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);
		HeapTuple parent = SearchSysCache1(RELOID, ObjectIdGetDatum(info->confrelid));

		if (!HeapTupleIsValid(parent))
			continue;
		for (int i = 0; i < info->nkeys; i++)
			leads |= info->conkey[i] == column &&
					 ((Form_pg_class) GETSTRUCT(parent))->relrowsecurity;
		ReleaseSysCache(parent);
	}
	list_free_deep(keys);
	return leads;
}

/*
 * The column by which a query asks for the rows of one parent, such as a
 * channel; 0 if it asks for none.  Those rows all have the parent's workspace,
 * so that in_workspace() leaves out all of them or none.
 */
static AttrNumber
parent_column(PlannerInfo *root, Node *argument)
{
	int varno = IsA(argument, Var) ? ((Var *) argument)->varno : 0;
	RelOptInfo *rel;
	Relation table;
	ListCell *cell;
	AttrNumber found = InvalidAttrNumber;

	if (root == NULL || varno <= 0 || varno >= root->simple_rel_array_size)
		return InvalidAttrNumber;
	rel = root->simple_rel_array[varno];
	if (rel == NULL || rel->rtekind != RTE_RELATION)
		return InvalidAttrNumber;
	table = table_open(planner_rt_fetch(varno, root)->relid, NoLock);
	foreach(cell, rel->baserestrictinfo)
	{
		Node *condition = (Node *) lfirst_node(RestrictInfo, cell)->clause;
		AttrNumber column = bound_column(condition, varno);

		if (column && leads_to_guarded_table(table, column))
			found = column;
	}
	table_close(table, NoLock);
	return found;
}

/* Is there an index that finds rows by this column? */
static bool
has_index_on(RelOptInfo *rel, AttrNumber column)
{
	ListCell *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->indexkeys[0] == column && (index->indpred == NIL || index->predOK))
			return true;
	}
	return false;
}

/*
 * The share of rows in scope: that of each workspace, added up.  Within one
 * parent it is all of them; the planner, who takes conditions for independent,
 * would expect next to none, and sort a channel rather than read its page in
 * order.
 */
static Selectivity
scope_selectivity(SupportRequestSelectivity *req)
{
	Node *column = linitial(req->args);
	const int64 *ids;
	int n = context_workspaces(&ids);
	int estimated = Min(n, MOST_ESTIMATED);
	Selectivity sum = 0.0;

	if (context_is_everywhere() || parent_column(req->root, column))
		return 1.0;
	if (n == 0)
	{
		/* planned ahead of any context: as for one workspace among many */
		VariableStatData vardata;
		bool isdefault;

		examine_variable(req->root, column, req->varRelid, &vardata);
		sum = 1.0 / Max(get_variable_numdistinct(&vardata, &isdefault), 1.0);
		ReleaseVariableStats(vardata);
		return sum;
	}
	for (int i = 0; i < estimated; i++)
		sum += id_selectivity(req, column, ids[i]);
	return sum * n / estimated;
}

/*
 * column = ANY (workspace_ids()), which is exactly what in_workspace(column)
 * says.  Only for the leading column: there PostgreSQL keeps the order of an
 * array scan, on a later one it would believe an order that is not there.
 * With everything in scope there is no list and so no condition; plans do not
 * survive that difference (see assign_context).  Nor is there one where an
 * index finds the rows of one parent: to intersect those with the workspace's
 * is work for nothing, which the planner takes for a gain.
 */
static List *
index_condition(SupportRequestIndexCondition *req)
{
	Node *column;
	AttrNumber parent;
	Oid equals;
	ScalarArrayOpExpr *condition;

	if (!is_funcclause(req->node) || req->indexarg != 0 || req->indexcol != 0 ||
		req->index->relam != BTREE_AM_OID ||
		req->opfamily != INTEGER_BTREE_FAM_OID || context_is_everywhere())
		return NIL;

	column = linitial(((FuncExpr *) req->node)->args);
	parent = parent_column(req->root, column);
	if (parent && has_index_on(req->index->rel, parent))
		return NIL;
	equals = get_opfamily_member(req->opfamily, exprType(column), INT8OID,
								 BTEqualStrategyNumber);
	if (!OidIsValid(equals))
		return NIL;

	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = equals;
	condition->opfuncid = get_opcode(equals);
	condition->useOr = true;
	condition->args = list_make2(column,
								 makeFuncExpr(own_function("workspace_ids", 0, NULL),
											  INT8ARRAYOID, NIL, InvalidOid,
											  InvalidOid, COERCE_EXPLICIT_CALL));
	condition->location = -1;
	req->lossy = false;
	return list_make1(condition);
}

PG_FUNCTION_INFO_V1(forge_comm_in_workspace_support);

Datum
forge_comm_in_workspace_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *req = (SupportRequestSelectivity *) request;

		if (req->is_join)
			PG_RETURN_POINTER(NULL);
		req->selectivity = scope_selectivity(req);
		CLAMP_PROBABILITY(req->selectivity);
		PG_RETURN_POINTER(req);
	}
	if (IsA(request, SupportRequestIndexCondition))
		PG_RETURN_POINTER(index_condition((SupportRequestIndexCondition *) request));
	PG_RETURN_POINTER(NULL);
}
