"""Ordinal answers of two groups: other people, the same people, or some of each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.significance import wilcoxon

Layout = Literal["between", "within", "mixed"]


@dataclass(frozen=True)
class GroupTest:
    """A variant against control; what cannot be told is None beside a reason."""

    layout: Layout
    """`between`: other people saw the variant; `within`: the same people; `mixed`: some saw both."""
    both: int
    """People who answered on both."""
    only: tuple[int, int]
    """People who answered on the variant alone, and on control alone."""
    difference: float | None
    """Of the means."""
    ci95: tuple[float, float] | None
    superiority: float | None
    """Chance that an answer on the variant is higher than one on control, ties half (Vargha and Delaney 2000): within
    each who answered on both, across the others, averaged by people."""
    p: float | None
    """Holm-corrected over the survey."""
    reason: str | None = None


def group_test(variant: Mapping[str, float], control: Mapping[str, float]) -> GroupTest:
    """Answers by person on the variant and on control.

    The p-value (not corrected yet) is Mann-Whitney's over those who saw one, Wilcoxon's signed-rank (zeros as in Pratt
    1959) over those who saw both; of a mixed layout their weighted z, by the root of the answers in each (Kuan and
    Huang 2013). The interval of the difference is by regression with errors clustered by person: right for all three.
    """
    shared = sorted(variant.keys() & control.keys())
    alone = [value for user, value in variant.items() if user not in control]
    base = [value for user, value in control.items() if user not in variant]
    layout: Layout = "between" if not shared else "mixed" if alone or base else "within"
    only = len(alone), len(base)
    if not variant or not control:
        reason = f"{len(variant)} answers against {len(control)}"
        return GroupTest(layout, len(shared), only, None, None, None, None, reason)
    parts = []
    if shared:
        parts.append(_within(np.array([variant[u] for u in shared]), np.array([control[u] for u in shared])))
    if alone and base:
        parts.append(_between(np.asarray(alone), np.asarray(base)))
    people = np.array([part.people for part in parts], dtype=np.float64)
    weights = np.array([np.sqrt(part.answers) for part in parts])
    z = float(weights @ [part.z for part in parts] / np.sqrt((weights**2).sum()))
    p = parts[0].p if len(parts) == 1 else float(2 * scipy.stats.norm.sf(abs(z)))
    superiority = float(people @ [part.superiority for part in parts] / people.sum())
    difference = float(np.mean(list(variant.values())) - np.mean(list(control.values())))
    return GroupTest(
        layout,
        len(shared),
        only,
        difference=difference,
        ci95=_interval(variant, control),
        superiority=superiority,
        p=max(p, sys.float_info.min),  # what underflows is small, not 0
    )


@dataclass(frozen=True)
class _Part:
    p: float
    z: float
    """Positive where the variant is higher."""
    superiority: float
    people: int
    answers: int

    @classmethod
    def of(cls, p: float, direction: float, superiority: float, people: int, answers: int) -> "_Part":
        z = scipy.stats.norm.isf(max(p, sys.float_info.min) / 2) * np.sign(direction)
        return cls(p, float(z), superiority, people, answers)


def _within(variant: Float[np.ndarray, "both"], control: Float[np.ndarray, "both"]) -> _Part:
    superiority = float(np.mean(variant > control) + np.mean(variant == control) / 2)
    apart = variant - control
    # scipy's statistic is the smaller of the two sums of ranks, so the sign of its z says nothing
    ranks = scipy.stats.rankdata(np.abs(apart))
    return _Part.of(wilcoxon(variant, control), float(ranks @ np.sign(apart)), superiority, len(apart), 2 * len(apart))


def _between(variant: Float[np.ndarray, "variant"], control: Float[np.ndarray, "control"]) -> _Part:
    people = len(variant) + len(control)
    if np.ptp(np.concatenate([variant, control])) == 0:  # no ranks to compare
        return _Part.of(1.0, 0.0, 0.5, people, people)
    test = scipy.stats.mannwhitneyu(variant, control, method="asymptotic")
    superiority = float(test.statistic) / (len(variant) * len(control))
    return _Part.of(float(test.pvalue), superiority - 0.5, superiority, people, people)


def _interval(variant: Mapping[str, float], control: Mapping[str, float]) -> tuple[float, float] | None:
    """Of the difference of means, errors clustered by person (Liang and Zeger 1986); None under three people."""
    from statsmodels.regression.linear_model import OLS

    people = {user: at for at, user in enumerate({**variant, **control})}
    if len(people) < 3:
        return None
    answers = np.array([*variant.values(), *control.values()])
    if np.ptp(answers) == 0:
        return 0.0, 0.0
    on_variant = np.repeat([1.0, 0.0], [len(variant), len(control)])
    groups = np.array([people[user] for user in (*variant, *control)])
    design = np.column_stack([np.ones(len(answers)), on_variant])
    fit = OLS(answers, design).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int(0.05)[1]
    return float(low), float(high)
