/*
 * email.h
 *		E-mail addresses.
 */
#ifndef FORGE_COMM_EMAIL_H
#define FORGE_COMM_EMAIL_H

#include <stdbool.h>

extern bool is_email_text(const char *text, int len);

/*
 * Find the address amid white space and make it lower case, in place.  Where
 * it begins, and its length; NULL if it is none, and then it may be changed.
 */
extern char *fold_email(char *text, int len, int *outlen);

#endif /* FORGE_COMM_EMAIL_H */
