"""EASE: the closed-form linear item model (Steck, WWW 2019), dense on small catalogues, low-rank on large ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from gnn.linalg import truncated_svd
from gnn.matrices import interactions
from gnn.scorers import DotScorer, ItemItemScorer, Progress, Scorer, UserTerms
from gnn.selection import Validation


class EASEConfig(BaseModel, extra="forbid"):
    """How strongly the weights are held small, and where the exact form ends."""

    regularisation: PositiveFloat | None = None
    """L2 penalty; None takes the best of `candidates` on validation."""

    candidates: tuple[PositiveFloat, ...] = Field((10.0, 30.0, 100.0, 300.0, 1000.0), min_length=1)
    """Ascending penalties where `regularisation` is None: from the middle one downhill is left off."""

    dense_limit: PositiveInt = 20_000
    """Items above which the low-rank form is used (the exact one holds items x items float32, three times)."""

    rank: PositiveInt = 512
    """Singular vectors kept in the low-rank form."""


class EASE:
    """`B = I - P / diag(P)` with `P = (X^T X + regularisation I)^-1`; scores are `X B`."""

    def __init__(self, config: EASEConfig | None = None, tell: Callable[[str], None] | None = None) -> None:
        """`tell` hears of the low-rank form and what it leaves out."""
        self.config, self.tell = config or EASEConfig(), tell
        self.regularisation = self.config.regularisation
        """The penalty used, after `fit`."""

    @property
    def chosen(self) -> dict[str, Any]:
        """A `gnn:` section that gives the same weights without searching."""
        settings = {**self.config.model_dump(exclude_defaults=True), "regularisation": self.regularisation}
        return {"model": "ease", "ease": settings}

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> Scorer:
        """An `ItemItemScorer` up to `dense_limit` items, else a `DotScorer`."""
        history = interactions(data)
        large = history.shape[1] > self.config.dense_limit
        build = _LowRank(history, self.config.rank, seed) if large else _Exact(history)
        if isinstance(build, _LowRank) and self.tell:
            self.tell(
                f"EASE: {history.shape[1]:,} items are more than ease.dense_limit {self.config.dense_limit:,}, so "
                f"it is cut to {len(build.values)} singular vectors, which hold {build.energy:.0%} of the interactions"
            )
        fixed = self.config.regularisation
        if fixed is None:
            validation = Validation.of(data, seed=seed)
            self.regularisation, scorer = _climb(build, validation, self.config.candidates, progress)
        else:
            scorer = build(fixed)
        return scorer


def _climb(
    build: "_Exact | _LowRank",
    validation: Validation,
    candidates: tuple[float, ...],
    progress: Progress | None,
) -> tuple[float, Scorer]:
    """The candidate with the best validation quality, going from the middle one to the better side while it pays."""
    middle = len(candidates) // 2
    best, scorer = middle, build(candidates[middle])
    if not validation.num_pairs:
        return candidates[best], scorer
    quality, done = validation.quality(scorer), 1
    for step in (-1, 1):
        while 0 <= best + step < len(candidates):
            other = build(candidates[best + step])
            reached, done = validation.quality(other), done + 1
            if progress:
                progress(min(done, len(candidates)), len(candidates))
            if reached <= quality:
                break
            best, scorer, quality = best + step, other, reached
        if best != middle:
            break
    return candidates[best], scorer


class _Exact:
    """The Gram matrix once, one Cholesky inverse for each penalty."""

    def __init__(self, history: sp.csr_matrix) -> None:
        self.history = history
        self.gram = torch.from_numpy((history.T @ history).toarray().astype(np.float32))

    def __call__(self, regularisation: float) -> ItemItemScorer:
        return ItemItemScorer(self.history, ease_weights(self.gram, regularisation))


class _LowRank:
    """X = U S V^T cut at `rank`: P is then a diagonal plus low rank, so `X B` off the diagonal is one dot product.

    By Woodbury P = (I - V F V^T) / penalty with F = s^2 / (s^2 + penalty). For an item the user does not have,
    the identity drops out and the score is `(x V F V^T)_j / (1 - (V F V^T)_jj)`.
    """

    def __init__(self, history: sp.csr_matrix, rank: int, seed: int) -> None:
        self.history = history
        _, self.values, self.basis = truncated_svd(history, min(rank, *history.shape), seed=seed)
        self.energy = float((self.values.astype(np.float64) ** 2).sum() / max(history.power(2).sum(), 1))
        """Share of the squared entries of X that its cut form holds."""

    def __call__(self, regularisation: float) -> DotScorer:
        shrink = self.values**2 / (self.values**2 + regularisation)
        scaled = (self.basis * np.sqrt(shrink)).astype(np.float32)
        own = 1 - (scaled**2).sum(axis=1, keepdims=True)
        users = torch.from_numpy(np.ascontiguousarray(self.history @ scaled, dtype=np.float32))
        terms = UserTerms(torch.from_numpy(scaled), exponent=0.0)
        return DotScorer(users, torch.from_numpy(scaled / np.maximum(own, 1e-6)), terms=terms)


def ease_weights(gram: Tensor, regularisation: float) -> Tensor:
    """Items x items weights with a zero diagonal from `X^T X`; `gram` is left as it was."""
    matrix = gram.clone()
    matrix.diagonal().add_(regularisation)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    weights = inverse.div_(-inverse.diagonal().clone())
    weights.fill_diagonal_(0)
    return weights
