"""A scorer and a graph in, the contents of `metrics.json` out."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from evaluation.bootstrap import summarise
from evaluation.config import EvaluationConfig
from evaluation.metrics import evaluated_users, user_metrics
from gnn.matrices import Split, held_out, interactions
from gnn.rank import first_ranks, top_items
from gnn.scorers import Scorer


def measure(
    scorer: Scorer, data: HeteroData, split: Split, config: EvaluationConfig, *, seed: int
) -> tuple[dict[str, Any], np.ndarray, sp.csr_matrix]:
    """Rank the whole catalogue for every user with a held-out interaction and take every metric.

    Only training items are masked: validation items stay candidates at test time, as in MMRec and MMSSL.

    Returns:
        the metrics (name -> mean and interval), the ranking [users, depth] and the positives [users, items]
        of the evaluated users, in the order of `evaluation.metrics.evaluated_users`.
    """
    seen, positives = interactions(data), held_out(data, split)
    rows = evaluated_users(positives)
    users = torch.from_numpy(rows)
    depth = min(max(config.k), scorer.num_items)
    ks = [k for k in config.k if k <= depth]
    ranked, _ = top_items(scorer, users, seen, depth)
    firsts = first_ranks(scorer, users, seen, positives)
    held = positives[rows]
    values = user_metrics(ranked, held, ks, firsts)
    summary = summarise(values, seed=seed, resamples=config.resamples, level=config.level)
    return summary, ranked, held
