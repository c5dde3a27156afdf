/*
 * restore.h
 *		Soft-deleted rows come back, with what fell with them.
 */
#ifndef FORGE_COMM_RESTORE_H
#define FORGE_COMM_RESTORE_H

#include "batches.h"

/* Do rows take others along whose loss of the mark triggers of this depth see? */
extern bool restores_at(int depth);

/* Rows rise: so do those that fell with them. */
extern void rose(const Batch *batch, const Key *key);

extern void restore_init(void);

#endif /* FORGE_COMM_RESTORE_H */
