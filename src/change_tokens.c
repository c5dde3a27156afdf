/*
 * change_tokens.c
 *		How far a client has been told.
 *
 * Neither ids nor times follow the order in which transactions commit, so a
 * place among them is no place to go on from.  A token holds the snapshot of
 * the query that told it: what that did not see is new.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "change_tokens.h"
#include "cursors.h"

/* --------------------------------------------------------------- frontiers */

/* The full number of a transaction that is not in the future. */
static uint64
widen(TransactionId xid, uint64 next)
{
	uint64 full = (next & ~UINT64CONST(0xffffffff)) | xid;

	return full >= next && full > PG_UINT32_MAX ? full - (UINT64CONST(1) << 32) : full;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64 left = *(const uint64 *) a;
	uint64 right = *(const uint64 *) b;

	return left < right ? -1 : left > right;
}

static void
add_running(Frontier *frontier, uint64 xid)
{
	if (xid < frontier->xmax)
		frontier->running[frontier->nrunning++] = xid;
}

/*
 * The order matters: the snapshot was taken before, the last id is read next,
 * and the next transaction last.  A transaction from that one on takes its
 * ids later, so that they are higher.  A standby does not learn of ids, nor of
 * transactions, in the order in which they are given out.
 */
Frontier
frontier_now(const ChangeLog *log)
{
	Snapshot snapshot = GetActiveSnapshot();
	bool standby = snapshot->takenDuringRecovery || RecoveryInProgress();
	const TransactionId *running = snapshot->takenDuringRecovery ? snapshot->subxip : snapshot->xip;
	int n = snapshot->takenDuringRecovery ? snapshot->subxcnt : (int) snapshot->xcnt;
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	int64 last_id = standby ? 0 : change_log_last_id(log);
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	Frontier result = { 0 };

	result.xmax = widen(snapshot->xmax, next + 1);
	result.running = palloc((n + 1) * sizeof(uint64));
	for (int i = 0; i < n; i++)
		add_running(&result, widen(running[i], next));
	/* what it has written is told once it is committed */
	if (FullTransactionIdIsValid(own))
		add_running(&result, U64FromFullTransactionId(own));
	qsort(result.running, result.nrunning, sizeof(uint64), compare_xids);
	if (!standby)
	{
		result.next = next;
		result.last_id = last_id;
	}
	return result;
}

bool
frontier_sees(const Frontier *frontier, uint64 xid)
{
	return xid < frontier->xmax &&
		   bsearch(&xid, frontier->running, frontier->nrunning, sizeof(uint64), compare_xids) == NULL;
}

uint64
frontier_oldest(const Frontier *frontier)
{
	return frontier->nrunning > 0 ? frontier->running[0] : frontier->xmax;
}

bool
frontier_covers(const Frontier *frontier, const Frontier *other)
{
	if (frontier->xmax < other->xmax)
		return false;
	for (int i = 0; i < frontier->nrunning; i++)
	{
		if (frontier_sees(other, frontier->running[i]))
			return false;
	}
	return true;
}

uint32
current_timeline(void)
{
	TimeLineID timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

/* ------------------------------------------------------------------- tokens */

/*
 * Hundreds of thousands of workspaces.  What is longer was not given out, and
 * would have memory taken for the numbers in it before it is known to be forged.
 */
#define LONGEST_TOKEN (1024 * 1024)

/* The numbers of a token, being written or read. */
typedef struct Numbers
{
	int64 *values;
	int n;
	int at;
	bool bad; /* there were too few */
} Numbers;

static void
put(Numbers *numbers, int64 value)
{
	numbers->values[numbers->n++] = value;
}

static int64
get(Numbers *numbers)
{
	if (numbers->at >= numbers->n)
	{
		numbers->bad = true;
		return 0;
	}
	return numbers->values[numbers->at++];
}

/* How many more of something follow: no more than there are numbers left. */
static int
get_count(Numbers *numbers)
{
	int64 count = get(numbers);

	if (count < 0 || count > numbers->n - numbers->at)
	{
		numbers->bad = true;
		return 0;
	}
	return (int) count;
}

static void
put_frontier(Numbers *numbers, const Frontier *frontier)
{
	put(numbers, frontier->xmax);
	put(numbers, frontier->next ? frontier->next - frontier->xmax + 1 : 0);
	put(numbers, frontier->last_id);
	put(numbers, frontier->nrunning);
	for (int i = 0; i < frontier->nrunning; i++)
		put(numbers, frontier->xmax - frontier->running[i]);
}

static void
get_frontier(Numbers *numbers, Frontier *frontier)
{
	int64 ahead;

	frontier->xmax = get(numbers);
	ahead = get(numbers);
	frontier->next = ahead ? frontier->xmax + ahead - 1 : 0;
	frontier->last_id = get(numbers);
	frontier->nrunning = get_count(numbers);
	frontier->running = palloc((frontier->nrunning + 1) * sizeof(uint64));
	for (int i = 0; i < frontier->nrunning; i++)
		frontier->running[i] = frontier->xmax - get(numbers);
}

static CursorUse
token_use(int64 user)
{
	/* of any log: a restored one is another table, and its epoch tells */
	return (CursorUse){ .kind = CURSOR_OF_CHANGES, .relid = InvalidOid, .user = user };
}

text *
token_encode(int64 user, const ChangeToken *token)
{
	CursorUse use = token_use(user);
	Numbers numbers = { 0 };

	numbers.values = palloc((12 + token->nworkspaces + token->seen.nrunning +
							 token->target.nrunning) *
							sizeof(int64));
	put(&numbers, token->epoch);
	put(&numbers, token->nworkspaces);
	for (int i = 0; i < token->nworkspaces; i++)
		put(&numbers, token->workspaces[i]);
	put_frontier(&numbers, &token->seen);
	if (token->walking)
	{
		put_frontier(&numbers, &token->target);
		put(&numbers, token->position);
	}
	return cursor_encode(&use, numbers.values, numbers.n);
}

/* False if it is no token that this user was given. */
bool
token_decode(int64 user, text *encoded, ChangeToken *token)
{
	CursorUse use = token_use(user);
	int length = VARSIZE_ANY_EXHDR(encoded);
	Numbers numbers = { 0 };
	int64 *workspaces;

	memset(token, 0, sizeof(ChangeToken));
	if (length > LONGEST_TOKEN)
		return false;
	numbers.values = palloc((length + 1) * sizeof(int64));
	numbers.n = cursor_decode(&use, VARDATA_ANY(encoded), length, numbers.values, length);
	if (numbers.n < 0)
		return false;
	token->epoch = get(&numbers);
	token->nworkspaces = get_count(&numbers);
	workspaces = palloc((token->nworkspaces + 1) * sizeof(int64));
	for (int i = 0; i < token->nworkspaces; i++)
		workspaces[i] = get(&numbers);
	token->workspaces = workspaces;
	get_frontier(&numbers, &token->seen);
	token->walking = numbers.at < numbers.n;
	if (token->walking)
	{
		get_frontier(&numbers, &token->target);
		token->position = get(&numbers);
	}
	return !numbers.bad && numbers.at == numbers.n;
}
