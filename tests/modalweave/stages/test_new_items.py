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
