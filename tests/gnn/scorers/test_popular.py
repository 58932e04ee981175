"""A user without a history gets what is popular: in every form a scorer takes, and wherever it goes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.closed_form.config import EASEConfig
from gnn.closed_form.ease import EASE
from gnn.closed_form.graph_filter import GraphFilter
from gnn.closed_form.item_knn import ItemKNN
from gnn.components import Recommender
from gnn.matrices import interactions
from gnn.scorers.base import ItemItemScorer, SumScorer
from gnn.scorers.contributions import decompose
from gnn.scorers.one_dot import one_dot
from gnn.scorers.popular import popular_vector, popularity
from gnn.testing import STRANGERS, tiny_graph

HISTORY = sp.csr_matrix(np.array([[0, 1, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32))
"""Of three items the last is the most popular; user 1 has none."""
CUT = EASEConfig(regularisation=5.0, dense_limit=1)
WEIGHTS = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]], dtype=np.float32)


@pytest.mark.parametrize("weights", [torch.from_numpy(WEIGHTS), sp.csr_matrix(WEIGHTS)], ids=["dense", "sparse"])
def test_popularity_by_hand_beside_users_who_have_a_history(weights: torch.Tensor | sp.csr_matrix) -> None:
    found = ItemItemScorer(HISTORY, weights).scores(torch.tensor([0, 1, 2]))
    expected = [[8.0, 6.0, 4.0], [0.0, 1 / 3, 1.0], [5.0, 6.0, 0.0]]
    assert torch.allclose(found, torch.tensor(expected))


def test_nobody_has_anything() -> None:
    empty = ItemItemScorer(sp.csr_matrix((2, 3), dtype=np.float32), torch.from_numpy(WEIGHTS))
    assert empty.scores(torch.arange(2)).tolist() == [[0.0] * 3] * 2


def test_the_explanation_is_popularity() -> None:
    found = decompose(ItemItemScorer(HISTORY, torch.from_numpy(WEIGHTS)), 1, 2, HISTORY)
    assert (found.score, found.contributions, dict(found.rest)) == (1.0, (), {"popularity": 1.0})


@pytest.mark.parametrize("kind", [EASE, ItemKNN, GraphFilter, lambda: EASE(CUT)], ids=["ease", "knn", "filter", "cut"])
def test_every_closed_form_ranks_strangers_by_popularity(kind: Callable[[], Recommender[Any]]) -> None:
    counts = np.asarray(interactions(tiny_graph()).sum(axis=0)).ravel()
    scores = kind().fit(tiny_graph(), seed=0).scores(torch.tensor(STRANGERS)).numpy()
    for row in scores:
        assert np.corrcoef(row, counts)[0, 1] > 0.999
        assert np.all(np.diff(counts[np.argsort(-row.round(5), kind="stable")]) <= 0)


def test_the_nearest_vector_to_popularity_is_exact_where_there_is_room() -> None:
    vectors = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(vectors @ popular_vector(vectors, HISTORY), popularity(HISTORY), atol=1e-5)


def test_as_one_dot_product_a_stranger_still_gets_it() -> None:
    scorer = ItemKNN().fit(tiny_graph(), seed=0)
    strangers = torch.tensor(STRANGERS)
    for whole in (scorer, SumScorer([scorer, scorer], [0.5, 0.5])):
        found = one_dot(whole, max_dimensions=30, seed=0).scores(strangers)
        assert torch.equal(found.topk(5).indices.sort().values, scorer.scores(strangers).topk(5).indices.sort().values)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_it_goes_with_the_bundle_and_into_onnx(tmp_path, precision: str) -> None:
    dense, sparse = (
        ItemItemScorer(HISTORY, weights) for weights in (torch.from_numpy(WEIGHTS), sp.csr_matrix(WEIGHTS))
    )
    scorer = SumScorer([dense, sparse], [1.0, 1.0])
    ids = {"user_ids": list("abcd"), "item_ids": list("xyz")}
    save_bundle(tmp_path / "bundle", scorer, **ids, seen=HISTORY, manifest={"model": "test"})
    told = export_bundle(tmp_path / "bundle", tmp_path / "out", onnx=True, precision=precision)
    for way in ("bundle", "onnx"):
        assert told["agreement"][way]["max_error_in_deviations"] < 0.02
    found = load_bundle(tmp_path / "out").scorer.scores(torch.tensor([1]))[0]
    assert found.argsort(descending=True).tolist() == [2, 1, 0]
