/*
 * jsonb_writer.c
 *		Write jsonb straight into its final form.
 *
 * PostgreSQL's own way to jsonb is a tree in memory, whose objects are sorted
 * one by one.  A page of messages is many objects with the same keys, so these
 * are sorted once and then copied.  What the bytes mean utils/jsonb.h says.
 */
#include "postgres.h"

#include "utils/numeric.h"

#include "jsonb_writer.h"

/* Shorter keys come first. */
int
jsonb_key_cmp(const char *a, const char *b)
{
	size_t length_a = strlen(a);
	size_t length_b = strlen(b);

	if (length_a != length_b)
		return length_a < length_b ? -1 : 1;
	return memcmp(a, b, length_a);
}

static void
pad(JsonbWriter *writer)
{
	while (writer->buf.len % sizeof(JEntry) != 0)
		appendStringInfoCharMacro(&writer->buf, 0);
}

/* Note what was written from "start" on as the next entry of its container. */
static void
note_entry(JsonbWriter *writer, JEntry type, int start)
{
	JsonbLevel *level = &writer->levels[writer->depth - 1];
	uint32 length = writer->buf.len - start;
	JEntry entry;

	level->total += length;
	if (level->total > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rows do not fit into one jsonb value"),
				 errhint("Ask for fewer rows at a time.")));
	entry = type | (level->written % JB_OFFSET_STRIDE == 0 ? JENTRY_HAS_OFF | level->total : length);
	memcpy(writer->buf.data + level->entries, &entry, sizeof(entry));
	level->entries += sizeof(entry);
	level->written++;
}

static JsonbLevel *
open_container(JsonbWriter *writer, uint32 header, int entries)
{
	JsonbLevel *level = &writer->levels[writer->depth++];

	Assert(writer->depth <= JSONB_DEPTH);
	level->start = writer->buf.len;
	level->written = 0;
	level->total = 0;
	pad(writer);
	appendBinaryStringInfo(&writer->buf, (char *) &header, sizeof(header));
	level->entries = writer->buf.len;
	enlargeStringInfo(&writer->buf, entries * sizeof(JEntry));
	writer->buf.len += entries * sizeof(JEntry);
	return level;
}

void
jsonb_begin(JsonbWriter *writer)
{
	initStringInfo(&writer->buf);
	enlargeStringInfo(&writer->buf, 32 * 1024);
	writer->buf.len = VARHDRSZ;
	writer->depth = 0;
}

void
jsonb_open_array(JsonbWriter *writer, int n)
{
	open_container(writer, JB_FARRAY | n, n);
}

/* Again what an object before began with: its keys, and their entries. */
static void
repeat_keys(JsonbWriter *writer, JsonbLevel *level, const JsonbKeys *keys)
{
	int values = keys->n * sizeof(JEntry);

	enlargeStringInfo(&writer->buf, keys->total);
	memcpy(writer->buf.data + level->entries, writer->buf.data + keys->at, values);
	memcpy(writer->buf.data + writer->buf.len, writer->buf.data + keys->at + 2 * values, keys->total);
	writer->buf.len += keys->total;
	level->entries += values;
	level->written = keys->n;
	level->total = keys->total;
}

void
jsonb_open_object(JsonbWriter *writer, JsonbKeys *keys)
{
	JsonbLevel *level = open_container(writer, JB_FOBJECT | keys->n, 2 * keys->n);

	if (keys->at > 0)
	{
		repeat_keys(writer, level, keys);
		return;
	}
	keys->at = level->entries;
	for (int i = 0; i < keys->n; i++)
		jsonb_put_string(writer, keys->names[i], strlen(keys->names[i]));
	keys->total = level->total;
}

void
jsonb_close(JsonbWriter *writer)
{
	JsonbLevel *level = &writer->levels[--writer->depth];

	if (writer->depth > 0)
		note_entry(writer, JENTRY_ISCONTAINER, level->start);
}

Jsonb *
jsonb_finish(JsonbWriter *writer)
{
	Jsonb *jsonb = (Jsonb *) writer->buf.data;

	Assert(writer->depth == 0);
	SET_VARSIZE(jsonb, writer->buf.len);
	return jsonb;
}

void
jsonb_put_null(JsonbWriter *writer)
{
	note_entry(writer, JENTRY_ISNULL, writer->buf.len);
}

void
jsonb_put_bool(JsonbWriter *writer, bool value)
{
	note_entry(writer, value ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE, writer->buf.len);
}

void
jsonb_put_int(JsonbWriter *writer, int64 value)
{
	int start = writer->buf.len;
	Numeric number = int64_to_numeric(value);

	pad(writer);
	appendBinaryStringInfo(&writer->buf, (char *) number, VARSIZE(number));
	pfree(number);
	note_entry(writer, JENTRY_ISNUMERIC, start);
}

void
jsonb_put_string(JsonbWriter *writer, const char *string, int length)
{
	int start = writer->buf.len;

	appendBinaryStringInfo(&writer->buf, string, length);
	note_entry(writer, JENTRY_ISSTRING, start);
}

/* A lone value is kept in an array of its own. */
static void
put_scalar(JsonbWriter *writer, const Jsonb *value)
{
	int start = writer->buf.len;
	JEntry entry = value->root.children[0];
	const char *bytes = (const char *) &value->root.children[1];

	if (JBE_ISNUMERIC(entry))
		pad(writer);
	appendBinaryStringInfo(&writer->buf, bytes, JBE_OFFLENFLD(entry));
	note_entry(writer, entry & JENTRY_TYPEMASK, start);
}

void
jsonb_put_jsonb(JsonbWriter *writer, const Jsonb *value)
{
	int start = writer->buf.len;

	if (JB_ROOT_IS_SCALAR(value))
	{
		put_scalar(writer, value);
		return;
	}
	pad(writer);
	appendBinaryStringInfo(&writer->buf, (const char *) &value->root, VARSIZE(value) - VARHDRSZ);
	note_entry(writer, JENTRY_ISCONTAINER, start);
}
