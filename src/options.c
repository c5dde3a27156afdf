/*
 * options.c
 *		The arguments of our triggers, "option=value", and what they name.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "lookup.h"
#include "options.h"

#define SCHEMA "forge_comm"

/* A function of this extension, or InvalidOid; privileges do not matter. */
Oid
own_function(const char *name, int nargs, const Oid *argtypes)
{
	Oid schema = GetSysCacheOid1(NAMESPACENAME, Anum_pg_namespace_oid,
								 CStringGetDatum(SCHEMA));

	if (!OidIsValid(schema))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(argtypes, nargs)),
						   ObjectIdGetDatum(schema));
}

/* What we read of a trigger, in the current memory context. */
Trigger *
copy_trigger(const Trigger *trigger)
{
	Trigger *copy = palloc0(sizeof(Trigger));

	copy->tgname = pstrdup(trigger->tgname);
	copy->tgnargs = trigger->tgnargs;
	copy->tgargs = palloc((trigger->tgnargs + 1) * sizeof(char *));
	for (int i = 0; i < trigger->tgnargs; i++)
		copy->tgargs[i] = pstrdup(trigger->tgargs[i]);
	return copy;
}

/* Those that change rows, or refuse to, come before; what tells of them, after. */
static bool
comes_before(const char *function_name)
{
	return strcmp(function_name, "history_record") != 0 &&
		   strcmp(function_name, "changes_record") != 0 &&

		   strcmp(function_name, "deep_pages_note") != 0;
}

/*
 * The trigger of that name, if it is a row trigger that calls our function of
 * that name, at its time.  Triggers that a user happens to have named like
 * ours are not ours.  The relcache may drop its own copy at any look into the
 * catalogs, so ours is made before the next.
 */
const Trigger *
find_trigger(Relation rel, const char *trigger_name, const char *function_name,
			 bool disabled_too)
{
	Oid function = own_function(function_name, 0, NULL);
	const TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		bool fires = trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
					 trigger->tgenabled == TRIGGER_FIRES_ALWAYS;

		if ((fires || disabled_too) && trigger->tgfoid == function && OidIsValid(function) &&
			TRIGGER_FOR_ROW(trigger->tgtype) && !TRIGGER_FOR_INSTEAD(trigger->tgtype) &&
			TRIGGER_FOR_BEFORE(trigger->tgtype) == comes_before(function_name) &&
			strcmp(trigger->tgname, trigger_name) == 0)
			return copy_trigger(trigger);
	}
	return NULL;
}

/*
 * Does a trigger that is not ours change rows after the one of that name has
 * seen them?  BEFORE triggers fire in the order of their names.
 */
bool
has_later_trigger(Relation rel, const char *trigger_name)
{
	Oid schema = get_namespace_oid(SCHEMA, true);
	const TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			(TRIGGER_FOR_INSERT(trigger->tgtype) || TRIGGER_FOR_UPDATE(trigger->tgtype)) &&
			trigger->tgenabled != TRIGGER_DISABLED && strcmp(trigger->tgname, trigger_name) > 0)
		{
			Oid function = trigger->tgfoid;

			/* the relcache may drop the list at a look into the catalogs */
			if (get_func_namespace(function) != schema)
				return true;
			triggers = rel->trigdesc;
		}
	}
	return false;
}

/* The value of one option, or NULL. */
const char *
option(const Trigger *trigger, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < trigger->tgnargs; i++)
	{
		if (strncmp(trigger->tgargs[i], name, len) == 0 &&
			trigger->tgargs[i][len] == '=')
			return trigger->tgargs[i] + len + 1;
	}
	return NULL;
}

/* The column that an argument names, which must be there. */
AttrNumber
named_column(Relation rel, const Trigger *trigger, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\", named by trigger \"%s\", does not exist",
						column, RelationGetRelationName(rel), trigger->tgname),
				 errhint("Rename the column back, or disable the capability under the old name and enable it under the new one.")));
	return attnum;
}

/* What a column is for decides the types it may have. */
bool
is_time_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
}

bool
is_flag_type(Oid type)
{
	return type == BOOLOID;
}

bool
is_uuid_type(Oid type)
{
	return type == UUIDOID;
}

bool
is_any_type(Oid type)
{
	return true;
}

/*
 * The column that an option names; 0 if the option is not given.  Somebody
 * may have changed its type meanwhile, or made the trigger by hand.
 */
AttrNumber
option_column(Relation rel, const Trigger *trigger, const char *name, bool (*fits)(Oid type))
{
	const char *column = option(trigger, name);
	AttrNumber attnum;
	Oid type;

	if (column == NULL)
		return InvalidAttrNumber;
	attnum = named_column(rel, trigger, column);
	type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
	if (!fits(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\", named by trigger \"%s\", has type %s",
						column, RelationGetRelationName(rel), trigger->tgname,
						format_type_be(type)),
				 errhint("Change the type back, or disable the capability.")));
	return attnum;
}

/* The value of an option that must be given. */
const char *
required_option(Relation rel, const Trigger *trigger, const char *name)
{
	const char *value = option(trigger, name);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" lacks the argument \"%s=...\"",
						trigger->tgname, RelationGetRelationName(rel), name),
				 errhint("Drop it, and let an enable function make it.")));
	return value;
}

/* The same for an option that must be given. */
AttrNumber
required_column(Relation rel, const Trigger *trigger, const char *name, bool (*fits)(Oid type))
{
	(void) required_option(rel, trigger, name);
	return option_column(rel, trigger, name, fits);
}

/*
 * An id column that an option names, and its type; the table is the trigger's
 * or another that it is about.
 */
AttrNumber
named_id_column(Relation rel, const Trigger *trigger, const char *name, Oid *type)
{
	AttrNumber attnum = required_column(rel, trigger, name, is_id_type);

	*type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
	return attnum;
}

/* The table that an option names, as regclass writes it with an empty path. */
Oid
option_table(Relation rel, const Trigger *trigger, const char *name)
{
	List *names = textToQualifiedNameList(cstring_to_text(required_option(rel, trigger, name)));
	RangeVar *table = makeRangeVarFromNameList(names);
	Oid relid = InvalidOid;

	/* whoever queries need not have the privilege to use the schema */
	if (table->schemaname)
		relid = get_relname_relid(table->relname, get_namespace_oid(table->schemaname, true));
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table that trigger \"%s\" on table \"%s\" names does not exist",
						trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Rename it back, or disable the capability and enable it under the new name.")));
	return relid;
}

/* The names that an option lists as an array; how many there are. */
int
option_list(const Trigger *trigger, const char *name, char ***values)
{
	const char *list = option(trigger, name);
	Datum *names;
	int n;

	*values = NULL;
	if (list == NULL)
		return 0;
	deconstruct_array(DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN,
															  pstrdup(list),
															  NAMEOID, -1)),
					  NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &names, NULL, &n);
	*values = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		(*values)[i] = NameStr(*DatumGetName(names[i]));
	return n;
}

/* The columns that an option lists as an array. */
static Bitmapset *
listed_columns(Relation rel, const Trigger *trigger, const char *name, bool missing_ok)
{
	Bitmapset *columns = NULL;
	char **names;
	int n = option_list(trigger, name, &names);

	for (int i = 0; i < n; i++)
	{
		if (!missing_ok || get_attnum(RelationGetRelid(rel), names[i]) > 0)
			columns = bms_add_member(columns, named_column(rel, trigger, names[i]));
	}
	return columns;
}

Bitmapset *
option_columns(Relation rel, const Trigger *trigger, const char *name)
{
	return listed_columns(rel, trigger, name, false);
}

/* The same where it does not matter if some are gone. */
Bitmapset *
option_columns_left(Relation rel, const Trigger *trigger, const char *name)
{
	return listed_columns(rel, trigger, name, true);
}

PG_FUNCTION_INFO_V1(forge_comm_rule_options);

/* rule_options(rel, trigger, function): a trigger's arguments as jsonb. */
Datum
forge_comm_rule_options(PG_FUNCTION_ARGS)
{
	Relation rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	const Trigger *trigger;
	ArrayBuildState *pairs = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	Datum result = (Datum) 0;

	if (rel == NULL)
		PG_RETURN_NULL();
	trigger = find_trigger(rel, NameStr(*PG_GETARG_NAME(1)), NameStr(*PG_GETARG_NAME(2)),
						   true);
	if (trigger)
	{
		for (int i = 0; i < trigger->tgnargs; i++)
		{
			const char *arg = trigger->tgargs[i];
			const char *value = strchr(arg, '=');

			if (value == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						 errmsg("trigger \"%s\" on table \"%s\" has an argument that is no option",
								trigger->tgname, RelationGetRelationName(rel)),
						 errhint("Drop it, and let an enable function make it.")));
			accumArrayResult(pairs,
							 PointerGetDatum(cstring_to_text_with_len(arg, value - arg)),
							 false, TEXTOID, CurrentMemoryContext);
			accumArrayResult(pairs, CStringGetTextDatum(value + 1), false, TEXTOID,
							 CurrentMemoryContext);
		}
		result = makeArrayResult(pairs, CurrentMemoryContext);
	}
	relation_close(rel, AccessShareLock);

	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_object, result));
}

int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}
