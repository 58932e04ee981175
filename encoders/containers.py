"""Sound containers told by content, and whether one was cut off, which libsndfile does not mind."""

import struct


def sound_format(data: bytes) -> str | None:
    """`WAV`, `FLAC`, `Ogg` or `MP3` by the first bytes, None for anything else."""
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
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


def _wav_truncation(data: bytes) -> str | None:
    order, position = (">" if data[:4] == b"RIFX" else "<"), 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack_from(order + "I", data, position + 4)[0]
        if name == b"data":
            left = len(data) - position - 8
            if size in (0xFFFFFFFF, 0) or size <= left:  # streamed files leave the size open
                return None
            return f"truncated WAV sound: {left} of {size} bytes of samples are there"
        position += 8 + size + (size & 1)
    return "truncated WAV sound: it ends before its samples begin"


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
