/*
 * visible.c
 *		Channels are there for those who may see them.
 *
 * Whoever asks for the messages of a channel learns whether there is such a
 * channel, once a call.  Where nothing but our own policies hides channels,
 * the answer is at hand; elsewhere a query finds it, with the rights of
 * whoever asks, whose plan is kept.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "rewrite/rowsecurity.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "context.h"
#include "invalidation.h"
#include "privacy.h"
#include "rules.h"
#include "visible.h"

/* The query for one table of channels, until the table changes. */
typedef struct ChannelQuery
{
	Oid relid; /* hash key */
	bool valid;
	SPIPlanPtr plan;
} ChannelQuery;

static HTAB *queries;

/* Relcache callback; InvalidOid means all relations. */
static void
forget_queries(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	ChannelQuery *query;

	hash_seq_init(&status, queries);
	while ((query = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || query->relid == relid)
			query->valid = false;
}

static SPIPlanPtr
prepare_query(Oid relid, const char *key)
{
	char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
											 get_rel_name(relid));
	char *text = psprintf("SELECT FROM %s AS c WHERE c.%s OPERATOR(pg_catalog.=) $1",
						  table, quote_identifier(key));
	Oid type = INT8OID;
	SPIPlanPtr plan = SPI_prepare(text, 1, &type);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\"", text);
	return plan;
}

static SPIPlanPtr
query_of(Oid relid, const char *key)
{
	bool found;
	ChannelQuery *query = hash_search(queries, &relid, HASH_ENTER, &found);

	if (!found)
		query->plan = NULL;
	if (!found || !query->valid)
	{
		SPIPlanPtr old = query->plan;

		query->plan = NULL;
		query->valid = true; /* unless it changes meanwhile */
		if (old != NULL)
			SPI_freeplan(old);
	}
	if (query->plan == NULL)
		query->plan = prepare_query(relid, key);
	return query->plan;
}

static bool
query_finds(Oid relid, const char *key, int64 id)
{
	Datum value = Int64GetDatum(id);
	bool found;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_plan(query_of(relid, key), &value, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look a channel up");
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

/* Is what our policies say all there is to say about the rows of a table? */
static bool
only_our_policies(Relation rel)
{
	ListCell *cell;

	if (context_is_everywhere() || rel->rd_rsdesc == NULL ||
		check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED)
		return false;
	foreach(cell, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		if (strncmp(policy->policy_name, "forge_comm_", 11) != 0)
			return false;
	}
	return true;
}

bool
channel_is_visible(Oid relid, const char *key, int64 id)
{
	Relation rel = try_table_open(relid, AccessShareLock);
	const PrivacyRule *privacy;
	bool at_hand;

	if (rel == NULL)
		return false;
	privacy = rules_of(rel)->privacy;
	at_hand = privacy != NULL && privacy->via == InvalidAttrNumber && only_our_policies(rel);
	table_close(rel, NoLock);
	return at_hand ? privacy_allows(relid, id) : query_finds(relid, key, id);
}

void
channel_is_null(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the channel must not be null"),
			 errhint("Pass the id of a channel.")));
}

static void
require_channel(bool isnull, bool visible)
{
	if (isnull)
		channel_is_null();
	if (!visible)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the channel does not exist or is not visible"),
				 errhint("Name a channel of the workspaces in scope, and of those that are private one of which the user is a member.")));
}

PG_FUNCTION_INFO_V1(forge_comm_visible_channel);
PG_FUNCTION_INFO_V1(forge_comm_channel_in);

/*
 * visible_channel(channel, visible): the channel, an error unless it is
 * visible.  A missing and a forbidden one look the same.
 */
Datum
forge_comm_visible_channel(PG_FUNCTION_ARGS)
{
	require_channel(PG_ARGISNULL(0), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/*
 * visible_channel(channel, channels, key): the same, looked up in the table of
 * channels by its key; any channel where there is no such table.
 */
Datum
forge_comm_channel_in(PG_FUNCTION_ARGS)
{
	bool isnull = PG_ARGISNULL(0);

	require_channel(isnull, isnull || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
								channel_is_visible(PG_GETARG_OID(1), NameStr(*PG_GETARG_NAME(2)),
												   PG_GETARG_INT64(0)));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

void
visible_init(void)
{
	HASHCTL info = { .keysize = sizeof(Oid), .entrysize = sizeof(ChannelQuery) };

	queries = hash_create("forge_comm channels", 4, &info, HASH_ELEM | HASH_BLOBS);
	when_table_changes(forget_queries);
}
