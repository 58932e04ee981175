"""The benchmarks' configs are read as a user's would be."""

from pathlib import Path

import pytest

from benchmarks.sets import FILES
from gnn.registry import make_recommender
from modalweave.config import load_config

CONFIGS = Path(__file__).parents[2] / "benchmarks" / "configs"


@pytest.mark.parametrize("name", FILES)
def test_each_set_takes_the_automatic_choice_and_what_it_chose_searches_nothing(name: str) -> None:
    asked = load_config(CONFIGS / f"{name}.yaml", [])
    chosen = load_config(CONFIGS / "chosen" / f"{name}.yaml", [])
    assert asked.gnn.model == "auto"
    assert chosen.source.path == asked.source.path
    assert chosen.split == asked.split
    make_recommender(chosen.gnn)
    parts = chosen.gnn.ensemble.parts
    assert chosen.gnn.ensemble.weights is not None
    assert len(chosen.gnn.ensemble.weights) == len(parts)
    assert all(part.settings.parameters is not None for part in parts if part.model == "graph_filter")
    assert all(part.settings.regularisation is not None for part in parts if part.model == "ease")
