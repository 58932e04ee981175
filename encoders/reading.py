"""The contents of media that a catalogue names: inline texts, files of its folder, URLs of listed hosts."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.contents import MediaRef
from encoders.downloads import Downloads
from encoders.errors import DecodeError
from encoders.files import is_url, read_inside
from encoders.limits import DecodeLimits


@dataclass(frozen=True)
class MediaReader:
    """Where contents come from, and what is allowed of them."""

    root: Path | None
    """The folder that names are relative to and stay inside."""
    limits: DecodeLimits
    downloads: Downloads | None
    """Without it every URL is refused."""

    def each(self, refs: Sequence[MediaRef]) -> Iterator[bytes | str | DecodeError]:
        """The content of every ref, or why it has none; URLs are fetched ahead."""
        ahead: Iterator[object] = itertools.repeat(None, len(refs))
        if self.downloads is not None:
            ahead = self.downloads.ahead((ref.uri for ref in refs), self.limits)
        for ref, _ in zip(refs, ahead, strict=True):
            try:
                yield self.read(ref)
            except DecodeError as error:
                yield error

    def read(self, ref: MediaRef) -> bytes | str:
        """The content of one ref; `DecodeError` with the reason where it has none."""
        if (ref.uri is None) == (ref.content is None):
            raise DecodeError("needs exactly one of uri and content")
        if ref.content is not None:
            return ref.content
        if self.downloads is not None and is_url(str(ref.uri)):
            return self.downloads.read(str(ref.uri), self.limits)
        if self.root is None:
            raise DecodeError("names a file, but the source has no folder")
        return read_inside(self.root, str(ref.uri), self.limits.bytes)
