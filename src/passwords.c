/*
 * passwords.c
 *		What is wrong with a password, in UTF-8.
 *
 * NIST SP 800-63B, 5.1.1: its length, and not what everybody would try first.
 * No rules about kinds of characters.  Nothing here copies the password.
 */
#include "passwords.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "characters.h"

#define MIN_CHARACTERS 8
#define MAX_CHARACTERS 128
#define MAX_BYTES	   72 /* bcrypt does not see more */

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool
is_same(const char *a, int a_len, const char *b, int b_len)
{
	if (a_len != b_len)
		return false;
	for (int i = 0; i < a_len; i++)
	{
		if (fold(a[i]) != fold(b[i]))
			return false;
	}
	return true;
}

/* Is it the address, or what stands before its @? */
static bool
is_of_email(const char *password, int len, const char *email, int email_len)
{
	const char *at = memchr(email, '@', email_len);

	return is_same(password, len, email, email_len) ||
		   (at != NULL && is_same(password, len, email, at - email));
}

const char *
password_problem_utf8(const char *password, int len, const char *email, int email_len)
{
	int count = count_characters(password, len);

	if (count < MIN_CHARACTERS)
		return "min_length";
	if (count > MAX_CHARACTERS)
		return "max_length";
	if (len > MAX_BYTES)
		return "max_bytes";
	if (email != NULL && is_of_email(password, len, email, email_len))
		return "not_email";
	return NULL;
}
