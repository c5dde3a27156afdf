/*
 * highlight.h
 *		A text as HTML, with what was searched for marked in it.
 */
#ifndef FORGE_COMM_HIGHLIGHT_H
#define FORGE_COMM_HIGHLIGHT_H

#include "postgres.h"

#include "tsearch/ts_type.h"

/*
 * Short texts come whole, of others the parts around what was found.  Nothing
 * in the result is HTML but <mark> and </mark>.
 */
extern text *highlight(Oid config, const text *body, TSQuery query);

#endif /* FORGE_COMM_HIGHLIGHT_H */
