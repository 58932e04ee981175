import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from common.vectors import unit_rows
from encoders import DecodeLimits, EncoderError, make_encoder
from encoders.base import EncoderBase
from encoders.cache import EmbeddingCache
from encoders.contents import MediaRef
from encoders.embedding import embed_media
from encoders.image import ImagePreparer

ROOM = Path(__file__).parents[2]


class Mean(EncoderBase):
    """A real encoder in miniature: mean colours of a 4 x 4 picture."""

    name, modalities, dim, batch, fingerprint = "mean", ("image",), 48, 8, "mean-1"

    def __init__(self):
        self.seen = 0

    def preparer(self, modality):
        return ImagePreparer(4)

    def encode(self, batch, modality):
        self.seen += len(batch)
        return unit_rows(np.stack([a.reshape(-1) for a in batch]).astype(np.float32) - 127.3)


def test_order_ids_facts_and_duplicates(tmp_path, make_picture):
    for name, n in [("a.png", 1), ("b.png", 2), ("copy.png", 1)]:
        (tmp_path / name).write_bytes(make_picture(n))
    (tmp_path / "bad.png").write_bytes(make_picture(3)[:60])
    names = ["a.png", "bad.png", "copy.png", "b.png", "gone.png", "../a.png"]
    encoder = Mean()
    told = []
    result = embed_media(
        [MediaRef("image", uri=n) for n in names],
        root=tmp_path,
        encoder=encoder,
        workers=0,
        progress=lambda done, total: told.append((done, total)),
    )
    first, second = (hashlib.sha256(make_picture(n)).hexdigest() for n in (1, 2))
    assert result.ids == [first, None, first, second, None, None]
    assert result.unique_ids == [first, second]
    assert result.vectors.shape == (2, 48)
    assert result.vectors.dtype == np.float32
    assert encoder.seen == result.encoded == 2
    assert [bool(r) for r in result.reasons] == [False, True, False, False, True, True]
    assert "damaged PNG" in result.reasons[1]
    assert result.facts[0] == {"width": 32, "height": 24}
    assert result.facts[1] == {}
    assert told[-1] == (6, 6)


def test_content_decides_whatever_the_name_says(tmp_path, make_picture):
    contents = {
        "picture.wav": make_picture(1),
        "no-ending": make_picture(2),
        "page.png": b"<!doctype html><p>404 not found",
        "sound.png": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 40,
        "zip.png": b"PK\x03\x04" + b"\0" * 40,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    refs = [MediaRef("image", uri=name) for name in contents]
    reasons = embed_media(refs, root=tmp_path, encoder=Mean(), workers=0).reasons
    assert reasons[:2] == [None, None]
    assert all(reason.startswith("not a readable picture (PNG, JPEG") for reason in reasons[2:])
    assert "object at 0x" not in "".join(reasons[2:])


def test_pool_and_this_process_give_the_same(tmp_path, make_picture):
    for n in range(30):
        (tmp_path / f"{n}.png").write_bytes(make_picture(n) if n % 7 else make_picture(n)[:80])
    refs = [MediaRef("image", uri=f"{n}.png") for n in range(30)]
    inside = embed_media(refs, root=tmp_path, encoder=Mean(), workers=0)
    pooled = embed_media(refs, root=tmp_path, encoder=Mean(), workers=2)
    assert pooled.ids == inside.ids
    assert pooled.reasons == inside.reasons
    assert pooled.facts == inside.facts
    assert np.array_equal(pooled.vectors, inside.vectors)


def test_second_run_encodes_nothing_and_starts_no_process(tmp_path, make_picture, monkeypatch):
    (tmp_path / "a.png").write_bytes(make_picture(1))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n bad")
    refs = [MediaRef("image", uri="a.png"), MediaRef("image", uri="bad.png")]
    cache = EmbeddingCache(tmp_path / "cache")
    first = embed_media(refs, root=tmp_path, encoder=Mean(), cache=cache, workers=1)
    monkeypatch.setattr("encoders.embedding.DecodePool", None)
    second = embed_media(refs, root=tmp_path, encoder=Mean(), cache=cache, workers=1)
    assert (first.hits, first.encoded, second.hits, second.encoded) == (0, 1, 2, 0)
    assert second.reasons == first.reasons
    assert second.facts == first.facts
    assert np.array_equal(second.vectors, first.vectors)


def test_limits_hold_for_what_is_cached_and_are_tried_again_when_they_change(tmp_path, make_picture):
    (tmp_path / "a.png").write_bytes(make_picture(1))
    refs, cache = [MediaRef("image", uri="a.png")], EmbeddingCache(tmp_path / "cache")
    options = {"root": tmp_path, "encoder": Mean(), "cache": cache, "workers": 0}
    tight = DecodeLimits(pixels=100)
    assert "over the limit" in embed_media(refs, limits=tight, **options).reasons[0]
    assert embed_media(refs, **options).reasons == [None]
    assert "over the limit" in embed_media(refs, limits=tight, **options).reasons[0]


def test_refs_of_another_modality_or_kind(tmp_path):
    with pytest.raises(EncoderError, match="mean embeds image"):
        embed_media([MediaRef("audio", uri="a.wav")], root=tmp_path, encoder=Mean())
    odd = [MediaRef("image"), MediaRef("image", uri="a", content="b"), MediaRef("image", content="b")]
    result = embed_media(odd, root=None, encoder=Mean(), workers=0)
    assert all(result.reasons)
    assert "no folder" in embed_media([MediaRef("image", uri="a")], root=None, encoder=Mean()).reasons[0]
    assert embed_media([], root=None, encoder=Mean()).vectors.shape == (0, 48)


def test_vectors_that_are_not_finite_are_refused(tmp_path, make_picture):
    class Broken(Mean):
        def encode(self, batch, modality):
            return np.full((len(batch), 48), np.nan, dtype=np.float32)

    (tmp_path / "a.png").write_bytes(make_picture(1))
    result = embed_media([MediaRef("image", uri="a.png")], root=tmp_path, encoder=Broken(), workers=0)
    assert result.reasons == ["mean gave a vector that is zero or not finite"]
    assert result.unique_ids == []


def broken_files(make_sound):
    """100 ways and places to be broken."""
    good = make_sound(10_000)
    kinds = [
        lambda n: b"",
        lambda n: good[: 60 + n],
        lambda n: b"not a sound %d" % n,
        lambda n: good[:40] + b"\xff" * 4 + good[44:200] + b"%d" % n if n < 0 else b"RIFF\0\0\0\0WAVE%d" % n,
        lambda n: b"OggS" + bytes([n]) * 20,
        lambda n: b"fLaC" + bytes([n]) * 50,
        lambda n: b"ID3\x03" + bytes([n]) * 40,
        lambda n: good[:36] + b"junk" + bytes([n]) * 8,
        lambda n: b"\x89PNG\r\n\x1a\n" + bytes([n]) * 8,
        lambda n: bytes([n]) * 500,
    ]
    return [kinds[n % 10](n) for n in range(100)]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory, make_sound):
    folder = tmp_path_factory.mktemp("catalogue")
    names, bad = [], set()
    broken = broken_files(make_sound)
    for n in range(1100):
        name = f"{n:04d}.wav"
        is_bad = n % 11 == 5
        (folder / name).write_bytes(broken[n // 11] if is_bad else make_sound(n))
        names.append(name)
        if is_bad:
            bad.add(name)
    assert len(bad) == 100
    return folder, names, bad


def test_exactly_the_broken_files_are_refused(catalogue):
    folder, names, bad = catalogue
    refs = [MediaRef("audio", uri=name) for name in names]
    result = embed_media(refs, root=folder, encoder=make_encoder("logmel"), workers=1)
    refused = {name for name, reason in zip(names, result.reasons, strict=True) if reason}
    assert refused == bad
    assert all("\n" not in r and "crashed" not in r for r in result.reasons if r)
    assert len(result.unique_ids) == 1000


SCRIPT = """
import sys
from pathlib import Path
import encoders.cache
from encoders import make_encoder
from encoders.cache import EmbeddingCache
from encoders.contents import MediaRef
from encoders.embedding import embed_media
encoders.cache._FLUSH_BYTES = 30_000
folder, cache = Path(sys.argv[1]), EmbeddingCache(Path(sys.argv[2]))
refs = [MediaRef("audio", uri=p.name) for p in sorted(folder.glob("*.wav"))]
embed_media(refs, root=folder, encoder=make_encoder({"name": "logmel", "mels": 16}), cache=cache, workers=0)
"""


def test_kill_9_in_the_middle_and_again_gives_the_same(catalogue, tmp_path):
    folder, names, _ = catalogue
    environment = {**os.environ, "PYTHONPATH": str(ROOM)}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "c")], env=environment)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("c/*/part-*"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    encoder = make_encoder({"name": "logmel", "mels": 16})
    refs = [MediaRef("audio", uri=name) for name in names]
    resumed = embed_media(refs, root=folder, encoder=encoder, cache=EmbeddingCache(tmp_path / "c"), workers=0)
    whole = embed_media(refs, root=folder, encoder=encoder, workers=0)
    assert 0 < resumed.hits < 1000
    assert resumed.ids == whole.ids
    assert resumed.reasons == whole.reasons
    assert resumed.facts == whole.facts
    assert np.array_equal(resumed.vectors, whole.vectors)
