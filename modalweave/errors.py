"""What the command line turns into one line and exit code 1."""

import errno
from collections.abc import Mapping

from encoders.errors import EncoderError
from etl.errors import EtlError
from evaluation.errors import EvaluationError
from gnn.errors import GnnError
from graph.errors import GraphError
from scoring.errors import ScoringError


class ConfigError(ValueError):
    """A config file, key or override that cannot be used."""


class RunError(ValueError):
    """A stage whose input is not there yet, or does not belong to this run."""


class NothingHeldOut(RunError):
    """A measurement on a split that holds no interactions."""


EXPECTED: tuple[type[Exception], ...] = (
    ConfigError,
    RunError,
    EncoderError,
    EtlError,
    EvaluationError,
    GnnError,
    GraphError,
    ScoringError,
    OSError,
)
"""Failures with a message for the user; anything else is a bug and keeps its traceback."""

_WAYS: Mapping[int, str] = {
    errno.EISDIR: "is a folder; name a file",
    errno.ENOTDIR: "is no folder, or lies under a file; name another path",
    errno.EEXIST: "is there already; name another path",
    errno.ENOENT: "does not exist, nor can it be made; name another path",
    errno.ENOSPC: "the disk is full; free some space and run this again",
    errno.EROFS: "lies on a disk that is read-only; name another path (workspace, --out)",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "may not be read or written by this user; name another path"),
}


def told(error: BaseException) -> BaseException | str:
    """What to print of an expected error: the system's own, which know no way out, as a sentence with one."""
    way = _WAYS.get(error.errno or 0) if isinstance(error, OSError) and error.filename is not None else None
    return f"{error.filename}: {way}" if isinstance(error, OSError) and way else error
