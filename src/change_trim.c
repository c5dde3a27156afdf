/*
 * change_trim.c
 *		Old lines leave a log of changes.
 *
 * A line may go when every token that is young enough has seen its
 * transaction.  When that is cannot be told from the line, whose transaction
 * may have gone on for days; so each run leaves a mark, which says what was
 * the oldest transaction at work then.  Any token that was made later has
 * seen all before it.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "change_log.h"
#include "change_scan.h"
#include "change_tokens.h"
#include "compat.h"

typedef struct Marks
{
	uint64 floor; /* what lines may go by now */
	uint64 known_floor; /* what went before */
	TimestampTz newest; /* mark */
} Marks;

static Marks
read_marks(Relation log, TimestampTz keep_from)
{
	ChangeRange none = { .has_workspace = false };
	int64 epoch = change_log_of(log)->epoch;
	ChangeMerge *merge = change_merge_begin(log, &none, 1, 0, PG_INT64_MAX);
	const ChangeLine *line;
	Marks marks = { .newest = DT_NOBEGIN };

	while ((line = change_merge_next(merge)) != NULL)
	{
		if (line->epoch != epoch)
			continue;
		if (line->kind == CHANGE_FLOOR)
			marks.known_floor = Max(marks.known_floor, line->xid);
		else if (line->kind == CHANGE_MARK)
		{
			marks.newest = Max(marks.newest, line->changed_at);
			if (line->changed_at <= keep_from)
				marks.floor = Max(marks.floor, line->xid);
		}
	}
	change_merge_end(merge);
	return marks;
}

/* What was brought here from another database was never told, and goes, too. */
static int64
remove_lines(Relation rel, uint64 floor)
{
	const ChangeLog *log = change_log_of(rel);
	Snapshot snapshot = GetActiveSnapshot();
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int64 removed = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		ChangeLine line;

		CHECK_FOR_INTERRUPTS();
		change_log_read(log, slot, &line);
		if (line.epoch == log->epoch && line.xid >= floor)
			continue;
		simple_table_tuple_delete(rel, &slot->tts_tid, snapshot);
		removed++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return removed;
}

static void
write_mark(Oid log, ChangeKind kind, uint64 xid)
{
	ChangeLine line = { .kind = kind, .xid = xid };

	change_log_append(log, &line);
}

PG_FUNCTION_INFO_V1(forge_comm_trim_changes);

/* trim_changes(log, keep_from, mark_from): how many lines it removed. */
Datum
forge_comm_trim_changes(PG_FUNCTION_ARGS)
{
	Oid logid = PG_GETARG_OID(0);
	TimestampTz keep_from = PG_GETARG_TIMESTAMPTZ(1);
	Relation log;
	Frontier now;
	Marks marks;
	int64 removed;

	if (!compat_owns_table(logid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of the log of changes"),
				 errhint("Call forge_comm.maintain_changes() as the role that owns the table of messages.")));
	log = table_open(logid, ShareUpdateExclusiveLock);
	/* who waited for another run must see what that did */
	PushActiveSnapshot(GetLatestSnapshot());
	now = frontier_now(change_log_of(log));
	marks = read_marks(log, keep_from);
	removed = remove_lines(log, marks.floor);
	if (marks.floor > marks.known_floor)
		write_mark(logid, CHANGE_FLOOR, marks.floor);
	if (marks.newest <= PG_GETARG_TIMESTAMPTZ(2))
		write_mark(logid, CHANGE_MARK, frontier_oldest(&now));
	PopActiveSnapshot();
	table_close(log, NoLock);
	PG_RETURN_INT64(removed);
}
