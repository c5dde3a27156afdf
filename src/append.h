/*
 * append.h
 *		Rows put straight into a table, past the executor.
 */
#ifndef FORGE_COMM_APPEND_H
#define FORGE_COMM_APPEND_H

#include "access/attnum.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

/* What is needed to add row after row to a table. */
typedef struct Appender
{
	Oid relid;
	TupleTableSlot *slot; /* the row to be added */
	EState *estate;
	ResultRelInfo *result;
	Oid *indexes;
} Appender;

/* Get ready to add rows to a plain table; lives in the current memory context. */
extern Appender *appender_make(Relation rel);

/* Fill the row to be added: nothing but nulls, a value, and off it goes. */
extern void appender_clear(Appender *appender);
extern void appender_put(Appender *appender, AttrNumber attnum, Datum value);
extern void appender_insert(Appender *appender);

#endif /* FORGE_COMM_APPEND_H */
