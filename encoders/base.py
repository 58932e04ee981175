"""What every encoder is: a torch-free part that prepares media, and a model that encodes."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from common.files import sha256_of
from encoders.limits import DecodeLimits, Facts


class Prepared(NamedTuple):
    """One piece of media, decoded and preprocessed."""

    array: np.ndarray
    """What `Encoder.encode` takes: pixels, windows of samples, statistics, or a text as 0-d array."""
    facts: Facts


class Preparer(Protocol):
    """Decoding and preprocessing of one modality; pickled to the worker processes, so it holds no model."""

    def __call__(self, content: bytes | str, limits: DecodeLimits) -> Prepared:
        """Raise `DecodeError` with a one-line reason for media that cannot be used."""
        ...


class Encoder(Protocol):
    """Media of one or more modalities to unit-length vectors in one space."""

    name: str
    """The name it is found by in the registry."""
    modalities: tuple[str, ...]
    """What it embeds: `("image",)`, or `("text", "image")` where one space holds both."""
    dim: int
    """Length of a vector."""
    batch: int
    """How many prepared pieces `encode` likes to be given at once."""
    fingerprint: str
    """Name and hash over model, weights, preprocessing, version: vectors of two fingerprints never mix."""

    def preparer(self, modality: str) -> Preparer:
        """The part that runs in worker processes."""
        ...

    def prepare(self, content: bytes | str, modality: str, limits: DecodeLimits | None = None) -> Prepared:
        """Decode and preprocess one piece in this process."""
        ...

    def encode(self, batch: Sequence[np.ndarray], modality: str) -> Float[np.ndarray, "n dim"]:
        """Encode prepared arrays of one modality; float32 rows of length 1."""
        ...


class EncoderBase(ABC):
    """What encoders share: preparing in this process."""

    @abstractmethod
    def preparer(self, modality: str) -> Preparer:
        """The part that runs in worker processes."""

    def prepare(self, content: bytes | str, modality: str, limits: DecodeLimits | None = None) -> Prepared:
        """Decode and preprocess one piece in this process."""
        return self.preparer(modality)(content, limits or DecodeLimits())


def make_fingerprint(name: str, **parts: object) -> str:
    """`name-<16 hex digits>` over everything that decides a vector's values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def file_hash(*paths: Path) -> str:
    """SHA-256 over the names and bytes of files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        digest.update(path.name.encode() + b"\0")
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()
