/*
 * invalidation.h
 *		Being told when a table changes.
 */
#ifndef FORGE_COMM_INVALIDATION_H
#define FORGE_COMM_INVALIDATION_H

#include "postgres.h"

#include "utils/inval.h"

/* Have this called, as a relcache callback is; its argument is always 0. */
extern void when_table_changes(RelcacheCallbackFunction callback);

#endif /* FORGE_COMM_INVALIDATION_H */
