"""The heterogeneous network: light message passing over every relation of the cross-modal graph.

Users, items and entities start from learned vectors, media nodes from their encoder's. Beside these only the
projections, relation weights and gates are learned, so a score is a sum of exact contributions.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gnn.network.config import ITEM_FEATURE_FUSIONS, NetworkConfig
from gnn.network.fusion import Channel, make_fusion
from gnn.network.item_features import with_imputed
from gnn.network.message_graph import MessageGraph
from gnn.network.operators import Interacted, SparseOperator
from gnn.network.propagation import LightPropagation, make_propagation
from gnn.scorers.base import UserTerms


@dataclass(frozen=True)
class Vectors:
    """What one forward pass gives."""

    users: Float[Tensor, "users dim"]
    items: Float[Tensor, "items dim"]
    contents: dict[str, Float[Tensor, "items dim"]] = field(default_factory=dict)
    """Each modality's own item vectors, for alignment."""


@dataclass(frozen=True)
class Perturbation:
    """How one training batch sees the graph; the default sees it whole."""

    identity: Bool[Tensor, "items"] | None = None
    """False = the item stands without own vector and interactions."""
    modality: dict[str, Bool[Tensor, "items"]] = field(default_factory=dict)
    """False = the item lacks this modality's features."""
    noise: dict[str, Float[Tensor, "items width"]] = field(default_factory=dict)
    """Added to the features."""


class HeteroNetwork(nn.Module):
    """User and item vectors by message passing (He et al., LightGCN, 2020; item links as in FREEDOM, 2023).

    A layer sends `D_u^-1/2 R D_i^-1/2` both ways between users and items, FOLLOWS between users and each
    named RELATED relation between items and entities, every relation with a learned weight; the layers are
    averaged. Each channel (modality) then adds `weight * M h` to the items, h the start vector of the item with
    its content and M the links HAS -> SIMILAR -> HAS, and `gate * weight * mean over the history of M h` to
    the users. A channel without links adds its content in place of `M h`.
    """

    def __init__(self, graph: MessageGraph, config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        if config.fusion in ITEM_FEATURE_FUSIONS:
            graph = with_imputed(graph, config.imputation)
        self.graph, self.config = graph, config
        self.fusion = make_fusion(graph.media, config, generator)

        def start(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, config.embedding_dim, generator=generator) * config.initial_scale)

        self.user_start, self.item_start = start(graph.num_users), start(graph.num_items)
        self.entity_start = start(graph.num_entities) if graph.num_entities else None
        channels = len(self.fusion.names)
        self.content_weights = nn.Parameter(torch.ones(channels))
        self.similar_weights = nn.Parameter(torch.ones(channels))
        self.gate_bias = nn.Parameter(torch.zeros(channels))
        self.gate_query = nn.Parameter(torch.zeros(config.embedding_dim, channels))
        self.related_weights = nn.ParameterDict({str(n): torch.ones(()) for n in range(len(graph.item_entity))})
        self.entity_weight = nn.Parameter(torch.ones(())) if graph.entity_entity and graph.item_entity else None
        self.follow_weight = nn.Parameter(torch.ones(())) if graph.follows else None
        self.propagation = make_propagation(config.propagation)
        self.interacted = Interacted.of(graph.history)
        self._known_items = torch.from_numpy(graph.history.getnnz(axis=0) > 0).float()
        known_users = torch.from_numpy(graph.history.getnnz(axis=1) > 0)
        # as floats: a product of floats and booleans takes twice as long
        self._known_users = None if known_users.all() else known_users.float()

    def forward(
        self,
        seen: Perturbation | None = None,
        interacted: Interacted | None = None,
        only: Int[Tensor, "chosen"] | None = None,
    ) -> Vectors:
        """Vectors of all users and items.

        `interacted` (users x items) stands in for the full interactions in message passing, e.g. pruned ones.
        With `only` (ascending, on the CPU) the users are these alone, in this order: a training step needs no others,
        and the last layer towards users and the means over histories are nearly half of the work.
        """
        seen = seen or Perturbation()
        interacted = interacted or self.interacted
        channels = self.fusion(self._features(seen))
        content = self._content(channels)
        shown = None if seen.identity is None else seen.identity.float()[:, None]
        start = self._start(content, shown)
        users, items = self._propagate(start, interacted.messages, shown=shown, only=only)
        means = interacted.means if only is None else interacted.means.rows(only)
        users, items = self._add_channels(users, items, start, channels, means, shown)
        contents = {n: c.content for n, c in zip(self.fusion.names, channels, strict=True) if c.content is not None}
        return Vectors(users, items, contents)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.item_start.device

    def place(self, device: str) -> None:
        """Move parameters and features there."""
        self.to(device)
        self.graph = replace(self.graph, media={name: m.to(device) for name, m in self.graph.media.items()})
        self._known_items = self._known_items.to(device)
        self._known_users = None if self._known_users is None else self._known_users.to(device)

    @torch.no_grad()
    def modality_gates(self) -> Float[Tensor, "users channels"]:
        """How much each channel counts for each user, as shares of 1; the columns are `fusion.names`."""
        channels = self.fusion(self._features(Perturbation()))
        users, _ = self._propagate(self._start(self._content(channels)), self.interacted.messages)
        weight = self.similar_weights.abs()
        gates = self._gates(users) * weight
        return gates / gates.sum(dim=1, keepdim=True).clamp_min(1e-12)

    @torch.no_grad()
    def user_terms(self, *, cosine: bool) -> UserTerms | None:
        """What the user vectors are summed from; None where the propagation is not linear in the items.

        `cosine` says that scores are taken between vectors of unit length.
        """
        if not isinstance(self.propagation, LightPropagation):
            return None
        channels = dict(zip(self.fusion.names, self.fusion(self._features(Perturbation())), strict=True))
        start = self._start(self._content(list(channels.values())))
        layers = self.config.layers
        messages = self.interacted.messages
        users, _ = self._propagate(start, messages)
        # layer l of a user sums layer l - 1 of the history: all item layers but the last
        earlier = self._propagate(start, messages, layers - 1)[1] if layers else 0 * start
        sent = {}
        for number, (name, channel) in enumerate(channels.items()):
            spread = self._spread(channel, start)
            if spread is not None:
                sent[name] = self.similar_weights[number] * spread * self._known_items[:, None]
        names = sorted(sent)
        gates = self._gates(users)[:, [self.fusion.names.index(name) for name in names]] if names else None
        lengths = self().users.norm(dim=1).clamp_min(1e-12)
        return UserTerms(
            messages=earlier * layers / (layers + 1),
            channels={name: sent[name] for name in names},
            gates=gates,
            scale=1 / lengths if cosine else None,
        )

    def _features(self, seen: Perturbation) -> dict[str, Tensor]:
        features = {}
        for name, medium in self.graph.media.items():
            if medium.features is not None:
                x = medium.features
                if name in seen.noise:  # what is missing stays missing
                    x = x + seen.noise[name] * medium.present[:, None]
                if name in seen.modality:
                    x = x * seen.modality[name][:, None]
                if seen.identity is not None and medium.filled is not None:  # a new item has no users to be filled from
                    x = x * (seen.identity | ~medium.filled)[:, None]
                features[name] = x
        return features

    def _content(self, channels: list[Channel]) -> Tensor | None:
        parts = [self.content_weights[n] * c.content for n, c in enumerate(channels) if c.content is not None]
        return sum(parts[1:], parts[0]) if parts else None

    def _start(self, content: Tensor | None, shown: Tensor | None = None) -> Tensor:
        """What items start from; one that nobody has, or that is not `shown`, has no vector of its own."""
        known = self._known_items[:, None]
        own = self.item_start * (known if shown is None else known * shown)
        return own if content is None else own + content

    def _propagate(
        self,
        start: Tensor,
        interacted: SparseOperator,
        layers: int | None = None,
        *,
        shown: Tensor | None = None,
        only: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The mean of the layers: of all users or of `only` these, and of all items."""
        layers = self.config.layers if layers is None else layers
        users = self.user_start if self._known_users is None else self.user_start * self._known_users[:, None]
        items = start
        entities: Tensor | None = self.entity_start
        all_users, all_items = _chosen(users, only), items
        for layer in range(1, layers + 1):
            wanted = only if layer == layers else None
            to_users, to_items = self.propagation(interacted, users, items, wanted)
            to_items = to_items if shown is None else to_items * shown
            if self.follow_weight is not None and self.graph.follows is not None:
                follows = self.graph.follows if wanted is None else self.graph.follows.rows(wanted)
                to_users = to_users + self.follow_weight * (follows @ users)
            if entities is not None:
                to_entities = torch.zeros_like(entities)
                for weight, operator in zip(
                    self.related_weights.values(), self.graph.item_entity.values(), strict=True
                ):
                    to_items = to_items + weight * (operator @ entities)
                    to_entities = to_entities + weight * (operator.T @ items)
                if self.entity_weight is not None and self.graph.entity_entity is not None:
                    to_entities = to_entities + self.entity_weight * (self.graph.entity_entity @ entities)
                entities = to_entities
            users, items = to_users, to_items
            all_users = all_users + (users if layer == layers else _chosen(users, only))
            all_items = all_items + items
        return all_users / (layers + 1), all_items / (layers + 1)

    def _add_channels(
        self,
        users: Tensor,
        items: Tensor,
        start: Tensor,
        channels: list[Channel],
        means: SparseOperator,
        shown: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """`means` has a row for each of `users`."""
        if not channels:
            return users, items
        gates = self._gates(users)
        for number, channel in enumerate(channels):
            spread = self._spread(channel, start)
            if spread is None:
                continue
            weighted = self.similar_weights[number] * spread
            items = items + weighted
            # an item that stands as new is in nobody's history: without this any link leads a target to itself
            sent = weighted if shown is None else weighted * shown
            users = users + gates[:, number : number + 1] * (means @ sent)
        return users, items

    def _spread(self, channel: Channel, start: Tensor) -> Tensor | None:
        if channel.similar is None:
            return channel.content
        for _ in range(self.config.similar_hops):
            start = channel.similar @ start
        return start

    def _gates(self, users: Tensor) -> Tensor:
        """1 on average over the channels, by the user's own vector."""
        return (users @ self.gate_query + self.gate_bias).softmax(dim=1) * len(self.fusion.names)


def _chosen(rows: Tensor, only: Tensor | None) -> Tensor:
    return rows if only is None else rows.index_select(0, only)
