"""How fast what people did grows old: the half-life that validation chooses, or none."""

from abc import ABC
from collections.abc import Callable
from typing import TypeVar

import scipy.sparse as sp
from torch_geometric.data import HeteroData

from gnn.closed_form.config import Recency, RecencyConfig
from gnn.components import Recommender, Watch
from gnn.matrices import histories, timed
from gnn.scorers.base import Scorer
from gnn.validation import Validation

Settings = TypeVar("Settings", bound=RecencyConfig)


class Recent(Recommender[Settings], ABC):
    """A recommender whose histories grow old."""

    def __init__(self, config: Settings | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.recency: Recency = self.config.recency
        """The half-life used, after `fit`; as given where the graph has no times to count by."""

    def resolved(self) -> Settings:
        """The settings with the half-life used written in."""
        if self.recency == self.config.recency:
            return self.config
        return self.config.model_copy(update={"recency": self.recency})

    def choose_histories(
        self, data: HeteroData, fit: Callable[[sp.csr_matrix], Scorer], *, seed: int, users: int | None = None
    ) -> sp.csr_matrix:
        """`histories` with the half-life whose `fit(histories)` is best on validation; of equal ones the longest, no
        half-life before all. `users`: how many of validation are looked at."""
        if not isinstance(self.config.recency, tuple):
            return histories(data, self.config.recency)
        if not timed(data):
            return histories(data)
        self.recency = None
        validation = Validation.of(data, seed=seed, limit=users)
        if validation.num_pairs:
            tried = [None, *sorted(self.config.recency, reverse=True)]
            self.recency = max(tried, key=lambda half_life: validation.quality(fit(histories(data, half_life))))
        return histories(data, self.recency)
