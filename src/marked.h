/*
 * marked.h
 *		What is marked as secret anywhere in the database.
 */
#ifndef FORGE_COMM_MARKED_H
#define FORGE_COMM_MARKED_H

#include "postgres.h"

/* Look again if something may have changed; where reading catalogs is safe. */
extern void marked_refresh(void);

/* None of these reads a catalog, allocates or fails. */
extern bool marked_known(void); /* has anybody looked yet? */
extern bool marked_any(void);
extern bool marked_relation(Oid relid);
extern bool marked_table_name(const char *name);
extern bool marked_name(const char *name, size_t len);
extern bool marked_column_in(const char *text, size_t len);
extern bool marked_in(const char *text); /* a table, column, view, ... */

extern void marked_init(void);

#endif /* FORGE_COMM_MARKED_H */
