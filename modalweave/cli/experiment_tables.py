"""Results of the study and the search as tables on a terminal."""

import json

from common.text import printable
from modalweave.cli.grid import Grid, plain
from modalweave.cli.tables import finish
from modalweave.progress import out
from modalweave.results.build import Plan
from modalweave.results.study import StudyResult, TuneResult, VariantList
from modalweave.workspace import Workspace

__all__ = ["finish", "plan", "study", "tune", "variants"]


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
