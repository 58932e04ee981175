"""How modalities meet: from each modality's item features to the channels the network adds to its vectors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnn.errors import GnnError
from gnn.network.config import NetworkConfig
from gnn.network.message_graph import Medium
from gnn.network.operators import SparseOperator


@dataclass(frozen=True)
class Channel:
    """What one modality (or all of them fused) gives to the items."""

    content: Float[Tensor, "items dim"] | None
    similar: SparseOperator | None


class Fusion(nn.Module, ABC):
    """Turns each modality's features into channels; `names` are the channels, fixed from the start."""

    names: tuple[str, ...]

    @abstractmethod
    def forward(self, features: Mapping[str, Float[Tensor, "items width"]]) -> list[Channel]:
        """`features` are the media's features as this batch sees them (noise and dropout already in)."""


class JointFusion(Fusion):
    """A channel for each modality, so that each keeps its own links, weight and gate."""

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.names = tuple(media)
        self.media = media
        self.projections = _projections(media, config, generator)

    def forward(self, features: Mapping[str, Float[Tensor, "items width"]]) -> list[Channel]:
        """One channel a modality, its features through a learned projection."""
        return [
            Channel(features[name] @ self.projections[name] if name in features else None, medium.similar)
            for name, medium in self.media.items()
        ]


class FeatureFusion(Fusion):
    """One channel: the projected features added up, which is one projection of the concatenated vectors.

    Under imputation a learned vector marks each feature that is not real: the mask is one more input of the projection.
    """

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.names = ("media",) if media else ()
        self.projections = _projections(media, config, generator)
        self.real = {n: m.present & ~m.filled for n, m in media.items() if m.filled is not None}
        self.marks = nn.ParameterDict({name: torch.zeros(config.embedding_dim) for name in self.real})
        self.similar = _merged(media)

    def forward(self, features: Mapping[str, Float[Tensor, "items width"]]) -> list[Channel]:
        """One channel for all modalities, or none without media."""
        present = {name: rows.abs().sum(dim=1) > 0 for name, rows in features.items()}
        parts = [self._project(name, rows, present[name]) for name, rows in features.items()]
        content = self._combine(torch.stack(parts), torch.stack(list(present.values()))) if parts else None
        return [Channel(content, self.similar)] if self.names else []

    def _project(self, name: str, rows: Tensor, present: Tensor) -> Tensor:
        projected = rows @ self.projections[name]
        if name not in self.real:
            return projected
        real = self.real[name].to(present.device)
        return projected + ~(real & present)[:, None] * self.marks[name]

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


FUSIONS: dict[str, Callable[[Mapping[str, Medium], NetworkConfig, torch.Generator], Fusion]] = {
    "joint": JointFusion,
    "feature": FeatureFusion,
    "attended": AttendedFusion,
}
"""Kinds of fusion inside one network, by name; decision-level fusion stands in `gnn/decision_fusion.py`."""


def make_fusion(media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> Fusion:
    """The fusion `config.fusion` names; `GnnError` for an unknown name."""
    if config.fusion not in FUSIONS:
        raise GnnError(f"fusion {config.fusion!r} is unknown; use one of {', '.join(FUSIONS)}")
    return FUSIONS[config.fusion](media, config, generator)


def _projections(media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> nn.ParameterDict:
    weights = {}
    for name, medium in media.items():
        if medium.features is not None:
            width = medium.features.shape[1]
            start = torch.randn(width, config.embedding_dim, generator=generator)
            weights[name] = nn.Parameter(start * config.initial_scale / width**0.5)
    return nn.ParameterDict(weights)


def _merged(media: Mapping[str, Medium]) -> SparseOperator | None:
    """The mean of the modalities' item links."""
    matrices = [m.similar.forward for m in media.values() if m.similar is not None]
    return SparseOperator(sum(matrices[1:], matrices[0]) / len(matrices)) if matrices else None
