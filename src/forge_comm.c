/*
 * forge_comm.c
 *		A messaging database that keeps its own rules.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "answers.h"
#include "cascade.h"
#include "changes.h"
#include "context.h"
#include "cursors.h"
#include "deep_pages.h"
#include "fences.h"
#include "gate.h"
#include "history.h"
#include "marked.h"
#include "memberships.h"
#include "purge.h"
#include "redact.h"
#include "restore.h"
#include "rules.h"
#include "search.h"
#include "soft_delete.h"
#include "statements.h"
#include "timestamps.h"
#include "violations.h"
#include "queries.h"
#include "visible.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	rules_init();
	answers_init();
	memberships_init();
	context_init();
	timestamps_init();
	soft_delete_init();
	statements_init();
	cascade_init();
	restore_init();
	purge_init();
	gate_init();
	marked_init();
	redact_init();
	history_init();
	violations_init();
	cursors_init();
	visible_init();
	queries_init();
	changes_init();
	search_init();
	fences_init();
	deep_pages_init();
	MarkGUCPrefixReserved("forge_comm");
}
