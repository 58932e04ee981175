"""EASE: the closed-form linear item model (Steck, WWW 2019), with or without media (Jeunen et al., RecSys 2020)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.blocked import truncated_svd
from gnn.matrices import interactions, media_similarity
from gnn.network.config import Modality
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, UserTerms
from gnn.validation import Validation
from graph.schema import MODALITIES


class EASEConfig(BaseModel, extra="forbid"):
    """How strongly the weights are held small, what media count, and where the exact form ends."""

    regularisation: PositiveFloat | None = None
    """L2 penalty; None takes the best of `candidates` on validation."""

    candidates: tuple[PositiveFloat, ...] = Field((10.0, 30.0, 100.0, 300.0, 1000.0), min_length=1)
    """Ascending penalties where `regularisation` is None: from the middle one downhill is left off."""

    media_weights: dict[Modality, NonNegativeFloat] | None = {}
    """Modality -> what a media neighbourhood counts beside a user's history; `{}` leaves media out, None takes the
    best of `media_candidates` for each modality on validation."""

    media_candidates: tuple[NonNegativeFloat, ...] = Field((0.0, 1.0, 3.0, 10.0, 30.0), min_length=1)
    """Ascending weights where `media_weights` is None."""

    search_users: PositiveInt = 20_000
    """Validation users a choice looks at (a seeded sample); an eighth of them above `dense_limit` items."""

    dense_limit: PositiveInt = 20_000
    """Items above which the low-rank form is used (the exact one holds items x items float32, three times)."""

    rank: PositiveInt = 512
    """Singular vectors kept in the low-rank form."""


class EASE:
    """Scores `X B`, `B = I - P / diag(P)` with `P = (X^T X + sum over modalities of w R^T R + regularisation I)^-1`.

    R = I + M, M the symmetrically normalised media links between items: what an item's media resemble counts as the
    history of one more user, of weight w. So the item weights have to explain both (collective EASE, there with tags
    in place of neighbourhoods), and an item that nobody has yet is reached through its media.
    """

    def __init__(self, config: EASEConfig | None = None, tell: Callable[[str], None] | None = None) -> None:
        """`tell` hears of the low-rank form and what it leaves out."""
        self.config, self.tell = config or EASEConfig(), tell
        self.regularisation = self.config.regularisation
        """The penalty used, after `fit`."""
        self.media_weights = _by_name(self.config.media_weights)
        """The weights used, after `fit`."""

    @property
    def chosen(self) -> dict[str, Any]:
        """A `gnn:` section that gives the same weights without searching."""
        return {"model": "ease", "ease": self.resolved().model_dump(mode="json", exclude_defaults=True)}

    def resolved(self) -> EASEConfig:
        """The settings with what `fit` chose written in."""
        found = {"regularisation": self.regularisation, "media_weights": self.media_weights}
        return EASEConfig.model_validate(self.config.model_dump() | found)

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> Scorer:
        """An `ItemItemScorer` up to `dense_limit` items, else a `DotScorer`."""
        config, history = self.config, interactions(data)
        weights = _by_name(config.media_weights)
        media = neighbourhoods(data, MODALITIES if weights is None else [m for m, w in weights.items() if w])
        large = history.shape[1] > config.dense_limit
        build = _LowRank(history, media, config.rank, seed) if large else _Exact(history, media)
        start = _Choice(
            config.regularisation or config.candidates[len(config.candidates) // 2],
            dict.fromkeys(media, config.media_candidates[0]) if weights is None else {m: weights[m] for m in media},
        )
        axes = {} if config.regularisation else {_PENALTY: config.candidates}
        axes |= dict.fromkeys(media, config.media_candidates) if weights is None else {}
        users = config.search_users // 8 if large else config.search_users
        validation = Validation.of(data, seed=seed, limit=users)
        if axes and validation.num_pairs:
            start, scorer = _climb(build, start, axes, validation, progress)
        else:
            scorer = build(start)
        self.regularisation, self.media_weights = start
        if isinstance(build, _LowRank) and self.tell:
            cut = build.cut(start.media_weights)
            self.tell(
                f"EASE: {history.shape[1]:,} items are more than ease.dense_limit {config.dense_limit:,}, so "
                f"it is cut to {len(cut.values)} singular vectors, which hold {cut.energy:.0%} of the interactions"
            )
        return scorer


def neighbourhoods(data: HeteroData, modalities: Iterable[str]) -> dict[str, sp.csr_matrix]:
    """Modality -> `I + M`, items x items, with empty rows for items without media links; only those that have any."""
    found = {}
    for modality in modalities:
        links = media_similarity(data, modality)
        if links is not None:
            linked = (np.diff(links.indptr) > 0).astype(np.float32)
            found[modality] = (sp.diags(linked) + links).tocsr().astype(np.float32)
    return found


def ease_weights(gram: Tensor, regularisation: float) -> Tensor:
    """Items x items weights with a zero diagonal from `X^T X`; `gram` is left as it was."""
    matrix = gram.clone()
    matrix.diagonal().add_(regularisation)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    weights = inverse.div_(-inverse.diagonal().clone())
    weights.fill_diagonal_(0)
    return weights


def _by_name(weights: Mapping[Modality, float] | None) -> dict[str, float] | None:
    return None if weights is None else {str(modality): weight for modality, weight in weights.items()}


_PENALTY = "regularisation"


class _Choice(NamedTuple):
    """What validation decides."""

    regularisation: float
    media_weights: dict[str, float]

    def on(self, axis: str) -> float:
        """The value on one axis: the penalty or a modality."""
        return self.regularisation if axis == _PENALTY else self.media_weights[axis]

    def moved(self, axis: str, value: float) -> "_Choice":
        """With that value replaced."""
        if axis == _PENALTY:
            return self._replace(regularisation=value)
        return self._replace(media_weights=self.media_weights | {axis: value})


def _climb(
    build: "_Exact | _LowRank",
    best: _Choice,
    axes: Mapping[str, tuple[float, ...]],
    validation: Validation,
    progress: Progress | None,
) -> tuple[_Choice, Scorer]:
    """One axis after the other, from where it stands to the better side while validation quality rises."""
    scorer = build(best)
    quality, done, total = validation.quality(scorer), 0, sum(map(len, axes.values()))
    for axis, values in axes.items():
        start = values.index(best.on(axis))
        for side in (values[:start][::-1], values[start + 1 :]):
            before = best
            for value in side:
                choice = best.moved(axis, value)
                candidate = build(choice)
                reached, done = validation.quality(candidate), done + 1
                if progress:
                    progress(done, total)
                if reached <= quality:
                    break
                best, scorer, quality = choice, candidate, reached
            if best is not before:
                break
    return best, scorer


class _Exact:
    """The Gram matrix once, one Cholesky inverse for each choice."""

    def __init__(self, history: sp.csr_matrix, media: Mapping[str, sp.csr_matrix]) -> None:
        self.history = history
        self.gram = torch.from_numpy((history.T @ history).toarray().astype(np.float32))
        self.media = {name: (hoods.T @ hoods).tocoo() for name, hoods in media.items()}

    def __call__(self, choice: _Choice) -> ItemItemScorer:
        gram = self.gram
        if any(choice.media_weights.values()):
            gram = gram.clone()
            for name, weight in choice.media_weights.items():
                more = self.media[name]
                gram.numpy()[more.row, more.col] += weight * more.data
        return ItemItemScorer(self.history, ease_weights(gram, choice.regularisation))


class _Cut(NamedTuple):
    values: Float[np.ndarray, "rank"]
    basis: Float[np.ndarray, "items rank"]
    energy: float
    """Share of the squared entries that the cut form holds."""


class _LowRank:
    """X = U S V^T cut at `rank`: P is then a diagonal plus low rank, so `X B` off the diagonal is one dot product.

    The neighbourhoods are more rows of X for the cut, each times the root of its weight. By Woodbury
    P = (I - V F V^T) / penalty with F = s^2 / (s^2 + penalty). For an item the user does not have, the identity drops
    out and the score is `(x V F V^T)_j / (1 - (V F V^T)_jj)`.
    """

    def __init__(self, history: sp.csr_matrix, media: Mapping[str, sp.csr_matrix], rank: int, seed: int) -> None:
        self.history, self.media, self.rank, self.seed = history, media, rank, seed
        self._last: tuple[dict[str, float], _Cut] | None = None

    def __call__(self, choice: _Choice) -> DotScorer:
        values, basis, _ = self.cut(choice.media_weights)
        shrink = values**2 / (values**2 + choice.regularisation)
        scaled = (basis * np.sqrt(shrink)).astype(np.float32)
        own = 1 - (scaled**2).sum(axis=1, keepdims=True)
        users = torch.from_numpy(np.ascontiguousarray(self.history @ scaled, dtype=np.float32))
        terms = UserTerms(torch.from_numpy(scaled), exponent=0.0)
        return DotScorer(users, torch.from_numpy(scaled / np.maximum(own, 1e-6)), terms=terms)

    def cut(self, weights: dict[str, float]) -> _Cut:
        """The truncation for these media weights; the last one is kept."""
        if self._last is None or self._last[0] != weights:
            more = [np.float32(weight**0.5) * self.media[name] for name, weight in weights.items() if weight]
            rows = sp.vstack([self.history, *more], format="csr") if more else self.history
            _, values, basis = truncated_svd(rows, min(self.rank, *rows.shape), seed=self.seed)
            energy = float((values.astype(np.float64) ** 2).sum() / max(rows.power(2).sum(), 1))
            self._last = weights, _Cut(values, basis, energy)
        return self._last[1]
