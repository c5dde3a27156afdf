/*
 * email.c
 *		E-mail addresses.
 *
 * An address is valid where two standards agree that it is: the HTML standard,
 * whose grammar is what browsers check, and RFC 5321, which adds lengths and
 * where dots may stand.  Quoted local parts, comments and address literals are
 * none of HTML's.
 *
 * Both are ASCII.  An internationalised domain is valid in its ASCII form,
 * xn--..., which is what HTML's control hands over and DNS knows.  To make that
 * form of another takes the tables of UTS #46, which change with Unicode: what
 * is normalised today would not be found in a unique index tomorrow.
 *
 * Pure C, one pass, a table look-up for each byte.
 */
#include "email.h"

#include <stddef.h>

/* RFC 5321, 4.5.3.1.1 and 4.5.3.1.3, where <> take two of the 256; RFC 1035, 2.3.4 */
#define MAX_LOCAL 64
#define MAX_EMAIL 254
#define MAX_LABEL 63

/* What a byte may be; a letter or digit is all but a dot and a hyphen. */
enum
{
	ATEXT = 1, /* in the local part (RFC 5322, 3.2.3) */
	LET_DIG = 2, /* at the ends of a label (RFC 1034, 3.5) */
	LDH = 4, /* within one */
	WHITE = 8, /* HTML's ASCII white space */
	ALNUM = ATEXT | LET_DIG | LDH
};

static const unsigned char classes[256] = {
	['\t'] = WHITE, ['\n'] = WHITE, ['\f'] = WHITE, ['\r'] = WHITE, [' '] = WHITE, ['!'] = ATEXT, ['#'] = ATEXT, ['$'] = ATEXT, ['%'] = ATEXT, ['&'] = ATEXT, ['\''] = ATEXT, ['*'] = ATEXT, ['+'] = ATEXT, ['-'] = ATEXT | LDH, ['/'] = ATEXT, ['='] = ATEXT, ['?'] = ATEXT, ['^'] = ATEXT, ['_'] = ATEXT, ['`'] = ATEXT, ['{'] = ATEXT, ['|'] = ATEXT, ['}'] = ATEXT, ['~'] = ATEXT, ['0'] = ALNUM, ['1'] = ALNUM, ['2'] = ALNUM, ['3'] = ALNUM, ['4'] = ALNUM, ['5'] = ALNUM, ['6'] = ALNUM, ['7'] = ALNUM, ['8'] = ALNUM, ['9'] = ALNUM, ['A'] = ALNUM, ['B'] = ALNUM, ['C'] = ALNUM, ['D'] = ALNUM, ['E'] = ALNUM, ['F'] = ALNUM, ['G'] = ALNUM, ['H'] = ALNUM, ['I'] = ALNUM, ['J'] = ALNUM, ['K'] = ALNUM, ['L'] = ALNUM, ['M'] = ALNUM, ['N'] = ALNUM, ['O'] = ALNUM, ['P'] = ALNUM, ['Q'] = ALNUM, ['R'] = ALNUM, ['S'] = ALNUM, ['T'] = ALNUM, ['U'] = ALNUM, ['V'] = ALNUM, ['W'] = ALNUM, ['X'] = ALNUM, ['Y'] = ALNUM, ['Z'] = ALNUM, ['a'] = ALNUM, ['b'] = ALNUM, ['c'] = ALNUM, ['d'] = ALNUM, ['e'] = ALNUM, ['f'] = ALNUM, ['g'] = ALNUM, ['h'] = ALNUM, ['i'] = ALNUM, ['j'] = ALNUM, ['k'] = ALNUM, ['l'] = ALNUM, ['m'] = ALNUM, ['n'] = ALNUM, ['o'] = ALNUM, ['p'] = ALNUM, ['q'] = ALNUM, ['r'] = ALNUM, ['s'] = ALNUM, ['t'] = ALNUM, ['u'] = ALNUM, ['v'] = ALNUM, ['w'] = ALNUM, ['x'] = ALNUM, ['y'] = ALNUM, ['z'] = ALNUM
};

static bool
is_class(char c, unsigned char class)
{
	return (classes[(unsigned char) c] & class) != 0;
}

/* Skip a run of characters of a class. */
static const char *
skip(const char *at, const char *end, unsigned char class)
{
	while (at < end && is_class(*at, class))
		at++;
	return at;
}

/* Atoms with a dot between each two.  Where they end, NULL if they are none. */
static const char *
skip_local_part(const char *at, const char *end)
{
	const char *start = at;

	for (;;)
	{
		const char *atom = at;

		at = skip(at, end, ATEXT);
		if (at == atom)
			return NULL;
		if (at == end || *at != '.')
			break;
		at++;
	}
	return at - start <= MAX_LOCAL ? at : NULL;
}

/* Letters and digits, with hyphens between them */
static const char *
skip_label(const char *at, const char *end)
{
	const char *start = at;

	at = skip(at, end, LDH);
	if (at == start || at - start > MAX_LABEL ||
		!is_class(start[0], LET_DIG) || !is_class(at[-1], LET_DIG))
		return NULL;
	return at;
}

static bool
is_domain(const char *at, const char *end)
{
	while ((at = skip_label(at, end)) != NULL)
	{
		if (at == end)
			return true;
		if (*at++ != '.')
			return false;
	}
	return false;
}

bool
is_email_text(const char *text, int len)
{
	const char *end = text + len;
	const char *at;

	if (len > MAX_EMAIL)
		return false;
	at = skip_local_part(text, end);
	return at != NULL && at < end && *at == '@' && is_domain(at + 1, end);
}

char *
fold_email(char *text, int len, int *outlen)
{
	char *end = text + len;

	while (text < end && is_class(*text, WHITE))
		text++;
	while (text < end && is_class(end[-1], WHITE))
		end--;
	*outlen = end - text;
	if (!is_email_text(text, *outlen))
		return NULL;
	for (char *c = text; c < end; c++)
	{
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	}
	return text;
}
