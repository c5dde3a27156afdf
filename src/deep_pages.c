/*
 * deep_pages.c
 *		The page after very many others, without reading those.
 *
 * OFFSET reads what it passes over.  Fences tell how much of that lies between
 * places of the channel, in the reader's own snapshot and exactly, so that the
 * first message of the page is found at once; the query begins there, and still
 * decides by itself what the reader sees.  Where that is not certain to be all
 * messages of a channel or none, there is no such shortcut.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "context.h"
#include "deep_pages.h"
#include "fences.h"
#include "messages.h"

/* What is asked for, and in which state of the world. */
typedef struct Request
{
	Oid relid;
	int64 channel;
	int64 offset; /* messages before the page */
} Request;

/* Where to begin, if that was found, and what to pass over from there on. */
typedef struct Anchor
{
	bool found;
	Place place;
	int64 rest;
} Anchor;

/* At most one message is there, and it is passed over. */
static const Anchor past_the_end = { true, { PG_INT64_MIN, PG_INT64_MIN }, 1 };

/* The tables that an answer is found in. */
typedef struct Search
{
	Relation rel;
	const DeepPagesRule *rule;
	int64 channel;
	Snapshot snapshot;
	PlaceIndex messages;
	PlaceIndex fences;
	PlaceIndex changes;
	int64 left; /* messages still to pass over */
} Search;

/* ---------------------------------------------------------------- policies */

static bool
policy_is_for(const RowSecurityPolicy *policy, Oid user)
{
	Datum *roles;
	int n;

	if (policy->polcmd != '*' && policy->polcmd != ACL_SELECT_CHR)
		return false;
	deconstruct_array(policy->roles, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &roles, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		Oid role = DatumGetObjectId(roles[i]);

		if (role == ACL_ID_PUBLIC || has_privs_of_role(user, role))
			return true;
	}
	return false;
}

/* The columns in which all messages of a channel agree, as pull_varattnos() has them. */
static Bitmapset *
columns_of_channel(const Search *search)
{
	const TenancyRule *tenancy = rules_of(search->rel)->tenancy;
	TupleDesc desc = RelationGetDescr(search->rel);
	Bitmapset *columns = bms_make_singleton(search->rule->channel - FirstLowInvalidHeapAttributeNumber);

	if (tenancy && tenancy->via == search->rule->channel &&
		TupleDescAttr(desc, tenancy->workspace - 1)->attnotnull)
		columns = bms_add_member(columns, tenancy->workspace - FirstLowInvalidHeapAttributeNumber);
	return columns;
}

/* Does a policy say the same of all messages of a channel? */
static bool
policy_is_uniform(const RowSecurityPolicy *policy, const Bitmapset *columns)
{
	Bitmapset *used = NULL;

	if (policy->hassublinks || policy->qual == NULL || contain_volatile_functions((Node *) policy->qual))
		return false;
	pull_varattnos((Node *) policy->qual, 1, &used);
	return bms_is_subset(used, columns);
}

/* Do all policies for the reader say the same of all messages of a channel? */
static bool
policies_are_uniform(const Search *search)
{
	Bitmapset *columns = columns_of_channel(search);
	ListCell *cell;

	if (row_security_policy_hook_permissive || row_security_policy_hook_restrictive)
		return false;
	foreach(cell, search->rel->rd_rsdesc->policies)
	{
		const RowSecurityPolicy *policy = lfirst(cell);

		if (policy_is_for(policy, GetUserId()) && !policy_is_uniform(policy, columns))
			return false;
	}
	return true;
}

static bool
policy_allows(const RowSecurityPolicy *policy, EState *estate, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(estate);
	ExprState *state = ExecPrepareExpr(copyObject(policy->qual), estate);
	bool isnull;
	Datum allowed;

	context->ecxt_scantuple = slot;
	allowed = ExecEvalExprSwitchContext(state, context, &isnull);
	return !isnull && DatumGetBool(allowed);
}

/* Do the policies let the reader see this message, as the query would? */
static bool
policies_allow(const Search *search, TupleTableSlot *slot)
{
	EState *estate = CreateExecutorState();
	bool permitted = false;
	bool restricted = false;
	ListCell *cell;

	foreach(cell, search->rel->rd_rsdesc->policies)
	{
		const RowSecurityPolicy *policy = lfirst(cell);

		if (!policy_is_for(policy, GetUserId()))
			continue;
		if (!policy->permissive)
			restricted |= !policy_allows(policy, estate, slot);
		else if (!permitted)
			permitted = policy_allows(policy, estate, slot);
	}
	FreeExecutorState(estate);
	return permitted && !restricted;
}

/*
 * May the reader see all messages of the channel of this one, rather than some
 * or none?
 */
static bool
sees_channel(const Search *search, TupleTableSlot *slot)
{
	return check_enable_rls(RelationGetRelid(search->rel), InvalidOid, true) != RLS_ENABLED ||
		   (policies_are_uniform(search) && policies_allow(search, slot));
}

/* ------------------------------------------------------------------ fences */

/* The changes of a channel, the newest first, one ahead. */
typedef struct Changes
{
	PlaceScan scan;
	bool more;
	Place place;
} Changes;

static void
changes_begin(Changes *changes, const Search *search, const Place *from)
{
	places_begin(&changes->scan, &search->changes, search->snapshot, &search->channel, true, from);
	changes->more = places_next(&changes->scan, &changes->place);
}

/* Their sum down to before a place, or of all that are left. */
static int64
changes_until(Changes *changes, const Place *until)
{
	int64 sum = 0;

	while (changes->more && (until == NULL || place_compare(&changes->place, until) > 0))
	{
		sum += fence_number(&changes->scan, CHANGE_N);
		changes->more = places_next(&changes->scan, &changes->place);
	}
	return sum;
}

/* Go down from fence to fence of a level, for as long as all is passed over. */
static Place
descend(Search *search, FenceLevel level, Place from)
{
	const int64 prefix[] = { search->channel, level };
	PlaceScan scan;
	Changes changes;
	Place next;

	places_begin(&scan, &search->fences, search->snapshot, prefix, true, &from);
	changes_begin(&changes, search, &from);
	if (places_next(&scan, &from))
	{
		int64 n = fence_number(&scan, FENCE_N);

		while (places_next(&scan, &next))
		{
			n += changes_until(&changes, &next);
			if (n > search->left)
				break;
			search->left -= n;
			from = next;
			n = fence_number(&scan, FENCE_N);
		}
	}
	places_end(&scan);
	places_end(&changes.scan);
	return from;
}

/* ---------------------------------------------------------------- messages */

/* The message after those to pass over, from a place on. */
static Anchor
pass_over(Search *search, const Place *from)
{
	PlaceScan scan;
	Anchor anchor = { .found = false };

	places_begin(&scan, &search->messages, search->snapshot, &search->channel, true, from);
	while (!anchor.found && places_next(&scan, &anchor.place))
		anchor.found = message_is_live(&scan, search->rule) && search->left-- == 0;
	places_end(&scan);
	return anchor.found ? anchor : past_the_end;
}

/*
 * Pass over the messages above the newest fence.  If the page begins among
 * them, "begin" is where.  False if the reader does not see the channel.
 */
static bool
pass_over_head(Search *search, const Place *top, bool *within, Place *begin)
{
	PlaceScan scan;
	bool first = true;
	bool seen = false;

	*within = false;
	places_begin(&scan, &search->messages, search->snapshot, &search->channel, true, NULL);
	while (places_next(&scan, begin))
	{
		if (!message_is_live(&scan, search->rule))
			continue;
		if (first && !(seen = sees_channel(search, scan.slot)))
			break;
		first = false;
		if (place_compare(begin, top) <= 0)
			break;
		if (search->left == 0)
		{
			*within = true;
			break;
		}
		search->left--;
	}
	places_end(&scan);
	return seen;
}

/* Find the first message of the page by the fences, if there are good ones. */
static Anchor
search_anchor(Search *search)
{
	Anchor anchor = { .found = false };
	Place mark;
	Place top;
	int64 stamp;
	int64 n;
	bool within;

	if (!newest_fence(&search->fences, search->snapshot, search->channel, LEVEL_MARK,
					  &mark, FENCE_STAMP, &stamp) ||
		stamp != fence_stamp(search->rel, search->rule) ||
		!newest_fence(&search->fences, search->snapshot, search->channel, LEVEL_GROUP,
					  &top, FENCE_N, &n) ||
		!pass_over_head(search, &top, &within, &anchor.place))
		return anchor;

	anchor.found = true;
	if (within)
		return anchor;
	top = descend(search, LEVEL_GROUP, top);
	top = descend(search, LEVEL_BLOCK, top);
	return pass_over(search, &top);
}

/* Can the rows of the table be told from its own index, and no other's? */
static bool
is_alone(const Search *search)
{
	TupleDesc desc = RelationGetDescr(search->rel);

	return search->rel->rd_rel->relkind == RELKIND_RELATION && !search->rel->rd_rel->relhassubclass &&
		   TupleDescAttr(desc, search->rule->created_at - 1)->attnotnull &&
		   TupleDescAttr(desc, search->rule->key - 1)->attnotnull;
}

static Anchor
open_and_search(Relation rel, const Request *request)
{
	Search search = {
		.rel = rel,
		.rule = rules_of(rel)->deep_pages,
		.channel = request->channel,
		.snapshot = GetActiveSnapshot(),
		.left = request->offset
	};
	Anchor anchor = { .found = false };

	if (search.rule == NULL || !is_alone(&search) ||
		!page_index_open(rel, search.rule, &search.messages))
		return anchor;
	fences_open(search.rule, AccessShareLock, &search.fences);
	fence_changes_open(search.rule, AccessShareLock, &search.changes);
	anchor = search_anchor(&search);
	places_close(&search.changes);
	places_close(&search.fences);
	index_close(search.messages.index, NoLock);
	return anchor;
}

/*
 * Find the first message of a page.  Within a trigger some rows may be there
 * of which the change is not yet noted.
 */
static Anchor
find_anchor(const Request *request)
{
	Anchor anchor = { .found = false };
	bool is_missing = false;
	Relation rel;

	if (!ActiveSnapshotSet() || DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > 0 ||
		pg_class_aclcheck_ext(request->relid, GetUserId(), ACL_SELECT, &is_missing) != ACLCHECK_OK ||
		is_missing || get_rel_relkind(request->relid) != RELKIND_RELATION)
		return anchor;
	rel = try_table_open(request->relid, AccessShareLock);
	if (rel)
	{
		anchor = open_and_search(rel, request);
		table_close(rel, NoLock);
	}
	return anchor;
}

/* -------------------------------------------------------------- one answer */

/*
 * A page is asked for several times: how to limit the scan by time and by id,
 * what to pass over, and by the planner.  Each gets the same answer, for as
 * long as nothing that it depends on has changed.
 */
typedef struct Asked
{
	Request request;
	LocalTransactionId transaction;
	TimestampTz statement;
	CommandId command;
	TransactionId xmin;
	TransactionId xmax;
	uint32 running;
	int32 running_subtransactions;
	Oid user;
	bool row_security;
	uint64 context;
} Asked;

#define ANSWERS_KEPT 8

static struct
{
	Asked asked;
	Anchor anchor;
} kept[ANSWERS_KEPT];
static int next_kept = 0;

static Asked
asked_now(const Request *request)
{
	Snapshot snapshot = GetActiveSnapshot();
	Asked asked = {
		.request = *request,
		.transaction = compat_local_xid(),
		.statement = GetCurrentStatementStartTimestamp(),
		.command = snapshot->curcid,
		.xmin = snapshot->xmin,
		.xmax = snapshot->xmax,
		.running = snapshot->xcnt,
		.running_subtransactions = snapshot->subxcnt,
		.user = GetUserId(),
		.row_security = row_security,
		.context = context_generation()
	};

	return asked;
}

static bool
same_request(const Request *left, const Request *right)
{
	return left->relid == right->relid && left->channel == right->channel &&
		   left->offset == right->offset;
}

static bool
same_asked(const Asked *left, const Asked *right)
{
	return same_request(&left->request, &right->request) &&
		   left->transaction == right->transaction && left->statement == right->statement &&
		   left->command == right->command && left->xmin == right->xmin &&
		   left->xmax == right->xmax && left->running == right->running &&
		   left->running_subtransactions == right->running_subtransactions &&
		   left->user == right->user && left->row_security == right->row_security &&
		   left->context == right->context;
}

static Anchor
answer(const Request *request)
{
	Asked asked = asked_now(request);
	Anchor anchor;

	for (int i = 0; i < ANSWERS_KEPT; i++)
	{
		if (same_asked(&kept[i].asked, &asked))
			return kept[i].anchor;
	}
	anchor = find_anchor(request);
	kept[next_kept].asked = asked;
	kept[next_kept].anchor = anchor;
	next_kept = (next_kept + 1) % ANSWERS_KEPT;
	return anchor;
}

/* What a subtransaction saw of its own is gone, and may be there no more. */
static void
forget_answers(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		memset(kept, 0, sizeof(kept));
}

/* --------------------------------------------------------------- functions */

/* Passing over fewer messages than this is quick enough. */
#define SHALLOW_PAGES 500

/* The numbers are checked whatever the channel. */
static Anchor
ask(FunctionCallInfo fcinfo)
{
	Anchor none = { .found = false };
	Request request = { .offset = page_offset(fcinfo, 2, 3) };

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || request.offset < SHALLOW_PAGES || !ActiveSnapshotSet())
		return none;
	request.relid = PG_GETARG_OID(0);
	request.channel = PG_GETARG_INT64(1);
	return answer(&request);
}

PG_FUNCTION_INFO_V1(forge_comm_page_time);
PG_FUNCTION_INFO_V1(forge_comm_page_id);
PG_FUNCTION_INFO_V1(forge_comm_page_rest);

/* page_time(rel, channel, page, per_page), as timestamptz or as timestamp */
Datum
forge_comm_page_time(PG_FUNCTION_ARGS)
{
	Anchor anchor = ask(fcinfo);

	PG_RETURN_TIMESTAMPTZ(anchor.found ? anchor.place.at : DT_NOEND);
}

/* page_id(rel, channel, page, per_page) */
Datum
forge_comm_page_id(PG_FUNCTION_ARGS)
{
	Anchor anchor = ask(fcinfo);

	PG_RETURN_INT64(anchor.found ? anchor.place.id : PG_INT64_MAX);
}

/* page_rest(rel, channel, page, per_page) */
Datum
forge_comm_page_rest(PG_FUNCTION_ARGS)
{
	Anchor anchor = ask(fcinfo);

	PG_RETURN_INT64(anchor.found ? anchor.rest : page_offset(fcinfo, 2, 3));
}

void
deep_pages_init(void)
{
	RegisterSubXactCallback(forget_answers, NULL);
}
