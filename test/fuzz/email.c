/*
 * email.c
 *		Tries is_email_text() on anything, beside another reading of the
 *		grammar that is slow and plain.
 */
#include "../../src/email.h"

#include "fuzz.h"

const char *const telling = "aaZ09@@..--+_'!~ \t\n<>[]\"(),:;\\\x7f\xc3\xa9";

static int
is_one_of(char c, const char *of)
{
	return c != '\0' && strchr(of, c) != NULL;
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Characters of a set, with a dot between each two runs of up to so many */
static int
is_dotted(const char *text, size_t len, const char *of, size_t most)
{
	size_t run = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '.' && run == 0)
			return 0;
		if (text[i] != '.' && !is_one_of(text[i], of))
			return 0;
		run = text[i] == '.' ? 0 : run + 1;
		if (run > most)
			return 0;
	}
	return run > 0;
}

/* Does a dot, or an end of the text, touch a hyphen? */
static int
has_loose_hyphen(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '-' && (i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.'))
			return 1;
	}
	return 0;
}

static int
is_email_slowly(const char *text, size_t len)
{
	const char *at = len > 0 ? memchr(text, '@', len) : NULL;
	size_t local = at ? (size_t) (at - text) : 0;

	return at && len <= 254 && local <= 64 &&
		   is_dotted(text, local, LETTERS_AND_DIGITS "!#$%&'*+-/=?^_`{|}~", 64) &&
		   is_dotted(at + 1, len - local - 1, LETTERS_AND_DIGITS "-", 63) &&
		   !has_loose_hyphen(at + 1, len - local - 1);
}

static void
check_folded(const char *text, size_t len)
{
	char *once = copy(text, len);
	int n;
	char *folded = fold_email(once, (int) len, &n);
	int again;

	if (is_email_text(text, (int) len) && (folded != once || (size_t) n != len))
		fail("valid, and not when folded", text, len);
	if (folded)
	{
		char *twice = copy(folded, n);

		if (!is_email_text(folded, n))
			fail("folded to none", text, len);
		if (fold_email(twice, n, &again) != twice || again != n || memcmp(twice, folded, n) != 0)
			fail("folded again", text, len);
		free(twice);
	}
	free(once);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;

	if (is_email_text(text, (int) size) != is_email_slowly(text, size))
		fail("not as by the grammar", text, size);
	check_folded(text, size);
	return 0;
}
