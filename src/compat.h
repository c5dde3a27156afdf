/*
 * compat.h
 *		Every difference between the PostgreSQL versions we support.
 *
 * No other file may look at PG_VERSION_NUM.
 */
#ifndef FORGE_COMM_COMPAT_H
#define FORGE_COMM_COMPAT_H

#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 150000
#error "forge_comm needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size) malloc(size)
#define guc_free(ptr)			 free(ptr)
#endif

/* The number of the current transaction in this backend. */
static inline LocalTransactionId
compat_local_xid(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* Does the current user own this table (or rule the cluster)? */
static inline bool
compat_owns_table(Oid relid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, GetUserId());
#else
	return pg_class_ownercheck(relid, GetUserId());
#endif
}

/*
 * Note that a query writes a column, as the parser does for SET lists.  The
 * executor reads it to find dependent generated columns; it asks for the
 * UPDATE privilege only if the query's required permissions say so.
 */
static inline void
compat_mark_updated(Query *query, RangeTblEntry *rte, AttrNumber attnum)
{
	int bit = attnum - FirstLowInvalidHeapAttributeNumber;
#if PG_VERSION_NUM >= 160000
	RTEPermissionInfo *perms = getRTEPermissionInfo(query->rteperminfos, rte);

	perms->updatedCols = bms_add_member(perms->updatedCols, bit);
#else
	rte->updatedCols = bms_add_member(rte->updatedCols, bit);
#endif
}

/* What ExecutorRun() and its hook take. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMETERS QueryDesc *desc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGUMENTS	desc, direction, count
#else
#define EXECUTOR_RUN_PARAMETERS \
	QueryDesc *desc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGUMENTS desc, direction, count, execute_once
#endif

#endif /* FORGE_COMM_COMPAT_H */
