"""The model's pairs as a classification: the rule from validation, the numbers from test."""

from collections.abc import Iterator

import numpy as np
import torch
from torch_geometric.data import HeteroData

from evaluation.classification import Block, classified, learned_rule
from evaluation.config import EvaluationConfig
from evaluation.metrics import evaluated_users
from gnn.matrices import Split, held_out, interactions
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import masked_scores, user_blocks
from modalweave.results.classification import Classification

_JUDGED = 2000
"""Users of a split whose pairs are looked at, evenly spread."""


def classify(scorer: Scorer, data: HeteroData, config: EvaluationConfig, *, seed: int) -> Classification | None:
    """Of the test pairs; None where validation holds none to learn the threshold from.

    Candidates are those of the ranking: all items but the user's training items.
    """
    if not held_out(data, "valid").nnz:
        return None
    rule = learned_rule(_blocks(scorer, data, "valid"))
    found = classified(_blocks(scorer, data, "test"), rule, seed=seed, resamples=min(config.resamples, 200))
    return Classification.of(found)


def _blocks(scorer: Scorer, data: HeteroData, split: Split) -> Iterator[Block]:
    seen, links = interactions(data), held_out(data, split)
    users = evaluated_users(links)
    users = users[np.linspace(0, len(users) - 1, min(len(users), _JUDGED)).round().astype(np.int64)]
    for _, block in user_blocks(torch.from_numpy(users), scorer.num_items):
        yield masked_scores(scorer, block, seen).numpy(), links[block.numpy()]
