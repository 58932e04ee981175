"""A part of a graph: what is cut out, what is made up for, and which nodes and interactions a batch draws."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from gnn.network.config import ImputeConfig, NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import MessageGraph, Part, message_graph
from gnn.network.neighbourhood import Neighbourhood
from gnn.network.operators import SparseOperator
from gnn.network.registries import FUSIONS

# rows 0 and 1 have 3 and 1 entries, columns 2, 1 and 1
MATRIX = sp.csr_matrix(np.array([[2, 3, 5], [7, 0, 0]], dtype=np.float32))


def test_a_cut_operator_makes_up_for_what_each_receiver_lost() -> None:
    cut = SparseOperator(MATRIX).cut(torch.tensor([0]), torch.tensor([0, 2]))
    assert cut.forward.toarray() == pytest.approx(np.array([[2 * 3 / 2, 5 * 3 / 2]]))  # 2 of 3 neighbours kept
    assert cut.T.forward.toarray() == pytest.approx(np.array([[2 * 2 / 1], [5]]))  # 1 of 2 and 1 of 1


def test_nothing_lost_is_nothing_changed() -> None:
    whole = SparseOperator(MATRIX)
    cut = whole.cut(torch.arange(2), torch.arange(3))
    assert (cut.forward != whole.forward).nnz == 0
    assert (cut.T.forward != whole.backward).nnz == 0


@pytest.mark.parametrize("fusion", FUSIONS)
def test_all_nodes_cut_out_are_the_whole_graph(fusion: str, taste_graph: Callable[[], HeteroData]) -> None:
    imputation = ImputeConfig(method="none" if fusion == "joint" else "hops")
    config = NetworkConfig(embedding_dim=8, fusion=fusion, imputation=imputation)
    data = taste_graph()
    data["Item", "HAS_AUDIO", "Audio"].edge_index = data["Item", "HAS_AUDIO", "Audio"].edge_index[:, ::2]
    network = HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))
    inputs = network.inputs
    part = Part(torch.arange(150), torch.arange(100), torch.arange(0), inputs.interacted.messages.forward)
    cut, whole = network(inputs.cut(part, network.fusion)), network()
    assert torch.allclose(cut.users, whole.users, atol=1e-6)
    assert torch.allclose(cut.items, whole.items, atol=1e-6)
    assert network.inputs is inputs, "a pass over a part leaves the network as it is"


def chain() -> MessageGraph:
    """User n has items n and n + 1; item 3 looks like item 9, which nobody has; user 5 follows user 0."""
    users, items = 6, 10
    pairs = [(n, n + k) for n in range(users) for k in (0, 1)]
    history = sp.csr_matrix((np.ones(12, np.float32), tuple(zip(*pairs, strict=True))), shape=(users, items))
    follows = SparseOperator(sp.csr_matrix(([1.0, 1.0], ([0, 5], [5, 0])), shape=(users, users)))
    return MessageGraph(history, {}, {}, None, follows)


def reached(layers: int, fan_out: int = 10, seed: int = 0) -> tuple[list[int], list[int], int]:
    """From user 0 and item 6."""
    graph = chain()
    config = NetworkConfig(layers=layers, fan_out=fan_out)
    around = Neighbourhood(graph, graph.history, config, torch.Generator().manual_seed(seed))
    nodes, edges = around.reach(np.array([0, 0]), np.array([6]))
    return nodes["User"].tolist(), nodes["Item"].tolist(), len(edges)


def test_each_layer_reaches_one_step_further() -> None:
    assert reached(0) == ([0], [0, 1, 6], 2)  # the history alone, for what its media are like
    assert reached(1) == ([0, 5], [0, 1, 6], 3)  # user 5 has item 6 and is followed
    assert reached(2) == ([0, 1, 5], [0, 1, 5, 6], 5)  # user 1 has item 1, user 5 item 5


def test_no_node_draws_more_than_fan_out() -> None:
    sizes = [reached(1, fan_out=1, seed=seed)[2] for seed in range(20)]
    assert set(sizes) == {2}  # one of user 0's two items, and item 6's only user
    assert len({tuple(reached(1, fan_out=1, seed=seed)[1]) for seed in range(20)}) == 2, "either of the two is drawn"
