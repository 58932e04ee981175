"""One scorer measured on one split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch_geometric.data import HeteroData

from evaluation.bootstrap import summarise
from evaluation.config import EvaluationConfig
from evaluation.metrics import evaluated_users, user_metrics
from gnn.matrices import Split, held_out, interactions
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import lists_and_ranks
from modalweave.errors import NothingHeldOut
from modalweave.results.record import JsonObject


@dataclass(frozen=True)
class Measured:
    """One scorer on one split."""

    summary: Mapping[str, JsonObject]
    """Metric -> mean and interval."""
    values: dict[str, Float[np.ndarray, "evaluated"]]
    """Metric -> one value for each user with a held-out interaction."""
    ranked: Int[np.ndarray, "users depth"]
    """Best items of every evaluated user; rows of the others are -1."""


def measure(scorer: Scorer, data: HeteroData, split: Split, config: EvaluationConfig, *, seed: int) -> Measured:
    """Rank the whole catalogue for every user with a held-out interaction and take every metric.

    Only training items are masked: validation items stay candidates at test time, as in MMRec and MMSSL.
    Raises `NothingHeldOut` where the split holds nothing to measure on.
    """
    seen, positives = interactions(data), held_out(data, split)
    rows = evaluated_users(positives)
    if not len(rows):
        raise NothingHeldOut(f"split {split!r} holds 0 interactions to measure on; set split.{split} above 0")
    depth = max(config.k)
    users = torch.from_numpy(rows)
    ranked = np.full((scorer.num_users, depth), -1, dtype=np.int64)
    firsts = np.zeros(scorer.num_users, dtype=np.int64)
    ranked[rows], firsts[rows] = lists_and_ranks(scorer, users, seen, positives, depth)
    values = user_metrics(ranked, positives, config.k, firsts)
    return Measured(summarise(values, seed=seed, resamples=config.resamples), values, ranked)
