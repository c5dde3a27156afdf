/*
 * change_tokens.h
 *		How far a client has been told.
 */
#ifndef FORGE_COMM_CHANGE_TOKENS_H
#define FORGE_COMM_CHANGE_TOKENS_H

#include "postgres.h"

#include "change_log.h"

/*
 * Which transactions have been seen: all before xmax but for those that were
 * running.  Of those that began later still, all lines have higher ids than
 * the last one then given out.
 */
typedef struct Frontier
{
	uint64 xmax;
	int nrunning;
	uint64 *running; /* ascending, all before xmax */
	uint64 next; /* the first that had not begun; 0 where that is unknown, */
	int64 last_id; /* and so is this */
} Frontier;

typedef struct ChangeToken
{
	int64 epoch;
	int nworkspaces;
	const int64 *workspaces; /* that have been told of, ascending */
	Frontier seen;
	bool walking; /* cut by its limit: */
	Frontier target; /* what is seen at the end of the walk */
	int64 position; /* the line last told */
} ChangeToken;

/* What the query sees, but for what its own transaction has written. */
extern Frontier frontier_now(const ChangeLog *log);

extern bool frontier_sees(const Frontier *frontier, uint64 xid);

/* The first transaction that has not been seen. */
extern uint64 frontier_oldest(const Frontier *frontier);

/* Does a frontier see all that another does? */
extern bool frontier_covers(const Frontier *frontier, const Frontier *other);

/* The timeline that the server writes, or follows. */
extern uint32 current_timeline(void);

/* A token is for one user; 0 where the context names none. */
extern text *token_encode(int64 user, const ChangeToken *token);
extern bool token_decode(int64 user, text *encoded, ChangeToken *token);

#endif /* FORGE_COMM_CHANGE_TOKENS_H */
