/*
 * password_hash.h
 *		What the hash of a password looks like.
 */
#ifndef FORGE_COMM_PASSWORD_HASH_H
#define FORGE_COMM_PASSWORD_HASH_H

#include <stdbool.h>
#include <stddef.h>

/* Is this what bcrypt, argon2, scrypt or PBKDF2 make of a password? */
extern bool is_password_hash(const char *text, size_t len);

/* Is this a digest of so many bytes, in lowercase hexadecimal? */
extern bool is_hex_digest(const char *text, size_t len, size_t bytes);

#endif /* FORGE_COMM_PASSWORD_HASH_H */
