"""The page: every text escaped, nothing asked for, the same look for all."""

import re
from pathlib import Path

from markupsafe import Markup

from common.page import Bar, Bars, Block, Figure, Gallery, Paragraph, Points, Section, Table, render
from common.plots import INK, as_svg
from evaluation.plots import Estimate, interval_plot

EVIL = "</title></style><script>alert(1)</script>\"' onload=x {{ 7 * 7 }} {% raw %}"
SHOWN = "&lt;/title&gt;&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39; onload=x {{ 7 * 7 }} {% raw %}"
DRAWING = Markup("<svg><text>{}</text></svg>").format(EVIL)


def body(page: str) -> str:
    return page[page.index("<body>") :]


def test_no_text_of_any_block_is_markup() -> None:
    blocks: list[Block] = [
        Paragraph(EVIL, soft=True),
        Points([EVIL]),
        Figure(DRAWING, EVIL),
        Gallery([Figure(DRAWING, EVIL, wide=True)]),
        Table([EVIL], [[EVIL], [(EVIL, EVIL)]], EVIL, words=True),
        Bars([Bar(EVIL, 1.0, (0.5, 1.5), model=False)], EVIL),
    ]
    page = render(EVIL, [Section(EVIL, blocks, notice=True)])
    assert "<script" not in page
    assert page.count(SHOWN) == page.count("alert(1)") == 2 + 1 + 2 + 4 + 5 + 2
    assert page.count("<title>") == page.count("</title>") == 1
    assert page.count("</style>") == 1


def test_a_page_asks_for_nothing_and_fits_a_phone() -> None:
    page = render("x", [Paragraph("y")])
    assert not re.search(r"https?:|url\((?!#)|@import|<script|<link|src=", page)
    assert "default-src 'none'" in page
    assert 'name="viewport" content="width=device-width' in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


def test_bars_scale_to_the_largest_edge() -> None:
    page = body(render("x", [Bars([Bar("a", 0.2, (0.1, 0.4)), Bar("b", 0.0), Bar("c", 0.1)], "bars")]))
    assert re.findall(r'<i class="model"\s+style="width:([\d.]+)%', page) == ["50.00", "0.00", "25.00"]
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", page) == [("25.00", "75.00")]
    assert "0.2000" in page
    assert "width:0.00%" in body(render("x", [Bars([Bar("none", 0.0)], "bars")]))


def test_the_template_is_part_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'common = ["*.html"]' in project


def test_plots_use_the_pages_colours_and_escape_names() -> None:
    svg = as_svg(interval_plot([Estimate("<script>", 0.1, 0.0, 0.2)], "gain"), "salt")
    assert "var(--ink)" in svg
    assert INK not in svg
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
