/*
 * password_hash.c
 *		Tries is_password_hash() and is_hex_digest() on anything, and on hashes
 *		with one byte changed.
 */
#include "../../src/password_hash.h"

#include "fuzz.h"

const char *const telling = "$$$$22abxy12argon2id$scrypt$pbkdf2-sha256v=19$m=,t=,p=,ln=,r=,i=l./+AZaz09f";

static const char *const hashes[] = {
	"$2b$12$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX./0",
	"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzYWx0$RdescudvJCsgt3ub+b3dWRWJTmaaJObG",
	"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBs",
	"$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"
};

/* Change a byte by choice: a $ is never one too many. */
static void
check_changed(const uint8_t *choices)
{
	const char *hash = hashes[choices[0] % (sizeof(hashes) / sizeof(hashes[0]))];
	size_t len = strlen(hash);
	char *changed = copy(hash, len);
	size_t position = choices[1] % len;

	if (!is_password_hash(hash, len))
		fail("refused", hash, len);
	changed[position] = hash[position] == '$' ? '!' : '$';
	if (is_password_hash(changed, len))
		fail("taken", changed, len);
	free(changed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;

	if (is_password_hash(text, size))
	{
		if (size < 30 || text[0] != '$')
			fail("too short", text, size);
		for (size_t i = 0; i < size; i++)
		{
			if (data[i] <= ' ' || data[i] >= 0x7F)
				fail("has what no hash has", text, size);
		}
	}
	if (is_hex_digest(text, size, size / 2) && size % 2 != 0)
		fail("half a byte", text, size);
	if (size >= 2)
		check_changed(data);
	return 0;
}
