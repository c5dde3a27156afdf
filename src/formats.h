/*
 * formats.h
 *		What e-mail addresses, names, URLs and the like look like.
 *
 * Texts are in the database's encoding, and need no zero at the end.  Whatever
 * they hold, none of these raises an error, but clean_text_text() for more
 * than 64 MB: what cannot be read is not of the format.
 */
#ifndef FORGE_COMM_FORMATS_H
#define FORGE_COMM_FORMATS_H

#include <stdbool.h>

/* The default limits of names, and those of a message, in characters. */
#define DISPLAY_NAME_MIN 1
#define DISPLAY_NAME_MAX 80
#define MESSAGE_BODY_MAX 40000

typedef bool (*FormatCheck)(const char *text, int len);

extern bool is_email_text(const char *text, int len);
extern bool is_slug_text(const char *text, int len);
extern bool is_channel_name_text(const char *text, int len);
extern bool is_url_text(const char *text, int len);
extern bool is_color_text(const char *text, int len);
extern bool is_timezone_text(const char *text, int len);
extern bool is_password_hash_text(const char *text, int len);
extern bool is_message_body_text(const char *text, int len);
extern bool is_display_name_text(const char *text, int len, int min, int max);

/*
 * The address without white space around it and in lower case, allocated in
 * the current memory context; NULL if that is no e-mail address.
 */
extern char *normalize_email_text(const char *text, int len, int *outlen);

/*
 * The text composed (NFC), trimmed and without control characters, allocated
 * in the current memory context; never NULL.
 */
extern char *clean_text_text(const char *text, int len, int *outlen);

/*
 * The name of the rule that a password breaks, NULL if none: min_length,
 * max_length, max_bytes or not_email.  The e-mail address may be NULL.
 */
extern const char *password_problem_text(const char *password, int len,
										 const char *email, int email_len);

#endif /* FORGE_COMM_FORMATS_H */
