"""A catalogue that has grown: means of what an item is like."""

import numpy as np
import scipy.sparse as sp
import torch

from gnn.scorers.base import DotScorer, ItemItemScorer
from gnn.scorers.extended import ExtendedScorer
from gnn.scorers.likeness import has_alike, likeness
from gnn.scorers.one_dot import one_dot

LIKE = sp.csr_matrix(np.array([[3, 0], [1, 0], [0, 2]], dtype=np.float32))
"""Of three items the first added is like 0 (three times as much) and 1, the second like 2."""
VECTORS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_an_item_added_has_the_mean_of_what_it_is_like_and_the_others_keep_theirs() -> None:
    users = torch.tensor([[4.0, 8.0], [1.0, 0.0]])
    grown = ExtendedScorer(DotScorer(users, VECTORS), LIKE)
    expected = torch.tensor([[4.0, 8.0, 12.0, 0.75 * 4 + 0.25 * 8, 12.0], [1.0, 0.0, 1.0, 0.75, 1.0]])
    assert torch.equal(grown.scores(torch.tensor([0, 1])), expected)
    assert torch.equal(grown.scores(torch.tensor([1])), expected[1:])
    as_vectors = one_dot(grown, max_dimensions=2, seed=0)
    assert torch.allclose(as_vectors.scores(torch.tensor([0, 1])), expected)


def test_it_is_alike_as_the_items_are_that_it_resembles() -> None:
    weights = np.array([[0, 5, 0], [5, 0, 1], [0, 1, 0]], dtype=np.float32)
    history = sp.csr_matrix(np.eye(3, dtype=np.float32))
    for kept in (torch.from_numpy(weights), sp.csr_matrix(weights)):
        alike = likeness(ExtendedScorer(ItemItemScorer(history, kept), LIKE))
        mixed = 0.75 * weights[0] + 0.25 * weights[1]
        row = [*mixed, 0.75 * mixed[0] + 0.25 * mixed[1], mixed[2]]
        assert np.allclose(alike.scores(torch.tensor([3, 1]))[0], row)
        assert has_alike(alike).tolist() == [True] * 5
