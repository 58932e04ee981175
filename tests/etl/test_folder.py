"""A folder as people have it: what is read, what is ignored and named, what ids do not meet."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources import read_source
from etl.tables import Tables
from etl.validate import validate

LOG = "user_id,item_id\nu1,1\nu1,2\nu2,1\n"


def _read(folder: Path, files: dict[str, str], **settings: object) -> Tables:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    config = SourceConfig.model_validate({"path": folder, **settings})
    return validate(read_source(config), strict=False, weight=config.weight)


def test_an_export_with_every_field_quoted_keeps_its_media(tmp_path: Path) -> None:
    media = '"item_id","modality","uri","content","role"\n"1","text","","A little boy",""\n"2","Image","a.png","",""\n'
    tables = _read(tmp_path, {"interactions.csv": LOG, "media.csv": media})
    assert tables.media is not None and not len(tables.rejected)
    assert tables.media.select(["modality", "uri", "content", "role"]).to_pylist() == [
        {"modality": "text", "uri": None, "content": "A little boy", "role": None},
        {"modality": "image", "uri": "a.png", "content": None, "role": None},
    ]


def test_files_that_are_not_read_are_named_with_what_they_should_be_called(tmp_path: Path) -> None:
    others = ("Items.csv", "user.csv", "ratings.csv", "extra.parquet", "embeddings/image.npy", "neighbours/Text.csv")
    notes = _read(tmp_path, {"interactions.csv": LOG, "README.md": "x", **dict.fromkeys(others, "")}).notes
    assert sorted(notes) == [
        "Items.csv is not read: call it items.csv",
        "embeddings/image.npy is not read: write embeddings/image.parquet with item_id and vector",
        "extra.parquet is not read; the tables are called interactions, users, items, media, triples, social",
        "neighbours/Text.csv is not read: write neighbours/text.csv or .parquet with item_id, neighbour_id and score",
        "ratings.csv is not read: call it interactions.csv",
        "user.csv is not read: call it users.csv",
    ]


def test_without_interactions_the_likeliest_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is there; ratings\.csv is not read: call it interactions\.csv"):
        _read(tmp_path, {"ratings.csv": LOG})


def test_a_header_alone_will_do(tmp_path: Path) -> None:
    tables = _read(tmp_path, {"interactions.csv": "user_id,item_id\n", "items.csv": "item_id,title\n1,A\n"})
    assert len(tables.interactions) == 0 and tables.items is not None and len(tables.items) == 1


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    notes = _read(tmp_path, {"interactions.csv": "user_id,item_id,Timestamp,rating\nu,1,5,4\n"}).notes
    assert notes == ("interactions.csv: 'rating' not read; source.columns can make one of them weight or split",)


def test_a_mapped_column_that_no_file_has_is_told(tmp_path: Path) -> None:
    notes = _read(tmp_path, {"interactions.csv": LOG}, columns={"timestamp": "when", "item_id": "item_id"}).notes
    assert notes == ("source.columns: no file has a column 'when' to read timestamp from",)


def test_semicolons_are_found_and_a_delimiter_can_be_set(tmp_path: Path) -> None:
    tables = _read(tmp_path, {"interactions.csv": "user_id;item_id;weight\nu;1;1,5\n"})
    assert tables.interactions["weight"].to_pylist() == [1.5]
    tables = _read(tmp_path, {"interactions.csv": "user_id~item_id\nu~1\n"}, delimiter="~")
    assert tables.interactions["item_id"].to_pylist() == ["1"]


def test_the_row_that_is_refused_is_the_line_of_the_file(tmp_path: Path) -> None:
    media = 'item_id,modality,content\n1,text,"two\nlines"\n\n2,video,x\n1,text,y\n'
    tables = _read(tmp_path, {"interactions.csv": LOG, "media.csv": media})
    assert tables.rejected["reason"].to_pylist() == ["media.csv: row 5: modality 'video' is not text, image or audio"]


def test_ids_that_do_not_meet_are_told(tmp_path: Path) -> None:
    items = "item_id,title\n" + "".join(f"i{n},T\n" for n in range(3))
    media = "item_id,modality,content\ni1,text,x\n"
    triples = "head_id,relation,tail_id\ni1,by,anna\n"
    notes = _read(
        tmp_path, {"interactions.csv": LOG, "items.csv": items, "media.csv": media, "triples.csv": triples}
    ).notes
    assert [note.split(" (")[0] for note in notes] == [
        "none of the items in items.csv occur in interactions.csv",
        "none of the items in media.csv occur in interactions.csv",
        "none of the items in interactions.csv are in items.csv",
    ]
    assert "('i0' there, '1' here): are the ids written alike?" in notes[0]


def test_items_that_only_interactions_name_are_counted(tmp_path: Path) -> None:
    notes = _read(tmp_path, {"interactions.csv": LOG + "u2,zz\n", "items.csv": "item_id,title\n1,A\n2,B\n"}).notes
    assert notes == ("1 item ('zz') is in interactions.csv and not in items.csv: no attributes there",)
    media = "item_id,modality,content\n1,text,x\n9,text,y\n8,text,z\n"
    notes = _read(tmp_path, {"media.csv": media}).notes
    assert "2 items ('8', '9') are in no table but media.csv" in notes


def test_ids_that_a_gap_made_decimal_are_told(tmp_path: Path) -> None:
    notes = _read(tmp_path, {"interactions.csv": LOG, "items.csv": "item_id,title\n1.0,A\n2,B\n"}).notes
    assert any(note.startswith("item_id '1.0' stands beside '1' (1 such ids): two items") for note in notes)
    pq.write_table(pa.table({"item_id": [1.0, None, 2.0], "title": ["A", "x", "B"]}), tmp_path / "items.parquet")
    (tmp_path / "items.csv").unlink()
    tables = _read(tmp_path, {"interactions.csv": LOG})
    assert tables.items is not None and tables.items["item_id"].to_pylist() == ["1", "2"]


def test_one_form_of_unicode_in_every_table(tmp_path: Path) -> None:
    log, items = "user_id,item_id\nu,caf\u00e9\n", "item_id,title\ncafe\u0301,Caf\u00e9\n"
    tables = _read(tmp_path, {"interactions.csv": log, "items.csv": items})
    assert tables.items is not None and tables.items.to_pylist() == [{"item_id": "caf\u00e9", "title": "Caf\u00e9"}]


def test_a_folder_of_parts_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "interactions.parquet").mkdir()
    for part in range(2):
        rows = pa.table({"user_id": [f"u{part}"], "item_id": [7]})
        pq.write_table(rows, tmp_path / "interactions.parquet" / f"part-0000{part}-c000.snappy.parquet")
    assert _read(tmp_path, {}).interactions["user_id"].to_pylist() == ["u0", "u1"]


def test_types_that_a_store_holds_go_on_and_cells_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    files = {"interactions.csv": LOG, "items.csv": 'item_id,title,price\n1,"A\nB",n/a\n2,B,3\n'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    config = SourceConfig(path=tmp_path).against({"Item": {"price": pa.float64()}})
    tables = validate(read_source(config), strict=False)
    assert tables.items is not None and tables.items["price"].to_pylist() == [None, 3.0]
    (reason,) = tables.rejected["reason"].to_pylist()
    assert reason == "items.csv: row 2: price 'n/a' is not a number as in the store; left empty"
    with pytest.raises(SourceError, match="correct it or leave strict out"):
        validate(read_source(config), strict=True)


def test_what_a_weight_means_depends_on_the_format_unless_said() -> None:
    def meaning(**settings: object) -> str:
        return SourceConfig.model_validate({"path": ".", **settings}).weight.meaning

    assert meaning() == "strength"
    assert {meaning(format=name) for name in ("recbole", "movielens", "mmrec")} == {"rating"}
    assert meaning(format="recbole", weight={"meaning": "strength"}) == "strength"
    assert meaning(format="movielens", weight={"min": 4}) == "rating"
