"""The training objectives; their names stand in `gnn/network/registries.py`."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gnn.network.config import NetworkConfig
from gnn.network.cross_entropy import CatalogueCrossEntropy, SampledCrossEntropy, UnitLength
from gnn.network.objective import Batch, Loss, SampledLoss, by_users, shuffled


class FullSoftmax(Loss):
    """Cross-entropy over the whole catalogue, cosine scores over a temperature.

    A batch is a set of users with all their pairs, so that those of a user share one row of scores.
    """

    cosine = True
    estimate = "sampled_softmax"

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        super().__init__(history, config)
        self.counts = _counts(history)
        known = torch.from_numpy(history.getnnz(axis=0)) > 0
        self.present = None if config.cold_negatives or known.all() else known.nonzero()[:, 0]

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_users` users with all their pairs."""
        return by_users(self.history, self.config, generator)

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
        places = (part.to(users.device) for part in (row, columns, _weights(self, batch, self.counts)))
        loss: Tensor = CatalogueCrossEntropy.apply(left, right, *places)
        return loss


class SampledSoftmax(SampledLoss):
    """Cross-entropy against a drawn sample of items, for catalogues too large for all of them.

    Items are drawn by popularity and each logit is lowered by the log of its expected count in the sample (Bengio and
    Senecal, 2008; Yi et al., 2019), so that the gradient estimates that of the full softmax. Users of a batch share the
    sample and a row of scores; in it a pair's own item counts once, however often it was drawn.
    """

    cosine = True

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        super().__init__(history, config)
        self.counts = _counts(history)
        popularity = torch.from_numpy(history.getnnz(axis=0)).double()
        weight = (popularity + 1) * (config.cold_negatives | (popularity > 0))
        self.probability = weight / weight.sum()

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_users` users with all their pairs."""
        return by_users(self.history, self.config, generator)

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean over the pairs."""
        drawn = self.negatives(batch, generator)
        chosen, row = torch.unique(batch.rows, return_inverse=True)
        order = row.argsort(stable=True)
        row, positives = row[order], batch.items[order]
        expected = self.probability * len(drawn)
        times = torch.bincount(drawn, minlength=len(expected))[positives]
        correction = (1 - times / expected[positives]).float()
        weights = _weights(self, batch, self.counts)[order]
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


class PairwiseRanking(SampledLoss):
    """BPR (Rendle et al., 2009): a seen item above one unseen item drawn uniformly, inner-product scores."""

    cosine = False

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        super().__init__(history, config)
        self.num_items = int(history.shape[1])
        self.keys = (self.pairs.users * self.num_items + self.pairs.items).sort().values

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """`batch_size` pairs each."""
        return shuffled(self.pairs, self.config.pairs_a_step(len(self.pairs.users)), generator)

    def __call__(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        batch: Batch,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean of `-log sigmoid(seen - unseen)`, pairs weighed by their strength."""
        unseen = self.negatives(batch, generator)
        left = users[batch.rows]
        gap = (left * (items[batch.items] - items[unseen])).sum(dim=1)
        each, strength = -functional.logsigmoid(gap), self.strength(batch)
        if strength is None:
            return each.mean()
        strength = strength.to(each.device)
        return (each * strength).sum() / strength.sum()

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


def _counts(history: sp.csr_matrix) -> Float[Tensor, "users"]:
    return torch.from_numpy(np.diff(history.indptr).astype(np.float32))


def _weights(loss: Loss, batch: Batch, counts: Float[Tensor, "users"]) -> Float[Tensor, "pairs"]:
    """Of each pair: `pairs of its user ** -user_weight_power` times its strength, over their sum."""
    weights = counts[batch.users] ** -loss.config.user_weight_power
    strength = loss.strength(batch)
    weights = weights if strength is None else weights * strength
    return weights / weights.sum()
