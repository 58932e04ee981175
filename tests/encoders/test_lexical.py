"""Texts by the letters that they share, in any script, with nothing to install."""

import numpy as np
import pytest

from encoders import make_encoder
from encoders.models.lexical import grams


def vectors(*texts: str, **settings: object) -> np.ndarray:
    encoder = make_encoder({"name": "lexical", **settings})
    return encoder.encode([encoder.prepare(text, "text").array for text in texts], "text")


def test_n_grams_by_script() -> None:
    assert sorted(grams("红木椅")) == sorted(["红", "木", "椅", "红木", "木椅", "椅 ", "红木椅", "木椅 "])
    assert list(grams("Red!")) == [" red ", " re", "red", "ed "]
    assert list(grams("ＬＥＤ灯")) == list(grams("led 灯")) == [" led ", " le", "led", "ed ", "灯", "灯 "]
    assert list(grams("!?")) == ["!", "?"]


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("红木办公椅", "橡木办公椅", "无线蓝牙耳机"),
        ("无线蓝牙耳机 黑色", "蓝牙耳机（白色）", "红木办公椅"),
        ("ワイヤレスイヤホン", "ワイヤレスヘッドホン", "木製の椅子"),
        ("oak office chair", "walnut office chairs", "wireless earphones"),
        ("LED台灯", "ＬＥＤ 台灯 护眼", "纯棉T恤"),
        ("LED护眼台灯", "复古台灯", "纯棉T恤"),
    ],
)
def test_titles_alike_in_wording_are_near(text: str, near: str, far: str) -> None:
    a, b, c = vectors(text, near, far)
    assert a @ b > 0.3 and a @ b > 3 * abs(a @ c)


def test_equal_texts_have_equal_vectors_and_dim_is_part_of_the_name() -> None:
    assert np.array_equal(vectors("灯", "椅")[0], vectors("椅", "灯")[1])
    assert vectors("灯", dim=128).shape == (1, 128)
    names = {make_encoder({"name": "lexical", "dim": dim}).fingerprint for dim in (64, 128)}
    assert len(names) == 2
