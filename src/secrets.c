/*
 * secrets.c
 *		Columns whose values are nobody's to see.
 */
#include "secrets.h"

#include <string.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/heap.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "lookup.h"
#include "marked.h"
#include "password_hash.h"
#include "rules.h"

bool
secret_kind(const char *text, SecretKind *kind, int *bytes)
{
	*bytes = 0;
	if (strcmp(text, "plain") == 0)
		*kind = SECRET_PLAIN;
	else if (strcmp(text, "password_hash") == 0)
		*kind = SECRET_PASSWORD_HASH;
	else if (strncmp(text, "token_digest:", 13) == 0)
	{
		*kind = SECRET_TOKEN_DIGEST;
		*bytes = atoi(text + 13);
		return *bytes == 28 || *bytes == 32 || *bytes == 48 || *bytes == 64;
	}
	else
		return false;
	return true;
}

/* ------------------------------------------------------------ what is stored */

/* A digest in bytes, or as text in hexadecimal. */
static bool
is_digest(Datum value, Oid type, int bytes)
{
	struct varlena *digest = PG_DETOAST_DATUM_PACKED(value);

	if (type == BYTEAOID)
		return VARSIZE_ANY_EXHDR(digest) == (Size) bytes;
	return is_hex_digest(VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest), bytes);
}

static bool
is_hash(Datum value)
{
	text *hash = DatumGetTextPP(value);
	size_t len = VARSIZE_ANY_EXHDR(hash);

	/* char(n) pads with blanks */
	while (len > 0 && VARDATA_ANY(hash)[len - 1] == ' ')
		len--;
	return is_password_hash(VARDATA_ANY(hash), len);
}

static void
check_value(Relation rel, const SecretColumn *column, Datum value)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), column->attnum - 1);

	if (column->kind == SECRET_PASSWORD_HASH && !is_hash(value))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" takes hashes of passwords only",
						NameStr(attr->attname), RelationGetRelationName(rel)),
				 errhint("Store what bcrypt, argon2, scrypt or pbkdf2 makes of the password, never the password."),
				 errtablecol(rel, column->attnum)));
	if (column->kind == SECRET_TOKEN_DIGEST && !is_digest(value, attr->atttypid, column->bytes))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" takes digests of %d bytes only",
						NameStr(attr->attname), RelationGetRelationName(rel), column->bytes),
				 errhint("Store the SHA-%d digest of the token, in lowercase hexadecimal where the column is text, never the token.",
						 column->bytes * 8),
				 errtablecol(rel, column->attnum)));
}

/* Rows from before the marking may be updated in other columns. */
static bool
was_there(TriggerData *trigger, const SecretColumn *column, Datum value)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	bool isnull;
	Datum old = heap_getattr(trigger->tg_trigtuple, column->attnum, desc, &isnull);

	return !isnull && datum_image_eq(value, old, false, -1);
}

PG_FUNCTION_INFO_V1(forge_comm_secrets_guard);

/*
 * Trigger: BEFORE INSERT OR UPDATE FOR EACH ROW, with the arguments
 * "columns={...}", "kinds={...}", and perhaps "expires_at=..." and others that
 * only unmarking reads.
 */
Datum
forge_comm_secrets_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const SecretsRule *rule;
	HeapTuple tuple;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(rule = rules_of(trigger->tg_relation)->secrets) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("secrets_guard() must be called by the BEFORE row trigger \"forge_comm_secrets\""),
				 errhint("Call forge_comm.mark_secret().")));

	/* where nothing was preloaded, this may be how the library came in */
	marked_refresh();
	tuple = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	for (int i = 0; i < rule->ncolumns; i++)
	{
		const SecretColumn *column = &rule->columns[i];
		bool isnull;
		Datum value;

		if (column->kind == SECRET_PLAIN)
			continue;
		value = heap_getattr(tuple, column->attnum, RelationGetDescr(trigger->tg_relation), &isnull);
		if (!isnull && !(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) && was_there(trigger, column, value)))
			check_value(trigger->tg_relation, column, value);
	}
	PG_RETURN_POINTER(tuple);
}

/* ---------------------------------------------------------------- statistics */

PG_FUNCTION_INFO_V1(forge_comm_clear_statistics);

/*
 * clear_statistics(rel regclass, attnum smallint): forget what ANALYZE has
 * collected of a column, or of an index on an expression of it.
 */
Datum
forge_comm_clear_statistics(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	if (!compat_owns_table(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	RemoveStatistics(relid, PG_GETARG_INT16(1));
	PG_RETURN_VOID();
}

/* -------------------------------------------------------------------- tokens */

/* What a token is looked up for, and what has been found. */
typedef struct TokenSearch
{
	const SecretColumn *column;
	const SecretsRule *secrets;
	const SoftDeleteRule *soft_delete;
	Oid digest_type;
	Datum digest;
	AttrNumber key;
	bool found;
	Datum result;
	bool byval;
	int16 len;
} TokenSearch;

/* Takes as long whatever the bytes are. */
static bool
same_bytes(const char *a, const char *b, size_t n)
{
	volatile unsigned char differences = 0;

	for (size_t i = 0; i < n; i++)
		differences |= (unsigned char) a[i] ^ (unsigned char) b[i];
	return differences == 0;
}

static bool
same_digest(Datum stored, Datum wanted)
{
	struct varlena *a = PG_DETOAST_DATUM_PACKED(stored);
	struct varlena *b = PG_DETOAST_DATUM_PACKED(wanted);

	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   same_bytes(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a));
}

/* By the clock: a transaction may have been open for longer than a token lives. */
static bool
has_expired(Datum expires_at, Oid type)
{
	if (type == TIMESTAMPOID)
		expires_at = DirectFunctionCall1(timestamp_timestamptz, expires_at);
	return DatumGetTimestampTz(expires_at) <= GetCurrentTimestamp();
}

static bool
take_token(HeapTuple tuple, TupleDesc desc, void *arg)
{
	TokenSearch *search = (TokenSearch *) arg;
	AttrNumber expires_at = search->secrets->expires_at;
	Datum value;
	bool isnull;

	value = heap_getattr(tuple, search->column->attnum, desc, &isnull);
	if (isnull || !same_digest(value, search->digest))
		return true;
	if (search->soft_delete && !heap_attisnull(tuple, search->soft_delete->deleted_at, desc))
		return true;
	if (expires_at)
	{
		value = heap_getattr(tuple, expires_at, desc, &isnull);
		if (!isnull && has_expired(value, TupleDescAttr(desc, expires_at - 1)->atttypid))
			return true;
	}
	value = heap_getattr(tuple, search->key, desc, &isnull);
	search->result = datumCopy(value, search->byval, search->len);
	search->found = true;
	return false;
}

/* The digest of the token, as the column has it. */
static Datum
digest_of(text *token, int bytes, Oid type)
{
	PGFunction function = bytes == 28 ? sha224_bytea : bytes == 32 ? sha256_bytea :
												   bytes == 48	   ? sha384_bytea :
																	 sha512_bytea;
	Datum digest = DirectFunctionCall1(function, PointerGetDatum(token));

	if (type == BYTEAOID)
		return digest;
	return DirectFunctionCall2(binary_encode, digest, CStringGetTextDatum("hex"));
}

static const SecretColumn *
token_column(Relation rel, const SecretsRule *rule, const char *name)
{
	for (int i = 0; rule && i < rule->ncolumns; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), rule->columns[i].attnum - 1);

		if (rule->columns[i].kind == SECRET_TOKEN_DIGEST && strcmp(NameStr(attr->attname), name) == 0)
			return &rule->columns[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"%s\" of table \"%s\" is not marked as the digest of tokens",
					name, RelationGetRelationName(rel)),
			 errhint("Call forge_comm.mark_secret() with kind => 'token_digest' first.")));
	return NULL;
}

/* The column of the primary key, which must be of the type that is asked for. */
static AttrNumber
key_column(Relation rel, Oid wanted)
{
	Bitmapset *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	AttrNumber attnum;
	Oid type;

	if (bms_num_members(key) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key of one column", RelationGetRelationName(rel)),
				 errhint("Give the table a primary key of one column.")));
	attnum = bms_singleton_member(key) + FirstLowInvalidHeapAttributeNumber;
	type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
	if (type != wanted && !(is_id_type(type) && wanted == INT8OID))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the primary key of table \"%s\" has type %s",
						RelationGetRelationName(rel), format_type_be(type)),
				 errhint("Pass a null of that type as the last argument, as in key => NULL::%s.",
						 format_type_be(type))));
	return attnum;
}

/* Who is told a key must be allowed to see it. */
static void
check_privilege(Relation rel, AttrNumber key)
{
	if (pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(RelationGetRelid(rel), key, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
}

PG_FUNCTION_INFO_V1(forge_comm_verify_token);

/*
 * verify_token(rel regclass, column name, token text, key anyelement): the
 * key of the row that has this token's digest.  Neither row security nor the
 * privilege to read the digest matter: whoever has the token may know whose
 * it is, and nobody else is told anything.
 */
Datum
forge_comm_verify_token(PG_FUNCTION_ARGS)
{
	Oid wanted = get_fn_expr_argtype(fcinfo->flinfo, 3);
	TokenSearch search = { 0 };
	Relation rel;
	const RelationRules *rules;
	LookupKey lookup;
	Oid key_type;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the column must not be null"),
				 errhint("Pass the name of a table and of its column.")));
	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table does not exist"),
				 errhint("Pass the name of a table.")));
	rules = rules_of(rel);
	search.secrets = rules->secrets;
	search.soft_delete = rules->soft_delete;
	search.column = token_column(rel, rules->secrets, NameStr(*PG_GETARG_NAME(1)));
	search.key = key_column(rel, wanted);
	check_privilege(rel, search.key);
	if (!lookup_index(rel, &search.column->attnum, 1, false, &lookup))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no index serves column \"%s\" of table \"%s\"",
						NameStr(*PG_GETARG_NAME(1)), RelationGetRelationName(rel)),
				 errhint("Create a unique btree index on it, without a condition.")));

	key_type = TupleDescAttr(RelationGetDescr(rel), search.key - 1)->atttypid;
	get_typlenbyval(key_type, &search.len, &search.byval);
	if (!PG_ARGISNULL(2))
	{
		search.digest = digest_of(PG_GETARG_TEXT_PP(2), search.column->bytes,
								  TupleDescAttr(RelationGetDescr(rel), search.column->attnum - 1)->atttypid);
		lookup_each(&lookup, &search.digest, GetActiveSnapshot(), take_token, &search);
	}
	relation_close(rel, NoLock);

	if (!search.found)
		PG_RETURN_NULL();
	if (key_type != wanted)
		PG_RETURN_INT64(id_from_datum(search.result, key_type));
	PG_RETURN_DATUM(search.result);
}
