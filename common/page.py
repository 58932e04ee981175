"""Pieces of a self-contained HTML page: escaped text, tables, bar charts as inline SVG; light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6577;--line:#dde2ea;--page:#fff;--model:#2a6fdb;--other:#9aa7ba}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf1;--soft:#9aa5b8;--line:#343c4b;--page:#151a22;--model:#6ea2ff;
--other:#6b778b}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}p.soft,caption,figcaption{color:var(--soft)}
div.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
caption{text-align:left;padding:.3rem 0}th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child,.words :is(th,td){text-align:left}td small{color:var(--soft);white-space:nowrap}
figure{margin:1rem 0}svg{max-width:100%;height:auto;font:13px system-ui,sans-serif;fill:var(--ink)}
.model{fill:var(--model)}.other{fill:var(--other)}.whisker{stroke:var(--ink);stroke-width:1.5}.soft{fill:var(--soft)}
"""
Cell = str | tuple[str, str]
"""Text, or text with a smaller note beside it."""

_LABEL, _BAR, _ROW = 270, 330, 28


@dataclass(frozen=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    model: bool = True
    """Drawn in the model's colour, else in the baselines'."""


def page(title: str, *parts: str) -> str:
    """A whole document. It may load nothing: its own content policy forbids every request."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A heading and what stands under it."""
    return f"<section><h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "</section>"


def paragraph(text: str, *, soft: bool = False) -> str:
    """One paragraph of plain text."""
    return f"<p{' class=soft' if soft else ''}>{escape(text)}</p>"


def bullets(items: Sequence[str]) -> str:
    """A list of plain text."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def figure(drawing: str, caption: str) -> str:
    """An SVG drawing (our own markup, not escaped) over its caption."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "", *, words: bool = False) -> str:
    """A table, numbers to the right unless it is all `words`; wide ones scroll."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="words"' if words else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table{kind}>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bars(rows: Sequence[Bar], caption: str) -> str:
    """Horizontal bars from 0 with whiskers for intervals."""
    top = max([max(row.value, row.interval[1] if row.interval else 0) for row in rows], default=0) or 1.0
    drawn = "".join(_bar(row, place * _ROW, top) for place, row in enumerate(rows))
    width, height = _LABEL + _BAR + 90, len(rows) * _ROW
    words = "; ".join(f"{row.label}: {row.value:.4f}" for row in rows)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(words)}">'
        f"{drawn}</svg><figcaption>{escape(caption)}</figcaption></figure>"
    )


def _bar(row: Bar, y: int, top: float) -> str:
    scale = _BAR / top
    middle, end = y + _ROW // 2, _LABEL + row.value * scale
    label = row.label if len(row.label) <= 38 else row.label[:37] + "…"
    out = (
        f'<text x="{_LABEL - 10}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="{"model" if row.model else "other"}" x="{_LABEL}" y="{y + 6}" '
        f'width="{max(row.value * scale, 1):.1f}" height="{_ROW - 12}" rx="2"/>'
    )
    if row.interval:
        low, high = (_LABEL + edge * scale for edge in row.interval)
        end = max(end, high)
        out += f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
    return out + f'<text class="soft" x="{end + 8:.1f}" y="{middle + 4}">{row.value:.4f}</text>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return f"{escape(cell[0])} <small>{escape(cell[1])}</small>"
