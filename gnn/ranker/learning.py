"""Learning the second stage: lists with held-back interactions in them, trees grown on these, a blend by validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.errors import GnnError, NothingToLearn
from gnn.matrices import held_out
from gnn.ranker.config import SecondStageConfig
from gnn.ranker.evidence import Evidence
from gnn.ranker.growing import grow
from gnn.ranker.scorer import Candidates, RankedScorer, Retrieval
from gnn.ranker.trees import Trees
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import row_pairs
from gnn.validation import Validation

BLENDS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""What the retriever's score may count beside the trees', where validation chooses."""

UNKNOWN_BLEND = 0.3
"""Taken where there is no validation to choose on."""

_JUDGES = 20_000
"""Validation users that the blend is chosen by (a seeded sample)."""


class Held(NamedTuple):
    """A retriever fitted on fewer interactions, so that the others can be learned from."""

    scorer: Scorer
    data: HeteroData
    """The graph with the interactions that it was fitted on."""
    positives: sp.csr_matrix
    """Users x items, an entry where the user chose the item and the retriever could not know."""


@dataclass(frozen=True)
class Learned:
    """A second stage, and how good it is on validation."""

    scorer: RankedScorer
    quality: Float[Tensor, "users"]
    """Of each validation user looked at, by trees that were not grown on this user's validation pairs."""
    retrieval_quality: Float[Tensor, "users"]
    """The same of the retriever alone."""

    @property
    def gains(self) -> bool:
        """Whether the second stage is better on average."""
        return float(self.quality.sum()) > float(self.retrieval_quality.sum())


def learn(
    retriever: Scorer,
    data: HeteroData,
    held: Held | None,
    config: SecondStageConfig,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Learned:
    """Learn to order what `retriever`, fitted on `data`, finds; of `held`, or None of the validation pairs of `data`.

    Raises `GnnError` where no list holds one of the pairs to learn from.
    """
    retrieval = _retrieval(retriever, data, config)
    validation = Validation.of(data, seed=seed, limit=_JUDGES)
    blends = BLENDS if config.blend is None else (config.blend,)
    if held is not None:
        trees = _grown(_retrieval(held.scorer, held.data, config), held.positives, config, seed, progress)
        judged = _judged(retrieval, trees, validation, blends)
    else:
        positives = held_out(data, "valid")
        trees = _grown(retrieval, positives, config, seed, progress)
        judged = _crossed(retrieval, positives, validation, blends, config, seed)
    blend = blends[0] if len(blends) == 1 else UNKNOWN_BLEND
    if len(judged.before):
        blend = max(blends, key=lambda b: float(judged.after[b].mean()))
    scorer = RankedScorer(retrieval, trees, blend)
    return Learned(scorer, judged.after[blend], judged.before)


def _retrieval(scorer: Scorer, data: HeteroData, config: SecondStageConfig) -> Retrieval:
    return Retrieval(scorer, Evidence.of(data), config.candidates)


def _grown(
    retrieval: Retrieval,
    positives: sp.csr_matrix,
    config: SecondStageConfig,
    seed: int,
    progress: Progress | None = None,
) -> Trees:
    """Trees learned from the users' candidates: all that were chosen and `negatives` of the others in each list."""
    generator = np.random.default_rng(seed)
    users = torch.from_numpy(np.flatnonzero(positives.getnnz(axis=1)))
    rows, labels, lengths, done = [], [], [], 0
    for found in retrieval.candidates(users):
        chosen = _chosen(found, positives)
        done += len(found.users)
        if progress:
            progress(done, len(users))
        for items, hits, features in zip(found.items, chosen, found.features, strict=True):
            first, others = np.flatnonzero(hits), np.flatnonzero(~hits & (items >= 0))
            if not len(first) or not len(others):
                continue
            drawn = generator.choice(others, min(config.negatives, len(others)), replace=False)
            rows.append(features[np.concatenate([first, drawn])])
            labels += [np.ones(len(first), dtype=np.int32), np.zeros(len(drawn), dtype=np.int32)]
            lengths.append(len(first) + len(drawn))
    if not rows:
        raise NothingToLearn(
            f"none of {positives.nnz} interactions held back is among a user's {retrieval.depth} candidates, so there "
            "is nothing to learn an order from; leave model: ranked out, or raise gnn.ranked.candidates"
        )
    described = retrieval.features.described
    groups = {feature.group for feature in described}
    if unknown := [group for group in config.leave_out if group not in groups]:
        raise GnnError(f"ranked.leave_out names {unknown[0]!r}; the evidence here is {', '.join(sorted(groups))}")
    columns = np.concatenate(rows)
    columns[:, [feature.group in config.leave_out for feature in described]] = 0  # no tree splits by a constant
    monotone = [feature.monotone for feature in described]
    return grow(columns, np.concatenate(labels), np.array(lengths), monotone, config.trees, seed=seed)


def _chosen(found: Candidates, positives: sp.csr_matrix) -> Bool[np.ndarray, "block candidates"]:
    rows = np.repeat(found.users.numpy(), found.items.shape[1])
    hits = np.asarray(positives[rows, np.maximum(found.items, 0).ravel()]).reshape(found.items.shape) > 0
    return hits & (found.items >= 0)


class _Judged(NamedTuple):
    """Validation quality of each user with the second stage, by blend, and with the retriever alone."""

    after: dict[float, Float[Tensor, "users"]]
    before: Float[Tensor, "users"]


def _judged(retrieval: Retrieval, trees: Trees, validation: Validation, blends: Sequence[float]) -> _Judged:
    after: dict[float, list[Tensor]] = {blend: [] for blend in blends}
    before = []
    for found in retrieval.candidates(validation.users):
        seen = row_pairs(validation.seen, found.users)
        ranked = RankedScorer(retrieval, trees, 0.0).rank(found)
        for blend in blends:
            scores = RankedScorer(retrieval, trees, blend).ordered(found, ranked)
            scores[seen] = -torch.inf
            after[blend].append(validation.block_quality(scores, found.users))
        found.scores[seen] = -torch.inf
        before.append(validation.block_quality(found.scores, found.users))
    nothing = torch.zeros(0, dtype=torch.float64)
    return _Judged({b: torch.cat(values or [nothing]) for b, values in after.items()}, torch.cat(before or [nothing]))


def _crossed(
    retrieval: Retrieval,
    positives: sp.csr_matrix,
    validation: Validation,
    blends: Sequence[float],
    config: SecondStageConfig,
    seed: int,
) -> _Judged:
    """Each half of the users judged by trees grown on the other half."""
    half = np.asarray(np.random.default_rng(seed).random(positives.shape[0]) < 0.5)
    found = []
    for judged in (half, ~half):
        others = sp.csr_matrix(positives.multiply(~judged[:, None]))
        others.eliminate_zeros()
        trees = _grown(retrieval, others, config, seed)
        users = validation.users[torch.from_numpy(judged[validation.users.numpy()])]
        found.append(_judged(retrieval, trees, replace(validation, users=users), blends))
    after = {blend: torch.cat([part.after[blend] for part in found]) for blend in blends}
    return _Judged(after, torch.cat([part.before for part in found]))
