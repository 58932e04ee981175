"""Linear algebra that stays within memory: truncated SVD and row-pruned sparse products."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from common.progress import Progress
from gnn.parallel import in_threads

_BLOCK_ROWS = 1024


def truncated_svd(
    matrix: sp.csr_matrix | Float[np.ndarray, "rows columns"], rank: int, *, seed: int, iterations: int = 4
) -> tuple[Float[np.ndarray, "rows rank"], Float[np.ndarray, "rank"], Float[np.ndarray, "columns rank"]]:
    """`U, s, V` with `matrix ~ U diag(s) V^T`, float32 (randomised: Halko, Martinsson and Tropp, SIAM Review 2011).

    Deterministic by seed. A rank above the matrix's smaller side is that side.
    """
    from sklearn.utils.extmath import randomized_svd  # here: most of what is fitted needs none

    left, values, right = randomized_svd(
        matrix, min(rank, *matrix.shape), n_oversamples=16, n_iter=iterations, random_state=seed
    )
    return left.astype(np.float32), values.astype(np.float32), right.T.astype(np.float32)


def orthonormal(matrix: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """An orthonormal basis of the columns (QR)."""
    return np.linalg.qr(np.asarray(matrix, dtype=np.float32))[0]


def keep_top(matrix: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """The `count` largest entries of each row, ties by lower column."""
    matrix = matrix.tocsr()
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) <= count:
        return matrix
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(lengths > count):
        start, stop = matrix.indptr[row], matrix.indptr[row + 1]
        values = matrix.data[start:stop]
        least = np.partition(values, len(values) - count)[len(values) - count]
        kept[start:stop] = values > least
        equal = np.flatnonzero(values == least)
        kept[start + equal[: count - int(kept[start:stop].sum())]] = True
    pointer = np.concatenate([[0], np.cumsum(np.minimum(lengths, count))])
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], pointer), shape=matrix.shape)


def blocked_top(
    rows: Callable[[int, int], sp.csr_matrix], size: int, count: int, progress: Progress | None = None
) -> sp.csr_matrix:
    """Stack `rows(start, stop)` over blocks, keeping the `count` largest entries of each row as it goes.

    As many blocks at once as torch uses threads.
    """
    spans = [(start, min(start + _BLOCK_ROWS, size)) for start in range(0, size, _BLOCK_ROWS)]
    blocks = []
    for (_, stop), block in zip(spans, in_threads(lambda span: keep_top(rows(*span), count), spans), strict=True):
        blocks.append(block)
        if progress:
            progress(stop, size)
    return sp.vstack(blocks, format="csr", dtype=np.float32)
