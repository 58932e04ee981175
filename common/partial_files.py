"""Files that are whole or not there: written under a temporary name, then put in place."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PREFIX = ".tmp-"
_STALE_SECONDS = 3600.0
"""No writer takes longer, so what is older was left by one that was killed."""


@contextmanager
def partial_file(folder: Path) -> Iterator[BinaryIO]:
    """A new temporary file in `folder`, gone at the end of the block unless `keep` gave it a name."""
    path = folder / f"{_PREFIX}{uuid.uuid4().hex}"
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


def remove_stale(folder: Path) -> int:
    """Delete temporary files that a killed writer left, never one that may still be written; bytes freed."""
    freed = 0
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            info = path.stat()
            if time.time() - info.st_mtime > _STALE_SECONDS:
                path.unlink()
                freed += info.st_size
    return freed
