"""Two groups of ordinal answers: other people, the same, or some of each."""

import numpy as np
import pytest
import scipy.stats

from evaluation.surveys.group_tests import group_test


def people(values: list[float], start: int = 0) -> dict[str, float]:
    return {f"u{start + n}": value for n, value in enumerate(values)}


NEW, OLD = [5.0, 4, 4, 5, 3, 4], [3.0, 4, 2, 2, 3, 1]


def test_other_people() -> None:
    got = group_test(people(NEW), people(OLD, 100))
    want = scipy.stats.mannwhitneyu(NEW, OLD, method="asymptotic")
    assert got.layout == "between" and got.only == (6, 6) and got.both == 0
    assert got.p == pytest.approx(want.pvalue) and got.superiority == pytest.approx(want.statistic / 36)
    assert got.difference == pytest.approx(np.mean(NEW) - np.mean(OLD))


def test_the_same_people() -> None:
    got = group_test(people(NEW), people(OLD))
    want = scipy.stats.wilcoxon(NEW, OLD, zero_method="pratt", method="asymptotic")
    assert got.layout == "within" and got.p == pytest.approx(want.pvalue)
    assert got.superiority == pytest.approx((4 + 2 / 2) / 6)  # four higher, two alike
    # the paired t interval, but for the (2n - 1) / (2n - 2) of the clustered error
    error = scipy.stats.sem(np.subtract(NEW, OLD)) * np.sqrt(11 / 10) * scipy.stats.t.ppf(0.975, 5)
    assert got.ci95 == pytest.approx((got.difference - error, got.difference + error))


def test_some_saw_both() -> None:
    """Kuan and Huang (2013): z weighted by the roots of the answers in each part."""
    new = people(NEW) | people([5.0, 3, 4, 5], 50)
    old = people(OLD) | people([2.0, 3, 4], 100)
    got = group_test(new, old)
    within, between = group_test(people(NEW), people(OLD)), group_test(people([5.0, 3, 4, 5]), people([2.0, 3, 4], 9))
    z = [scipy.stats.norm.isf(part.p / 2) for part in (within, between)]
    want = (np.sqrt(12) * z[0] + np.sqrt(7) * z[1]) / np.sqrt(19)
    assert got.layout == "mixed" and (got.both, got.only) == (6, (4, 3))
    assert got.p == pytest.approx(2 * scipy.stats.norm.sf(want))
    assert got.superiority == pytest.approx((6 * within.superiority + 7 * between.superiority) / 13)


def test_parts_that_disagree_weaken_each_other() -> None:
    up = group_test(people(NEW) | people([1.0, 1, 2, 1], 50), people(OLD) | people([5.0, 4, 5], 100))
    assert up.p is not None and up.p > group_test(people(NEW), people(OLD)).p  # type: ignore[operator]


@pytest.mark.filterwarnings("error")
def test_nothing_to_tell() -> None:
    assert group_test({}, people(OLD)).reason == "0 answers against 6"
    same = group_test(people([3.0] * 4), people([3.0] * 4))
    assert (same.p, same.superiority, same.ci95) == (1.0, 0.5, (0.0, 0.0))
    assert group_test(people([3.0]), people([4.0], 9)).ci95 is None


def test_false_alarms_of_a_mixed_layout_are_as_many_as_said() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        taste = rng.normal(3, 1, 60)
        new, old = (np.clip(np.round(taste + rng.normal(0, 0.7, 60)), 1, 5).tolist() for _ in range(2))
        p = group_test(people(new[:45]), people(old[15:], 15)).p
        alarms += p is not None and p < 0.05
    assert 4 <= alarms <= 28  # 5 % of 300, within four deviations
