/*
 * display_names.c
 *		Tries is_display_name_utf8() and is_body_utf8() on anything, and on
 *		names put together of characters that are known to be good.
 */
#include "../../src/display_names.h"

#include "../../src/characters.h"
#include "fuzz.h"

const char *const telling = "aA  1#\n\xc3\xa9\xe2\x80\x8d\xe2\x80\x8b\xe2\x80\xae\xef\xb8\x8f\xf0\x9f\x98\x80\xd8\xa8\xe0\xa5\x8d\xef\xbb\xbf\xed\xa0\xf4\x90";

/* Fine anywhere within a name */
static const char *const good[] = {
	"a", "Z", "0", "-", "\xc3\xa9", "\xe7\x8e\x8b", "\xd8\xa8", "\xf0\x9f\x98\x80", "\xe0\xa4\x95", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
	"\xe2\x9d\xa4\xef\xb8\x8f", "\xd8\xa8\xe2\x80\x8c\xd8\xa8", "1\xef\xb8\x8f\xe2\x83\xa3", "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d", "\xcc\x81"
};

/* Fine nowhere */
static const char *const bad[] = {
	"\n", "\x01", "\x7f", "\xc2\x85", "\xc2\xad", "\xe2\x80\x8b", "\xe2\x80\x8e", "\xe2\x80\xae", "\xe2\x81\xa6", "\xef\xbb\xbf", "\xe3\x85\xa4", "\xf3\xa0\x81\x81",
	"\xff", "\xc0\x80", "\xc3(", "\xe2\x80(", "\xe0\x81\x81", "\xf0\x80\x81\x81", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80\xa8", "\xcd\x8f", "\xef\xbf\xbe"
};

#define MAX_PIECE	  16
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Whatever is a name is one by exactly the number of its characters. */
static void
check_limits(const char *text, int len)
{
	int count = count_characters(text, len);

	if (!is_display_name_utf8(text, len, 0, 1000000))
		return;
	if (!is_display_name_utf8(text, len, count, count))
		fail("not by its own length", text, len);
	if (is_display_name_utf8(text, len, count + 1, 1000000) || is_display_name_utf8(text, len, 0, count - 1))
		fail("by the length of others", text, len);
	if (!is_body_utf8(text, len, count) || is_body_utf8(text, len, count - 1))
		fail("no message", text, len);
}

/* Good characters in a row, and one that is not somewhere among them */
static void
check_pieces(const uint8_t *choices, size_t n)
{
	char *name = malloc((n + 1) * MAX_PIECE);
	size_t len = 0;
	size_t position = 0;

	for (size_t i = 0; i < n; i++)
	{
		const char *piece = good[choices[i] % LENGTH(good)];

		if (i == choices[0] % n)
			position = len;
		memcpy(name + len, piece, strlen(piece));
		len += strlen(piece);
	}
	if (!is_display_name_utf8(name, (int) len, 1, 1000000))
		fail("refused", name, len);
	if (count_characters(name, (int) len) <= 0)
		fail("uncounted", name, len);
	for (size_t i = 0; i < LENGTH(bad); i++)
	{
		size_t more = strlen(bad[i]);

		memmove(name + position + more, name + position, len - position);
		memcpy(name + position, bad[i], more);
		if (is_display_name_utf8(name, (int) (len + more), 0, 1000000))
			fail("taken", name, len + more);
		memmove(name + position, name + position + more, len - position);
	}
	free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;

	check_limits(text, (int) size);
	if (size > 0)
		check_pieces(data, size);
	return 0;
}
