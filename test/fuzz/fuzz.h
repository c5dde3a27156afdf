/*
 * fuzz.h
 *		What the targets share.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The target: what it finds wrong, it aborts on. */
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that tell it something; others are hardly ever met at random. */
extern const char *const telling;

static inline void
fail(const char *what, const char *text, size_t len)
{
	fprintf(stderr, "%s:\n%.*s\n", what, (int) len, text);
	abort();
}

/* A copy with not a byte more than needed, so that reading on is noticed */
static inline char *
copy(const char *text, size_t len)
{
	char *result = malloc(len > 0 ? len : 1);

	if (len > 0)
		memcpy(result, text, len);
	return result;
}

#endif /* FUZZ_H */
