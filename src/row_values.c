/*
 * row_values.c
 *		The values of a row as jsonb, the same whatever the session's settings.
 *
 * What is written here is read back much later, by a session with another
 * time zone, date style or search path.  So the common types are written
 * without asking any of them, and for the others they are fixed meanwhile.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "options.h"
#include "row_values.h"

/* jsonb holds 256 MB: what exceeds that is not recorded, rather than refused. */
#define MOST_BYTES ((Size) 128 * 1024 * 1024)

/* What other forms than the stored one may take of it. */
#define EXPANSION 8

/* ----------------------------------------------------------------- columns */

static ValueForm
form_of(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return FORM_BOOL;
		case INT2OID:
			return FORM_INT2;
		case INT4OID:
			return FORM_INT4;
		case INT8OID:
			return FORM_INT8;
		case NUMERICOID:
			return FORM_NUMERIC;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID: /* may hold what jsonb cannot: kept as its text */
			return FORM_TEXT;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return FORM_TIME;
		case JSONBOID:
			return FORM_JSONB;
		case UUIDOID:
		case NAMEOID:
		case CHAROID:
		case INETOID:
		case CIDROID:
			return FORM_OUTPUT;
	}
	return type_is_enum(type) ? FORM_OUTPUT : FORM_OTHER;
}

static void
find_function(RecordedColumn *column)
{
	if (column->form == FORM_OUTPUT)
	{
		Oid output;
		bool varlena;

		getTypeOutputInfo(column->type, &output, &varlena);
		fmgr_info(output, &column->function);
	}
	else if (column->form == FORM_OTHER)
	{
		/* to_jsonb() asks its caller for the type */
		Const *argument = makeNullConst(column->type, -1, InvalidOid);

		fmgr_info(F_TO_JSONB, &column->function);
		fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
												 InvalidOid, InvalidOid,
												 COERCE_EXPLICIT_CALL),
						   &column->function);
	}
}

/* The order of keys in jsonb: shorter first, then by their bytes. */
static int
by_key(const void *a, const void *b)
{
	const RecordedColumn *left = a;
	const RecordedColumn *right = b;

	if (left->name_length != right->name_length)
		return left->name_length - right->name_length;
	return memcmp(left->name, right->name, left->name_length);
}

/*
 * The columns marked as secret, which another capability keeps as an argument
 * of its trigger.  That counts even if the trigger is disabled.
 */
static Bitmapset *
secret_columns(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (strcmp(triggers->triggers[i].tgname, "forge_comm_secrets") == 0)
			return option_columns(rel, copy_trigger(&triggers->triggers[i]), "columns");
	}
	return NULL;
}

int
recorded_columns(Relation rel, RecordedColumn **columns)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	Bitmapset *secrets = secret_columns(rel);
	int n = 0;

	*columns = palloc0(Max(desc->natts, 1) * sizeof(RecordedColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		RecordedColumn *column;

		if (attr->attisdropped || compat_is_virtual(attr))
			continue;
		column = &(*columns)[n++];
		column->attnum = attr->attnum;
		column->name = pstrdup(NameStr(attr->attname));
		column->name_length = strlen(column->name);
		column->by_value = attr->attbyval;
		column->length = attr->attlen;
		column->type = getBaseType(attr->atttypid);
		column->form = form_of(column->type);
		column->is_key = bms_is_member(attr->attnum - FirstLowInvalidHeapAttributeNumber, key);
		column->is_secret = bms_is_member(attr->attnum, secrets);
		find_function(column);
	}
	qsort(*columns, n, sizeof(RecordedColumn), by_key);
	return n;
}

/* --------------------------------------------------------------- comparing */

/*
 * Values that are stored out of line stay where they are in an update that
 * does not touch them: the same pointer means the same value, unread.
 */
static bool
same_bytes(Datum a, Datum b)
{
	struct varlena *left = (struct varlena *) DatumGetPointer(a);
	struct varlena *right = (struct varlena *) DatumGetPointer(b);

	if (VARATT_IS_EXTERNAL(left) || VARATT_IS_EXTERNAL(right))
		return VARATT_IS_EXTERNAL_ONDISK(left) && VARATT_IS_EXTERNAL_ONDISK(right) &&
			   memcmp(left, right, VARSIZE_EXTERNAL(left)) == 0;
	return VARSIZE_ANY(left) == VARSIZE_ANY(right) &&
		   memcmp(left, right, VARSIZE_ANY(left)) == 0;
}

bool
values_same(const RecordedColumn *column, Datum a, bool a_isnull, Datum b, bool b_isnull)
{
	if (a_isnull || b_isnull)
		return a_isnull && b_isnull;
	if (column->by_value)
		return a == b;
	if (column->length == -1 && same_bytes(a, b))
		return true;
	return datum_image_eq(a, b, false, column->length);
}

/* ----------------------------------------------------------------- writing */

static void
string_value(JsonbValue *json, char *text, int length)
{
	json->type = jbvString;
	json->val.string.val = text;
	json->val.string.len = length;
}

static void
number_value(JsonbValue *json, Numeric number)
{
	json->type = jbvNumeric;
	json->val.numeric = number;
}

/* A jsonb as part of another: taken apart, since it is to be put elsewhere. */
static void
container_value(JsonbValue *json, Jsonb *container)
{
	JsonbParseState *state = NULL;
	JsonbValue binary;

	binary.type = jbvBinary;
	binary.val.binary.data = &container->root;
	binary.val.binary.len = VARSIZE(container) - VARHDRSZ;
	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	(void) pushJsonbValue(&state, WJB_ELEM, &binary);
	*json = pushJsonbValue(&state, WJB_END_ARRAY, NULL)->val.array.elems[0];
}

/* Numbers that jsonb does not know are written as texts, as to_jsonb() does. */
static void
numeric_value(JsonbValue *json, Numeric number)
{
	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		char *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

		string_value(json, text, strlen(text));
	}
	else
		number_value(json, number);
}

/* ISO 8601; what has a time zone, in UTC. */
static void
time_value(JsonbValue *json, Oid type, Datum value)
{
	int utc = 0;
	char *text = JsonEncodeDateTime(NULL, value, type, type == TIMESTAMPTZOID ? &utc : NULL);

	string_value(json, text, strlen(text));
}

/* Does the session write some types in a way that another might not read? */
static bool
settings_differ(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGCOLLATIONOID:
			return true; /* by the search path */
	}
	return DateStyle != USE_ISO_DATES || IntervalStyle != INTSTYLE_POSTGRES ||
		   extra_float_digits < 1;
}

static void
fix_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

static void
other_value(JsonbValue *json, RecordedColumn *column, Datum value)
{
	int level = 0;

	if (settings_differ(column->type))
	{
		level = NewGUCNestLevel();
		fix_setting("datestyle", "ISO");
		fix_setting("intervalstyle", "postgres");
		fix_setting("extra_float_digits", "3");
		fix_setting("search_path", "pg_catalog");
	}
	container_value(json, DatumGetJsonbP(FunctionCall1(&column->function, value)));
	if (level)
		AtEOXact_GUC(true, level);
}

static void
column_value(JsonbValue *json, RecordedColumn *column, Datum value)
{
	text *string;
	char *output;

	switch (column->form)
	{
		case FORM_BOOL:
			json->type = jbvBool;
			json->val.boolean = DatumGetBool(value);
			break;
		case FORM_INT2:
			number_value(json, int64_to_numeric(DatumGetInt16(value)));
			break;
		case FORM_INT4:
			number_value(json, int64_to_numeric(DatumGetInt32(value)));
			break;
		case FORM_INT8:
			number_value(json, int64_to_numeric(DatumGetInt64(value)));
			break;
		case FORM_NUMERIC:
			numeric_value(json, DatumGetNumeric(value));
			break;
		case FORM_TEXT:
			string = DatumGetTextPP(value);
			string_value(json, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
			break;
		case FORM_TIME:
			time_value(json, column->type, value);
			break;
		case FORM_JSONB:
			container_value(json, DatumGetJsonbP(value));
			break;
		case FORM_OUTPUT:
			output = OutputFunctionCall(&column->function, value);
			string_value(json, output, strlen(output));
			break;
		case FORM_OTHER:
			other_value(json, column, value);
			break;
	}
}

/* {"key": value}, in the place of a value that is not told. */
static void
note_value(JsonbValue *json, char *key, const JsonbValue *value)
{
	JsonbPair *pair = palloc0(sizeof(JsonbPair));

	string_value(&pair->key, key, strlen(key));
	pair->value = *value;
	json->type = jbvObject;
	json->val.object.nPairs = 1;
	json->val.object.pairs = pair;
}

/* May a value be added? Takes its place if so. */
static bool
has_room(ValuesBuilder *builder, const RecordedColumn *column, Datum value)
{
	Size size;

	if (column->by_value || column->length != -1)
		return true;
	size = toast_raw_datum_size(value);
	if (column->form != FORM_TEXT && column->form != FORM_JSONB)
		size *= EXPANSION;
	if (size > builder->room)
		return false;
	builder->room -= size;
	return true;
}

void
values_begin(ValuesBuilder *builder, int most)
{
	builder->object.type = jbvObject;
	builder->object.val.object.nPairs = 0;
	builder->object.val.object.pairs = palloc(most * sizeof(JsonbPair));
	builder->room = MOST_BYTES;
}

void
values_add(ValuesBuilder *builder, RecordedColumn *column, Datum value, bool isnull)
{
	JsonbPair *pair = &builder->object.val.object.pairs[builder->object.val.object.nPairs++];
	JsonbValue *json = &pair->value;
	JsonbValue note;

	string_value(&pair->key, unconstify(char *, column->name), column->name_length);
	if (column->is_secret)
	{
		note.type = jbvBool;
		note.val.boolean = true;
		note_value(json, "changed", &note);
	}
	else if (isnull)
		json->type = jbvNull;
	else if (!has_room(builder, column, value))
	{
		number_value(&note, int64_to_numeric(toast_raw_datum_size(value) - VARHDRSZ));
		note_value(json, "bytes", &note);
	}
	else
		column_value(json, column, value);
}

/* The columns come in the order of keys, so that there is nothing to sort. */
Jsonb *
values_end(ValuesBuilder *builder)
{
	return JsonbValueToJsonb(&builder->object);
}

/* --------------------------------------------------------------- functions */

PG_FUNCTION_INFO_V1(forge_comm_row_values);

/* row_values(record): a row of a table, but for its secrets. */
Datum
forge_comm_row_values(PG_FUNCTION_ARGS)
{
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
	Oid relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));
	Relation rel;
	HeapTupleData tuple;
	RecordedColumn *columns;
	int ncolumns;
	ValuesBuilder builder;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("row_values() takes a row of a table")));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	tuple.t_data = row;
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;

	rel = relation_open(relid, AccessShareLock);
	ncolumns = recorded_columns(rel, &columns);
	values_begin(&builder, ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		bool isnull;
		Datum value = heap_getattr(&tuple, columns[i].attnum, RelationGetDescr(rel), &isnull);

		if (!columns[i].is_secret)
			values_add(&builder, &columns[i], value, isnull);
	}
	relation_close(rel, AccessShareLock);
	PG_RETURN_JSONB_P(values_end(&builder));
}

PG_FUNCTION_INFO_V1(forge_comm_history_key);

/* A value of the key as given: the text of a scalar. */
static char *
scalar_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		default:
			return NULL;
	}
}

/* Find the value of a column of the key, given {"id": 7} or, for one column, 7. */
static JsonbValue *
given_value(Jsonb *given, const RecordedColumn *column, bool is_only)
{
	JsonbValue *value;

	if (JB_ROOT_IS_SCALAR(given))
		return is_only ? getIthJsonbValueFromContainer(&given->root, 0) : NULL;
	if (!JB_ROOT_IS_OBJECT(given))
		return NULL;
	value = palloc(sizeof(JsonbValue));
	value->type = jbvString;
	value->val.string.val = unconstify(char *, column->name);
	value->val.string.len = column->name_length;
	return findJsonbValueFromContainer(&given->root, JB_FOBJECT, value);
}

/* history_key(rel, key): the primary key of a row as history has it. */
Datum
forge_comm_history_key(PG_FUNCTION_ARGS)
{
	Relation rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	Jsonb *given = PG_GETARG_JSONB_P(1);
	RecordedColumn *columns;
	int ncolumns;
	int nkeys = 0;
	ValuesBuilder builder;

	if (rel == NULL)
		PG_RETURN_NULL();
	ncolumns = recorded_columns(rel, &columns);
	for (int i = 0; i < ncolumns; i++)
		nkeys += columns[i].is_key;
	if (nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key", RelationGetRelationName(rel)),
				 errhint("History tells rows apart by their primary key.")));

	values_begin(&builder, ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		JsonbValue *value;
		char *text = NULL;
		Oid input;
		Oid ioparam;

		if (!columns[i].is_key)
			continue;
		value = given_value(given, &columns[i], nkeys == 1);
		if (value)
			text = scalar_text(value);
		if (text == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the key does not give column \"%s\" of table \"%s\"",
							columns[i].name, RelationGetRelationName(rel)),
					 errhint("Pass the value of the primary key, or a jsonb object with each of its columns.")));
		getTypeInputInfo(columns[i].type, &input, &ioparam);
		values_add(&builder, &columns[i],
				   OidInputFunctionCall(input, text, ioparam,
										TupleDescAttr(RelationGetDescr(rel),
													  columns[i].attnum - 1)
											->atttypmod),
				   false);
	}
	relation_close(rel, AccessShareLock);
	PG_RETURN_JSONB_P(values_end(&builder));
}
