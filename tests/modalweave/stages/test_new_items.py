"""New items from the file to the list: reached by content, told in the metrics, placed on request."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
USERS, ITEMS, NEW, NEWEST, TASTES = 40, 60, 20, 8, 4
"""The last `NEW` items appear when train is over, `NEWEST` more nobody has yet; an item's picture shows its taste, and
so its users."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    data = tmp_path / "data"
    (data / "embeddings").mkdir(parents=True)
    rows = []
    for user in range(USERS):
        own = np.flatnonzero(np.arange(ITEMS) % TASTES == user % TASTES)
        old, new = own[own < ITEMS - NEW], own[own >= ITEMS - NEW]
        rows += [(user, int(i), "train") for i in rng.choice(old, 6, replace=False)]
        rows += [
            (user, int(i), split) for i, split in zip(rng.choice(new, 2, replace=False), ("valid", "test"), strict=True)
        ]
    users, items, splits = zip(*rows, strict=True)
    ids = {"user_id": [f"u{n}" for n in users], "item_id": [f"i{n}" for n in items], "split": list(splits)}
    pq.write_table(pa.table(ids), data / "interactions.parquet")
    pictured = ITEMS + NEWEST
    vectors = np.eye(TASTES, 8)[np.arange(pictured) % TASTES] + 0.15 * rng.normal(size=(pictured, 8))
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), 8)
    pictures = pa.table({"item_id": [f"i{n}" for n in range(pictured)], "vector": column})
    pq.write_table(pictures, data / "embeddings" / "image.parquet")
    pq.write_table(
        pa.table({"item_id": [f"i{n}" for n in range(pictured + 3)]}), data / "items.parquet"
    )  # 3 with nothing
    path = tmp_path / "run.yaml"
    path.write_text(
        f"source: {{path: {data}}}\nworkspace: {tmp_path / 'run'}\n"
        "gnn: {model: graph_filter}\nevaluation: {k: [2, 5], resamples: 20}\nneighbours: {k: 14}\n"
        "scoring: {top_k: 10, new_items: 0.2}\n"
    )
    return path


def test_new_items_are_reached_told_and_placed(config: Path, modalweave: Run) -> None:
    assert modalweave("build", config).code == 0
    trained = modalweave("train", config, "--json").json()["new_items"]
    assert (trained["items"], trained["users"], trained["positives"]) == (NEW + NEWEST, USERS, USERS)
    told = modalweave("evaluate", config)
    assert f"New items: {NEW + NEWEST} with media and no interaction in train" in told.out
    found = modalweave("evaluate", config, "--json").json()["new_items"]
    assert found["random"] == {"recall@2": 2 / 28, "recall@5": 5 / 28}
    assert found["among_new"]["recall@5"]["mean"] > 3 * found["random"]["recall@5"]
    assert 0 <= found["share_of_lists"] <= 1

    scored = config.parent / "scores"
    assert modalweave("score", config.parent / "run" / "bundle", "--out", scored, "--top-k", 10).code == 0
    lists = pq.read_table(scored / "part-00000.parquet").to_pylist()
    assert "content" not in {row["source"] for row in lists}, "only where asked for"


def test_a_run_places_them(config: Path, modalweave: Run) -> None:
    assert modalweave("run", config).code == 0
    lists = pq.read_table(config.parent / "run" / "scores" / "part-00000.parquet").to_pylist()
    placed = [row for row in lists if row["source"] == "content"]
    assert Counter(row["rank"] for row in placed) == {3: USERS, 8: USERS}
    tastes = [int(row["item_id"][1:]) % TASTES == int(row["user_id"][1:]) % TASTES for row in placed]
    assert np.mean(tastes) > 0.9
    assert {int(row["item_id"][1:]) for row in placed} <= set(range(ITEMS, ITEMS + NEWEST)), "the refit knows others"


def folder_of(path: Path, items: list[int], seed: int = 0) -> Path:
    """A folder without interactions: pictures that show each item's taste, and a price."""
    rng = np.random.default_rng(seed)
    vectors = np.eye(TASTES, 8)[np.array(items) % TASTES] + 0.15 * rng.normal(size=(len(items), 8))
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), 8)
    ids = [f"late{n}" for n in items]
    (path / "embeddings").mkdir(parents=True)
    pq.write_table(pa.table({"item_id": ids, "vector": column}), path / "embeddings" / "image.parquet")
    attributes = {"item_id": [*ids, "i3", "bare"], "title": [f"Late {n}" for n in items] + ["Old", "Nothing"]}
    pq.write_table(pa.table({**attributes, "price": [*items, 1, 1]}), path / "items.parquet")
    return path


def test_items_of_a_folder_are_in_the_lists_without_training(config: Path, modalweave: Run, tmp_path: Path) -> None:
    assert modalweave("build", config).code == 0
    assert modalweave("train", config).code == 0
    new, out = folder_of(tmp_path / "new", list(range(8))), tmp_path / "lists"
    command = ("score", config, "--out", out, "--new-items", new, "--top-k", 10, "--titles", "--overwrite")
    done = modalweave(*command)
    assert done.code == 0
    assert "1 new items have no media like those of known ones and are in no list: 'bare'" in done.err
    late = [row for row in pq.read_table(out).to_pylist() if row["item_id"].startswith("late")]
    assert {row["source"] for row in late} == {"content"} and late[0]["title"] == f"Late {late[0]['item_id'][4:]}"
    first = (out / "part-00000.parquet").read_bytes()
    assert modalweave(*command, "--workers", 2, "--shard-size", 20).code == 0
    parts = [pq.read_table(out / f"part-0000{n}.parquet") for n in (0, 1)]
    assert pa.concat_tables(parts).equals(pq.read_table(pa.BufferReader(first)))

    assert modalweave(*command, "--where", "price > 0 and price < 5 and title <> 'Old'").code == 0
    lists = pq.read_table(out).to_pylist()
    assert {row["item_id"] for row in lists} == {f"late{n}" for n in range(1, 5)}
    best = {row["user_id"]: row["item_id"] for row in lists if row["rank"] == 1}
    assert np.mean([int(item[4:]) % TASTES == int(user[1:]) % TASTES for user, item in best.items()]) > 0.9

    assert modalweave("similar", config, "--out", tmp_path / "alike", "--new-items", new, "--top-k", 3).code == 0
    alike = pq.read_table(tmp_path / "alike").to_pylist()
    same = [
        int(r["similar_item_id"].strip("ilate")) % TASTES == int(r["item_id"][4:]) % TASTES
        for r in alike
        if r["item_id"].startswith("late")
    ]
    assert len(same) == 24 and np.mean(same) > 0.9

    assert modalweave("export", config, "--to", "parquet", "--out", tmp_path / "v", "--new-items", new).code == 0
    vectors = pq.read_table(tmp_path / "v" / "items.parquet")
    assert "late0" in vectors["item_id"].to_pylist()


def test_a_folder_of_new_items_that_cannot_be_one_is_refused(config: Path, modalweave: Run, tmp_path: Path) -> None:
    assert modalweave("build", config).code == 0
    assert modalweave("train", config).code == 0
    score = ("score", config, "--out", tmp_path / "lists", "--new-items")
    for folder, why in ((tmp_path / "none", "no such folder"), (config.parent / "data", "the model knows all")):
        failed = modalweave(*score, folder)
        assert failed.code == 1 and why in failed.err and failed.err.count("\n") <= 4
    failed = modalweave(*score, folder_of(tmp_path / "new", [1]), "--write-back", f"ladybug:{tmp_path / 'g'}")
    assert failed.code == 1 and "build them first" in failed.err
