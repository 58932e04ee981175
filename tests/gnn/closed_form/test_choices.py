"""What the closed forms choose, how far they look for it, and what their numbers mean, worked by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.closed_form import ease as ease_module
from gnn.closed_form import filter_search
from gnn.closed_form.config import EASEConfig, FilterParameters, GraphFilterConfig, ItemKNNConfig
from gnn.closed_form.ease import EASE, neighbourhoods
from gnn.closed_form.filter_formula import (
    cold_similarity,
    cooccurrence,
    input_scale,
    mixed_links,
    modality_shares,
    normalised,
    output_scale,
    sparse_similarity,
)
from gnn.closed_form.filter_search import FilterSearch, _field, _hop, _share
from gnn.closed_form.graph_filter import GraphFilter
from gnn.closed_form.item_knn import ItemKNN
from gnn.components import Watch
from gnn.matrices import interactions
from gnn.testing import add_media, bare_graph, tiny_graph

TRIO = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)]
"""Items 0, 1, 2 have 2, 3 and 1 users; 0 and 1 share two, 1 and 2 share one."""
HISTORY = interactions(bare_graph(3, 3, TRIO))


def test_shrinkage_holds_down_what_few_users_support() -> None:
    def weights(shrinkage: float) -> np.ndarray:
        return ItemKNN(ItemKNNConfig(k=5, shrinkage=shrinkage)).fit(bare_graph(3, 3, TRIO)).weights.toarray()

    expected = [[0, 2 / (6**0.5 + 3), 0], [2 / (6**0.5 + 3), 0, 1 / (3**0.5 + 3)], [0, 1 / (3**0.5 + 3), 0]]
    assert weights(3.0) == pytest.approx(np.array(expected), rel=1e-5)
    # two shared users in three lose less than one in two
    assert weights(3.0)[0, 1] / weights(0.0)[0, 1] > weights(3.0)[1, 2] / weights(0.0)[1, 2]


def test_neighbours_are_the_nearest_and_never_the_item_itself() -> None:
    history = interactions(tiny_graph())
    whole = ItemKNN(ItemKNNConfig(k=100)).fit(tiny_graph()).weights.toarray()
    found = ItemKNN(ItemKNNConfig(k=4)).fit(tiny_graph()).weights
    assert not np.diag(whole).any()
    assert np.array_equal(whole, whole.T)
    for row in range(history.shape[1]):
        kept = found[row].toarray().ravel()
        assert (kept > 0).sum() == min(4, (whole[row] > 0).sum())
        assert np.sort(kept[kept > 0]).tolist() == np.sort(whole[row])[::-1][: (kept > 0).sum()][::-1].tolist()


def tried_penalties(monkeypatch: pytest.MonkeyPatch, best: float, **config: Any) -> tuple[list[float], EASE]:
    """The penalties a fit looked at where quality falls off to both sides of `best`."""
    seen: list[float] = []
    build = ease_module._Exact.__call__

    def heard(self: Any, choice: Any) -> Any:
        seen.append(choice.regularisation)
        return build(self, choice)

    monkeypatch.setattr(ease_module._Exact, "__call__", heard)
    monkeypatch.setattr(ease_module.Validation, "quality", lambda *_: -abs(np.log(seen[-1] / best)))
    recommender = EASE(EASEConfig(**config))
    recommender.fit(tiny_graph())
    return seen, recommender


@pytest.mark.parametrize(
    ("best", "looked"),
    [
        (100.0, [100, 30, 300]),  # the middle one is best: one step to either side
        (10.0, [100, 30, 10]),  # downhill is left off
        (1000.0, [100, 30, 300, 1000]),
        (300.0, [100, 30, 300, 1000]),
    ],
)
def test_penalties_are_tried_from_the_middle_uphill(
    best: float, looked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, recommender = tried_penalties(monkeypatch, best)
    assert seen == looked
    assert recommender.resolved().regularisation == best


def test_a_given_penalty_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, recommender = tried_penalties(monkeypatch, 1.0, regularisation=7.0)
    assert seen == [7.0]
    assert recommender.resolved() == EASEConfig(regularisation=7.0)


def test_without_validation_pairs_the_middle_penalty_and_the_first_media_weight_are_used() -> None:
    data = bare_graph(3, 3, TRIO)
    add_media(data, "Image", np.eye(3) + 0.5, neighbours=2)
    recommender = EASE(EASEConfig(candidates=(1.0, 2.0, 8.0), media_weights=None, media_candidates=(0.5, 3.0)))
    recommender.fit(data)
    assert (recommender.regularisation, recommender.media_weights) == (2.0, {"image": 0.5})


def test_progress_of_a_choice_stays_within_what_could_be_tried() -> None:
    heard: list[tuple[int, int]] = []
    EASE(EASEConfig(media_weights=None)).fit(tiny_graph(), progress=lambda done, total: heard.append((done, total)))
    assert {total for _, total in heard} == {5 + 5 + 5}
    assert [done for done, _ in heard] == list(range(1, len(heard) + 1))


def test_items_without_links_have_no_neighbourhood() -> None:
    data = tiny_graph()
    found = neighbourhoods(data, ["text", "image", "audio"])
    assert list(found) == ["text", "image"]
    for hood in found.values():
        assert not hood[29].nnz, "the item without media"
        assert np.array_equal(hood.diagonal(), np.array([1.0] * 29 + [0.0], dtype=np.float32))


def test_the_cut_form_tells_what_it_left_out() -> None:
    told: list[str] = []
    EASE(EASEConfig(regularisation=1.0, dense_limit=2, rank=3), Watch(tell=told.append)).fit(bare_graph(3, 3, TRIO))
    assert told == [
        "EASE: 3 items are more than ease.dense_limit 2, so it is cut to 3 singular vectors, "
        "which hold 100% of the interactions"
    ]


PLAIN = FilterParameters(user_exponent=0.5, input_exponent=0.5, output_exponent=0.25, power=1.0, cold_weight=2.0)


def test_cooccurrence_counts_a_user_by_the_length_of_the_history() -> None:
    # every user has two items, so each pair counts 2^-1 at exponent 1/2
    assert cooccurrence(HISTORY, 0.5).toarray().tolist() == [[1, 1, 0], [1, 1.5, 0.5], [0, 0.5, 0.5]]
    assert cooccurrence(HISTORY, 0.0).toarray().tolist() == [[2, 2, 0], [2, 3, 1], [0, 1, 1]]


def test_both_exponents_and_the_diagonal_by_hand() -> None:
    parameters = PLAIN.model_copy(update={"diagonal": 2.0})
    found = normalised(cooccurrence(HISTORY, 0.5), HISTORY, parameters).toarray()
    users = np.array([2.0, 3.0, 1.0])
    expected = np.array([[2, 1, 0], [1, 3, 0.5], [0, 0.5, 1]]) * users[:, None] ** -0.5 * users**-0.25
    assert found == pytest.approx(expected, rel=1e-5)
    assert input_scale(HISTORY, parameters) == pytest.approx(users**-0.5, rel=1e-5)
    assert output_scale(HISTORY, PLAIN.model_copy(update={"power": 2.0})) == pytest.approx(users**-0.5, rel=1e-5)


def test_a_new_item_is_like_itself_as_the_others_are_on_average() -> None:
    own = np.array([1, 1.5, 0.5]) * np.array([2.0, 3.0, 1.0]) ** -0.75
    assert cold_similarity(HISTORY, PLAIN) == pytest.approx(2 * own.mean(), rel=1e-5)
    with_new = sp.hstack([HISTORY, sp.csr_matrix((3, 2), dtype=np.float32)], format="csr")
    assert cold_similarity(with_new, PLAIN) == pytest.approx(2 * own.mean(), rel=1e-5)
    assert cold_similarity(sp.csr_matrix((3, 2), dtype=np.float32), PLAIN) == 0.0


def test_pruning_tells_the_share_it_keeps() -> None:
    parameters = PLAIN.model_copy(update={"user_exponent": 0.0, "input_exponent": 0.0, "output_exponent": 0.0})
    pruned, kept = sparse_similarity(HISTORY, parameters, 1)
    assert pruned.toarray().tolist() == [[2, 0, 0], [0, 3, 0], [0, 1, 0]]
    assert kept == pytest.approx(6 / 12)
    assert sparse_similarity(HISTORY, parameters, 3)[1] == pytest.approx(1.0)


def test_shares_are_those_of_the_modalities_there() -> None:
    weights = {"text": 0.6, "image": 0.2, "audio": 0.2}
    assert modality_shares(["image", "text"], weights) == pytest.approx({"image": 0.25, "text": 0.75})
    assert modality_shares(["image"], {"text": 1.0}) == {"image": 0.0}
    assert modality_shares([], weights) == {}
    links = {"image": sp.csr_matrix(np.eye(2)), "text": sp.csr_matrix(np.ones((2, 2)))}
    mixed = mixed_links(links, FilterParameters(modality_weights=weights))
    assert mixed is not None
    assert mixed.toarray() == pytest.approx(np.array([[1.0, 0.75], [0.75, 1.0]]))
    assert mixed_links({"image": links["image"]}, FilterParameters(modality_weights={"text": 1.0})) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.3, -0.3, 1.7, -1.7]), max_size=8), st.sampled_from(["power", "cold_weight", "hop"]))
def test_no_walk_leaves_what_the_settings_allow(steps: list[float], name: str) -> None:
    move = _hop(1) if name == "hop" else _field(name)
    parameters = FilterParameters()
    for step in steps:
        parameters = move(parameters, step)
        assert FilterParameters.model_validate(parameters.model_dump()) == parameters
        assert 0 <= parameters.hops[1] <= 10


def test_a_modalitys_share_moves_at_the_cost_of_the_others() -> None:
    start = FilterParameters(modality_weights={"text": 0.5, "image": 0.3, "audio": 0.2})
    assert _share("text")(start, 0.2).modality_weights == {"text": 0.7, "image": 0.18, "audio": 0.12}
    assert _share("text")(start, 0.9).modality_weights == {"text": 1.0, "image": 0.0, "audio": 0.0}
    assert _share("image")(start, -0.3).modality_weights["text"] == pytest.approx(0.5 / 0.7, abs=1e-6)
    alone = FilterParameters(modality_weights={"text": 1.0})
    assert _share("text")(alone, -0.2) == alone, "nothing is there to take it"


def search(entries: int | None = None, low_rank: int = 4) -> FilterSearch:
    data = tiny_graph()
    history, media = interactions(data), neighbourhoods(data, ["text", "image"])
    return FilterSearch(data, history, media, users=20, entries=entries, low_rank=low_rank, seed=0)


@pytest.mark.parametrize(("entries", "low_rank", "blend"), [(None, 4, True), (None, 0, False), (8, 4, False)])
def test_the_truncation_is_tried_for_dense_weights_only(entries: int | None, low_rank: int, blend: bool) -> None:
    assert search(entries, low_rank).blend is blend


COSTLY = ("user_exponent", "input_exponent", "power", "diagonal")
"""What takes a co-occurrence matrix of its own."""


def test_pruned_rows_are_searched_like_dense_ones() -> None:
    start = FilterParameters(input_exponent=1.0, hops=(0.0, 0.0))
    dense, pruned = (search(entries, low_rank=0).run(start, 1, None) for entries in (None, 40))
    assert pruned == dense
    assert any(getattr(pruned, name) != getattr(start, name) for name in COSTLY)


def test_long_histories_keep_what_costs_a_cooccurrence_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_search, "GRAM_PRODUCTS", 100)
    start = FilterParameters(input_exponent=1.0, hops=(0.0, 0.0))
    found = search(entries=40).run(start, 1, None)
    assert found.model_dump(include=set(COSTLY)) == start.model_dump(include=set(COSTLY))
    assert found.modality_weights == pytest.approx({"text": 0.7, "image": 0.3})


def test_a_search_tells_how_far_it_is() -> None:
    heard: list[tuple[int, int]] = []
    search().run(FilterParameters(), 2, lambda done, total: heard.append((done, total)))
    assert [done for done, _ in heard] == list(range(1, len(heard) + 1))
    assert {total for _, total in heard} == {len(heard) + 1}, "one more for the truncation"


@pytest.mark.parametrize("fit", [EASE, ItemKNN, GraphFilter], ids=["ease", "item_knn", "graph_filter"])
def test_nobody_has_anything_is_no_error(fit: Callable[[], Any]) -> None:
    scorer = fit().fit(bare_graph(2, 3, []), seed=0)
    assert torch.isfinite(scorer.scores(torch.arange(2))).all()


def test_given_parameters_are_used_as_they_are() -> None:
    recommender = GraphFilter(GraphFilterConfig(parameters=PLAIN))
    scorer = recommender.fit(tiny_graph(), seed=0)
    assert recommender.resolved() == GraphFilterConfig(parameters=PLAIN)
    same = GraphFilter(GraphFilterConfig(parameters=PLAIN)).fit(tiny_graph(), seed=9)
    assert torch.equal(scorer.weights, same.weights), "the seed decides nothing here"
