"""Files that are whole or not there: written under a temporary name, flushed to disk, then put in place."""

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_PREFIX = ".tmp-"
_PARTIAL = re.compile(re.escape(_PREFIX) + "[0-9a-f]{32}")
_STALE_SECONDS = 3600.0
"""No writer takes longer, so what is older was left by one that was killed."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as readable JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write the bytes, whole or not at all."""
    write_whole(path, lambda partial: partial.write_bytes(content))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; the folder is made if absent.

    A kill, a full disk or a power cut leaves the old file or the new one, never half of it. `OSError` where the disk
    is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path.parent)
    try:
        write(partial)
        sync(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def partial_file(folder: Path) -> Iterator[BinaryIO]:
    """A new temporary file in `folder`, gone at the end of the block unless `keep` gave it a name."""
    path = _partial(folder)
    try:
        with path.open("xb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def keep(file: BinaryIO, path: Path) -> None:
    """Make the temporary file the whole file `path`; two writers of one path leave one of theirs."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(file.name, path)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    if path.is_dir():
        # Windows opens no folders, some file systems flush none: the files themselves are safe all the same.
        with suppress(OSError):
            _fsync(path, os.O_RDONLY)
    else:
        _fsync(path, os.O_RDWR)


def is_partial(name: str) -> bool:
    """Whether a file of this name is a writer's temporary one."""
    return _PARTIAL.fullmatch(name) is not None


def remove_stale(folder: Path) -> int:
    """Delete temporary files that a killed writer left, never one that may still be written; bytes freed."""
    freed = 0
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            info = path.stat()
            if is_partial(path.name) and time.time() - info.st_mtime > _STALE_SECONDS:
                path.unlink()
                freed += info.st_size
    return freed


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _partial(folder: Path) -> Path:
    return folder / f"{_PREFIX}{uuid.uuid4().hex}"


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
