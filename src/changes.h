/*
 * changes.h
 *		What happens to messages, for clients that keep a copy of them.
 */
#ifndef FORGE_COMM_CHANGES_H
#define FORGE_COMM_CHANGES_H

#include "utils/relcache.h"

/* The log of a table of messages, an error if changes is not enabled there. */
extern Oid changes_log(Relation rel);

/* The table whose privacy decides who is told; InvalidOid where none does. */
extern Oid changes_channels(Relation rel);

extern void changes_init(void);

#endif /* FORGE_COMM_CHANGES_H */
