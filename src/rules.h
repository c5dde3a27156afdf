/*
 * rules.h
 *		What is enabled on a relation.
 */
#ifndef FORGE_COMM_RULES_H
#define FORGE_COMM_RULES_H

#include "nodes/bitmapset.h"
#include "utils/relcache.h"

#include "lookup.h"

/* A foreign key into a table that is under tenancy, too. */
typedef struct ForeignKey
{
	Oid constraint;
	AttrNumber columns[INDEX_MAX_KEYS]; /* of the referencing table */
	LookupKey parent; /* how to find the row referenced */
	AttrNumber parent_workspace;
} ForeignKey;

typedef struct TenancyRule
{
	AttrNumber workspace;
	Oid workspace_type;
	AttrNumber via; /* column the workspace comes through, or 0 */
	ForeignKey via_key;
	int nreferences; /* keys whose tenant nothing else enforces */
	ForeignKey *references;
} TenancyRule;

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
} SoftDeleteRule;

typedef struct RelationRules
{
	TenancyRule *tenancy; /* NULL where not enabled */
	TimestampsRule *timestamps;
	SoftDeleteRule *soft_delete;
} RelationRules;

/*
 * The rules that the result points to stay good until the end of the
 * transaction, the struct itself until the next call.
 */
extern const RelationRules *rules_of(Relation rel);

extern void rules_init(void);

#endif /* FORGE_COMM_RULES_H */
