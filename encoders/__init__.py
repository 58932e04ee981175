"""Media to embeddings: encoders found by name, safe decoding, and a cache that never encodes twice.

encoder = make_encoder("efficientnet_lite0")
refs = [MediaRef("image", uri="posters/1.jpg")]
result = embed_media(refs, root=Path("catalogue"), encoder=encoder, cache=EmbeddingCache(Path("cache")))
result.ids, result.reasons, result.facts      # per ref, in order
result.unique_ids, result.vectors             # per distinct content; float32, unit length

`MediaRef` is in `encoders.contents`, `embed_media` in `encoders.embedding`, `EmbeddingCache` in `encoders.cache`: what
only reads a config or names an error loads no decoder.
"""

from encoders.errors import DecodeError, EncoderError
from encoders.limits import DecodeLimits
from encoders.registry import AUTO, DEFAULTS, ENCODERS, checked_spec, make_encoder

__all__ = [
    "AUTO",
    "DEFAULTS",
    "ENCODERS",
    "DecodeError",
    "DecodeLimits",
    "EncoderError",
    "checked_spec",
    "make_encoder",
]
