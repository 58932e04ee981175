"""Who answered, and what metrics tell of them: by hand and against scipy."""

import numpy as np
import pytest
import scipy.stats

from evaluation.survey import wilson
from evaluation.surveys.link import links, response_bias

X = np.nan


def test_who_answered() -> None:
    outcome = np.array([5.0, X, X, X, 3, 1, 3, X])
    few = np.array([True] * 4 + [False] * 4)
    history = np.array([1.0, 2, 1, 2, 9, 8, 7, 6])
    got = response_bias(outcome, {"few": few, "many": ~few, "none": np.zeros(8, bool)}, {"history": history})
    assert [(rate.group, rate.answered, rate.rate) for rate in got.rates] == [("few", 1, 0.25), ("many", 3, 0.75)]
    assert got.rates[1].ci95 == wilson(3, 4)
    assert got.p == pytest.approx(scipy.stats.chi2_contingency([[1, 3], [3, 1]]).pvalue)
    # three answers of 7 / 3 and one of 5: half of the base is of either kind
    assert got.mean == pytest.approx(3.0) and got.weighted_mean == pytest.approx((5 + 7 / 3) / 2)
    (contrast,) = got.contrasts
    want = scipy.stats.mannwhitneyu([1, 9, 8, 7], [2, 1, 2, 6], method="asymptotic").pvalue
    assert contrast.p == pytest.approx(want)
    assert contrast.standardised == pytest.approx((6.25 - 2.75) / history.std())


def test_a_silent_group_leaves_no_weights() -> None:
    few = np.array([True, False, False])
    got = response_bias(np.array([X, 4, 2]), {"few": few, "many": ~few}, {})
    assert got.weighted_mean is None and got.mean == 3


def test_metrics_that_tell_and_metrics_that_do_not() -> None:
    rng = np.random.default_rng(2)
    recall = rng.random(120)
    outcome = np.clip(np.round(1 + 4 * recall + rng.normal(0, 0.8, 120)), 1, 5)
    outcome[:20], recall[110:] = X, X
    groups = {"everyone": np.ones(120, bool), "few": np.arange(120) < 30}
    got, left_out = links(outcome, {"recall@20": recall, "flat": np.ones(120)}, groups)
    (link,) = got
    want = scipy.stats.spearmanr(outcome[20:110], recall[20:110])
    assert (link.people, link.rho, link.p) == (90, pytest.approx(want.statistic), pytest.approx(want.pvalue))
    assert link.ci95[0] < link.rho < link.ci95[1] and link.rho > 0.5
    assert left_out == [
        "everyone: flat or the answers are the same for all 100 people",
        "few: 10 people with an answer and recall@20, fewer than 20",
        "few: 10 people with an answer and flat, fewer than 20",
    ]


def test_interval_of_bonett_and_wright() -> None:
    # rho = .5 of 100 people: tanh(.5493 -+ 1.96 sqrt((1 + .125) / 97))
    from evaluation.surveys.link import _link

    order = np.arange(100.0)
    rng = np.random.default_rng(0)
    got = _link("m", "g", order, order + rng.normal(0, 50, 100))
    half = 1.959964 * np.sqrt((1 + got.rho**2 / 2) / 97)
    assert got.ci95 == pytest.approx((np.tanh(np.arctanh(got.rho) - half), np.tanh(np.arctanh(got.rho) + half)))
