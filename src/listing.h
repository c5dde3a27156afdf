/*
 * listing.h
 *		Places in a channel, from which messages are listed.
 */
#ifndef FORGE_COMM_LISTING_H
#define FORGE_COMM_LISTING_H

#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

#define MOST_LISTED 100

typedef struct Place
{
	int64 time; /* of timestamp or timestamptz, which are alike */
	int64 id;
} Place;

/* Before and after all messages. */
#define FIRST_PLACE ((Place){ .time = PG_INT64_MIN, .id = PG_INT64_MIN })
#define LAST_PLACE	((Place){ .time = PG_INT64_MAX, .id = PG_INT64_MAX })

/* Errors if arguments are wrong. */
extern int32 checked_limit(FunctionCallInfo fcinfo, int arg);
extern void check_places(FunctionCallInfo fcinfo, int first);

/* What a text names a place by: see listing.c. */
extern bool place_is_id(const text *place, int64 *id);
extern bool place_is_unread(const text *place);
extern Place place_read(Oid relid, int64 channel, const text *name, bool may_be_time, Oid type);

/*
 * Places that have to be looked up, within SPI_connect(): the time of the
 * message whose id is in it, false if a channel (or thread) has no such
 * message; and that of the message that was read last.
 */
extern bool place_of_message(const text *query, int64 scope, Oid type, Place *place);
extern Place place_last_read(const text *query, int64 channel, Oid type);

extern bool place_step_back(Place *place);
extern text *place_cursor(Oid relid, int64 channel, Place place);

extern void require_time_type(Oid type);

pg_noreturn extern void anchor_is_elsewhere(void);
pg_noreturn extern void markers_are_unknown(void);

#endif /* FORGE_COMM_LISTING_H */
