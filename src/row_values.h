/*
 * row_values.h
 *		The values of a row as jsonb, the same whatever the session's settings.
 */
#ifndef FORGE_COMM_ROW_VALUES_H
#define FORGE_COMM_ROW_VALUES_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

/* How the values of a type are written. */
typedef enum ValueForm
{
	FORM_BOOL,
	FORM_INT2,
	FORM_INT4,
	FORM_INT8,
	FORM_NUMERIC,
	FORM_TEXT,
	FORM_TIME,
	FORM_JSONB,
	FORM_OUTPUT, /* as the type's output function has it */
	FORM_OTHER /* as to_jsonb() has it */
} ValueForm;

/* A column whose values are recorded. */
typedef struct RecordedColumn
{
	AttrNumber attnum;
	const char *name;
	int name_length;
	bool by_value;
	int16 length;
	Oid type; /* beneath domains */
	ValueForm form;
	FmgrInfo function; /* output function, or to_jsonb() for the type */
	bool is_key; /* part of the primary key */
	bool is_ignored; /* its change is no news */
	bool is_secret; /* never told */
} RecordedColumn;

/*
 * Read the columns of a relation, in the order of a jsonb object's keys.  What
 * is returned lives in the current memory context.
 */
extern int recorded_columns(Relation rel, RecordedColumn **columns);

/* A jsonb object in the making; its columns come in their order. */
typedef struct ValuesBuilder
{
	JsonbValue object;
	Size room; /* what may still be added, in bytes */
} ValuesBuilder;

extern void values_begin(ValuesBuilder *builder, int most);
extern void values_add(ValuesBuilder *builder, RecordedColumn *column, Datum value, bool isnull);
extern Jsonb *values_end(ValuesBuilder *builder);

/* Are two stored values of a column the same, to the bit? */
extern bool values_same(const RecordedColumn *column, Datum a, bool a_isnull, Datum b, bool b_isnull);

#endif /* FORGE_COMM_ROW_VALUES_H */
