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


def test_a_config_that_is_a_folder(config: Path, modalweave: Run) -> None:
    refused(modalweave("build", config.parent), f"{config.parent} is a folder; name the config file in it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a: b\n", "line 1, column 8 holds a second ':'"),
        ("name: x\n\tseed: 1\n", "line 2, column 1 holds a tab; indent with spaces"),
        ("name: 'x\nseed: 1\n", "not readable as YAML: "),
        ("name: [x\n", "not readable as YAML: "),
    ],
)
def test_a_config_that_is_no_yaml(config: Path, modalweave: Run, text: str, said: str) -> None:
    config.write_text(text)
    refused(modalweave("build", config), str(config), said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=many", "seed: value 'many' is no whole number"),
        ("seed=-1", "seed: value -1 must be 0 or more"),
        ("neighbours.k=0", "neighbours.k: value 0 must be over 0"),
        ("neighbours.min_score=2", "neighbours.min_score: value 2 must be 1 or less"),
        ("source.format=foldr", "source format 'foldr' is unknown; did you mean 'folder'"),
        ("evaluation.k=ten", "evaluation.k: value 'ten' is no list; write it as [a, b]"),
        ("gnn.model=7", "gnn.model"),
        ("tensorboard=perhaps", "tensorboard: value 'perhaps' is neither true nor false"),
        ("max_db_size=large", "max_db_size: value 'large' is no size; write it as 64GB"),
        ("max_db_size=5", "max_db_size: value 5 must be 16777216 or more"),
        ("encoders.text=[1]", "encoders.text: value [1] is no text and holds no keys of its own"),
        ("limits=3", "limits: value 3 holds no keys of its own"),
    ],
)
def test_a_wrong_value_in_plain_words(config: Path, modalweave: Run, override: str, said: str) -> None:
    outcome = modalweave("build", config, "--set", override)
    refused(outcome, said)
    for leak in ("Input", "should be", "pattern", "parse", "validation"):
        assert leak not in outcome.err


@pytest.mark.parametrize("place", ["/proc/x", "FILE/x"])
def test_a_workspace_that_cannot_be_written(config: Path, modalweave: Run, place: str) -> None:
    place = place.replace("FILE", str(config))
    outcome = modalweave("build", config, "--set", f"workspace={place}")
    refused(outcome, place, "name another path")
    assert "Errno" not in outcome.err


@pytest.mark.parametrize("target", ["ladybug:{0}/none/graph", "nowhere", "bolt://127.0.0.1:9"])
def test_a_store_to_write_back_to_is_looked_at_before_anything_is_scored(
    config: Path, modalweave: Run, tmp_path: Path, target: str
) -> None:
    address = target.format(tmp_path)
    refused(modalweave("score", tmp_path / "no-bundle", "--out", tmp_path / "out", "--write-back", address), address)
    refused(modalweave("retract", "--model", "m", "--store", address), address)
    assert not (tmp_path / "none").exists() and not (tmp_path / "out").exists()


def test_a_store_without_a_graph_takes_no_links(config: Path, modalweave: Run, tmp_path: Path) -> None:
    from graph import open_store

    address = f"ladybug:{tmp_path / 'empty'}"
    open_store(address).close()
    outcome = modalweave("score", tmp_path / "no-bundle", "--out", tmp_path / "out", "--write-back", address)
    refused(outcome, address, "build the graph into it first")


def test_a_name_that_the_graph_lacks_is_a_warning_with_the_nearest(config: Path, modalweave: Run) -> None:
    assert modalweave("build", config).code == 0
    outcome = modalweave("cypher", "MATCH (i:Item) RETURN i.tilte LIMIT 1", config, "--json")
    assert outcome.code == 0 and outcome.json()["rows"] == [{"i.tilte": None}]
    assert outcome.err == "modalweave: warning: the graph has no property 'tilte'; did you mean 'title'?\n"
    refused(modalweave("cypher", "MATCH (i:Itme) RETURN i.id", config), "'Itme'; did you mean 'Item'?")
