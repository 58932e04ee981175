"""Two stages as one scorer: candidates first, the others behind them, and every share of a score."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.bundle.tensors import scorer_from_tensors, scorer_to_tensors, terms_to_tensors, with_terms
from gnn.errors import BundleError
from gnn.matrices import interactions
from gnn.ranker.inspection import evidence_shares
from gnn.ranker.learning import Learned
from gnn.ranker.scorer import START, RankedScorer, retrieval_of
from gnn.scorers.base import Scorer
from gnn.scorers.contributions import decompose
from gnn.scorers.ranking import top_items
from tests.gnn.ranker.conftest import USERS

EVERYONE = torch.arange(USERS)


@pytest.fixture(scope="module")
def scorer(learned: Learned) -> RankedScorer:
    return learned.scorer


def test_the_first_of_a_list_are_the_retrievers_first(graph: HeteroData, scorer: RankedScorer) -> None:
    seen = interactions(graph)
    before, _ = top_items(retrieval_of(scorer), EVERYONE, seen, 40)
    after, _ = top_items(scorer, EVERYONE, seen, 40)
    depth = scorer.retrieval.depth
    assert (np.sort(before[:, :depth]) == np.sort(after[:, :depth])).all()
    assert (before[:, depth:] == after[:, depth:]).all(), "what is no candidate keeps its order"
    assert (before[:-1, :depth] != after[:-1, :depth]).any()
    assert (before[-1] == after[-1]).all(), "a stranger's list is the retriever's"


def test_what_was_chosen_stands_where_the_retriever_puts_it(graph: HeteroData, scorer: RankedScorer) -> None:
    """A list that keeps what was seen has it before the best candidate exactly where the retriever has."""
    seen, depth = interactions(graph), scorer.retrieval.depth
    old, new = retrieval_of(scorer).scores(EVERYONE), scorer.scores(EVERYONE)
    candidates, _ = top_items(scorer, EVERYONE, seen, depth)
    for user in range(USERS - 1):
        own, among = seen[user].indices, candidates[user]
        assert ((old[user, own] > old[user, among].max()) == (new[user, own] > new[user, among].max())).all()


def test_a_block_scores_as_one_user_does(scorer: RankedScorer) -> None:
    block = scorer.scores(EVERYONE)
    alone = torch.cat([scorer.scores(EVERYONE[n : n + 1]) for n in range(USERS)])
    torch.testing.assert_close(block, alone, atol=1e-5, rtol=1e-5)
    assert scorer.scores(EVERYONE[:0]).shape == (0, scorer.num_items)


def test_shares_of_evidence_add_up_to_the_score(graph: HeteroData, scorer: RankedScorer) -> None:
    seen = interactions(graph)
    listed, scores = top_items(scorer, EVERYONE, seen, 5)
    for user in (0, 13, 40):
        for place in range(5):
            found = decompose(scorer, user, int(listed[user, place]), seen)
            assert found.score == pytest.approx(float(scores[user, place]), abs=1e-4)
            assert sum(found.evidence.values()) + found.rest[START] == pytest.approx(found.score, abs=1e-9)
            whole = sum(c.value for c in found.contributions) + sum(found.rest.values())
            assert whole == pytest.approx(found.score, abs=1e-9)


def test_everyones_shares_by_evidence(scorer: RankedScorer) -> None:
    found = evidence_shares(scorer, EVERYONE, depth=5)
    total = np.sum(list(found.values()), axis=0)
    np.testing.assert_allclose(total[:-1], 1, atol=1e-9)
    assert total[-1] == 0, "nothing is said of a stranger"
    assert {"image", "together", "model"} <= set(found)
    assert all((shares >= 0).all() for shares in found.values())


def test_arrays_and_structure_give_the_same_scorer(scorer: RankedScorer) -> None:
    tensors, structure = scorer_to_tensors(scorer)
    back = with_terms(scorer_from_tensors(tensors, structure), terms_to_tensors(scorer))
    assert torch.equal(back.scores(EVERYONE), scorer.scores(EVERYONE))
    assert structure["features"] == [feature.name for feature in scorer.retrieval.features.described]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("candidates", 0),
        ("candidates", 10**9),
        ("candidates", True),
        ("blend", float("nan")),
        ("blend", "1"),
        ("features", ["score"]),
        ("features", None),
        ("links", ["together"]),
        ("facts", []),
        ("facts", [1]),
        ("shared", ["made_by"]),
        ("habits", []),
        ("retriever", None),
        ("retriever", {"kind": "ranked"}),
    ],
)
def test_a_structure_that_does_not_fit_is_refused(scorer: RankedScorer, key: str, value: object) -> None:
    tensors, structure = scorer_to_tensors(scorer)
    with pytest.raises(BundleError):
        scorer_from_tensors(tensors, {**structure, key: value})


@pytest.mark.parametrize(
    "name",
    [
        "ranker.fact.0",
        "ranker.links.1.data",
        "ranker.history.data",
        "ranker.friends.data",
        "ranker.shared.0.data",
        "ranker.habit.0",
    ],
)
def test_a_number_that_is_none_is_refused(scorer: RankedScorer, name: str) -> None:
    tensors, structure = scorer_to_tensors(scorer)
    spoiled = tensors[name].copy()
    spoiled[0] = np.nan
    with pytest.raises(BundleError, match="train again"):
        scorer_from_tensors({**tensors, name: spoiled}, structure)


def test_without_trees_the_blend_alone_keeps_the_retrievers_order(graph: HeteroData, scorer: RankedScorer) -> None:
    trees = replace(scorer.trees, value=np.zeros_like(scorer.trees.value))
    same: Scorer = replace(scorer, trees=trees, blend=1.0)
    seen = interactions(graph)
    assert (top_items(same, EVERYONE, seen, 10)[0] == top_items(retrieval_of(scorer), EVERYONE, seen, 10)[0]).all()
