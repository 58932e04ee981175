"""A model as it is served: people nothing is known of get what is popular, whatever the model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnn.scorers.base import Scorer
from gnn.scorers.popular import popularity, without_history

MODEL, POPULARITY, CONTENT = "model", "popularity", "content"
"""What ranked a user's list; `content` gave a new item its place in it."""


@dataclass(frozen=True)
class ServedScorer:
    """A scorer whose users without a history get what is popular in the histories of all."""

    scorer: Scorer
    history: sp.csr_matrix
    """Users x items: the pairs that the scorer was fitted on, and how much each counts."""
    kind: str = "served"
    everyone: sp.csr_matrix | None = None
    """Whose histories say what is popular, where they are not those of `history`."""

    @property
    def num_users(self) -> int:
        """Rows of `history`: users beyond those of the scorer have none."""
        return int(self.history.shape[0])

    @property
    def num_items(self) -> int:
        """Items of the scorer."""
        return self.scorer.num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """The scorer's, and `popularity` for the users without a history."""
        scores = self.scorer.scores(users.where(users < self.scorer.num_users, 0))
        strangers = self.strangers[users]
        if strangers.any():
            scores = scores.to(torch.float32, copy=True)
            scores[strangers] = self.popularity
        return scores

    def sources(self, users: Int[np.ndarray, "block"]) -> list[str]:
        """Of each user what ranks the list: `model` or `popularity`."""
        return [POPULARITY if stranger else MODEL for stranger in self.strangers.numpy()[users]]

    @cached_property
    def popularity(self) -> Float[Tensor, "items"]:
        """Each item's users, as a share of the most popular one's."""
        return popularity(self.history if self.everyone is None else self.everyone)

    @cached_property
    def strangers(self) -> Bool[Tensor, "users"]:
        """Who has no history."""
        return without_history(self.history)
