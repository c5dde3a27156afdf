/*
 * messages.c
 *		The arithmetic of pages.
 */
#include "postgres.h"

#include "fmgr.h"

#define MOST_PER_PAGE 100

/* Wrong numbers are refused rather than clamped: nobody asked for those. */
static int64
checked_per_page(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1 ||
		PG_GETARG_INT32(arg) > MOST_PER_PAGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("per_page must be from 1 to %d", MOST_PER_PAGE),
				 errhint("Ask for several pages to get more rows.")));
	return PG_GETARG_INT32(arg);
}

static int64
checked_page(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) || PG_GETARG_INT32(arg) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("page must be 1 or more"),
				 errhint("Page 1 holds the newest rows.")));
	return PG_GETARG_INT32(arg);
}

PG_FUNCTION_INFO_V1(forge_comm_page_limit);
PG_FUNCTION_INFO_V1(forge_comm_page_offset);

/* page_limit(per_page) */
Datum
forge_comm_page_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(checked_per_page(fcinfo, 0));
}

/* page_offset(page, per_page): how many rows the pages before hold. */
Datum
forge_comm_page_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((checked_page(fcinfo, 0) - 1) * checked_per_page(fcinfo, 1));
}
