"""The filter's own choice of parameters: a coordinate search on validation that reuses every product it can."""

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.blocked import truncated_svd
from gnn.closed_form.config import FilterParameters
from gnn.closed_form.filter_formula import (
    blend_in,
    cold_similarity,
    cooccurrence,
    mixed_links,
    modality_shares,
    normalised,
    output_scale,
    plain_filter,
    sparse_similarity,
)
from gnn.closed_form.held import Held
from gnn.parallel import in_threads, product
from gnn.scorers.ranking import row_pairs
from gnn.validation import Validation

_Move = Callable[[FilterParameters, float], FilterParameters]

LOW_RANK_WEIGHTS = (0.25, 0.5)
"""Weights tried for the filter's own truncation, beside 0."""

_BLOCK_USERS = 128
"""Users scored at once."""

GRAM_PRODUCTS = 10_000_000
"""Products that sum to the co-occurrence matrix (the squared lengths of all histories) up to which a search with pruned
rows holds it: its entries are no more, 8 bytes each."""


class FilterSearch:
    """Climbs from the default parameters, one at a time, while validation quality rises.

    Output exponent and hops only rescale and mix score blocks that are already there; user and input exponent,
    power, diagonal and modality weights need the blocks again. Each round halves the steps.
    """

    def __init__(
        self,
        data: HeteroData,
        history: sp.csr_matrix,
        media: Mapping[str, sp.csr_matrix],
        *,
        users: int,
        entries: int | None,
        low_rank: int,
        seed: int,
    ) -> None:
        """`entries` prunes rows (large catalogues); None keeps them dense and tries the low-rank blend too."""
        self.blend = entries is None and low_rank > 0
        self.validation = Validation.of(data, seed=seed, limit=users)
        self.blocks = _Blocks(history, media, self.validation, entries, low_rank, seed)
        self.modalities = tuple(media)

    def run(self, start: FilterParameters, rounds: int, progress: Progress | None) -> FilterParameters:
        """The best parameters found; `start` where the graph has no validation pairs."""
        if not self.validation.num_pairs:
            return start
        shares = modality_shares(self.modalities, start.modality_weights)
        best = start.model_copy(update={"modality_weights": shares})
        quality = self._quality(best)
        self.blocks.keep(best)
        cheap, dear = self._cheap(), self._dear()
        moves = [(move, size / 2**n) for n in range(rounds) for move, size in [*cheap, *dear]]
        moves += [(move, size / 2**rounds) for move, size in cheap]
        for number, (move, size) in enumerate(moves):
            best, quality = self._climb(best, quality, move, size)
            if progress:
                progress(number + 1, len(moves) + 1)
        return self._blended(best, float(quality.mean())) if self.blend else best

    def filter(self, parameters: FilterParameters) -> np.ndarray:
        """Q as one dense matrix (items x items), with what the search has computed already."""
        return self.blocks.filter(parameters)

    def _climb(
        self, best: FilterParameters, quality: Tensor, move: _Move, size: float
    ) -> tuple[FilterParameters, Tensor]:
        for direction in (size, -size):
            start = best
            while (candidate := move(best, direction)) != best:
                reached = self._quality(candidate)
                if not clearly_better(reached, quality):
                    break
                best, quality = candidate, reached
                self.blocks.keep(best)
            if best != start:
                break
        return best, quality

    def _blended(self, best: FilterParameters, quality: float) -> FilterParameters:
        """The low-rank weight that does best: one number with no default to stay near, so any gain decides."""
        start = best
        for weight in LOW_RANK_WEIGHTS:
            candidate = start.model_copy(update={"low_rank_weight": weight})
            reached = float(self._quality(candidate).mean())
            if reached > quality:
                best, quality = candidate, reached
        return best

    def _quality(self, parameters: FilterParameters) -> Tensor:
        """Each sampled user's validation quality."""
        users, scores = self.validation.users, self.blocks.scorer(parameters)

        def quality(start: int) -> Tensor:
            block = slice(start, start + _BLOCK_USERS)
            return self.validation.block_quality(scores(block), users[block])

        return torch.cat(list(in_threads(quality, range(0, len(users), _BLOCK_USERS))))

    def _cheap(self) -> list[tuple[_Move, float]]:
        cheap = [(_field("output_exponent"), 0.1)]
        return [*cheap, (_field("cold_weight"), 1.0), (_hop(0), 0.5), (_hop(1), 1.0)] if self.modalities else cheap

    def _dear(self) -> list[tuple[_Move, float]]:
        if not self.blocks.holds_gram:
            return []  # each of them would cost a co-occurrence matrix of the whole catalogue
        dear = [(_field(name), 0.1) for name in ("user_exponent", "input_exponent")]
        dear += [(_field("power"), 0.15), (_field("diagonal"), 0.5)]
        shared = self.modalities if len(self.modalities) > 2 else self.modalities[1:]  # of two, one decides both
        return [*dear, *((_share(modality), 0.2) for modality in shared)]


def clearly_better(candidate: Tensor, current: Tensor) -> bool:
    """Better on average over the same users, by more than the standard error of the difference."""
    gain = candidate - current
    return bool(gain.mean() > gain.std() / len(gain) ** 0.5) if len(gain) > 1 else bool(gain.mean() > 0)


class _Plain(NamedTuple):
    """The filter without truncation, and its truncated SVD."""

    weights: np.ndarray
    cut: tuple[np.ndarray, np.ndarray, np.ndarray]


class _Blocks:
    """Scores of the sampled users under any parameters, from products that are made again only where what they depend
    on has changed.

    | product | depends on |
    |---|---|
    | `gram`: C | user exponent |
    | `spread`: `X S`, `X M S`, `X M^2 S` | user and input exponent, power, diagonal, modality weights |
    | `to_cold`: `X M`, `X M^2` at the items nobody has | modality weights |
    | `plain`: Q and its truncated SVD | all but the low-rank weight |
    """

    def __init__(
        self,
        history: sp.csr_matrix,
        media: Mapping[str, sp.csr_matrix],
        validation: Validation,
        entries: int | None,
        low_rank: int,
        seed: int,
    ) -> None:
        self.history, self.media, self.entries = history, media, entries
        self.low_rank, self.seed = low_rank, seed
        self.users, self.rows = validation.users, history[validation.users.numpy()]
        self.cold = np.flatnonzero(history.getnnz(axis=0) == 0)
        products = float((np.diff(history.indptr).astype(np.float64) ** 2).sum())
        self.holds_gram = entries is None or products <= GRAM_PRODUCTS
        self._gram, self._spread = Held[sp.csr_matrix](), Held[list[np.ndarray]]()
        self._to_cold, self._plain = Held[list[Tensor]](), Held[_Plain]()

    def keep(self, parameters: FilterParameters) -> None:
        """Hold what these need beside the latest: the search comes back to them."""
        self._spread.keep(_spread_key(parameters))

    def scorer(self, parameters: FilterParameters) -> Callable[[slice], Tensor]:
        """Masked scores of a block of the sampled users: small enough that it stays in the processor's cache."""
        spread = [torch.from_numpy(hop) for hop in self.spread(parameters)]
        scale = torch.from_numpy(output_scale(self.history, parameters))
        cold = torch.from_numpy(self.cold)
        to_cold = self.to_cold(parameters) if len(cold) else []
        own = cold_similarity(self.history, parameters)
        cut = self.plain(parameters).cut if parameters.low_rank_weight else None

        def scores(block: slice) -> Tensor:
            total = spread[0][block].clone()
            for weight, hop in zip(parameters.hops, spread[1:], strict=False):
                total.add_(hop[block], alpha=weight)
            total.mul_(scale)
            if to_cold:
                total[:, cold] = own * sum(
                    weight * hop[block] for weight, hop in zip(parameters.hops, to_cold, strict=True)
                )
            if cut is not None:
                left, values, right = cut
                low_rank = (self.rows[block] @ (left * values)) @ right.T
                total.add_(torch.from_numpy(low_rank), alpha=parameters.low_rank_weight)
            total[row_pairs(self.history, self.users[block])] = -torch.inf
            return total

        return scores

    def filter(self, parameters: FilterParameters) -> np.ndarray:
        """Q, from what the search has left; uses it up."""
        plain = self.plain(parameters)
        self._plain.forget()
        if parameters.low_rank_weight:
            blend_in(plain.cut, plain.weights, parameters)
        return plain.weights

    def plain(self, parameters: FilterParameters) -> _Plain:
        """Q without its low-rank part, and the truncation that this part is."""
        alone = parameters.model_copy(update={"low_rank_weight": 0.0})

        def make() -> _Plain:
            weights = plain_filter(self.history, self.media, alone)
            return _Plain(weights, truncated_svd(weights, self.low_rank, seed=self.seed))

        return self._plain(alone.model_dump_json(), make)

    def to_cold(self, parameters: FilterParameters) -> list[Tensor]:
        """`X M` and `X M^2` of the sampled users at the items nobody has; nothing without media links."""

        def make() -> list[Tensor]:
            return [torch.from_numpy(rows[:, self.cold].toarray()) for rows in self._smoothed(parameters)[1:]]

        return self._to_cold(tuple(sorted(parameters.modality_weights.items())), make)

    def spread(self, parameters: FilterParameters) -> list[np.ndarray]:
        """`X S`, `X M S` and `X M^2 S` of the sampled users, before the output exponent."""

        def make() -> list[np.ndarray]:
            plain = self._spread.get(_spread_key(parameters.model_copy(update={"diagonal": 1.0})))
            found = self._with_diagonal(plain, parameters) if plain else self._products(parameters)
            return [np.asarray(hop, dtype=np.float32) for hop in found]

        return self._spread(_spread_key(parameters), make)

    def gram(self, parameters: FilterParameters) -> sp.csr_matrix:
        """C of all users."""
        exponent = parameters.user_exponent
        return self._gram(exponent, lambda: cooccurrence(self.history, exponent))

    def _with_diagonal(self, plain: list[np.ndarray], parameters: FilterParameters) -> list[np.ndarray]:
        """The products are linear in the diagonal: what it adds to those with s = 1 is quickly made."""
        more = parameters.model_copy(update={"output_exponent": 0.0, "diagonal": parameters.diagonal - 1})
        added = sp.diags(normalised(self.gram(parameters), self.history, more).diagonal()).tocsr()
        return [hop + product(rows, added) for hop, rows in zip(plain, self._smoothed(parameters), strict=True)]

    def _smoothed(self, parameters: FilterParameters) -> list[sp.csr_matrix]:
        """The sampled users' histories spread over no, one and two hops of media links."""
        mixed = mixed_links(self.media, parameters)
        return [self.rows] if mixed is None else [self.rows, self.rows @ mixed, self.rows @ mixed @ mixed]

    def _products(self, parameters: FilterParameters) -> list[np.ndarray]:
        neutral = parameters.model_copy(update={"output_exponent": 0.0})
        if self.entries is not None:
            gram = self.gram(parameters) if self.holds_gram else None
            base, _ = sparse_similarity(self.history, neutral, self.entries, gram)
            return [(rows @ base).toarray() for rows in self._smoothed(parameters)]
        mixed = mixed_links(self.media, parameters)
        base = normalised(self.gram(parameters), self.history, neutral)
        if mixed is None:
            return [self.rows @ base.toarray()]
        once = product(mixed, base)  # a tenth of the time of M times a dense S
        used = np.flatnonzero(self.rows.getnnz(axis=0))
        twice = product(mixed[used], once)
        return [product(self.rows, base), product(self.rows, once), product(self.rows[:, used], twice)]


def _spread_key(parameters: FilterParameters) -> tuple[Hashable, ...]:
    """What the spread histories depend on."""
    p = parameters
    return p.user_exponent, p.input_exponent, p.power, p.diagonal, tuple(sorted(p.modality_weights.items()))


def _field(name: str) -> _Move:
    """Move one number, inside the bounds of its declaration."""
    bounds = {"power": (0.2, 2.0), "diagonal": (0.0, 3.0), "cold_weight": (0.0, 8.0)}
    low, high = bounds.get(name, (0.0, 1.0))

    def move(parameters: FilterParameters, step: float) -> FilterParameters:
        value = round(min(max(getattr(parameters, name) + step, low), high), 4)
        return parameters.model_copy(update={name: value})

    return move


def _hop(number: int) -> _Move:
    """Move the weight of one hop, not below 0 and not above 10."""

    def move(parameters: FilterParameters, step: float) -> FilterParameters:
        hops = list(parameters.hops)
        hops[number] = round(min(max(hops[number] + step, 0.0), 10.0), 4)
        return parameters.model_copy(update={"hops": tuple(hops)})

    return move


def _share(modality: str) -> _Move:
    """Move one modality's share; the others keep their proportions."""

    def move(parameters: FilterParameters, step: float) -> FilterParameters:
        shares = dict(parameters.modality_weights)
        value = min(max(shares[modality] + step, 0.0), 1.0)
        rest = sum(shares.values()) - shares[modality]
        if not rest or value == shares[modality]:
            return parameters
        shares = {name: round(share * (1 - value) / rest, 6) for name, share in shares.items()}
        shares[modality] = round(value, 6)
        return parameters.model_copy(update={"modality_weights": shares})

    return move
