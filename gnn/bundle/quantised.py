"""Arrays in fewer bytes: half precision, one byte a number with a scale for each row, or product codes.

Jégou, Douze and Schmid, "Product quantization for nearest neighbor search" (2011): a vector is cut into short pieces,
and each piece named by the nearest of 256 that stand for all.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from gnn.errors import BundleError, GnnError

Precision = Literal["float32", "float16", "int8", "pq"]

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8", "pq")

CODES, CODEBOOKS, SCALE = ".codes", ".codebooks", ".scale"
"""How the names of what stands for an array end."""

_VECTORS = ("user_vectors", "item_vectors")
_PIECE = 2
"""Numbers that a code stands for."""
_LONGEST_PIECE = 16
_BITS = 8
_LEAST_ROWS = 1_024
"""Below, the pieces that stand for all would outweigh what they save."""


def quantised(name: str, array: np.ndarray, precision: Precision) -> dict[str, np.ndarray]:
    """What is stored for an array of numbers: itself, or arrays whose names start with its own.

    `int8`: one scale a row for a matrix, float16 for the rest. `pq`: codes for users' and items' vectors where there
    are 1,024 rows or more, else as `int8`. Raises `GnnError` for numbers that float16 cannot hold.
    """
    matrix = array.ndim == 2
    if precision == "float32":
        return {name: array}
    if precision == "pq" and matrix and name.endswith(_VECTORS) and len(array) >= _LEAST_ROWS:
        codes, books = encoded(array)
        return {name + CODES: codes, name + CODEBOOKS: books}
    if precision in ("int8", "pq") and matrix:
        scale = np.maximum(np.abs(array).max(axis=1, initial=0), 1e-30).astype(np.float32) / 127
        return {name: np.rint(array / scale[:, None]).astype(np.int8), name + SCALE: scale}
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise GnnError(f"{name} has values over 65504, which {precision} cannot hold; use float32")
    return {name: half}


def encoded(
    vectors: Float[np.ndarray, "rows dim"],
) -> tuple[Int[np.ndarray, "rows pieces"], Float[np.ndarray, "pieces 256 numbers"]]:
    """Codes and codebooks, trained on the vectors themselves; an odd last number is filled up by a 0."""
    import faiss

    padded = np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % _PIECE))), dtype=np.float32)
    pieces = padded.shape[1] // _PIECE
    quantizer = faiss.ProductQuantizer(padded.shape[1], pieces, _BITS)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(padded)
    books = faiss.vector_to_array(quantizer.centroids).reshape(pieces, 1 << _BITS, _PIECE).astype(np.float16)
    # a byte a code, however many bits it has
    apart = padded.reshape(len(padded), pieces, _PIECE)
    codes = [_nearest(apart[:, piece], books[piece].astype(np.float32)) for piece in range(pieces)]
    return np.stack(codes, axis=1), books


def decoded(name: str, codes: np.ndarray, books: np.ndarray) -> Float[np.ndarray, "rows dim"]:
    """The vectors that codes stand for, float32. Raises `BundleError` for arrays that do not fit each other."""
    fits = codes.ndim == 2 and codes.dtype == np.uint8 and books.ndim == 3 and books.dtype.kind == "f"
    if not fits or codes.shape[1] != len(books) or books.shape[2] > _LONGEST_PIECE:
        raise BundleError(f"{name} has codes {codes.shape} and codebooks {books.shape}, which do not fit; train again")
    if codes.size and codes.max() >= books.shape[1]:
        raise BundleError(f"{name} has code {codes.max()} of {books.shape[1]}; train again")
    whole = books.astype(np.float32)
    return whole[np.arange(len(books)), codes].reshape(len(codes), -1)


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each point, in blocks."""
    squares, found = (centres**2).sum(axis=1), np.empty(len(points), dtype=np.uint8)
    for start in range(0, len(points), 1 << 16):
        block = points[start : start + (1 << 16)]
        found[start : start + len(block)] = (squares - 2 * block @ centres.T).argmin(axis=1)
    return found
