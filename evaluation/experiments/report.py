"""What an experiment says, in sentences and as a page."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from common.files import write_text
from common.page import Cell, Table
from common.plots import INK, LINE, MODEL, STYLE
from evaluation.document import Plot, Section, as_html
from evaluation.experiments.analysis import ExperimentAnalysis, MetricResult
from evaluation.experiments.course import Look
from evaluation.experiments.design import ExperimentDesign
from evaluation.plots import Estimate, interval_plot

_HELP = (
    "p is Holm-corrected over all metrics and variants; of a guardrail it is one-sided, that less than its margin is "
    "lost. Intervals hold 95 %, each for itself."
)
_ANY_DAY = (
    "These intervals hold on all days at once, however often one looks and whenever one stops (asymptotic confidence "
    "sequences, Waudby-Smith et al. 2024), over all claims of the design. Not adjusted by CUPED."
)


def write_experiment(path: Path, found: ExperimentAnalysis, design: ExperimentDesign, said: Sequence[str]) -> None:
    """Write the page; `said` are the findings."""
    sections = [
        Section("In short", [told_split(found)], [*said, *found.notes]),
        _results(found),
        _arrived(found, design),
        *(_course(name, metric) for name, metric in found.metrics.items()),
        _weekdays(found),
        _segments(found),
    ]
    write_text(path, as_html(found.name, [s for s in sections if s.points or s.tables or s.plots]))


def findings(found: ExperimentAnalysis, design: ExperimentDesign) -> list[str]:
    """The verdict on each metric and variant."""
    if found.split["mismatch"]:
        return ["No verdict: the users do not split as planned."]
    said = []
    for name, metric in found.metrics.items():
        for variant, test in metric.tests.items():
            about = f"{name}: {variant}"
            change = (
                share(test.relative, test.relative_ci95)
                if test.relative is not None
                else number(test.difference, test.ci95, signed=True)
            )
            against = f"({change} against {found.control})"
            if test.reason:
                said.append(f"{about} was not tested: {test.reason}.")
            elif metric.guardrail is not None:
                said.append(f"{about}: the guardrail of {metric.guardrail:.1%} is {test.verdict} {against}.")
            elif test.verdict == "unclear":
                said.append(f"{about} is not told apart from {found.control} {against}.")
            else:
                said.append(f"{about} is {test.verdict} {against}, p = {test.p_holm:.2g}.")
            if day := _stopped(metric.looks.get(variant), design):
                said.append(f"{about} could have been told on day {day}, looking every day.")
    return said


def told_split(found: ExperimentAnalysis) -> str:
    """Who was in it, and how long."""
    users = ", ".join(f"{n:,} on {name}" for name, n in found.users.items())
    fits = "not as planned" if found.split["mismatch"] else "as planned"
    return f"{users} ({fits}, p = {found.split['p']:.2g}), {found.days} days from {found.first_day}."


def number(value: float | None, interval: Sequence[float] | None = None, *, signed: bool = False) -> str:
    """A number, with its interval."""
    if value is None:
        return "–"
    form = "+.4g" if signed else ".4g"
    return f"{value:{form}}" + (f" [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else "")


def share(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A relative difference in per cent, with its interval."""
    if value is None:
        return "–"
    return f"{value:+.2%}" + (f" [{interval[0]:+.2%}, {interval[1]:+.2%}]" if interval else "")


def _stopped(looks: Sequence[Look] | None, design: ExperimentDesign) -> int | None:
    """The first day, from 1, on which the interval leaves 0 out, where it still does at the end."""
    if not looks or looks[-1].p >= design.alpha / design.claims():
        return None
    return next(look.day + 1 for look in looks if look.p < design.alpha / design.claims())


def _results(found: ExperimentAnalysis) -> Section:
    rows: list[list[Cell]] = []
    estimates = []
    for name, metric in found.metrics.items():
        for variant, test in metric.tests.items():
            p = test.p_kept if metric.guardrail is not None else test.p_holm
            rows.append(
                [
                    (f"{name}: {variant}", _about(metric)),
                    number(metric.values[found.control]),
                    number(metric.values[variant]),
                    _noted(number(test.difference, signed=True), number(test.difference, test.ci95, signed=True)),
                    _noted(share(test.relative), share(test.relative, test.relative_ci95)),
                    "–" if p is None else f"{p:.2g}",
                    test.reason or test.verdict,
                ]
            )
            if test.relative is not None and test.relative_ci95 is not None:
                low, high = test.relative_ci95
                strong = test.verdict in ("better", "worse", "broken")
                estimates.append(Estimate(f"{name}: {variant}", 100 * test.relative, 100 * low, 100 * high, strong))
    headers = ["metric", found.control, "variant", "difference", "relative", "p", "verdict"]
    drawn = interval_plot(estimates, f"difference, % of {found.control}", zero=True) if estimates else None
    plots = [Plot("relative", drawn, "Relative differences with 95 % intervals.")] if drawn else []
    return Section("Results", [_HELP], plots=plots, tables=[Table(headers, rows)])


def _about(metric: MetricResult) -> str:
    parts = [metric.kind]
    parts += [f"guardrail {metric.guardrail:.1%}"] if metric.guardrail is not None else []
    parts += ["lower is better"] if metric.better == "lower" else []
    parts += [f"CUPED takes {metric.variance_removed:.0%} of the variance"] if metric.variance_removed else []
    return ", ".join(parts)


def _noted(value: str, whole: str) -> Cell:
    return (value, whole.removeprefix(value).strip()) if whole != value else value


def _arrived(found: ExperimentAnalysis, design: ExperimentDesign) -> Section:
    planned = design.shares()
    total = sum(found.users.values())
    rows: list[list[Cell]] = [
        [name, f"{n:,}", f"{n / total:.2%}", f"{planned[name]:.2%}", f"{found.silent.get(name, 0.0):.2%}"]
        for name, n in found.users.items()
    ]
    headers = ["variant", "users", "share", "planned", "without any outcome"]
    left = f"Left out: {found.crossed:,} users in two variants, {found.unexposed:,} with outcomes and no exposure."
    return Section("Who arrived", [left], tables=[Table(headers, rows)])


def _course(name: str, metric: MetricResult) -> Section:
    plots, rows = [], []
    for variant, looks in metric.looks.items():
        plots.append(_looks_plot(name, variant, looks))
        rows += [
            [
                f"{variant}: day {look.day + 1}",
                f"{look.users:,}",
                _noted(
                    number(look.difference, signed=True), number(look.difference, (look.low, look.high), signed=True)
                ),
                f"{look.p:.2g}",
            ]
            for look in looks
        ]
    headers = ["after", "users", "difference", "p, any day"]
    points = [
        f"{variant}: {new.early:+.4g} a day in a user's first {new.days} days, {new.late:+.4g} in the next "
        f"({new.users:,} users" + (f", p = {new.p:.2g})." if new.p is not None else ").")
        for variant, new in metric.novelty.items()
    ]
    return Section(
        f"{name} through time", [_ANY_DAY] if rows else [], points, plots, [Table(headers, rows)] if rows else []
    )


def _looks_plot(name: str, variant: str, looks: Sequence[Look]) -> Plot:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 2.6), layout="constrained")
        axes = figure.add_subplot()
        days = [look.day + 1 for look in looks]
        axes.axhline(0, color=INK, linewidth=1)
        axes.fill_between(days, [k.low for k in looks], [k.high for k in looks], color=MODEL, alpha=0.2, linewidth=0)
        axes.plot(days, [look.difference for look in looks], color=MODEL, marker="o", markersize=4)
        axes.set_xlabel("day")
        axes.set_ylabel("difference")
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return Plot(
        f"{variant}-by-day", figure, f"{name}, {variant}: difference with its always-valid interval after each day."
    )


def _weekdays(found: ExperimentAnalysis) -> Section:
    rows: list[list[Cell]] = [
        [
            f"{name}, {variant}: {day.weekday}",
            _noted(number(day.difference, signed=True), number(day.difference, day.ci95, signed=True)),
            _noted(share(day.relative), share(day.relative, day.relative_ci95)),
            "–" if day.p_holm is None else f"{day.p_holm:.2g}",
        ]
        for name, metric in found.metrics.items()
        for variant, days in metric.weekdays.items()
        for day in days
    ]
    said = "What was done on that weekday, a user; p corrected over the weekdays of a metric and variant."
    return Section(
        "By weekday", [said], tables=[Table(["weekday", "difference", "relative", "p"], rows)] if rows else []
    )


def _segments(found: ExperimentAnalysis) -> Section:
    rows: list[list[Cell]] = [
        [
            (f"{row.segment} = {row.value}", f"{row.metric}, {row.variant}"),
            f"{row.users:,}",
            _noted(number(row.difference, signed=True), number(row.difference, row.ci95, signed=True)),
            _noted(share(row.relative), share(row.relative, row.relative_ci95)),
            row.reason or ("–" if row.p_holm is None else f"{row.p_holm:.2g}"),
        ]
        for row in found.segments
    ]
    said = "p corrected over all segments, metrics and variants. What was not planned for is a question, no answer."
    headers = ["segment", "users", "difference", "relative", "p"]
    return Section("By segment", [said], tables=[Table(headers, rows)] if rows else [])
