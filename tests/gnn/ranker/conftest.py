"""A graph with every kind of evidence, a retriever over it and what was learned."""

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.closed_form.ease import EASE
from gnn.closed_form.item_knn import ItemKNN
from gnn.ranker.config import SecondStageConfig, TreesConfig
from gnn.ranker.holdout import held_back
from gnn.ranker.learning import Held, Learned, learn
from gnn.scorers.base import SumScorer
from gnn.testing import add_media, bare_graph

USERS, ITEMS = 60, 40


@pytest.fixture(scope="session")
def graph() -> HeteroData:
    """Tastes that pictures and makers follow, timestamps, friends; the last item is new, the last user a stranger."""
    rng = np.random.default_rng(2)
    taste = np.arange(ITEMS) % 4
    train, valid, test = [], [], []
    for user in range(USERS - 1):
        own = np.where(taste == user % 4, 6.0, 1.0)
        own[-1] = 0
        liked = rng.choice(ITEMS, 10, replace=False, p=own / own.sum())
        train += [(user, int(item)) for item in liked[:8]]
        valid.append((user, int(liked[8])))
        test.append((user, int(liked[9])))
    data = bare_graph(USERS, ITEMS, train, valid, test)
    edges = data["User", "INTERACTED", "Item"]
    edges.timestamp = torch.from_numpy(rng.integers(1_600_000_000, 1_610_000_000, edges.edge_index.shape[1]))
    centres = rng.normal(size=(4, 6))
    add_media(data, "Image", centres[taste] + 0.5 * rng.normal(size=(ITEMS, 6)), neighbours=4)
    add_media(data, "Text", rng.normal(size=(ITEMS, 3)), neighbours=3)
    data["Entity"].num_nodes = 14
    data.relations = ["made_by", "part_of"]
    related = data["Item", "RELATED", "Entity"]
    related.edge_index = torch.from_numpy(np.stack([np.tile(np.arange(ITEMS), 2), np.r_[taste, 4 + taste // 2]]))
    related.relation = torch.tensor([0] * ITEMS + [1] * ITEMS)
    colours = rng.integers(0, 3, ITEMS)
    data.attributes = {"colour": torch.from_numpy(np.where(np.arange(ITEMS) % 5 == 0, -1, colours))}
    follows = [(user, (user + 4) % (USERS - 1)) for user in range(USERS - 1)]
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor(follows).T.contiguous()
    return data


SMALL = SecondStageConfig(candidates=15, trees=TreesConfig(rounds=20, least_rows=3))


def retriever(data: HeteroData) -> SumScorer:
    return SumScorer([ItemKNN().fit(data), EASE().fit(data, seed=0)], [0.3, 0.7])


@pytest.fixture(scope="session")
def learned(graph: HeteroData) -> Learned:
    less, positives = held_back(graph, SMALL.share, seed=0)
    return learn(retriever(graph), graph, Held(retriever(less), less, positives), SMALL, seed=0)
