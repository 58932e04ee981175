"""How many users an experiment needs, for how many days, and whether that holds on people who were there.

By formula (normal approximation, as statsmodels' `NormalIndPower`), and by simulation: past users drawn anew, split
as planned, given the effect, and tested as the experiment will be.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from evaluation.errors import EvaluationError
from evaluation.experiments.analysis import prepare
from evaluation.experiments.arms import Arm, compare_arms
from evaluation.experiments.design import ExperimentDesign, Metric
from evaluation.experiments.event_units import Units
from evaluation.planning import power_quantiles

_DRAWS = 100_000_000
"""Users drawn for one metric at most: what bounds the runs."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What the test did in that many experiments on past users."""

    runs: int
    power: float
    """Share that found the effect, in its direction."""
    false_positives: float
    """Share that found a difference where there was none, at alpha."""


@dataclass(frozen=True, kw_only=True)
class MetricPlan:
    """One metric."""

    baseline: float
    """Of control."""
    deviation: float
    """Of one user, after CUPED where there is a past; of a ratio the linearised one."""
    effect: float
    """Relative, as asked for."""
    users: int
    """In all variants together."""
    days: int | None
    """Until that many have come; None where that is unknown, or where the past is too short to tell."""
    detectable: float | None
    """The smallest relative effect found by as many users as are to be had."""
    available: int | None
    """Users who came in the past window, or who come in the days that were given."""
    variance_removed: float
    simulated: Simulated | None


def users_needed(
    baseline: float, deviation: float, effect: float, design: ExperimentDesign, *, power: float = 0.8
) -> int:
    """Users in all variants for the smallest of them to be told from control.

    `alpha` is split over the claims the design can make (Bonferroni; Holm's correction needs no more).
    """
    _check(baseline, deviation)
    if not (effect and np.isfinite(effect)):
        raise EvaluationError(f"effect = {effect} needs endless users; pass a relative one, e.g. 0.02")
    return ceil((_per_user(deviation, design, power) / (effect * baseline)) ** 2)


def detectable(baseline: float, deviation: float, users: int, design: ExperimentDesign, *, power: float = 0.8) -> float:
    """The smallest relative effect that `users` in all find."""
    _check(baseline, deviation)
    return float(_per_user(deviation, design, power) / np.sqrt(users) / baseline)


def plan_on_past(
    found: Units, design: ExperimentDesign, *, effect: float, power: float = 0.8, runs: int = 1000, seed: int = 0
) -> dict[str, MetricPlan]:
    """Each metric's plan from what past users did; `found` is what `past_units` gives."""
    arrived = np.cumsum(np.bincount(found.exposed, minlength=found.days))
    plans = {}
    for name, metric in design.metrics.items():
        past, removed = _past(found, metric)
        baseline, (variance, _) = past.value(), past.variance()
        if not baseline > 0:
            raise EvaluationError(f"{name} was 0 for all {len(past.above):,} past users; look at the metric's events")
        deviation = float(np.sqrt(variance * len(found.variant)))
        users = users_needed(baseline, deviation, effect, design, power=power)
        seen = np.flatnonzero(arrived >= users)
        plans[name] = MetricPlan(
            baseline=baseline,
            deviation=deviation,
            effect=effect,
            users=users,
            days=int(seen[0]) + 1 if len(seen) else None,
            detectable=detectable(baseline, deviation, int(arrived[-1]), design, power=power),
            available=int(arrived[-1]),
            variance_removed=removed,
            simulated=_simulate(past, metric, users, effect, design, runs, seed) if runs else None,
        )
    return plans


def _past(found: Units, metric: Metric) -> tuple[Arm, float]:
    """What past users did, adjusted as the experiment would."""
    ready = prepare(found, metric)
    return Arm(ready.adjusted, ready.below, found.cluster), ready.removed


def _simulate(
    past: Arm, metric: Metric, users: int, effect: float, design: ExperimentDesign, runs: int, seed: int
) -> Simulated:
    """Experiments on users (or whole clusters) drawn with replacement."""
    above, below = past.above, past.below
    if past.cluster is not None:
        _, places = np.unique(past.cluster, return_inverse=True)
        above, below = (np.bincount(places, weights=values) for values in (above, below))
    drawn = max(ceil(users * len(above) / len(past.above)), 4)
    runs = max(min(runs, _DRAWS // drawn), 20)
    shares, rng = design.shares(), np.random.default_rng(seed)
    other = min((n for n in shares if n != design.control), key=lambda n: shares[n])
    ends = [round(drawn * shares[design.control]), round(drawn * (shares[design.control] + shares[other]))]
    hits = errors = 0
    for _ in range(runs):
        sample = rng.integers(len(above), size=ends[1])
        base, plain = (Arm(above[part], below[part]) for part in np.split(sample, [ends[0]]))
        null = compare_arms(plain, base)
        errors += null.p is not None and null.p < design.alpha
        better = compare_arms(Arm(_given(plain.above, metric, effect, rng), plain.below), base)
        right = (better.difference or 0.0) * effect > 0
        hits += right and better.p is not None and better.p < design.alpha / design.claims()
    return Simulated(runs=runs, power=hits / runs, false_positives=errors / runs)


def _given(values: np.ndarray, metric: Metric, effect: float, rng: np.random.Generator) -> np.ndarray:
    """The values with the effect: a rate gains (or loses) users, anything else is multiplied."""
    if metric.kind != "rate" or not np.isin(values, (0, 1)).all():
        return values + effect * values.mean() if (values < 0).any() else values * (1 + effect)
    rate = values.mean()
    if effect < 0:
        return np.where(rng.random(len(values)) < -effect, 0.0, values)
    return np.where(rng.random(len(values)) < effect * rate / max(1 - rate, 1e-12), 1.0, values)


def _per_user(deviation: float, design: ExperimentDesign, power: float) -> float:
    shares = design.shares()
    smallest = min(share for name, share in shares.items() if name != design.control)
    spread = np.sqrt(1 / shares[design.control] + 1 / smallest)
    return float(power_quantiles(design.alpha / design.claims(), power) * deviation * spread)


def _check(baseline: float, deviation: float) -> None:
    if not (0 < baseline < np.inf and 0 < deviation < np.inf):
        raise EvaluationError(f"baseline = {baseline} with deviation = {deviation} is no metric; pass both above 0")
