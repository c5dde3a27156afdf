/*
 * names.h
 *		Names that are written in ASCII: slugs, channels, colours.
 */
#ifndef FORGE_COMM_NAMES_H
#define FORGE_COMM_NAMES_H

#include <stdbool.h>

extern bool is_slug_text(const char *text, int len);
extern bool is_channel_name_text(const char *text, int len);
extern bool is_color_text(const char *text, int len);

#endif /* FORGE_COMM_NAMES_H */
