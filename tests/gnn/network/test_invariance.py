"""What must not matter to a closed form: in which order rows stand, who else exists, how often a pair is written."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.closed_form.config import EASEConfig, FilterParameters, GraphFilterConfig, ItemKNNConfig
from gnn.closed_form.ease import EASE
from gnn.closed_form.graph_filter import GraphFilter
from gnn.closed_form.item_knn import ItemKNN
from gnn.closed_form.popularity import Popularity
from gnn.scorers.base import Scorer

WEIGHTS = {"text": 2.0, "image": 1.0}
FORMULA = FilterParameters(modality_weights={"text": 0.6, "image": 0.4}, low_rank_weight=0.5)
PLAIN = FORMULA.model_copy(update={"low_rank_weight": 0.0})

FORMS: dict[str, Callable[[], object]] = {
    "popularity": Popularity,
    "item_knn": lambda: ItemKNN(ItemKNNConfig(k=40, shrinkage=3.0)),
    "ease": lambda: EASE(EASEConfig(regularisation=5.0)),
    "ease with media": lambda: EASE(EASEConfig(regularisation=5.0, media_weights=WEIGHTS)),
    "ease, low rank": lambda: EASE(
        EASEConfig(regularisation=5.0, media_weights=WEIGHTS, dense_limit=1, rank=100),
    ),
    "graph_filter": lambda: GraphFilter(GraphFilterConfig(parameters=FORMULA, low_rank=6)),
    "graph_filter, pruned": lambda: GraphFilter(GraphFilterConfig(parameters=PLAIN, dense_limit=1, row_entries=60)),
}


@pytest.fixture(params=FORMS)
def fit(request: pytest.FixtureRequest) -> Callable[[HeteroData], torch.Tensor]:
    """Scores of all users by the form, fitted on a graph."""

    def scores(data: HeteroData) -> torch.Tensor:
        scorer: Scorer = FORMS[request.param]().fit(data, seed=0)
        return scorer.scores(torch.arange(scorer.num_users))

    return scores


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-3, atol=2e-3 * float(first.abs().max()))


def reordered(data: HeteroData, label: str, order: np.ndarray) -> HeteroData:
    """The same graph with the node of row n in row `order[n]`."""
    other, place = deepcopy(data), torch.from_numpy(order)
    for key in other.edge_types:
        for name in ("edge_index", "valid_label_index", "test_label_index"):
            if name in other[key]:
                for side, end in ((0, key[0]), (1, key[2])):
                    if end == label:
                        other[key][name][side] = place[other[key][name][side]]
    return other


def test_the_order_of_items_does_not_matter(mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor]) -> None:
    order = np.random.default_rng(0).permutation(40)
    assert close(fit(mixed_graph), fit(reordered(mixed_graph, "Item", order))[:, order])


def test_the_order_of_users_does_not_matter(mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor]) -> None:
    order = np.random.default_rng(1).permutation(60)
    assert close(fit(mixed_graph), fit(reordered(mixed_graph, "User", order))[order])


@pytest.mark.parametrize("label", ["Text", "Image"])
def test_the_order_of_media_does_not_matter(
    mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor], label: str
) -> None:
    order = np.random.default_rng(2).permutation(40)
    assert close(fit(mixed_graph), fit(reordered(mixed_graph, label, order)))


def test_people_without_history_change_nothing_for_the_others(
    mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor]
) -> None:
    more = deepcopy(mixed_graph)
    more["User"].num_nodes = 63
    found = fit(more)
    assert close(fit(mixed_graph), found[:60])
    assert torch.equal(found[60], found[61])  # nothing is known of either


def test_a_pair_written_twice_counts_once(mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor]) -> None:
    more, edge = deepcopy(mixed_graph), ("User", "INTERACTED", "Item")
    for name in ("edge_index", "weight", "timestamp"):
        more[edge][name] = torch.cat([more[edge][name], more[edge][name][..., :50]], dim=-1)
    assert torch.equal(fit(mixed_graph), fit(more))


def test_what_users_rejected_is_no_history(mixed_graph: HeteroData, fit: Callable[[HeteroData], torch.Tensor]) -> None:
    more, edge = deepcopy(mixed_graph), ("User", "INTERACTED", "Item")
    more[edge].edge_index = torch.cat([more[edge].edge_index, torch.tensor([[0, 1], [0, 0]])], dim=1)
    more[edge].weight = torch.cat([more[edge].weight, torch.tensor([0.0, -1.0])])
    more[edge].timestamp = torch.cat([more[edge].timestamp, torch.zeros(2, dtype=torch.int64)])
    assert torch.equal(fit(mixed_graph), fit(more))
