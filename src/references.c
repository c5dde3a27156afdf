/*
 * references.c
 *		What the row of a table under tenancy may reference.
 *
 * Referential checks bypass row security, so nobody else asks: a row
 * references rows of its own workspace only, agrees with them in what "same"
 * names, and references nothing that privacy or a directory hides.  Whatever
 * is wrong, the error is that of a row that does not exist.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "context.h"
#include "directory.h"
#include "privacy.h"
#include "references.h"

/*
 * The parents met earlier in the statement.  What their children agree with
 * never changes, and each of these is locked, so that no other transaction can
 * put another row in its place.
 */
#define PARENT_SLOTS 256

struct ParentSlot
{
	const ForeignKey *key; /* NULL: unused */
	Datum value;
	IdColumns columns;
};

ParentSlot *
parent_slots(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
								   PARENT_SLOTS * sizeof(ParentSlot));
	return (ParentSlot *) fcinfo->flinfo->fn_extra;
}

/*
 * Word for word what the foreign key says of a parent that does not exist, to
 * a role that row security binds.
 */
static void
refuse_reference(const GuardState *guard, const ForeignKey *key)
{
	char *constraint = get_constraint_name(key->constraint);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(guard->rel), constraint),
			 errdetail("Key is not present in table \"%s\".",
					   get_rel_name(key->parent.relid)),
			 errtableconstraint(guard->rel, constraint)));
}

/* The values of a foreign key; false if one is null and nothing is referenced. */
static bool
key_values(const GuardState *guard, HeapTuple tuple, const ForeignKey *key, Datum *values)
{
	return read_values(tuple, guard->desc, key->columns, key->parent.nkeys, values);
}

/*
 * The workspace of a row that a backfill has not come to yet: it follows from
 * the row above it, which has one.
 */
static bool
unfilled_workspace(const ForeignKey *key, const Datum *values, int64 *workspace)
{
	Relation rel = table_open(key->parent.relid, AccessShareLock);
	const TenancyRule *rule = rules_of(rel)->tenancy;
	bool found = false;

	if (rule && rule->via)
	{
		Oid type = TupleDescAttr(RelationGetDescr(rel), rule->via - 1)->atttypid;
		IdColumns via = { .n = 1, .attnums = { rule->via } };
		IdColumns above = { .n = 1, .attnums = { rule->via_key->parent_agreed[0] } };

		if (is_id_type(type) &&
			lookup_referenced(&key->parent, values, false, &via) && !via.nulls[0])
		{
			Datum id = id_to_datum(via.values[0], type);

			found = lookup_referenced(&rule->via_key->parent, &id, false, &above) &&
					!above.nulls[0];
			*workspace = above.values[0];
		}
	}
	table_close(rel, NoLock);
	return found;
}

/* Does the key ask for the workspace?  It comes first then. */
static bool
asks_for_workspace(const GuardState *guard, const ForeignKey *key)
{
	return key->nagreed > 0 && key->agreed[0] == guard->rule->workspace;
}

/* The row referenced, which must exist. */
static void
find_parent(const GuardState *guard, const ForeignKey *key, const Datum *values, bool lock,
			IdColumns *columns)
{
	columns->n = key->nagreed;
	memcpy(columns->attnums, key->parent_agreed, sizeof(columns->attnums));
	if (!lookup_referenced(&key->parent, values, lock, columns))
		refuse_reference(guard, key);
	if (asks_for_workspace(guard, key) && columns->nulls[0])
	{
		if (!unfilled_workspace(key, values, &columns->values[0]))
			refuse_reference(guard, key);
		columns->nulls[0] = false;
	}
}

/*
 * May the row be in this workspace?  The policies ask again, but they come
 * too late: the references are looked at first, and whether those were right
 * or wrong must not show for a workspace that is not in scope.
 */
bool
may_write_to(const GuardState *guard, int64 workspace)
{
	return guard->bypassed || context_allows(workspace);
}

/* May the user know of the row referenced?  Its workspace is another question. */
static bool
may_know(const GuardState *guard, const ForeignKey *key, HeapTuple tuple)
{
	int64 id;

	if (key->to == REFERENCE_TO_ANY || guard->bypassed ||
		!tuple_id(tuple, guard->desc, key->id, &id))
		return true;
	return key->to == REFERENCE_TO_PERSON ? directory_knows(id) :
											privacy_allows(key->private_in, id);
}

/* Does the row agree with the one it references, in all that it should? */
static bool
agrees(const GuardState *guard, const ForeignKey *key, HeapTuple tuple, const IdColumns *columns)
{
	IdColumns own = { .n = key->nagreed };

	memcpy(own.attnums, key->agreed, sizeof(own.attnums));
	read_ids(tuple, guard->desc, &own);
	return first_difference(&own, columns) < 0;
}

/* Does the row fit under the one it references?  One without a workspace may get that one's. */
static bool
fits(const GuardState *guard, const ForeignKey *key, HeapTuple tuple, bool unplaced,
	 const IdColumns *columns)
{
	return unplaced ? may_write_to(guard, columns->values[0]) :
					  agrees(guard, key, tuple, columns);
}

/*
 * The row referenced, which must exist and be one that this row fits under.
 * Only then is it locked: nobody waits for another workspace's rows, or can
 * tell by it that they are there.
 */
static void
check_parent(const GuardState *guard, const ForeignKey *key, const Datum *values,
			 HeapTuple tuple, bool unplaced, IdColumns *columns)
{
	bool simple = key->parent.nkeys == 1 && is_id_type(key->parent.argtypes[0]);
	ParentSlot *slot = &guard->parents[(uint64) values[0] % PARENT_SLOTS];
	bool known = simple && slot->key == key && slot->value == values[0];
	IdColumns again;

	if (known)
		*columns = slot->columns;
	else
		find_parent(guard, key, values, false, columns);
	if (!fits(guard, key, tuple, unplaced, columns))
		refuse_reference(guard, key);
	if (known)
		return;

	/* somebody may have been here between the look and the lock */
	find_parent(guard, key, values, true, &again);
	if (first_difference(columns, &again) >= 0)
		refuse_reference(guard, key);
	if (simple)
		*slot = (ParentSlot){ .key = key, .value = values[0], .columns = *columns };
}

bool
via_workspace(const GuardState *guard, HeapTuple tuple, int64 *workspace)
{
	const ForeignKey *via = guard->rule->via_key;
	Datum values[INDEX_MAX_KEYS];
	IdColumns columns;

	if (via == NULL || !key_values(guard, tuple, via, values))
		return false;
	if (!may_know(guard, via, tuple))
		refuse_reference(guard, via);
	check_parent(guard, via, values, tuple, true, &columns);
	*workspace = columns.values[0];
	return true;
}

/* Does an update leave the columns of a foreign key as they were? */
static bool
same_key(const GuardState *guard, const ForeignKey *key, HeapTuple old, HeapTuple new)
{
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		if (!same_column(guard->desc, key->columns[i], old, new))
			return false;
	}
	return true;
}

/* Does a row reference itself? */
static bool
is_own_parent(const GuardState *guard, const ForeignKey *key, HeapTuple tuple)
{
	if (key->parent.relid != RelationGetRelid(guard->rel))
		return false;
	for (int i = 0; i < key->parent.nkeys; i++)
	{
		if (!same_value(guard->desc, key->columns[i], tuple, key->parent.attnums[i], tuple))
			return false;
	}
	return true;
}

void
check_references(const GuardState *guard, HeapTuple old, HeapTuple new)
{
	for (int i = 0; i < guard->rule->nreferences; i++)
	{
		const ForeignKey *key = &guard->rule->references[i];
		Datum values[INDEX_MAX_KEYS];
		IdColumns columns;

		if ((old && same_key(guard, key, old, new)) ||
			is_own_parent(guard, key, new) ||
			!key_values(guard, new, key, values))
			continue;
		if (!may_know(guard, key, new))
			refuse_reference(guard, key);
		if (key->nagreed > 0)
			check_parent(guard, key, values, new, false, &columns);
	}
}
