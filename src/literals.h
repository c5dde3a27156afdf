/*
 * literals.h
 *		The string literals of SQL text.
 */
#ifndef FORGE_COMM_LITERALS_H
#define FORGE_COMM_LITERALS_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text, from the first byte to before the last. */
typedef struct Span
{
	size_t start;
	size_t end;
} Span;

/*
 * Replace what each string literal holds by an asterisk, in place.  The text
 * never grows; what is returned is its new length.  It need not be SQL, nor
 * whole: whatever is not known to be something else counts as a literal.
 */
extern size_t mask_literals(char *text, size_t len);

/*
 * Does a literal of this text hold that one, letter case aside?  What stands
 * between dollar signs may be a program rather than a value, and must be equal.
 */
extern bool in_literals(const char *text, size_t len, const char *what, size_t n);

/* The word, as identifiers are, that begins at or after a position. */
extern bool next_word(const char *text, size_t len, size_t from, Span *word);

#endif /* FORGE_COMM_LITERALS_H */
