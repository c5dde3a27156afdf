/*
 * queries.h
 *		Queries that functions of ours ask with the rights of whoever calls.
 */
#ifndef FORGE_COMM_QUERIES_H
#define FORGE_COMM_QUERIES_H

#include "postgres.h"

#include "executor/spi.h"

/*
 * Run a query, within SPI_connect(), for at most so many rows, 0 for all: they
 * are in SPI_tuptable.  It sees what the statement sees that calls us.  The
 * plan is for any values, and kept.
 */
extern uint64 run_query(const text *query, int nargs, Oid *argtypes, Datum *values, long most);

/* An error unless the result of the last one begins with columns of these types. */
extern void require_columns(const Oid *types, int n);

extern void queries_init(void);

#endif /* FORGE_COMM_QUERIES_H */
