"""The three kinds of scorer and what is alike to them, with every number worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.errors import GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, Normalisation, Scorer, SumScorer, normalised
from gnn.scorers.likeness import likeness

HISTORY = sp.csr_matrix(np.array([[1, 0, 1], [0, 2, 0]], dtype=np.float32))
WEIGHTS = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]], dtype=np.float32)
DOT = DotScorer(torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [3.0, 4.0]]))
DENSE = ItemItemScorer(HISTORY, torch.from_numpy(WEIGHTS))
SPARSE = ItemItemScorer(HISTORY, sp.csr_matrix(WEIGHTS))
BOTH = torch.arange(2)


class Silent:
    """A part that must not be asked."""

    kind, num_users, num_items = "silent", 2, 3

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a part of weight 0 was scored")


def test_inner_products() -> None:
    assert DOT.scores(BOTH).tolist() == [[1.0, 0.0, 3.0], [2.0, 3.0, 10.0]]
    assert DOT.scores(torch.tensor([1, 1, 0])).tolist()[2] == [1.0, 0.0, 3.0]


@pytest.mark.parametrize("scorer", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_weights_over_a_history_whose_values_count(scorer: ItemItemScorer) -> None:
    # user 0 has items 0 and 2 once, user 1 has item 1 with 2
    assert scorer.scores(BOTH).tolist() == [[5.0, 7.0, 2.0], [6.0, 0.0, 8.0]]
    assert scorer.scores(BOTH).dtype == torch.float32


def test_every_kind_is_a_scorer() -> None:
    for scorer, kind in ((DOT, "dot"), (DENSE, "item_item"), (SumScorer([DOT], [1.0]), "sum")):
        assert isinstance(scorer, Scorer)
        assert (scorer.kind, scorer.num_users, scorer.num_items) == (kind, 2, 3)


def test_a_plain_sum_adds_the_scores_as_they_are() -> None:
    found = SumScorer([DOT, DENSE], [2.0, 0.5], normalise=False).scores(BOTH)
    assert found.tolist() == [[2 + 2.5, 3.5, 6 + 1.0], [4 + 3.0, 6.0, 20 + 4.0]]


def test_a_normalised_sum_divides_each_row_by_its_deviation() -> None:
    found = SumScorer([DOT, DENSE], [1.0, 3.0]).scores(torch.tensor([0]))[0].double().numpy()
    dot, item = np.array([1.0, 0, 3]), np.array([5.0, 7, 2])
    assert found == pytest.approx(dot / dot.std(ddof=1) + 3 * item / item.std(ddof=1), rel=1e-5)


def test_a_sum_of_places_knows_no_sizes() -> None:
    # user 0: DOT ranks 2, 0, 1 and the weights 1, 0, 2; the places are 1, 1/2 and 0
    found = SumScorer([DOT, DENSE], [1.0, 2.0], normalise="rank").scores(torch.tensor([0]))
    assert found.tolist() == [[0.5 + 2 * 0.5, 0.0 + 2 * 1.0, 1.0 + 2 * 0.0]]


@pytest.mark.parametrize("normalise", [True, False, "rank"])
def test_a_part_of_weight_zero_is_not_even_scored(normalise: Normalisation) -> None:
    alone = SumScorer([DOT], [0.7], normalise).scores(BOTH)
    assert torch.equal(SumScorer([Silent(), DOT], [0.0, 0.7], normalise).scores(BOTH), alone)


def test_equal_scores_stay_equal_when_normalised() -> None:
    flat = torch.full((2, 4), 3.0)
    assert torch.isfinite(normalised(flat, True)).all()
    assert len(set(normalised(flat, True)[0].tolist())) == 1
    assert normalised(flat, False) is flat


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=8), st.integers(1, 20), st.integers(-20, 20))
def test_places_depend_on_the_order_alone(row: list[int], factor: int, shift: int) -> None:
    scores = torch.tensor([row], dtype=torch.float32)
    places = normalised(scores, "rank")
    assert torch.equal(places, normalised(scores * factor + shift, "rank"))
    assert places.sort(descending=True).values[0].tolist() == pytest.approx(np.linspace(1, 0, len(row)).tolist())
    assert scores[0, int(places.argmax())] == scores.max()


def alike(scorer: Scorer, item: int) -> torch.Tensor:
    return likeness(scorer).scores(torch.tensor([item]))[0]


def test_alike_by_the_cosine_of_the_vectors() -> None:
    assert alike(DOT, 2).tolist() == pytest.approx([0.6, 0.8, 1.0])
    assert alike(DOT, 0).tolist() == pytest.approx([1.0, 0.0, 0.6])


@pytest.mark.parametrize("scorer", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_alike_by_what_one_item_alone_would_give(scorer: ItemItemScorer) -> None:
    assert alike(scorer, 1).tolist() == [3.0, 0.0, 4.0]


def test_a_sum_is_alike_as_its_parts_are() -> None:
    found = alike(SumScorer([DOT, DENSE], [1.0, 2.0], normalise=False), 1)
    assert found.tolist() == pytest.approx([0 + 6.0, 1 + 0.0, 0.8 + 8.0])
    popular = DotScorer(torch.ones(2, 1), torch.tensor([[9.0], [5.0], [1.0]]))
    # what has nothing to say of likeness is left out, and so is a part of weight 0
    whole = SumScorer([popular, DENSE, DOT], [5.0, 1.0, 0.0], normalise=False)
    assert alike(whole, 1).tolist() == [3.0, 0.0, 4.0]


@pytest.mark.parametrize(
    "scorer",
    [
        DotScorer(torch.ones(2, 1), torch.ones(3, 1)),
        ItemItemScorer(HISTORY, torch.zeros(3, 3)),
        SumScorer([DotScorer(torch.ones(2, 1), torch.ones(3, 1))], [1.0]),
    ],
    ids=["popularity", "no weights", "sum of popularity"],
)
def test_what_tells_no_items_apart_says_so(scorer: Scorer) -> None:
    with pytest.raises(GnnError, match=f"a '{scorer.kind}' scorer .* knows none that are alike"):
        alike(scorer, 0)
