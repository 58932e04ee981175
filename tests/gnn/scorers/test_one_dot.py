"""A scorer as one dot product: exact where there is room, short where there is none, and the best way is kept."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.scorers import one_dot as module
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.one_dot import one_dot

USERS, ITEMS = 40, 24
EVERYONE = torch.arange(USERS)


def dot(dim: int, seed: int) -> DotScorer:
    rng = np.random.default_rng(seed)
    return DotScorer(*(torch.from_numpy(rng.standard_normal((n, dim)).astype(np.float32)) for n in (USERS, ITEMS)))


def item_item(rank: int, sparse: bool, seed: int = 1) -> ItemItemScorer:
    """Item weights of that rank over short histories; the first user has none."""
    rng = np.random.default_rng(seed)
    history = (rng.random((USERS, ITEMS)) < 0.2).astype(np.float32)
    history[0] = 0
    weights = (rng.standard_normal((ITEMS, rank)) @ rng.standard_normal((rank, ITEMS))).astype(np.float32)
    return ItemItemScorer(sp.csr_matrix(history), sp.csr_matrix(weights) if sparse else torch.from_numpy(weights))


def centred(scorer: Scorer) -> torch.Tensor:
    """Rows without their mean, which ranks nothing."""
    scores = scorer.scores(EVERYONE)
    return scores - scores.mean(dim=1, keepdim=True)


def overlap(found: Scorer, wanted: Scorer, depth: int = 5) -> float:
    first, second = (s.scores(EVERYONE).topk(depth, dim=1).indices for s in (found, wanted))
    return float((first[:, :, None] == second[:, None, :]).sum()) / (depth * USERS)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_item_weights_of_low_rank_need_no_more_dimensions(sparse: bool) -> None:
    scorer = item_item(4, sparse)
    found = one_dot(scorer, max_dimensions=5, seed=0)  # one for the row means
    assert found.item_vectors.shape[1] <= 5
    known = EVERYONE[1:]
    assert torch.allclose(centred(found)[known], centred(scorer)[known], atol=2e-2)
    assert overlap(found, scorer) > 0.97


def test_dot_products_of_one_length_add_up_by_their_vectors() -> None:
    first, second = dot(3, 0), dot(3, 1)
    whole = SumScorer([first, second], [2.0, 0.5], normalise=False)
    found = one_dot(whole, max_dimensions=6, seed=0)
    assert found.item_vectors.shape == (ITEMS, 6)
    assert torch.allclose(centred(found), centred(whole), atol=1e-3)


def test_side_by_side_each_is_weighed_by_its_deviation() -> None:
    loud = DotScorer(10 * dot(3, 1).user_vectors, dot(3, 1).item_vectors)
    whole = SumScorer([dot(3, 0), loud], [0.7, 0.3])
    (found,) = module._by_parts(whole, 6, 0)
    assert torch.allclose(centred(found), centred(whole), atol=1e-4)


def test_a_part_of_weight_zero_takes_no_dimension() -> None:
    whole = SumScorer([dot(3, 0), dot(9, 1)], [1.0, 0.0], normalise=False)
    found = one_dot(whole, max_dimensions=3, seed=0)
    assert torch.allclose(centred(found), centred(dot(3, 0)), atol=1e-3)


def test_places_are_cut_by_their_scores_alone() -> None:
    whole = SumScorer([dot(3, 0), item_item(4, False)], [0.5, 0.5], normalise="rank")
    found = one_dot(whole, max_dimensions=ITEMS, seed=0)
    assert torch.allclose(centred(found), centred(whole), atol=1e-4)
    assert list(module._by_parts(whole, ITEMS, 0)) == []


def test_no_room_for_each_part_is_no_error() -> None:
    whole = SumScorer([dot(6, 0), item_item(4, False)], [0.5, 0.5])
    found = one_dot(whole, max_dimensions=2, seed=0)
    assert (found.user_vectors.shape, found.item_vectors.shape) == ((USERS, 2), (ITEMS, 2))


def test_more_dimensions_never_rank_much_worse() -> None:
    whole = SumScorer([dot(4, 0), item_item(ITEMS, False)], [0.5, 0.5])
    found = [overlap(one_dot(whole, max_dimensions=n, seed=0), whole) for n in (4, 12, ITEMS)]
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.95


def test_more_dimensions_than_items_are_not_made() -> None:
    found = one_dot(SumScorer([dot(2, 0), dot(2, 1)], [1, 1], normalise="rank"), max_dimensions=500, seed=0)
    assert found.item_vectors.shape[1] <= ITEMS


@pytest.mark.parametrize("best_at", [0, 1, 2])
def test_the_way_that_agrees_most_is_kept_in_a_small_catalogue_too(
    best_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SumScorer([dot(4, 0), item_item(4, False)], [0.5, 0.5])
    best = one_dot(whole, max_dimensions=10, seed=0)
    ways = [DotScorer(-best.user_vectors, best.item_vectors) for _ in range(3)]
    ways[best_at] = best
    monkeypatch.setattr(module, "_by_scores", lambda *_: ways[0])
    monkeypatch.setattr(module, "_by_parts", lambda *_: iter(ways[1:]))
    assert one_dot(whole, max_dimensions=10, seed=0) is best


def test_deviations_are_those_of_the_scores() -> None:
    part = dot(5, 3)
    assert torch.allclose(module._deviations(part), part.scores(EVERYONE).std(dim=1), rtol=1e-4)
    flat = DotScorer(torch.zeros(2, 3), torch.ones(4, 3))
    assert (module._deviations(flat) > 0).all(), "divided by later"


def test_progress_ends_where_it_said() -> None:
    heard: list[tuple[int, int]] = []
    one_dot(item_item(4, False), max_dimensions=3, seed=0, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn.scorers import ranking

    whole = SumScorer([dot(4, 0), item_item(4, True)], [0.5, 0.5])
    expected = one_dot(whole, max_dimensions=6, seed=0)
    monkeypatch.setattr(ranking, "_BLOCK_CELLS", 7 * ITEMS)
    found = one_dot(whole, max_dimensions=6, seed=0)
    assert torch.allclose(found.scores(EVERYONE), expected.scores(EVERYONE), atol=1e-3)
