/*
 * names.c
 *		Tries is_slug_text(), is_channel_name_text() and is_color_text() on
 *		anything, beside plainer readings.
 */
#include "../../src/names.h"

#include "../../src/urls.h"
#include "fuzz.h"

const char *const telling = "aaz09--__##fFgG .\n\xc3\xa9";

#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

/* How many bytes, from the start, are of a set */
static size_t
span(const char *text, size_t len, const char *of)
{
	size_t n = 0;

	while (n < len && text[n] != '\0' && strchr(of, text[n]))
		n++;
	return n;
}

static int
is_slug_slowly(const char *text, size_t len)
{
	if (len < 1 || len > 63 || span(text, len, LOWER_AND_DIGITS "-") != len)
		return 0;
	for (size_t i = 0; i + 1 < len; i++)
	{
		if (text[i] == '-' && text[i + 1] == '-')
			return 0;
	}
	return text[0] != '-' && text[len - 1] != '-';
}

/* A slug is a host of its own: with this before it and after it, a URL */
static void
check_host(const char *slug, size_t len)
{
	char url[128];
	int n = snprintf(url, sizeof(url), "https://%.*s.example.com/", (int) len, slug);

	if (!is_url_text(url, n))
		fail("no host", slug, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	int color = size > 0 && text[0] == '#' && span(text + 1, size - 1, "0123456789abcdefABCDEF") == size - 1 &&
				(size == 4 || size == 5 || size == 7 || size == 9);

	if (is_slug_text(text, (int) size) != is_slug_slowly(text, size))
		fail("slug", text, size);
	if (is_slug_text(text, (int) size))
		check_host(text, size);
	if (is_channel_name_text(text, (int) size) !=
		(size >= 1 && size <= 80 && span(text, size, LOWER_AND_DIGITS "-_") == size && text[0] != '-' && text[0] != '_'))
		fail("channel name", text, size);
	if (is_color_text(text, (int) size) != color)
		fail("colour", text, size);
	return 0;
}
