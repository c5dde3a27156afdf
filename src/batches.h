/*
 * batches.h
 *		Rows noted by a foreign key that references them, and statements over
 *		those.
 */
#ifndef FORGE_COMM_BATCHES_H
#define FORGE_COMM_BATCHES_H

#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "utils/relcache.h"
#include "utils/tuplestore.h"

#include "rules.h"

/* What a batch knows of each row, after the columns of the key. */
enum
{
	WORKSPACE, /* bigint */
	DELETED_AT, /* of the parent's own type */
	DELETED_BY, /* bigint */
	DELETION_ID,
	STAMPS
};

/* The foreign key itself. */
typedef struct Key
{
	Oid constraint;
	Oid parent;
	Oid child;
	char action;
	int n;
	AttrNumber referenced[INDEX_MAX_KEYS];
	AttrNumber referencing[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS]; /* parent = child */
	int nset; /* the columns to be nulled; 0: all */
	AttrNumber set[INDEX_MAX_KEYS];
} Key;

/* Rows that fell or rose, or that must be live, as one foreign key knows them. */
typedef struct Batch
{
	Oid constraint;
	int depth; /* of the triggers that noted them */
	int nest; /* and of the subtransaction */
	bool rising;
	MemoryContext context;
	TupleDesc desc;
	Tuplestorestate *rows;
	int64 count;
} Batch;

/* Foreign keys: of which others are copies for partitions, on either side. */
extern Oid topmost_key(Oid constraint);
extern void read_key(Oid constraint, Key *key);
extern const SoftDeleteRule *soft_delete_of(Oid relid);

extern Batch *batch_for(List **batches, Oid constraint, int depth, bool rising, Relation rel, int nkeys, const AttrNumber *keys, AttrNumber deleted_at);
extern void batch_add(Batch *batch, Datum *values, bool *nulls);
extern void batch_drop(List **batches, Batch *batch);

/* Parts of statements; the table is "t", the rows of the batch are "g". */
extern char *table_name(Relation rel);
extern const char *only(Relation rel);
extern const char *column_name(Relation rel, AttrNumber attnum);
extern char *column_type(Relation rel, AttrNumber attnum);
extern void append_batch(StringInfo text, const Batch *batch);
extern void append_match(StringInfo text, const Key *key, bool with_child);
extern void append_workspace(StringInfo text, Relation child, const Key *key);

extern uint64 batch_run(const char *text, const Batch *batch, Oid owner, Oid keep_for, int use);

#endif /* FORGE_COMM_BATCHES_H */
