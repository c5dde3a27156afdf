/*
 * random.c
 *		Makes inputs at random, always the same ones, where there is no
 *		libFuzzer to do it.
 */
#include "fuzz.h"

#define MAX_SIZE 320

/* xorshift64 */
static uint64_t state = 88172645463325252u;

static uint64_t
next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Any byte, or one that tells; some over and over, for what counts them. */
static uint8_t
random_byte(int kind, uint8_t last)
{
	uint64_t r = next_random();

	if (kind == 0)
		return (uint8_t) r;
	if (kind == 1 && r >> 60 != 0 && last != 0)
		return last;
	return (uint8_t) telling[r % strlen(telling)];
}

/* Most are short, as most of what is to be found is. */
static size_t
random_size(void)
{
	uint64_t r = next_random();

	return (r >> 32) % (r % 4 == 0 ? MAX_SIZE + 1 : 33);
}

int
main(int argc, char **argv)
{
	long inputs = argc > 1 ? atol(argv[1]) : 100000;
	uint8_t data[MAX_SIZE];

	for (long i = 0; i < inputs; i++)
	{
		size_t size = random_size();
		uint8_t *exact;

		for (size_t j = 0; j < size; j++)
			data[j] = random_byte(i % 4, j > 0 ? data[j - 1] : 0);
		exact = (uint8_t *) copy((char *) data, size);
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
	}
	printf("%ld inputs\n", inputs);
	return 0;
}
