/*
 * statements.c
 *		Statements of our own, which our planner hook leaves as they are.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "statements.h"

/*
 * What is running, known by its text: the plan may be made, or made again, only
 * as it runs. A trigger's statement that it fires has another text.
 */
static const char *running = NULL;

typedef struct PlanKey
{
	Oid constraint;
	int use;
} PlanKey;

typedef struct KeptPlan
{
	PlanKey key; /* hash key */
	char *text;
	SPIPlanPtr plan;
} KeptPlan;

static HTAB *kept_plans = NULL;

bool
is_own_statement(const char *query_string)
{
	return running && query_string && strcmp(query_string, running) == 0;
}

static SPIPlanPtr
prepare(const OwnStatement *statement)
{
	SPIPlanPtr plan = SPI_prepare(statement->text, statement->nargs, statement->argtypes);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s", SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * The plan kept for a constraint, as long as the text stays the same. One that
 * is in use up the stack is not replaced.
 */
static SPIPlanPtr
kept_plan(const OwnStatement *statement, bool nested)
{
	PlanKey key = { statement->keep_for, statement->keep_use };
	KeptPlan *entry;
	bool found;
	SPIPlanPtr plan;

	entry = hash_search(kept_plans, &key, HASH_FIND, NULL);
	if (entry && strcmp(entry->text, statement->text) == 0 && SPI_plan_is_valid(entry->plan))
		return entry->plan;

	plan = prepare(statement);
	if (entry && nested)
		return plan;
	SPI_keepplan(plan);
	entry = hash_search(kept_plans, &key, HASH_ENTER, &found);
	if (found)
	{
		SPI_freeplan(entry->plan);
		pfree(entry->text);
	}
	entry->plan = plan;
	entry->text = MemoryContextStrdup(TopMemoryContext, statement->text);
	return plan;
}

/*
 * Under REPEATABLE READ rows that came after the transaction's snapshot count,
 * too, and are a serialization failure, as they are for foreign keys.
 */
static int
execute(SPIPlanPtr plan, const OwnStatement *statement)
{
	Snapshot latest = InvalidSnapshot;
	Snapshot crosscheck = InvalidSnapshot;

	if (IsolationUsesXactSnapshot())
	{
		CommandCounterIncrement();
		latest = GetLatestSnapshot();
		crosscheck = GetTransactionSnapshot();
	}
	return SPI_execute_snapshot(plan, statement->values, statement->nulls,
								latest, crosscheck, false, true, 0);
}

uint64
run_own_statement(const OwnStatement *statement)
{
	const char *outer = running;
	Oid user;
	int security;
	int result;

	GetUserIdAndSecContext(&user, &security);
	if (OidIsValid(statement->owner))
		SetUserIdAndSecContext(statement->owner,
							   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	running = statement->text;
	PG_TRY();
	{
		SPIPlanPtr plan = OidIsValid(statement->keep_for) ?
							  kept_plan(statement, outer != NULL) :
							  prepare(statement);

		result = execute(plan, statement);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security);

	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot returned %s", SPI_result_code_string(result));
	return SPI_processed;
}

void
statements_init(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(PlanKey),
		.entrysize = sizeof(KeptPlan),
		.hcxt = TopMemoryContext
	};

	kept_plans = hash_create("forge_comm plans", 32, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}
