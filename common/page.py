"""Self-contained HTML pages from one template (`page.html`): light and dark, phones and paper, every text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Template

Cell = str | tuple[str, str]
"""Text, or text with a smaller note beside it."""


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text."""

    text: str
    soft: bool = False
    """In the colour of what is said by the way."""
    kind: ClassVar = "paragraph"


@dataclass(frozen=True)
class Points:
    """A list of plain text."""

    items: Sequence[str]
    kind: ClassVar = "points"


@dataclass(frozen=True)
class Figure:
    """A drawing over its caption."""

    drawing: Markup
    """Inline SVG: markup of our own, not escaped."""
    caption: str
    wide: bool = False
    """Keeps its width on a phone and scrolls, where its text would become too small to read."""
    kind: ClassVar = "figure"


@dataclass(frozen=True)
class Gallery:
    """Figures side by side where there is room."""

    figures: Sequence[Figure]
    kind: ClassVar = "gallery"


@dataclass(frozen=True)
class Table:
    """A table, numbers to the right unless it is all `words`; wide ones scroll."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    words: bool = False
    kind: ClassVar = "table"


@dataclass(frozen=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    model: bool = True
    """Drawn in the model's colour, else in the baselines'."""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars from 0 with whiskers for intervals."""

    rows: Sequence[Bar]
    caption: str
    kind: ClassVar = "bars"

    @property
    def top(self) -> float:
        """What the full width stands for."""
        return max((max(bar.value, *(bar.interval or (0.0,))) for bar in self.rows), default=0.0) or 1.0


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: Sequence["Block"] = field(default=())
    notice: bool = False
    """Set off from the rest: what a reader should look at first."""
    kind: ClassVar = "section"


Block = Paragraph | Points | Figure | Gallery | Table | Bars | Section


def render(title: str, blocks: Sequence[Block]) -> str:
    """A whole document. It may load nothing: its own content policy forbids every request and every script."""
    return _template().render(title=title, body=blocks)


@cache
def _template() -> "Template":
    # only what writes a page pays for importing this
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template("page.html")
