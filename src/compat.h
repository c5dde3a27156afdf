/*
 * compat.h
 *		Every difference between the PostgreSQL versions we support.
 *
 * No other file may look at PG_VERSION_NUM.
 */
#ifndef FORGE_COMM_COMPAT_H
#define FORGE_COMM_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#if PG_VERSION_NUM < 150000
#error "forge_comm needs PostgreSQL 15 or later"
#endif

/* VARDATA_ANY() and its kin left postgres.h in 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Before a declaration: the function does not return. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
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

/* The sequence of an identity column, InvalidOid if it is none. */
static inline Oid
compat_identity_sequence(Relation rel, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 170000
	return getIdentitySequence(rel, attnum, true);
#else
	return getIdentitySequence(RelationGetRelid(rel), attnum, true);
#endif
}

/* Enter the row in a slot in the indexes of its table. */
static inline void
compat_insert_index_tuples(ResultRelInfo *result, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	list_free(ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false));
#else
	list_free(ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL));
#endif
}

/* Let an index access method clean up after insertions. */
static inline void
compat_index_insert_cleanup(Relation index, IndexInfo *info)
{
#if PG_VERSION_NUM >= 170000
	index_insert_cleanup(index, info);
#endif
}

/* Begin a scan of an index. */
static inline IndexScanDesc
compat_index_beginscan(Relation rel, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(rel, index, snapshot, nkeys, 0);
#endif
}

/* The index of the primary key, InvalidOid if there is none. */
static inline Oid
compat_primary_key_index(Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(rel, false);
#else
	return RelationGetPrimaryKeyIndex(rel);
#endif
}

/* Does this session hold a lock? */
static inline bool
compat_lock_held(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, false);
#else
	return LockHeldByMe(tag, mode);
#endif
}

/* Is this a generated column that is not stored? */
static inline bool
compat_is_virtual(Form_pg_attribute attr)
{
#if PG_VERSION_NUM >= 180000
	return attr->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

/*
 * Let ANALYZE collect nothing of an index.  Of one that was made in this
 * transaction the cache keeps what its columns were then, until 17.
 */
static inline void
compat_stop_statistics(Relation index)
{
#if PG_VERSION_NUM < 170000
	for (int i = 0; i < RelationGetDescr(index)->natts; i++)
		TupleDescAttr(RelationGetDescr(index), i)->attstattarget = 0;
#endif
}

/* Find the leaf page of a GIN index for a key; ginFindLeafPage() itself. */
#if PG_VERSION_NUM >= 170000
#define compat_gin_find_leaf(btree)				  ginFindLeafPage(btree, true, false)
#define compat_gin_begin_tree(btree, index, root) ginScanBeginPostingTree(btree, index, root)
#else
#define compat_gin_find_leaf(btree) ginFindLeafPage(btree, true, false, NULL)
#define compat_gin_begin_tree(btree, index, root) \
	ginScanBeginPostingTree(btree, index, root, NULL)
#endif

#endif /* FORGE_COMM_COMPAT_H */
