"""What a history says of items that nobody has yet: how much their media resemble it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from gnn.closed_form.config import FilterParameters
from gnn.closed_form.filter_formula import media_matrices, mixed_links
from gnn.matrices import new_items


@dataclass(frozen=True)
class NewItems:
    """Items with media and without a training interaction, and how a history reaches them."""

    items: Int[np.ndarray, "new"]
    """Indices, ascending."""
    likeness: sp.csr_matrix
    """Items x new, float32: over one and two media links, as the graph filter counts them."""

    @classmethod
    def of(cls, data: HeteroData) -> "NewItems":
        """Those of a graph."""
        items, parameters = new_items(data), FilterParameters()
        mixed = mixed_links(media_matrices(data), parameters) if len(items) else None
        if mixed is None:
            return cls(items, sp.csr_matrix((int(data["Item"].num_nodes), len(items)), dtype=np.float32))
        near, (once, twice) = mixed[:, items], parameters.hops
        return cls(items, (once * near + twice * (mixed @ near)).tocsr().astype(np.float32))

    def scores(self, history: sp.csr_matrix) -> Float[Tensor, "users new"]:
        """What each history, whose items all count alike, resembles; -inf where no link leads to the item."""
        found = (history.astype(bool).astype(np.float32) @ self.likeness).toarray()
        return torch.from_numpy(np.where(found > 0, found, np.float32(-np.inf)))
