"""Sounds: bytes to mono float32 samples at the rate a model wants. No torch."""

import io
from dataclasses import dataclass
from math import gcd

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from common.text import one_line
from encoders.base import Prepared
from encoders.containers import mended_wav, sound_format, truncation
from encoders.errors import DecodeError
from encoders.limits import DecodeLimits, Facts

_BLOCK = 1 << 18
_DAMAGE = (
    soundfile.LibsndfileError,
    soundfile.SoundFileRuntimeError,
    RuntimeError,
    OSError,
    ValueError,
    MemoryError,
)


@dataclass(frozen=True)
class WindowPreparer:
    """Sounds to float32 [windows, samples]: at most `max_windows` windows spread over the clip."""

    sample_rate: int
    window: float
    """Seconds."""
    max_windows: int = 8

    def __call__(self, content: bytes | str, limits: DecodeLimits) -> Prepared:
        """Decode, mix down, resample, cut; the last window is padded with zeros."""
        samples, facts = load_audio(content, self.sample_rate, limits)
        length = max(1, round(self.window * self.sample_rate))
        count = max(1, -(-samples.size // length))
        padded = np.zeros((count, length), dtype=np.float32)
        padded.reshape(-1)[: samples.size] = samples
        if count > 1 and samples.size % length and samples.size % length < length // 2:
            padded = padded[:-1]  # a tail under half a window would weigh as much as a full one
        if len(padded) > self.max_windows:
            padded = padded[np.linspace(0, len(padded) - 1, self.max_windows).round().astype(int)]
        return Prepared(np.ascontiguousarray(padded), facts)


def decode_audio(data: bytes, sample_rate: int, limits: DecodeLimits | None = None) -> Float32[np.ndarray, "samples"]:
    """Decode WAV, FLAC, Ogg (Vorbis, Opus) or MP3 to mono at `sample_rate` Hz (float32, full scale = 1).

    Raises `DecodeError` with a one-line reason.
    """
    return load_audio(data, sample_rate, limits or DecodeLimits())[0]


def load_audio(content: bytes | str, sample_rate: int, limits: DecodeLimits) -> tuple[np.ndarray, Facts]:
    """`decode_audio` with the facts: `duration` (s) and `sample_rate` (Hz) of the file."""
    if isinstance(content, str):
        raise DecodeError("a sound needs a file, not inline text")
    if not content:
        raise DecodeError("file is empty (0 bytes)")
    kind = sound_format(content)
    if kind is None:
        raise DecodeError("not a readable sound (WAV, FLAC, Ogg, MP3): unknown content")
    reason = truncation(content, kind)
    if reason:
        raise DecodeError(reason)
    try:
        samples, rate = _read(mended_wav(content) if kind == "WAV" else content, kind, limits)
    except _DAMAGE as error:
        raise DecodeError(f"damaged {kind} sound: {one_line(error)}") from error
    if not np.isfinite(samples).all():
        raise DecodeError(f"{kind} sound holds NaN or infinite samples")
    facts: Facts = {"duration": round(samples.size / rate, 6), "sample_rate": rate}
    return resample(samples, rate, sample_rate), facts


def resample(samples: Float32[np.ndarray, "samples"], rate: int, wanted: int) -> Float32[np.ndarray, "wanted_samples"]:
    """Change the sample rate with soxr (high quality); at least one sample is left."""
    if rate == wanted:
        return samples
    common = gcd(rate, wanted)
    changed = soxr.resample(samples, rate // common, wanted // common)
    return np.asarray(changed, dtype=np.float32) if changed.size else np.zeros(1, dtype=np.float32)


def _read(data: bytes, kind: str, limits: DecodeLimits) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        rate, channels, announced = sound.samplerate, sound.channels, sound.frames
        if not 100 <= rate <= 1_000_000 or channels > limits.channels:
            raise DecodeError(f"{kind} sound of {channels} channels at {rate} Hz is outside what is decoded")
        known = 0 <= announced < 2**62
        reason = limits.violation({"duration": announced / rate}) if known else None
        if reason:
            raise DecodeError(reason)
        most, blocks, read = int(limits.seconds * rate), [], 0
        while True:
            block = sound.read(_BLOCK, dtype="float32", always_2d=True)
            if not len(block):
                break
            read += len(block)
            if read > most:
                raise DecodeError(f"sound is longer than the limit of {limits.seconds:g} s")
            blocks.append(block.mean(axis=1, dtype=np.float32))
    if not read:
        raise DecodeError(f"{kind} sound holds no samples")
    # MP3 encoders announce padding that decoders trim, so a small shortfall is no damage there.
    if known and read < announced - (0.1 * rate + 4608 if kind == "MP3" else 0):
        raise DecodeError(f"truncated {kind} sound: {read} of {announced} samples could be decoded")
    return np.concatenate(blocks), rate
