"""Lists of unlike items, against maximal marginal relevance written out for one user."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gnn.bundle.bundle import load_bundle
from gnn.errors import GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, SumScorer
from gnn.scorers.ranking import top_items
from scoring.config import ScoringConfig
from scoring.diversity import POOL, diversified, item_vectors
from scoring.errors import ScoringError
from scoring.job import run_job
from scoring.restrictions import Restrictions
from tests.scoring.test_restrictions import lists


def by_hand(items: list[int], scores: list[float], vectors: np.ndarray, share: float, k: int) -> list[int]:
    pool = {
        item: (score - min(scores)) / (max(scores) - min(scores)) for item, score in zip(items, scores, strict=True)
    }
    chosen: list[int] = []
    while pool and len(chosen) < k:
        alike = {item: max((float(vectors[item] @ vectors[c]) for c in chosen), default=0.0) for item in pool}
        chosen.append(max(pool, key=lambda item: round((1 - share) * pool[item] - share * alike[item], 9)))
        del pool[chosen[-1]]
    return chosen


def test_each_place_goes_to_what_is_best_and_unlike_those_above() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = np.stack([rng.permutation(30)[:12] for _ in range(300)])
    scores = np.sort(rng.normal(size=items.shape), axis=1)[:, ::-1].astype(np.float32).copy()
    found, values = diversified(items, scores, torch.from_numpy(vectors), 0.4, 5)
    for row in range(len(items)):
        assert found[row].tolist() == by_hand(items[row].tolist(), scores[row].tolist(), vectors, 0.4, 5)
        assert values[row].tolist() == [scores[row][items[row].tolist().index(item)] for item in found[row]]
    assert diversified(items, scores, torch.from_numpy(vectors), 0.0, 5)[0].tolist() == items[:, :5].tolist()


def test_short_pools_stay_short() -> None:
    items, scores = np.array([[4, 2, -1, -1]]), np.array([[2.0, 1.0, -np.inf, -np.inf]], dtype=np.float32)
    found, values = diversified(items, scores, torch.eye(5), 0.9, 6)
    assert found.tolist() == [[4, 2, -1, -1, -1, -1]]
    assert np.isneginf(values[0, 2:]).all()


def test_a_job_chooses_from_five_times_as_many(bundle: Path, tmp_path: Path) -> None:
    options = ScoringConfig(top_k=4, shard_size=20, diversity=0.5)
    run_job(bundle, tmp_path / "out", options, restrictions=Restrictions(exclude=["电影-3"]))
    known, found = load_bundle(bundle), lists(tmp_path / "out")
    assert "电影-3" not in found["item_id"]
    run_job(bundle, tmp_path / "all", options)
    items, scores = top_items(known.served, torch.tensor([9]), known.seen, 4 * POOL)
    wanted, _ = diversified(items, scores, item_vectors(known.scorer), 0.5, 4)
    mine = lists(tmp_path / "all").filter(pl.col("user_id") == "u9")
    assert mine["item_id"].to_list() == [known.item_ids[item] for item in wanted[0]]
    with pytest.raises(ScoringError, match="holds a job with options"):
        run_job(bundle, tmp_path / "all", options.model_copy(update={"diversity": 0.6}))


def test_what_it_needs(bundle: Path, tmp_path: Path) -> None:
    pairs = Restrictions(pairs=pl.DataFrame({"user_id": ["u1"], "item_id": ["电影-1"]}))
    with pytest.raises(ScoringError, match="chooses from whole lists"):
        run_job(bundle, tmp_path / "out", ScoringConfig(diversity=0.5), restrictions=pairs)
    weights = ItemItemScorer(load_bundle(bundle).history, torch.ones(40, 40))
    with pytest.raises(GnnError, match="has no item vectors; tell items apart by text, image or audio"):
        item_vectors(weights)
    popular = DotScorer(torch.ones(2, 1), torch.ones(40, 1))
    own = DotScorer(torch.ones(2, 2), torch.tensor([[3.0, 4.0]]).expand(40, 2))
    assert item_vectors(SumScorer([weights, popular, own], [1, 1, 1]))[0].tolist() == pytest.approx([0.6, 0.8])
