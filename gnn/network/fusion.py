"""How modalities meet: from each modality's item features to the channels the network adds to its vectors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gnn.errors import GnnError
from gnn.network.config import DECISION, NetworkConfig
from gnn.network.message_graph import Medium
from gnn.network.operators import SparseOperator
from gnn.network.registries import FUSIONS


@dataclass(frozen=True)
class Channel:
    """What one modality (or all of them fused) gives to the items."""

    content: Float[Tensor, "items dim"] | None
    similar: SparseOperator | None


class Fusion(nn.Module, ABC):
    """Turns each modality's features into channels; `names` are the channels, fixed from the start.

    It holds parameters only. What it reads of the graph beside the features is made once by `prepare` and handed to
    each pass; a sampled batch, which runs on a part of the graph, gets it as `cut` makes it.
    """

    names: tuple[str, ...]

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        """`generator` draws the start of its parameters."""
        super().__init__()

    @abstractmethod
    def prepare(self, media: Mapping[str, Medium]) -> Any:
        """What `forward` reads of the whole graph: constants on the CPU, one row an item."""

    @abstractmethod
    def cut(self, prepared: Any, media: Mapping[str, Medium], items: Int[Tensor, "kept"]) -> Any:
        """The same for some items (ids ascending), whose media, cut already, are `media`."""

    @abstractmethod
    def forward(self, features: Mapping[str, Float[Tensor, "items width"]], prepared: Any) -> list[Channel]:
        """`features` are the media's features as this batch sees them (noise and dropout already in)."""


Links = Mapping[str, SparseOperator | None]


class JointFusion(Fusion):
    """A channel for each modality, so that each keeps its own links, weight and gate."""

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__(media, config, generator)
        self.names = tuple(media)
        self.projections = projections(media, config, generator)

    def prepare(self, media: Mapping[str, Medium]) -> Links:
        """Each modality's links."""
        return {name: medium.similar for name, medium in media.items()}

    def cut(self, prepared: Links, media: Mapping[str, Medium], items: Int[Tensor, "kept"]) -> Links:
        """Each modality's links among these items."""
        return self.prepare(media)

    def forward(self, features: Mapping[str, Float[Tensor, "items width"]], prepared: Links) -> list[Channel]:
        """One channel a modality, its features through a learned projection."""
        return [
            Channel(features[name] @ self.projections[name] if name in features else None, similar)
            for name, similar in prepared.items()
        ]


@dataclass(frozen=True)
class Merged:
    """What a fusion into one channel reads of the graph."""

    real: Mapping[str, Bool[Tensor, "items"]]
    """By modality that was imputed: items whose features are not made up."""
    similar: SparseOperator | None
    """The mean of the modalities' links."""


class FeatureFusion(Fusion):
    """One channel: the projected features added up, which is one projection of the concatenated vectors.

    Under imputation a learned vector marks each feature that is not real: the mask is one more input of the projection.
    """

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__(media, config, generator)
        self.names = ("media",) if media else ()
        self.projections = projections(media, config, generator)
        imputed = [name for name, medium in media.items() if medium.filled is not None]
        self.marks = nn.ParameterDict({name: torch.zeros(config.embedding_dim) for name in imputed})

    def prepare(self, media: Mapping[str, Medium]) -> Merged:
        """Links merged over the modalities."""
        real = {name: m.present & ~m.filled for name, m in media.items() if m.filled is not None}
        return Merged(real, _mean_links(media))

    def cut(self, prepared: Merged, media: Mapping[str, Medium], items: Int[Tensor, "kept"]) -> Merged:
        """The merged links cut, not the cut ones merged: a row is made up for what it lost of all of them."""
        similar = None if prepared.similar is None else prepared.similar.cut(items, items)
        return Merged({name: real[items] for name, real in prepared.real.items()}, similar)

    def forward(self, features: Mapping[str, Float[Tensor, "items width"]], prepared: Merged) -> list[Channel]:
        """One channel for all modalities, or none without media."""
        present = {name: rows.abs().sum(dim=1) > 0 for name, rows in features.items()}
        parts = [self._project(name, rows, present[name], prepared.real) for name, rows in features.items()]
        content = self._combine(torch.stack(parts), torch.stack(list(present.values()))) if parts else None
        return [Channel(content, prepared.similar)] if self.names else []

    def _project(self, name: str, rows: Tensor, present: Tensor, real: Mapping[str, Tensor]) -> Tensor:
        projected = rows @ self.projections[name]
        if name not in real:
            return projected
        return projected + ~(real[name].to(present.device) & present)[:, None] * self.marks[name]

    def _combine(
        self, parts: Float[Tensor, "modalities items dim"], present: Bool[Tensor, "modalities items"]
    ) -> Float[Tensor, "items dim"]:
        return parts.sum(dim=0)


class AttendedFusion(FeatureFusion):
    """One channel: for each item a weighted mean of its projected features, the weights by a learned query.

    A modality that the item lacks (features all 0) gets no weight; the query sees the marks of imputed ones.
    """

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__(media, config, generator)
        self.query = nn.Parameter(torch.zeros(config.embedding_dim))

    def _combine(
        self, parts: Float[Tensor, "modalities items dim"], present: Bool[Tensor, "modalities items"]
    ) -> Float[Tensor, "items dim"]:
        logits = parts.tanh() @ self.query
        weights = logits.masked_fill(~present, -1e9).softmax(dim=0) * present
        return (weights[:, :, None] * parts).sum(dim=0)


def make_fusion(media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> Fusion:
    """The fusion `config.fusion` names; `GnnError` for `decision`, which is none inside one network, and for a class
    that leaves out what a fusion must have."""
    if config.fusion == DECISION:
        raise GnnError(f"fusion {DECISION!r} sums networks and is none inside one; use it with model auto or hetero")
    kind = FUSIONS[config.fusion]
    if missing := sorted(getattr(kind, "__abstractmethods__", ())):
        raise GnnError(f"fusion {config.fusion!r} (class {kind.__name__}) has no method {', '.join(missing)}; write it")
    return kind(media, config, generator)


def projections(media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> nn.ParameterDict:
    """A learned matrix [width, dim] for each modality with features, under its name."""
    weights = {}
    for name, medium in media.items():
        if medium.features is not None:
            width = medium.features.shape[1]
            start = torch.randn(width, config.embedding_dim, generator=generator)
            weights[name] = nn.Parameter(start * config.initial_scale / width**0.5)
    return nn.ParameterDict(weights)


def _mean_links(media: Mapping[str, Medium]) -> SparseOperator | None:
    matrices = [m.similar.forward for m in media.values() if m.similar is not None]
    return SparseOperator(sum(matrices[1:], matrices[0]) / len(matrices)) if matrices else None
