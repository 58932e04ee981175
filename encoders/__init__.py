"""Media to embeddings: encoders found by name, safe decoding, and a cache that never encodes twice.

encoder = make_encoder("efficientnet_lite0")
refs = [MediaRef("image", uri="posters/1.jpg")]
result = embed_media(refs, root=Path("catalogue"), encoder=encoder, cache=EmbeddingCache(Path("cache")))
result.ids, result.reasons, result.facts      # per ref, in order
result.unique_ids, result.vectors             # per distinct content; float32, unit length
"""

from encoders.audio import decode_audio
from encoders.base import Encoder, Prepared, Preparer
from encoders.cache import CacheStats, EmbeddingCache
from encoders.contents import EmbedResult, MediaRef
from encoders.downloads import Downloads
from encoders.embedding import embed_media
from encoders.errors import DecodeError, EncoderError
from encoders.files import open_inside, read_inside
from encoders.image import decode_image
from encoders.limits import DecodeLimits
from encoders.registry import DEFAULTS, ENCODERS, make_encoder

__all__ = [
    "DEFAULTS",
    "ENCODERS",
    "CacheStats",
    "DecodeError",
    "DecodeLimits",
    "Downloads",
    "EmbedResult",
    "EmbeddingCache",
    "Encoder",
    "EncoderError",
    "MediaRef",
    "Prepared",
    "Preparer",
    "decode_audio",
    "decode_image",
    "embed_media",
    "make_encoder",
    "open_inside",
    "read_inside",
]
