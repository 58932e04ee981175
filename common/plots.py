"""Matplotlib figures for the pages: inline SVG in the page's own light or dark colours."""

import io
import re
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK, LINE, MODEL, OTHER, THIRD = "#1c2330", "#dde2ea", "#2a6fdb", "#9aa7ba", "#2f9e6b"
"""Colours to draw in; `as_svg` turns them into those of the page (`common/page.html`)."""
_THEMED = {
    INK: "var(--ink)",
    LINE: "var(--line)",
    MODEL: "var(--model)",
    OTHER: "var(--other)",
    THIRD: "var(--third)",
}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": LINE,
}
"""Matplotlib's settings while a figure is made."""


def as_svg(figure: Figure, salt: str) -> Markup:
    """Inline SVG in the colours of the page, the same in every run; `salt` keeps the ids of one page's plots apart."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _THEMED.items():
        text = text.replace(colour, variable)
    return Markup(text)  # noqa: S704 (matplotlib escapes the texts it draws)
