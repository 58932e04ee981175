"""How one layer passes messages along INTERACTED: the same interface, with fixed or with learned edge weights."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gnn.network.operators import SparseOperator


class Propagation(nn.Module, ABC):
    """One layer's messages between users and items; made without arguments, shared by all layers."""

    linear: ClassVar[bool] = False
    """Messages are fixed weights times the senders: a user's vector is then a sum of exact terms."""

    @abstractmethod
    def forward(
        self,
        interacted: SparseOperator,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        only: Int[Tensor, "chosen"] | None = None,
    ) -> tuple[Float[Tensor, "receiving dim"], Float[Tensor, "items dim"]]:
        """The messages that arrive at users (at `only` these) and at items; `interacted` is users x items."""


class LightPropagation(Propagation):
    """The degree-normalised sum of the neighbours, nothing learned (He et al., LightGCN, 2020)."""

    linear = True

    def forward(
        self,
        interacted: SparseOperator,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        only: Int[Tensor, "chosen"] | None = None,
    ) -> tuple[Float[Tensor, "receiving dim"], Float[Tensor, "items dim"]]:
        """The messages that arrive at users (at `only` these) and at items; `interacted` is users x items."""
        to_users = interacted if only is None else interacted.rows(only)
        return to_users @ items, interacted.T @ users


class AttentionPropagation(Propagation):
    """Light weights tilted by how well an edge's two ends agree, each node's weights keeping their sum.

    An edge weighs `w * exp(sharpness * cosine)`, rescaled at each receiving node (in the manner of Velickovic et
    al., GAT, 2018); `sharpness`, one for each direction, starts at 0, where this equals `LightPropagation`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.zeros(2))

    def forward(
        self,
        interacted: SparseOperator,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        only: Int[Tensor, "chosen"] | None = None,
    ) -> tuple[Float[Tensor, "receiving dim"], Float[Tensor, "items dim"]]:
        """The messages that arrive at users (at `only` these) and at items; `interacted` is users x items."""
        rows, columns, weights = interacted.edges(users.device)
        at_users, at_items = users.index_select(0, rows), items.index_select(0, columns)
        agreement = functional.cosine_similarity(at_users, at_items)
        to_users = _tilted(weights, self.sharpness[0] * agreement, rows, len(users))
        to_items = _tilted(weights, self.sharpness[1] * agreement, columns, len(items))
        at_all_users = torch.zeros_like(users).index_add(0, rows, to_users[:, None] * at_items)
        return (
            at_all_users if only is None else at_all_users.index_select(0, only),
            torch.zeros_like(items).index_add(0, columns, to_items[:, None] * at_users),
        )


def _tilted(weights: Tensor, tilt: Tensor, receiver: Tensor, nodes: int) -> Tensor:
    """`weights * exp(tilt)`, scaled so that each receiver's weights keep their sum."""
    tilted = weights * tilt.exp()
    before = weights.new_zeros(nodes).index_add(0, receiver, weights)
    after = weights.new_zeros(nodes).index_add(0, receiver, tilted)
    return tilted * (before / after.clamp_min(1e-12)).index_select(0, receiver)
