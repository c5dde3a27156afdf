/*
 * memberships.h
 *		Who belongs to which workspace, from the application's own table.
 */
#ifndef FORGE_COMM_MEMBERSHIPS_H
#define FORGE_COMM_MEMBERSHIPS_H

#include "postgres.h"

typedef struct Membership
{
	int64 workspace;
	const char *role; /* "" where no role is kept */
} Membership;

extern bool memberships_registered(void);

/* The user's active memberships, one a workspace, ascending. */
extern int memberships_of(int64 user, Membership **memberships);

extern void memberships_init(void);

#endif /* FORGE_COMM_MEMBERSHIPS_H */
