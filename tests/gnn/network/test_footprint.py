"""The estimate of a network: the same numbers as when it was measured against real fits, and what moves it."""

from typing import Any

import pytest

from gnn.footprint import Medium, Sizes
from gnn.network.config import NetworkConfig
from gnn.network.footprint import network_footprint

IMAGE = {"image": Medium(6500, 1280, 65000)}

KNOWN: dict[str, tuple[Sizes, dict[str, Any], tuple[int, int, float, float, float, str]]] = {
    "defaults": (
        Sizes(1000, 500, 5000),
        {},
        (38188000, 384000, 7680000000.0, 2743750.0, 600000000.0, "gnn.batch_users"),
    ),
    "media and entities": (
        Sizes(9000, 7000, 60000, 7000, 1500, 20000, 0, {"text": Medium(7000, 384, 70000), **IMAGE}),
        {},
        (278512000, 4096000, 1935360000000.0, 759712500.0, 100800000000.0, "gnn.batch_users"),
    ),
    "one channel, bpr": (
        Sizes(9000, 7000, 60000, 7000, media=IMAGE),
        {"fusion": "feature", "loss": "bpr", "layers": 3},
        (242256000, 4096000, 806400000000.0, 1017412500.0, 144000000000.0, "gnn.embedding_dim"),
    ),
    "drawn items": (
        Sizes(200_000, 90_000, 3_000_000, 1000, follows=50_000),
        {"embedding_dim": 128},
        (2721394944, 148480000, 25165824000000.0, 58080000000.0, 4751360000000.0, "gnn.embedding_dim"),
    ),
    "sampled by size": (
        Sizes(2_000_000, 500_000, 80_000_000, 1000, media={"image": Medium(500_000, 512, 5_000_000)}),
        {},
        (23336228864, 640000000, 817889280000000.0, 3801600000000.0, 812500000000000.0, "gnn.embedding_dim"),
    ),
    "sampled, bpr": (
        Sizes(50_000, 20_000, 900_000, 0, 300, 40_000, 0, {"audio": Medium(20_000, 0, 200_000)}),
        {"loss": "bpr", "batching": "sampled", "fan_out": 5},
        (609077648, 17920000, 0.0, 11124000000.0, 1123000320000.0, "gnn.embedding_dim"),
    ),
    "no media": (
        Sizes(50_000, 20_000, 900_000, media={"audio": Medium(20_000, 64, 200_000)}),
        {"modalities": (), "layers": 0, "epochs": 5},
        (433794944, 17920000, 393216000000.0, 9000000.0, 43008000000.0, "gnn.negatives"),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_numbers_are_those_that_were_measured(name: str) -> None:
    sizes, settings, (work, kept, flops, edges, moved, lower) = KNOWN[name]
    found = network_footprint(sizes, NetworkConfig(**settings))
    assert (found.work, found.kept, found.lower) == (work, kept, lower)
    assert (found.flops, found.edges, found.moved) == pytest.approx((flops, edges, moved), rel=1e-12)


def test_a_sampled_step_meets_part_of_a_large_graph() -> None:
    sizes = Sizes(2_000_000, 500_000, 20_000_000)
    near, far, whole = (
        network_footprint(sizes, NetworkConfig(loss="bpr", **settings))
        for settings in ({"batching": "sampled", "fan_out": 2}, {"batching": "sampled"}, {"batching": "full"})
    )
    assert near.work < far.work
    assert near.edges < far.edges
    assert near.edges / NetworkConfig().pairs_a_step(sizes.pairs) < whole.edges
