"""Links that are kept: found once for the same vectors and settings, found anew for any other, or after damage."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from etl.config import NeighbourConfig
from etl.kept_links import kept_links
from etl.media import MediaVectors
from etl.nearest_neighbours import nearest


class Search:
    """Counts how often it was asked."""

    def __init__(self, vectors: MediaVectors, config: NeighbourConfig) -> None:
        self.vectors, self.config, self.asked = vectors, config, 0

    def __call__(self) -> pa.Table:
        self.asked += 1
        return nearest(self.vectors.ids, self.vectors.vectors, self.config)


@pytest.fixture
def own() -> MediaVectors:
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    return MediaVectors("e-1", [f"n{i:02d}" for i in range(20)], vectors)


def _find(folder: Path | None, own: MediaVectors, config: NeighbourConfig) -> tuple[pa.Table, int]:
    search = Search(own, config)
    return kept_links(folder, "image", (own,), config, search), search.asked


def test_the_same_vectors_are_searched_once(tmp_path: Path, own: MediaVectors) -> None:
    config = NeighbourConfig(k=3)
    first, asked = _find(tmp_path, own, config)
    assert asked == 1
    again, asked = _find(tmp_path, own, config)
    assert asked == 0
    assert again.equals(first) and again.schema.equals(first.schema, check_metadata=True)
    assert _find(None, own, config)[1] == 1


@pytest.mark.parametrize("change", ["vector", "id", "encoder", "k"])
def test_whatever_decides_the_links_starts_a_search(tmp_path: Path, own: MediaVectors, change: str) -> None:
    _find(tmp_path, own, NeighbourConfig(k=3))
    vectors = own.vectors.copy()
    vectors[7, 2] += np.float32(1e-3 if change == "vector" else 0)
    ids = ["other", *own.ids[1:]] if change == "id" else own.ids
    config = NeighbourConfig(k=4 if change == "k" else 3)
    other = MediaVectors("e-2" if change == "encoder" else "e-1", ids, vectors)
    found, asked = _find(tmp_path, other, config)
    assert asked == 1
    assert found.equals(nearest(ids, vectors, config))


def test_a_damaged_file_counts_as_none(tmp_path: Path, own: MediaVectors) -> None:
    config = NeighbourConfig(k=3)
    first, _ = _find(tmp_path, own, config)
    path = tmp_path / "image.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    again, asked = _find(tmp_path, own, config)
    assert asked == 1 and again.equals(first)
