"""Every adapter yields the same tables from the same small catalogue, and names what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources import SOURCES, read_source
from etl.tables import INTERACTIONS, Tables
from etl.validate import validate

PAIRS = [("1", "10", 5.0), ("1", "20", 3.0), ("2", "10", 4.0)]


def _folder(path: Path) -> None:
    lines = "\n".join(f"{u},{i},{w}" for u, i, w in PAIRS)
    (path / "interactions.csv").write_text(f"user_id,item_id,weight\n{lines}\n")


def _recbole(path: Path) -> None:
    lines = "\n".join(f"{u}\t{i}\t{w}" for u, i, w in PAIRS)
    (path / "x.inter").write_text(f"user_id:token\titem_id:token\trating:float\n{lines}\n")


def _mmrec(path: Path) -> None:
    lines = "\n".join(f"{u}\t{i}\t{w}\t0" for u, i, w in PAIRS)
    (path / "x.inter").write_text(f"userID\titemID\trating\tx_label\n{lines}\n")


def _movielens(path: Path) -> None:
    (path / "u.data").write_text("\n".join(f"{u}\t{i}\t{w:g}\t100" for u, i, w in PAIRS) + "\n")


WRITERS: dict[str, Callable[[Path], None]] = {
    "folder": _folder,
    "recbole": _recbole,
    "mmrec": _mmrec,
    "movielens": _movielens,
}


def _read(path: Path, kind: str = "folder", **settings: object) -> Tables:
    return read_source(SourceConfig.model_validate({"format": kind, "path": path, **settings}))


def test_every_adapter_has_a_sample() -> None:
    assert set(WRITERS) == set(SOURCES)


@pytest.mark.parametrize("kind", SOURCES)
def test_adapters_agree(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path)
    tables = _read(tmp_path, kind)
    assert tables.interactions.schema.equals(INTERACTIONS)
    rows = tables.interactions.select(["user_id", "item_id", "weight"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == PAIRS
    assert validate(tables, strict=kind != "mmrec").users["user_id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize("kind", SOURCES)
def test_empty_folders_say_what_is_wanted(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match=str(tmp_path)):
        _read(tmp_path, kind)


def test_unknown_format_lists_the_known() -> None:
    with pytest.raises(ValueError, match="source format 'xls' is unknown; use one of folder"):
        read_source(SourceConfig(format="xls", path=Path()))


def test_missing_column_names_file_column_and_way_out(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError) as caught:
        _read(tmp_path)
    assert str(caught.value) == (
        "interactions.csv: column 'user_id' is missing (has a, b); rename it or set source.columns.user_id"
    )
    tables = _read(tmp_path, columns={"user_id": "a", "item_id": "b"})
    assert tables.interactions["item_id"].to_pylist() == ["2"]


def test_wrong_type_names_row_and_value(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\n1,2,3\n1,3,abc\n")
    with pytest.raises(SourceError, match=r"^interactions\.csv: row 3, column 'timestamp': 'abc' is not a whole"):
        _read(tmp_path)


def test_folder_reads_every_table(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "items.csv").write_text("item_id,title,year\n10,A,1990\n20,B,1991\n")
    (tmp_path / "media.csv").write_text("item_id,modality,content\n10,text,hello\n")
    (tmp_path / "triples.csv").write_text("head_id,relation,tail_id\n10,made_by,anna\n")
    (tmp_path / "social.csv").write_text("user_id,friend_id\n1,2\n")
    for name in ("embeddings", "neighbours"):
        (tmp_path / name).mkdir()
    pq.write_table(pa.table({"item_id": [10], "vector": [[1.0, 0.0]]}), tmp_path / "embeddings/image.parquet")
    near = pa.table({"item_id": ["10"], "neighbour_id": ["20"], "score": [0.5]})
    pq.write_table(near, tmp_path / "neighbours/audio.parquet")
    tables = _read(tmp_path)
    assert tables.items is not None and tables.items["year"].to_pylist() == [1990, 1991]
    assert tables.media is not None and tables.media["content"].to_pylist() == ["hello"]
    assert tables.embeddings["image"]["item_id"].to_pylist() == ["10"]
    assert tables.neighbours["audio"]["score"].to_pylist() == [0.5]
    assert tables.triples is not None and tables.social is not None
    assert validate(tables, strict=True).rejected.num_rows == 0


def test_recbole_links_make_items_of_entities(tmp_path: Path) -> None:
    _recbole(tmp_path)
    (tmp_path / "x.item").write_text('item_id:token\tmovie_title:token_seq\n10\tToy "Story\n')
    (tmp_path / "x.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\nm.1\tby\tm.2\nm.2\tof\tm.1\n")
    (tmp_path / "x.link").write_text("item_id:token\tentity_id:token\n10\tm.1\n")
    tables = _read(tmp_path, "recbole")
    assert tables.items is not None and tables.items["title"].to_pylist() == ['Toy "Story']
    assert tables.triples is not None
    assert tables.triples.select(["head_id", "tail_id", "head_type", "tail_type"]).to_pylist() == [
        {"head_id": "10", "tail_id": "m.2", "head_type": "Item", "tail_type": None},
        {"head_id": "m.2", "tail_id": "10", "head_type": None, "tail_type": "Item"},
    ]


def test_recbole_entities_have_a_name_space_of_their_own(tmp_path: Path) -> None:
    _recbole(tmp_path)
    triples = "10\tby\tm.2\nm.1\tby\t10\nm.2\tof\tm.1\nm.2\tin\t99\n"
    (tmp_path / "x.kg").write_text(f"head_id:token\trelation_id:token\ttail_id:token\n{triples}")
    (tmp_path / "x.link").write_text("item_id:token\tentity_id:token\n10\tm.1\n20\tm.1\n20\tm.3\n")
    tables = validate(_read(tmp_path, "recbole"), strict=False)
    assert tables.triples is not None and not len(tables.rejected)
    assert [(r["head_id"], r["relation"], r["tail_id"]) for r in tables.triples.to_pylist()] == [
        ("entity:10", "by", "m.2"),
        ("10", "by", "entity:10"),
        ("20", "by", "entity:10"),
        ("m.2", "of", "10"),
        ("m.2", "of", "20"),
        ("m.2", "in", "99"),
    ]


def test_recbole_headers_say_what_is_a_number(tmp_path: Path) -> None:
    _recbole(tmp_path)
    (tmp_path / "x.item").write_text("item_id:token\tprice:float\tsku:token\n10\t1.10\t1.10\n20\t\t2\n")
    items = _read(tmp_path, "recbole").items
    assert items is not None and items.to_pylist() == [
        {"item_id": "10", "price": 1.1, "sku": "1.10"},
        {"item_id": "20", "price": None, "sku": "2"},
    ]


def test_recbole_interactions_that_are_split_already(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    for name, rows in (("train", "1\t10\t5.0\n1\t20\t6\n"), ("valid", "1\t30\t7\n"), ("test", "1\t\t8\n1\t40\t9\n")):
        (tmp_path / f"x.{name}.inter").write_text(header + rows)
    tables = validate(_read(tmp_path, "recbole"), strict=False)
    assert tables.interactions["split"].to_pylist() == ["train", "train", "valid", "test"]
    assert tables.rejected["reason"].to_pylist() == ["x.test.inter: row 2: item_id is empty"]
    (tmp_path / "y.test.inter").write_text(header + "1\t50\t9\n")
    with pytest.raises(SourceError, match="two files of one split"):
        _read(tmp_path, "recbole")


def test_recbole_header_needs_types(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text("user_id\titem_id:token\n1\t2\n")
    with pytest.raises(SourceError, match=r"x\.inter: header 'user_id' has no type"):
        _read(tmp_path, "recbole")


def test_mmrec_features_and_splits(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n0\t2\t2\n1\t1\t1\n")
    np.save(tmp_path / "image_feat.npy", np.array([[1, 0], [0, 0], [0, 1]], np.float64))
    tables = _read(tmp_path, "mmrec")
    assert tables.interactions["split"].to_pylist() == ["train", "test", "valid"]
    assert tables.embeddings["image"]["item_id"].to_pylist() == ["0", "2"]
    assert tables.items is not None and len(tables.items) == 3


def test_mmrec_ids_that_are_no_row_numbers_stop(tmp_path: Path) -> None:
    np.save(tmp_path / "image_feat.npy", np.eye(2))
    for item in ("B0012", "2", "01", "-1"):
        (tmp_path / "x.inter").write_text(f"userID\titemID\n0\t0\n0\t{item}\n")
        with pytest.raises(
            SourceError, match=rf"x\.inter: row 3, column 'itemID': '{item}' is no row number of image_feat"
        ):
            _read(tmp_path, "mmrec")


def test_mmrec_names_from_before_are_an_attribute(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text("userID\titemID\n0\t0\n0\t2\n")
    (tmp_path / "i_id_mapping.csv").write_text("asin\titemID\nB001\t0\n0007\t2\n")
    (tmp_path / "u_id_mapping.csv").write_text("reviewerID\tuserID\nA9\t0\n")
    np.save(tmp_path / "image_feat.npy", np.eye(3))
    tables = validate(_read(tmp_path, "mmrec"), strict=True)
    assert tables.items is not None and tables.users is not None
    assert {r["item_id"]: r["asin"] for r in tables.items.to_pylist()} == {"0": "B001", "2": "0007", "1": None}
    assert tables.users.to_pylist() == [{"user_id": "0", "reviewerID": "A9"}]


def test_mmrec_never_unpickles(tmp_path: Path) -> None:
    _mmrec(tmp_path)
    np.save(tmp_path / "image_feat.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"image_feat\.npy: not a plain NumPy array"):
        _read(tmp_path, "mmrec")
    (tmp_path / "image_feat.npy").unlink()
    (tmp_path / "x.inter").write_text("userID\titemID\tx_label\n0\t0\t7\n")
    with pytest.raises(SourceError, match="row 2, column 'x_label': 7 is not 0, 1 or 2"):
        _read(tmp_path, "mmrec")


def test_movielens_100k_titles_and_genres(tmp_path: Path) -> None:
    _movielens(tmp_path)
    flags = "|".join("1" if n in (1, 5) else "0" for n in range(19))
    (tmp_path / "u.item").write_bytes(f"10|Amélie|01-Jan-01||url|{flags}\n".encode("latin-1"))
    (tmp_path / "u.user").write_text("1|24|M|technician|08541\n")
    tables = _read(tmp_path, "movielens")
    assert tables.items is not None and tables.users is not None
    assert tables.items["title"].to_pylist() == ["Amélie"]
    assert tables.items["genres"].to_pylist() == ["Action|Comedy"]
    assert tables.users["zip_code"].to_pylist() == ["08541"] and tables.users["age"].to_pylist() == [24]


def test_movielens_1m_and_csv(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::5::978300760\n")
    (tmp_path / "movies.dat").write_text("10::Toy: Story::Animation|Comedy\n")
    tables = _read(tmp_path, "movielens")
    assert tables.interactions["timestamp"].to_pylist() == [978300760]
    assert tables.items is not None and tables.items["title"].to_pylist() == ["Toy: Story"]
    (tmp_path / "ratings.dat").unlink()
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,4.5,964982703\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n10,"A, B",Drama\n')
    tables = _read(tmp_path, "movielens")
    assert tables.interactions["weight"].to_pylist() == [4.5]
    assert tables.items is not None and tables.items["title"].to_pylist() == ["A, B"]


def test_movielens_genres_and_tags_are_entities_and_links_attributes(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,4.5,964982703\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n10,A,Drama|Comedy\n20,B,(no genres listed)\n")
    (tmp_path / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\n1,10,Space Opera,5\n2,10,space opera,6\n1,20,,7\n"
    )
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n10,0114709,862\n20,0113497,\n")
    tables = validate(_read(tmp_path, "movielens"), strict=True)
    assert tables.triples is not None and tables.items is not None
    assert [tuple(row.values()) for row in tables.triples.to_pylist()] == [
        ("10", "genre", "genre:drama", "Item", "Genre", "Drama"),
        ("10", "genre", "genre:comedy", "Item", "Genre", "Comedy"),
        ("10", "tag", "tag:space opera", "Item", "Tag", "Space Opera"),
    ]
    first = tables.items.to_pylist()[0]
    assert (first["imdbId"], first["tmdbId"], first["genres"]) == ("0114709", 862, "Drama|Comedy")


def test_movielens_10m_is_utf8_and_1m_latin1(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::3.5::978300760\n")
    (tmp_path / "tags.dat").write_text("1::10::ovni: français::1188263867\n", encoding="utf-8")
    for encoding in ("utf-8", "latin-1"):
        (tmp_path / "movies.dat").write_text("10::Amélie::Comedy\n", encoding=encoding)
        tables = validate(_read(tmp_path, "movielens"), strict=True)
        assert tables.items is not None and tables.items["title"].to_pylist() == ["Amélie"]
        assert tables.triples is not None and tables.triples["tail_name"].to_pylist() == ["Comedy", "ovni: français"]
