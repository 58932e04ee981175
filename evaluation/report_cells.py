"""How numbers stand in a report's tables and charts."""

from collections.abc import Mapping
from typing import Any

from common.page import Cell
from evaluation.bootstrap import FEWEST

FEW = f"Groups of fewer than {FEWEST} users are shown without an interval: what they say may be chance."


def interval_of(value: Mapping[str, Any]) -> tuple[float, float] | None:
    """Of a mean that has one."""
    return (value["ci95"][0], value["ci95"][1]) if "ci95" in value else None


def mean_cell(value: Mapping[str, Any] | None) -> Cell:
    """A mean with its interval beside it; a dash for None."""
    if value is None:
        return "–"
    mean, interval = f"{value['mean']:.4f}", interval_of(value)
    return mean if interval is None else (mean, f"{interval[0]:.4f}–{interval[1]:.4f}")


def p_words(p: float) -> str:
    """`.003`, `under .001`."""
    return "under .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
