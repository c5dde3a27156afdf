/*
 * literals.c
 *		The string literals of SQL text.
 *
 * PostgreSQL's lexical rules as far as they decide where a literal begins and
 * ends, so that what is logged of a statement can do without them.  Pure C: no
 * memory is allocated, nothing can fail, and test/fuzz tries it on anything.
 *
 * What a backslash means in '...' hangs on standard_conforming_strings, and
 * nobody knows what that was when the statement was read.  So the text is read
 * both ways at once, and what is a literal in either reading is masked.
 */
#include "literals.h"

#include <string.h>

/* One way of reading a text, and how far it has got. */
typedef struct Reading
{
	const char *text;
	size_t len;
	bool backslashes; /* do they escape in '...'? */
	size_t position;
	bool in_escapes; /* a literal that E introduced may go on after a newline */
	bool done;
	Span literal; /* the literal found last */
} Reading;

static bool
is_high(char c)
{
	return ((unsigned char) c) >= 0x80;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
begins_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_high(c);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool
ends_line(char c)
{
	return c == '\n' || c == '\r';
}

/* Is this the text at a position? */
static bool
is_at(const Reading *reading, size_t position, const char *what)
{
	size_t n = strlen(what);

	return reading->len - position >= n &&
		   memcmp(reading->text + position, what, n) == 0;
}

static size_t
end_of_line(const Reading *reading, size_t position)
{
	while (position < reading->len && !ends_line(reading->text[position]))
		position++;
	return position;
}

/* Where a block comment that begins here ends; they nest. */
static size_t
end_of_comment(const Reading *reading, size_t position)
{
	int depth = 0;

	while (position < reading->len)
	{
		if (is_at(reading, position, "/*"))
		{
			depth++;
			position += 2;
		}
		else if (is_at(reading, position, "*/"))
		{
			position += 2;
			if (--depth == 0)
				break;
		}
		else
			position++;
	}
	return position;
}

/* Where a "name" that begins here ends; a doubled quote stands for one. */
static size_t
end_of_name(const Reading *reading, size_t position)
{
	for (position++; position < reading->len; position++)
	{
		if (reading->text[position] != '"')
			continue;
		if (!is_at(reading, position, "\"\""))
			return position + 1;
		position++;
	}
	return position;
}

/* Digits, and whatever letters follow: 1e5, 0xFF, 1_000, but no dollar sign. */
static size_t
end_of_number(const Reading *reading, size_t position)
{
	while (position < reading->len &&
		   (is_digit(reading->text[position]) || begins_word(reading->text[position])))
		position++;
	return position;
}

static size_t
end_of_word(const char *text, size_t len, size_t position)
{
	while (position < len &&
		   (begins_word(text[position]) || is_digit(text[position]) || text[position] == '$'))
		position++;
	return position;
}

/*
 * Where the 'literal' ends whose first quote is here.  Without a second one it
 * takes all that is left.
 */
static size_t
end_of_quotes(const Reading *reading, size_t position, bool escapes)
{
	for (position++; position < reading->len; position++)
	{
		char c = reading->text[position];

		if (c == '\\' && escapes)
			position++;
		else if (c == '\'')
		{
			if (!is_at(reading, position, "''"))
				return position + 1;
			position++;
		}
	}
	return reading->len;
}

/*
 * A literal goes on after white space that has a newline in it, and in the
 * kind in which it began.  Where the next quote is, or 0.
 */
static size_t
continuation(const Reading *reading, size_t position)
{
	bool newline = false;

	while (position < reading->len)
	{
		char c = reading->text[position];

		if (is_space(c))
		{
			newline = newline || ends_line(c);
			position++;
		}
		else if (is_at(reading, position, "--"))
			position = end_of_line(reading, position);
		else
			return newline && c == '\'' ? position : 0;
	}
	return 0;
}

/* The length of the $tag$ that begins here, 0 if none does. */
static size_t
dollar_tag(const Reading *reading, size_t position)
{
	size_t end = position + 1;

	if (end < reading->len && begins_word(reading->text[end]))
	{
		while (end < reading->len &&
			   (begins_word(reading->text[end]) || is_digit(reading->text[end])))
			end++;
	}
	return end < reading->len && reading->text[end] == '$' ? end + 1 - position : 0;
}

static size_t
end_of_dollars(const Reading *reading, size_t position, size_t tag)
{
	const char *opening = reading->text + position;
	size_t end = position + tag;

	while (reading->len - end >= tag)
	{
		const char *found = memchr(reading->text + end, '$', reading->len - end);

		if (found == NULL)
			break;
		end = found - reading->text;
		if (reading->len - end < tag)
			break;
		if (memcmp(found, opening, tag) == 0)
			return end + tag;
		end++;
	}
	return reading->len;
}

static bool
found_literal(Reading *reading, size_t start, size_t end)
{
	reading->literal.start = start;
	reading->literal.end = end;
	reading->position = end;
	return true;
}

static bool
found_quotes(Reading *reading, size_t start, bool escapes)
{
	size_t end = end_of_quotes(reading, start, escapes);

	reading->in_escapes = escapes;
	return found_literal(reading, start, end);
}

/*
 * A word, which may be the letter that says how to read the quotes after it.
 * Returns true if it was.
 */
static bool
read_word(Reading *reading)
{
	size_t start = reading->position;
	size_t end = end_of_word(reading->text, reading->len, start);
	char c = reading->text[start];

	reading->position = end;
	if (end - start != 1)
		return false;
	if ((c == 'u' || c == 'U') && is_at(reading, end, "&'"))
		return found_quotes(reading, end + 1, reading->backslashes);
	if ((c == 'u' || c == 'U') && is_at(reading, end, "&\""))
	{
		reading->position = end_of_name(reading, end + 1);
		return false;
	}
	if (!is_at(reading, end, "'"))
		return false;
	if (c == 'e' || c == 'E')
		return found_quotes(reading, end, true);
	if (strchr("bBxX", c))
		return found_quotes(reading, end, false);
	return found_quotes(reading, end, reading->backslashes);
}

/* Go on to the next literal; false if there is none. */
static bool
next_literal(Reading *reading)
{
	/* The second half of a literal in two is read as the first was */
	if (reading->literal.end == reading->position && reading->in_escapes)
	{
		size_t next = continuation(reading, reading->position);

		if (next)
			return found_quotes(reading, next, true);
	}
	reading->in_escapes = false;

	while (reading->position < reading->len)
	{
		size_t position = reading->position;
		char c = reading->text[position];

		if (c == '\'')
			return found_quotes(reading, position, reading->backslashes);
		else if (c == '"')
			reading->position = end_of_name(reading, position);
		else if (is_at(reading, position, "--"))
			reading->position = end_of_line(reading, position);
		else if (is_at(reading, position, "/*"))
			reading->position = end_of_comment(reading, position);
		else if (is_digit(c))
			reading->position = end_of_number(reading, position);
		else if (begins_word(c))
		{
			if (read_word(reading))
				return true;
		}
		else if (c == '$' && dollar_tag(reading, position))
			return found_literal(reading, position,
								 end_of_dollars(reading, position,
												dollar_tag(reading, position)));
		else
			reading->position++;
	}
	return false;
}

static void
advance(Reading *reading)
{
	reading->done = reading->done || !next_literal(reading);
}

/* Does the next literal of a reading touch on what is masked already? */
static bool
overlaps(const Reading *reading, const Span *masked)
{
	return !reading->done && reading->literal.start <= masked->end;
}

/*
 * The next part of the text that is a literal in one of the readings.  Both
 * are beyond it afterwards.
 */
static bool
next_masked(Reading *first, Reading *second, Span *masked)
{
	if (first->done && second->done)
		return false;
	*masked = second->done || (!first->done && first->literal.start < second->literal.start) ?
				  first->literal :
				  second->literal;
	while (overlaps(first, masked) || overlaps(second, masked))
	{
		Reading *reading = overlaps(first, masked) ? first : second;

		if (reading->literal.end > masked->end)
			masked->end = reading->literal.end;
		advance(reading);
	}
	return true;
}

/*
 * What is shown in place of a literal: its kind of quotes, and an asterisk
 * unless it is empty.  It is never longer.
 */
static size_t
write_mask(char *to, char quote, size_t len)
{
	const char *mask = quote == '$' ? "$$*$$" : "'*'";
	size_t n = strlen(mask);

	if (len < n)
	{
		mask = quote == '$' ? "$$$$" : "''";
		n = len;
	}
	memmove(to, mask, n);
	return n;
}

size_t
mask_literals(char *text, size_t len)
{
	Reading first = { .text = text, .len = len };
	Reading second = { .text = text, .len = len, .backslashes = true };
	Span masked;
	size_t read = 0;
	size_t written = 0;

	advance(&first);
	if (memchr(text, '\\', len))
		advance(&second);
	else
		second.done = true; /* it would be the same */

	while (next_masked(&first, &second, &masked))
	{
		char quote = text[masked.start];

		memmove(text + written, text + read, masked.start - read);
		written += masked.start - read;
		written += write_mask(text + written, quote, masked.end - masked.start);
		read = masked.end;
	}
	memmove(text + written, text + read, len - read);
	return written + len - read;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool
same_text(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

static bool
literal_holds(const Reading *reading, const char *what, size_t n)
{
	const char *literal = reading->text + reading->literal.start;
	size_t len = reading->literal.end - reading->literal.start;

	if (*literal == '$')
	{
		size_t tag = dollar_tag(reading, reading->literal.start);

		return len == n + 2 * tag && same_text(literal + tag, what, n);
	}
	for (size_t i = 1; i + n <= len; i++)
	{
		if (same_text(literal + i, what, n))
			return true;
	}
	return false;
}

bool
in_literals(const char *text, size_t len, const char *what, size_t n)
{
	Reading reading = { .text = text, .len = len };

	while (next_literal(&reading))
	{
		if (literal_holds(&reading, what, n))
			return true;
	}
	return false;
}

bool
next_word(const char *text, size_t len, size_t from, Span *word)
{
	while (from < len && !begins_word(text[from]))
		from++;
	word->start = from;
	word->end = end_of_word(text, len, from);
	return word->end > word->start;
}
