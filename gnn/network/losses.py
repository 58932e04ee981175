"""Training objectives by name: each cuts the training pairs into batches and judges the vectors on one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gnn.errors import GnnError
from gnn.network.config import NetworkConfig
from gnn.network.cross_entropy import CatalogueCrossEntropy, SampledCrossEntropy, UnitLength


@dataclass(frozen=True)
class Batch:
    """Training pairs of one step; ids stay on the CPU, where they are drawn, and index vectors on any device."""

    users: Int[Tensor, "pairs"]
    items: Int[Tensor, "pairs"]
    negatives: Int[Tensor, "drawn"] | None = None
    """Items drawn beforehand; None lets the loss draw them."""
    places: Int[Tensor, "pairs"] | None = None
    """Row of each pair's user among the user vectors that the batch is judged on; None = its id."""

    @property
    def rows(self) -> Int[Tensor, "pairs"]:
        """`places`, or the ids."""
        return self.users if self.places is None else self.places


class Loss(Protocol):
    """An objective over user and item vectors."""

    cosine: bool
    """Scores are cosines: the vectors are scaled to length 1 here and in the finished scorer."""

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every training pair once, in an order drawn from `generator`."""

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The mean loss of the batch, whose users stand at `batch.rows`; `generator` draws negatives."""


class SampledLoss(Loss, Protocol):
    """An objective that looks at drawn items only."""

    pairs: Batch
    """All training pairs."""

    def draw(self, batch: Batch, generator: torch.Generator) -> Int[Tensor, "drawn"]:
        """Negatives for the batch."""


class FullSoftmax:
    """Cross-entropy over the whole catalogue, cosine scores over a temperature.

    A batch is a set of users with all their pairs, so that those of a user share one row of scores.
    """

    cosine = True

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        self.history, self.config = history, config
        self.counts = _counts(history)
        known = torch.from_numpy(history.getnnz(axis=0)) > 0
        self.present = None if config.cold_negatives or known.all() else known.nonzero()[:, 0]

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_users` users with all their pairs."""
        return _by_users(self.history, self.config, generator)

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean over the pairs."""
        chosen, row = torch.unique_consecutive(batch.rows, return_inverse=True)
        left = UnitLength.apply(users[chosen]) / self.config.temperature
        columns = batch.items if self.present is None else torch.searchsorted(self.present, batch.items)
        right = UnitLength.apply(items if self.present is None else items[self.present])
        places = (part.to(users.device) for part in (row, columns, _weights(self.counts, batch, self.config)))
        loss: Tensor = CatalogueCrossEntropy.apply(left, right, *places)
        return loss


class SampledSoftmax:
    """Cross-entropy against a drawn sample of items, for catalogues too large for all of them.

    Items are drawn by popularity and each logit is lowered by the log of its expected count in the sample (Bengio and
    Senecal, 2008; Yi et al., 2019), so that the gradient estimates that of the full softmax. Users of a batch share the
    sample and a row of scores; in it a pair's own item counts once, however often it was drawn.
    """

    cosine = True

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        self.history, self.pairs, self.config = history, _pairs(history), config
        self.counts = _counts(history)
        popularity = torch.from_numpy(history.getnnz(axis=0)).double()
        weight = (popularity + 1) * (config.cold_negatives | (popularity > 0))
        self.probability = weight / weight.sum()

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_users` users with all their pairs."""
        return _by_users(self.history, self.config, generator)

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean over the pairs."""
        drawn = self.draw(batch, generator) if batch.negatives is None else batch.negatives
        chosen, row = torch.unique(batch.rows, return_inverse=True)
        order = row.argsort(stable=True)
        row, positives = row[order], batch.items[order]
        expected = self.probability * len(drawn)
        times = torch.bincount(drawn, minlength=len(expected))[positives]
        correction = (1 - times / expected[positives]).float()
        weights = _weights(self.counts, batch, self.config)[order]
        log_expected, correction, weights = (
            part.to(users.device) for part in (expected[drawn].log().float(), correction, weights)
        )
        left, unit = UnitLength.apply(users[chosen]) / self.config.temperature, UnitLength.apply(items)
        own = (left[row] * unit[positives]).sum(dim=1)
        loss: Tensor = SampledCrossEntropy.apply(left, unit[drawn], own, log_expected, row, correction, weights)
        return loss

    def draw(self, batch: Batch, generator: torch.Generator) -> Int[Tensor, "drawn"]:
        """`negatives` items by popularity, shared by the batch."""
        return torch.multinomial(self.probability, self.config.negatives, replacement=True, generator=generator)


class PairwiseRanking:
    """BPR (Rendle et al., 2009): a seen item above one unseen item drawn uniformly, inner-product scores."""

    cosine = False

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        self.pairs, self.config, self.num_items = _pairs(history), config, int(history.shape[1])
        self.keys = (self.pairs.users * self.num_items + self.pairs.items).sort().values

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_size` pairs each."""
        return _shuffled(self.pairs, self.config.pairs_a_step(len(self.pairs.users)), generator)

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean of `-log sigmoid(seen - unseen)`."""
        unseen = self.draw(batch, generator) if batch.negatives is None else batch.negatives
        left = users[batch.rows]
        gap = (left * (items[batch.items] - items[unseen])).sum(dim=1)
        return -functional.logsigmoid(gap).mean()

    def draw(self, batch: Batch, generator: torch.Generator) -> Int[Tensor, "drawn"]:
        """One uniform item for each pair, drawn anew (at most 10 times) while the user has seen it."""
        items = torch.randint(self.num_items, batch.items.shape, generator=generator)
        for _ in range(10):
            keys = batch.users * self.num_items + items
            place = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
            seen = self.keys[place] == keys
            if not seen.any():
                break
            items[seen] = torch.randint(self.num_items, (int(seen.sum()),), generator=generator)
        return items


LOSSES: dict[str, Callable[[sp.csr_matrix, NetworkConfig], Loss]] = {
    "softmax": FullSoftmax,
    "sampled_softmax": SampledSoftmax,
    "bpr": PairwiseRanking,
}
"""Objectives by name."""


def make_loss(history: sp.csr_matrix, config: NetworkConfig) -> Loss:
    """The objective `config.loss` names; `GnnError` for an unknown name or a graph without training pairs."""
    if config.loss not in LOSSES:
        raise GnnError(f"loss {config.loss!r} is unknown; use one of {', '.join(LOSSES)}")
    if history.nnz == 0:
        raise GnnError("the graph has 0 training interactions; a network needs at least one to learn from")
    return LOSSES[config.loss](history, config)


def alignment(
    contents: dict[str, Float[Tensor, "items dim"]],
    items: Int[Tensor, "chosen"],
    temperature: float,
    teacher: str | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE (van den Oord et al., 2018) between every two modalities over the chosen items.

    Items that lack one of the two (a zero vector) stay out. With a `teacher` only the pairs with it count,
    and its vectors do not move: knowledge passes from the strong modality to the weak ones.
    """
    names = list(contents)
    total = items.new_zeros((), dtype=torch.float32)
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            if teacher is not None and teacher not in (first, second):
                continue
            a, b = (contents[m][items].detach() if m == teacher else contents[m][items] for m in (first, second))
            both = (a.abs().sum(dim=1) > 0) & (b.abs().sum(dim=1) > 0)
            if int(both.sum()) < 2:
                continue
            logits = functional.normalize(a[both]) @ functional.normalize(b[both]).T / temperature
            target = torch.arange(len(logits), device=logits.device)
            total = total + (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    return total


def _counts(history: sp.csr_matrix) -> Float[Tensor, "users"]:
    return torch.from_numpy(np.diff(history.indptr).astype(np.float32))


def _weights(counts: Float[Tensor, "users"], batch: Batch, config: NetworkConfig) -> Float[Tensor, "pairs"]:
    """Of each pair: `pairs of its user ** -user_weight_power`, over their sum."""
    weights = counts[batch.users] ** -config.user_weight_power
    return weights / weights.sum()


def _by_users(history: sp.csr_matrix, config: NetworkConfig, generator: torch.Generator) -> Iterator[Batch]:
    users = torch.from_numpy(np.flatnonzero(np.diff(history.indptr)))
    order = users[torch.randperm(len(users), generator=generator)]
    for chosen in torch.split(order, config.users_a_step(len(order))):
        rows = history[chosen.numpy()]
        repeated = chosen.repeat_interleave(torch.from_numpy(np.diff(rows.indptr)).long())
        yield Batch(repeated, torch.from_numpy(rows.indices.astype(np.int64)))


def _pairs(history: sp.csr_matrix) -> Batch:
    edges = history.tocoo()
    return Batch(torch.from_numpy(edges.row.astype(np.int64)), torch.from_numpy(edges.col.astype(np.int64)))


def _shuffled(pairs: Batch, size: int, generator: torch.Generator) -> Iterator[Batch]:
    for chosen in torch.split(torch.randperm(len(pairs.users), generator=generator), size):
        yield Batch(pairs.users[chosen], pairs.items[chosen])
