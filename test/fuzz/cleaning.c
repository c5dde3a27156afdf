/*
 * cleaning.c
 *		Tries strip_text() on anything: it never grows, twice is once, and
 *		what it leaves has neither controls nor white space around it.
 */
#include "../../src/cleaning.h"

#include "../../src/characters.h"
#include "fuzz.h"

const char *const telling = "ab \t\n\r\x01\x7f\x0b\xc2\x85\xc2\xa0\xe2\x80\xa8\xe3\x80\x80\xef\xbb\xbf\xc3\xa9\xf0\x9f\x98\x80";

static int
is_well_formed(const char *text, size_t len)
{
	const char *end = text + len;

	for (const char *at = text; at < end;)
	{
		Character character = character_at(at, end);

		if (character.class == CHARACTER_MALFORMED)
			return 0;
		at = character.end;
	}
	return 1;
}

static void
check_clean(const char *text, int len)
{
	const char *end = text + len;

	for (const char *at = text; at < end;)
	{
		Character character = character_at(at, end);
		int space = character.class == CHARACTER_SPACE || character.class == CHARACTER_BREAK;

		if (character.class == CHARACTER_CONTROL)
			fail("a control", text, len);
		if (character.class == CHARACTER_BREAK && *at != '\n' && *at != '\t')
			fail("another line break", text, len);
		if (space && (at == text || character.end == end))
			fail("untrimmed", text, len);
		at = character.end;
	}
}

static void
check(const char *text, size_t len, bool utf8)
{
	char *once = copy(text, len);
	int n = strip_text(once, (int) len, utf8);
	/* what is left of broken UTF-8 may grow together, and is another text then */
	bool settled = !utf8 || is_well_formed(text, len);
	char *twice;

	if (n < 0 || (size_t) n > len)
		fail("grew", text, len);
	twice = copy(once, n);
	if (settled && (strip_text(twice, n, utf8) != n || memcmp(once, twice, n) != 0))
		fail("stripped again", text, len);
	if (utf8 && settled)
		check_clean(once, n);
	free(twice);
	free(once);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check((const char *) data, size, true);
	check((const char *) data, size, false);
	return 0;
}
