"""Two arms: equal to statsmodels and scipy to 1e-6."""

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from evaluation.ab import two_proportions
from evaluation.experiments.arms import Arm, compare_arms

RNG = np.random.default_rng(3)


def drawn(users: int, rate: float) -> Arm:
    """Clicks over impressions, households of three that like alike."""
    house = np.arange(users) // 3
    taste = np.repeat(RNG.gamma(2, 0.5, users // 3 + 1), 3)[:users]
    below = 1.0 + RNG.poisson(5 * taste)
    liking = np.repeat(RNG.uniform(0, 2 * rate, users // 3 + 1), 3)[:users]
    return Arm(RNG.binomial(below.astype(int), liking).astype(float), below, house)


ARM, BASE = drawn(301, 0.3), drawn(240, 0.25)


def fitted(arm: Arm, **covariance: object) -> tuple[float, float]:
    """The ratio and its squared error as a regression on a constant."""
    model = sm.WLS(arm.above / arm.below, np.ones(len(arm.above)), weights=arm.below)
    found = model.fit(use_t=False, **covariance)
    return float(found.params[0]), float(found.bse[0] ** 2)


def test_a_ratio_is_statsmodels_weighted_regression() -> None:
    alone = Arm(ARM.above, ARM.below)
    value, squared = fitted(alone, cov_type="HC1")
    assert alone.value() == pytest.approx(value, abs=1e-9)
    assert alone.variance() == (pytest.approx(squared, rel=1e-9), len(ARM.above))


def test_clusters_are_statsmodels_clustered_errors() -> None:
    value, squared = fitted(ARM, cov_type="cluster", cov_kwds={"groups": ARM.cluster})
    assert ARM.value() == pytest.approx(value, abs=1e-9)
    # the same finite-sample factor: G / (G - 1) (n - 1) / (n - 1) of one coefficient
    assert ARM.variance()[0] == pytest.approx(squared, rel=1e-9)
    assert squared > 1.2 * Arm(ARM.above, ARM.below).variance()[0]


def test_a_mean_is_welchs_test() -> None:
    a, b = RNG.gamma(2, 3, 80), RNG.gamma(2, 2, 50)
    got = compare_arms(Arm(a, np.ones(80)), Arm(b, np.ones(50)))
    expected = scipy.stats.ttest_ind(a, b, equal_var=False)
    assert got.p == pytest.approx(expected.pvalue, abs=1e-12)
    assert got.ci95 == pytest.approx(tuple(expected.confidence_interval()), abs=1e-9)


def test_a_rate_is_the_two_proportion_test() -> None:
    a, b = np.repeat([1.0, 0.0], [56, 14]), np.repeat([1.0, 0.0], [48, 32])
    got = compare_arms(Arm(a, np.ones(70)), Arm(b, np.ones(80)), rate=True)
    expected = two_proportions(56, 70, 48, 80)
    assert (got.p, list(got.ci95 or ())) == (expected["p"], expected["ci95"])
    assert got.relative == pytest.approx(0.2 / 0.6)


def test_a_relative_interval_holds_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for _ in range(600):
        arm, base = (Arm(RNG.gamma(2, mean, 400), np.ones(400)) for mean in (1.1, 1.0))
        low, high = compare_arms(arm, base).relative_ci95 or (0.0, 0.0)
        hits += low < 0.1 < high
    assert 0.93 < hits / 600 < 0.97


def test_what_cannot_be_tested_says_why() -> None:
    few, none = Arm(np.ones(1), np.ones(1)), Arm(np.zeros(3), np.zeros(3))
    ok = Arm(np.array([1.0, 2.0]), np.ones(2))
    assert "too few" in (compare_arms(few, ok).reason or "")
    assert "too few" in (compare_arms(ok, none).reason or "")
    same = compare_arms(Arm(np.full(5, 2.0), np.ones(5)), Arm(np.full(5, 1.0), np.ones(5)))
    assert same.difference == 1.0 and same.p is None and same.reason
