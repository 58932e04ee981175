"""The graph as matrices, and what every automatic choice is judged by."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.matrices import held_out, interactions, inverse_power, known_pairs, media_similarity, sym_normalised
from gnn.scorers import ranking
from gnn.scorers.base import DotScorer
from gnn.testing import add_media, bare_graph, tiny_graph
from gnn.validation import DEPTH, Validation, positive_ranks


def test_what_was_rejected_is_no_interaction_and_a_repeat_counts_once() -> None:
    data = bare_graph(2, 3, [(0, 0), (0, 1), (1, 2)])
    store = data["User", "INTERACTED", "Item"]
    store.edge_index = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 1, 2, 0]])
    store.weight = torch.tensor([1.0, 3.0, 0.0, 0.5, -1.0])
    assert interactions(data).toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert known_pairs(data).toarray().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert interactions(data).has_sorted_indices


def test_a_graph_without_weights_has_all_its_pairs() -> None:
    data = bare_graph(2, 2, [(0, 0), (1, 1)])
    del data["User", "INTERACTED", "Item"].weight
    assert interactions(data).nnz == 2


def test_held_out_pairs_are_the_splits_own() -> None:
    data = tiny_graph()
    valid, test = held_out(data, "valid"), held_out(data, "test")
    assert valid.nnz == test.nnz == 38
    assert valid.multiply(test).nnz == valid.multiply(interactions(data)).nnz == 0


def test_links_that_point_apart_link_nothing() -> None:
    data = bare_graph(1, 3, [(0, 0)])
    add_media(data, "Text", np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]]), neighbours=2)
    found = media_similarity(data, "text").toarray()
    assert found[0, 1] > 0
    assert not found[2].any() and not found[:, 2].any(), "cosines under 0 are cut off"
    assert np.array_equal(found, found.T)
    data["Text", "SIMILAR", "Text"].score = -torch.ones(6)
    assert media_similarity(data, "text") is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_symmetric_normalisation_keeps_the_largest_eigenvalue_at_one(cells: list[int]) -> None:
    matrix = np.array(cells, dtype=np.float32).reshape(4, 4)
    matrix = matrix + matrix.T
    found = sym_normalised(sp.csr_matrix(matrix)).toarray()
    degree = matrix.sum(axis=1)
    for row in range(4):
        for column in range(4):
            both = degree[row] * degree[column]
            expected = matrix[row, column] / both**0.5 if both else 0.0
            assert found[row, column] == pytest.approx(expected, rel=1e-5)
    if matrix.any():
        assert np.abs(np.linalg.eigvalsh(found)).max() == pytest.approx(1, abs=1e-4)


def test_the_power_of_nothing_is_nothing() -> None:
    assert inverse_power(np.array([4.0, 0.0, 1.0]), 0.5).tolist() == [0.5, 0.0, 1.0]
    assert inverse_power(np.array([4.0, 0.0]), 0.0).tolist() == [1.0, 0.0]


def test_a_sample_of_validation_users_is_seeded_ascending_and_keeps_all_pairs() -> None:
    data = tiny_graph()
    whole, some = Validation.of(data, seed=0), Validation.of(data, seed=0, limit=10)
    assert (len(whole.users), whole.num_pairs) == (38, 38)
    assert (len(some.users), some.num_pairs) == (10, 10)
    assert some.users.tolist() == sorted(set(some.users.tolist())) and set(some.users.tolist()) <= set(
        whole.users.tolist()
    )
    assert torch.equal(some.users, Validation.of(data, seed=0, limit=10).users)
    assert not torch.equal(some.users, Validation.of(data, seed=1, limit=10).users)
    assert torch.equal(Validation.of(data, seed=0, limit=38).users, whole.users)


def test_a_graph_that_holds_nothing_out_judges_nothing() -> None:
    validation = Validation.of(bare_graph(2, 2, [(0, 0)]), seed=0)
    assert (len(validation.users), validation.num_pairs) == (0, 0)
    assert validation.quality(DotScorer(torch.ones(2, 1), torch.ones(2, 1))) == 0.0


def test_quality_is_the_mean_over_users_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scorer = DotScorer(*(torch.from_numpy(rng.standard_normal((n, 4)).astype(np.float32)) for n in (40, 30)))
    validation = Validation.of(tiny_graph(), seed=0)
    whole = validation.quality(scorer)
    assert 0 < whole < 1
    monkeypatch.setattr(ranking, "_BLOCK_CELLS", 7 * 30)
    assert validation.quality(scorer) == pytest.approx(whole)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=30, max_size=30), st.sets(st.integers(0, 29), min_size=1, max_size=25))
def test_quality_of_a_user_is_recall_and_ndcg_by_their_definitions(cells: list[int], liked: set[int]) -> None:
    order = sorted(range(30), key=lambda item: (-cells[item], item))
    ranks = {item: order.index(item) + 1 for item in liked}
    hits = [rank for rank in ranks.values() if rank <= DEPTH]
    ideal = sum(1 / np.log2(n + 2) for n in range(min(len(liked), DEPTH)))
    expected = (len(hits) / len(liked) + sum(1 / np.log2(rank + 1) for rank in hits) / ideal) / 2
    positives = np.zeros((1, 30), dtype=np.float32)
    positives[0, list(liked)] = 1
    validation = Validation(torch.tensor([0]), sp.csr_matrix(positives), sp.csr_matrix((1, 30), dtype=np.float32))
    scores = torch.tensor([cells], dtype=torch.float32)
    assert float(validation.block_quality(scores, torch.tensor([0]))[0]) == pytest.approx(expected)
    found = positive_ranks(scores, torch.zeros(len(liked), dtype=torch.int64), torch.tensor(list(liked)))
    assert found.tolist() == [min(ranks[item], DEPTH + 1) for item in liked]
