"""The ensemble as a recommender: fits its parts, then weighs them on validation."""

from typing import Any

from torch_geometric.data import HeteroData

from gnn.compress import one_dot
from gnn.ensemble import fit_weights, weighted_sum
from gnn.errors import GnnError
from gnn.parts import describe, make_part, resolved
from gnn.scorers import Progress, Scorer
from gnn.selection import Validation
from gnn.settings import EnsembleConfig, PartConfig


class Ensemble:
    """A z-scored weighted sum of recommenders, or the same as one dot product."""

    def __init__(self, config: EnsembleConfig | None = None) -> None:
        self.config = config or EnsembleConfig()
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
            recommender = make_part(part)
            scorers.append(recommender.fit(data, seed=seed + part.seed_offset, progress=None))
            parts.append(resolved(part, recommender))
            if progress:
                progress(number + 1, len(kept))
        if given is None:
            weights, _ = fit_weights(scorers, Validation.of(data, seed=seed))
        else:
            weights = [given[n] for n in kept]
        self.chosen = ensemble_section(parts, weights, self.config.max_dimensions)
        return finished(scorers, weights, self.config.max_dimensions, seed)


def finished(scorers: list[Scorer], weights: list[float], max_dimensions: int | None, seed: int) -> Scorer:
    """The weighted sum, as one dot product where a length is asked for."""
    total = weighted_sum(scorers, weights)
    return total if max_dimensions is None else one_dot(total, max_dimensions=max_dimensions, seed=seed)


def ensemble_section(parts: list[PartConfig], weights: list[float], max_dimensions: int | None) -> dict[str, Any]:
    """The `gnn:` section that fits these parts with these weights, without those that weigh 0."""
    kept = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight]
    section: dict[str, Any] = {
        "parts": [describe(part) for part, _ in kept],
        "weights": [round(weight, 6) for _, weight in kept],
    }
    if max_dimensions is not None:
        section["max_dimensions"] = max_dimensions
    return {"model": "ensemble", "ensemble": section}
