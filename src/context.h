/*
 * context.h
 *		Who is asking: the workspaces and the user of the transaction.
 */
#ifndef FORGE_COMM_CONTEXT_H
#define FORGE_COMM_CONTEXT_H

#include "postgres.h"

#include "utils/relcache.h"

/* Every workspace, as a service or because the role bypasses row security? */
extern bool context_is_everywhere(void);
extern bool context_bypassed(void);

/*
 * Is a row of this table being written by a referential action?  Those run as
 * the owner of the table they write; the triggers that they fire, on whatever
 * table, do not write ours in their name.
 */
extern bool by_referential_action(Relation rel);

/* TRUNCATE asks no policy, so it is for those who see everything. */
extern void context_guard_truncate(Relation rel);

/* An error if there is no context, unless missing ones are to be empty. */
extern void context_require(void);

/* Is this workspace in scope?  Without a context: an error, or just no. */
extern bool context_allows(int64 workspace);

/* The ids in scope, ascending; none where there is no context. */
extern int context_workspaces(const int64 **ids);

/* The one workspace of the scope, if it holds just one. */
extern bool context_pinned(int64 *workspace);

/* The user, if there is one. */
extern bool context_user(int64 *user);

/* What a service context is for, NULL if there is none. */
extern const char *context_service_reason(void);

/* Changes whenever the context does. */
extern uint64 context_generation(void);

/* What the user makes in this transaction, before any membership covers it. */
extern bool context_can_found(void);
extern void context_found_workspace(int64 workspace);
extern void context_found_row(Oid relid, int64 id);
extern bool context_founded(Oid relid, int64 id);

extern void context_init(void);

#endif /* FORGE_COMM_CONTEXT_H */
