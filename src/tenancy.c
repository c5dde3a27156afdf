/*
 * tenancy.c
 *		Rows belong to a workspace: the test in their policies, with its
 *		planner support, and the trigger that guards their writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "context.h"
#include "rules.h"

/* ------------------------------------------------------------ in_workspace */

PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int8);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int4);
PG_FUNCTION_INFO_V1(forge_comm_in_workspace_int2);

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

/* How many ids are looked up in the statistics; the rest is extrapolated. */
#define MOST_ESTIMATED 100

/* The share of rows whose column equals one id. */
static Selectivity
id_selectivity(SupportRequestSelectivity *req, Node *column, int64 id)
{
	Oid			type = exprType(column);
	int16		length = get_typlen(type);
	Const	   *constant;

	if (!id_fits(id, type))
		return 0.0;
	constant = makeConst(type, -1, InvalidOid, length, id_to_datum(id, type), false, true);
	return restriction_selectivity(req->root,
								   get_opfamily_member(INTEGER_BTREE_FAM_OID, type, type,
													   BTEqualStrategyNumber),
								   list_make2(column, constant),
								   InvalidOid, req->varRelid);
}

/* The share of rows in scope: that of each workspace, added up. */
static Selectivity
scope_selectivity(SupportRequestSelectivity *req)
{
	Node	   *column = linitial(req->args);
	const int64 *ids;
	int			n = context_workspaces(&ids);
	int			estimated = Min(n, MOST_ESTIMATED);
	Selectivity sum = 0.0;

	if (context_is_everywhere())
		return 1.0;
	if (n == 0)
	{
		/* planned ahead of any context: as for one workspace among many */
		VariableStatData vardata;
		bool		isdefault;

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
 * survive that difference (see assign_context).
 */
static List *
index_condition(SupportRequestIndexCondition *req)
{
	Node	   *column;
	Oid			operator;
	ScalarArrayOpExpr *condition;

	if (!is_funcclause(req->node) || req->indexarg != 0 || req->indexcol != 0 ||
		req->index->relam != BTREE_AM_OID ||
		req->opfamily != INTEGER_BTREE_FAM_OID || context_is_everywhere())
		return NIL;

	column = linitial(((FuncExpr *) req->node)->args);
	operator = get_opfamily_member(req->opfamily, exprType(column), INT8OID,
								   BTEqualStrategyNumber);
	if (!OidIsValid(operator))
		return NIL;

	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = operator;
	condition->opfuncid = get_opcode(operator);
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
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

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

/* ------------------------------------------------------------ tenancy_guard */

/*
 * The workspaces of parents met earlier in the statement.  A row never
 * changes its workspace and the foreign key itself sees to it that the parent
 * is still there when the statement ends, so what was found stays true.
 */
#define PARENT_SLOTS 256

typedef struct ParentSlot
{
	Oid			constraint;		/* InvalidOid: unused */
	Datum		key;
	int64		workspace;
} ParentSlot;

typedef struct GuardState
{
	Relation	rel;
	TupleDesc	desc;
	const TenancyRule *rule;
	bool		bypassed;		/* row security does not bind the role */
	ParentSlot *parents;
} GuardState;

static ParentSlot *
parent_slots(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
								   PARENT_SLOTS * sizeof(ParentSlot));
	return (ParentSlot *) fcinfo->flinfo->fn_extra;
}

/* Word for word what the foreign key says of a parent that does not exist. */
static void
refuse_reference(const GuardState *guard, const ForeignKey *key)
{
	char	   *constraint = get_constraint_name(key->constraint);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(guard->rel), constraint),
			 errdetail("Key is not present in table \"%s\".",
					   get_rel_name(key->parent.relid)),
			 errtableconstraint(guard->rel, constraint)));
}

/* The values of a foreign key; false if one is null and nothing is referenced. */
static bool
key_values(const GuardState *guard, HeapTuple tuple, const ForeignKey *key, Datum *values)
{
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		bool		isnull;

		values[i] = heap_getattr(tuple, key->columns[i], guard->desc, &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/* The workspace of the row referenced, which must exist. */
static int64
parent_workspace(GuardState *guard, const ForeignKey *key, const Datum *values)
{
	bool		simple = key->parent.nkeys == 1 && is_id_type(key->parent.argtypes[0]);
	ParentSlot *slot = &guard->parents[(uint64) values[0] % PARENT_SLOTS];
	int64		workspace;
	bool		isnull;

	if (simple && slot->constraint == key->constraint && slot->key == values[0])
		return slot->workspace;

	if (!lookup_column(&key->parent, values, SnapshotSelf, key->parent_workspace,
					   &workspace, &isnull) || isnull)
		refuse_reference(guard, key);

	if (simple)
	{
		slot->constraint = key->constraint;
		slot->key = values[0];
		slot->workspace = workspace;
	}
	return workspace;
}

/*
 * May the row be in this workspace?  The policies ask again, but they come
 * too late: the references are looked at first, and whether those were right
 * or wrong must not show for a workspace that is not in scope.
 */
static bool
may_write_to(const GuardState *guard, int64 workspace)
{
	return guard->bypassed || context_allows(workspace);
}

/* The workspace for a row that names none. */
static int64
missing_workspace(GuardState *guard, HeapTuple tuple)
{
	const ForeignKey *via = &guard->rule->via_key;
	Datum		value;
	int64		workspace;

	if (guard->rule->via && key_values(guard, tuple, via, &value))
	{
		if (!guard->bypassed)
			context_require();
		workspace = parent_workspace(guard, via, &value);
		if (!may_write_to(guard, workspace))
			refuse_reference(guard, via);
		return workspace;
	}
	if (!context_pinned(&workspace))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a row of table \"%s\" belongs to no workspace",
						RelationGetRelationName(guard->rel)),
				 errhint("Give column \"%s\" a value, or narrow the context to one workspace with forge_comm.pin_workspace().",
						 NameStr(TupleDescAttr(guard->desc, guard->rule->workspace - 1)->attname)),
				 errtablecol(guard->rel, guard->rule->workspace)));
	return workspace;
}

/* Does an update leave the columns of a foreign key as they were? */
static bool
same_key(const GuardState *guard, const ForeignKey *key, HeapTuple old, HeapTuple new)
{
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(guard->desc, key->columns[i] - 1);
		bool		oldnull,
					newnull;
		Datum		oldvalue = heap_getattr(old, attr->attnum, guard->desc, &oldnull);
		Datum		newvalue = heap_getattr(new, attr->attnum, guard->desc, &newnull);

		if (oldnull != newnull ||
			(!newnull && !datum_image_eq(oldvalue, newvalue, attr->attbyval, attr->attlen)))
			return false;
	}
	return true;
}

/*
 * Every row referenced must be of the row's own workspace.  Referential
 * checks bypass row security, so nobody else asks.
 */
static void
check_references(GuardState *guard, HeapTuple old, HeapTuple new, int64 workspace)
{
	for (int i = 0; i < guard->rule->nreferences; i++)
	{
		const ForeignKey *key = &guard->rule->references[i];
		Datum		values[INDEX_MAX_KEYS];

		if (old && same_key(guard, key, old, new))
			continue;
		if (key_values(guard, new, key, values) &&
			parent_workspace(guard, key, values) != workspace)
			refuse_reference(guard, key);
	}
}

/* A row that is new, or had no workspace until now. */
static HeapTuple
guard_insert(GuardState *guard, HeapTuple new)
{
	const TenancyRule *rule = guard->rule;
	bool		isnull;
	Datum		value = heap_getattr(new, rule->workspace, guard->desc, &isnull);
	int64		workspace;

	if (isnull)
	{
		int			attnum = rule->workspace;
		bool		setnull = false;

		workspace = missing_workspace(guard, new);
		value = id_to_datum(workspace, rule->workspace_type);
		new = heap_modify_tuple_by_cols(new, guard->desc, 1, &attnum, &value, &setnull);
	}
	else
	{
		workspace = id_from_datum(value, rule->workspace_type);
		if (!may_write_to(guard, workspace))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("new row violates row-level security policy for table \"%s\"",
							RelationGetRelationName(guard->rel))));
	}
	check_references(guard, NULL, new, workspace);
	return new;
}

static void
refuse_move(const GuardState *guard)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a row of table \"%s\" cannot change its workspace",
					RelationGetRelationName(guard->rel)),
			 errhint("Insert a copy there, and delete the row here.")));
}

static HeapTuple
guard_update(GuardState *guard, HeapTuple old, HeapTuple new)
{
	AttrNumber	attnum = guard->rule->workspace;
	bool		oldnull,
				newnull;
	Datum		oldvalue = heap_getattr(old, attnum, guard->desc, &oldnull);
	Datum		newvalue = heap_getattr(new, attnum, guard->desc, &newnull);

	if (oldnull)
		return guard_insert(guard, new);
	if (newnull || oldvalue != newvalue)
		refuse_move(guard);
	check_references(guard, old, new, id_from_datum(newvalue, guard->rule->workspace_type));
	return new;
}

/* TRUNCATE asks no policy, so it is for those who see everything. */
static void
guard_truncate(Relation rel)
{
	if (context_is_everywhere() || context_bypassed())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\" holds rows of all workspaces and cannot be truncated",
					RelationGetRelationName(rel)),
			 errhint("Delete the rows, or call forge_comm.set_service_context() first.")));
}

PG_FUNCTION_INFO_V1(forge_comm_tenancy_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the arguments
 * "workspace_column=..." and perhaps "via=...", and BEFORE TRUNCATE.
 *
 * Fills the workspace of a row that names none, from the row that "via"
 * references or from the pinned workspace.  A row keeps its workspace, and
 * references rows of its own workspace only.
 */
Datum
forge_comm_tenancy_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	GuardState	guard;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy_guard() must be called by a BEFORE trigger"),
				 errhint("Call forge_comm.enable_tenancy().")));
	guard.rel = trigger->tg_relation;
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		guard_truncate(guard.rel);
		PG_RETURN_POINTER(NULL);
	}

	guard.desc = RelationGetDescr(guard.rel);
	guard.rule = rules_of(guard.rel)->tenancy;
	/* referential actions are exempt from policies, and so from ours */
	guard.bypassed = context_bypassed() || InNoForceRLSOperation();
	guard.parents = parent_slots(fcinfo);
	if (guard.rule == NULL || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy_guard() must be called by the row trigger \"forge_comm_tenancy\""),
				 errhint("Call forge_comm.enable_tenancy().")));

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		PG_RETURN_POINTER(guard_update(&guard, trigger->tg_trigtuple,
									   trigger->tg_newtuple));
	PG_RETURN_POINTER(guard_insert(&guard, trigger->tg_trigtuple));
}

/* ----------------------------------------------------------------- backfill */

PG_FUNCTION_INFO_V1(forge_comm_in_transaction_block);

/* in_transaction_block(): would a procedure be unable to commit? */
Datum
forge_comm_in_transaction_block(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(IsTransactionBlock());
}

/* Fill the rows of a range of blocks that have no workspace yet. */
static char *
backfill_query(Oid relid, const TenancyRule *rule, int64 first, int64 past)
{
	const ForeignKey *via = &rule->via_key;
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query,
					 "UPDATE ONLY %s AS child SET %s = parent.%s FROM %s AS parent"
					 " WHERE child.ctid >= '(" INT64_FORMAT ",0)' AND child.ctid < '(" INT64_FORMAT ",0)'"
					 " AND child.%s IS NULL AND parent.%s = child.%s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)),
					 quote_identifier(get_attname(relid, rule->workspace, false)),
					 quote_identifier(get_attname(via->parent.relid, via->parent_workspace, false)),
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(via->parent.relid)),
												get_rel_name(via->parent.relid)),
					 first, past,
					 quote_identifier(get_attname(relid, rule->workspace, false)),
					 quote_identifier(get_attname(via->parent.relid, via->parent.attnums[0], false)),
					 quote_identifier(get_attname(relid, rule->via, false)));
	return query.data;
}

/*
 * Run a query as the owner of a table, who is exempt from its policies, with
 * its triggers off: to fill in what follows from other columns is no change
 * that stamps, histories or foreign keys should notice.
 */
static int64
run_unnoticed(const char *query, Oid owner)
{
	Oid			user;
	int			security;
	int			nestlevel = NewGUCNestLevel();
	int64		processed;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	SPI_connect();
	if (SPI_execute(query, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "backfill failed: %s", query);
	processed = SPI_processed;
	SPI_finish();

	AtEOXact_GUC(true, nestlevel);
	SetUserIdAndSecContext(user, security);
	return processed;
}

PG_FUNCTION_INFO_V1(forge_comm_backfill_blocks);

/*
 * backfill_blocks(rel, first, past): give the rows in blocks [first, past)
 * the workspace of their parents.  Returns how many rows that were.
 */
Datum
forge_comm_backfill_blocks(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	const TenancyRule *rule = rules_of(rel)->tenancy;
	int64		filled;

	if (!compat_owns_table(RelationGetRelid(rel)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
	if (rule == NULL || rule->via == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" gets its workspaces through no other table",
						RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_tenancy() with the argument \"via\".")));

	filled = run_unnoticed(backfill_query(RelationGetRelid(rel), rule,
										  PG_GETARG_INT64(1), PG_GETARG_INT64(2)),
						   rel->rd_rel->relowner);
	table_close(rel, NoLock);
	PG_RETURN_INT64(filled);
}
