"""Encoders by name. Adding one: a module with `Config` and `build(config, device)`, and a line here.

An installed package adds one by an entry point of group `modalweave.encoders` that names such a module.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from common.problems import sentence
from common.registry import Registry, UnknownName
from common.text import suggestion
from encoders.errors import EncoderError

if TYPE_CHECKING:
    from encoders.base import Encoder


class EncoderModule(Protocol):
    """What a name stands for."""

    Config: type[BaseModel]

    def build(self, config: Any, device: str) -> "Encoder":
        """The encoder; raises `EncoderError` where its weights are missing."""


ENCODERS: Registry[EncoderModule] = Registry(
    "encoder",
    {
        "minilm": "encoders.models.minilm",
        "lexical": "encoders.models.lexical",
        "sentence_transformers": "encoders.models.sentence_transformers",
        "endpoint": "encoders.models.endpoint",
        "efficientnet_lite0": "encoders.models.efficientnet",
        "open_clip": "encoders.models.open_clip",
        "logmel": "encoders.models.logmel",
        "clap": "encoders.models.clap",
        "transformers_audio": "encoders.models.transformers_audio",
    },
    group="modalweave.encoders",
)
"""Name -> the module that holds its `Config` and `build`."""

RENAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "transformers_text": ("sentence_transformers", {"pooling": "mean", "prompt": "", "max_length": 512}),
}
"""A name of an earlier release -> today's, and the settings that make it what it was. Goes with the next release."""

DEFAULTS: Mapping[str, str] = {"text": "minilm", "image": "efficientnet_lite0", "audio": "logmel"}
"""Modality -> the encoder that works without a model hub."""

AUTO = "auto"
"""The text encoder of a catalogue that names none: chosen by the language of its texts (`automatic`)."""


def renamed(spec: str | Mapping[str, Any]) -> str | None:
    """One line to tell about a name of an earlier release, None for a name of today."""
    name = spec if isinstance(spec, str) else str(spec.get("name"))
    if name not in RENAMED:
        return None
    return f"encoder {name!r} is now {RENAMED[name][0]!r}; the old name goes with the next release"


def automatic(texts: Sequence[str]) -> str:
    """The name of the text encoder that can read most of these texts without a model hub."""
    from encoders.text import mostly_foreign  # here: who only reads a config loads no decoder

    foreign = sum(map(mostly_foreign, texts))
    return "lexical" if 2 * foreign > len(texts) else DEFAULTS["text"]


def make_encoder(spec: str | Mapping[str, Any], *, device: str = "auto") -> "Encoder":
    """An encoder from its name, or from a mapping with `name` and the fields of its config.

    `device`: auto, cpu, cuda, cuda:1, ... Raises `EncoderError` for an unknown name or field and for
    missing weights.
    """
    name, settings = _named(spec)
    module = ENCODERS[name]
    return module.build(_config(name, module.Config, settings), device)


def checked_spec(spec: str | Mapping[str, Any]) -> None:
    """Raise `EncoderError` for an unknown name or setting; no weights are looked for."""
    name, settings = _named(spec)
    if settings:
        _config(name, ENCODERS[name].Config, settings)


def _named(spec: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    settings = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = settings.pop("name", None)
    if isinstance(name, str) and name in RENAMED:
        name, meant = RENAMED[name]
        settings = {**meant, **settings}
    try:
        return ENCODERS.checked(str(name)), settings
    except UnknownName as error:
        raise EncoderError(str(error) if name is not None else f"an encoder wants a name: {spec!r}") from error


def _config(name: str, model: type[BaseModel], settings: Mapping[str, Any]) -> BaseModel:
    try:
        return model(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = suggestion(where, model.model_fields, "it has") if model.model_fields else "it has no settings"
        plain = first["msg"] if first["type"] == "missing" else sentence(error)
        message = "no such setting; " + known if first["type"] == "extra_forbidden" else plain
        raise EncoderError(f"encoder {name}: {where}: {message}") from error
