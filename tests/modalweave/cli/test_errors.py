"""Bad input of each kind: one line that names the thing and its value, exit 1, nothing half-written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]


def refused(outcome: Any, *named: str) -> None:
    """Exit 1, one line on stderr after any progress lines, and every word of `named` in it."""
    lines = [line for line in outcome.err.splitlines() if line.startswith("modalweave: ")]
    assert outcome.code == 1
    assert len(lines) == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in named:
        assert word in lines[0]


def as_csv(config: Path, change: Callable[[str], str]) -> None:
    """Turn the interactions into a CSV file with a change in its text."""
    parquet = config.parent / "data" / "interactions.parquet"
    target = parquet.with_suffix(".csv")
    pyarrow.csv.write_csv(pq.read_table(parquet), target)
    target.write_text(change(target.read_text()))
    parquet.unlink()


def test_a_missing_column(config: Path, modalweave: Run) -> None:
    as_csv(config, lambda text: text.replace('"user_id"', '"person"'))
    refused(modalweave("build", config), "interactions.csv", "user_id", "person")
    assert not (config.parent / "run").exists()


def test_a_wrong_type(config: Path, modalweave: Run) -> None:
    as_csv(config, lambda text: text.replace("1000000\n", "yesterday\n", 1))
    refused(modalweave("build", config), "interactions.csv", "timestamp", "yesterday")
    assert not (config.parent / "run").exists()


def test_an_unknown_key(config: Path, modalweave: Run) -> None:
    config.write_text(config.read_text() + "enconders: {}\n")
    refused(modalweave("build", config), "enconders", "encoders")


def test_a_source_that_is_not_there(config: Path, modalweave: Run) -> None:
    refused(modalweave("build", config, "--set", "source.path=nowhere"), "nowhere")


def test_an_unreachable_neo4j(config: Path, modalweave: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEO4J_PASSWORD", "not-shown")
    outcome = modalweave("build", config, "--set", "store=bolt://127.0.0.1:9")
    refused(outcome, "bolt://127.0.0.1:9")
    assert "not-shown" not in outcome.err


def test_an_unknown_kind_of_store(config: Path, modalweave: Run) -> None:
    refused(modalweave("build", config, "--set", "store=mysql://x"), "mysql://x")


def test_a_stage_before_its_time(config: Path, modalweave: Run) -> None:
    refused(modalweave("train", config), "build")
    assert modalweave("build", config).code == 0
    refused(modalweave("evaluate", config), "train")


def test_a_bundle_with_a_flipped_byte(config: Path, modalweave: Run) -> None:
    assert modalweave("run", config).code == 0
    bundle = config.parent / "run" / "bundle"
    weights = bundle / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    out = config.parent / "fresh"
    refused(modalweave("score", bundle, "--out", out), "model.safetensors")
    assert not list(out.glob("*.parquet")) if out.exists() else True


def test_a_bundle_of_another_graph(config: Path, modalweave: Run) -> None:
    assert modalweave("run", config).code == 0
    changed = pq.read_table(config.parent / "data" / "interactions.parquet").slice(5)
    pq.write_table(changed, config.parent / "data" / "interactions.parquet")
    shutil.rmtree(config.parent / "run" / "graph")
    assert modalweave("build", config).code == 0
    refused(modalweave("evaluate", config), "train")


def test_a_corrupt_store(config: Path, modalweave: Run) -> None:
    graph = config.parent / "run" / "graph"
    graph.parent.mkdir()
    graph.write_bytes(b"this is no database" * 500)
    refused(modalweave("train", config), str(graph))


def test_wrong_usage_is_exit_2(config: Path, modalweave: Run) -> None:
    assert modalweave("evaluate", config, "--split", "nope").code == 2
    assert modalweave("cypher").code == 2
    assert modalweave("build").code == 2
