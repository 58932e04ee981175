"""The automatic choice: one procedure for every dataset, decided by validation alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import scipy.sparse as sp
from torch_geometric.data import HeteroData

from gnn.combined import NORMALISATIONS, ensemble_section, finished
from gnn.config import NetworkConfig
from gnn.ensemble import fit_weights
from gnn.parts import make_part, resolved
from gnn.scorers import Progress, Scorer
from gnn.selection import Validation
from gnn.settings import GNNConfig, PartConfig

SPARSE: tuple[dict[str, Any], ...] = (
    {
        "loss": "softmax",
        "temperature": 0.25,
        "learning_rate": 4e-3,
        "identity_dropout": 0.3,
        "cold_negatives": False,
        "patience": 5,
        "evaluate_every": 2,
    },
)
"""Compared where histories are short: cosine softmax that also stands in for new items."""

DENSE: tuple[dict[str, Any], ...] = (
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
)
"""Compared where histories are long: wider networks that rest on behaviour and media links."""

PAIRWISE: dict[str, Any] = {
    "loss": "bpr",
    "similar_hops": 2,
    "edge_dropout": 0.8,
    "learning_rate": 1e-3,
    "regularisation": 1e-3,
    "content": False,
    "patience": 4,
    "evaluate_every": 5,
}
"""BPR with edges pruned by degree. It takes several times as long, so it is tried only where no softmax network alone
beats the closed forms on validation, as on catalogues whose media tell more than behaviour."""

LONG_HISTORY = 15
"""Mean training interactions per user from which the dense space is compared."""


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
        networks = self.candidates(validation.seen)[: 1 if large or not validation.num_pairs else None]
        steps = _Steps(progress, len(auto.closed_forms) + len(networks) + auto.copies - 1)

        fitted = [_fit(self._part(name), data, seed, steps) for name in auto.closed_forms]
        trials = [self._try(network, fitted, validation, data, seed, steps) for network in networks]
        if not large and self._pairwise_wanted(trials, fitted, validation):
            steps.fits += 1
            network = NetworkConfig.model_validate({**PAIRWISE, **self.config.fixed()})
            trials.append(self._try(network, fitted, validation, data, seed, steps))
        self.trials = [
            {"network": t.part.network.model_dump(mode="json", exclude_defaults=True), "quality": t.quality}
            for t in trials
        ]
        best = max(trials, key=lambda trial: trial.quality)
        copies = 1 if large or best.part.network.loss == PAIRWISE["loss"] else auto.copies
        fitted.append((best.part, best.scorer))
        for copy in range(1, copies):
            fitted.append(_fit(best.part.model_copy(update={"seed_offset": copy}), data, seed, steps))
        scorers = [scorer for _, scorer in fitted]
        weights, _ = fit_weights(scorers, validation, NORMALISATIONS[self.config.ensemble.normalise])
        ensemble = self.config.ensemble
        self.chosen = ensemble_section([part for part, _ in fitted], weights, ensemble)
        return finished(scorers, weights, ensemble, seed)

    def candidates(self, history: sp.csr_matrix) -> list[NetworkConfig]:
        """The softmax networks to compare, with the settings that were given held fixed, each candidate once."""
        networks = self.config.auto.networks
        if networks is None:
            space = DENSE if history.nnz >= LONG_HISTORY * history.shape[0] else SPARSE
            networks = tuple(NetworkConfig.model_validate({**entry, **self.config.fixed()}) for entry in space)
        return [network for n, network in enumerate(networks) if network not in networks[:n]]

    def _try(
        self,
        network: NetworkConfig,
        fitted: Sequence[tuple[PartConfig, Scorer]],
        validation: Validation,
        data: HeteroData,
        seed: int,
        steps: "_Steps",
    ) -> "_Trial":
        part, scorer = _fit(PartConfig(model="hetero", network=network), data, seed, steps)
        _, quality = fit_weights([scorer, *(other for _, other in fitted)], validation)
        return _Trial(part, scorer, quality)

    def _pairwise_wanted(
        self, trials: Sequence["_Trial"], fitted: Sequence[tuple[PartConfig, Scorer]], validation: Validation
    ) -> bool:
        if self.config.auto.networks is not None or "loss" in self.config.fixed() or not validation.num_pairs:
            return False
        closed = max((validation.quality(scorer) for _, scorer in fitted), default=0.0)
        return max(validation.quality(trial.scorer) for trial in trials) < closed

    def _part(self, name: str) -> PartConfig:
        return PartConfig.model_validate(
            {
                "model": name,
                "graph_filter": self.config.graph_filter,
                "ease": self.config.ease,
                "item_knn": self.config.item_knn,
            }
        )


class _Trial(NamedTuple):
    """One network of the space, and the validation quality of its best sum with the closed forms."""

    part: PartConfig
    scorer: Scorer
    quality: float


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
