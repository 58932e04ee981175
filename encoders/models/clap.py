"""CLAP (Wu et al. 2023) through `transformers`: sounds and texts in one space.

laion/clap-htsat-unfused    {}
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, PositiveInt

from common.vectors import unit_rows
from encoders.audio import WindowPreparer
from encoders.base import EncoderBase, Preparer, make_fingerprint
from encoders.device import Dtype, dtype_name, pick_device
from encoders.models.hub import Snapshot, load_model, load_part, snapshot
from encoders.models.transformers_audio import encode_windows, preprocessing
from encoders.text import TextPreparer


class Config(BaseModel, extra="forbid"):
    """Settings of the `clap` encoder."""

    model: str = "laion/clap-htsat-unfused"
    """A local folder or the name of a model on the hub."""

    revision: str | None = None
    """Hub commit or tag; a commit makes runs repeatable."""

    prompt: str = ""
    """Put before every text, e.g. "the sound of "."""

    max_windows: PositiveInt = 8
    """Windows of a long sound, spread over it, that are encoded and averaged."""

    batch: PositiveInt = 8
    """Windows or texts in one forward pass."""

    dtype: Dtype = "auto"
    """float32, bfloat16, or auto: bfloat16 on a GPU and on CPUs that multiply it natively."""


def build(config: Config, device: str) -> "Clap":
    """The encoder; raises `EncoderError` where the model cannot be found."""
    return Clap(config, snapshot("clap", config.model, config.revision), device)


class Clap(EncoderBase):
    """Sounds and texts to CLAP's shared space."""

    name = "clap"
    modalities = ("text", "audio")

    def __init__(self, config: Config, found: Snapshot, device: str = "auto") -> None:
        self.batch, self._config, self._found = config.batch, config, found
        self._device, self._dtype = device, dtype_name(config.dtype, device)
        self.dim = found.number("projection_dim")
        extractor = preprocessing(found)
        rate, window = int(extractor.get("sampling_rate", 48000)), float(extractor.get("max_length_s", 10))
        self._sounds = WindowPreparer(rate, window, config.max_windows)
        self._model: Any = None
        self._extractor: Any = None
        self._tokenizer: Any = None
        self.fingerprint = make_fingerprint(
            self.name,
            model=found.identity,
            dtype=self._dtype,
            prompt=config.prompt,
            preprocessing=repr(self._sounds),
            version=1,
        )

    def preparer(self, modality: str) -> Preparer:
        """Sounds to float32 [windows, samples], texts to cleaned strings."""
        return self._sounds if modality == "audio" else TextPreparer()

    def encode(self, batch: Sequence[np.ndarray], modality: str) -> Float[np.ndarray, "n dim"]:
        """Prepared sounds or texts -> float32 [n, dim], unit length."""
        if self._model is None:
            self._load()
        if modality == "audio":
            return encode_windows(batch, self.dim, self._config.batch, self._forward_sounds)
        texts = [self._config.prompt + str(text) for text in batch]
        size = self._config.batch
        rows = [self._forward_texts(texts[start : start + size]) for start in range(0, len(texts), size)]
        return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, self.dim), dtype=np.float32)

    def _load(self) -> None:
        self._device = pick_device(self._device)
        self._extractor = load_part(self.name, "AutoFeatureExtractor", self._found)
        self._tokenizer = load_part(self.name, "AutoTokenizer", self._found)
        self._model = load_model(self.name, "ClapModel", self._found, self._device, self._dtype)

    def _forward_sounds(self, windows: np.ndarray) -> np.ndarray:
        import torch

        rate = self._sounds.sample_rate
        inputs = self._extractor(list(windows), sampling_rate=rate, return_tensors="pt")
        features = inputs["input_features"].to(self._device, getattr(torch, self._dtype))
        longer = inputs.get("is_longer")
        with torch.inference_mode():
            output = self._model.get_audio_features(
                input_features=features,
                is_longer=None if longer is None else torch.as_tensor(longer).to(self._device),
            )
        return _rows(output)

    def _forward_texts(self, texts: list[str]) -> np.ndarray:
        import torch

        most = int((self._found.config.get("text_config") or {}).get("max_position_embeddings", 514)) - 2
        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=min(most, 512), return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            output = self._model.get_text_features(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            )
        return _rows(output)


def _rows(output: Any) -> np.ndarray:
    # transformers 4 gives the tensor itself, 5 an output object that holds it
    return np.asarray(getattr(output, "pooler_output", output).float().cpu().numpy())
