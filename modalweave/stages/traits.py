"""What the graph knows of items and users, as an evaluation takes it: vectors, links and values of items, groups of
users."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float
from torch_geometric.data import HeteroData

from common.vectors import unit_rows
from evaluation.groups import Groups
from evaluation.slices import ACTIVITY_EDGES, activity_groups
from gnn.matrices import binary
from graph.schema import HAS, MEDIA_LABELS

_HOLDERS = 10
"""Items to a value of an attribute, on average, where a list of twenty can be said to have a mix of them."""
_LARGEST_SHARE = 0.9
"""Of the items with a value that may have the same one: else there is no mix to speak of."""
_ATTRIBUTES = 6
"""Attributes by which calibration is taken, those that most items have."""
_LARGEST = 20
"""Groups that an attribute of users makes at most."""
_QUARTERS = 4


def item_vectors(data: HeteroData, modality: str) -> Float[np.ndarray, "items dim"] | None:
    """The mean direction of each item's media, unit length, zero for items without; None where nothing has a vector."""
    media = data[MEDIA_LABELS[modality]]
    if not media.num_nodes or not bool(media.mask.any()):
        return None
    mean = _owned(data, modality) @ unit_rows(media.x.numpy())
    return unit_rows(mean)


def item_links(data: HeteroData, modality: str) -> sp.csr_matrix | None:
    """Items x items: how alike the nearest media of two items are, as the source says; None where nothing is linked."""
    label = MEDIA_LABELS[modality]
    media = int(data[label].num_nodes)
    if not media:
        return None
    links = data[label, "SIMILAR", label]
    source, target = links.edge_index.numpy()
    near = sp.csr_matrix((np.clip(links.score.numpy(), 0, 1), (source, target)), shape=(media, media))
    owns = _owned(data, modality).astype(bool).astype(np.float32)
    lifted = sp.csr_matrix(owns @ near.maximum(near.T) @ owns.T)
    lifted.data = np.minimum(lifted.data, 1)
    lifted.setdiag(0)
    lifted.eliminate_zeros()
    return lifted if lifted.nnz else None


def item_values(data: HeteroData) -> dict[str, sp.csr_matrix]:
    """Attribute or relation -> items x values: those that at least half of the items have and whose values are shared
    by ten items on average, none by nine of ten; the ones that most items have first."""
    items, entities = int(data["Item"].num_nodes), int(data["Entity"].num_nodes)
    found: list[tuple[str, sp.csr_matrix]] = []
    for name, codes in data.attributes.items():
        known = (codes >= 0).nonzero().squeeze(1)
        found.append((name, binary(torch.stack([known, codes[known]]), (items, int(codes.max()) + 1))))
    related = data["Item", "RELATED", "Entity"]
    for code, name in enumerate(data.relations):
        found.append((name, binary(related.edge_index[:, related.relation == code], (items, entities))))
    kept: dict[str, sp.csr_matrix] = {}
    for name, every in sorted(found, key=lambda pair: -np.count_nonzero(pair[1].getnnz(axis=1))):
        values = every[:, every.getnnz(axis=0) > 0]
        held, different = np.count_nonzero(values.getnnz(axis=1)), values.shape[1]
        common = 2 * held >= items and different > 1 and values.nnz >= _HOLDERS * different
        common = common and int(values.getnnz(axis=0).max()) <= _LARGEST_SHARE * held
        said = any(other.shape == values.shape and (other != values).nnz == 0 for other in kept.values())
        if common and not said and len(kept) < _ATTRIBUTES:
            kept[name] = values
    return kept


def user_groups(train: sp.csr_matrix, rows: np.ndarray, attributes: pl.DataFrame) -> dict[str, Groups]:
    """Groupings of the users in these rows: `activity`, and each attribute of users that tells groups apart (texts and
    yes or no of 2 to 20 values; numbers of more, by quarters)."""
    found: dict[str, Groups] = {
        "activity": {name: members[rows] for name, members in activity_groups(train, ACTIVITY_EDGES).items()}
    }
    for column in attributes.get_columns():
        groups = dict(_column_groups(column.gather(rows)))
        if len(groups) > 1:
            found[f"own {column.name}" if column.name in ("all", "activity") else column.name] = groups
    return found


def _column_groups(column: pl.Series) -> Iterator[tuple[str, Bool[np.ndarray, "evaluated"]]]:
    if column.dtype == pl.Boolean:
        column = column.replace_strict({True: "yes", False: "no"}, return_dtype=pl.String)
    if column.dtype != pl.String and not column.dtype.is_numeric():
        return
    values = column.drop_nulls().unique().sort()
    if len(values) <= _LARGEST:
        for value in values:
            yield str(value), (column == value).fill_null(False).to_numpy()
    elif column.dtype.is_numeric():
        numbers = column.cast(pl.Float64).fill_nan(None)
        edges = sorted({float(numbers.quantile(q / _QUARTERS) or 0) for q in range(_QUARTERS + 1)})
        for low, high in pairwise(edges):
            last = high == edges[-1]
            inside = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
            yield f"{low:g} to {high:g}" if last else f"{low:g} to under {high:g}", inside.fill_null(False).to_numpy()


def _owned(data: HeteroData, modality: str) -> sp.csr_matrix:
    """Items x media, 1 where the item has it."""
    label = MEDIA_LABELS[modality]
    shape = (int(data["Item"].num_nodes), int(data[label].num_nodes))
    return binary(data["Item", HAS[modality], label].edge_index, shape)
