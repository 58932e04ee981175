"""Small drawings as SVG with nothing inline that a strict policy forbids; every text is escaped."""

from collections.abc import Sequence

from markupsafe import Markup

from modalweave.serve.answers import Counted

_WIDTH, _HEIGHT, _FOOT = 640, 120, 18
_BAR = Markup('<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"><title>{tip}</title></rect>')
_COLUMNS = Markup(
    '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{bars}'
    '<text x="0" y="{foot}">{first}</text><text x="{w}" y="{foot}" text-anchor="end">{last}</text></svg>'
)
_TRACK = Markup(
    '<svg class="track" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
    '<rect class="{kind}" x="{x:.2f}" y="0" width="{w:.2f}" height="8"/></svg>'
)


def columns(counts: Sequence[Counted], label: str) -> Markup:
    """A column for each count, in their order, the first and the last named below; empty without any."""
    if not counts:
        return Markup("")
    top = max(count.count for count in counts) or 1
    step = _WIDTH / len(counts)
    bars = [
        _BAR.format(
            x=place * step,
            y=_HEIGHT - _FOOT - (height := (_HEIGHT - _FOOT - 4) * count.count / top),
            w=max(0.5, step - min(2.0, step / 5)),
            h=height,
            tip=f"{count.name}: {count.count:,}",
        )
        for place, count in enumerate(counts)
    ]
    ends = {"first": counts[0].name, "last": counts[-1].name if len(counts) > 1 else ""}
    return _COLUMNS.format(w=_WIDTH, h=_HEIGHT, foot=_HEIGHT - 4, bars=Markup("").join(bars), label=label, **ends)


def track(value: float, top: float) -> Markup:
    """A bar of a table: how much of `top` a value is; one below 0 is drawn in another colour."""
    share = 100 * min(1.0, abs(value) / top) if top else 0.0
    return _TRACK.format(kind="less" if value < 0 else "more", x=0, w=share)
