"""A recommender that another package brings: found by name, settings and all, and through the shared cases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gnn.config import GNNConfig
from gnn.registry import RECOMMENDERS, make_recommender
from gnn.testing import RecommenderCases, tiny_graph
from modalweave.config import parse_config
from modalweave.errors import ConfigError

GUIDE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
MODULE = GUIDE.partition("## Adding a recommender")[2].partition("```python\n")[2].partition("```")[0]
"""What the guide shows."""


@pytest.fixture(scope="class")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As pip leaves a package with an entry point."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "together_recommender.py").write_text(MODULE)
    info = folder / "together-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: together\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modalweave.recommenders]\ntogether = together_recommender:Together\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


CASES: dict[str, dict[str, Any]] = {
    "alone": {"model": "together", "together": {"power": 0.7}},
    "in an ensemble": {
        "model": "ensemble",
        "ensemble": {"parts": [{"model": "popularity"}, {"model": "together", "together": {"power": 0.3}}]},
    },
    "chosen automatically": {"embedding_dim": 8, "epochs": 1, "auto": {"closed_forms": ["together"], "copies": 1}},
}


@pytest.mark.usefixtures("installed")
class TestFromOutside(RecommenderCases):
    @pytest.fixture(params=CASES.values(), ids=CASES)
    def gnn(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return request.param

    def test_its_settings_decide(self) -> None:
        low, high = (GNNConfig.model_validate({"model": "together", "together": {"power": p}}) for p in (0.3, 3.0))
        users = torch.arange(40)
        first, second = (make_recommender(config).fit(tiny_graph(), seed=0).scores(users) for config in (low, high))
        assert not torch.equal(first, second)
        assert GNNConfig.model_validate(low.model_dump(mode="json")) == low

    @pytest.mark.parametrize(
        ("gnn", "told"),
        [
            ({"model": "togehter"}, "gnn.model: model 'togehter' is unknown; did you mean 'together'?"),
            ({"togehter": {}}, r"unknown key 'gnn.togehter' \(value {}\); did you mean 'together'?"),
            ({"together": {"powr": 2}}, r"unknown key 'gnn.together.powr' \(value 2\); did you mean 'power'?"),
            ({"together": {"power": -2}}, r"gnn.together.power: value -2 must be over 0"),
            (
                {"ensemble": {"parts": [{"model": "together", "together": {"pwer": 2}}]}},
                "unknown key 'gnn.ensemble.parts.0.together.pwer' .*did you mean 'power'?",
            ),
        ],
    )
    def test_what_is_wrong_is_told_while_the_config_is_read(self, gnn: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            parse_config({"source": {"path": "."}, "gnn": gnn})


def test_without_the_package_there_is_none() -> None:
    assert "together" not in RECOMMENDERS
    with pytest.raises(ConfigError, match="model 'together' is unknown"):
        parse_config({"source": {"path": "."}, "gnn": {"model": "together"}})


def test_a_program_adds_one_for_itself() -> None:
    RECOMMENDERS.register("mine", RECOMMENDERS["popularity"])
    try:
        assert type(make_recommender(GNNConfig(model="mine"))) is RECOMMENDERS["popularity"]
    finally:
        RECOMMENDERS.unregister("mine")
