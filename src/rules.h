/*
 * rules.h
 *		What is enabled on a relation.
 */
#ifndef FORGE_COMM_RULES_H
#define FORGE_COMM_RULES_H

#include "nodes/bitmapset.h"
#include "utils/relcache.h"

#include "checks.h"
#include "conditions.h"
#include "lookup.h"
#include "secrets.h"

/* Who may reference the rows of a table is decided by what is enabled there. */
typedef enum ReferenceTo
{
	REFERENCE_TO_ANY,
	REFERENCE_TO_PRIVATE, /* rows that privacy may hide */
	REFERENCE_TO_PERSON /* rows of a directory */
} ReferenceTo;

/* A foreign key into a table that is under tenancy or a directory, too. */
typedef struct ForeignKey
{
	Oid constraint;
	AttrNumber columns[INDEX_MAX_KEYS]; /* of the referencing table */
	LookupKey parent; /* how to find the row referenced */
	ReferenceTo to;
	AttrNumber id; /* the column that says which row it is; 0: REFERENCE_TO_ANY */
	Oid private_in; /* of which table; the other one, or what its rows are under */

	/* columns in which both rows must agree though the key does not say so */
	int nagreed;
	AttrNumber agreed[MAX_ID_COLUMNS];
	AttrNumber parent_agreed[MAX_ID_COLUMNS];
} ForeignKey;

/* With the workspace, and what the row is under, they fit into IdColumns. */
#define MAX_SAME 3

typedef struct TenancyRule
{
	AttrNumber workspace;
	Oid workspace_type;
	AttrNumber via; /* column the workspace comes through, or 0 */
	const ForeignKey *via_key; /* its key; the workspace comes first in what agrees */
	int nsame; /* further columns that references agree in */
	AttrNumber same[MAX_SAME];
	int nreferences; /* keys of which the foreign key alone does not see to all */
	ForeignKey *references;
	int nkeys; /* keys by which other tables might reference rows of this one */
	LookupKey *keys;
	bool rewritten; /* other triggers may change a row once the guard has seen it */
	bool founding; /* this is the table of workspaces, and users make some */
	LookupKey by_id; /* if so, how to find a workspace */
} TenancyRule;

/* How to find out who is a member of what privacy guards. */
typedef struct MembersTable
{
	AttrNumber channel;
	Oid channel_type;
	AttrNumber user;
	Oid user_type;
	AttrNumber deleted_at; /* of soft delete, 0 where not enabled */
	Condition *active; /* NULL where every row counts */
	bool has_pair;
	LookupKey by_pair; /* by both, in the order of the index */
	bool has_user;
	LookupKey by_user;
} MembersTable;

typedef struct PrivacyRule
{
	AttrNumber id; /* 0 where nothing can be under the rows */
	LookupKey by_id;
	AttrNumber workspace;

	/* of a table under another one */
	AttrNumber via;
	Oid parent; /* InvalidOid where the foreign key is missing */

	/* of the table at the top, such as channels */
	Condition *private;
	AttrNumber creator; /* 0 where there is no such column */
	Oid members_relid;
	MembersTable members;
} PrivacyRule;

typedef struct DirectoryRule
{
	AttrNumber id;
} DirectoryRule;

typedef struct AuthorshipRule
{
	AttrNumber author;
	Oid author_type;
} AuthorshipRule;

typedef struct TimestampsRule
{
	AttrNumber created_at; /* 0 where there is no such column */
	AttrNumber updated_at;
	AttrNumber created_by;
	AttrNumber updated_by;
	Bitmapset *unnoticed; /* columns whose change is no update */
} TimestampsRule;

typedef struct SoftDeleteRule
{
	AttrNumber deleted_at;
	AttrNumber deleted_by; /* 0 where there is no such column */
	AttrNumber is_active;
	AttrNumber deletion_id;
	bool cascade; /* what references a row by a key that cascades falls with it */
} SoftDeleteRule;

/* A column marked as secret. */
typedef struct SecretColumn
{
	AttrNumber attnum;
	SecretKind kind;
	int bytes; /* of a digest */
} SecretColumn;

typedef struct SecretsRule
{
	int ncolumns;
	SecretColumn *columns;
	AttrNumber expires_at; /* 0 where tokens do not expire */
} SecretsRule;

/* Where it is kept how many messages there are between places of a channel. */
typedef struct DeepPagesRule
{
	AttrNumber channel;
	Oid channel_type;
	AttrNumber created_at;
	AttrNumber key;
	Oid key_type;
	AttrNumber deleted_at; /* 0 where there is no such column */
	Oid fences;
	Oid changes;
	int least; /* messages of a channel that has fences */
	int block; /* messages between two fences */
} DeepPagesRule;

typedef struct RelationRules
{
	TenancyRule *tenancy; /* NULL where not enabled */
	TimestampsRule *timestamps;
	SoftDeleteRule *soft_delete;
	PrivacyRule *privacy;
	DirectoryRule *directory;
	AuthorshipRule *authorship;
	SecretsRule *secrets;
	ValidationRule *validation;
	DeepPagesRule *deep_pages;
} RelationRules;

/*
 * The rules that the result points to stay good until the end of the
 * transaction, the struct itself until the next call.
 */
extern const RelationRules *rules_of(Relation rel);

/*
 * Rules that have been read, of a relation for which the function says yes, or
 * NULL.  Reads no catalog.
 */
extern const RelationRules *rules_known(bool (*is_wanted)(const RelationRules *rules, void *arg),
										void *arg);

extern void rules_init(void);

#endif /* FORGE_COMM_RULES_H */
