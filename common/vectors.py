"""Arithmetic on rows of vectors that several rooms need."""

import numpy as np
from jaxtyping import Float


def unit_rows(
    vectors: np.ndarray, lengths_in: type[np.float32] | type[np.float64] = np.float32
) -> Float[np.ndarray, "n dim"]:
    """Rows scaled to length 1 (float32, contiguous); a row of zeros stays zero. `lengths_in`: how exact lengths are."""
    rows = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(rows.astype(lengths_in, copy=False), axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(length > 0, length, 1), dtype=np.float32)
