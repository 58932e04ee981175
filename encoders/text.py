"""Texts: UTF-8 bytes or a string to clean text. No torch."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from encoders.base import Prepared
from encoders.errors import DecodeError
from encoders.limits import DecodeLimits

_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
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


def mostly_foreign(text: str) -> bool:
    """Whether most letters are of no Latin script, so that an encoder of English or French may not know them."""
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(letter > "\u024f" for letter in letters) > len(letters)


def lost_share(text: str, spans: Sequence[tuple[int, int]], unknown: Sequence[bool]) -> float:
    """The share of a text's letters that a tokenizer does not know: no token has them, or one each of a longer word.

    `spans` are the tokens' places in the text. A Chinese character is a word of its own.
    """
    lost: set[int] = set()
    for (start, end), is_unknown in zip(spans, unknown, strict=True):
        alone = end - start == 1 and not _IDEOGRAPH.match(text[start]) and text[max(0, start - 1) : end + 1].isalpha()
        if is_unknown or (alone and len(text[max(0, start - 1) : end + 1]) > 1):
            lost.update(range(start, end))
    letters = {place for place, letter in enumerate(text) if letter.isalnum()}
    return len(lost & letters) / len(letters) if letters else 0.0
