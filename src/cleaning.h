/*
 * cleaning.h
 *		Text without what has no business in it.
 */
#ifndef FORGE_COMM_CLEANING_H
#define FORGE_COMM_CLEANING_H

#include <stdbool.h>

/*
 * Take white space off the ends of a text and control characters out of it,
 * in place; lines end in a newline each.  The new length.
 *
 * The text is UTF-8, or of an encoding of which only the ASCII is known.
 */
extern int strip_text(char *text, int len, bool utf8);

#endif /* FORGE_COMM_CLEANING_H */
