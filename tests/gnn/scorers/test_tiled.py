"""The best inner products by tiles are those of a whole sort."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import Limits, top_items
from gnn.scorers.served import ServedScorer
from gnn.scorers.tiled import best_products, pays

USERS, ITEMS, K = 300, 20_011, 7


def whole_numbers(seed: int, low: int = -3, high: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors whose products are whole: exact in any order, and often equal."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(low, high, (USERS, 8)), rng.integers(low, high, (ITEMS, 8))
    return torch.from_numpy(users.astype(np.float32)), torch.from_numpy(items.astype(np.float32))


def sorted_lists(scores: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, order, axis=1)
    return np.where(values > -np.inf, order, -1), values


def seen_by(seed: int, density: float = 0.01) -> sp.csr_matrix:
    return sp.random(USERS, ITEMS, density=density, format="csr", dtype=np.float32, rng=seed)


@pytest.mark.parametrize("count", [ITEMS, ITEMS - ITEMS % 32])
def test_many_ties_seen_items_and_items_left_out(count: int) -> None:
    users, items = whole_numbers(1)
    items, seen, left_out = items[:count], seen_by(2)[:, :count], np.random.default_rng(3).random(count) < 0.3
    left_out[-11:] = [True] * 5 + [False] * 6  # the last ones may be in no whole group
    scores = (users @ items.T).numpy()
    scores[seen.toarray() > 0] = -np.inf
    scores[:, left_out] = -np.inf
    assert pays(count, K)
    found = top_items(DotScorer(users, items), torch.arange(USERS), seen, K, Limits(left_out))
    for ours, theirs in zip(found, sorted_lists(scores), strict=True):
        assert np.array_equal(ours, theirs)
    _, _, certain = best_products(users, items, seen, K, left_out)
    assert not certain.all(), "equal scores at the border are for the whole sort"


def test_scores_apart_are_certain_and_exact() -> None:
    rng = np.random.default_rng(4)
    users, items = (torch.from_numpy(rng.normal(size=(n, 16)).astype(np.float32)) for n in (USERS, ITEMS))
    seen = seen_by(5)
    exact = users.double() @ items.double().T
    exact[torch.from_numpy(seen.toarray() > 0)] = -torch.inf
    lists, values, certain = best_products(users, items, seen, K)
    assert certain.mean() > 0.99
    order, best = sorted_lists(exact.numpy())
    assert np.array_equal(lists[certain], order[certain])
    assert np.allclose(values[certain], best[certain], rtol=1e-5)


def test_few_items_left_strangers_and_numbers_that_overflow() -> None:
    users, items = whole_numbers(6)
    history = sp.csr_matrix((np.ones(2, np.float32), ([0, 1], [5, 5])), (USERS, ITEMS))
    left_out = np.ones(ITEMS, dtype=bool)
    left_out[[5, 9, ITEMS - 1]] = False
    served = ServedScorer(DotScorer(users, items), history)
    found, _ = top_items(served, torch.tensor([0, 7]), history, K, Limits(left_out))
    assert sorted(found[0][found[0] >= 0]) == [9, ITEMS - 1]
    assert found[1][0] == 5, "a stranger gets what is popular"
    huge = users * 1e30
    lists, values = top_items(DotScorer(huge, items * 1e30), torch.arange(3), history, K)
    assert (lists >= 0).all() and not np.isnan(values).any()


@pytest.mark.parametrize(("items", "k"), [(8_000, 5), (20_000, 100)])
def test_small_catalogues_and_long_lists_are_ranked_whole(items: int, k: int) -> None:
    assert not pays(items, k)
