/*
 * search_index.h
 *		The index that words of messages are found by.
 */
#ifndef FORGE_COMM_SEARCH_INDEX_H
#define FORGE_COMM_SEARCH_INDEX_H

#include "postgres.h"

#include "tsearch/ts_type.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

/*
 * The columns of the index.  Places come first, and so are asked first: the
 * words are then looked for from row to row of a place, not the other way round.
 */
#define PLACES_COLUMN 1
#define WORDS_COLUMN  2

/* By what a message is found beside its words; part of what is stored. */
typedef enum PlaceKind
{
	PLACE_WORKSPACE,
	PLACE_CHANNEL,
	PLACE_AUTHOR,
	NUM_PLACE_KINDS
} PlaceKind;

/*
 * Time goes in steps of this kind's width, that the index has few keys and yet
 * the newest step of a busy place has few rows.
 */
extern int32 place_step(PlaceKind kind, TimestampTz time);
extern TimestampTz place_step_end(PlaceKind kind, int32 step);

/* What is searched for in the column of places: those from one step to an older. */
extern Datum wanted_places(PlaceKind kind, int32 newest, int32 oldest, const int64 *ids, int n);

/* The key of a place and step in the index, newest first: a bytea. */
extern Datum place_key(PlaceKind kind, int64 id, int32 step);
extern bool same_place(const bytea *a, const bytea *b);
extern int32 place_key_step(const bytea *key);

/*
 * What is asked of the index is answered only between these two: others could
 * count what others wrote, as with EXPLAIN ANALYZE.  What was started must be
 * ended, in case of an error too.
 */
typedef struct SearchGuard
{
	bool open;
	bool counted;
} SearchGuard;

extern SearchGuard search_begin(void);
extern void search_end(const SearchGuard *before);

/* What of a text is searched, as the parser is to see it. */
extern text *searched_text(const text *body, char less, char greater);

/*
 * Call a function of full-text search without its notices: they would tell of
 * rows that are not for everybody.
 */
extern Datum call_quietly(PGFunction function, int nargs, const Datum *args);

#endif /* FORGE_COMM_SEARCH_INDEX_H */
