/*
 * change_scan.h
 *		Lines of a log of changes, in the order of their ids.
 */
#ifndef FORGE_COMM_CHANGE_SCAN_H
#define FORGE_COMM_CHANGE_SCAN_H

#include "postgres.h"

#include "utils/relcache.h"

#include "change_log.h"

/* Whose lines: of a workspace or of none, for one user or for all. */
typedef struct ChangeRange
{
	bool has_workspace;
	int64 workspace;
	bool has_user;
	int64 user;
} ChangeRange;

/* Lines of several ranges, merged. */
typedef struct ChangeMerge ChangeMerge;

/* Those with ids above one and up to another. */
extern ChangeMerge *change_merge_begin(Relation rel, const ChangeRange *ranges, int n,
									   int64 above, int64 upto);
/* The next line, NULL at the end; it is good until the next call. */
extern const ChangeLine *change_merge_next(ChangeMerge *merge);
extern void change_merge_end(ChangeMerge *merge);

/* Call back for each line of some transactions, in no certain order. */
extern void change_scan_transactions(Relation rel, const ChangeRange *range, uint64 first,
									 uint64 last, void (*callback)(const ChangeLine *line, void *arg),
									 void *arg);

#endif /* FORGE_COMM_CHANGE_SCAN_H */
