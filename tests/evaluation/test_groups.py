"""Popularity bias and fairness by groups of users."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats

from evaluation.groups import fairness, popularity_bias
from evaluation.lists import Lists
from evaluation.significance import holm


def test_lists_are_held_against_histories() -> None:
    # popularity of the items: 1, .5, .25 and 0 of the users
    history = sp.csr_matrix(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=float))
    lists = Lists(np.array([[2, 3], [1, 0], [0, 1]]), history, history, np.array([4, 2, 1, 0]), 4)
    groups = {"all": np.ones(3, dtype=bool), "second": np.array([False, True, False]), "nobody": np.zeros(3, bool)}
    found = popularity_bias(lists, groups, seed=0)
    assert list(found) == ["all", "second"]
    assert found["second"] == {"users": 1, "history": 0.625, "lists": 0.75, "lift": {"mean": pytest.approx(0.2)}}
    assert found["all"]["users"] == 2, "a user without a history has nothing to be held against"
    assert found["all"]["lists"] == pytest.approx((0.125 + 0.75) / 2)


def test_the_lift_has_an_interval_over_users() -> None:
    rng = np.random.default_rng(0)
    history = sp.csr_matrix(rng.random((200, 30)) < 0.3, dtype=float)
    counts = rng.integers(20, 100, 30)
    ranked = np.argsort(rng.random((200, 30)), axis=1)[:, :10]
    lift = popularity_bias(Lists(ranked, history, history, counts, 200), {"all": np.ones(200, bool)}, seed=0)["all"]
    low, high = lift["lift"]["ci95"]
    assert low < lift["lift"]["mean"] < high
    assert low < 0 < high, "lists at random are as popular as histories at random"


def test_gaps_are_between_the_best_and_the_worst_large_group() -> None:
    rng = np.random.default_rng(1)
    values = {"recall@20": rng.random(300), "ndcg@20": rng.random(300)}
    values["recall@20"][:100] += 0.3
    part = np.arange(300)
    groupings = {
        "country": {"no": part < 100, "se": (part >= 100) & (part < 295), "fi": part >= 295, "dk": part < 0},
        "one": {"everybody": part >= 0},
    }
    found = fairness(values, groupings, seed=0)
    groups = found["country"]["groups"]
    assert list(groups) == ["no", "se", "fi"] and groups["fi"]["users"] == 5
    assert "ci95" not in groups["fi"]["metrics"]["recall@20"] and "ci95" in groups["no"]["metrics"]["recall@20"]
    gap = found["country"]["gaps"]["recall@20"]
    left, right = values["recall@20"][:100], values["recall@20"][100:295]
    assert (gap["best"], gap["worst"]) == ("no", "se")
    assert gap["difference"] == pytest.approx(left.mean() - right.mean())
    interval = scipy.stats.ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    assert gap["ci95"] == pytest.approx([interval.low, interval.high])
    raw = [float(scipy.stats.kruskal(v[:100], v[100:295]).pvalue) for v in (values["recall@20"], values["ndcg@20"])]
    assert [g["p"] for g in found["country"]["gaps"].values()] == pytest.approx(holm(raw))
    assert found["one"]["gaps"] == {}


def test_where_all_are_served_the_same_nothing_differs() -> None:
    half = np.arange(60) < 30
    found = fairness({"m": np.zeros(60)}, {"g": {"a": half, "b": ~half}}, seed=0)
    assert found["g"]["gaps"]["m"] == {
        **{"best": "a", "worst": "a", "difference": 0.0, "ci95": [0.0, 0.0], "p": 1.0},
    }


def test_groups_that_never_vary_have_a_gap_of_one_size() -> None:
    half = np.arange(60) < 30
    gap = fairness({"m": half.astype(float)}, {"g": {"a": half, "b": ~half}}, seed=0)["g"]["gaps"]["m"]
    assert (gap["best"], gap["difference"], gap["ci95"]) == ("a", 1.0, [1.0, 1.0])
    assert gap["p"] < 1e-9
