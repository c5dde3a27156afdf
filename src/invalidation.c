/*
 * invalidation.c
 *		Being told when a table changes.
 *
 * PostgreSQL has room for ten relcache callbacks in a session, its own
 * included (a worker that applies changes of a publication needs four), and
 * ends the session that wants more.  So all of ours are called by one.
 */
#include "postgres.h"

#include "invalidation.h"

#define MOST_CALLBACKS 32

static RelcacheCallbackFunction callbacks[MOST_CALLBACKS];
static int ncallbacks = 0;

static void
call_all(Datum arg, Oid relid)
{
	for (int i = 0; i < ncallbacks; i++)
		callbacks[i](arg, relid);
}

void
when_table_changes(RelcacheCallbackFunction callback)
{
	if (ncallbacks == MOST_CALLBACKS)
		elog(FATAL, "too many callbacks for changes of tables");
	if (ncallbacks == 0)
		CacheRegisterRelcacheCallback(call_all, (Datum) 0);
	callbacks[ncallbacks++] = callback;
}
