"""Small hand-made graphs with known answers, in the layout that `graph.hetero` reads from a store."""

from collections.abc import Callable

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from gnn.testing import add_media as _add_media
from gnn.testing import bare_graph as _bare_graph


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
