"""Ranking metrics: hand-worked cases, properties, and agreement with torch_geometric."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import metrics
from evaluation.errors import EvaluationError
from evaluation.metrics import evaluated_users, user_metrics


def matrix(rows: list[list[int]], items: int) -> sp.csr_matrix:
    out = sp.lil_matrix((len(rows), items), dtype=np.float32)
    for user, row in enumerate(rows):
        out[user, row] = 1.0
    return out.tocsr()


def test_hand_worked() -> None:
    # User 0: positives {1, 4, 7}; ranking 1 2 4 9 5: hits at ranks 1 and 3.
    # User 1: no positive: does not count. User 2: positive {0} at rank 2. User 3: positive {9}, never ranked.
    ranked = np.array([[1, 2, 4, 9, 5], [0, 1, 2, 3, 4], [3, 0, 1, -1, -1], [0, 1, 2, 3, 4]])
    got = user_metrics(ranked, matrix([[1, 4, 7], [], [0], [9]], 10), [1, 3, 5])
    log2 = np.log2
    want = {
        "recall@1": [1 / 3, 0, 0],
        "recall@3": [2 / 3, 1, 0],
        "precision@3": [2 / 3, 1 / 3, 0],
        "precision@5": [2 / 5, 1 / 5, 0],
        "f1@3": [2 / 3, 0.5, 0],
        "f1@5": [0.5, 1 / 3, 0],
        "hit@1": [1, 0, 0],
        "hit@5": [1, 1, 0],
        "map@1": [1, 0, 0],
        "map@5": [(1 + 2 / 3) / 3, 0.5, 0],
        "ndcg@1": [1, 0, 0],
        "ndcg@5": [(1 + 1 / log2(4)) / (1 + 1 / log2(3) + 1 / log2(4)), 1 / log2(3), 0],
        "mrr": [1, 0.5, 0],
    }
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, atol=1e-12, err_msg=name)
    names = ["recall", "precision", "f1", "ndcg", "map", "hit"]
    assert set(got) == {f"{name}@{k}" for name in names for k in (1, 3, 5)} | {"mrr"}
    assert evaluated_users(matrix([[1, 4, 7], [], [0], [9]], 10)).tolist() == [0, 2, 3]


def test_ideal_dcg_is_cut_at_k() -> None:
    got = user_metrics(np.array([[3, 1, 2]]), matrix([[1, 2, 3, 4, 5]], 6), [3])
    assert got["ndcg@3"][0] == pytest.approx(1.0)
    assert got["recall@3"][0] == pytest.approx(3 / 5)


def test_full_first_rank_gives_the_exact_mrr() -> None:
    ranked, truth = np.array([[0], [0], [0]]), matrix([[5], [], [6]], 8)
    got = user_metrics(ranked, truth, [1], first_rank=np.array([4, 1, 0]))
    assert got["mrr"].tolist() == [0.25, 0.0]


def test_chunks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ranked = np.argsort(rng.random((50, 30)), axis=1)[:, :10]
    truth = sp.csr_matrix(rng.random((50, 30)) < 0.08)
    whole = user_metrics(ranked, truth, [5, 10])
    monkeypatch.setattr(metrics, "_CELLS", 30)
    for name, values in user_metrics(ranked, truth, [5, 10]).items():
        np.testing.assert_array_equal(values, whole[name])


def test_stored_zeros_and_duplicates_are_no_positives() -> None:
    zeros = sp.csr_matrix((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 3))
    assert user_metrics(np.array([[0, 1]]), zeros, [1])["recall@1"][0] == 0.0
    twice = sp.csr_matrix((np.ones(2), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    assert user_metrics(np.array([[1, 0]]), twice, [1])["recall@1"][0] == 1.0


def test_nobody_to_evaluate() -> None:
    assert user_metrics(np.array([[0, 1]]), matrix([[]], 3), [2])["ndcg@2"].shape == (0,)


@pytest.mark.parametrize(
    ("ranked", "ks", "first", "message"),
    [
        ([[0, 0]], [1], None, "item 0 is ranked twice"),
        ([[0, 9]], [1], None, "ranked holds item 9"),
        ([[0, 1]], [3], None, r"k = \[3\]"),
        ([[0, 1]], [], None, r"k = \[\]"),
        ([[0, 1], [0, 1]], [1], None, "2 rows but positives 1"),
        ([[0.0, 1.0]], [1], None, "float64"),
        ([[0, 1]], [1], [1, 2], "first_rank has 2"),
    ],
)
def test_bad_input_is_named(ranked: list, ks: list[int], first: list[int] | None, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        user_metrics(np.array(ranked), matrix([[0]], 4), ks, None if first is None else np.array(first))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, sp.csr_matrix, int]:
    users, items = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    depth = draw(st.integers(1, items))
    ranked = np.array([draw(st.permutations(range(items)))[:depth] for _ in range(users)])
    padded = draw(st.lists(st.integers(0, depth - 1), min_size=users, max_size=users))
    for row, pad in zip(ranked, padded, strict=True):
        row[depth - pad :] = -1
    truth = [draw(st.sets(st.integers(0, items - 1), max_size=items)) for _ in range(users)]
    return ranked, matrix([sorted(t) for t in truth], items), draw(st.integers(1, depth))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_properties(case: tuple[np.ndarray, sp.csr_matrix, int]) -> None:
    ranked, truth, k = case
    got = user_metrics(ranked, truth, [1, k])
    rows = evaluated_users(truth)
    for name, values in got.items():
        assert len(values) == len(rows), name
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
    assert (got[f"hit@{k}"] >= got[f"recall@{k}"]).all()
    assert (got[f"recall@{k}"] >= got["recall@1"] - 1e-12).all()
    assert ((got[f"ndcg@{k}"] > 0) == (got[f"hit@{k}"] > 0)).all()
    assert (got["mrr"] >= got["hit@1"]).all()
    for row, recall in zip(rows, got[f"recall@{k}"], strict=True):
        mine = set(truth[row].indices.tolist())
        assert recall == pytest.approx(len(mine & set(ranked[row, :k].tolist())) / len(mine))


@settings(max_examples=50, deadline=None)
@given(cases())
def test_moving_a_hit_up_never_hurts(case: tuple[np.ndarray, sp.csr_matrix, int]) -> None:
    ranked, truth, k = case
    if ranked.shape[1] < 2:
        return
    better = ranked.copy()
    for row in range(len(better)):
        mine = truth[row].indices.tolist()
        if better[row, 1] in mine and better[row, 0] not in mine:
            better[row, [0, 1]] = better[row, [1, 0]]
    before, after = user_metrics(ranked, truth, [k]), user_metrics(better, truth, [k])
    for name in before:
        assert (after[name] >= before[name] - 1e-12).all(), name


def test_agrees_with_torch_geometric() -> None:
    torch = pytest.importorskip("torch")
    pyg = pytest.importorskip("torch_geometric.metrics")
    rng = np.random.default_rng(3)
    users, items, k = 200, 90, 10
    ranked = np.argsort(rng.random((users, items)), axis=1)[:, :k]
    truth = sp.csr_matrix(rng.random((users, items)) < 0.05)
    ours = user_metrics(ranked, truth, [k])
    pairs = truth.tocoo()
    edges = torch.from_numpy(np.stack([pairs.row, pairs.col]).astype(np.int64))
    theirs = {
        f"recall@{k}": pyg.LinkPredRecall(k),
        f"precision@{k}": pyg.LinkPredPrecision(k),
        f"f1@{k}": pyg.LinkPredF1(k),
        f"ndcg@{k}": pyg.LinkPredNDCG(k),
        f"map@{k}": pyg.LinkPredMAP(k),
        "mrr": pyg.LinkPredMRR(k),
        f"hit@{k}": pyg.LinkPredHitRatio(k),
    }
    for name, metric in theirs.items():
        metric.update(torch.from_numpy(ranked), edges)
        assert ours[name].mean() == pytest.approx(float(metric.compute()), abs=1e-6), name
