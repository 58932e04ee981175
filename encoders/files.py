"""Reading a file that a catalogue names: only a regular file inside the catalogue's folder."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from encoders.errors import DecodeError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def read_inside(root: Path, uri: str, limit: int) -> bytes:
    """The bytes of `root/uri`, at most `limit`; raises `DecodeError` with the reason it may not or
    cannot be read."""
    with open_inside(root, uri) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise DecodeError(f"file of {size} bytes is over the limit of {limit} bytes")
        try:
            data = file.read(size + 1)  # not limit + 1: read() sets aside all that it is asked for
        except OSError as error:
            raise DecodeError(f"cannot be read: {error.strerror}") from error
    if len(data) != size:
        raise DecodeError("file changed while it was read; it is read again in the next build")
    if not data:
        raise DecodeError("file is empty (0 bytes)")
    return data


def open_inside(root: Path, uri: str) -> BinaryIO:
    """Open a regular file inside `root` for reading.

    Refused with `DecodeError`: URLs, absolute paths, `..`, links that lead outside, folders, FIFOs,
    sockets, devices.
    A link that stays inside is followed. What was opened is judged, not what the name pointed to before.
    """
    _check_name(uri)
    base = os.path.realpath(root)
    target = os.path.realpath(os.path.join(base, uri))
    if os.path.commonpath([base, target]) != base:
        raise DecodeError("link leads outside the source folder")
    descriptor = _open(target)
    try:
        _check_opened(descriptor, base)
    except DecodeError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def is_url(uri: str) -> bool:
    """Whether a name is a URL (`scheme://...`) and no path."""
    return _URL.match(uri) is not None


def _check_name(uri: str) -> None:
    if not uri.strip() or "\0" in uri:
        raise DecodeError("path is empty or holds a NUL character")
    if is_url(uri):
        raise DecodeError("URLs are not fetched; list the host in source.media_hosts, or put the file into the folder")
    if uri.startswith(("/", "\\")) or os.path.isabs(uri) or re.match(r"[A-Za-z]:[\\/]", uri):
        raise DecodeError("absolute path; paths are relative to the source folder")
    if ".." in re.split(r"[/\\]", uri):
        raise DecodeError("path holds '..'; only files inside the source folder are read")


def _open(target: str) -> int:
    # O_NOFOLLOW: the resolved name is no link unless somebody just swapped it; O_NONBLOCK: a FIFO does
    # not wait.
    flags = os.O_RDONLY
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # each is on some systems only
        flags |= getattr(os, name, 0)
    try:
        mode = os.lstat(target).st_mode
        if not stat.S_ISREG(mode):
            raise DecodeError(f"{_kind(mode)}, not a regular file")
        return os.open(target, flags)
    except FileNotFoundError as error:
        raise DecodeError("file does not exist") from error
    except (OSError, ValueError) as error:
        raise DecodeError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def _check_opened(descriptor: int, base: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise DecodeError(f"{_kind(mode)}, not a regular file")
    link = f"/proc/self/fd/{descriptor}"  # a parent folder swapped for a link between the check and the opening
    if os.path.islink(link) and os.path.commonpath([base, os.readlink(link)]) != base:
        raise DecodeError("link leads outside the source folder")


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISLNK, "a link"),
    )
    return next((name for test, name in kinds if test(mode)), "a device")
