"""The heterogeneous network: light message passing over every relation of the cross-modal graph.

Users, items and entities start from learned vectors, media nodes from their encoder's. Beside these only the
projections, relation weights and gates are learned, so a score is a sum of exact contributions.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnn.network.config import NetworkConfig
from gnn.network.fusion import Channel, make_fusion
from gnn.network.inputs import GraphInputs
from gnn.network.item_features import with_imputed
from gnn.network.message_graph import MessageGraph
from gnn.network.operators import SparseOperator
from gnn.network.perturbation import Perturbation
from gnn.network.registries import PROPAGATIONS
from gnn.scorers.base import UserTerms


@dataclass(frozen=True)
class Vectors:
    """What one forward pass gives."""

    users: Float[Tensor, "users dim"]
    items: Float[Tensor, "items dim"]
    contents: dict[str, Float[Tensor, "items dim"]] = field(default_factory=dict)
    """Each modality's own item vectors, for alignment."""


class HeteroNetwork(nn.Module):
    """User and item vectors by message passing (He et al., LightGCN, 2020; item links as in FREEDOM, 2023).

    A layer sends `D_u^-1/2 R D_i^-1/2` both ways between users and items, FOLLOWS between users and each
    named RELATED relation between items and entities, every relation with a learned weight; the layers are
    averaged. Each channel (modality) then adds `weight * M h` to the items, h the start vector of the item with
    its content and M the links HAS -> SIMILAR -> HAS, and `gate * weight * mean over the history of M h` to
    the users. A channel without links adds its content in place of `M h`.

    It holds the parameters; the graph that a pass runs on is its input, the whole one (`inputs`) where none is given.
    """

    def __init__(self, graph: MessageGraph, config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__()
        graph = with_imputed(graph, config.imputation)
        self.config = config
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
        self.propagation = PROPAGATIONS[config.propagation]()
        self.inputs = GraphInputs.of(graph, self.fusion)

    def forward(
        self,
        inputs: GraphInputs | None = None,
        seen: Perturbation | None = None,
        only: Int[Tensor, "chosen"] | None = None,
    ) -> Vectors:
        """Vectors of all users and items of `inputs`, or of the whole graph.

        With `only` (ascending, on the CPU) the users are these alone, in this order: a training step needs no others,
        and the last layer towards users and the means over histories are nearly half of the work.
        """
        inputs, seen = inputs or self.inputs, seen or Perturbation()
        channels = self.channels(inputs, seen)
        shown = None if seen.identity is None else seen.identity.float()[:, None]
        start = self._start(inputs, channels, shown)
        users, items = self._propagate(inputs, start, shown=shown, only=only)
        means = inputs.interacted.means if only is None else inputs.interacted.means.rows(only)
        users, items = self._add_channels(users, items, start, channels, means, shown)
        contents = {n: c.content for n, c in zip(self.fusion.names, channels, strict=True) if c.content is not None}
        return Vectors(users, items, contents)

    @property
    def graph(self) -> MessageGraph:
        """The whole graph, imputed features and all."""
        return self.inputs.graph

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.item_start.device

    def place(self, device: str) -> None:
        """Move parameters and features there."""
        self.to(device)
        self.inputs = self.inputs.to(device)

    def channels(self, inputs: GraphInputs | None = None, seen: Perturbation | None = None) -> list[Channel]:
        """What the media give to the items; `fusion.names` are their names."""
        inputs = inputs or self.inputs
        channels: list[Channel] = self.fusion((seen or Perturbation()).features(inputs.graph), inputs.prepared)
        return channels

    @torch.no_grad()
    def modality_gates(self) -> Float[Tensor, "users channels"]:
        """How much each channel counts for each user, as shares of 1; the columns are `fusion.names`."""
        users, _ = self._propagate(self.inputs, self._start(self.inputs, self.channels()))
        weight = self.similar_weights.abs()
        gates = self._gates(users) * weight
        return gates / gates.sum(dim=1, keepdim=True).clamp_min(1e-12)

    @torch.no_grad()
    def user_terms(self, *, cosine: bool) -> UserTerms | None:
        """What the user vectors are summed from; None where the propagation is not linear in the items.

        `cosine` says that scores are taken between vectors of unit length.
        """
        if not self.propagation.linear:
            return None
        channels = dict(zip(self.fusion.names, self.channels(), strict=True))
        start = self._start(self.inputs, list(channels.values()))
        layers = self.config.layers
        users, _ = self._propagate(self.inputs, start)
        # layer l of a user sums layer l - 1 of the history: all item layers but the last
        earlier = self._propagate(self.inputs, start, layers - 1)[1] if layers else 0 * start
        sent = {}
        for number, (name, channel) in enumerate(channels.items()):
            spread = self._spread(channel, start)
            if spread is not None:
                sent[name] = self.similar_weights[number] * spread * self.inputs.known_items[:, None]
        names = sorted(sent)
        gates = self._gates(users)[:, [self.fusion.names.index(name) for name in names]] if names else None
        lengths = self().users.norm(dim=1).clamp_min(1e-12)
        return UserTerms(
            messages=earlier * layers / (layers + 1),
            channels={name: sent[name] for name in names},
            gates=gates,
            scale=1 / lengths if cosine else None,
        )

    @torch.no_grad()
    def item_starts(self) -> Float[Tensor, "items dim"]:
        """What items start from, their content in it."""
        return self._start(self.inputs, self.channels())

    def _start(self, inputs: GraphInputs, channels: list[Channel], shown: Tensor | None = None) -> Tensor:
        """What items start from; one that nobody has, or that is not `shown`, has no vector of its own."""
        table = self.item_start if inputs.part is None else self.item_start[inputs.part.items]
        known = inputs.known_items[:, None]
        own = table * (known if shown is None else known * shown)
        contents = [self.content_weights[n] * c.content for n, c in enumerate(channels) if c.content is not None]
        return own + sum(contents[1:], contents[0]) if contents else own

    def _propagate(
        self,
        inputs: GraphInputs,
        start: Tensor,
        layers: int | None = None,
        *,
        shown: Tensor | None = None,
        only: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The mean of the layers: of all users or of `only` these, and of all items."""
        layers = self.config.layers if layers is None else layers
        users, items, entities = self._user_start(inputs), start, self._entity_start(inputs)
        follows = inputs.graph.follows
        all_users, all_items = _chosen(users, only), items
        for layer in range(1, layers + 1):
            wanted = only if layer == layers else None
            to_users, to_items = self.propagation(inputs.interacted.messages, users, items, wanted)
            to_items = to_items if shown is None else to_items * shown
            if self.follow_weight is not None and follows is not None:
                to_users = to_users + self.follow_weight * (
                    (follows if wanted is None else follows.rows(wanted)) @ users
                )
            if entities is not None:
                to_items, entities = self._over_entities(inputs.graph, items, entities, to_items)
            users, items = to_users, to_items
            all_users = all_users + (users if layer == layers else _chosen(users, only))
            all_items = all_items + items
        return all_users / (layers + 1), all_items / (layers + 1)

    def _user_start(self, inputs: GraphInputs) -> Tensor:
        table = self.user_start if inputs.part is None else self.user_start[inputs.part.users]
        return table if inputs.known_users is None else table * inputs.known_users[:, None]

    def _entity_start(self, inputs: GraphInputs) -> Tensor | None:
        if self.entity_start is None or inputs.part is None:
            return self.entity_start
        return self.entity_start[inputs.part.entities]

    def _over_entities(
        self, graph: MessageGraph, items: Tensor, entities: Tensor, to_items: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`to_items` with the messages of the entities added, and the entities' own next vectors."""
        to_entities = torch.zeros_like(entities)
        for weight, operator in zip(self.related_weights.values(), graph.item_entity.values(), strict=True):
            to_items = to_items + weight * (operator @ entities)
            to_entities = to_entities + weight * (operator.T @ items)
        if self.entity_weight is not None and graph.entity_entity is not None:
            to_entities = to_entities + self.entity_weight * (graph.entity_entity @ entities)
        return to_items, to_entities

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
