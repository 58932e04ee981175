"""The automatic choice: one procedure for every dataset, decided by validation alone."""

from typing import Any

from torch_geometric.data import HeteroData

from gnn.combined import ensemble_section, finished
from gnn.config import NetworkConfig
from gnn.ensemble import fit_weights
from gnn.parts import make_part, resolved
from gnn.scorers import Progress, Scorer
from gnn.selection import Validation
from gnn.settings import GNNConfig, PartConfig

SPACE: tuple[dict[str, Any], ...] = (
    {
        "loss": "softmax",
        "temperature": 0.25,
        "learning_rate": 4e-3,
        "identity_dropout": 0.3,
        "cold_negatives": False,
        "patience": 5,
        "evaluate_every": 2,
    },
    {
        "loss": "softmax",
        "embedding_dim": 128,
        "layers": 3,
        "temperature": 0.2,
        "batch_users": 256,
        "learning_rate": 5e-3,
        "relations": ("SIMILAR",),
        "content": False,
        "patience": 5,
        "evaluate_every": 2,
    },
    {
        "loss": "softmax",
        "embedding_dim": 128,
        "temperature": 0.2,
        "batch_users": 128,
        "learning_rate": 1e-2,
        "relations": ("SIMILAR",),
        "content": False,
        "patience": 4,
        "evaluate_every": 4,
    },
    {
        "loss": "bpr",
        "similar_hops": 2,
        "edge_dropout": 0.8,
        "learning_rate": 1e-3,
        "regularisation": 1e-3,
        "content": False,
        "patience": 4,
        "evaluate_every": 5,
    },
)
"""The networks that are compared, other settings at their defaults.

Cosine softmax that stands in for new items, a wider and deeper one that rests on behaviour and media links, one in
larger steps for few users with long histories, and BPR with edges pruned: which of them wins differs by dataset,
and nothing known beforehand tells which.
"""


class Auto:
    """Fits the closed forms, trains each network of the space, copies the winner, and weighs all on validation.

    A network wins by the validation quality of its best sum with the closed forms, not alone: what counts is what
    it adds. `chosen` is then a plain `model: ensemble` section that gives the same scorer without searching.
    """

    def __init__(self, config: GNNConfig | None = None) -> None:
        self.config = config or GNNConfig()
        self.chosen: dict[str, Any] = {}
        """The `gnn:` section of the choice, after `fit`."""
        self.trials: list[dict[str, Any]] = []
        """What was compared: each network's settings and the validation quality of its sum, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Deterministic by seed: no clock decides anything."""
        auto = self.config.auto
        validation = Validation.of(data, seed=seed)
        large = validation.seen.nnz > auto.max_pairs
        networks = self.candidates()[: 1 if large or not validation.num_pairs else None]
        copies = 1 if large else auto.copies
        steps = _Steps(progress, len(auto.closed_forms) + len(networks) + copies - 1)

        parts = [self._part(name) for name in auto.closed_forms]
        fitted = [_fit(part, data, seed, steps) for part in parts]
        best: tuple[float, PartConfig, Scorer] | None = None
        self.trials = []
        for network in networks:
            part, scorer = _fit(PartConfig(model="hetero", network=network), data, seed, steps)
            _, quality = fit_weights([scorer, *(s for _, s in fitted)], validation)
            self.trials.append({"network": network.model_dump(mode="json", exclude_defaults=True), "quality": quality})
            if best is None or quality > best[0]:
                best = (quality, part, scorer)
        if best is not None:
            fitted.append((best[1], best[2]))
            for copy in range(1, copies):
                fitted.append(_fit(best[1].model_copy(update={"seed_offset": copy}), data, seed, steps))
        scorers = [scorer for _, scorer in fitted]
        weights, _ = fit_weights(scorers, validation)
        dimensions = self.config.ensemble.max_dimensions
        self.chosen = ensemble_section([part for part, _ in fitted], weights, dimensions)
        return finished(scorers, weights, dimensions, seed)

    def candidates(self) -> list[NetworkConfig]:
        """The declared space with the settings that were given held fixed, each candidate once."""
        space = self.config.auto.networks
        if space is None:
            space = tuple(NetworkConfig.model_validate({**entry, **self.config.fixed()}) for entry in SPACE)
        return [network for n, network in enumerate(space) if network not in space[:n]]

    def _part(self, name: str) -> PartConfig:
        return PartConfig.model_validate(
            {
                "model": name,
                "graph_filter": self.config.graph_filter,
                "ease": self.config.ease,
                "item_knn": self.config.item_knn,
            }
        )


class _Steps:
    """Progress over fits of very different length: each counts 100, and a fit's own progress moves inside it."""

    def __init__(self, progress: Progress | None, fits: int) -> None:
        self.progress, self.fits, self.done = progress, fits, 0

    def inner(self, done: int, total: int) -> None:
        """Progress of the fit under way."""
        if self.progress:
            self.progress(100 * self.done + 100 * done // max(total, 1), 100 * self.fits)

    def finish(self) -> None:
        """The fit under way is over."""
        self.done += 1
        if self.progress:
            self.progress(100 * self.done, 100 * self.fits)


def _fit(part: PartConfig, data: HeteroData, seed: int, steps: _Steps) -> tuple[PartConfig, Scorer]:
    recommender = make_part(part)
    scorer = recommender.fit(data, seed=seed + part.seed_offset, progress=steps.inner)
    steps.finish()
    return resolved(part, recommender), scorer
