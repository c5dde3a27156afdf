/*
 * directory.h
 *		People are known to those who share a workspace with them.
 */
#ifndef FORGE_COMM_DIRECTORY_H
#define FORGE_COMM_DIRECTORY_H

#include "postgres.h"

/* May the user of the context see this person? */
extern bool directory_knows(int64 person);

#endif /* FORGE_COMM_DIRECTORY_H */
