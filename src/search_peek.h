/*
 * search_peek.h
 *		How many rows the index of search has for something, before it is asked.
 */
#ifndef FORGE_COMM_SEARCH_PEEK_H
#define FORGE_COMM_SEARCH_PEEK_H

#include "tsearch/ts_type.h"
#include "utils/relcache.h"

#include "search_index.h"

typedef struct SearchPeek SearchPeek;

/* Open the index, of a partitioned table those of all partitions. */
extern SearchPeek *peek_begin(Oid index);
extern void peek_end(SearchPeek *peek);

/* In how many rows is a word? */
extern double peek_word(SearchPeek *peek, const char *word, int length);

/* The newest steps of a place that hold so many rows. */
typedef struct PlaceSpan
{
	int32 oldest; /* step */
	double rows;
	bool all; /* there are no older ones */
} PlaceSpan;

extern PlaceSpan peek_place(SearchPeek *peek, PlaceKind kind, int64 id, int32 newest, double rows);

#endif /* FORGE_COMM_SEARCH_PEEK_H */
