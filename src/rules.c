/*
 * rules.c
 *		What is enabled on a relation, read from its triggers' arguments.
 *
 * The schema is the configuration: each capability is a trigger whose
 * arguments, "option=value", name the columns.  They are resolved once and
 * kept by relid until the relcache says that something changed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "foreign_keys.h"
#include "invalidation.h"
#include "options.h"
#include "rules.h"

typedef struct RulesEntry
{
	Oid relid; /* hash key */
	bool valid;
	MemoryContext context; /* holds all that follows, or NULL */
	RelationRules rules;
	List *parents; /* other relations, such as tables referenced, whose changes matter */
} RulesEntry;

static HTAB *rules_cache = NULL;
static bool some_invalid = false;

/* The columns named by "same", which are ids like the workspace. */
static void
read_same(Relation rel, const Trigger *trigger, TenancyRule *rule)
{
	Bitmapset *columns = option_columns(rel, trigger, "same");
	int attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		if (rule->nsame == MAX_SAME ||
			!is_id_type(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("argument \"same\" of trigger \"%s\" on table \"%s\" must name up to %d columns of type smallint, integer or bigint",
							trigger->tgname, RelationGetRelationName(rel), MAX_SAME),
					 errhint("Disable tenancy, and enable it with other columns.")));
		rule->same[rule->nsame++] = attnum;
	}
}

/* The keys by which other tables may reference rows, but for the workspace's. */
static void
read_keys(Relation rel, TenancyRule *rule)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;

	rule->keys = palloc0(Max(list_length(indexes), 1) * sizeof(LookupKey));
	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		AttrNumber attnums[INDEX_MAX_KEYS];
		bool fits = form->indisunique && form->indimmediate;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			attnums[i] = form->indkey.values[i];
			fits &= attnums[i] > 0 && attnums[i] != rule->workspace;
		}
		if (fits && lookup_index(rel, attnums, form->indnkeyatts, true, &rule->keys[rule->nkeys]))
			rule->nkeys++;
		index_close(index, NoLock);
	}
	list_free(indexes);
}

static TenancyRule *
read_tenancy(Relation rel, RulesEntry *entry)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_tenancy", "tenancy_guard", false);
	TenancyRule *rule;
	List *keys;
	ListCell *cell;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(TenancyRule));
	rule->workspace = required_column(rel, trigger, "workspace_column", is_id_type);
	rule->workspace_type = get_atttype(RelationGetRelid(rel), rule->workspace);
	rule->via = option_column(rel, trigger, "via", is_any_type);
	rule->rewritten = has_later_trigger(rel, "forge_comm_tenancy");
	read_same(rel, trigger, rule);
	read_keys(rel, rule);
	rule->founding = option(trigger, "founding") != NULL &&
					 lookup_index(rel, &rule->workspace, 1, true, &rule->by_id);

	keys = copyObject(RelationGetFKeyList(rel));
	rule->references = palloc0(Max(list_length(keys), 1) * sizeof(ForeignKey));
	foreach(cell, keys)
	{
		ForeignKeyCacheInfo *info = lfirst_node(ForeignKeyCacheInfo, cell);

		if (is_partition_copy(info))
			continue;
		entry->parents = list_append_unique_oid(entry->parents, info->confrelid);
		read_reference(rel, info, rule);
	}

	if (rule->via && rule->via_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("column \"%s\" of table \"%s\" references no table under tenancy",
						option(trigger, "via"), RelationGetRelationName(rel)),
				 errhint("Restore its foreign key and the tenancy of the table it references, or disable tenancy here.")));
	return rule;
}

static TimestampsRule *
read_timestamps(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_timestamps", "timestamps_stamp", false);
	TimestampsRule *rule;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(TimestampsRule));
	rule->created_at = option_column(rel, trigger, "created_at", is_time_type);
	rule->updated_at = option_column(rel, trigger, "updated_at", is_time_type);
	rule->created_by = option_column(rel, trigger, "created_by", is_id_type);
	rule->updated_by = option_column(rel, trigger, "updated_by", is_id_type);

	rule->unnoticed = option_columns(rel, trigger, "ignore");
	/* a stamp that is not kept has number 0, which no column has */
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->created_at);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->updated_at);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->created_by);
	rule->unnoticed = bms_add_member(rule->unnoticed, rule->updated_by);
	return rule;
}

static SoftDeleteRule *
read_soft_delete(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_soft_delete", "soft_delete_guard", false);
	SoftDeleteRule *rule;
	const char *cascade;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(SoftDeleteRule));
	rule->deleted_at = required_column(rel, trigger, "deleted_at", is_time_type);
	rule->deleted_by = option_column(rel, trigger, "deleted_by", is_id_type);
	rule->is_active = option_column(rel, trigger, "is_active", is_flag_type);
	rule->deletion_id = option_column(rel, trigger, "deletion_id", is_uuid_type);
	cascade = option(trigger, "cascade");
	rule->cascade = cascade == NULL || strcmp(cascade, "false") != 0;
	return rule;
}

/* The table that says who is a member, by the options of the table it is for. */
static void
read_members(Relation rel, const Trigger *trigger, PrivacyRule *rule)
{
	MembersTable *members = &rule->members;
	const Trigger *soft_delete = find_trigger(rel, "forge_comm_soft_delete",
											  "soft_delete_guard", false);
	const char *active = option(trigger, "active");
	AttrNumber pair[2];

	members->channel = named_id_column(rel, trigger, "member_channel", &members->channel_type);
	members->user = named_id_column(rel, trigger, "member_user", &members->user_type);
	if (soft_delete)
		members->deleted_at = required_column(rel, soft_delete, "deleted_at", is_time_type);
	if (active)
		members->active = condition_prepare(rel, "active", active);
	pair[0] = members->channel;
	pair[1] = members->user;
	members->has_pair = lookup_index(rel, pair, 2, false, &members->by_pair);
	members->has_user = lookup_index(rel, &members->user, 1, false, &members->by_user);
	if (!members->has_pair && !members->has_user)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no btree index that is led by column \"%s\"",
						RelationGetRelationName(rel), option(trigger, "member_user")),
				 errhint("Create one: each query looks the user's memberships up.")));
}

/*
 * Rows of the other table are read with nobody's privileges, and found by its
 * name: neither may anybody make a trigger to read what they could not, nor a
 * table of that name to be let in.
 */
static void
check_owner(Relation rel, Relation members, const Trigger *trigger)
{
	if (rel->rd_rel->relowner == members->rd_rel->relowner)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\", named by trigger \"%s\" on table \"%s\", has another owner",
					RelationGetRelationName(members), trigger->tgname, RelationGetRelationName(rel)),
			 errhint("Both tables must have one owner.")));
}

/* The table at the top, such as channels: rows are private, and have members. */
static void
read_private_table(Relation rel, const Trigger *trigger, PrivacyRule *rule, RulesEntry *entry)
{
	Relation members;

	rule->private = condition_prepare(rel, "private", required_option(rel, trigger, "private"));
	rule->creator = option_column(rel, trigger, "creator", is_id_type);
	rule->members_relid = option_table(rel, trigger, "members");
	entry->parents = list_append_unique_oid(entry->parents, rule->members_relid);
	members = table_open(rule->members_relid, AccessShareLock);
	check_owner(rel, members, trigger);
	read_members(members, trigger, rule);
	table_close(members, NoLock);
}

static PrivacyRule *
read_privacy(Relation rel, RulesEntry *entry)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_privacy", "privacy_guard", false);
	PrivacyRule *rule;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(PrivacyRule));
	rule->id = id_column(rel);
	if (rule->id && !lookup_index(rel, &rule->id, 1, true, &rule->by_id))
		rule->id = InvalidAttrNumber;
	rule->workspace = workspace_column(rel);
	rule->via = option_column(rel, trigger, "via", is_id_type);
	if (rule->via)
	{
		rule->parent = private_parent(rel, rule->via);
		if (OidIsValid(rule->parent))
			entry->parents = list_append_unique_oid(entry->parents, rule->parent);
	}
	else
		read_private_table(rel, trigger, rule, entry);
	return rule;
}

static DirectoryRule *
read_directory(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_directory", "directory_guard", false);
	DirectoryRule *rule;

	if (trigger == NULL)
		return NULL;
	rule = palloc0(sizeof(DirectoryRule));
	rule->id = required_column(rel, trigger, "id", is_id_type);
	return rule;
}

static AuthorshipRule *
read_authorship(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_authorship", "authorship_guard", false);
	AuthorshipRule *rule;

	if (trigger == NULL)
		return NULL;
	rule = palloc0(sizeof(AuthorshipRule));
	rule->author = required_column(rel, trigger, "author", is_id_type);
	rule->author_type = get_atttype(RelationGetRelid(rel), rule->author);
	return rule;
}

/* The columns and, in the same order, their kinds. */
static SecretsRule *
read_secrets(Relation rel)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_secrets", "secrets_guard", false);
	SecretsRule *rule;
	char **names;
	char **kinds;

	if (trigger == NULL)
		return NULL;

	rule = palloc0(sizeof(SecretsRule));
	rule->ncolumns = option_list(trigger, "columns", &names);
	rule->columns = palloc0(Max(rule->ncolumns, 1) * sizeof(SecretColumn));
	if (option_list(trigger, "kinds", &kinds) != rule->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" does not name a kind for each of its columns",
						trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Drop it, and let forge_comm.mark_secret() make it.")));
	for (int i = 0; i < rule->ncolumns; i++)
	{
		SecretColumn *column = &rule->columns[i];

		column->attnum = named_column(rel, trigger, names[i]);
		if (!secret_kind(kinds[i], &column->kind, &column->bytes))
			ereport(ERROR,
					(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					 errmsg("trigger \"%s\" on table \"%s\" names a kind of secret that does not exist",
							trigger->tgname, RelationGetRelationName(rel)),
					 errhint("Drop it, and let forge_comm.mark_secret() make it.")));
	}
	rule->expires_at = option_column(rel, trigger, "expires_at", is_time_type);
	return rule;
}

/* Other relations matter, too: those referenced, and indexes by their names. */
static ValidationRule *
read_validation_rule(Relation rel, RulesEntry *entry)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_validation", "validation_guard", false);

	return trigger ? read_validation(rel, trigger, &entry->parents) : NULL;
}

/* A number that an option gives, 1 or more. */
static int
option_number(Relation rel, const Trigger *trigger, const char *name)
{
	const char *value = required_option(rel, trigger, name);
	int number = pg_strtoint32(value);

	if (number < 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("argument \"%s\" of trigger \"%s\" on table \"%s\" must be 1 or more",
						name, trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Drop it, and let an enable function make it.")));
	return number;
}

/* A table that an option names, of the same owner; its changes matter. */
static Oid
option_own_table(Relation rel, const Trigger *trigger, const char *name, RulesEntry *entry)
{
	Oid relid = option_table(rel, trigger, name);
	Relation table = table_open(relid, AccessShareLock);

	entry->parents = list_append_unique_oid(entry->parents, relid);
	check_owner(rel, table, trigger);
	table_close(table, NoLock);
	return relid;
}

static DeepPagesRule *
read_deep_pages(Relation rel, RulesEntry *entry)
{
	const Trigger *trigger = find_trigger(rel, "forge_comm_deep_pages", "deep_pages_note", false);
	DeepPagesRule *rule;

	if (trigger == NULL)
		return NULL;
	rule = palloc0(sizeof(DeepPagesRule));
	rule->channel = named_id_column(rel, trigger, "channel", &rule->channel_type);
	rule->created_at = required_column(rel, trigger, "created_at", is_time_type);
	rule->key = named_id_column(rel, trigger, "key", &rule->key_type);
	rule->deleted_at = option_column(rel, trigger, "deleted_at", is_time_type);
	rule->fences = option_own_table(rel, trigger, "fences", entry);
	rule->changes = option_own_table(rel, trigger, "changes", entry);
	rule->least = option_number(rel, trigger, "min_messages");
	rule->block = option_number(rel, trigger, "block");
	return rule;
}

/*
 * Read all rules of a relation anew.  The entry counts as valid from before
 * the reading, so that a change that arrives meanwhile is not lost.
 */
static void
read_rules(Relation rel, RulesEntry *entry)
{
	MemoryContext old;

	entry->context = AllocSetContextCreate(CacheMemoryContext, "forge_comm rules",
										   ALLOCSET_SMALL_SIZES);
	entry->parents = NIL;
	memset(&entry->rules, 0, sizeof(RelationRules));

	old = MemoryContextSwitchTo(entry->context);
	entry->valid = true;
	PG_TRY();
	{
		RelationRules rules;

		rules.tenancy = read_tenancy(rel, entry);
		rules.timestamps = read_timestamps(rel);
		rules.soft_delete = read_soft_delete(rel);
		rules.privacy = read_privacy(rel, entry);
		rules.directory = read_directory(rel);
		rules.authorship = read_authorship(rel);
		rules.secrets = read_secrets(rel);
		rules.validation = read_validation_rule(rel, entry);
		rules.deep_pages = read_deep_pages(rel, entry);
		entry->rules = rules;
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/*
 * What is enabled on a relation.  An outdated reading may still be in use up
 * the stack, so it is given to the transaction to free.
 */
const RelationRules *
rules_of(Relation rel)
{
	static const RelationRules none = { 0 };
	Oid relid = RelationGetRelid(rel);
	RulesEntry *entry;
	bool found;

	if (rel->trigdesc == NULL)
		return &none;

	entry = hash_search(rules_cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->context = NULL;
		entry->parents = NIL;
	}
	if (!entry->valid)
	{
		if (entry->context)
			MemoryContextSetParent(entry->context, TopTransactionContext);
		entry->context = NULL;
		entry->parents = NIL;
		read_rules(rel, entry);
	}
	return &entry->rules;
}

const RelationRules *
rules_known(bool (*is_wanted)(const RelationRules *rules, void *arg), void *arg)
{
	HASH_SEQ_STATUS status;
	const RelationRules *found = NULL;
	RulesEntry *entry;

	hash_seq_init(&status, rules_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->context && is_wanted(&entry->rules, arg))
			found = &entry->rules;
	}
	return found;
}

/* Relcache callback: the relation, or a parent of it, has changed. */
static void
forget_rules(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	RulesEntry *entry;

	hash_seq_init(&status, rules_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->relid == relid ||
			list_member_oid(entry->parents, relid))
		{
			entry->valid = false;
			some_invalid = true;
		}
	}
}

/*
 * At the end of a transaction nobody reads rules any more: drop those that are
 * outdated, or a session that makes and drops tables would collect them.
 */
static void
drop_invalid(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS status;
	RulesEntry *entry;

	if (!some_invalid)
		return;
	some_invalid = false;
	hash_seq_init(&status, rules_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid)
			continue;
		if (entry->context)
			MemoryContextDelete(entry->context);
		(void) hash_search(rules_cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

void
rules_init(void)
{
	HASHCTL ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(RulesEntry),
		.hcxt = TopMemoryContext
	};

	rules_cache = hash_create("forge_comm rules", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	when_table_changes(forget_rules);
	RegisterXactCallback(drop_invalid, NULL);
}
