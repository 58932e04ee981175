"""A scorer of a catalogue that has grown since it was fitted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.scorers.base import DotScorer, Scorer


@dataclass(frozen=True)
class ExtendedScorer:
    """An item added has the mean score of the items it is like, weighted by how much; the others keep theirs."""

    scorer: Scorer
    likeness: sp.csr_matrix
    """Items x added, float32, at least 0, and something in each column."""
    kind: str = "extended"

    @property
    def num_users(self) -> int:
        """Users of the scorer."""
        return self.scorer.num_users

    @property
    def num_items(self) -> int:
        """Those of the scorer, and after them the ones added."""
        return self.scorer.num_items + self.likeness.shape[1]

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """The scorer's, and the means."""
        known = self.scorer.scores(users).to(torch.float32)
        added = np.ascontiguousarray(known.numpy() @ self.means, dtype=np.float32)
        return torch.cat([known, torch.from_numpy(added)], dim=1)

    @cached_property
    def means(self) -> sp.csr_matrix:
        """`likeness` whose columns sum to 1."""
        return (self.likeness @ sp.diags(1 / np.asarray(self.likeness.sum(axis=0)).ravel())).tocsr().astype(np.float32)

    def as_dot(self, dot: DotScorer) -> DotScorer:
        """The vectors of the scorer, with those of the items added."""
        added = torch.from_numpy(self.means.T @ dot.item_vectors.float().numpy())
        return DotScorer(dot.user_vectors, torch.cat([dot.item_vectors.float(), added]))


@dataclass(frozen=True)
class MixedScorer:
    """A scorer whose users are mixtures of another's: each has the sum of what they are made of, weighted."""

    scorer: Scorer
    shares: sp.csr_matrix
    """Users x users of the scorer, float32."""
    kind: str = "mixed"

    @property
    def num_users(self) -> int:
        """Rows of `shares`."""
        return int(self.shares.shape[0])

    @property
    def num_items(self) -> int:
        """Items of the scorer."""
        return self.scorer.num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """`shares[users]` times the scores of whom they name."""
        rows = self.shares[users.numpy()]
        named = np.unique(rows.indices)
        scores = self.scorer.scores(torch.from_numpy(named.astype(np.int64))).to(torch.float32)
        return torch.from_numpy(np.ascontiguousarray(rows[:, named] @ scores.numpy(), dtype=np.float32))
