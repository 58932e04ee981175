"""Pictures that hold texts of other scripts than Latin."""

import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names

from common.plots import _FURTHER_SCRIPTS, speak_every_script
from evaluation.plots import Estimate, interval_plot, save_png


def test_latin_texts_are_drawn_as_before(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_title("recall@20")
    speak_every_script(figure)
    assert axes.title.get_fontfamily()[0] == "sans-serif"


@pytest.mark.skipif(
    not {"Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"} & set(get_font_names()),
    reason="no font with Chinese characters is installed (Debian: fonts-noto-cjk)",
)
def test_chinese_names_are_drawn_and_not_as_boxes(tmp_path: Path) -> None:
    figure = interval_plot([Estimate("带图片的推荐", 0.2, 0.1, 0.3)], "召回率 recall@20")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each glyph that no font has
        save_png(figure, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_fonts_are_named_once() -> None:
    assert len(set(_FURTHER_SCRIPTS)) == len(_FURTHER_SCRIPTS)
