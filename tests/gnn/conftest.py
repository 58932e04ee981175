"""Small hand-made graphs with known answers, in the layout that `graph.hetero` reads from a store."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

LABELS = ("User", "Item", "Text", "Image", "Audio", "Entity")


def _bare_graph(users: int, items: int, train, valid=(), test=()) -> HeteroData:
    data = HeteroData()
    for label in LABELS:
        data[label].num_nodes = 0
        data[label].ids = []
    for label in ("Text", "Image", "Audio"):
        data[label].x = torch.zeros(0, 0)
        data[label].mask = torch.zeros(0, dtype=torch.bool)
    for label, count in (("User", users), ("Item", items)):
        data[label].num_nodes = count
        data[label].ids = [f"{label[0].lower()}{n:04d}" for n in range(count)]
    store = data["User", "INTERACTED", "Item"]

    def pairs(rows):
        return torch.tensor(sorted(rows), dtype=torch.int64).reshape(-1, 2).T.contiguous()

    store.edge_index = pairs(train)
    store.weight = torch.ones(store.edge_index.shape[1])
    store.timestamp = torch.zeros(store.edge_index.shape[1], dtype=torch.int64)
    store.valid_label_index, store.test_label_index = pairs(valid), pairs(test)
    data.relations = []
    return data


def _add_media(data: HeteroData, label: str, vectors: np.ndarray, neighbours: int = 5) -> None:
    """One media node an item, linked to its nearest by cosine."""
    count = len(vectors)
    data[label].num_nodes = count
    data[label].ids = [f"{label}{n:04d}" for n in range(count)]
    data[label].x = torch.from_numpy(vectors.astype(np.float32))
    data[label].mask = torch.ones(count, dtype=torch.bool)
    data["Item", f"HAS_{label.upper()}", label].edge_index = torch.arange(count).repeat(2, 1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    nearest = np.sort(np.argsort(-cosine, axis=1, kind="stable")[:, :neighbours], axis=1)
    source = np.repeat(np.arange(count), neighbours)
    links = data[label, "SIMILAR", label]
    links.edge_index = torch.from_numpy(np.stack([source, nearest.ravel()]))
    links.score = torch.from_numpy(cosine[source, nearest.ravel()].astype(np.float32))


@pytest.fixture(scope="session")
def bare_graph() -> Callable[..., HeteroData]:
    """`bare_graph(users, items, train, valid, test)`: interactions and nothing else."""
    return _bare_graph


@pytest.fixture(scope="session")
def add_media() -> Callable[..., None]:
    """`add_media(data, label, vectors)`: a media node for each item and its nearest neighbours."""
    return _add_media


@pytest.fixture(scope="session")
def taste_graph() -> Callable[[], HeteroData]:
    """150 users in 5 tastes, 100 items; an item's picture shows its taste, its sound is noise.

    Each user has 4 training items of the taste, one for validation and one for test; the last 15 items never occur
    in training and are what validation and test ask for: only the picture can reach them.
    """

    def build() -> HeteroData:
        rng = np.random.default_rng(7)
        users, items, tastes, cold = 150, 100, 5, 15
        taste = np.arange(items) % tastes
        train, valid, test = [], [], []
        for user in range(users):
            mine = np.flatnonzero(taste == user % tastes)
            known, new = mine[mine < items - cold], mine[mine >= items - cold]
            train += [(user, int(i)) for i in rng.choice(known, 4, replace=False)]
            first, second = rng.choice(new, 2, replace=False)
            valid.append((user, int(first)))
            test.append((user, int(second)))
        data = _bare_graph(users, items, train, valid, test)
        centres = rng.normal(size=(tastes, 12))
        _add_media(data, "Image", centres[taste] + 0.4 * rng.normal(size=(items, 12)))
        _add_media(data, "Audio", rng.normal(size=(items, 8)))
        return data

    return build


@pytest.fixture(scope="session")
def mixed_graph() -> HeteroData:
    """60 users in 4 tastes, 40 items with words and pictures that show the taste; held-out items occur in training."""
    rng = np.random.default_rng(3)
    users, items, tastes = 60, 40, 4
    taste = np.arange(items) % tastes
    train, valid, test = [], [], []
    for user in range(users):
        weight = np.where(taste == user % tastes, 12.0, 1.0)
        liked = rng.choice(items, 9, replace=False, p=weight / weight.sum())
        train += [(user, int(i)) for i in liked[:6]]
        valid += [(user, int(i)) for i in liked[6:7]]
        test += [(user, int(i)) for i in liked[7:]]
    data = _bare_graph(users, items, train, valid, test)
    centres = rng.normal(size=(tastes, 8))
    for label in ("Text", "Image"):
        _add_media(data, label, centres[taste] + 0.5 * rng.normal(size=(items, 8)), neighbours=4)
    return data
