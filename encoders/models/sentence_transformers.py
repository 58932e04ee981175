"""Any text model of sentence-transformers (Reimers and Gurevych 2019), or of `transformers` with a pooling named.

sentence-transformers/all-MiniLM-L6-v2   {}     pooling, prompts, layers after the network: the model's own files
intfloat/multilingual-e5-base            {prompt: "passage: "}
Qwen/Qwen3-Embedding-0.6B                {max_length: 8192}
a bare network                           {pooling: cls}
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveInt

from common.vectors import unit_rows
from encoders.base import EncoderBase, make_fingerprint
from encoders.device import Dtype, dtype_name, pick_device
from encoders.models.hub import Snapshot, loading, read_json, snapshot
from encoders.text import TextPreparer, lost_share

Pooling = Literal["mean", "cls", "last"]


class Config(BaseModel, extra="forbid"):
    """Settings of the `sentence_transformers` encoder."""

    model: str
    """A local folder (config, tokenizer, safetensors weights) or the name of a model on the hub."""

    revision: str | None = None
    """Hub commit or tag; a commit makes runs repeatable."""

    pooling: Pooling | None = None
    """How token vectors become one. None takes what the model's files say, and its layers after the pooling; a name
    takes the network alone and the mean, the first (CLS) or the last of its token vectors."""

    prompt: str | None = None
    """Put before every text, e.g. "passage: ". None takes the model's own for documents; "" takes none."""

    max_length: PositiveInt | None = None
    """Tokens in one chunk, special tokens and prompt included; None, and at most, what the model takes."""

    max_chunks: PositiveInt = 16
    """Chunks of a long text that are encoded and averaged by their length; the rest is left out."""

    tokens: PositiveInt = Field(default=8192, ge=16)
    """Tokens in one forward pass: long texts come in small batches, short ones in large."""

    dtype: Dtype = "auto"
    """float32, bfloat16, or auto: bfloat16 on a GPU and on CPUs that multiply it natively."""


def build(config: Config, device: str) -> "SentenceEncoder":
    """The encoder; raises `EncoderError` where the model cannot be found."""
    found = snapshot("sentence_transformers", config.model, config.revision)
    return SentenceEncoder("sentence_transformers", config, found, device)


class _Chunk(NamedTuple):
    owner: int
    """The row of the text that it is a piece of."""
    text: str
    tokens: int


class SentenceEncoder(EncoderBase):
    """Texts to the vectors of a sentence-transformers model."""

    modalities = ("text",)
    batch = 512

    def __init__(self, name: str, config: Config, found: Snapshot, device: str = "auto") -> None:
        self.name, self._config, self._found = name, config, found
        self._device, self._dtype = device, dtype_name(config.dtype, device)
        self._model: Any = None
        self.dim = _dim(found, config.pooling) or self._asked()
        settings = config.model_dump(exclude={"model", "revision", "tokens", "dtype"})
        self.fingerprint = make_fingerprint(name, model=found.identity, dtype=self._dtype, version=2, **settings)

    def preparer(self, modality: str) -> TextPreparer:
        """Texts to cleaned strings."""
        return TextPreparer()

    def encode(self, batch: Sequence[np.ndarray], modality: str = "text") -> Float[np.ndarray, "n dim"]:
        """0-d arrays that hold a string each -> float32 [n, dim], unit length."""
        vectors = np.zeros((len(batch), self.dim), dtype=np.float64)
        if not len(batch):
            return unit_rows(vectors)
        if self._model is None:
            self._load()
        for chunks in _batches(self._chunks([str(text) for text in batch]), self._config.tokens):
            found = self._model.encode_document(
                [chunk.text for chunk in chunks],
                prompt=self._config.prompt,
                batch_size=len(chunks),
                show_progress_bar=False,
            )
            for chunk, vector in zip(chunks, unit_rows(found), strict=True):
                vectors[chunk.owner] += vector.astype(np.float64) * chunk.tokens
        return unit_rows(vectors)

    def lost(self, texts: Sequence[str]) -> list[float]:
        """The share of each text's letters that the tokenizer does not know; no weights are read for it."""
        if self._model is not None:
            tokenizer = self._model.tokenizer
        else:
            import transformers

            with loading(self.name, "AutoTokenizer", self._found):
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(self._found.folder), local_files_only=True)
        if not getattr(tokenizer, "is_fast", False):
            return [0.0] * len(texts)
        found = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            lost_share(text, spans, [number == tokenizer.unk_token_id for number in numbers])
            for text, spans, numbers in zip(texts, found["offset_mapping"], found["input_ids"], strict=True)
        ]

    def _load(self) -> None:
        self._device = pick_device(self._device)
        with loading(self.name, "SentenceTransformer", self._found):
            self._model = _model(self._found, self._config.pooling, self._device, self._dtype)
        if getattr(self._model.tokenizer, "is_fast", False):  # others are not cut into chunks
            most = (self._config.max_length, self._model.max_seq_length, self._found.positions())
            self._model.max_seq_length = min(int(number) for number in most if number is not None)

    def _asked(self) -> int:
        """The length of a vector where no file says it: the model does."""
        self._load()
        return int(self._model.get_embedding_dimension())

    def _chunks(self, texts: list[str]) -> list[_Chunk]:
        """The texts in pieces that the model takes whole."""
        tokenizer, prompt = self._model.tokenizer, self._config.prompt
        if not getattr(tokenizer, "is_fast", False):
            return [_Chunk(owner, text, len(text)) for owner, text in enumerate(texts)]
        before = len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) if prompt else 0
        pieces = tokenizer(
            texts,
            truncation=True,
            max_length=max(self._model.max_seq_length - before, tokenizer.num_special_tokens_to_add() + 1),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        owners = pieces["overflow_to_sample_mapping"]
        found, number = Counter(owners), Counter[int]()
        chunks = []
        for owner, offsets in zip(owners, pieces["offset_mapping"], strict=True):
            number[owner] += 1
            if number[owner] <= self._config.max_chunks:
                spans = [(start, end) for start, end in offsets if end > start] if found[owner] > 1 else []
                text = texts[owner][spans[0][0] : spans[-1][1]] if spans else texts[owner]
                chunks.append(_Chunk(owner, text, len(offsets) + before))
        return chunks


def _batches(chunks: list[_Chunk], most: int) -> Iterator[list[_Chunk]]:
    """The longest first, so that little is padded; a batch holds at most `most` tokens."""
    batch: list[_Chunk] = []
    for chunk in sorted(chunks, key=lambda chunk: -chunk.tokens):
        if batch and batch[0].tokens * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(chunk)
    if batch:
        yield batch


def _model(found: Snapshot, pooling: Pooling | None, device: str, dtype: str) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    weights = {"dtype": getattr(torch, dtype), "use_safetensors": True}
    folder = str(found.folder)
    if pooling is None:
        return SentenceTransformer(folder, device=device, model_kwargs=weights, **local).eval()
    network: Any = modules.Transformer(
        folder, model_kwargs={**weights, **local}, processor_kwargs=dict(local), config_kwargs=dict(local)
    )
    if network.config.is_encoder_decoder:
        network.model = network.model.get_encoder()
    pooled = modules.Pooling(network.get_embedding_dimension(), "lasttoken" if pooling == "last" else pooling)
    return SentenceTransformer(modules=[network, pooled], device=device).eval()


def _dim(found: Snapshot, pooling: Pooling | None) -> int | None:
    """Length of a vector from the files that say it: no weights are read for a run that the cache serves."""
    if pooling is not None or not found.modules:
        return found.number("hidden_size", "d_model", "dim", "n_embd")
    sizes = [_size(read_json(found.folder / path / "config.json", of=found.name)) for path in found.modules if path]
    most = read_json(found.folder / "config_sentence_transformers.json", of=found.name).get("truncate_dim")
    known = [size for size in sizes if size]
    return min(known[-1], most or known[-1]) if known else None


def _size(module: Mapping[str, Any]) -> int | None:
    """What a layer gives: a projection its `out_features`, a pooling the network's size once for each way of it."""
    if module.get("out_features"):
        return int(module["out_features"])
    size = module.get("embedding_dimension") or module.get("word_embedding_dimension")
    named = module.get("pooling_mode")
    flags = sum(value is True for key, value in module.items() if key.startswith("pooling_mode_"))
    return int(size) * (len(named) if isinstance(named, list) else max(flags, 1)) if size else None
