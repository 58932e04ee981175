"""A trained network as a scorer: what its vectors are, who stands where, and what validation reads of it."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from gnn.components import Watch, fit_name
from gnn.network.config import NetworkConfig
from gnn.network.finished import finished_scorer, validate
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.network.recommender import HeteroGNN
from gnn.network.schedules import constant, cosine, linear
from gnn.testing import STRANGERS, bare_graph, tiny_graph
from gnn.validation import Validation


def build(data: HeteroData, **settings: object) -> HeteroNetwork:
    config = NetworkConfig.model_validate({"embedding_dim": 8, **settings})
    return HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("unit", [True, False])
def test_vectors_are_those_of_the_network_of_unit_length_where_the_loss_wants_it(unit: bool) -> None:
    network = build(tiny_graph())
    scorer, vectors = finished_scorer(network, unit), network()
    for found, made in ((scorer.user_vectors, vectors.users), (scorer.item_vectors, vectors.items)):
        assert not found.requires_grad and found.is_contiguous()
        rows = made.detach().norm(dim=1) > 0
        expected = torch.nn.functional.normalize(made.detach()) if unit else made.detach()
        known = torch.ones(len(made), dtype=torch.bool)
        if found is scorer.user_vectors:
            known[list(STRANGERS)] = False
        assert torch.allclose(found[rows & known], expected[rows & known], atol=1e-6)


def test_people_nothing_is_known_of_stand_at_the_mean_of_the_others() -> None:
    network = build(tiny_graph())
    with torch.no_grad():
        network.user_start[list(STRANGERS)] = 0
    users = finished_scorer(network, True).user_vectors
    others = torch.tensor([n for n in range(40) if n not in STRANGERS])
    for stranger in STRANGERS:
        assert torch.allclose(users[stranger], users[others].mean(dim=0), atol=1e-6)


def test_people_who_follow_somebody_keep_their_own_vector() -> None:
    data = bare_graph(3, 2, [(0, 0), (1, 1)])
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[2], [0]])
    network = build(data)
    mean = finished_scorer(network, False).user_vectors[:2].mean(dim=0)
    assert not torch.allclose(finished_scorer(network, False).user_vectors[2], mean)


def test_validation_reads_no_user_without_a_pair_and_no_more_than_asked() -> None:
    network, valid = build(tiny_graph()), Validation.of(tiny_graph(), seed=0).positives
    whole = validate(network, True, valid)
    assert whole.keys() == {"ndcg@20", "recall@20"}
    assert 0 < whole["ndcg@20"] < whole["recall@20"] <= 1
    judge = Validation.of(tiny_graph(), seed=0)
    mean = judge.quality(finished_scorer(network, True))
    assert (whole["ndcg@20"] + whole["recall@20"]) / 2 == pytest.approx(mean)
    few = build(tiny_graph(), validation_users=10)
    rows = np.flatnonzero(np.diff(valid.indptr))[:: 38 // 10]
    part = sp.csr_matrix(valid.shape, dtype=np.float32).tolil()
    part[rows] = valid[rows].tolil()
    assert validate(few, True, valid) == pytest.approx(validate(network, True, part.tocsr()))


def test_a_catalogue_shorter_than_the_list_is_judged_whole() -> None:
    data = bare_graph(2, 3, [(0, 0), (1, 1)], [(0, 1), (1, 2)])
    found = validate(build(data), True, Validation.of(data, seed=0).positives)
    assert found["recall@20"] == 1.0


@pytest.mark.parametrize("schedule", [cosine, linear])
def test_a_schedule_falls_all_the_way_and_never_rises(schedule: object) -> None:
    values = [schedule(n / 50) for n in range(51)]  # type: ignore[operator]
    assert values == sorted(values, reverse=True)
    assert (values[0], values[25], values[-1]) == pytest.approx((1.0, 0.55, 0.1))
    assert {constant(n / 50) for n in range(51)} == {1.0}


def test_a_fit_is_named_by_what_it_depends_on() -> None:
    plain = NetworkConfig()
    given = {
        fit_name(kind, settings, seed)
        for kind in ("network", "other")
        for settings in (plain, NetworkConfig(layers=1), NetworkConfig(layers=3))
        for seed in (0, 1)
    }
    assert len(given) == 12
    # a default written out is no other setting
    assert fit_name("network", NetworkConfig(layers=plain.layers), 0) == fit_name("network", plain, 0)


def test_without_a_watch_nothing_is_kept_or_heard(tmp_path) -> None:
    assert Watch().checkpoint("x") is None
    assert Watch().epochs("x") is None
    heard: list[tuple[str, dict[str, float]]] = []
    watch = Watch(tmp_path, lambda name, row: heard.append((name, dict(row))))
    assert watch.checkpoint("network-1") == tmp_path / "network-1.safetensors"
    tell = watch.epochs("network-1")
    assert tell is not None
    tell({"epoch": 1.0})
    assert heard == [("network-1", {"epoch": 1.0})]


def test_before_a_fit_there_are_no_gates_and_nothing_was_chosen() -> None:
    recommender = HeteroGNN(NetworkConfig(embedding_dim=8))
    assert recommender.modality_gates() == {}
    assert recommender.resolved() is recommender.config


def test_the_epochs_that_were_kept_are_what_was_chosen() -> None:
    data = tiny_graph()
    config = NetworkConfig(embedding_dim=8, epochs=3, evaluate_every=1, patience=1, schedule="cosine")
    recommender = HeteroGNN(config)
    recommender.fit(data, seed=0)
    chosen = recommender.resolved()
    assert recommender.report is not None
    assert chosen.epochs == recommender.report.best_epoch
    assert chosen.epochs == config.epochs or chosen.schedule_epochs == config.epochs, "at the same learning rates"
    gates = recommender.modality_gates()
    assert list(gates) == ["text", "image"]
    assert torch.allclose(sum(gates.values()), torch.ones(40))  # type: ignore[arg-type]
