"""What an evaluation takes from the graph beside its ranking, and what comes of it."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from evaluation.config import EvaluationConfig
from gnn.matrices import held_out, interactions
from gnn.scorers.base import DotScorer
from gnn.testing import add_media, bare_graph
from modalweave.stages.beyond import beyond_accuracy
from modalweave.stages.classify import classify
from modalweave.stages.measured import measure
from modalweave.stages.traits import item_links, item_values, item_vectors, user_groups

CONFIG = EvaluationConfig(k=[2, 5], resamples=20)
USERS, ITEMS = 60, 40


@pytest.fixture
def data() -> HeteroData:
    """Every second item is of the first kind, the rest are of the second; pictures of the first 30 items tell them
    apart; 25 users have country `no`."""
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(USERS) for i in rng.permutation(ITEMS - 4)[:9].tolist()]
    found = bare_graph(USERS, ITEMS, pairs[::3], pairs[1::3], pairs[2::3])
    add_media(found, "Image", np.eye(2, 4)[np.arange(30) % 2] + 0.01, neighbours=2, items=np.arange(30))
    for label in ("Text", "Audio"):
        found["Item", f"HAS_{label.upper()}", label].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    found.attributes = {"kind": torch.arange(ITEMS) % 2, "same": torch.zeros(ITEMS, dtype=torch.int64)}
    return found


def attributes() -> pl.DataFrame:
    return pl.DataFrame(
        {"country": ["no"] * 25 + ["se"] * 30 + [None] * 5, "age": range(USERS), "name": list(map(str, range(USERS)))}
    )


def scorer() -> DotScorer:
    return DotScorer(torch.randn(USERS, 3, generator=torch.Generator().manual_seed(0)), torch.randn(ITEMS, 3))


def test_every_measure_is_there_for_model_and_baselines(data: HeteroData) -> None:
    torch.manual_seed(1)
    models = {
        "": measure(scorer(), data, "test", CONFIG, seed=0),
        "other": measure(scorer(), data, "test", CONFIG, seed=0),
    }
    found = beyond_accuracy(data, "test", models, attributes(), CONFIG, seed=0)
    names = ["coverage", "gini", "novelty", "serendipity", "new_items", "diversity_image", "miscalibration_kind"]
    assert list(found.metrics) == list(found.baselines["other"]) == [f"{name}@5" for name in names]
    for name, value in found.metrics.items():
        assert value.low is not None and value.high is not None and value.low <= value.mean <= value.high, name
    listed = models[""].ranked[models[""].ranked >= 0]
    assert found.metrics["coverage@5"].mean == len(np.unique(listed)) / ITEMS
    assert found.popularity_bias["all"]["all"].users == len(np.flatnonzero(interactions(data).getnnz(axis=1)))
    assert set(found.fairness) == set(found.popularity_bias) - {"all"} == {"activity", "country", "age"}
    country = found.fairness["country"]
    assert {name: group.users for name, group in country.groups.items()} == {"no": 25, "se": 30}
    mine = np.flatnonzero(held_out(data, "test").getnnz(axis=1)) < 25
    assert country.groups["no"].metrics["recall@5"].mean == pytest.approx(models[""].values["recall@5"][mine].mean())
    assert set(country.gaps) == {"recall@5", "ndcg@5"}
    assert not found.fairness["age"].gaps, "quarters of 60 users are too few to say anything"


def test_numbers_make_quarters_and_names_no_groups(data: HeteroData) -> None:
    rows = np.arange(0, USERS, 2)
    groups = user_groups(interactions(data), rows, attributes())
    assert list(groups) == ["activity", "country", "age"], "everybody has a name of their own"
    assert list(groups["age"]) == ["0 to under 14", "14 to under 30", "30 to under 44", "44 to 58"]
    assert np.sum([members for members in groups["age"].values()], axis=0).tolist() == [1] * 30
    assert groups["country"]["no"].tolist() == (rows < 25).tolist()


def test_yes_and_no_are_groups_and_dates_are_none(data: HeteroData) -> None:
    table = pl.DataFrame(
        {"member": [True, False, None] * 20, "level": [0, 1, 1] * 20, "activity": ["low", "high"] * 30}
    )
    table = table.with_columns(born=pl.Series(["2001-01-01", "2002-02-02"] * 30).str.to_date())
    groups = user_groups(interactions(data), np.arange(3), table)
    assert {name: list(found) for name, found in groups.items() if name != "activity"} == {
        **{"member": ["no", "yes"], "level": ["0", "1"], "own activity": ["high", "low"]},
    }
    assert groups["member"]["yes"].tolist() == [True, False, False]


def test_vectors_are_the_mean_direction_of_an_items_media(data: HeteroData) -> None:
    vectors = item_vectors(data, "image")
    assert vectors is not None and vectors.shape == (ITEMS, 4)
    assert np.linalg.norm(vectors[:30], axis=1) == pytest.approx(1) and not vectors[30:].any()
    assert item_vectors(data, "text") is None and item_links(data, "text") is None


def test_links_stand_in_where_nothing_has_a_vector(data: HeteroData) -> None:
    data["Image"].mask[:] = False
    assert item_vectors(data, "image") is None
    links = item_links(data, "image")
    assert links is not None and (links != links.T).nnz == 0
    assert not links.diagonal().any() and links.max() <= 1
    assert not links[:, 30:].nnz
    owner = {int(media): int(item) for item, media in data["Item", "HAS_IMAGE", "Image"].edge_index.T}
    source, target = data["Image", "SIMILAR", "Image"].edge_index[:, 0].tolist()
    assert links[owner[source], owner[target]] == pytest.approx(float(data["Image", "SIMILAR", "Image"].score[0]))


def test_only_values_that_items_share_make_a_mix(data: HeteroData) -> None:
    data["Entity"].num_nodes = 8
    items = torch.arange(ITEMS)
    related = data["Item", "RELATED", "Entity"]
    related.edge_index = torch.cat([torch.stack([items, items % 4]), torch.stack([items, items % 8])], dim=1)
    related.relation = torch.arange(2).repeat_interleave(ITEMS)
    data.relations = ["made_by", "found_at"]
    found = item_values(data)
    assert set(found) == {"kind", "made_by"}, "one value tells nothing, and five items a value are too few"
    assert found["made_by"].shape == (ITEMS, 4)
    related.edge_index[1, ITEMS:] = items % 4
    assert set(item_values(data)) == {"kind", "made_by"}, "the same said twice counts once"


def test_pairs_are_classified_by_what_validation_taught(data: HeteroData) -> None:
    found: Any = classify(scorer(), data, CONFIG, seed=0)
    train, test = interactions(data), held_out(data, "test")
    rows = test.getnnz(axis=1) > 0
    assert found.links == test.nnz
    assert found.pairs == rows.sum() * ITEMS - train[rows].nnz
    assert list(found.metrics) == ["accuracy", "precision", "recall", "f1", "auc", "average_precision"]
    data["User", "INTERACTED", "Item"].valid_label_index = torch.zeros(2, 0, dtype=torch.int64)
    assert classify(scorer(), data, CONFIG, seed=0) is None
