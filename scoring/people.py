"""People whom a job brings along: their histories in a bundle's own numbers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from gnn.bundle.bundle import Bundle
from scoring.errors import ScoringError


@dataclass(frozen=True)
class People:
    """Whom to score by what they have chosen."""

    ids: list[str]
    histories: sp.csr_matrix
    """People x items, 1 where a person chose the item."""
    seen: sp.csr_matrix
    """The same, and what was seen and not liked."""
    unknown_items: Sequence[str]
    """Chosen and not known to the bundle."""

    @property
    def digest(self) -> str:
        """SHA-256 of who chose what."""
        digest = hashlib.sha256(json.dumps(self.ids).encode())
        for array in (m for pairs in (self.histories, self.seen) for m in (pairs.indptr, pairs.indices)):
            digest.update(array.astype(np.int64).tobytes())
        return digest.hexdigest()


def people(histories: pl.DataFrame, bundle: Bundle, also: Sequence[str] = ()) -> People:
    """Those of `user_id, item_id[, weight]`, in order of appearance, then those of `also` whom the bundle knows.

    A weight of 0 or less is something seen and not liked: no part of a history, and listed no more. Raises
    `ScoringError` where there is nobody.
    """
    items = {name: place for place, name in enumerate(bundle.item_ids)}
    known = set(bundle.user_ids)
    ids = list(dict.fromkeys([*histories["user_id"], *(name for name in also if name in known)]))
    if not ids:
        raise ScoringError("histories hold 0 rows; give user_id and item_id of what was chosen")
    rows = {name: row for row, name in enumerate(ids)}
    row = np.array([rows[name] for name in histories["user_id"]], dtype=np.int64)
    column = np.array([items.get(name, -1) for name in histories["item_id"]], dtype=np.int64)
    unknown = histories.filter(pl.Series(column < 0))["item_id"].unique(maintain_order=True).to_list()
    liked = np.ones(len(row), dtype=bool)
    if "weight" in histories.columns:
        liked = (histories["weight"].fill_null(1) > 0).to_numpy()

    def pairs(kept: np.ndarray) -> sp.csr_matrix:
        found = sp.csr_matrix((np.ones(kept.sum(), np.float32), (row[kept], column[kept])), (len(ids), len(items)))
        found.sum_duplicates()
        found.data[:] = 1
        return found

    return People(ids, pairs(liked & (column >= 0)), pairs(column >= 0), unknown)
