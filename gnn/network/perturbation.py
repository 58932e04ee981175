"""Augmentation: what a training batch does not see of the items, or sees blurred."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnn.network.config import NetworkConfig
from gnn.network.message_graph import MessageGraph


@dataclass(frozen=True)
class Perturbation:
    """How one training batch sees the graph; the default sees it whole."""

    identity: Bool[Tensor, "items"] | None = None
    """False = the item stands without own vector and interactions."""
    modality: dict[str, Bool[Tensor, "items"]] = field(default_factory=dict)
    """False = the item lacks this modality's features."""
    noise: dict[str, Float[Tensor, "items width"]] = field(default_factory=dict)
    """Added to the features."""

    @classmethod
    def drawn(
        cls, graph: MessageGraph, config: NetworkConfig, generator: torch.Generator, device: torch.device
    ) -> "Perturbation":
        """As much as the config says, drawn from `generator` and placed on `device`."""
        features = {name: medium.features for name, medium in graph.media.items() if medium.features is not None}

        def kept(share: float) -> Tensor:
            return (torch.rand(graph.num_items, generator=generator) >= share).to(device)

        def noise(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator).to(device) * config.feature_noise

        return cls(
            kept(config.identity_dropout) if config.identity_dropout else None,
            {name: kept(config.modality_dropout) for name in features} if config.modality_dropout else {},
            {name: noise(rows) for name, rows in features.items()} if config.feature_noise else {},
        )

    def features(self, graph: MessageGraph) -> dict[str, Float[Tensor, "items width"]]:
        """The features of each modality that has any, as the batch sees them."""
        seen = {}
        for name, medium in graph.media.items():
            if medium.features is not None:
                rows = medium.features
                if name in self.noise:  # what is missing stays missing
                    rows = rows + self.noise[name] * medium.present[:, None]
                if name in self.modality:
                    rows = rows * self.modality[name][:, None]
                if self.identity is not None and medium.filled is not None:
                    # a new item has no users to be filled from
                    rows = rows * (self.identity | ~medium.filled)[:, None]
                seen[name] = rows
        return seen
