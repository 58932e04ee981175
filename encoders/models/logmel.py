"""Log-mel statistics: what a sound is like, on average and over time, with no model. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveInt

from common.vectors import unit_rows
from encoders.audio import load_audio
from encoders.base import EncoderBase, Prepared, make_fingerprint
from encoders.limits import DecodeLimits

_FRAME, _HOP, _FLOOR = 1024, 512, -14.0
# Centre and scale of each kind of statistic, rounded from 400 everyday sounds (ESC-10).
_SCALES = ((0.0, 2.2), (2.2, 1.5), (0.6, 1.35), (1.05, 0.45), (0.7, 0.35), (1.15, 0.8), (1.65, 1.2))


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
        self.dim = len(_SCALES) * config.mels
        self.fingerprint = make_fingerprint(
            self.name, preprocessing=repr(self._preparer), frames=(_FRAME, _HOP, _FLOOR, _SCALES), version=2
        )

    def preparer(self, modality: str) -> "LogMelPreparer":
        """Sounds to statistics; all the work is here."""
        return self._preparer

    def encode(self, batch: Sequence[np.ndarray], modality: str = "audio") -> Float[np.ndarray, "n dim"]:
        """float32 [dim] each -> float32 [n, dim], unit length."""
        return unit_rows(np.stack(batch)) if batch else np.zeros((0, self.dim), dtype=np.float32)


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
    """Per band: mean over the clip's level, deviation, skew, and how much changes over 1, 4 and 16 frames.

    Loudness does not count. Each kind is centred and scaled by one constant, so that a cosine compares shapes.
    """
    frames = log_mel(samples, sample_rate, mels)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    kinds = (
        mean - mean.mean(),
        deviation,
        ((frames - mean) ** 3).mean(axis=0) / (deviation**3 + 1e-6),
        _change(frames, 1).std(axis=0),
        *(np.abs(_change(frames, lag)).mean(axis=0) for lag in (1, 4, 16)),
    )
    scaled = [(kind - centre) / scale for kind, (centre, scale) in zip(kinds, _SCALES, strict=True)]
    return np.concatenate(scaled).astype(np.float32)


def log_mel(samples: np.ndarray, sample_rate: int, mels: int) -> Float[np.ndarray, "frames mels"]:
    """Natural logarithm of the mel power spectrum of a sound scaled to peak 1, not under `_FLOOR`."""
    peak = np.abs(samples).max()
    samples = samples / peak if peak > 0 else samples
    if samples.size < _FRAME:
        samples = np.pad(samples, (0, _FRAME - samples.size))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    window, filters = np.hanning(_FRAME).astype(np.float32), _filters(sample_rate, _FRAME, mels).T
    blocks = []
    for start in range(0, len(frames), 1024):  # an hour's spectra would take a gigabyte
        spectrum = np.abs(np.fft.rfft(frames[start : start + 1024] * window, axis=1)) ** 2
        blocks.append(np.log(np.maximum(spectrum @ filters, np.exp(_FLOOR))))
    return np.concatenate(blocks)


def _change(frames: np.ndarray, lag: int) -> np.ndarray:
    lag = min(lag, len(frames) - 1)
    return frames[lag:] - frames[: len(frames) - lag]


@cache
def _filters(sample_rate: int, size: int, mels: int) -> np.ndarray:
    """Triangles evenly spaced on the mel scale, each of area 1."""
    top = 2595 * np.log10(1 + (sample_rate / 2) / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
