"""The ensemble as a recommender: fits its parts, then weighs them on validation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Recommender, Watch
from gnn.config import EnsembleConfig, PartConfig
from gnn.ensemble_weights import fit_weights, weighted_sum
from gnn.errors import GnnError
from gnn.footprint import Footprint, Sizes, weighed
from gnn.registry import RECOMMENDERS
from gnn.scorers.base import Normalisation, Scorer
from gnn.scorers.one_dot import one_dot
from gnn.validation import Validation

NORMALISATIONS: Mapping[str, Normalisation] = {"z": True, "rank": "rank"}
"""The settings' names for what `SumScorer` takes."""


class FittedPart(NamedTuple):
    """A part with what was chosen in its fit written in, and what came of it."""

    part: PartConfig
    scorer: Scorer


def fit_part(part: PartConfig, data: HeteroData, *, seed: int, watch: Watch, progress: Progress | None) -> FittedPart:
    """Fit one part with its own seed."""
    recommender = RECOMMENDERS[part.model](part.settings, watch)
    scorer = recommender.fit(data, seed=seed + part.seed_offset, progress=progress)
    return FittedPart(PartConfig.of(part.model, recommender.resolved(), part.seed_offset), scorer)


def part_footprint(sizes: Sizes, part: PartConfig) -> Footprint:
    """What the fit of one part takes."""
    return RECOMMENDERS[part.model].footprint(sizes, part.settings)


class Ensemble(Recommender[EnsembleConfig]):
    """A normalised weighted sum of recommenders, or the same as one dot product."""

    Config = EnsembleConfig

    def __init__(self, config: EnsembleConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.chosen = self.config
        """The settings with parts and weights as found, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Fit the parts one after the other; parts with a given weight of 0 are not fitted."""
        given = self.config.weights
        if given is not None and len(given) != len(self.config.parts):
            raise GnnError(f"ensemble.weights has {len(given)} values for {len(self.config.parts)} parts")
        if given is not None and not any(given):
            raise GnnError("ensemble.weights are all 0; give at least one part a weight")
        kept = [n for n in range(len(self.config.parts)) if given is None or given[n]]
        fitted = []
        for number, part in enumerate(self.config.parts[n] for n in kept):
            fitted.append(fit_part(part, data, seed=seed, watch=self.watch, progress=None))
            if progress:
                progress(number + 1, len(kept))
        scorers = [found.scorer for found in fitted]
        if given is None:
            weights, _ = fit_weights(scorers, Validation.of(data, seed=seed), NORMALISATIONS[self.config.normalise])
        else:
            weights = [given[n] for n in kept]
        self.chosen = chosen_ensemble([found.part for found in fitted], weights, self.config)
        return finished(scorers, weights, self.config, seed)

    def resolved(self) -> EnsembleConfig:
        """The parts that weigh anything, with what each has chosen, and their weights."""
        return self.chosen

    @classmethod
    def footprint(cls, sizes: Sizes, config: EnsembleConfig) -> Footprint:
        """Each part's, then the weighing."""
        return weighed(sizes, [part_footprint(sizes, part) for part in config.parts])


def finished(scorers: list[Scorer], weights: list[float], config: EnsembleConfig, seed: int) -> Scorer:
    """The weighted sum, as one dot product where a length is asked for."""
    total = weighted_sum(scorers, weights, NORMALISATIONS[config.normalise])
    length = config.max_dimensions
    return total if length is None else one_dot(total, max_dimensions=length, seed=seed)


def chosen_ensemble(parts: Sequence[PartConfig], weights: Sequence[float], config: EnsembleConfig) -> EnsembleConfig:
    """The settings that fit these parts with these weights (to six digits), without those that weigh 0."""
    kept = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight]
    found = {"parts": tuple(part for part, _ in kept), "weights": tuple(round(weight, 6) for _, weight in kept)}
    return config.model_copy(update=found)
