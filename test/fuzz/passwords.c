/*
 * passwords.c
 *		Tries password_problem_utf8() on anything, with a part of it as the
 *		e-mail address.
 */
#include "../../src/passwords.h"

#include "../../src/characters.h"
#include "fuzz.h"

const char *const telling = "aaAAbB@@.1 \xc3\xa9\xf0\x9f\x98\x80";

static const char *
by_length(const char *text, int len)
{
	int count = count_characters(text, len);

	if (count < 8)
		return "min_length";
	if (count > 128)
		return "max_length";
	return len > 72 ? "max_bytes" : NULL;
}

static void
expect(const char *password, int len, const char *email, int email_len, const char *expected)
{
	const char *problem = password_problem_utf8(password, len, email, email_len);

	if (problem != expected && (problem == NULL || expected == NULL || strcmp(problem, expected) != 0))
		fail(problem ? problem : "none", password, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	int len = (int) size;
	const char *length = by_length(text, len);
	const char *at = size > 0 ? memchr(text, '@', size) : NULL;

	expect(text, len, NULL, 0, length);
	expect(text, len, "", 0, length);
	expect(text, len, text, len, length ? length : "not_email");
	if (at != NULL)
	{
		int local = (int) (at - text);
		const char *of_local = by_length(text, local);

		expect(text, local, text, len, of_local ? of_local : "not_email");
	}
	return 0;
}
