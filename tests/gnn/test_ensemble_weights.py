"""How parts are weighed and what an ensemble fits, with parts that are simple enough to know the answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn import ensemble, ensemble_weights
from gnn.components import Recommender
from gnn.config import EnsembleConfig, GNNConfig, PartConfig
from gnn.decision_fusion import DecisionFusion
from gnn.ensemble import Ensemble, FittedPart, chosen_ensemble
from gnn.ensemble_weights import GRID, fit_weights, weighted_sum
from gnn.matrices import interactions
from gnn.registry import RECOMMENDERS
from gnn.scorers.base import DotScorer, SumScorer
from gnn.testing import tiny_graph
from gnn.validation import Validation

Row = tuple[str, int]


def dot(scores: np.ndarray) -> DotScorer:
    return DotScorer(torch.from_numpy(scores.astype(np.float32)), torch.eye(scores.shape[1]))


def validation(positives: np.ndarray) -> Validation:
    users = torch.from_numpy(np.flatnonzero(positives.sum(axis=1)))
    seen = sp.csr_matrix(positives.shape, dtype=np.float32)
    return Validation(users, sp.csr_matrix(positives.astype(np.float32)), seen)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 3))
def test_the_sum_is_never_worse_than_its_best_part(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    positives = (rng.random((12, 40)) < 0.08).astype(float)
    positives[0, 0] = 1
    scorers = [dot(positives * rng.random() + rng.random((12, 40))) for _ in range(parts)]
    judge = validation(positives)
    weights, quality = fit_weights(scorers, judge)
    assert quality >= max(judge.quality(scorer) for scorer in scorers) - 1e-12
    assert judge.quality(weighted_sum(scorers, weights)) == pytest.approx(quality)
    assert sum(weights) == pytest.approx(1)
    # each is one of the grid's, relative to the best part's 1
    relative = np.array(weights)[:, None] / np.array([w for w in weights if w])
    assert any(all(np.isclose(list(GRID), w).any() for w in column) for column in relative.T)


def test_two_that_are_the_same_are_one() -> None:
    positives = np.eye(6, 40)
    scorer = dot(positives)
    assert sorted(fit_weights([scorer, scorer], validation(positives))[0]) == [0.0, 1.0]


def test_seen_items_do_not_count() -> None:
    positives = np.zeros((1, 30))
    positives[0, 25] = 1
    known = np.zeros((1, 30), dtype=np.float32)
    known[0, :24] = 1
    judge = Validation(torch.tensor([0]), sp.csr_matrix(positives.astype(np.float32)), sp.csr_matrix(known))
    # rank 26 of all, 2 of those that are left
    _, quality = fit_weights([dot(np.arange(30, 0, -1.0)[None])], judge)
    assert quality == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_more_users_than_fit_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    users = torch.arange(100, 200)
    assert torch.equal(ensemble_weights._affordable(users, 10), users)
    monkeypatch.setattr(ensemble_weights, "_CACHE_CELLS", 50)
    assert ensemble_weights._affordable(users, 10).tolist() == [100, 124, 149, 174, 199]
    assert ensemble_weights._affordable(users, 1000).tolist() == [100]


def test_a_sum_leaves_out_what_weighs_nothing() -> None:
    parts = [dot(np.eye(3) * n) for n in (1, 2, 3)]
    found = weighted_sum(parts, [0.5, 0.0, 0.5], "rank")
    assert isinstance(found, SumScorer)
    assert (found.parts, found.weights, found.normalise) == ([parts[0], parts[2]], [0.5, 0.5], "rank")


FITTED: list[Row] = []


class Counted(Recommender[Any]):
    """Popularity that notes its name and seed."""

    name = ""

    def fit(self, data: Any, *, seed: int, progress: Any = None) -> DotScorer:
        FITTED.append((self.name, seed))
        return dot(np.random.default_rng((len(self.name), seed)).random((40, 30)))


@pytest.fixture
def counted() -> Iterator[list[Row]]:
    FITTED.clear()
    for name in ("one", "two_", "three"):
        RECOMMENDERS.register(name, type(name, (Counted,), {"name": name}))
    yield FITTED
    for name in ("one", "two_", "three"):
        RECOMMENDERS.unregister(name)


def parts(*names: str, offset: int = 0) -> tuple[PartConfig, ...]:
    return tuple(PartConfig(model=name, seed_offset=offset) for name in names)


def test_a_part_of_weight_zero_is_not_fitted(counted: list[Row]) -> None:
    recommender = Ensemble(EnsembleConfig(parts=parts("one", "two_", "three"), weights=(0.25, 0.0, 1.0)))
    scorer = recommender.fit(tiny_graph(), seed=4)
    assert counted == [("one", 4), ("three", 4)]
    assert [part.model for part in recommender.resolved().parts] == ["one", "three"]
    assert recommender.resolved().weights == (0.25, 1.0)
    assert isinstance(scorer, SumScorer)
    assert list(scorer.weights) == [0.25, 1.0]


def test_each_part_has_its_own_seed(counted: list[Row]) -> None:
    config = EnsembleConfig(parts=(*parts("one"), *parts("one", offset=3)), weights=(1, 1))
    Ensemble(config).fit(tiny_graph(), seed=10)
    assert counted == [("one", 10), ("one", 13)]


def test_every_fit_is_a_step(counted: list[Row]) -> None:
    heard: list[tuple[int, int]] = []
    config = EnsembleConfig(parts=parts("one", "two_", "three"))
    Ensemble(config).fit(tiny_graph(), seed=0, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_one_part_alone_is_handed_on_as_it_is(counted: list[Row]) -> None:
    assert isinstance(Ensemble(EnsembleConfig(parts=parts("one"))).fit(tiny_graph(), seed=0), DotScorer)


def test_chosen_weights_are_written_to_six_digits_without_those_of_zero() -> None:
    found = chosen_ensemble(parts("ease", "popularity", "item_knn"), [2 / 3, 0.0, 1 / 3], EnsembleConfig())
    assert [part.model for part in found.parts] == ["ease", "item_knn"]
    assert found.weights == (0.666667, 0.333333)


def test_decision_fusion_has_no_network_for_a_modality_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[tuple[str, ...]] = []

    def fit(part: PartConfig, *_: Any, seed: int, **__: Any) -> FittedPart:
        assert part.settings.fusion == "joint", "each network has one modality to fuse"
        fitted.append(part.settings.modalities)
        scores = np.random.default_rng(len(fitted)).random((40, 30))
        return FittedPart(part, dot(scores))

    monkeypatch.setattr(ensemble, "fit_part", fit)
    recommender = DecisionFusion(GNNConfig.model_validate({"fusion": "decision", "embedding_dim": 4}))
    recommender.fit(tiny_graph(), seed=0)
    assert fitted == [(), ("text",), ("image",)], "behaviour first; nothing has a sound"
    chosen = recommender.resolved()
    assert chosen.model == "ensemble"
    assert {part.settings.embedding_dim for part in chosen.ensemble.parts} == {4}


def test_held_out_pairs_of_the_history_are_masked_while_weights_are_chosen() -> None:
    judge = Validation.of(tiny_graph(), seed=0)
    known = dot(interactions(tiny_graph()).toarray() * 100.0)
    wanted = dot(judge.positives.toarray())
    weights, quality = fit_weights([known, wanted], judge, False)
    assert quality == pytest.approx(1.0)
    assert weights[1] > 0
