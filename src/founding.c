/*
 * founding.c
 *		What a user makes and may use before a membership says so.
 *
 * A new workspace, or a new private channel, has no members yet, but its
 * maker needs it: INSERT ... RETURNING id asks the policies before the row is
 * there, and the membership is another statement's.  So the policies let a
 * row pass whose id no row has, nor had when the oldest snapshot still in use
 * was taken, since such a row tells nothing about any other; and only an AFTER
 * trigger, which fires for rows that were really inserted, makes their maker's
 * context wider.  An insert that ends in ON CONFLICT DO NOTHING or in an error
 * has changed nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "storage/procarray.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "context.h"
#include "founding.h"
#include "memberships.h"
#include "rules.h"

/*
 * The row that a BEFORE trigger saw last.  It only saves looking every row
 * up: whether there is such a row is asked again each time.
 */
static struct
{
	LocalTransactionId transaction; /* indexes may come and go after it */
	LookupKey key;
	Oid type;
	int64 id;
} pending;

/* Are there rows with an id, apart from one and what became of it? */
typedef struct Search
{
	HeapTuple apart; /* NULL: no row is set apart */
	bool found;
} Search;

/*
 * Is a deleted row gone for good, also from the snapshot of any cursor that
 * this session has open?
 */
static bool
is_forgotten(HeapTupleHeader header)
{
	TransactionId deleter;

	if ((header->t_infomask & HEAP_XMAX_INVALID) != 0 ||
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return false;
	deleter = HeapTupleHeaderGetUpdateXid(header);
	return !TransactionIdIsCurrentTransactionId(deleter) && !TransactionIdIsInProgress(deleter) &&
		   TransactionIdDidCommit(deleter) && TransactionIdPrecedes(deleter, TransactionXmin);
}

/* Called with every version that is stored, whoever may see it. */
static bool
find_other(HeapTuple tuple, TupleDesc desc, void *arg)
{
	HeapTupleHeader header = tuple->t_data;
	TransactionId maker = HeapTupleHeaderGetXmin(header);
	Search *search = (Search *) arg;

	if (TransactionIdIsCurrentTransactionId(maker))
		search->found = search->apart == NULL ||
						HeapTupleHeaderGetCmin(header) < HeapTupleHeaderGetCmin(search->apart->t_data);
	else
		/* what others are about to make no snapshot shows, and the index sees to it */
		search->found = !TransactionIdIsInProgress(maker) && TransactionIdDidCommit(maker) &&
						!is_forgotten(header);
	return !search->found;
}

bool
founding_was_new(const LookupKey *key, Oid type, int64 id, HeapTuple made)
{
	Datum value = id_to_datum(id, type);
	Search search = { .apart = made };

	lookup_each(key, &value, SnapshotAny, find_other, &search);
	return !search.found;
}

static bool
is_new(void)
{
	return founding_was_new(&pending.key, pending.type, pending.id, NULL);
}

bool
founding_begin(const LookupKey *key, Oid type, int64 id)
{
	if (!context_can_found() || !id_fits(id, type))
		return false;
	pending.transaction = compat_local_xid();
	pending.key = *key;
	pending.type = type;
	pending.id = id;
	return is_new();
}

bool
founding_is_new(Oid relid, int64 id)
{
	/* nothing is inserted in parallel */
	return pending.key.relid == relid && pending.id == id && OidIsValid(relid) &&
		   pending.transaction == compat_local_xid() && !IsInParallelMode() &&
		   context_can_found() && is_new();
}

PG_FUNCTION_INFO_V1(forge_comm_founding_done);

/*
 * Trigger: AFTER INSERT FOR EACH ROW on the table of workspaces.  Takes the
 * workspace that was made into the scope of whoever made it.
 */
Datum
forge_comm_founding_done(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const TenancyRule *rule;
	int64 id;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->tenancy) == NULL || !rule->founding)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("founding_done() must be called after each insert into a table of workspaces"),
				 errhint("Call forge_comm.enable_tenancy() with the argument \"founding\".")));
	if (tuple_id(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation), rule->workspace, &id) &&
		memberships_are_of(RelationGetRelid(trigger->tg_relation)) &&
		founding_was_new(&rule->by_id, rule->workspace_type, id, trigger->tg_trigtuple))
		context_found_workspace(id);
	PG_RETURN_POINTER(NULL);
}
