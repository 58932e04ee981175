"""Plots of a study and of a report, for pages and as PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from common.files import write_whole
from common.plots import INK, LINE, MODEL, OTHER, STYLE, speak_every_script

_SERIES = ("#2a6fdb", "#e08a1e", "#2f9e6b", "#b5479b", "#7a6ff0", "#c4483c", "#5b8f99", "#8a7a4c")


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, one row of a plot."""

    label: str
    value: float
    low: float
    high: float
    strong: bool = True
    """Drawn in the model's colour: the reference, or an effect that is claimed."""


def interval_plot(rows: Sequence[Estimate], axis: str, *, zero: bool = False) -> Figure:
    """A dot and a line a row, the first row on top; `zero` draws the line of no difference."""
    figure, axes = _figure(len(rows))
    if zero:
        axes.axvline(0, color=INK, linewidth=1)
    for place, row in enumerate(rows):
        colour = MODEL if row.strong else OTHER
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot([row.value], [place], "o", color=colour, markersize=6)
    _label(axes, [row.label for row in rows], axis)
    return figure


def share_plot(rows: Mapping[str, Mapping[str, float]], axis: str) -> Figure:
    """One stacked bar a row, its parts told by the legend; shares below 0 go to the left."""
    figure, axes = _figure(len(rows) + 1)
    names = list(dict.fromkeys(name for shares in rows.values() for name in shares))
    for number, name in enumerate(names):
        for place, shares in enumerate(rows.values()):
            value = shares.get(name, 0.0)
            before = sum(shares.get(other, 0.0) for other in names[:number] if shares.get(other, 0.0) * value > 0)
            axes.barh(
                place, value, left=before, height=0.62, color=_SERIES[number % len(_SERIES)],
                label=name if place == 0 else None,
            )  # fmt: skip
    _label(axes, list(rows), axis)
    if len(names) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def calibration_plot(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Observed shares over predicted ones, both logarithmic, with the line where they are equal."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
    shown = [p for p in points if p["predicted"] > 0 and p["observed"]["mean"] > 0]
    ends = [edge for p in shown for edge in (p["predicted"], p["observed"]["mean"])] or [0.01, 1.0]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=OTHER, linewidth=1)
    for p in shown:
        low, high = p["observed"].get("ci95", (p["observed"]["mean"],) * 2)
        axes.plot([p["predicted"]] * 2, [max(low, min(ends) / 2), high], color=MODEL, linewidth=2)
        axes.plot([p["predicted"]], [p["observed"]["mean"]], "o", color=MODEL, markersize=6)
    for axis, name in ((axes.xaxis, "predicted probability of a link"), (axes.yaxis, "share that are links")):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_formatter(PercentFormatter(1))
        axis.set_minor_formatter(NullFormatter())
        axis.set_label_text(name)
    _bare(axes)
    axes.grid(color=LINE, linewidth=0.8)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """On white, for documents."""
    speak_every_script(figure)
    with mpl.rc_context(STYLE):
        facts: Any = {"format": "png", "dpi": 120, "facecolor": "white", "metadata": {"Software": None}}
        write_whole(path, lambda partial: figure.savefig(partial, **facts))


def _figure(rows: int) -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 0.9 + 0.3 * max(rows, 1)), layout="constrained")
        return figure, figure.add_subplot()


def _label(axes: Axes, labels: Sequence[str], axis: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
