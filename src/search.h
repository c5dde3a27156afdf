/*
 * search.h
 *		Full-text search of messages.
 */
#ifndef FORGE_COMM_SEARCH_H
#define FORGE_COMM_SEARCH_H

extern void search_init(void);

#endif /* FORGE_COMM_SEARCH_H */
