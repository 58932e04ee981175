"""What a fit takes, worked out by hand for small and large catalogues, and the order of a composite one's stages."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnn.config import GNNConfig
from gnn.footprint import Footprint, Medium, Sizes
from gnn.registry import footprints

SMALL = Sizes(1000, 500, 5000, 100, media={"image": Medium(500, 64, 5000)})
LARGE = Sizes(300_000, 40_000, 9_000_000)
BLOCKS = 3 * (16 << 20)
"""Scores held while a model is validated, at most."""


def stages(sizes: Sizes, **gnn: Any) -> list[Footprint]:
    return footprints(GNNConfig.model_validate(gnn), sizes)


@pytest.mark.parametrize(
    ("model", "sizes", "work", "kept", "lower"),
    [
        ("popularity", SMALL, 3 * 4 * 100 * 500, 4 * 1500, ""),
        ("item_knn", SMALL, 16 * 500 * 100 + 3 * 4 * 100 * 500, 8 * 500 * 100, "gnn.item_knn.k"),
        ("ease", SMALL, 20 * 500**2 + 3 * 4 * 100 * 500, 4 * 500**2, "gnn.ease.dense_limit"),
        ("ease", LARGE, 16 * 340_000 * 512 + BLOCKS, 4 * 340_000 * 512, "gnn.ease.rank"),
        ("graph_filter", SMALL, 20 * 500**2 + 32 * 1000 * 500, 4 * 500**2, "gnn.graph_filter.dense_limit"),
        (
            "graph_filter",
            LARGE,
            40 * 40_000 * 300 + 32 * 750 * 40_000,
            8 * 40_000 * 300,
            "gnn.graph_filter.row_entries",
        ),
    ],
)
def test_closed_forms_by_hand(model: str, sizes: Sizes, work: int, kept: int, lower: str) -> None:
    (found,) = stages(sizes, model=model)
    assert (found.name, found.work, found.kept, found.lower) == (model, work, kept, lower)


def test_settings_count() -> None:
    assert stages(SMALL, model="item_knn", item_knn={"k": 7})[0].kept == 8 * 500 * 7
    tried, given = (stages(SMALL, model="ease", ease=ease)[0].flops for ease in ({}, {"regularisation": 3.0}))
    assert tried == 3 * given
    chosen = stages(SMALL, model="ease", ease={"media_weights": None})[0]
    assert chosen.work == 24 * 500**2 + 16 * (4 * 5000**2 // 500) + 3 * 4 * 100 * 500  # entries of R^T R


def test_a_sum_goes_through_its_parts_and_is_weighed_last() -> None:
    parts = [{"model": "ease"}, {"model": "popularity"}]
    found = stages(SMALL, model="ensemble", ensemble={"parts": parts})
    assert [stage.name for stage in found] == ["ease", "popularity", "weights"]
    assert found[-1].work == 4 * 1000 * 500 * 3
    assert found[:2] == [*stages(SMALL, model="ease"), *stages(SMALL, model="popularity")]


def test_the_automatic_choice_counts_every_network_and_copy() -> None:
    alone = {"second_stage": False}
    parts = ["graph_filter", "ease", "popularity", *["network"] * 3]
    assert [s.name for s in stages(SMALL, auto=alone)] == [*parts, "weights"]
    named = stages(SMALL, auto={"closed_forms": ["item_knn"], "networks": [{}, {}, {}], "copies": 3} | alone)
    assert [stage.name for stage in named] == ["item_knn", *["network"] * 5, "weights"]
    large = stages(LARGE, auto={"closed_forms": []} | alone)
    assert [s.name for s in large] == ["network", "weights"]  # too large to compare
    assert [s.name for s in stages(SMALL)] == [*parts, "weights", *parts, "ranker"], "fitted again to learn from"
    assert [s.name for s in stages(SMALL, ensemble={"max_dimensions": 8})] == [*parts, "weights"]


def test_a_second_stage_counts_its_retriever_twice_unless_it_learns_on_validation() -> None:
    names = [s.name for s in stages(SMALL, model="ranked", ranked={"retriever": "ease"})]
    assert names == ["ease", "ease", "ranker"]
    once = stages(SMALL, model="ranked", ranked={"retriever": "ease", "learn_on": "validation"})
    assert [s.name for s in once] == ["ease", "ranker"]
    few, many = (stages(SMALL, model="ranked", ranked={"negatives": n})[-1].work for n in (10, 100))
    assert few < many


def test_decision_fusion_counts_a_network_for_behaviour_and_one_a_modality() -> None:
    found = stages(SMALL, model="hetero", fusion="decision")
    assert [stage.name for stage in found] == ["network", "network", "weights"]


def test_what_is_known_of_a_recommender_loads_no_framework() -> None:
    code = (
        "import sys\nimport gnn.components, gnn.footprint, gnn.registry\n"
        "heavy = {'torch', 'torch_geometric', 'scipy', 'numpy'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
