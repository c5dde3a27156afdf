/*
 * history.h
 *		What was changed, when and by whom.
 */
#ifndef FORGE_COMM_HISTORY_H
#define FORGE_COMM_HISTORY_H

#include "postgres.h"

/* Deletes are those of a purge, for whoever sets it. */
extern PGDLLEXPORT bool history_purging;

extern void history_init(void);

#endif /* FORGE_COMM_HISTORY_H */
