"""EASE: the closed-form linear item model (Steck, WWW 2019), with or without media (Jeunen et al., RecSys 2020)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.blocked import truncated_svd
from gnn.closed_form.config import EASEConfig
from gnn.closed_form.recency import Recent
from gnn.components import Watch
from gnn.footprint import FLOAT, Footprint, Sizes, validation_bytes
from gnn.matrices import media_similarity
from gnn.network.config import Modality
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, UserTerms
from gnn.scorers.popular import popular_vector, without_history
from gnn.validation import Validation
from graph.schema import MODALITIES


class EASE(Recent[EASEConfig]):
    """Scores `X B`, `B = I - P / diag(P)` with `P = (X^T X + sum over modalities of w R^T R + regularisation I)^-1`.

    R = I + M, M the symmetrically normalised media links between items: what an item's media resemble counts as the
    history of one more user, of weight w. So the item weights have to explain both (collective EASE, there with tags
    in place of neighbourhoods), and an item that nobody has yet is reached through its media.
    """

    Config = EASEConfig

    def __init__(self, config: EASEConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.regularisation = self.config.regularisation
        """The penalty used, after `fit`."""
        self.media_weights = _by_name(self.config.media_weights)
        """The weights used, after `fit`."""

    def resolved(self) -> EASEConfig:
        """The settings with the penalty and the media weights used written in."""
        found = {"regularisation": self.regularisation, "media_weights": self.media_weights, "recency": self.recency}
        return EASEConfig.model_validate(self.config.model_dump() | found)

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> Scorer:
        """An `ItemItemScorer` up to `dense_limit` items, else a `DotScorer`."""
        config, weights = self.config, _by_name(self.config.media_weights)
        media = neighbourhoods(data, MODALITIES if weights is None else [m for m, w in weights.items() if w])
        large = int(data["Item"].num_nodes) > config.dense_limit
        users = config.search_users // 8 if large else config.search_users

        def prepared(history: sp.csr_matrix) -> _Exact | _LowRank:
            return _LowRank(history, media, config.rank, seed) if large else _Exact(history, media)

        start = _Choice(
            config.regularisation or config.candidates[len(config.candidates) // 2],
            dict.fromkeys(media, config.media_candidates[0]) if weights is None else {m: weights[m] for m in media},
        )
        build = prepared(self.choose_histories(data, lambda h: prepared(h)(start), seed=seed, users=users))
        history = build.history
        axes = {} if config.regularisation else {_PENALTY: config.candidates}
        axes |= dict.fromkeys(media, config.media_candidates) if weights is None else {}
        validation = Validation.of(data, seed=seed, limit=users)
        if axes and validation.num_pairs:
            start, scorer = _climb(build, start, axes, validation, progress)
        else:
            scorer = build(start)
        self.regularisation, self.media_weights = start
        if isinstance(build, _LowRank) and self.watch.tell:
            cut = build.cut(start.media_weights)
            self.watch.tell(
                f"EASE: {history.shape[1]:,} items are more than ease.dense_limit {config.dense_limit:,}, so "
                f"it is cut to {len(cut.values)} singular vectors, which hold {cut.energy:.0%} of the interactions"
            )
        return scorer

    @classmethod
    def footprint(cls, sizes: Sizes, config: EASEConfig) -> Footprint:
        """Up to `dense_limit` items 20 I^2 (Gram matrix, its factor, inverse, two candidates; with media one more Gram
        matrix and 16 bytes an entry of R^T R), 2 I^3 flops a candidate; above it 16 (U + I) rank, and as many cuts as
        media weights are tried. A search tries about 3 penalties and 3 weights a modality.
        """
        used = (
            sizes.media
            if config.media_weights is None
            else {m: sizes.media[m] for m in config.media_weights if m in sizes.media}
        )
        linked = [m for m in used.values() if m.links]
        weights = 3 * len(linked) if config.media_weights is None else 0
        if sizes.items <= config.dense_limit:
            square = sizes.items**2
            near = sum(min(square, 4 * m.links**2 / max(sizes.items, 1)) for m in linked)
            tried = (3 if config.regularisation is None else 1) + weights
            return Footprint(
                "ease",
                round((24 if linked else 20) * square + 16 * near) + validation_bytes(sizes),
                FLOAT * square,
                flops=2.0 * tried * sizes.items**3,
                lower="gnn.ease.dense_limit",
            )
        slim = (sizes.users + sizes.items * (1 + len(linked))) * config.rank
        entries = sizes.pairs + sum(2 * m.links for m in linked)
        return Footprint(
            "ease",
            16 * slim + validation_bytes(sizes),
            FLOAT * (sizes.users + sizes.items) * config.rank,
            flops=40.0 * (1 + weights) * slim * config.rank,
            edges=10.0 * (1 + weights) * entries * config.rank / 64,
            lower="gnn.ease.rank",
        )


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
        items = torch.from_numpy(scaled / np.maximum(own, 1e-6))
        unknown = without_history(self.history)
        if unknown.any():
            users[unknown] = popular_vector(items, self.history)
        alike = bool((self.history.data == 1).all())  # terms know who has what, not how much it counts
        return DotScorer(users, items, terms=UserTerms(torch.from_numpy(scaled), exponent=0.0) if alike else None)

    def cut(self, weights: dict[str, float]) -> _Cut:
        """The truncation for these media weights; the last one is kept."""
        if self._last is None or self._last[0] != weights:
            more = [np.float32(weight**0.5) * self.media[name] for name, weight in weights.items() if weight]
            rows = sp.vstack([self.history, *more], format="csr") if more else self.history
            _, values, basis = truncated_svd(rows, min(self.rank, *rows.shape), seed=self.seed)
            energy = float((values.astype(np.float64) ** 2).sum() / max(rows.power(2).sum(), 1))
            self._last = weights, _Cut(values, basis, energy)
        return self._last[1]
