"""Features for items that lack a modality: from the training graph alone, and the network is told which are real."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from pydantic import ValidationError

from gnn.config import GNNConfig
from gnn.network.config import ImputeConfig, NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.item_features import co_interacted, with_imputed
from gnn.network.message_graph import message_graph
from gnn.network.perturbation import Perturbation
from gnn.network.recommender import HeteroGNN

METHODS = ("neighbours", "hops", "pagerank")


@pytest.fixture
def gappy(taste_graph):
    """Every third item has lost its picture."""
    data = taste_graph()
    edges = data["Item", "HAS_IMAGE", "Image"].edge_index
    data["Item", "HAS_IMAGE", "Image"].edge_index = edges[:, edges[0] % 3 != 0]
    return data


def build(data, method, fusion="feature", **settings):
    config = NetworkConfig(embedding_dim=8, fusion=fusion, imputation=ImputeConfig(method=method), **settings)
    return HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))


def test_items_that_share_users_by_hand():
    # user 0: items 0, 1; user 1: items 1, 2, 3
    history = sp.csr_matrix(np.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 0]], np.float32))
    third = 1 / 3
    expected = [[0, 1, 0, 0, 0], [0.5, 0, third, third, 0], [0, third, 0, third, 0], [0, third, third, 0, 0], [0] * 5]
    rows = np.array(expected)
    rows = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-9)
    assert co_interacted(history).toarray() == pytest.approx(rows, abs=1e-6)


def test_only_the_strongest_fifty_are_kept():
    history = sp.csr_matrix(np.ones((2, 80), np.float32))
    together = co_interacted(history)
    assert (np.diff(together.indptr) == 50).all()
    assert together.diagonal().sum() == 0
    assert together.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_gaps_are_filled_and_what_is_real_stays(gappy, method):
    config = NetworkConfig()
    plain = message_graph(gappy, config)
    medium = with_imputed(plain, ImputeConfig(method=method)).media["image"]
    lost = torch.arange(100) % 3 == 0
    assert torch.equal(medium.filled, lost)
    assert torch.equal(medium.features[~lost], plain.media["image"].features[~lost])
    assert medium.present.all()
    # the picture shows the taste, and so do those who choose: what is made up lies nearer to its own taste
    taste = torch.arange(100) % 5
    known_to_users = lost & (torch.arange(100) < 85)
    centres = torch.stack([medium.features[(taste == t) & ~lost].mean(dim=0) for t in range(5)])
    nearest = (medium.features[known_to_users] @ centres.T).argmax(dim=1)
    assert (nearest == taste[known_to_users]).float().mean() > 0.7


def test_nothing_is_filled_unless_asked(gappy):
    graph = message_graph(gappy, NetworkConfig())
    assert with_imputed(graph, ImputeConfig()) is graph
    assert build(gappy, "none").graph.media["image"].filled is None


@pytest.mark.parametrize("method", METHODS)
def test_held_out_pairs_cannot_reach_what_is_filled_in(gappy, method):
    before = build(gappy, method).graph.media["image"].features
    store = gappy["User", "INTERACTED", "Item"]
    for split in ("valid", "test"):
        pairs = store[f"{split}_label_index"]
        store[f"{split}_label_index"] = torch.stack([pairs[0], pairs[1].flip(0)])
    assert torch.equal(build(gappy, method).graph.media["image"].features, before)
    store.weight = store.weight * (torch.arange(len(store.weight)) % 2)  # training pairs do reach it
    assert not torch.equal(build(gappy, method).graph.media["image"].features, before)


@pytest.mark.parametrize("fusion", ["feature", "attended"])
def test_the_network_sees_and_learns_the_mask(gappy, fusion):
    network = build(gappy, "hops", fusion)
    vectors = network()
    (vectors.users @ vectors.items.T).square().mean().backward()
    assert network.fusion.marks["image"].grad.abs().sum() > 0
    before = network().contents["media"].detach()
    with torch.no_grad():
        network.fusion.marks["image"].fill_(1.0)
    moved = (network().contents["media"] - before).abs().sum(dim=1) > 1e-6
    assert torch.equal(moved, torch.arange(100) % 3 == 0)


def test_what_no_neighbour_reaches_stays_empty_and_marked(gappy, bare_graph, add_media):
    data = bare_graph(1, 3, [(0, 0), (0, 1)])
    add_media(data, "Image", np.eye(3), neighbours=1)
    data["Item", "HAS_IMAGE", "Image"].edge_index = torch.tensor([[0], [0]])
    network = build(data, "hops")
    medium = network.graph.media["image"]
    assert medium.filled.tolist() == [False, True, False]
    assert medium.present.tolist() == [True, True, False]
    with torch.no_grad():
        network.fusion.marks["image"].fill_(1.0)
    contents = network().contents["media"]
    assert torch.equal(contents[2], torch.ones(8))


def test_a_batch_that_hides_items_hides_what_was_made_from_their_users(gappy):
    network = build(gappy, "hops", feature_noise=0.1)
    lost = torch.arange(100) % 3 == 0
    seen = Perturbation(identity=torch.zeros(100, dtype=torch.bool))
    assert torch.equal(seen.features(network.graph)["image"].abs().sum(dim=1) > 0, ~lost)


def test_noise_gives_no_features_to_items_that_lack_them(gappy):
    network = build(gappy, "none")
    noise = {"image": torch.ones_like(network.graph.media["image"].features)}
    rows = Perturbation(noise=noise).features(network.graph)["image"]
    assert torch.equal(rows.abs().sum(dim=1) > 0, torch.arange(100) % 3 != 0)


@pytest.mark.parametrize("fusion", ["joint", "decision"])
def test_imputation_where_nothing_needs_a_vector_is_refused(fusion):
    for model in (NetworkConfig, GNNConfig):
        with pytest.raises(ValidationError, match="use fusion feature or attended"):
            model(fusion=fusion, imputation={"method": "hops"})


def test_training_with_imputation_ends_the_same_twice(gappy):
    config = NetworkConfig(
        embedding_dim=8,
        fusion="attended",
        imputation=ImputeConfig(method="pagerank"),
        epochs=2,
        identity_dropout=0.2,
        modality_dropout=0.2,
        feature_noise=0.2,
    )
    first, second = (HeteroGNN(config).fit(gappy, seed=1) for _ in range(2))
    assert torch.equal(first.item_vectors, second.item_vectors) and torch.isfinite(first.item_vectors).all()
