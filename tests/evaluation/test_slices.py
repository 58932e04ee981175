"""Metrics within groups of users and items, worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from evaluation.errors import EvaluationError
from evaluation.metrics import user_metrics
from evaluation.slices import activity_groups, popularity_groups, slice_metrics

# Three users, six items. Item 0 holds 3 of 6 training interactions, 1 holds 2, 2 holds 1; 3, 4, 5 are cold.
TRAIN = sp.csr_matrix(np.array([[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=float))
POSITIVES = sp.csr_matrix(np.array([[0, 0, 0, 1, 0, 1], [0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]], dtype=float))
RANKED = np.array([[3, 4], [2, 3], [1, 2]])


def test_by_hand() -> None:
    image = np.array([True, True, True, False, True, True])
    got = slice_metrics(RANKED, POSITIVES, TRAIN, [2], has_modality={"image": image}, seed=0, edges=(1, 3))
    activity = got["user_activity"]
    assert activity["1-2"]["users"] == 1 and activity["3+"]["users"] == 1
    assert activity["3+"]["metrics"]["recall@2"]["mean"] == 0.5
    assert "ndcg@2" in activity["3+"]["metrics"]
    # User 0's cold positives {3, 5}: one found; user 1's {4}: none.
    cold = got["cold_items"]["no training interaction"]
    assert cold["users"] == 2 and cold["positives"] == 3
    assert cold["metrics"]["recall@2"]["mean"] == 0.25
    assert list(cold["metrics"]) == ["recall@2"]
    # Only item 2 (tail) is a warm positive: user 1 finds it. No head or middle slice: empty ones are absent.
    assert list(got["item_popularity"]) == ["tail"]
    assert got["item_popularity"]["tail"]["metrics"]["recall@2"]["mean"] == 1.0
    assert got["missing_modality"]["image"] == {
        "users": 1,
        "positives": 1,
        "metrics": {"recall@2": {"mean": 1.0}},
    }


def test_nothing_missing_and_nothing_cold_is_absent() -> None:
    train = sp.csr_matrix(np.ones((3, 6)))
    got = slice_metrics(RANKED, POSITIVES, train, [1], has_modality={"text": np.ones(6, dtype=bool)}, seed=0)
    assert set(got) == {"user_activity", "item_popularity"}


def test_user_slices_partition_the_users() -> None:
    rng = np.random.default_rng(0)
    train, truth = sp.csr_matrix(rng.random((80, 40)) < 0.2), sp.csr_matrix(rng.random((80, 40)) < 0.1)
    ranked = np.argsort(rng.random((80, 40)), axis=1)[:, :10]
    got = slice_metrics(ranked, truth, train, [10], seed=0)["user_activity"]
    whole = user_metrics(ranked, truth, [10])["ndcg@10"]
    assert sum(part["users"] for part in got.values()) == len(whole)
    total = sum(part["users"] * part["metrics"]["ndcg@10"]["mean"] for part in got.values())
    assert total / len(whole) == pytest.approx(whole.mean())


def test_groups() -> None:
    groups = activity_groups(TRAIN, (0, 1, 2, 3))
    assert list(groups) == ["0", "1", "2", "3+"]
    assert groups["1"].tolist() == [False, False, True] and groups["3+"].tolist() == [True, False, False]
    popular = popularity_groups(TRAIN)
    assert popular["head"].tolist() == [True] + [False] * 5
    assert popular["middle"].tolist() == [False, True] + [False] * 4
    assert popular["tail"].tolist() == [False, False, True] + [False] * 3


def test_bad_input_is_named() -> None:
    with pytest.raises(EvaluationError, match="image mask has 2 entries for 6"):
        slice_metrics(RANKED, POSITIVES, TRAIN, [1], has_modality={"image": np.ones(2, dtype=bool)}, seed=0)
    with pytest.raises(EvaluationError, match=r"train is \(3, 5\)"):
        slice_metrics(RANKED, POSITIVES, TRAIN[:, :5], [1], seed=0)
    with pytest.raises(EvaluationError, match=r"edges = \[3, 1\]"):
        activity_groups(TRAIN, (3, 1))
