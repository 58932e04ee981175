"""Ranking: ties, masks and first ranks against a plain sort."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.scorers import ranking, stable
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import Limits, lists_and_ranks, top_items


def _scorer(scores: np.ndarray) -> DotScorer:
    """A dot scorer whose score matrix is the given one."""
    return DotScorer(torch.from_numpy(scores.astype(np.float32)), torch.eye(scores.shape[1]))


def _plain(scores: np.ndarray, seen: np.ndarray, user: int) -> list[int]:
    candidates = [i for i in range(scores.shape[1]) if not seen[user, i]]
    return sorted(candidates, key=lambda i: (-scores[user, i], i))


def test_equal_scores_go_to_the_lower_index() -> None:
    scores = np.array([[1.0, 2.0, 2.0, 2.0, 0.0]])
    items, values = top_items(_scorer(scores), torch.tensor([0]), sp.csr_matrix((1, 5)), 2)
    assert items.tolist() == [[1, 2]]
    assert values.tolist() == [[2.0, 2.0]]


def test_seen_items_never_appear_and_short_lists_are_padded() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    seen = sp.csr_matrix(np.array([[1, 0, 1], [0, 0, 0]], dtype=np.float32))
    items, values = top_items(_scorer(scores), torch.tensor([0, 1]), seen, 5)
    assert items.tolist() == [[1, -1, -1, -1, -1], [0, 1, 2, -1, -1]]
    assert np.isneginf(values[0, 1:]).all()


def test_nan_and_infinite_scores_rank_last_but_stay_candidates() -> None:
    scorer = DotScorer(torch.tensor([[1.0]]), torch.tensor([[float("nan")], [-float("inf")], [1.0]]))
    items, _ = top_items(scorer, torch.tensor([0]), sp.csr_matrix((1, 3)), 3)
    assert items.tolist() == [[2, 0, 1]]


def test_users_may_come_in_any_order() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    items, _ = top_items(_scorer(scores), torch.tensor([1, 0, 1]), sp.csr_matrix((2, 2)), 1)
    assert items.tolist() == [[1], [0], [1]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_agrees_with_a_plain_sort(data: st.DataObject) -> None:
    users, items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    cells = st.lists(st.integers(0, 3), min_size=users * items, max_size=users * items)
    scores = np.array(data.draw(cells), dtype=np.float32).reshape(users, items)
    seen = np.array(data.draw(cells)).reshape(users, items) == 0
    positives = (np.array(data.draw(cells)).reshape(users, items) == 1) & ~seen
    k = data.draw(st.integers(1, items + 2))
    everyone = torch.arange(users)
    found, _ = top_items(_scorer(scores), everyone, sp.csr_matrix(seen.astype(np.float32)), k)
    known, wanted = (sp.csr_matrix(pairs.astype(np.float32)) for pairs in (seen, positives))
    lists, firsts = lists_and_ranks(_scorer(scores), everyone, known, wanted, k)
    assert (lists == found).all()
    for user in range(users):
        order = _plain(scores, seen, user)
        assert [i for i in found[user] if i >= 0] == order[:k]
        places = [n + 1 for n, item in enumerate(order) if positives[user, item]]
        assert firsts[user] == (min(places) if places else 0)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    scorer = _scorer(generator.integers(0, 4, (7, 12)).astype(np.float32))
    seen = sp.csr_matrix((generator.random((7, 12)) < 0.2).astype(np.float32))
    positives = sp.csr_matrix((generator.random((7, 12)) < 0.2).astype(np.float32))
    whole = lists_and_ranks(scorer, torch.arange(7), seen, positives, 4)
    monkeypatch.setattr(ranking, "_BLOCK_CELLS", 30)
    cut = lists_and_ranks(scorer, torch.arange(7), seen, positives, 4)
    assert (whole[0] == cut[0]).all()
    assert (whole[1] == cut[1]).all()


@pytest.mark.parametrize("chunk", [1, 2])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_limited_lists_are_those_of_a_plain_walk(chunk: int, data: st.DataObject) -> None:
    """Best first; what is left out or has its number is passed over. Small chunks take the way of large catalogues."""
    items, at_most = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    row = st.lists(st.integers(-1, 3), min_size=items, max_size=items)
    scores, seen, groups = np.array([data.draw(row)], np.float32), np.array([data.draw(row)]) == 0, data.draw(row)
    left_out, k = np.array(data.draw(row)) == 1, data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stable, "_CHUNK", chunk)
        limits = Limits(left_out, np.array(groups), at_most)
        found, _ = top_items(_scorer(scores), torch.tensor([0]), sp.csr_matrix(seen.astype(np.float32)), k, limits)
    wanted: list[int] = []
    for item in _plain(scores, seen, 0):
        same = sum(groups[other] == groups[item] for other in wanted)
        if not left_out[item] and (groups[item] < 0 or same < at_most):
            wanted.append(item)
    assert [i for i in found[0] if i >= 0] == wanted[:k]


def test_what_a_scorer_keeps_is_not_written_to() -> None:
    """A row for all, as popularity is: masking one user's items must not mask another's."""

    class Popular:
        kind, num_users, num_items = "popular", 2, 3
        row = torch.tensor([3.0, 2.0, 1.0])

        def scores(self, users: torch.Tensor) -> torch.Tensor:
            return self.row.expand(len(users), 3)

    seen = sp.csr_matrix(np.array([[1, 0, 0], [0, 0, 0]], dtype=np.float32))
    items, _ = top_items(Popular(), torch.arange(2), seen, 1)
    assert items.tolist() == [[1], [0]]
