/*
 * cleaning.c
 *		Text without what has no business in it.
 *
 * Pure C.
 */
#include "cleaning.h"

#include <string.h>

#include "characters.h"

/* The character that begins here, of which nothing is known beyond ASCII. */
static Character
ascii_at(const char *at)
{
	Character result = { .class = CHARACTER_PLAIN, .end = at + 1 };

	return *at & 0x80 ? result : character_at(at, at + 1);
}

/* CR LF, and whatever else ends a line, is one newline; a tab is one. */
static const char *
skip_break(const char *at, const Character *character, const char *end)
{
	if (*at == '\r' && character->end < end && *character->end == '\n')
		return character->end + 1;
	return character->end;
}

int
strip_text(char *text, int len, bool utf8)
{
	const char *end = text + len;
	const char *at = text;
	char *to = text;
	int result = 0; /* without white space that has not been followed yet */

	while (at < end)
	{
		Character character = utf8 ? character_at(at, end) : ascii_at(at);
		const char *start = at;
		bool space = character.class == CHARACTER_SPACE || character.class == CHARACTER_BREAK;

		at = character.end;
		if (character.class == CHARACTER_CONTROL || (space && result == 0))
			continue;
		if (character.class == CHARACTER_BREAK)
		{
			at = skip_break(start, &character, end);
			*to++ = *start == '\t' ? '\t' : '\n';
		}
		else
		{
			memmove(to, start, at - start);
			to += at - start;
		}
		if (!space)
			result = to - text;
	}
	return result;
}
