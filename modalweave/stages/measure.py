"""A scorer and a graph in, the numbers of `metrics.json` out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch_geometric.data import HeteroData

from evaluation.bootstrap import summarise
from evaluation.config import EvaluationConfig
from evaluation.metrics import evaluated_users, user_metrics
from evaluation.slices import slice_metrics
from gnn.matrices import Split, held_out, interactions
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import first_ranks, top_items
from graph.schema import HAS, MEDIA_LABELS, MODALITIES
from modalweave.errors import RunError


@dataclass(frozen=True)
class Measured:
    """One scorer on one split."""

    summary: dict[str, Any]
    """Metric -> mean and interval."""
    values: dict[str, Float[np.ndarray, "evaluated"]]
    """Metric -> one value for each user with a held-out interaction."""
    ranked: Int[np.ndarray, "users depth"]
    """Best items of every evaluated user; rows of the others are -1."""


def measure(scorer: Scorer, data: HeteroData, split: Split, config: EvaluationConfig, *, seed: int) -> Measured:
    """Rank the whole catalogue for every user with a held-out interaction and take every metric.

    Only training items are masked: validation items stay candidates at test time, as in MMRec and MMSSL.
    Raises `RunError` where the split holds nothing to measure on.
    """
    seen, positives = interactions(data), held_out(data, split)
    rows = evaluated_users(positives)
    if not len(rows):
        raise RunError(f"split {split!r} holds 0 interactions to measure on; set split.{split} above 0")
    depth = max(config.k)
    users = torch.from_numpy(rows)
    ranked = np.full((scorer.num_users, depth), -1, dtype=np.int64)
    ranked[rows], _ = top_items(scorer, users, seen, depth)
    firsts = np.zeros(scorer.num_users, dtype=np.int64)
    firsts[rows] = first_ranks(scorer, users, seen, positives)
    values = user_metrics(ranked, positives, config.k, firsts)
    return Measured(summarise(values, seed=seed, resamples=config.resamples), values, ranked)


def slices(
    measured: Measured, data: HeteroData, split: Split, config: EvaluationConfig, *, seed: int
) -> dict[str, Any]:
    """The same ranking by user activity, item popularity, cold items and items that lack a modality."""
    return slice_metrics(
        measured.ranked,
        held_out(data, split),
        interactions(data),
        config.k,
        has_modality={m: mask for m in MODALITIES if (mask := items_with(data, m)).any() and not mask.all()},
        seed=seed,
        resamples=min(config.resamples, 200),
    )


def items_with(data: HeteroData, modality: str) -> Bool[np.ndarray, "items"]:
    """Which items have the modality."""
    mask = np.zeros(int(data["Item"].num_nodes), dtype=bool)
    mask[data["Item", HAS[modality], MEDIA_LABELS[modality]].edge_index[0].numpy()] = True
    return mask
