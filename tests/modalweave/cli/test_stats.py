"""`modalweave stats`: the whole, a part, around a node."""

from collections.abc import Callable
from pathlib import Path

import pytest

from graph import open_store
from tests.graph.tiny_graph import write_tiny
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    address = f"ladybug:{tmp_path_factory.mktemp('stats')}"
    with open_store(address) as graph:
        write_tiny(graph)
    return address


def test_the_whole(store: str, modalweave: Run) -> None:
    found = modalweave("stats", "--store", store, "--json", "--top", 2).json()
    assert (found["nodes"], found["edges"], found["components"]) == (14, 18, 2)
    assert [row[:2] for row in found["pagerank"]] == [["Item", "film_a"], ["Item", "film_c"]]
    shown = modalweave("stats", "--store", store).out
    for text in ("14 nodes, 18 relationships", "2 components", "film_a", "Entity"):
        assert text in shown


def test_parts(store: str, modalweave: Run) -> None:
    near = modalweave("stats", "--store", store, "--around", "Entity:dora", "--json").json()
    assert (near["nodes"], near["edges"], near["components"]) == (3, 3, 1)
    part = modalweave("stats", "--store", store, "--label", "User", "--label", "Item", "--json").json()
    assert (part["nodes"], part["edges"]) == (7, 6)
    relation = ("--label", "User", "--relation", "FOLLOWS")
    assert modalweave("stats", "--store", store, *relation, "--json").json()["edges"] == 1


def test_mistakes_are_one_line(store: str, modalweave: Run, tmp_path: Path) -> None:
    for arguments, message in (
        (("--around", "Entity:nobody"), "'nobody' is not in"),
        (("--around", "dora"), "label 'dora' is unknown"),
        (("--label", "Robot"), "label 'Robot' is unknown"),
        (("--relation", "LIKES"), "relationship type 'LIKES' is unknown"),
    ):
        outcome = modalweave("stats", "--store", store, *arguments)
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
        assert message in outcome.err
    assert modalweave("stats", "--store", f"ladybug:{tmp_path / 'absent'}").code == 1
