/*
 * display_names.h
 *		Names and messages for people to read, in UTF-8.
 */
#ifndef FORGE_COMM_DISPLAY_NAMES_H
#define FORGE_COMM_DISPLAY_NAMES_H

#include <stdbool.h>

/*
 * One line of min to max characters, one at least of which shows, without
 * white space around it and without anything that deceives the eye.
 */
extern bool is_display_name_utf8(const char *text, int len, int min, int max);

/* From 1 to max characters, one at least of which shows */
extern bool is_body_utf8(const char *text, int len, int max);

#endif /* FORGE_COMM_DISPLAY_NAMES_H */
