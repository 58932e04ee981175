"""Pruned rows, truncated SVD and products cut over threads: the same numbers as the plain way."""

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnn import blocked
from gnn.blocked import blocked_top, keep_top, orthonormal, truncated_svd
from gnn.parallel import in_threads, product


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def plain_top(matrix: np.ndarray, count: int) -> np.ndarray:
    """The largest entries other than 0 of each row, ties by lower column."""
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        there = sorted((c for c in range(len(values)) if values[c]), key=lambda c: (-values[c], c))[:count]
        kept[row, there] = values[there]
    return kept


SMALL = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=st.integers(-2, 3))


@settings(max_examples=80, deadline=None)
@given(SMALL, st.integers(1, 8))
def test_pruning_is_a_sort_of_each_row(matrix: np.ndarray, count: int) -> None:
    given_ = sp.csr_matrix(matrix)
    assert np.array_equal(keep_top(given_, count).toarray(), plain_top(matrix, count))
    assert np.array_equal(given_.toarray(), matrix), "the matrix given is left as it was"


def test_unsorted_indices_break_ties_by_column_too() -> None:
    matrix = sp.csr_matrix((np.ones(3, np.float32), np.array([4, 0, 2]), np.array([0, 3])), shape=(1, 5))
    assert keep_top(matrix, 2).toarray().tolist() == [[1, 0, 1, 0, 0]]


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_blocks_are_pruned_and_stacked_in_order(rows: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_BLOCK_ROWS", rows)
    matrix = sp.random(23, 15, density=0.5, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    heard: list[tuple[int, int]] = []
    found = blocked_top(lambda a, b: matrix[a:b], 23, 4, lambda done, total: heard.append((done, total)))
    assert np.array_equal(found.toarray(), keep_top(matrix, 4).toarray())
    assert found.dtype == np.float32
    assert heard[-1] == (23, 23)
    assert [done for done, _ in heard] == [min(n, 23) for n in range(rows, 23 + rows, rows)]


def test_results_come_in_the_order_of_the_pieces_and_errors_come_through(threads: int) -> None:
    assert list(in_threads(lambda n: n * n, range(20))) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda n: 1 // n, range(3)))


@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_products_of_empty_rows_are_zero(shape: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn import parallel

    monkeypatch.setattr(parallel, "_WORTH", 0)
    found = product(sp.csr_matrix(shape, dtype=np.float32), np.ones((4, 2), np.float32))
    assert (found.shape, found.any()) == ((shape[0], 2), False)


def test_a_row_with_nearly_everything_is_cut_no_worse(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn import parallel

    monkeypatch.setattr(parallel, "_WORTH", 0)
    rng = np.random.default_rng(0)
    matrix = (rng.random((9, 50)) < 0.05).astype(np.float32)
    matrix[4] = 1
    right = rng.standard_normal((50, 6)).astype(np.float32)
    assert np.array_equal(product(sp.csr_matrix(matrix), right), sp.csr_matrix(matrix) @ right)
    assert isinstance(product(sp.csr_matrix(matrix), sp.csr_matrix(right)), np.ndarray)


def test_singular_values_are_numpys_and_no_more_than_there_are() -> None:
    matrix = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
    left, values, right = truncated_svd(matrix, 50, seed=3)
    assert (left.shape, values.shape, right.shape) == ((12, 5), (5,), (5, 5))
    assert values == pytest.approx(np.linalg.svd(matrix, compute_uv=False), rel=1e-4)
    assert (left * values) @ right.T == pytest.approx(matrix, abs=1e-4)
    assert {left.dtype, values.dtype, right.dtype} == {np.dtype(np.float32)}


def test_a_basis_spans_the_columns_at_right_angles() -> None:
    matrix = np.random.default_rng(0).standard_normal((20, 4))
    basis = orthonormal(matrix)
    assert basis.T @ basis == pytest.approx(np.eye(4), abs=1e-5)
    assert basis @ (basis.T @ matrix) == pytest.approx(matrix, abs=1e-4)
