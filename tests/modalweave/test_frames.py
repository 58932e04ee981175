"""Tables in memory become a run: whatever library they come from, with their media, and again."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import modalweave as mw

PAIRS = {
    "user_id": [f"u{n % 6}" for n in range(36)],
    "item_id": [f"i{(n * 5 + n // 6) % 9}" for n in range(36)],
    "timestamp": list(range(36)),
}
ITEMS = {"item_id": [f"i{n}" for n in range(9)], "title": [f"Thing {n}" for n in range(9)], "price": list(range(9))}
QUICK: dict[str, Any] = {"progress": False, "gnn.model": "popularity", "evaluation.resamples": 20}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table, dict], ids=lambda k: k.__name__)
def test_any_table_gives_the_same_graph(tmp_path: Path, kind: Any) -> None:
    run = mw.from_frames(kind(PAIRS), items=kind(ITEMS), path=tmp_path / "x", **QUICK)
    built = run.build()
    assert (built.nodes["User"], built.nodes["Item"], built.relationships["INTERACTED"]) == (6, 9, 36)
    assert run.cypher("MATCH (i:Item {id: 'i3'}) RETURN i.title AS title, i.price AS price").rows() == [("Thing 3", 3)]


def test_a_pandas_index_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame(ITEMS).set_index("title", drop=False)
    mw.from_frames(PAIRS, items=frame, path=tmp_path / "x", **QUICK)
    assert pl.read_parquet(tmp_path / "x" / "source" / "items.parquet").columns == list(ITEMS)


def test_pictures_and_vectors_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), "red").save("red.png")
    media = {"item_id": ["i1", "i2"], "modality": ["image"] * 2, "uri": ["red.png", "gone.png"]}
    vectors = {"item_id": ["i1", "i2"], "vector": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}
    run = mw.from_frames(PAIRS, media=media, embeddings={"text": vectors}, path="x", encoders={"image": None}, **QUICK)
    assert {path.suffix for path in Path("x/source/media").iterdir()} == {".png"}
    assert pl.read_parquet("x/source/media.parquet")["uri"][1] == "gone.png", "left as it is, for the quarantine"
    assert run.build().nodes["Text"] == 2


def test_the_same_folder_opens_again_by_its_config(tmp_path: Path) -> None:
    first = mw.from_frames(PAIRS, items=ITEMS, path=tmp_path / "shop", seed=3, **QUICK)
    again = mw.open(first.workspace.config, progress=False)
    assert again.config == first.config
    assert (again.config.name, again.config.seed) == ("shop", 3)


def test_a_table_that_is_not_given_again_goes(tmp_path: Path) -> None:
    mw.from_frames(PAIRS, items=ITEMS, embeddings={"image": ITEMS}, path=tmp_path / "x", **QUICK)
    mw.from_frames(PAIRS, items=ITEMS, path=tmp_path / "x", **QUICK)
    left = {str(path.relative_to(tmp_path / "x" / "source")) for path in (tmp_path / "x" / "source").rglob("*.parquet")}
    assert left == {"interactions.parquet", "items.parquet"}


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(mw.RunError, match="items: int is no table"):
        mw.from_frames(PAIRS, items=3, path=tmp_path / "x")
    with pytest.raises(mw.ConfigError, match="seed"):
        mw.from_frames(PAIRS, path=tmp_path / "x", seed=-1)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("folder", "name"), [("магазин", "магазин"), ("shop-2.b", "shop-2.b"), (".hidden", "run")])
def test_the_folder_names_the_run_where_it_can(tmp_path: Path, folder: str, name: str) -> None:
    assert mw.from_frames(PAIRS, path=tmp_path / folder, **QUICK).config.name == name


def test_what_is_no_table_of_a_run_stays(tmp_path: Path) -> None:
    other = tmp_path / "x" / "source" / "archive" / "old.parquet"
    other.parent.mkdir(parents=True)
    pl.DataFrame({"a": [1]}).write_parquet(other)
    mw.from_frames(PAIRS, path=tmp_path / "x", **QUICK)
    assert other.exists()
