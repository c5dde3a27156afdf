/*
 * backfill.c
 *		The workspaces of rows that were there before tenancy was.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "rules.h"

PG_FUNCTION_INFO_V1(forge_comm_in_transaction_block);

/* in_transaction_block(): would a procedure be unable to commit? */
Datum
forge_comm_in_transaction_block(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(IsTransactionBlock());
}

/* Fill the rows of a range of blocks that have no workspace yet. */
static char *
backfill_query(Oid relid, const TenancyRule *rule, int64 first, int64 past)
{
	const ForeignKey *via = rule->via_key;
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query,
					 "UPDATE ONLY %s AS child SET %s = parent.%s FROM %s AS parent"
					 " WHERE child.ctid >= '(" INT64_FORMAT ",0)' AND child.ctid < '(" INT64_FORMAT ",0)'"
					 " AND child.%s IS NULL AND parent.%s = child.%s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)),
					 quote_identifier(get_attname(relid, rule->workspace, false)),
					 quote_identifier(get_attname(via->parent.relid, via->parent_agreed[0], false)),
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(via->parent.relid)),
												get_rel_name(via->parent.relid)),
					 first, past,
					 quote_identifier(get_attname(relid, rule->workspace, false)),
					 quote_identifier(get_attname(via->parent.relid, via->parent.attnums[0], false)),
					 quote_identifier(get_attname(relid, rule->via, false)));
	return query.data;
}

/*
 * Run a query as the owner of a table, who is exempt from its policies, with
 * its triggers off: to fill in what follows from other columns is no change
 * that stamps, histories or foreign keys should notice.
 */
static int64
run_unnoticed(const char *query, Oid owner)
{
	Oid user;
	int security;
	int nestlevel = NewGUCNestLevel();
	int64 processed;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	SPI_connect();
	if (SPI_execute(query, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "unexpected result of SPI_execute");
	processed = SPI_processed;
	SPI_finish();

	AtEOXact_GUC(true, nestlevel);
	SetUserIdAndSecContext(user, security);
	return processed;
}

PG_FUNCTION_INFO_V1(forge_comm_backfill_blocks);

/*
 * backfill_blocks(rel, first, past): give the rows in blocks [first, past)
 * the workspace of their parents.  Returns how many rows that were.
 */
Datum
forge_comm_backfill_blocks(PG_FUNCTION_ARGS)
{
	Relation rel = try_table_open(PG_GETARG_OID(0), RowExclusiveLock);
	const TenancyRule *rule;
	int64 filled;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	if (!compat_owns_table(RelationGetRelid(rel)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
	rule = rules_of(rel)->tenancy;
	if (rule == NULL || rule->via == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" gets its workspaces through no other table",
						RelationGetRelationName(rel)),
				 errhint("Call forge_comm.enable_tenancy() with the argument \"via\".")));

	filled = run_unnoticed(backfill_query(RelationGetRelid(rel), rule,
										  PG_GETARG_INT64(1), PG_GETARG_INT64(2)),
						   rel->rd_rel->relowner);
	table_close(rel, NoLock);
	PG_RETURN_INT64(filled);
}
