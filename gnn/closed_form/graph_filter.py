"""The training-free filter over the cross-modal graph: media links smooth the history, co-occurrence scores."""

import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.closed_form.config import FilterParameters, GraphFilterConfig
from gnn.closed_form.filter_formula import dense_filter, media_matrices, sparse_filter
from gnn.closed_form.filter_search import GRAM_PRODUCTS, FilterSearch
from gnn.closed_form.recency import Recent
from gnn.components import Watch
from gnn.footprint import FLOAT, Footprint, Sizes
from gnn.scorers.base import ItemItemScorer


class GraphFilter(Recent[GraphFilterConfig]):
    """`Q = (I + al M + a2 M^2) S`, `S = (d^-bi C d^-bo)^p`, `C = X^T D_u^-2a X`; scores are `X Q`.

    M is the weighted mean over modalities of the symmetrically normalised media links between items. For an item
    nobody has, S holds on the diagonal c times the mean of the others' `S_ii`: its column of Q is `al M + a2 M^2` times
    that, so histories reach it. A graph without media links gives `Q = S`, a degree-normalised item-item filter (as in
    Steck 2019 and SLIM's relatives).
    """

    Config = GraphFilterConfig

    def __init__(self, config: GraphFilterConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.parameters = FilterParameters()
        """The parameters used, after `fit`."""

    def resolved(self) -> GraphFilterConfig:
        """The settings with the parameters used written in."""
        found = {"parameters": self.parameters, "recency": self.recency}
        return GraphFilterConfig.model_validate(self.config.model_dump() | found)

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> ItemItemScorer:
        """Dense weights up to `dense_limit` items, else sparse ones."""
        config, media = self.config, media_matrices(data)
        items = int(data["Item"].num_nodes)
        dense, users = items <= config.dense_limit, _searched(config, items)
        search = None

        def at_first(history: sp.csr_matrix) -> ItemItemScorer:
            parameters = config.parameters or FilterParameters()
            if dense:
                filtered = dense_filter(history, media, parameters, config.low_rank, seed)
                return ItemItemScorer(history, torch.from_numpy(filtered))
            return ItemItemScorer(history, sparse_filter(history, media, parameters, config.row_entries)[0])

        history = self.choose_histories(data, at_first, seed=seed, users=users)
        if self.config.parameters is not None:
            self.parameters = self.config.parameters
        else:
            entries = None if dense else self.config.row_entries
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
            if self.watch.tell:
                self.watch.tell(
                    f"graph filter: {history.shape[1]:,} items are more than graph_filter.dense_limit "
                    f"{self.config.dense_limit:,}, so a row keeps {self.config.row_entries} entries, together "
                    f"{kept:.1%} of all co-occurrence"
                )
        return ItemItemScorer(history, weights)

    @classmethod
    def footprint(cls, sizes: Sizes, config: GraphFilterConfig) -> Footprint:
        """Up to `dense_limit` items 20 I^2 (co-occurrence, filter, its smoothed forms, one more to blend) and the
        scores of the searched users; above it 40 I row_entries, and co-occurrence about 20 times where the search holds
        it. Co-occurrence has at most P^2 / U entries for equal histories."""
        blocks = 8 * FLOAT * min(_searched(config, sizes.items), sizes.users) * sizes.items
        together = min(float(sizes.items) ** 2, 2.0 * sizes.pairs**2 / max(sizes.users, 1))
        links = sum(m.links for m in sizes.media.values())
        if sizes.items <= config.dense_limit:
            square = sizes.items**2
            return Footprint(
                "graph_filter",
                20 * square + blocks,
                FLOAT * square,
                edges=30 * together / 8 + links * sizes.items / 8,
                moved=30.0 * blocks,
                lower="gnn.graph_filter.dense_limit",
            )
        rows = sizes.items * config.row_entries
        times = 20 if together <= GRAM_PRODUCTS and config.parameters is None else 1
        return Footprint(
            "graph_filter",
            40 * rows + blocks,
            8 * rows,
            edges=3 * together * times,
            moved=30.0 * blocks,
            lower="gnn.graph_filter.row_entries",
        )


def _searched(config: GraphFilterConfig, items: int) -> int:
    """Validation users of the search: above `dense_limit` items so many that their scores take no more than at it."""
    share = min(1.0, config.dense_limit / max(items, 1))
    return max(round(config.search_users * share), config.search_users // 8)
