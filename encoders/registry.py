"""Encoders by name. Adding one: a module with `Config` and `build(config, device)`, and a line here."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from encoders.base import Encoder
from encoders.errors import EncoderError

ENCODERS: Mapping[str, str] = {
    "minilm": "encoders.models.minilm",
    "sentence_transformers": "encoders.models.sentence_transformers",
    "efficientnet_lite0": "encoders.models.efficientnet",
    "open_clip": "encoders.models.open_clip",
    "logmel": "encoders.models.logmel",
    "clap": "encoders.models.clap",
    "transformers_audio": "encoders.models.transformers_audio",
}
"""Name -> the module that holds its `Config` and `build`."""

RENAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "transformers_text": ("sentence_transformers", {"pooling": "mean", "prompt": "", "max_length": 512}),
}
"""A name of an earlier release -> today's, and the settings that make it what it was. Goes with the next release."""

DEFAULTS: Mapping[str, str] = {"text": "minilm", "image": "efficientnet_lite0", "audio": "logmel"}
"""Modality -> the encoder that works without a model hub."""


def renamed(spec: str | Mapping[str, Any]) -> str | None:
    """One line to tell about a name of an earlier release, None for a name of today."""
    name = spec if isinstance(spec, str) else str(spec.get("name"))
    if name not in RENAMED:
        return None
    return f"encoder {name!r} is now {RENAMED[name][0]!r}; the old name goes with the next release"


def make_encoder(spec: str | Mapping[str, Any], *, device: str = "auto") -> Encoder:
    """An encoder from its name, or from a mapping with `name` and the fields of its config.

    `device`: auto, cpu, cuda, cuda:1, ... Raises `EncoderError` for an unknown name or field and for
    missing weights.
    """
    settings = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = settings.pop("name", None)
    if isinstance(name, str) and name in RENAMED:
        name, meant = RENAMED[name]
        settings = {**meant, **settings}
    if not isinstance(name, str) or name not in ENCODERS:
        near = difflib.get_close_matches(str(name), ENCODERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(ENCODERS)}"
        raise EncoderError(f"encoder {name!r} is not known; {hint}")
    module = importlib.import_module(ENCODERS[name])
    config = _config(name, module.Config, settings)
    encoder: Encoder = module.build(config, device)
    return encoder


def _config(name: str, model: type[BaseModel], settings: Mapping[str, Any]) -> BaseModel:
    try:
        return model(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        near = difflib.get_close_matches(where, model.model_fields, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(model.model_fields) or 'no settings'}"
        message = "no such setting; " + known if first["type"] == "extra_forbidden" else first["msg"]
        raise EncoderError(f"encoder {name}: {where}: {message}") from error
