"""`modalweave export`: a run's model as a bundle elsewhere, or as vectors in a store."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gnn.bundle.bundle import load_bundle
from tests.devserver import Server
from tests.modalweave.conftest import ITEMS, USERS, Outcome

Command = Callable[..., Outcome]


@pytest.fixture
def trained(modalweave: Command, config: Path) -> Path:
    for stage in ("build", "train"):
        assert modalweave(stage, config, "--json").code == 0
    return config


def test_a_model_goes_elsewhere_as_a_bundle_or_as_vectors(modalweave: Command, trained: Path, tmp_path: Path) -> None:
    told = modalweave("export", trained, "--out", tmp_path / "copy", "--onnx", "--precision", "int8", "--json").json()
    assert told["agreement"]["onnx"]["top20_overlap"] > 0.9
    assert load_bundle(tmp_path / "copy").hash == told["bundle"]
    more = ["--precision", "pq", "--dimensions", 16, "--hub", "--json"]
    assert modalweave("export", trained, "--out", tmp_path / "small", *more).code == 0
    assert load_bundle(tmp_path / "small").scorer.kind == "dot"
    assert (tmp_path / "small" / "README.md").read_text().startswith("---\nlibrary_name: modalweave\n")

    for number, place in enumerate(
        (["--to", f"parquet:{tmp_path / 'a'}"], ["--to", "parquet", "--out", tmp_path / "b"])
    ):
        told = modalweave("export", trained, *place, "--dimensions", 16, "--json").json()
        assert (told["users"], told["items"], told["written"]) == (USERS, ITEMS, USERS + ITEMS)
        assert told["dimensions"] <= 16
        assert told["to"] == f"parquet:{tmp_path / 'ab'[number]}"
    items = pl.read_parquet(tmp_path / "a" / "items.parquet")
    assert items.columns == ["item_id", "title", "vector"]
    users = pl.read_parquet(tmp_path / "a" / "users.parquet")
    scores = np.array(users["vector"].to_list()) @ np.array(items["vector"].to_list()).T
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert scores.shape == (len(bundle.user_ids), len(bundle.item_ids))
    assert (tmp_path / "a" / "items.parquet").read_bytes() == (tmp_path / "b" / "items.parquet").read_bytes()
    assert modalweave("export", trained, "--to", f"pgvector:{tmp_path / 'sql'}").code == 0
    assert "COPY modalweave_items" in (tmp_path / "sql" / "vectors.sql").read_text()


def test_the_item_encoder_gives_the_networks_vectors(modalweave: Command, config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("{model: ease}", "{model: hetero, epochs: 3, relations: [SIMILAR]}"))
    for stage in ("build", "train"):
        assert modalweave(stage, config, "--json").code == 0
    told = modalweave("export", config, "--out", tmp_path / "copy", "--item-encoder", "--json").json()
    near = told["agreement"]["item_encoder"]
    assert near["cosine_new"] == pytest.approx(1, abs=1e-5), near
    assert {"item_encoder.onnx", "README.md"} <= {path.name for path in (tmp_path / "copy").iterdir()}
    refused = modalweave("export", tmp_path / "copy", "--out", tmp_path / "again", "--item-encoder")
    assert refused.code == 1 and "holds no item encoder" in refused.err


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ([], 2, "--out"),
        (["--to", "parquet:x", "--onnx"], 2, "export twice"),
        (["--to", "parquet:x", "--precision", "int8"], 2, "export twice"),
        (["--out", "x", "--item-encoder"], 1, "holds no item encoder; a model of one network has one"),
        (["--out", "x", "--item-encoder", "--dimensions", "8"], 2, "leave --dimensions out"),
        (["--to", "lance:x"], 1, "did you mean 'lancedb'"),
        (["--to", "parquet"], 1, "needs a place"),
        (["--to", "bolt://127.0.0.1:9"], 1, "127.0.0.1:9"),
    ],
)
def test_wrong_places_are_one_line(
    modalweave: Command, trained: Path, options: list[str], code: int, told: str, tmp_path: Path
) -> None:
    found = modalweave("export", trained, *options)
    assert found.code == code
    assert told in " ".join(found.err.replace("│", " ").split())
    assert not (tmp_path / "x").exists()


@pytest.mark.neo4j
def test_a_runs_own_graph_gets_its_models_vectors(
    modalweave: Command, config: Path, neo4j_clean: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEO4J_USERNAME", neo4j_clean.credentials[0])
    monkeypatch.setenv("NEO4J_PASSWORD", neo4j_clean.credentials[1])
    empty = modalweave("export", config, "--to", neo4j_clean.address)
    assert empty.code == 1 and "build the graph into it first" in empty.err
    config.write_text(config.read_text() + f"store: {neo4j_clean.address}\n")
    for stage in ("build", "train"):
        assert modalweave(stage, config, "--json").code == 0
    for written in (USERS + ITEMS, 0):
        told = modalweave("export", config, "--to", neo4j_clean.address, "--dimensions", 16, "--json").json()
        assert (told["written"], told["to"]) == (written, neo4j_clean.address)
    again = modalweave("build", config, "--json").json()
    assert again["written"] == 0, "a build leaves them"
    found = modalweave("cypher", "MATCH (i:Item) WHERE size(i.model_target) > 2 RETURN count(i) AS n", config, "--json")
    assert found.json()["rows"] == [{"n": ITEMS}]
