"""`manifest.json`, the contract that other tools read: what a bundle is made of, and the SHA-256 of each file.

`docs/manifest.schema.json` is this module's model as JSON Schema.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, FiniteFloat, JsonValue, NonNegativeInt, Tag, ValidationError

from common.files import sha256_of
from common.text import one_line, printable
from gnn.errors import BundleError

MANIFEST = "manifest.json"
FORMAT = (1, 1)
"""Major and minor: another major is read by no other version, a minor adds to the one before."""

_MAX_BYTES = 4 << 20

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DotStructure(BaseModel):
    """`user_vectors[u] @ item_vectors.T`."""

    kind: Literal["dot"]


class ItemItemStructure(BaseModel):
    """`history[u] @ weights`, and what is popular where the row is empty."""

    kind: Literal["item_item"]
    weights: Literal["dense", "sparse"]
    """`dense`: a matrix, items x items. `sparse`: compressed rows."""


class SumStructure(BaseModel):
    """A weighted sum; the arrays of part `n` have names that start with `n.`."""

    kind: Literal["sum"]
    weights: list[FiniteFloat]
    normalise: bool | Literal["rank"]
    """What is done with each part's row first: divided by its standard deviation over all items (true), replaced by
    places from 1 (best) down to 0 (`rank`), or nothing (false)."""
    parts: list["Structure"]


class RankedStructure(BaseModel):
    """The first candidates of a retriever, whose arrays have names that start with `retriever.`, ordered by trees.

    A candidate scores `trees(features) + blend * z`, z the retriever's score over the user's mean and deviation.
    `ranker.onnx` is the trees; what they look at is computed from the arrays whose names start with `ranker.`.
    """

    kind: Literal["ranked"]
    candidates: int = Field(ge=1, le=10_000)
    blend: FiniteFloat
    features: list[str]
    """What the columns are that the trees look at, in order."""
    links: list[str]
    """Kinds of links between items, in the order of `ranker.links.0` and on."""
    shared: list[str]
    """What items have in common, relation by relation, in the order of `ranker.shared.0` and on."""
    facts: list[str]
    """Numbers of each item, in the order of `ranker.fact.0` and on."""
    habits: list[str]
    """Numbers of each user, in the order of `ranker.habit.0` and on."""
    retriever: "Structure"


class OtherStructure(BaseModel, extra="allow"):
    """A kind of a later version."""

    kind: str


_KINDS = ("dot", "item_item", "sum", "ranked")


def _tag(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return kind if kind in _KINDS else "other"


Structure = Annotated[
    Annotated[DotStructure, Tag("dot")]
    | Annotated[ItemItemStructure, Tag("item_item")]
    | Annotated[SumStructure, Tag("sum")]
    | Annotated[RankedStructure, Tag("ranked")]
    | Annotated[OtherStructure, Tag("other")],
    Discriminator(_tag),
]


class Manifest(BaseModel, extra="allow", strict=True):
    """The manifest of a bundle: a folder with a trained recommender. More keys than these may be there."""

    format_version: Literal[1] | Annotated[str, Field(pattern="^[0-9]+[.][0-9]+$")]
    """`major.minor`; 1 is 1.0. A reader of the same major version and no earlier minor one reads it."""
    files: dict[str, Sha256]
    """SHA-256 of every other file but documents (`*.md`); a file that is not listed makes the bundle invalid."""
    scorer: Structure
    """How the arrays of `model.safetensors` make up scores."""
    users: NonNegativeInt
    """Rows of `users.parquet`."""
    items: NonNegativeInt
    """Rows of `items.parquet`."""
    model: str | None = None
    """The recommender's name."""
    dataset: str | None = None
    """The run's name."""
    dataset_fingerprint: str | None = None
    """SHA-256 of the graph that it was fitted on."""
    graph_schema: str | None = None
    """SHA-256 of that graph's labels, properties and types."""
    seed: int | None = None
    split: str | None = None
    """What `metrics` were measured on."""
    metrics: JsonValue = None
    """`{"recall@20": {"mean": .., "ci95": [.., ..]}, ..}`."""
    settings: JsonValue = None
    """The `gnn:` section that fits it again."""
    fitted_on: list[str] | None = None
    """Splits of a model that was refitted on more than train."""
    measured: JsonValue = None
    """The model whose settings a refitted one has: its bundle, split and metrics."""
    precision: Literal["float32", "float16", "int8", "pq"] | None = None
    """Of an export: how the arrays are stored. A matrix `m` of int8 has `m.scale`, one for each row. With `pq` vectors
    `v` lie as `v.codes` (rows x pieces) and `v.codebooks` (pieces x 256 x numbers)."""
    source: Sha256 | None = None
    """Of an export: the SHA-256 of the original's manifest."""
    agreement: JsonValue = None
    """Of an export: how far it ranks as the original does."""
    onnx: list[str] | None = None
    """Inputs of `scorer.onnx`, where there is one."""
    item_encoder: list[str] | None = None
    """Inputs of `item_encoder.onnx`, where there is one."""


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest."""
    schema = Manifest.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def read_manifest(path: Path) -> tuple[dict[str, Any], str]:
    """The manifest and its SHA-256, checked in itself but not against the files. Raises `BundleError` in one line."""
    file = Path(path) / MANIFEST
    if not file.is_file() or file.is_symlink():
        raise BundleError(f"{path}: no {MANIFEST}, so this is no bundle; give the folder that `train` wrote")
    if file.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{path}: {MANIFEST} has {file.stat().st_size} bytes, over {_MAX_BYTES}; train again")
    raw = file.read_bytes()
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST} is no JSON ({one_line(error)}); train again") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError(f"{path}: {MANIFEST} lists no files; train again")
    _check_version(path, manifest.get("format_version"))
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = one_line(".".join(map(str, first["loc"])))
        told = printable(one_line(first["msg"]))
        raise BundleError(f"{path}: {MANIFEST}: {where!r}: {told}; train again") from error
    return manifest, hashlib.sha256(raw).hexdigest()


def write_manifest(folder: Path, manifest: Mapping[str, Any], files: list[str]) -> str:
    """Write a manifest of the named files of a folder; its SHA-256."""
    content = {**manifest, "format_version": "{}.{}".format(*FORMAT)}
    content["files"] = {name: sha256_of(folder / name) for name in files}
    try:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise BundleError(f"manifest of {folder.name}: {error}; give plain JSON values, no NaN") from error
    (folder / MANIFEST).write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def _check_version(path: Path, version: object) -> None:
    """Raise `BundleError` where this version cannot read it."""
    text = "1.0" if type(version) is int and version == 1 else version
    found = _VERSION.fullmatch(text) if isinstance(text, str) else None
    format_ = (int(found[1]), int(found[2])) if found else (0, 0)
    if format_[0] != FORMAT[0] or format_ > FORMAT:
        shown = one_line(repr(version))
        cure = "update Modalweave or train again" if format_ > FORMAT else "train again"
        raise BundleError(
            f"{path}: bundle format {shown}, this version reads {FORMAT[0]}.0 to {FORMAT[0]}.{FORMAT[1]}; {cure}"
        )
