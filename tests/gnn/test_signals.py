"""How much an interaction counts: by its strength, by its age, or like every other."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.bundle.bundle import save_bundle
from gnn.bundle.onnx_graph import OnnxScorer, scorer_to_onnx
from gnn.bundle.tensors import scorer_to_tensors
from gnn.config import GNNConfig
from gnn.matrices import count_strengths, histories, interactions
from gnn.network.config import NetworkConfig
from gnn.network.message_graph import message_graph
from gnn.network.objective import all_pairs
from gnn.network.registries import LOSSES
from gnn.registry import chosen, make_recommender
from gnn.scorers.base import ItemItemScorer, Scorer, SumScorer
from gnn.testing import tiny_graph

DAY = 86_400
NETWORK: dict[str, Any] = {"embedding_dim": 8, "epochs": 2, "negatives": 16, "batch_users": 20}
MODELS: dict[str, dict[str, Any]] = {
    "popularity": {"model": "popularity"},
    "item_knn": {"model": "item_knn"},
    "ease": {"model": "ease"},
    "ease cut": {"model": "ease", "ease": {"dense_limit": 10, "rank": 12}},
    "graph_filter": {"model": "graph_filter"},
    "graph_filter pruned": {"model": "graph_filter", "graph_filter": {"dense_limit": 10}},
    "softmax": {"model": "hetero", **NETWORK},
    "sampled_softmax": {"model": "hetero", "loss": "sampled_softmax", **NETWORK},
    "bpr": {"model": "hetero", "loss": "bpr", **NETWORK},
}
CLOSED = ("popularity", "item_knn", "ease", "ease cut", "graph_filter", "graph_filter pruned")


def edges(data: HeteroData) -> Any:
    return data["User", "INTERACTED", "Item"]


def fitted(data: HeteroData, section: dict[str, Any]) -> tuple[Scorer, dict[str, Any]]:
    config = GNNConfig.model_validate(section)
    recommender = make_recommender(config)
    return recommender.fit(data, seed=1), chosen(config, recommender)


def saved(data: HeteroData, section: dict[str, Any], path: Path) -> str:
    scorer, decided = fitted(data, section)
    ids = {"user_ids": data["User"].ids, "item_ids": data["Item"].ids}
    return save_bundle(path, scorer, **ids, seen=interactions(data), manifest={"model": "case", "chosen": decided})


@pytest.mark.parametrize("model", MODELS)
def test_equal_strengths_and_absent_or_equal_times_change_no_byte(model: str, tmp_path: Path) -> None:
    thrice, together = deepcopy(tiny_graph()), deepcopy(tiny_graph())
    edges(thrice).weight = torch.full_like(edges(thrice).weight, 3.0)
    count_strengths(thrice)
    edges(together).timestamp = torch.full_like(edges(together).timestamp, 1_700_000_000)
    expected = saved(tiny_graph(), MODELS[model], tmp_path / "ones")
    assert saved(thrice, MODELS[model], tmp_path / "thrice") == expected
    assert saved(together, MODELS[model], tmp_path / "together") == expected
    off = GNNConfig.model_validate(MODELS[model] | {"recency": None})
    assert torch.equal(
        make_recommender(off).fit(tiny_graph(), seed=1).scores(torch.arange(40)),
        fitted(tiny_graph(), MODELS[model])[0].scores(torch.arange(40)),
    )


@pytest.fixture
def played(bare_graph: Callable[..., HeteroData]) -> HeteroData:
    """Six users have item 0 with 1, and with it 2; three of them play 1 a hundred times, the others 2 once."""
    pairs = [(user, item) for user in range(6) for item in (0, 1 if user % 2 else 2)] + [(6, 0)]
    data = bare_graph(7, 3, pairs)
    items = edges(data).edge_index[1]
    edges(data).weight = torch.where(items == 1, 100.0, 1.0)
    return data


@pytest.mark.parametrize("model", CLOSED)
def test_what_is_played_more_comes_first_where_weights_are_strengths(model: str, played: HeteroData) -> None:
    for data, first in ((played, False), (deepcopy(played), True)):
        if first:
            count_strengths(data)
        scores = fitted(data, MODELS[model] | {"recency": None})[0].scores(torch.tensor([6]))[0]
        assert (scores[1] > scores[2] + 1e-4) == first, "as many people have both"


def test_a_hundred_plays_count_by_the_logarithm_and_one_on_average(played: HeteroData) -> None:
    count_strengths(played)
    found = histories(played)
    assert found[1, 1] / found[0, 0] == pytest.approx(np.log(101) / np.log(2), rel=1e-5)
    assert found.data.mean() == pytest.approx(1)
    assert (found.astype(bool) != interactions(played).astype(bool)).nnz == 0


def test_strengths_of_held_out_pairs_are_kept_for_a_refit_and_change_nothing_before(played: HeteroData) -> None:
    edges(played).weight = torch.ones(13)
    edges(played).valid_label_index, edges(played).valid_label_weight = torch.tensor([[6], [1]]), torch.tensor([40.0])
    count_strengths(played)
    assert (histories(played) != interactions(played)).nnz == 0
    edges(played).edge_index = torch.cat([edges(played).edge_index, torch.tensor([[6], [1]])], dim=1)
    edges(played).weight = torch.cat([edges(played).weight, torch.tensor([40.0])])
    assert histories(played)[6, 1] > 3 * histories(played)[6, 0]


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
def test_a_pair_counts_in_the_loss_as_often_as_its_strength_says(loss: str, played: HeteroData) -> None:
    count_strengths(played)
    config = NetworkConfig(loss=loss, negatives=4)
    weighted, alike = (
        LOSSES[loss](matrix, config) for matrix in (message_graph(played, config).pairs, interactions(played))
    )
    generator = torch.Generator().manual_seed(0)
    users, items = torch.randn(7, 4, generator=generator), torch.randn(3, 4, generator=generator)
    strong, plain, each = [], [], []
    pairs = all_pairs(interactions(played))
    for place in range(len(pairs.users)):
        one = type(pairs)(pairs.users[[place]], pairs.items[[place]], torch.tensor([0]))
        each.append(float(alike(users, items, one, generator)))
    strength = weighted.strength(pairs)
    assert strength is not None
    whole = type(pairs)(pairs.users, pairs.items, torch.zeros(len(pairs.users), dtype=torch.int64))
    if loss == "sampled_softmax":  # the share of its own item among the drawn depends on how many are drawn
        whole = type(pairs)(pairs.users, pairs.items, torch.tensor([0]))
    strong.append(float(weighted(users, items, whole, generator)))
    plain.append(float(alike(users, items, whole, generator)))
    assert strong[0] == pytest.approx(float((strength * torch.tensor(each)).sum() / strength.sum()), rel=1e-4)
    assert plain[0] == pytest.approx(float(np.mean(each)), rel=1e-4)
    assert abs(strong[0] - plain[0]) > 1e-3


@pytest.fixture
def fashion(bare_graph: Callable[..., HeteroData]) -> HeteroData:
    """60 users, 40 items: until a year ago people took the first 20, in the last month the last 20, as they will."""
    rng = np.random.default_rng(2)
    train, times, valid = [], {}, []
    for user in range(60):
        old, new = rng.choice(20, 9, replace=False), 20 + rng.choice(20, 4, replace=False)
        train += [(user, int(i)) for i in (*old, *new[:3])]
        times |= {(user, int(i)): int(rng.integers(0, 300)) for i in old}
        times |= {(user, int(i)): int(rng.integers(670, 700)) for i in new[:3]}
        valid.append((user, int(new[3])))
    data = bare_graph(60, 40, train, valid)
    edges(data).timestamp = torch.tensor([DAY * (10_000 + times[u, i]) for u, i in edges(data).edge_index.T.tolist()])
    return data


@pytest.mark.parametrize("model", ["popularity", "item_knn", "ease", "graph_filter"])
def test_validation_finds_that_old_interactions_say_little(model: str, fashion: HeteroData) -> None:
    scorer, decided = fitted(fashion, MODELS[model])
    never, _ = fitted(fashion, MODELS[model] | {"recency": None})
    assert decided[model]["recency"] in (7.0, 30.0, 180.0)
    new, old = (float(s.scores(torch.arange(60))[:, 20:].mean()) for s in (scorer, never))
    whole, flat = (float(s.scores(torch.arange(60)).mean()) for s in (scorer, never))
    assert new / whole > old / flat
    again, settled = fitted(fashion, decided)
    assert torch.allclose(again.scores(torch.arange(60)), scorer.scores(torch.arange(60)), rtol=1e-4, atol=1e-5)
    assert settled in ({}, decided)


def test_none_is_kept_where_age_says_nothing(fashion: HeteroData) -> None:
    edges(fashion).valid_label_index = torch.tensor([[u, u % 20] for u in range(60)]).T
    train = interactions(fashion)
    edges(fashion).valid_label_index = torch.tensor(
        [[u, int(np.setdiff1d(np.arange(20), train[u].indices)[0])] for u in range(60)]
    ).T
    assert fitted(fashion, MODELS["popularity"])[1]["popularity"]["recency"] is None


def test_a_half_life_halves(fashion: HeteroData) -> None:
    found, times = histories(fashion, 10.0), edges(fashion).timestamp
    (newest, oldest), (users, items) = (int(times.argmax()), int(times.argmin())), edges(fashion).edge_index.tolist()
    days = int(times.max() - times[times < times.max()].max()) / DAY
    second = int((times == times[times < times.max()].max()).nonzero()[0, 0])
    ratio = found[users[second], items[second]] / found[users[newest], items[newest]]
    assert ratio == pytest.approx(0.5 ** (days / 10), rel=1e-5)
    assert found[users[oldest], items[oldest]] > 0, "never nothing"


def test_the_section_of_a_model_goes_before_the_one_for_all() -> None:
    config = GNNConfig.model_validate({"recency": [5, 50], "ease": {"recency": None}})
    assert config.settings("ease").recency is None
    assert config.settings("popularity").recency == (5, 50)
    assert GNNConfig().settings("item_knn").recency == (7.0, 30.0, 180.0)
    with pytest.raises(ValueError, match="greater than 0"):
        GNNConfig.model_validate({"recency": 0})


def test_onnx_takes_histories_that_count_differently_apart(fashion: HeteroData) -> None:
    parts = [fitted(fashion, {"model": "item_knn", "recency": days})[0] for days in (None, 30, None)]
    total = SumScorer(parts, [0.5, 0.3, 0.2])
    history = interactions(fashion)
    model = OnnxScorer(scorer_to_onnx(total, *scorer_to_tensors(total), history=history, seen=history), total)
    users = torch.arange(60)
    assert torch.allclose(model.scores(users), total.scores(users), atol=1e-4)


def test_a_stranger_gets_what_is_popular_now(fashion: HeteroData) -> None:
    fashion["User"].num_nodes = 61
    scorer, _ = fitted(fashion, {"model": "item_knn", "recency": 30})
    assert isinstance(scorer, ItemItemScorer)
    assert scorer.scores(torch.tensor([60])).topk(10).indices.min() >= 20
