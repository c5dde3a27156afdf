/*
 * redact.h
 *		What the log does not tell.
 */
#ifndef FORGE_COMM_REDACT_H
#define FORGE_COMM_REDACT_H

extern void redact_init(void);

#endif /* FORGE_COMM_REDACT_H */
