"""Finding a `transformers` model: a local folder, or a hub snapshot."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.text import one_line
from encoders.base import file_hash
from encoders.errors import EncoderError

_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class Snapshot:
    """A folder that holds config, tokenizer or feature extractor, and safetensors weights."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    identity: str
    """The hub's commit, or a hash over the folder's files."""

    def number(self, *keys: str) -> int:
        """The first of these config entries that is there, looked for at the top and in `text_config`."""
        for level in (self.config, self.config.get("text_config") or {}):
            for key in keys:
                if isinstance(level.get(key), int):
                    return int(level[key])
        raise EncoderError(f"model {self.name}: config.json has none of {', '.join(keys)}; it is no model of this kind")

    def positions(self) -> int:
        """How many tokens the model takes, special ones included."""
        most = self.config.get("max_position_embeddings")
        if not isinstance(most, int):
            return 2**31
        # RoBERTa's kin count positions from the padding index on.
        roberta = self.config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet")
        return most - 2 if roberta else most


def snapshot(encoder: str, model: str, revision: str | None, identity: str | None = None) -> Snapshot:
    """Resolve a model; raises `EncoderError` that says what to download or which local folder to give."""
    local = Path(model).expanduser()
    folder = local if local.is_dir() else _download(encoder, model, revision)
    config = _config(encoder, model, folder)
    weights = list(folder.glob("*.safetensors"))
    if not weights:
        raise EncoderError(
            f"{encoder}: {model} has no *.safetensors weights (pickled ones are not read); "
            "convert it with save_pretrained(folder, safe_serialization=True)"
        )
    files = [p for pattern in _FILES for p in folder.glob(pattern) if p.is_file()]
    known = identity or (file_hash(*files) if local.is_dir() else folder.name)
    return Snapshot(model, folder, config, known)


def load_model(encoder: str, kind: str, found: Snapshot, device: str, dtype: str) -> Any:
    """A transformers model class (by name) with its weights, in evaluation mode on the device."""
    import torch

    model = load_part(encoder, kind, found, use_safetensors=True, dtype=getattr(torch, dtype))
    return model.eval().to(device)


def load_part(encoder: str, kind: str, found: Snapshot, **options: Any) -> Any:
    """`transformers.<kind>.from_pretrained` of the local folder; what goes wrong becomes one line."""
    import transformers
    from transformers.utils import logging

    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # nothing below the command line prints
    try:
        loader = getattr(transformers, kind)
        folder = str(found.folder)
        return loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError) as error:
        raise EncoderError(f"{encoder}: {found.name} cannot be loaded as {kind}: {one_line(error, 300)}") from error
    finally:
        if shown:
            bars.enable_progress_bar()


def _download(encoder: str, model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    if model.startswith((".", "/", "~")):
        raise EncoderError(f"{encoder}: folder {model} does not exist")
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{encoder}: model {model} is neither a local folder nor to be had from the hub "
            f"({one_line(error, 120)}); "
            "download it where there is a network and give the folder's path as model"
        ) from error


def _config(encoder: str, model: str, folder: Path) -> Mapping[str, Any]:
    try:
        loaded = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{encoder}: {model} has no readable config.json: {one_line(error, 300)}") from error
    if not isinstance(loaded, dict):
        raise EncoderError(f"{encoder}: {model}/config.json holds no settings")
    return loaded
