"""Diversity over pairs, and calibration to the user's own mix."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from evaluation.diversity import link_diversity, miscalibration, vector_diversity
from evaluation.lists import Lists


def lists(ranked: list[list[int]], history: np.ndarray) -> Lists:
    held = sp.csr_matrix(history, dtype=float)
    return Lists(np.array(ranked), held, held, np.zeros(held.shape[1], dtype=np.int64), held.shape[0])


RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(30, 6)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
VECTORS[20:] = 0


def test_diversity_is_the_mean_over_pairs_that_both_have_a_vector() -> None:
    ranked = [RNG.permutation(30)[:8].tolist() for _ in range(40)] + [[25, 26, 1, -1, -1, -1, -1, -1]]
    expected = []
    for row in ranked[:-1]:
        known = [item for item in row if item < 20]
        cosines = [VECTORS[a] @ VECTORS[b] for n, a in enumerate(known) for b in known[n + 1 :]]
        expected.append(1 - np.mean(cosines))
    found = vector_diversity(lists(ranked, np.zeros((41, 30))), VECTORS)
    assert found.tolist() == pytest.approx(expected, abs=1e-6), "one vector alone has no pairs, so the last is left out"


def test_equal_items_have_none_and_orthogonal_ones_all() -> None:
    same, unlike = np.tile([[1.0, 0.0]], (3, 1)), np.eye(3)
    of = lists([[0, 1, 2]], np.zeros((1, 3)))
    assert vector_diversity(of, same.astype(np.float32)).tolist() == [0.0]
    assert vector_diversity(of, unlike.astype(np.float32)).tolist() == [1.0]


def test_links_stand_in_for_vectors() -> None:
    links = np.zeros((5, 5))
    links[0, 1] = links[1, 0] = 0.9
    links[2, 3] = links[3, 2] = 0.6
    found = link_diversity(lists([[0, 1, 2], [0, 3, 4], [4, 0, -1]], np.zeros((3, 5))), sp.csr_matrix(links))
    # pairs (0, 1) .9, (0, 2) and (1, 2) unlinked; then (0, 3) unlinked, item 4 has no link at all; then no pair
    assert found.tolist() == pytest.approx([1 - 0.9 / 3, 1.0])


def test_miscalibration_is_stecks_divergence() -> None:
    values = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    history = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    found = miscalibration(lists([[1, 3], [1, 2], [3, 4], [0, 1]], history), sp.csr_matrix(values))
    # user 0 had one of value 0 and one of half 0, half 1; listed are one of value 1 and one of value 2
    own, listed = np.array([0.75, 0.25, 0]), np.array([0, 0.5, 0.5])
    second = np.array([0.25, 0.75, 0])
    expected = [
        scipy.stats.entropy(own, 0.99 * listed + 0.01 * own),
        scipy.stats.entropy([0, 1, 0], 0.99 * second + 0.01 * np.array([0, 1, 0])),
        -np.log(0.01),
    ]
    assert found.tolist() == pytest.approx(expected), "the last has no value in the history and is left out"


def test_the_own_mix_is_calibrated() -> None:
    values = sp.csr_matrix(np.eye(4))
    found = miscalibration(lists([[0, 1]], np.array([[1, 1, 0, 0]])), values)
    assert found.tolist() == pytest.approx([0.0], abs=1e-12)
