"""Texts: UTF-8 bytes or a string to clean text. No torch."""

import re
import unicodedata

import numpy as np

from encoders.base import Prepared
from encoders.errors import DecodeError
from encoders.limits import DecodeLimits

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class TextPreparer:
    """Texts to a 0-d array that holds the cleaned string; the model's own tokenizer does the rest."""

    def __call__(self, content: bytes | str, limits: DecodeLimits) -> Prepared:
        """Decode, normalise, refuse what is empty."""
        return Prepared(np.array(decode_text(content, limits)), {})


def decode_text(content: bytes | str, limits: DecodeLimits | None = None) -> str:
    """Text in NFC, no control characters; `DecodeError` for what is not UTF-8, empty or too long."""
    most = (limits or DecodeLimits()).characters
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DecodeError(f"not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start}") from error
    if len(content) > most:
        raise DecodeError(f"text of {len(content)} characters is over the limit of {most}")
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DecodeError(f"text holds a lone surrogate at character {error.start}") from error
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", content)).strip()
    if not text:
        raise DecodeError("text is empty")
    return text
