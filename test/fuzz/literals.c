/*
 * literals.c
 *		Tries mask_literals() on anything, and on SQL made of pieces whose
 *		literals are known.
 *
 * Each input is used twice: as a text, which must do no harm, and as a list of
 * choices by which SQL is put together in which every literal holds the word
 * CANARY.  None may be left.
 */
#include "../../src/literals.h"

#include "fuzz.h"

const char *const telling = "''\"\"$$$$\\\\--/**/eEuU&xXbBnNa1_ \n\r\t.;\xc3\xa9";

#define CANARY "CANARY"

/* Pieces of SQL.  The first ones are literals; * stands for the canary. */
static const char *const literals[] = {
	"'*'", "'it''s *'", "'*'''", "e'\\'*'", "E'\\\\*\\''", "E'*'\n'\\'*'", "E'x' -- it's\n '\\'*'",
	"'*'\n  '*'", "n'*'", "N'a''*'", "U&'*\\0041'", "u&'''*'", "b'*'", "X'*'",
	"$$*$$", "$$it's *$$", "$a$ $$ ' \" * $b$ $a $a$", "$_1$*'$_$ $1 $_1$", "$\xc3\xa9$*$\xc3\xa9$", "$$\\*\\'$$", "'\"*\"'",
	"'--*'", "'/* * */'", "'C:\\*\\ '", "E'\\\\'$$*$$", "''", "$$$$", "'*' '*'", "'$$' || $$'*$$ || '$$'"
};

/* More of them where standard_conforming_strings is off */
static const char *const backslashed[] = {
	"'it\\'s *'", "'\\\\*'", "N'\\'*'", "'\\\\\\'*'", "'*\\' $$*'", "'\\''\n'*\\''", "'\\'--'\n'*'"
};

/* And where it is on: what comes after is read wrongly the other way */
static const char *const unbackslashed[] = {
	"'*\\'", "'\\'", "'C:\\''*'", "E'x'\n'\\'*'", "E'\\\\'\n\n'\\'*'"
};
static const char *const others[] = {
	"select", "E", "e1", "x$$y", "a$b$c", "U&\"it's\"", "\"it's\"", "\"a\"\"'b\"", "-- it's\n", "--\r", "/* it's */",
	"/* /* ' */ $$ */", "/**/", "1", "1e5", "1.5e-3", "0xff", "1_000", "$1", "$2::text", "+", "-", "*/", "<->", "/", "@",
	"(", ")", ",", ";", ".", "::", "\xc3\xa9t\xc3\xa9", "_x", ":=", "\t", "\n", " ", "\\", "$"
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void
fail_masking(const char *what, const char *before, size_t len, const char *after, size_t masked)
{
	fprintf(stderr, "%s:\n%.*s\n--- masked:\n%.*s\n", what, (int) len, before, (int) masked, after);
	abort();
}

static int
contains(const char *text, size_t len, const char *what)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= len; i++)
	{
		if (memcmp(text + i, what, n) == 0)
			return 1;
	}
	return 0;
}

/*
 * Mask a text; check that it does not grow, and has nothing left to mask.  With
 * backslashes there are two readings, and what is left of both is neither.
 */
static size_t
check(const char *text, size_t len, char **result)
{
	char *once = copy(text, len);
	size_t n = mask_literals(once, len);
	char *twice;

	if (n > len)
		fail_masking("grew", text, len, once, n);
	twice = copy(once, n);
	if (!contains(text, len, "\\") &&
		(mask_literals(twice, n) != n || memcmp(once, twice, n) != 0))
		fail_masking("masked again", text, len, once, n);
	free(twice);
	*result = once;
	return n;
}

static void
check_words(const char *text, size_t len)
{
	Span word = { 0, 0 };

	while (next_word(text, len, word.end, &word))
	{
		if (word.end > len || word.start >= word.end)
			fail("word", text, len);
	}
}

/* Append a piece, with the canary where its star is. */
static size_t
append(char *sql, size_t len, const char *piece, int literal)
{
	for (; *piece; piece++)
	{
		if (*piece == '*' && literal)
		{
			memcpy(sql + len, CANARY, strlen(CANARY));
			len += strlen(CANARY);
		}
		else
			sql[len++] = *piece;
	}
	return len;
}

static size_t
make_sql(const uint8_t *choices, size_t n, bool backslashes, char *sql)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
	{
		size_t pick = choices[i] % (LENGTH(literals) + LENGTH(others));

		if (pick < LENGTH(literals) && choices[i] >= 128)
			len = append(sql, len,
						 backslashes ? backslashed[pick % LENGTH(backslashed)] : unbackslashed[pick % LENGTH(unbackslashed)],
						 1);
		else if (pick < LENGTH(literals))
			len = append(sql, len, literals[pick], 1);
		else
			len = append(sql, len, others[pick - LENGTH(literals)], 0);
		sql[len++] = ','; /* pieces do not grow together, nor go on in the next */
	}
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *result;
	char *sql = malloc(size * 64 + 1);
	size_t len;
	size_t masked;

	(void) check((const char *) data, size, &result);
	free(result);
	check_words((const char *) data, size);

	for (int backslashes = 0; backslashes < 2; backslashes++)
	{
		len = make_sql(data, size, backslashes, sql);
		masked = check(sql, len, &result);
		if (contains(result, masked, CANARY))
			fail_masking("left over", sql, len, result, masked);
		free(result);
	}
	free(sql);
	return 0;
}
