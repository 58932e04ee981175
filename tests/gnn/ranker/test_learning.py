"""What a second stage learns, and from what."""

from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.closed_form.item_knn import ItemKNN
from gnn.config import GNNConfig
from gnn.errors import GnnError, NothingToLearn
from gnn.matrices import held_out, interactions
from gnn.ranker.config import SecondStageConfig
from gnn.ranker.holdout import held_back
from gnn.ranker.learning import BLENDS, Held, Learned, learn
from gnn.ranker.scorer import RankedScorer
from gnn.registry import make_recommender, resolved_config
from gnn.scorers.base import DotScorer
from gnn.testing import bare_graph
from gnn.validation import Validation
from tests.gnn.ranker.conftest import SMALL, retriever

SECTION: dict[str, Any] = {
    "model": "ranked",
    "ranked": {"retriever": "item_knn", "candidates": 15, "trees": {"rounds": 10, "least_rows": 3}},
}


def test_the_quality_told_is_that_of_the_scorer(graph: HeteroData, learned: Learned) -> None:
    validation = Validation.of(graph, seed=0)
    assert learned.scorer.blend in BLENDS
    assert float(learned.quality.mean()) == pytest.approx(validation.quality(learned.scorer), abs=1e-6)
    first = validation.quality(learned.scorer.retrieval.scorer)
    assert float(learned.retrieval_quality.mean()) == pytest.approx(first, abs=1e-6)


def test_graph_evidence_helps_a_retriever_that_has_none(graph: HeteroData) -> None:
    """A retriever that ranks at random under a little popularity; tastes stand in pictures and makers."""
    rng = np.random.default_rng(0)
    noise = DotScorer(torch.from_numpy(rng.normal(size=(60, 4)).astype(np.float32)), torch.ones(40, 4))
    less, positives = held_back(graph, 0.3, seed=0)
    config = SMALL.model_copy(update={"candidates": 40, "blend": 0.0})
    found = learn(noise, graph, Held(noise, less, positives), config, seed=0)
    assert found.gains
    assert found.quality.mean() > found.retrieval_quality.mean() + 0.05, "half of 40 items are a list of 20"


def test_held_out_pairs_change_no_tree(graph: HeteroData, learned: Learned) -> None:
    other = graph.clone()
    edges = other["User", "INTERACTED", "Item"]
    edges.valid_label_index = edges.test_label_index
    less, positives = held_back(other, SMALL.share, seed=0)
    found = learn(retriever(other), other, Held(retriever(less), less, positives), SMALL, seed=0)
    for name, array in found.scorer.trees.to_tensors("").items():
        np.testing.assert_array_equal(array, learned.scorer.trees.to_tensors("")[name])


def test_on_validation_nobody_is_judged_by_trees_of_their_own_pairs(graph: HeteroData) -> None:
    scorer = retriever(graph)
    config = SMALL.model_copy(update={"learn_on": "validation"})
    found = learn(scorer, graph, None, config, seed=0)
    assert len(found.quality) == len(np.flatnonzero(held_out(graph, "valid").getnnz(axis=1)))
    own = Validation.of(graph, seed=0).quality(found.scorer)
    assert own > float(found.quality.mean()), "the scorer knows these pairs, what is told does not"


def test_evidence_left_out_is_never_split_by(graph: HeteroData) -> None:
    less, positives = held_back(graph, SMALL.share, seed=0)
    config = SMALL.model_copy(update={"leave_out": ("image", "model")})
    found = learn(retriever(graph), graph, Held(retriever(less), less, positives), config, seed=0)
    described = found.scorer.retrieval.features.described
    used = {described[n].group for n in np.unique(found.scorer.trees.feature) if n >= 0}
    assert used
    assert not used & {"image", "model"}
    with pytest.raises(GnnError, match=r"leave_out names 'sound'; the evidence here is agreement, attribute colour"):
        learn(retriever(graph), graph, None, config.model_copy(update={"leave_out": ("sound",)}), seed=0)


def test_nothing_to_learn_from_is_said() -> None:
    data = bare_graph(3, 3, [(user, user) for user in range(3)], [(0, 1)])
    with pytest.raises(NothingToLearn, match="every user has 1 training interaction"):
        make_recommender(GNNConfig.model_validate(SECTION)).fit(data, seed=0)
    nothing = held_out(data, "test")
    with pytest.raises(NothingToLearn, match="none of 0 interactions"):
        learn(ItemKNN().fit(data), data, Held(ItemKNN().fit(data), data, nothing), SecondStageConfig(), seed=0)


def test_the_section_found_gives_the_same_scorer_again(graph: HeteroData) -> None:
    config = GNNConfig.model_validate(SECTION)
    recommender = make_recommender(config)
    first = recommender.fit(graph, seed=4)
    found = resolved_config(config, recommender)
    assert found.ranked.blend == (first.blend if isinstance(first, RankedScorer) else None)
    again = make_recommender(GNNConfig.model_validate(found.model_dump(mode="json"))).fit(graph, seed=4)
    users = torch.arange(graph["User"].num_nodes)
    assert torch.equal(first.scores(users), again.scores(users))


def test_auto_keeps_it_where_validation_gains_and_only_there(
    graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {"auto": {"closed_forms": ["item_knn"], "networks": [{"embedding_dim": 4, "epochs": 1}], "copies": 1}}
    config = GNNConfig.model_validate(section | {"ranked": SECTION["ranked"]})
    kinds = {}
    for gains in (True, False):
        monkeypatch.setattr(Learned, "gains", gains)
        auto = make_recommender(config)
        kinds[gains] = (auto.fit(graph, seed=0).kind, resolved_config(config, auto).model)
    assert kinds[True] == ("ranked", "ranked")
    assert kinds[False][0] != "ranked"
    assert kinds[False][1] == "ensemble"


def test_progress_ends_at_its_end(graph: HeteroData) -> None:
    heard: list[tuple[int, int]] = []
    make_recommender(GNNConfig.model_validate(SECTION)).fit(
        graph, seed=0, progress=lambda done, total: heard.append((done, total))
    )
    shares = [done / total for done, total in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_retriever_of_two_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="name what finds the candidates"):
        GNNConfig.model_validate({"model": "ranked", "ranked": {"retriever": "ranked"}})


def test_seen_and_not_liked_is_no_history(graph: HeteroData, learned: Learned) -> None:
    assert learned.scorer.retrieval.evidence.history.nnz == interactions(graph).nnz
