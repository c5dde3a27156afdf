/*
 * references.h
 *		What the row of a table under tenancy may reference.
 */
#ifndef FORGE_COMM_REFERENCES_H
#define FORGE_COMM_REFERENCES_H

#include "access/htup.h"
#include "fmgr.h"
#include "utils/relcache.h"

#include "rules.h"

typedef struct ParentSlot ParentSlot;

/* One write of a row, to be guarded. */
typedef struct GuardState
{
	Relation rel;
	TupleDesc desc;
	const TenancyRule *rule;
	bool by_action; /* a referential action writes it */
	bool bypassed; /* row security does not bind the role */
	ParentSlot *parents;
} GuardState;

extern ParentSlot *parent_slots(FunctionCallInfo fcinfo);

/* May the row be in this workspace? */
extern bool may_write_to(const GuardState *guard, int64 workspace);

/* The workspace that "via" leads to; false if it leads nowhere. */
extern bool via_workspace(const GuardState *guard, HeapTuple tuple, int64 *workspace);

/* An error unless the row may reference what it does, and the old did not. */
extern void check_references(const GuardState *guard, HeapTuple old, HeapTuple new);

#endif /* FORGE_COMM_REFERENCES_H */
