/*
 * founding.h
 *		What a user makes and may use before a membership says so.
 */
#ifndef FORGE_COMM_FOUNDING_H
#define FORGE_COMM_FOUNDING_H

#include "postgres.h"

#include "lookup.h"

/*
 * Somebody is about to insert a row with this id.  False if that is nobody who
 * founds things, or there is such a row already.
 */
extern bool founding_begin(const LookupKey *key, Oid type, int64 id);

/*
 * Is there no row with this id but the one that was just made, not even a
 * deleted one that an open cursor may still come to?
 */
extern bool founding_was_new(const LookupKey *key, Oid type, int64 id, HeapTuple made);

/* Is this the row about to be inserted, and still not there? */
extern bool founding_is_new(Oid relid, int64 id);

#endif /* FORGE_COMM_FOUNDING_H */
