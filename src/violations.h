/*
 * violations.h
 *		How it is told that a row is not as it should be.
 */
#ifndef FORGE_COMM_VIOLATIONS_H
#define FORGE_COMM_VIOLATIONS_H

#include "nodes/pg_list.h"
#include "utils/elog.h"
#include "utils/relcache.h"

/* Is each violation of a row to be told, or just the first? */
extern bool tell_all_violations;

/* An error that tells of checks that did not hold, in the order given. */
extern void refuse_row_values(Relation rel, const List *checks);

/* Is this one of those?  They tell nothing that is to be hidden. */
extern bool is_in_our_words(const ErrorData *edata);

/* What COPY reads need not be repeated by errors from here on. */
extern void forget_copied_line(void);

/*
 * PostgreSQL's own errors.  Does one tell values of a table that has rules?
 * And if it says that a key is taken that ought to be unique: in our words.
 */
extern bool tells_checked_values(const ErrorData *edata);
extern void retell_duplicate(const ErrorData *edata);
extern void retell_duplicate_in_place(ErrorData *edata);

extern void violations_init(void);

#endif /* FORGE_COMM_VIOLATIONS_H */
