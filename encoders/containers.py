"""Containers told by content, and whether one was cut off or damaged where its decoder does not mind."""

import struct
import zlib
from typing import NamedTuple

_CHUNKS = (b"data", b"fmt ", b"fact", b"LIST")
_OPEN = 0xFFFFFFFF
_STREAMED = 0x7FFF0000
"""No file of so many bytes is read at all: a header that says so (0x7FFFF000, 0x80000000, ...) leaves the size open."""


def sound_format(data: bytes) -> str | None:
    """`WAV`, `FLAC`, `Ogg` or `MP3` by the first bytes, None for anything else."""
    if data[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"fLaC":
        return "FLAC"
    if data[:4] == b"OggS":
        return "Ogg"
    if data[:3] == b"ID3" or _is_mpeg_frame(data[:4]):
        return "MP3"
    return None


def truncation(data: bytes, kind: str) -> str | None:
    """Why the file is shorter than its own headers say, or None."""
    if kind == "WAV":
        return _wav_truncation(data)
    if kind == "Ogg":
        return _ogg_truncation(data)
    return None


def _is_mpeg_frame(head: bytes) -> bool:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = (head[1] >> 3) & 3, (head[1] >> 1) & 3, head[2] >> 4, (head[2] >> 2) & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3


def png_damage(data: bytes) -> str | None:
    """What is wrong with a PNG's chunks: Pillow checks no sum of pixel data and needs no end."""
    position = 8
    while position + 12 <= len(data):
        size = struct.unpack_from(">I", data, position)[0]
        name, end = data[position + 4 : position + 8], position + 8 + size
        if end + 4 > len(data):
            break
        if zlib.crc32(data[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return f"chunk {name.decode('latin-1')!r} does not match its checksum"
        if name == b"IEND":
            return None
        position = end + 4
    return "it ends before its last chunk"


def mended_wav(data: bytes) -> bytes:
    """A WAV file with the size of its samples in its header, where libsndfile would read none of them without it."""
    wav = _walk(data)
    if wav is None or (wav.plain and wav.size == wav.announced):
        return data
    chunks = b"".join([*wav.kept, b"data", struct.pack(wav.order + "I", wav.size)])
    head = data[:4] if data[:4] == b"RIFX" else b"RIFF"
    size = struct.pack(wav.order + "I", 4 + len(chunks) + wav.size)
    return b"".join([head, size, b"WAVE", chunks, memoryview(data)[wav.start : wav.start + wav.size]])


class _Wav(NamedTuple):
    """Where the samples of a WAV file lie."""

    order: str
    kept: list[bytes]
    """The chunks that say how to read the samples."""
    start: int
    size: int
    """Bytes of samples that are there."""
    announced: int
    """Bytes that the header names; `size` where it leaves that open."""
    plain: bool
    """Whether sizes and padding are where they belong."""


def _walk(data: bytes) -> _Wav | None:
    """None where a WAV file ends before its samples begin."""
    order, position, long_size = (">" if data[:4] == b"RIFX" else "<"), 12, 0
    kept: list[bytes] = []
    plain = data[:4] in (b"RIFF", b"RIFX")
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack_from(order + "I", data, position + 4)[0]
        start = position + 8
        if name == b"data":
            left = len(data) - start
            if size == _OPEN and 0 < long_size < 2**63:
                size = long_size
            unknown = size >= _STREAMED or (size == 0 and data[start : start + 4] not in _CHUNKS)
            if unknown or size in (len(data) - 8, len(data)):  # recorders and pipes do not know; some count the header
                return _Wav(order, kept, start, left, left, plain=False)
            return _Wav(order, kept, start, min(left, size), size, plain)
        if name == b"ds64" and len(data) >= start + 16:
            long_size = struct.unpack_from("<Q", data, start + 8)[0]
        position = start + size
        if name in (b"fmt ", b"fact"):
            kept.append(data[start - 8 : position] + b"\0" * (size & 1))
        if size & 1:
            padded = data[position : position + 4] not in _CHUNKS  # some leave the padding out
            position, plain = position + padded, plain and padded
    return None


def _wav_truncation(data: bytes) -> str | None:
    wav = _walk(data)
    if wav is None:
        return "truncated WAV sound: it ends before its samples begin"
    if wav.size < wav.announced:
        return f"truncated WAV sound: {wav.size} of {wav.announced} bytes of samples are there"
    return None


def _ogg_truncation(data: bytes) -> str | None:
    position = 0
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            return None  # bytes after the last page (tags, padding): the decoder judges
        segments = data[position + 26] if position + 27 <= len(data) else 0
        table = data[position + 27 : position + 27 + segments]
        end = position + 27 + segments + sum(table)
        if len(table) < segments or end > len(data) or position + 27 > len(data):
            return f"truncated Ogg sound: its last page ends {max(end - len(data), 1)} bytes after the file"
        position = end
    return None
