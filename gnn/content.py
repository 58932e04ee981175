"""What a history says of items that nobody has yet: how much their media resemble it."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from gnn.closed_form.config import FilterParameters
from gnn.closed_form.filter_formula import media_matrices, mixed_links
from gnn.matrices import new_items


@dataclass(frozen=True)
class Arrivals:
    """Items that came after a model was fitted, and what they are like of those it knows."""

    items: pl.DataFrame
    """`item_id`, `title` and attributes, a row for each."""
    likeness: sp.csr_matrix
    """Known items x arrivals, float32, as of `NewItems`."""

    @property
    def digest(self) -> str:
        """SHA-256 of who they are and what they are like."""
        digest = hashlib.sha256(self.items.write_json().encode())
        for array in (self.likeness.indptr, self.likeness.indices, self.likeness.data):
            digest.update(array.astype("<f8").tobytes())
        return digest.hexdigest()


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
        items = new_items(data)
        return cls(items, media_likeness(data, items))

    def joined(self, arrivals: Arrivals) -> "NewItems":
        """With the arrivals after the last item."""
        known, more = arrivals.likeness.shape
        likeness = sp.hstack([self.likeness, arrivals.likeness], format="csr")
        likeness.resize(known + more, likeness.shape[1])
        return NewItems(np.concatenate([self.items, np.arange(known, known + more)]), likeness)

    def scores(self, history: sp.csr_matrix) -> Float[Tensor, "users new"]:
        """What each history, whose items all count alike, resembles; -inf where no link leads to the item."""
        found = (history.astype(bool).astype(np.float32) @ self.likeness).toarray()
        return torch.from_numpy(np.where(found > 0, found, np.float32(-np.inf)))


def media_likeness(data: HeteroData, items: Int[np.ndarray, "some"]) -> sp.csr_matrix:
    """Items x some, float32: how much their media resemble, over one and two links, as the graph filter counts them."""
    parameters = FilterParameters()
    mixed = mixed_links(media_matrices(data), parameters) if len(items) else None
    if mixed is None:
        return sp.csr_matrix((int(data["Item"].num_nodes), len(items)), dtype=np.float32)
    near, (once, twice) = mixed[:, items], parameters.hops
    return (once * near + twice * (mixed @ near)).tocsr().astype(np.float32)
