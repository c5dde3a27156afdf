/*
 * search_peek.c
 *		How many rows the index of search has for something, before it is asked.
 *
 * A scan of a GIN index reads all there is for what it is asked, so one has to
 * know before whether that is much.  The index itself knows: the list of rows
 * at each key says how long it is.  Statistics would as well, but they keep the
 * words of all workspaces for the table's owner to read, and grow old.
 *
 * Rows in the index's list of pending insertions are not counted.
 */
#include "postgres.h"

#include "access/gin_private.h"
#include "access/genam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "search_peek.h"

/* So many keys are read of a place; what more would hold is extrapolated. */
#define MOST_KEYS_READ 1000

/* The rows of a key that has a tree of its own for them, if nobody looks. */
#define ROWS_OF_TREE 4000

typedef struct PeekIndex
{
	Relation rel;
	GinState state;
} PeekIndex;

struct SearchPeek
{
	int n;
	PeekIndex *indexes;
};

static List *
physical_indexes(Oid index)
{
	List *all = find_all_inheritors(index, AccessShareLock, NULL);
	List *physical = NIL;
	ListCell *cell;

	foreach(cell, all)
	{
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_INDEX)
			physical = lappend_oid(physical, lfirst_oid(cell));
	}
	return physical;
}

SearchPeek *
peek_begin(Oid index)
{
	List *oids = get_rel_relkind(index) == RELKIND_INDEX ? list_make1_oid(index) : physical_indexes(index);
	SearchPeek *peek = palloc(sizeof(SearchPeek));
	ListCell *cell;

	peek->n = 0;
	peek->indexes = palloc(list_length(oids) * sizeof(PeekIndex));
	foreach(cell, oids)
	{
		PeekIndex *opened = &peek->indexes[peek->n++];

		opened->rel = index_open(lfirst_oid(cell), AccessShareLock);
		initGinState(&opened->state, opened->rel);
	}
	return peek;
}

void
peek_end(SearchPeek *peek)
{
	for (int i = 0; i < peek->n; i++)
		index_close(peek->indexes[i].rel, NoLock);
}

/* Go to the first key not before this one; the page is locked. */
static GinBtreeStack *
go_to(PeekIndex *index, AttrNumber column, Datum key, bool *found)
{
	GinBtreeData btree;
	GinBtreeStack *stack;

	ginPrepareEntryScan(&btree, column, key, GIN_CAT_NORM_KEY, &index->state);
	stack = compat_gin_find_leaf(&btree);
	*found = btree.findItem(&btree, stack);
	return stack;
}

static IndexTuple
item_at(const GinBtreeStack *stack)
{
	Page page = BufferGetPage(stack->buffer);

	return (IndexTuple) PageGetItem(page, PageGetItemId(page, stack->off));
}

/* How many rows a tree has: those of its first page, for each of its pages. */
static double
rows_in_tree(PeekIndex *index, BlockNumber root)
{
	GinBtreeData btree;
	GinBtreeStack *stack = compat_gin_begin_tree(&btree, index->rel, root);
	ItemPointerData from;
	int n;

	ItemPointerSetMin(&from);
	pfree(GinDataLeafPageGetItems(BufferGetPage(stack->buffer), &n, from));
	n *= stack->predictNumber;
	LockBuffer(stack->buffer, GIN_UNLOCK);
	freeGinBtreeStack(stack);
	return n;
}

static double
rows_with_word(PeekIndex *index, Datum word)
{
	bool found;
	GinBtreeStack *stack = go_to(index, WORDS_COLUMN, word, &found);
	IndexTuple item = found ? item_at(stack) : NULL;
	BlockNumber root = found && GinIsPostingTree(item) ? GinGetPostingTree(item) : InvalidBlockNumber;
	double rows = found && root == InvalidBlockNumber ? GinGetNPosting(item) : 0;

	/* as in a scan: no page of keys stays locked while a tree is read */
	LockBuffer(stack->buffer, GIN_UNLOCK);
	if (root != InvalidBlockNumber)
		rows = rows_in_tree(index, root);
	freeGinBtreeStack(stack);
	return rows;
}

double
peek_word(SearchPeek *peek, const char *word, int length)
{
	Datum key = PointerGetDatum(cstring_to_text_with_len(word, length));
	double rows = 0;

	for (int i = 0; i < peek->n; i++)
		rows += rows_with_word(&peek->indexes[i], key);
	return rows;
}

/* Go on to the right if the page is done; false at the end of the index. */
static bool
on_some_item(PeekIndex *index, GinBtreeStack *stack)
{
	while (stack->off > PageGetMaxOffsetNumber(BufferGetPage(stack->buffer)))
	{
		if (GinPageRightMost(BufferGetPage(stack->buffer)))
			return false;
		stack->buffer = ginStepRight(stack->buffer, index->rel, GIN_SHARE);
		stack->blkno = BufferGetBlockNumber(stack->buffer);
		stack->off = FirstOffsetNumber;
	}
	return true;
}

/* The step of the key at hand, if it is one of this place. */
static bool
step_at(PeekIndex *index, const GinBtreeStack *stack, Datum place, int32 *step)
{
	IndexTuple item = item_at(stack);
	GinNullCategory category;
	Datum key;

	if (gintuple_get_attrnum(&index->state, item) != PLACES_COLUMN)
		return false;
	key = gintuple_get_key(&index->state, item, &category);
	if (category != GIN_CAT_NORM_KEY ||
		!same_place((bytea *) DatumGetPointer(key), (bytea *) DatumGetPointer(place)))
		return false;
	*step = place_key_step((bytea *) DatumGetPointer(key));
	return true;
}

static PlaceSpan
span_of(PeekIndex *index, Datum place, int32 newest, double rows)
{
	PlaceSpan span = { .oldest = newest };
	bool found;
	GinBtreeStack *stack = go_to(index, PLACES_COLUMN, place, &found);
	int32 first = newest;
	int nkeys = 0;

	while (span.rows < rows && nkeys < MOST_KEYS_READ)
	{
		if (!on_some_item(index, stack) || !step_at(index, stack, place, &span.oldest))
		{
			span.all = true;
			break;
		}
		if (nkeys++ == 0)
			first = span.oldest;
		span.rows += GinIsPostingTree(item_at(stack)) ? ROWS_OF_TREE : GinGetNPosting(item_at(stack));
		stack->off++;
	}
	LockBuffer(stack->buffer, GIN_UNLOCK);
	freeGinBtreeStack(stack);

	if (!span.all && span.rows < rows)
	{
		/* as many in each step before as in those seen */
		double longer = ((double) first - span.oldest + 1) * rows / span.rows;

		span.oldest = Max(first - longer, PG_INT32_MIN);
		span.rows = rows;
	}
	return span;
}

PlaceSpan
peek_place(SearchPeek *peek, PlaceKind kind, int64 id, int32 newest, double rows)
{
	Datum place = place_key(kind, id, newest);
	PlaceSpan span = { .oldest = PG_INT32_MIN, .all = true };

	for (int i = 0; i < peek->n; i++)
	{
		PlaceSpan one = span_of(&peek->indexes[i], place, newest, rows);

		span.rows += one.rows;
		span.all &= one.all;
		if (!one.all)
			span.oldest = Max(span.oldest, one.oldest);
	}
	return span;
}
