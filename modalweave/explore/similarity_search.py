"""The named similarity searches: the query is an item of the graph, or a text or a file encoded on the spot."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from encoders import AUTO, DecodeLimits, make_encoder
from encoders.base import Encoder
from encoders.contents import MediaRef
from encoders.embedding import embed_media
from graph.cookbook.similarity_search import SEARCHES, Search, item_vectors, similar_items, stored_encoder
from graph.errors import GraphError
from graph.schema import MEDIA_LABELS
from graph.store import GraphStore
from modalweave.config import RunConfig
from modalweave.errors import RunError

_GIVEN_AS = {"text": "text", "picture": "image", "sound": "audio"}


def search(store: GraphStore, name: str, given: Mapping[str, str], config: RunConfig | None) -> pa.Table:
    """The rows of a named search, `Search.columns`; `config` says which encoder a text or a file goes through.

    Raises `GraphError` for parameters, items and encoders that do not fit, `EncoderError` for media that cannot
    be read.
    """
    wanted = SEARCHES[name]
    kind, value, limit = wanted.wanted(given)
    if kind == "item":
        vectors = item_vectors(store, wanted.modality, value)
        return similar_items(store, wanted.modality, vectors, limit=limit, leave_out=value)
    vector = _encoded(store, wanted, kind, value, config)
    return similar_items(store, wanted.modality, [vector], limit=limit)


def _encoded(
    store: GraphStore, wanted: Search, kind: str, value: str, config: RunConfig | None
) -> Float[np.ndarray, "dim"]:
    """The query in the space of the store's vectors of the search's modality."""
    label, modality = MEDIA_LABELS[wanted.modality], _GIVEN_AS[kind]
    fingerprint = _stored_encoder(store, wanted)
    name = fingerprint.rpartition("-")[0]
    named = config.encoders[wanted.modality] if config else None
    encoder = _encoder(json.dumps(name if named in (None, AUTO) else named))
    if encoder.fingerprint != fingerprint:
        raise GraphError(
            f"{label} vectors of {store.address} come from encoder {fingerprint}, not from {encoder.fingerprint}; "
            "name the config that the graph was built with"
        )
    if modality not in encoder.modalities:
        raise GraphError(
            f"{wanted.name}: encoder {encoder.name} embeds {' and '.join(encoder.modalities)} only, so a {kind} is "
            "no query; give another, or build with an encoder of both (open_clip, clap)"
        )
    ref, root = MediaRef("text", content=value), None
    if kind != "text":
        path = Path(value)
        ref, root = MediaRef(modality, uri=path.name), path.parent
    result = embed_media(
        [ref], root=root, encoder=encoder, limits=config.limits if config else DecodeLimits(), workers=1
    )
    if result.reasons[0] is not None:
        raise RunError(f"{wanted.name}: {kind} {value!r}: {result.reasons[0]}; give another")
    return result.vectors[0]


@lru_cache(maxsize=4)
def _encoder(spec: str) -> Encoder:
    """Kept for the next query: loading takes longer than encoding."""
    return make_encoder(json.loads(spec))


def _stored_encoder(store: GraphStore, wanted: Search) -> str:
    """The fingerprint of the encoder that the search's vectors come from; `GraphError` where nothing else fits."""
    fingerprint = stored_encoder(store, wanted.modality)
    if fingerprint is None:
        raise GraphError(f"{wanted.name}: {store.address} holds no {wanted.modality} vectors; build with an encoder")
    if "-" not in fingerprint:
        raise GraphError(
            f"{wanted.name}: the {wanted.modality} vectors came with the dataset, so nothing else can be encoded "
            "like them; search by item"
        )
    return fingerprint
