"""One file or a folder of parts; what cannot be read is named in one line."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.errors import SourceError
from etl.sources.columns import cast, vectors
from etl.sources.files import inside, open_folder, read_table
from etl.sources.origin import named, place


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
    with pytest.raises(SourceError, match=rf"^{Path.cwd()}/no/where: .*'no/where' counts from the working directory"):
        open_folder(Path("no/where"))


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> list[object]:
    values: list[object] = cast(column, kind, named(pa.table({name: column}), "x.csv"), name).to_pylist()
    return values


def test_wrong_cell_names_row_column_and_value() -> None:
    column = pa.chunked_array([["1", "2", "abc"]])
    with pytest.raises(SourceError, match=r"x\.csv: row 3, column 'x_label': 'abc' is not a whole number"):
        _cast(column, pa.int64(), "x_label")
    with pytest.raises(SourceError, match="row 1, column 'weight': 'much' is not a number"):
        _cast(pa.chunked_array([["much"]]), pa.float64(), "weight")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [(["978300760.0", " 7 ", None], [978300760, 7, None]), (["9007199254740993"], [9007199254740993])],
)
def test_whole_numbers_are_exact(values: list[str | None], wanted: list[int | None]) -> None:
    assert _cast(pa.chunked_array([values], pa.string()), pa.int64(), "n") == wanted


def test_parquet_ids_become_text() -> None:
    assert _cast(pa.chunked_array([pa.array([7, 8])]), pa.string(), "user_id") == ["7", "8"]
    assert _cast(pa.chunked_array([pa.array([7.0, None, 8.0])]), pa.string(), "user_id") == ["7", None, "8"]
    with pytest.raises(SourceError, match="column 'user_id' has type double"):
        _cast(pa.chunked_array([pa.array([7.5])]), pa.string(), "user_id")


def _parts(folder: Path, tables: list[pa.Table], name: str) -> None:
    folder.mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / name.format(number))


@pytest.mark.parametrize("name", ["part-{:05d}-4f7a-c000.snappy.parquet", "part.{}.parquet"])
def test_folders_of_parts_are_one_table(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "interactions.parquet"
    _parts(folder, [pa.table({"user_id": [n], "item_id": [str(n)]}) for n in range(12)], name)
    (folder / "_SUCCESS").touch()
    (folder / ("." + name.format(0) + ".crc")).write_bytes(b"crc")
    table = read_table(tmp_path.resolve(), "interactions")
    assert table is not None and table["user_id"].to_pylist() == list(range(12))
    assert place(table, 11, "?") == f"interactions.parquet/{name.format(11)}: row 1"


def test_what_a_parts_path_says_is_a_column(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _parts(tmp_path / "interactions.parquet" / f"split={split}", [pa.table({"user_id": ["u"]})], "part-{}.parquet")
    table = read_table(tmp_path.resolve(), "interactions")
    assert table is not None and sorted(table["split"].to_pylist()) == ["test", "train"]


def test_a_folder_without_parts_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").mkdir()
    (tmp_path / "items.parquet" / "_SUCCESS").touch()
    with pytest.raises(SourceError, match=r"items\.parquet: the folder holds no part"):
        read_table(tmp_path.resolve(), "items")


def test_damaged_parquet_is_one_line_that_names_the_column(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9")])
    pq.write_table(pa.table({"item_id": ["1"], "title": broken}), tmp_path / "items.parquet")
    with pytest.raises(SourceError, match=r"items\.parquet: column 'title' is damaged .*Invalid UTF8"):
        read_table(tmp_path.resolve(), "items")
    pq.write_table(pa.table([["1"], ["2"]], names=["item_id", "item_id"]), tmp_path / "items.parquet")
    with pytest.raises(SourceError, match=r"items\.parquet: column 'item_id' occurs twice"):
        read_table(tmp_path.resolve(), "items")


def test_workbooks_say_what_to_do(tmp_path: Path) -> None:
    for name in ("items.xlsx", "items.csv"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(SourceError, match=r"items\.\w+: .*workbook.*export CSV UTF-8"):
            read_table(tmp_path.resolve(), "items")
        (tmp_path / name).unlink()


def test_vectors_of_two_lengths_name_the_row() -> None:
    table = pa.table({"item_id": ["1", "2"], "vector": [[1.0, 2.0], [1.0]]})
    with pytest.raises(SourceError, match="row 2, column 'vector': 1 numbers, expected 2"):
        vectors(table)
    with pytest.raises(SourceError, match="has type int64"):
        vectors(pa.table({"item_id": ["1"], "vector": [1]}))


def test_vectors_keep_missing_rows_missing() -> None:
    table = pa.table({"item_id": ["1", "2", "3"], "vector": [[1.0, 2.0], None, [3.0, 4.0]]})
    assert vectors(table)["vector"].to_pylist() == [[1.0, 2.0], None, [3.0, 4.0]]
