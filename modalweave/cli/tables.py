"""Results as tables on a terminal."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from common.text import printable
from modalweave.progress import out
from modalweave.results.build import BuildResult, CacheReport, DoctorReport
from modalweave.results.jobs import DemoResult, RunResult, ScoreResult
from modalweave.results.metrics import EvaluateResult, Measurement, NewItems, RefitResult, TrainResult
from modalweave.results.record import Record
from modalweave.workspace import Workspace

R = TypeVar("R", bound=Record | Mapping[str, Any])

_WIDEST = 60
_LEAST = 0.01
"""Share of a kind of evidence that is named."""
_REASONS = 20
"""Kinds of refused rows that a build prints."""


class Grid(Table):
    """A table whose texts are what they say: no title of a catalogue is markup or an escape sequence in it.

    Colours are given as `rich.text.Text`.
    """

    def __init__(self, title: str | None = None, *columns: str) -> None:
        super().__init__(title=None if title is None else _text(title, "table.title"), title_justify="left")
        for column in columns:
            self.add_column(column, overflow="fold")

    def add_column(self, header: Any = "", *args: Any, **options: Any) -> None:
        """As in rich."""
        super().add_column(_text(header), *args, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """As in rich."""
        super().add_row(*map(_text, cells), **options)


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


def new_items(found: NewItems) -> None:
    """How items that content alone reaches fare."""
    share = f"{100 * found.share_of_lists:.1f} % of the places in the lists"
    out.print(f"New items: {found.items:,} with media and no interaction in train; {share}")
    for name, value in list(found.among_new.items())[-1:]:
        chance = found.random[name]
        out.print(
            f"  {name} among them {value!r}, at random {chance:.4f} ({found.positives:,} held out)", soft_wrap=True
        )


def metrics(result: Measurement) -> None:
    """Every metric with its interval, and what stands beside it."""
    if isinstance(result, EvaluateResult):
        beside_baselines(result)
    else:
        grid = Grid(f"Metrics on {result.split} (95 % interval)", "metric", "model")
        for metric, value in result.metrics.items():
            grid.add_row(metric, repr(value))
        out.print(grid)
    if result.note:
        out.print(f"[yellow]note[/yellow] {plain(result.note)}", soft_wrap=True)
    if result.new_items is not None:
        new_items(result.new_items)
    if isinstance(result, EvaluateResult) and result.evidence:
        shares = sorted(((k, s) for k, s in result.evidence["all"].items() if s >= _LEAST), key=lambda pair: -pair[1])
        out.print("What orders the lists: " + ", ".join(f"{plain(kind)} {share:.0%}" for kind, share in shares))
    if isinstance(result, TrainResult) and result.chosen:
        out.print(f"Chosen on validation: {plain(json.dumps(result.chosen))}")


def beside_baselines(result: EvaluateResult) -> None:
    """The headline, then every metric, a column a model: the baselines' means and by how much the model is ahead."""
    if result.headline:
        out.print(plain(result.headline), soft_wrap=True)
    grid = Grid(f"Metrics on {result.split} (95 % interval; % ahead of each, ? may be chance)", "metric", "model")
    for name in result.baselines:
        grid.add_column(name, justify="right")
    leads = {(row.baseline, row.metric): row.lead for row in result.comparisons}
    for metric, value in result.metrics.items():
        others = {name: values[metric] for name, values in result.baselines.items() if metric in values}
        cells = [f"{other.mean:.4f} {leads.get((name, metric), '')}".rstrip() for name, other in others.items()]
        ends = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]".replace("0.", ".")
        grid.add_row(metric, f"{value.mean:.4f}{ends}", *cells)
    out.print(grid)


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


def rows(result: Mapping[str, Any]) -> None:
    """Query results."""
    grid = Grid(None, *result["columns"])
    for row in result["rows"]:
        grid.add_row(*(_cell(value) for value in row.values()))
    out.print(grid)
    out.print(f"{len(result['rows'])} rows")


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


def plain(text: str) -> str:
    """Escaped for rich and the terminal: a title from a catalogue is neither markup nor an escape sequence."""
    return escape(printable(str(text)))


def _text(value: Any, style: str = "") -> Any:
    return Text(printable(value), style) if isinstance(value, str) else value


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
