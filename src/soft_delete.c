/*
 * soft_delete.c
 *		DELETE marks a row instead of removing it.
 *
 * A planner hook turns the DELETE, after rewriting and row security, into an
 * UPDATE that sets the mark on live rows.  Policies, privileges and the
 * command tag stay those of a DELETE.  Behind it stands a trigger that
 * refuses the physical deletes which nothing here has asked for.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "compat.h"
#include "context.h"
#include "options.h"
#include "rules.h"
#include "purge.h"
#include "soft_delete.h"
#include "statements.h"

static bool allow_hard_delete = false;
static planner_hook_type previous_planner = NULL;

/* --------------------------------------------------------------- rewriting */

/* SET column = value, the value as the column's type. */
static TargetEntry *
set_column(Query *query, Relation rel, AttrNumber attnum, Expr *value)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Oid type = exprType((Node *) value);
	Node *coerced = coerce_to_target_type(NULL, (Node *) value, type,
										  attr->atttypid, attr->atttypmod,
										  COERCION_ASSIGNMENT,
										  COERCE_IMPLICIT_CAST, -1);

	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" has type %s",
						NameStr(attr->attname), RelationGetRelationName(rel),
						format_type_be(attr->atttypid)),
				 errhint("Soft delete would write a value of type %s.",
						 format_type_be(type))));
	compat_mark_updated(query, rt_fetch(query->resultRelation, query->rtable), attnum);
	return makeTargetEntry((Expr *) coerced, attnum, pstrdup(NameStr(attr->attname)),
						   false);
}

static Expr *
call(Oid function, Oid result)
{
	return (Expr *) makeFuncExpr(function, result, NIL, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * One id for all rows of the statement: a subquery of its own, which runs once
 * whatever becomes of the rest of the plan.
 */
static Expr *
new_deletion_id(Query *query)
{
	Query *subquery = makeNode(Query);
	SubLink *link = makeNode(SubLink);
	Expr *id = call(own_function("new_deletion_id", 0, NULL), UUIDOID);

	subquery->commandType = CMD_SELECT;
	subquery->canSetTag = true;
	subquery->targetList = list_make1(makeTargetEntry(id, 1, pstrdup("id"), false));
	subquery->jointree = makeFromExpr(NIL, NULL);
	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) subquery;
	link->location = -1;
	query->hasSubLinks = true;
	return (Expr *) link;
}

static int
by_column(const ListCell *a, const ListCell *b)
{
	return lfirst_node(TargetEntry, a)->resno - lfirst_node(TargetEntry, b)->resno;
}

/* The SET list of a soft delete, in the order of the columns. */
static List *
marks(Query *query, Relation rel, const SoftDeleteRule *rule)
{
	List *list = list_make1(set_column(query, rel, rule->deleted_at,
									   call(F_NOW, TIMESTAMPTZOID)));

	if (rule->deleted_by)
		list = lappend(list, set_column(query, rel, rule->deleted_by,
										call(own_function("current_user_id", 0, NULL),
											 INT8OID)));
	if (rule->is_active)
		list = lappend(list, set_column(query, rel, rule->is_active,
										(Expr *) makeBoolConst(false, false)));
	if (rule->deletion_id)
		list = lappend(list, set_column(query, rel, rule->deletion_id, new_deletion_id(query)));
	list_sort(list, by_column);
	return list;
}

/* The given condition, for live rows only. */
static Node *
among_the_living(Query *query, Relation rel, const SoftDeleteRule *rule, Node *condition)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), rule->deleted_at - 1);
	NullTest *alive = makeNode(NullTest);

	alive->arg = (Expr *) makeVar(query->resultRelation, attr->attnum, attr->atttypid,
								  attr->atttypmod, attr->attcollation, 0);
	alive->nulltesttype = IS_NULL;
	alive->location = -1;
	return make_and_qual(condition, (Node *) alive);
}

static void
soften_delete(Query *query, Relation rel, const SoftDeleteRule *rule)
{
	query->commandType = CMD_UPDATE;
	query->targetList = marks(query, rel, rule);
	query->jointree->quals = among_the_living(query, rel, rule, query->jointree->quals);
}

/*
 * WHEN ... THEN DELETE.  Its rows must still pass what the policies ask of a
 * delete; the executor would now skip those checks, so they are made checks
 * of the updates.
 */
static void
soften_merge(Query *query, Relation rel, const SoftDeleteRule *rule)
{
	ListCell *cell;

	foreach(cell, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, cell);

		if (action->commandType != CMD_DELETE)
			continue;
		action->commandType = CMD_UPDATE;
		action->targetList = marks(query, rel, rule);
		action->qual = among_the_living(query, rel, rule, action->qual);
	}
	foreach(cell, query->withCheckOptions)
	{
		WithCheckOption *check = lfirst_node(WithCheckOption, cell);

		if (check->kind == WCO_RLS_MERGE_DELETE_CHECK)
			check->kind = WCO_RLS_MERGE_UPDATE_CHECK;
	}
}

/* ------------------------------------------------------------ deletion ids */

static Var *
old_value(Query *query, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	return makeVar(query->resultRelation, attnum, attr->atttypid, attr->atttypmod,
				   attr->attcollation, 0);
}

static NullTest *
is_null(Expr *value)
{
	NullTest *test = makeNode(NullTest);

	test->arg = value;
	test->nulltesttype = IS_NULL;
	test->location = -1;
	return test;
}

static CaseWhen *
when(NullTest *test, Expr *result)
{
	CaseWhen *arm = makeNode(CaseWhen);

	arm->expr = (Expr *) test;
	arm->result = result;
	arm->location = -1;
	return arm;
}

static TargetEntry *
entry_for(List *list, AttrNumber attnum)
{
	ListCell *cell;

	foreach(cell, list)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resno == attnum && !entry->resjunk)
			return entry;
	}
	return NULL;
}

/*
 * A SET list of the user's: the id of a deletion is ours to give, so that
 * nobody's row can pass for part of somebody else's deletion. A row that gets
 * its mark gets an id, one that loses it loses that, and others keep theirs.
 */
static List *
keep_deletion_id(Query *query, Relation rel, const SoftDeleteRule *rule, List *list)
{
	TargetEntry *mark = entry_for(list, rule->deleted_at);
	TargetEntry *id = entry_for(list, rule->deletion_id);
	Expr *kept = (Expr *) old_value(query, rel, rule->deletion_id);

	if (mark)
	{
		CaseExpr *choice = makeNode(CaseExpr);

		choice->casetype = UUIDOID;
		choice->args = list_make2(
			when(is_null(copyObject(mark->expr)), (Expr *) makeNullConst(UUIDOID, -1, InvalidOid)),
			when(is_null((Expr *) old_value(query, rel, rule->deleted_at)), new_deletion_id(query)));
		choice->defresult = kept;
		choice->location = -1;
		kept = (Expr *) choice;
	}
	if (id)
		id->expr = kept;
	else if (mark)
	{
		list = lappend(list, makeTargetEntry(kept, rule->deletion_id,
											 pstrdup(get_attname(RelationGetRelid(rel), rule->deletion_id, false)),
											 false));
		list_sort(list, by_column);
	}
	return list;
}

/* The same wherever a query has such a list. */
static void
keep_deletion_ids(Query *query, Relation rel, const SoftDeleteRule *rule)
{
	ListCell *cell;

	if (query->commandType == CMD_UPDATE)
		query->targetList = keep_deletion_id(query, rel, rule, query->targetList);
	if (query->onConflict)
		query->onConflict->onConflictSet = keep_deletion_id(query, rel, rule,
															query->onConflict->onConflictSet);
	foreach(cell, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, cell);

		if (action->commandType == CMD_UPDATE)
			action->targetList = keep_deletion_id(query, rel, rule, action->targetList);
	}
}

/*
 * May soft delete be enabled?  That is seen without a look at the other rules,
 * one of which may be broken: only what uses that one is to fail.
 */
static bool
may_be_soft(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (strcmp(triggers->triggers[i].tgname, "forge_comm_soft_delete") == 0)
			return true;
	}
	return false;
}

/*
 * Soften a query that deletes from a table where that is enabled.  Others may
 * write the mark themselves.  One that reads like a referential action must be
 * one, or stays soft.
 */
static bool
soften_query(Query *query, bool like_action)
{
	bool deletes = query->commandType == CMD_DELETE;
	RangeTblEntry *rte;
	Relation rel;
	const SoftDeleteRule *rule = NULL;

	if (query->resultRelation == 0 ||
		(query->commandType == CMD_INSERT && query->onConflict == NULL))
		return false;
	rte = rt_fetch(query->resultRelation, query->rtable);
	if (rte->rtekind != RTE_RELATION ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE))
		return false;

	rel = table_open(rte->relid, NoLock);
	if (may_be_soft(rel) && !(like_action && by_referential_action(rel)))
		rule = rules_of(rel)->soft_delete;
	if (rule && rule->deletion_id)
		keep_deletion_ids(query, rel, rule);
	if (rule && deletes)
		soften_delete(query, rel, rule);
	else if (rule && query->commandType == CMD_MERGE)
		soften_merge(query, rel, rule);
	table_close(rel, NoLock);
	return rule != NULL && deletes;
}

/*
 * Does this read like the query of a referential action?  Those stay physical,
 * since a key that cascades must leave no dangling row behind.  They run with
 * row security off; but so do the triggers that they fire, whose queries do
 * not begin as the action's own does.
 */
static bool
is_like_referential_action(const char *query_string)
{
	return InNoForceRLSOperation() && query_string != NULL &&
		   (strncmp(query_string, "DELETE FROM ONLY \"", 18) == 0 ||
			strncmp(query_string, "DELETE FROM \"", 13) == 0) &&
		   strstr(query_string, "\" WHERE $1") != NULL;
}

/*
 * The plan counts as a DELETE all the same, so that the command tag, SPI's
 * result and the like do; only its ModifyTable node knows better.
 */
static PlannedStmt *
soft_delete_planner(Query *query, const char *query_string, int cursor_options,
					ParamListInfo params)
{
	bool softened = false;
	PlannedStmt *plan;

	if (!allow_hard_delete && !is_own_statement(query_string))
	{
		ListCell *cell;

		foreach(cell, query->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

			if (IsA(cte->ctequery, Query))
				soften_query((Query *) cte->ctequery, false);
		}
		softened = soften_query(query, is_like_referential_action(query_string));
	}

	plan = previous_planner ?
			   previous_planner(query, query_string, cursor_options, params) :
			   standard_planner(query, query_string, cursor_options, params);
	if (softened)
		plan->commandType = CMD_DELETE;
	return plan;
}

/* ---------------------------------------------------------------- guarding */

/*
 * The rows that updates are about to write.  Should one move its row to
 * another partition, the row's removal from the old one follows.  Triggers in
 * between may update other rows, so that the last one alone would not do.
 */
#define UPDATES_REMEMBERED 16

static struct
{
	Oid relid;
	ItemPointerData tid;
	LocalTransactionId transaction;
} updated[UPDATES_REMEMBERED];

static int next_updated = 0;

static void
remember_update(TriggerData *trigger)
{
	updated[next_updated].relid = RelationGetRelid(trigger->tg_relation);
	updated[next_updated].tid = trigger->tg_trigtuple->t_self;
	updated[next_updated].transaction = compat_local_xid();
	next_updated = (next_updated + 1) % UPDATES_REMEMBERED;
}

static bool
is_partition_move(TriggerData *trigger)
{
	for (int i = 0; i < UPDATES_REMEMBERED; i++)
	{
		if (updated[i].relid == RelationGetRelid(trigger->tg_relation) &&
			ItemPointerEquals(&updated[i].tid, &trigger->tg_trigtuple->t_self) &&
			updated[i].transaction == compat_local_xid())
		{
			updated[i].relid = InvalidOid;
			return true;
		}
	}
	return false;
}

static void
refuse_delete(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of table \"%s\" are soft-deleted only, and this DELETE would remove them",
					RelationGetRelationName(rel)),
			 errdetail("It was planned as a physical one, such as before the library of forge_comm was loaded."),
			 errhint("Repeat the command, and set session_preload_libraries to 'forge_comm'.")));
}

static void
refuse_truncate(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of table \"%s\" are soft-deleted only, and TRUNCATE would remove them",
					RelationGetRelationName(rel)),
			 errhint("Use DELETE. To remove rows for good CALL forge_comm.purge(), or let a superuser set forge_comm.allow_hard_delete.")));
}

PG_FUNCTION_INFO_V1(forge_comm_soft_delete_guard);

/*
 * Trigger: BEFORE DELETE OR UPDATE FOR EACH ROW, with the arguments
 * "deleted_at=..." and perhaps "deleted_by=...", "is_active=...",
 * "deletion_id=..." and "cascade=false", and BEFORE TRUNCATE.  The planner
 * hook reads those arguments; the trigger is the net under it.
 */
Datum
forge_comm_soft_delete_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigger->tg_event) == TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("soft_delete_guard() must be called by a BEFORE trigger of enable_soft_delete()"),
				 errhint("Call forge_comm.enable_soft_delete().")));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		if (!allow_hard_delete)
			refuse_truncate(trigger->tg_relation);
		PG_RETURN_POINTER(NULL);
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		remember_update(trigger);
		PG_RETURN_POINTER(trigger->tg_newtuple);
	}
	if (!is_partition_move(trigger) &&
		!count_purged(trigger->tg_relation, trigger->tg_trigtuple) &&
		!allow_hard_delete && !by_referential_action(trigger->tg_relation))
		refuse_delete(trigger->tg_relation);
	PG_RETURN_POINTER(trigger->tg_trigtuple);
}

/* Plans made under the other setting must not be used again. */
static void
assign_allow_hard_delete(bool newval, void *extra)
{
	if (newval != allow_hard_delete)
		ResetPlanCache();
}

void
soft_delete_init(void)
{
	DefineCustomBoolVariable("forge_comm.allow_hard_delete",
							 "Lets DELETE and TRUNCATE remove rows of soft-deleted tables.",
							 "The emergency door.",
							 &allow_hard_delete, false, PGC_SUSET, 0,
							 NULL, assign_allow_hard_delete, NULL);
	previous_planner = planner_hook;
	planner_hook = soft_delete_planner;

	/* plans made before the hook was there delete for good: plan them again */
	ResetPlanCache();
}
