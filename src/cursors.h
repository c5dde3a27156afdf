/*
 * cursors.h
 *		Places in a walk through rows, as texts that clients cannot make up.
 */
#ifndef FORGE_COMM_CURSORS_H
#define FORGE_COMM_CURSORS_H

#include "postgres.h"

#include "compat.h"

/*
 * What a cursor is for: it can be read back for the same use only.  None of
 * this is in the text.
 */
typedef struct CursorUse
{
	char kind; /* a lower-case letter, with which the text begins: see below */
	Oid relid; /* the table walked through; InvalidOid where it may differ */
	int64 user; /* 0 where it is for anybody */
} CursorUse;

/* The kinds: one letter for each sort of walk, and order of its rows. */
#define CURSOR_OF_MESSAGES 'm' /* by created_at and id, of one channel */
#define CURSOR_OF_INBOX	   'i' /* the same of all channels */
#define CURSOR_OF_SEARCH   's' /* found messages */
#define CURSOR_OF_CHANGES  'c' /* the feed of changes */

/*
 * The text for some numbers, palloc'd: ASCII letters, digits, "-" and "_", fit for
 * a URL.  Small numbers take less of it.
 */
extern text *cursor_encode(const CursorUse *use, const int64 *values, int n);

/*
 * Read at most so many numbers back, and say how many there were: -1 if the
 * text is nothing that was made for this use, or holds more.
 */
extern int cursor_decode(const CursorUse *use, const char *cursor, int len, int64 *values, int most);

/* The error for that: MC001. */
pg_noreturn extern void cursor_is_invalid(void);

/* Changes whenever a cursor that was good may no longer be. */
extern uint64 cursor_generation(void);

extern void cursors_init(void);

#endif /* FORGE_COMM_CURSORS_H */
