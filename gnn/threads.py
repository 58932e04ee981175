"""Work cut by rows over the processor's cores: scipy's sparse products use one, and let go of the interpreter."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_WORTH = 16_000_000
"""Multiplications below which starting threads costs more than they bring."""


def in_threads(call: Callable[[_Piece], _Result], pieces: Iterable[_Piece]) -> Iterator[_Result]:
    """`map` on as many threads as torch uses, in order."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(call, pieces)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(call, pieces)


def product(matrix: sp.csr_matrix, right: Any) -> Any:
    """`matrix @ right`, bit for bit the same on any number of threads: each row is summed by one.

    `right` is a dense array (columns x dim) or a CSR matrix, and so is the result.
    """
    threads = torch.get_num_threads()
    if threads == 1 or matrix.nnz * (right.size / max(right.shape[0], 1)) < _WORTH:
        return matrix @ right
    cuts = np.searchsorted(matrix.indptr, matrix.nnz * np.arange(1, threads) / threads).tolist()
    spans = pairwise([0, *cuts, matrix.shape[0]])
    parts = list(in_threads(lambda span: _rows(matrix, *span) @ right, spans))
    return sp.vstack(parts, format="csr") if sp.issparse(right) else np.concatenate(parts)


def _rows(matrix: sp.csr_matrix, start: int, stop: int) -> sp.csr_matrix:
    """A view, where slicing would copy."""
    first, last = matrix.indptr[start], matrix.indptr[stop]
    parts = (matrix.data[first:last], matrix.indices[first:last], matrix.indptr[start : stop + 1] - first)
    return sp.csr_matrix(parts, shape=(stop - start, matrix.shape[1]), copy=False)
