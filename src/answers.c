/*
 * answers.c
 *		What was found out about ids, for as long as it stays true.
 *
 * Policies ask the same of row after row.  What the tables say about it can
 * only change with the snapshot that a query sees: with the command, where the
 * transaction itself has written, and with what others have committed.  So
 * the answers are kept for one snapshot of one transaction, and one context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "answers.h"
#include "compat.h"
#include "context.h"
#include "invalidation.h"

/* Singly asked before all are looked up at once. */
#define ASKED_SINGLY 8

/* As many answers as are worth their memory. */
#define MOST_ANSWERS 262144

typedef struct AnswerKey
{
	int64 id;
	Oid relid;
	Question question;
} AnswerKey;

typedef struct Answer
{
	AnswerKey key;
	char status;
	bool yes;
} Answer;

static inline uint32
hash_key(AnswerKey key)
{
	return murmurhash32((uint32) key.id ^ (uint32) (key.id >> 32) * 31 ^
						key.relid * 0x9e3779b9 ^ (uint32) key.question << 30);
}

static inline bool
same_key(AnswerKey left, AnswerKey right)
{
	return left.id == right.id && left.relid == right.relid && left.question == right.question;
}

#define SH_PREFIX				answer
#define SH_ELEMENT_TYPE			Answer
#define SH_KEY_TYPE				AnswerKey
#define SH_KEY					key
#define SH_HASH_KEY(table, key) hash_key(key)
#define SH_EQUAL(table, a, b)	same_key(a, b)
#define SH_SCOPE				static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * When an answer is true.  A snapshot is told from others by all that decides
 * what it shows: PostgreSQL's count of completed transactions would do, but
 * the copy of a snapshot that is active does not have it.
 */
typedef struct Moment
{
	LocalTransactionId transaction;
	CommandId command;
	TransactionId xmin;
	TransactionId xmax;
	uint32 nrunning; /* between them, as seen by the snapshot */
	const TransactionId *running;
	uint64 context;
} Moment;

static MemoryContext memory = NULL; /* holds all that follows */
static bool valid = false;
static Moment moment;
static answer_hash *answers;
static List *lists;
static AnswerKey last_key;
static bool last_yes;

static Moment
now(void)
{
	Snapshot snapshot = GetActiveSnapshot();
	Moment result = {
		.transaction = compat_local_xid(),
		.command = snapshot->curcid,
		.xmin = snapshot->xmin,
		.xmax = snapshot->xmax,
		.nrunning = snapshot->xcnt,
		.running = snapshot->xip,
		.context = context_generation()
	};

	/* a standby keeps them all here */
	if (snapshot->takenDuringRecovery)
	{
		result.nrunning = snapshot->subxcnt;
		result.running = snapshot->subxip;
	}
	return result;
}

static bool
same_moment(const Moment *left, const Moment *right)
{
	return left->command == right->command && left->context == right->context &&
		   left->transaction == right->transaction && left->xmin == right->xmin &&
		   left->xmax == right->xmax && left->nrunning == right->nrunning &&
		   (left->nrunning == 0 ||
			memcmp(left->running, right->running, left->nrunning * sizeof(TransactionId)) == 0);
}

/* Begin anew. */
static void
forget(const Moment *current)
{
	valid = false;
	MemoryContextReset(memory);
	answers = answer_create(memory, 64, NULL);
	lists = NIL;
	last_key = (AnswerKey){ .relid = InvalidOid };
	moment = *current;
	if (current->nrunning > 0)
	{
		Size size = current->nrunning * sizeof(TransactionId);

		moment.running = memcpy(MemoryContextAlloc(memory, size), current->running, size);
	}
	valid = true;
}

bool
answers_find(Question question, Oid relid, int64 id, bool *yes)
{
	AnswerKey key = { .id = id, .relid = relid, .question = question };
	Moment current = now();
	Answer *answer;

	if (!valid || !same_moment(&moment, &current))
	{
		forget(&current);
		return false;
	}
	if (same_key(key, last_key))
	{
		*yes = last_yes;
		return true;
	}
	answer = answer_lookup(answers, key);
	if (answer == NULL)
		return false;
	*yes = answer->yes;
	last_key = key;
	last_yes = answer->yes;
	return true;
}

/* What was asked under one moment and found out under another is not kept. */
void
answers_add(Question question, Oid relid, int64 id, bool yes)
{
	AnswerKey key = { .id = id, .relid = relid, .question = question };
	Moment current = now();
	bool found;

	if (!valid || !same_moment(&moment, &current) || answers->members >= MOST_ANSWERS)
		return;
	answer_insert(answers, key, &found)->yes = yes;
}

YesList *
answers_list(Question question, Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(memory);
	ListCell *cell;
	YesList *list;

	foreach(cell, lists)
	{
		list = lfirst(cell);
		if (list->question == question && list->relid == relid)
		{
			MemoryContextSwitchTo(old);
			return list;
		}
	}
	list = palloc0(sizeof(YesList));
	list->question = question;
	list->relid = relid;
	lists = lappend(lists, list);
	MemoryContextSwitchTo(old);
	return list;
}

bool
answers_time_for_all(YesList *list)
{
	return !list->complete && ++list->asked > ASKED_SINGLY;
}

static int
by_id(const void *a, const void *b)
{
	int64 left = *(const int64 *) a;
	int64 right = *(const int64 *) b;

	return (left > right) - (left < right);
}

static bool
is_among(const int64 *ids, int n, int64 id)
{
	return bsearch(&id, ids, n, sizeof(int64), by_id) != NULL;
}

bool
answers_complete(Question question, Oid relid, int64 *ids, int n, int64 id)
{
	Moment current = now();

	qsort(ids, n, sizeof(int64), by_id);
	if (valid && same_moment(&moment, &current))
	{
		YesList *list = answers_list(question, relid);

		list->ids = MemoryContextAllocHuge(memory, Max(n, 1) * sizeof(int64));
		memcpy(list->ids, ids, n * sizeof(int64));
		list->n = n;
		list->complete = true;
	}
	return is_among(ids, n, id);
}

bool
answers_listed(const YesList *list, int64 id)
{
	return is_among(list->ids, list->n, id);
}

/* A table has changed its rules, or what they are read from. */
static void
forget_at_change(Datum arg, Oid relid)
{
	valid = false;
}

/* A savepoint undone does not change the snapshot of REPEATABLE READ. */
static void
forget_at_rollback(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		valid = false;
}

void
answers_init(void)
{
	memory = AllocSetContextCreate(TopMemoryContext, "forge_comm answers",
								   ALLOCSET_DEFAULT_SIZES);
	when_table_changes(forget_at_change);
	RegisterSubXactCallback(forget_at_rollback, NULL);
}
