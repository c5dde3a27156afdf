/*
 * secrets.h
 *		Columns whose values are nobody's to see.
 */
#ifndef FORGE_COMM_SECRETS_H
#define FORGE_COMM_SECRETS_H

#include "postgres.h"

/* What a kind of secret allows in its column. */
typedef enum SecretKind
{
	SECRET_PLAIN,
	SECRET_PASSWORD_HASH,
	SECRET_TOKEN_DIGEST
} SecretKind;

/* "plain", "password_hash" or "token_digest:32", as the trigger has it. */
extern bool secret_kind(const char *text, SecretKind *kind, int *bytes);

#endif /* FORGE_COMM_SECRETS_H */
