/*
 * context_text.h
 *		The context, and the text that carries it.
 */
#ifndef FORGE_COMM_CONTEXT_TEXT_H
#define FORGE_COMM_CONTEXT_TEXT_H

/* Rows made in this transaction, which their maker may use before any membership. */
typedef struct FoundedRows
{
	Oid relid;
	int64 first;
	int64 last;
} FoundedRows;

/*
 * A context.  A parsed one is one chunk of memory, as GUC machinery wants it,
 * with the strings at its end.
 */
typedef struct Context
{
	bool has_user;
	int64 user;
	const char *reason; /* of a service context, else NULL */
	bool everywhere;
	int nworkspaces;
	int64 *workspaces; /* ascending */
	const char **roles; /* in the same order, "" where unknown */
	int nfounded;
	FoundedRows *founded;
} Context;

/* The role of who founds a workspace, known by its address: whatever is asked. */
extern const char context_founder[];

/* Parse a value into a chunk for the GUC machinery; NULL if it is malformed. */
extern Context *context_parse(const char *value);
extern char *context_format(const Context *context);

#endif /* FORGE_COMM_CONTEXT_TEXT_H */
