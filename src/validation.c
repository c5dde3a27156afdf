/*
 * validation.c
 *		Rows are as their table's rules say: the trigger, and one value.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "checks.h"
#include "rules.h"
#include "violations.h"

/* One write of a row. */
typedef struct RowState
{
	Relation rel;
	TupleDesc desc;
	HeapTuple old; /* NULL where the row is new */
	HeapTuple new;
	List *violated;

	/* what is to be stored instead */
	int nchanged;
	int *attnums;
	Datum *values;
	bool *nulls;
} RowState;

/* ------------------------------------------------------------------ one row */

/*
 * Is a value the one that was there?  Values that are stored out of line stay
 * where they are in an update that does not touch them, and need not be read.
 */
static bool
is_unchanged(Form_pg_attribute attr, Datum old, Datum new)
{
	if (attr->attlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(old)) &&
		VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(new)) &&
		memcmp(DatumGetPointer(old), DatumGetPointer(new), VARSIZE_EXTERNAL(DatumGetPointer(old))) == 0)
		return true;
	return datum_image_eq(old, new, attr->attbyval, attr->attlen);
}

/* Rows from before a rule may be updated in other columns. */
static bool
was_there(const RowState *row, AttrNumber attnum, Datum new, bool newnull)
{
	bool oldnull;
	Datum old;

	if (row->old == NULL)
		return false;
	old = heap_getattr(row->old, attnum, row->desc, &oldnull);
	if (oldnull || newnull)
		return oldnull && newnull;
	return is_unchanged(TupleDescAttr(row->desc, attnum - 1), old, new);
}

static void
note_violation(RowState *row, const Check *check)
{
	row->violated = lappend(row->violated, unconstify(Check *, check));
	if (!tell_all_violations)
		refuse_row_values(row->rel, row->violated);
}

/* Store another value than the one given. */
static void
replace_value(RowState *row, const Check *check, Datum value, int most)
{
	if (row->nchanged == 0)
	{
		row->attnums = palloc(most * sizeof(int));
		row->values = palloc(most * sizeof(Datum));
		row->nulls = palloc0(most * sizeof(bool));
	}
	if (row->nchanged == 0 || row->attnums[row->nchanged - 1] != check->attnum)
		row->nchanged++;
	row->attnums[row->nchanged - 1] = check->attnum;
	row->values[row->nchanged - 1] = value;
}

/* The normal form of a value must fit the column's type, as the value did. */
static Datum
normal_value(const Check *check, Datum value)
{
	Datum normal = check_normalize(check, value);

	if (DatumGetPointer(normal) == DatumGetPointer(value))
		return value;
	if (check->base_type == VARCHAROID && check->typmod >= 0)
		normal = DirectFunctionCall3(varchar, normal, Int32GetDatum(check->typmod), BoolGetDatum(false));
	if (check->type != check->base_type)
		domain_check(normal, false, check->type, NULL, NULL);
	return normal;
}

/* Is what a rule looks at as it was? */
static bool
is_settled(const RowState *row, const Check *check, bool same)
{
	for (int i = 0; same && i < check->parent.nkeys; i++)
	{
		bool isnull;
		Datum value = heap_getattr(row->new, check->key_columns[i], row->desc, &isnull);

		same = was_there(row, check->key_columns[i], value, isnull);
	}
	return same;
}

/* All rules of one column; returns how many they are. */
static int
check_column(RowState *row, const ValidationRule *rule, int first, bool normalize)
{
	AttrNumber attnum = rule->checks[first]->attnum;
	bool isnull;
	Datum value = heap_getattr(row->new, attnum, row->desc, &isnull);
	bool same = was_there(row, attnum, value, isnull);
	int i;

	for (i = first; i < rule->nchecks && rule->checks[i]->attnum == attnum; i++)
	{
		const Check *check = rule->checks[i];

		if (is_settled(row, check, same))
			continue;
		if (isnull)
		{
			if (checks_null(check))
				note_violation(row, check);
			continue;
		}
		if (!check->holds(check, value) || !check_row_holds(check, row->new, row->desc, value))
			note_violation(row, check);
		else if (normalize)
		{
			Datum normal = normal_value(check, value);

			if (DatumGetPointer(normal) != DatumGetPointer(value))
				replace_value(row, check, normal, rule->nchecks);
			value = normal;
		}
	}
	return i - first;
}

static HeapTuple
check_row(RowState *row, const ValidationRule *rule, bool normalize)
{
	for (int i = 0; i < rule->nchecks;)
		i += check_column(row, rule, i, normalize);
	if (row->violated)
		refuse_row_values(row->rel, row->violated);
	if (row->nchanged == 0)
		return row->new;
	return heap_modify_tuple_by_cols(row->new, row->desc, row->nchanged, row->attnums,
									 row->values, row->nulls);
}

static void
refuse_trigger(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("validation_guard() must be called by the triggers of validation"),
			 errhint("Call forge_comm.add_validation().")));
}

PG_FUNCTION_INFO_V1(forge_comm_validation_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the argument
 * "rules={...}": checks what is new in the row, and stores it in its normal
 * form.  And, where triggers of the owner's come after that one, AFTER INSERT
 * OR UPDATE FOR EACH ROW: checks what was stored.
 */
Datum
forge_comm_validation_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const ValidationRule *rule;
	RowState row = { 0 };
	bool stored;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		refuse_trigger();
	stored = TRIGGER_FIRED_AFTER(trigger->tg_event);
	rule = rules_of(trigger->tg_relation)->validation;
	if (stored ? strcmp(trigger->tg_trigger->tgname, "forge_comm_validation_stored") != 0 :
				 (rule == NULL || !TRIGGER_FIRED_BEFORE(trigger->tg_event)))
		refuse_trigger();
	/* behind a guard that is disabled, or that saw the row last, nothing is left to do */
	if (stored && (rule == NULL || !rule->rewritten))
		PG_RETURN_POINTER(NULL);

	row.rel = trigger->tg_relation;
	row.desc = RelationGetDescr(row.rel);
	row.new = trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		row.old = trigger->tg_trigtuple;
		row.new = trigger->tg_newtuple;
	}
	forget_copied_line();
	PG_RETURN_POINTER(check_row(&row, rule, !stored));
}

/* ---------------------------------------------------------------- one value */

/* A rule that was read, for as long as a query runs. */
static const Check *
cached_check(FunctionCallInfo fcinfo)
{
	MemoryContext old;
	Relation rel;
	AttrNumber attnum;
	List *others = NIL;

	if (fcinfo->flinfo->fn_extra)
		return (const Check *) fcinfo->flinfo->fn_extra;
	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	attnum = get_attnum(RelationGetRelid(rel), NameStr(*PG_GETARG_NAME(1)));
	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						NameStr(*PG_GETARG_NAME(1)), RelationGetRelationName(rel)),
				 errhint("Name another column.")));
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra =
		read_check(rel, attnum, text_to_cstring(PG_GETARG_TEXT_PP(2)), PG_GETARG_JSONB_P(3), &others);
	MemoryContextSwitchTo(old);
	relation_close(rel, NoLock);
	return (const Check *) fcinfo->flinfo->fn_extra;
}

PG_FUNCTION_INFO_V1(forge_comm_check_rule);

/* check_rule(rel, column, rule, options): an error unless it makes sense. */
Datum
forge_comm_check_rule(PG_FUNCTION_ARGS)
{
	(void) cached_check(fcinfo);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(forge_comm_is_valid);

/*
 * is_valid(rel, column, rule, options, value): may the column have the value?
 * The first four are the same throughout a query.
 */
Datum
forge_comm_is_valid(PG_FUNCTION_ARGS)
{
	const Check *check;

	check = (const Check *) fcinfo->flinfo->fn_extra;
	if (check == NULL)
	{
		for (int i = 0; i < 4; i++)
		{
			if (PG_ARGISNULL(i))
				PG_RETURN_NULL();
		}
		check = cached_check(fcinfo);
		if (check->type != get_fn_expr_argtype(fcinfo->flinfo, 4))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the value is not of the type of column \"%s\"", check->column),
					 errhint("Cast it to that type.")));
	}
	if (PG_ARGISNULL(4))
		PG_RETURN_BOOL(!checks_null(check));
	PG_RETURN_BOOL(check->holds(check, PG_GETARG_DATUM(4)));
}
