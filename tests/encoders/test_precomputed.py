"""Vectors found again by content hash, or not at all."""

from pathlib import Path

import numpy as np

from encoders.cache import EmbeddingCache
from encoders.precomputed import cached_vectors, keep_vectors

IDS = [f"{n:064x}" for n in range(50)]
VECTORS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def test_kept_vectors_come_back_in_the_order_asked(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    keep_vectors(cache, "given-image", IDS, VECTORS)
    keep_vectors(cache, "given-image", IDS, VECTORS + 1)  # a content has one vector: the first stays
    found = cached_vectors(cache, "given-image", IDS[::-1])
    assert found is not None and (found == VECTORS[::-1]).all() and found.dtype == np.float32


def test_one_missing_or_refused_content_is_none(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    assert cached_vectors(cache, "e", IDS) is None
    keep_vectors(cache, "e", IDS[1:], VECTORS[1:])
    assert cached_vectors(cache, "e", IDS) is None
    with cache.part("e", 3) as part:
        part.refuse(IDS[0], "damaged", "limits")
    assert cached_vectors(cache, "e", IDS) is None
    assert cached_vectors(cache, "e", [*IDS[1:], "no hash"]) is None


def test_parts_of_another_length_do_not_matter(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    keep_vectors(cache, "e", IDS, VECTORS[:, :2])
    keep_vectors(cache, "e", [f"{n:064x}" for n in range(50, 100)], VECTORS)
    found = cached_vectors(cache, "e", IDS)
    assert found is not None and found.shape == (50, 2)


def test_a_damaged_part_is_not_used(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    keep_vectors(cache, "e", IDS, VECTORS)
    for path in (tmp_path / "e").glob("part-*.arrow"):
        path.write_bytes(path.read_bytes()[:-200])
    assert cached_vectors(cache, "e", IDS) is None
