"""A file is converted by its keys; nothing of it is lost; running twice gives the same bytes."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from benchmarks.datasets import DatasetError, convert
from benchmarks.raw_media import common_tags
from etl.config import SourceConfig
from etl.sources import read_source
from etl.validate import validate

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def _save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return _save(
        tmp_path / "anything.npz",
        inter=np.array([[0, 0, 0], [0, 1, 1], [2, 1, 2]], np.uint16),
        text_minilm=np.array([[1, 0], [0, 0], [0, 1]], np.float16),
        audio_vggish=np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
        audio_whisper=np.eye(3, 4, dtype=np.float16),
        image_knn_a=np.array([[0, 1], [1, 2], [0, 2]], np.uint16),
        image_knn_b=np.array([[1, 2], [0, 1], [1, 2]], np.uint16),
        kg=np.array([[5, 0, 7], [7, 1, 5], [7, 1, 8]], np.uint16),
        relations=np.array(["by", "made"]),
        item_entity=np.array([5, -1, -1], np.int32),
        friends=np.array([[0, 3]], np.uint16),
        artistID=np.array([80, 66, 59], np.int32),
    )


def _read(out: Path, name: str) -> list[dict[str, object]]:
    return list(pq.read_table(out / f"{name}.parquet").to_pylist())


def test_music_file_by_its_keys(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts = convert(music, out)
    assert counts["users"] == 4 and counts["items"] == 3
    assert [row["split"] for row in _read(out, "interactions")] == ["train", "valid", "test"]
    assert [row["item_id"] for row in _read(out, "embeddings/text")] == ["0", "2"]
    assert len(_read(out, "embeddings/audio")[0]["vector"]) == 3  # type: ignore[arg-type]
    near = {(r["item_id"], r["neighbour_id"]): r["score"] for r in _read(out, "neighbours/image")}
    assert near[("0", "1")] == 1.0 and near[("0", "2")] == 0.5 and ("0", "0") not in near
    ends = [(r["head_id"], r["relation"], r["tail_id"], r["tail_type"]) for r in _read(out, "triples")]
    assert ends == [
        ("0", "by", "entity:7", "Entity"),
        ("entity:7", "made", "0", "Item"),
        ("entity:7", "made", "entity:8", "Entity"),
    ]
    assert _read(out, "social") == [{"user_id": "0", "friend_id": "3"}]
    assert [row["artist_id"] for row in _read(out, "items")] == ["80", "66", "59"]


def test_music_file_with_names_and_tags_to_encode(music: Path, tmp_path: Path) -> None:
    def beside(name: str, lines: Sequence[str]) -> None:
        text = "\n".join(lines) + "\n"
        music.with_name(f"anything_{name}.zst").write_bytes(zstandard.compress(text.encode()))

    with pytest.raises(FileNotFoundError):
        convert(music, tmp_path / "out", raw=True)
    beside("artists.dat", ["id\tname\turl", '80\tSay "Hi"\tx', "66\tZoë\tx"])
    tags = ["80\tpop,mine only,rock", "66\tmine only", "59\trock", *(f"{900 + n}\trock,pop" for n in range(18))]
    beside("lfm2k_text.tsv", ["artistID\ttext", *tags])
    convert(music, tmp_path / "out", raw=True)
    rows = [(r["item_id"], r["modality"], r["content"]) for r in _read(tmp_path / "out", "media")]
    # 20 artists have `rock`, 19 `pop`, two `mine only`
    assert rows == [("0", "text", 'Say "Hi". rock'), ("1", "text", "Zoë"), ("2", "text", "rock")]
    assert not (tmp_path / "out" / "embeddings" / "text.parquet").exists()
    assert [r["title"] for r in _read(tmp_path / "out", "items")] == ['Say "Hi"', "Zoë", None]


def test_common_tags_are_those_of_many_artists_the_widest_used_first() -> None:
    tags = {"1": ["a", "b", "own", "b"], "2": ["b", "a"], "3": ["b", "c"], "4": ["c"]}
    assert common_tags(tags, holders=2) == {"1": ["b", "a"], "2": ["b", "a"], "3": ["b", "c"], "4": ["c"]}
    assert common_tags(tags, holders=1, most=1) == {"1": ["b"], "2": ["b"], "3": ["b"], "4": ["c"]}


def test_other_audio_vectors(music: Path, tmp_path: Path) -> None:
    convert(music, tmp_path / "out", audio="whisper")
    assert len(_read(tmp_path / "out", "embeddings/audio")[0]["vector"]) == 4  # type: ignore[arg-type]


def test_shop_file_with_lists_only(tmp_path: Path) -> None:
    lists = {
        f"{m}_{kind}": values
        for m in ("visual", "text")
        for kind, values in (("knn", np.array([[0, 1], [1, 0]])), ("sim", np.array([[1, 0.5], [1, 0.25]], np.float32)))
    }
    file = _save(
        tmp_path / "shop.npz",
        train=np.array([[0, 0]]),
        valid=np.array([[0, 1]]),
        test=np.array([[1, 1]]),
        asin=np.array([b"B1", b"B2"]),
        **lists,
    )
    convert(file, tmp_path / "out")
    assert [row["asin"] for row in _read(tmp_path / "out", "items")] == ["B1", "B2"]
    for modality in ("image", "text"):
        scores = [row["score"] for row in _read(tmp_path / "out", f"neighbours/{modality}")]
        assert scores == [0.5, 0.25]


def test_ratings_and_times(tmp_path: Path) -> None:
    inter = np.array([[0, 0, 5, 0], [0, 1, 3, 2]])
    file = _save(tmp_path / "m.npz", inter=inter, timestamp=np.array([7, 8], np.int32))
    convert(file, tmp_path / "out")
    assert _read(tmp_path / "out", "interactions")[1] == {
        "user_id": "0",
        "item_id": "1",
        "weight": 3.0,
        "timestamp": 8,
        "split": "test",
    }
    convert(file, tmp_path / "out", split="time")
    assert "split" not in _read(tmp_path / "out", "interactions")[0]


def test_same_bytes_again_and_stale_tables_go(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def digest() -> dict[str, str]:
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.rglob("*")) if p.is_file()}

    convert(music, out)
    first = digest()
    convert(music, out)
    assert digest() == first
    convert(_save(tmp_path / "small.npz", train=np.array([[0, 0]])), out)
    assert sorted(p.name for p in out.rglob("*.parquet")) == ["interactions.parquet", "items.parquet", "users.parquet"]


def test_files_that_cannot_be_converted_say_why(music: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no interactions"):
        convert(_save(tmp_path / "x.npz", image=np.zeros((2, 2))), tmp_path / "out")
    with pytest.raises(DatasetError, match="no 'timestamp'"):
        convert(music, tmp_path / "out", split="time")
    pickled = tmp_path / "p.npz"
    np.savez(pickled, train=np.array([{"a": 1}], dtype=object))
    command = [sys.executable, "-m", "benchmarks.datasets", str(pickled), str(tmp_path / "o")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == 1 and run.stderr.startswith("p.npz: ") and run.stderr.count("\n") == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data (the research data files) is not there")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("tiktok", {"interactions": 68_722, "users": 9_308, "items": 6_710, "embeddings/image": 6_710}),
        ("lastfm2k", {"interactions": 56_345, "users": 1_858, "triples": 15_518, "social": 24_960}),
        ("amazon_baby", {"interactions": 160_792, "users": 19_445, "items": 7_050}),
        ("ml100k", {"interactions": 100_000, "items": 1_682, "triples": 91_631, "media": 1_950}),
    ],
)
def test_the_research_files(name: str, wanted: dict[str, int], tmp_path: Path) -> None:
    counts = convert(SHARED / f"{name}.npz", tmp_path)
    assert {key: counts[key] for key in wanted} == wanted
    tables = validate(read_source(SourceConfig(path=tmp_path)), strict=True)
    assert tables.rejected.num_rows == 0 and json.dumps(counts)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data (the research data files) is not there")
def test_posters_belong_to_their_movies(tmp_path: Path) -> None:
    convert(SHARED / "ml100k.npz", tmp_path)
    titles = {row["item_id"]: row["title"] for row in _read(tmp_path, "items")}
    posters = {row["item_id"]: row["uri"] for row in _read(tmp_path, "media") if row["modality"] == "image"}
    assert titles["21"] == "Braveheart (1995)" and posters["21"] == "media/posters/21.jpg"
    assert all((tmp_path / str(uri)).is_file() for uri in posters.values())
