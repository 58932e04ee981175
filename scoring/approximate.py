"""Lists by an approximate index of a dot product's items, where ranking every one of them takes too long.

The index finds candidates; they are ranked by their exact scores. HNSW: Malkov and Yashunin (2018). IVF-PQ: Jégou,
Douze and Schmid (2011).
"""

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.bundle.bundle import Bundle
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import top_items
from gnn.scorers.stable import stable_top
from scoring.errors import ScoringError

Kind = Literal["hnsw", "ivf_pq"]
Lists = tuple[Int[np.ndarray, "block k"], Float[np.ndarray, "block k"]]

_LEAST = 10_000
"""Items from which an index has anything to gain."""

_LINKS, _BUILD_DEPTH, _SEARCH_DEPTH = 32, 100, 64
"""HNSW: neighbours of a node; candidates while building, and at least while searching."""

_PROBES, _TRAINED_ON = 64, 100_000
"""IVF-PQ: cells looked into; items that cells and codes are learned from."""

_SPARE = 4
"""Candidates for each place of a list."""

_LONG = 200
"""Seen items from which a user's list is ranked exactly: the index would have to find all of them first."""

_BLOCK, _JUDGES = 1024, 256
"""Users at once; users whose lists are compared with the exact ones."""

_built: list[tuple[Tensor, Kind, Any]] = []
"""The last index, of which vectors and kind it is."""


def check(bundle: Bundle) -> None:
    """Raise `ScoringError` where no index can be made of a bundle."""
    if not isinstance(bundle.scorer, DotScorer):
        raise ScoringError(
            f"a {bundle.scorer.kind!r} model is no single dot product, which an index needs; `export --dimensions 256` "
            "makes one of it"
        )
    if len(bundle.item_ids) < _LEAST:
        raise ScoringError(f"index: {len(bundle.item_ids):,} items are ranked exactly in no time; leave it out")


def approximate_top(bundle: Bundle, users: Int[np.ndarray, "block"], seen: sp.csr_matrix, k: int, kind: Kind) -> Lists:
    """As `top_items` without limits, but for items that the index misses.

    Users without a history, and with a long one, are ranked exactly. The same on every call: one thread builds.
    """
    dot = bundle.scorer
    assert isinstance(dot, DotScorer)
    items, scores = np.full((len(users), k), -1, dtype=np.int64), np.full((len(users), k), -np.inf, dtype=np.float32)
    lengths = np.diff(seen.indptr)[users]
    exact = bundle.served.strangers.numpy()[users] | (lengths > _LONG)
    items[exact], scores[exact] = top_items(bundle.served, torch.from_numpy(users[exact]), seen, k)
    index, vectors = _index(dot.item_vectors, kind), dot.item_vectors.float().numpy()
    rest = np.flatnonzero(~exact)
    for start in range(0, len(rest), _BLOCK):
        own = rest[start : start + _BLOCK]
        queries = dot.user_vectors[torch.from_numpy(users[own])].float().numpy()
        depth = min(_SPARE * k + int(lengths[own].max()), len(vectors))
        if kind == "hnsw":
            index.hnsw.efSearch = max(_SEARCH_DEPTH, 2 * depth)
        found = np.sort(index.search(queries, depth)[1], axis=1)  # stable_top takes the lower index first
        values = np.einsum("ud,ucd->uc", queries, vectors[found])
        values[(found < 0) | _among(found, seen[users[own]])] = -np.inf
        best, places = stable_top(torch.from_numpy(values), min(k, depth))
        width, listed = best.shape[1], np.take_along_axis(found, places.numpy(), axis=1)
        items[own, :width], scores[own, :width] = np.where(best.numpy() > -np.inf, listed, -1), best.numpy()
    return items, scores


def measured_recall(bundle: Bundle, users: Int[np.ndarray, "users"], seen: sp.csr_matrix, k: int, kind: Kind) -> float:
    """The share of the exact lists that an index finds, over up to 256 of the users, evenly spread."""
    judges = users[np.linspace(0, len(users) - 1, min(_JUDGES, len(users))).astype(np.int64)]
    exact, _ = top_items(bundle.served, torch.from_numpy(judges), seen, k)
    found, _ = approximate_top(bundle, judges, seen, k, kind)
    same = sum(len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(exact, found, strict=True))
    return round(same / max(int((exact >= 0).sum()), 1), 4)


def _among(found: Int[np.ndarray, "block some"], seen: sp.csr_matrix) -> np.ndarray:
    """Which of each row's items are in the row of `seen`."""
    users, items = seen.shape
    own = np.repeat(np.arange(users), np.diff(seen.indptr)) * items + seen.indices
    return np.isin(np.arange(users)[:, None] * items + found, own)


def _index(items: Tensor, kind: Kind) -> Any:
    if not _built or _built[0][0] is not items or _built[0][1] != kind:
        _built[:] = [(items, kind, _made(np.ascontiguousarray(items.float().numpy()), kind))]
    return _built[0][2]


def _made(vectors: Float[np.ndarray, "items dim"], kind: Kind) -> Any:
    import faiss  # here: an exact job needs none

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the order in which threads add would decide the graph
    try:
        count, dim = vectors.shape
        index: Any
        if kind == "hnsw":
            index = faiss.IndexHNSWFlat(dim, _LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _BUILD_DEPTH
        else:
            cells, codes = int(4 * count**0.5), max(n for n in range(1, dim // 2 + 1) if dim % n == 0)
            index = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, cells, codes, 8, faiss.METRIC_INNER_PRODUCT)
            index.nprobe = min(_PROBES, cells)
            index.train(vectors[:: max(1, count // _TRAINED_ON)])
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index
