"""Experiments as tables on a terminal."""

from common.text import printable
from evaluation.experiments.report import number, share, told_split
from modalweave.cli.grid import Grid, plain
from modalweave.cli.tables import finish
from modalweave.progress import out
from modalweave.results.experiment import Assignment, ExperimentPlan, ExperimentResult

__all__ = ["analysis", "assignment", "finish", "plan"]


def plan(result: ExperimentPlan) -> None:
    """Users, days and what can be found, by metric."""
    shared = f", shared by {result.claims} claims" if result.claims > 1 else ""
    said = f"{result.name}: {result.power:.0%} power at alpha {result.alpha:g}{shared}"
    grid = Grid(said, "metric", "control", "effect", "users", "days", "least found", "power", "false alarms")
    for name, metric in result.metrics.items():
        least, simulated = metric.detectable, metric.simulated
        grid.add_row(
            name,
            number(metric.baseline),
            f"{metric.effect:+.1%}",
            f"{metric.users:,}",
            "–" if metric.days is None else str(metric.days),
            "–" if least is None else f"{least:.1%}",
            "–" if simulated is None else f"{simulated.power:.1%}",
            "–" if simulated is None else f"{simulated.false_positives:.1%}",
        )
    out.print(grid)
    for name, metric in result.metrics.items():
        if metric.variance_removed:
            out.print(f"- {plain(name)}: CUPED takes out {metric.variance_removed:.0%} of the variance", soft_wrap=True)
        if metric.days is None and metric.available is not None:
            out.print(f"- {plain(name)}: only {metric.available:,} users came in the window", soft_wrap=True)
    runs = next((m.simulated.runs for m in result.metrics.values() if m.simulated), 0)
    told = f"; power and false alarms are of {runs:,} experiments simulated on past users" if runs else ""
    out.print(f"users: of all variants together{told}", soft_wrap=True)
    out.print(f"planned_users: {result.users:,} for the design", soft_wrap=True)


def assignment(result: Assignment) -> None:
    """How many went where."""
    grid = Grid(f"{result.name}: {result.users:,} users", "variant", "users")
    for name, users in result.variants.items():
        grid.add_row(name, f"{users:,}")
    for reason, users in result.left_out.items():
        grid.add_row(f"(none: {reason})", f"{users:,}")
    out.print(grid)
    out.print(printable(result.out), soft_wrap=True, markup=False, highlight=False)


def analysis(result: ExperimentResult) -> None:
    """Findings and notes, every test, the segments that differ."""
    found = result.analysis
    out.print(plain(told_split(found)), soft_wrap=True)
    for text in (*result.findings, *found.notes):
        out.print(f"- {plain(text)}", soft_wrap=True)
    grid = Grid(f"Against {found.control} [95 %]", "metric", "variant", "relative", "p", "any day", "verdict")
    for name, metric in found.metrics.items():
        for variant, test in metric.tests.items():
            looks = metric.looks.get(variant)
            p = test.p_kept if metric.guardrail is not None else test.p_holm
            grid.add_row(
                f"{name} ({number(metric.values[found.control])})",
                variant,
                share(test.relative, test.relative_ci95) if test.relative is not None else number(test.difference),
                "–" if p is None else f"{p:.2g}",
                f"{looks[-1].p:.2g}" if looks else "–",
                test.reason or test.verdict,
            )
    out.print(grid)
    told = [row for row in found.segments if row.p_holm is not None and row.p_holm < 0.05]
    if told:
        grid = Grid("Segments with a difference", "segment", "metric", "variant", "users", "relative", "p")
        for row in told:
            name = f"{row.segment} = {row.value}"
            relative = share(row.relative, row.relative_ci95)
            grid.add_row(name, row.metric, row.variant, f"{row.users:,}", relative, f"{row.p_holm:.2g}")
        out.print(grid)
    out.print(printable(result.page), soft_wrap=True, markup=False, highlight=False)
