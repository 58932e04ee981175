"""What a language model would be asked, and what it wrote, on a terminal."""

from collections.abc import Mapping

from modalweave.cli import tables
from modalweave.cli.grid import Grid, plain
from modalweave.progress import out
from modalweave.results.enrichment import AskResult, EnrichPlan, EnrichResult


def enrichment(result: EnrichPlan | EnrichResult) -> None:
    """What would be sent, or what came of it."""
    if isinstance(result, EnrichPlan):
        _plan(result)
    else:
        _written(result)


def asked(result: AskResult, titles: Mapping[str, str]) -> None:
    """The query that was run, those that were not, and the rows."""
    for refused in result.refused:
        out.print(f"[red]refused[/red] {plain(str(refused['query']))}: {plain(str(refused['reason']))}", soft_wrap=True)
    out.print(plain(result.query), style="cyan", soft_wrap=True)
    columns = list(result.rows[0]) if result.rows else []
    tables.rows({"columns": columns, "rows": result.rows}, titles, cut=result.cut)


def _plan(plan: EnrichPlan) -> None:
    grid = Grid("To be sent (tokens are guessed)")
    for name in ("task", "items", "calls", "tokens in", "tokens out", "cost", "time"):
        grid.add_column(name, justify="left" if name == "task" else "right")
    for task in plan.tasks:
        cost = f"{task.cost:,.2f} {plan.currency}" if task.cost is not None else "no price"
        time = _time(task.seconds) if task.seconds is not None else "unknown yet"
        numbers = (task.items, task.calls, task.tokens_in, task.tokens_out)
        grid.add_row(task.task, *(f"{number:,}" for number in numbers), plain(cost), time)
    out.print(grid)
    out.print(f"To {plain(plan.sends_to)}; nothing was sent", soft_wrap=True)
    if any(task.seconds is None and task.calls for task in plan.tasks):
        out.print(
            "`modalweave enrich --limit 20` asks about a few items: then the time is known, and a page shows them"
        )


def _written(result: EnrichResult) -> None:
    grid = Grid("Written")
    grid.add_column("what")
    grid.add_column("how many", justify="right")
    for kind, number in result.written.items():
        grid.add_row(plain(kind), f"{number:,}")
    out.print(grid)
    new = result.asked - result.kept
    used = f", {result.tokens_in:,} tokens in and {result.tokens_out:,} out" if result.tokens_in else ""
    out.print(f"{result.asked:,} questions to {plain(result.model)}, {new:,} of them new{used}")
    if result.left_out:
        out.print(f"{result.left_out:,} replies or parts of them did not fit; `build` says why in quarantine.parquet")
    if result.page:
        out.print(f"Look at it: {plain(result.page)}", soft_wrap=True)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
