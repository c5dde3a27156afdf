# forge_comm: `make demo` shows it, `make check` tests it. Neither needs
# anything installed but make itself. The rest is an ordinary PGXS build:
# make, make install, make installcheck; in a directory of its own as well.

srcdir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))

# Scripts in tools/, kept apart because pg_config may not be there yet
TOOLS = demo check check-matrix check-valgrind bench format format-check

ifneq (,$(filter $(TOOLS),$(MAKECMDGOALS)))

.PHONY: $(TOOLS)
$(TOOLS):
	@$(srcdir)/tools/$@

else

EXTENSION = forge_comm
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(srcdir)/forge_comm.control)

MODULE_big = forge_comm
OBJS = \
	src/forge_comm.o \
	src/conditions.o \
	src/context_text.o \
	src/context.o \
	src/answers.o \
	src/memberships.o \
	src/options.o \
	src/invalidation.o \
	src/foreign_keys.o \
	src/checks.o \
	src/rules.o \
	src/tuples.o \
	src/lookup.o \
	src/in_workspace.o \
	src/founding.o \
	src/privacy.o \
	src/directory.o \
	src/authorship.o \
	src/references.o \
	src/tenancy.o \
	src/backfill.o \
	src/timestamps.o \
	src/soft_delete.o \
	src/row_values.o \
	src/append.o \
	src/history_log.o \
	src/history.o \
	src/statements.o \
	src/batches.o \
	src/cascade.o \
	src/restore.o \
	src/purge.o \
	src/cursors.o \
	src/visible.o \
	src/listing.o \
	src/inbox.o \
	src/queries.o \
	src/jsonb_writer.o \
	src/message_page.o \
	src/messages.o \
	src/kept.o \
	src/change_log.o \
	src/change_scan.o \
	src/change_tokens.o \
	src/change_feed.o \
	src/change_trim.o \
	src/changes.o \
	src/highlight.o \
	src/search_index.o \
	src/search_peek.o \
	src/search_table.o \
	src/search.o \
	src/places.o \
	src/fences.o \
	src/deep_pages.o \
	src/fence_upkeep.o \
	src/gate.o \
	src/literals.o \
	src/marked.o \
	src/password_hash.o \
	src/redact.o \
	src/secrets.o \
	src/characters.o \
	src/cleaning.o \
	src/display_names.o \
	src/email.o \
	src/names.o \
	src/passwords.o \
	src/urls.o \
	src/formats.o \
	src/violations.o \
	src/validation.o

# The parts of the install script, in the order in which they run
SQL_PARTS = \
	src/schema.sql \
	src/relation.sql \
	src/rules.sql \
	src/context.sql \
	src/in_workspace.sql \
	src/policies.sql \
	src/tenancy.sql \
	src/privacy.sql \
	src/directory.sql \
	src/authorship.sql \
	src/backfill.sql \
	src/timestamps.sql \
	src/soft_delete.sql \
	src/live_keys.sql \
	src/cascade.sql \
	src/restore.sql \
	src/purge.sql \
	src/redact.sql \
	src/secrets.sql \
	src/validation.sql \
	src/change_log.sql \
	src/history_log.sql \
	src/history.sql \
	src/seals.sql \
	src/new_members.sql \
	src/message_shape.sql \
	src/cursors.sql \
	src/listing.sql \
	src/threads.sql \
	src/message_page.sql \
	src/walks.sql \
	src/unread.sql \
	src/inbox.sql \
	src/fences.sql \
	src/messages.sql \
	src/formats.sql \
	src/domains.sql \
	src/changes.sql \
	src/search.sql \
	src/chat_schema.sql \
	src/checklist.sql \
	src/gate.sql \
	src/privileges.sql
DATA_built = forge_comm--$(EXTVERSION).sql

REGRESS = \
	context \
	tenancy \
	partitions \
	backfill \
	planner \
	timestamps \
	privacy \
	founding \
	directory \
	roles \
	same \
	soft_delete \
	history \
	cascade \
	restore \
	live_keys \
	purge \
	statements \
	row_life \
	messages \
	listing \
	cursors \
	threads \
	unread \
	inbox \
	changes \
	search \
	deep_pages \
	secrets \
	validation \
	chat_schema \
	existing_app \
	checklist \
	gate \
	formats \
	bad_input \
	privileges

REGRESS_OPTS = --load-extension=forge_comm

# Specs are in test/specs, their expected output beside the others' in
# expected/, where pg_isolation_regress looks because it is the output folder's
ISOLATION = \
	tenants \
	references \
	deletes \
	lifecycle \
	enable \
	backfilling \
	plans \
	revoked \
	founders \
	members \
	logging \
	registering \
	reading \
	telling \
	replies \
	fencing
ISOLATION_OPTS = --inputdir=$(srcdir)/test --outputdir=. --load-extension=forge_comm

# Callbacks and PostgreSQL's own headers leave parameters unused. Warnings are
# errors in CI only
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter $(if $(filter true,$(CI))$(WERROR),-Werror)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# Bitcode only helps JIT: do without where PostgreSQL's clang is missing
CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq (,$(shell command -v $(CLANG)))
override with_llvm = no
endif

include $(PGXS)

$(DATA_built): $(SQL_PARTS) forge_comm.control
	printf '%s\n' '\echo Use "CREATE EXTENSION forge_comm" to load this file. \quit' > $@
	cat $(filter %.sql,$^) >> $@

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(srcdir)/src/*.h) | $(CURDIR)/src

# What the lists above name, for tools/check-lists
.PHONY: list
list:
	@printf '%s\n' $(OBJS:.o=.c) $(SQL_PARTS) $(REGRESS:%=sql/%.sql) $(ISOLATION:%=test/specs/%.spec)

# Only a build in another directory has to make these
$(CURDIR)/src:
	$(MKDIR_P) $@
ifdef VPATH
installcheck: $(CURDIR)/expected
$(CURDIR)/expected:
	ln -s $(abspath $(srcdir))/expected $@
endif

endif
