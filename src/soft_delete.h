/*
 * soft_delete.h
 *		DELETE marks a row instead of removing it.
 */
#ifndef FORGE_COMM_SOFT_DELETE_H
#define FORGE_COMM_SOFT_DELETE_H

extern void soft_delete_init(void);

#endif /* FORGE_COMM_SOFT_DELETE_H */
