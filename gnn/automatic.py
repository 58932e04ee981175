"""The automatic choice: one procedure for every dataset, decided by validation alone."""

from typing import Any

import scipy.sparse as sp
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Recommender, Watch
from gnn.config import GNNConfig, PartConfig
from gnn.ensemble import NORMALISATIONS, FittedPart, chosen_ensemble, finished, fit_part, part_footprint
from gnn.ensemble_weights import fit_weights
from gnn.errors import NothingToLearn
from gnn.footprint import Footprint, Sizes, weighed
from gnn.matrices import new_items
from gnn.network.config import USER_STEPS, NetworkConfig
from gnn.ranker.recommender import ranked_section, second_stage, with_second_stage
from gnn.scorers.base import Scorer, SumScorer
from gnn.sections import NETWORK
from gnn.validation import Validation

SPARSE: tuple[dict[str, Any], ...] = (
    {
        "loss": "softmax",
        "temperature": 0.25,
        "learning_rate": 4e-3,
        "identity_dropout": 0.3,
        "cold_negatives": False,
        "patience": 4,
        "evaluate_every": 3,
    },
    {
        "loss": "bpr",
        "initial_scale": 0.01,
        "learning_rate": 3e-3,
        "regularisation": 1e-3,
        "edge_dropout": 0.8,
        "patience": 2,
        "evaluate_every": 5,
    },
)
"""Compared where histories are short: cosine softmax that also stands in for new items, and pairwise ranking on pruned
graphs (in the manner of FREEDOM, Zhou and Shen, 2023). Their mistakes differ, so their sum gains more than a copy."""

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

NEW_ITEMS: dict[str, Any] = DENSE[1] | {"content": True, "identity_dropout": 0.3, "cold_negatives": False}
"""Compared in the dense space too where items have media and no interaction: this one reaches them by content."""

LONG_HISTORY = 15
"""Mean training interactions per user from which the dense space is compared."""


def space(users: int, pairs: int, new_items: bool = False) -> list[dict[str, Any]]:
    """The settings compared for so many users with so many training pairs, and for items that only media reach.

    A batch that an entry gives is the least one: more users take larger ones, as where none is given.
    """
    dense = (*DENSE, NEW_ITEMS) if new_items else DENSE
    entries = dense if pairs >= LONG_HISTORY * users else SPARSE
    least = users // USER_STEPS
    return [e | {"batch_users": max(e["batch_users"], least)} if "batch_users" in e else e for e in entries]


class Auto(Recommender[GNNConfig]):
    """Fits the closed forms and each network of the space, copies the best network, and weighs all on validation.

    Last it learns a second stage over the sum (`gnn/ranker/`) and keeps it where validation gains by it.

    The best network is the one with the best validation quality in a sum with the closed forms, not alone: what
    counts is what it adds.
    """

    Config = GNNConfig

    def __init__(self, config: GNNConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.chosen = self.config
        """A plain `model: ensemble` section that gives the same scorer without searching, after `fit`."""
        self.trials: list[dict[str, Any]] = []
        """What was compared: each network's settings and the validation quality of its sum, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Deterministic by seed: no clock decides anything."""
        auto, ensemble = self.config.auto, self.config.ensemble
        normalise = NORMALISATIONS[ensemble.normalise]
        validation = Validation.of(data, seed=seed)
        large = validation.seen.nnz > auto.max_pairs
        networks = self.candidates(validation.seen, len(new_items(data)) > 0)[
            : 1 if large or not validation.num_pairs else None
        ]
        copies = 0 if large else auto.copies - 1
        ranks = auto.second_stage and ensemble.max_dimensions is None and validation.num_pairs > 0
        steps = _Steps(progress, len(auto.closed_forms) + len(networks) + copies + ranks)

        parts = [PartConfig.of(name, self.config.settings(name)) for name in auto.closed_forms]
        closed = [self._fit(part, data, seed, steps) for part in parts]
        trained, qualities = [], []
        for network in networks:
            trained.append(self._fit(PartConfig.of(NETWORK, network), data, seed, steps))
            _, quality = fit_weights([trained[-1].scorer, *(c.scorer for c in closed)], validation, normalise)
            qualities.append(quality)
        self.trials = [
            {"network": network.model_dump(mode="json", exclude_defaults=True), "quality": quality}
            for network, quality in zip(networks, qualities, strict=True)
        ]
        place = qualities.index(max(qualities))
        best = PartConfig.of(NETWORK, networks[place])  # not the epochs that the first seed kept
        seeds = [best.model_copy(update={"seed_offset": n}) for n in range(1, copies + 1)]
        family = [trained[place], *(self._fit(part, data, seed, steps) for part in seeds)]
        others = [*closed, *trained[:place], *trained[place + 1 :]]
        # copies differ by chance alone, so they share one weight: choosing between them would be choosing noise
        mean = SumScorer([f.scorer for f in family], [1 / len(family)] * len(family), normalise)
        found, _ = fit_weights([mean, *(f.scorer for f in others)], validation, normalise)
        weights = [found[0] / len(family)] * len(family) + found[1:]
        fitted = [*family, *others]
        self.chosen = GNNConfig.of("ensemble", chosen_ensemble([f.part for f in fitted], weights, ensemble))
        total = finished([f.scorer for f in fitted], weights, ensemble, seed)
        del fitted, family, others, closed, trained, mean  # what weighs nothing goes before more is fitted
        return self._second_stage(total, data, seed, steps) if ranks else total

    def _second_stage(self, retriever: Scorer, data: HeteroData, seed: int, steps: "_Steps") -> Scorer:
        """The retriever with what orders its candidates, where validation gains by it; else the retriever."""
        section = self.chosen
        try:
            learned = second_stage(retriever, section, data, self.config, self.watch, seed=seed, progress=steps.inner)
        except NothingToLearn:
            return retriever
        finally:
            steps.finish()
        quality = float(learned.quality.mean())
        self.trials.append(
            {"second_stage": True, "quality": quality, "without": float(learned.retrieval_quality.mean())}
        )
        if not learned.gains:
            return retriever
        self.chosen = ranked_section(section, self.config, learned)
        return learned.scorer

    def candidates(self, history: sp.csr_matrix, new_items: bool = False) -> list[NetworkConfig]:
        """The networks to compare, with the settings that were given held fixed, each candidate once."""
        networks = self.config.auto.networks
        if networks is None:
            entries = space(history.shape[0], history.nnz, new_items)
            networks = tuple(NetworkConfig.model_validate({**entry, **self.config.fixed()}) for entry in entries)
        return [network for n, network in enumerate(networks) if network not in networks[:n]]

    def resolved(self) -> GNNConfig:
        """What was chosen, as a plain ensemble."""
        return self.chosen

    @classmethod
    def footprint(cls, sizes: Sizes, config: GNNConfig) -> Footprint:
        """The closed forms', each network's (all as the space's first) and its copies', then the weighing."""
        auto, entries = config.auto, space(sizes.users, sizes.pairs)
        large = sizes.pairs > auto.max_pairs
        network = PartConfig.of(NETWORK, NetworkConfig.model_validate({**entries[0], **config.fixed()}))
        fits = 1 if large else len(auto.networks or entries) + auto.copies - 1
        parts = [PartConfig.of(name, config.settings(name)) for name in auto.closed_forms] + [network] * fits
        whole = weighed(sizes, [part_footprint(sizes, part) for part in parts])
        if not auto.second_stage or config.ensemble.max_dimensions is not None:
            return whole
        return with_second_stage(sizes, config, (whole, *(part_footprint(sizes, part) for part in parts)))

    def _fit(self, part: PartConfig, data: HeteroData, seed: int, steps: "_Steps") -> FittedPart:
        fitted = fit_part(part, data, seed=seed, watch=self.watch, progress=steps.inner)
        steps.finish()
        return fitted


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
