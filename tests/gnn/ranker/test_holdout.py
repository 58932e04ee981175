"""What is held back: a share, nobody's last one, never validation, by time where validation is."""

from copy import copy

import numpy as np
import torch
from torch_geometric.data import HeteroData

from gnn.matrices import held_out, interactions
from gnn.ranker.holdout import held_back
from gnn.testing import bare_graph

INTERACTED = ("User", "INTERACTED", "Item")


def test_what_is_held_back_and_what_is_left_are_train(graph: HeteroData) -> None:
    less, positives = held_back(graph, 0.15, seed=0)
    whole, left = interactions(graph), interactions(less)
    assert (left + positives - whole).nnz == 0
    assert left.multiply(positives).nnz == 0
    assert positives.nnz == round(0.15 * whole.nnz)
    assert positives.multiply(held_out(graph, "valid") + held_out(graph, "test")).nnz == 0
    for name in ("weight", "timestamp"):
        assert len(less[INTERACTED][name]) == left.nnz


def test_nothing_is_left_to_choose_on(graph: HeteroData) -> None:
    less, _ = held_back(graph, 0.15, seed=0)
    for split in ("valid", "test"):
        assert less[INTERACTED][f"{split}_label_index"].shape == (2, 0)
    assert graph[INTERACTED].valid_label_index.shape[1] > 0, "the graph itself is as it was"


def test_everybody_keeps_one() -> None:
    data = bare_graph(4, 6, [(0, 0), (1, 0), (1, 1), (2, 2), (2, 3), (2, 4)], [(0, 5)])
    less, positives = held_back(data, 0.9, seed=0)
    assert interactions(less).getnnz(axis=1).tolist() == [1, 1, 1, 0]
    assert positives.getnnz(axis=1).tolist() == [0, 1, 2, 0]


def test_the_seed_decides(graph: HeteroData) -> None:
    first, again, other = (held_back(graph, 0.15, seed=seed)[1] for seed in (0, 0, 1))
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0


def test_the_newest_where_validation_is_newer(graph: HeteroData) -> None:
    timed = copy(graph)
    edges = timed[INTERACTED]
    edges.valid_label_timestamp = torch.full((edges.valid_label_index.shape[1],), int(edges.timestamp.max()) + 9)
    less, positives = held_back(timed, 0.15, seed=0)
    assert less[INTERACTED].timestamp.max() <= np.quantile(edges.timestamp.numpy(), 0.9)
    assert positives.nnz == round(0.15 * interactions(graph).nnz)


def test_what_was_not_liked_is_never_learned_as_liked(graph: HeteroData) -> None:
    disliked = copy(graph)
    edges = disliked[INTERACTED]
    edges.weight = torch.where(torch.arange(len(edges.weight)) % 2 == 0, 1.0, -1.0)
    _, positives = held_back(disliked, 0.5, seed=0)
    assert (interactions(disliked) - positives).min() >= 0
