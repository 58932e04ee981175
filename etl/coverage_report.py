"""The coverage report as one HTML file: what there is, what is missing, plots inline."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from common.files import write_text
from common.page import Block, Cell, Figure, Gallery, Paragraph, Points, Section, Table, render
from common.plots import MODEL, OTHER, STYLE, THIRD, as_svg

_BARS = (MODEL, OTHER, THIRD)


def write_coverage(path: Path, coverage: Mapping[str, Any], *, title: str = "Coverage") -> None:
    """Write `etl.coverage.coverage`'s dict as HTML to `path`, whole or not at all; same dict, same bytes."""
    blocks = [_headline(coverage), _warnings(coverage["warnings"]), _plots(coverage), *_tables(coverage)]
    write_text(path, render(title, blocks))


def _headline(coverage: Mapping[str, Any]) -> Paragraph:
    time = coverage["time"]
    span = f", from {time['first']} to {time['last']}" if time else ""
    return Paragraph(
        f"{coverage['items']:,} items, {coverage['users']:,} users, "
        f"{coverage['interactions']:,} interactions ({coverage['train_interactions']:,} in train){span}."
    )


def _warnings(warnings: Sequence[str]) -> Block:
    if not warnings:
        return Paragraph("Nothing stands out.", soft=True)
    return Section("What to look at", [Points([f"{w[:1].upper()}{w[1:]}." for w in warnings])], notice=True)


def _tables(coverage: Mapping[str, Any]) -> list[Section]:
    modalities = coverage["modalities"]
    rows: list[list[Cell]] = [
        [
            name,
            (f"{facts['items']:,}", _percent(facts["share_of_items"])),
            _percent(facts["share_of_interactions"]),
            f"{facts['media']:,}",
            f"{facts['items_sharing']:,}",
            _range(facts, "width", "px") or _range(facts, "duration", "s") or _listed(facts.get("languages", {})),
            _vectors(facts.get("vectors")),
        ]
        for name, facts in modalities.items()
    ]
    head = ["modality", "items", "of interactions", "media", "items sharing one", "size", "vectors"]
    agreement = [
        [" and ".join(r["between"]), f"{r['items']:,}", f"{r['jaccard']:.3f}", f"{r['chance']:.3f}"]
        for r in coverage["agreement"]
    ]
    left = [
        [e["file"], e["reason"], f"{e['count']:,}", ", ".join(map(str, e["rows"] or e["uris"]))]
        for e in coverage["refused"]
    ]
    tables = {
        "Modalities": Table(head, rows),
        "Agreement of neighbour lists": Table(["between", "items", "mean Jaccard", "by chance"], agreement),
        "Written by a language model": _generated(coverage.get("generated")),
        "Left out": Table(["file", "reason", "how often", "first"], left),
    }
    return [Section(title, [table]) for title, table in tables.items() if table.rows]


def _generated(generated: Mapping[str, Any] | None) -> Table:
    if generated is None:
        return Table([], [])
    rows: list[list[Cell]] = [[kind, f"{count:,}"] for kind, count in generated["written"].items()]
    caption = f"By {generated['model']}, asked {generated['asked']:,} times; {generated['left_out']:,} did not fit."
    return Table(["what", "how many"], rows, caption=caption)


def _vectors(vectors: Mapping[str, Any] | None) -> Cell:
    if vectors is None:
        return "none"
    cosine = vectors["mean_cosine"]
    alike = "" if cosine is None else f", mean cosine {cosine:.2f}"
    return f"{vectors['count']:,} x {vectors['dim']}", f"norm {vectors['norm']['median']:.3g}{alike}"


def _range(facts: Mapping[str, Any], name: str, unit: str) -> Cell:
    found = facts.get(name)
    return (f"{found['median']:.4g} {unit}", f"{found['min']:.4g} to {found['max']:.4g}") if found else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in list(counts.items())[:5])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _plots(coverage: Mapping[str, Any]) -> Gallery:
    drawn = [
        (
            "Share of items and of interactions that each modality covers",
            coverage["modalities"],
            _draw_shares,
        ),
        (
            "Interactions per item in train",
            coverage["per_item"]["histogram"]["counts"],
            _draw_counts("per_item"),
        ),
        (
            "Interactions per user in train",
            coverage["per_user"]["histogram"]["counts"],
            _draw_counts("per_user"),
        ),
        ("Interactions over time", coverage["time"], _draw_time),
        ("How alike two modalities' neighbour lists are", coverage["agreement"], _draw_agreement),
    ]
    return Gallery([Figure(_svg(draw, coverage, caption), caption) for caption, needed, draw in drawn if needed])


def _draw_shares(axes: Axes, coverage: Mapping[str, Any]) -> None:
    modalities = coverage["modalities"]
    for offset, (key, label) in enumerate((("share_of_items", "items"), ("share_of_interactions", "interactions"))):
        heights = [100 * facts[key] for facts in modalities.values()]
        axes.bar(
            [i + 0.4 * offset - 0.2 for i in range(len(heights))],
            heights,
            0.38,
            color=_BARS[offset],
            label=label,
        )
    _name_bars(axes, list(modalities), "%")


def _draw_agreement(axes: Axes, coverage: Mapping[str, Any]) -> None:
    rows = coverage["agreement"]
    for offset, (key, label) in enumerate((("jaccard", "measured"), ("chance", "by chance"))):
        heights = [row[key] for row in rows]
        axes.bar(
            [i + 0.4 * offset - 0.2 for i in range(len(heights))],
            heights,
            0.38,
            color=_BARS[offset],
            label=label,
        )
    _name_bars(axes, [" and ".join(row["between"]) for row in rows], "mean Jaccard")


def _draw_counts(key: str) -> Callable[[Axes, Mapping[str, Any]], None]:
    def draw(axes: Axes, coverage: Mapping[str, Any]) -> None:
        histogram = coverage[key]["histogram"]
        edges, counts = histogram["edges"], histogram["counts"]
        names = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
        axes.bar(range(len(counts)), counts, color=_BARS[2])
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_ylabel("items" if key == "per_item" else "users")

    return draw


def _draw_time(axes: Axes, coverage: Mapping[str, Any]) -> None:
    histogram = coverage["time"]["histogram"]
    counts, edges = histogram["counts"], histogram["edges"]
    axes.bar(range(len(counts)), counts, color=_BARS[0], width=1.0)
    shown = sorted({0, len(counts) // 2, len(counts) - 1})
    axes.set_xticks(shown, [edges[i] for i in shown])
    axes.set_ylabel("interactions")


def _name_bars(axes: Axes, names: Sequence[str], unit: str) -> None:
    axes.set_xticks(range(len(names)), [n.replace("$", r"\$") for n in names])
    axes.set_ylabel(unit)
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _svg(draw: Callable[[Axes, Mapping[str, Any]], None], coverage: Mapping[str, Any], caption: str) -> Markup:
    """One plot; ids are salted by the caption, so they do not clash."""
    with mpl.rc_context({**STYLE, "font.size": 9}):
        figure = Plot(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, coverage)
        return as_svg(figure, caption)
