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
    unknown_items: Sequence[str]
    """Chosen and not known to the bundle."""

    @property
    def digest(self) -> str:
        """SHA-256 of who chose what."""
        digest = hashlib.sha256(json.dumps(self.ids).encode())
        for array in (self.histories.indptr, self.histories.indices):
            digest.update(array.astype(np.int64).tobytes())
        return digest.hexdigest()


def people(histories: pl.DataFrame, bundle: Bundle, also: Sequence[str] = ()) -> People:
    """Those of `user_id, item_id[, weight]`, in order of appearance, then those of `also` whom the bundle knows.

    A weight of 0 or less is something seen and not liked: it is no part of a history. Raises `ScoringError` where no
    row is left.
    """
    if "weight" in histories.columns:
        histories = histories.filter((pl.col("weight") > 0) | pl.col("weight").is_null())
    items = {name: place for place, name in enumerate(bundle.item_ids)}
    known = set(bundle.user_ids)
    ids = list(dict.fromkeys([*histories["user_id"], *(name for name in also if name in known)]))
    if not ids:
        raise ScoringError("histories hold 0 rows with a weight above 0; give user_id and item_id of what was chosen")
    rows = {name: row for row, name in enumerate(ids)}
    row = np.array([rows[name] for name in histories["user_id"]], dtype=np.int64)
    column = np.array([items.get(name, -1) for name in histories["item_id"]], dtype=np.int64)
    unknown = histories.filter(pl.Series(column < 0))["item_id"].unique(maintain_order=True).to_list()
    row, column = row[column >= 0], column[column >= 0]
    chosen = sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(ids), len(items)))
    chosen.sum_duplicates()
    chosen.data[:] = 1
    return People(ids, chosen, unknown)
