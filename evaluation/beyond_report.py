"""The report's sections on what lists are like beyond accuracy, and for whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.page import Bar, Bars, Block, Cell, Paragraph, Section, Table
from evaluation.bootstrap import FEWEST
from evaluation.measures import group_label, meanings, measure_label
from evaluation.report_cells import FEW, interval_of, mean_cell, p_words
from evaluation.verdict import ALPHA


def beyond_sections(found: Mapping[str, Any]) -> Iterator[Section]:
    """Of `beyond_accuracy` in `metrics.json`."""
    models = {"this model": found["metrics"], **found["baselines"]}
    rows: list[list[Cell]] = [
        [measure_label(name), *(mean_cell(values.get(name)) for values in models.values())] for name in found["metrics"]
    ]
    words = Table(["measure", "meaning"], list(map(list, meanings(found["metrics"]).items())), words=True)
    table = Table(["measure", *models], rows, f"Lists of {found['k']}, with 95 % interval")
    yield Section("Beyond accuracy", [table, words])
    yield _popularity(found["popularity_bias"])
    yield _fairness(found["fairness"], f"recall@{found['k']}")


def _popularity(bias: Mapping[str, Mapping[str, Any]]) -> Section:
    groups = [(group_label(g, name), row) for g, groups in bias.items() for name, row in groups.items()]
    bars = [
        bar
        for grouping in ("all", "activity")  # the others stand in the table
        for name, row in bias.get(grouping, {}).items()
        for bar in (
            Bar(f"{group_label(grouping, name)}, histories", row["history"], model=False),
            Bar(f"{group_label(grouping, name)}, lists", row["lists"]),
        )
    ]
    rows: list[list[Cell]] = [
        [label, str(row["users"]), f"{row['history']:.1%}", f"{row['lists']:.1%}", _lift(row["lift"])]
        for label, row in groups
    ]
    blocks: list[Block] = [
        Bars(bars, "mean popularity of the items: the share of all users who have them in train"),
        *_few(row["users"] for _, row in groups),
        Table(["users", "number", "histories", "lists", "lists are more popular by"], rows),
    ]
    return Section("Popularity of what is recommended, beside histories", blocks)


def _lift(value: Mapping[str, Any]) -> Cell:
    size, interval = f"{value['mean']:+.1%}", interval_of(value)
    return size if interval is None else (size, f"{interval[0]:+.1%} to {interval[1]:+.1%}")


def _fairness(fairness: Mapping[str, Any], metric: str) -> Section:
    gaps: list[list[Cell]] = [
        [
            f"{name} by {grouping}",
            group_label(grouping, gap["best"]),
            group_label(grouping, gap["worst"]),
            (f"{gap['difference']:.4f}", f"{gap['ci95'][0]:.4f} to {gap['ci95'][1]:.4f}"),
            p_words(gap["p"]),
            "differ" if gap["p"] < ALPHA else "may be chance",
        ]
        for grouping, one in fairness.items()
        for name, gap in one["gaps"].items()
    ]
    groups = {
        group_label(grouping, name): row for grouping, one in fairness.items() for name, row in one["groups"].items()
    }
    bars = [
        Bar(f"{label} ({row['users']} users)", row["metrics"][metric]["mean"], interval_of(row["metrics"][metric]))
        for label, row in groups.items()
    ]
    caption = (
        f"The gap between the best and the worst of the groups of at least {FEWEST} users with its 95 % interval; p "
        "that no groups differ (Kruskal-Wallis), Holm-corrected over all rows."
    )
    headers = ["metric", "best served", "worst served", "gap", "p", "groups"]
    compared: list[Block] = [Paragraph(caption, soft=True), Table(headers, gaps)] if gaps else []
    few = _few(row["users"] for row in groups.values())
    return Section("Are groups of users served alike?", [Bars(bars, metric), *few, *compared])


def _few(users: Iterator[int]) -> list[Block]:
    return [Paragraph(FEW, soft=True)] if min(users, default=FEWEST) < FEWEST else []
