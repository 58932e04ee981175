"""Whether what is popular now is what was popular before."""

from typing import NamedTuple

import numpy as np
import polars as pl

_SEED = 0
_LEAST = 500
"""Interactions under which a tenth says too little."""


class Drift(NamedTuple):
    """How the number of interactions of each item in some tenth correlates (Pearson) with that in the rest."""

    newest: float
    """Of the newest tenth."""
    chance: float
    """Of a tenth drawn at random."""


def drift(frame: pl.DataFrame) -> Drift | None:
    """Of interactions (`item_id`, `timestamp` in s); None where a time is missing or there are too few of them."""
    if len(frame) < _LEAST or frame["timestamp"].null_count() or frame["timestamp"].n_unique() < 2:
        return None
    items = frame["item_id"].rank("dense").to_numpy().astype(np.int64) - 1
    order = frame["timestamp"].arg_sort().to_numpy()
    return Drift(_agreement(items[order]), _agreement(np.random.default_rng(_SEED).permutation(items)))


def _agreement(items: np.ndarray) -> float:
    """Between the last tenth and what comes before it; 1 where the counts are all alike."""
    cut, count = len(items) - len(items) // 10, int(items.max()) + 1
    before, after = (np.bincount(part, minlength=count) for part in (items[:cut], items[cut:]))
    return float(np.corrcoef(before, after)[0, 1]) if before.std() and after.std() else 1.0
