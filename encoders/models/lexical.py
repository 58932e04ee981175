"""Texts by the letters that they share: no model, no weights, every language.

Hashed n-grams (Weinberger et al. 2009): one, two and three ideographs of Chinese, Japanese and Korean; words and their
three-letter pieces of other scripts. Titles alike in wording are near; meaning said in other words is not.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field

from common.vectors import unit_rows
from encoders.base import EncoderBase, Preparer, make_fingerprint
from encoders.text import TextPreparer

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IDEOGRAPHS = re.compile(rf"[{_CJK}]")


class Config(BaseModel, extra="forbid"):
    """Settings of the `lexical` encoder."""

    dim: int = Field(default=1024, ge=64, le=16_384)
    """Numbers in a vector; more of them keep more n-grams apart."""


def build(config: Config, device: str) -> "LexicalEncoder":
    """The encoder; nothing has to be there for it."""
    return LexicalEncoder(config)


class LexicalEncoder(EncoderBase):
    """Texts of any language to vectors of the n-grams that they hold."""

    name = "lexical"
    modalities = ("text",)
    batch = 1024

    def __init__(self, config: Config) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self.dim = config.dim
        self.fingerprint = make_fingerprint(self.name, version=1, **config.model_dump())
        self._hashed = HashingVectorizer(analyzer=lambda text: list(grams(text)), n_features=config.dim, norm=None)

    def preparer(self, modality: str) -> Preparer:
        """Texts to cleaned strings."""
        return TextPreparer()

    def encode(self, batch: Sequence[np.ndarray], modality: str = "text") -> Float[np.ndarray, "n dim"]:
        """Prepared texts -> float32 [n, dim], unit length; what a text repeats counts by its square root."""
        if not len(batch):
            return np.zeros((0, self.dim), dtype=np.float32)
        counts = self._hashed.transform([str(text) for text in batch]).toarray()
        return unit_rows(np.sign(counts) * np.sqrt(np.abs(counts)))


def grams(text: str) -> Iterator[str]:
    """The n-grams of a text, its width and case folded; its characters where it holds no letter."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    for word in words:
        if _IDEOGRAPHS.match(word):
            ended = f"{word} "  # what a Chinese name ends with says what kind of thing it is
            yield from word
            yield from (ended[at : at + n] for n in (2, 3) for at in range(len(ended) - n + 1))
        else:
            padded = f" {word} "
            yield padded
            yield from (padded[at : at + 3] for at in range(len(padded) - 2))
    if not words:
        yield from folded
