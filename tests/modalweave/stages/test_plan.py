"""The estimate before a run: close to what is measured, and a run that cannot fit is refused in one line."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from common import memory
from common.memory import peak_memory
from gnn.closed_form.config import EASEConfig
from gnn.closed_form.ease import EASE as ClosedForm
from gnn.config import GNNConfig
from gnn.footprint import Footprint, Medium, Sizes
from gnn.network.footprint import network_footprint
from gnn.registry import footprints, make_recommender
from gnn.testing import add_media, bare_graph
from modalweave.stages.plan import estimate
from modalweave.stages.plan_sizes import graph_sizes

Run = Callable[..., Any]


def large_graph(users: int, items: int, pairs: int) -> HeteroData:
    rng = np.random.default_rng(0)
    data = bare_graph(users, items, [(0, 0)], [(0, 1)])
    edges = np.unique(np.stack([rng.integers(0, users, pairs), rng.integers(0, items, pairs)]), axis=1)
    store = data["User", "INTERACTED", "Item"]
    store.edge_index = torch.from_numpy(edges)
    store.weight = torch.ones(edges.shape[1])
    return data


NETWORK: dict[str, Any] = {"model": "hetero", "embedding_dim": 256, "epochs": 1}
EASE: dict[str, Any] = {"model": "ease", "ease": {"regularisation": 10.0, "media_weights": {"image": 3.0}}}


def taken(size: tuple[int, int, int], gnn: dict[str, Any]) -> tuple[int, int]:
    """Bytes a fit is estimated to take and takes: in a process of its own, where no earlier test left memory."""
    data = large_graph(*size)
    if gnn["model"] == "ease":
        add_media(data, "Image", np.random.default_rng(1).normal(size=(size[1], 16)), neighbours=10)
    config = GNNConfig.model_validate(gnn)
    with peak_memory() as before:
        pass
    with peak_memory() as peak:
        make_recommender(config).fit(data, seed=0)
    (part,) = footprints(config, graph_sizes(data))
    return part.work, peak.resident - before.resident


@pytest.mark.parametrize("size", [(4_000, 4_000, 40_000), (16_000, 8_000, 120_000)], ids=str)
def test_the_estimate_is_within_half_of_what_a_network_really_takes(size: tuple[int, int, int]) -> None:
    close(size, NETWORK)


def test_the_estimate_is_within_half_of_what_ease_with_media_really_takes() -> None:
    close((2_000, 4_000, 40_000), EASE)


def close(size: tuple[int, int, int], gnn: dict[str, Any]) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        estimated, measured = pool.submit(taken, size, gnn).result(timeout=300)
    assert 0.5 < estimated / measured < 2, (estimated >> 20, measured >> 20)


def test_the_sizes_of_a_graph_are_its_counts() -> None:
    sizes = graph_sizes(large_graph(40, 30, 100))
    assert (sizes.users, sizes.items, sizes.held_out) == (40, 30, 1)
    assert 80 < sizes.pairs <= 100
    assert sizes.media == {}


def test_what_grows_with_what() -> None:
    small, wide = Sizes(1000, 500, 5000), Sizes(1000, 500, 5000, media={"image": Medium(500, 512, 5000)})
    config = GNNConfig().network()
    twice = config.model_copy(update={"embedding_dim": 128})
    assert network_footprint(small, twice).kept == 2 * network_footprint(small, config).kept
    assert network_footprint(wide, config).work > network_footprint(small, config).work
    square = [ClosedForm.footprint(Sizes(100, n, 1000), EASEConfig()).kept for n in (1000, 2000)]
    assert square[1] == 4 * square[0]
    assert ClosedForm.footprint(Sizes(100, 30_000, 1000), EASEConfig()).kept < 4 * 30_000**2


@pytest.mark.parametrize("model", ["auto", "hetero"])
@pytest.mark.parametrize("history", [5, 50])
@pytest.mark.parametrize("items", [60_000, 6_000_000])
def test_a_catalogue_three_times_as_large_costs_three_times_as_much(model: str, history: int, items: int) -> None:
    """Beyond the sizes from which batches grow; the larger sizes are trained in samples."""

    def parts(items: int) -> list[Footprint]:
        sizes = Sizes(2 * items, items, 2 * items * history, 1000, media={"image": Medium(items, 64, 10 * items)})
        return footprints(GNNConfig(model=model, auto={"max_pairs": 1}), sizes)

    for small, large in zip(parts(items), parts(3 * items), strict=True):
        # a sampled batch has its size, and each moves every parameter
        for cost in ("work", "kept", "flops", "edges", "moved")[: 5 if items < 1_000_000 else 4]:
            assert getattr(large, cost) <= 3.3 * getattr(small, cost), (large.name, cost)


def test_a_run_that_cannot_fit_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 8 << 30)
    told = estimate(Sizes(100_000, 40_000, 1_000_000), GNNConfig(model="ease", ease={"dense_limit": 50_000}))
    assert not told.fits
    assert "lower gnn.ease.dense_limit" in told.verdict
    assert estimate(Sizes(100_000, 40_000, 1_000_000), GNNConfig(model="ease")).fits


def test_doctor_plans_before_and_after_the_build(config: Path, modalweave: Run) -> None:
    before = modalweave("doctor", "--plan", config, "--json").json()
    assert before["sizes"] == {"users": 60, "items": 40, "pairs": 420}
    assert before["fits"]
    assert modalweave("build", config).code == 0
    after = modalweave("doctor", "--plan", config, "--json").json()
    assert after["sizes"] == before["sizes"]
    assert after["from"].startswith("ladybug:")
    assert modalweave("doctor", "--plan").code == 2


def test_training_refuses_in_one_line_what_cannot_fit(
    config: Path, modalweave: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert modalweave("build", config).code == 0
    monkeypatch.setattr(memory, "available", lambda: 1 << 15)
    refused = modalweave("train", config, "--json")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "cannot fit" in refused.err
    assert not (config.parent / "run" / "bundle").exists()
    assert modalweave("doctor", "--plan", config).code == 1
