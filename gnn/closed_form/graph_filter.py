"""The training-free filter over the cross-modal graph: media links smooth the history, co-occurrence scores."""

from collections.abc import Callable
from typing import Any

import scipy.sparse as sp
import torch
from pydantic import BaseModel, NonNegativeInt, PositiveInt
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.closed_form.filter_formula import FilterParameters, dense_filter, media_matrices, sparse_filter
from gnn.closed_form.filter_search import FilterSearch
from gnn.matrices import interactions
from gnn.scorers.base import ItemItemScorer


class GraphFilterConfig(BaseModel, extra="forbid"):
    """Fixed parameters, or a search for them on validation."""

    parameters: FilterParameters | None = None
    """None searches for them on validation; without validation pairs the defaults are used."""

    low_rank: NonNegativeInt = 16
    """Singular vectors of the truncation that `low_rank_weight` blends in (dense form only)."""

    search_users: PositiveInt = 3000
    """Validation users the search looks at (a seeded sample); an eighth of them above `dense_limit` items, where
    only output exponent, hops and cold weight are searched."""

    search_rounds: PositiveInt = 1
    """Passes of the coordinate search over all parameters; a last one over the quick ones follows."""

    dense_limit: PositiveInt = 20_000
    """Items above which every matrix stays sparse and rows are pruned."""

    row_entries: PositiveInt = 300
    """Entries kept in each row of a pruned matrix."""


class GraphFilter:
    """`Q = (I + al M + a2 M^2) S`, `S = (d^-bi C d^-bo)^p`, `C = X^T D_u^-2a X`; scores are `X Q`.

    M is the weighted mean over modalities of the symmetrically normalised media links between items. For an item
    nobody has, S holds on the diagonal c times the mean of the others' `S_ii`: its column of Q is `al M + a2 M^2` times
    that, so histories reach it. A graph without media links gives `Q = S`, a degree-normalised item-item filter (as in
    Steck 2019 and SLIM's relatives).
    """

    def __init__(self, config: GraphFilterConfig | None = None, tell: Callable[[str], None] | None = None) -> None:
        """`tell` hears of pruned rows and what they leave out."""
        self.config, self.tell = config or GraphFilterConfig(), tell
        self.parameters = FilterParameters()
        """The parameters used, after `fit`."""

    @property
    def chosen(self) -> dict[str, Any]:
        """A `gnn:` section that gives the same filter without searching."""
        settings = {**self.config.model_dump(), "parameters": self.parameters.model_dump()}
        section = GraphFilterConfig.model_validate(settings).model_dump(mode="json", exclude_defaults=True)
        return {"model": "graph_filter", "graph_filter": section}

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> ItemItemScorer:
        """Dense weights up to `dense_limit` items, else sparse ones."""
        history = interactions(data)
        media = media_matrices(data)
        dense = history.shape[1] <= self.config.dense_limit
        search = None
        if self.config.parameters is not None:
            self.parameters = self.config.parameters
        else:
            entries = None if dense else self.config.row_entries
            users = self.config.search_users if dense else self.config.search_users // 8
            search = FilterSearch(
                data, history, media, users=users, entries=entries, low_rank=self.config.low_rank, seed=seed
            )
            self.parameters = search.run(FilterParameters(), self.config.search_rounds, progress)
        weights: torch.Tensor | sp.csr_matrix
        if dense and search and search.blend:
            weights = torch.from_numpy(search.filter(self.parameters))
        elif dense:
            weights = torch.from_numpy(dense_filter(history, media, self.parameters, self.config.low_rank, seed))
        else:
            weights, kept = sparse_filter(history, media, self.parameters, self.config.row_entries)
            if self.tell:
                self.tell(
                    f"graph filter: {history.shape[1]:,} items are more than graph_filter.dense_limit "
                    f"{self.config.dense_limit:,}, so a row keeps {self.config.row_entries} entries, together "
                    f"{kept:.1%} of all co-occurrence"
                )
        return ItemItemScorer(history, weights)
