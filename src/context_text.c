/*
 * context_text.c
 *		The context, and the text that carries it.
 *
 * The value is "user=7;scope=42:owner,43:member", or
 * "service=nightly job;scope=*", workspaces ascending.  What the transaction
 * has founded is in it, too: a workspace has the role "*" then, a row that
 * privacy would hide is listed as "founded=16420:7-7", and rows of consecutive
 * ids, as a sequence gives them, as one.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "utils/guc.h"

#include "compat.h"
#include "context_text.h"

const char context_founder[] = "*";

/* Undo append_escaped in place. */
static void
unescape(char *text)
{
	char *out = text;

	for (char *in = text; *in; in++)
	{
		if (in[0] == '%' && isxdigit((unsigned char) in[1]) &&
			isxdigit((unsigned char) in[2]))
		{
			char hex[3] = { in[1], in[2], '\0' };

			*out++ = (char) strtol(hex, NULL, 16);
			in += 2;
		}
		else
			*out++ = *in;
	}
	*out = '\0';
}

/* Keep a text apart from the signs that structure the value. */
static void
append_escaped(StringInfo out, const char *text)
{
	for (; *text; text++)
	{
		if (strchr("%;:,=*", *text) || (unsigned char) *text < ' ')
			appendStringInfo(out, "%%%02X", (unsigned char) *text);
		else
			appendStringInfoChar(out, *text);
	}
}

/* Read "id:role"; the text stays in use. */
static bool
parse_workspace(char *text, Context *context)
{
	int n = context->nworkspaces++;
	char *role;

	errno = 0;
	context->workspaces[n] = strtoll(text, &role, 10);
	if (errno || role == text || *role != ':')
		return false;
	if (n > 0 && context->workspaces[n] <= context->workspaces[n - 1])
		return false;
	role++;
	if (strcmp(role, context_founder) == 0)
		context->roles[n] = context_founder;
	else
	{
		unescape(role);
		context->roles[n] = role;
	}
	return true;
}

/* Read "id:role,id:role,..."; the text is cut up. */
static bool
parse_scope(char *text, Context *context)
{
	if (strcmp(text, "*") == 0)
	{
		context->everywhere = true;
		return true;
	}
	while (text && *text)
	{
		char *next = strchr(text, ',');

		if (next)
			*next++ = '\0';
		if (!parse_workspace(text, context))
			return false;
		text = next;
	}
	return true;
}

/* Read "relid:first-last,relid:first-last,...". */
static bool
parse_founded(char *text, Context *context)
{
	while (text)
	{
		FoundedRows *rows = &context->founded[context->nfounded++];
		char *next = strchr(text, ',');
		char *end;

		errno = 0;
		rows->relid = (Oid) strtoul(text, &end, 10);
		if (errno || end == text || *end != ':')
			return false;
		text = end + 1;
		rows->first = strtoll(text, &end, 10);
		if (errno || end == text || *end != '-')
			return false;
		text = end + 1;
		rows->last = strtoll(text, &end, 10);
		if (errno || end == text || end != (next ? next : text + strlen(text)))
			return false;
		text = next ? next + 1 : NULL;
	}
	return true;
}

static bool
parse_field(char *field, Context *context)
{
	char *value = strchr(field, '=');
	char *end;

	if (value == NULL)
		return false;
	*value++ = '\0';
	if (strcmp(field, "scope") == 0)
		return parse_scope(value, context);
	if (strcmp(field, "founded") == 0)
		return parse_founded(value, context);
	if (strcmp(field, "service") == 0)
	{
		unescape(value);
		context->reason = value;
		return true;
	}
	if (strcmp(field, "user") == 0)
	{
		errno = 0;
		context->user = strtoll(value, &end, 10);
		context->has_user = true;
		return errno == 0 && end != value && *end == '\0';
	}
	return false;
}

Context *
context_parse(const char *value)
{
	Size length = strlen(value) + 1;
	Size most = 2; /* one more than there are commas, in each of two lists */
	Context *context;
	char *text;
	char *next;

	for (const char *p = value; *p; p++)
		most += (*p == ',');

	context = guc_malloc(LOG, sizeof(Context) +
								  most * (sizeof(FoundedRows) + sizeof(int64) + sizeof(char *)) +
								  length);
	if (context == NULL)
		return NULL;
	memset(context, 0, sizeof(Context));
	context->founded = (FoundedRows *) (context + 1);
	context->workspaces = (int64 *) (context->founded + most);
	context->roles = (const char **) (context->workspaces + most);
	text = (char *) (context->roles + most);
	memcpy(text, value, length);

	for (; text; text = next)
	{
		next = strchr(text, ';');
		if (next)
			*next++ = '\0';
		if (!parse_field(text, context))
		{
			guc_free(context);
			return NULL;
		}
	}
	return context;
}

char *
context_format(const Context *context)
{
	StringInfoData out;

	initStringInfo(&out);
	if (context->has_user)
		appendStringInfo(&out, "user=" INT64_FORMAT ";", context->user);
	if (context->reason)
	{
		appendStringInfoString(&out, "service=");
		append_escaped(&out, context->reason);
		appendStringInfoChar(&out, ';');
	}
	appendStringInfoString(&out, "scope=");
	if (context->everywhere)
		appendStringInfoChar(&out, '*');
	for (int i = 0; i < context->nworkspaces; i++)
	{
		appendStringInfo(&out, "%s" INT64_FORMAT ":", i ? "," : "",
						 context->workspaces[i]);
		if (context->roles[i] == context_founder)
			appendStringInfoString(&out, context_founder);
		else
			append_escaped(&out, context->roles[i]);
	}
	for (int i = 0; i < context->nfounded; i++)
		appendStringInfo(&out, "%s%u:" INT64_FORMAT "-" INT64_FORMAT, i ? "," : ";founded=",
						 context->founded[i].relid, context->founded[i].first,
						 context->founded[i].last);
	return out.data;
}
