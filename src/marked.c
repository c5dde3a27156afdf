/*
 * marked.c
 *		What is marked as secret anywhere in the database.
 *
 * A report to the log can come at any time, also from a transaction that has
 * failed, when no catalog can be read.  So the names of what is marked, and of
 * what leads there, are kept in the backend, and looked up anew where that is
 * safe after anything has changed.
 */
#include "marked.h"

#include <string.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "invalidation.h"
#include "literals.h"
#include "options.h"

#define TRIGGER_NAME "forge_comm_secrets"

typedef struct MarkedName
{
	char name[NAMEDATALEN]; /* hash key: folded, padded with zeros */
	bool column;
	bool relation;
} MarkedName;

/* All that is marked, in a memory context of its own. */
typedef struct Marked
{
	MemoryContext context;
	HTAB *names;
	List *relations; /* Oids of tables, and of views on them, ascending */
	List *odd_names; /* those that are no plain words, as strings */
	List *to_follow; /* relations whose dependents are still to be found */
} Marked;

static Marked *marked = NULL;

/* Relations that have changed since; too many are as good as all. */
#define MAX_CHANGED 32

static Oid changed[MAX_CHANGED];
static int nchanged = 0;
static bool all_changed = true;
static bool refreshing = false;

/* ------------------------------------------------------------------- names */

/* Identifiers may differ in case; and how other letters fold is not ours to know. */
static char
fold(char c)
{
	if (((unsigned char) c) >= 0x80)
		return (char) 0x80;
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* The key under which a name is kept; false if it is too long to be one. */
static bool
fold_name(char *key, const char *name, size_t len)
{
	if (len == 0 || len >= NAMEDATALEN)
		return false;
	memset(key, 0, NAMEDATALEN);
	for (size_t i = 0; i < len; i++)
		key[i] = fold(name[i]);
	return true;
}

static const MarkedName *
find_name(const char *name, size_t len)
{
	char key[NAMEDATALEN];

	if (marked == NULL || !fold_name(key, name, len))
		return NULL;
	return hash_search(marked->names, key, HASH_FIND, NULL);
}

static bool
is_word(const char *name)
{
	Span word;

	return next_word(name, strlen(name), 0, &word) &&
		   word.start == 0 && word.end == strlen(name);
}

static void
add_name(Marked *into, const char *name, bool column, bool relation)
{
	char key[NAMEDATALEN];
	MarkedName *entry;
	bool found;

	if (!fold_name(key, name, strlen(name)))
		return;
	entry = hash_search(into->names, key, HASH_ENTER, &found);
	entry->column = column || (found && entry->column);
	entry->relation = relation || (found && entry->relation);
	if (!found && !is_word(name))
		into->odd_names = lappend(into->odd_names, pstrdup(name));
}

/* ---------------------------------------------------------------- catalogs */

static void
add_relation(Marked *into, Oid relid)
{
	char *name = get_rel_name(relid);

	if (name == NULL || list_member_oid(into->relations, relid))
		return; /* dropped meanwhile, or known */
	into->relations = lappend_oid(into->relations, relid);
	into->to_follow = lappend_oid(into->to_follow, relid);
	add_name(into, name, false, true);
}

/*
 * The names in an array literal.  Anybody can make a trigger with arguments
 * that make no sense, so this takes what it finds and complains of nothing.
 */
static void
add_columns(Marked *into, const char *list)
{
	char name[NAMEDATALEN];
	size_t len = 0;
	bool quoted = false;

	for (; *list; list++)
	{
		if (*list == '"')
			quoted = !quoted;
		else if (!quoted && (*list == ',' || *list == '{' || *list == '}'))
		{
			name[len] = '\0';
			add_name(into, name, true, false);
			len = 0;
		}
		else
		{
			if (*list == '\\' && list[1])
				list++;
			if (len < NAMEDATALEN - 1)
				name[len++] = *list;
		}
	}
}

/* The trigger's arguments, of which one lists the columns. */
static void
add_trigger(Marked *into, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
	bool isnull;
	Datum value = heap_getattr(tuple, Anum_pg_trigger_tgargs, desc, &isnull);
	bytea *args;
	const char *arg;
	const char *end;

	add_relation(into, trigger->tgrelid);
	if (isnull)
		return;
	args = DatumGetByteaPP(value);
	arg = VARDATA_ANY(args);
	end = arg + VARSIZE_ANY_EXHDR(args);
	for (; arg < end && memchr(arg, '\0', end - arg); arg += strlen(arg) + 1)
	{
		if (strncmp(arg, "columns=", 8) == 0)
			add_columns(into, arg + 8);
	}
}

static void
add_triggers(Marked *into, Oid function)
{
	Relation rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(TRIGGER_NAME));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid == function)
			add_trigger(into, tuple, RelationGetDescr(rel));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* The relation that a rule belongs to: the view, or the table. */
static Oid
rule_relation(Oid rule)
{
	Relation rel = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rel, RewriteOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relid;
}

/* Views, rules and functions whose definitions are known to use a relation. */
static void
add_dependents(Marked *into, Oid relid)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid == RewriteRelationId)
		{
			Oid dependent = rule_relation(depend->objid);

			if (OidIsValid(dependent))
				add_relation(into, dependent);
		}
		else if (depend->classid == ProcedureRelationId)
		{
			char *name = get_func_name(depend->objid);

			if (name)
				add_name(into, name, false, false);
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static Marked *
read_marked(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "forge_comm marked",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Marked *result = palloc0(sizeof(Marked));
	Oid function = own_function("secrets_guard", 0, NULL);
	HASHCTL ctl = { .keysize = NAMEDATALEN, .entrysize = sizeof(MarkedName), .hcxt = context };

	result->context = context;
	result->names = hash_create("forge_comm marked names", 32, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (OidIsValid(function))
		add_triggers(result, function);
	while (result->to_follow)
	{
		Oid relid = linitial_oid(result->to_follow);

		result->to_follow = list_delete_first(result->to_follow);
		add_dependents(result, relid);
	}
	list_sort(result->relations, list_oid_cmp);
	MemoryContextSwitchTo(old);
	return result;
}

static bool
has_our_trigger(Oid relid)
{
	Relation rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(TRIGGER_NAME));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 2, keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Can a change to this relation change what is marked? */
static bool
matters(Oid relid)
{
	char relkind;

	if (marked_relation(relid) || has_our_trigger(relid))
		return true;
	relkind = get_rel_relkind(relid);
	return marked_any() && (relkind == RELKIND_VIEW || relkind == RELKIND_MATVIEW);
}

static bool
is_stale(void)
{
	Oid relids[MAX_CHANGED];
	int n = nchanged;

	if (all_changed)
		return true;
	/* looking at one may bring news of others */
	memcpy(relids, changed, n * sizeof(Oid));
	nchanged = 0;
	for (int i = 0; i < n; i++)
	{
		if (matters(relids[i]))
			return true;
	}
	return all_changed;
}

void
marked_refresh(void)
{
	Marked *result;

	if ((!all_changed && nchanged == 0) || refreshing ||
		!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return;

	refreshing = true;
	PG_TRY();
	{
		if (is_stale())
		{
			/* what changes from here on counts again */
			all_changed = false;
			nchanged = 0;
			result = read_marked();
			MemoryContextSetParent(result->context, TopMemoryContext);
			if (marked)
				MemoryContextDelete(marked->context);
			marked = result;
		}
	}
	PG_CATCH();
	{
		all_changed = true;
		refreshing = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	refreshing = false;
}

/* Relcache callback */
static void
note_change(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || nchanged == MAX_CHANGED)
		all_changed = true;
	else
		changed[nchanged++] = relid;
}

/* ----------------------------------------------------------------- answers */

bool
marked_known(void)
{
	return marked != NULL;
}

bool
marked_any(void)
{
	return marked != NULL && marked->relations != NIL;
}

/* Asked of every table of every statement, so by bisection. */
bool
marked_relation(Oid relid)
{
	int low = 0;
	int high = marked ? list_length(marked->relations) : 0;

	while (low < high)
	{
		int middle = (low + high) / 2;
		Oid found = list_nth_oid(marked->relations, middle);

		if (found == relid)
			return true;
		if (found < relid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool
marked_table_name(const char *name)
{
	const MarkedName *entry = find_name(name, strlen(name));

	return entry && entry->relation;
}

bool
marked_name(const char *name, size_t len)
{
	return find_name(name, len) != NULL;
}

/* Is this name, which is no word, somewhere in the text? */
static bool
odd_name_in(const char *name, const char *text, size_t len)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n <= len; i++)
	{
		size_t j = 0;

		while (j < n && fold(text[i + j]) == fold(name[j]))
			j++;
		if (j == n)
			return true;
	}
	return false;
}

/* Is something that is marked named anywhere in the text, or only columns? */
static bool
named_in(const char *text, size_t len, bool columns_only)
{
	Span word = { 0, 0 };
	ListCell *cell;

	while (next_word(text, len, word.end, &word))
	{
		const MarkedName *entry = find_name(text + word.start, word.end - word.start);

		if (entry && (entry->column || !columns_only))
			return true;
	}
	foreach(cell, marked->odd_names)
	{
		if (odd_name_in(lfirst(cell), text, len))
			return true;
	}
	return false;
}

bool
marked_column_in(const char *text, size_t len)
{
	return marked_any() && named_in(text, len, true);
}

/* Names can be written in escapes, too, and those are not looked into. */
static bool
has_escaped_names(const char *text)
{
	for (; *text; text++)
	{
		if ((*text == 'u' || *text == 'U') && text[1] == '&')
			return true;
	}
	return false;
}

bool
marked_in(const char *text)
{
	return text && marked_any() && (named_in(text, strlen(text), false) || has_escaped_names(text));
}

void
marked_init(void)
{
	when_table_changes(note_change);
	marked_refresh(); /* session_preload_libraries load within a transaction */
}
