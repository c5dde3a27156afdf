/*
 * change_log.c
 *		The table of changes that clients are told.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "change_log.h"
#include "compat.h"
#include "options.h"

static const struct
{
	const char *name;
	Oid type;
} columns[] = {
	[COLUMN_ID] = { "id", INT8OID },
	[COLUMN_XID] = { "transaction_id", XID8OID },
	[COLUMN_EPOCH] = { "epoch", INT8OID },
	[COLUMN_CHANGED_AT] = { "changed_at", TIMESTAMPTZOID },
	[COLUMN_KIND] = { "kind", TEXTOID },
	[COLUMN_WORKSPACE] = { "workspace_id", INT8OID },
	[COLUMN_CHANNEL] = { "channel_id", INT8OID },
	[COLUMN_MESSAGE] = { "message_id", INT8OID },
	[COLUMN_USER] = { "user_id", INT8OID },
	[COLUMN_AUTHOR] = { "author_id", INT8OID },
	[COLUMN_EMOJI] = { "emoji", TEXTOID }
};

static const char *const kind_names[] = {
	[CHANGE_INSERTED] = "inserted",
	[CHANGE_EDITED] = "edited",
	[CHANGE_DELETED] = "deleted",
	[CHANGE_RESTORED] = "restored",
	[CHANGE_REACTION_ADDED] = "reaction_added",
	[CHANGE_REACTION_REMOVED] = "reaction_removed",
	[CHANGE_READ] = "read",
	[CHANGE_JOINED] = "joined",
	[CHANGE_LEFT] = "left",
	[CHANGE_OPENED] = "opened",
	[CHANGE_CLOSED] = "closed",
	[CHANGE_RESET] = "reset",
	[CHANGE_MARK] = "mark",
	[CHANGE_FLOOR] = "floor"
};

static KeptCache *logs;

const char *
change_kind_name(ChangeKind kind)
{
	return kind_names[kind];
}

/* ---------------------------------------------------------------- the table */

static bool
is_change_log(Relation rel)
{
	return find_trigger(rel, "forge_comm_append_only", "changes_guard", true) != NULL;
}

/* Whoever may make tables there must not be able to put one in its place. */
Oid
change_log_named(Relation rel, const Trigger *trigger)
{
	Oid logid = option_table(rel, trigger, "log");
	Relation log = table_open(logid, AccessShareLock);

	if (!is_change_log(log) || log->rd_rel->relowner != rel->rd_rel->relowner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is no log of changes of the owner of table \"%s\"",
						RelationGetRelationName(log), RelationGetRelationName(rel)),
				 errhint("Both must have one owner, and the log its trigger forge_comm_append_only.")));
	table_close(log, NoLock);
	return logid;
}

int64
change_epoch(Oid log, uint32 timeline)
{
	struct
	{
		uint64 system;
		uint32 database;
		uint32 log;
		uint32 timeline;
		uint32 padding;
	} origin = { GetSystemIdentifier(), MyDatabaseId, log, timeline, 0 };

	return (int64) hash_bytes_extended((unsigned char *) &origin, sizeof(origin), 0);
}

static void
find_columns(Relation rel, ChangeLog *log)
{
	for (int i = 0; i < NUM_CHANGE_COLUMNS; i++)
	{
		AttrNumber attnum = get_attnum(RelationGetRelid(rel), columns[i].name);

		if (attnum <= 0 ||
			TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid != columns[i].type)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("log of changes \"%s\" has no column \"%s\" of type %s",
							RelationGetRelationName(rel), columns[i].name,
							format_type_be(columns[i].type)),
					 errhint("Call forge_comm.disable_changes() and forge_comm.enable_changes().")));
		log->attnums[i] = attnum;
	}
}

/*
 * Ids must follow the order in which they are asked for: a session that took
 * some in advance would use them too late.
 */
static void
find_sequence(Relation rel, ChangeLog *log)
{
	HeapTuple tuple = NULL;
	bool fits = false;

	log->sequence = compat_identity_sequence(rel, log->attnums[COLUMN_ID]);
	if (OidIsValid(log->sequence))
		tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(log->sequence));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_sequence form = (Form_pg_sequence) GETSTRUCT(tuple);

		fits = form->seqcache == 1 && form->seqincrement > 0 && !form->seqcycle;
		ReleaseSysCache(tuple);
	}
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"id\" of log of changes \"%s\" has no sequence that gives ids in order",
						RelationGetRelationName(rel)),
				 errhint("Its identity sequence must have CACHE 1, ascend and not CYCLE.")));
	log->kept.relids = lappend_oid(log->kept.relids, log->sequence);
}

/* The valid btree index on just these columns. */
static Oid
find_index(Relation rel, const ChangeLog *log, const ChangeColumn *key, int n)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;

	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool fits = form->indisvalid && form->indnkeyatts == n &&
					RelationGetIndexPredicate(index) == NIL &&
					index->rd_rel->relam == BTREE_AM_OID;

		for (int i = 0; fits && i < n; i++)
			fits = form->indkey.values[i] == log->attnums[key[i]] && index->rd_indoption[i] == 0;
		index_close(index, NoLock);
		if (fits)
			return lfirst_oid(cell);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("log of changes \"%s\" lacks an index", RelationGetRelationName(rel)),
			 errhint("Call forge_comm.disable_changes() and forge_comm.enable_changes().")));
	return InvalidOid;
}

static Kept *
make_log(Relation rel)
{
	static const ChangeColumn by_id[] = { COLUMN_WORKSPACE, COLUMN_USER, COLUMN_ID };
	static const ChangeColumn by_xid[] = { COLUMN_WORKSPACE, COLUMN_USER, COLUMN_XID, COLUMN_ID };
	ChangeLog *log = palloc0(sizeof(ChangeLog));

	log->relid = RelationGetRelid(rel);
	log->epoch = change_epoch(log->relid, 0);
	find_columns(rel, log);
	find_sequence(rel, log);
	log->by_id = find_index(rel, log, by_id, lengthof(by_id));
	log->by_xid = find_index(rel, log, by_xid, lengthof(by_xid));
	log->appender = appender_make(rel);
	return &log->kept;
}

const ChangeLog *
change_log_of(Relation rel)
{
	return (const ChangeLog *) kept_of(logs, rel);
}

/* ----------------------------------------------------------------- writing */

static void
fill_line(const ChangeLog *log, const ChangeLine *line)
{
	Appender *appender = log->appender;

	appender_clear(appender);
	appender_put(appender, log->attnums[COLUMN_ID], Int64GetDatum(line->id));
	appender_put(appender, log->attnums[COLUMN_XID], UInt64GetDatum(line->xid));
	appender_put(appender, log->attnums[COLUMN_EPOCH], Int64GetDatum(line->epoch));
	appender_put(appender, log->attnums[COLUMN_CHANGED_AT], TimestampTzGetDatum(line->changed_at));
	appender_put(appender, log->attnums[COLUMN_KIND], CStringGetTextDatum(kind_names[line->kind]));
	for (int i = 0; i < NUM_CHANGE_IDS; i++)
	{
		if (line->given[i])
			appender_put(appender, log->attnums[COLUMN_WORKSPACE + i], Int64GetDatum(line->ids[i]));
	}
	if (line->emoji)
		appender_put(appender, log->attnums[COLUMN_EMOJI], PointerGetDatum(line->emoji));
}

/*
 * Write a line; a mark or a floor brings the transaction that it is about.
 *
 * The feed relies on the order here: the transaction has its number before
 * the line has its id.  It must be that of the whole transaction: snapshots
 * tell of those only.
 */
void
change_log_append(Oid logid, ChangeLine *line)
{
	Relation rel = table_open(logid, RowExclusiveLock);
	const ChangeLog *log = change_log_of(rel);
	uint64 xid = U64FromFullTransactionId(GetTopFullTransactionId());

	if (line->xid == 0)
		line->xid = xid;
	line->id = nextval_internal(log->sequence, false);
	line->epoch = log->epoch;
	line->changed_at = GetCurrentTimestamp();
	fill_line(log, line);
	appender_insert(log->appender);
	table_close(rel, NoLock);
}

/* ----------------------------------------------------------------- reading */

static Datum
value_of(const ChangeLog *log, TupleTableSlot *slot, ChangeColumn column, bool *isnull)
{
	return slot_getattr(slot, log->attnums[column], isnull);
}

static ChangeKind
read_kind(Datum value)
{
	text *name = DatumGetTextPP(value);
	size_t length = VARSIZE_ANY_EXHDR(name);

	for (int i = 0; i < NUM_CHANGE_KINDS; i++)
	{
		if (strlen(kind_names[i]) == length && memcmp(kind_names[i], VARDATA_ANY(name), length) == 0)
			return i;
	}
	return NUM_CHANGE_KINDS;
}

/* What is read stays good for as long as the slot has the row. */
void
change_log_read(const ChangeLog *log, TupleTableSlot *slot, ChangeLine *line)
{
	bool isnull;
	Datum emoji;

	line->id = DatumGetInt64(value_of(log, slot, COLUMN_ID, &isnull));
	line->xid = DatumGetUInt64(value_of(log, slot, COLUMN_XID, &isnull));
	line->epoch = DatumGetInt64(value_of(log, slot, COLUMN_EPOCH, &isnull));
	line->changed_at = DatumGetTimestampTz(value_of(log, slot, COLUMN_CHANGED_AT, &isnull));
	line->kind = read_kind(value_of(log, slot, COLUMN_KIND, &isnull));
	for (int i = 0; i < NUM_CHANGE_IDS; i++)
	{
		line->ids[i] = DatumGetInt64(value_of(log, slot, COLUMN_WORKSPACE + i, &isnull));
		line->given[i] = !isnull;
	}
	emoji = value_of(log, slot, COLUMN_EMOJI, &isnull);
	line->emoji = isnull ? NULL : DatumGetTextPP(emoji);
}

/*
 * Like last_value of the sequence, which the reader need not be allowed to
 * see.  A sequence is one page with one row.
 */
int64
change_log_last_id(const ChangeLog *log)
{
	Relation rel = relation_open(log->sequence, AccessShareLock);
	Buffer buffer = ReadBuffer(rel, 0);
	HeapTupleHeader row;
	Form_pg_sequence_data data;
	int64 result;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	row = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer),
										PageGetItemId(BufferGetPage(buffer), FirstOffsetNumber));
	data = (Form_pg_sequence_data) ((char *) row + row->t_hoff);
	result = data->is_called ? data->last_value : data->last_value - 1;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	return result;
}

/* ---------------------------------------------------------------- guarding */

PG_FUNCTION_INFO_V1(forge_comm_changes_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW, and BEFORE
 * TRUNCATE, of a log, enabled ALWAYS.  Lines of our own do not pass through
 * here.  Those that a subscription receives do, and those that a superuser
 * loads; readers know them by their epoch.
 */
Datum
forge_comm_changes_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("changes_guard() must be called by a BEFORE trigger"),
				 errhint("Call forge_comm.enable_changes().")));
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && TRIGGER_FIRED_FOR_ROW(trigger->tg_event) &&
		(superuser() || IsLogicalWorker()))
		return PointerGetDatum(trigger->tg_trigtuple);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("log of changes \"%s\" is written by forge_comm only",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("Old lines are removed by forge_comm.maintain_changes().")));
	PG_RETURN_POINTER(NULL);
}

void
change_log_init(void)
{
	logs = kept_create("forge_comm change logs", make_log);
}
