import numpy as np
import pytest

from encoders import make_encoder
from encoders.containers import sound_format, truncation
from encoders.models.logmel import log_mel, log_mel_statistics

RATE = 22050


def tone(hz, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_tone_lights_the_band_it_lies_in():
    for hz in (200, 1000, 5000):
        band = log_mel(tone(hz), RATE, 64).mean(axis=0).argmax()
        mel = 2595 * np.log10(1 + hz / 700) / (2595 * np.log10(1 + RATE / 2 / 700)) * 65 - 1
        assert band == pytest.approx(mel, abs=1)


def test_loudness_does_not_count():
    wave = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    loud, quiet = (log_mel_statistics(wave * gain, RATE, 32) for gain in (0.9, 0.001))
    assert loud == pytest.approx(quiet, abs=1e-2)


def test_what_sounds_alike_is_nearer():
    rng = np.random.default_rng(0)
    rain, sea = (rng.normal(size=2 * RATE).astype(np.float32) for _ in range(2))
    beat = tone(440, 2.0) * (np.arange(2 * RATE) % 5000 < 900)
    one, two, other = (log_mel_statistics(w, RATE, 64) for w in (rain, sea, beat))
    assert cosine(one, two) > 0.95 > cosine(one, other)


@pytest.mark.parametrize("size", [1, 100, 1024, 1600, 20_000])
def test_any_length_and_silence_give_finite_statistics(size):
    for wave in (np.zeros(size, dtype=np.float32), tone(300)[:size]):
        statistics = log_mel_statistics(wave, RATE, 16)
        assert statistics.shape == (7 * 16,)
        assert np.isfinite(statistics).all()
        assert statistics.any()


def test_long_sounds_in_blocks_are_as_in_one_piece():
    wave = np.random.default_rng(0).normal(size=1024 + 512 * 2500).astype(np.float32)
    frames = log_mel(wave, RATE, 16)
    assert len(frames) == 2501
    peak = np.abs(wave).max()
    late = wave[512 * 2000 : 512 * 2000 + 1024] * (1 / peak)
    assert np.abs(frames[2000] - log_mel(np.append(late, 0) / np.abs(late).max(), RATE, 16)[0]).std() < 1e-3


def test_settings_change_size_and_fingerprint():
    small, large = (make_encoder({"name": "logmel", "mels": mels}) for mels in (16, 64))
    assert (small.dim, large.dim) == (112, 448)
    assert small.fingerprint != large.fingerprint
    assert make_encoder("logmel").fingerprint == large.fingerprint


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\x24\0\0\0WAVE", "WAV"),
        (b"RIFX\0\0\0\x24WAVE", "WAV"),
        (b"RIFF\x24\0\0\0WEBP", None),
        (b"RIFF\x24\0\0\0AVI ", None),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"OggS\0\x02", "Ogg"),
        (b"ID3\x04\0", "MP3"),
        (b"\xff\xfb\x90\x64", "MP3"),
        (b"\xff\xf3\x40\xc0", "MP3"),
        (b"\xff\xff\xff\xff", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_containers_are_told_by_content(head, kind):
    assert sound_format(head) == kind


def test_ogg_pages_are_counted_and_what_follows_them_is_left_to_the_decoder():
    page = b"OggS" + b"\0" * 22 + b"\x02" + b"\x05\x03" + b"x" * 8
    assert truncation(page * 2, "Ogg") is None
    assert truncation(page * 2 + b"TAG metadata", "Ogg") is None
    assert "ends 3 bytes after" in truncation(page * 2 + page[:-3], "Ogg")


def test_wav_that_was_streamed_leaves_its_size_open():
    head = b"RIFF\0\0\0\0WAVE" + b"fmt \x04\0\0\0abcd" + b"data"
    assert truncation(head + b"\xff\xff\xff\xff" + b"x" * 10, "WAV") is None
    assert truncation(head + b"\x0a\0\0\0" + b"x" * 10, "WAV") is None
    assert "10 of 11 bytes" in truncation(head + b"\x0b\0\0\0" + b"x" * 10, "WAV")
