/*
 * message_page.c
 *		All that a page of a web client shows, as one jsonb value.
 *
 * A handful of queries find it, each for the whole page, with the rights of
 * whoever calls: the rows, their authors, how many replies they have, and the
 * reactions to them.  One row more than asked for tells whether there are more.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "jsonb_writer.h"
#include "listing.h"
#include "queries.h"

/* The queries, in the order of the array that message_page() is given. */
enum
{
	QUERY_PLACE, /* the time of a message by its id, in a channel */
	QUERY_UNREAD, /* the id, and the time, of the message that was read last */
	QUERY_OLDER, /* id, time and author of the rows of a channel up to a place, and all their columns */
	QUERY_NEWER, /* the same of those after it */
	QUERY_AUTHORS, /* names by ids */
	QUERY_REPLIES, /* how many, and the last one's time, by their parents */
	QUERY_REACTIONS, /* emoji, how many, whether of the user, by messages */
	NUM_QUERIES
};

enum
{
	ARG_TABLE,
	ARG_CHANNEL,
	ARG_BEFORE,
	ARG_AFTER,
	ARG_AROUND,
	ARG_LIMIT,
	ARG_TIME_TYPE,
	ARG_HAS_AUTHOR,
	ARG_QUERIES
};

/* The columns in front of a row's own. */
enum
{
	ROW_ID,
	ROW_TIME,
	ROW_AUTHOR,
	ROW_OWN
};

typedef struct Message
{
	Place place;
	int64 author;
	bool has_author;
	Datum *values; /* its own columns */
	bool *nulls;
} Message;

/* What was found for an id; others of the same id follow it. */
typedef struct Found
{
	int64 id;
	Datum values[3];
	bool nulls[3];
} Found;

typedef struct FoundList
{
	Found *found; /* by id */
	int n;
} FoundList;

typedef struct MessagePage
{
	Oid relid;
	int64 channel;
	Oid time_type;
	bool has_author;
	text *queries[NUM_QUERIES]; /* NULL: not asked */
	TupleDesc desc; /* of the rows */
	Message messages[MOST_LISTED]; /* newest first */
	int n;
	bool has_older;
	bool has_newer;
	Place newest; /* where to ask on for newer rows if there are none yet */
	FoundList authors;
	FoundList replies;
	FoundList reactions;
} MessagePage;

/* ----------------------------------------------------------------- queries */

static uint64
ask(const MessagePage *page, int query, int nargs, Oid *argtypes, Datum *values, long most)
{
	return run_query(page->queries[query], nargs, argtypes, values, most);
}

static Place
find_place(const MessagePage *page, const text *name, bool any)
{
	Place place;

	if (place_is_id(name, &place.id))
	{
		if (!place_of_message(page->queries[QUERY_PLACE], page->channel, page->time_type, &place))
			anchor_is_elsewhere();
		return place;
	}
	if (any && place_is_unread(name))
		return place_last_read(page->queries[QUERY_UNREAD], page->channel, page->time_type);
	return place_read(page->relid, page->channel, name, any, page->time_type);
}

/* Rows of one side of a place, the nearest first; how many there are. */
static uint64
ask_for_rows(MessagePage *page, int query, Place place, int most)
{
	Oid types[] = { INT8OID, page->time_type, INT8OID };
	Datum values[] = { Int64GetDatum(page->channel), Int64GetDatum(place.time), Int64GetDatum(place.id) };
	Oid columns[] = { INT8OID, page->time_type, INT8OID };
	uint64 n = ask(page, query, 3, types, values, most);

	require_columns(columns, ROW_OWN);
	page->desc = SPI_tuptable->tupdesc;
	return n;
}

static void
take_message(const MessagePage *page, Message *message, HeapTuple tuple)
{
	int natts = page->desc->natts;
	Datum *values = palloc(natts * sizeof(Datum));
	bool *nulls = palloc(natts * sizeof(bool));

	heap_deform_tuple(tuple, page->desc, values, nulls);
	message->place = (Place){ .time = DatumGetInt64(values[ROW_TIME]), .id = DatumGetInt64(values[ROW_ID]) };
	message->author = DatumGetInt64(values[ROW_AUTHOR]);
	message->has_author = page->has_author && !nulls[ROW_AUTHOR];
	message->values = values;
	message->nulls = nulls;
}

static void
take_older(MessagePage *page, Place place, int most)
{
	int n = ask_for_rows(page, QUERY_OLDER, place, most + 1);

	page->has_older = n > most;
	n = Min(n, most);
	for (int i = 0; i < n; i++)
		take_message(page, &page->messages[page->n++], SPI_tuptable->vals[i]);
}

/* Before any others are taken: these go in front, the nearest last. */
static void
take_newer(MessagePage *page, Place place, int most)
{
	int n = ask_for_rows(page, QUERY_NEWER, place, most + 1);

	page->has_newer = n > most;
	n = Min(n, most);
	for (int i = n - 1; i >= 0; i--)
		take_message(page, &page->messages[page->n++], SPI_tuptable->vals[i]);
}

static bool
has_rows(MessagePage *page, int query, Place place)
{
	TupleDesc desc = page->desc;
	bool has = ask_for_rows(page, query, place, 1) > 0;

	page->desc = desc;
	return has;
}

static void
take_before(MessagePage *page, Place place, int limit)
{
	if (place_step_back(&place))
		take_older(page, place, limit);
	page->has_newer = has_rows(page, QUERY_NEWER, page->n > 0 ? page->messages[0].place : FIRST_PLACE);
}

static void
take_after(MessagePage *page, Place place, int limit)
{
	Place end = LAST_PLACE;

	take_newer(page, place, limit);
	page->newest = place;
	if (page->n > 0)
		end = page->messages[page->n - 1].place;
	page->has_older = (page->n == 0 || place_step_back(&end)) && has_rows(page, QUERY_OLDER, end);
}

static void
take_around(MessagePage *page, Place place, int limit)
{
	take_newer(page, place, limit / 2);
	take_older(page, place, (limit + 1) / 2);
}

static void
take_messages(MessagePage *page, FunctionCallInfo fcinfo)
{
	int limit = checked_limit(fcinfo, ARG_LIMIT);

	page->newest = FIRST_PLACE;
	if (!PG_ARGISNULL(ARG_BEFORE))
		take_before(page, find_place(page, PG_GETARG_TEXT_PP(ARG_BEFORE), false), limit);
	else if (!PG_ARGISNULL(ARG_AFTER))
		take_after(page, find_place(page, PG_GETARG_TEXT_PP(ARG_AFTER), false), limit);
	else if (!PG_ARGISNULL(ARG_AROUND))
		take_around(page, find_place(page, PG_GETARG_TEXT_PP(ARG_AROUND), true), limit);
	else
		take_older(page, LAST_PLACE, limit);
}

/* ----------------------------------------------------- what goes with rows */

static int
compare_ids(const void *a, const void *b)
{
	int64 one = *(const int64 *) a;
	int64 other = *(const int64 *) b;

	return one < other ? -1 : one > other;
}

/* The id is the first member, so that this serves for a search as well. */
static const Found *
first_found(const FoundList *list, int64 id)
{
	int low = 0;
	int high = list->n;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (list->found[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->n && list->found[low].id == id ? &list->found[low] : NULL;
}

/* What a query says of some ids, each once, by id; its other columns have these types. */
static void
find_for(MessagePage *page, int query, int64 *ids, int n, const Oid *types, FoundList *list)
{
	Oid argtypes[] = { INT8ARRAYOID };
	Datum *elements = palloc(n * sizeof(Datum));
	Datum values[1];
	int ncolumns = 1;
	int distinct = 0;

	if (n == 0)
		return;
	qsort(ids, n, sizeof(int64), compare_ids);
	for (int i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			elements[distinct++] = Int64GetDatum(ids[i]);
	values[0] = PointerGetDatum(construct_array(elements, distinct, INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	list->n = ask(page, query, 1, argtypes, values, 0);
	while (OidIsValid(types[ncolumns]))
		ncolumns++;
	require_columns(types, ncolumns);
	list->found = palloc(list->n * sizeof(Found));
	for (int i = 0; i < list->n; i++)
	{
		Datum row[4];
		bool nulls[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, nulls);
		list->found[i].id = DatumGetInt64(row[0]);
		memcpy(list->found[i].values, row + 1, (ncolumns - 1) * sizeof(Datum));
		memcpy(list->found[i].nulls, nulls + 1, (ncolumns - 1) * sizeof(bool));
	}
}

static void
find_authors(MessagePage *page)
{
	Oid types[] = { INT8OID, TEXTOID, InvalidOid };
	int64 ids[MOST_LISTED];
	int n = 0;

	for (int i = 0; i < page->n; i++)
		if (page->messages[i].has_author)
			ids[n++] = page->messages[i].author;
	find_for(page, QUERY_AUTHORS, ids, n, types, &page->authors);
}

static void
find_by_message(MessagePage *page, int query, const Oid *types, FoundList *list)
{
	int64 ids[MOST_LISTED];

	for (int i = 0; i < page->n; i++)
		ids[i] = page->messages[i].place.id;
	find_for(page, query, ids, page->n, types, list);
}

static void
find_all(MessagePage *page)
{
	Oid replies[] = { INT8OID, INT8OID, page->time_type, InvalidOid };
	Oid reactions[] = { INT8OID, TEXTOID, INT8OID, BOOLOID, InvalidOid };

	if (page->queries[QUERY_AUTHORS] != NULL)
		find_authors(page);
	if (page->queries[QUERY_REPLIES] != NULL)
		find_by_message(page, QUERY_REPLIES, replies, &page->replies);
	if (page->queries[QUERY_REACTIONS] != NULL)
		find_by_message(page, QUERY_REACTIONS, reactions, &page->reactions);
}

/* -------------------------------------------------------------------- JSON */

typedef enum FieldKind
{
	FIELD_INT2,
	FIELD_INT4,
	FIELD_INT8,
	FIELD_BOOL,
	FIELD_TEXT,
	FIELD_TIME,
	FIELD_OTHER,
	/* what is not a column */
	FIELD_AUTHOR,
	FIELD_REPLY_COUNT,
	FIELD_LAST_REPLY,
	FIELD_REACTIONS
} FieldKind;

typedef struct Field
{
	const char *name;
	FieldKind kind;
	int column;
	Oid type;
	FmgrInfo to_jsonb;
} Field;

typedef struct PageWriter
{
	JsonbWriter json;
	MessagePage *page;
	Field *fields; /* by key */
	JsonbKeys keys;
	JsonbKeys author_keys;
	JsonbKeys reaction_keys;
	/* the time written last; columns often have the same */
	bool has_time;
	int64 time;
	char time_text[MAXDATELEN + 1];
} PageWriter;

static FieldKind
kind_of(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return FIELD_INT2;
		case INT4OID:
			return FIELD_INT4;
		case INT8OID:
			return FIELD_INT8;
		case BOOLOID:
			return FIELD_BOOL;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return FIELD_TEXT;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return FIELD_TIME;
		default:
			return FIELD_OTHER;
	}
}

static int
compare_fields(const void *a, const void *b)
{
	return jsonb_key_cmp(((const Field *) a)->name, ((const Field *) b)->name);
}

/* A column whose name is a key of ours is hidden by it. */
static int
add_fields(const MessagePage *page, Field *fields)
{
	int n = 0;
	int ours;

	if (page->has_author)
		fields[n++] = (Field){ .name = "author", .kind = FIELD_AUTHOR };
	if (page->queries[QUERY_REPLIES] != NULL)
	{
		fields[n++] = (Field){ .name = "reply_count", .kind = FIELD_REPLY_COUNT };
		fields[n++] = (Field){ .name = "last_reply_at", .kind = FIELD_LAST_REPLY };
	}
	if (page->queries[QUERY_REACTIONS] != NULL)
		fields[n++] = (Field){ .name = "reactions", .kind = FIELD_REACTIONS };
	ours = n;
	for (int i = ROW_OWN; i < page->desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(page->desc, i);
		bool hidden = false;

		for (int j = 0; j < ours; j++)
			hidden |= strcmp(NameStr(attr->attname), fields[j].name) == 0;
		if (!hidden)
			fields[n++] = (Field){ .name = NameStr(attr->attname),
								   .kind = kind_of(attr->atttypid),
								   .column = i,
								   .type = attr->atttypid };
	}
	return n;
}

/* to_jsonb(), which asks what type it is called with. */
static void
prepare_other(Field *field)
{
	Const *argument = makeNullConst(field->type, -1, InvalidOid);

	fmgr_info(F_TO_JSONB, &field->to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &field->to_jsonb);
}

static void
prepare_fields(PageWriter *writer)
{
	int n;

	writer->fields = palloc((writer->page->desc->natts + 4) * sizeof(Field));
	n = add_fields(writer->page, writer->fields);
	qsort(writer->fields, n, sizeof(Field), compare_fields);
	writer->keys = (JsonbKeys){ .n = n, .names = palloc(n * sizeof(char *)) };
	for (int i = 0; i < n; i++)
	{
		writer->keys.names[i] = writer->fields[i].name;
		if (writer->fields[i].kind == FIELD_OTHER)
			prepare_other(&writer->fields[i]);
	}
}

static void
put_time(PageWriter *writer, Datum time)
{
	if (!writer->has_time || writer->time != DatumGetInt64(time))
		JsonEncodeDateTime(writer->time_text, time, writer->page->time_type, NULL);
	writer->has_time = true;
	writer->time = DatumGetInt64(time);
	jsonb_put_string(&writer->json, writer->time_text, strlen(writer->time_text));
}

static void
put_other_time(PageWriter *writer, Datum time, Oid type)
{
	char buf[MAXDATELEN + 1];

	JsonEncodeDateTime(buf, time, type, NULL);
	jsonb_put_string(&writer->json, buf, strlen(buf));
}

static void
put_text(PageWriter *writer, Datum value)
{
	text *string = DatumGetTextPP(value);

	jsonb_put_string(&writer->json, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

/* {"id", "display_name"}, null where nobody is named */
static void
put_author(PageWriter *writer, const Message *message)
{
	JsonbWriter *json = &writer->json;
	const Found *found = first_found(&writer->page->authors, message->author);

	if (!message->has_author)
	{
		jsonb_put_null(json);
		return;
	}
	jsonb_open_object(json, &writer->author_keys);
	jsonb_put_int(json, message->author);
	if (writer->page->queries[QUERY_AUTHORS] == NULL)
		;
	else if (found == NULL || found->nulls[0])
		jsonb_put_null(json);
	else
		put_text(writer, found->values[0]);
	jsonb_close(json);
}

static void
put_replies(PageWriter *writer, const Message *message, FieldKind kind)
{
	const Found *found = first_found(&writer->page->replies, message->place.id);

	if (kind == FIELD_REPLY_COUNT)
		jsonb_put_int(&writer->json, found != NULL ? DatumGetInt64(found->values[0]) : 0);
	else if (found != NULL && !found->nulls[1])
		put_time(writer, found->values[1]);
	else
		jsonb_put_null(&writer->json);
}

/* An array of {"mine", "count", "emoji"}, as the query sorts them */
static void
put_reactions(PageWriter *writer, const Message *message)
{
	JsonbWriter *json = &writer->json;
	const FoundList *list = &writer->page->reactions;
	const Found *found = first_found(list, message->place.id);
	const Found *end = found;

	while (end != NULL && end < list->found + list->n && end->id == message->place.id)
		end++;
	jsonb_open_array(json, end - found);
	for (; found < end; found++)
	{
		jsonb_open_object(json, &writer->reaction_keys);
		jsonb_put_bool(json, !found->nulls[2] && DatumGetBool(found->values[2]));
		jsonb_put_int(json, DatumGetInt64(found->values[1]));
		if (found->nulls[0])
			jsonb_put_null(json);
		else
			put_text(writer, found->values[0]);
		jsonb_close(json);
	}
	jsonb_close(json);
}

static void
put_column(PageWriter *writer, Field *field, Datum value)
{
	JsonbWriter *json = &writer->json;

	switch (field->kind)
	{
		case FIELD_INT2:
			jsonb_put_int(json, DatumGetInt16(value));
			break;
		case FIELD_INT4:
			jsonb_put_int(json, DatumGetInt32(value));
			break;
		case FIELD_INT8:
			jsonb_put_int(json, DatumGetInt64(value));
			break;
		case FIELD_BOOL:
			jsonb_put_bool(json, DatumGetBool(value));
			break;
		case FIELD_TEXT:
			put_text(writer, value);
			break;
		case FIELD_TIME:
			if (field->type == writer->page->time_type)
				put_time(writer, value);
			else
				put_other_time(writer, value, field->type);
			break;
		default:
			jsonb_put_jsonb(json, DatumGetJsonbP(FunctionCall1(&field->to_jsonb, value)));
	}
}

static void
put_field(PageWriter *writer, Field *field, const Message *message)
{
	switch (field->kind)
	{
		case FIELD_AUTHOR:
			put_author(writer, message);
			break;
		case FIELD_REPLY_COUNT:
		case FIELD_LAST_REPLY:
			put_replies(writer, message, field->kind);
			break;
		case FIELD_REACTIONS:
			put_reactions(writer, message);
			break;
		default:
			if (message->nulls[field->column])
				jsonb_put_null(&writer->json);
			else
				put_column(writer, field, message->values[field->column]);
	}
}

static void
put_messages(PageWriter *writer)
{
	const MessagePage *page = writer->page;

	jsonb_open_array(&writer->json, page->n);
	for (int i = 0; i < page->n; i++)
	{
		jsonb_open_object(&writer->json, &writer->keys);
		for (int j = 0; j < writer->keys.n; j++)
			put_field(writer, &writer->fields[j], &page->messages[i]);
		jsonb_close(&writer->json);
	}
	jsonb_close(&writer->json);
}

static void
put_cursor(PageWriter *writer, Place place)
{
	put_text(writer, PointerGetDatum(place_cursor(writer->page->relid, writer->page->channel, place)));
}

static Jsonb *
write_page(MessagePage *page)
{
	static const char *names[] = { "newer", "older", "messages", "has_newer", "has_older" };
	static const char *author[] = { "id", "display_name" };
	static const char *reaction[] = { "mine", "count", "emoji" };
	JsonbKeys keys = { .n = lengthof(names), .names = names };
	PageWriter writer = {
		.page = page,
		.author_keys = { .n = page->queries[QUERY_AUTHORS] != NULL ? 2 : 1, .names = author },
		.reaction_keys = { .n = lengthof(reaction), .names = reaction }
	};

	if (page->n > 0)
		prepare_fields(&writer);
	jsonb_begin(&writer.json);
	jsonb_open_object(&writer.json, &keys);
	put_cursor(&writer, page->n > 0 ? page->messages[0].place : page->newest);
	if (page->n > 0)
		put_cursor(&writer, page->messages[page->n - 1].place);
	else
		jsonb_put_null(&writer.json);
	put_messages(&writer);
	jsonb_put_bool(&writer.json, page->has_newer);
	jsonb_put_bool(&writer.json, page->has_older);
	jsonb_close(&writer.json);
	return jsonb_finish(&writer.json);
}

/* -------------------------------------------------------------------- page */

static void
take_queries(MessagePage *page, ArrayType *array)
{
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n != NUM_QUERIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a page takes %d queries", NUM_QUERIES),
				 errhint("Call forge_comm.enable_messages() again.")));
	for (int i = 0; i < n; i++)
		page->queries[i] = nulls[i] ? NULL : DatumGetTextPP(elements[i]);
}

PG_FUNCTION_INFO_V1(forge_comm_message_page);

/*
 * message_page(rel, channel, before, after, around, limit, time_type,
 * has_author, queries): null without a table or queries.  The channel has to
 * be checked before.
 */
Datum
forge_comm_message_page(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MessagePage *page;
	Jsonb *result;

	if (PG_ARGISNULL(ARG_TABLE) || PG_ARGISNULL(ARG_QUERIES))
		PG_RETURN_NULL();
	check_places(fcinfo, ARG_CHANNEL);
	page = palloc0(sizeof(MessagePage));
	page->relid = PG_GETARG_OID(ARG_TABLE);
	page->channel = PG_GETARG_INT64(ARG_CHANNEL);
	page->time_type = PG_ARGISNULL(ARG_TIME_TYPE) ? InvalidOid : PG_GETARG_OID(ARG_TIME_TYPE);
	require_time_type(page->time_type);
	page->has_author = !PG_ARGISNULL(ARG_HAS_AUTHOR) && PG_GETARG_BOOL(ARG_HAS_AUTHOR);
	take_queries(page, PG_GETARG_ARRAYTYPE_P(ARG_QUERIES));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	take_messages(page, fcinfo);
	find_all(page);
	MemoryContextSwitchTo(caller);
	result = write_page(page);
	SPI_finish();
	PG_RETURN_JSONB_P(result);
}
