"""Sampled batches: the whole graph's vectors where nothing is left out, its quality where something is."""

import pytest
import torch

from gnn.components import Watch
from gnn.matrices import held_out, interactions
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.network.objective import make_sampled_loss
from gnn.network.perturbation import Perturbation
from gnn.network.recommender import HeteroGNN
from gnn.network.sampling import _batches, sampled_steps
from gnn.scorers.ranking import top_items

SMALL = {
    "embedding_dim": 16,
    "learning_rate": 0.02,
    "batch_size": 128,
    "batch_users": 20,
    "negatives": 64,
    "epochs": 12,
}


def build(data, **settings):
    config = NetworkConfig(**({"embedding_dim": 8, "loss": "sampled_softmax", "negatives": 5} | settings))
    network = HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))
    with torch.no_grad():  # gates and weights that do something
        for n, parameter in enumerate(network.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(n)))
    return network


@pytest.mark.parametrize("fusion", ["joint", "feature", "attended"])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_with_every_neighbour_a_batch_sees_what_the_whole_graph_sees(fusion, layers, taste_graph):
    network = build(taste_graph(), fan_out=10_000, batch_size=7, layers=layers, fusion=fusion)
    loss = make_sampled_loss(network.graph.history, network.config)
    whole, pairs = network(), 0
    for step in sampled_steps(network, network.inputs, loss, torch.Generator().manual_seed(1)):
        batch, got = step.judged(network, Perturbation())
        items = torch.cat([batch.items, batch.negatives])
        assert torch.allclose(got.users[batch.rows], whole.users[batch.users], atol=1e-5)
        assert torch.allclose(got.items[items], whole.items[items], atol=1e-5)
        pairs += len(step.batch.users)
    assert pairs == network.graph.history.nnz


def test_a_small_fan_out_looks_at_part_of_the_graph_and_reaches_every_parameter(taste_graph):
    network = build(taste_graph(), fan_out=2, batch_size=4, layers=2)
    loss = make_sampled_loss(network.graph.history, network.config)
    step = next(sampled_steps(network, network.inputs, loss, torch.Generator().manual_seed(1)))
    assert len(step.part.users) < network.graph.num_users and len(step.part.items) < network.graph.num_items
    batch, vectors = step.judged(network, Perturbation())
    loss(vectors.users, vectors.items, batch, torch.Generator()).backward()
    assert all(p.grad is not None for p in network.parameters())
    outside = torch.ones(network.graph.num_users, dtype=torch.bool)
    outside[step.part.users] = False
    assert not network.user_start.grad[outside].any() and network.user_start.grad.any()


def test_sampled_training_reaches_what_full_batches_reach_with_the_same_loss(taste_graph):
    data = taste_graph()
    test, settings = held_out(data, "test"), SMALL | {"loss": "sampled_softmax", "modalities": ("image",)}
    means = {}
    for batching in ("full", "sampled"):
        config = NetworkConfig(**settings, batching=batching, fan_out=5, identity_dropout=0.5)
        hits = 0
        for seed in range(3):
            ranked, _ = top_items(HeteroGNN(config).fit(data, seed=seed), torch.arange(150), interactions(data), 5)
            hits += sum(len(set(r) & set(p.indices)) for r, p in zip(ranked, test, strict=True))
        means[batching] = hits / test.nnz / 3
    assert min(means.values()) > 0.15  # chance is 0.05
    assert abs(means["sampled"] - means["full"]) < 0.06


def test_the_switch_goes_by_the_edges_of_all_relations(taste_graph):
    data = taste_graph()
    graph = message_graph(data, NetworkConfig())
    links = sum(m.similar.forward.nnz for m in graph.media.values())
    assert graph.edges == graph.history.nnz + links
    assert not NetworkConfig().samples(graph.edges) and NetworkConfig(batching="sampled").samples(0)
    assert not NetworkConfig(sampled_above=graph.edges).samples(graph.edges)
    assert NetworkConfig(sampled_above=graph.edges - 1).samples(graph.edges)
    assert not NetworkConfig(sampled_above=1, batching="full").samples(graph.edges)


def test_what_size_decides_for_is_told(taste_graph):
    told = []
    config = {"embedding_dim": 4, "epochs": 1, "negatives": 16}
    watch = Watch(tell=told.append)
    HeteroGNN(NetworkConfig(**config), watch).fit(taste_graph(), seed=0)
    HeteroGNN(NetworkConfig(**config, batching="sampled", loss="bpr"), watch).fit(taste_graph(), seed=0)
    assert told == []
    HeteroGNN(NetworkConfig(**config, full_softmax_items=99), watch).fit(taste_graph(), seed=0)
    assert told == [
        "network: 100 items are more than full_softmax_items 99, so the softmax is estimated from 16 drawn ones a step"
    ]
    HeteroGNN(NetworkConfig(**config, sampled_above=10), watch).fit(taste_graph(), seed=0)
    assert "a sampled batch does not hold all items" in told[1] and "edges are more than sampled_above 10" in told[2]


def test_an_epoch_has_so_many_steps_at_most_and_a_step_so_many_pairs_at_least(taste_graph):
    config = NetworkConfig()
    assert config.pairs_a_step(1000) == config.pairs_a_step(1000, sampled=True) == 2048
    assert config.pairs_a_step(600_000) == config.pairs_a_step(600_000, sampled=True) == 10_000
    assert config.pairs_a_step(60_000_000) == 1_000_000 and config.pairs_a_step(60_000_000, sampled=True) == 65_536
    assert config.users_a_step(1000) == 512
    assert config.users_a_step(60_000) == 1500
    given = NetworkConfig(batch_size=7, batch_users=3)
    assert given.pairs_a_step(60_000_000, sampled=True) == given.pairs_a_step(1000) == 7
    assert given.users_a_step(60_000) == 3
    network = build(taste_graph())
    loss = make_sampled_loss(network.graph.history, network.config)
    steps = list(sampled_steps(network, network.inputs, loss, torch.Generator().manual_seed(1)))
    assert [len(step.batch.users) for step in steps] == [network.graph.history.nnz]


def test_batches_hold_each_pair_once_and_all_pairs_of_a_user():
    users = torch.tensor([0, 0, 0, 2, 3, 3, 5, 5, 5, 5, 5, 8])
    batches = list(_batches(users, 4, torch.Generator().manual_seed(0)))
    assert sorted(place for batch in batches for place in batch) == list(range(12))
    met = [{int(users[place]) for place in batch} for batch in batches]
    assert sum(len(of_batch) for of_batch in met) == 5 and len(batches) > 1
    assert all(len(batch) < 4 + 5 for batch in batches), "a user more than asked for at most"
    again = list(_batches(users, 4, torch.Generator().manual_seed(1)))
    assert batches != again and batches == list(_batches(users, 4, torch.Generator().manual_seed(0)))


class Killed(Exception):
    """What stands for a kill."""


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_sampled_training_resumes_bit_for_bit(loss, taste_graph, tmp_path):
    data = taste_graph()
    config = NetworkConfig(**(SMALL | {"epochs": 4}), loss=loss, batching="sampled", fan_out=3, edge_dropout=0.2)
    expected = HeteroGNN(config).fit(data, seed=1)

    def kill(name, row):
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        HeteroGNN(config, Watch(tmp_path, kill)).fit(data, seed=1)
    got = HeteroGNN(config, Watch(tmp_path)).fit(data, seed=1)
    assert torch.equal(got.user_vectors, expected.user_vectors)
    assert torch.equal(got.item_vectors, expected.item_vectors)
