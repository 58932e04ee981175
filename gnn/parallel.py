"""Work cut by rows over the processor's cores: scipy's sparse products use one, and let go of the interpreter."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_WORTH = 16_000_000
"""Multiplications below which starting threads costs more than they bring."""


_PIECES = 4
"""Pieces a thread, so that none waits long for the last one."""


def in_threads(call: Callable[[_Piece], _Result], pieces: Iterable[_Piece]) -> Iterator[_Result]:
    """`map` on as many threads as torch uses, in order."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(call, pieces)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(call, pieces)


def product(
    matrix: sp.csr_matrix, right: Float[np.ndarray, "columns dim"] | sp.csr_matrix
) -> Float[np.ndarray, "rows dim"]:
    """`matrix @ right` as a dense array, bit for bit the same on any number of threads: each row is summed by one."""
    threads = torch.get_num_threads()
    if threads == 1 or matrix.nnz * (right.size / max(right.shape[0], 1)) < _WORTH:
        return _dense(matrix @ right)
    pieces = _PIECES * threads
    cuts = np.searchsorted(matrix.indptr, matrix.nnz * np.arange(1, pieces) / pieces).tolist()
    out = np.empty((matrix.shape[0], right.shape[1]), np.result_type(matrix.dtype, right.dtype))

    def fill(span: tuple[int, int]) -> None:
        out[slice(*span)] = _dense(_rows(matrix, *span) @ right)

    list(in_threads(fill, pairwise([0, *cuts, matrix.shape[0]])))
    return out


def _dense(found: Any) -> np.ndarray:
    return np.asarray(found.toarray() if sp.issparse(found) else found)


def _rows(matrix: sp.csr_matrix, start: int, stop: int) -> sp.csr_matrix:
    """A view, where slicing would copy."""
    first, last = matrix.indptr[start], matrix.indptr[stop]
    parts = (matrix.data[first:last], matrix.indices[first:last], matrix.indptr[start : stop + 1] - first)
    return sp.csr_matrix(parts, shape=(stop - start, matrix.shape[1]), copy=False)
