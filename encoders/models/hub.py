"""Finding a model of the `transformers` family: a local folder, or a hub snapshot. Nothing pickled is read."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    modules: tuple[str, ...] = ()
    """Folders below it of a sentence-transformers model's parts, in order; the network's is often ""."""

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
    modules = _modules(encoder, model, folder)
    config = read_json(folder / "config.json", of=f"{encoder}: {model}")
    if not modules and not (folder / "config.json").is_file():
        raise EncoderError(f"{encoder}: {model} has no config.json; give the folder that a model was saved to")
    for path in modules or ("",):
        _check_weights(encoder, model, folder / path, needed=not modules)
    files = sorted(path for pattern in _FILES for path in folder.rglob(pattern) if path.is_file())
    known = identity or (file_hash(*files) if local.is_dir() else folder.name)
    return Snapshot(model, folder, config, known, modules)


def read_json(path: Path, *, of: str) -> Mapping[str, Any]:
    """The settings in a file, none where there is no file; `of` names the model in the error."""
    loaded = _loaded(path, of) if path.is_file() else {}
    if not isinstance(loaded, dict):
        raise EncoderError(f"{of}: {path.name} holds no settings")
    return loaded


def load_model(encoder: str, kind: str, found: Snapshot, device: str, dtype: str) -> Any:
    """A transformers model class (by name) with its weights, in evaluation mode on the device."""
    import torch

    model = load_part(encoder, kind, found, use_safetensors=True, dtype=getattr(torch, dtype))
    return model.eval().to(device)


def load_part(encoder: str, kind: str, found: Snapshot, **options: Any) -> Any:
    """`transformers.<kind>.from_pretrained` of the local folder; what goes wrong becomes one line."""
    with loading(encoder, kind, found):
        import transformers

        loader = getattr(transformers, kind)
        return loader.from_pretrained(str(found.folder), local_files_only=True, trust_remote_code=False, **options)


@contextmanager
def loading(encoder: str, kind: str, found: Snapshot) -> Iterator[None]:
    """What goes wrong inside becomes one line, and the libraries keep quiet: only the command line prints."""
    from transformers.utils import logging as transformers_logging

    quiet: Any = transformers_logging
    bars, level = quiet.is_progress_bar_enabled(), quiet.get_verbosity()
    other = logging.getLogger("sentence_transformers")
    other_level = other.level
    quiet.disable_progress_bar()
    quiet.set_verbosity_error()
    other.setLevel(logging.ERROR)
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError) as error:
        raise EncoderError(f"{encoder}: {found.name} cannot be loaded as {kind}: {one_line(error, 300)}") from error
    finally:
        quiet.set_verbosity(level)
        other.setLevel(other_level)
        if bars:
            quiet.enable_progress_bar()


def _download(encoder: str, model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if model.startswith((".", "/", "~")):
        raise EncoderError(f"{encoder}: folder {model} does not exist")
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{encoder}: model {model} is neither a local folder nor to be had from the hub "
            f"({one_line(error, 120)}); "
            "download it where there is a network and give the folder's path as model"
        ) from error
    finally:
        if shown:
            enable_progress_bars()


def _modules(encoder: str, model: str, folder: Path) -> tuple[str, ...]:
    if not (folder / "modules.json").is_file():
        return ()
    listed = _loaded(folder / "modules.json", f"{encoder}: {model}")
    if not isinstance(listed, list) or not all(isinstance(m, dict) and isinstance(m.get("path"), str) for m in listed):
        raise EncoderError(f"{encoder}: {model}: modules.json lists no modules with their paths")
    paths = tuple(module["path"] for module in listed)
    for path in paths:
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise EncoderError(f"{encoder}: {model}: modules.json names {path!r}, which lies outside the folder")
    return paths


def _check_weights(encoder: str, model: str, folder: Path, *, needed: bool) -> None:
    """Safetensors where there are weights, and none needed in the folders of layers that have none."""
    pickled = [path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern)]
    if (needed or pickled) and not any(folder.glob("*.safetensors")):
        raise EncoderError(
            f"{encoder}: {model} has no *.safetensors weights (pickled ones are not read); "
            "convert it with save_pretrained(folder, safe_serialization=True)"
        )


def _loaded(path: Path, of: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{of} has no readable {path.name}: {one_line(error, 300)}") from error
