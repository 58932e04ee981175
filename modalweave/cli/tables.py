"""Results as tables on a terminal."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.text import Text

from common.text import printable
from modalweave.cli.evaluation_tables import metrics
from modalweave.cli.grid import Grid, plain
from modalweave.explore.queries import ITEM_COLUMNS
from modalweave.progress import out
from modalweave.results.build import BuildResult, CacheReport, DoctorReport
from modalweave.results.jobs import DemoResult, RunResult, ScoreResult
from modalweave.results.metrics import RefitResult
from modalweave.results.record import Record
from modalweave.workspace import Workspace

__all__ = [
    "build", "cache", "demo", "doctor", "finish", "metrics", "pairs", "products", "recipes", "refit", "rows", "run",
    "scores", "stats",
]  # fmt: skip

R = TypeVar("R", bound=Record | Mapping[str, Any])

_WIDEST = 60
_HASH = re.compile(r"[0-9a-f]{64}")
"""Ids of media: their first characters tell them apart."""
_REASONS = 20
"""Kinds of refused rows that a build prints."""


def finish(result: R, as_json: bool, render: Callable[[R], None]) -> None:
    """The result of a command on stdout: one JSON object, or for people."""
    if as_json:
        print(json.dumps(result.to_json() if isinstance(result, Record) else result, default=str))
    else:
        render(result)


def build(result: BuildResult) -> None:
    """Counts, coverage and warnings of a build."""
    counts = Grid("Graph")
    counts.add_column("kind")
    counts.add_column("count", justify="right")
    for name, number in (*result.nodes.items(), *result.relationships.items()):
        if number:
            counts.add_row(name, f"{number:,}")
    out.print(counts)
    shares = ", ".join(f"{plain(modality)} {share:.0%}" for modality, share in result.coverage.items())
    out.print(f"Items with media: {shares or 'none'}")
    out.print(f"{result.written:,} written, {result.quarantined:,} quarantined (quarantine.parquet says why)")
    if result.bulk:
        out.print(f"Next: {plain(result.bulk.next)}", soft_wrap=True)
    if result.replaced:
        out.print(f"{result.replaced:,} of an earlier delivery went: this one gives their items others")
    if result.removed:
        out.print(f"{result.removed:,} removed that the source no longer has")
    if result.stale:
        left = ", ".join(f"{number:,} {plain(kind)}" for kind, number in result.stale.items())
        out.print(f"[yellow]note[/yellow] the store holds {left} that the source lacks; `--prune` removes them")
    for entry in result.refused[:_REASONS]:
        out.print(f"[red]left out[/red] {plain(str(entry))}", soft_wrap=True)
    for warning in result.warnings:
        out.print(f"[yellow]note[/yellow] {plain(warning)}", soft_wrap=True)


def refit(result: RefitResult) -> None:
    """What the model to serve was fitted on, and the metrics of the one measured in its place."""
    out.print(f"The model to serve is fitted on {', '.join(result.fitted_on)}: bundle {result.bundle[:12]}")
    if result.measured.metrics:
        grid = Grid(f"The model that was measured, on {result.measured.split} (95 % interval)", "metric", "model")
        for name, value in result.measured.metrics.items():
            grid.add_row(name, repr(value))
        out.print(grid)


def scores(result: ScoreResult) -> None:
    """What the batch job wrote."""
    out.print(f"{result.rows:,} links in {len(result.parts)} parts in {plain(result.out)}")
    if result.written_back is not None:
        out.print(f"{result.written_back:,} RECOMMENDED links written to {plain(str(result.store))}")


def pairs(result: Record | Mapping[str, Any]) -> None:
    """A flat result, one `name: value` a line."""
    for name, value in (result.to_json() if isinstance(result, Record) else result).items():
        out.print(f"{plain(name)}: {plain(str(value))}", soft_wrap=True)


def cache(result: CacheReport) -> None:
    """The embedding cache, encoder by encoder."""
    rows({"columns": list(result.encoders[0]) if result.encoders else [], "rows": result.encoders})
    out.print(f"{result.bytes / 1e6:.1f} MB in {plain(result.folder)}; {result.removed_bytes:,} bytes removed")


def run(result: RunResult) -> None:
    """A whole run: the graph, the metrics, where everything lies."""
    build(result.build)
    if result.evaluate is not None:
        metrics(result.evaluate)
    scores(result.score)
    products(Path(result.workspace))


def products(workspace: Path) -> None:
    """Where a run's products lie."""
    out.print("Products:")
    for path in Workspace(workspace).products():
        out.print(f"  {printable(str(path))}", soft_wrap=True, markup=False, highlight=False)


def rows(result: Mapping[str, Any], titles: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
    """Query results; `titles` stand beside the ids of items, `cut` says that there are more."""
    grid = Grid(None, *result["columns"])
    for row in result["rows"]:
        grid.add_row(*(_cell(value) + _title(titles or {}, name, value) for name, value in row.items()))
    out.print(grid)
    out.print(f"{len(result['rows'])} rows" + (", and there are more" if cut else ""))


def recipes(cookbook: Mapping[str, Any], as_json: bool) -> None:
    """The cookbook's names, what each answers, and its parameters."""
    if as_json:
        listed = {n: {"description": r.description, "parameters": dict(r.parameters)} for n, r in cookbook.items()}
        print(json.dumps(listed))
        return
    heading = "Cookbook: modalweave cypher --name NAME --param key=value"
    grid = Grid(heading, "name", "what it shows", "parameters (defaults)")
    for name, recipe in cookbook.items():
        defaults = ", ".join(f"{k}={v}" if v is not None else k for k, v in recipe.parameters.items())
        grid.add_row(name, recipe.description, defaults)
    out.print(grid)


def stats(result: Mapping[str, Any]) -> None:
    """The shape of the graph: one row a label, then the whole, then the nodes that stand out."""
    grid = Grid("Links of a node")
    for column in ("label", "mean", "median", "max", "without any"):
        grid.add_column(column, justify="left" if column == "label" else "right")
    for label, degree in result["degree"].items():
        numbers = (f"{degree['mean']:.2f}", f"{degree['median']:g}", f"{degree['max']:g}", f"{degree['isolated']:.1%}")
        grid.add_row(label, *numbers)
    out.print(grid)
    out.print(f"{result['nodes']:,} nodes, {result['edges']:,} relationships")
    out.print(f"{result['components']:,} components, the largest with {result['largest_component']:.1%} of the nodes")
    if result["communities"] is None:
        out.print("Communities are not computed for a graph of this size; narrow it with --around or --label")
    else:
        out.print(f"{result['communities']:,} communities, modularity {result['modularity']:.3f}")
    columns = ["label", "id", "pagerank"]
    rows({"columns": columns, "rows": [dict(zip(columns, row, strict=True)) for row in result["pagerank"]]})


def demo(result: DemoResult) -> None:
    """One user's history and recommendations, why, the metrics, and where everything lies."""
    out.rule("A synthetic catalogue: its items, users and tastes are made up by the program")
    build(result.build)
    lists = Grid(f"User {result.user}")
    lists.add_column("liked")
    lists.add_column("recommended")
    lists.add_column("score", justify="right")
    liked, recommended = result.history, result.recommended
    for row in range(max(len(liked), len(recommended))):
        best = recommended[row] if row < len(recommended) else None
        lists.add_row(
            liked[row] if row < len(liked) else "",
            best.title if best else "",
            f"{best.score:.3f}" if best else "",
        )
    out.print(lists)
    paths_table = Grid(f"Why {recommended[0].title}", "kind", "because")
    for path in result.paths:
        paths_table.add_row(path.kind, path.sentence)
    out.print(paths_table)
    metrics(result.evaluate)
    products(Path(result.workspace))
    out.print("Next:")
    for command in result.next:
        out.print(f"  {command}", markup=False, soft_wrap=True)


def doctor(report: DoctorReport) -> None:
    """Each check, its state, and the way out of a gap."""
    grid = Grid("modalweave doctor", "check", "state", "found", "what to do")
    colours = {"ok": "green", "missing": "yellow", "failed": "red"}
    for check in report.checks:
        grid.add_row(check.name, Text(check.state, colours[check.state]), check.found, check.fix)
    out.print(grid)


def _title(titles: Mapping[str, str], column: str, value: Any) -> str:
    return f"  {titles[value]}" if column in ITEM_COLUMNS and value in titles else ""


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str) and _HASH.fullmatch(value):
        return f"{value[:12]}…"
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
