"""Opening a database where address space is short: it reserves 8 TB and most of the memory, filled or not."""

import os
from pathlib import Path
from typing import Any

import ladybug

_FAILED = "Mmap for size"
_MOST, _LEAST, _POOL = 2**43, 2**24, 2**28


def open_database(path: Path, *, read_only: bool, max_db_size: int | None) -> Any:
    """The database; `max_db_size` (bytes, cut to a power of two) is how large it may ever grow.

    Where that is not given and the default is more address space than there is (`ulimit -v`, some containers), half of
    the largest power of two that there is: the rest of the program needs some too.
    """
    if max_db_size is not None:
        return _of_size(path, read_only, 1 << (max_db_size.bit_length() - 1))
    try:
        return ladybug.Database(path, read_only=read_only)
    except RuntimeError as error:
        if not is_too_little_space(error):
            raise
    size = _MOST
    while True:
        size //= 2
        try:
            _of_size(path, read_only, size).close()
            return _of_size(path, read_only, size // 2)
        except RuntimeError as error:
            if not is_too_little_space(error) or size // 2 < _LEAST:
                raise


def _of_size(path: Path, read_only: bool, size: int) -> Any:
    """The memory that queries may take is reserved as well: no more of it than of the database, but for little ones."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else size
    pool = min(max(size, _POOL), memory * 4 // 5)
    return ladybug.Database(path, read_only=read_only, max_db_size=size, buffer_pool_size=pool)


def is_too_little_space(error: BaseException) -> bool:
    """Whether the database did not get the address space it asked for."""
    return _FAILED in str(error)
