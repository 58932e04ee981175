"""Attributes keep every character and every name; a cell that does not fit a given type costs only itself."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import SourceError
from etl.sources.attributes import Attributes, attributes
from etl.sources.delimited import read_csv
from etl.sources.names import stored_text
from etl.sources.origin import named


def _column(cells: list[str | None]) -> pa.Table:
    return named(pa.table({"item_id": [str(n) for n in range(len(cells))], "x": pa.array(cells, pa.string())}), "i.csv")


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1995", None, "-3"], "int64"),
        (["9223372036854775807", "1"], "int64"),
        (["9223372036854775808", "1"], "string"),
        (["1234567890123456789012"], "string"),
        (["1.5", "2"], "double"),
        (["2.0", "1e-05", "0.1"], "double"),
        (["1.10", "1.9"], "string"),
        (["12E5"], "string"),
        (["3.14159265358979323846"], "string"),
        (["007", "8"], "string"),
        (["+5"], "string"),
        (["nan", "1.5"], "string"),
        (["1_000"], "string"),
        (["true", "False"], "bool"),
        ([None, None], "string"),
        ([" 5 ", "6"], "int64"),
        (["5", "n/a"], "string"),
    ],
)
def test_text_is_a_number_only_where_no_character_is_lost(cells: list[str | None], kind: str) -> None:
    found = attributes(_column(cells), "item_id").table["x"]
    assert str(found.type) == kind
    if kind == "string":
        assert found.to_pylist() == cells


def test_a_number_that_stays_text_is_told_with_the_way_out() -> None:
    (note,) = attributes(_column(["1.10", "2"]), "item_id").notes
    assert note.startswith(
        "i.csv: 'x' is text, for as a number '1.10' would lose a character; source.types: {x: number}"
    )
    typed = attributes(_column(["1.10", "2"]), "item_id", wanted={"x": pa.float64()})
    assert typed.table["x"].to_pylist() == [1.1, 2.0] and not typed.notes
    assert attributes(_column(["12"]), "item_id", wanted={"x": pa.string()}).table["x"].to_pylist() == ["12"]


def test_parquet_numbers_keep_every_digit() -> None:
    table = pa.table(
        {
            "item_id": ["1"],
            "large": pa.array([2**64 - 1], pa.uint64()),
            "small": pa.array([7], pa.uint64()),
            "price": pa.array([Decimal("1.10")], pa.decimal128(10, 2)),
            "half": pa.array([Decimal("1.25")], pa.decimal128(10, 2)),
            "single": pa.array([0.1], pa.float32()),
            "long": pa.array([Decimal("12345678901234567890")], pa.decimal128(20, 0)),
        }
    )
    (row,) = attributes(table, "item_id").table.to_pylist()
    assert row == {
        "item_id": "1",
        "large": "18446744073709551615",
        "small": 7,
        "price": "1.10",
        "half": 1.25,
        "single": 0.1,
        "long": "12345678901234567890",
    }


def test_names_are_the_sources_own_and_clashes_are_told() -> None:
    names = ["item_id", "标题", "价格", "ID", "Price", "price", "embedding", "release date", "a`b", "3d", "a\\b", "_ID"]
    found = attributes(named(pa.table({n: ["1"] for n in names}), "items.csv"), "item_id")
    assert found.table.column_names == [
        *("item_id", "标题", "价格", "source_ID", "source_Price", "price", "source_embedding", "release date", "a`b"),
        *("3d", "a_b", "source__ID"),
    ]
    assert "items.csv: column 'ID' is called 'source_ID' in the graph" in found.notes and len(found.notes) == 5


def test_a_name_goes_on_as_the_store_has_it() -> None:
    table = named(pa.table({"item_id": ["1"], "price": ["2"]}), "items.csv")
    assert attributes(table, "item_id", held={"Price": pa.int64()}).table.column_names == ["item_id", "Price"]


@given(st.text(max_size=300))
def test_stored_names_can_be_quoted_anywhere(name: str) -> None:
    stored = stored_text(name)
    assert (
        len(stored) <= 200 and "\\" not in stored and all(c.isprintable() or c == " " or ord(c) > 127 for c in stored)
    )
    assert stored == stored.strip()


def test_the_title_is_text_and_found_in_capitals_too() -> None:
    table = named(pa.table({"ITEM_ID": ["1"], "Title": ["12"]}), "items.csv")
    assert attributes(table, "item_id").table.to_pylist() == [{"item_id": "1", "title": "12"}]


def _fitted(cells: list[str | None], held: pa.DataType) -> Attributes:
    return attributes(_column(cells), "item_id", held={"x": held})


@pytest.mark.parametrize(
    ("cells", "held", "kind", "values"),
    [
        (["3", "4"], pa.float64(), "double", [3.0, 4.0]),
        (["3", "4.5"], pa.int64(), "double", [3.0, 4.5]),
        (["3", "1.10"], pa.float64(), "double", [3.0, 1.1]),
        ([None, None], pa.int64(), "int64", [None, None]),
        (["3", "4"], pa.string(), "string", ["3", "4"]),
        (["TRUE", "false"], pa.bool_(), "bool", [True, False]),
    ],
)
def test_a_column_goes_on_in_the_type_of_the_store_or_a_wider_one(
    cells: list[str | None], held: pa.DataType, kind: str, values: list[object]
) -> None:
    found = _fitted(cells, held)
    assert str(found.table["x"].type) == kind and found.table["x"].to_pylist() == values
    assert not len(found.rejected)


def test_a_cell_that_does_not_fit_is_left_out_with_file_row_and_value() -> None:
    found = _fitted(["3.5", "n/a", "4"], pa.float64())
    assert found.table["x"].to_pylist() == [3.5, None, 4.0]
    assert found.rejected.to_pylist() == [
        {
            "item_id": "1",
            "modality": None,
            "uri": None,
            "reason": "i.csv: row 2: x 'n/a' is not a number as in the store; left empty",
        }
    ]
    with pytest.raises(SourceError, match=r"i\.csv: column 'x': no cell is a number as in the store \('cheap'\)"):
        _fitted(["cheap", "dear"], pa.float64())


def test_blank_headers_of_trailing_delimiters_go_and_others_get_a_number() -> None:
    table = read_csv(b"item_id,price,,\n1,2,,x\n", "items.csv")
    assert attributes(table, "item_id").table.to_pylist() == [{"item_id": "1", "price": 2, "column 4": "x"}]


def test_decimal_commas_between_semicolons() -> None:
    table = read_csv(b"item_id;price;note\n1;19,9;a\n2;5;b,c\n", "items.csv", expected=["item_id"])
    assert attributes(table, "item_id").table["price"].to_pylist() == [19.9, 5.0]
