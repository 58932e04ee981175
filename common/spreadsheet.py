"""Texts that a spreadsheet would run instead of show."""

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = r"^[=+\-@\t\r]"
"""How a cell starts that is taken for a formula (OWASP, CSV injection)."""


def plain_cells(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The column with an apostrophe before each text that starts like a formula; other types as they are."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    formulas = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(formulas, pc.binary_join_element_wise("'", column, ""), column)
