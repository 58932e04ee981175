"""The run's embedding cache beside its graph: a server sends vectors slowly, this folder has the same ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from encoders.cache import EmbeddingCache
from encoders.precomputed import cached_vectors, keep_vectors
from etl.media import GIVEN, MediaGraph
from graph.schema import MEDIA_LABELS
from modalweave.config import RunConfig
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    from graph.hetero import VectorLookup


def keep_given(cache: EmbeddingCache, media: MediaGraph) -> None:
    """Keep the vectors that came with the source beside those that encoders made."""
    for modality, own in media.vectors.items():
        if own.encoder == GIVEN:
            keep_vectors(cache, _given(MEDIA_LABELS[modality]), own.ids, own.vectors)


def local_vectors(config: RunConfig) -> "VectorLookup | None":
    """A lookup in the run's cache, where its graph lies on a server; the embedded store reads as fast itself."""
    folder = Workspace(config.workspace).embeddings
    if config.store_address.startswith("ladybug:") or not folder.is_dir():
        return None
    cache = EmbeddingCache(folder)

    def lookup(label: str, encoder: str, ids: Sequence[str]) -> np.ndarray | None:
        return cached_vectors(cache, _given(label) if encoder == GIVEN else encoder, ids)

    return lookup


def _given(label: str) -> str:
    return f"{GIVEN}-{label.lower()}"
