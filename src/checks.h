/*
 * checks.h
 *		What the rules of a table ask of the values of its rows.
 */
#ifndef FORGE_COMM_CHECKS_H
#define FORGE_COMM_CHECKS_H

#include "access/htup.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

#include "lookup.h"

typedef struct CheckKind CheckKind;

/* One rule, of one column. */
typedef struct Check
{
	const CheckKind *kind;
	bool (*holds)(const struct Check *check, Datum value); /* of one that is not null */
	const char *code; /* the rule's name */
	const char *options; /* as jsonb writes them, NULL if there are none */
	AttrNumber attnum;
	const char *column;
	Oid type; /* the column's, and beneath domains */
	Oid base_type;
	int32 typmod;
	Oid collation;

	/* characters, or whatever a kind counts; -1 where there is no bound */
	int least;
	int most;

	/* a range, of the column's type */
	bool has_low;
	bool has_high;
	Datum low;
	Datum high;
	FmgrInfo compare;

	/* what bounds and lists are called in the error */
	const char *low_text;
	const char *high_text;
	const char *list_text;

	int nvalues;
	Datum *values;
	text *pattern;

	/* the row referenced, and its column */
	LookupKey parent;
	AttrNumber *key_columns;
	AttrNumber parent_attnum;
} Check;

/* A unique index, whose violation is told in our words. */
typedef struct UniqueKey
{
	const char *index;
	const char *column;
} UniqueKey;

typedef struct ValidationRule
{
	const char *schema; /* of the table, as errors name it */
	const char *table;
	int nchecks; /* by column, in the order in which they are made */
	Check **checks;
	int nkeys;
	UniqueKey *keys;
	bool rewritten; /* other triggers may change a row once ours has seen it */
} ValidationRule;

/*
 * The rules that a trigger's argument "rules" lists.  What is returned lives
 * in the current memory context; its other relations are added to a list.
 */
extern ValidationRule *read_validation(Relation rel, const Trigger *trigger, List **others);

/* One rule, or an error if there is none of that name or it does not suit the column. */
extern Check *read_check(Relation rel, AttrNumber attnum, const char *name, Jsonb *options,
						 List **others);

extern bool checks_null(const Check *check);

/* Does the row agree with others as it should? */
extern bool check_row_holds(const Check *check, HeapTuple tuple, TupleDesc desc, Datum value);

/* The value as it is to be stored; the same one if that is how it is. */
extern Datum check_normalize(const Check *check, Datum value);

/* What is wrong, in words: "email is not a valid e-mail address". */
extern void check_says(const Check *check, StringInfo sentence);

#endif /* FORGE_COMM_CHECKS_H */
