"""The network: what its vectors are made of, and what can never reach them."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from gnn.errors import GnnError
from gnn.network import operators
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph, whitened
from gnn.network.operators import SparseOperator, degree_normalised, row_mean, without_edges
from gnn.network.perturbation import Perturbation
from gnn.network.propagation import AttentionPropagation
from gnn.network.registries import FUSIONS, PROPAGATIONS


def build(data, seed=0, **settings):
    config = NetworkConfig(embedding_dim=8, **settings)
    return HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_gives_vectors_of_the_asked_shape_and_learns(fusion, taste_graph):
    network = build(taste_graph(), fusion=fusion)
    vectors = network()
    assert isinstance(vectors.users, Float[Tensor, "150 8"])
    assert isinstance(vectors.items, Float[Tensor, "100 8"])
    (vectors.users @ vectors.items.T).square().mean().backward()
    for name, weight in network.fusion.projections.items():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
    gates = network.modality_gates()
    assert gates.shape == (150, len(network.fusion.names))
    assert torch.allclose(gates.sum(dim=1), torch.ones(150))


def test_fusion_of_decisions_is_none_inside_one_network(taste_graph):
    with pytest.raises(GnnError, match=r"fusion 'decision' sums networks .*; use it with model auto or hetero"):
        build(taste_graph(), fusion="decision")


def test_one_layer_without_media_is_lightgcn_by_hand(bare_graph):
    # user 0 has items 0 and 1, user 1 has item 1: degrees 2, 1 and 1, 2
    network = build(bare_graph(2, 2, [(0, 0), (0, 1), (1, 1)]), layers=1)
    u, i = network.user_start.detach(), network.item_start.detach()
    got = network()
    half = 2**-0.5
    users = torch.stack([i[0] * half + i[1] * 0.5, i[1] * half])
    items = torch.stack([u[0] * half, u[0] * 0.5 + u[1] * half])
    assert torch.allclose(got.users, (u + users) / 2, atol=1e-6)
    assert torch.allclose(got.items, (i + items) / 2, atol=1e-6)
    assert network.modality_gates().shape == (2, 0)


def test_absent_relations_cost_nothing(bare_graph):
    data = bare_graph(2, 2, [(0, 0), (1, 1)])
    graph = message_graph(data, NetworkConfig())
    assert not graph.media and not graph.item_entity and graph.follows is None and graph.num_entities == 0


def test_held_out_pairs_cannot_reach_the_vectors(taste_graph):
    data, other = taste_graph(), taste_graph()
    store = other["User", "INTERACTED", "Item"]
    store.valid_label_index = store.valid_label_index.flip(1)[:, :20]
    store.test_label_index = torch.zeros(2, 0, dtype=torch.int64)
    first, second = build(data)(), build(other)()
    assert torch.equal(first.users, second.users) and torch.equal(first.items, second.items)
    # the same check must be able to fail: one more training pair does change them
    store.edge_index = torch.cat([store.edge_index, torch.tensor([[0], [99]])], dim=1)
    store.weight = torch.ones(store.edge_index.shape[1])
    assert not torch.equal(build(other)().users, first.users)


def test_an_item_without_interactions_stands_where_its_media_put_it(taste_graph):
    data = taste_graph()
    network = build(data)
    items = network().items.detach()
    assert items[85:].abs().sum(dim=1).min() > 0
    with torch.no_grad():
        network.item_start[85:] += 100.0
    assert torch.equal(network().items, items), "the start vector of a never seen item must not count"
    bare = build(data, modalities=())
    assert bare().items[85:].abs().sum() == 0


def test_follows_and_related_carry_messages(bare_graph):
    data = bare_graph(3, 2, [(0, 0), (1, 1)])
    data["Entity"].num_nodes = 2
    data.relations = ["genre", "label"]
    related = data["Item", "RELATED", "Entity"]
    related.edge_index, related.relation = torch.tensor([[0, 1, 1], [0, 0, 1]]), torch.tensor([0, 0, 1])
    between = data["Entity", "RELATED", "Entity"]
    between.edge_index, between.relation = torch.tensor([[0], [1]]), torch.tensor([1])
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[2], [0]])
    network = build(data, layers=2)
    assert list(network.graph.item_entity) == ["genre", "label"]
    vectors = network()
    assert vectors.users[2].abs().sum() > 0, "a user with friends only is reached through them"
    vectors.items.square().sum().backward()
    assert network.entity_start.grad.abs().sum() > 0
    assert all(w.grad != 0 for w in network.related_weights.values()) and network.entity_weight.grad != 0
    assert not torch.allclose(build(data, layers=2, relations=("FOLLOWS",))().items, vectors.items)
    assert build(data, layers=2, relations=())().users[2].abs().sum() == 0


def test_rare_relations_share_a_weight(bare_graph):
    data = bare_graph(1, 1, [(0, 0)])
    data["Entity"].num_nodes = 20
    data.relations = [f"r{n:02d}" for n in range(20)]
    related = data["Item", "RELATED", "Entity"]
    related.edge_index, related.relation = (
        torch.stack([torch.zeros(20).long(), torch.arange(20)]),
        torch.arange(20),
    )
    names = list(message_graph(data, NetworkConfig()).item_entity)
    assert len(names) == 9 and names[-1] == "other"


def test_links_between_modalities_are_a_channel_of_their_own(bare_graph):
    data = bare_graph(2, 3, [(0, 0), (1, 1)])
    for label, nodes in (("Text", 2), ("Image", 1)):
        data[label].num_nodes = nodes
        data[label].x, data[label].mask = torch.zeros(nodes, 0), torch.zeros(nodes, dtype=torch.bool)
    data["Item", "HAS_TEXT", "Text"].edge_index = torch.tensor([[0, 1], [0, 1]])
    data["Item", "HAS_IMAGE", "Image"].edge_index = torch.tensor([[2], [0]])
    for label in ("Text", "Image"):
        data[label, "SIMILAR", label].edge_index = torch.zeros(2, 0, dtype=torch.int64)
        data[label, "SIMILAR", label].score = torch.zeros(0)
    links = data["Text", "SIMILAR", "Image"]
    links.edge_index, links.score = torch.tensor([[0], [0]]), torch.tensor([0.5])
    network = build(data)
    assert network.fusion.names == ("text-image",)
    # the text of item 0 is like the picture of item 2, which nobody has seen
    assert torch.allclose(network().items[2], network.item_start[0])
    assert build(data, modalities=("text",)).fusion.names == ()


@pytest.mark.parametrize("settings", [{}, {"layers": 1}, {"layers": 0}, {"propagation": "attention"}])
def test_chosen_users_alone_get_the_same_vectors_and_gradients(settings, taste_graph):
    network, chosen = build(taste_graph(), **settings), torch.tensor([2, 9, 140])
    results = []
    for only in (None, chosen):
        network.zero_grad()
        vectors = network(only=only)
        users = vectors.users[chosen] if only is None else vectors.users
        users.square().sum().backward()
        results.append((users, vectors.items, network.item_start.grad, network.gate_query.grad))
    for whole, part in zip(*results, strict=True):
        assert torch.allclose(whole, part, atol=1e-6)


def test_chosen_users_alone_hear_from_those_they_follow(bare_graph):
    data = bare_graph(3, 3, [(0, 0), (0, 1), (1, 1)])
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[2, 0], [0, 1]])
    network, chosen = build(data), torch.tensor([1, 2])
    assert torch.allclose(network(only=chosen).users, network().users[chosen])


def test_perturbation_hides_items_and_modalities(taste_graph):
    network = build(taste_graph(), relations=())
    identity = torch.ones(100, dtype=torch.bool)
    identity[3] = False
    features = network.graph.media
    hidden = {m: identity for m in features}
    gone = network(seen=Perturbation(identity, hidden)).items[3]
    assert gone.abs().sum() == 0
    noise = {m: torch.ones_like(medium.features) for m, medium in features.items()}
    assert not torch.equal(network(seen=Perturbation(noise=noise)).items, network().items)


def test_operator_multiplies_and_carries_the_gradient():
    matrix = sp.random(7, 5, density=0.4, format="csr", dtype=np.float32, random_state=1)
    dense = torch.randn(5, 3, requires_grad=True)
    operator = SparseOperator(matrix)
    reference = torch.from_numpy(matrix.toarray()) @ dense
    assert torch.allclose(operator @ dense, reference)
    weight = torch.randn(7, 3)
    (got,) = torch.autograd.grad(((operator @ dense) * weight).sum(), dense)
    (expected,) = torch.autograd.grad((reference * weight).sum(), dense)
    assert torch.allclose(got, expected)
    assert torch.allclose(operator.T @ weight, torch.from_numpy(matrix.toarray().T) @ weight)


@pytest.mark.parametrize(("density", "widths"), [(0.05, [50]), (0.4, [10] * 5), (0.8, [7] * 7 + [1])])
def test_tall_products_are_the_same_tile_by_tile(density, widths, monkeypatch):
    matrix = sp.random(40, 50, density=density, format="csr", dtype=np.float32, random_state=1)
    dense = torch.randn(50, 3)
    whole = SparseOperator(matrix) @ dense
    monkeypatch.setattr(operators, "TILE", 7)
    tiled = SparseOperator(matrix)
    assert torch.allclose(tiled @ dense, whole, atol=1e-6)
    assert torch.allclose(tiled.T.T @ dense, whole, atol=1e-6)
    assert [tile.shape[1] for tile in tiled._there._tiles] == widths, "nearly empty tiles cost more than they save"


@pytest.mark.parametrize("name", PROPAGATIONS)
def test_every_propagation_starts_light_and_carries_gradients(name, taste_graph):
    network, light = build(taste_graph(), propagation=name), build(taste_graph())
    assert torch.allclose(network().users, light().users, atol=1e-6)
    assert torch.allclose(network().items, light().items, atol=1e-6)
    network().users.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.propagation.parameters())


def test_attention_leans_to_neighbours_that_agree():
    operator = SparseOperator(sp.csr_matrix(np.array([[0.5, 0.5]], dtype=np.float32)))
    users, items = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    attention = AttentionPropagation()
    attention.sharpness.data[:] = 1
    to_users, _ = attention(operator, users, items)
    e = float(np.e)
    assert torch.allclose(to_users, torch.tensor([[e / (e + 1), 1 / (e + 1)]]))


def test_normalisations_by_hand():
    matrix = sp.csr_matrix(np.array([[1, 1], [0, 1], [0, 0]], dtype=np.float32))
    assert np.allclose(degree_normalised(matrix).toarray(), [[2**-0.5, 0.5], [0, 2**-0.5], [0, 0]])
    assert np.allclose(row_mean(matrix).toarray(), [[0.5, 0.5], [0, 1], [0, 0]])


def test_edge_dropout_keeps_the_share_and_spares_quiet_ends():
    # item 0 is everybody's, the others have one user each
    rows = np.repeat(np.arange(200), 2)
    columns = np.stack([np.zeros(200, int), np.arange(1, 201)], axis=1).ravel()
    matrix = sp.csr_matrix((np.ones(400, np.float32), (rows, columns)), shape=(200, 201))
    kept = without_edges(matrix, 0.75, torch.Generator().manual_seed(0))
    again = without_edges(matrix, 0.75, torch.Generator().manual_seed(0))
    assert kept.nnz == 100 and (kept != again).nnz == 0
    assert (kept > matrix).nnz == 0
    assert kept[:, 0].nnz < 25, "the busy item's edges go first"
    assert without_edges(matrix, 0.0, torch.Generator()) is matrix


def test_whitened_features_have_unit_variance_and_no_correlation():
    torch.manual_seed(0)
    x = torch.randn(400, 6) @ torch.randn(6, 6)
    white = whitened(x, 4)
    covariance = white.T @ white / 399
    assert torch.allclose(covariance, torch.eye(4), atol=0.06)
    assert torch.equal(white, whitened(x, 4))
