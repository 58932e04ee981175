"""Any `transformers` text model: mean, CLS or last-token pooling, prompts, long texts in chunks.

intfloat/multilingual-e5-base    {pooling: mean, prompt: "passage: ", max_length: 512}
BAAI/bge-m3                      {pooling: cls, max_length: 8192}
Qwen/Qwen3-Embedding-0.6B        {pooling: last, max_length: 8192}  (queries want a prompt, items none)
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveInt

from common.device import Dtype, dtype_name, pick_device
from common.vectors import unit_rows
from encoders.base import EncoderBase, make_fingerprint
from encoders.models.hub import Snapshot, load_model, load_part, snapshot
from encoders.text import TextPreparer

Pooling = Literal["mean", "cls", "last"]


class Config(BaseModel, extra="forbid"):
    """Settings of the `transformers_text` encoder."""

    model: str
    """A local folder (config, tokenizer, safetensors weights) or the name of a model on the hub."""

    revision: str | None = None
    """Hub commit or tag; a commit makes runs repeatable."""

    pooling: Pooling = "mean"
    """How token vectors become one: their mean, the first token's (CLS) or the last token's."""

    prompt: str = ""
    """Put before every text, as the model was trained with, e.g. "passage: "."""

    max_length: PositiveInt = 512
    """Tokens in one chunk, special tokens and prompt included; never more than the model takes."""

    max_chunks: PositiveInt = 16
    """Chunks of a long text that are encoded and averaged by their length; the rest is left out."""

    tokens: PositiveInt = Field(default=8192, ge=16)
    """Tokens in one forward pass: long texts come in small batches, short ones in large."""

    dtype: Dtype = "auto"
    """float32, bfloat16, or auto: bfloat16 on a GPU and on CPUs that multiply it natively."""


def build(config: Config, device: str) -> "TransformersText":
    """The encoder; raises `EncoderError` where the model cannot be found."""
    found = snapshot("transformers_text", config.model, config.revision)
    return TransformersText("transformers_text", config, found, device)


class TransformersText(EncoderBase):
    """Texts to the hidden size of a transformers model."""

    modalities = ("text",)
    batch = 512

    def __init__(self, name: str, config: Config, found: Snapshot, device: str = "auto") -> None:
        self.name, self._config, self._found = name, config, found
        self._device = device
        self._model: Any = None
        self._tokenizer: Any = None
        self._dtype = dtype_name(config.dtype, device)
        self.dim = found.number("hidden_size", "d_model", "dim", "n_embd")
        self._length = min(config.max_length, found.positions())
        settings = config.model_dump(exclude={"model", "revision", "tokens", "dtype"})
        self.fingerprint = make_fingerprint(name, model=found.identity, dtype=self._dtype, version=1, **settings)

    def preparer(self, modality: str) -> TextPreparer:
        """Texts to cleaned strings."""
        return TextPreparer()

    def encode(self, batch: Sequence[np.ndarray], modality: str = "text") -> Float[np.ndarray, "n dim"]:
        """0-d arrays that hold a string each -> float32 [n, dim], unit length."""
        if not batch:
            return np.zeros((0, self.dim), dtype=np.float32)
        if self._model is None:
            self._load()
        chunks, owners = self._chunks([self._config.prompt + str(text) for text in batch])
        vectors = np.zeros((len(batch), self.dim), dtype=np.float64)
        for rows in self._batches(chunks):
            pooled = unit_rows(self._forward([chunks[row] for row in rows]))
            for row, vector in zip(rows, pooled, strict=True):
                vectors[owners[row]] += vector.astype(np.float64) * len(chunks[row])
        return unit_rows(vectors)

    def _load(self) -> None:
        self._device = pick_device(self._device)
        self._tokenizer = load_part(self.name, "AutoTokenizer", self._found)
        # Right padding: positions then start at 0 for every text, and the last token is where the mask ends.
        self._tokenizer.padding_side = "right"
        model = load_model(self.name, "AutoModel", self._found, self._device, self._dtype)
        self._model = model.get_encoder() if model.config.is_encoder_decoder else model

    def _chunks(self, texts: list[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids of every chunk, and the text each belongs to."""
        encoded = self._tokenizer(
            texts, truncation=True, max_length=self._length, return_overflowing_tokens=True, stride=0
        )
        owners = encoded.get("overflow_to_sample_mapping", list(range(len(texts))))
        kept_ids, kept_owners, seen = [], [], dict.fromkeys(range(len(texts)), 0)
        for ids, owner in zip(encoded["input_ids"], owners, strict=True):
            seen[owner] += 1
            if seen[owner] <= self._config.max_chunks and ids:
                kept_ids.append(list(ids))
                kept_owners.append(int(owner))
        return kept_ids, kept_owners

    def _batches(self, chunks: list[list[int]]) -> list[list[int]]:
        """Chunk numbers by length, so that little is padded and a batch holds at most `tokens`."""
        batches: list[list[int]] = [[]]
        for row in sorted(range(len(chunks)), key=lambda i: -len(chunks[i])):
            longest = len(chunks[batches[-1][0]]) if batches[-1] else 0
            if longest * (len(batches[-1]) + 1) > self._config.tokens and batches[-1]:
                batches.append([])
            batches[-1].append(row)
        return [batch for batch in batches if batch]

    def _forward(self, ids: list[list[int]]) -> np.ndarray:
        import torch

        length = max(len(chunk) for chunk in ids)
        pad = self._tokenizer.pad_token_id or 0
        tokens = torch.full((len(ids), length), pad, dtype=torch.int64)
        mask = torch.zeros((len(ids), length), dtype=torch.int64)
        for row, chunk in enumerate(ids):
            tokens[row, : len(chunk)] = torch.tensor(chunk)
            mask[row, : len(chunk)] = 1
        tokens, mask = tokens.to(self._device), mask.to(self._device)
        with torch.inference_mode():
            hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
        return _pool(hidden, mask, self._config.pooling).cpu().numpy()


def _pool(hidden: Any, mask: Any, how: Pooling) -> Any:
    import torch

    if how == "cls":
        return hidden[:, 0]
    if how == "last":
        return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
