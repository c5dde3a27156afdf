/*
 * visible.h
 *		Channels are there for those who may see them.
 */
#ifndef FORGE_COMM_VISIBLE_H
#define FORGE_COMM_VISIBLE_H

#include "postgres.h"

#include "compat.h"

/* May the caller see the row with this key of a table of channels? */
extern bool channel_is_visible(Oid relid, const char *key, int64 id);

/* The error where no channel is given. */
pg_noreturn extern void channel_is_null(void);

extern void visible_init(void);

#endif /* FORGE_COMM_VISIBLE_H */
