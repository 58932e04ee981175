"""What a survey says, and what one would take, as tables on a terminal."""

from collections.abc import Mapping
from typing import Any

from common.text import printable
from evaluation.surveys.analysis import Asked
from evaluation.surveys.report import findings, respondents, shortened, shown
from modalweave.cli.grid import Grid, plain
from modalweave.cli.tables import finish, pairs
from modalweave.progress import out
from modalweave.results.survey import RunLink, SurveyResult

__all__ = ["finish", "pairs", "plan", "survey"]

_GROUPS = 5
"""Groups of free answers shown."""


def plan(found: Mapping[str, Any]) -> None:
    """Answers and invitations by layout."""
    title = f"To find a superiority of {found['superiority']:g} with a chance of {found['power']:.0%}"
    grid = Grid(title, "who sees what", "answers", "people to invite")
    grid.add_row("other people see each variant", f"{found['between']:,} on each", f"{found['invite_between']:,}")
    grid.add_row("everybody sees both, or prefers one", f"{found['within']:,}", f"{found['invite_within']:,}")
    out.print(grid)


def survey(result: SurveyResult) -> None:
    """The findings, every question by variant, reliability, preferences, free texts, and the runs."""
    document: Any = result.to_json()
    analysis = result.analysis
    out.print(plain(respondents(document["analysis"])), soft_wrap=True)
    for sentence in (*findings(document), *analysis.notes):
        out.print(f"- {plain(sentence)}", soft_wrap=True)
    _asked(analysis.constructs | analysis.questions, analysis.control)
    if analysis.reliability:
        grid = Grid("Reliability", "construct", "questions", "rows", "alpha", "omega")
        for name, part in analysis.reliability.items():
            alpha, omega = shown(part.alpha, part.alpha_ci95), shown(part.omega, None)
            grid.add_row(name, str(len(part.questions)), str(part.rows), alpha, omega)
        out.print(grid)
        for name, part in analysis.reliability.items():
            for note in part.notes:
                out.print(f"- {plain(name)}: {plain(note)}", soft_wrap=True)
    for name, preference in analysis.preferences.items():
        grid = Grid(f"{name}: {preference.undecided} undecided", "preferred", "people", "share", "p")
        for option, n in preference.counts.items():
            share = shown(preference.shares.get(option), preference.shares_ci95.get(option))
            grid.add_row(option, str(n), share, "" if preference.p is None else f"{preference.p:.2g}")
        out.print(grid)
    for name, texts in result.texts.items():
        grid = Grid(f"{name}: {texts.n} answers in {len(texts.groups)} groups", "answer", "people", "by variant")
        for group in texts.groups[:_GROUPS]:
            grid.add_row(shortened(group.text), str(group.n), ", ".join(f"{v} {n}" for v, n in group.variants.items()))
        out.print(grid)
        if texts.note:
            out.print(f"- {plain(texts.note)}", soft_wrap=True)
    for run in result.runs:
        _run(run)
    out.print(printable(result.page), soft_wrap=True, markup=False, highlight=False)


def _asked(parts: Mapping[str, Asked], control: str) -> None:
    several = any(part.tests for part in parts.values())
    headers = ["question", *["variant"] * several, "answers", "mean", "top two"]
    grid = Grid("Answers [95 %]", *headers, *[f"against {control}", "p"] * several)
    for name, part in parts.items():
        for variant, found in part.variants.items():
            test = part.tests.get(variant)
            mean = shown(found.mean, found.ci95) + ("" if found.nps is None else f"  NPS {found.nps:+.0f}")
            cells = [name, *[variant] * several, str(found.n), mean, shown(found.top2, None)]
            if several:
                against = shown(test.difference, test.ci95) if test else ""
                cells += [against, "" if test is None else test.reason or f"{test.p:.2g}"]
            grid.add_row(*cells)
    out.print(grid)


def _run(run: RunLink) -> None:
    """Who answered, and what metrics tell."""
    bias = run.bias
    out.print(f"{bias.answered:,} of {bias.users:,} users of {plain(run.run)} answered", soft_wrap=True)
    grid = Grid("Who answered", "users with", "users", "answered", "rate, % [95 %]")
    for rate in bias.rates:
        interval = [100 * end for end in rate.ci95]
        grid.add_row(rate.group, f"{rate.users:,}", f"{rate.answered:,}", shown(100 * rate.rate, interval, 1))
    out.print(grid)
    about = f" on {run.variant}" if run.variant else ""
    grid = Grid(f"Who is satisfied ({run.outcome}{about}, {run.split})", "who", "metric", "people", "rho [95 %]", "p")
    for link in run.links:
        grid.add_row(link.group, link.metric, str(link.people), shown(link.rho, link.ci95), f"{link.p:.2g}")
    out.print(grid)
    for left in run.left_out:
        out.print(f"- left out: {plain(left)}", soft_wrap=True)
