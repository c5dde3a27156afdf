/*
 * history.h
 *		What was changed, when and by whom.
 */
#ifndef FORGE_COMM_HISTORY_H
#define FORGE_COMM_HISTORY_H

#include "postgres.h"

#include "utils/relcache.h"

/* Deletes are those of a purge, for whoever sets it. */
extern PGDLLEXPORT bool history_purging;

/* Tell what a purge is about, where changes of the table are logged. */
extern void history_tell_purge(Relation rel, const char *what);

extern void history_init(void);

#endif /* FORGE_COMM_HISTORY_H */
