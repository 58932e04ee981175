"""The one config file of a run: each room's own settings, composed."""

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ByteSize, Field, NonNegativeInt, ValidationError, field_validator, model_validator

from common.problems import place, sentence
from encoders import AUTO, DEFAULTS, DecodeLimits, EncoderError, checked_spec
from encoders.chat import Chat, LanguageModelConfig
from etl.config import NeighbourConfig, SourceConfig, SplitConfig
from etl.enrichment.config import EnrichmentConfig
from evaluation.config import BEST_CLOSED_FORM, EvaluationConfig
from gnn.config import GNNConfig
from gnn.registry import COMPOSITE, RECOMMENDERS, settings_of
from gnn.sections import Sectioned
from graph.schema import MODALITIES
from modalweave.errors import ConfigError
from modalweave.study.config import StudyConfig, TuneConfig
from modalweave.workspace import Workspace
from scoring.config import ScoringConfig

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""


class RunConfig(BaseModel, extra="forbid"):
    """Everything a run needs; only `source` has no default."""

    name: str = "run"
    """What the run is called, in any script; also its folder under `runs/`."""

    source: SourceConfig
    """Where the catalogue lies and in which format."""

    workspace: Path = Path()
    """Folder for every product of the run; `runs/<name>` unless given."""

    store: str = "ladybug"
    """`ladybug` (inside the workspace), `ladybug:PATH` or a Bolt address (`#NAME` after it: a database)."""

    database: str | None = None
    """Name of the Neo4j database, where it is not the server's default."""

    max_db_size: ByteSize | None = Field(None, ge=2**24)
    """How large the embedded store may grow, e.g. `64GB`: address space that is reserved, 8 TB or what there is."""

    split: SplitConfig = Field(default_factory=SplitConfig)
    """How interactions are held out where the source does not say."""

    encoders: dict[str, str | dict[str, Any] | None] = {**DEFAULTS, "text": AUTO}
    """Modality -> encoder name, or its settings, or null to leave raw media of that modality out. `text: auto` is
    `minilm`, or `lexical` where most texts are in scripts that it cannot read."""

    language_model: LanguageModelConfig | None = None
    """A language model on a server, for `enrich` and `ask`; nothing else needs one."""

    enrich: EnrichmentConfig = Field(default_factory=EnrichmentConfig)
    """Texts and facts that the language model writes into the graph; none unless a task is named."""

    limits: DecodeLimits = Field(default_factory=DecodeLimits)
    """How large a media file may be before it is quarantined instead of decoded."""

    neighbours: NeighbourConfig = Field(default_factory=NeighbourConfig)
    """How similar media nodes are linked."""

    gnn: GNNConfig = Field(default_factory=GNNConfig)
    """The recommender; empty means the automatic choice on validation."""

    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """Which metrics, at which depth."""

    scoring: ScoringConfig = Field(default_factory=ScoringConfig)
    """The batch job."""

    study: StudyConfig = Field(default_factory=StudyConfig)
    """Variants side by side."""

    tune: TuneConfig = Field(default_factory=TuneConfig)
    """The search on validation."""

    tensorboard: bool = False
    """Write each network's training curves into the workspace's `tensorboard/` (needs the extra of that name)."""

    seed: NonNegativeInt = 0
    """Seed of every random choice: split, initial vectors, batches, bootstrap."""

    @field_validator("name", mode="before")
    @classmethod
    def _is_a_folders_name(cls, name: object) -> object:
        if isinstance(name, str):
            return checked_name(name)
        return str(name) if isinstance(name, int) else name

    @model_validator(mode="after")
    def _fill(self) -> "RunConfig":
        unknown = set(self.encoders) - set(MODALITIES)
        if unknown:
            raise ValueError(f"encoders: unknown modality {sorted(unknown)[0]!r}; known are {', '.join(MODALITIES)}")
        for modality, spec in self.encoders.items():
            try:
                if spec is not None and (modality, spec) != ("text", AUTO):
                    checked_spec(spec)
            except EncoderError as error:
                raise ValueError(f"encoders.{modality}: {error}") from None
        self.encoders = {**DEFAULTS, "text": AUTO, **self.encoders}
        if self.language_model is not None:
            try:
                Chat(self.language_model)
            except EncoderError as error:
                raise ValueError(str(error)) from None
        elif self.enrich:
            raise ValueError("enrich needs a model; give language_model: {address: http://127.0.0.1:8000/v1, model: X}")
        for name in self.evaluation.baselines:
            if RECOMMENDERS.checked(name, also=[BEST_CLOSED_FORM]) in COMPOSITE:
                raise ValueError(f"evaluation.baselines: {name!r} takes a whole training; name what is cheap")
        if self.workspace == Path():
            self.workspace = Path("runs") / self.name
        return self

    @property
    def store_address(self) -> str:
        """The store's full address: `ladybug` stands for the graph inside the workspace."""
        return f"ladybug:{Workspace(self.workspace).graph}" if self.store == "ladybug" else self.store


def checked_name(name: str) -> str:
    """A run's name in one Unicode form: a folder on every system, one word in a shell. Raises `ValueError`."""
    name = unicodedata.normalize("NFC", name)
    bad = next((c for c in name if c not in "._-" and unicodedata.category(c)[0] not in "LMN"), None)
    if bad is not None or not name or name[0] in "-." or len(name.encode()) > _LONGEST_NAME:
        what = f"{bad!r} is none" if bad is not None else f"it starts with one, in at most {_LONGEST_NAME} bytes"
        raise ValueError(f"a name is letters and digits of any script, '.', '_' and '-'; {what}")
    return name


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML config; `overrides` are `dotted.key=value` with YAML values.

    Raises `ConfigError` in one line that names the key, its value and, for an unknown key, the nearest known one.
    """
    raw = read_config(path)
    for override in overrides:
        _apply(raw, override)
    return parse_config(raw, where=str(path))


def read_config(path: Path) -> dict[str, Any]:
    """The keys of a YAML config, not looked at yet. Raises `ConfigError`."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; name the config file in it, e.g. {path / 'config.yaml'}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {_unreadable(error)}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a config is a mapping with at least 'source', not {type(raw).__name__}")
    return raw


def parse_config(raw: dict[str, Any], *, where: str = "config") -> RunConfig:
    """Validate a config that is already in memory."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first(error)}") from None


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _apply(raw: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not dotted:
        raise ConfigError(f"--set {override!r}: write it as key.subkey=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value {text!r} is not readable as YAML") from None
    try:
        set_key(raw, dotted, value)
    except ConfigError as error:
        raise ConfigError(f"--set {override!r}: {error}") from None


def set_key(raw: dict[str, Any], dotted: str, value: object) -> None:
    """Set `key.subkey` of a config that is not validated yet. Raises `ConfigError` where a parent holds no keys."""
    *parents, last = dotted.split(".")
    target = raw
    for parent in parents:
        inner = target.get(parent)
        if inner is None:
            inner = target[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"key {dotted!r}: {parent!r} is {inner!r} and holds no keys")
        target = inner
    target[last] = value


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = place(problem)
    if problem["type"] == "extra_forbidden":
        known = sorted(set(_keys(RunConfig)))
        near = difflib.get_close_matches(where[-1], _siblings(where[:-1]) or known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(_siblings(where[:-1]))}"
        return f"unknown key {'.'.join(where)!r} (value {problem['input']!r}){hint}"
    if problem["type"] == "missing":
        return f"key {'.'.join(where)!r} is missing"
    if not where:
        return problem["msg"].removeprefix("Value error, ")
    return f"{'.'.join(where)}: {sentence(error)}"


def _unreadable(error: yaml.YAMLError) -> str:
    """Where a file stops being YAML, and what it is most often."""
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", ""))
    at = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
    if "\\t" in problem:
        return f"{at} holds a tab; indent with spaces"
    if "mapping values" in problem:
        return f"{at} holds a second ':'; put a value with ': ' in it in quotes, and one key on a line"
    return f"{at} breaks off; look at its quotes, brackets and indentation, and those of the line before"


def _siblings(path: Iterable[str]) -> list[str]:
    model: type[BaseModel] | None = RunConfig
    for part in path:
        if model is not None and not part.isdigit():  # a place in a list is no key
            model = _model_of(model, part)
    if model is None:
        return []
    return model.keys() if issubclass(model, Sectioned) else list(model.model_fields)


def _model_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The settings under a key, in a section, a list or an optional one as well."""
    if key in model.model_fields:
        return _inside(model.model_fields[key].annotation)
    owner = model.owner(key) if issubclass(model, Sectioned) else None
    return settings_of(owner) if owner else None


def _inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inside(part))), None)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation)
