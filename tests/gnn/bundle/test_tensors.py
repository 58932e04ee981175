"""Scorers as named arrays and as ONNX graphs: nothing is lost on the way, and what does not fit is told."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnn.bundle.export import _lowered
from gnn.bundle.onnx_graph import NOTHING, OnnxScorer, scorer_to_onnx
from gnn.bundle.quantised import PRECISIONS
from gnn.bundle.tensors import csr_from_tensors, csr_to_tensors, scorer_from_tensors, scorer_to_tensors
from gnn.errors import BundleError, GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.ranking import top_items
from gnn.scorers.served import ServedScorer

USERS, ITEMS = 5, 4
HISTORY = sp.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], np.float32))
RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((ITEMS, ITEMS)).astype(np.float32)
DOT = DotScorer(torch.from_numpy(RNG.standard_normal((USERS, 3)).astype(np.float32)), torch.rand(ITEMS, 3))
DENSE = ItemItemScorer(HISTORY, torch.from_numpy(WEIGHTS))
SPARSE = ItemItemScorer(HISTORY, sp.csr_matrix(np.where(WEIGHTS > 0, WEIGHTS, 0)))
KINDS: dict[str, Scorer] = {
    "dot": DOT,
    "dense": DENSE,
    "sparse": SPARSE,
    "sum": SumScorer([DOT, DENSE], [0.7, 0.3]),
    "plain sum": SumScorer([DOT, SPARSE], [0.7, 0.3], normalise=False),
    "sum of weights": SumScorer([DENSE, SPARSE], [0.7, 0.3]),
    "ranks": SumScorer([DENSE, DOT], [0.5, 0.5], normalise="rank"),
    "of sums": SumScorer([SumScorer([SPARSE, DOT], [1, 2]), DENSE], [0.25, 0.75], normalise="rank"),
}
SEEN = sp.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 1]], np.float32))
EVERYONE = torch.arange(USERS)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return request.param


def test_a_scorer_comes_back_from_its_arrays(scorer: Scorer) -> None:
    tensors, structure = scorer_to_tensors(scorer)
    found = scorer_from_tensors(tensors, structure)
    assert torch.equal(found.scores(EVERYONE), scorer.scores(EVERYONE))
    assert scorer_to_tensors(found)[1] == structure
    assert all(array.flags.c_contiguous for array in tensors.values())


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 4)), elements=st.integers(-2, 2)))
def test_a_sparse_matrix_comes_back_whatever_the_order_of_its_entries(matrix: np.ndarray) -> None:
    ordered = sp.csr_matrix(matrix)
    shuffled = ordered.copy()
    for row in range(matrix.shape[0]):
        part = slice(shuffled.indptr[row], shuffled.indptr[row + 1])
        shuffled.indices[part], shuffled.data[part] = shuffled.indices[part][::-1], shuffled.data[part][::-1]
    shuffled.has_sorted_indices = False
    first, second = csr_to_tensors(ordered, "m"), csr_to_tensors(shuffled, "m")
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert np.array_equal(csr_from_tensors(second, "m").toarray(), matrix)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_numbers_are_as_near_as_the_precision_says(scorer: Scorer, precision: Any) -> None:
    tensors, structure = scorer_to_tensors(scorer)
    lowered = _lowered(tensors, precision)
    for name, array in tensors.items():
        kept = lowered[name]
        if array.dtype.kind != "f":
            assert kept.dtype == array.dtype, "places are whole numbers at any precision"
        elif precision in ("int8", "pq") and array.ndim == 2:
            wide = kept.astype(np.float32) * lowered[f"{name}.scale"][:, None]
            assert (np.abs(wide - array) <= np.abs(array).max(axis=1, keepdims=True) / 254 + 1e-6).all()
        else:
            assert kept.astype(np.float32) == pytest.approx(array, rel=1e-3 if precision != "float32" else 0)
    assert torch.isfinite(scorer_from_tensors(lowered, structure).scores(EVERYONE)).all()


def test_rows_of_zeros_stay_so_at_int8() -> None:
    tensors, structure = scorer_to_tensors(DotScorer(torch.zeros(2, 3), torch.ones(2, 3)))
    found = scorer_from_tensors(_lowered(tensors, "int8"), structure)
    assert found.scores(torch.arange(2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def graph(scorer: Scorer) -> OnnxScorer:
    return OnnxScorer(scorer_to_onnx(scorer, *scorer_to_tensors(scorer), history=HISTORY, seen=SEEN), scorer)


def test_the_graph_scores_what_the_scorer_does(scorer: Scorer) -> None:
    found, wanted = graph(scorer), ServedScorer(scorer, HISTORY)
    for users in (EVERYONE, torch.tensor([3]), torch.tensor([4, 1, 1])):
        assert torch.allclose(found.scores(users), wanted.scores(users), atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_asks_for_what_it_needs_and_no_more(name: str) -> None:
    session = graph(KINDS[name]).session
    given = {"history_items", "history_weights"} if name in ("dense", "sparse", "sum of weights") else set()
    assert {entry.name for entry in session.get_inputs()} == {"users", "k"} | given
    assert [o.name for o in session.get_outputs()] == ["items", "scores", "all_scores"]


def test_the_graph_ranks_as_score_does(scorer: Scorer) -> None:
    session = graph(scorer).session
    for k in (1, 2, ITEMS, ITEMS + 5):
        wanted = top_items(ServedScorer(scorer, HISTORY), EVERYONE, SEEN, min(k, ITEMS))
        asked = fed(session, {"users": EVERYONE.numpy(), "k": np.array([k])})
        items, scores = session.run(["items", "scores"], asked)
        assert np.array_equal(items, wanted[0])
        assert scores == pytest.approx(wanted[1], abs=1e-5)


def test_someone_unknown_gets_what_is_popular(scorer: Scorer) -> None:
    session = graph(scorer).session
    asked = fed(session, {"users": np.array([-1, 0]), "k": np.array([ITEMS])})
    items, scores = session.run(["items", "scores"], asked)
    assert (items[0].tolist(), scores[0].tolist()) == ([0, 1, 2, 3], [1.0] * ITEMS), "each item has two users"
    assert items[1].tolist()[-1] == -1 and scores[1][-1] == -np.inf, "what is seen is no item of the list"


@pytest.mark.parametrize("name", ["dense", "sparse", "sum of weights"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_history_that_is_not_in_the_bundle_is_scored(name: str, precision: Any) -> None:
    tensors, structure = scorer_to_tensors(KINDS[name])
    lowered = _lowered(tensors, precision)
    model = scorer_to_onnx(KINDS[name], lowered, structure, history=HISTORY, seen=SEEN)
    session = onnxruntime.InferenceSession(model)
    own = np.array([[0, 0, 0, 1], [2, 0, 0.5, 0], [0, 0, 0, 0]], dtype=np.float32)
    given = {
        "history_items": np.array([[-1, 3], [2, 0], [-1, -1]]),
        "history_weights": own[[[0] * 2, [1] * 2, [2] * 2], [[0, 3], [2, 0], [0, 0]]],
    }
    asked = {"users": np.array([-1, -1, -1]), "k": np.array([ITEMS]), **given}
    items, _, found = session.run(["items", "scores", "all_scores"], asked)
    folded = [_with_history(p, own) for p in _leaves(scorer_from_tensors(lowered, structure))]
    wanted = folded[0] if len(folded) == 1 else SumScorer(folded, KINDS[name].weights)
    assert found[:2] == pytest.approx(wanted.scores(torch.arange(3)).numpy()[:2], abs=1e-5)
    assert found[2].tolist() == [1.0] * ITEMS
    assert 3 not in items[0].tolist() and {0, 2}.isdisjoint(items[1].tolist()), "what is given is left out"
    twice = session.run(["all_scores"], asked | {"users": np.array([0, -1, 4])})[0]
    more = [
        _with_history(p, HISTORY.toarray()[[0, 1, 4]] + own) for p in _leaves(scorer_from_tensors(lowered, structure))
    ]
    wanted = more[0] if len(more) == 1 else SumScorer(more, KINDS[name].weights)
    assert twice == pytest.approx(wanted.scores(torch.arange(3)).numpy(), abs=1e-5), "added to what is known"


def _leaves(scorer: Scorer) -> list[ItemItemScorer]:
    return list(scorer.parts) if isinstance(scorer, SumScorer) else [scorer]


def _with_history(scorer: ItemItemScorer, history: np.ndarray) -> ItemItemScorer:
    return ItemItemScorer(sp.csr_matrix(history), scorer.weights)


def fed(session: onnxruntime.InferenceSession, asked: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = {entry.name for entry in session.get_inputs()}
    return asked | {name: array for name, array in NOTHING.items() if name in names}


def test_a_kind_without_a_form_is_told() -> None:
    tensors, _ = scorer_to_tensors(DOT)
    with pytest.raises(GnnError, match="kind 'trees' has no ONNX form"):
        scorer_to_onnx(DOT, tensors, {"kind": "trees"}, history=HISTORY, seen=SEEN)


def test_a_graph_over_two_gigabytes_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn.bundle import onnx_graph

    monkeypatch.setattr(onnx_graph, "MAX_BYTES", 40)
    tensors, structure = scorer_to_tensors(DOT)
    with pytest.raises(GnnError, match="over 40; use a lower precision"):
        scorer_to_onnx(DOT, tensors, structure, history=HISTORY, seen=SEEN)


def changed(scorer: Scorer, **arrays_: np.ndarray | None) -> tuple[dict[str, np.ndarray], Any]:
    tensors, structure = scorer_to_tensors(scorer)
    for name, array in arrays_.items():
        key = name.replace("__", ".")
        tensors.pop(key) if array is None else tensors.update({key: array})
    return tensors, structure


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (changed(DOT, user_vectors=None), "'user_vectors' is missing"),
        (changed(DOT, user_vectors=np.zeros((USERS, 2), np.float32)), "2 dimensions, item vectors 3"),
        (changed(DOT, user_vectors=np.zeros(USERS, np.float32)), "a float matrix is needed"),
        (changed(DOT, user_vectors=np.zeros((USERS, 3), np.int64)), "a float matrix is needed"),
        (changed(DOT, user_vectors=np.zeros((USERS, 3), np.int8)), "'user_vectors.scale' is missing"),
        (changed(DENSE, weights=np.zeros((ITEMS, 2), np.float32)), r"item weights are \(4, 2\), the catalogue has 4"),
        (changed(DENSE, history__shape=np.array([USERS, -1])), "two sizes are needed"),
        (changed(DENSE, history__indptr=np.zeros(USERS, np.int64)), "no valid sparse matrix"),
        (changed(SPARSE, weights__data=np.zeros(1, np.float32)), "no valid sparse matrix"),
    ],
)
def test_arrays_that_do_not_fit_are_told(made: tuple[dict[str, np.ndarray], Any], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        scorer_from_tensors(*made)


@pytest.mark.parametrize(
    "structure",
    [
        {"kind": "sum", "parts": [{"kind": "dot"}], "weights": [1, 2], "normalise": True},
        {"kind": "sum", "parts": [], "weights": [], "normalise": True},
        {"kind": "sum", "parts": [{"kind": "dot"}], "weights": ["1"], "normalise": True},
        {"kind": "sum", "parts": [{"kind": "dot"}], "weights": [1], "normalise": "z"},
        {"kind": "sum", "parts": [{"kind": "dot"}] * 65, "weights": [1] * 65, "normalise": True},
    ],
)
def test_a_sum_that_is_none_is_told(structure: dict[str, Any]) -> None:
    tensors = {f"0.{name}": array for name, array in scorer_to_tensors(DOT)[0].items()}
    with pytest.raises(BundleError, match="needs equally many parts and weights"):
        scorer_from_tensors(tensors, structure)


def test_parts_of_other_sizes_and_endless_nesting_are_told() -> None:
    other = DotScorer(torch.ones(USERS, 1), torch.ones(ITEMS + 1, 1))
    with pytest.raises(BundleError, match="different users or items"):
        scorer_from_tensors(*scorer_to_tensors(SumScorer([DOT, other], [1, 1])))
    deep: Scorer = DOT
    for _ in range(6):
        deep = SumScorer([deep], [1.0])
    with pytest.raises(BundleError, match="malformed"):
        scorer_from_tensors(*scorer_to_tensors(deep))


def test_what_is_served_is_not_what_is_saved() -> None:
    with pytest.raises(BundleError, match="kind 'served' cannot be saved"):
        scorer_to_tensors(ServedScorer(DOT, HISTORY))
