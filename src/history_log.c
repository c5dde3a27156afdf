/*
 * history_log.c
 *		The table that changes are logged to, and how a line gets there.
 *
 * Lines are put straight into the partition of the current month, past the
 * triggers, privileges and policies of the log.  What is needed to do so is
 * kept for the partition last written.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "append.h"
#include "compat.h"
#include "context.h"
#include "history_log.h"
#include "invalidation.h"
#include "options.h"

/* The columns of a log. */
typedef enum LogColumn
{
	LOG_ID,
	LOG_CHANGED_AT,
	LOG_WORKSPACE,
	LOG_TABLE_ID,
	LOG_SCHEMA,
	LOG_TABLE,
	LOG_KEY,
	LOG_ROW_HASH,
	LOG_ACTION,
	LOG_TRANSACTION,
	LOG_USER,
	LOG_ROLE,
	LOG_REASON,
	LOG_DELETION,
	LOG_OLD,
	LOG_NEW
} LogColumn;

static const struct
{
	const char *name;
	Oid type;
} log_columns[] = {
	[LOG_ID] = { "id", INT8OID },
	[LOG_CHANGED_AT] = { "changed_at", TIMESTAMPTZOID },
	[LOG_WORKSPACE] = { "workspace_id", INT8OID },
	[LOG_TABLE_ID] = { "table_id", INT8OID },
	[LOG_SCHEMA] = { "table_schema", TEXTOID },
	[LOG_TABLE] = { "table_name", TEXTOID },
	[LOG_KEY] = { "key", JSONBOID },
	[LOG_ROW_HASH] = { "row_hash", INT8OID },
	[LOG_ACTION] = { "action", TEXTOID },
	[LOG_TRANSACTION] = { "transaction_id", XID8OID },
	[LOG_USER] = { "user_id", INT8OID },
	[LOG_ROLE] = { "role", TEXTOID },
	[LOG_REASON] = { "service_reason", TEXTOID },
	[LOG_DELETION] = { "deletion_id", UUIDOID },
	[LOG_OLD] = { "old", JSONBOID },
	[LOG_NEW] = { "new", JSONBOID }
};

/* How to write to the partition of a span of time. */
typedef struct LogWriter
{
	MemoryContext context; /* holds all of this */
	Oid sequence; /* of the ids */
	TimestampTz from; /* lines of this time and */
	TimestampTz until; /* before this one go to */
	Oid partition;
	AttrNumber attnums[lengthof(log_columns)]; /* there */
	Appender *appender;
} LogWriter;

typedef struct LogEntry
{
	Oid log; /* hash key */
	bool valid;
	LogWriter *writer; /* or NULL */
} LogEntry;

static HTAB *log_cache = NULL;

/* ----------------------------------------------------------------- routing */

/* Is this a log made by enable_history()? Its guard says so. */
bool
is_history_log(Relation rel)
{
	return find_trigger(rel, "forge_comm_append_only", "history_guard", true) != NULL;
}

/* The time at which a partition begins; the first and the last are open. */
static TimestampTz
bound_at(PartitionBoundInfo bounds, int offset)
{
	if (offset < 0)
		return DT_NOBEGIN;
	if (offset >= bounds->ndatums)
		return DT_NOEND;
	switch (bounds->kind[offset][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		default:
			return DatumGetTimestampTz(bounds->datums[offset][0]);
	}
}

static void
check_partitioning(Relation log)
{
	PartitionKey key = RelationGetPartitionKey(log);
	AttrNumber changed_at = get_attnum(RelationGetRelid(log), log_columns[LOG_CHANGED_AT].name);

	if (key == NULL || key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 ||
		key->partattrs[0] != changed_at)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history log \"%s\" is not partitioned by ranges of its column \"changed_at\"",
						RelationGetRelationName(log)),
				 errhint("Let forge_comm.enable_history() make a log of another name.")));
}

/* Find the partition for lines of a time, and until when it is the one. */
static void
route(Relation log, TimestampTz time, LogWriter *writer)
{
	PartitionKey key = RelationGetPartitionKey(log);
	PartitionDesc parts = RelationGetPartitionDesc(log, true);
	PartitionBoundInfo bounds = parts->boundinfo;
	Datum value = TimestampTzGetDatum(time);
	int partition = -1;

	writer->from = DT_NOBEGIN;
	writer->until = DT_NOEND;
	if (parts->nparts > 0)
	{
		bool equal;
		int offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
												   bounds, 1, &value, &equal);

		writer->from = bound_at(bounds, offset);
		writer->until = bound_at(bounds, offset + 1);
		partition = bounds->indexes[offset + 1];
		if (partition < 0)
			partition = bounds->default_index;
	}
	if (partition < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history log \"%s\" has no partition for the current time",
						RelationGetRelationName(log)),
				 errhint("Call forge_comm.maintain_history() as its owner.")));
	writer->partition = parts->oids[partition];
}

/* ----------------------------------------------------------------- writers */

static void
find_columns(Relation partition, LogWriter *writer)
{
	for (int i = 0; i < (int) lengthof(log_columns); i++)
	{
		AttrNumber attnum = get_attnum(RelationGetRelid(partition), log_columns[i].name);

		if (attnum <= 0 || TupleDescAttr(RelationGetDescr(partition), attnum - 1)->atttypid !=
							   log_columns[i].type)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("history log \"%s\" has no column \"%s\" of type %s",
							RelationGetRelationName(partition), log_columns[i].name,
							format_type_be(log_columns[i].type)),
					 errhint("Undo the change to the log, or let forge_comm.enable_history() make another.")));
		writer->attnums[i] = attnum;
	}
}

static void
check_plain(Relation partition)
{
	if (partition->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("partition \"%s\" of a history log is not an ordinary table",
						RelationGetRelationName(partition)),
				 errhint("Detach it, and call forge_comm.maintain_history().")));
}

/* Get ready to write lines of a time; the log is locked. */
static LogWriter *
make_writer(Oid logid, TimestampTz time)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "forge_comm history log",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	LogWriter *writer = palloc0(sizeof(LogWriter));
	Relation log = table_open(logid, NoLock);
	Relation partition;

	writer->context = context;
	check_partitioning(log);
	route(log, time, writer);
	writer->sequence = compat_identity_sequence(log, get_attnum(logid, log_columns[LOG_ID].name));
	if (!OidIsValid(writer->sequence))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"id\" of history log \"%s\" is no identity column",
						RelationGetRelationName(log)),
				 errhint("ALTER TABLE ... ALTER id ADD GENERATED ALWAYS AS IDENTITY.")));
	table_close(log, NoLock);

	partition = table_open(writer->partition, RowExclusiveLock);
	check_plain(partition);
	find_columns(partition, writer);
	writer->appender = appender_make(partition);
	table_close(partition, NoLock);

	MemoryContextSwitchTo(old);
	return writer;
}

/*
 * A writer that is outdated may be in use up the stack, so it is given to the
 * transaction to free.
 */
static void
retire(LogEntry *entry)
{
	if (entry->writer)
		MemoryContextSetParent(entry->writer->context, TopTransactionContext);
	entry->writer = NULL;
}

/*
 * The writer for lines of a time.  Once the log is locked no partition can go
 * away; others that come are announced, and noticed no later than that.
 */
static LogWriter *
writer_for(Oid log, TimestampTz time)
{
	LogEntry *entry;
	bool found;

	LockRelationOid(log, RowExclusiveLock);
	entry = hash_search(log_cache, &log, HASH_ENTER, &found);
	if (!found)
		entry->writer = NULL;
	if (entry->writer == NULL || !entry->valid || time < entry->writer->from ||
		time >= entry->writer->until)
	{
		LogWriter *writer;

		retire(entry);
		entry->valid = true; /* a change that arrives from here on counts */
		writer = make_writer(log, time);
		MemoryContextSetParent(writer->context, CacheMemoryContext);
		entry->writer = writer;
	}
	return entry->writer;
}

/* Relcache callback. */
static void
forget_writers(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	LogEntry *entry;

	hash_seq_init(&status, log_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->log == relid || entry->writer == NULL ||
			entry->writer->partition == relid)
			entry->valid = false;
	}
}

/* Nobody writes between transactions: drop what is outdated. */
static void
drop_outdated(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS status;
	LogEntry *entry;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	hash_seq_init(&status, log_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid && entry->writer)
			continue;
		if (entry->writer)
			MemoryContextDelete(entry->writer->context);
		(void) hash_search(log_cache, &entry->log, HASH_REMOVE, NULL);
	}
}

/* ---------------------------------------------------------------- hashing */

/* The value of a key that is one integer. */
static bool
integer_key(Jsonb *key, int64 *result)
{
	JsonbIterator *iterator = JsonbIteratorInit(&key->root);
	JsonbValue value;
	char *text;
	char *end;

	if (JB_ROOT_COUNT(key) != 1)
		return false;
	(void) JsonbIteratorNext(&iterator, &value, true); /* the object */
	(void) JsonbIteratorNext(&iterator, &value, true); /* the column's name */
	(void) JsonbIteratorNext(&iterator, &value, true);
	if (value.type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	errno = 0;
	*result = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

#define KEY_BITS 40

/*
 * A number by which the lines of a row are found: unlike jsonb it is quick to
 * compare, and row security lets an index on it be used.  Neighbours have
 * neighbouring numbers, so that a statement that changes many rows in order
 * fills the index in order.
 */
static int64
row_hash(Jsonb *key, int64 table_id)
{
	int64 number;

	if (!integer_key(key, &number))
		number = DatumGetInt64(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(key),
												   Int64GetDatum(table_id)));
	return (int64) ((uint64) table_id << KEY_BITS) | (number & ((INT64CONST(1) << KEY_BITS) - 1));
}

PG_FUNCTION_INFO_V1(forge_comm_row_hash);

/* row_hash(key, table_id) */
Datum
forge_comm_row_hash(PG_FUNCTION_ARGS)
{
	Jsonb *key = PG_GETARG_JSONB_P(0);

	if (!JB_ROOT_IS_OBJECT(key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key is no object"),
				 errhint("forge_comm.history_key() gives it.")));
	PG_RETURN_INT64(row_hash(key, PG_GETARG_INT64(1)));
}

/* ----------------------------------------------------------------- writing */

static void
put(LogWriter *writer, LogColumn column, Datum value)
{
	appender_put(writer->appender, writer->attnums[column], value);
}

static void
put_jsonb(LogWriter *writer, LogColumn column, Jsonb *value)
{
	if (value)
		put(writer, column, JsonbPGetDatum(value));
}

static void
put_key(LogWriter *writer, const HistoryLine *line)
{
	if (line->key == NULL)
		return;
	put_jsonb(writer, LOG_KEY, line->key);
	put(writer, LOG_ROW_HASH, Int64GetDatum(row_hash(line->key, line->table_id)));
}

/* Who did it: what the database knows, and what the application said. */
static void
put_author(LogWriter *writer)
{
	int64 user;
	const char *reason = context_service_reason();

	if (context_user(&user))
		put(writer, LOG_USER, Int64GetDatum(user));
	if (reason)
		put(writer, LOG_REASON, CStringGetTextDatum(reason));
	/* not the owner that a SECURITY DEFINER function or a cascade runs as */
	put(writer, LOG_ROLE, CStringGetTextDatum(GetUserNameFromId(GetOuterUserId(), false)));
}

static void
fill_line(LogWriter *writer, const HistoryLine *line, TimestampTz time)
{
	appender_clear(writer->appender);
	put(writer, LOG_ID, Int64GetDatum(nextval_internal(writer->sequence, false)));
	put(writer, LOG_CHANGED_AT, TimestampTzGetDatum(time));
	if (line->has_workspace)
		put(writer, LOG_WORKSPACE, Int64GetDatum(line->workspace));
	put(writer, LOG_TABLE_ID, Int64GetDatum(line->table_id));
	put(writer, LOG_SCHEMA, line->table_schema);
	put(writer, LOG_TABLE, line->table_name);
	put_key(writer, line);
	put(writer, LOG_ACTION, CStringGetTextDatum(line->action));
	put(writer, LOG_TRANSACTION, FullTransactionIdGetDatum(GetTopFullTransactionId()));
	put_author(writer);
	if (line->has_deletion)
		put(writer, LOG_DELETION, line->deletion_id);
	put_jsonb(writer, LOG_OLD, line->old);
	put_jsonb(writer, LOG_NEW, line->new);
}

/* Log a line. */
void
history_append(Oid log, const HistoryLine *line)
{
	TimestampTz now = GetCurrentTimestamp();
	LogWriter *writer = writer_for(log, now);

	fill_line(writer, line, now);
	appender_insert(writer->appender);
}

/* ---------------------------------------------------------------- guarding */

PG_FUNCTION_INFO_V1(forge_comm_history_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE OR DELETE FOR EACH ROW, and BEFORE
 * TRUNCATE, of a log and of its seals, enabled ALWAYS.  Lines of our own do
 * not pass through here.  Those that a subscription receives do, and those
 * that a superuser loads.
 */
Datum
forge_comm_history_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *relation;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("history_guard() must be called by a BEFORE trigger"),
				 errhint("Call forge_comm.enable_history().")));
	relation = RelationGetRelationName(trigger->tg_relation);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event) && (superuser() || IsLogicalWorker()))
			return PointerGetDatum(trigger->tg_trigtuple);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("history log \"%s\" is written by forge_comm only", relation),
				 errhint("Changes of tables with history are logged by themselves.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("lines of history log \"%s\" can be neither changed nor removed", relation),
			 errhint("Old ones go with their partition: see forge_comm.maintain_history().")));
	PG_RETURN_POINTER(NULL);
}

void
history_log_init(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(LogEntry),
		.hcxt = TopMemoryContext
	};

	log_cache = hash_create("forge_comm history logs", 16, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	when_table_changes(forget_writers);
	RegisterXactCallback(drop_outdated, NULL);
}
