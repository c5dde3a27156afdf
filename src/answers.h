/*
 * answers.h
 *		What was found out about ids, for as long as it stays true.
 */
#ifndef FORGE_COMM_ANSWERS_H
#define FORGE_COMM_ANSWERS_H

#include "postgres.h"

/* What is asked of an id, together with a table. */
typedef enum Question
{
	IS_ACCESSIBLE, /* may the user see this row and what is under it? */
	IS_MEMBER, /* is the user a member there? */
	IS_KNOWN /* may the user see this person? */
} Question;

/* All ids for which the answer is yes, once so many were asked for. */
typedef struct YesList
{
	Question question;
	Oid relid;
	int asked;
	bool complete;
	int64 *ids; /* ascending */
	int n;
} YesList;

/* Is the answer known?  What is no longer true is forgotten first. */
extern bool answers_find(Question question, Oid relid, int64 id, bool *yes);
extern void answers_add(Question question, Oid relid, int64 id, bool yes);

/*
 * The list for a question.  It counts how often it was asked for: after a few
 * times one look for all of them is cheaper than one for each.
 */
extern YesList *answers_list(Question question, Oid relid);
extern bool answers_time_for_all(YesList *list);
extern bool answers_listed(const YesList *list, int64 id);

/*
 * Keep all ids for which the answer is yes, and sort them; is one of them
 * there?  Lists that were got before may be gone after reading rows.
 */
extern bool answers_complete(Question question, Oid relid, int64 *ids, int n, int64 id);

extern void answers_init(void);

#endif /* FORGE_COMM_ANSWERS_H */
