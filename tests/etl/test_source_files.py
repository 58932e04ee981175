"""CSV cells arrive exactly as written; what cannot be read is named in one line."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import SourceError
from etl.sources.columns import attributes, cast, conform, plain_name, vectors
from etl.sources.files import inside, open_folder, read_csv, read_table
from etl.tables import INTERACTIONS

CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_quoted_cells_survive_as_written(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b"])
        writer.writerows(rows)
    table = read_csv(path, "x.csv")
    assert list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)) == rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "interactions.csv"
    path.write_bytes(b"user_id,item_id,timestamp\n" + content)
    try:
        conform(read_csv(path, "interactions.csv"), INTERACTIONS, ("user_id", "item_id"))
    except SourceError as error:
        assert str(error).startswith("interactions.csv: ") and "\n" not in str(error)


def test_ids_keep_their_zeros_and_empty_cells_are_null(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\ufeffuser_id,item_id,timestamp\n007,1,5\n,2,\n", encoding="utf-8")
    table = conform(read_csv(path, "x.csv"), INTERACTIONS, ("user_id", "item_id"))
    assert table["user_id"].to_pylist() == ["007", None]
    assert table["timestamp"].to_pylist() == [5, None]
    assert table["split"].null_count == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "interactions.csv: the file is empty"),
        ("a,a\n1,2\n", "column 'a' occurs twice"),
        ("a,b\n1,2,3\n", "Expected 2 columns, got 3"),
    ],
)
def test_broken_csv_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "interactions.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_csv(path, "interactions.csv")


def test_other_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("a,b\n1,é\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"x\.csv: not readable as UTF-8 CSV"):
        read_csv(tmp_path / "x.csv", "x.csv")


def test_two_formats_of_one_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n")
    pq.write_table(pa.table({"item_id": ["1"]}), tmp_path / "items.parquet")
    with pytest.raises(SourceError, match="keep one"):
        read_table(tmp_path.resolve(), "items")


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("item_id\n1\n")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "items.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceError, match="leads outside"):
        inside(folder.resolve(), "items.csv")


def test_a_folder_in_place_of_a_file_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "items.csv").mkdir()
    with pytest.raises(SourceError, match="not a regular file"):
        inside(tmp_path.resolve(), "items.csv")
    with pytest.raises(SourceError, match=r"does not exist; set source\.path"):
        open_folder(tmp_path / "nowhere")


def test_wrong_cell_names_row_column_and_value() -> None:
    column = pa.chunked_array([["1", "2", "abc"]])
    with pytest.raises(SourceError, match=r"x\.csv: row 3, column 'timestamp': 'abc' is not a whole number of seconds"):
        cast(column, pa.int64(), "x.csv", "timestamp")
    with pytest.raises(SourceError, match="row 1, column 'weight': 'much' is not a number"):
        cast(pa.chunked_array([["much"]]), pa.float64(), "x.csv", "weight")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [(["978300760.0", " 7 ", None], [978300760, 7, None]), (["9007199254740993"], [9007199254740993])],
)
def test_whole_numbers_are_exact(values: list[str | None], wanted: list[int | None]) -> None:
    assert cast(pa.chunked_array([values], pa.string()), pa.int64(), "x", "timestamp").to_pylist() == wanted


def test_parquet_types_become_ours() -> None:
    assert cast(pa.chunked_array([pa.array([7, 8])]), pa.string(), "x", "user_id").to_pylist() == ["7", "8"]
    stamps = pa.chunked_array([pa.array([1_500], pa.timestamp("ms"))])
    assert cast(stamps, pa.int64(), "x", "timestamp").to_pylist() == [1]
    with pytest.raises(SourceError, match="column 'user_id' has type double"):
        cast(pa.chunked_array([pa.array([7.5])]), pa.string(), "x", "user_id")
    with pytest.raises(SourceError, match=r"1\.5"):
        cast(pa.chunked_array([pa.array([1.5])]), pa.int64(), "x", "timestamp")


def test_attributes_are_typed_by_how_they_are_written() -> None:
    table = pa.table(
        {
            "item_id": ["1", "2"],
            "title": ["12", "13"],
            "year": ["1995", None],
            "code": ["007", "8"],
            "price": ["1.5", "2"],
            "Is new": ["true", "False"],
            "id": ["x", "y"],
        }
    )
    typed = attributes(table, "item_id")
    kinds = {field.name: str(field.type) for field in typed.schema}
    assert kinds == {
        "item_id": "string",
        "title": "string",
        "year": "int64",
        "code": "string",
        "price": "double",
        "Is_new": "bool",
        "source_id": "string",
    }


def test_attribute_names_that_meet_are_refused() -> None:
    with pytest.raises(SourceError, match="'a b' would be stored as 'a_b'"):
        attributes(pa.table({"item_id": ["1"], "a_b": ["1"], "a b": ["2"]}), "item_id")


@given(st.text(max_size=80))
def test_plain_names_are_identifiers(name: str) -> None:
    plain = plain_name(name)
    assert plain.isidentifier() and plain.isascii() and len(plain) <= 64 and plain != "id"


def test_vectors_of_two_lengths_name_the_row() -> None:
    table = pa.table({"item_id": ["1", "2"], "vector": [[1.0, 2.0], [1.0]]})
    with pytest.raises(SourceError, match="row 2, column 'vector': 1 numbers, expected 2"):
        vectors(table)
    with pytest.raises(SourceError, match="has type int64"):
        vectors(pa.table({"item_id": ["1"], "vector": [1]}))


def test_vectors_keep_missing_rows_missing() -> None:
    table = pa.table({"item_id": ["1", "2", "3"], "vector": [[1.0, 2.0], None, [3.0, 4.0]]})
    assert vectors(table)["vector"].to_pylist() == [[1.0, 2.0], None, [3.0, 4.0]]
