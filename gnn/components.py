"""What a recommender is: one class with its settings, its fit, what the fit chose, and what it takes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel

from common.progress import Progress
from gnn.footprint import FLOAT, Footprint, Sizes, validation_bytes

if TYPE_CHECKING:
    import numpy as np
    from torch_geometric.data import HeteroData

    from gnn.scorers.base import Scorer


class NoSettings(BaseModel, extra="forbid"):
    """Nothing to set."""


@dataclass(frozen=True)
class Watch:
    """Where long fits leave their state, and who hears of each epoch."""

    checkpoints: Path | None = None
    """Folder with one file a fit; one killed and begun again goes on from it to the same end."""
    on_epoch: Callable[[str, Mapping[str, float]], None] | None = None
    """Called with a fit's name (by its settings and seed) and `epoch, loss, ndcg@20, recall@20, seconds`."""
    tell: Callable[[str], None] | None = None
    """Called with a sentence where size decided for an approximate form, and how much it leaves out."""

    on_resume: Callable[[int, int], None] | None = None
    """Called with (epochs done, at most) where a fit goes on from its checkpoint."""

    def checkpoint(self, fit: str) -> Path | None:
        """The file of one fit; None where nothing is kept."""
        return self.checkpoints / f"{fit}.safetensors" if self.checkpoints else None

    def epochs(self, fit: str) -> Callable[[Mapping[str, float]], None] | None:
        """Who hears of one fit's epochs."""
        return partial(self.on_epoch, fit) if self.on_epoch else None


def fit_name(kind: str, settings: BaseModel, seed: int) -> str:
    """A name for one fit that no other settings or seed have."""
    text = f"{seed}:{settings.model_dump_json(exclude_defaults=True)}"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


Settings = TypeVar("Settings", bound=BaseModel)


class Recommender(ABC, Generic[Settings]):
    """Fits a graph's training interactions into a scorer; choices are made on its validation pairs only.

    A subclass sets `Config` and writes `fit`. One that chooses settings in `fit` also says which (`resolved`); one
    that holds more than a few vectors says how much (`footprint`). `gnn.testing.RecommenderCases` tests it.
    """

    Config: ClassVar[type[BaseModel]] = NoSettings
    """Its settings: a model with `extra="forbid"` and a default for everything."""

    def __init__(self, config: Settings | None = None, watch: Watch | None = None) -> None:
        self.config = cast("Settings", config or self.Config())
        self.watch = watch or Watch()

    @abstractmethod
    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer; `progress(done, total)` hears of its steps."""

    def item_encoder(self, data: HeteroData) -> Mapping[str, np.ndarray]:
        """After `fit` on `data`: what `gnn.network.item_encoder` makes item vectors of; empty where it cannot."""
        return {}

    def resolved(self) -> BaseModel:
        """After `fit`: settings that give the same scorer without searching; `config` itself where nothing is chosen.

        What chooses among recommenders gives a whole `gnn:` section.
        """
        return self.config

    @classmethod
    def footprint(cls, sizes: Sizes, config: Settings) -> Footprint:
        """Memory and work of a fit, estimated; here a number a user and item, and the scores of a validation."""
        return Footprint(cls.__name__.lower(), validation_bytes(sizes), FLOAT * (sizes.users + sizes.items))
