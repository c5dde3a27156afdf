/*
 * directory.c
 *		People are known to those who share a workspace with them.
 *
 * Who belongs to a workspace is read from the registered memberships.  Those
 * who were deactivated are still known: old messages need their names.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "answers.h"
#include "context.h"
#include "directory.h"
#include "memberships.h"
#include "rules.h"

/* Look up everybody in the scope: is this person among them?  False if no index serves. */
static bool
load_people(int64 person, bool *known)
{
	const int64 *workspaces;
	int nworkspaces = context_workspaces(&workspaces);
	IdList people;

	if (!memberships_people(workspaces, nworkspaces, &people))
		return false;
	*known = answers_complete(IS_KNOWN, InvalidOid, people.ids, people.n, person);
	pfree(people.ids);
	return true;
}

bool
directory_knows(int64 person)
{
	YesList *list;
	int64 user;
	bool yes;

	if (context_is_everywhere() || (context_user(&user) && user == person))
		return true;
	context_require();
	if (answers_find(IS_KNOWN, InvalidOid, person, &yes))
		return yes;

	list = answers_list(IS_KNOWN, InvalidOid);
	if (list->complete)
		yes = answers_listed(list, person);
	else if (!answers_time_for_all(list) || !load_people(person, &yes))
		yes = memberships_connect(person, context_allows);
	answers_add(IS_KNOWN, InvalidOid, person, yes);
	return yes;
}

PG_FUNCTION_INFO_V1(forge_comm_knows_user);
PG_FUNCTION_INFO_V1(forge_comm_is_current_user);

/* knows_user(id): may the user of the context see this person? */
Datum
forge_comm_knows_user(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(directory_knows(PG_GETARG_INT64(0)));
}

/* is_current_user(id): is it the user of the context, or a service's business? */
Datum
forge_comm_is_current_user(PG_FUNCTION_ARGS)
{
	int64 user;

	if (context_is_everywhere())
		PG_RETURN_BOOL(true);
	context_require();
	PG_RETURN_BOOL(context_user(&user) && user == PG_GETARG_INT64(0));
}

PG_FUNCTION_INFO_V1(forge_comm_directory_guard);

/*
 * Trigger: BEFORE UPDATE OF the column "id=..." names, FOR EACH ROW, and
 * BEFORE TRUNCATE.  A person's id never becomes another's.
 */
Datum
forge_comm_directory_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const DirectoryRule *rule;
	TupleDesc desc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("directory_guard() must be called by a BEFORE trigger"),
				 errhint("Call forge_comm.enable_directory().")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		context_guard_truncate(trigger->tg_relation);
		PG_RETURN_POINTER(NULL);
	}
	rule = rules_of(trigger->tg_relation)->directory;
	if (rule == NULL || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("directory_guard() must be called by the row trigger \"forge_comm_directory\""),
				 errhint("Call forge_comm.enable_directory().")));
	desc = RelationGetDescr(trigger->tg_relation);
	if (!same_column(desc, rule->id, trigger->tg_trigtuple, trigger->tg_newtuple))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a row of table \"%s\" cannot change its column \"%s\"",
						RelationGetRelationName(trigger->tg_relation),
						NameStr(TupleDescAttr(desc, rule->id - 1)->attname)),
				 errhint("Insert another row.")));
	PG_RETURN_POINTER(trigger->tg_newtuple);
}
