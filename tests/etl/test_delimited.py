"""CSV cells arrive as written, whatever program wrote the file; rows are numbered as an editor numbers them."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import SourceError
from etl.sources.columns import conform
from etl.sources.delimited import read_csv
from etl.sources.origin import places
from etl.tables import INTERACTIONS

CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)
PAIR = ("user_id", "item_id")


def _read(data: bytes, **options: object) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = read_csv(data, "x.csv", expected=PAIR, **options).to_pydict()  # type: ignore[arg-type]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_quoted_cells_survive_as_written_and_empty_ones_are_none(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["a", "b"])
        writer.writerows(rows)
    table = read_csv(path, "x.csv")
    while rows and not any(rows[-1]):
        rows.pop()
    assert list(zip(*table.to_pydict().values(), strict=True)) == [tuple(c or None for c in row) for row in rows]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "interactions.csv"
    path.write_bytes(b"user_id,item_id,timestamp\n" + content)
    try:
        conform(read_csv(path, "interactions.csv"), INTERACTIONS, PAIR)
    except SourceError as error:
        assert str(error).startswith("interactions.csv: ") and "\n" not in str(error)


def test_ids_keep_their_zeros_lose_blanks_and_are_in_one_form(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\ufeffUser_ID, item_id ,timestamp\n007, 12 ,5\n,e\u0301,\n  ,\u3000x\u00a0,\n", encoding="utf-8")
    table = conform(read_csv(path, "x.csv"), INTERACTIONS, PAIR)
    assert table["user_id"].to_pylist() == ["007", None, None]
    assert table["item_id"].to_pylist() == ["12", "\u00e9", "x"]
    assert table["timestamp"].to_pylist() == [5, None, None]
    assert table["split"].null_count == 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_columns_that_are_known(delimiter: str) -> None:
    text = (
        "user_id,item_id,note\nu,i,a;b|c\n".replace(",", delimiter)
        if delimiter == ","
        else (delimiter.join(["user_id", "item_id", "a,b,c,d"]) + "\n" + delimiter.join(["u", "i", "1,2"]) + "\n")
    )
    found = _read(text.encode())
    assert len(found) == 3 and found["user_id"] == ["u"] and found["item_id"] == ["i"]


def test_a_delimiter_that_is_set_and_excels_own_line() -> None:
    assert _read(b"user_id~item_id\nu~i\n", delimiter="~") == {"user_id": ["u"], "item_id": ["i"]}
    assert _read(b"sep=;\r\nuser_id;item_id\r\nu;i\r\n") == {"user_id": ["u"], "item_id": ["i"]}


def test_rows_of_delimiters_below_the_last_one_are_no_rows() -> None:
    assert _read(b"user_id;item_id\nu;i\n;\nv;\n;\n;\n") == {"user_id": ["u", None, "v"], "item_id": ["i", None, None]}
    assert _read(b"user_id;item_id\n;\n;\n") == {"user_id": [], "item_id": []}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str) -> None:
    text = end.join(["user_id\titem_id", "ü\t价格", ""])
    assert _read(text.encode(encoding)) == {"user_id": ["ü"], "item_id": ["价格"]}


def test_rows_are_numbered_as_an_editor_shows_them() -> None:
    table = read_csv(b'user_id,item_id\n1,"two\nlines"\n\n2,x\n3,"a\r\nb\r\nc"\n4,y', "x.csv")
    files, lines = places(table, "?")
    assert lines.to_list() == [2, 5, 6, 9] and set(files) == {"x.csv"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "interactions.csv: the file is empty"),
        (b"a,a \n1,2\n", "column 'a' occurs twice"),
        (b'a,b\n1,"x\ny"\n1,2,3\n', "interactions.csv: row 4 has 3 cells, the header 2"),
        (b"a,b\n1,2\n1,\xe9\n", r"not readable as UTF-8 CSV \(row 3 holds the byte 0xe9\)"),
        (b"PAR1....", "the file is Parquet, not CSV"),
    ],
)
def test_broken_csv_is_one_line(text: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_csv(text, "interactions.csv")


def test_semicolons_come_with_decimal_commas() -> None:
    table = read_csv(b"user_id;item_id;weight\n1;2;1.234,5\n1;3;0,25\n1;4;7\n", "x.csv", expected=PAIR)
    assert conform(table, INTERACTIONS, PAIR)["weight"].to_pylist() == [1234.5, 0.25, 7.0]
    table = read_csv(b'user_id,item_id,weight\n1,2,"1,5"\n', "x.csv", expected=PAIR)
    with pytest.raises(SourceError, match="row 2, column 'weight': '1,5' is not a number"):
        conform(table, INTERACTIONS, PAIR)


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("2023-11-24 02:59:32", 1700794772),
        ("2023-11-24T02:59:32Z", 1700794772),
        ("2023-11-24T10:59:32+08:00", 1700794772),
        ("2023-11-24 02:59:32.75", 1700794772),
        ("2023-11-24 02:59:32 UTC", 1700794772),
        ("2023-11-24 02:59:32.123456789+00", 1700794772),
        ("2023-11-24 10:59:32 +0800", 1700794772),
        ("2023-11-24", 1700784000),
        ("1969-12-31", -86400),
        ("1700794772", 1700794772),
        ("1700794772.5", 1700794772),
        ("-86400", -86400),
        ("1.7e9", 1700000000),
    ],
)
def test_times_in_every_notation(cell: str, seconds: int) -> None:
    table = read_csv(f"user_id,item_id,timestamp\n1,2,{cell}\n1,3,\n".encode(), "x.csv")
    assert conform(table, INTERACTIONS, PAIR)["timestamp"].to_pylist() == [seconds, None]


def test_what_is_no_time_says_how_to_write_one() -> None:
    table = read_csv(b"user_id,item_id,timestamp\n1,2,5\n1,3,24/11/2023\n", "x.csv")
    with pytest.raises(SourceError, match=r"x\.csv: row 3, column 'timestamp': '24/11/2023' is not .*ISO date"):
        conform(table, INTERACTIONS, PAIR)
