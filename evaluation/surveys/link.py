"""Who answered, and whether offline metrics tell who is satisfied: ids and numbers in, numbers out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from evaluation.significance import holm
from evaluation.survey import Interval, wilson

FEWEST = 20
"""People under which a group is left out: its interval says nothing."""


@dataclass(frozen=True)
class ResponseRate:
    """How many of a group answered."""

    group: str
    users: int
    answered: int
    rate: float
    ci95: Interval


@dataclass(frozen=True)
class Contrast:
    """A number of those who answered against everybody else's."""

    name: str
    answered: float
    others: float
    standardised: float
    """Difference of the means over the deviation of all."""
    p: float
    """Mann-Whitney, Holm-corrected over the contrasts."""


@dataclass(frozen=True)
class ResponseBias:
    """Who answered, held against the whole user base."""

    users: int
    answered: int
    rates: tuple[ResponseRate, ...]
    p: float | None
    """Chi-square of equal rates in all groups; None with one group."""
    contrasts: tuple[Contrast, ...]
    weighted_mean: float | None
    """Mean outcome with each group's weight in the user base (post-stratification); None where a group is silent."""
    mean: float | None


@dataclass(frozen=True)
class Link:
    """Does an offline metric tell who is satisfied? Spearman's rank correlation over people."""

    metric: str
    group: str
    people: int
    rho: float
    ci95: Interval
    """By Fisher's z with the variance of Bonett and Wright (2000)."""
    p: float
    """Holm-corrected over all rows."""


def response_bias(
    outcome: Float[np.ndarray, "users"],
    groups: Mapping[str, Bool[np.ndarray, "users"]],
    measures: Mapping[str, Float[np.ndarray, "users"]],
) -> ResponseBias:
    """Who answered by group and by measure.

    Args:
        outcome: a value for each user of the base; NaN for who did not answer.
        groups: disjoint groups that make up the base.
        measures: numbers of each user, NaN where there is none.
    """
    answered = ~np.isnan(outcome)
    groups = {name: members for name, members in groups.items() if members.any()}
    rates = tuple(
        ResponseRate(name, n, k, k / n, wilson(k, n))
        for name, members in groups.items()
        for n, k in [(int(members.sum()), int((members & answered).sum()))]
    )
    table = np.array([[rate.answered, rate.users - rate.answered] for rate in rates])
    p = None
    if len(rates) > 1 and (table.sum(axis=0) > 0).all():
        p = float(scipy.stats.chi2_contingency(table).pvalue)
    contrasts = [c for name, values in measures.items() if (c := _contrast(name, values, answered)) is not None]
    corrected = holm([contrast.p for contrast in contrasts])
    weighted = None
    if rates and all(rate.answered for rate in rates):
        weighted = sum(r.users / len(outcome) * float(outcome[groups[r.group] & answered].mean()) for r in rates)
    return ResponseBias(
        len(outcome),
        int(answered.sum()),
        rates,
        p,
        tuple(replace(contrast, p=p) for contrast, p in zip(contrasts, corrected, strict=True)),
        weighted,
        float(outcome[answered].mean()) if answered.any() else None,
    )


def links(
    outcome: Float[np.ndarray, "people"],
    metrics: Mapping[str, Float[np.ndarray, "people"]],
    groups: Mapping[str, Bool[np.ndarray, "people"]],
) -> tuple[list[Link], list[str]]:
    """Rank correlation of the outcome with each metric in each group, and what is left out and why.

    NaN stands for no answer, and for no held-out interaction to measure on.
    """
    found, left_out = [], []
    for group, members in groups.items():
        for metric, values in metrics.items():
            both = members & ~np.isnan(outcome) & ~np.isnan(values)
            people = int(both.sum())
            if people < FEWEST:
                left_out.append(f"{group}: {people} people with an answer and {metric}, fewer than {FEWEST}")
            elif np.ptp(outcome[both]) == 0 or np.ptp(values[both]) == 0:
                left_out.append(f"{group}: {metric} or the answers are the same for all {people} people")
            else:
                found.append(_link(metric, group, outcome[both], values[both]))
    corrected = holm([link.p for link in found])
    return [replace(link, p=p) for link, p in zip(found, corrected, strict=True)], left_out


def _link(metric: str, group: str, outcome: Float[np.ndarray, "people"], values: Float[np.ndarray, "people"]) -> Link:
    test = scipy.stats.spearmanr(outcome, values)
    rho, people = float(test.statistic), len(outcome)
    half = scipy.stats.norm.isf(0.025) * np.sqrt((1 + rho**2 / 2) / (people - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    interval = float(np.tanh(z - half)), float(np.tanh(z + half))
    return Link(metric, group, people, rho, interval, float(test.pvalue))


def _contrast(name: str, values: Float[np.ndarray, "users"], answered: Bool[np.ndarray, "users"]) -> Contrast | None:
    known = ~np.isnan(values)
    ours, others = values[answered & known], values[~answered & known]
    if not len(ours) or not len(others) or np.ptp(values[known]) == 0:
        return None
    p = float(scipy.stats.mannwhitneyu(ours, others, method="asymptotic").pvalue)
    gap = float(ours.mean() - others.mean())
    return Contrast(name, float(ours.mean()), float(others.mean()), gap / float(values[known].std()), p)
