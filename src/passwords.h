/*
 * passwords.h
 *		What is wrong with a password, in UTF-8.
 */
#ifndef FORGE_COMM_PASSWORDS_H
#define FORGE_COMM_PASSWORDS_H

/* The name of the rule it breaks, NULL if none.  The e-mail address may be NULL. */
extern const char *password_problem_utf8(const char *password, int len,
										 const char *email, int email_len);

#endif /* FORGE_COMM_PASSWORDS_H */
