/*
 * redact.c
 *		What the log does not tell.
 *
 * Two things keep values out of reports.  An error context callback takes them
 * out of the details of violated constraints as the error is made, before
 * anybody can catch it; that is part of marking a column and cannot be
 * switched off.  And the log hook takes statements, parameters and what
 * repeats them out of whatever is about to be logged, as
 * forge_comm.redact_log says.
 *
 * The hook works in place and only ever shortens: it allocates nothing that
 * it cannot do without, reads no catalog and raises no error.  The client is
 * sent what is left, too.  Where it does not know whether a report tells a
 * secret, it assumes that it does.
 */
#include "postgres.h"

#include <string.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "compat.h"
#include "literals.h"
#include "marked.h"
#include "redact.h"
#include "violations.h"

enum
{
	REDACT_OFF,
	REDACT_SECRETS,
	REDACT_LITERALS
};

static const struct config_enum_entry redact_options[] = {
	{ "off", REDACT_OFF, false },
	{ "secrets", REDACT_SECRETS, false },
	{ "literals", REDACT_LITERALS, false },
	{ NULL, 0, false }
};

static int redact_log = REDACT_OFF;

static emit_log_hook_type previous_emit_log = NULL;
static post_parse_analyze_hook_type previous_post_parse = NULL;
static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;
static ExecutorFinish_hook_type previous_finish = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

#define HIDDEN "(hidden)"

/* The start of the statement that was last seen to use a marked relation. */
static TimestampTz touched_at = 0;

/* ------------------------------------------------------------ in-place text */

/* Is it text that the format produced, in English? */
static bool
is_format(const ErrorData *edata, const char *format)
{
	return edata->message_id && strcmp(edata->message_id, format) == 0;
}

static bool
is_function(const ErrorData *edata, const char *name)
{
	return edata->funcname && strcmp(edata->funcname, name) == 0;
}

/* Say "(hidden)" from here to the end of the text, as far as there is room. */
static void
hide(char *text)
{
	size_t room = strlen(text);

	memcpy(text, HIDDEN, Min(room, strlen(HIDDEN)));
	text[Min(room, strlen(HIDDEN))] = '\0';
}

static void
mask(char *text)
{
	text[mask_literals(text, strlen(text))] = '\0';
}

/* Leave out a part of a report. */
static void
drop(char **field)
{
	if (*field)
		pfree(*field);
	*field = NULL;
}

/* Replace what is between two places in a text by an asterisk. */
static void
blank(char *from, char *to)
{
	if (from == to)
		return;
	*from = '*';
	memmove(from + 1, to, strlen(to) + 1);
}

/*
 * "Key (a, b)=(1, 2) already exists." without the values.  False if the text
 * is not of that kind.
 */
static bool
blank_key(char *detail)
{
	char *values = strstr(detail, ")=(");
	char *end = strrchr(detail, ')');

	if (values == NULL)
		return false;
	values += 3;
	if (end < values)
		return false;
	blank(values, end);
	return true;
}

/* ------------------------------------------------------ violated constraints */

/* "Key (a, b)=(1, 2) ...": is one of the columns marked? */
static bool
is_marked_key(const char *detail)
{
	const char *columns = strchr(detail, '(');
	const char *values = strstr(detail, ")=(");

	return values && columns < values && marked_column_in(columns, values - columns);
}

static bool
is_key(const char *detail)
{
	return strstr(detail, ")=(") != NULL;
}

static bool
violates_constraint(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		   sqlerrcode == ERRCODE_WITH_CHECK_OPTION_VIOLATION;
}

/*
 * Does the detail of a violated constraint tell the value of a marked column?
 * It is either a key, or a row as a whole.
 */
static bool
tells_secret(const ErrorData *edata)
{
	if (edata->detail == NULL || !violates_constraint(edata->sqlerrcode) || is_in_our_words(edata))
		return false;
	if (tells_checked_values(edata))
		return true;
	if (!marked_known())
		return true;
	if (is_key(edata->detail))
		return is_marked_key(edata->detail);
	return edata->table_name ? marked_table_name(edata->table_name) : marked_any();
}

/* Error context callback: before the error is thrown, change its detail. */
static void
guard_detail(void *arg)
{
	MemoryContext old;
	ErrorData *edata;
	bool checked;

	if (!violates_constraint(geterrcode()))
		return;
	old = MemoryContextSwitchTo(CurTransactionContext ? CurTransactionContext : TopMemoryContext);
	edata = CopyErrorData();
	checked = tells_checked_values(edata);
	if (checked || (marked_known() && tells_secret(edata)))
	{
		if (blank_key(edata->detail))
			errdetail_internal("%s", edata->detail);
		else if (checked)
			errdetail("The row is not shown.");
		else
			errdetail("The row is not shown, since the table has secret columns.");
	}
	retell_duplicate(edata);
	FreeErrorData(edata);
	MemoryContextSwitchTo(old);
}

/* The same for those who come past that callback. */
static void
hide_violation(ErrorData *edata)
{
	if (tells_secret(edata) && !blank_key(edata->detail) &&
		strstr(edata->detail, "(") != NULL)
		hide(edata->detail);
	retell_duplicate_in_place(edata);
}

/* -------------------------------------------------------------- statements */

/* What debug_query_string was before we put something else in its place. */
static const char *original_statement = NULL;
static const char *shown_statement = NULL;
static char *masked_statement = NULL;

static const char *
current_statement(void)
{
	if (debug_query_string && debug_query_string == shown_statement)
		return original_statement;
	return debug_query_string;
}

static void
show_statement(const char *text)
{
	original_statement = current_statement();
	shown_statement = text;
	debug_query_string = text;
}

/* A copy of the statement with its literals masked; NULL without memory. */
static const char *
copy_masked(const char *statement)
{
	size_t len = strlen(statement);

	free(masked_statement);
	masked_statement = malloc(len + 1);
	if (masked_statement)
	{
		memcpy(masked_statement, statement, len + 1);
		mask(masked_statement);
	}
	return masked_statement;
}

/*
 * The statement that is logged beside an error.  After an error it is over, so
 * another text can take its place; beside a notice it is left out, since it
 * goes on, and current_query() must still tell it.
 */
static void
redact_statement(ErrorData *edata, bool whole)
{
	const char *statement = current_statement();
	const char *masked = NULL;

	if (statement == NULL || edata->hide_stmt)
		return;
	if (edata->elevel < ERROR)
	{
		edata->hide_stmt = true;
		return;
	}
	if (!whole)
		masked = copy_masked(statement);
	show_statement(masked ? masked : HIDDEN);
}

/* Where a message repeats the statement, as those do that log statements. */
static char *
find_statement(char *message)
{
	const char *statement = current_statement();
	size_t len;
	size_t n;

	if (statement == NULL || *statement == '\0')
		return NULL;
	len = strlen(message);
	n = strlen(statement);
	if (n <= len && memcmp(message + len - n, statement, n) == 0)
		return message + len - n;
	return n >= 16 ? strstr(message, statement) : NULL;
}

/* ---------------------------------------------------------------- messages */

/* Does a text that an error quotes stand in one of the statement's literals? */
static bool
echoes(const char *statement, const char *quoted, size_t n)
{
	if (statement == NULL || n < 3 || marked_name(quoted, n))
		return false; /* as in mark_secret('users', 'token') */
	/* a name, which is all that is to be told from a value, is no longer */
	return n >= NAMEDATALEN || in_literals(statement, strlen(statement), quoted, n);
}

/* The quoted parts of a text, if one of them comes from a literal. */
static void
blank_echoes(char *text, const ErrorData *edata)
{
	char *first = text ? strchr(text, '"') : NULL;
	char *start;
	char *end;

	for (start = first; start && (end = strchr(start + 1, '"')); start = strchr(end + 1, '"'))
	{
		if (echoes(current_statement(), start + 1, end - start - 1) ||
			echoes(edata->internalquery, start + 1, end - start - 1))
		{
			blank(first + 1, strrchr(text, '"'));
			return;
		}
	}
}

/* Everything quoted, and what follows it too if asked to. */
static void
blank_quoted(char *text, bool rest)
{
	char *first = strchr(text, '"');
	char *last = strrchr(text, '"');

	if (first == NULL)
		return;
	if (first != last)
		blank(first + 1, last);
	if (rest || first == last)
		hide(first);
}

/* Is the message in another language than its source? */
static bool
is_translated(const ErrorData *edata)
{
	const char *format = edata->message_id;

	return format && strncmp(format, edata->message, strcspn(format, "%")) != 0;
}

static bool
is_lexical_error(const ErrorData *edata)
{
	return is_format(edata, "%s at or near \"%s\"") || is_format(edata, "%s at end of input");
}

/* auto_explain: the text format can be read like SQL, others are not. */
static void
redact_plan(char *plan, bool whole)
{
	static const char query[] = "Query Text: ";

	if (!whole && strncmp(plan, query, strlen(query)) == 0 && plan[strlen(query)] != '"')
		mask(plan);
	else
		hide(plan);
}

/* Other extensions that log statements, in a form of their own: pgaudit */
static bool
logs_statement(const ErrorData *edata)
{
	return strncmp(edata->message, "AUDIT: ", 7) == 0;
}

static void
redact_message(ErrorData *edata, bool whole)
{
	char *statement = find_statement(edata->message);

	if (is_format(edata, "duration: %.3f ms  plan:\n%s") && strstr(edata->message, "plan:\n"))
		redact_plan(strchr(edata->message, '\n') + 1, whole);
	else if (is_function(edata, "explain_ExecutorEnd"))
		hide(edata->message);
	else if (is_lexical_error(edata))
	{
		if (strchr(edata->message, '"'))
			blank_quoted(edata->message, false);
		else if (is_format(edata, "%s at or near \"%s\""))
			hide(edata->message);
	}
	else if (statement && whole)
		hide(statement);
	else if (statement)
		mask(statement);
	else if (logs_statement(edata))
		hide(edata->message + strcspn(edata->message, "\"'$"));
	else if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
	{
		if (is_translated(edata))
			hide(edata->message);
		else
			blank_quoted(edata->message,
						 edata->sqlerrcode == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE ||
							 edata->sqlerrcode == ERRCODE_UNTRANSLATABLE_CHARACTER);
	}
	else
		blank_echoes(edata->message, edata);
}

/*
 * What goes with a message.  Details that may hold anything go whole: those of
 * malformed data, parameters, parse trees, and statements of other backends,
 * of which nothing is known here.
 */
static void
redact_detail(ErrorData *edata, char **field, bool whole)
{
	char *detail = *field;

	if (detail == NULL || is_in_our_words(edata))
		return;
	if (strstr(detail, "$1 = ") != NULL || is_function(edata, "elog_node_display") || is_function(edata, "LogChildExit") ||
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
		drop(field);
	else if (violates_constraint(edata->sqlerrcode))
	{
		/* what is marked is gone already */
		if (redact_log == REDACT_LITERALS && !blank_key(detail) && strchr(detail, '('))
			hide(detail);
	}
	else if (is_function(edata, "exec_simple_query"))
	{
		/* the text of a prepared statement */
		if (whole)
			drop(field);
		else
			mask(detail);
	}
	else
		blank_echoes(detail, edata);
}

/* Lines that say where something happened, and nothing of what it was */
static bool
is_harmless(const char *line)
{
	static const char *const beginnings[] = {
		"PL/pgSQL function ", "compilation of PL/pgSQL function ", "SQL function \"",
		"while ", "parallel worker", "automatic ", "referenced column: ",
		"processing remote data ", NULL
	};

	for (int i = 0; beginnings[i]; i++)
	{
		if (strncmp(line, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	}
	return false;
}

/* COPY t, line 1, column c: "..." without what comes after the colon */
static size_t
copy_line_length(const char *line, size_t len)
{
	const char *where;

	if (strncmp(line, "COPY ", 5) != 0)
		return 0;
	where = strstr(line, ", line ");
	if (where == NULL || where >= line + len)
		return 0;
	for (; where < line + len; where++)
	{
		if (*where == ':')
			break;
	}
	return where - line;
}

/* Keep the lines of a context that are known to tell no value. */
static void
redact_context(char **field)
{
	char *context = *field;
	char *line = context;
	char *to = context;

	if (context == NULL)
		return;
	while (line)
	{
		char *newline = strchr(line, '\n');
		size_t len = newline ? (size_t) (newline - line) : strlen(line);
		size_t keep = is_harmless(line) ? len : copy_line_length(line, len);

		if (keep)
		{
			if (to > context)
				*to++ = '\n';
			memmove(to, line, keep);
			to += keep;
		}
		line = newline ? newline + 1 : NULL;
	}
	*to = '\0';
	if (to == context)
		drop(field);
}

static void
redact_internal_query(ErrorData *edata, bool whole)
{
	if (edata->internalquery == NULL)
		return;
	edata->internalpos = 0; /* it counts characters of the text as it was */
	if (whole || is_lexical_error(edata))
		drop(&edata->internalquery);
	else
		mask(edata->internalquery);
}

/* Take out of a report whatever may be a value, or the statements whole. */
static void
redact_report(ErrorData *edata, bool whole)
{
	if (edata->message)
		redact_message(edata, whole);
	redact_detail(edata, &edata->detail, whole);
	if (is_function(edata, "DeadLockReport"))
		drop(&edata->detail_log); /* the client's has no statements */
	else
		redact_detail(edata, &edata->detail_log, whole);
	blank_echoes(edata->hint, edata);
	redact_context(&edata->context);

	/* broken quotes: pieces of literals may stand outside of any */
	redact_statement(edata, whole || is_lexical_error(edata));
	redact_internal_query(edata, whole);
}

/* Has the statement that is running been seen to use a marked relation? */
static bool
is_touched(void)
{
	return touched_at != 0 && touched_at == GetCurrentStatementStartTimestamp();
}

/* Is the function named to which passwords are passed as they are? */
static bool
checks_password(const char *text)
{
	static const char name[] = "password_problem";
	size_t n = strlen(name);
	size_t len = strlen(text);
	Span word = { 0, 0 };

	while (next_word(text, len, word.end, &word))
	{
		if (word.end - word.start == n && pg_strncasecmp(text + word.start, name, n) == 0)
			return true;
	}
	return false;
}

/* Does a text name what is secret, or what is told of secrets? */
static bool
names_secret(const char *text)
{
	return text && (marked_in(text) || checks_password(text));
}

/* May the report have to do with what is secret? */
static bool
may_tell_secret(const ErrorData *edata)
{
	if (!marked_known() || is_touched())
		return true;
	return (edata->table_name && marked_table_name(edata->table_name)) ||
		   names_secret(current_statement()) || names_secret(edata->message) ||
		   names_secret(edata->detail) || names_secret(edata->detail_log) ||
		   names_secret(edata->context) || names_secret(edata->internalquery);
}

static void
redact_log_hook(ErrorData *edata)
{
	bool secret;

	hide_violation(edata);
	if (redact_log != REDACT_OFF)
	{
		secret = may_tell_secret(edata);
		if (secret || redact_log == REDACT_LITERALS)
			redact_report(edata, secret);
	}
	if (previous_emit_log)
		previous_emit_log(edata);
}

/* ---------------------------------------------------- what statements touch */

static void
note_touched(void)
{
	touched_at = GetCurrentStatementStartTimestamp();
}

static bool
uses_marked(List *rtable)
{
	ListCell *cell;

	foreach(cell, rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (OidIsValid(rte->relid) && marked_relation(rte->relid))
			return true;
	}
	return false;
}

/* Is there another query within? Most have none, and need not be walked. */
static bool
has_queries(const Query *query)
{
	ListCell *cell;

	if (query->hasSubLinks || query->cteList)
		return true;
	foreach(cell, query->rtable)
	{
		if (lfirst_node(RangeTblEntry, cell)->rtekind == RTE_SUBQUERY)
			return true;
	}
	return false;
}

static bool
query_uses_marked(Node *node, void *context)
{
	Query *query = (Query *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, query_uses_marked, context);
	return uses_marked(query->rtable) ||
		   (has_queries(query) && query_tree_walker(query, query_uses_marked, context, 0));
}

/* Is it still to be found out whether the statement touches what is marked? */
static bool
is_undecided(void)
{
	return redact_log != REDACT_OFF && marked_any() && !is_touched();
}

/* Before a query is planned: planning, too, may fail and tell a value. */
static void
after_parsing(ParseState *pstate, Query *query, JumbleState *jstate)
{
	marked_refresh();
	if (is_undecided() && query_uses_marked((Node *) query, NULL))
		note_touched();
	if (previous_post_parse)
		previous_post_parse(pstate, query, jstate);
}

static void
before_execution(QueryDesc *desc, int eflags)
{
	marked_refresh();
	if (is_undecided() && uses_marked(desc->plannedstmt->rtable))
		note_touched();
	if (previous_start)
		previous_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

/* Put our error context callback in place, for as long as something runs. */
static void
begin_guard(ErrorContextCallback *guard)
{
	guard->callback = guard_detail;
	guard->arg = NULL;
	guard->previous = error_context_stack;
	error_context_stack = guard;
}

static void
end_guard(const ErrorContextCallback *guard)
{
	error_context_stack = guard->previous;
}

static void
guarded_run(EXECUTOR_RUN_PARAMETERS)
{
	ErrorContextCallback guard;

	begin_guard(&guard);
	if (previous_run)
		previous_run(EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGUMENTS);
	end_guard(&guard);
}

static void
guarded_finish(QueryDesc *desc)
{
	ErrorContextCallback guard;

	begin_guard(&guard);
	if (previous_finish)
		previous_finish(desc);
	else
		standard_ExecutorFinish(desc);
	end_guard(&guard);
}

static void
guarded_utility(PlannedStmt *statement, const char *text, bool read_only,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *receiver,
				QueryCompletion *completion)
{
	ErrorContextCallback guard;

	marked_refresh();
	begin_guard(&guard);
	if (previous_utility)
		previous_utility(statement, text, read_only, context, params,
						 environment, receiver, completion);
	else
		standard_ProcessUtility(statement, text, read_only, context, params,
								environment, receiver, completion);
	end_guard(&guard);
}

/* -------------------------------------------------------------------- setup */

PG_FUNCTION_INFO_V1(forge_comm_mask_literals);

/* mask_literals(statement text) → text */
Datum
forge_comm_mask_literals(PG_FUNCTION_ARGS)
{
	text *statement = PG_GETARG_TEXT_P_COPY(0);
	size_t len = mask_literals(VARDATA(statement), VARSIZE(statement) - VARHDRSZ);

	SET_VARSIZE(statement, len + VARHDRSZ);
	PG_RETURN_TEXT_P(statement);
}

/*
 * Are we loaded before anybody's first statement?  A library of
 * session_preload_libraries is, while the session is still being set up.
 */
static bool
is_preloaded(void)
{
	return process_shared_preload_libraries_in_progress || IsInitProcessingMode();
}

void
redact_init(void)
{
	DefineCustomEnumVariable("forge_comm.redact_log",
							 "What the server log does not tell.",
							 "\"secrets\" hides statements that touch columns marked as secret, "
							 "\"literals\" also masks all strings.",
							 &redact_log, REDACT_OFF, redact_options, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	if (is_preloaded())
		SetConfigOption("forge_comm.redact_log", "secrets", PGC_SUSET, PGC_S_DYNAMIC_DEFAULT);

	previous_emit_log = emit_log_hook;
	emit_log_hook = redact_log_hook;
	previous_post_parse = post_parse_analyze_hook;
	post_parse_analyze_hook = after_parsing;
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = before_execution;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = guarded_run;
	previous_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = guarded_finish;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = guarded_utility;
}
