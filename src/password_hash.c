/*
 * password_hash.c
 *		What the hash of a password looks like.
 *
 * bcrypt has a form of its own; the others follow the PHC string format,
 * $name[$v=version]$parameter=value,...$salt$hash, where passlib writes the
 * rounds of PBKDF2 as a bare number.
 */
#include "password_hash.h"

#include <string.h>

/* What is left to read of a text. */
typedef struct Rest
{
	const char *at;
	const char *end;
} Rest;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The base64 of bcrypt, PHC and passlib together */
static bool
is_base64(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   c == '+' || c == '/' || c == '.';
}

static bool
skip(Rest *rest, const char *what)
{
	size_t n = strlen(what);

	if ((size_t) (rest->end - rest->at) < n || memcmp(rest->at, what, n) != 0)
		return false;
	rest->at += n;
	return true;
}

/* Skip a run of characters; false if there are too few of them. */
static bool
skip_run(Rest *rest, bool (*of)(char c), int at_least)
{
	const char *start = rest->at;

	while (rest->at < rest->end && of(*rest->at))
		rest->at++;
	return rest->at - start >= at_least;
}

static bool
at_end(const Rest *rest)
{
	return rest->at == rest->end;
}

/* $2b$12$ and 53 characters, salt and hash in one */
static bool
is_bcrypt(Rest rest)
{
	if (!skip(&rest, "$2a$") && !skip(&rest, "$2b$") && !skip(&rest, "$2x$") && !skip(&rest, "$2y$"))
		return false;
	if (rest.end - rest.at != 56 || !is_digit(rest.at[0]) || !is_digit(rest.at[1]) || rest.at[2] != '$')
		return false;
	rest.at += 3;
	return skip_run(&rest, is_base64, 53);
}

/* name=value,... with numbers for values, all of the names given */
static bool
skip_parameters(Rest *rest, const char *const *names)
{
	for (int i = 0; names[i]; i++)
	{
		if ((i > 0 && !skip(rest, ",")) || !skip(rest, names[i]) ||
			!skip(rest, "=") || !skip_run(rest, is_digit, 1))
			return false;
	}
	return true;
}

/* $salt$hash, of 8 bytes and 12 at least */
static bool
is_salt_and_hash(Rest *rest)
{
	return skip(rest, "$") && skip_run(rest, is_base64, 11) &&
		   skip(rest, "$") && skip_run(rest, is_base64, 16) && at_end(rest);
}

static bool
is_argon2(Rest rest)
{
	static const char *const parameters[] = { "m", "t", "p", NULL };

	if (!skip(&rest, "$argon2id$") && !skip(&rest, "$argon2i$") && !skip(&rest, "$argon2d$"))
		return false;
	if (skip(&rest, "v=") && !(skip_run(&rest, is_digit, 1) && skip(&rest, "$")))
		return false;
	if (!skip_parameters(&rest, parameters))
		return false;
	if (skip(&rest, ",keyid=") && !skip_run(&rest, is_base64, 1))
		return false;
	if (skip(&rest, ",data=") && !skip_run(&rest, is_base64, 1))
		return false;
	return is_salt_and_hash(&rest);
}

static bool
is_scrypt(Rest rest)
{
	static const char *const parameters[] = { "ln", "r", "p", NULL };

	return skip(&rest, "$scrypt$") && skip_parameters(&rest, parameters) &&
		   is_salt_and_hash(&rest);
}

static bool
is_pbkdf2(Rest rest)
{
	static const char *const parameters[] = { "i", "l", NULL };
	static const char *const rounds_only[] = { "i", NULL };
	Rest at_rounds;

	if (!skip(&rest, "$pbkdf2"))
		return false;
	if (!skip(&rest, "-sha1") && !skip(&rest, "-sha256"))
		(void) skip(&rest, "-sha512");
	if (!skip(&rest, "$"))
		return false;
	at_rounds = rest;
	if (!skip_parameters(&rest, parameters))
	{
		rest = at_rounds;
		if (!skip_parameters(&rest, rounds_only))
		{
			rest = at_rounds;
			if (!skip_run(&rest, is_digit, 1))
				return false;
		}
	}
	return is_salt_and_hash(&rest);
}

bool
is_password_hash(const char *text, size_t len)
{
	Rest rest = { text, text + len };

	return is_bcrypt(rest) || is_argon2(rest) || is_scrypt(rest) || is_pbkdf2(rest);
}

bool
is_hex_digest(const char *text, size_t len, size_t bytes)
{
	if (len != 2 * bytes)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	}
	return true;
}
