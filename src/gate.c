/*
 * gate.c
 *		Tables that belong to workspaces are not left open.
 *
 * An event trigger notes the tables that a transaction makes or alters.  They
 * are looked at once, just before it commits: a migration makes a table first
 * and enables tenancy on it afterwards.  What counts then is what the
 * catalogues say, so savepoints and dropped tables need no care.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "gate.h"

typedef enum RequireTenancy
{
	REQUIRE_OFF,
	REQUIRE_WARN,
	REQUIRE_ERROR
} RequireTenancy;

static const struct config_enum_entry require_tenancy_options[] = {
	{ "off", REQUIRE_OFF, false },
	{ "warn", REQUIRE_WARN, false },
	{ "error", REQUIRE_ERROR, false },
	{ NULL, 0, false }
};

static int require_tenancy = REQUIRE_OFF;
static List *touched = NIL; /* tables of this transaction, in its memory */

/*
 * Is this a restore?  A dump makes tables first and their policies last, each
 * in a transaction of its own.  It begins with "SET row_security = off", which
 * is for roles that row security does not bind; those could turn the gate off
 * as well, so believing them gives nothing away.
 */
static bool
is_restoring(void)
{
	return !row_security && has_bypassrls_privilege(GetAuthenticatedUserId());
}

static Datum
oid_array(List *oids)
{
	Datum *values = palloc(list_length(oids) * sizeof(Datum));
	ListCell *cell;
	int n = 0;

	foreach(cell, oids)
		values[n++] = ObjectIdGetDatum(lfirst_oid(cell));
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}

/* One finding, as an error or a warning. */
static void
report(int elevel, const char *object, const char *problem, const char *mend)
{
	ereport(elevel,
			(errcode(elevel == ERROR ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE :
									   ERRCODE_WARNING),
			 errmsg("table %s is left open", object),
			 errdetail_internal("%s", problem),
			 errhint("Before the transaction ends: %s", mend)));
}

/* Look at tables, and speak up. */
static void
check_tables(List *tables, int elevel)
{
	Oid argtypes[1] = { OIDARRAYOID };
	Datum args[1];

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	args[0] = oid_array(tables);
	if (SPI_execute_with_args("SELECT object, problem, mend FROM forge_comm.gate_findings($1)",
							  1, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the tables of the transaction");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		report(elevel, SPI_getvalue(tuple, desc, 1), SPI_getvalue(tuple, desc, 2),
			   SPI_getvalue(tuple, desc, 3));
	}
	SPI_finish();
	PopActiveSnapshot();
}

/* The extension may have been dropped by the very transaction. */
static void
check_transaction(void)
{
	List *tables = touched;

	touched = NIL;
	if (tables == NIL || require_tenancy == REQUIRE_OFF || is_restoring() ||
		!OidIsValid(get_extension_oid("forge_comm", true)))
		return;
	check_tables(tables, require_tenancy == REQUIRE_ERROR ? ERROR : WARNING);
}

static void
gate_at_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			check_transaction();
			break;
		default:
			touched = NIL;
			break;
	}
}

PG_FUNCTION_INFO_V1(forge_comm_gate_remember);

/* gate_remember(rel) */
Datum
forge_comm_gate_remember(PG_FUNCTION_ARGS)
{
	if (require_tenancy != REQUIRE_OFF && !is_restoring())
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		touched = list_append_unique_oid(touched, PG_GETARG_OID(0));
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_VOID();
}

void
gate_init(void)
{
	DefineCustomEnumVariable("forge_comm.require_tenancy",
							 "What happens to a table that belongs to workspaces and is left open.",
							 "\"warn\" tells whoever made or altered it, \"error\" refuses it.",
							 &require_tenancy, REQUIRE_OFF, require_tenancy_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(gate_at_end, NULL);
}
