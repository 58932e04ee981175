"""An experiment from its users' outcomes to a verdict on each metric.

Checks before results (sample ratio, exposure without outcome), then each metric against control: the test, what CUPED
took out, always-valid intervals by day, novelty, weekdays, segments. Kohavi, Tang and Xu (2020) throughout; which
p-values are corrected together stands beside each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.ab import cuped, sample_ratio_mismatch
from evaluation.errors import EvaluationError
from evaluation.experiments.arms import Difference, compare_arms
from evaluation.experiments.course import DayEffect, Look, Novelty, looks, novelty, weekdays
from evaluation.experiments.design import ExperimentDesign, Metric
from evaluation.experiments.event_units import Units
from evaluation.experiments.segments import SegmentEffect, segment_effects
from evaluation.significance import holm

Verdict = Literal["better", "worse", "unclear", "kept", "broken", "not shown to hold"]
"""Of a metric: better, worse or unclear at `alpha` after correction; of a guardrail: kept, broken or not shown."""


@dataclass(frozen=True, kw_only=True)
class Test(Difference):
    """A variant against control in one metric."""

    p_holm: float | None
    """Over all metrics and variants, guardrails aside; None for a guardrail."""
    p_kept: float | None
    """Of a guardrail: one-sided, that no more than its margin is lost."""
    verdict: Verdict


@dataclass(frozen=True)
class Cut:
    """What winsorising did."""

    limit: float
    users: int
    """Above it, counted as it."""


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One metric."""

    kind: str
    better: str
    guardrail: float | None
    values: dict[str, float | None]
    """Variant -> its mean or ratio, unadjusted; None without users."""
    tests: dict[str, Test]
    variance_removed: float
    """By CUPED; 0 where there is no past."""
    covariates_missing: int
    """Users without a past, whose values CUPED leaves as they are."""
    winsorised: Cut | None
    looks: dict[str, tuple[Look, ...]]
    """Variant -> always-valid interval after each day."""
    novelty: dict[str, Novelty]
    weekdays: dict[str, tuple[DayEffect, ...]]


@dataclass(frozen=True, kw_only=True)
class ExperimentAnalysis:
    """The whole experiment."""

    name: str
    control: str
    users: dict[str, int]
    split: Mapping[str, Any]
    """As `sample_ratio_mismatch`, over clusters where those were assigned."""
    first_day: str
    days: int
    silent: dict[str, float]
    """Variant -> share of exposed users without any outcome."""
    silent_p: float | None
    """Chi-square that the shares are one: below alpha, look at the logging or call it an effect."""
    crossed: int
    unexposed: int
    metrics: dict[str, MetricResult]
    segments: tuple[SegmentEffect, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """A metric of every user, as it is tested."""

    above: Float[np.ndarray, "users"]
    below: Float[np.ndarray, "users"]
    adjusted: Float[np.ndarray, "users"]
    """`above` after CUPED."""
    removed: float
    missing: int
    cut: Cut | None


def analyse_experiment(found: Units, design: ExperimentDesign) -> ExperimentAnalysis:
    """Test every metric of the design; raises `EvaluationError` where the design has none."""
    if not design.metrics:
        raise EvaluationError(f"{design.name} has no metrics; the design has to name one: {{clicks: {{event: click}}}}")
    prepared = {name: prepare(found, metric) for name, metric in design.metrics.items()}
    measured = {name: _measure(found, design, design.metrics[name], p) for name, p in prepared.items()}
    corrected = _corrected(measured, design)
    values = {name: (p.above, p.below) for name, p in prepared.items()}
    segments, left = segment_effects(found, design, values)
    silent, silent_p = _silent(found)
    counts = {name: int((found.variant == place).sum()) for place, name in enumerate(found.names)}
    shared = _shared_clusters(found)
    analysis = ExperimentAnalysis(
        name=design.name,
        control=design.control,
        users=counts,
        split=sample_ratio_mismatch(_assigned(found, counts), design.variants),
        first_day=found.first_day.date().isoformat(),
        days=found.days,
        silent=silent,
        silent_p=silent_p,
        crossed=found.crossed,
        unexposed=found.unexposed,
        metrics=corrected,
        segments=segments,
        notes=(),
    )
    said = [f"{shared:,} clusters hold users of two variants: errors assume each has one."] if shared else []
    return replace(analysis, notes=(*_notes(analysis, design), *said, *left))


def prepare(found: Units, metric: Metric) -> Prepared:
    """Winsorise and adjust, over all variants together."""
    above, below = found.outcome(metric)
    above, cut = _winsorised(above, metric)
    if metric.kind == "ratio" or not found.has_past.any():
        return Prepared(above, below, above, 0.0, 0, cut)
    before = found.before(metric)
    known = ~np.isnan(before)
    before[known], _ = _winsorised(before[known], metric)
    adjusted, removed = cuped(above, before)
    return Prepared(above, below, adjusted, removed, int((~known).sum()), cut)


def _winsorised(values: np.ndarray, metric: Metric) -> tuple[np.ndarray, Cut | None]:
    if not metric.value or metric.kind != "mean" or metric.winsorise is None or not len(values):
        return values, None
    limit = float(np.quantile(values, metric.winsorise))
    above = int((values > limit).sum())
    # where hardly anybody has a value the quantile is 0, and cutting there would leave nothing
    return (np.minimum(values, limit), Cut(limit, above)) if above and limit > 0 else (values, None)


def _measure(found: Units, design: ExperimentDesign, metric: Metric, ready: Prepared) -> MetricResult:
    arms = {name: found.arm(name, (ready.adjusted, ready.below)) for name in found.names}
    raw = {name: found.arm(name, (ready.above, ready.below)).value() for name in found.names}
    others = [name for name in found.names if name != design.control]
    plain = metric.kind == "rate" and not ready.removed
    tests: dict[str, Test] = {}
    for name in others:
        tested = compare_arms(arms[name], arms[design.control], scale=raw[design.control], rate=plain)
        tests[name] = Test(**vars(tested), p_holm=None, p_kept=_p_kept(tested, metric), verdict="unclear")
    limit = ready.cut.limit if ready.cut else np.inf
    return MetricResult(
        kind=metric.kind,
        better=metric.better,
        guardrail=metric.guardrail,
        values={name: None if np.isnan(value) else value for name, value in raw.items()},
        tests=tests,
        variance_removed=ready.removed,
        covariates_missing=ready.missing,
        winsorised=ready.cut,
        looks=looks(found, design, metric, limit),
        novelty={name: n for name in others if (n := novelty(found, metric, name, design.control, limit))},
        weekdays={name: weekdays(found, metric, name, design.control) for name in others},
    )


def _p_kept(tested: Difference, metric: Metric) -> float | None:
    """One-sided p that the relative loss is under the margin (non-inferiority; Schultzberg et al. 2024)."""
    if metric.guardrail is None or tested.relative is None or tested.relative_ci95 is None:
        return None
    error = (tested.relative_ci95[1] - tested.relative_ci95[0]) / 2 / scipy.stats.norm.ppf(0.975)
    gain = tested.relative if metric.better == "higher" else -tested.relative
    return float(scipy.stats.norm.sf((gain + metric.guardrail) / error))


def _corrected(measured: Mapping[str, MetricResult], design: ExperimentDesign) -> dict[str, MetricResult]:
    """Holm's correction over metrics and variants; a guardrail has to be kept in each, so it needs none."""
    family = [
        (m, v) for m, r in measured.items() for v, t in r.tests.items() if r.guardrail is None and t.p is not None
    ]
    p_of = dict(zip(family, holm([measured[m].tests[v].p or 0.0 for m, v in family]), strict=True))
    return {
        name: replace(
            result,
            tests={
                variant: replace(
                    test,
                    p_holm=p_of.get((name, variant)),
                    verdict=_verdict(test, result, p_of.get((name, variant)), design.alpha),
                )
                for variant, test in result.tests.items()
            },
        )
        for name, result in measured.items()
    }


def _verdict(test: Test, result: MetricResult, p: float | None, alpha: float) -> Verdict:
    gain = (test.difference or 0.0) * (1 if result.better == "higher" else -1)
    if result.guardrail is not None:
        if test.p_kept is not None and test.p_kept < alpha:
            return "kept"
        return "broken" if test.p is not None and test.p < alpha and gain < 0 else "not shown to hold"
    if p is None or p >= alpha:
        return "unclear"
    return "better" if gain > 0 else "worse"


def _assigned(found: Units, counts: Mapping[str, int]) -> Mapping[str, int]:
    """How many of what was assigned each variant has."""
    if found.cluster is None:
        return counts
    return {name: len(np.unique(found.cluster[found.variant == place])) for place, name in enumerate(found.names)}


def _shared_clusters(found: Units) -> int:
    if found.cluster is None:
        return 0
    pairs = np.unique(np.stack([found.cluster, found.variant]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def _silent(found: Units) -> tuple[dict[str, float], float | None]:
    busy = np.zeros(len(found.variant), dtype=bool)
    busy[found.daily["unit"].to_numpy()] = True
    of = [
        (int((~busy & here).sum()), int(here.sum())) for here in (found.variant == p for p in range(len(found.names)))
    ]
    shares = {name: quiet / n for name, (quiet, n) in zip(found.names, of, strict=True) if n}
    table = np.array([(quiet, n - quiet) for quiet, n in of if n])
    if len(table) < 2 or not table.sum(axis=0).all():
        return shares, None
    return shares, float(scipy.stats.chi2_contingency(table, correction=False).pvalue)


def _notes(analysis: ExperimentAnalysis, design: ExperimentDesign) -> Sequence[str]:
    """What has to be known before a number is believed."""
    said = []
    if analysis.split["mismatch"]:
        said.append(
            f"The users do not split as planned (p = {analysis.split['p']:.2g}): assignment or logging is broken, and "
            "no result below may be read."
        )
    if analysis.crossed:
        said.append(f"{analysis.crossed:,} users met two variants and are left out.")
    if analysis.unexposed:
        said.append(f"{analysis.unexposed:,} users have outcomes and no exposure ({design.exposure}) and are left out.")
    if analysis.silent_p is not None and analysis.silent_p < design.alpha:
        told = ", ".join(f"{share:.1%} on {name}" for name, share in analysis.silent.items())
        said.append(
            f"Exposed users without any outcome: {told} (p = {analysis.silent_p:.2g}); an effect, or lost events."
        )
    if analysis.days % 7:
        said.append(f"{analysis.days} days are no whole weeks: some weekdays count more than others.")
    for name, result in analysis.metrics.items():
        if result.winsorised:
            cut = result.winsorised
            said.append(f"{name}: {cut.users:,} users above {cut.limit:,.6g} count as that (winsorised).")
        if result.covariates_missing and result.variance_removed:
            said.append(f"{name}: {result.covariates_missing:,} users have no past; CUPED leaves them as they are.")
        for variant, new in result.novelty.items():
            if new.p is not None and new.p < design.alpha:
                said.append(
                    f"{name}, {variant}: the effect changed from {new.early:+.4g} to {new.late:+.4g} a day between the "
                    f"first {new.days} days of a user and the next (p = {new.p:.2g}): novelty or learning."
                )
    return said
