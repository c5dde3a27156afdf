/*
 * deep_pages.h
 *		The page after very many others, without reading those.
 */
#ifndef FORGE_COMM_DEEP_PAGES_H
#define FORGE_COMM_DEEP_PAGES_H

extern void deep_pages_init(void);

#endif /* FORGE_COMM_DEEP_PAGES_H */
