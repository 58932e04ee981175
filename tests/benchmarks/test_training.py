"""The training benchmark's parts: what it measures is what it says it measures."""

import numpy as np
import torch

from benchmarks.synthetic import LINKS, synthetic_graph
from benchmarks.training import CLOSED_FORMS, closed_form, floor, one_epoch, plot, validation
from gnn.matrices import held_out, interactions
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.scorers.base import DotScorer


def test_the_synthetic_graph_has_the_sizes_asked_for_and_no_leak() -> None:
    data = synthetic_graph(200, 100, 3000, 8, seed=0)
    seen, held = interactions(data), held_out(data, "valid")
    assert seen.shape == (200, 100)
    assert 2000 < seen.nnz + held.nnz <= 3000
    assert 0 < held.nnz < 100
    assert seen.multiply(held).nnz == 0
    assert data["Image", "SIMILAR", "Image"].edge_index.shape == (2, 100 * LINKS)
    popularity = seen.getnnz(axis=0)
    assert popularity[:20].sum() > 2 * popularity[80:].sum()
    assert torch.equal(data["Image"].x, synthetic_graph(200, 100, 3000, 8, seed=0)["Image"].x)


def test_an_epoch_is_longer_than_its_products() -> None:
    config = NetworkConfig(embedding_dim=16)
    graph = message_graph(synthetic_graph(400, 200, 6000, 8, seed=0), config)
    measured = floor(HeteroNetwork(graph, config, torch.Generator().manual_seed(0)))
    assert measured["seconds of its products alone"] > 0
    assert measured["times these"] > 1


def test_growth_is_measured_and_drawn(tmp_path) -> None:
    rows = [
        one_epoch(size, batching) | {"peak memory MB": 1} for size, batching in ((5000, "full"), (10_000, "sampled"))
    ]
    assert [row["users"] for row in rows] == [100, 200]
    assert rows[1]["interactions"] > rows[0]["interactions"] > 1000
    plot(rows, tmp_path / "plots" / "growth.png")
    assert (tmp_path / "plots" / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_every_closed_form_is_fitted_and_says_what_it_leaves_out(monkeypatch) -> None:
    monkeypatch.setitem(CLOSED_FORMS, "cut", {"model": "ease", "ease": {"dense_limit": 100, "rank": 16}})
    rows = [closed_form(name, 300) for name in CLOSED_FORMS]
    assert [row["model"] for row in rows] == list(CLOSED_FORMS)
    assert {row["items"] for row in rows} == {300}
    assert ["cut to 16 singular vectors" in "".join(row["told"]) for row in rows] == [False] * 4 + [True]


def test_validation_is_the_mean_ndcg_over_users_with_held_out_items() -> None:
    data = synthetic_graph(50, 30, 600, 4, seed=1)
    held = held_out(data, "valid").toarray()
    users = np.flatnonzero(held.sum(axis=1))
    perfect = DotScorer(torch.from_numpy(held), torch.eye(30))
    assert len(users) > 0
    assert validation(data, perfect) == 1
    assert validation(data, DotScorer(torch.from_numpy(-held), torch.eye(30))) < 0.2
