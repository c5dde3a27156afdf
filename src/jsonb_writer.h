/*
 * jsonb_writer.h
 *		Write jsonb straight into its final form.
 */
#ifndef FORGE_COMM_JSONB_WRITER_H
#define FORGE_COMM_JSONB_WRITER_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#define JSONB_DEPTH 6

/* An array or object that is being written. */
typedef struct JsonbLevel
{
	int start; /* of its bytes, padding included */
	int entries; /* where its next entry goes */
	int written; /* how many there are already */
	uint32 total; /* their length */
} JsonbLevel;

typedef struct JsonbWriter
{
	StringInfoData buf;
	JsonbLevel levels[JSONB_DEPTH];
	int depth;
} JsonbWriter;

/* The keys of objects that are alike, in the order of jsonb: see jsonb_key_cmp(). */
typedef struct JsonbKeys
{
	int n;
	const char **names;
	int at; /* where they were written first; 0 if nowhere yet */
	int length;
	uint32 total;
} JsonbKeys;

extern int jsonb_key_cmp(const char *a, const char *b);

/*
 * What is written is one array or object.  How many elements or pairs it has
 * is said in advance.  All values of an object follow its keys, in their order.
 */
extern void jsonb_begin(JsonbWriter *writer);
extern void jsonb_open_array(JsonbWriter *writer, int n);
extern void jsonb_open_object(JsonbWriter *writer, JsonbKeys *keys);
extern void jsonb_close(JsonbWriter *writer);
extern Jsonb *jsonb_finish(JsonbWriter *writer);

extern void jsonb_put_null(JsonbWriter *writer);
extern void jsonb_put_bool(JsonbWriter *writer, bool value);
extern void jsonb_put_int(JsonbWriter *writer, int64 value);
extern void jsonb_put_string(JsonbWriter *writer, const char *string, int length);
extern void jsonb_put_jsonb(JsonbWriter *writer, const Jsonb *value);

#endif /* FORGE_COMM_JSONB_WRITER_H */
