/*
 * founding.c
 *		What a user makes and may use before a membership says so.
 *
 * A new workspace, or a new private channel, has no members yet, but its
 * maker needs it: INSERT ... RETURNING id asks the policies before the row is
 * there, and the membership is another statement's.  So the policies let a
 * row pass whose id no row has, since such a row tells nothing about any that
 * there is; and only an AFTER trigger, which fires for rows that were really
 * inserted, makes their maker's context wider.  An insert that ends in
 * ON CONFLICT DO NOTHING or in an error has changed nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "utils/rel.h"

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
	LookupKey key;
	Oid type;
	int64 id;
} pending;

static bool
is_there(void)
{
	Datum value = id_to_datum(pending.id, pending.type);

	return lookup_exists(&pending.key, &value);
}

bool
founding_begin(const LookupKey *key, Oid type, int64 id)
{
	if (!context_can_found() || !id_fits(id, type))
		return false;
	pending.key = *key;
	pending.type = type;
	pending.id = id;
	return !is_there();
}

bool
founding_is_new(Oid relid, int64 id)
{
	/* nothing is inserted in parallel */
	return pending.key.relid == relid && pending.id == id &&
		   OidIsValid(relid) && !IsInParallelMode() && context_can_found() && !is_there();
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
	Datum value;
	bool isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->tenancy) == NULL || !rule->founding)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("founding_done() must be called after each insert into a table of workspaces"),
				 errhint("Call forge_comm.enable_tenancy() with the argument \"founding\".")));
	value = heap_getattr(trigger->tg_trigtuple, rule->workspace,
						 RelationGetDescr(trigger->tg_relation), &isnull);
	if (!isnull && memberships_are_of(RelationGetRelid(trigger->tg_relation)))
		context_found_workspace(id_from_datum(value, rule->workspace_type));
	PG_RETURN_POINTER(NULL);
}
