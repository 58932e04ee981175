"""A document as a page and as Markdown: names of a catalogue are never markup, plots follow the page's colours."""

import re
from pathlib import Path

import pytest

from common.page import Table
from common.plots import as_svg
from evaluation.document import Plot, Section, as_html, write_markdown
from evaluation.plots import Estimate, interval_plot, share_plot

EVIL = "<script>alert(1)</script> | `x` *b*"


def sections() -> list[Section]:
    forest = interval_plot([Estimate(EVIL, 0.1, 0.0, 0.2), Estimate("b", -0.1, -0.2, 0.0, False)], "gain", zero=True)
    shares = share_plot({"1-5": {"text": 0.4, "image": 0.6}, "6+": {"text": 0.5, "image": 0.5}}, "share")
    plots = [Plot("forest", forest, EVIL), Plot("shares", shares, "Shares")]
    tables = [Table(["name", "value"], [[EVIL, ("0.1", EVIL)]], EVIL), Table(["empty"], [])]
    return [Section(EVIL, [EVIL], [EVIL], plots, tables)]


def test_a_page_holds_no_markup_from_names_and_asks_for_nothing() -> None:
    page = as_html(EVIL, sections())
    assert "<script" not in page
    assert page.count("<svg") == 2
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_markdown_escapes_names_and_keeps_its_tables_whole(tmp_path: Path) -> None:
    text = write_markdown(tmp_path, "study", EVIL, sections()).read_text()
    assert "<script" not in text.replace("\\<script", "")
    (row,) = (line for line in text.splitlines() if "0.1" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    for name in ("study-forest.png", "study-shares.png"):
        assert f"({name})" in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_plots_use_the_pages_colours_and_do_not_share_ids() -> None:
    rows = [Estimate("a", 0.1, 0.0, 0.2)]
    first, second = (as_svg(interval_plot(rows, "gain"), salt) for salt in ("1", "2"))
    assert "var(--ink)" in first
    assert "#000000" not in first
    clips = [set(re.findall(r'clipPath id="([^"]+)"', svg)) for svg in (first, second)]
    assert not clips[0] & clips[1]
    assert as_svg(interval_plot(rows, "gain"), "1") == first


@pytest.mark.parametrize("count", [1, 12])
def test_one_series_needs_no_legend(count: int) -> None:
    svg = as_svg(share_plot({f"part {n}": {"share": 0.1} for n in range(count)}, "share"), "x")
    assert "legend" not in svg
    assert svg.count("part ") >= count
