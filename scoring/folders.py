"""Where a job writes: a folder of this machine, or an address that fsspec knows (`s3://`, `gs://`, `memory://`)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from common.files import write_bytes
from common.text import one_line
from scoring.errors import ScoringError
from scoring.lock import folder_lock

OWNER = "_owner"
"""At an address: which call writes there."""


class Folder(Protocol):
    """Files by name; a name may have one folder before it. `str` is the address as it was given."""

    @property
    def own_process(self) -> bool:
        """Whether no other process sees what this one writes."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all. Raises `ScoringError` where it cannot be."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there, and the folder before it with its last one."""

    def names(self) -> list[str]:
        """Every file's name, sorted."""

    def held(self) -> Any:
        """A context in which no other job writes here; it gives the folder to write to."""


def open_folder(address: str | Path) -> Folder:
    """The folder of a path or an address; nothing is made and nobody is asked yet.

    Raises `ScoringError` for a scheme that is not known or lacks its package, and for an address with credentials in
    it: those come from the environment, as each service's own tools read them.
    """
    if isinstance(address, Path) or "://" not in address:
        return LocalFolder(Path(address))
    scheme, _, place = address.partition("://")
    before, at, _ = place.partition("@")
    if "?" in place or (at and ":" in before):
        raise ScoringError(f"{scheme}://: the address holds credentials; leave them to the environment of {scheme}")
    if "::" in address:
        raise ScoringError(f"{address}: is an address inside another; give one that can be written to")
    try:
        system, root = fsspec.url_to_fs(address)
    except ImportError as error:
        raise ScoringError(f"{address}: {one_line(error)}; pip install the package for {scheme}://") from error
    except ValueError as error:
        raise ScoringError(f"{address}: {one_line(error)}; give a folder, s3://, gs:// or another of fsspec") from error
    if isinstance(system, LocalFileSystem):
        return LocalFolder(Path(root))
    return RemoteFolder(address, system, root.rstrip("/"))


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or one that it has mounted."""

    path: Path

    own_process = False

    def __str__(self) -> str:
        return str(self.path)

    def read(self, name: str) -> bytes | None:
        """See `Folder`."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`."""
        try:
            write_bytes(self.path / name, content)
        except OSError as error:
            raise ScoringError(
                f"{self.path / name}: cannot be written ({error.strerror}); make room or choose another folder"
            ) from error

    def remove(self, name: str) -> None:
        """See `Folder`."""
        path = self.path / name
        path.unlink(missing_ok=True)
        if path.parent != self.path:
            with suppress(OSError):  # it is not empty
                path.parent.rmdir()

    def names(self) -> list[str]:
        """See `Folder`."""
        found = [path for pattern in ("*", "*=*/*") for path in self.path.glob(pattern) if path.is_file()]
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    @contextmanager
    def held(self) -> Iterator[Folder]:
        """See `Folder`; the kernel lets go when the process ends. Raises `ScoringError` where another job holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ScoringError(f"{self.path}: cannot be a folder ({error.strerror}); choose another") from error
        with folder_lock(self.path):
            yield self


@dataclass(frozen=True)
class RemoteFolder:
    """A prefix of an object store, or a folder of another machine.

    Nothing there lets go when a job is killed, so there is no lock: the latest call takes the folder over, and an
    earlier one ends at its next write, before which it looks whose the folder is.
    """

    address: str
    system: fsspec.AbstractFileSystem
    root: str
    owner: bytes | None = None

    def __str__(self) -> str:
        return self.address

    @property
    def own_process(self) -> bool:
        """See `Folder`."""
        return isinstance(self.system, fsspec.get_filesystem_class("memory"))

    def read(self, name: str) -> bytes | None:
        """See `Folder`."""
        with self._told(name, "read"):
            try:
                return bytes(self.system.cat_file(f"{self.root}/{name}"))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`. Object stores put a file in place as a whole and know no folders; elsewhere a transaction does,
        in a folder that is made where the one above it is there."""
        if self.owner is not None and self.read(OWNER) != self.owner:
            raise ScoringError(f"{self}: a later call has taken this job over; let one of them finish")
        path = f"{self.root}/{name}"
        with self._told(name, "written"):
            if self.system.async_impl:
                self.system.pipe_file(path, content)
                return
            with suppress(FileExistsError):
                self.system.mkdir(path.rpartition("/")[0], create_parents=False)
            with self.system.transaction:
                self.system.pipe_file(path, content)

    def remove(self, name: str) -> None:
        """See `Folder`."""
        path = f"{self.root}/{name}"
        with self._told(name, "removed"):
            with suppress(FileNotFoundError):
                self.system.rm_file(path)
            if "/" in name and not self.system.async_impl:
                with suppress(OSError):  # it is not empty
                    self.system.rmdir(path.rpartition("/")[0])

    def names(self) -> list[str]:
        """See `Folder`."""
        with self._told("", "read"):
            self.system.invalidate_cache()
            found = self.system.find(self.root)
        return sorted(path.removeprefix(self.root).lstrip("/") for path in found)

    @contextmanager
    def held(self) -> Iterator[Folder]:
        """See `Folder`."""
        mine = replace(self, owner=None)
        token = uuid.uuid4().hex.encode()
        mine.write(OWNER, token)
        try:
            yield replace(self, owner=token)
        finally:
            with suppress(ScoringError):  # of two failures the first is told
                if mine.read(OWNER) == token:
                    mine.remove(OWNER)

    @contextmanager
    def _told(self, name: str, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each file system of fsspec raises what its own client does
            raise ScoringError(
                f"{f'{self}/{name}'.rstrip('/')}: cannot be {what} ({one_line(error)}); check the "
                "address and the credentials in the environment"
            ) from error
