"""Weights from validation, the sum as one dot product, and the automatic choice."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.automatic import SPARSE, Auto, space
from gnn.config import AutoConfig, EnsembleConfig, GNNConfig, PartConfig
from gnn.ensemble import Ensemble
from gnn.ensemble_weights import fit_weights, weighted_sum
from gnn.errors import GnnError
from gnn.matrices import interactions
from gnn.registry import RECOMMENDERS, chosen, make_recommender
from gnn.scorers.base import DotScorer, ItemItemScorer, SumScorer, normalised
from gnn.scorers.one_dot import one_dot
from gnn.scorers.ranking import top_items
from gnn.validation import Validation, positive_ranks

QUICK = {"epochs": 4, "embedding_dim": 16}
"""Network settings for graphs of this size."""


def _validation(positives: np.ndarray, seen: np.ndarray | None = None) -> Validation:
    seen = np.zeros_like(positives) if seen is None else seen
    users = torch.from_numpy(np.flatnonzero(positives.sum(axis=1)))
    return Validation(users, sp.csr_matrix(positives.astype(np.float32)), sp.csr_matrix(seen.astype(np.float32)))


def _dot(scores: np.ndarray) -> DotScorer:
    return DotScorer(torch.from_numpy(scores.astype(np.float32)), torch.eye(scores.shape[1]))


def test_quality_by_hand() -> None:
    # 30 items scored 30..1: user 0 has positives at ranks 1 and 25, user 1 at rank 3
    positives = np.zeros((2, 30))
    positives[0, [0, 24]] = positives[1, 2] = 1
    scorer = _dot(np.tile(np.arange(30, 0, -1), (2, 1)))
    ndcg = (1 / (1 + 1 / np.log2(3)), 1 / np.log2(4))
    expected = ((0.5 + ndcg[0]) / 2 + (1 + ndcg[1]) / 2) / 2
    assert _validation(positives).quality(scorer) == pytest.approx(expected)


def test_positive_ranks_break_ties_by_index() -> None:
    scores = torch.tensor([[1.0, 2.0, 2.0, 2.0]])
    assert positive_ranks(scores, torch.tensor([0, 0, 0]), torch.tensor([0, 2, 1])).tolist() == [4, 2, 1]


def test_a_part_that_only_harms_gets_no_weight() -> None:
    generator = np.random.default_rng(0)
    positives = (generator.random((40, 60)) < 0.05).astype(float)
    good = _dot(positives + 0.3 * generator.random((40, 60)))
    noise = _dot(generator.standard_normal((40, 60)))
    weights, quality = fit_weights([noise, good], _validation(positives))
    assert weights == [0.0, 1.0]
    assert quality == pytest.approx(1.0)
    assert weighted_sum([noise, good], weights) is good


def test_parts_that_complete_each_other_are_both_used() -> None:
    generator = np.random.default_rng(0)
    positives = (generator.random((60, 80)) < 0.05).astype(float)
    halves = [positives * (np.arange(80) % 2 == n) for n in (0, 1)]
    parts = [_dot(half * 3 + generator.standard_normal((60, 80))) for half in halves]
    weights, quality = fit_weights(parts, _validation(positives))
    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1)
    assert quality > 1.2 * max(_validation(positives).quality(part) for part in parts)
    # the search judged the very sum that is handed out
    assert _validation(positives).quality(weighted_sum(parts, weights)) == pytest.approx(quality)


def test_without_validation_pairs_all_weigh_the_same() -> None:
    weights, _ = fit_weights([_dot(np.eye(3)), _dot(np.eye(3))], _validation(np.zeros((3, 3))))
    assert weights == [0.5, 0.5]


def test_ranks_run_from_one_to_nothing_with_ties_by_index() -> None:
    scores = torch.tensor([[3.0, 9.0, 3.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    expected = torch.tensor([[2 / 3, 1, 1 / 3, 0], [1, 2 / 3, 1 / 3, 0]])
    assert torch.allclose(normalised(scores, "rank"), expected)


def test_rank_normalisation_is_not_led_by_one_wild_part() -> None:
    generator = np.random.default_rng(3)
    positives = (generator.random((40, 60)) < 0.05).astype(float)
    wild = _dot(np.where(generator.random((40, 60)) < 0.02, 1e4, 0) + generator.random((40, 60)) + positives)
    good = _dot(positives + 0.5 * generator.random((40, 60)))
    validation = _validation(positives)
    qualities = [validation.quality(SumScorer([wild, good], [1, 1], how)) for how in (False, "rank")]
    assert qualities[1] > qualities[0]


def test_decision_fusion_weighs_one_network_for_behaviour_and_one_a_modality(mixed_graph) -> None:
    ensemble = EnsembleConfig(normalise="rank")
    recommender = make_recommender(GNNConfig(fusion="decision", ensemble=ensemble, **QUICK))
    scorer = recommender.fit(mixed_graph, seed=0)
    section = recommender.resolved().model_dump(mode="json", exclude_defaults=True)["ensemble"]
    used = [part["network"].get("modalities") for part in section["parts"]]
    assert section["normalise"] == "rank" and all(names is None or len(names) <= 1 for names in used)
    again = make_recommender(recommender.resolved()).fit(mixed_graph, seed=0)
    assert torch.allclose(scorer.scores(torch.arange(60)), again.scores(torch.arange(60)), atol=1e-4)


def _mixed_sum(users: int = 50, items: int = 30) -> SumScorer:
    generator = np.random.default_rng(2)
    history = sp.csr_matrix((generator.random((users, items)) < 0.2).astype(np.float32))
    weights = torch.from_numpy(generator.standard_normal((items, items)).astype(np.float32))
    vectors = [torch.from_numpy(generator.standard_normal((n, 4)).astype(np.float32)) for n in (users, items)]
    return SumScorer([DotScorer(*vectors), ItemItemScorer(history, weights)], [0.6, 0.4])


def test_one_dot_product_is_exact_where_it_has_room() -> None:
    scorer = _mixed_sum()
    dot = one_dot(scorer, max_dimensions=4 + 30, seed=0)
    assert dot.item_vectors.shape[1] <= 34
    users = torch.arange(50)
    expected = scorer.scores(users)
    expected = expected - expected.mean(dim=1, keepdim=True)
    found = dot.scores(users)
    assert torch.allclose(found - found.mean(dim=1, keepdim=True), expected, atol=1e-3)


def test_networks_that_are_nearly_one_leave_room_for_the_rest() -> None:
    mixed = _mixed_sum()
    network, weights = mixed.parts
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0))).Q
    twin = DotScorer(network.user_vectors @ turn, network.item_vectors @ turn)  # the same scores, other vectors
    scorer = SumScorer([network, twin, weights], [0.3, 0.3, 0.4])
    dot = one_dot(scorer, max_dimensions=4 + 30, seed=0)  # side by side the two alone would take 8
    users = torch.arange(50)
    expected, found = (s.scores(users) for s in (scorer, dot))
    expected, found = (x - x.mean(dim=1, keepdim=True) for x in (expected, found))
    assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("dimensions", [3, 4, 12])
def test_one_dot_product_stays_within_its_dimensions(dimensions: int) -> None:
    dot = one_dot(_mixed_sum(), max_dimensions=dimensions, seed=0)
    assert dot.item_vectors.shape == (30, dimensions)
    assert torch.equal(dot.item_vectors, one_dot(_mixed_sum(), max_dimensions=dimensions, seed=0).item_vectors)


def test_short_dot_products_pass_unchanged() -> None:
    scorer = _mixed_sum().parts[0]
    assert one_dot(scorer, max_dimensions=4, seed=0) is scorer


@pytest.mark.parametrize("name", list(RECOMMENDERS))
def test_every_recommender_fits_repeats_and_names_its_choice(mixed_graph, name: str) -> None:
    config = GNNConfig(model=name, **QUICK, auto=AutoConfig(copies=1))
    if name == "ensemble":
        parts = (PartConfig(model="hetero", network=config.network()), PartConfig(model="ease"))
        config = config.model_copy(update={"ensemble": EnsembleConfig(parts=parts)})
    steps: list[tuple[int, int]] = []
    recommender = make_recommender(config)
    scorer = recommender.fit(mixed_graph, seed=0, progress=lambda done, total: steps.append((done, total)))
    again = make_recommender(config).fit(mixed_graph, seed=0)
    users = torch.arange(60)
    assert (scorer.num_users, scorer.num_items) == (60, 40)
    assert torch.equal(scorer.scores(users), again.scores(users))
    assert all(done <= total for done, total in steps)
    json.dumps(chosen(config, recommender), allow_nan=False)
    items, _ = top_items(scorer, users, interactions(mixed_graph), 10)
    assert not interactions(mixed_graph)[np.repeat(users.numpy(), 10), items.ravel()].any()


def test_the_chosen_section_gives_the_automatic_scorer_again(mixed_graph) -> None:
    config = GNNConfig(**QUICK, auto=AutoConfig(copies=2))
    auto = Auto(config)
    scorer = auto.fit(mixed_graph, seed=0)
    assert auto.resolved().model == "ensemble"
    assert len(auto.trials) >= len(auto.candidates(interactions(mixed_graph)))
    section = GNNConfig.model_validate(json.loads(json.dumps(chosen(config, auto))))
    again = make_recommender(section).fit(mixed_graph, seed=0)
    users = torch.arange(60)
    assert torch.allclose(scorer.scores(users), again.scores(users), atol=1e-4)


def test_automatic_choice_is_no_worse_on_validation_than_its_closed_forms(mixed_graph) -> None:
    validation = Validation.of(mixed_graph, seed=0)
    found = validation.quality(Auto(GNNConfig(**QUICK, auto=AutoConfig(copies=1))).fit(mixed_graph, seed=0))
    for name in ("ease", "popularity", "graph_filter"):
        assert found >= validation.quality(make_recommender(GNNConfig(model=name)).fit(mixed_graph, seed=0))


def test_test_pairs_are_never_read(mixed_graph) -> None:
    other = mixed_graph.clone()
    other["User", "INTERACTED", "Item"].test_label_index = torch.zeros(2, 0, dtype=torch.int64)
    config = GNNConfig(**QUICK, auto=AutoConfig(copies=1))
    users = torch.arange(60)
    first, second = (make_recommender(config).fit(graph, seed=0) for graph in (mixed_graph, other))
    assert torch.equal(first.scores(users), second.scores(users))


def test_settings_that_are_given_hold_for_every_candidate(mixed_graph) -> None:
    history = interactions(mixed_graph)
    config = GNNConfig.model_validate({"fusion": "joint", "embedding_dim": 24})
    assert config.model == "auto"
    assert {network.embedding_dim for network in Auto(config).candidates(history)} == {24}
    only = GNNConfig.model_validate({"loss": "bpr"})
    assert {network.loss for network in Auto(only).candidates(history)} == {"bpr"}


def test_the_space_depends_on_how_long_histories_are() -> None:
    short, long = sp.csr_matrix(np.eye(30)), sp.csr_matrix(np.ones((30, 30)))
    assert [(n.loss, n.embedding_dim) for n in Auto(GNNConfig()).candidates(short)] == [("softmax", 64), ("bpr", 64)]
    assert [n.embedding_dim for n in Auto(GNNConfig()).candidates(long)] == [128, 128]


def test_where_only_media_reach_some_items_a_network_that_reads_them_is_compared_too() -> None:
    long, short = sp.csr_matrix(np.ones((30, 30))), sp.csr_matrix(np.eye(30))
    known, new = Auto(GNNConfig()).candidates(long), Auto(GNNConfig()).candidates(long, new_items=True)
    assert new[: len(known)] == known
    assert [n.content for n in new] == [False, False, True]
    assert (new[-1].identity_dropout, new[-1].cold_negatives) == (0.3, False)
    assert Auto(GNNConfig()).candidates(short, new_items=True) == Auto(GNNConfig()).candidates(short)


def test_batches_of_the_space_grow_with_the_users() -> None:
    assert [entry["batch_users"] for entry in space(1_000, 100_000)] == [256, 128]
    assert [entry["batch_users"] for entry in space(200_000, 10_000_000)] == [5000, 5000]
    assert space(200_000, 1_000_000) == list(SPARSE), "takes its batches from the graph"


def test_weights_must_fit_the_parts(mixed_graph) -> None:
    parts = (PartConfig(model="ease"), PartConfig(model="popularity"))
    for weights, message in (((1.0,), "1 values for 2 parts"), ((0.0, 0.0), "all 0")):
        with pytest.raises(GnnError, match=message):
            Ensemble(EnsembleConfig(parts=parts, weights=weights)).fit(mixed_graph, seed=0)
