"""Every `open_clip` model: pictures and texts in one space, by tag, from the hub or from local safetensors.

{model: ViT-B-32, pretrained: laion2b_s34b_b79k}       a tag that open_clip knows (downloads the weights)
{model: ViT-B-32, pretrained: /models/mine.safetensors}  a known architecture, local weights
{model: "local-dir:/models/mine"}                      a folder with open_clip_config.json and
safetensors weights
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, PositiveInt

from common.text import one_line
from common.vectors import unit_rows
from encoders.base import EncoderBase, Preparer, make_fingerprint
from encoders.device import Dtype, dtype_name, pick_device
from encoders.errors import EncoderError
from encoders.image import Fit, ImagePreparer
from encoders.text import TextPreparer

_FITS: Mapping[str, Fit] = {"shortest": "crop", "longest": "pad", "squash": "stretch"}


class Config(BaseModel, extra="forbid"):
    """Settings of the `open_clip` encoder."""

    model: str = "ViT-B-32"
    """An architecture that open_clip knows, `hf-hub:ORG/NAME` or `local-dir:FOLDER`."""

    pretrained: str | None = None
    """A tag of the architecture, or a local .safetensors file; not used with hf-hub: and local-dir:."""

    prompt: str = ""
    """Put before every text, e.g. "a photo of "."""

    batch: PositiveInt = 32
    """Pictures or texts in one forward pass."""

    dtype: Dtype = "auto"
    """float32, bfloat16, or auto: bfloat16 on a GPU and on CPUs that multiply it natively."""


def build(config: Config, device: str) -> "OpenClip":
    """The encoder with its weights loaded; raises `EncoderError` where they cannot be found."""
    return OpenClip(config, device)


class OpenClip(EncoderBase):
    """Pictures and texts to CLIP's shared space."""

    name = "open_clip"
    modalities = ("text", "image")

    def __init__(self, config: Config, device: str = "auto") -> None:
        self.batch, self._config = config.batch, config
        self._device = pick_device(device)
        self._dtype = dtype_name(config.dtype, self._device)
        self._model, self._tokenizer = _load(config, self._device, self._dtype)
        settings = dict(self._model.visual.preprocess_cfg)
        self._mean, self._std = settings["mean"], settings["std"]
        self._pictures = _pictures(config.model, settings)
        self.dim = self._encode_texts(["a"]).shape[1]
        self.fingerprint = make_fingerprint(
            self.name,
            model=config.model.removeprefix("local-dir:").split("/")[-1],
            weights=_weights_identity(self._model),
            dtype=self._dtype,
            prompt=config.prompt,
            preprocessing=[repr(self._pictures), list(self._mean), list(self._std)],
            version=1,
        )

    def preparer(self, modality: str) -> Preparer:
        """Pictures to uint8 [size, size, 3], texts to cleaned strings."""
        return self._pictures if modality == "image" else TextPreparer()

    def encode(self, batch: Sequence[np.ndarray], modality: str) -> Float[np.ndarray, "n dim"]:
        """Prepared pictures or texts -> float32 [n, dim], unit length."""
        rows = []
        for start in range(0, len(batch), self.batch):
            part = batch[start : start + self.batch]
            if modality == "image":
                rows.append(self._encode_pictures(np.stack(part)))
            else:
                rows.append(self._encode_texts([self._config.prompt + str(text) for text in part]))
        return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, self.dim), dtype=np.float32)

    def _encode_pictures(self, pictures: np.ndarray) -> np.ndarray:
        import torch

        pixels = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).float() / 255
        mean = torch.tensor(self._mean, device=self._device).view(1, 3, 1, 1)
        std = torch.tensor(self._std, device=self._device).view(1, 3, 1, 1)
        with torch.inference_mode():
            features = self._model.encode_image(((pixels - mean) / std).to(getattr(torch, self._dtype)))
        return np.asarray(features.float().cpu().numpy())

    def _encode_texts(self, texts: list[str]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            features = self._model.encode_text(self._tokenizer(texts).to(self._device))
        return np.asarray(features.float().cpu().numpy())


def _load(config: Config, device: str, dtype: str) -> tuple[Any, Any]:
    import open_clip

    _check(config)
    precision: Literal["pure_bf16", "fp32"] = "pure_bf16" if dtype == "bfloat16" else "fp32"
    level = logging.root.manager.disable
    logging.disable()  # the lines on retries and fallbacks; what fails becomes one of our own
    try:
        model = open_clip.create_model(
            config.model, config.pretrained, precision=precision, device=device, require_pretrained=True
        )
        return model.eval(), open_clip.get_tokenizer(config.model)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
        reason = one_line(error)
        raise EncoderError(
            f"open_clip: {config.model} ({config.pretrained or 'no tag'}) cannot be loaded: {reason}; "
            "give a local "
            ".safetensors file as pretrained, or model: local-dir:FOLDER"
        ) from error
    finally:
        logging.disable(level)


def _check(config: Config) -> None:
    """Refuse what open_clip would load with pickle, and weights that were never named."""
    import open_clip

    if config.model.startswith("local-dir:"):
        folder = Path(config.model.removeprefix("local-dir:"))
        if not (folder / "open_clip_config.json").is_file():
            raise EncoderError(
                f"open_clip: folder {folder} has no open_clip_config.json; save the model's config there"
            )
        if not list(folder.glob("*.safetensors")):
            raise EncoderError(f"open_clip: folder {folder} has no *.safetensors weights; pickled ones are not read")
        return
    if config.model.startswith("hf-hub:"):
        return
    if config.model not in open_clip.list_models():
        raise EncoderError(f"open_clip: model {config.model!r} is not known; open_clip.list_models() names them all")
    tags = open_clip.list_pretrained_tags_by_model(config.model)
    if config.pretrained is None:
        raise EncoderError(
            f"open_clip: {config.model} needs pretrained, a local .safetensors file or one of {', '.join(tags[:8])}"
        )
    if config.pretrained not in tags:
        path = Path(config.pretrained)
        if path.suffix != ".safetensors" or not path.is_file():
            raise EncoderError(
                f"open_clip: pretrained {config.pretrained!r} is neither a .safetensors file nor one of "
                f"{', '.join(tags[:8])}"
            )


def _pictures(model: str, settings: Mapping[str, Any]) -> ImagePreparer:
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if height != width:
        raise EncoderError(f"open_clip: {model} wants pictures of {height} x {width}; only square ones are made")
    resample = {"bicubic": "BICUBIC", "bilinear": "BILINEAR"}.get(str(settings.get("interpolation")), "BICUBIC")
    return ImagePreparer(height, _FITS.get(str(settings.get("resize_mode")), "crop"), resample)


def _weights_identity(model: Any) -> str:
    """Hash over the weights as loaded, wherever they came from."""
    import hashlib

    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
