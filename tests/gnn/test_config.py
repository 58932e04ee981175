"""The `gnn:` section: what it takes, what it refuses and how it writes itself."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnn.closed_form.config import EASEConfig, GraphFilterConfig
from gnn.config import GNNConfig, PartConfig
from gnn.network.config import NetworkConfig
from modalweave.config import parse_config
from modalweave.errors import ConfigError


def test_reading_a_config_loads_nothing_that_computes() -> None:
    code = (
        "import sys\nfrom gnn.config import GNNConfig\n"
        "GNNConfig.model_validate({'ease': {}, 'ensemble': {'parts': [{'model': 'hetero'}, {'model': 'item_knn'}]}})\n"
        "heavy = {'torch', 'torch_geometric', 'transformers', 'scipy', 'faiss'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_settings_are_found_by_the_name_of_their_recommender() -> None:
    config = GNNConfig.model_validate({"model": "ease", "layers": 3, "ease": {"rank": 9}})
    assert config.settings("ease") == EASEConfig(rank=9)
    assert config.settings("graph_filter") == GraphFilterConfig()
    assert config.settings("hetero") == NetworkConfig(layers=3)
    assert config.fixed() == {"layers": 3}


def test_a_part_keeps_its_own_settings_and_reads_those_of_others() -> None:
    part = PartConfig.model_validate({"model": "hetero", "network": {"layers": 3}, "ease": {"rank": 9}})
    assert part.settings == NetworkConfig(layers=3)
    assert part.model_dump(exclude_defaults=True) == {"model": "hetero", "network": {"layers": 3}}
    assert PartConfig(model="popularity").model_dump(exclude_defaults=True) == {"model": "popularity"}
    assert PartConfig.of("ease", EASEConfig(rank=9), 2).settings == EASEConfig(rank=9)


def test_defaults_are_written_out_or_left_out() -> None:
    given = {"model": "graph_filter", "graph_filter": {"search_users": 7}}
    config = GNNConfig.model_validate(given)
    assert config.model_dump(mode="json", exclude_defaults=True) == given
    assert config.model_dump(mode="json", exclude_unset=True) == given
    whole = config.model_dump(mode="json")
    assert (whole["ease"]["rank"], whole["item_knn"]["k"], whole["graph_filter"]["search_users"]) == (512, 100, 7)
    assert GNNConfig.model_validate(whole) == config


@pytest.mark.parametrize(
    ("gnn", "told"),
    [
        ({"model": "eas"}, "gnn.model: model 'eas' is unknown; did you mean 'ease'?"),
        ({"embeding_dim": 3}, r"unknown key 'gnn.embeding_dim' \(value 3\); did you mean 'embedding_dim'?"),
        ({"grph_filter": {}}, "unknown key 'gnn.grph_filter' .*did you mean 'graph_filter'?"),
        ({"ease": {"rnk": 3}}, "unknown key 'gnn.ease.rnk' .*did you mean 'rank'?"),
        ({"ease": {"rank": 0}}, r"gnn.ease.rank: value 0 must be over 0"),
        ({"graph_filter": {"parameters": {"hop": 1}}}, "'gnn.graph_filter.parameters.hop' .*did you mean 'hops'?"),
        ({"auto": {"closed_forms": ["ese"]}}, "gnn.auto.closed_forms.0: model 'ese' is unknown; did you mean 'ease'?"),
        ({"ensemble": {"parts": [{"model": "auto"}]}}, "model 'auto' is made of others and cannot be a part"),
        ({"ensemble": {"parts": [{"model": "ease", "eas": {}}]}}, "'gnn.ensemble.parts.0.eas' .*did you mean 'ease'?"),
        (
            {"ensemble": {"parts": [{"model": "hetero", "network": {"layrs": 1}}]}},
            "'gnn.ensemble.parts.0.network.layrs' .*did you mean 'layers'?",
        ),
        ({"popularity": {"k": 1}}, "unknown key 'gnn.popularity.k'"),
    ],
)
def test_what_is_wrong_is_told_with_the_nearest_name(gnn: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_config({"source": {"path": "."}, "gnn": gnn})
