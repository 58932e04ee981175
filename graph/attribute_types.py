"""What becomes of an attribute that a store holds in one type and a build brings in another."""

import pyarrow as pa

from graph.errors import SchemaError


def widened(label: str, wanted: pa.Schema, held: pa.Schema) -> pa.Schema:
    """`wanted` with the types that hold the stored values too: of whole and decimal numbers, decimal.

    Raises `SchemaError` for types that no number spans.
    """
    known = {field.name: field.type for field in held}
    return pa.schema([(field.name, _wide(label, field, known.get(field.name, field.type))) for field in wanted])


def _wide(label: str, wanted: pa.Field, held: pa.DataType) -> pa.DataType:
    if held == wanted.type:
        return held
    if {held, wanted.type} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise SchemaError(
        f"{label}.{wanted.name} is {held} in the store, {wanted.type} in the schema; rename the attribute, or remove "
        "the store and build anew"
    )
