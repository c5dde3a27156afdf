/*
 * privacy.c
 *		Private channels, and all that is under them, are for their members.
 *
 * A policy cannot query the tables that it guards, so rows are looked up
 * straight from their indexes, with the snapshot of the query that asks.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/supportnodes.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "answers.h"
#include "context.h"
#include "founding.h"
#include "privacy.h"
#include "rules.h"

/* ----------------------------------------------------------------- members */

/* The user's memberships: whether there is one that counts, or all of them. */
typedef struct Memberships
{
	const MembersTable *table;
	bool found;
	IdList channels;
} Memberships;

static bool
counts(const MembersTable *table, HeapTuple tuple, TupleDesc desc)
{
	return (table->deleted_at == InvalidAttrNumber ||
			heap_attisnull(tuple, table->deleted_at, desc)) &&
		   (table->active == NULL || condition_is_true(table->active, tuple));
}

static bool
find_one(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Memberships *memberships = (Memberships *) arg;

	memberships->found = counts(memberships->table, tuple, desc);
	return !memberships->found;
}

static bool
collect_channel(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Memberships *memberships = (Memberships *) arg;
	const MembersTable *table = memberships->table;
	int64 channel;

	if (tuple_id(tuple, desc, table->channel, &channel) && counts(table, tuple, desc))
		add_id(&memberships->channels, channel);
	return true;
}

/* Look one membership up, by channel and user. */
static bool
has_membership(const MembersTable *table, int64 channel, int64 user)
{
	Memberships memberships = { .table = table };
	Datum values[2];

	if (!id_fits(channel, table->channel_type))
		return false;
	for (int i = 0; i < 2; i++)
		values[i] = table->by_pair.attnums[i] == table->channel ?
						id_to_datum(channel, table->channel_type) :
						id_to_datum(user, table->user_type);
	lookup_each(&table->by_pair, values, GetActiveSnapshot(), find_one, &memberships);
	return memberships.found;
}

/* Look all memberships of a user up: is one in this channel? */
static bool
load_memberships(const MembersTable *table, Oid relid, int64 channel, int64 user)
{
	Memberships memberships = { .table = table };
	IdList *channels = &memberships.channels;
	Datum key = id_to_datum(user, table->user_type);
	bool found;

	begin_ids(channels);
	lookup_each(&table->by_user, &key, GetActiveSnapshot(), collect_channel, &memberships);
	found = answers_complete(IS_MEMBER, relid, channels->ids, channels->n, channel);
	pfree(channels->ids);
	return found;
}

static bool
find_membership(const PrivacyRule *rule, Oid relid, int64 id, int64 user)
{
	const MembersTable *table = &rule->members;
	YesList *list = answers_list(IS_MEMBER, relid);

	if (!id_fits(user, table->user_type))
		return false;
	if (list->complete)
		return answers_listed(list, id);
	if (!table->has_pair || (table->has_user && answers_time_for_all(list)))
		return load_memberships(table, relid, id, user);
	return has_membership(table, id, user);
}

/* Is the user a member, or has just made the channel? */
static bool
is_member(const PrivacyRule *rule, Oid relid, int64 id)
{
	int64 user;
	bool yes;

	if (!context_user(&user))
		return false;
	if (context_founded(relid, id))
		return true;
	if (answers_find(IS_MEMBER, relid, id, &yes))
		return yes;
	yes = find_membership(rule, relid, id, user);
	answers_add(IS_MEMBER, relid, id, yes);
	return yes;
}

/* -------------------------------------------------------------------- rows */

/* A row under privacy, as far as it matters. */
typedef struct PrivateRow
{
	const PrivacyRule *rule;
	bool found;
	bool own; /* inserted by this transaction */
	bool has_via; /* what it is under */
	int64 via;
	bool public; /* of a table at the top */
	bool in_scope;
	bool by_user; /* made by the user, as its own column says */
} PrivateRow;

static bool
read_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	PrivateRow *row = (PrivateRow *) arg;
	const PrivacyRule *rule = row->rule;
	int64 workspace;
	int64 creator;
	int64 user;

	row->found = true;
	row->own = !(tuple->t_data->t_infomask & HEAP_UPDATED) &&
			   TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	row->in_scope = tuple_id(tuple, desc, rule->workspace, &workspace) &&
					context_allows(workspace);
	if (rule->via)
		row->has_via = tuple_id(tuple, desc, rule->via, &row->via);
	else
	{
		row->public = condition_is_false(rule->private, tuple);
		row->by_user = tuple_id(tuple, desc, rule->creator, &creator) &&
					   context_user(&user) && user == creator;
	}
	return false;
}

/*
 * The row as the query sees it.  One that this very statement has inserted
 * only SnapshotSelf shows; that one is its maker's.
 */
static bool
find_row(const PrivacyRule *rule, Oid type, int64 id, PrivateRow *row)
{
	Datum key;

	*row = (PrivateRow){ .rule = rule };
	if (!id_fits(id, type))
		return false;
	key = id_to_datum(id, type);
	lookup_each(&rule->by_id, &key, GetActiveSnapshot(), read_row, row);
	if (row->found)
		row->own = false;
	else if (!IsInParallelMode())
		lookup_each(&rule->by_id, &key, SnapshotSelf, read_row, row);
	return row->found;
}

static const PrivacyRule *
privacy_of(Relation rel)
{
	const PrivacyRule *rule = rules_of(rel)->privacy;

	if (rule == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("privacy is not enabled on table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_privacy(), or enable its trigger \"forge_comm_privacy\".")));
	return rule;
}

static Relation
open_private_table(Oid relid)
{
	Relation rel = try_table_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	return rel;
}

static void
require_id(Relation rel, const PrivacyRule *rule)
{
	if (rule->id == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key of one id column",
						RelationGetRelationName(rel)),
				 errhint("What is under its rows is found by that key.")));
}

/* The privacy of a table whose own rows have members. */
static const PrivacyRule *
privacy_of_channels(Relation rel)
{
	const PrivacyRule *rule = privacy_of(rel);

	if (rule->via)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of table \"%s\" have no members of their own",
						RelationGetRelationName(rel)),
				 errhint("Call forge_comm.can_access().")));
	return rule;
}

/* May the user see what a row is under? */
static bool
may_see_above(Relation rel, const PrivacyRule *rule, const PrivateRow *row)
{
	if (!row->has_via)
		return row->in_scope;
	if (!OidIsValid(rule->parent))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("column \"%s\" of table \"%s\" references no primary key of a table under privacy",
						NameStr(TupleDescAttr(RelationGetDescr(rel), rule->via - 1)->attname),
						RelationGetRelationName(rel)),
				 errhint("Restore its foreign key and the privacy of the table it references, or disable privacy here.")));
	return privacy_allows(rule->parent, row->via);
}

static bool
is_accessible(Relation rel, int64 id)
{
	const PrivacyRule *rule = privacy_of(rel);
	Oid relid = RelationGetRelid(rel);
	PrivateRow row;

	require_id(rel, rule);
	if (!find_row(rule, TupleDescAttr(RelationGetDescr(rel), rule->id - 1)->atttypid, id, &row))
		return false;
	if (rule->via)
		return may_see_above(rel, rule, &row);
	return row.in_scope &&
		   (row.public || row.own || row.by_user || is_member(rule, relid, id));
}

bool
privacy_allows(Oid relid, int64 id)
{
	Relation rel;
	bool yes;

	if (context_is_everywhere())
		return true;
	context_require();
	if (answers_find(IS_ACCESSIBLE, relid, id, &yes))
		return yes;

	check_stack_depth(); /* a chain of tables could be made a ring */
	rel = open_private_table(relid);
	yes = is_accessible(rel, id);
	table_close(rel, NoLock);
	answers_add(IS_ACCESSIBLE, relid, id, yes);
	return yes;
}

bool
privacy_counts_member(Oid channels, Relation members, HeapTuple tuple)
{
	Relation rel = open_private_table(channels);
	const PrivacyRule *rule = rules_of(rel)->privacy;
	bool yes = rule == NULL || rule->members_relid != RelationGetRelid(members) ||
			   counts(&rule->members, tuple, RelationGetDescr(members));

	table_close(rel, NoLock);
	return yes;
}

PG_FUNCTION_INFO_V1(forge_comm_can_access);
PG_FUNCTION_INFO_V1(forge_comm_can_enter);

/*
 * can_access(rel, id): may the user see this row, and what is under it?  What
 * is under nothing is not private.
 */
Datum
forge_comm_can_access(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must not be null"),
				 errhint("Pass the name of a table.")));
	if (PG_ARGISNULL(1))
	{
		context_require();
		PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(privacy_allows(PG_GETARG_OID(0), PG_GETARG_INT64(1)));
}

/*
 * can_enter(rel, id): is the user a member of this private channel, or about
 * to make it?  For the policy of the table itself, whose row is at hand.
 */
Datum
forge_comm_can_enter(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	int64 id = PG_GETARG_INT64(1);
	Relation rel;
	bool yes;

	if (context_is_everywhere())
		PG_RETURN_BOOL(true);
	context_require();
	if (answers_find(IS_MEMBER, relid, id, &yes) && yes)
		PG_RETURN_BOOL(true);
	rel = open_private_table(relid);
	yes = is_member(privacy_of_channels(rel), relid, id) || founding_is_new(relid, id);
	table_close(rel, NoLock);
	PG_RETURN_BOOL(yes);
}

PG_FUNCTION_INFO_V1(forge_comm_privacy_support);

/* Most rows that somebody asks for they may see. */
Datum
forge_comm_privacy_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);
	((SupportRequestSelectivity *) request)->selectivity = 1.0;
	PG_RETURN_POINTER(request);
}

PG_FUNCTION_INFO_V1(forge_comm_check_privacy);

/* check_privacy(rel): an error unless its options can be used. */
Datum
forge_comm_check_privacy(PG_FUNCTION_ARGS)
{
	Relation rel = open_private_table(PG_GETARG_OID(0));

	(void) privacy_of(rel);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- triggers */

/* What is under a row stays under it: moved elsewhere, others could read it. */
static void
check_not_moved(Relation rel, AttrNumber attnum, HeapTuple old, HeapTuple new)
{
	TupleDesc desc = RelationGetDescr(rel);

	if (same_column(desc, attnum, old, new) || by_referential_action(rel))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a row of table \"%s\" cannot change its column \"%s\"",
					RelationGetRelationName(rel),
					NameStr(TupleDescAttr(desc, attnum - 1)->attname)),
			 errdetail("Who may see the row follows from it."),
			 errhint("Insert a copy there, and delete the row here.")));
}

static HeapTuple
guard_before(Relation rel, const PrivacyRule *rule, const TriggerData *trigger)
{
	TupleDesc desc = RelationGetDescr(rel);
	HeapTuple tuple = trigger->tg_trigtuple;
	int64 id;

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		if (!rule->via)
			require_id(rel, rule);
		check_not_moved(rel, rule->via ? rule->via : rule->id, tuple, trigger->tg_newtuple);
		if (rule->creator && !context_is_everywhere() && !context_bypassed())
			check_not_moved(rel, rule->creator, tuple, trigger->tg_newtuple);
		return trigger->tg_newtuple;
	}
	if (!rule->via && tuple_id(tuple, desc, rule->id, &id))
		(void) founding_begin(&rule->by_id, TupleDescAttr(desc, rule->id - 1)->atttypid, id);
	return tuple;
}

/* A private channel was made: until it has members, its maker is one. */
static void
note_founded(Relation rel, const PrivacyRule *rule, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(rel);
	int64 id;

	if (tuple_id(tuple, desc, rule->id, &id) && !condition_is_false(rule->private, tuple) &&
		founding_was_new(&rule->by_id, TupleDescAttr(desc, rule->id - 1)->atttypid, id, tuple))
		context_found_row(RelationGetRelid(rel), id);
}

PG_FUNCTION_INFO_V1(forge_comm_privacy_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE OF the id, and AFTER INSERT, FOR EACH ROW
 * on a table of channels; BEFORE UPDATE OF the column "via=..." names, FOR
 * EACH ROW on a table under it.
 */
Datum
forge_comm_privacy_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const PrivacyRule *rule;
	Relation rel;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->privacy) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("privacy_guard() must be called by the triggers of privacy"),
				 errhint("Call forge_comm.enable_privacy().")));
	rel = trigger->tg_relation;
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		PG_RETURN_POINTER(guard_before(rel, rule, trigger));
	if (rule->via == InvalidAttrNumber && TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		note_founded(rel, rule, trigger->tg_trigtuple);
	PG_RETURN_POINTER(NULL);
}
