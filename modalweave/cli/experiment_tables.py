"""Results of the study and the search as tables on a terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from modalweave.cli.tables import finish
from modalweave.progress import out

__all__ = ["finish", "plan", "study", "tune", "variants"]


def variants(result: Mapping[str, Any]) -> None:
    """The variants of a study and their settings."""
    grid = _grid("Variants", ("name", "what it is", "gnn"))
    for variant in result["variants"]:
        grid.add_row(variant["name"], variant["label"], _plain(json.dumps(variant["gnn"])))
    out.print(grid)


def study(result: Mapping[str, Any]) -> None:
    """The findings, then the table of variants."""
    for sentence in result["findings"]:
        out.print(f"- {_plain(sentence)}", soft_wrap=True)
    names = list(result["variants"][0]["metrics"])
    grid = _grid(f"Variants on {result['split']} (95 % interval)", ("variant", *names, "seconds", "memory, MB"))
    for variant in result["variants"]:
        cells = [
            f"{value['mean']:.4f}  [{value['ci95'][0]:.4f}, {value['ci95'][1]:.4f}]".replace("[", "\\[")
            for value in variant["metrics"].values()
        ]
        grid.add_row(variant["name"], *cells, f"{variant['seconds']:.1f}", f"{variant['memory_mb']:,}")
    out.print(grid)
    out.print(f"{Path(result['workspace']) / 'study.html'}", soft_wrap=True, markup=False, highlight=False)
    if "markdown" in result:
        out.print(result["markdown"], soft_wrap=True, markup=False, highlight=False)


def tune(result: Mapping[str, Any]) -> None:
    """The best trials and where the chosen config lies."""
    grid = _grid("Trials, best first", ("trial", "quality", "seconds", "settings"))
    for trial in sorted(result["trials"], key=lambda t: -t["quality"])[:10]:
        settings = ", ".join(f"{key}={value}" for key, value in trial["settings"].items()) or "the config's own"
        grid.add_row(str(trial["number"]), f"{trial['quality']:.4f}", f"{trial['seconds']:.1f}", _plain(settings))
    out.print(grid)
    out.print(f"Quality is the mean of recall@20 and ndcg@20 on validation; {len(result['trials'])} trials.")
    out.print(f"Chosen config: {result['config']}", soft_wrap=True, markup=False, highlight=False)


def plan(result: Mapping[str, Any]) -> None:
    """What a run would take, part by part, and whether it fits."""
    grid = _grid("Plan", ("part", "memory, MB", "seconds", "smaller with a lower"))
    for part in result["parts"]:
        grid.add_row(part["name"], f"{part['memory_mb']:,}", f"{part['seconds']:,.0f}", _plain(part["setting"]))
    out.print(grid)
    out.print(_plain(result["verdict"]), soft_wrap=True)


def _grid(title: str, columns: tuple[str, ...]) -> Table:
    grid = Table(title=title, title_justify="left")
    for column in columns:
        grid.add_column(column, overflow="fold")
    return grid


def _plain(text: str) -> str:
    return str(text).replace("[", "\\[")
