/*
 * timestamps.h
 *		When a row was made and last changed, and by whom.
 */
#ifndef FORGE_COMM_TIMESTAMPS_H
#define FORGE_COMM_TIMESTAMPS_H

extern void timestamps_init(void);

#endif /* FORGE_COMM_TIMESTAMPS_H */
