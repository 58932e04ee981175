"""Vectors in Qdrant, a server or embedded in a folder: the collections `modalweave_users` and `modalweave_items`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common.progress import Progress
from common.text import one_line
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError
from scoring.sinks import Access, needs

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

USERS, ITEMS = "modalweave_users", "modalweave_items"
_BATCH = 500


def write(vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
    """Make both collections anew at a URL or in a folder; a point's number is the index, its payload the id.

    The distance is the inner product, so that a user's vector finds the items that the model would.
    """
    with needs("qdrant"):
        from qdrant_client import QdrantClient
        from qdrant_client.http.exceptions import ApiException
    titles = vectors.titles or [None] * len(vectors.item_ids)
    sets = {
        USERS: (vectors.users, [{"user_id": user} for user in vectors.user_ids]),
        ITEMS: (
            vectors.items,
            [
                {"item_id": item} | ({"title": title} if title is not None else {})
                for item, title in zip(vectors.item_ids, titles, strict=True)
            ],
        ),
    }
    server = target.startswith(("http://", "https://"))
    try:
        client = (
            QdrantClient(url=target, api_key=access.key, check_compatibility=False)
            if server
            else QdrantClient(path=target)
        )
        try:
            done, total = 0, sum(len(matrix) for matrix, _ in sets.values())
            for name, (matrix, payloads) in sets.items():
                _make(client, name, matrix.shape[1])
                for count in _filled(client, name, matrix, payloads):
                    done += count
                    if progress:
                        progress(done, total)
        finally:
            client.close()
    except (ApiException, OSError, RuntimeError, ValueError) as error:
        where = "is it running, and MODALWEAVE_SINK_KEY its key?" if server else "is another program using the folder?"
        raise ScoringError(f"qdrant:{target}: {one_line(error)}; {where}") from error
    return total


def _make(client: "QdrantClient", name: str, size: int) -> None:
    from qdrant_client.models import Distance, VectorParams

    if client.collection_exists(name):
        client.delete_collection(name)
    client.create_collection(name, vectors_config=VectorParams(size=size, distance=Distance.DOT))


def _filled(client: "QdrantClient", name: str, matrix: np.ndarray, payloads: Sequence[dict[str, Any]]) -> Iterator[int]:
    from qdrant_client.models import Batch

    for start in range(0, len(matrix), _BATCH):
        part = matrix[start : start + _BATCH]
        ids: list[int | str] = list(range(start, start + len(part)))
        client.upsert(name, Batch(ids=ids, vectors=part.tolist(), payloads=list(payloads[start : start + len(part)])))
        yield len(part)
