/*
 * urls.c
 *		Tries is_url_text() on anything, and on URLs made of pieces that are
 *		known to be right, but for one at most.
 *
 * The address of an IPv6 host is compared with what inet_pton() says.
 */
#include "../../src/urls.h"

#include <arpa/inet.h>

#include "fuzz.h"

const char *const telling = "httpHTTPs:://///..[]:::?#@%20%fFaZ019-_~!$&'()*+,;=\\ <>\"{}|^`\n\x7f\xc3\xa9";

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Each list ends with a piece that makes any URL wrong. */
static const char *const schemes[] = { "http://", "https://", "HTTP://", "hTTps://", "ftp://" };
static const char *const hosts[] = {
	"a", "example.com", "A-B.c", "a.", "1.2.3.4", "[::1]", "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "3com.com", "xn--p1ai", "a_b"
};
static const char *const ports[] = { "", "", ":1", ":80", ":65535", ":00443", ":65536" };
static const char *const paths[] = { "", "/", "//", "/a/b", "/%41%fF", "/@:!$&'()*+,;=-._~", "/../.", "/^" };
static const char *const queries[] = { "", "?", "?a=b&c", "?/?:@", "?%00", "?[" };
static const char *const fragments[] = { "", "#", "#a/b?c", "#%2f", "##" };

/* Append a piece by choice; was it a right one? */
static int
append(char *url, const char *const *pieces, size_t n, uint8_t choice)
{
	strcat(url, pieces[choice % n]);
	return choice % n < n - 1;
}

static void
check_pieces(const uint8_t *choices)
{
	char url[256] = "";
	int valid = append(url, schemes, LENGTH(schemes), choices[0]);

	valid &= append(url, hosts, LENGTH(hosts), choices[1]);
	valid &= append(url, ports, LENGTH(ports), choices[2]);
	valid &= append(url, paths, LENGTH(paths), choices[3]);
	valid &= append(url, queries, LENGTH(queries), choices[4]);
	valid &= append(url, fragments, LENGTH(fragments), choices[5]);
	if (is_url_text(url, (int) strlen(url)) != valid)
		fail(valid ? "refused" : "taken", url, strlen(url));
}

/* As a host in brackets, any text is one if it is an IPv6 address. */
static void
check_ipv6(const char *text, size_t len)
{
	char url[128];
	char host[64];
	struct in6_addr address;
	int n = snprintf(url, sizeof(url), "http://[%.*s]", (int) len, text);

	if (len >= sizeof(host) || memchr(text, '\0', len) != NULL || memchr(text, ']', len) != NULL)
		return;
	memcpy(host, text, len);
	host[len] = '\0';
	if (is_url_text(url, n) != (inet_pton(AF_INET6, host, &address) == 1))
		fail("IPv6", text, len);
}

/* The same, with characters that addresses are made of in the place of others */
static void
check_near_ipv6(const uint8_t *data, size_t size)
{
	static const char of[] = "::::..0123aF9f:12";
	char text[40];
	size_t len = size < sizeof(text) ? size : sizeof(text);

	for (size_t i = 0; i < len; i++)
		text[i] = of[data[i] % (sizeof(of) - 1)];
	check_ipv6(text, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;

	if (is_url_text(text, (int) size))
	{
		if (size > 2048)
			fail("too long", text, size);
		for (size_t i = 0; i < size; i++)
		{
			if (data[i] <= ' ' || data[i] >= 0x7F || strchr("<>\"\\^`{|}", data[i]))
				fail("has what no URL has", text, size);
		}
	}
	if (size >= 6)
		check_pieces(data);
	if (size > 0)
	{
		check_ipv6(text, size);
		check_near_ipv6(data, size);
	}
	return 0;
}
