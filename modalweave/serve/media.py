"""The bytes of a picture or a sound by the SHA-256 of its content, as a browser may be given them."""

import hashlib
import re
from pathlib import Path
from typing import LiteralString, NamedTuple

from encoders.downloads import kept_file
from encoders.errors import DecodeError
from encoders.files import is_url, read_inside
from graph.store import GraphStore
from modalweave.config import RunConfig
from modalweave.serve.queries import NotThere
from modalweave.workspace import Workspace

_URIS: tuple[LiteralString, ...] = (
    "MATCH (m:Image) WHERE m.id = $id RETURN m.uri AS uri",
    "MATCH (m:Audio) WHERE m.id = $id RETURN m.uri AS uri",
)
_HASH = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"\xff\xf2", 0, "audio/mpeg"),
)
"""What a file begins with -> its type; a file of any other kind (SVG, HTML) is never sent."""


class Bytes(NamedTuple):
    """Whole content and its type."""

    content: bytes
    type: str


def media_bytes(store: GraphStore, config: RunConfig | None, digest: str) -> Bytes:
    """The file that the graph knows by its hash; `NotThere` where it holds none, or what is there is another.

    Only files of the catalogue's folder, and those that its build fetched, are read.
    """
    if not _HASH.fullmatch(digest):
        raise NotThere(f"media {digest[:80]!r} is no SHA-256")
    rows = [row for query in _URIS for row in store.query(query, {"id": digest}, limit=1).to_pylist()]
    if not rows or not rows[0]["uri"]:
        raise NotThere(f"media {digest} is not in {store.address}")
    if config is None:
        raise NotThere(f"media {digest}: name the run's config, which says where its files lie")
    content = _read(config, rows[0]["uri"], digest)
    if hashlib.sha256(content).hexdigest() != digest:
        raise NotThere(f"media {digest}: {rows[0]['uri']!r} has changed since the build; build again")
    for magic, place, kind in _MAGIC:
        if content[place : place + len(magic)] == magic:
            return Bytes(content, kind)
    raise NotThere(f"media {digest}: {rows[0]['uri']!r} is of a kind that is not shown")


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a `Range` header; None for the whole, `ValueError` where it lies outside."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None  # a form that is not understood may be left aside (RFC 9110, 14.2)
    first, last = found.groups()
    start, stop = (int(first), int(last) if last else size - 1) if first else (max(0, size - int(last)), size - 1)
    if start >= size or start > stop:
        raise ValueError(header)
    return start, min(stop, size - 1)


def _read(config: RunConfig, uri: str, digest: str) -> bytes:
    try:
        if is_url(uri):
            return kept_file(Workspace(config.workspace).downloads, digest, config.limits.bytes)
        return read_inside(Path(config.source.path), uri, config.limits.bytes)
    except DecodeError as error:
        raise NotThere(f"{uri!r}: {error}") from error
