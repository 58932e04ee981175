"""People whom a model never met, and those it met whose history grew: each kind of model takes them in."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.tensors import terms_to_tensors
from gnn.config import GNNConfig
from gnn.fold_in import fold_in
from gnn.matrices import interactions
from gnn.registry import make_recommender
from gnn.scorers.base import DotScorer, Scorer
from gnn.scorers.one_dot import one_dot
from gnn.testing import tiny_graph

MODELS: dict[str, dict[str, Any]] = {
    "ease": {"model": "ease", "ease": {"regularisation": 5.0}},
    "low rank": {"model": "ease", "ease": {"regularisation": 5.0, "dense_limit": 3, "rank": 12}},
    "filter": {"model": "graph_filter", "graph_filter": {"parameters": {}}},
    "popularity": {"model": "popularity"},
    "softmax": {"model": "hetero", "embedding_dim": 8, "epochs": 2},
    "bpr": {"model": "hetero", "embedding_dim": 8, "epochs": 2, "loss": "bpr", "fusion": "feature"},
    "sum": {
        "model": "ensemble",
        "embedding_dim": 8,
        "epochs": 1,
        "ensemble": {"parts": [{"model": "hetero"}, {"model": "item_knn"}, {"model": "popularity"}]},
    },
    "ranked": {"model": "ranked", "ranked": {"retriever": "item_knn", "candidates": 10, "negatives": 5}},
}
EXACT_FOR_ALL = {"ease", "low rank", "filter", "popularity"}
"""Models that know nothing of a person beside the history."""
DATA = tiny_graph()
HISTORY = interactions(DATA)
SOME = np.flatnonzero(HISTORY.getnnz(axis=1))[:7]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> tuple[str, Scorer]:
    return request.param, make_recommender(GNNConfig.model_validate(MODELS[request.param])).fit(DATA, seed=3)


def scores(scorer: Scorer) -> np.ndarray:
    return scorer.scores(torch.arange(scorer.num_users)).numpy()


def test_who_is_known_has_the_scores_of_the_trained_model(model: tuple[str, Scorer]) -> None:
    _, scorer = model
    found = fold_in(scorer, HISTORY[SOME], SOME, HISTORY)
    assert (found.kind, found.num_users, found.num_items) == (scorer.kind, len(SOME), scorer.num_items)
    assert scores(found) == pytest.approx(scorer.scores(torch.from_numpy(SOME)).numpy(), abs=1e-5)


def test_a_stranger_with_the_same_history_has_them_where_nothing_else_is_learned(model: tuple[str, Scorer]) -> None:
    name, scorer = model
    found = scores(fold_in(scorer, HISTORY[SOME], np.full(len(SOME), -1), HISTORY))
    assert np.isfinite(found).all()
    trained = scorer.scores(torch.from_numpy(SOME)).numpy()
    if name in EXACT_FOR_ALL:
        assert found == pytest.approx(trained, abs=1e-4)
    elif name != "ranked":
        alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, trained, strict=True)]
        assert np.mean(alike) > 0.5, "what was chosen says most of what was learned"


def test_a_history_that_grew_changes_its_own_person_alone(model: tuple[str, Scorer]) -> None:
    name, scorer = model
    grown = HISTORY[SOME].tolil()
    new = int(np.flatnonzero(grown[0].toarray()[0] == 0)[0])
    grown[0, new] = 1
    before, after = (scores(fold_in(scorer, rows, SOME, HISTORY)) for rows in (HISTORY[SOME], sp.csr_matrix(grown)))
    assert after[1:] == pytest.approx(before[1:], abs=1e-5)
    assert (name == "popularity") == bool(np.allclose(after[0], before[0], atol=1e-5))


def test_vectors_that_say_nothing_of_their_sum_are_mapped() -> None:
    """One dot product of a sum has no terms: the map from histories finds vectors that rank much alike."""
    trained = make_recommender(GNNConfig.model_validate(MODELS["ease"])).fit(DATA, seed=3)
    short = one_dot(trained, max_dimensions=16, seed=0)
    assert isinstance(short, DotScorer) and not terms_to_tensors(short)
    found = scores(fold_in(short, HISTORY[SOME], np.full(len(SOME), -1), HISTORY))
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, scores(short)[SOME], strict=True)]
    assert np.mean(alike) > 0.7
