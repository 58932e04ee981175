"""Vectors from a server that speaks OpenAI's `/v1/embeddings`: vLLM, Ollama, llama.cpp, or a hosted one.

Texts go as `input`, many a request; pictures one a request, as vLLM takes them: a message with a data URL.
"""

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationError

from common.text import one_line
from common.vectors import unit_rows
from encoders.base import EncoderBase, Preparer, make_fingerprint
from encoders.errors import EncoderError
from encoders.image import ImagePreparer
from encoders.post import Server, checked_address, checked_key
from encoders.text import TextPreparer


class Config(BaseModel, extra="forbid"):
    """Settings of the `endpoint` encoder."""

    address: str
    """Where the server's API begins, e.g. http://127.0.0.1:8000/v1; https, or http on this machine."""

    model: str
    """The model's name as the server knows it."""

    revision: str | None = None
    """Any word: another one makes vectors of their own, for a server whose model changed under its name."""

    dim: PositiveInt
    """Numbers in a vector; an answer of another length stops the build."""

    shorten: bool = False
    """Ask the server for `dim` numbers (`dimensions`), for Matryoshka models; otherwise it gives what it gives."""

    key: str | None = None
    """Name of the environment variable that holds the API key; None: no key is sent."""

    prompt: str = ""
    """Put before every text, e.g. "passage: "; of a picture, the text beside it."""

    characters: PositiveInt = 8000
    """Characters of a text that are sent; the rest stays here."""

    pixels: PositiveInt = Field(default=448, ge=16, le=4096)
    """Width and height of the squares that pictures are sent as, with white margins."""

    batch: PositiveInt = 32
    """Texts in one request."""

    concurrency: PositiveInt = Field(default=4, le=64)
    """Requests at once."""

    timeout: PositiveFloat = 60.0
    """Seconds for one request and its whole answer."""

    retries: int = Field(default=5, ge=0, le=20)
    """Further tries after 429, 5xx, a broken answer or none; the wait doubles, or is what `Retry-After` says."""

    longest_wait: PositiveFloat = 60.0
    """Seconds between two tries at most; a server that asks for more stops the build."""

    max_requests: PositiveInt | None = None
    """Requests that a build may send, further tries included; what came before the last is in the cache."""


def build(config: Config, device: str) -> "EndpointEncoder":
    """The encoder; nothing is sent before `encode`. `EncoderError` for an address that is not https or loopback."""
    return EndpointEncoder(config)


class _Row(BaseModel):
    index: int = 0
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Row]


class EndpointEncoder(EncoderBase):
    """Texts and pictures to the vectors of a server's model."""

    name = "endpoint"
    modalities = ("text", "image")

    def __init__(self, config: Config) -> None:
        address = checked_address(self.name, config.address)
        self._config, self._key, self.dim = config, checked_key(self.name, config.key), config.dim
        self._server = Server(
            self.name,
            f"{address}/embeddings",
            key=self._key,
            timeout=config.timeout,
            retries=config.retries,
            longest_wait=config.longest_wait,
            max_requests=config.max_requests,
            at_once=config.concurrency,
        )
        self.batch = config.batch * config.concurrency
        decisive = config.model_dump(include={"model", "revision", "dim", "shorten", "prompt", "characters", "pixels"})
        self.fingerprint = make_fingerprint(self.name, address=address, version=1, **decisive)

    @property
    def sends_to(self) -> str:
        """Where media go, as a person reads it."""
        key = f"the key in {self._key}" if self._key else "no key"
        return f"{self._server.address} (model {self._config.model}, with {key})"

    def preparer(self, modality: str) -> Preparer:
        """Texts to cleaned strings, pictures to small squares; a picture's own metadata stay here."""
        return TextPreparer() if modality == "text" else ImagePreparer(self._config.pixels, "pad")

    def encode(self, batch: Sequence[np.ndarray], modality: str = "text") -> Float[np.ndarray, "n dim"]:
        """Prepared texts or pictures -> float32 [n, dim], unit length; `EncoderError` where the server gives none."""
        if not len(batch):
            return np.zeros((0, self.dim), dtype=np.float32)
        size = self._config.batch if modality == "text" else 1
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            waiting = [pool.submit(self._vectors, part, modality) for part in parts]
            try:
                found = [future.result() for future in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return unit_rows(np.concatenate(found))

    def _vectors(self, part: Sequence[np.ndarray], modality: str) -> np.ndarray:
        asked: dict[str, Any] = {"model": self._config.model, "encoding_format": "float"}
        if self._config.shorten:
            asked["dimensions"] = self.dim
        if modality == "text":
            asked["input"] = [self._config.prompt + str(text)[: self._config.characters] for text in part]
        else:
            asked["messages"] = [{"role": "user", "content": self._picture(part[0])}]
        answer = self._server.post(asked)
        try:
            rows = sorted(_Answer.model_validate(answer).data, key=lambda row: row.index)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise EncoderError(f"{self._server} answered no embeddings: {where}: {one_line(first['msg'])}") from None
        if [row.index for row in rows] != list(range(len(part))):
            raise EncoderError(f"{self._server} answered {len(rows)} vectors for {len(part)} pieces of {modality}")
        lengths = {len(row.embedding) for row in rows} - {self.dim}
        if lengths:
            raise EncoderError(
                f"{self._server} answered vectors of {lengths.pop()} numbers, not {self.dim}; set dim to what the "
                "model gives"
            )
        return np.array([row.embedding for row in rows], dtype=np.float64)

    def _picture(self, pixels: np.ndarray) -> list[dict[str, Any]]:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}}]
        return [*content, {"type": "text", "text": self._config.prompt}] if self._config.prompt else content
