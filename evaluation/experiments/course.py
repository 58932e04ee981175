"""How an effect runs through time: always-valid intervals by day, novelty, weekdays."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from evaluation.experiments.arms import Difference, compare_arms
from evaluation.experiments.design import ExperimentDesign, Metric
from evaluation.experiments.event_units import Units
from evaluation.planning import always_valid, tightest_prior
from evaluation.significance import holm

_FEWEST = 100
"""Users in each variant before a look: the intervals are asymptotic."""


@dataclass(frozen=True)
class Look:
    """What was known after a day, valid however often one looks (Waudby-Smith et al. 2024)."""

    day: int
    """From 0."""
    users: int
    difference: float
    low: float
    high: float
    p: float
    """Never rises from look to look."""


@dataclass(frozen=True)
class Novelty:
    """The effect a day in a user's first days against the next ones."""

    days: int
    """In each half."""
    users: int
    """Who were watched that long."""
    early: float
    late: float
    p: float | None


@dataclass(frozen=True, kw_only=True)
class DayEffect(Difference):
    """The effect of what was done on one weekday."""

    weekday: str
    p_holm: float | None
    """Over the weekdays."""


def looks(found: Units, design: ExperimentDesign, metric: Metric, limit: float) -> dict[str, tuple[Look, ...]]:
    """An interval after each day for each variant, each at alpha over the number of claims the design can make.

    Not adjusted by CUPED. `limit` is where values are cut.
    """
    seen: dict[str, list[tuple[int, int, float, float]]] = {n: [] for n in found.names if n != design.control}
    above, below = np.zeros(len(found.variant)), np.zeros(len(found.variant))
    for day in range(found.days):
        more, under = found.outcome(metric, (day, day + 1))
        above = np.maximum(above, more) if metric.kind == "rate" else above + more
        below = below + under if metric.kind == "ratio" else np.ones_like(below)
        arms = {name: found.arm(name, (np.minimum(above, limit), below), found.exposed <= day) for name in found.names}
        base = arms[design.control]
        for name, rows in seen.items():
            arm, users = arms[name], len(arms[name].above) + len(base.above)
            enough = min(len(arm.above), len(base.above)) >= _FEWEST and min(arm.below.sum(), base.below.sum()) > 0
            variance = arm.variance()[0] + base.variance()[0] if enough else 0.0
            if variance > 0:
                rows.append((day, users, arm.value() - base.value(), variance))
    return {name: _intervals(rows, design.alpha / design.claims(), design) for name, rows in seen.items() if rows}


def novelty(found: Units, metric: Metric, name: str, control: str, limit: float) -> Novelty | None:
    """Of users watched for two weeks (or as long as the experiment allows); None under four days, and for ratios.

    Each user's late less early outcome is one number, so days of one user need not be independent. A rate is counted
    in events here: who has clicked once cannot do so anew.
    """
    half = min(7, found.days // 2)
    if half < 2 or metric.kind == "ratio":
        return None
    counted = metric.model_copy(update={"kind": "mean"})
    watched = found.exposed + 2 * half <= found.days
    early, late = (np.zeros(len(found.variant)) for _ in range(2))
    rows = found.daily.filter(found.daily["event"] == metric.event)
    unit, amount = rows["unit"].to_numpy(), rows["total" if counted.value else "count"].to_numpy()
    age = rows["day"].to_numpy() - found.exposed[unit]
    np.add.at(early, unit[age < half], amount[age < half])
    np.add.at(late, unit[(age >= half) & (age < 2 * half)], amount[(age >= half) & (age < 2 * half)])
    early, late = np.minimum(early, limit) / half, np.minimum(late, limit) / half
    ones = np.ones_like(early)
    tests = [
        compare_arms(*(found.arm(arm, (values, ones), watched) for arm in (name, control)))
        for values in (early, late, late - early)
    ]
    if tests[0].difference is None or tests[1].difference is None:
        return None
    return Novelty(half, int(watched.sum()), tests[0].difference, tests[1].difference, tests[2].p)


def weekdays(found: Units, metric: Metric, name: str, control: str) -> tuple[DayEffect, ...]:
    """The effect on each weekday there was, over everybody exposed: what was done on such days, a user."""
    rows: list[tuple[str, Difference]] = []
    for weekday in range(7):
        days = [d for d in range(found.days) if (found.first_day + timedelta(d)).weekday() == weekday]
        if not days:
            continue
        parts = [found.outcome(metric, (d, d + 1)) for d in days]
        above, below = (np.sum([part[side] for part in parts], axis=0) for side in (0, 1))
        above = np.minimum(above, 1.0) if metric.kind == "rate" else above
        below = below if metric.kind == "ratio" else np.ones(len(found.variant))
        tested = compare_arms(*(found.arm(arm, (above, below)) for arm in (name, control)))
        rows.append((f"{found.first_day + timedelta(days[0]):%A}", tested))
    corrected = iter(holm([t.p for _, t in rows if t.p is not None]))
    return tuple(DayEffect(**vars(t), weekday=day, p_holm=None if t.p is None else next(corrected)) for day, t in rows)


def _intervals(rows: list[tuple[int, int, float, float]], alpha: float, design: ExperimentDesign) -> tuple[Look, ...]:
    users, variance = np.array([row[1] for row in rows], dtype=float), np.array([row[3] for row in rows])
    # squared error of one user, as far as is known: what the planned number of users would leave
    planned = float(variance[-1] * users[-1]) / design.planned_users
    prior = tightest_prior(planned, alpha=alpha)
    found = always_valid(np.array([row[2] for row in rows]), variance, prior_deviation=prior, alpha=alpha)
    return tuple(
        Look(day, n, difference, low, high, p)
        for (day, n, difference, _), low, high, p in zip(rows, found["low"], found["high"], found["p"], strict=True)
    )
