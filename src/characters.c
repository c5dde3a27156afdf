/*
 * characters.c
 *		The characters of UTF-8 text, and what they are good for.
 *
 * Pure C.
 */
#include "characters.h"

#include <stddef.h>

#include "character_ranges.h"

static CharacterClass
ascii_class(unsigned char c)
{
	if (c == ' ')
		return CHARACTER_SPACE;
	if (c >= '\t' && c <= '\r')
		return CHARACTER_BREAK;
	return c < ' ' || c == 0x7F ? CHARACTER_CONTROL : CHARACTER_PLAIN;
}

/* Look a character up in the table, which is in order. */
static CharacterClass
class_of(uint32_t code)
{
	size_t low = 0;
	size_t high = sizeof(ranges) / sizeof(ranges[0]);

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (code > ranges[middle].last)
			low = middle + 1;
		else if (code < ranges[middle].first)
			high = middle;
		else
			return ranges[middle].class;
	}
	return CHARACTER_PLAIN;
}

static Character
malformed(const char *at)
{
	Character result = { .class = CHARACTER_MALFORMED, .end = at + 1 };

	return result;
}

/* How many bytes a character takes that starts with this one; 0 if none does. */
static int
length_by_first(unsigned char first)
{
	if (first >= 0xC2 && first <= 0xDF)
		return 2;
	if (first >= 0xE0 && first <= 0xEF)
		return 3;
	return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* RFC 3629: the shortest form, no surrogates, nothing beyond U+10FFFF */
static bool
is_well_formed(uint32_t code, int length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	return code >= least[length] && code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
}

Character
character_at(const char *at, const char *end)
{
	unsigned char first = *at;
	int length = length_by_first(first);
	Character result = { .code = first, .end = at + 1 };

	if (first < 0x80)
	{
		result.class = ascii_class(first);
		return result;
	}
	if (length == 0 || end - at < length)
		return malformed(at);
	result.code = first & (0xFF >> (length + 1));
	for (int i = 1; i < length; i++)
	{
		if ((at[i] & 0xC0) != 0x80)
			return malformed(at);
		result.code = result.code << 6 | (at[i] & 0x3F);
	}
	if (!is_well_formed(result.code, length))
		return malformed(at);
	result.end = at + length;
	result.class = class_of(result.code);
	return result;
}

int
count_characters(const char *text, int len)
{
	const char *end = text + len;
	int count = 0;

	for (const char *at = text; at < end; at = character_at(at, end).end)
		count++;
	return count;
}
