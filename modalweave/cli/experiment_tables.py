"""Results of the study and the search as tables on a terminal."""

import json
from typing import Any

from common.text import printable
from evaluation.comparison_report import named_items, slice_label, verdicts
from modalweave.cli.grid import Grid, plain
from modalweave.cli.tables import finish
from modalweave.progress import out
from modalweave.results.build import Plan
from modalweave.results.compare import CompareResult, Difference
from modalweave.results.study import StudyResult, TuneResult, VariantList
from modalweave.workspace import Workspace

__all__ = ["compare", "finish", "plan", "study", "tune", "variants"]


def compare(result: CompareResult) -> None:
    """The verdicts, the metrics side by side, who gains and loses, and whose lists changed most."""
    document: Any = result.to_json()
    for sentence in [*verdicts(document), *result.notes]:
        out.print(f"- {plain(sentence)}", soft_wrap=True)
    first, *others = result.runs
    grid = Grid(f"On {result.split}, {result.users:,} users: difference from {first.name} [95 %]", "metric", first.name)
    for run in others:
        grid.add_column(run.name, overflow="fold")
    for metric, value in first.metrics.items():
        found = [row for row in result.differences if row.metric == metric]
        grid.add_row(metric, f"{value.mean:.4f}", *map(_difference, found))
    out.print(grid)
    told = [(row, shown) for row, shown in zip(result.slices, document["slices"], strict=True)]
    if claimed := [pair for pair in told if pair[0].verdict != "unclear"]:
        grid = Grid(f"Who gains and loses ({claimed[0][0].metric})", "run", "who", "difference")
        for row, shown in claimed:
            grid.add_row(row.run, slice_label(shown), _difference(row))
        out.print(grid)
    else:
        out.print(f"In none of {len(told)} groups of users and items is a difference more than chance would give")
    for changes, shown in zip(result.lists, document["lists"], strict=True):
        title = f"{changes.run}: lists overlap {changes.jaccard.mean:.0%}, RBO {changes.rbo.mean:.2f}; changed most:"
        grid = Grid(title, "user", "RBO", "recall", "gone", "new")
        for user, said in zip(changes.users, shown["users"], strict=True):
            recall = f"{user.recall[0]:.2f} to {user.recall[1]:.2f}"
            grid.add_row(
                user.user, f"{user.rbo:.2f}", recall, named_items(said["gone"], 3), named_items(said["new"], 3)
            )
        out.print(grid)
    for path in (result.page, *(result.trec or ())):
        out.print(printable(path), soft_wrap=True, markup=False, highlight=False)


def _difference(row: Difference) -> str:
    sure = {"better": "  ahead", "worse": "  behind", "unclear": ""}[row.verdict]
    return f"{row.difference:+.4f}  [{row.ci95[0]:+.4f}, {row.ci95[1]:+.4f}]{sure}"


def variants(result: VariantList) -> None:
    """The variants of a study and their settings."""
    grid = Grid("Variants", "name", "what it is", "gnn")
    for variant in result.variants:
        grid.add_row(variant.name, variant.label, json.dumps(variant.gnn))
    out.print(grid)


def study(result: StudyResult) -> None:
    """The findings, then the table of variants."""
    for sentence in result.findings:
        out.print(f"- {plain(sentence)}", soft_wrap=True)
    names = list(result.variants[0].metrics)
    grid = Grid(f"Variants on {result.split} (95 % interval)", "variant", *names, "seconds", "memory, MB")
    for variant in result.variants:
        cells = [f"{v.mean:.4f}  [{v.low:.4f}, {v.high:.4f}]" for v in variant.metrics.values()]
        grid.add_row(variant.name, *cells, f"{variant.seconds:.1f}", f"{variant.memory_mb:,}")
    out.print(grid)
    page = Workspace(str(result.workspace)).study_page
    for path in (page, result.markdown) if result.markdown else (page,):
        out.print(printable(str(path)), soft_wrap=True, markup=False, highlight=False)


def tune(result: TuneResult) -> None:
    """The best trials and where the chosen config lies."""
    grid = Grid("Trials, best first", "trial", "quality", "seconds", "settings")
    for trial in sorted(result.trials, key=lambda t: -t.quality)[:10]:
        settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items()) or "the config's own"
        grid.add_row(str(trial.number), f"{trial.quality:.4f}", f"{trial.seconds:.1f}", settings)
    out.print(grid)
    out.print(f"Quality is the mean of recall@20 and ndcg@20 on validation; {len(result.trials)} trials.")
    out.print(f"Chosen config: {printable(result.config)}", soft_wrap=True, markup=False, highlight=False)


def plan(result: Plan) -> None:
    """What a run would take, part by part, and whether it fits."""
    grid = Grid("Plan", "part", "memory, MB", "seconds", "smaller with a lower")
    for part in result.parts:
        grid.add_row(part.name, f"{part.memory_mb:,}", f"{part.seconds:,.0f}", part.setting)
    out.print(grid)
    out.print(plain(result.verdict), soft_wrap=True)
