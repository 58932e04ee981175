"""What a bundle masks, what its scores are made of, and who gets what is popular."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.errors import BundleError
from gnn.matrices import interactions, known_pairs
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.contributions import decompose
from gnn.scorers.served import ServedScorer
from gnn.testing import bare_graph

HISTORY = sp.csr_matrix(np.array([[0, 1, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32))
"""Of three items the last is the most popular; user 1 has none."""
SEEN = sp.csr_matrix(np.array([[1, 1, 1], [0, 1, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32))
"""Held-out pairs as well."""
DOT = DotScorer(torch.tensor([[1.0], [9.0], [2.0], [3.0]]), torch.tensor([[3.0], [2.0], [1.0]]))
WEIGHTS = torch.tensor([[0.0, 1, 2], [3, 0, 4], [5, 6, 0]])
SUM = SumScorer([DOT, ItemItemScorer(HISTORY, WEIGHTS)], [0.5, 0.5])
IDS = {"user_ids": list("abcd"), "item_ids": list("xyz")}


def test_every_split_and_what_was_not_liked_is_known() -> None:
    data = bare_graph(3, 4, [(0, 0), (1, 1)], [(0, 1)], [(2, 3)])
    data["User", "INTERACTED", "Item"].not_liked_label_index = torch.tensor([[1, 0], [2, 0]])
    found = known_pairs(data)
    assert sorted(zip(*found.nonzero(), strict=True)) == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]
    assert set(found.data) == {1.0}
    assert interactions(data).nnz == 2


@pytest.mark.parametrize("scorer", [DOT, ItemItemScorer(HISTORY, WEIGHTS), SUM], ids=["dot", "item_item", "sum"])
def test_strangers_get_what_is_popular_from_every_scorer(scorer: Scorer) -> None:
    served = ServedScorer(scorer, HISTORY)
    found = served.scores(torch.arange(4))
    assert torch.allclose(found[1], torch.tensor([0.0, 1 / 3, 1.0]))
    others = torch.tensor([0, 2, 3])
    assert torch.equal(found[others], scorer.scores(others))
    assert served.sources(np.array([2, 1, 1])) == ["model", "popularity", "popularity"]


def test_the_explanation_of_a_stranger_is_popularity_alone() -> None:
    found = decompose(ServedScorer(SUM, HISTORY), 1, 2, HISTORY)
    assert (found.score, found.contributions, dict(found.rest)) == (1.0, (), {"popularity": 1.0})
    assert decompose(ServedScorer(DOT, HISTORY), 0, 1, HISTORY) == decompose(DOT, 0, 1, HISTORY)


@pytest.mark.parametrize("scorer", [DOT, ItemItemScorer(HISTORY, WEIGHTS), SUM], ids=["dot", "item_item", "sum"])
def test_a_bundle_keeps_what_it_masks_apart_from_what_it_learned(tmp_path: Path, scorer: Scorer) -> None:
    save_bundle(tmp_path / "bundle", scorer, **IDS, seen=SEEN, history=HISTORY, manifest={"model": "test"})
    told = export_bundle(tmp_path / "bundle", tmp_path / "out", onnx=True)
    assert told["agreement"]["onnx"]["max_error_in_deviations"] < 1e-4
    for folder in ("bundle", "out"):
        bundle = load_bundle(tmp_path / folder)
        assert (bundle.seen != SEEN).nnz == 0
        assert (bundle.history != HISTORY).nnz == 0
        assert bundle.served.scores(torch.tensor([1]))[0].argsort(descending=True).tolist() == [2, 1, 0]


def test_a_history_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="must be equal"):
        save_bundle(tmp_path / "bundle", DOT, **IDS, seen=SEEN, history=HISTORY[:2], manifest={"model": "test"})


def test_without_a_history_of_its_own_what_it_masks_is_that(tmp_path: Path) -> None:
    given = save_bundle(tmp_path / "one", DOT, **IDS, seen=SEEN, history=SEEN, manifest={"model": "test"})
    assert given == save_bundle(tmp_path / "two", DOT, **IDS, seen=SEEN, manifest={"model": "test"})
    assert (load_bundle(tmp_path / "two").history != SEEN).nnz == 0
