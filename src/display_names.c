/*
 * display_names.c
 *		Names and messages for people to read, in UTF-8.
 *
 * A name must not look like another by characters that nobody sees.  Those
 * that have a use all the same, in Persian, Indic or Mongolian words, in
 * emoji and in Japanese names, may stand where they have it and do show:
 * RFC 5892, appendix A for the joiners, UTS #51 for emoji.  Pure C.
 */
#include "display_names.h"

#include <stddef.h>

#include "characters.h"

/* What is known of a text as it is read, character by character. */
typedef struct Reader
{
	const char *at;
	const char *end;
	Character last; /* before which one is this */
	bool joins_next; /* would the last letter, marks aside, join with the next? */
	int count;
	bool shows;
} Reader;

static bool
is_space(CharacterClass class)
{
	return class == CHARACTER_SPACE || class == CHARACTER_BREAK;
}

static bool
is_visible(CharacterClass class)
{
	switch (class)
	{
		case CHARACTER_SPACE:
		case CHARACTER_BREAK:
		case CHARACTER_CONTROL:
		case CHARACTER_HIDDEN:
		case CHARACTER_NON_JOINER:
		case CHARACTER_JOINER:
		case CHARACTER_SELECTOR:
		case CHARACTER_FREE_SELECTOR:
		case CHARACTER_IDEOGRAPHIC_SELECTOR:
			return false;
		default:
			return true;
	}
}

/* The class of the next character; space if there is none. */
static CharacterClass
next_class(const Reader *reader)
{
	if (reader->at == reader->end)
		return CHARACTER_SPACE;
	return character_at(reader->at, reader->end).class;
}

/* Would the next letter, marks aside, join with the one before? */
static bool
next_joins(const Reader *reader)
{
	Character next = { .class = CHARACTER_MARK, .end = reader->at };

	while (next.class == CHARACTER_MARK && next.end < reader->end)
		next = character_at(next.end, reader->end);
	return next.class == CHARACTER_DUAL_JOINING || next.class == CHARACTER_MONGOLIAN ||
		   next.class == CHARACTER_RIGHT_JOINING;
}

static bool
is_keycap_base(uint32_t code)
{
	return (code >= '0' && code <= '9') || code == '#' || code == '*';
}

/* May this character, already read, stand where it does in a name? */
static bool
may_stand(const Reader *reader, CharacterClass class)
{
	CharacterClass last = reader->last.class;

	switch (class)
	{
		case CHARACTER_BREAK:
		case CHARACTER_CONTROL:
		case CHARACTER_HIDDEN:
		case CHARACTER_MALFORMED:
			return false;
		case CHARACTER_NON_JOINER:
			return last == CHARACTER_VIRAMA || (reader->joins_next && next_joins(reader));
		case CHARACTER_JOINER:
			return last == CHARACTER_VIRAMA ||
				   ((last == CHARACTER_PICTOGRAPH || last == CHARACTER_SELECTOR) &&
					next_class(reader) == CHARACTER_PICTOGRAPH);
		case CHARACTER_SELECTOR:
			return last == CHARACTER_PICTOGRAPH ||
				   (is_keycap_base(reader->last.code) && next_class(reader) == CHARACTER_KEYCAP);
		case CHARACTER_FREE_SELECTOR:
			return last == CHARACTER_MONGOLIAN;
		case CHARACTER_IDEOGRAPHIC_SELECTOR:
			return last == CHARACTER_IDEOGRAPH;
		default:
			return true;
	}
}

static void
note(Reader *reader, Character character)
{
	if (character.class != CHARACTER_MARK)
		reader->joins_next = character.class == CHARACTER_DUAL_JOINING ||
							 character.class == CHARACTER_MONGOLIAN;
	reader->shows = reader->shows || is_visible(character.class);
	reader->last = character;
	reader->count++;
}

bool
is_display_name_utf8(const char *text, int len, int min, int max)
{
	Reader reader = { .at = text, .end = text + len, .last.class = CHARACTER_SPACE };

	if (len == 0 || is_space(next_class(&reader)))
		return false;
	while (reader.at < reader.end && reader.count < max)
	{
		Character character = character_at(reader.at, reader.end);

		reader.at = character.end;
		if (!may_stand(&reader, character.class))
			return false;
		note(&reader, character);
	}
	return reader.at == reader.end && reader.count >= min &&
		   reader.shows && !is_space(reader.last.class);
}

bool
is_body_utf8(const char *text, int len, int max)
{
	Reader reader = { .at = text, .end = text + len };

	while (reader.at < reader.end && reader.count < max)
	{
		Character character = character_at(reader.at, reader.end);

		reader.at = character.end;
		note(&reader, character);
	}
	return reader.at == reader.end && reader.shows;
}
