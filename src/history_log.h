/*
 * history_log.h
 *		The table that changes are logged to.
 */
#ifndef FORGE_COMM_HISTORY_LOG_H
#define FORGE_COMM_HISTORY_LOG_H

#include "utils/jsonb.h"
#include "utils/relcache.h"

/* What is told of a change; who and when are added to it. */
typedef struct HistoryLine
{
	int64 table_id;
	Datum table_schema; /* texts */
	Datum table_name;
	const char *action;
	Jsonb *key; /* NULL where there is none */
	Jsonb *old;
	Jsonb *new;
	bool has_workspace;
	int64 workspace;
	bool has_deletion;
	Datum deletion_id;
} HistoryLine;

extern bool is_history_log(Relation rel);
extern void history_append(Oid log, const HistoryLine *line);
extern void history_log_init(void);

#endif /* FORGE_COMM_HISTORY_LOG_H */
