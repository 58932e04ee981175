"""The graph filter against its formula written out with dense matrices, pruned against exact, and its search."""

import numpy as np
import pytest
import torch

from gnn.closed_form.config import FilterParameters, GraphFilterConfig
from gnn.closed_form.filter_formula import dense_filter, media_matrices, sparse_filter
from gnn.closed_form.filter_search import FilterSearch, clearly_better
from gnn.closed_form.graph_filter import GraphFilter
from gnn.matrices import interactions
from gnn.scorers.base import ItemItemScorer
from gnn.scorers.ranking import top_items
from gnn.validation import Validation

PARAMETERS = FilterParameters(
    user_exponent=0.3,
    input_exponent=0.4,
    output_exponent=0.2,
    power=0.8,
    diagonal=0.5,
    hops=(1.5, 2.0),
    modality_weights={"text": 0.6, "image": 0.3},
    low_rank_weight=0.5,
)


def naive_filter(data, parameters: FilterParameters, rank: int) -> np.ndarray:
    """Q as the formula reads, in float64."""
    x = interactions(data).toarray().astype(float)
    users, items = x.sum(axis=1), x.sum(axis=0)
    c = x.T @ np.diag(users ** (-2 * parameters.user_exponent)) @ x
    scale = np.maximum(items, 1)
    s = np.diag(scale**-parameters.input_exponent) @ c @ np.diag(scale**-parameters.output_exponent)
    s = s**parameters.power
    own = np.diag(s)[items > 0].mean()
    s[np.diag_indices(len(s))] *= parameters.diagonal
    s += np.diag(parameters.cold_weight * own * (items == 0))
    m = np.zeros_like(s)
    total = sum(parameters.modality_weights.values())
    for modality, weight in parameters.modality_weights.items():
        label = modality.capitalize()
        a = np.zeros_like(s)
        links = data[label, "SIMILAR", label]
        for (i, j), score in zip(links.edge_index.T.tolist(), links.score.tolist(), strict=True):
            a[i, j] += max(score, 0)
        a = a + a.T
        degree = a.sum(axis=1)
        m += weight / total * a / np.sqrt(np.outer(degree, degree))
    once, twice = parameters.hops
    q = (np.eye(len(s)) + once * m + twice * m @ m) @ s
    u, v, w = np.linalg.svd(q)
    return q + parameters.low_rank_weight * (u[:, :rank] * v[:rank]) @ w[:rank]


def test_dense_filter_is_the_formula(mixed_graph) -> None:
    expected = naive_filter(mixed_graph, PARAMETERS, 6)
    found = dense_filter(interactions(mixed_graph), media_matrices(mixed_graph), PARAMETERS, 6, 0)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_items_nobody_has_are_reached_through_their_media(taste_graph) -> None:
    graph = taste_graph()
    history, media = interactions(graph), media_matrices(graph)
    cold = np.asarray(history.sum(axis=0)).ravel() == 0
    shares = {"image": 1.0}
    with_cold = PARAMETERS.model_copy(update={"low_rank_weight": 0.0, "modality_weights": shares, "cold_weight": 2.0})
    without = with_cold.model_copy(update={"cold_weight": 0.0})
    reached = dense_filter(history, media, with_cold, 0, 0)
    assert not dense_filter(history, media, without, 0, 0)[:, cold].any()
    assert np.allclose(reached, naive_filter(graph, with_cold, 0), rtol=1e-3, atol=1e-4)
    assert np.allclose(sparse_filter(history, media, with_cold, 100)[0].toarray(), reached, atol=1e-4)
    items, _ = top_items(ItemItemScorer(history, torch.from_numpy(reached)), torch.arange(150), history, 20)
    assert cold[items].any()


def test_filter_without_media_is_the_normalised_cooccurrence(mixed_graph) -> None:
    plain = PARAMETERS.model_copy(update={"low_rank_weight": 0.0})
    without = dense_filter(interactions(mixed_graph), {}, plain, 0, 0)
    no_hops = plain.model_copy(update={"hops": (0.0, 0.0)})
    assert np.array_equal(without, dense_filter(interactions(mixed_graph), media_matrices(mixed_graph), no_hops, 0, 0))


def test_pruned_filter_equals_the_dense_one_when_nothing_is_pruned(mixed_graph) -> None:
    plain = PARAMETERS.model_copy(update={"low_rank_weight": 0.0})
    history, media = interactions(mixed_graph), media_matrices(mixed_graph)
    dense, pruned = dense_filter(history, media, plain, 0, 0), sparse_filter(history, media, plain, 40)[0]
    assert np.allclose(pruned.toarray(), dense, atol=1e-4)
    assert np.diff(sparse_filter(history, media, plain, 7)[0].indptr).max() == 7


@pytest.mark.parametrize("entries", [None, 40])
def test_search_scores_what_the_filter_scores(mixed_graph, entries: int | None) -> None:
    history, media = interactions(mixed_graph), media_matrices(mixed_graph)
    search = FilterSearch(mixed_graph, history, media, users=100, entries=entries, low_rank=6, seed=0)
    plain = PARAMETERS.model_copy(update={"low_rank_weight": 0.0})
    blended = (PARAMETERS,) if entries is None else ()
    for parameters in (
        *blended,
        plain,
        plain.model_copy(update={"output_exponent": 0.5}),
        plain.model_copy(update={"diagonal": 1.0}),
        plain,  # from the parts above, by what the diagonal adds
        plain.model_copy(update={"diagonal": 0.0}),
    ):  # cached blocks in between
        search.blocks.keep(plain.model_copy(update={"diagonal": 1.0}))
        found = search.blocks.scorer(parameters)(slice(0, None))
        expected = torch.from_numpy(history @ dense_filter(history, media, parameters, 6, 0))[search.validation.users]
        shown = found > -torch.inf
        assert int((~shown).sum()) == history.nnz
        assert torch.allclose(found[shown], expected[shown], atol=1e-4)


def test_search_scores_items_nobody_has_as_the_filter_does(taste_graph) -> None:
    graph = taste_graph()
    history, media = interactions(graph), media_matrices(graph)
    cold = history.getnnz(axis=0) == 0
    shares = {"image": 0.7, "audio": 0.3}
    search = FilterSearch(graph, history, media, users=200, entries=None, low_rank=6, seed=0)
    for weight, low_rank, hops in ((1.0, 0.0, (1.5, 2.0)), (3.0, 0.0, (0.5, 0.0)), (0.5, 0.5, (0.5, 0.0))):
        changes = {"cold_weight": weight, "low_rank_weight": low_rank, "hops": hops, "modality_weights": shares}
        parameters = PARAMETERS.model_copy(update=changes)
        weights = dense_filter(history, media, parameters, 6, 0)
        found = search.blocks.scorer(parameters)(slice(0, None))[:, cold]
        expected = torch.from_numpy((history @ weights)[search.validation.users.numpy()][:, cold])
        assert expected.any()
        assert torch.allclose(found, expected, atol=1e-4)
    assert np.allclose(search.filter(parameters), weights, atol=1e-4)


def test_a_gain_within_its_standard_error_is_not_taken() -> None:
    current = torch.zeros(100, dtype=torch.float64)
    lucky = current.clone()
    lucky[0], lucky[1] = 1.0, -0.5  # mean .005, standard error .011
    assert not clearly_better(lucky, current)
    lucky[:5] = 1.0  # mean .05, standard error .022
    assert clearly_better(lucky, current)
    assert not clearly_better(current, lucky)


def test_search_does_not_end_below_its_start_and_repeats(mixed_graph) -> None:
    config = GraphFilterConfig(search_users=100)
    first, second = GraphFilter(config), GraphFilter(config)
    scorer = first.fit(mixed_graph, seed=1)
    assert torch.equal(scorer.weights, second.fit(mixed_graph, seed=1).weights)
    start = GraphFilter(GraphFilterConfig(parameters=FilterParameters(modality_weights={"text": 0.7, "image": 0.3})))
    validation = Validation.of(mixed_graph, seed=1)
    assert validation.quality(scorer) >= validation.quality(start.fit(mixed_graph, seed=1))


def test_chosen_section_gives_the_same_filter(mixed_graph) -> None:
    recommender = GraphFilter(GraphFilterConfig(search_rounds=1))
    scorer = recommender.fit(mixed_graph, seed=0)
    assert recommender.resolved().parameters is not None
    again = GraphFilter(recommender.resolved()).fit(mixed_graph, seed=5)
    assert torch.equal(scorer.weights, again.weights)


def test_without_validation_pairs_the_defaults_are_used(bare_graph) -> None:
    recommender = GraphFilter()
    recommender.fit(bare_graph(3, 3, [(0, 0), (0, 1), (1, 1), (2, 2)]), seed=0)
    assert recommender.parameters == FilterParameters()


def test_large_catalogues_get_sparse_weights(mixed_graph) -> None:
    scorer = GraphFilter(GraphFilterConfig(dense_limit=10, row_entries=8, search_rounds=1)).fit(mixed_graph, seed=0)
    assert scorer.weights.nnz <= 8 * 40
    assert scorer.scores(torch.tensor([0, 1])).shape == (2, 40)
