"""What can go wrong in this room; a message is one line: the thing, its value and the way out."""

import re

_ADDRESS = re.compile(r"<_io\.BytesIO object at 0x[0-9a-f]+>")


class EncoderError(Exception):
    """An encoder cannot be made or run: unknown name, missing weights, wrong device, full disk."""


class DecodeError(EncoderError):
    """One piece of media cannot be used. Its message is the reason that quarantine shows."""


def one_line(error: BaseException, most: int = 200) -> str:
    """What an error says in at most `most` characters of one line, the same in every run."""
    return " ".join(_ADDRESS.sub("file", str(error)).split())[:most] or type(error).__name__
