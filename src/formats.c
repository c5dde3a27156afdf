/*
 * formats.c
 *		What e-mail addresses, names, URLs and the like look like: the SQL
 *		functions, and what of it hangs on the server.
 *
 * The parsers read UTF-8, or ASCII.  In a database of another encoding the
 * text is converted first, and what has no Unicode is no name.  SQL_ASCII says
 * nothing of the bytes beyond ASCII: they are read as UTF-8, and refused in
 * names if they are none, for nobody knows what they would look like.
 */
#include "postgres.h"

#include <string.h>

#include "catalog/namespace.h"
#include "common/unicode_norm.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cleaning.h"
#include "compat.h"
#include "display_names.h"
#include "email.h"
#include "formats.h"
#include "names.h"
#include "password_hash.h"
#include "passwords.h"
#include "urls.h"

#define MAX_BYTES_PER_CHARACTER 4

/* Decomposed, a text has twice as many characters as bytes at most. */
#define MAX_COMPOSED ((int) (MaxAllocSize / (4 * sizeof(pg_wchar))))

/* ---------------------------------------------------------------- encodings */

static bool
is_ascii_text(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(text[i]))
			return false;
	}
	return true;
}

/* Convert a text, as a new one with a zero at its end; NULL if it cannot be. */
static char *
convert(const char *text, int len, int from, int to, int *outlen)
{
	Oid conversion = FindDefaultConversionProc(from, to);
	Size size = (Size) len * MAX_CONVERSION_GROWTH + 1;
	char *result;

	if (!OidIsValid(conversion) || size > MaxAllocSize)
		return NULL;
	result = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, from, to, (unsigned char *) text, len,
									  (unsigned char *) result, (int) size, true) != len)
	{
		pfree(result);
		return NULL;
	}
	*outlen = strlen(result);
	return result;
}

/*
 * The text in UTF-8, which may be the same one.  False if it has none; it is
 * then left as it is.
 */
static bool
to_utf8(const char **text, int *len)
{
	int encoding = GetDatabaseEncoding();
	char *converted;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || is_ascii_text(*text, *len))
		return true;
	converted = convert(*text, *len, encoding, PG_UTF8, len);
	if (converted == NULL)
		return false;
	*text = converted;
	return true;
}

/* ------------------------------------------------------------------ formats */

/* Too long in any encoding?  Then nobody need look at it. */
static bool
is_too_long(int len, int max)
{
	return max < 0 || len > (int64) max * MAX_BYTES_PER_CHARACTER;
}

bool
is_display_name_text(const char *text, int len, int min, int max)
{
	return !is_too_long(len, max) && to_utf8(&text, &len) &&
		   is_display_name_utf8(text, len, min, max);
}

bool
is_message_body_text(const char *text, int len)
{
	return !is_too_long(len, MESSAGE_BODY_MAX) && to_utf8(&text, &len) &&
		   is_body_utf8(text, len, MESSAGE_BODY_MAX);
}

bool
is_password_hash_text(const char *text, int len)
{
	return is_password_hash(text, len);
}

char *
normalize_email_text(const char *text, int len, int *outlen)
{
	char *copy = palloc(len + 1);

	memcpy(copy, text, len);
	return fold_email(copy, len, outlen);
}

const char *
password_problem_text(const char *password, int len, const char *email, int email_len)
{
	(void) to_utf8(&password, &len);
	if (email != NULL)
		(void) to_utf8(&email, &email_len);
	return password_problem_utf8(password, len, email, email_len);
}

/* --------------------------------------------------------------- time zones */

/* Etc/GMT+12 to Etc/GMT-14, which name their hours, and a few that are none */
static bool
is_zone_of_hours(const char *name)
{
	static const char prefix[] = "Etc/GMT";
	const char *hours = name + strlen(prefix) + 1;

	if (strncmp(name, prefix, strlen(prefix)) != 0 || (hours[-1] != '+' && hours[-1] != '-'))
		return false;
	return *hours != '0' && strlen(hours) <= 2 && strspn(hours, "0123456789") == strlen(hours);
}

/*
 * The names with digits that IANA has.  Others PostgreSQL would take for
 * rules, of which there is no end, and keep for as long as the session lasts.
 */
static bool
is_zone_with_digits(const char *name)
{
	static const char *const zones[] = { "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0",
										 "GMT+0", "GMT-0", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-0", NULL };

	for (int i = 0; zones[i]; i++)
	{
		if (strcmp(name, zones[i]) == 0)
			return true;
	}
	return is_zone_of_hours(name);
}

/* Files beside those of IANA's that some systems have */
static bool
is_alien_zone(const char *name)
{
	return strncmp(name, "posix/", 6) == 0 || strncmp(name, "right/", 6) == 0 ||
		   strcmp(name, "localtime") == 0 || strcmp(name, "posixrules") == 0;
}

/* A name of IANA's that PostgreSQL knows, in its own spelling */
bool
is_timezone_text(const char *text, int len)
{
	char name[TZ_STRLEN_MAX + 1];
	pg_tz *zone;

	if (len < 1 || len > TZ_STRLEN_MAX)
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") != (size_t) len ||
		(strpbrk(name, "0123456789") != NULL && !is_zone_with_digits(name)) || is_alien_zone(name))
		return false;
	zone = pg_tzset(name);
	return zone != NULL && strcmp(pg_get_timezone_name(zone), name) == 0 && pg_tz_acceptable(zone);
}

/* ----------------------------------------------------------------- cleaning */

/* Is it composed for sure?  All before U+0300 is, and begins with a lower byte. */
static bool
is_composed(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if ((unsigned char) text[i] >= 0xCC)
			return false;
	}
	return true;
}

/* UTF-8 text in Normalization Form C, which may be the same one */
static char *
compose(char *text, int len, int *outlen)
{
	pg_wchar *characters;
	pg_wchar *composed;
	int count;
	char *result;

	*outlen = len;
	if (is_composed(text, len))
		return text;
	if (len > MAX_COMPOSED)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the text is too long to be cleaned"),
				 errhint("Clean texts of up to %d bytes.", MAX_COMPOSED)));
	characters = palloc((Size) (len + 1) * sizeof(pg_wchar));
	(void) pg_mb2wchar_with_len(text, characters, len);
	composed = unicode_normalize(UNICODE_NFC, characters);
	for (count = 0; composed[count] != 0; count++)
		;
	result = palloc((Size) count * MAX_BYTES_PER_CHARACTER + 1);
	*outlen = pg_wchar2mb_with_len(composed, result, count);
	pfree(characters);
	pfree(composed);
	return result;
}

/*
 * Through UTF-8 where there is a way back, and then without composing, since
 * what is composed may have none.  In SQL_ASCII only ASCII is known.
 */
static char *
strip_encoded(char *text, int len, int *outlen)
{
	int encoding = GetDatabaseEncoding();
	const char *utf8 = text;
	int utf8_len = len;
	char *back = NULL;

	if (encoding != PG_SQL_ASCII && to_utf8(&utf8, &utf8_len) && utf8 != text)
	{
		utf8_len = strip_text((char *) utf8, utf8_len, true);
		back = convert(utf8, utf8_len, PG_UTF8, encoding, outlen);
	}
	if (back == NULL)
	{
		*outlen = strip_text(text, len, false);
		back = text;
	}
	return back;
}

char *
clean_text_text(const char *text, int len, int *outlen)
{
	char *copy = palloc(len + 1);

	memcpy(copy, text, len);
	if (GetDatabaseEncoding() != PG_UTF8)
		return strip_encoded(copy, len, outlen);
	return compose(copy, strip_text(copy, len, true), outlen);
}

/* ------------------------------------------------------------ SQL functions */

/* Call a check with the text that is the first argument. */
static Datum
check_format(FunctionCallInfo fcinfo, FormatCheck check)
{
	text *value = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(check(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
}

PG_FUNCTION_INFO_V1(forge_comm_is_email);
PG_FUNCTION_INFO_V1(forge_comm_normalize_email);
PG_FUNCTION_INFO_V1(forge_comm_is_display_name);
PG_FUNCTION_INFO_V1(forge_comm_is_slug);
PG_FUNCTION_INFO_V1(forge_comm_is_channel_name);
PG_FUNCTION_INFO_V1(forge_comm_is_url);
PG_FUNCTION_INFO_V1(forge_comm_is_color);
PG_FUNCTION_INFO_V1(forge_comm_is_timezone);
PG_FUNCTION_INFO_V1(forge_comm_is_message_body);
PG_FUNCTION_INFO_V1(forge_comm_is_password_hash);
PG_FUNCTION_INFO_V1(forge_comm_password_problem);
PG_FUNCTION_INFO_V1(forge_comm_clean_text);

/* is_email(value) */
Datum
forge_comm_is_email(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_email_text);
}

/* is_slug(value) */
Datum
forge_comm_is_slug(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_slug_text);
}

/* is_channel_name(value) */
Datum
forge_comm_is_channel_name(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_channel_name_text);
}

/* is_url(value) */
Datum
forge_comm_is_url(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_url_text);
}

/* is_color(value) */
Datum
forge_comm_is_color(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_color_text);
}

/* is_timezone(value) */
Datum
forge_comm_is_timezone(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_timezone_text);
}

/* is_message_body(value) */
Datum
forge_comm_is_message_body(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_message_body_text);
}

/* is_password_hash(value) */
Datum
forge_comm_is_password_hash(PG_FUNCTION_ARGS)
{
	return check_format(fcinfo, is_password_hash_text);
}

/* is_display_name(value, min, max) */
Datum
forge_comm_is_display_name(PG_FUNCTION_ARGS)
{
	text *value = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(is_display_name_text(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
										PG_GETARG_INT32(1), PG_GETARG_INT32(2)));
}

/* normalize_email(value): null if it is none */
Datum
forge_comm_normalize_email(PG_FUNCTION_ARGS)
{
	text *value = PG_GETARG_TEXT_PP(0);
	int len;
	char *email = normalize_email_text(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &len);

	if (email == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(email, len));
}

/*
 * password_problem(password, email): the name of a rule, or null.  Neither
 * need be there, but no password is one that is too short.
 */
Datum
forge_comm_password_problem(PG_FUNCTION_ARGS)
{
	text *password = PG_ARGISNULL(0) ? cstring_to_text("") : PG_GETARG_TEXT_PP(0);
	text *email = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	const char *problem = password_problem_text(VARDATA_ANY(password), VARSIZE_ANY_EXHDR(password),
												email ? VARDATA_ANY(email) : NULL,
												email ? VARSIZE_ANY_EXHDR(email) : 0);

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

/* clean_text(value) */
Datum
forge_comm_clean_text(PG_FUNCTION_ARGS)
{
	text *value = PG_GETARG_TEXT_PP(0);
	int len;
	char *clean = clean_text_text(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &len);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(clean, len));
}
