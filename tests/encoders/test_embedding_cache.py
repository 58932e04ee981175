import hashlib
import threading

import numpy as np
import pytest

from encoders import EncoderError
from encoders import cache as cache_module
from encoders.cache import EmbeddingCache


def key(n):
    return hashlib.sha256(str(n).encode()).hexdigest()


def vector(n, dim=4):
    return np.random.default_rng(n).normal(size=dim).astype(np.float32)


def fill(cache, numbers, fingerprint="enc-1"):
    with cache.part(fingerprint, 4) as part:
        for n in numbers:
            part.put(key(n), vector(n), {"width": n})


def test_what_was_put_comes_back(tmp_path):
    cache = EmbeddingCache(tmp_path / "c")
    fill(cache, range(3))
    with cache.part("enc-1", 4) as part:
        found = part.get(key(2))
        assert np.array_equal(found.vector, vector(2))
        assert found.facts == {"width": 2}
        assert part.get(key(9)) is None


def test_two_fingerprints_never_mix(tmp_path):
    cache = EmbeddingCache(tmp_path)
    fill(cache, range(3))
    with cache.part("enc-2", 4) as part:
        assert part.get(key(1)) is None
    with cache.part("enc-1", 5) as part:  # a part of another shape is not read
        assert part.get(key(1)) is None


def test_refusals_are_kept_with_their_limits(tmp_path):
    cache = EmbeddingCache(tmp_path)
    with cache.part("enc-1", 4) as part:
        part.put(key(1), vector(1), {})
        part.refuse(key(2), "damaged PNG picture", "limits-a")
    with cache.part("enc-1", 4) as part:
        found = part.get(key(2))
        assert (found.vector, found.reason, found.limits) == (None, "damaged PNG picture", "limits-a")
        assert np.array_equal(part.get(key(1)).vector, vector(1))
    stats = cache.stats()[0]
    assert (stats.vectors, stats.refused, stats.hits, stats.misses) == (1, 1, 2, 0)


@pytest.mark.parametrize("damage", ["flip", "cut", "rename"])
def test_a_damaged_part_is_not_believed(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    fill(cache, range(50))
    (path,) = (tmp_path / "enc-1").glob("part-*.arrow")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    name = path.name if damage != "rename" else f"part-{'0' * 40}.arrow"
    path.with_name(name).write_bytes(data if damage == "flip" else data[:100])
    with cache.part("enc-1", 4) as part:
        assert part.get(key(1)) is None
    fill(cache, range(50))
    with cache.part("enc-1", 4) as part:
        assert np.array_equal(part.get(key(49)).vector, vector(49))


def test_what_a_kill_leaves_behind_is_ignored(tmp_path):
    cache = EmbeddingCache(tmp_path)
    fill(cache, [1])
    (tmp_path / "enc-1" / ".tmp-half").write_bytes(b"ARROW1\0\0half a file")
    with cache.part("enc-1", 4) as part:
        assert part.get(key(1)) is not None
    assert cache.stats()[0].vectors == 1


def test_an_error_in_the_block_still_keeps_what_was_put(tmp_path):
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(RuntimeError), cache.part("enc-1", 4) as part:
        part.put(key(1), vector(1), {})
        raise RuntimeError
    with cache.part("enc-1", 4) as part:
        assert part.get(key(1)) is not None


def test_two_writers_at_once_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_FLUSH_BYTES", 2000)
    threads = [
        threading.Thread(target=fill, args=(EmbeddingCache(tmp_path), range(n * 40, n * 40 + 60))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with EmbeddingCache(tmp_path).part("enc-1", 4) as part:
        assert all(np.array_equal(part.get(key(n)).vector, vector(n)) for n in range(180))


def test_many_small_parts_become_few(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_MANY_PARTS", 5)
    cache = EmbeddingCache(tmp_path)
    for n in range(12):
        fill(cache, [n])
    assert len(list((tmp_path / "enc-1").glob("part-*"))) <= 5
    with cache.part("enc-1", 4) as part:
        assert all(np.array_equal(part.get(key(n)).vector, vector(n)) for n in range(12))


def test_prune_drops_what_was_unused_for_longest(tmp_path):
    cache = EmbeddingCache(tmp_path)
    fill(cache, [1], "old")
    fill(cache, [2], "new")
    with cache.part("old", 4) as part:
        part.get(key(1))  # using it makes it the newer one
    size = cache.stats()[0].bytes
    assert cache.prune(size + 10) > 0
    assert {s.fingerprint: s.vectors for s in cache.stats()} == {"old": 1, "new": 0}
    cache.prune(0)
    assert sum(s.bytes for s in cache.stats()) == 0


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EncoderError, match="file"):
        EmbeddingCache(tmp_path / "file" / "cache")
    with pytest.raises(EncoderError, match="no file name"), EmbeddingCache(tmp_path).part("../up", 4):
        pass
