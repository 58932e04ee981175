"""Modality dropout and feature noise: as much as the config says, new in each batch, gone outside training."""

import pytest
import torch

from gnn.network.config import NetworkConfig
from gnn.network.finished import finished_scorer
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.network.perturbation import Perturbation


def build(data, **settings):
    config = NetworkConfig(embedding_dim=8, **settings)
    return HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))


def draws(network, count=60):
    generator = torch.Generator().manual_seed(1)
    return [Perturbation.drawn(network.graph, network.config, generator, network.device) for _ in range(count)]


def test_modality_dropout_takes_the_share_that_was_asked(taste_graph):
    seen = draws(build(taste_graph(), modality_dropout=0.3))
    kept = {name: torch.stack([batch.modality[name] for batch in seen]).float() for name in ("image", "audio")}
    for batches in kept.values():
        assert batches.mean() == pytest.approx(0.7, abs=0.02)
        assert batches.std(dim=0).min() > 0  # every item loses it in some batch and keeps it in another
    both = (kept["image"] * kept["audio"]).mean()
    assert both == pytest.approx(0.49, abs=0.02)  # each modality on its own


def test_feature_noise_has_the_deviation_that_was_asked(taste_graph):
    network = build(taste_graph(), feature_noise=0.4)
    seen = draws(network)
    noise = torch.stack([batch.noise["image"] for batch in seen])
    assert noise.shape[1:] == network.graph.media["image"].features.shape
    assert noise.std() == pytest.approx(0.4, rel=0.03) and noise.mean() == pytest.approx(0, abs=0.01)
    assert not torch.equal(noise[0], noise[1])
    spread = seen[0].features(network.graph)["image"] - network.graph.media["image"].features
    assert torch.allclose(spread, noise[0], atol=1e-6)


def test_a_dropped_modality_leaves_the_item_without_its_features(taste_graph):
    network = build(taste_graph(), modality_dropout=0.5, feature_noise=0.4)
    (seen,) = draws(network, 1)
    rows = seen.features(network.graph)["image"]
    assert torch.equal(rows.abs().sum(dim=1) > 0, seen.modality["image"])


def test_without_settings_and_outside_training_nothing_is_touched(taste_graph):
    data = taste_graph()
    (seen,) = draws(build(data), 1)
    assert seen.identity is None and not seen.modality and not seen.noise
    network, plain = build(data, modality_dropout=0.5, feature_noise=1.0), build(data)
    assert torch.equal(finished_scorer(network, True).item_vectors, finished_scorer(plain, True).item_vectors)


def test_a_dropped_interaction_reaches_its_user_neither_by_messages_nor_by_what_its_media_resemble(taste_graph):
    network = build(taste_graph(), edge_dropout=0.5)
    whole = network.graph.history
    pruned = whole.copy()
    pruned.data[pruned.indptr[0] : pruned.indptr[1]] = 0  # all of user 0's
    pruned.eliminate_zeros()
    users = network(network.inputs.with_interactions(pruned)).users
    layers = network.config.layers + 1
    assert torch.allclose(users[0], network.user_start[0] / layers, atol=1e-6)
    assert not torch.allclose(users[1], network.user_start[1] / layers, atol=1e-3)
