"""What the comparisons with the baselines come to in one sentence: the worst of it as well as the best."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evaluation.verdict import ALPHA, Verdict

_NAMED = 3
"""Metrics that are named before the others are counted."""

Row = Mapping[str, Any]


def headline(rows: Sequence[Row], metric: str) -> str:
    """One sentence of the rows of `significance.compare`: against the strongest baseline in `metric`, then every
    baseline that is ahead or not told apart in any metric; where there is none, the least lead.

    "Ahead of item_knn, the strongest baseline in recall@20, by 8 % [3, 13]; not told apart from popularity in
    precision@10." Intervals are of 95 %, shares of the baseline's mean.
    """
    mine = [row for row in rows if row["metric"] == metric]
    if not mine:
        return ""
    strongest = min(mine, key=lambda row: row["difference"])
    parts = [_first(strongest, len(mine))]
    for kind, said in (("worse", "behind"), ("unclear", "not told apart from")):
        for baseline in dict.fromkeys(row["baseline"] for row in rows):
            found = [row for row in rows if row["baseline"] == baseline and verdict(row) == kind]
            if strongest in found:
                found.remove(strongest)
                parts[0] += f", nor in {_metrics(found)}" if found and kind == "unclear" else ""
                parts[0] += f", and in {_metrics(found)}" if found and kind == "worse" else ""
            elif found:
                parts.append(f"{said} {baseline} in {_metrics(found)}")
    if all(verdict(row) == "better" for row in rows) and len(rows) > 1:
        least = min(rows, key=lambda row: row["relative"] if row["relative"] is not None else float("inf"))
        parts.append(f"ahead in all {len(rows)} comparisons, least of {least['baseline']} in {_sized(least)}")
    return "; ".join(parts) + "."


def verdict(row: Row) -> Verdict:
    """Whether the model is ahead or behind: both tests, after Holm's correction."""
    if max(row["p_bootstrap"], row["p_wilcoxon"]) >= ALPHA:
        return "unclear"
    return "better" if row["difference"] > 0 else "worse"


def lead(row: Row) -> str:
    """`8 % [3, 13]` with its sign; absolute over a baseline of 0.

    >>> lead({"relative": -0.05, "relative_ci95": [-0.1, 0.001]})
    '-5 % [-10, 0]'
    """
    if row["relative"] is None:
        low, high = row["ci95"]
        return f"{row['difference']:.4f} [{low:.4f}, {high:.4f}]"
    low, high = row["relative_ci95"]
    return f"{percent(row['relative'])} % [{percent(low)}, {percent(high)}]"


def percent(share: float) -> str:
    """Whole percent, one place where it is under one; no -0."""
    percent = 100 * share
    text = f"{percent:.1f}" if 0.05 <= abs(percent) < 0.95 else f"{percent:.0f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _first(row: Row, baselines: int) -> str:
    named = row["baseline"] + (f", the strongest of {baselines} baselines" if baselines > 1 else "")
    if verdict(row) == "better":
        return f"Ahead of {named} in {row['metric']}, by {lead(row)}"
    if verdict(row) == "worse":
        return f"Behind {named} in {row['metric']}: {lead(row)}"
    return f"Not told apart from {named} in {row['metric']}: {lead(row)}"


def _metrics(rows: Iterable[Row]) -> str:
    """The largest difference with its size, then the others."""
    ordered = sorted(rows, key=lambda row: row["relative"] if row["relative"] is not None else row["difference"])
    names = [_sized(ordered[0]), *(row["metric"] for row in ordered[1:_NAMED])]
    more = len(ordered) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _sized(row: Row) -> str:
    return f"{row['metric']} ({lead(row)})"
