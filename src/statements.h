/*
 * statements.h
 *		Statements of our own, which our planner hook leaves as they are.
 */
#ifndef FORGE_COMM_STATEMENTS_H
#define FORGE_COMM_STATEMENTS_H

#include "executor/spi.h"

typedef struct OwnStatement
{
	const char *text;
	int nargs;
	Oid *argtypes;
	Datum *values;
	const char *nulls; /* as SPI takes them, or NULL */
	Oid owner; /* run as this role without row security; 0: as the caller */
	Oid keep_for; /* keep the plan, for this constraint and use; 0: do not */
	int keep_use;
} OwnStatement;

/* Run it, within SPI_connect(), whose variables tell the result. */
extern uint64 run_own_statement(const OwnStatement *statement);

/* Is it this that is being planned? */
extern bool is_own_statement(const char *query_string);

extern void statements_init(void);

#endif /* FORGE_COMM_STATEMENTS_H */
