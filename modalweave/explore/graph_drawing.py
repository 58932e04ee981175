"""A small graph as a picture: PNG, or one HTML file that needs nothing else and runs no script."""

import json
import math
import warnings
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import networkx as nx
from markupsafe import Markup

from common.files import write_text, write_whole
from common.page import Figure, render
from graph.views.result_graph import captions
from modalweave.errors import RunError
from modalweave.results.explanation import Drawing

MOST_NODES = 300
"""Of a larger graph the first nodes are drawn, and the picture says so."""

_COLOURS = {
    "User": "#3b6fb6",
    "Item": "#c8553d",
    "Image": "#6a994e",
    "Text": "#8d6a9f",
    "Audio": "#d9a21b",
    "Entity": "#5f6b73",
    "Query": "#111111",
}
_OTHER = "#9a9a9a"
_WIDTH, _HEIGHT, _MARGIN, _RADIUS = 1100, 760, 95, 9


def draw(graph: nx.MultiDiGraph, path: Path, *, title: str) -> Drawing:
    """Draw what `graph.views.result_graph` gives; the file's ending decides: `.png` or `.html`.

    Equal graphs give equal places.
    """
    drawers = {".png": _png, ".html": _html, ".htm": _html}
    drawer = drawers.get(path.suffix.lower())
    if drawer is None:
        raise RunError(f"--plot {str(path)!r}: the ending {path.suffix!r} is no picture; use .png or .html")
    shown = graph.subgraph(list(islice(graph, MOST_NODES)))
    left_out = len(graph) - len(shown)
    heading = title + (f" (first {MOST_NODES} of {len(graph)} nodes)" if left_out else "")
    drawer(shown, _places(shown), path, heading)
    return Drawing(str(path), len(shown), shown.number_of_edges(), left_out)


def _places(graph: nx.MultiDiGraph) -> Mapping[Any, Any]:
    """In columns where every node says its `layer`, as the nodes of paths do; else by springs."""
    layers: dict[int, list[Any]] = {}
    for node, layer in graph.nodes(data="layer"):
        if layer is None:
            return nx.spring_layout(nx.Graph(graph), seed=0, k=2.2 / math.sqrt(len(graph)), iterations=100)
        layers.setdefault(layer, []).append(node)
    places: dict[Any, tuple[float, float]] = {}
    for layer, nodes in sorted(layers.items()):
        # at the height of what leads there, so that few links cross
        before = {n: [places[m][1] for m in graph.predecessors(n) if m in places] for n in nodes}
        nodes.sort(key=lambda n: -sum(before[n]) / max(1, len(before[n])))
        for rank, node in enumerate(nodes):
            places[node] = (2 * layer / max(*layers, 1) - 1, 1 - 2 * (rank + 0.5) / len(nodes))
    return places


def _png(graph: nx.MultiDiGraph, places: Mapping[Any, Any], path: Path, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from common.plots import speak_every_script

    figure = Figure(figsize=(11, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.axis("off")
    colours = [_COLOURS.get(label, _OTHER) for _, label in graph.nodes(data="label")]
    nx.draw_networkx_edges(graph, places, ax=axes, edge_color="#bbbbbb", arrowsize=9, node_size=110)
    edges = ["black" if marked else "none" for _, marked in graph.nodes(data="marked", default=False)]
    nx.draw_networkx_nodes(graph, places, ax=axes, node_color=colours, edgecolors=edges, linewidths=2, node_size=110)
    above = {node: (x, y + 0.025) for node, (x, y) in places.items()}
    texts = nx.draw_networkx_labels(
        graph, above, dict(captions(graph, 24)), ax=axes, font_size=7, verticalalignment="bottom"
    )
    types = {(a, b): kind for a, b, kind in graph.edges(data="type")} if graph.number_of_edges() <= 60 else {}
    if types:
        texts |= nx.draw_networkx_edge_labels(graph, places, types, ax=axes, font_size=5, font_color="#777777")
    for text in (*texts.values(), axes.set_title(title[:100], fontsize=10)):
        text.set_parse_math(False)  # a title with dollars is no formula
    labels = dict.fromkeys(label or "other" for _, label in graph.nodes(data="label"))
    marks = [Line2D([], [], marker="o", linestyle="", color=_COLOURS.get(name, _OTHER), label=name) for name in labels]
    axes.legend(handles=marks, loc="lower right", fontsize=7, frameon=False)
    speak_every_script(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from font"
        )  # of no font here: drawn as boxes; the HTML has every script
        write_whole(path, lambda partial: figure.savefig(partial, format="png", dpi=130))


def _html(graph: nx.MultiDiGraph, places: Mapping[Any, Any], path: Path, title: str) -> None:
    """Inline SVG; every text is escaped and the page allows itself no script and no request."""
    at = {node: _pixels(x, y) for node, (x, y) in places.items()}
    lines, dots = [], []
    for source, target, data in graph.edges(data=True):
        (x1, y1), (x2, y2) = at[source], at[target]
        middle = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2}
        lines.append(_LINK.format(x1=x1, y1=y1, x2=x2, y2=y2, **middle, type=data["type"], tip=_tip(data, "type")))
    for node, text in captions(graph, 32):
        (x, y), data = at[node], graph.nodes[node]
        colour = _COLOURS.get(data.get("label", ""), _OTHER)
        marked = bool(data.get("marked"))
        size = {"r": _RADIUS + 3 * marked, "below": y + _RADIUS + 3 * marked + 13}
        kind = "marked" if marked else "node"
        dots.append(_NODE.format(x=x, y=y, **size, kind=kind, colour=colour, text=text, tip=_tip(data, "label")))
    labels = dict.fromkeys(label or "other" for _, label in graph.nodes(data="label"))
    marks = [_MARK.format(_COLOURS.get(name, _OTHER), name) for name in labels]
    lines_and_dots = Markup("\n").join([*lines, *dots])
    drawing = _DRAWING.format(w=_WIDTH, h=_HEIGHT, title=title, marks=Markup("").join(marks), body=lines_and_dots)
    caption = f"{len(graph)} nodes, {graph.number_of_edges()} links"
    write_text(path, render(title, [Figure(drawing, caption, wide=True)]))


def _pixels(x: float, y: float) -> tuple[float, float]:
    return (
        _MARGIN + (x + 1) / 2 * (_WIDTH - 2 * _MARGIN),
        _MARGIN + (1 - (y + 1) / 2) * (_HEIGHT - 2 * _MARGIN),
    )


def _tip(data: Mapping[str, Any], kind: str) -> str:
    properties = json.dumps(data.get("properties", {}), ensure_ascii=False, default=str)
    return f"{data.get(kind) or 'not returned by the query'} {properties[:2000]}"


_LINK = Markup(
    '<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"><title>{tip}</title></line>'
    '<text class="type" x="{x:.0f}" y="{y:.0f}">{type}</text>'
)
_NODE = Markup(
    '<g><title>{tip}</title><circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="{r}" fill="{colour}"/>'
    '<text class="name" x="{x:.0f}" y="{below:.0f}">{text}</text></g>'
)
_MARK = Markup('<span><span style="color:{}">&#9679;</span> {}</span>')
_DRAWING = Markup("""<p class="legend">{marks}</p>
<svg class="graph" viewBox="0 0 {w} {h}" width="{w}" role="img" aria-label="{title}">
<defs><marker id="tip" viewBox="0 0 8 8" refX="17" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>
<g marker-end="url(#tip)">{body}</g>
</svg>""")
