/*
 * cascade.h
 *		What references a soft-deleted row falls with it, and rises with it.
 */
#ifndef FORGE_COMM_CASCADE_H
#define FORGE_COMM_CASCADE_H

extern void cascade_init(void);

#endif /* FORGE_COMM_CASCADE_H */
