"""A document of headed sections, written once and rendered as one HTML page or as Markdown with PNG plots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from common import page
from common.files import write_text
from common.page import Table
from common.plots import as_svg
from evaluation.plots import save_png


@dataclass(frozen=True)
class Plot:
    """A figure and what it shows."""

    name: str
    """Of its PNG file."""
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in this order; empty ones are left out."""

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = field(default=())


def as_html(title: str, sections: Sequence[Section]) -> str:
    """One self-contained page."""
    return page.render(title, [_section(number, section) for number, section in enumerate(sections)])


def _section(number: int, section: Section) -> page.Section:
    blocks: list[page.Block] = [page.Paragraph(text) for text in section.paragraphs]
    blocks += [page.Points(section.points)] if section.points else []
    blocks += [page.Figure(as_svg(p.figure, f"{number}-{p.name}"), p.caption, wide=True) for p in section.plots]
    blocks += [table for table in section.tables if table.rows]
    return page.Section(section.heading, blocks)


def write_markdown(folder: Path, name: str, title: str, sections: Sequence[Section]) -> Path:
    """`NAME.md` and its plots as `NAME-PLOT.png` in `folder`."""
    lines = [f"# {_escaped(title)}", ""]
    for section in sections:
        lines += [f"## {_escaped(section.heading)}", ""]
        for text in section.paragraphs:
            lines += [_escaped(text), ""]
        lines += [*(f"- {_escaped(text)}" for text in section.points), *[""] * bool(section.points)]
        for plot in section.plots:
            file = f"{name}-{plot.name}.png"
            save_png(plot.figure, folder / file)
            lines += [f"![{_escaped(plot.caption)}]({file})", ""]
        for table in section.tables:
            lines += _table(table) if table.rows else []
    path = folder / f"{name}.md"
    write_text(path, "\n".join(lines).rstrip() + "\n")
    return path


def _table(table: Table) -> list[str]:
    marks = ["---"] + ["---" if table.words else "---:"] * (len(table.headers) - 1)
    rows = [
        [_escaped(cell if isinstance(cell, str) else f"{cell[0]} ({cell[1]})") for cell in row] for row in table.rows
    ]
    lines = [f"{_escaped(table.caption)}:", ""] if table.caption else []
    for cells in ([*map(_escaped, table.headers)], marks, *rows):
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _escaped(text: str) -> str:
    """One line that no name of a catalogue can turn into markup."""
    flat = " ".join(text.split())
    for mark in "\\`*[]<>|":
        flat = flat.replace(mark, f"\\{mark}")
    return flat
