"""A small bundle with ties, scored in every test of this room."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import save_bundle
from gnn.scorers.base import DotScorer

USERS, ITEMS, DIM = 57, 40, 8


def make_bundle(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    # Whole numbers: many equal scores, and sums without rounding.
    users, items = (rng.integers(-2, 3, (n, DIM)).astype(np.float32) for n in (USERS, ITEMS))
    seen = sp.random(USERS, ITEMS, density=0.2, random_state=seed, format="csr", dtype=np.float32)
    seen.data[:] = 1.0
    seen = seen.tolil()
    seen[3, :] = 1.0  # nothing left to recommend
    seen[4, :-2], seen[4, -2:] = 1.0, 0.0  # two items left
    save_bundle(
        path,
        DotScorer(torch.from_numpy(users), torch.from_numpy(items)),
        user_ids=[f"u{i}" for i in range(USERS)],
        item_ids=[f"电影-{i}" for i in range(ITEMS)],
        seen=seen.tocsr(),
        manifest={"model": "dot"},
    )
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("scoring") / "bundle")


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("other") / "bundle", seed=1)
