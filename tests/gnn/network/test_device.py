"""Training on another device. Without a GPU torch's `meta` stands in: it computes nothing, but refuses mixtures."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.errors import GnnError
from gnn.matrices import held_out
from gnn.network import operators
from gnn.network.config import NetworkConfig
from gnn.network.finished import validate
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.network.operators import SparseOperator
from gnn.network.passes import make_passes
from gnn.network.perturbation import Perturbation
from gnn.network.recommender import HeteroGNN
from gnn.network.registries import FUSIONS, LOSSES, PROPAGATIONS
from gnn.network.training import _generator

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
AUGMENTED = {"identity_dropout": 0.3, "modality_dropout": 0.2, "feature_noise": 0.1}


def network_of(data, **settings):
    config = NetworkConfig(embedding_dim=8, batch_users=64, batch_size=256, negatives=16, **settings)
    return HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))


def one_step(network):
    """Loss of the first batch, with its gradient."""
    generator = _generator(0, 1)
    passes = make_passes(network.graph, network.config)
    batch, vectors = next(passes.over(network, network.inputs, generator))
    value = passes.loss(vectors.users, vectors.items, batch, generator)
    value.backward()
    return value


def test_torch_product_is_scipys_with_its_gradient():
    rng = np.random.default_rng(0)
    matrix = SparseOperator(sp.random(30, 20, 0.2, format="csr", random_state=rng, dtype=np.float32))
    slope = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for product in (lambda x: matrix @ x, lambda x: operators._DeviceProduct.apply(x, *matrix._on(x.device))):
        x = torch.ones(20, 4, requires_grad=True)
        y = product(x)
        (y * slope).sum().backward()
        found.append((y.detach(), x.grad))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_step_mixes_devices(mixed_graph, monkeypatch, loss, batching):
    monkeypatch.setattr(operators, "_csr_product", lambda a, x: x.new_empty(a.shape[0], x.shape[1]))
    network = network_of(mixed_graph, loss=loss, batching=batching, **AUGMENTED)
    network.place("meta")
    assert one_step(network).device.type == "meta"
    assert {p.grad.device.type for p in network.parameters() if p.grad is not None} == {"meta"}


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_kind_of_network_mixes_devices(mixed_graph, monkeypatch, fusion, propagation):
    monkeypatch.setattr(operators, "_csr_product", lambda a, x: x.new_empty(a.shape[0], x.shape[1]))
    filled = {} if fusion == "joint" else {"imputation": {"method": "neighbours"}}
    network = network_of(mixed_graph, fusion=fusion, propagation=propagation, **filled, **AUGMENTED)
    network.place("meta")
    vectors = network(seen=Perturbation.drawn(network.graph, network.config, torch.Generator(), network.device))
    assert vectors.users.device.type == vectors.items.device.type == "meta"


def test_a_device_that_is_not_there_is_named(mixed_graph):
    with pytest.raises(GnnError, match=r"gnn.device 'cuda:63' is not there .* use auto or cpu"):
        HeteroGNN(NetworkConfig(device="cuda:63", epochs=1)).fit(mixed_graph, seed=0)


def test_products_keep_their_precision_elsewhere(mixed_graph):
    before = torch.get_float32_matmul_precision()
    HeteroGNN(NetworkConfig(device="cpu", gpu_precision="medium", epochs=1)).fit(mixed_graph, seed=0)
    assert torch.get_float32_matmul_precision() == before


@gpu
@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_on_a_gpu_is_the_cpus(mixed_graph, loss, batching):
    here, there = (network_of(mixed_graph, loss=loss, batching=batching, **AUGMENTED) for _ in range(2))
    there.place("cuda")
    assert float(one_step(there)) == pytest.approx(float(one_step(here)), rel=1e-4)
    for (name, a), b in zip(here.named_parameters(), there.parameters(), strict=True):
        if a.grad is not None:
            assert torch.allclose(a.grad, b.grad.cpu(), rtol=1e-3, atol=1e-6), name


@gpu
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_training_on_a_gpu_learns_what_the_cpu_learns(mixed_graph, precision):
    reached = []
    for device in ("cpu", "cuda"):
        model = HeteroGNN(NetworkConfig(device=device, gpu_precision=precision, epochs=20, learning_rate=1e-2))
        scorer = model.fit(mixed_graph, seed=0)
        assert scorer.user_vectors.device.type == model.network.device.type == "cpu"
        reached.append(validate(model.network, True, held_out(mixed_graph, "valid"))["ndcg@20"])
    assert reached[1] == pytest.approx(reached[0], abs=0.03)
