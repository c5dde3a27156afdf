/*
 * change_log.h
 *		The table of changes that clients are told.
 */
#ifndef FORGE_COMM_CHANGE_LOG_H
#define FORGE_COMM_CHANGE_LOG_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/reltrigger.h"
#include "utils/relcache.h"

#include "append.h"
#include "kept.h"

/* What happened; all but the last three are told. */
typedef enum ChangeKind
{
	CHANGE_INSERTED,
	CHANGE_EDITED,
	CHANGE_DELETED,
	CHANGE_RESTORED,
	CHANGE_REACTION_ADDED,
	CHANGE_REACTION_REMOVED,
	CHANGE_READ,
	CHANGE_JOINED,
	CHANGE_LEFT,
	CHANGE_OPENED, /* a private channel became public */
	CHANGE_CLOSED, /* and the other way round */
	CHANGE_RESET, /* what is known must be loaded anew */
	CHANGE_MARK, /* who was at work at some time: see maintain_changes() */
	CHANGE_FLOOR, /* transactions before this one are no longer here */
	NUM_CHANGE_KINDS
} ChangeKind;

/* The ids of a line, each of which may be missing. */
typedef enum ChangeId
{
	CHANGE_WORKSPACE, /* missing: for all workspaces */
	CHANGE_CHANNEL,
	CHANGE_MESSAGE,
	CHANGE_USER, /* for whom; missing: for all who may see the channel */
	CHANGE_AUTHOR, /* who reacted */
	NUM_CHANGE_IDS
} ChangeId;

typedef struct ChangeLine
{
	int64 id;
	uint64 xid; /* of the transaction, not of a subtransaction */
	int64 epoch;
	TimestampTz changed_at;
	ChangeKind kind;
	bool given[NUM_CHANGE_IDS];
	int64 ids[NUM_CHANGE_IDS];
	text *emoji; /* or NULL */
} ChangeLine;

/* The columns of a log. */
typedef enum ChangeColumn
{
	COLUMN_ID,
	COLUMN_XID,
	COLUMN_EPOCH,
	COLUMN_CHANGED_AT,
	COLUMN_KIND,
	COLUMN_WORKSPACE, /* this and those that follow in the order of ChangeId */
	COLUMN_CHANNEL,
	COLUMN_MESSAGE,
	COLUMN_USER,
	COLUMN_AUTHOR,
	COLUMN_EMOJI,
	NUM_CHANGE_COLUMNS
} ChangeColumn;

typedef struct ChangeLog
{
	Kept kept;
	Oid relid;
	AttrNumber attnums[NUM_CHANGE_COLUMNS];
	Oid sequence; /* of the ids */
	int64 epoch; /* of lines written here */
	Oid by_id; /* index on workspace, user and id */
	Oid by_xid; /* index on workspace, user, transaction and id */
	Appender *appender;
} ChangeLog;

/* The log that a trigger names, which must be of the table's owner. */
extern Oid change_log_named(Relation rel, const Trigger *trigger);

/* A log that is open. */
extern const ChangeLog *change_log_of(Relation rel);

/*
 * Tells what was written in this database to this log from what was brought
 * here, where transactions have other numbers.  With a timeline, also what
 * was seen before a server was set back or promoted.
 */
extern int64 change_epoch(Oid log, uint32 timeline);

/* The id last given out; those of later transactions are higher. */
extern int64 change_log_last_id(const ChangeLog *log);

extern void change_log_append(Oid log, ChangeLine *line);
extern void change_log_read(const ChangeLog *log, TupleTableSlot *slot, ChangeLine *line);

extern const char *change_kind_name(ChangeKind kind);

extern void change_log_init(void);

#endif /* FORGE_COMM_CHANGE_LOG_H */
