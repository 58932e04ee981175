"""Vectors from a server that speaks OpenAI's `/v1/embeddings`: vLLM, Ollama, llama.cpp, or a hosted one.

Texts go as `input`, many a request; pictures one a request, as vLLM takes them: a message with a data URL.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveInt, ValidationError

from common.text import one_line
from common.vectors import unit_rows
from encoders.base import EncoderBase, Preparer, make_fingerprint
from encoders.errors import EncoderError
from encoders.image import ImagePreparer
from encoders.message import picture_part
from encoders.post import Server, ServerConfig
from encoders.text import TextPreparer


class Config(ServerConfig):
    """Settings of the `endpoint` encoder."""

    dim: PositiveInt
    """Numbers in a vector; an answer of another length stops the build."""

    shorten: bool = False
    """Ask the server for `dim` numbers (`dimensions`), for Matryoshka models; otherwise it gives what it gives."""

    prompt: str = ""
    """Put before every text, e.g. "passage: "; of a picture, the text beside it."""

    characters: PositiveInt = 8000
    """Characters of a text that are sent; the rest stays here."""

    pixels: PositiveInt = Field(default=448, ge=16, le=4096)
    """Width and height of the squares that pictures are sent as, with white margins."""

    batch: PositiveInt = 32
    """Texts in one request."""


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
        self._config, self.dim = config, config.dim
        self._server = Server(self.name, "embeddings", config)
        self.sends_to = self._server.sends_to
        self.batch = config.batch * config.concurrency
        decisive = config.model_dump(include={"model", "revision", "dim", "shorten", "prompt", "characters", "pixels"})
        self.fingerprint = make_fingerprint(self.name, address=self._server.base, version=1, **decisive)

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
        content = [picture_part(pixels)]
        return [*content, {"type": "text", "text": self._config.prompt}] if self._config.prompt else content
