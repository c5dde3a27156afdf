/*
 * messages.h
 *		The arithmetic of pages.
 */
#ifndef FORGE_COMM_MESSAGES_H
#define FORGE_COMM_MESSAGES_H

#include "postgres.h"

#include "fmgr.h"

/* How many rows come before a page, by two arguments of a function. */
extern int64 page_offset(FunctionCallInfo fcinfo, int page, int per_page);

#endif /* FORGE_COMM_MESSAGES_H */
