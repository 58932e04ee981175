"""Damaged and made-up bytes: a decoder answers with media or with one line, never with another exception."""

import io
import signal

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from encoders import DecodeError, DecodeLimits
from encoders.audio import decode_audio
from encoders.image import decode_image

LIMITS = DecodeLimits(pixels=10**6, seconds=20)
CPU_SECONDS = 60
BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def bounded_time():
    """No test here works for more than a minute, whatever the bytes; waiting for the machine does not count."""

    def over(*_):
        raise TimeoutError(f"decoding took more than {CPU_SECONDS} s of processor time")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def pictures():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    for kind, mode in [
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("WEBP", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "F"),
    ]:
        buffer = io.BytesIO()
        picture = Image.new("I;16", (16, 16), 999) if mode == "I;16" else noise.convert(mode)
        picture.save(buffer, kind)
        yield buffer.getvalue()


def sounds():
    wave = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    for kind, subtype in [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", None), ("MP3", None)]:
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 8000, format=kind, subtype=subtype)
        yield buffer.getvalue()


PICTURES, SOUNDS = list(pictures()), list(sounds())
EDITS = st.lists(st.tuples(st.floats(0, 0.9999), st.binary(max_size=6), st.integers(0, 12)), min_size=1, max_size=6)


def damaged(data, edits, keep):
    for where, new, cut in edits:
        at = int(where * len(data))
        data = data[:at] + new + data[at + cut :]
    return data[: int(len(data) * keep)]


def answers(decode, data):
    try:
        result = decode(data)
    except DecodeError as error:
        assert "\n" not in str(error)
        assert str(error)
        assert "object at 0x" not in str(error)
    else:
        assert result.size
        assert np.isfinite(result).all()


@pytest.mark.parametrize("good", PICTURES, ids=range(len(PICTURES)))
def test_damaged_pictures(good):
    assert decode_image(good, LIMITS).shape == (16, 16, 3)

    @BOUNDED
    @given(EDITS, st.sampled_from([1.0, 1.0, 0.7, 0.2]))
    def check(edits, keep):
        answers(lambda d: decode_image(d, LIMITS), damaged(good, edits, keep))

    check()


@pytest.mark.parametrize("good", SOUNDS, ids=range(len(SOUNDS)))
def test_damaged_sounds(good):
    assert decode_audio(good, 8000, LIMITS).size > 3000

    @BOUNDED
    @given(EDITS, st.sampled_from([1.0, 1.0, 0.7, 0.2]))
    def check(edits, keep):
        answers(lambda d: decode_audio(d, 8000, LIMITS), damaged(good, edits, keep))

    check()


HEADS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBP"]
SOUND_HEADS = [b"", b"RIFF\0\0\0\0WAVE", b"RF64\0\0\0\0WAVE", b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90\x00"]


@settings(BOUNDED, max_examples=200)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_made_up_pictures(head, rest):
    answers(lambda d: decode_image(d, LIMITS), head + rest)


@settings(BOUNDED, max_examples=200)
@given(st.sampled_from(SOUND_HEADS), st.binary(max_size=300))
def test_made_up_sounds(head, rest):
    answers(lambda d: decode_audio(d, 8000, LIMITS), head + rest)
