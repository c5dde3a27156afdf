/*
 * conditions.c
 *		A condition over the rows of a table, evaluated without a query.
 *
 * It is held to built-in functions: it runs wherever a policy is checked, with
 * the rights of whoever queries, so nobody's code may come in by it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "conditions.h"

struct Condition
{
	ExprState *state;
	ExprContext *econtext;
	TupleTableSlot *slot;
};

static bool
function_is_foreign(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Does an expression run code that did not come with PostgreSQL? */
static bool
runs_foreign_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, function_is_foreign, context))
		return true;
	return expression_tree_walker(node, runs_foreign_code, context);
}

/* The one expression that the text holds, or an error. */
static Node *
raw_expression(Relation rel, const char *option, const char *text)
{
	List *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;

	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1 ||
		select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->sortClause || select->limitOffset ||
		select->limitCount || select->lockingClause || select->withClause ||
		select->op != SETOP_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"%s\" must be one boolean expression", option),
				 errhint("Write it over the columns of table \"%s\", such as \"deleted_at IS NULL\".",
						 RelationGetRelationName(rel))));
	return linitial_node(ResTarget, select->targetList)->val;
}

/* The expression as the parser sees it in the table's own scope. */
static Node *
parse_condition(Relation rel, const char *option, const char *text)
{
	Node *raw = raw_expression(rel, option, text);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node *node;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	node = transformExpr(pstate, raw, EXPR_KIND_CHECK_CONSTRAINT);
	node = coerce_to_boolean(pstate, node, option);
	assign_expr_collations(pstate, node);
	return node;
}

/* What a condition is parsed for, to be told of in its errors. */
typedef struct Source
{
	Relation rel;
	const char *option;
} Source;

static void
explain_error(void *arg)
{
	Source *source = (Source *) arg;

	errcontext("condition \"%s\" over table \"%s\"", source->option,
			   RelationGetRelationName(source->rel));
	if (geterrcode() == ERRCODE_UNDEFINED_COLUMN)
		errhint("Name a column of the table. If one was renamed, enable the capability anew under the new name.");
}

/* The same with only pg_catalog in the search path. */
static Node *
parse_safely(Relation rel, const char *option, const char *text)
{
	int nestlevel = NewGUCNestLevel();
	Source source = { .rel = rel, .option = option };
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = explain_error,
		.arg = &source
	};
	Node *node;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	error_context_stack = &callback;
	node = parse_condition(rel, option, text);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, nestlevel);

	if (runs_foreign_code(node, NULL) || contain_volatile_functions(node))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("\"%s\" may only use built-in functions that are not volatile", option),
				 errhint("Keep the state in a column of table \"%s\".",
						 RelationGetRelationName(rel))));
	return node;
}

Condition *
condition_prepare(Relation rel, const char *option, const char *text)
{
	Condition *condition = palloc(sizeof(Condition));
	Expr *expr = expression_planner((Expr *) parse_safely(rel, option, text));

	condition->state = ExecInitExpr(expr, NULL);
	condition->econtext = CreateStandaloneExprContext();
	/* with the values of columns that were added to older rows without touching them */
	condition->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
											   &TTSOpsHeapTuple);
	return condition;
}

static bool
evaluate(Condition *condition, HeapTuple tuple, bool *isnull)
{
	ExprContext *econtext = condition->econtext;
	Datum value;

	econtext->ecxt_scantuple = ExecStoreHeapTuple(tuple, condition->slot, false);
	value = ExecEvalExprSwitchContext(condition->state, econtext, isnull);
	ExecClearTuple(condition->slot);
	ResetExprContext(econtext);
	return !*isnull && DatumGetBool(value);
}

bool
condition_is_true(Condition *condition, HeapTuple tuple)
{
	bool isnull;

	return evaluate(condition, tuple, &isnull);
}

bool
condition_is_false(Condition *condition, HeapTuple tuple)
{
	bool isnull;
	bool value = evaluate(condition, tuple, &isnull);

	return !isnull && !value;
}
