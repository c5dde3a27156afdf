/*
 * characters.h
 *		The characters of UTF-8 text, and what they are good for.
 */
#ifndef FORGE_COMM_CHARACTERS_H
#define FORGE_COMM_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum CharacterClass
{
	CHARACTER_PLAIN,
	CHARACTER_SPACE, /* takes room and shows nothing */
	CHARACTER_BREAK, /* the same, and there is more than one line then */
	CHARACTER_CONTROL, /* has no business in text */
	CHARACTER_HIDDEN, /* takes no room, or changes the order of others */
	CHARACTER_MALFORMED, /* a byte that is no UTF-8 */
	CHARACTER_IDEOGRAPH, /* has variants */
	CHARACTER_PICTOGRAPH, /* what emoji are made of */
	CHARACTER_KEYCAP, /* encloses a digit, # or * */

	/* letters that join with their neighbours, and marks between them */
	CHARACTER_DUAL_JOINING,
	CHARACTER_MONGOLIAN, /* joins on both sides, too */
	CHARACTER_RIGHT_JOINING,
	CHARACTER_MARK,
	CHARACTER_VIRAMA, /* joins Indic letters */

	/* invisible by themselves, they change how others look */
	CHARACTER_NON_JOINER,
	CHARACTER_JOINER,
	CHARACTER_SELECTOR, /* a pictograph as text, or in colour */
	CHARACTER_FREE_SELECTOR, /* the shape of a Mongolian letter */
	CHARACTER_IDEOGRAPHIC_SELECTOR
} CharacterClass;

/* A character of a text, and where the next one begins. */
typedef struct Character
{
	uint32_t code;
	CharacterClass class;
	const char *end;
} Character;

/* The character that begins here; there must be one byte at least. */
extern Character character_at(const char *at, const char *end);

/* How many there are; a byte that is no UTF-8 counts as one. */
extern int count_characters(const char *text, int len);

#endif /* FORGE_COMM_CHARACTERS_H */
