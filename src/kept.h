/*
 * kept.h
 *		What was made of the definition of a table, for as long as it stays true.
 */
#ifndef FORGE_COMM_KEPT_H
#define FORGE_COMM_KEPT_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* What is kept begins with this. */
typedef struct Kept
{
	MemoryContext context; /* holds all of it */
	List *relids; /* others whose change outdates it, too */
} Kept;

typedef struct KeptCache KeptCache;

/*
 * Makes what is kept of a table in the current memory context, or NULL: then
 * nothing is.
 */
typedef Kept *(*KeptMaker)(Relation rel);

/* For _PG_init(). */
extern KeptCache *kept_create(const char *name, KeptMaker maker);

/* What is kept of a table; it stays good until the end of the transaction. */
extern Kept *kept_of(KeptCache *cache, Relation rel);

#endif /* FORGE_COMM_KEPT_H */
