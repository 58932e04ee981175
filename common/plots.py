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


_FURTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # the face by which matplotlib knows the collection of all four
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Sans",
)


def speak_every_script(figure: Figure) -> None:
    """Let a picture's texts take what their font lacks from fonts of this machine. SVG leaves that to the browser."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    known = set(get_font_names())
    families = ["sans-serif", *(name for name in _FURTHER_SCRIPTS if name in known)]
    for text in figure.findobj(Text):
        text.set_fontfamily(families)


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
