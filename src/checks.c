/*
 * checks.c
 *		What the rules of a table ask of the values of its rows.
 *
 * Each kind of rule is a line in a table below: which columns it suits, how
 * its options are read, what it asks of a value and how it says so.  Values
 * are never part of what it says.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "optimizer/optimizer.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "checks.h"
#include "foreign_keys.h"
#include "formats.h"
#include "options.h"

struct CheckKind
{
	const char *name;
	bool (*suits)(Oid type);
	const char *types; /* what suits, for the error */
	void (*prepare)(Relation rel, Check *check, JsonbContainer *options, List **others);
	FormatCheck format; /* of a text, and */
	const char *says; /* what it is called */
	bool (*holds)(const Check *check, Datum value);
	void (*describe)(const Check *check, StringInfo sentence);
	char *(*normalize)(const char *text, int len, int *outlen);
	bool (*is_normal)(const char *text, int len); /* surely so, seen quickly */
};

/* --------------------------------------------------------------------- texts */

/* A text's characters, without the blanks that char(n) pads it with. */
static inline const char *
text_of(const Check *check, Datum value, int *len)
{
	text *string = DatumGetTextPP(value);

	*len = VARSIZE_ANY_EXHDR(string);
	if (check->base_type == BPCHAROID)
		*len = bpchartruelen(VARDATA_ANY(string), *len);
	return VARDATA_ANY(string);
}

static bool
is_text_type(Oid type)
{
	char category;
	bool preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING && get_typlen(type) == -1;
}

/* What is rewritten must not have a length that the type fills up. */
static bool
is_free_text_type(Oid type)
{
	return type != BPCHAROID && is_text_type(type);
}

static bool
is_moment_type(Oid type)
{
	return is_time_type(type) || type == DATEOID;
}

static bool
format_holds(const Check *check, Datum value)
{
	int len;
	const char *text = text_of(check, value, &len);

	return check->kind->format(text, len);
}

/* Most addresses are as they should be, and need no copy. */
static bool
email_holds(const Check *check, Datum value)
{
	int len;
	int outlen;
	const char *text = text_of(check, value, &len);

	return is_email_text(text, len) || normalize_email_text(text, len, &outlen) != NULL;
}

/* Most addresses and texts need not be copied to see that they are in order. */
static bool
is_normal_email(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (text[i] <= ' ' || (text[i] >= 'A' && text[i] <= 'Z'))
			return false;
	}
	return true;
}

static bool
is_normal_text(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return len == 0 || (text[0] != ' ' && text[len - 1] != ' ');
}

static bool
always_holds(const Check *check, Datum value)
{
	return true;
}

static bool
display_name_holds(const Check *check, Datum value)
{
	int len;
	const char *text = text_of(check, value, &len);

	return is_display_name_text(text, len, check->least, check->most);
}

/* Bytes settle most cases: a character has one, or a few. */
static bool
length_holds(const Check *check, Datum value)
{
	int len;
	const char *text = text_of(check, value, &len);
	int characters;

	if ((check->most < 0 || len <= check->most) &&
		len >= check->least * pg_database_encoding_max_length())
		return true;
	characters = pg_mbstrlen_with_len(text, len);
	return characters >= check->least && (check->most < 0 || characters <= check->most);
}

static bool
is_blank(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (text[i] != ' ' && !(text[i] >= '\t' && text[i] <= '\r'))
			return false;
	}
	return true;
}

/* Blank is also what nothing is left of once it is cleaned. */
static bool
not_blank_holds(const Check *check, Datum value)
{
	int len;
	int outlen;
	const char *text = text_of(check, value, &len);

	for (int i = 0; i < len; i++)
	{
		if (text[i] > ' ' && text[i] < 0x7f)
			return true;
	}
	if (is_blank(text, len))
		return false;
	(void) clean_text_text(text, len, &outlen);
	return outlen > 0;
}

static bool
matches_holds(const Check *check, Datum value)
{
	int len;
	const char *text = text_of(check, value, &len);

	/* PostgreSQL keeps compiled expressions */
	return RE_compile_and_execute(check->pattern, unconstify(char *, text), len,
								  REG_ADVANCED | REG_NOSUB, check->collation, 0, NULL);
}

/* -------------------------------------------------------------- other values */

static bool
is_listed_text(const Check *check, Datum value)
{
	int len;
	const char *string = text_of(check, value, &len);

	for (int i = 0; i < check->nvalues; i++)
	{
		text *listed = (text *) DatumGetPointer(check->values[i]);

		if (VARSIZE_ANY_EXHDR(listed) == (Size) len && memcmp(VARDATA_ANY(listed), string, len) == 0)
			return true;
	}
	return false;
}

static int
compare_values(const Check *check, Datum left, Datum right)
{
	return DatumGetInt32(FunctionCall2Coll(unconstify(FmgrInfo *, &check->compare),
										   check->collation, left, right));
}

static bool
one_of_holds(const Check *check, Datum value)
{
	if (check->compare.fn_oid == InvalidOid)
		return is_listed_text(check, value);
	for (int i = 0; i < check->nvalues; i++)
	{
		if (compare_values(check, value, check->values[i]) == 0)
			return true;
	}
	return false;
}

static bool
range_holds(const Check *check, Datum value)
{
	return (!check->has_low || compare_values(check, value, check->low) >= 0) &&
		   (!check->has_high || compare_values(check, value, check->high) <= 0);
}

/* Before, at or after the beginning of the transaction; of a date, of its day. */
static int
compare_now(const Check *check, Datum value)
{
	Datum now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());

	if (check->base_type == DATEOID)
	{
		now = DirectFunctionCall1(timestamptz_date, now);
		return DatumGetInt32(DirectFunctionCall2(date_cmp, value, now));
	}
	if (check->base_type == TIMESTAMPOID)
		now = DirectFunctionCall1(timestamptz_timestamp, now);
	return DatumGetInt32(DirectFunctionCall2(timestamp_cmp, value, now));
}

static bool
future_holds(const Check *check, Datum value)
{
	return compare_now(check, value) > 0;
}

static bool
past_holds(const Check *check, Datum value)
{
	return compare_now(check, value) <= 0;
}

/* -------------------------------------------------------- the row referenced */

/* What is looked for in the row referenced. */
typedef struct ParentSearch
{
	const Check *check;
	Datum value;
	bool found;
	bool agrees;
} ParentSearch;

static bool
compare_parent(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ParentSearch *search = (ParentSearch *) arg;
	bool isnull;
	Datum value = heap_getattr(tuple, search->check->parent_attnum, desc, &isnull);

	search->found = true;
	search->agrees = !isnull && compare_values(search->check, search->value, value) == 0;
	return false;
}

/*
 * As foreign keys do, see what others have committed, and what this very
 * statement has made.  A row that does not exist is the foreign key's business.
 */
static bool
agrees_with_parent(const Check *check, HeapTuple tuple, TupleDesc desc, Datum value)
{
	ParentSearch search = { .check = check, .value = value };
	Datum keys[INDEX_MAX_KEYS];
	Datum compared[INDEX_MAX_KEYS];
	Snapshot latest;

	for (int i = 0; i < check->parent.nkeys; i++)
	{
		bool isnull;

		keys[i] = heap_getattr(tuple, check->key_columns[i], desc, &isnull);
		if (isnull)
			return true;
	}
	lookup_convert(&check->parent, keys, compared);
	latest = RegisterSnapshot(GetLatestSnapshot());
	lookup_each(&check->parent, compared, latest, compare_parent, &search);
	if (!search.found)
		lookup_each(&check->parent, compared, SnapshotSelf, compare_parent, &search);
	UnregisterSnapshot(latest);
	return !search.found || search.agrees;
}

/* ------------------------------------------------------------ reading options */

static void
refuse_option(const Check *check, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("rule \"%s\" of column \"%s\" %s", check->code, check->column, problem),
			 errhint("%s", hint)));
}

/* An option's value as text, NULL if it is not given. */
static char *
option_text(JsonbContainer *options, const char *name)
{
	JsonbValue value;

	if (options == NULL ||
		getKeyJsonValueFromContainer(options, name, strlen(name), &value) == NULL)
		return NULL;
	if (value.type == jbvString)
		return pnstrdup(value.val.string.val, value.val.string.len);
	if (value.type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	return NULL;
}

/* An option that is a number of characters. */
static int
option_count(const Check *check, JsonbContainer *options, const char *name, int otherwise)
{
	char *text = option_text(options, name);
	char *end;
	long count;

	if (text == NULL)
		return otherwise;
	errno = 0;
	count = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || errno != 0 || count < 0 || count > 100000000)
		refuse_option(check, "has a bound that is no number of characters",
					  "Give min and max as numbers, such as 'max=80'.");
	return (int) count;
}

static void
read_bounds(Check *check, JsonbContainer *options, int least, int most)
{
	check->least = option_count(check, options, "min", least);
	check->most = option_count(check, options, "max", most);
	if (check->most >= 0 && check->least > check->most)
		refuse_option(check, "has bounds that no value is between", "min must not exceed max.");
}

static void
prepare_display_name(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	read_bounds(check, options, DISPLAY_NAME_MIN, DISPLAY_NAME_MAX);
}

static void
prepare_length(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	read_bounds(check, options, 0, -1);
	if (check->least == 0 && check->most < 0)
		refuse_option(check, "has no bound", "Give min or max, such as 'max=80'.");
}

/* How values of the column's type are compared. */
static void
find_comparison(Check *check, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_CMP_PROC);

	if (!OidIsValid(entry->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("values of type %s, which column \"%s\" has, cannot be compared",
						format_type_be(type), check->column),
				 errhint("Name a column of a type that has an order.")));
	fmgr_info_cxt(entry->cmp_proc, &check->compare, CurrentMemoryContext);
}

/* A value of the column's type, as an option has it. */
static Datum
value_of_text(const Check *check, char *text)
{
	Oid input;
	Oid param;

	getTypeInputInfo(check->base_type, &input, &param);
	return OidInputFunctionCall(input, text, param, -1);
}

static bool
read_bound(const Check *check, JsonbContainer *options, const char *name, const char **text,
		   Datum *bound)
{
	char *given = option_text(options, name);

	if (given == NULL)
		return false;
	if (*given == '\0')
		refuse_option(check, "has an empty bound", "Leave it out.");
	*bound = value_of_text(check, given);
	*text = given;
	return true;
}

static void
prepare_range(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	find_comparison(check, check->base_type);
	check->has_low = read_bound(check, options, "min", &check->low_text, &check->low);
	check->has_high = read_bound(check, options, "max", &check->high_text, &check->high);
	if (!check->has_low && !check->has_high)
		refuse_option(check, "has no bound", "Give min or max, such as 'min=1'.");
	if (check->has_low && check->has_high && compare_values(check, check->low, check->high) > 0)
		refuse_option(check, "has bounds that no value is between", "min must not exceed max.");
}

static void
prepare_one_of(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	JsonbValue list;
	StringInfoData names;
	int n = 0;

	if (options && getKeyJsonValueFromContainer(options, "values", 6, &list) &&
		list.type == jbvBinary && JsonContainerIsArray(list.val.binary.data))
		n = JsonContainerSize(list.val.binary.data);
	if (n == 0)
		refuse_option(check, "lists no values", "Give each as an argument, such as 'owner', 'member'.");
	if (!is_text_type(check->base_type))
		find_comparison(check, check->base_type);

	initStringInfo(&names);
	check->values = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(list.val.binary.data, i);
		char *text;

		if (value->type != jbvString)
			refuse_option(check, "lists a value that is no text", "Give each as an argument, such as 'owner', 'member'.");
		text = pnstrdup(value->val.string.val, value->val.string.len);
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ", text);
		check->values[check->nvalues++] = OidIsValid(check->compare.fn_oid) ?
											  value_of_text(check, text) :
											  CStringGetTextDatum(text);
	}
	check->list_text = names.data;
}

static void
prepare_matches(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	char *pattern = option_text(options, "pattern");

	if (pattern == NULL)
		refuse_option(check, "has no pattern", "Give a regular expression, such as '^[a-z]+$'.");
	check->pattern = cstring_to_text(pattern);
	/* regular expressions know no others */
	if (!get_collation_isdeterministic(check->collation))
		check->collation = DEFAULT_COLLATION_OID;
	(void) RE_compile_and_cache(check->pattern, REG_ADVANCED | REG_NOSUB, check->collation);
}

/* The foreign key that a column is part of, to a table that has the other one. */
static const ForeignKeyCacheInfo *
find_key(Relation rel, AttrNumber via, const char *column)
{
	ListCell *cell;

	foreach(cell, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);

		for (int i = 0; i < info->nkeys; i++)
		{
			if (info->conkey[i] == via && !is_partition_copy(info) &&
				get_attnum(info->confrelid, column) > 0)
				return copyObject(info);
		}
	}
	return NULL;
}

/* Only a table of the same owner is read past its privileges and policies. */
static void
check_parent_owner(const Check *check, Relation rel, Oid parent)
{
	Relation other = table_open(parent, AccessShareLock);
	bool same = other->rd_rel->relowner == rel->rd_rel->relowner;

	table_close(other, NoLock);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table \"%s\", which rule \"%s\" of column \"%s\" reads, has another owner",
						get_rel_name(parent), check->code, check->column),
				 errhint("Both tables must have one owner.")));
}

static void
prepare_same_as_parent(Relation rel, Check *check, JsonbContainer *options, List **others)
{
	const char *via = option_text(options, "via");
	const char *column = option_text(options, "column");
	AttrNumber via_attnum = via ? get_attnum(RelationGetRelid(rel), via) : InvalidAttrNumber;
	const ForeignKeyCacheInfo *info;

	if (column == NULL)
		column = check->column;
	info = via_attnum > 0 ? find_key(rel, via_attnum, column) : NULL;
	if (info == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("rule \"%s\" of column \"%s\" finds no foreign key to a table with a column \"%s\"",
						check->code, check->column, column),
				 errhint("Name a column of the foreign key, and the other table's column if it is called otherwise: 'via=channel_id', 'column=workspace_id'.")));
	check_parent_owner(check, rel, info->confrelid);
	foreign_key_lookup(info, &check->parent);
	check->key_columns = palloc(info->nkeys * sizeof(AttrNumber));
	memcpy(check->key_columns, info->conkey, info->nkeys * sizeof(AttrNumber));
	check->parent_attnum = get_attnum(info->confrelid, column);
	if (getBaseType(get_atttype(info->confrelid, check->parent_attnum)) != check->base_type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" has another type than column \"%s\"",
						column, get_rel_name(info->confrelid), check->column),
				 errhint("Both columns must have the same type.")));
	find_comparison(check, check->base_type);
	check->list_text = get_rel_name(info->confrelid);
	*others = list_append_unique_oid(*others, info->confrelid);
}

/* ------------------------------------------------------------------ sentences */

static void
describe_bounds(StringInfo sentence, const char *low, const char *high)
{
	if (low && high)
		appendStringInfo(sentence, "from %s to %s", low, high);
	else if (low)
		appendStringInfo(sentence, "at least %s", low);
	else
		appendStringInfo(sentence, "at most %s", high);
}

static void
describe_length(const Check *check, StringInfo sentence)
{
	char least[16];
	char most[16];

	snprintf(least, sizeof(least), "%d", check->least);
	snprintf(most, sizeof(most), "%d", check->most);
	appendStringInfoString(sentence, "must have ");
	if (check->least == check->most)
		appendStringInfo(sentence, "%d", check->most);
	else
		describe_bounds(sentence, check->least > 0 ? least : NULL, check->most >= 0 ? most : NULL);
	appendStringInfoString(sentence, (check->most >= 0 ? check->most : check->least) == 1 ?
										 " character" :
										 " characters");
}

static void
describe_display_name(const Check *check, StringInfo sentence)
{
	appendStringInfoString(sentence, "is not a valid display name: it ");
	describe_length(check, sentence);
	appendStringInfoString(sentence, ", none of them invisible");
}

static void
describe_range(const Check *check, StringInfo sentence)
{
	appendStringInfoString(sentence, "must be ");
	describe_bounds(sentence, check->low_text, check->high_text);
}

static void
describe_one_of(const Check *check, StringInfo sentence)
{
	appendStringInfo(sentence, "must be one of: %s", check->list_text);
}

static void
describe_same_as_parent(const Check *check, StringInfo sentence)
{
	appendStringInfo(sentence, "must be the same as in the row of table \"%s\" that is referenced",
					 check->list_text);
}

/* ---------------------------------------------------------------------- kinds */

/* In the order in which the rules of a column are looked at. */
static const CheckKind kinds[] = {
	{ .name = "not_null", .suits = is_any_type, .says = "is required", .holds = always_holds },
	{ .name = "clean_text",
	  .suits = is_free_text_type,
	  .types = "text or varchar",
	  .says = "must be plain text",
	  .holds = always_holds,
	  .normalize = clean_text_text,
	  .is_normal = is_normal_text },
	{ .name = "email",
	  .suits = is_free_text_type,
	  .types = "text or varchar",
	  .says = "is not a valid e-mail address",
	  .holds = email_holds,
	  .normalize = normalize_email_text,
	  .is_normal = is_normal_email },
	{ .name = "not_blank",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .says = "must not be blank",
	  .holds = not_blank_holds },
	{ .name = "length",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .prepare = prepare_length,
	  .holds = length_holds,
	  .describe = describe_length },
	{ .name = "display_name",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .prepare = prepare_display_name,
	  .holds = display_name_holds,
	  .describe = describe_display_name },
	{ .name = "slug",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_slug_text,
	  .says = "is not a valid slug: use lower-case letters, digits and single hyphens" },
	{ .name = "channel_name",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_channel_name_text,
	  .says = "is not a valid channel name" },
	{ .name = "url",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_url_text,
	  .says = "is not a valid URL: it must begin with http:// or https://" },
	{ .name = "color",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_color_text,
	  .says = "is not a valid colour, such as #1a2b3c" },
	{ .name = "timezone",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_timezone_text,
	  .says = "is not the name of a time zone, such as Europe/Berlin" },
	{ .name = "password_hash",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_password_hash_text,
	  .says = "is not the hash of a password" },
	{ .name = "message_body",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .format = is_message_body_text,
	  .says = "must have from 1 to 40000 characters, and not be blank" },
	{ .name = "matches",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .prepare = prepare_matches,
	  .says = "is not of the required form",
	  .holds = matches_holds },
	{ .name = "one_of",
	  .suits = is_any_type,
	  .prepare = prepare_one_of,
	  .holds = one_of_holds,
	  .describe = describe_one_of },
	{ .name = "range",
	  .suits = is_any_type,
	  .prepare = prepare_range,
	  .holds = range_holds,
	  .describe = describe_range },
	{ .name = "future",
	  .suits = is_moment_type,
	  .types = "timestamptz, timestamp or date",
	  .says = "must be in the future",
	  .holds = future_holds },
	{ .name = "past",
	  .suits = is_moment_type,
	  .types = "timestamptz, timestamp or date",
	  .says = "must not be in the future",
	  .holds = past_holds },
	{ .name = "same_as_parent",
	  .suits = is_any_type,
	  .prepare = prepare_same_as_parent,
	  .holds = always_holds,
	  .describe = describe_same_as_parent },
	{ .name = "unique_ci",
	  .suits = is_text_type,
	  .types = "text, varchar or char",
	  .says = "is already registered",
	  .holds = always_holds }
};

#define NOT_NULL (&kinds[0])
#define UNIQUE	 (&kinds[lengthof(kinds) - 1])

static const CheckKind *
find_kind(const char *name)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no such rule"),
			 errhint("Rules are email, clean_text, not_null, not_blank, length, display_name, slug, channel_name, url, color, timezone, password_hash, message_body, matches, one_of, range, future, past, same_as_parent and unique_ci.")));
	return NULL;
}

bool
checks_null(const Check *check)
{
	return check->kind == NOT_NULL;
}

bool
check_row_holds(const Check *check, HeapTuple tuple, TupleDesc desc, Datum value)
{
	return check->parent_attnum == InvalidAttrNumber || agrees_with_parent(check, tuple, desc, value);
}

Datum
check_normalize(const Check *check, Datum value)
{
	int len;
	int outlen;
	const char *string;
	char *normal;

	if (check->kind->normalize == NULL)
		return value;
	string = text_of(check, value, &len);
	if (check->kind->is_normal(string, len))
		return value;
	normal = check->kind->normalize(string, len, &outlen);
	if (normal == NULL || (outlen == len && memcmp(normal, string, len) == 0))
		return value;
	return PointerGetDatum(cstring_to_text_with_len(normal, outlen));
}

void
check_says(const Check *check, StringInfo sentence)
{
	appendStringInfo(sentence, "%s ", check->column);
	if (check->kind->describe)
		check->kind->describe(check, sentence);
	else
		appendStringInfoString(sentence, check->kind->says);
}

/* -------------------------------------------------------------------- reading */

static Check *
make_check(Relation rel, AttrNumber attnum, const CheckKind *kind)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Check *check = palloc0(sizeof(Check));

	check->kind = kind;
	check->holds = kind->format ? format_holds : kind->holds;
	check->code = kind->name;
	check->attnum = attnum;
	check->column = pstrdup(NameStr(attr->attname));
	check->type = attr->atttypid;
	check->typmod = attr->atttypmod;
	check->base_type = getBaseTypeAndTypmod(attr->atttypid, &check->typmod);
	check->collation = attr->attcollation;
	check->least = 0;
	check->most = -1;
	return check;
}

static Check *
read_container(Relation rel, AttrNumber attnum, const char *name, JsonbContainer *options,
			   List **others)
{
	const CheckKind *kind = find_kind(name);
	Check *check = make_check(rel, attnum, kind);

	if (options && JsonContainerSize(options) > 0)
		check->options = JsonbToCString(NULL, options, 0);
	if (!kind->suits(check->base_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" has type %s, which rule \"%s\" is not for",
						check->column, RelationGetRelationName(rel),
						format_type_be(check->type), name),
				 errhint("It must be of type %s.", kind->types)));
	if (kind->prepare)
		kind->prepare(rel, check, options, others);
	return check;
}

Check *
read_check(Relation rel, AttrNumber attnum, const char *name, Jsonb *options, List **others)
{
	return read_container(rel, attnum, name,
						  options && JB_ROOT_IS_OBJECT(options) ? &options->root : NULL, others);
}

static int
by_column(const void *a, const void *b)
{
	const Check *left = *(Check *const *) a;
	const Check *right = *(Check *const *) b;

	if (left->attnum != right->attnum)
		return left->attnum - right->attnum;
	return left->kind < right->kind ? -1 : left->kind > right->kind;
}

static void
refuse_rules(Relation rel, const Trigger *trigger)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("trigger \"%s\" on table \"%s\" lists rules that make no sense",
					trigger->tgname, RelationGetRelationName(rel)),
			 errhint("Drop it, and let forge_comm.add_validation() make it.")));
}

/* The next pair of an object; false at its end. */
static bool
next_pair(JsonbIterator **iterator, char **key, JsonbContainer **value)
{
	JsonbValue json;
	JsonbIteratorToken token = JsonbIteratorNext(iterator, &json, true);

	if (token == WJB_BEGIN_OBJECT)
		token = JsonbIteratorNext(iterator, &json, true);
	if (token != WJB_KEY)
		return false;
	*key = pnstrdup(json.val.string.val, json.val.string.len);
	(void) JsonbIteratorNext(iterator, &json, true);
	*value = json.type == jbvBinary && JsonContainerIsObject(json.val.binary.data) ?
				 json.val.binary.data :
				 NULL;
	return true;
}

/* {"email": {"email": {}, "unique_ci": {}}, "name": {"length": {"max": 80}}} */
static List *
read_rules(Relation rel, const Trigger *trigger, Jsonb *rules, List **others)
{
	List *checks = NIL;
	JsonbIterator *columns;
	JsonbContainer *of_column;
	JsonbContainer *options;
	char *column;
	char *name;

	if (!JB_ROOT_IS_OBJECT(rules))
		refuse_rules(rel, trigger);
	columns = JsonbIteratorInit(&rules->root);
	while (next_pair(&columns, &column, &of_column))
	{
		AttrNumber attnum = named_column(rel, trigger, column);
		JsonbIterator *iterator;

		if (of_column == NULL)
			refuse_rules(rel, trigger);
		iterator = JsonbIteratorInit(of_column);
		while (next_pair(&iterator, &name, &options))
			checks = lappend(checks, read_container(rel, attnum, name, options, others));
	}
	return checks;
}

/* A column that must not be null by its table says so in our words, too. */
static List *
add_not_null(Relation rel, List *checks)
{
	List *added = NIL;
	Bitmapset *seen = NULL;
	ListCell *cell;

	foreach(cell, checks)
	{
		const Check *check = lfirst(cell);

		if (checks_null(check))
			seen = bms_add_member(seen, check->attnum);
	}
	foreach(cell, checks)
	{
		const Check *check = lfirst(cell);

		if (TupleDescAttr(RelationGetDescr(rel), check->attnum - 1)->attnotnull &&
			!bms_is_member(check->attnum, seen))
		{
			seen = bms_add_member(seen, check->attnum);
			added = lappend(added, make_check(rel, check->attnum, NOT_NULL));
		}
	}
	return list_concat(checks, added);
}

/* Is this a unique index that a row violates by the value of a column? */
static bool
is_key_of(Relation index, AttrNumber attnum)
{
	Bitmapset *columns = NULL;

	if (!index->rd_index->indisunique)
		return false;
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		if (index->rd_index->indkey.values[i] == attnum)
			return true;
	}
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);
}

/* The unique indexes on a column, whose violations are told in our words. */
static List *
find_keys(Relation rel, const Check *check, List *keys, List **others)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;

	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (is_key_of(index, check->attnum))
		{
			UniqueKey *key = palloc(sizeof(UniqueKey));

			key->index = pstrdup(RelationGetRelationName(index));
			key->column = check->column;
			keys = lappend(keys, key);
			/* it may be renamed */
			*others = list_append_unique_oid(*others, RelationGetRelid(index));
		}
		index_close(index, NoLock);
	}
	list_free(indexes);
	return keys;
}

ValidationRule *
read_validation(Relation rel, const Trigger *trigger, List **others)
{
	ValidationRule *rule = palloc0(sizeof(ValidationRule));
	Jsonb *rules = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													  CStringGetDatum(required_option(rel, trigger, "rules"))));
	List *checks = read_rules(rel, trigger, rules, others);
	List *keys = NIL;
	ListCell *cell;

	rule->schema = get_namespace_name(RelationGetNamespace(rel));
	rule->table = pstrdup(RelationGetRelationName(rel));
	rule->rewritten = has_later_trigger(rel, "forge_comm_validation");
	/* what is null now may be filled in by those */
	if (!rule->rewritten)
		checks = add_not_null(rel, checks);

	rule->checks = palloc(Max(list_length(checks), 1) * sizeof(Check *));
	foreach(cell, checks)
	{
		Check *check = lfirst(cell);

		if (check->kind == UNIQUE)
			keys = find_keys(rel, check, keys, others);
		else
			rule->checks[rule->nchecks++] = check;
	}
	qsort(rule->checks, rule->nchecks, sizeof(Check *), by_column);
	rule->keys = palloc(Max(list_length(keys), 1) * sizeof(UniqueKey));
	foreach(cell, keys)
		rule->keys[rule->nkeys++] = *(UniqueKey *) lfirst(cell);
	return rule;
}
