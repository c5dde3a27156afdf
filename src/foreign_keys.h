/*
 * foreign_keys.h
 *		What a foreign key of a table under tenancy asks of both rows.
 */
#ifndef FORGE_COMM_FOREIGN_KEYS_H
#define FORGE_COMM_FOREIGN_KEYS_H

#include "rules.h"

/* The workspace column of a table; 0 if it is not under tenancy. */
extern AttrNumber workspace_column(Relation rel);

/* The primary key of one id column, by which others hang under a table; or 0. */
extern AttrNumber id_column(Relation rel);

/* Is the key a copy that PostgreSQL made for a partition of the other table? */
extern bool is_partition_copy(const ForeignKeyCacheInfo *info);

/* The table under whose rows those of a table are, or InvalidOid. */
extern Oid private_parent(Relation rel, AttrNumber via);

/* How the row that a foreign key references is found. */
extern void foreign_key_lookup(const ForeignKeyCacheInfo *info, LookupKey *key);

/* Add what one foreign key asks to the references of a rule. */
extern void read_reference(Relation rel, const ForeignKeyCacheInfo *info, TenancyRule *rule);

#endif /* FORGE_COMM_FOREIGN_KEYS_H */
