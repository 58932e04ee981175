"""A model of several parts as vectors, with odd ids and titles."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import Bundle, load_bundle, save_bundle
from gnn.bundle.vectors import ModelVectors, model_vectors
from gnn.scorers.base import DotScorer, ItemItemScorer, SumScorer

USERS, ITEMS, DIM = 30, 24, 6


def make_bundle(path: Path, *, items: int = ITEMS, seed: int = 0) -> Bundle:
    """A sum of vectors and item weights; every fifth user has no history."""
    rng = np.random.default_rng(seed)
    history = sp.csr_matrix((rng.random((USERS, items)) < 0.3) * (np.arange(USERS) % 5 > 0)[:, None], dtype=np.float32)
    low = rng.standard_normal((items, 3)).astype(np.float32)
    dot = DotScorer(*(torch.from_numpy(rng.standard_normal((n, DIM)).astype(np.float32)) for n in (USERS, items)))
    scorer = SumScorer([dot, ItemItemScorer(history, torch.from_numpy(low @ low.T))], [0.6, 0.4])
    titles = ["tab\there", "line\nend\r", "back\\slash \\. \\N", "quote \"'", None, "电影"]
    save_bundle(
        path,
        scorer,
        user_ids=[f"u\\{n}\t'" for n in range(USERS)],
        item_ids=[f"商品 {n}\n" for n in range(items)],
        titles=[titles[n % len(titles)] for n in range(items)],
        seen=history,
        history=history,
        manifest={"model": "test"},
    )
    return load_bundle(path)


@pytest.fixture(scope="session")
def sink_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("sinks") / "bundle")


@pytest.fixture(scope="session")
def vectors(sink_bundle: Bundle) -> ModelVectors:
    return model_vectors(sink_bundle, max_dimensions=12)


@pytest.fixture(scope="session")
def other_vectors(tmp_path_factory: pytest.TempPathFactory) -> ModelVectors:
    """Of a later model: fewer items, other lengths."""
    bundle = make_bundle(tmp_path_factory.mktemp("sinks") / "other", items=ITEMS - 4, seed=1)
    return model_vectors(bundle, max_dimensions=9)


def best(vectors: ModelVectors, user: int, k: int) -> list[str]:
    """The items that the vectors rank first."""
    return [vectors.item_ids[i] for i in np.argsort(-(vectors.items @ vectors.users[user]), kind="stable")[:k]]


def most_like(vectors: ModelVectors, item: int, k: int) -> list[str]:
    """The items of the nearest direction, the item itself left out."""
    unit = vectors.items / np.linalg.norm(vectors.items, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[item]), kind="stable")
    return [vectors.item_ids[i] for i in order if i != item][:k]
