"""What the automatic choice fits, what it keeps and how it weighs it, with fits whose quality is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn import automatic
from gnn.automatic import DENSE, LONG_HISTORY, SPARSE, Auto, space
from gnn.config import AutoConfig, EnsembleConfig, GNNConfig, PartConfig
from gnn.ensemble import FittedPart
from gnn.matrices import held_out, interactions
from gnn.network.config import NetworkConfig
from gnn.scorers.base import DotScorer, Scorer, SumScorer
from gnn.testing import bare_graph, tiny_graph

NETWORKS = (NetworkConfig(embedding_dim=4), NetworkConfig(embedding_dim=5), NetworkConfig(embedding_dim=6))
NOISE = {4: 5.0, 5: 0.4, 6: 2.0}
"""Of each network by its length; 5 is the best."""


class Fits:
    """Stands for the fits: scores that are the held-out pairs under noise, and a list of what was fitted."""

    def __init__(self, data: HeteroData) -> None:
        self.wanted = held_out(data, "valid").toarray()
        self.seen: list[tuple[str, int, int]] = []

    def __call__(
        self, part: PartConfig, data: HeteroData, *, seed: int, watch: Any, progress: Any = None
    ) -> FittedPart:
        length = part.settings.embedding_dim if isinstance(part.settings, NetworkConfig) else 0
        self.seen.append((part.model, length, part.seed_offset))
        if progress:
            progress(1, 2)
        rng = np.random.default_rng((length, part.seed_offset))
        scores = self.wanted + NOISE.get(length, 20.0) * rng.random(self.wanted.shape)
        scorer = DotScorer(torch.from_numpy(scores.astype(np.float32)), torch.eye(scores.shape[1]))
        return FittedPart(part, scorer)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    found = Fits(tiny_graph())
    monkeypatch.setattr(automatic, "fit_part", found)
    return found


def config(**auto: Any) -> GNNConfig:
    return GNNConfig(
        auto=AutoConfig(**{"closed_forms": ("ease", "popularity"), "networks": NETWORKS, "second_stage": False, **auto})
    )


def test_closed_forms_first_then_each_network_then_copies_of_the_best(fits: Fits) -> None:
    auto = Auto(config(copies=3))
    auto.fit(tiny_graph(), seed=0)
    closed, networks, copies = fits.seen[:2], fits.seen[2:5], fits.seen[5:]
    assert [name for name, _, _ in closed] == ["ease", "popularity"]
    assert networks == [("hetero", 4, 0), ("hetero", 5, 0), ("hetero", 6, 0)]
    assert copies == [("hetero", 5, 1), ("hetero", 5, 2)], "the best one, each copy with its own seed"
    assert [trial["network"]["embedding_dim"] for trial in auto.trials] == [4, 5, 6]
    assert max(auto.trials, key=lambda trial: trial["quality"])["network"] == {"embedding_dim": 5}


def test_copies_share_one_weight_and_what_does_not_help_is_left_out(fits: Fits) -> None:
    auto = Auto(config(copies=3))
    scorer = auto.fit(tiny_graph(), seed=0)
    chosen = auto.resolved().ensemble
    assert auto.resolved().model == "ensemble"
    family = [w for p, w in zip(chosen.parts, chosen.weights, strict=True) if p.settings == NETWORKS[1]]
    assert len(family) == 3
    assert len(set(family)) == 1 and family[0] > 0
    assert sum(chosen.weights) == pytest.approx(1, abs=1e-5)
    assert all(chosen.weights)
    assert isinstance(scorer, SumScorer)
    assert len(scorer.parts) == len(chosen.parts)
    assert list(scorer.weights) == pytest.approx(list(chosen.weights), abs=1e-6)


def test_a_large_graph_trains_the_first_network_once(fits: Fits) -> None:
    auto = Auto(config(copies=3, max_pairs=100))
    auto.fit(tiny_graph(), seed=0)
    assert fits.seen[2:] == [("hetero", 4, 0)]
    assert len(auto.trials) == 1


def test_with_nothing_to_judge_by_the_first_network_is_copied(fits: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bare_graph(40, 30, [(user, user % 30) for user in range(40)])
    auto = Auto(config(copies=2))
    auto.fit(data, seed=0)
    assert fits.seen[2:] == [("hetero", 4, 0), ("hetero", 4, 1)]
    # closed forms and the family weigh the same, and the family shares its weight
    assert auto.resolved().ensemble.weights == pytest.approx((1 / 6, 1 / 6, 1 / 3, 1 / 3), abs=1e-5)


def test_one_candidate_given_twice_is_fitted_once(fits: Fits) -> None:
    networks = (NETWORKS[1], NETWORKS[0], NETWORKS[1])
    auto = Auto(GNNConfig(auto=AutoConfig(closed_forms=(), networks=networks, copies=1, second_stage=False)))
    auto.fit(tiny_graph(), seed=0)
    assert fits.seen == [("hetero", 5, 0), ("hetero", 4, 0)]


def test_settings_of_a_closed_form_go_with_it(fits: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[PartConfig] = []

    def fit(part: PartConfig, *args: Any, **kwargs: Any) -> FittedPart:
        heard.append(part)
        return fits(part, *args, **kwargs)

    monkeypatch.setattr(automatic, "fit_part", fit)
    section = {
        "ease": {"rank": 9},
        "auto": {"closed_forms": ["ease"], "networks": [{}], "copies": 1, "second_stage": False},
    }
    Auto(GNNConfig.model_validate(section)).fit(tiny_graph(), seed=0)
    assert heard[0].settings.rank == 9


def test_a_length_makes_it_one_dot_product(fits: Fits) -> None:
    short = config(copies=2).model_copy(update={"ensemble": EnsembleConfig(max_dimensions=6, normalise="rank")})
    auto = Auto(short)
    scorer: Scorer = auto.fit(tiny_graph(), seed=0)
    assert isinstance(scorer, DotScorer)
    assert scorer.item_vectors.shape[1] <= 6
    chosen = auto.resolved().ensemble
    assert (chosen.max_dimensions, chosen.normalise) == (6, "rank")


def test_progress_never_goes_back_and_ends_at_its_end(fits: Fits) -> None:
    heard: list[tuple[int, int]] = []
    Auto(config(copies=2)).fit(tiny_graph(), seed=0, progress=lambda done, total: heard.append((done, total)))
    assert {total for _, total in heard} == {600}, "two closed forms, three networks, a copy"
    assert [done for done, _ in heard] == list(range(50, 601, 50))


def test_one_procedure_gives_the_same_twice(fits: Fits) -> None:
    first, second = Auto(config(copies=2)), Auto(config(copies=2))
    everyone = torch.arange(40)
    scores = [auto.fit(tiny_graph(), seed=3).scores(everyone) for auto in (first, second)]
    assert torch.equal(*scores)
    assert first.resolved() == second.resolved()


@pytest.mark.parametrize(("pairs", "entries"), [(LONG_HISTORY * 100, DENSE), (LONG_HISTORY * 100 - 1, SPARSE)])
def test_the_space_changes_at_a_mean_history(pairs: int, entries: tuple[dict[str, Any], ...]) -> None:
    assert space(100, pairs) == list(entries)


def test_every_entry_of_the_space_is_a_network() -> None:
    for entry in (*SPARSE, *DENSE):
        assert NetworkConfig.model_validate(entry).model_fields_set == set(entry)


@pytest.mark.parametrize("given", [{"layers": 1}, {"temperature": 0.5, "patience": 9}])
def test_what_is_given_holds_and_the_rest_is_the_spaces(given: dict[str, Any]) -> None:
    found = Auto(GNNConfig.model_validate(given)).candidates(interactions(tiny_graph()))
    assert [network.loss for network in found] == ["softmax", "bpr"]
    for network in found:
        assert {name: getattr(network, name) for name in given} == given


@pytest.mark.parametrize("model", ["auto", "ensemble", "ranked"])
def test_what_is_made_of_others_is_no_closed_form(model: str) -> None:
    build: Callable[[], Any] = lambda: AutoConfig(closed_forms=(model,))  # noqa: E731
    with pytest.raises(ValueError, match=f"model '{model}' is made of others"):
        build()
