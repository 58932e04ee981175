"""The ensemble as a recommender: fits its parts, then weighs them on validation."""

from collections.abc import Mapping
from typing import Any

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Watch, describe, make_part, resolved
from gnn.config import EnsembleConfig, PartConfig
from gnn.ensemble_weights import fit_weights, weighted_sum
from gnn.errors import GnnError
from gnn.scorers.base import Normalisation, Scorer
from gnn.scorers.one_dot import one_dot
from gnn.validation import Validation

NORMALISATIONS: Mapping[str, Normalisation] = {"z": True, "rank": "rank"}
"""The settings' names for what `SumScorer` takes."""


class Ensemble:
    """A normalised weighted sum of recommenders, or the same as one dot product."""

    def __init__(self, config: EnsembleConfig | None = None, watch: Watch = Watch()) -> None:  # noqa: B008 (frozen)
        self.config, self.watch = config or EnsembleConfig(), watch
        self.chosen: dict[str, Any] = {}
        """A `gnn:` section that gives the same ensemble without searching, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Fit the parts one after the other; parts with a given weight of 0 are not fitted."""
        given = self.config.weights
        if given is not None and len(given) != len(self.config.parts):
            raise GnnError(f"ensemble.weights has {len(given)} values for {len(self.config.parts)} parts")
        if given is not None and not any(given):
            raise GnnError("ensemble.weights are all 0; give at least one part a weight")
        kept = [n for n in range(len(self.config.parts)) if given is None or given[n]]
        scorers, parts = [], []
        for number, part in enumerate(self.config.parts[n] for n in kept):
            recommender = make_part(part, self.watch)
            scorers.append(recommender.fit(data, seed=seed + part.seed_offset, progress=None))
            parts.append(resolved(part, recommender))
            if progress:
                progress(number + 1, len(kept))
        if given is None:
            weights, _ = fit_weights(scorers, Validation.of(data, seed=seed), NORMALISATIONS[self.config.normalise])
        else:
            weights = [given[n] for n in kept]
        self.chosen = ensemble_section(parts, weights, self.config)
        return finished(scorers, weights, self.config, seed)


def finished(scorers: list[Scorer], weights: list[float], config: EnsembleConfig, seed: int) -> Scorer:
    """The weighted sum, as one dot product where a length is asked for."""
    total = weighted_sum(scorers, weights, NORMALISATIONS[config.normalise])
    length = config.max_dimensions
    return total if length is None else one_dot(total, max_dimensions=length, seed=seed)


def ensemble_section(parts: list[PartConfig], weights: list[float], config: EnsembleConfig) -> dict[str, Any]:
    """The `gnn:` section that fits these parts with these weights, without those that weigh 0."""
    kept = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight]
    section: dict[str, Any] = {
        "parts": [describe(part) for part, _ in kept],
        "weights": [round(weight, 6) for _, weight in kept],
    }
    section |= config.model_dump(mode="json", include={"normalise", "max_dimensions"}, exclude_defaults=True)
    return {"model": "ensemble", "ensemble": section}
