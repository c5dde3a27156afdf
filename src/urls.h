/*
 * urls.h
 *		Addresses of web pages.
 */
#ifndef FORGE_COMM_URLS_H
#define FORGE_COMM_URLS_H

#include <stdbool.h>

extern bool is_url_text(const char *text, int len);

#endif /* FORGE_COMM_URLS_H */
