"""Vectors out of the embedding cache by content hash: what a graph's reader takes instead of the store's copy."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from encoders.cache import EmbeddingCache

_HASH = re.compile("[0-9a-f]{64}")
Vectors = Float[np.ndarray, "ids dim"]


def cached_vectors(cache: EmbeddingCache, fingerprint: str, ids: Sequence[str]) -> Vectors | None:
    """float32 vectors of an encoder for contents by SHA-256 (hex), or None where the cache lacks one of them."""
    if not all(map(_HASH.fullmatch, ids)):
        return None
    for dim in _dimensions(cache, fingerprint):
        found = np.empty((len(ids), dim), dtype=np.float32)
        with cache.part(fingerprint, dim) as part:
            for row, key in enumerate(ids):
                known = part.get(key)
                if known is None or known.vector is None:
                    break
                found[row] = known.vector
            else:
                return found
    return None


def keep_vectors(cache: EmbeddingCache, fingerprint: str, ids: Sequence[str], vectors: Vectors) -> None:
    """Put vectors that no encoder made into the cache, named by their own hash, where it lacks them."""
    with cache.part(fingerprint, vectors.shape[1]) as part:
        for key, vector in zip(ids, vectors, strict=True):
            if part.get(key) is None:
                part.put(key, vector, {})


def _dimensions(cache: EmbeddingCache, fingerprint: str) -> set[int]:
    sizes = set()
    for path in (cache.folder / fingerprint).glob("part-*.arrow"):
        try:
            sizes.add(pa.ipc.open_file(pa.memory_map(str(path))).schema.field("vector").type.list_size)
        except (OSError, pa.ArrowInvalid, KeyError):
            continue  # damaged or just pruned: as good as not there
    return sizes
