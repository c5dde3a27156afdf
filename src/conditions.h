/*
 * conditions.h
 *		A condition over the rows of a table, evaluated without a query.
 */
#ifndef FORGE_COMM_CONDITIONS_H
#define FORGE_COMM_CONDITIONS_H

#include "access/htup.h"
#include "utils/relcache.h"

typedef struct Condition Condition;

/*
 * Parse a condition for rows of a table; "option" is its name in errors.  What
 * is returned lives in the current memory context.
 */
extern Condition *condition_prepare(Relation rel, const char *option, const char *text);

/* Is it true of the row?  Is it false, rather than true or unknown? */
extern bool condition_is_true(Condition *condition, HeapTuple tuple);
extern bool condition_is_false(Condition *condition, HeapTuple tuple);

#endif /* FORGE_COMM_CONDITIONS_H */
