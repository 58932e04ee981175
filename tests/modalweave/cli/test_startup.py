"""What a command loads: one that reads a config or a graph answers before a deep-learning framework has started."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.modalweave.conftest import write_dataset

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "torch_geometric", "transformers", "open_clip", "faiss", "sklearn", "matplotlib"}
"""What only training, encoding, linking and drawing need."""
COMPILER = "torch._dynamo"

_RUN = """
import json, sys
from modalweave.cli import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
json.dump([code, sorted(sys.modules)], open({told!r}, "w"))
"""


Loaded = Callable[..., set[str]]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """The modules that a process has loaded when a command ends with the exit code that is expected."""

    def run(*arguments: object, code: int = 0) -> set[str]:
        told = tmp_path / "modules.json"
        command = [sys.executable, "-c", _RUN.format(told=str(told)), *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert told.exists(), done.stderr
        found, modules = json.loads(told.read_text())
        assert found == code, done.stderr
        return set(modules)

    return run


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The address of a small embedded graph."""
    from graph import open_store
    from tests.graph.tiny_graph import write_tiny

    address = f"ladybug:{tmp_path / 'graph'}"
    with open_store(address) as graph:
        write_tiny(graph)
    return address


@pytest.fixture
def config(tmp_path: Path, store: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(f"source: {{path: {tmp_path}}}\nworkspace: {tmp_path}\nstore: '{store}'\n", encoding="utf-8")
    return path


def test_help_loads_no_room_at_all(loaded: Loaded) -> None:
    modules = loaded("--help")
    assert not modules & (HEAVY | {"pyarrow", "numpy", "pydantic", "yaml", "encoders", "gnn", "graph"})
    assert not loaded("cypher", "--help") & (HEAVY | {"pyarrow", "numpy", "graph"})


@pytest.mark.parametrize(
    "command",
    [
        ["cypher", "RETURN 1 AS one"],
        ["cypher", "--name", "popular-items", "--json"],
        ["explain", "--user", "ann", "--item", "film_c"],
        ["explore"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_reading_the_embedded_graph_loads_its_engine_and_no_more(
    loaded: Loaded, store: str, command: list[str]
) -> None:
    modules = loaded(*command, "--store", store)
    assert "ladybug" in modules
    assert not modules & (HEAVY | {"neo4j", "networkx", "polars", "scipy", "soundfile", "PIL"})


def test_statistics_load_what_they_compute_with(loaded: Loaded, store: str) -> None:
    modules = loaded("stats", "--store", store)
    assert "scipy" in modules
    assert not modules & (HEAVY | {"neo4j"})


def test_a_server_is_asked_without_the_embedded_engine(loaded: Loaded) -> None:
    modules = loaded("cypher", "RETURN 1", "--store", "bolt://127.0.0.1:9", code=1)  # nobody listens there
    assert "neo4j" in modules
    assert not modules & (HEAVY | {"ladybug", "polars"})


def test_listing_the_cookbook_opens_no_store(loaded: Loaded) -> None:
    assert not loaded("cypher", "--list") & (HEAVY | {"ladybug", "neo4j", "polars"})


def test_doctor_and_retract_load_no_framework(loaded: Loaded, store: str) -> None:
    assert not loaded("doctor") & (HEAVY | {"ladybug", "neo4j"})
    assert not loaded("retract", "--store", store, "--model", "none", code=1) & (HEAVY | {"neo4j"})


def test_a_second_build_searches_and_draws_nothing(loaded: Loaded, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    write_dataset(tmp_path / "data")
    config.write_text(f"source: {{path: {tmp_path / 'data'}}}\nworkspace: {tmp_path / 'run'}\n", encoding="utf-8")
    first = loaded("build", config)
    assert {"faiss", "matplotlib"} <= first
    assert not first & {"torch", "torch_geometric", "neo4j"}  # vectors came with the source: no encoder ran
    pages = {path: path.read_bytes() for path in (tmp_path / "run").glob("coverage.*")}
    assert not loaded("build", config) & HEAVY
    assert pages == {path: path.read_bytes() for path in (tmp_path / "run").glob("coverage.*")}
    config.write_text(config.read_text() + "neighbours: {k: 3}\n")
    assert "faiss" in loaded("build", config)


def test_without_torch_the_graph_is_read_and_training_says_what_is_absent(config: Path, tmp_path: Path) -> None:
    blocked = (
        "import sys\nfor name in ('torch', 'torch_geometric', 'transformers', 'sentence_transformers', 'open_clip'):\n"
        "    sys.modules[name] = None\nfrom modalweave.cli import main\nmain()\n"
    )

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", blocked, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    asked = run("cypher", "MATCH (i:Item) RETURN count(i.id) AS n", config, "--json")
    assert '"n": 4' in asked.stdout, asked.stderr
    paths = run("explain", config, "--user", "ann", "--item", "film_c", "--json")
    assert '"paths": [{' in paths.stdout, paths.stderr
    trained = run("train", config)
    assert trained.returncode == 1
    assert re.fullmatch(r"modalweave: this needs torch\w*, which is not installed; install it; .*\n", trained.stderr)


def test_a_failure_is_one_line_without_the_rooms_behind_it(loaded: Loaded, tmp_path: Path) -> None:
    assert not loaded("cypher", "RETURN 1", code=1) & (HEAVY | {"ladybug", "neo4j"})
