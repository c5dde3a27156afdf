/*
 * cursors.c
 *		Places in a walk through rows, as texts that clients cannot make up.
 *
 * A cursor is a letter and, in base64url, its numbers in as few bytes as each
 * takes and a message authentication code (HMAC-SHA-256, cut to 96 bits) of
 * them and of what the cursor is for.  The keys are in forge_comm.cursor_keys:
 * the newest signs, all verify, so that a database restored from a dump, which
 * has the old key beside the one that CREATE EXTENSION made, takes both.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "cursors.h"
#include "invalidation.h"
#include "message_errors.h"

#define TAG_LENGTH	 12
#define MOST_KEYS	 16
#define LONGEST_KEY	 64
#define LONGEST_BYTE 10 /* of a number */

/* -------------------------------------------------------------------- keys */

/* The columns of forge_comm.cursor_keys, in order. */
enum
{
	KEY_MADE_AT,
	KEY_BYTES,
	NUM_KEY_COLUMNS
};

typedef struct Key
{
	TimestampTz made_at;
	int length;
	uint8 bytes[LONGEST_KEY];
} Key;

/* The keys as last read, newest first, until the table changes. */
static struct
{
	bool valid;
	uint64 generation; /* counts the changes */
	Oid relid; /* forge_comm.cursor_keys itself */
	int n;
	Key keys[MOST_KEYS];
} cache;

/* Put a key in its place; where there are too many the oldest goes. */
static void
keep_key(TimestampTz made_at, const char *bytes, int length)
{
	int at = 0;

	while (at < cache.n && cache.keys[at].made_at >= made_at)
		at++;
	if (at == MOST_KEYS || length < 1)
		return;
	cache.n = Min(cache.n + 1, MOST_KEYS);
	memmove(&cache.keys[at + 1], &cache.keys[at], (cache.n - at - 1) * sizeof(Key));
	cache.keys[at].made_at = made_at;
	cache.keys[at].length = Min(length, LONGEST_KEY);
	memcpy(cache.keys[at].bytes, bytes, cache.keys[at].length);
}

/* Like a catalog, as they are now whatever the transaction's snapshot says. */
static void
read_keys(void)
{
	Oid relid = get_relname_relid("cursor_keys", get_namespace_oid("forge_comm", false));
	Relation rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	cache.relid = relid;
	cache.n = 0;
	cache.valid = true; /* unless it changes meanwhile */
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum values[NUM_KEY_COLUMNS];
		bool nulls[NUM_KEY_COLUMNS];
		bytea *bytes;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		bytes = DatumGetByteaPP(values[KEY_BYTES]);
		keep_key(DatumGetTimestampTz(values[KEY_MADE_AT]), VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
}

static void
require_keys(void)
{
	if (!cache.valid)
		read_keys();
	if (cache.n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key for cursors"),
				 errhint("As a superuser, call forge_comm.new_cursor_key().")));
}

/* Relcache callback; InvalidOid means all relations. */
static void
forget_keys(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == cache.relid)
	{
		cache.valid = false;
		cache.generation++;
	}
}

uint64
cursor_generation(void)
{
	return cache.generation;
}

/* -------------------------------------------------------------------- code */

static void
authenticate(const Key *key, const CursorUse *use, const uint8 *payload, int length, uint8 *tag)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	uint8 bound[13];
	uint32 relid = pg_hton32(use->relid);
	uint64 user = pg_hton64(use->user);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	bound[0] = use->kind;
	memcpy(bound + 1, &relid, 4);
	memcpy(bound + 5, &user, 8);
	if (hmac == NULL ||
		pg_hmac_init(hmac, key->bytes, key->length) < 0 ||
		pg_hmac_update(hmac, bound, sizeof(bound)) < 0 ||
		pg_hmac_update(hmac, payload, length) < 0 ||
		pg_hmac_final(hmac, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute HMAC: %s", pg_hmac_error(hmac));
	pg_hmac_free(hmac);
	memcpy(tag, digest, TAG_LENGTH);
}

/* Are the codes equal?  It takes as long if only the last bytes differ. */
static bool
same_tag(const uint8 *a, const uint8 *b)
{
	uint8 difference = 0;

	for (int i = 0; i < TAG_LENGTH; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static bool
is_authentic(const CursorUse *use, const uint8 *payload, int length, const uint8 *tag)
{
	uint8 expected[TAG_LENGTH];

	require_keys();
	for (int i = 0; i < cache.n; i++)
	{
		authenticate(&cache.keys[i], use, payload, length, expected);
		if (same_tag(expected, tag))
			return true;
	}
	return false;
}

/* ----------------------------------------------------------------- numbers */

/* Seven bits a byte, the least first, the sign in the lowest bit. */
static int
put_number(int64 value, uint8 *bytes)
{
	uint64 rest = ((uint64) value << 1) ^ (uint64) (value >> 63);
	int n = 0;

	for (; rest >= 0x80; rest >>= 7)
		bytes[n++] = (rest & 0x7f) | 0x80;
	bytes[n++] = rest;
	return n;
}

/* How many bytes it took; 0 if they do not make a number. */
static int
get_number(const uint8 *bytes, int length, int64 *value)
{
	uint64 sum = 0;

	for (int n = 0; n < Min(length, LONGEST_BYTE); n++)
	{
		sum |= (uint64) (bytes[n] & 0x7f) << (7 * n);
		if (bytes[n] < 0x80)
		{
			*value = (int64) (sum >> 1) ^ -(int64) (sum & 1);
			return n + 1;
		}
	}
	return 0;
}

static int
get_numbers(const uint8 *bytes, int length, int64 *values, int most)
{
	int n = 0;

	for (int at = 0; at < length; n++)
	{
		int took = n < most ? get_number(bytes + at, length - at, &values[n]) : 0;

		if (took == 0)
			return -1;
		at += took;
	}
	return n;
}

/* --------------------------------------------------------------- base64url */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
put_base64(const uint8 *bytes, int length, char *out)
{
	uint32 bits = 0;
	int pending = 0;
	int n = 0;

	for (int i = 0; i < length; i++)
	{
		bits = bits << 8 | bytes[i];
		for (pending += 8; pending >= 6; pending -= 6)
			out[n++] = digits[bits >> (pending - 6) & 0x3f];
	}
	if (pending > 0)
		out[n++] = digits[bits << (6 - pending) & 0x3f];
	return n;
}

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 :
									  -1;
}

/*
 * How many bytes there are; -1 if that is not what put_base64() makes of any:
 * no two texts are the same cursor.
 */
static int
get_base64(const char *in, int length, uint8 *bytes)
{
	uint32 bits = 0;
	int pending = 0;
	int n = 0;

	for (int i = 0; i < length; i++)
	{
		int value = digit_value(in[i]);

		if (value < 0)
			return -1;
		bits = bits << 6 | value;
		pending += 6;
		if (pending >= 8)
		{
			pending -= 8;
			bytes[n++] = bits >> pending & 0xff;
		}
	}
	return pending >= 6 || (bits & ((1 << pending) - 1)) != 0 ? -1 : n;
}

/* ----------------------------------------------------------------- cursors */

text *
cursor_encode(const CursorUse *use, const int64 *values, int n)
{
	uint8 *bytes = palloc(n * LONGEST_BYTE + TAG_LENGTH);
	text *cursor;
	int length = 0;

	require_keys();
	for (int i = 0; i < n; i++)
		length += put_number(values[i], bytes + length);
	authenticate(&cache.keys[0], use, bytes, length, bytes + length);
	length += TAG_LENGTH;

	cursor = palloc(VARHDRSZ + 1 + length * 4 / 3 + 1);
	VARDATA(cursor)
	[0] = use->kind;
	SET_VARSIZE(cursor, VARHDRSZ + 1 + put_base64(bytes, length, VARDATA(cursor) + 1));
	pfree(bytes);
	return cursor;
}

int
cursor_decode(const CursorUse *use, const char *cursor, int len, int64 *values, int most)
{
	uint8 *bytes = palloc(len + 1);
	int length = len > 0 && cursor[0] == use->kind ? get_base64(cursor + 1, len - 1, bytes) : -1;
	int n = -1;

	length -= TAG_LENGTH;
	if (length >= 0 && is_authentic(use, bytes, length, bytes + length))
		n = get_numbers(bytes, length, values, most);
	pfree(bytes);
	return n;
}

void
cursor_is_invalid(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_CURSOR),
			 errmsg("the cursor is invalid"),
			 errhint("Pass a cursor as it was given, to the function and for the channel that it is from, or begin anew.")));
}

void
cursors_init(void)
{
	when_table_changes(forget_keys);
}
