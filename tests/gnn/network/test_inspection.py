"""What a trained network rests on, on graphs where the answer is known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.matrices import interactions
from gnn.network.config import NetworkConfig
from gnn.network.inspection import BEHAVIOUR, contributions, of_modality, of_relation, part_masks, scorer_without
from gnn.network.recommender import HeteroGNN
from gnn.scorers.ranking import top_items
from gnn.validation import Validation

SETTINGS = NetworkConfig(embedding_dim=16, epochs=12, learning_rate=1e-2, identity_dropout=0.3, cold_negatives=False)


@pytest.fixture(scope="module")
def trained(taste_graph: Callable[[], HeteroData]) -> tuple[HeteroGNN, HeteroData]:
    data = taste_graph()
    model = HeteroGNN(SETTINGS)
    model.fit(data, seed=0)
    return model, data


def test_parts_are_named_by_source(trained: tuple[HeteroGNN, HeteroData]) -> None:
    parts = part_masks(trained[0].network)
    assert set(parts) == {BEHAVIOUR, "image content", "image SIMILAR", "audio content", "audio SIMILAR"}
    assert of_modality(parts, "image") == ["image SIMILAR", "image content"]
    assert of_relation(parts, "SIMILAR") == ["image SIMILAR", "audio SIMILAR"]
    assert of_modality(["text-image SIMILAR", "text content"], "image") == ["text-image SIMILAR"]
    assert of_relation(["RELATED made_by", "FOLLOWS"], "RELATED") == ["RELATED made_by"]


def test_without_the_picture_cold_items_are_lost_and_without_the_sound_nothing_is(
    trained: tuple[HeteroGNN, HeteroData],
) -> None:
    model, data = trained
    validation = Validation.of(data, seed=0)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    parts = part_masks(model.network)
    whole = validation.quality(scorer_without(model.network, []))
    blind = validation.quality(scorer_without(model.network, of_modality(parts, "image")))
    deaf = validation.quality(scorer_without(model.network, of_modality(parts, "audio")))
    assert blind < 0.6 * whole
    assert deaf > 0.8 * whole
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())


def test_contributions_add_up_to_the_score_and_the_picture_carries_more_than_the_sound(
    trained: tuple[HeteroGNN, HeteroData],
) -> None:
    model, data = trained
    users = torch.arange(30)
    ranked, _ = top_items(scorer_without(model.network, []), users, interactions(data), 10)
    shares = contributions(model.network, users, ranked)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["image content"] + shares["image SIMILAR"] > 2 * (shares["audio content"] + shares["audio SIMILAR"])


def test_a_part_of_weight_zero_carries_nothing_and_minus_one_is_no_item(taste_graph: Callable[[], HeteroData]) -> None:
    model = HeteroGNN(SETTINGS.model_copy(update={"epochs": 2}))
    model.fit(taste_graph(), seed=0)
    audio = model.network.fusion.names.index("audio")
    with torch.no_grad():
        model.network.content_weights[audio] = 0
        model.network.similar_weights[audio] = 0
    users = torch.tensor([0, 1])
    shares = contributions(model.network, users, np.array([[3, 4, 5], [7, 8, 9]]))
    padded = contributions(model.network, users, np.array([[3, 4, 5, -1], [7, 8, 9, -1]]))
    assert shares["audio content"] == shares["audio SIMILAR"] == 0
    assert shares[BEHAVIOUR] != 0
    assert padded == pytest.approx(shares, abs=1e-5)
