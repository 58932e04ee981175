"""What lists are like, worked out by hand and against plain loops."""

import numpy as np
import pytest
import scipy.sparse as sp

from evaluation.lists import Lists, concentration, coverage, gini, novelty, serendipity, share_of

# Four users, six items. Item 0 is had by 4, item 1 by 2, item 2 by 1, the others by nobody.
TRAIN = sp.csr_matrix(
    np.array([[1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=float)
)
POSITIVES = sp.csr_matrix(
    np.array([[0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]], dtype=float)
)
RANKED = np.array([[2, 5], [1, 3], [-1, -1], [4, -1]])
LISTS = Lists.of(RANKED, POSITIVES, TRAIN)


def test_only_users_with_a_positive_count() -> None:
    assert LISTS.ranked.tolist() == [[2, 5], [1, 3], [4, -1]]
    assert LISTS.counts.tolist() == [4, 2, 1, 0, 0, 0]
    assert LISTS.matrix.toarray().tolist() == [[0, 0, 1, 0, 0, 1], [0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]


def test_novelty_is_in_bits_and_unheard_items_count_as_one_users() -> None:
    # item 1: half of the users, 1 bit; items 2 to 5: a quarter at most, 2 bits
    assert novelty(LISTS).tolist() == [2.0, 1.5, 2.0]


def test_serendipity_is_a_hit_that_popularity_would_not_have_shown() -> None:
    # The most popular two without what each user has: user 0 gets 2 and 3, user 1 gets 1 and 3, user 3 gets 1 and 2.
    # Hits: user 0 {2, 5} of which 5 surprises; user 1 {1}, expected; user 3 {4}, the only one listed.
    assert serendipity(LISTS).tolist() == [0.5, 0.0, 1.0]


def test_serendipity_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    train = sp.csr_matrix(rng.random((60, 40)) < rng.random(40) * 0.6)
    truth = sp.csr_matrix((rng.random((60, 40)) < 0.2) & ~train.toarray())
    ranked = np.argsort(rng.random((60, 40)) + 9 * train.toarray(), axis=1)[:, :8]
    lists = Lists.of(ranked, truth, train)
    order = np.argsort(-np.asarray(train.sum(axis=0)).ravel(), kind="stable")
    expected = []
    for user in np.flatnonzero(truth.getnnz(axis=1)):
        popular = [item for item in order if not train[user, item]][:8]
        expected.append(sum(truth[user, item] and item not in popular for item in ranked[user]) / 8)
    assert serendipity(lists).tolist() == pytest.approx(expected)
    assert sum(expected) > 0


def test_share_of_new_items() -> None:
    assert share_of(LISTS, np.array([False, False, False, False, True, True])).tolist() == [0.5, 0.0, 1.0]


def test_coverage_and_gini_by_hand() -> None:
    assert coverage(np.array([3, 0, 1, 0])) == 0.5
    assert gini(np.array([2, 2, 2])) == 0.0
    assert gini(np.array([0, 0, 5])) == 1.0
    assert gini(np.array([5])) == gini(np.zeros(4, dtype=np.int64)) == 0.0
    rng = np.random.default_rng(1)
    times = rng.poisson(3, 50)
    pairs = np.abs(times[:, None] - times[None, :]).sum()
    assert gini(times) == pytest.approx(pairs / (2 * 50 * times.sum()) * 50 / 49)


def test_the_interval_of_coverage_holds_what_other_users_would_cover() -> None:
    """Users drawn anew from one population: the interval covers the mean over such draws about 19 times in 20."""
    rng = np.random.default_rng(2)
    chance = rng.dirichlet(np.full(80, 0.3))
    nobody = sp.csr_matrix((150, 80))

    def drawn() -> dict[str, dict]:
        ranked = np.stack([rng.choice(80, 3, replace=False, p=0.9 * chance + 0.1 / 80) for _ in range(150)])
        return concentration(Lists(ranked, nobody, nobody, np.zeros(80, dtype=np.int64), 150))

    found = [drawn() for _ in range(150)]
    for measure in ("coverage", "gini"):
        mean = np.mean([f[measure]["mean"] for f in found])
        inside = np.mean([f[measure]["ci95"][0] <= mean <= f[measure]["ci95"][1] for f in found])
        assert 0.85 <= inside <= 1, (measure, inside)


def test_few_users_have_no_interval() -> None:
    assert concentration(LISTS) == {"coverage": {"mean": 5 / 6}, "gini": {"mean": pytest.approx(0.2)}}
