/*
 * kept.c
 *		What was made of the definition of a table, for as long as it stays true.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "invalidation.h"
#include "kept.h"

struct KeptCache
{
	KeptMaker maker;
	HTAB *entries;
};

typedef struct KeptEntry
{
	Oid relid; /* hash key */
	bool valid;
	Kept *kept; /* or NULL */
} KeptEntry;

static List *caches = NIL; /* in TopMemoryContext */

static Kept *
make(KeptCache *cache, Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "forge_comm kept",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Kept *kept = cache->maker(rel);

	MemoryContextSwitchTo(old);
	if (kept)
	{
		kept->context = context;
		MemoryContextSetParent(context, CacheMemoryContext);
	}
	return kept;
}

/* What is outdated may be in use up the stack: the transaction frees it. */
Kept *
kept_of(KeptCache *cache, Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	KeptEntry *entry;
	bool found;

	entry = hash_search(cache->entries, &relid, HASH_ENTER, &found);
	if (!found)
		entry->kept = NULL;
	if (entry->kept == NULL || !entry->valid)
	{
		if (entry->kept)
			MemoryContextSetParent(entry->kept->context, TopTransactionContext);
		entry->kept = NULL;
		entry->valid = true; /* a change that arrives from here on counts */
		entry->kept = make(cache, rel);
	}
	return entry->kept;
}

/* Relcache callback. */
static void
forget(Datum arg, Oid relid)
{
	ListCell *cell;

	foreach(cell, caches)
	{
		HASH_SEQ_STATUS status;
		KeptEntry *entry;

		hash_seq_init(&status, ((KeptCache *) lfirst(cell))->entries);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			if (!OidIsValid(relid) || entry->relid == relid || entry->kept == NULL ||
				list_member_oid(entry->kept->relids, relid))
				entry->valid = false;
		}
	}
}

/* Between transactions nothing is in use: drop what is outdated. */
static void
drop_outdated(XactEvent event, void *arg)
{
	ListCell *cell;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	foreach(cell, caches)
	{
		HTAB *entries = ((KeptCache *) lfirst(cell))->entries;
		HASH_SEQ_STATUS status;
		KeptEntry *entry;

		hash_seq_init(&status, entries);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			if (entry->valid && entry->kept)
				continue;
			if (entry->kept)
				MemoryContextDelete(entry->kept->context);
			(void) hash_search(entries, &entry->relid, HASH_REMOVE, NULL);
		}
	}
}

KeptCache *
kept_create(const char *name, KeptMaker maker)
{
	HASHCTL ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(KeptEntry),
		.hcxt = TopMemoryContext
	};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	KeptCache *cache = palloc(sizeof(KeptCache));

	cache->maker = maker;
	cache->entries = hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (caches == NIL)
	{
		when_table_changes(forget);
		RegisterXactCallback(drop_outdated, NULL);
	}
	caches = lappend(caches, cache);
	MemoryContextSwitchTo(old);
	return cache;
}
