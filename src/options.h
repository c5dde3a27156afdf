/*
 * options.h
 *		The arguments of our triggers, "option=value", and what they name.
 */
#ifndef FORGE_COMM_OPTIONS_H
#define FORGE_COMM_OPTIONS_H

#include "nodes/bitmapset.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

extern Oid own_function(const char *name, int nargs, const Oid *argtypes);

/* What we read of a trigger, in the current memory context. */
extern Trigger *copy_trigger(const Trigger *trigger);

/* A copy of our trigger of that name, NULL if there is none (that fires). */
extern const Trigger *find_trigger(Relation rel, const char *trigger_name,
								   const char *function_name, bool disabled_too);

extern bool has_later_trigger(Relation rel, const char *trigger_name);

extern const char *option(const Trigger *trigger, const char *name);
extern AttrNumber option_column(Relation rel, const Trigger *trigger, const char *name,
								bool (*fits)(Oid type));
extern AttrNumber required_column(Relation rel, const Trigger *trigger, const char *name,
								  bool (*fits)(Oid type));
extern const char *required_option(Relation rel, const Trigger *trigger, const char *name);
extern AttrNumber named_column(Relation rel, const Trigger *trigger, const char *column);
extern AttrNumber named_id_column(Relation rel, const Trigger *trigger, const char *name,
								  Oid *type);
extern Oid option_table(Relation rel, const Trigger *trigger, const char *name);
extern int option_list(const Trigger *trigger, const char *name, char ***values);
extern Bitmapset *option_columns(Relation rel, const Trigger *trigger, const char *name);
extern Bitmapset *option_columns_left(Relation rel, const Trigger *trigger, const char *name);

/* What a column is for decides the types it may have. */
extern bool is_time_type(Oid type);
extern bool is_flag_type(Oid type);
extern bool is_uuid_type(Oid type);
extern bool is_any_type(Oid type);

/* How deep in triggers we are. */
extern int trigger_depth(void);

#endif /* FORGE_COMM_OPTIONS_H */
