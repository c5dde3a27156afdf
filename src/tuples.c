/*
 * tuples.c
 *		What a row holds: ids, and whether two rows hold the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"

#include "tuples.h"

bool
is_id_type(Oid type)
{
	return type == INT8OID || type == INT4OID || type == INT2OID;
}

int64
id_from_datum(Datum value, Oid type)
{
	switch (type)
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT2OID:
			return DatumGetInt16(value);
	}
	elog(ERROR, "type %u is not an id type", type);
	return 0;
}

/* Can a column of this type hold the id? */
bool
id_fits(int64 id, Oid type)
{
	switch (type)
	{
		case INT4OID:
			return id == (int32) id;
		case INT2OID:
			return id == (int16) id;
	}
	return true;
}

Datum
id_to_datum(int64 id, Oid type)
{
	if (!id_fits(id, type))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("id is out of range for type %s", format_type_be(type)),
				 errhint("Give the column the type bigint.")));
	switch (type)
	{
		case INT8OID:
			return Int64GetDatum(id);
		case INT4OID:
			return Int32GetDatum((int32) id);
		case INT2OID:
			return Int16GetDatum((int16) id);
	}
	elog(ERROR, "type %u is not an id type", type);
	return (Datum) 0;
}

bool
tuple_id(HeapTuple tuple, TupleDesc desc, AttrNumber attnum, int64 *id)
{
	Datum value;
	bool isnull;

	if (attnum == InvalidAttrNumber)
		return false;
	value = heap_getattr(tuple, attnum, desc, &isnull);
	if (!isnull)
		*id = id_from_datum(value, TupleDescAttr(desc, attnum - 1)->atttypid);
	return !isnull;
}

void
read_ids(HeapTuple tuple, TupleDesc desc, IdColumns *columns)
{
	for (int i = 0; i < columns->n; i++)
	{
		columns->values[i] = 0;
		columns->nulls[i] = !tuple_id(tuple, desc, columns->attnums[i], &columns->values[i]);
	}
}

int
first_difference(const IdColumns *left, const IdColumns *right)
{
	for (int i = 0; i < left->n; i++)
	{
		if (left->nulls[i] != right->nulls[i] || left->values[i] != right->values[i])
			return i;
	}
	return -1;
}

void
begin_ids(IdList *list)
{
	list->n = 0;
	list->size = 64;
	list->ids = palloc(list->size * sizeof(int64));
}

void
add_id(IdList *list, int64 id)
{
	if (list->n == list->size)
	{
		list->size *= 2;
		list->ids = repalloc_huge(list->ids, list->size * sizeof(int64));
	}
	list->ids[list->n++] = id;
}

bool
read_values(HeapTuple tuple, TupleDesc desc, const AttrNumber *attnums, int n, Datum *values)
{
	bool isnull = false;

	for (int i = 0; i < n && !isnull; i++)
		values[i] = heap_getattr(tuple, attnums[i], desc, &isnull);
	return !isnull;
}

bool
same_value(TupleDesc desc, AttrNumber a, HeapTuple left, AttrNumber b, HeapTuple right)
{
	Form_pg_attribute attr = TupleDescAttr(desc, a - 1);
	bool leftnull;
	bool rightnull;
	Datum leftvalue = heap_getattr(left, a, desc, &leftnull);
	Datum rightvalue = heap_getattr(right, b, desc, &rightnull);

	if (leftnull || rightnull)
		return leftnull && rightnull;
	return attr->atttypid == TupleDescAttr(desc, b - 1)->atttypid &&
		   datum_image_eq(leftvalue, rightvalue, attr->attbyval, attr->attlen);
}

bool
same_column(TupleDesc desc, AttrNumber attnum, HeapTuple old, HeapTuple new)
{
	return same_value(desc, attnum, old, attnum, new);
}

Row
take_apart(HeapTuple tuple, TupleDesc desc)
{
	Row row;

	row.values = palloc(desc->natts * (sizeof(Datum) + sizeof(bool)));
	row.nulls = (bool *) (row.values + desc->natts);
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	return row;
}
