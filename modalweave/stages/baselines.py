"""What a model is held against: cheap recommenders, fitted on train alone and measured on the same users."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel
from torch_geometric.data import HeteroData

from evaluation.config import BEST_CLOSED_FORM
from gnn.closed_form.config import PopularityConfig
from gnn.config import GNNConfig
from gnn.registry import make_recommender
from gnn.scorers.base import Scorer
from gnn.validation import Validation
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.results.record import JsonObject
from modalweave.stages.plan import refuse_what_cannot_fit

_JUDGED = 3000
"""Validation users who choose among the closed forms."""

_SUMS = ("ensemble", "ranked")
"""Models whose resolved settings name what is summed."""


def fitted_baselines(
    config: RunConfig, data: HeteroData, manifest: JsonObject, note: Callable[[str], object]
) -> Iterator[tuple[str, Scorer]]:
    """Name and scorer of each of `evaluation.baselines`, one after the other; `manifest` is the evaluated bundle's.

    Popularity is plain counts. The others take the settings of their sections under `gnn:`, or, without searching
    again, what their fit as a part of the evaluated model has chosen. What is the evaluated model itself, or cannot fit
    into memory (`note` is told), is left out.
    """
    fits = _Fits(config, data, _chosen_parts(manifest), note)
    names, model = config.evaluation.baselines, manifest.get("model")
    for name in names:
        if name == BEST_CLOSED_FORM:
            yield from fits.best([form for form in config.gnn.auto.closed_forms if form not in (model, *names)])
        elif name != model:
            yield from fits.each([name])


def _chosen_parts(manifest: JsonObject) -> dict[str, BaseModel]:
    """Recommender -> settings that give it as the evaluated sum has it."""
    section = GNNConfig.model_validate(manifest.get("settings", {}))
    return {part.model: part.settings for part in section.ensemble.parts} if section.model in _SUMS else {}


@dataclass(frozen=True)
class _Fits:
    config: RunConfig
    data: HeteroData
    chosen: Mapping[str, BaseModel]
    note: Callable[[str], object]

    def best(self, names: list[str]) -> Iterator[tuple[str, Scorer]]:
        """The one that validation finds best; the first without validation pairs."""
        validation = Validation.of(self.data, seed=self.config.seed, limit=_JUDGED)
        found = list(self.each(names if validation.num_pairs else names[:1]))
        if found:
            yield max(found, key=lambda named: validation.quality(named[1])) if len(found) > 1 else found[0]

    def each(self, names: list[str]) -> Iterator[tuple[str, Scorer]]:
        """Those that fit into memory."""
        for name in names:
            section = GNNConfig.of(name, self._settings(name))
            try:
                refuse_what_cannot_fit(self.config.model_copy(update={"gnn": section}), self.data)
            except RunError as reason:
                self.note(f"Baseline {name} is left out: {reason}")
                continue
            yield name, make_recommender(section).fit(self.data, seed=self.config.seed)

    def _settings(self, name: str) -> BaseModel:
        if name == "popularity":
            return PopularityConfig(recency=None)
        return self.chosen.get(name) or self.config.gnn.settings(name)
