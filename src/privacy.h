/*
 * privacy.h
 *		Private channels, and all that is under them, are for their members.
 */
#ifndef FORGE_COMM_PRIVACY_H
#define FORGE_COMM_PRIVACY_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/relcache.h"

/*
 * May the user of the context see this row of a table under privacy, and what
 * is under it?  False for a row that does not exist.
 */
extern bool privacy_allows(Oid relid, int64 id);

/* Is somebody a member of a channel by this row, as privacy has it there? */
extern bool privacy_counts_member(Oid channels, Relation members, HeapTuple tuple);

#endif /* FORGE_COMM_PRIVACY_H */
