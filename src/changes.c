/*
 * changes.c
 *		What happens to messages, for clients that keep a copy of them.
 *
 * AFTER triggers on the tables of messages, of reactions, of the members of
 * channels and of the channels themselves write one line each time that there
 * is something to tell: ids and what happened to them, no content.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "change_log.h"
#include "changes.h"
#include "conditions.h"
#include "lookup.h"
#include "options.h"
#include "privacy.h"
#include "rules.h"

#define TRIGGER_NAME "forge_comm_changes"

typedef struct ChangesRule ChangesRule;

/* One change of a row; old or new is NULL where there is none. */
typedef struct Change
{
	const ChangesRule *rule;
	Relation rel;
	TupleDesc desc;
	HeapTuple old;
	HeapTuple new;
} Change;

/* What a table's changes tell. */
struct ChangesRule
{
	Kept kept;
	void (*tell)(const Change *change);
	Oid log;
	bool notify;
	AttrNumber workspace;
	AttrNumber channel;
	AttrNumber message;
	AttrNumber user; /* the member, or who reacts */
	AttrNumber deleted_at; /* of messages; 0 where there is no such column */
	AttrNumber marker; /* of members */
	AttrNumber emoji; /* of reactions */
	Oid channels; /* of which privacy asks these members; or InvalidOid */
	LookupKey message_key; /* how to find a reaction's message */
	AttrNumber message_channel; /* there */
	AttrNumber message_workspace;
};

static KeptCache *rules;

/* ------------------------------------------------------------------- lines */

static void
put_id(ChangeLine *line, ChangeId id, bool given, int64 value)
{
	line->given[id] = given;
	line->ids[id] = value;
}

static void
put_column(ChangeLine *line, ChangeId id, const Change *change, HeapTuple tuple, AttrNumber attnum)
{
	line->given[id] = tuple_id(tuple, change->desc, attnum, &line->ids[id]);
}

/*
 * Wake up who listens.  The payload is the workspace's id and no more, since
 * anybody may listen.
 */
static void
notify(const ChangeLine *line)
{
	char payload[24] = "";

	if (line->given[CHANGE_WORKSPACE])
		snprintf(payload, sizeof(payload), INT64_FORMAT, line->ids[CHANGE_WORKSPACE]);
	Async_Notify(TRIGGER_NAME, payload);
}

/* A line without a workspace would be for all of them. */
static void
write_line(const Change *change, ChangeLine *line)
{
	if (!line->given[CHANGE_WORKSPACE] && line->kind != CHANGE_RESET)
		return;
	change_log_append(change->rule->log, line);
	if (change->rule->notify)
		notify(line);
}

/* ---------------------------------------------------------------- messages */

static void
tell_message(const Change *change, ChangeKind kind, HeapTuple tuple)
{
	const ChangesRule *rule = change->rule;
	ChangeLine line = { .kind = kind };

	put_column(&line, CHANGE_WORKSPACE, change, tuple, rule->workspace);
	put_column(&line, CHANGE_CHANNEL, change, tuple, rule->channel);
	put_column(&line, CHANGE_MESSAGE, change, tuple, rule->message);
	write_line(change, &line);
}

static bool
is_live(const Change *change, HeapTuple tuple)
{
	AttrNumber deleted_at = change->rule->deleted_at;

	return tuple != NULL &&
		   (deleted_at == InvalidAttrNumber || heap_attisnull(tuple, deleted_at, change->desc));
}

/* Is the message elsewhere now, or another one? */
static bool
was_moved(const Change *change)
{
	const ChangesRule *rule = change->rule;

	return !same_column(change->desc, rule->message, change->old, change->new) ||
		   !same_column(change->desc, rule->channel, change->old, change->new) ||
		   !same_column(change->desc, rule->workspace, change->old, change->new);
}

static bool
is_same_row(const Change *change)
{
	for (int i = 1; i <= change->desc->natts; i++)
	{
		if (!TupleDescAttr(change->desc, i - 1)->attisdropped &&
			!same_column(change->desc, i, change->old, change->new))
			return false;
	}
	return true;
}

/* What is deleted is told once; what happens to it then is nobody's business. */
static void
tell_of_messages(const Change *change)
{
	bool was = is_live(change, change->old);
	bool is = is_live(change, change->new);

	if (was && is && !was_moved(change))
	{
		if (!is_same_row(change))
			tell_message(change, CHANGE_EDITED, change->new);
		return;
	}
	if (was)
		tell_message(change, CHANGE_DELETED, change->old);
	if (is)
		tell_message(change, change->old && !was ? CHANGE_RESTORED : CHANGE_INSERTED, change->new);
}

/* --------------------------------------------------------------- reactions */

/* Channel and workspace of the message; false if that is gone. */
static bool
find_message(const Change *change, HeapTuple tuple, IdColumns *message)
{
	const ChangesRule *rule = change->rule;
	Datum value;

	*message = (IdColumns){
		.n = 2,
		.attnums = { rule->message_channel, rule->message_workspace }
	};
	return read_values(tuple, change->desc, &rule->message, 1, &value) &&
		   lookup_referenced(&rule->message_key, &value, false, message);
}

static void
tell_reaction(const Change *change, ChangeKind kind, HeapTuple tuple)
{
	const ChangesRule *rule = change->rule;
	ChangeLine line = { .kind = kind };
	IdColumns message;
	bool isnull;
	Datum emoji;

	if (!find_message(change, tuple, &message))
		return;
	emoji = heap_getattr(tuple, rule->emoji, change->desc, &isnull);
	put_id(&line, CHANGE_CHANNEL, !message.nulls[0], message.values[0]);
	put_id(&line, CHANGE_WORKSPACE, !message.nulls[1], message.values[1]);
	put_column(&line, CHANGE_MESSAGE, change, tuple, rule->message);
	put_column(&line, CHANGE_AUTHOR, change, tuple, rule->user);
	line.emoji = isnull ? NULL : DatumGetTextPP(emoji);
	write_line(change, &line);
}

static void
tell_of_reactions(const Change *change)
{
	const ChangesRule *rule = change->rule;

	if (change->old && change->new &&same_column(change->desc, rule->message, change->old, change->new) &&
		same_column(change->desc, rule->user, change->old, change->new) &&
		same_column(change->desc, rule->emoji, change->old, change->new))
		return;
	if (change->old)
		tell_reaction(change, CHANGE_REACTION_REMOVED, change->old);
	if (change->new)
		tell_reaction(change, CHANGE_REACTION_ADDED, change->new);
}

/* ----------------------------------------------------------------- members */

static void
tell_member(const Change *change, ChangeKind kind, HeapTuple tuple)
{
	const ChangesRule *rule = change->rule;
	ChangeLine line = { .kind = kind };

	put_column(&line, CHANGE_WORKSPACE, change, tuple, rule->workspace);
	put_column(&line, CHANGE_CHANNEL, change, tuple, rule->channel);
	put_column(&line, CHANGE_USER, change, tuple, rule->user);
	if (kind == CHANGE_READ)
		put_column(&line, CHANGE_MESSAGE, change, tuple, rule->marker);
	if (line.given[CHANGE_USER]) /* or it would be for all */
		write_line(change, &line);
}

/* Is somebody a member by this row? */
static bool
is_member(const Change *change, HeapTuple tuple)
{
	Oid channels = change->rule->channels;

	return tuple != NULL &&
		   (!OidIsValid(channels) || privacy_counts_member(channels, change->rel, tuple));
}

static void
tell_of_members(const Change *change)
{
	const ChangesRule *rule = change->rule;
	bool was = is_member(change, change->old);
	bool is = is_member(change, change->new);
	bool same = was && is &&
				same_column(change->desc, rule->channel, change->old, change->new) &&
				same_column(change->desc, rule->user, change->old, change->new);

	if (was && !same)
		tell_member(change, CHANGE_LEFT, change->old);
	if (is && !same)
		tell_member(change, CHANGE_JOINED, change->new);
	if (same && rule->marker && !same_column(change->desc, rule->marker, change->old, change->new))
		tell_member(change, CHANGE_READ, change->new);
}

/* ---------------------------------------------------------------- channels */

static void
tell_channel(const Change *change, ChangeKind kind, HeapTuple tuple)
{
	const ChangesRule *rule = change->rule;
	ChangeLine line = { .kind = kind };

	put_column(&line, CHANGE_WORKSPACE, change, tuple, rule->workspace);
	put_column(&line, CHANGE_CHANNEL, change, tuple, rule->channel);
	write_line(change, &line);
}

static bool
is_public(const Change *change, HeapTuple tuple)
{
	const PrivacyRule *privacy = rules_of(change->rel)->privacy;

	return tuple != NULL &&
		   (privacy == NULL || privacy->private == NULL || condition_is_false(privacy->private, tuple));
}

/* Has this transaction made the row?  Then nobody else knows of it yet. */
static bool
is_own(HeapTuple tuple)
{
	return !(tuple->t_data->t_infomask & HEAP_UPDATED) &&
		   TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/* Who may see a channel changes with it. */
static void
tell_of_channels(const Change *change)
{
	bool was = is_public(change, change->old) && !is_own(change->old);
	bool is = is_public(change, change->new);

	if (was && !is)
		tell_channel(change, CHANGE_CLOSED, change->old);
	else if (is && !was && change->old)
		tell_channel(change, CHANGE_OPENED, change->new);
}

/* ------------------------------------------------------------------- rules */

static void
read_messages(Relation rel, const Trigger *trigger, ChangesRule *rule)
{
	rule->tell = tell_of_messages;
	rule->message = required_column(rel, trigger, "key", is_id_type);
	rule->channel = required_column(rel, trigger, "channel", is_id_type);
	rule->deleted_at = option_column(rel, trigger, "deleted_at", is_time_type);
}

static const Trigger *
changes_trigger(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, TRIGGER_NAME, "changes_record", false);

	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes is not enabled on table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_changes(), or enable its trigger \"%s\".", TRIGGER_NAME)));
	return trigger;
}

static void
read_reactions(Relation rel, const Trigger *trigger, ChangesRule *rule)
{
	Oid relid = option_table(rel, trigger, "messages");
	Relation messages = table_open(relid, AccessShareLock);
	const Trigger *theirs = changes_trigger(messages);
	AttrNumber key = required_column(messages, theirs, "key", is_id_type);

	rule->tell = tell_of_reactions;
	rule->message = required_column(rel, trigger, "message", is_id_type);
	rule->user = required_column(rel, trigger, "user", is_id_type);
	rule->emoji = required_column(rel, trigger, "emoji", is_any_type);
	rule->message_channel = required_column(messages, theirs, "channel", is_id_type);
	rule->message_workspace = required_column(messages, theirs, "workspace", is_id_type);
	rule->kept.relids = lappend_oid(rule->kept.relids, relid);
	if (!lookup_index(messages, &key, 1, true, &rule->message_key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no unique index on its column \"%s\"",
						RelationGetRelationName(messages), option(theirs, "key")),
				 errhint("A reaction's message is found by it.")));
	table_close(messages, NoLock);
}

static void
read_members(Relation rel, const Trigger *trigger, ChangesRule *rule)
{
	rule->tell = tell_of_members;
	rule->channel = required_column(rel, trigger, "channel", is_id_type);
	rule->user = required_column(rel, trigger, "user", is_id_type);
	rule->marker = option_column(rel, trigger, "marker", is_id_type);
	if (option(trigger, "channels"))
		rule->channels = option_table(rel, trigger, "channels");
}

static void
read_channels(Relation rel, const Trigger *trigger, ChangesRule *rule)
{
	rule->tell = tell_of_channels;
	rule->channel = required_column(rel, trigger, "key", is_id_type);
}

static Kept *
read_rule(Relation rel)
{
	const Trigger *trigger = changes_trigger(rel);
	ChangesRule *rule = palloc0(sizeof(ChangesRule));
	const char *of = required_option(rel, trigger, "of");

	rule->log = change_log_named(rel, trigger);
	rule->kept.relids = list_make1_oid(rule->log);
	rule->notify = option(trigger, "notify") != NULL;
	if (strcmp(of, "reactions") == 0)
		read_reactions(rel, trigger, rule);
	else
	{
		rule->workspace = required_column(rel, trigger, "workspace", is_id_type);
		if (strcmp(of, "messages") == 0)
			read_messages(rel, trigger, rule);
		else if (strcmp(of, "members") == 0)
			read_members(rel, trigger, rule);
		else
			read_channels(rel, trigger, rule);
	}
	return &rule->kept;
}

static const ChangesRule *
rule_of(Relation rel)
{
	return (const ChangesRule *) kept_of(rules, rel);
}

/* The rule of a table of messages. */
static const ChangesRule *
messages_rule(Relation rel)
{
	const ChangesRule *rule = rule_of(rel);

	if (rule->tell != tell_of_messages)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is no table of messages", RelationGetRelationName(rel)),
				 errhint("Pass the table that was given to forge_comm.enable_changes().")));
	return rule;
}

Oid
changes_log(Relation rel)
{
	return messages_rule(rel)->log;
}

/* Lines say which channel they are of, so privacy must go by just that. */
Oid
changes_channels(Relation rel)
{
	const PrivacyRule *privacy = rules_of(rel)->privacy;

	if (privacy == NULL)
		return InvalidOid;
	if (privacy->via != messages_rule(rel)->channel || !OidIsValid(privacy->parent))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("privacy of table \"%s\" does not go by the channel of a message",
						RelationGetRelationName(rel)),
				 errhint("Enable privacy there via the column of the channel.")));
	return privacy->parent;
}

/* ----------------------------------------------------------------- trigger */

PG_FUNCTION_INFO_V1(forge_comm_changes_record);

/*
 * Trigger: AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW with the arguments
 * "of=...", "log=..." and what they call for, and AFTER TRUNCATE, both enabled
 * ALWAYS: what a subscription applies is told by the subscriber's log.
 */
Datum
forge_comm_changes_record(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TriggerEvent event;
	Change change;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigger->tg_event) == TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("changes_record() must be called by an AFTER trigger of enable_changes()"),
				 errhint("Call forge_comm.enable_changes().")));
	event = trigger->tg_event;
	change.rel = trigger->tg_relation;
	change.desc = RelationGetDescr(change.rel);
	change.rule = rule_of(change.rel);
	if (TRIGGER_FIRED_BY_TRUNCATE(event))
	{
		ChangeLine line = { .kind = CHANGE_RESET };

		write_line(&change, &line);
		PG_RETURN_POINTER(NULL);
	}
	change.old = TRIGGER_FIRED_BY_INSERT(event) ? NULL : trigger->tg_trigtuple;
	change.new = TRIGGER_FIRED_BY_INSERT(event) ? trigger->tg_trigtuple :
				 TRIGGER_FIRED_BY_UPDATE(event) ? trigger->tg_newtuple :
												  NULL;
	change.rule->tell(&change);
	PG_RETURN_POINTER(NULL);
}

void
changes_init(void)
{
	rules = kept_create("forge_comm changes", read_rule);
	change_log_init();
}
