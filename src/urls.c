/*
 * urls.c
 *		Addresses of web pages.
 *
 * The grammar of RFC 3986, for http and https, less what is only good for
 * deceiving: a user name before the host, hosts that are no DNS names, and
 * numbers that browsers and resolvers would take for some other IPv4 address.
 * Pure C.
 */
#include "urls.h"

#include <stddef.h>
#include <string.h>

#define MAX_URL	  2048
#define MAX_HOST  253 /* RFC 1123, 2.1; RFC 1035, 2.3.4 */
#define MAX_LABEL 63

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

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_let_dig(char c)
{
	return is_letter(c) || is_digit(c);
}

/* Any of these characters, which are not zero? */
static bool
is_any(char c, const char *of)
{
	return c != '\0' && strchr(of, c) != NULL;
}

/* Is this next, letter case aside?  What is asked for is in lower case. */
static bool
skip(Rest *rest, const char *what)
{
	size_t n = strlen(what);

	if ((size_t) (rest->end - rest->at) < n)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		char c = rest->at[i];

		if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != what[i])
			return false;
	}
	rest->at += n;
	return true;
}

/* A number of one to three digits, up to 255 and without leading zeros */
static bool
skip_octet(Rest *rest)
{
	const char *start = rest->at;
	int value = 0;

	while (rest->at < rest->end && is_digit(*rest->at) && value <= 255)
		value = 10 * value + (*rest->at++ - '0');
	return rest->at > start && value <= 255 && (*start != '0' || rest->at - start == 1);
}

static bool
is_ipv4(Rest rest)
{
	for (int i = 0; i < 4; i++)
	{
		if ((i > 0 && !skip(&rest, ".")) || !skip_octet(&rest))
			return false;
	}
	return rest.at == rest.end;
}

/* A group of an IPv6 address: one to four hexadecimal digits */
static bool
skip_group(Rest *rest)
{
	const char *start = rest->at;

	while (rest->at < rest->end && is_hex_digit(*rest->at))
		rest->at++;
	return rest->at > start && rest->at - start <= 4;
}

/* Eight groups, of which :: stands for some, and an IPv4 address for the last two */
static bool
is_ipv6(Rest rest)
{
	int groups = 0;
	bool shortened = skip(&rest, "::");

	while (rest.at < rest.end)
	{
		if (is_ipv4(rest))
		{
			rest.at = rest.end;
			groups += 2;
			break;
		}
		if (!skip_group(&rest))
			return false;
		groups++;
		if (rest.at == rest.end)
			break;
		if (skip(&rest, "::"))
		{
			if (shortened)
				return false;
			shortened = true;
		}
		else if (!skip(&rest, ":") || rest.at == rest.end)
			return false;
	}
	return shortened ? groups <= 7 : groups == 8;
}

/* Would a browser take a host that ends in this label for a number? */
static bool
is_number(Rest label)
{
	bool (*digit)(char c) = skip(&label, "0x") ? is_hex_digit : is_digit;

	while (label.at < label.end && digit(*label.at))
		label.at++;
	return label.at == label.end;
}

static bool
is_label(const char *start, const char *end)
{
	if (end == start || end - start > MAX_LABEL || !is_let_dig(*start) || !is_let_dig(end[-1]))
		return false;
	for (const char *c = start; c < end; c++)
	{
		if (!is_let_dig(*c) && *c != '-')
			return false;
	}
	return true;
}

/* A name of DNS, maybe with the root's dot, whose last label is no number */
static bool
is_dns_name(Rest rest)
{
	Rest label = rest;

	if (rest.at < rest.end && rest.end[-1] == '.')
		rest.end--;
	if (rest.end - rest.at > MAX_HOST)
		return false;
	for (;;)
	{
		const char *dot = memchr(rest.at, '.', rest.end - rest.at);

		label.at = rest.at;
		label.end = dot ? dot : rest.end;
		if (!is_label(label.at, label.end))
			return false;
		if (dot == NULL)
			return !is_number(label);
		rest.at = dot + 1;
	}
}

/* [IPv6], or what comes before a colon, a slash, a question or hash mark */
static bool
skip_host(Rest *rest)
{
	Rest host = *rest;

	if (skip(&host, "["))
	{
		const char *bracket = memchr(host.at, ']', host.end - host.at);

		if (bracket == NULL)
			return false;
		host.end = bracket;
		rest->at = bracket + 1;
		return is_ipv6(host);
	}
	while (rest->at < rest->end && !is_any(*rest->at, ":/?#"))
		rest->at++;
	host.end = rest->at;
	return is_ipv4(host) || is_dns_name(host);
}

/* A colon and a number from 1 to 65535, or nothing */
static bool
skip_port(Rest *rest)
{
	int port = 0;

	if (!skip(rest, ":"))
		return true;
	while (rest->at < rest->end && is_digit(*rest->at) && port <= 65535)
		port = 10 * port + (*rest->at++ - '0');
	return port >= 1 && port <= 65535;
}

/* Characters of a path, or those of others; what is not ASCII is %-encoded */
static bool
skip_characters(Rest *rest, const char *others)
{
	while (rest->at < rest->end)
	{
		char c = *rest->at;

		if (c == '%')
		{
			if (rest->end - rest->at < 3 || !is_hex_digit(rest->at[1]) || !is_hex_digit(rest->at[2]))
				return false;
			rest->at += 3;
		}
		else if (is_let_dig(c) || is_any(c, "-._~!$&'()*+,;=:@") || is_any(c, others))
			rest->at++;
		else
			break;
	}
	return true;
}

bool
is_url_text(const char *text, int len)
{
	Rest rest = { text, text + len };

	if (len > MAX_URL || (!skip(&rest, "http://") && !skip(&rest, "https://")))
		return false;
	if (!skip_host(&rest) || !skip_port(&rest))
		return false;
	if (skip(&rest, "/") && !skip_characters(&rest, "/"))
		return false;
	if (skip(&rest, "?") && !skip_characters(&rest, "/?"))
		return false;
	if (skip(&rest, "#") && !skip_characters(&rest, "/?"))
		return false;
	return rest.at == rest.end;
}
