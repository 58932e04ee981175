"""A bundle's files in memory, each read once and checked on the way: what was hashed is what is used.

Safetensors offers a file by its name or a copy of its bytes; a name could lead to another file after the check, and a
copy doubles the weights. So a file is read into one buffer, and its arrays are views of that.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gnn.bundle.manifest import MANIFEST
from gnn.bundle.tensors import Tensors
from gnn.errors import BundleError

REQUIRED = ("model.safetensors", "seen.safetensors", "users.parquet", "items.parquet")
Content = UInt8[np.ndarray, "bytes"]

_LEFT_BY_TOOLS = {"registered_model_meta"}
"""Beside hidden files: what MLflow's registry puts into a folder it hands out."""

_BLOCK = 1 << 20
_MAX_SIZE = 1 << 40
"""Of a dimension or an offset: above it nothing is meant."""
# a link or a pipe put in a file's place is not followed and not waited for
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DTYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
}


def is_document(name: str) -> bool:
    """Whether a file is for people or their tools alone: it may be edited, added or gone."""
    return name.lower().endswith(".md") or name.startswith(".") or name in _LEFT_BY_TOOLS


def verified_files(path: Path, listed: Mapping[str, object], kept: Sequence[str]) -> dict[str, Content]:
    """The content of the files to keep; of those listed nothing is missing, extra or altered but documents.

    `listed`: name -> SHA-256, as the manifest has it. Files that are not kept are hashed block by block.
    """
    for name in listed:
        if PurePosixPath(name).name != name or name in ("", ".", "..", MANIFEST) or "\\" in name or "\0" in name:
            raise BundleError(f"{path}: {MANIFEST} names {name!r}, which is no plain file name; train again")
    listed = {name: digest for name, digest in listed.items() if not is_document(name)}
    present = {entry.name for entry in path.iterdir() if not is_document(entry.name)} - {MANIFEST}
    missing = sorted((set(listed) | set(REQUIRED)) - (present & set(listed)))
    if missing:
        raise BundleError(f"{path}: {_named(missing[0])} is missing; copy the whole bundle again or train again")
    extra = sorted(present - set(listed))
    if extra:
        raise BundleError(f"{path}: {extra[0]!r} is not listed in {MANIFEST}; remove it or train again")
    found = {}
    for name, digest in listed.items():
        content, hashed = _read(path, name, keep=name in kept)
        if hashed != digest:
            raise BundleError(
                f"{path}: {_named(name)} does not match its hash; copy the whole bundle again or train again"
            )
        if content is not None:
            found[name] = content
    return found


def arrays(content: Content) -> Tensors:
    """The arrays of a safetensors file, as views of its content; `ValueError` or `KeyError` for what is none."""
    size = int.from_bytes(content[:8].tobytes(), "little")
    if len(content) < 8 or size > len(content) - 8:
        raise ValueError(f"a header of {size} bytes in a file of {len(content)}")
    header = json.loads(content[8 : 8 + size].tobytes())
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    header.pop("__metadata__", None)
    data, views, end = content[8 + size :], {}, 0
    spans = {name: _span(name, entry) for name, entry in header.items()}
    for name, (start, stop) in sorted(spans.items(), key=lambda item: item[1]):
        if start != end:  # as safetensors itself asks
            raise ValueError(f"array {name!r} starts at byte {start}, the one before it ends at {end}")
        end = stop
        views[name] = _view(data, name, header[name])
    if end != len(data):
        raise ValueError(f"{len(data)} bytes of which {end} belong to arrays")
    return views


def _span(name: str, entry: object) -> tuple[int, int]:
    """Where an array starts and ends, checked in itself."""
    if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
        raise ValueError(f"array {name!r} has no known type")
    numbers = [*entry["shape"], *entry["data_offsets"]]
    if not all(type(number) is int and 0 <= number <= _MAX_SIZE for number in numbers):
        raise ValueError(f"array {name!r} has sizes {numbers}")
    start, stop = entry["data_offsets"]
    if math.prod(entry["shape"]) * np.dtype(_DTYPES[entry["dtype"]]).itemsize != stop - start:
        raise ValueError(f"array {name!r} has shape {entry['shape']} in {stop - start} bytes")
    return start, stop


def _view(data: Content, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    start, stop = entry["data_offsets"]
    if stop > len(data):
        raise ValueError(f"array {name!r} ends at byte {stop} of {len(data)}")
    return data[start:stop].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _named(name: str) -> str:
    """A name as a message shows it: in one line."""
    return name if name.isprintable() else repr(name)


def _read(path: Path, name: str, *, keep: bool) -> tuple[Content | None, str]:
    """The content where it is kept, and its SHA-256, from one opened file."""
    try:
        with open(path / name, "rb", opener=_opened) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise BundleError(f"{path}: {_named(name)} is no regular file; copy the whole bundle again")
            if not keep:
                return None, hashlib.file_digest(file, "sha256").hexdigest()
            return _filled(file, facts.st_size)
    except OSError as error:
        raise BundleError(f"{path}: {_named(name)} is no regular file; copy the whole bundle again") from error


def _filled(file: BufferedReader, size: int) -> tuple[Content, str]:
    content = np.empty(size, dtype=np.uint8)
    bytes_of = content.data
    digest, done = hashlib.sha256(), 0
    while read := file.readinto(bytes_of[done : done + _BLOCK]):
        digest.update(bytes_of[done : done + read])
        done += read
    # a file that shrank or grew meanwhile matches no hash
    return content, digest.hexdigest() if done == size and not file.read(1) else ""


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | _FLAGS)
