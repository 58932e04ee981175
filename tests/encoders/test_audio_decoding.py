import io

import numpy as np
import pytest
import soundfile

from encoders import DecodeError, DecodeLimits
from encoders.audio import WindowPreparer, decode_audio, load_audio

RATE = 16000


def tone(seconds=0.5, rate=RATE, channels=1, hz=440.0):
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def saved(samples, kind="WAV", subtype=None, rate=RATE):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("RF64", "PCM_16"),
        ("FLAC", "PCM_S8"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_and_depth(kind, subtype, channels):
    samples = decode_audio(saved(tone(channels=channels), kind, subtype), RATE)
    assert samples.dtype == np.float32
    assert samples.size == pytest.approx(RATE / 2, abs=3000 if kind == "MP3" else 400)
    assert np.sqrt((samples[1000:7000] ** 2).mean()) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000])
def test_any_rate_is_resampled_and_the_tone_stays(rate):
    samples, facts = load_audio(saved(tone(rate=rate), rate=rate), RATE, DecodeLimits())
    assert facts == {"duration": pytest.approx(0.5, abs=0.01), "sample_rate": rate}
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(samples.size, 1 / RATE)[spectrum.argmax()] == pytest.approx(440, abs=4)


def test_channels_of_any_number_are_mixed_down_and_too_many_refused():
    eight = np.tile(np.linspace(-0.4, 0.8, 8, dtype=np.float32), (100, 1))
    assert decode_audio(saved(eight, "WAV", "FLOAT"), RATE) == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(DecodeError, match="8 channels"):
        decode_audio(saved(eight), RATE, DecodeLimits(channels=7))


def test_float_sounds_beyond_full_scale_are_kept_as_they_are():
    loud = decode_audio(saved(np.full(100, 2.5, dtype=np.float32), "WAV", "FLOAT"), RATE)
    assert loud == pytest.approx(2.5)


def test_stereo_is_mixed_down():
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    assert decode_audio(saved(both, "WAV", "FLOAT"), RATE) == pytest.approx(0.125)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad):
    samples = tone()
    samples[10] = bad
    with pytest.raises(DecodeError, match="NaN or infinite"):
        decode_audio(saved(samples, "WAV", "FLOAT"), RATE)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_truncated_sounds_are_refused(kind, keep):
    data = saved(np.random.default_rng(0).normal(0, 0.1, RATE * 2).astype(np.float32), kind)
    with pytest.raises(DecodeError) as error:
        decode_audio(data[: int(len(data) * keep)], RATE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello world, this is no sound", "unknown content"),
        (b"RIFF\x24\0\0\0WAVE", "ends before"),
        (b"fLaC", "damaged FLAC"),
        (b"OggS", "truncated Ogg"),
        (b"ID3\x04\0\0\0\0\0\0", "damaged MP3"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "unknown content"),
    ],
)
def test_what_is_no_sound_says_why(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_audio(data, RATE)


def test_a_sound_without_samples_is_refused():
    with pytest.raises(DecodeError, match="no samples"):
        decode_audio(saved(np.zeros(0, dtype=np.float32)), RATE)


def test_a_long_sound_is_refused_by_its_header():
    with pytest.raises(DecodeError, match=r"sound of 3\.0 s is over the limit of 2 s"):
        decode_audio(saved(tone(3)), RATE, DecodeLimits(seconds=2))


def test_one_sample_and_silence_are_sounds():
    assert decode_audio(saved(np.full(1, 0.5)), 8000).size == 1
    assert not decode_audio(saved(np.zeros(100)), RATE).any()


def test_windows_cover_a_long_clip_and_pad_a_short_one():
    prepare = WindowPreparer(RATE, window=1.0, max_windows=3)
    assert prepare(saved(tone(0.5)), DecodeLimits()).array.shape == (1, RATE)
    assert prepare(saved(tone(2.2)), DecodeLimits()).array.shape == (2, RATE)  # the tail is under half a window
    assert prepare(saved(tone(2.8)), DecodeLimits()).array.shape == (3, RATE)
    assert prepare(saved(tone(9)), DecodeLimits()).array.shape == (3, RATE)


def test_inline_text_is_no_sound():
    with pytest.raises(DecodeError, match="needs a file"):
        load_audio("words", RATE, DecodeLimits())
