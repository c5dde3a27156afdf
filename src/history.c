/*
 * history.c
 *		What was changed, when and by whom.
 *
 * An AFTER trigger tells each change of a row in a line of a log: which row,
 * by its primary key, and the old and new values of the columns that changed.
 * How lines get into the log is in history_log.c, how values are written in
 * row_values.c.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "history.h"
#include "history_log.h"
#include "invalidation.h"
#include "lookup.h"
#include "options.h"
#include "row_values.h"
#include "rules.h"

bool history_purging = false;

/* How the changes of one table are told. */
typedef struct HistoryRule
{
	MemoryContext context; /* holds all of this */
	Oid root; /* the table that a partition belongs to, or the table itself */
	Oid log;
	int64 table_id;
	Datum table_schema; /* texts: the root's name */
	Datum table_name;
	AttrNumber workspace; /* each 0 where there is no such column */
	Oid workspace_type;
	AttrNumber deleted_at;
	AttrNumber deletion_id;
	int ncolumns;
	RecordedColumn *columns;
} HistoryRule;

typedef struct HistoryEntry
{
	Oid relid; /* hash key */
	bool valid;
	HistoryRule *rule; /* or NULL */
} HistoryEntry;

static HTAB *history_cache = NULL;

/* ------------------------------------------------------------------- rules */

static Datum
text_of(const char *name)
{
	if (name == NULL)
		elog(ERROR, "table with history has no name");
	return CStringGetTextDatum(name);
}

/*
 * The log that a trigger names.  Whoever may make tables in its schema must
 * not be able to put one of theirs in its place.
 */
static Oid
find_log(Relation rel, const Trigger *trigger)
{
	const char *name = option(trigger, "log");
	RangeVar *var;
	Oid logid;
	Relation log;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" lacks the argument \"%s=...\"",
						trigger->tgname, RelationGetRelationName(rel), "log"),
				 errhint("Drop it, and let an enable function make it.")));
	var = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	logid = var->schemaname ? RangeVarGetRelid(var, RowExclusiveLock, true) : InvalidOid;
	if (!OidIsValid(logid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("history log \"%s\" of table \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errhint("Rename it back, or call forge_comm.disable_history() and forge_comm.enable_history().")));

	log = table_open(logid, NoLock);
	if (!is_history_log(log) || log->rd_rel->relowner != rel->rd_rel->relowner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is no history log of the owner of table \"%s\"",
						name, RelationGetRelationName(rel)),
				 errhint("Both must have one owner, and the log its trigger forge_comm_append_only.")));
	table_close(log, NoLock);
	return logid;
}

static int64
read_table_id(Relation rel, const Trigger *trigger)
{
	const char *value = option(trigger, "table_id");
	char *end = NULL;
	int64 id = 0;

	errno = 0;
	if (value)
		id = strtoll(value, &end, 10);
	if (value == NULL || errno || end == value || *end != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" lacks the argument \"%s=...\"",
						trigger->tgname, RelationGetRelationName(rel), "table_id"),
				 errhint("Drop it, and let an enable function make it.")));
	return id;
}

static Oid
root_of(Relation rel)
{
	if (!rel->rd_rel->relispartition)
		return RelationGetRelid(rel);
	return llast_oid(get_partition_ancestors(RelationGetRelid(rel)));
}

/* That a row is deleted is news whatever is ignored. */
static void
read_columns(Relation rel, const Trigger *trigger, HistoryRule *rule)
{
	Bitmapset *ignored = option_columns_left(rel, trigger, "ignore");

	ignored = bms_del_member(ignored, rule->deleted_at);
	rule->ncolumns = recorded_columns(rel, &rule->columns);
	for (int i = 0; i < rule->ncolumns; i++)
		rule->columns[i].is_ignored = bms_is_member(rule->columns[i].attnum, ignored);
}

/* What other capabilities know of the table's columns. */
static void
read_other_rules(Relation rel, HistoryRule *rule)
{
	const RelationRules *rules = rules_of(rel);

	if (rules->tenancy)
	{
		rule->workspace = rules->tenancy->workspace;
		rule->workspace_type = rules->tenancy->workspace_type;
	}
	if (rules->soft_delete)
	{
		rule->deleted_at = rules->soft_delete->deleted_at;
		rule->deletion_id = rules->soft_delete->deletion_id;
	}
}

/* Read the rule of a table; NULL if none of its triggers is ours. */
static HistoryRule *
read_rule(Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "forge_comm history rule",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const Trigger *trigger = find_trigger(rel, "forge_comm_history", "history_record", false);
	HistoryRule *rule = NULL;

	if (trigger)
	{
		rule = palloc0(sizeof(HistoryRule));
		rule->context = context;
		rule->root = root_of(rel);
		rule->log = find_log(rel, trigger);
		rule->table_id = read_table_id(rel, trigger);
		rule->table_schema = text_of(get_namespace_name(get_rel_namespace(rule->root)));
		rule->table_name = text_of(get_rel_name(rule->root));
		read_other_rules(rel, rule);
		read_columns(rel, trigger, rule);
	}
	MemoryContextSwitchTo(old);
	return rule;
}

/*
 * The rule of a table.  An outdated one may still be in use up the stack, so
 * it is given to the transaction to free.
 */
static HistoryRule *
rule_of(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	HistoryEntry *entry;
	bool found;

	entry = hash_search(history_cache, &relid, HASH_ENTER, &found);
	if (!found)
		entry->rule = NULL;
	if (entry->rule == NULL || !entry->valid)
	{
		HistoryRule *rule;

		if (entry->rule)
			MemoryContextSetParent(entry->rule->context, TopTransactionContext);
		entry->rule = NULL;
		entry->valid = true; /* a change that arrives from here on counts */
		rule = read_rule(rel);
		if (rule)
			MemoryContextSetParent(rule->context, CacheMemoryContext);
		entry->rule = rule;
	}
	return entry->rule;
}

/* Relcache callback. */
static void
forget_rules(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	HistoryEntry *entry;

	hash_seq_init(&status, history_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->relid == relid || entry->rule == NULL ||
			entry->rule->root == relid || entry->rule->log == relid)
			entry->valid = false;
	}
}

/* Syscache callback: a schema was renamed, perhaps, or a type changed. */
static void
forget_names(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_rules(arg, InvalidOid);
}

/* ----------------------------------------------------------------- telling */

static bool
is_null(const Row *row, AttrNumber attnum)
{
	return row->nulls[attnum - 1];
}

/* The primary key of a row, NULL if the table has none. */
static Jsonb *
key_of(const HistoryRule *rule, const Row *row)
{
	ValuesBuilder builder;
	bool any = false;

	for (int i = 0; i < rule->ncolumns; i++)
	{
		RecordedColumn *column = &rule->columns[i];

		if (!column->is_key)
			continue;
		if (!any)
			values_begin(&builder, rule->ncolumns);
		any = true;
		values_add(&builder, column, row->values[column->attnum - 1], is_null(row, column->attnum));
	}
	return any ? values_end(&builder) : NULL;
}

/* All of a row, but for what is null. */
static Jsonb *
whole_row(const HistoryRule *rule, const Row *row)
{
	ValuesBuilder builder;

	values_begin(&builder, rule->ncolumns);
	for (int i = 0; i < rule->ncolumns; i++)
	{
		RecordedColumn *column = &rule->columns[i];

		if (!is_null(row, column->attnum))
			values_add(&builder, column, row->values[column->attnum - 1], false);
	}
	return values_end(&builder);
}

/* What differs between two rows; false if nothing does. */
static bool
changed_values(const HistoryRule *rule, const Row *old, const Row *new, HistoryLine *line)
{
	ValuesBuilder before;
	ValuesBuilder after;
	bool any = false;

	for (int i = 0; i < rule->ncolumns; i++)
	{
		RecordedColumn *column = &rule->columns[i];
		int at = column->attnum - 1;

		if (column->is_ignored ||
			values_same(column, old->values[at], old->nulls[at], new->values[at], new->nulls[at]))
			continue;
		if (!any)
		{
			values_begin(&before, rule->ncolumns);
			values_begin(&after, rule->ncolumns);
			any = true;
		}
		values_add(&before, column, old->values[at], old->nulls[at]);
		values_add(&after, column, new->values[at], new->nulls[at]);
	}
	if (any)
	{
		line->old = values_end(&before);
		line->new = values_end(&after);
	}
	return any;
}

/* What a line says of any change: of which row, where, by which deletion. */
static void
begin_line(const HistoryRule *rule, const Row *row, HistoryLine *line)
{
	memset(line, 0, sizeof(HistoryLine));
	line->table_id = rule->table_id;
	line->table_schema = rule->table_schema;
	line->table_name = rule->table_name;
	if (row == NULL)
		return;
	line->key = key_of(rule, row);
	if (rule->workspace && !is_null(row, rule->workspace))
	{
		line->has_workspace = true;
		line->workspace = id_from_datum(row->values[rule->workspace - 1], rule->workspace_type);
	}
}

static void
tell_deletion(const HistoryRule *rule, const Row *row, HistoryLine *line)
{
	if (rule->deletion_id && !is_null(row, rule->deletion_id))
	{
		line->has_deletion = true;
		line->deletion_id = row->values[rule->deletion_id - 1];
	}
}

static void
record_insert(const HistoryRule *rule, const Row *new)
{
	HistoryLine line;

	begin_line(rule, new, &line);
	line.action = "INSERT";
	line.new = whole_row(rule, new);
	history_append(rule->log, &line);
}

static void
record_update(const HistoryRule *rule, const Row *old, const Row *new)
{
	HistoryLine line;
	bool was_deleted = rule->deleted_at && !is_null(old, rule->deleted_at);
	bool is_deleted = rule->deleted_at && !is_null(new, rule->deleted_at);

	begin_line(rule, new, &line);
	if (!changed_values(rule, old, new, &line))
		return;
	line.action = "UPDATE";
	if (is_deleted && !was_deleted)
	{
		line.action = "SOFT_DELETE";
		tell_deletion(rule, new, &line);
	}
	else if (was_deleted && !is_deleted)
	{
		line.action = "RESTORE";
		tell_deletion(rule, old, &line);
	}
	history_append(rule->log, &line);
}

static void
record_delete(const HistoryRule *rule, const Row *old)
{
	HistoryLine line;

	begin_line(rule, old, &line);
	line.action = history_purging ? "PURGE" : "DELETE";
	tell_deletion(rule, old, &line);
	line.old = whole_row(rule, old);
	history_append(rule->log, &line);
}

static void
record_truncate(const HistoryRule *rule)
{
	HistoryLine line;

	begin_line(rule, NULL, &line);
	line.action = "TRUNCATE";
	history_append(rule->log, &line);
}

/* What is told of a purge is a jsonb object; of no row, and so of no workspace. */
void
history_tell_purge(Relation rel, const char *what)
{
	HistoryRule *rule = rule_of(rel);
	HistoryLine line;

	if (rule == NULL)
		return;
	begin_line(rule, NULL, &line);
	line.action = "PURGE";
	line.new = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(what)));
	history_append(rule->log, &line);
}

/* ---------------------------------------------------------- partition moves */

/*
 * An update that moves a row to another partition arrives as a deletion and an
 * insertion, one after the other.  A deletion that the heap calls a move is
 * remembered until the insertion comes, to be told with it as an update.
 */
typedef struct Move
{
	Oid root;
	Oid partition; /* where the row was */
	ItemPointerData tid;
	int depth; /* of triggers, at which the insertion is to come */
	TransactionId xid;
	CommandId command;
} Move;

static List *moves = NIL; /* in TopTransactionContext, the deepest last */

static void
remember_move(const HistoryRule *rule, Relation rel, HeapTuple tuple, int depth)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Move *move = palloc(sizeof(Move));

	move->root = rule->root;
	move->partition = RelationGetRelid(rel);
	move->tid = tuple->t_self;
	move->depth = depth;
	move->xid = HeapTupleHeaderGetUpdateXid(tuple->t_data);
	move->command = HeapTupleHeaderGetCmax(tuple->t_data);
	moves = lappend(moves, move);
	MemoryContextSwitchTo(old);
}

/* The row as it was before a move, as its old partition has it. */
static HeapTuple
fetch_moved(Relation partition, const Move *move)
{
	TupleTableSlot *slot = table_slot_create(partition, NULL);
	ItemPointerData tid = move->tid;
	HeapTuple tuple;

	if (!table_tuple_fetch_row_version(partition, &tid, SnapshotAny, slot))
		elog(ERROR, "row moved from partition \"%s\" is gone", RelationGetRelationName(partition));
	tuple = ExecCopySlotHeapTuple(slot);
	ExecDropSingleTupleTableSlot(slot);
	return tuple;
}

/* A move whose insertion never came, since a trigger has skipped it. */
static void
settle_move(const Move *move)
{
	Relation partition;
	HistoryRule *rule;

	if (!TransactionIdIsCurrentTransactionId(move->xid))
		return; /* undone */
	partition = table_open(move->partition, AccessShareLock);
	rule = rule_of(partition);
	if (rule)
	{
		Row row = take_apart(fetch_moved(partition, move), RelationGetDescr(partition));

		record_delete(rule, &row);
	}
	table_close(partition, NoLock);
}

/*
 * The move that an insertion completes, if any.  Whatever else is open at its
 * depth, or deeper, will not be completed any more.
 */
static Move *
take_move(const HistoryRule *rule, TriggerEvent event, HeapTuple tuple, int depth)
{
	while (moves != NIL)
	{
		Move *move = llast(moves);

		if (move->depth < depth)
			break;
		moves = list_delete_last(moves);
		if (TRIGGER_FIRED_BY_INSERT(event) && TRIGGER_FIRED_FOR_ROW(event) &&
			move->depth == depth && move->root == rule->root &&
			HeapTupleHeaderGetXmin(tuple->t_data) == move->xid &&
			HeapTupleHeaderGetCmin(tuple->t_data) == move->command)
			return move;
		settle_move(move);
	}
	return NULL;
}

/* Before a transaction ends; in an aborted one there is nothing to tell. */
static void
settle_moves(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		while (moves != NIL)
		{
			Move *move = llast(moves);

			moves = list_delete_last(moves);
			settle_move(move);
		}
	}
	moves = NIL;
}

static void
record_move(const HistoryRule *rule, const Move *move, const Row *new, TupleDesc desc)
{
	Relation partition = table_open(move->partition, AccessShareLock);
	HeapTuple tuple = fetch_moved(partition, move);
	TupleConversionMap *map = convert_tuples_by_name(RelationGetDescr(partition), desc);
	Row old;

	if (map)
		tuple = execute_attr_map_tuple(tuple, map);
	old = take_apart(tuple, desc);
	record_update(rule, &old, new);
	table_close(partition, NoLock);
}

/* ----------------------------------------------------------------- trigger */

static void
record_row(const HistoryRule *rule, TriggerData *trigger)
{
	Relation rel = trigger->tg_relation;
	TupleDesc desc = RelationGetDescr(rel);
	TriggerEvent event = trigger->tg_event;
	HeapTuple tuple = trigger->tg_trigtuple;
	bool partition = rel->rd_rel->relispartition;
	int depth = partition || moves ? trigger_depth() : 0;
	Move *move = moves ? take_move(rule, event, tuple, depth) : NULL;
	Row row;

	if (partition && TRIGGER_FIRED_BY_DELETE(event) &&
		HeapTupleHeaderIndicatesMovedPartitions(tuple->t_data))
	{
		remember_move(rule, rel, tuple, depth);
		return;
	}
	row = take_apart(tuple, desc);
	if (move)
		record_move(rule, move, &row, desc);
	else if (TRIGGER_FIRED_BY_INSERT(event))
		record_insert(rule, &row);
	else if (TRIGGER_FIRED_BY_DELETE(event))
		record_delete(rule, &row);
	else
	{
		Row new = take_apart(trigger->tg_newtuple, desc);

		record_update(rule, &row, &new);
	}
}

static HistoryRule *
truncate_rule(Relation rel)
{
	HistoryRule *rule = rule_of(rel);

	/* a partitioned table holds no rows; the partitions tell of theirs */
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? NULL : rule;
}

PG_FUNCTION_INFO_V1(forge_comm_history_record);

/*
 * Trigger: AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW, with the arguments
 * "log=...", "table_id=..." and perhaps "ignore={...}", and AFTER TRUNCATE.
 *
 * Logs each change that is one.  It reads the row trigger's arguments whichever
 * of the two is called.
 */
Datum
forge_comm_history_record(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HistoryRule *rule = NULL;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigger->tg_event) == TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("history_record() must be called by an AFTER trigger of enable_history()"),
				 errhint("Call forge_comm.enable_history().")));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		rule = truncate_rule(trigger->tg_relation);
		if (rule)
			record_truncate(rule);
		PG_RETURN_POINTER(NULL);
	}
	rule = rule_of(trigger->tg_relation);
	if (rule == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("history_record() must be called by the row trigger \"forge_comm_history\""),
				 errhint("Call forge_comm.enable_history().")));
	record_row(rule, trigger);
	PG_RETURN_POINTER(NULL);
}

/* Nobody tells anything between transactions: drop what is outdated. */
static void
drop_outdated(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS status;
	HistoryEntry *entry;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	hash_seq_init(&status, history_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid && entry->rule)
			continue;
		if (entry->rule)
			MemoryContextDelete(entry->rule->context);
		(void) hash_search(history_cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

void
history_init(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(HistoryEntry),
		.hcxt = TopMemoryContext
	};

	history_cache = hash_create("forge_comm history", 64, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	when_table_changes(forget_rules);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_names, (Datum) 0);
	RegisterXactCallback(settle_moves, NULL);
	RegisterXactCallback(drop_outdated, NULL);
	history_log_init();
}
