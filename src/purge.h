/*
 * purge.h
 *		Soft-deleted rows are removed for good.
 */
#ifndef FORGE_COMM_PURGE_H
#define FORGE_COMM_PURGE_H

#include "access/htup.h"
#include "utils/relcache.h"

/* Is a row of the table being removed by a purge?  Then it counts. */
extern bool count_purged(Relation rel, HeapTuple row);

extern void purge_init(void);

#endif /* FORGE_COMM_PURGE_H */
