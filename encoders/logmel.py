"""Log-mel statistics: what a sound is like, on average and over time, with no model. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveInt

from encoders.audio import load_audio
from encoders.base import EncoderBase, Prepared, make_fingerprint, unit
from encoders.limits import DecodeLimits


class Config(BaseModel, extra="forbid"):
    """Settings of the `logmel` encoder."""

    sample_rate: int = Field(22050, ge=4000, le=96000)
    """Hz that sounds are resampled to."""

    mels: PositiveInt = Field(64, ge=8, le=256)
    """Bands of the mel scale."""


def build(config: Config, device: str) -> "LogMel":
    """The encoder; it needs no weights and runs where the decoding runs."""
    return LogMel(config)


class LogMel(EncoderBase):
    """Sounds to statistics of their log-mel spectrogram."""

    name = "logmel"
    modalities = ("audio",)
    batch = 64

    def __init__(self, config: Config) -> None:
        self._preparer = LogMelPreparer(config.sample_rate, config.mels)
        self.dim = 7 * config.mels
        self.fingerprint = make_fingerprint(self.name, preprocessing=repr(self._preparer), version=1)

    def preparer(self, modality: str) -> "LogMelPreparer":
        """Sounds to statistics; all the work is here."""
        return self._preparer

    def encode(self, batch: Sequence[np.ndarray], modality: str = "audio") -> Float[np.ndarray, "n dim"]:
        """float32 [dim] each -> float32 [n, dim], unit length."""
        return unit(np.stack(batch)) if batch else np.zeros((0, self.dim), dtype=np.float32)


@dataclass(frozen=True)
class LogMelPreparer:
    """Sounds to float32 [7 x mels]."""

    sample_rate: int
    mels: int

    def __call__(self, content: bytes | str, limits: DecodeLimits) -> Prepared:
        """Decode, mix down, resample, summarise."""
        samples, facts = load_audio(content, self.sample_rate, limits)
        return Prepared(log_mel_statistics(samples, self.sample_rate, self.mels), facts)


def log_mel_statistics(samples: np.ndarray, sample_rate: int, mels: int) -> Float[np.ndarray, "statistics"]:
    """Per band: mean, deviation, 10/50/90 % points, deviation of the change between frames, and its skew."""
    frames = log_mel(samples, sample_rate, mels)
    change = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    low, middle, high = np.percentile(frames, (10, 50, 90), axis=0)
    parts = (
        frames.mean(axis=0),
        frames.std(axis=0),
        low,
        middle,
        high,
        change.std(axis=0),
        np.abs(change).mean(axis=0),
    )
    return np.concatenate(parts).astype(np.float32)


def log_mel(samples: np.ndarray, sample_rate: int, mels: int) -> Float[np.ndarray, "frames mels"]:
    """Log-mel spectrogram."""
    size, hop = 1024, 512
    if samples.size < size:
        samples = np.pad(samples, (0, size - samples.size))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)) ** 2
    return np.log(spectrum @ _filters(sample_rate, size, mels).T + 1e-8)


@cache
def _filters(sample_rate: int, size: int, mels: int) -> np.ndarray:
    """Triangles evenly spaced on the mel scale, each of area 1."""
    top = 2595 * np.log10(1 + (sample_rate / 2) / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
