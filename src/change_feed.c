/*
 * change_feed.c
 *		What a client is told of the changes since it was told last.
 *
 * New is what the token's frontier does not see and the query's does.  Most of
 * it has ids above the last one that was given out when the token was made;
 * what has lower ones is of transactions that were running then, and found by
 * their numbers.  So a transaction that takes long costs a walk nothing, and
 * is told when it commits.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "change_log.h"
#include "change_scan.h"
#include "change_tokens.h"
#include "changes.h"
#include "context.h"
#include "cursors.h"
#include "memberships.h"
#include "message_errors.h"
#include "options.h"
#include "privacy.h"

#define MOST_CHANGES 1000

/*
 * Lines that a call looks at, at most: a user who may see few of a workspace's
 * channels has to go on with another call rather than to wait.
 */
#define MOST_LINES 20000

/* One call. */
typedef struct Feed
{
	ReturnSetInfo *result;
	int rows;
	Relation log;
	Oid channels; /* the table under privacy, or InvalidOid */
	bool has_user;
	int64 user; /* 0 if there is none */
	int nworkspaces;
	int64 *workspaces; /* in scope, ascending */
	int64 epoch; /* of tokens */
	int64 line_epoch;
	ChangeToken token; /* how far the client had been told */
	Frontier now;
	int limit;
	int told;
	uint64 floor; /* transactions before this one are no longer in the log */
	bool reset; /* something cannot be told line by line */
} Feed;

/* The columns of the result. */
enum
{
	TOLD_N,
	TOLD_KIND,
	TOLD_WORKSPACE,
	TOLD_CHANNEL,
	TOLD_MESSAGE,
	TOLD_USER,
	TOLD_EMOJI,
	TOLD_CHANGED_AT,
	TOLD_SHOWN, /* the message, where it is told only if it is to be seen */
	TOLD_CONTENT, /* and told itself */
	TOLD_TOKEN,
	NUM_TOLD
};

/* ----------------------------------------------------------------- telling */

/* A row of the result in the making. */
typedef struct Told
{
	Datum values[NUM_TOLD];
	bool nulls[NUM_TOLD];
} Told;

static Told
told_begin(Feed *feed, const char *kind)
{
	Told told;

	memset(told.nulls, true, sizeof(told.nulls));
	told.values[TOLD_N] = Int32GetDatum(++feed->rows);
	told.nulls[TOLD_N] = false;
	told.values[TOLD_KIND] = CStringGetTextDatum(kind);
	told.nulls[TOLD_KIND] = false;
	told.values[TOLD_CONTENT] = BoolGetDatum(false);
	told.nulls[TOLD_CONTENT] = false;
	return told;
}

static void
told_put(Told *told, int column, bool given, Datum value)
{
	told->values[column] = value;
	told->nulls[column] = !given;
}

static void
told_end(Feed *feed, Told *told)
{
	tuplestore_putvalues(feed->result->setResult, feed->result->setDesc, told->values, told->nulls);
}

/* The last row: whether there is more, and the token for the next call. */
static void
tell_token(Feed *feed, const char *kind, ChangeToken *token)
{
	Told told = told_begin(feed, kind);

	token->epoch = feed->epoch;
	told_put(&told, TOLD_TOKEN, true, PointerGetDatum(token_encode(feed->user, token)));
	told_end(feed, &told);
}

/* The client is up to date, with the workspaces that are in scope now. */
static void
tell_end(Feed *feed, const char *kind, const Frontier *seen)
{
	ChangeToken token = { .nworkspaces = feed->nworkspaces, .workspaces = feed->workspaces, .seen = *seen };

	tell_token(feed, kind, &token);
}

static void
tell_workspace(Feed *feed, const char *kind, int64 workspace)
{
	Told told = told_begin(feed, kind);

	told_put(&told, TOLD_WORKSPACE, true, Int64GetDatum(workspace));
	told_end(feed, &told);
}

static bool
may_see_channel(const Feed *feed, const ChangeLine *line)
{
	return !OidIsValid(feed->channels) || !line->given[CHANGE_CHANNEL] ||
		   privacy_allows(feed->channels, line->ids[CHANGE_CHANNEL]);
}

/* As what a line is told to the user, who may see its channel or not; or NULL. */
static const char *
told_as(ChangeKind kind, bool visible)
{
	switch (kind)
	{
		case CHANGE_LEFT:
			return visible ? "left" : "access_lost";
		case CHANGE_CLOSED:
			return visible ? NULL : "access_lost";
		case CHANGE_OPENED:
			return visible ? "access_gained" : NULL;
		case CHANGE_RESET:
		case CHANGE_MARK:
		case CHANGE_FLOOR:
		case NUM_CHANGE_KINDS:
			return NULL;
		default:
			return visible ? change_kind_name(kind) : NULL;
	}
}

static bool
is_content(ChangeKind kind)
{
	return kind == CHANGE_INSERTED || kind == CHANGE_EDITED || kind == CHANGE_RESTORED;
}

static bool
is_reaction(ChangeKind kind)
{
	return kind == CHANGE_REACTION_ADDED || kind == CHANGE_REACTION_REMOVED;
}

static void
tell_line(Feed *feed, const ChangeLine *line)
{
	const char *kind = told_as(line->kind, may_see_channel(feed, line));
	ChangeId user = line->given[CHANGE_AUTHOR] ? CHANGE_AUTHOR : CHANGE_USER;
	bool shown = is_content(line->kind) || is_reaction(line->kind);
	Told told;

	if (kind == NULL)
		return;
	feed->told++;
	told = told_begin(feed, kind);
	told_put(&told, TOLD_WORKSPACE, line->given[CHANGE_WORKSPACE], Int64GetDatum(line->ids[CHANGE_WORKSPACE]));
	told_put(&told, TOLD_CHANNEL, line->given[CHANGE_CHANNEL], Int64GetDatum(line->ids[CHANGE_CHANNEL]));
	told_put(&told, TOLD_MESSAGE, line->given[CHANGE_MESSAGE], Int64GetDatum(line->ids[CHANGE_MESSAGE]));
	told_put(&told, TOLD_USER, line->given[user], Int64GetDatum(line->ids[user]));
	told_put(&told, TOLD_EMOJI, line->emoji != NULL, PointerGetDatum(line->emoji));
	told_put(&told, TOLD_CHANGED_AT, true, TimestampTzGetDatum(line->changed_at));
	told_put(&told, TOLD_SHOWN, shown, Int64GetDatum(line->ids[CHANGE_MESSAGE]));
	told_put(&told, TOLD_CONTENT, true, BoolGetDatum(is_content(line->kind)));
	told_end(feed, &told);
}

/* ----------------------------------------------------------------- walking */

/* Is a line of the walk, from what the token has seen to its target? */
static bool
is_new(const Feed *feed, const ChangeLine *line)
{
	const ChangeToken *token = &feed->token;

	return line->epoch == feed->line_epoch &&
		   !frontier_sees(&token->seen, line->xid) && frontier_sees(&token->target, line->xid);
}

/* The ranges to read: of each workspace what is for all, and for the user. */
static int
walk_ranges(const Feed *feed, ChangeRange **ranges)
{
	const ChangeToken *token = &feed->token;
	int n = 0;

	*ranges = palloc0((2 * token->nworkspaces + 1) * sizeof(ChangeRange));
	for (int i = 0; i < token->nworkspaces; i++)
	{
		ChangeRange range = { .has_workspace = true, .workspace = token->workspaces[i] };

		(*ranges)[n++] = range;
		if (!feed->has_user)
			continue;
		range.has_user = true;
		range.user = feed->user;
		(*ranges)[n++] = range;
	}
	return n;
}

/*
 * New lines with low ids: of transactions that were running when the token was
 * made.  Only so many of them are kept as may be told.
 */
typedef struct Late
{
	Feed *feed;
	MemoryContext context;
	int64 above; /* told already */
	int64 upto;
	int most;
	int n;
	ChangeLine *lines;
} Late;

static int
compare_lines(const void *a, const void *b)
{
	int64 left = ((const ChangeLine *) a)->id;
	int64 right = ((const ChangeLine *) b)->id;

	return left < right ? -1 : left > right;
}

/* Sort what was collected, and keep what comes first. */
static void
settle_late(Late *late)
{
	qsort(late->lines, late->n, sizeof(ChangeLine), compare_lines);
	late->n = Min(late->n, late->most);
}

static void
collect_late(const ChangeLine *line, void *arg)
{
	Late *late = (Late *) arg;
	MemoryContext old;

	if (line->id <= late->above || line->id > late->upto || !is_new(late->feed, line) ||
		told_as(line->kind, may_see_channel(late->feed, line)) == NULL)
		return;
	if (late->n == 2 * late->most)
		settle_late(late);
	old = MemoryContextSwitchTo(late->context);
	late->lines[late->n] = *line;
	if (line->emoji)
		late->lines[late->n].emoji = DatumGetTextPCopy(PointerGetDatum(line->emoji));
	late->n++;
	MemoryContextSwitchTo(old);
}

static void
scan_late(Late *late, const ChangeRange *ranges, int n, uint64 first, uint64 last)
{
	for (int i = 0; i < n; i++)
		change_scan_transactions(late->feed->log, &ranges[i], first, last, collect_late, late);
}

/* Transactions that are running still are not even looked for. */
static void
find_late(Late *late, const ChangeRange *ranges, int n)
{
	const ChangeToken *token = &late->feed->token;
	const Frontier *seen = &token->seen;
	uint64 last = seen->next ? seen->next - 1 : PG_INT64_MAX;

	late->lines = palloc_extended(2 * late->most * sizeof(ChangeLine), MCXT_ALLOC_HUGE);
	for (int i = 0; i < seen->nrunning; i++)
	{
		if (frontier_sees(&token->target, seen->running[i]))
			scan_late(late, ranges, n, seen->running[i], seen->running[i]);
	}
	if (last >= seen->xmax && seen->xmax < token->target.xmax)
		scan_late(late, ranges, n, seen->xmax, last);
	settle_late(late);
}

/*
 * Tell the lines of a walk that come after its position; false if the limit
 * cut it, and the position says where.
 */
static bool
walk(Feed *feed)
{
	ChangeToken *token = &feed->token;
	ChangeRange *ranges;
	int n = walk_ranges(feed, &ranges);
	bool unknown = token->seen.next == 0;
	Late late = {
		.feed = feed,
		.context = CurrentMemoryContext,
		.above = token->walking ? token->position : 0,
		.upto = unknown ? PG_INT64_MAX : token->seen.last_id,
		.most = feed->limit + 1
	};
	ChangeMerge *merge;
	const ChangeLine *line;
	int looked = 0;

	/* once a walk has begun, what follows is in order even if nothing is known of it */
	if (unknown && token->walking)
		late.upto = late.above;
	if (late.above < late.upto)
		find_late(&late, ranges, n);
	for (int i = 0; i < late.n; i++)
	{
		if (feed->told == feed->limit)
			return false;
		tell_line(feed, &late.lines[i]);
		token->position = late.lines[i].id;
	}
	if (unknown && !token->walking)
		return true;

	merge = change_merge_begin(feed->log, ranges, n, Max(late.above, late.upto),
							   token->target.next ? token->target.last_id : PG_INT64_MAX);
	while ((line = change_merge_next(merge)) != NULL)
	{
		if (feed->told == feed->limit || ++looked > MOST_LINES)
			break;
		if (is_new(feed, line))
			tell_line(feed, line);
		token->position = line->id;
	}
	change_merge_end(merge);
	return line == NULL;
}

/* ------------------------------------------------------------------- scopes */

static bool
is_listed(const int64 *ids, int n, int64 id)
{
	for (int i = 0; i < n; i++)
	{
		if (ids[i] == id)
			return true;
	}
	return false;
}

static bool
is_member(const Feed *feed, int64 workspace)
{
	Membership *memberships;
	int n;

	if (!memberships_registered() || !feed->has_user)
		return true; /* for all we know */
	n = memberships_of(feed->user, &memberships);
	for (int i = 0; i < n; i++)
	{
		if (memberships[i].workspace == workspace)
			return true;
	}
	return false;
}

/*
 * A workspace of the token that is not in scope is one that the user has left,
 * or else this context is narrower, and the token would pass over what is not
 * told.
 */
static void
tell_lost_workspaces(Feed *feed)
{
	ChangeToken *token = &feed->token;
	int64 *kept = palloc((token->nworkspaces + 1) * sizeof(int64));
	int n = 0;

	for (int i = 0; i < token->nworkspaces; i++)
	{
		int64 workspace = token->workspaces[i];

		if (is_listed(feed->workspaces, feed->nworkspaces, workspace))
			kept[n++] = workspace;
		else if (is_member(feed, workspace))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_CURSOR),
					 errmsg("the token is for workspaces that are not in scope"),
					 errhint("Set the context as it was when the token was given, or begin anew.")));
		else
			tell_workspace(feed, "access_lost", workspace);
	}
	token->workspaces = kept;
	token->nworkspaces = n;
}

/* What is in a workspace that came into scope meanwhile is to be loaded. */
static void
tell_gained_workspaces(Feed *feed)
{
	for (int i = 0; i < feed->nworkspaces; i++)
	{
		if (!is_listed(feed->token.workspaces, feed->token.nworkspaces, feed->workspaces[i]))
			tell_workspace(feed, "access_gained", feed->workspaces[i]);
	}
}

/* -------------------------------------------------------------------- calls */

/* Lines of no workspace say what holds for all. */
static void
read_common_lines(Feed *feed)
{
	ChangeRange none = { .has_workspace = false };
	ChangeMerge *merge = change_merge_begin(feed->log, &none, 1, 0, PG_INT64_MAX);
	const ChangeLine *line;

	while ((line = change_merge_next(merge)) != NULL)
	{
		if (line->epoch != feed->line_epoch)
			continue;
		if (line->kind == CHANGE_FLOOR)
			feed->floor = Max(feed->floor, line->xid);
		else if (line->kind == CHANGE_RESET && is_new(feed, line))
			feed->reset = true;
	}
	change_merge_end(merge);
}

static void
note_access(const ChangeLine *line, void *arg)
{
	if (line->kind == CHANGE_JOINED || line->kind == CHANGE_LEFT ||
		line->kind == CHANGE_OPENED || line->kind == CHANGE_CLOSED)
		*(bool *) arg = true;
}

/*
 * What the user may see is decided by what this transaction sees.  If it has
 * changed that itself, and is rolled back then, lines would have been passed
 * over that were not told.
 */
static void
check_own_changes(const Feed *feed)
{
	uint64 own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	ChangeRange *ranges;
	int n = walk_ranges(feed, &ranges);
	bool changed = false;

	for (int i = 0; i < n && own != 0; i++)
		change_scan_transactions(feed->log, &ranges[i], own, own, note_access, &changed);
	if (changed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this transaction has changed who may see channels"),
				 errhint("Call get_changes() in a transaction of its own.")));
}

/*
 * Does the token know of transactions that this server has not come to?  Then
 * it was set back, unless it is a standby that follows.
 */
static bool
was_set_back(const Feed *feed)
{
	return !RecoveryInProgress() &&
		   feed->token.seen.xmax > U64FromFullTransactionId(ReadNextFullTransactionId());
}

static void
go_on(Feed *feed)
{
	ChangeToken *token = &feed->token;

	if (!token->walking)
		token->target = feed->now;
	if (token->epoch != feed->epoch || was_set_back(feed))
	{
		tell_end(feed, "reset_required", &feed->now);
		return;
	}
	if (!frontier_covers(&feed->now, &token->target) || !frontier_covers(&token->target, &token->seen))
	{
		tell_token(feed, "end", token); /* this query sees less than the client knows */
		return;
	}
	read_common_lines(feed);
	if (frontier_oldest(&token->seen) < feed->floor)
		ereport(ERROR,
				(errcode(ERRCODE_EXPIRED_TOKEN),
				 errmsg("the token has expired"),
				 errhint("Load what you need anew, with a token that was got before by get_changes() without one.")));
	if (feed->reset)
	{
		tell_end(feed, "reset_required", &feed->now);
		return;
	}
	tell_lost_workspaces(feed);
	check_own_changes(feed);
	if (!walk(feed))
	{
		token->walking = true;
		tell_token(feed, "more", token);
		return;
	}
	tell_gained_workspaces(feed);
	tell_end(feed, "end", &token->target);
}

static int
checked_limit(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1 || PG_GETARG_INT32(arg) > MOST_CHANGES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("limit must be from 1 to %d", MOST_CHANGES),
				 errhint("Call again with the token of the last row to get more.")));
	return PG_GETARG_INT32(arg);
}

/* Who asks: a user, whose token is nobody else's. */
static void
read_context(Feed *feed)
{
	const int64 *ids;

	context_require();
	if (context_is_everywhere() || context_bypassed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes are told to users of workspaces"),
				 errhint("Call forge_comm.set_context(user_id => ..., workspace_id => ...), as a role that row security binds.")));
	feed->has_user = context_user(&feed->user);
	feed->nworkspaces = context_workspaces(&ids);
	feed->workspaces = palloc((feed->nworkspaces + 1) * sizeof(int64));
	memcpy(feed->workspaces, ids, feed->nworkspaces * sizeof(int64));
}

static Relation
open_messages(Oid relid)
{
	Relation rel = try_table_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
	return rel;
}

PG_FUNCTION_INFO_V1(forge_comm_read_changes);

/* read_changes(rel, since, limit) */
Datum
forge_comm_read_changes(PG_FUNCTION_ARGS)
{
	Feed feed = { .limit = checked_limit(fcinfo, 2) };
	Relation rel;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must not be null"),
				 errhint("Pass the name of a table.")));
	read_context(&feed);
	InitMaterializedSRF(fcinfo, 0);
	feed.result = (ReturnSetInfo *) fcinfo->resultinfo;
	rel = open_messages(PG_GETARG_OID(0));
	if (!feed.has_user && feed.nworkspaces == 0)
	{
		table_close(rel, NoLock);
		return (Datum) 0; /* nobody asks */
	}
	feed.log = table_open(changes_log(rel), AccessShareLock);
	feed.channels = changes_channels(rel);
	feed.line_epoch = change_log_of(feed.log)->epoch;
	feed.epoch = change_epoch(RelationGetRelid(feed.log), current_timeline());
	feed.now = frontier_now(change_log_of(feed.log));

	if (PG_ARGISNULL(1))
		tell_end(&feed, "end", &feed.now);
	else
	{
		if (!token_decode(feed.user, PG_GETARG_TEXT_PP(1), &feed.token))
			cursor_is_invalid();
		go_on(&feed);
	}
	table_close(feed.log, NoLock);
	table_close(rel, NoLock);
	return (Datum) 0;
}
