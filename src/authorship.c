/*
 * authorship.c
 *		Rows have an author, who is the one that wrote them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "context.h"
#include "rules.h"

/* The user in whose name a row is written; an error if there is none. */
static int64
current_author(Relation rel)
{
	int64 user;

	context_require();
	if (!context_user(&user))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a row of table \"%s\" needs an author, and the context has no user",
						RelationGetRelationName(rel)),
				 errhint("Name the user to forge_comm.set_context().")));
	return user;
}

static void
refuse_author(Relation rel, const AuthorshipRule *rule, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg(what, RelationGetRelationName(rel)),
			 errhint("Leave column \"%s\" out: it is filled in.",
					 NameStr(TupleDescAttr(RelationGetDescr(rel), rule->author - 1)->attname)),
			 errtablecol(rel, rule->author)));
}

/* Services write in anybody's name, or in nobody's. */
static HeapTuple
guard_insert(Relation rel, const AuthorshipRule *rule, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(rel);
	int attnum = rule->author;
	bool isnull = false;
	int64 author;
	int64 given;
	Datum value;

	if (context_bypassed() || context_is_everywhere())
		return tuple;
	author = current_author(rel);
	if (tuple_id(tuple, desc, rule->author, &given))
	{
		if (given != author)
			refuse_author(rel, rule, "a row of table \"%s\" cannot be written in the name of another user");
		return tuple;
	}
	value = id_to_datum(author, rule->author_type);
	return heap_modify_tuple_by_cols(tuple, desc, 1, &attnum, &value, &isnull);
}

static HeapTuple
guard_update(Relation rel, const AuthorshipRule *rule, HeapTuple old, HeapTuple new)
{
	if (same_column(RelationGetDescr(rel), rule->author, old, new) ||
		by_referential_action(rel) || context_bypassed() || context_is_everywhere())
		return new;
	refuse_author(rel, rule, "a row of table \"%s\" cannot change its author");
	return NULL;
}

PG_FUNCTION_INFO_V1(forge_comm_authorship_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the argument
 * "author=...".  Fills the author in, and keeps it.
 */
Datum
forge_comm_authorship_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const AuthorshipRule *rule;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->authorship) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("authorship_guard() must be called by the row trigger \"forge_comm_authorship\""),
				 errhint("Call forge_comm.enable_authorship().")));
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		PG_RETURN_POINTER(guard_update(trigger->tg_relation, rule, trigger->tg_trigtuple,
									   trigger->tg_newtuple));
	PG_RETURN_POINTER(guard_insert(trigger->tg_relation, rule, trigger->tg_trigtuple));
}
