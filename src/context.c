/*
 * context.c
 *		Who is asking: the workspaces and the user of the transaction.
 *
 * The context is carried by one string GUC.  That way savepoints, the end of
 * the transaction, DISCARD ALL and parallel workers treat it as they should.
 * What sets it apart from other GUCs is its check hook: the only values taken
 * are the empty one, our setter's, and those that a starting parallel worker
 * gets from its leader.
 *
 * How the value is written is in context_text.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "context.h"
#include "context_text.h"
#include "memberships.h"

#define GUC_NAME "forge_comm.context"

typedef enum MissingContext
{
	MISSING_ERROR,
	MISSING_EMPTY
} MissingContext;

static const struct config_enum_entry missing_context_options[] = {
	{ "error", MISSING_ERROR, false },
	{ "empty", MISSING_EMPTY, false },
	{ NULL, 0, false }
};

static char *context_string = NULL;
static int missing_context = MISSING_ERROR;
static bool allow_bypass_role = false;

static const Context *current = NULL; /* NULL: there is no context */
static bool setting = false; /* the value being set is our own */
static int dropped_at = 0; /* nest level at which somebody reset it, or 0 */
static uint64 generation = 0; /* counts changes of the context */

/* --------------------------------------------------------------- carrying */

/* May a value come from whoever gives this one? */
static bool
context_authorised(void)
{
	return setting || InitializingParallelWorker;
}

static bool
check_context(char **newval, void **extra, GucSource source)
{
	*extra = NULL;
	if (*newval == NULL || **newval == '\0')
		return true;
	if (!context_authorised())
	{
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("parameter \"%s\" cannot be set directly", GUC_NAME);
		GUC_check_errhint("Call forge_comm.set_context().");
		return false;
	}
	*extra = context_parse(*newval);
	return *extra != NULL;
}

/*
 * Plans may hold an index condition on the ids in scope, which says nothing
 * where the scope is everything; so plans do not outlive that difference.
 */
static void
assign_context(const char *newval, void *extra)
{
	const Context *old = current;

	current = extra;
	generation++;
	if ((old && old->everywhere) != (current && current->everywhere))
		ResetPlanCache();
	if (old && !current && !setting && IsTransactionState())
		dropped_at = dropped_at ? dropped_at : GetCurrentTransactionNestLevel();
}

static void
forget_dropped(XactEvent event, void *arg)
{
	dropped_at = 0;
}

/* What happened in a subtransaction is undone with it. */
static void
undo_dropped(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB && dropped_at >= level)
		dropped_at = 0;
	else if (event == SUBXACT_EVENT_COMMIT_SUB && dropped_at == level)
		dropped_at = level - 1;
}

static void
carry_context(const Context *context, bool is_local)
{
	char *value = context_format(context);

	setting = true;
	PG_TRY();
	{
		(void) set_config_option(GUC_NAME, value, PGC_USERSET, PGC_S_SESSION,
								 is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		setting = false;
	}
	PG_END_TRY();
	pfree(value);
}

/* ---------------------------------------------------------------- reading */

static const Context *
context_or_error(void)
{
	if (current == NULL && missing_context == MISSING_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("there is no workspace context"),
				 errhint("Call forge_comm.set_context(user_id => ..., workspace_id => ...) first, in each transaction.")));
	return current;
}

/* The place of a workspace in the scope; -1 if it is not there. */
static int
scope_position(const Context *context, int64 workspace)
{
	int low = 0;
	int high = context->nworkspaces - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;

		if (context->workspaces[middle] == workspace)
			return middle;
		if (context->workspaces[middle] < workspace)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return -1;
}

static bool
in_scope(const Context *context, int64 workspace)
{
	return context->everywhere || scope_position(context, workspace) >= 0;
}

bool
context_is_everywhere(void)
{
	return current && current->everywhere;
}

bool
context_bypassed(void)
{
	return has_bypassrls_privilege(GetUserId());
}

bool
by_referential_action(Relation rel)
{
	return InNoForceRLSOperation() && GetUserId() == rel->rd_rel->relowner;
}

void
context_guard_truncate(Relation rel)
{
	if (context_is_everywhere() || context_bypassed())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\" holds rows of all workspaces and cannot be truncated",
					RelationGetRelationName(rel)),
			 errhint("Delete the rows, or call forge_comm.set_service_context() first.")));
}

void
context_require(void)
{
	(void) context_or_error();
}

bool
context_allows(int64 workspace)
{
	const Context *context = context_or_error();

	return context && in_scope(context, workspace);
}

int
context_workspaces(const int64 **ids)
{
	*ids = current ? current->workspaces : NULL;
	return current ? current->nworkspaces : 0;
}

bool
context_pinned(int64 *workspace)
{
	if (current == NULL || current->everywhere || current->nworkspaces != 1)
		return false;
	*workspace = current->workspaces[0];
	return true;
}

bool
context_user(int64 *user)
{
	if (current == NULL || !current->has_user)
		return false;
	*user = current->user;
	return true;
}

uint64
context_generation(void)
{
	return generation;
}

const char *
context_service_reason(void)
{
	return current ? current->reason : NULL;
}

/* ---------------------------------------------------------------- setting */

/* One answer for "no such workspace" and "not yours". */
static void
refuse_workspace(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the workspace does not exist or is not in scope"),
			 errhint("Name a workspace of which the user is an active member, within the scope that this transaction already has.")));
}

static void
refuse_widening(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the context can only be narrowed in a transaction"),
			 errhint("End this transaction, and for a session context call RESET forge_comm.context, then set the new one.")));
}

/*
 * A role that row security does not bind gets no context: it would suggest an
 * enforcement that is not there.
 */
static void
check_may_set(void)
{
	if (!allow_bypass_role && context_bypassed())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a role that bypasses row security cannot have a context"),
				 errdetail("Nothing would be enforced for a superuser or a role with BYPASSRLS."),
				 errhint("Connect as an application role.")));
	if (dropped_at && current == NULL)
		refuse_widening();
}

static Context *
new_context(int nworkspaces)
{
	Context *context = palloc0(sizeof(Context));

	context->workspaces = palloc(Max(nworkspaces, 1) * sizeof(int64));
	context->roles = palloc(Max(nworkspaces, 1) * sizeof(char *));
	return context;
}

/* The same user goes on in a narrower scope. */
static void
keep_user(Context *context)
{
	context->has_user = current->has_user;
	context->user = current->user;
	context->founded = current->founded;
	context->nfounded = current->nfounded;
}

static void
add_workspace(Context *context, int64 workspace, const char *role)
{
	context->workspaces[context->nworkspaces] = workspace;
	context->roles[context->nworkspaces++] = role;
}

/* What of a user's memberships is in the scope that stands. */
static Context *
scope_of_memberships(const Membership *memberships, int n)
{
	Context *context = new_context(n);

	for (int i = 0; i < n; i++)
	{
		if (current == NULL || in_scope(current, memberships[i].workspace))
			add_workspace(context, memberships[i].workspace, memberships[i].role);
	}
	return context;
}

static Context *
scope_of_workspace(int64 workspace, const char *role)
{
	Context *context = new_context(1);

	if (current && !in_scope(current, workspace))
		refuse_workspace();
	add_workspace(context, workspace, role);
	return context;
}

/* The scope that a user's memberships give, as a whole or for one workspace. */
static Context *
scope_from_table(bool has_user, int64 user, bool has_workspace, int64 workspace)
{
	Membership *memberships;
	int n;

	if (!has_user)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("user_id must not be null"),
				 errhint("Memberships are registered, so the scope follows from the user.")));
	n = memberships_of(user, &memberships);
	if (!has_workspace)
		return scope_of_memberships(memberships, n);
	for (int i = 0; i < n; i++)
	{
		if (memberships[i].workspace == workspace)
			return scope_of_workspace(workspace, memberships[i].role);
	}
	refuse_workspace();
	return NULL;
}

static Context *
scope_on_trust(bool has_workspace, int64 workspace)
{
	if (!has_workspace)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("workspace_id must not be null"),
				 errhint("Name the workspace, or register the table of memberships with forge_comm.use_memberships().")));
	return scope_of_workspace(workspace, "");
}

PG_FUNCTION_INFO_V1(forge_comm_set_context);
PG_FUNCTION_INFO_V1(forge_comm_pin_workspace);
PG_FUNCTION_INFO_V1(forge_comm_set_service_context);

/* set_context(user_id, workspace_id, is_local) */
Datum
forge_comm_set_context(PG_FUNCTION_ARGS)
{
	bool has_user = !PG_ARGISNULL(0);
	bool has_workspace = !PG_ARGISNULL(1);
	int64 user = has_user ? PG_GETARG_INT64(0) : 0;
	int64 workspace = has_workspace ? PG_GETARG_INT64(1) : 0;
	Context *context;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("is_local must not be null"),
				 errhint("Pass true for this transaction, false for the session.")));
	check_may_set();

	/* what is set within a transaction must not outlive it by way of another */
	if (current && !PG_GETARG_BOOL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a session context can only be set where there is no context"),
				 errhint("Call RESET forge_comm.context first, outside of the transaction.")));
	if (current && !current->reason &&
		(has_user != current->has_user || user != current->user))
		refuse_widening();

	context = memberships_registered() ?
				  scope_from_table(has_user, user, has_workspace, workspace) :
				  scope_on_trust(has_workspace, workspace);
	if (current && !current->reason)
		keep_user(context);
	context->has_user = has_user;
	context->user = user;
	carry_context(context, PG_GETARG_BOOL(2));
	PG_RETURN_VOID();
}

/* pin_workspace(workspace_id): narrow the scope to one workspace. */
Datum
forge_comm_pin_workspace(PG_FUNCTION_ARGS)
{
	const Context *old = current;
	Context *context;
	int64 workspace;
	int position;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("workspace_id must not be null"),
				 errhint("Name the workspace to narrow the scope to.")));
	if (old == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("there is no workspace context to narrow"),
				 errhint("Call forge_comm.set_context() first.")));

	workspace = PG_GETARG_INT64(0);
	position = scope_position(old, workspace);
	context = scope_of_workspace(workspace, position < 0 ? "" : old->roles[position]);
	keep_user(context);
	context->reason = old->reason;
	carry_context(context, true);
	PG_RETURN_VOID();
}

/* set_service_context(reason): all workspaces, for jobs and migrations. */
Datum
forge_comm_set_service_context(PG_FUNCTION_ARGS)
{
	Context *context = new_context(0);

	if (PG_ARGISNULL(0) || VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("reason must not be null or empty"),
				 errhint("Say what the service context is for.")));
	check_may_set();
	if (current && !current->everywhere)
		refuse_widening();

	context->reason = text_to_cstring(PG_GETARG_TEXT_PP(0));
	context->everywhere = true;
	carry_context(context, true);
	PG_RETURN_VOID();
}

/* --------------------------------------------------------------- founding */

/* A user founds things; a service has all of them anyway. */
bool
context_can_found(void)
{
	return current && current->has_user && !current->everywhere;
}

/* Take a workspace that did not exist into scope, until the transaction ends. */
void
context_found_workspace(int64 workspace)
{
	Context *context;
	int n = 0;

	if (!context_can_found() || in_scope(current, workspace))
		return;
	context = new_context(current->nworkspaces + 1);
	for (; n < current->nworkspaces && current->workspaces[n] < workspace; n++)
		add_workspace(context, current->workspaces[n], current->roles[n]);
	add_workspace(context, workspace, context_founder);
	for (; n < current->nworkspaces; n++)
		add_workspace(context, current->workspaces[n], current->roles[n]);
	keep_user(context);
	carry_context(context, true);
}

/* Rows are mostly made one after the other, with ids that follow each other. */
static void
add_founded(Context *context, Oid relid, int64 id)
{
	FoundedRows *latest = &context->founded[context->nfounded - 1];

	if (context->nfounded > 0 && latest->relid == relid && latest->last < id &&
		latest->last + 1 == id)
		latest->last = id;
	else
		context->founded[context->nfounded++] = (FoundedRows){
			.relid = relid,
			.first = id,
			.last = id
		};
}

/* Remember who made a row, until the transaction ends. */
void
context_found_row(Oid relid, int64 id)
{
	Context context;
	FoundedRows *founded;

	if (!context_can_found() || context_founded(relid, id))
		return;
	founded = palloc((current->nfounded + 1) * sizeof(FoundedRows));
	if (current->nfounded > 0)
		memcpy(founded, current->founded, current->nfounded * sizeof(FoundedRows));
	context = *current;
	context.founded = founded;
	add_founded(&context, relid, id);
	carry_context(&context, true);
	pfree(founded);
}

bool
context_founded(Oid relid, int64 id)
{
	for (int i = 0; current && i < current->nfounded; i++)
	{
		const FoundedRows *rows = &current->founded[i];

		if (rows->relid == relid && rows->first <= id && id <= rows->last)
			return true;
	}
	return false;
}

/* -------------------------------------------------------------- accessors */

PG_FUNCTION_INFO_V1(forge_comm_current_user_id);
PG_FUNCTION_INFO_V1(forge_comm_current_workspace_id);
PG_FUNCTION_INFO_V1(forge_comm_workspace_ids);
PG_FUNCTION_INFO_V1(forge_comm_has_role);
PG_FUNCTION_INFO_V1(forge_comm_context);

/* current_user_id() */
Datum
forge_comm_current_user_id(PG_FUNCTION_ARGS)
{
	int64 user;

	if (!context_user(&user))
		PG_RETURN_NULL();
	PG_RETURN_INT64(user);
}

/* current_workspace_id(): the workspace, if the scope holds just one. */
Datum
forge_comm_current_workspace_id(PG_FUNCTION_ARGS)
{
	int64 workspace;

	if (!context_pinned(&workspace))
		PG_RETURN_NULL();
	PG_RETURN_INT64(workspace);
}

static Datum
workspaces_array(const Context *context)
{
	int n = context ? context->nworkspaces : 0;
	Datum *ids = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		ids[i] = Int64GetDatum(context->workspaces[i]);
	return PointerGetDatum(construct_array(ids, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * workspace_ids(): the scope as an array.  Index conditions are made of it,
 * so where the scope has no list an error must keep rows from going missing.
 */
Datum
forge_comm_workspace_ids(PG_FUNCTION_ARGS)
{
	const Context *context = context_or_error();

	if (context && context->everywhere)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a service context has no list of workspaces"),
				 errhint("Call forge_comm.in_workspace(), or set the service context in a statement of its own, before the query.")));
	PG_RETURN_DATUM(workspaces_array(context));
}

/* has_role(workspace_id, VARIADIC roles): from the context, without a query. */
Datum
forge_comm_has_role(PG_FUNCTION_ARGS)
{
	const Context *context = context_or_error();
	Datum *roles;
	bool *nulls;
	int n;
	int position;

	if (context == NULL)
		PG_RETURN_BOOL(false);
	if (context->everywhere)
		PG_RETURN_BOOL(true);
	position = scope_position(context, PG_GETARG_INT64(0));
	if (position >= 0 && context->roles[position] == context_founder)
		PG_RETURN_BOOL(true);
	if (position < 0 || context->roles[position][0] == '\0')
		PG_RETURN_BOOL(false);

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &roles, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i] &&
			strcmp(TextDatumGetCString(roles[i]), context->roles[position]) == 0)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

PG_FUNCTION_INFO_V1(forge_comm_in_service_context);

/* in_service_context(): is every workspace in scope? */
Datum
forge_comm_in_service_context(PG_FUNCTION_ARGS)
{
	const Context *context = context_or_error();

	PG_RETURN_BOOL(context && context->everywhere);
}

/* context(): all of it, for people to look at; nulls where there is none. */
Datum
forge_comm_context(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[4] = { 0 };
	bool nulls[4] = { true, true, true, true };

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (current && current->has_user)
	{
		values[0] = Int64GetDatum(current->user);
		nulls[0] = false;
	}
	if (current && !current->everywhere)
	{
		int n = current->nworkspaces;
		Datum *roles = palloc(Max(n, 1) * sizeof(Datum));

		for (int i = 0; i < n; i++)
			roles[i] = CStringGetTextDatum(current->roles[i]);
		values[1] = workspaces_array(current);
		values[2] = PointerGetDatum(construct_array(roles, n, TEXTOID, -1, false,
													TYPALIGN_INT));
		nulls[1] = nulls[2] = false;
	}
	if (current && current->reason)
	{
		values[3] = CStringGetTextDatum(current->reason);
		nulls[3] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

void
context_init(void)
{
	DefineCustomStringVariable(GUC_NAME,
							   "Who is asking: the user and the workspaces in scope.",
							   "Set by forge_comm.set_context() and its kin only.",
							   &context_string, "", PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_context, assign_context, NULL);
	DefineCustomEnumVariable("forge_comm.missing_context",
							 "What a query on guarded tables gets without a context.",
							 "\"error\" says what to call; \"empty\" shows no rows.",
							 &missing_context, MISSING_ERROR, missing_context_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("forge_comm.allow_bypass_role",
							 "Lets roles that bypass row security have a context.",
							 "Nothing is enforced for them all the same.",
							 &allow_bypass_role, false, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	RegisterXactCallback(forget_dropped, NULL);
	RegisterSubXactCallback(undo_dropped, NULL);
}
