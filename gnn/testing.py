"""What every recommender must do, as a test case for pytest, and the small graphs it is tried on.

    class TestSlim(RecommenderCases):
        @pytest.fixture
        def gnn(self):
            return {"model": "slim", "slim": {"penalty": 0.1}, "epochs": 2}

Nothing of the product imports this module.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.components import Recommender, Watch
from gnn.config import GNNConfig
from gnn.footprint import Medium, Sizes
from gnn.matrices import interactions
from gnn.registry import chosen, footprints, make_recommender
from gnn.scorers.base import Scorer
from gnn.scorers.contributions import decompose

LABELS = ("User", "Item", "Text", "Image", "Audio", "Entity")
Pairs = Iterable[tuple[int, int]]

USERS, ITEMS, TASTES = 40, 30, 3
STRANGERS = (17, 39)
"""Users of the tiny graph without any interaction."""
NEW = (4, 21, 29)
"""Items of the tiny graph without a training interaction; the last has no media either."""


def bare_graph(users: int, items: int, train: Pairs, valid: Pairs = (), test: Pairs = ()) -> HeteroData:
    """Interactions and nothing else, in the layout that `graph.hetero` reads from a store."""
    data = HeteroData()
    for label in LABELS:
        data[label].num_nodes = 0
        data[label].ids = []
    for label in ("Text", "Image", "Audio"):
        data[label].x = torch.zeros(0, 0)
        data[label].mask = torch.zeros(0, dtype=torch.bool)
    for label, count in (("User", users), ("Item", items)):
        data[label].num_nodes = count
        data[label].ids = [f"{label[0].lower()}{n:04d}" for n in range(count)]
    store = data["User", "INTERACTED", "Item"]

    def pairs(rows: Pairs) -> torch.Tensor:
        return torch.tensor(sorted(rows), dtype=torch.int64).reshape(-1, 2).T.contiguous()

    store.edge_index = pairs(train)
    store.weight = torch.ones(store.edge_index.shape[1])
    store.timestamp = torch.zeros(store.edge_index.shape[1], dtype=torch.int64)
    store.valid_label_index, store.test_label_index = pairs(valid), pairs(test)
    data.relations = []
    return data


def add_media(
    data: HeteroData, label: str, vectors: np.ndarray, neighbours: int = 5, items: np.ndarray | None = None
) -> None:
    """One media node for each item (or each of `items`), linked to its nearest by cosine."""
    count = len(vectors)
    data[label].num_nodes = count
    data[label].ids = [f"{label}{n:04d}" for n in range(count)]
    data[label].x = torch.from_numpy(vectors.astype(np.float32))
    data[label].mask = torch.ones(count, dtype=torch.bool)
    owners = np.arange(count) if items is None else items
    data["Item", f"HAS_{label.upper()}", label].edge_index = torch.from_numpy(np.stack([owners, np.arange(count)]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    nearest = np.sort(np.argsort(-cosine, axis=1, kind="stable")[:, :neighbours], axis=1)
    source = np.repeat(np.arange(count), neighbours)
    links = data[label, "SIMILAR", label]
    links.edge_index = torch.from_numpy(np.stack([source, nearest.ravel()]))
    links.score = torch.from_numpy(cosine[source, nearest.ravel()].astype(np.float32))


@cache
def tiny_graph() -> HeteroData:
    """40 users in three tastes, 30 items with words and pictures; popularity has nothing to do with ids."""
    rng = np.random.default_rng(5)
    taste, popular = np.arange(ITEMS) % TASTES, rng.permutation(ITEMS)
    weight = 1.0 / (1 + popular)
    weight[list(NEW)] = 0
    train, valid, test = [], [], []
    for user in set(range(USERS)) - set(STRANGERS):
        own = np.where(taste == user % TASTES, 6.0, 1.0) * weight
        liked = rng.choice(ITEMS, 7, replace=False, p=own / own.sum())
        train += [(user, int(item)) for item in liked[:5]]
        valid.append((user, int(liked[5])))
        test.append((user, int(liked[6])))
    data = bare_graph(USERS, ITEMS, train, valid, test)
    with_media = np.array([item for item in range(ITEMS) if item != NEW[-1]])
    centres = rng.normal(size=(TASTES, 6))
    for label in ("Text", "Image"):
        vectors = centres[taste[with_media]] + 0.4 * rng.normal(size=(len(with_media), 6))
        add_media(data, label, vectors, neighbours=3, items=with_media)
    return data


class RecommenderCases:
    """A subclass has a fixture `gnn`: the `gnn:` section under test, with few epochs where it trains."""

    def test_everyone_and_everything_has_a_finite_score(self, gnn: Mapping[str, Any]) -> None:
        """Strangers and new items too."""
        _, scorer = _fitted(dumps(gnn))
        assert (scorer.num_users, scorer.num_items) == (USERS, ITEMS)
        assert torch.isfinite(_scores(scorer)).all()
        assert _scores(scorer).dtype == torch.float32

    def test_a_user_without_history_gets_what_is_popular(self, gnn: Mapping[str, Any]) -> None:
        """The first items are popular ones, not those with low ids."""
        _, scorer = _fitted(dumps(gnn))
        count = np.asarray(interactions(tiny_graph()).sum(axis=0)).ravel()
        first = scorer.scores(torch.tensor(STRANGERS)).topk(5, dim=1).indices.numpy()
        assert count[first].mean() > 1.5 * count.mean()

    def test_a_score_is_the_sum_of_what_explains_it(self, gnn: Mapping[str, Any]) -> None:
        """For users with a history and without, for known items and new ones."""
        _, scorer = _fitted(dumps(gnn))
        scores, seen = _scores(scorer), interactions(tiny_graph())
        for user, item in ((0, 1), (0, NEW[0]), (STRANGERS[0], 1), (STRANGERS[1], NEW[-1])):
            found = decompose(scorer, user, item, seen)
            total = sum(c.value for c in found.contributions) + sum(found.rest.values())
            close = {"rel": 1e-4, "abs": 1e-4 * float(scores[user].abs().max())}
            assert abs(total - float(scores[user, item])) <= close["rel"] * abs(total) + close["abs"]

    def test_equal_seeds_give_equal_bytes_and_a_bundle_holds_them(self, gnn: Mapping[str, Any], tmp_path: Path) -> None:
        """Fitted anew the bundle has the same hash; loaded the scorer has the same scores."""
        _, scorer = _fitted(dumps(gnn))
        again = make_recommender(GNNConfig.model_validate(gnn)).fit(tiny_graph(), seed=1)
        assert _saved(scorer, tmp_path / "first") == _saved(again, tmp_path / "second")
        assert torch.equal(_scores(load_bundle(tmp_path / "first").scorer), _scores(scorer))

    def test_killed_in_its_first_epoch_it_ends_the_same(self, gnn: Mapping[str, Any], tmp_path: Path) -> None:
        """Begun again with the same checkpoints. What has no epochs is not killed."""
        _, expected = _fitted(dumps(gnn))
        config = GNNConfig.model_validate(gnn)
        killed: list[str] = []
        again: list[tuple[str, float]] = []

        def kill(name: str, row: Mapping[str, float]) -> None:
            killed.append(name)
            raise _Killed

        try:
            make_recommender(config, Watch(tmp_path, kill)).fit(tiny_graph(), seed=1)
        except _Killed:
            assert any(tmp_path.iterdir()), "killed with no checkpoint to go on from"
        resumed = make_recommender(config, Watch(tmp_path, lambda name, row: again.append((name, row["epoch"]))))
        assert torch.equal(_scores(resumed.fit(tiny_graph(), seed=1)), _scores(expected))
        assert not {(name, 1.0) for name in killed} & set(again), "the epoch before the kill was trained twice"

    def test_what_was_chosen_fits_again_without_choosing(self, gnn: Mapping[str, Any]) -> None:
        """The section it hands out is plain values, gives the same scorer and hands out itself."""
        recommender, scorer = _fitted(dumps(gnn))
        config = GNNConfig.model_validate(gnn)
        section = loads(dumps(chosen(config, recommender), allow_nan=False)) or gnn
        again = make_recommender(GNNConfig.model_validate(section))
        assert torch.allclose(_scores(again.fit(tiny_graph(), seed=1)), _scores(scorer), rtol=1e-4, atol=1e-4)
        settled = chosen(GNNConfig.model_validate(section), again) or section
        assert GNNConfig.model_validate(settled) == GNNConfig.model_validate(section)

    def test_what_it_takes_is_told_before(self, gnn: Mapping[str, Any]) -> None:
        """Every stage has a name and sizes that are no less than nothing."""
        sizes = Sizes(USERS, ITEMS, 190, 38, media={m: Medium(ITEMS - 1, 6, 87) for m in ("text", "image")})
        found = footprints(GNNConfig.model_validate(gnn), sizes)
        assert found
        for stage in found:
            assert stage.name
            assert stage.work + stage.kept > 0
            assert min(stage.work, stage.kept, stage.flops, stage.edges, stage.moved) >= 0


class _Killed(Exception):
    """Stands for a kill."""


@cache
def _fitted(gnn: str) -> tuple[Recommender[Any], Scorer]:
    recommender = make_recommender(GNNConfig.model_validate(loads(gnn)))
    return recommender, recommender.fit(tiny_graph(), seed=1)


def _scores(scorer: Scorer) -> torch.Tensor:
    return scorer.scores(torch.arange(USERS))


def _saved(scorer: Scorer, path: Path) -> str:
    data = tiny_graph()
    ids = {"user_ids": data["User"].ids, "item_ids": data["Item"].ids}
    return save_bundle(path, scorer, **ids, seen=interactions(data), manifest={"model": "case"})
