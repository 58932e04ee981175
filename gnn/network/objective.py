"""What a training objective is: it cuts the training pairs into batches and judges the vectors on one.

The objectives themselves stand in `gnn/network/losses.py`, their names in `gnn/network/registries.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.errors import GnnError
from gnn.network.config import NetworkConfig
from gnn.network.registries import LOSSES


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


class Loss(ABC):
    """An objective over user and item vectors."""

    cosine: ClassVar[bool]
    """Scores are cosines: the vectors are scaled to length 1 here and in the finished scorer."""

    estimate: ClassVar[str | None] = None
    """Name of the `SampledLoss` that stands in for one that looks at all items where a step does not have them all."""

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        """`history` is users x items, an entry for each training pair: how much it counts, 1 where all count alike."""
        self.history, self.config = history, config
        self.alike = bool((history.data == 1).all())

    def strength(self, batch: Batch) -> Float[Tensor, "pairs"] | None:
        """How much each pair of the batch counts; None where all count alike."""
        if self.alike:
            return None
        found = self.history[np.array(batch.users), np.array(batch.items)]
        return torch.from_numpy(np.asarray(found, dtype=np.float32).ravel())

    @abstractmethod
    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every training pair once, in an order drawn from `generator`."""

    @abstractmethod
    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The mean loss of the batch, whose users stand at `batch.rows`; `generator` draws negatives."""


class SampledLoss(Loss):
    """An objective that looks at the batch's pairs and at drawn items only, so that a part of the graph will do."""

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        super().__init__(history, config)
        self.pairs = all_pairs(history)
        """All training pairs, users ascending."""

    @abstractmethod
    def draw(self, batch: Batch, generator: torch.Generator) -> Int[Tensor, "drawn"]:
        """The negatives that `__call__` looks at for the batch, where it does not bring them."""

    def negatives(self, batch: Batch, generator: torch.Generator) -> Int[Tensor, "drawn"]:
        """Those of the batch, or drawn now."""
        return self.draw(batch, generator) if batch.negatives is None else batch.negatives


def make_loss(history: sp.csr_matrix, config: NetworkConfig) -> Loss:
    """The objective of steps over the whole graph: `config.loss`, of too many items its estimate.

    Raises `GnnError` for a graph without training pairs.
    """
    kind = LOSSES[config.loss]
    many = history.shape[1] > config.full_softmax_items
    return (LOSSES[kind.estimate] if kind.estimate and many else kind)(_not_empty(history), config)


def make_sampled_loss(history: sp.csr_matrix, config: NetworkConfig) -> SampledLoss:
    """The objective of sampled batches: `config.loss`, or its estimate where it has one.

    Raises `GnnError` for a graph without training pairs, and for an objective that cannot be sampled.
    """
    return sampled_kind(config.loss)(_not_empty(history), config)


def sampled_kind(name: str) -> "type[SampledLoss]":
    """What judges sampled batches under the objective of that name; `GnnError` where nothing does."""
    kind = LOSSES[name]
    used = LOSSES[kind.estimate] if kind.estimate else kind
    if not issubclass(used, SampledLoss):
        raise GnnError(
            f"loss {name!r} looks at all items, which a sampled batch does not hold; use batching 'full', or give "
            f"{kind.__name__} an `estimate` or a `draw`"
        )
    return used


def _not_empty(history: sp.csr_matrix) -> sp.csr_matrix:
    if history.nnz == 0:
        raise GnnError("the graph has 0 training interactions; a network needs at least one to learn from")
    return history


def by_users(history: sp.csr_matrix, config: NetworkConfig, generator: torch.Generator) -> Iterator[Batch]:
    """`users_a_step` users with all their pairs, in an order drawn."""
    users = torch.from_numpy(np.flatnonzero(np.diff(history.indptr)))
    order = users[torch.randperm(len(users), generator=generator)]
    for chosen in torch.split(order, config.users_a_step(len(order))):
        rows = history[chosen.numpy()]
        repeated = chosen.repeat_interleave(torch.from_numpy(np.diff(rows.indptr)).long())
        yield Batch(repeated, torch.from_numpy(rows.indices.astype(np.int64)))


def all_pairs(history: sp.csr_matrix) -> Batch:
    """Every pair, users ascending."""
    edges = history.tocoo()
    return Batch(torch.from_numpy(edges.row.astype(np.int64)), torch.from_numpy(edges.col.astype(np.int64)))


def shuffled(pairs: Batch, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """So many pairs a batch, in an order drawn."""
    for chosen in torch.split(torch.randperm(len(pairs.users), generator=generator), size):
        yield Batch(pairs.users[chosen], pairs.items[chosen])
