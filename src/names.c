/*
 * names.c
 *		Names that are written in ASCII: slugs, channels, colours.
 *
 * Slugs and channel names are typed, linked to and compared by eye, so they
 * leave no room for two that look the same: one case, no letters of other
 * alphabets.  A slug is a DNS label besides, and can be a host of its own.
 * Pure C.
 */
#include "names.h"

#define MAX_SLUG		 63 /* RFC 1035, 2.3.4 */
#define MAX_CHANNEL_NAME 80

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c);
}

static bool
is_hex_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Words of lower case letters and digits, with a hyphen between each two */
bool
is_slug_text(const char *text, int len)
{
	bool in_word = false;

	if (len > MAX_SLUG)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (is_lower_or_digit(text[i]))
			in_word = true;
		else if (text[i] == '-' && in_word)
			in_word = false;
		else
			return false;
	}
	return in_word;
}

/* Lower case letters, digits, hyphens and underscores, but not these first */
bool
is_channel_name_text(const char *text, int len)
{
	if (len < 1 || len > MAX_CHANNEL_NAME || !is_lower_or_digit(text[0]))
		return false;
	for (int i = 1; i < len; i++)
	{
		if (!is_lower_or_digit(text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	}
	return true;
}

/* CSS's hexadecimal notation: #rgb, #rgba, #rrggbb or #rrggbbaa */
bool
is_color_text(const char *text, int len)
{
	if ((len != 4 && len != 5 && len != 7 && len != 9) || text[0] != '#')
		return false;
	for (int i = 1; i < len; i++)
	{
		if (!is_hex_digit(text[i]))
			return false;
	}
	return true;
}
