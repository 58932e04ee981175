"""A catalogue of one item: no deviation to divide by, and yet a score that can be explained, cut and exported."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.scorers.base import DotScorer, ItemItemScorer, Normalisation, SumScorer, deviations
from gnn.scorers.contributions import decompose
from gnn.scorers.one_dot import one_dot
from gnn.scorers.ranking import top_items

HISTORY = sp.csr_matrix(np.array([[1], [0]], dtype=np.float32))
DOT = DotScorer(torch.tensor([[0.5], [2.0]]), torch.tensor([[1.0]]))
PARTS = [DOT, ItemItemScorer(HISTORY, torch.tensor([[3.0]]))]
EVERYONE = torch.arange(2)


@pytest.mark.parametrize("normalise", [True, False, "rank"])
def test_it_has_a_score_and_an_explanation(normalise: Normalisation) -> None:
    scorer = SumScorer(PARTS, [0.5, 0.5], normalise)
    scores = scorer.scores(EVERYONE)
    assert torch.isfinite(scores).all()
    items, _ = top_items(scorer, EVERYONE, sp.csr_matrix((2, 1)), 2)
    assert items.tolist() == [[0, -1], [0, -1]]
    found = decompose(scorer, 0, 0, HISTORY)
    assert sum(c.value for c in found.contributions) + sum(found.rest.values()) == pytest.approx(float(scores[0, 0]))
    assert torch.isfinite(one_dot(scorer, max_dimensions=1, seed=0).scores(EVERYONE)).all()


def test_it_is_saved_and_exported(tmp_path: Path) -> None:
    ids = {"user_ids": ["a", "b"], "item_ids": ["x"]}
    seen = sp.csr_matrix((2, 1), dtype=np.float32)
    scorer = SumScorer(PARTS, [0.5, 0.5])
    save_bundle(tmp_path / "b", scorer, **ids, seen=seen, history=HISTORY, manifest={"model": "x"})
    told = export_bundle(tmp_path / "b", tmp_path / "out", onnx=True)
    assert {way["max_error_in_deviations"] for way in told["agreement"].values()} == {0.0}
    assert torch.equal(load_bundle(tmp_path / "out").scorer.scores(EVERYONE), scorer.scores(EVERYONE))


def test_of_more_items_it_is_the_sample_deviation() -> None:
    scores = torch.tensor([[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]])
    assert deviations(scores)[0] == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert 0 < deviations(scores)[1] <= 1e-12
