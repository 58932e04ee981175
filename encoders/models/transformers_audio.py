"""Sound models of `transformers`: Whisper (its encoder), AST, wav2vec 2.0, HuBERT and their kin.

openai/whisper-base                            {pooling: mean}
MIT/ast-finetuned-audioset-10-10-0.4593        {pooling: pooler}
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from common.vectors import unit_rows
from encoders.audio import WindowPreparer
from encoders.base import EncoderBase, make_fingerprint
from encoders.device import Dtype, dtype_name, pick_device
from encoders.models.hub import Snapshot, load_model, load_part, read_json, snapshot


class Config(BaseModel, extra="forbid"):
    """Settings of the `transformers_audio` encoder."""

    model: str
    """A local folder (config, feature extractor, safetensors weights) or the name of a model on the hub."""

    revision: str | None = None
    """Hub commit or tag; a commit makes runs repeatable."""

    pooling: Literal["mean", "cls", "pooler"] = "mean"
    """How states become one vector: their mean over the sound (not its padding), the first, or the
    model's pooler."""

    window: PositiveFloat | None = None
    """Seconds in one window; None takes what the model was made for (Whisper 30, AST 10.24, others 10)."""

    max_windows: PositiveInt = 8
    """Windows of a long sound, spread over it, that are encoded and averaged."""

    batch: PositiveInt = 8
    """Windows in one forward pass."""

    dtype: Dtype = Field("auto")
    """float32, bfloat16, or auto: bfloat16 on a GPU and on CPUs that multiply it natively."""


def build(config: Config, device: str) -> "TransformersAudio":
    """The encoder; raises `EncoderError` where the model cannot be found."""
    return TransformersAudio(config, snapshot("transformers_audio", config.model, config.revision), device)


class TransformersAudio(EncoderBase):
    """Sounds to the hidden size of a transformers model."""

    name = "transformers_audio"
    modalities = ("audio",)

    def __init__(self, config: Config, found: Snapshot, device: str = "auto") -> None:
        self.batch, self._config, self._found = config.batch, config, found
        self._device, self._dtype = device, dtype_name(config.dtype, device)
        self.dim = found.number("hidden_size", "d_model")
        extractor = preprocessing(found)
        window = config.window or _window(extractor)
        self._preparer = WindowPreparer(int(extractor.get("sampling_rate", 16000)), window, config.max_windows)
        self._model: Any = None
        self._extractor: Any = None
        self.fingerprint = make_fingerprint(
            self.name,
            model=found.identity,
            dtype=self._dtype,
            pooling=config.pooling,
            preprocessing=repr(self._preparer),
            version=1,
        )

    def preparer(self, modality: str) -> WindowPreparer:
        """Sounds to float32 [windows, samples]."""
        return self._preparer

    def encode(self, batch: Sequence[np.ndarray], modality: str = "audio") -> Float[np.ndarray, "n dim"]:
        """float32 [windows, samples] each -> float32 [n, dim], unit length: the mean over a sound's
        windows."""
        if self._model is None:
            self._load()
        return encode_windows(batch, self.dim, self._config.batch, self._forward)

    def _load(self) -> None:
        self._device = pick_device(self._device)
        self._extractor = load_part(self.name, "AutoFeatureExtractor", self._found)
        model = load_model(self.name, "AutoModel", self._found, self._device, self._dtype)
        self._model = model.get_encoder() if model.config.is_encoder_decoder else model

    def _forward(self, windows: np.ndarray) -> np.ndarray:
        import torch

        rate = self._preparer.sample_rate
        inputs = self._extractor(list(windows), sampling_rate=rate, return_tensors="pt")
        name = self._extractor.model_input_names[0]
        features = inputs[name].to(self._device, getattr(torch, self._dtype))
        with torch.inference_mode():
            output = self._model(features)
        if self._config.pooling == "pooler" and getattr(output, "pooler_output", None) is not None:
            return np.asarray(output.pooler_output.float().cpu().numpy())
        states = output.last_hidden_state.float()
        if self._config.pooling == "cls":
            return np.asarray(states[:, 0].cpu().numpy())
        return np.asarray(_mean_of_sound(states, windows).cpu().numpy())


def encode_windows(sounds: Sequence[np.ndarray], dim: int, batch: int, forward: Any) -> np.ndarray:
    """Run `forward` over all windows of all sounds in batches; average each sound's unit vectors."""
    if not sounds:
        return np.zeros((0, dim), dtype=np.float32)
    windows = np.concatenate(list(sounds))
    rows = [unit_rows(forward(windows[start : start + batch])) for start in range(0, len(windows), batch)]
    ends = np.cumsum([len(sound) for sound in sounds])[:-1]
    return unit_rows(np.stack([part.mean(axis=0) for part in np.split(np.concatenate(rows), ends)]))


def preprocessing(found: Snapshot) -> Mapping[str, Any]:
    """The feature extractor's settings, empty where the model has none."""
    return read_json(found.folder / "preprocessor_config.json", of=f"model {found.name}")


def _window(extractor: Mapping[str, Any]) -> float:
    if isinstance(extractor.get("chunk_length"), int | float):
        return float(extractor["chunk_length"])
    if isinstance(extractor.get("max_length"), int) and "num_mel_bins" in extractor:
        return float(extractor["max_length"]) / 100  # frames of 10 ms
    return 10.0


def _mean_of_sound(states: Any, windows: np.ndarray) -> Any:
    """Mean over the part of each window that is not zero padding at its end."""
    import torch

    steps, length = states.shape[1], windows.shape[1]
    ends = length - np.argmax(windows[:, ::-1] != 0, axis=1)
    kept = torch.from_numpy(np.clip(np.ceil(ends / length * steps), 1, steps)).to(states.device)
    mask = (torch.arange(steps, device=states.device)[None] < kept[:, None]).float().unsqueeze(-1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1)
