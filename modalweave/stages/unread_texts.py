"""Texts in languages that their encoder does not know: their vectors say next to nothing."""

from collections.abc import Iterator

from encoders.base import Encoder
from encoders.text import mostly_foreign
from etl.media import MediaGraph

_MOSTLY = 0.5


def unread_texts(encoder: Encoder | None, media: MediaGraph) -> Iterator[str]:
    """A sentence on how many texts the text encoder's tokenizer does not know; none for encoders that cannot tell."""
    lost = getattr(encoder, "lost", None)
    if encoder is None or lost is None or "text" not in media.nodes:
        return
    texts = [text for text in media.nodes["text"]["content"].to_pylist() if text]
    asked = [text for text in texts if mostly_foreign(text)]  # a tokenizer takes seconds to load
    unread = [text for text, share in zip(asked, lost(asked), strict=True) if share >= _MOSTLY] if asked else []
    if unread:
        yield (
            f"{len(unread):,} of {len(texts):,} texts are mostly outside what {encoder.name} knows "
            f"({unread[0][:20]!r}): their vectors say little; name an encoder of their language in encoders.text, "
            "e.g. sentence_transformers with a multilingual model, or lexical, which needs none"
        )
