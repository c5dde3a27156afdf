/*
 * highlight.c
 *		A text as HTML, with what was searched for marked in it.
 *
 * PostgreSQL marks the words, between control characters that the text itself
 * is made not to have; those become tags after all else was escaped.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "highlight.h"
#include "search_index.h"

/* Stand-ins, in the order of the replacements below */
#define MARK_BEGIN '\x01'
#define MARK_END   '\x02'
#define LESS	   '\x03'
#define GREATER	   '\x04'

static const char *const stand_for[] = { "<mark>", "</mark>", "&lt;", "&gt;" };

/* A text of so many bytes comes whole. */
#define MOST_WHOLE 400

#define MARKS "StartSel=\x01, StopSel=\x02, "
#define WHOLE MARKS "HighlightAll=true"
#define PARTS MARKS "MaxFragments=3, MinWords=8, MaxWords=24, FragmentDelimiter=\" ... \""

static bool
is_stand_in(char c)
{
	return c >= MARK_BEGIN && c <= GREATER;
}

/* The text, which has none of the stand-ins but for < and >. */
static text *
marked_up(const text *body)
{
	text *copy = searched_text(body, LESS, GREATER);
	const char *original = VARDATA_ANY(body);
	char *bytes = VARDATA(copy);
	int length = VARSIZE(copy) - VARHDRSZ;

	for (int i = 0; i < length; i++)
	{
		if (is_stand_in(original[i]))
			bytes[i] = ' ';
	}
	return copy;
}

static void
append_escaped(StringInfo html, char c)
{
	if (is_stand_in(c))
		appendStringInfoString(html, stand_for[c - MARK_BEGIN]);
	else if (c == '&')
		appendStringInfoString(html, "&amp;");
	else if (c == '"')
		appendStringInfoString(html, "&quot;");
	else if (c == '\'')
		appendStringInfoString(html, "&#39;");
	else
		appendStringInfoCharMacro(html, c);
}

text *
highlight(Oid config, const text *body, TSQuery query)
{
	text *plain = marked_up(body);
	Datum args[4];
	text *marked;
	int length;
	StringInfoData html;

	args[0] = ObjectIdGetDatum(config);
	args[1] = PointerGetDatum(plain);
	args[2] = TSQueryGetDatum(query);
	args[3] = CStringGetTextDatum(VARSIZE_ANY_EXHDR(plain) <= MOST_WHOLE ? WHOLE : PARTS);
	marked = DatumGetTextPP(call_quietly(ts_headline_byid_opt, 4, args));

	length = VARSIZE_ANY_EXHDR(marked);
	initStringInfo(&html);
	for (int i = 0; i < length; i++)
		append_escaped(&html, VARDATA_ANY(marked)[i]);
	return cstring_to_text_with_len(html.data, html.len);
}
