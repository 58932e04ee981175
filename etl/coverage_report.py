"""The coverage report as one HTML file: plots inline, nothing fetched, readable in light and dark."""

import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.files import write_text

_INK = "#010203"
"""Stands for `currentColor` while matplotlib draws; no plot uses it otherwise."""
_BARS = ("#3b82c4", "#d98a2b", "#4c9f70")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .75rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr { border-bottom: 1px solid #8885; }
.warnings { border-left: 4px solid #d98a2b; padding: .5rem 1rem; background: #d98a2b22; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
svg { max-width: 100%; height: auto; }
figcaption, .note { opacity: .8; font-size: .9rem; }
"""


def write_coverage(path: Path, coverage: Mapping[str, Any], *, title: str = "Coverage") -> None:
    """Write `etl.coverage.coverage`'s dict as HTML to `path`, whole or not at all; same dict, same bytes."""
    parts = [_headline(coverage), _warnings(coverage["warnings"]), _plots(coverage), *_tables(coverage)]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>\n{chr(10).join(p for p in parts if p)}\n</body></html>\n"
    )
    write_text(path, page)


def _headline(coverage: Mapping[str, Any]) -> str:
    time = coverage["time"]
    span = f", from {escape(time['first'])} to {escape(time['last'])}" if time else ""
    return (
        f"<p>{coverage['items']:,} items, {coverage['users']:,} users, "
        f"{coverage['interactions']:,} interactions ({coverage['train_interactions']:,} in train){span}.</p>"
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return '<p class="note">Nothing stands out.</p>'
    listed = "".join(f"<li>{escape(w[:1].upper() + w[1:])}.</li>" for w in warnings)
    return f'<section class="warnings"><h2>What to look at</h2><ul>{listed}</ul></section>'


def _tables(coverage: Mapping[str, Any]) -> list[str]:
    modalities = coverage["modalities"]
    rows = [
        [
            name,
            f"{facts['items']:,} ({_percent(facts['share_of_items'])})",
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
    left = [[kind, f"{n:,}"] for kind, n in coverage["quarantined"]["by_kind"].items()]
    return [
        _table("Modalities", head, rows),
        _table("Agreement of neighbour lists", ["between", "items", "mean Jaccard", "by chance"], agreement),
        _table("Left out", ["reason", "files or rows"], left),
    ]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    return f"<h2>{escape(title)}</h2><table><tr>{heads}</tr>{body}</table>"


def _vectors(vectors: Mapping[str, Any] | None) -> str:
    if vectors is None:
        return "none"
    cosine = vectors["mean_cosine"]
    alike = "" if cosine is None else f", mean cosine {cosine:.2f}"
    return f"{vectors['count']:,} x {vectors['dim']}, norm {vectors['norm']['median']:.3g}{alike}"


def _range(facts: Mapping[str, Any], name: str, unit: str) -> str:
    found = facts.get(name)
    return f"{found['median']:.4g} {unit} ({found['min']:.4g} to {found['max']:.4g})" if found else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in list(counts.items())[:5])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _plots(coverage: Mapping[str, Any]) -> str:
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
    figures = [
        f"<figure>{_svg(draw, coverage, caption)}<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, needed, draw in drawn
        if needed
    ]
    return f'<div class="plots">{"".join(figures)}</div>'


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


def _svg(draw: Callable[[Axes, Mapping[str, Any]], None], coverage: Mapping[str, Any], caption: str) -> str:
    """One plot as SVG in the page's own text colour; ids are salted by the caption, so they do not clash."""
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": caption,
        "font.size": 9,
        **dict.fromkeys(inked, _INK),
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, coverage)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
