/*
 * message_errors.h
 *		Errors of retrieval that PostgreSQL has no SQLSTATE for.
 *
 * The class MC is in the range that the standard leaves to implementations.
 */
#ifndef FORGE_COMM_MESSAGE_ERRORS_H
#define FORGE_COMM_MESSAGE_ERRORS_H

#include "utils/elog.h"

/* Not a cursor, altered, or made for something else. */
#define ERRCODE_INVALID_CURSOR MAKE_SQLSTATE('M', 'C', '0', '0', '1')

/* Once good, but what it refers to is no longer kept. */
#define ERRCODE_EXPIRED_TOKEN MAKE_SQLSTATE('M', 'C', '0', '0', '2')

/* The message, or the place that a cursor names, is in another channel. */
#define ERRCODE_ANCHOR_ELSEWHERE MAKE_SQLSTATE('M', 'C', '0', '0', '3')

#endif /* FORGE_COMM_MESSAGE_ERRORS_H */
