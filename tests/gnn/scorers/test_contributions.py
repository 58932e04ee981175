"""Scores taken apart: the summands add up to the score, and each is what the model's formula says it is."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.tensors import terms_to_tensors, with_terms
from gnn.closed_form.config import EASEConfig
from gnn.closed_form.ease import EASE
from gnn.closed_form.popularity import Popularity
from gnn.errors import BundleError
from gnn.matrices import interactions
from gnn.network.config import NetworkConfig
from gnn.network.recommender import HeteroGNN
from gnn.network.registries import FUSIONS
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.contributions import Decomposition, decompose

HISTORY = sp.csr_matrix(np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=np.float32))
WEIGHTS = np.array([[0, 2, 0, 5], [1, 0, 3, 7], [0, 4, 0, 0.5], [1, 1, 1, 0]], dtype=np.float32)


def total(found: Decomposition) -> float:
    return sum(c.value for c in found.contributions) + sum(found.rest.values())


def assert_adds_up(scorer: Scorer, seen: sp.csr_matrix, users: range) -> None:
    rng = np.random.default_rng(0)
    for user in users:
        scores = scorer.scores(torch.tensor([user]))[0]
        for item in rng.choice(scorer.num_items, 4, replace=False):
            found = decompose(scorer, user, int(item), seen)
            tolerance = 1e-5 * max(1.0, float(scores.abs().max()))
            assert found.score == pytest.approx(float(scores[item]), abs=tolerance)
            assert total(found) == pytest.approx(float(scores[item]), abs=tolerance)
            assert {c.item for c in found.contributions} <= set(seen[user].indices)


@pytest.mark.parametrize("weights", [torch.from_numpy(WEIGHTS), sp.csr_matrix(WEIGHTS)], ids=["dense", "sparse"])
def test_item_item_by_hand(weights: torch.Tensor | sp.csr_matrix) -> None:
    found = decompose(ItemItemScorer(HISTORY, weights), 0, 3, HISTORY)
    assert [(c.item, c.by, c.value) for c in found.contributions] == [
        (0, "interactions", 5.0),
        (1, "interactions", 7.0),
    ]
    assert (found.score, dict(found.rest), found.exact) == (12.0, {}, True)
    assert found.by_item() == {1: 7.0, 0: 5.0}


def test_a_sum_scales_its_parts_as_the_scorer_does() -> None:
    dot = DotScorer(torch.ones(3, 1), torch.tensor([[3.0], [1.0], [2.0], [0.5]]))
    item = ItemItemScorer(HISTORY, torch.from_numpy(WEIGHTS))
    for normalise in (True, False):
        scorer = SumScorer([item, SumScorer([dot, item], [0.5, 1.0], normalise)], [0.7, 0.3], normalise)
        assert_adds_up(scorer, HISTORY, range(3))
        found = decompose(scorer, 0, 3, HISTORY)
        assert len(found.contributions) == 2
        assert set(found.rest) == {"popularity"}
        assert found.exact


@pytest.mark.parametrize("loss", ["bpr", "softmax"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_network_gives_every_summand_of_its_users(loss: str, fusion: str, mixed_graph) -> None:
    """What is left for the user is the user's own start vector: checked against the network itself."""
    recommender = HeteroGNN(NetworkConfig(embedding_dim=8, epochs=3, layers=2, fusion=fusion, loss=loss))
    scorer = recommender.fit(mixed_graph, seed=1)
    seen, network = interactions(mixed_graph), recommender.network
    assert network is not None
    assert scorer.terms is not None
    assert_adds_up(scorer, seen, range(0, 60, 7))
    with torch.no_grad():
        own = network.user_start / (network.config.layers + 1)
        lengths = network().users.norm(dim=1, keepdim=True) if loss == "softmax" else torch.ones(60, 1)
    for user, item in ((0, 5), (17, 30), (59, 0)):
        found = decompose(scorer, user, item, seen)
        alone = float(own[user] / lengths[user] @ scorer.item_vectors[item])
        assert found.rest["user"] == pytest.approx(alone, abs=1e-5)
        assert found.exact
        assert {c.by for c in found.contributions} == {"interactions", *scorer.terms.channels}


def test_every_relation_and_no_layer(taste_graph) -> None:
    data = taste_graph()
    data["Entity"].num_nodes, data["Entity"].ids = 5, [f"e{n}" for n in range(5)]
    data.relations = ["kind"]
    related = data["Item", "RELATED", "Entity"]
    related.edge_index = torch.stack([torch.arange(100), torch.arange(100) % 5])
    related.relation = torch.zeros(100, dtype=torch.int64)
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    for layers in (0, 1, 3):
        scorer = HeteroGNN(NetworkConfig(embedding_dim=8, epochs=1, layers=layers)).fit(data, seed=0)
        assert_adds_up(scorer, interactions(data), range(0, 150, 31))


def test_attention_has_no_terms_and_is_estimated(mixed_graph) -> None:
    config = NetworkConfig(embedding_dim=8, epochs=2, propagation="attention")
    scorer = HeteroGNN(config).fit(mixed_graph, seed=0)
    assert scorer.terms is None
    seen = interactions(mixed_graph)
    assert_adds_up(scorer, seen, range(0, 60, 11))
    assert not decompose(scorer, 0, 5, seen).exact


def test_popularity_is_nobodys_history(mixed_graph) -> None:
    found = decompose(Popularity().fit(mixed_graph), 3, 4, interactions(mixed_graph))
    assert found.contributions == ()
    assert dict(found.rest) == {"popularity": found.score}


def test_low_rank_ease_is_exact(mixed_graph) -> None:
    seen = interactions(mixed_graph)
    scorer = EASE(EASEConfig(regularisation=5.0, dense_limit=10, rank=12)).fit(mixed_graph)
    assert isinstance(scorer, DotScorer)
    found = decompose(scorer, 2, 9, seen)
    assert found.exact
    assert found.rest["user"] == pytest.approx(0, abs=1e-4)


def test_a_user_without_a_history() -> None:
    seen = sp.csr_matrix((2, 3), dtype=np.float32)
    found = decompose(DotScorer(torch.eye(2), torch.ones(3, 2)), 1, 0, seen)
    assert (found.contributions, dict(found.rest)) == ((), {"user": 1.0})


class TestBundle:
    @pytest.fixture
    def folder(self, mixed_graph, tmp_path: Path) -> Path:
        network = HeteroGNN(NetworkConfig(embedding_dim=8, epochs=1)).fit(mixed_graph, seed=0)
        seen = interactions(mixed_graph)
        scorer = SumScorer([network, ItemItemScorer(seen, torch.eye(40))], [0.5, 0.5])
        ids = mixed_graph["User"].ids, mixed_graph["Item"].ids
        save_bundle(tmp_path / "b", scorer, user_ids=ids[0], item_ids=ids[1], seen=seen, manifest={"model": "x"})
        return tmp_path / "b"

    def test_terms_come_back_where_they_are_asked_for(self, folder: Path) -> None:
        plain, explained = load_bundle(folder), load_bundle(folder, terms=True)
        assert not terms_to_tensors(plain.scorer)
        assert len(terms_to_tensors(explained.scorer)) >= 3
        assert_adds_up(explained.scorer, explained.seen, range(0, 60, 17))
        assert decompose(explained.scorer, 1, 2, explained.seen).exact
        assert not decompose(plain.scorer, 1, 2, plain.seen).exact

    def test_an_export_leaves_them_out(self, folder: Path, tmp_path: Path) -> None:
        export_bundle(folder, tmp_path / "out", precision="float16")
        assert not (tmp_path / "out" / "terms.safetensors").exists()
        assert not terms_to_tensors(load_bundle(tmp_path / "out", terms=True).scorer)

    def test_altered_terms_are_refused(self, folder: Path) -> None:
        content = bytearray((folder / "terms.safetensors").read_bytes())
        content[-1] ^= 1
        (folder / "terms.safetensors").write_bytes(bytes(content))
        for terms in (True, False):
            with pytest.raises(BundleError, match=r"terms.safetensors does not match"):
                load_bundle(folder, terms=terms)

    def test_terms_of_another_shape_are_refused(self, folder: Path) -> None:
        bundle = load_bundle(folder, terms=True)
        tensors = terms_to_tensors(bundle.scorer)
        tensors["0.messages"] = tensors["0.messages"][:-1]
        with pytest.raises(BundleError, match="do not fit"):
            with_terms(bundle.scorer, tensors)
