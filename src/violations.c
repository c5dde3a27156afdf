/*
 * violations.c
 *		How it is told that a row is not as it should be.
 *
 * Errors name the table, the column and the rule, in fields of their own and
 * in words that an application can show to its user.  Values are in none of
 * them, and where PostgreSQL's own errors have them they are taken out.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/rel.h"

#include "checks.h"
#include "rules.h"
#include "violations.h"

bool tell_all_violations = false;

/* ------------------------------------------------------------------ our own */

/* {"code": "length", "message": "name must have ...", "options": {"max": 80}} */
static void
append_violation(StringInfo json, const Check *check)
{
	StringInfoData sentence;

	initStringInfo(&sentence);
	check_says(check, &sentence);
	appendStringInfoString(json, "{\"code\": ");
	escape_json(json, check->code);
	appendStringInfoString(json, ", \"message\": ");
	escape_json(json, sentence.data);
	if (check->options)
		appendStringInfo(json, ", \"options\": %s", check->options);
	appendStringInfoChar(json, '}');
}

/* {"email": [{...}], "name": [{...}, {...}]}: as a form has its fields. */
static char *
violations_json(const List *checks)
{
	StringInfoData json;
	const char *column = NULL;
	ListCell *cell;

	initStringInfo(&json);
	foreach(cell, checks)
	{
		const Check *check = lfirst(cell);

		if (column && strcmp(column, check->column) == 0)
			appendStringInfoString(&json, ", ");
		else
		{
			appendStringInfoString(&json, column ? "], " : "{");
			escape_json(&json, check->column);
			appendStringInfoString(&json, ": [");
		}
		column = check->column;
		append_violation(&json, check);
	}
	appendStringInfoString(&json, "]}");
	return json.data;
}

static int
sqlstate_of(const List *checks)
{
	ListCell *cell;

	foreach(cell, checks)
	{
		if (!checks_null(lfirst(cell)))
			return ERRCODE_CHECK_VIOLATION;
	}
	return ERRCODE_NOT_NULL_VIOLATION;
}

static int
set_constraint(const char *name)
{
	return err_generic_string(PG_DIAG_CONSTRAINT_NAME, name);
}

/* The first one has the fields; where all are told, the detail has them all. */
void
refuse_row_values(Relation rel, const List *checks)
{
	const Check *first = linitial(checks);
	int others = list_length(checks) - 1;
	StringInfoData sentence;

	initStringInfo(&sentence);
	check_says(first, &sentence);
	if (others > 0)
		appendStringInfo(&sentence, " (and %d more)", others);
	ereport(ERROR,
			(errcode(sqlstate_of(checks)),
			 errmsg_internal("%s", sentence.data),
			 tell_all_violations ? errdetail_internal("%s", violations_json(checks)) : 0,
			 errtablecol(rel, first->attnum),
			 set_constraint(first->code)));
}

/*
 * COPY's own error context repeats the line that it is at, and there is no
 * way to take that back.  It does not if it thinks that it has no line, as
 * when it writes several rows at a time; then it gives the number alone.
 */
void
forget_copied_line(void)
{
	for (ErrorContextCallback *entry = error_context_stack; entry; entry = entry->previous)
	{
		if (entry->callback == CopyFromErrorCallback)
			((CopyFromState) entry->arg)->line_buf_valid = false;
	}
}

/* ------------------------------------------------------------- PostgreSQL's */

static bool
same_name(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool
is_table(const RelationRules *rules, void *arg)
{
	const ErrorData *edata = arg;

	return rules->validation != NULL &&
		   (edata->table_name == NULL ||
			(same_name(edata->table_name, rules->validation->table) &&
			 same_name(edata->schema_name, rules->validation->schema)));
}

/* A message of our own, or what we have made of PostgreSQL's. */
bool
is_in_our_words(const ErrorData *edata)
{
	return same_name(edata->funcname, "refuse_row_values") ||
		   (same_name(edata->funcname, "_bt_check_unique") && same_name(edata->message_id, "%s"));
}

/* Which messages of PostgreSQL's come with a row or a key, by their source. */
static bool
shows_row(const ErrorData *edata)
{
	static const char *const messages[] = {
		"new row for relation \"%s\" violates check constraint \"%s\"",
		"new row for relation \"%s\" violates partition constraint",
		"null value in column \"%s\" of relation \"%s\" violates not-null constraint",
		"new row violates check option for view \"%s\"",
		"duplicate key value violates unique constraint \"%s\"",
		"could not create unique index \"%s\"",
		"conflicting key value violates exclusion constraint \"%s\"",
		NULL
	};

	for (int i = 0; messages[i]; i++)
	{
		if (same_name(edata->message_id, messages[i]))
			return true;
	}
	return false;
}

bool
tells_checked_values(const ErrorData *edata)
{
	return edata->detail && shows_row(edata) &&
		   rules_known(is_table, unconstify(ErrorData *, edata)) != NULL;
}

/* The column whose value is taken, NULL if the error is another. */
static const char *
taken_column(const ErrorData *edata)
{
	const RelationRules *rules;

	if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION || edata->table_name == NULL ||
		!same_name(edata->message_id, "duplicate key value violates unique constraint \"%s\""))
		return NULL;
	rules = rules_known(is_table, unconstify(ErrorData *, edata));
	for (int i = 0; rules && i < rules->validation->nkeys; i++)
	{
		if (same_name(edata->constraint_name, rules->validation->keys[i].index))
			return rules->validation->keys[i].column;
	}
	return NULL;
}

static char *
taken_sentence(const char *column)
{
	return psprintf("%s is already registered", column);
}

/* The same JSON as our own errors have. */
static char *
taken_json(const char *column)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	escape_json(&json, column);
	appendStringInfoString(&json, ": [{\"code\": \"unique_ci\", \"message\": ");
	escape_json(&json, taken_sentence(column));
	appendStringInfoString(&json, "}]}");
	return json.data;
}

/* In an error context callback, where the fields of the error can be set. */
void
retell_duplicate(const ErrorData *edata)
{
	const char *column = taken_column(edata);

	if (column == NULL)
		return;
	errmsg_internal("%s", taken_sentence(column));
	if (tell_all_violations)
		errdetail_internal("%s", taken_json(column));
	else if (edata->detail)
		errdetail("There is a row that has it.");
	if (edata->column_name == NULL)
		err_generic_string(PG_DIAG_COLUMN_NAME, column);
}

/* In the log hook, as far as there is room. */
void
retell_duplicate_in_place(ErrorData *edata)
{
	const char *column = taken_column(edata);
	size_t room = strlen(edata->message) + 1;

	if (column && strlen(column) + sizeof(" is already registered") <= room)
		snprintf(edata->message, room, "%s is already registered", column);
}

void
violations_init(void)
{
	DefineCustomBoolVariable("forge_comm.all_errors",
							 "Tells of each rule that a row breaks, rather than of the first.",
							 "The detail of the error is JSON then, by column.",
							 &tell_all_violations, false, PGC_USERSET, 0,
							 NULL, NULL, NULL);
}
