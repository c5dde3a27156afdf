/*
 * memberships.h
 *		Who belongs to which workspace, from the application's own table.
 */
#ifndef FORGE_COMM_MEMBERSHIPS_H
#define FORGE_COMM_MEMBERSHIPS_H

#include "postgres.h"

#include "tuples.h"

typedef struct Membership
{
	int64 workspace;
	const char *role; /* "" where no role is kept */
} Membership;

extern bool memberships_registered(void);

/* The user's active memberships, one a workspace, ascending. */
extern int memberships_of(int64 user, Membership **memberships);

/*
 * Is this the table of workspaces that the memberships reference?  Without a
 * registered table of memberships, none is: anybody could make one.
 */
extern bool memberships_are_of(Oid workspaces);

/* Has the user a membership, active or not, in a workspace of some scope? */
extern bool memberships_connect(int64 user, bool (*in_scope)(int64 workspace));

/*
 * The users with a membership, active or not, in one of these workspaces, in
 * any order; false where no index finds them.
 */
extern bool memberships_people(const int64 *workspaces, int nworkspaces, IdList *users);

extern void memberships_init(void);

#endif /* FORGE_COMM_MEMBERSHIPS_H */
