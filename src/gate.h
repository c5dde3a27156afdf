/*
 * gate.h
 *		Tables that belong to workspaces are not left open.
 */
#ifndef FORGE_COMM_GATE_H
#define FORGE_COMM_GATE_H

extern void gate_init(void);

#endif /* FORGE_COMM_GATE_H */
