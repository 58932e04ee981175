"""An approximate index: most of the exact lists, never what is seen, and its recall told."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import save_bundle
from gnn.scorers.base import DotScorer, SumScorer
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job, run_similar
from scoring.restrictions import Restrictions

USERS, ITEMS, DIM = 60, 12_000, 8


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first user has seen 300 items, the last one nothing."""
    rng = np.random.default_rng(0)
    users, items = (torch.from_numpy(rng.normal(size=(n, DIM)).astype(np.float32)) for n in (USERS, ITEMS))
    seen = np.zeros((USERS, ITEMS), dtype=np.float32)
    best = (users @ items.T).topk(5, dim=1).indices.numpy()
    np.put_along_axis(seen, best, 1, axis=1)
    seen[0, :300], seen[-1] = 1, 0
    folder = tmp_path_factory.mktemp("index") / "bundle"
    ids = {"user_ids": [f"u{n}" for n in range(USERS)], "item_ids": [f"i{n}" for n in range(ITEMS)]}
    save_bundle(folder, DotScorer(users, items), **ids, seen=sp.csr_matrix(seen), manifest={"model": "dot"})
    return folder


def lists(out: Path) -> dict[str, list[str]]:
    table = pl.read_parquet(out / "part-*.parquet").sort("rank")
    first, second = table.columns[:2]
    return {name: own[second].to_list() for (name,), own in table.group_by(first)}


@pytest.mark.parametrize("kind", ["hnsw", "ivf_pq"])
def test_most_of_the_exact_lists_is_found_and_told(bundle: Path, tmp_path: Path, kind: str) -> None:
    exact, found = (tmp_path / name for name in ("exact", "found"))
    run_job(bundle, exact, ScoringConfig(top_k=10))
    options = ScoringConfig.model_validate({"top_k": 10, "index": kind, "shard_size": 25})
    manifest = run_job(bundle, found, options)
    expected, got = lists(exact), lists(found)
    same = np.mean([len(set(expected[user]) & set(got[user])) / 10 for user in expected])
    assert manifest["options"]["index"] == kind
    assert manifest["options"]["index_recall"] == round(float(same), 4) > 0.9
    assert all(len(items) == 10 for items in got.values())
    assert got["u0"] == expected["u0"] and got[f"u{USERS - 1}"] == expected[f"u{USERS - 1}"]
    parts = {path.name: path.read_bytes() for path in found.glob("part-*")}
    run_job(bundle, tmp_path / "again", options)
    assert parts == {path.name: path.read_bytes() for path in (tmp_path / "again").glob("part-*")}


def test_similar_items(bundle: Path, tmp_path: Path) -> None:
    manifest = run_similar(bundle, tmp_path / "alike", ScoringConfig(top_k=3, index="hnsw"))
    assert manifest["options"]["index_recall"] > 0.9
    got = lists(tmp_path / "alike")
    assert len(got) == ITEMS and all(name not in items for name, items in got.items())


def test_what_no_index_can_do_is_refused(bundle: Path, tmp_path: Path) -> None:
    options = ScoringConfig(index="hnsw")
    with pytest.raises(ScoringError, match="leave it out under restrictions"):
        run_job(bundle, tmp_path / "a", options, restrictions=Restrictions(exclude=["i1"]))
    ids = {"user_ids": ["u"], "item_ids": ["i"]}
    dot = DotScorer(torch.ones(1, 2), torch.ones(1, 2))
    for scorer, why in ((dot, "1 items are ranked exactly"), (SumScorer([dot], [1.0]), "no single dot product")):
        save_bundle(
            tmp_path / "b", scorer, **ids, seen=sp.csr_matrix((1, 1), dtype=np.float32), manifest={"model": "x"}
        )
        with pytest.raises(ScoringError, match=why):
            run_job(tmp_path / "b", tmp_path / "c", options)
