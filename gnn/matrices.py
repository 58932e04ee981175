"""The graph's relations as scipy matrices: what the closed-form recommenders and the ensemble compute with."""

from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graph.schema import HAS, MEDIA_LABELS

Split = Literal["valid", "test"]

_EDGE = ("User", "INTERACTED", "Item")
_DAY = 86_400
_FAINTEST = 1e-6
"""What the oldest interaction counts at least: a history is never empty for its age."""


def interactions(data: HeteroData) -> sp.csr_matrix:
    """Users x items, float32, 1 where the pair is a training interaction (weights above 0, repeats counted once)."""
    store = data[_EDGE]
    shape = (int(data["User"].num_nodes), int(data["Item"].num_nodes))
    edges = store.edge_index
    if "weight" in store:
        edges = edges[:, store.weight > 0]
    return binary(edges, shape)


def known_pairs(data: HeteroData) -> sp.csr_matrix:
    """Users x items, float32, 1 for every pair that is known whatever its split, seen and not liked ones included."""
    store = data[_EDGE]
    shape = (int(data["User"].num_nodes), int(data["Item"].num_nodes))
    names = ("edge_index", "valid_label_index", "test_label_index", "not_liked_label_index")
    return binary(torch.cat([store[name] for name in names if name in store], dim=1), shape)


def histories(data: HeteroData, half_life: float | None = None) -> sp.csr_matrix:
    """Users x items, float32: how much each training interaction counts, 1 on average; `interactions` where all count
    alike.

    Strengths count by `log(1 + weight)` (`count_strengths`), and half as much for each `half_life` (days) that an
    interaction is older than the newest; where a time is unknown (`timed`) age is no matter.
    """
    store, alike = data[_EDGE], interactions(data)
    edges, counts = store.edge_index, np.ones(store.edge_index.shape[1])
    if "strengths" in store:
        counts = np.log1p(np.maximum(store.weight.double().numpy(), 0))
    if half_life is not None and timed(data):
        age = store.timestamp.max() - store.timestamp
        counts = counts * np.maximum(0.5 ** (age.double().numpy() / (half_life * _DAY)), _FAINTEST)
    if "weight" in store:
        liked = store.weight > 0
        edges, counts = edges[:, liked], counts[liked.numpy()]
    if not len(counts) or counts.min() == counts.max():
        return alike
    source, target = edges.numpy()
    counts = (counts / counts.mean()).astype(np.float32)
    matrix = sp.csr_matrix((counts, (source, target)), shape=alike.shape)
    matrix.sum_duplicates()
    return matrix


def count_strengths(data: HeteroData) -> None:
    """Say in the graph, in place, that its weights are strengths: `.strengths` = True.

    Nothing is said where all weights are equal, so that such a graph is the same whatever its weights mean.
    """
    store = data[_EDGE]
    held = [store[name] for name in ("valid_label_weight", "test_label_weight") if name in store]  # for a refit
    liked = torch.cat([store.weight[store.weight > 0], *held])
    if len(liked) and bool((liked != liked[0]).any()):
        store.strengths = True


def timed(data: HeteroData) -> bool:
    """Whether every training interaction has a time, and not all the same."""
    times = data[_EDGE].get("timestamp")
    return times is not None and len(times) > 0 and bool((times != 0).all()) and bool((times != times[0]).any())


def new_items(data: HeteroData) -> np.ndarray:
    """Indices, ascending, of the items with media and without a training interaction: content alone reaches them."""
    unseen = interactions(data).getnnz(axis=0) == 0
    media = np.zeros(len(unseen), dtype=bool)
    for modality, label in MEDIA_LABELS.items():
        if ("Item", HAS[modality], label) in data.edge_types:
            media[data["Item", HAS[modality], label].edge_index[0].numpy()] = True
    return np.flatnonzero(unseen & media)


def held_out(data: HeteroData, split: Split) -> sp.csr_matrix:
    """Users x items, float32, 1 where the pair is a validation or test positive; training pairs are left out."""
    shape = (int(data["User"].num_nodes), int(data["Item"].num_nodes))
    pairs = data[_EDGE][f"{split}_label_index"]
    positives = binary(pairs, shape)
    repeated = positives.multiply(interactions(data)).tocsr()
    result = (positives - repeated).tocsr()
    result.eliminate_zeros()
    return result


def media_similarity(data: HeteroData, modality: str) -> sp.csr_matrix | None:
    """Items x items: how alike two items' media are, symmetrically normalised; None where nothing is linked.

    The rows and columns of `media_links` are scaled by the square root of the row sums.
    """
    links = media_links(data, modality)
    return None if links is None else sym_normalised(links)


def media_links(data: HeteroData, modality: str) -> sp.csr_matrix | None:
    """Items x items: the links between media nodes (A + A^T, negative scores cut off) lifted to items through HAS_*.

    Items that carry the same media node are alike with 1. None where nothing is linked.
    """
    label = MEDIA_LABELS[modality]
    items, media = int(data["Item"].num_nodes), int(data[label].num_nodes)
    if media == 0:
        return None
    owns = binary(data["Item", HAS[modality], label].edge_index, (items, media))
    links = data[label, "SIMILAR", label]
    source, target = links.edge_index.numpy()
    weight = np.maximum(links.score.numpy().astype(np.float32), 0)
    directed = sp.csr_matrix((weight, (source, target)), shape=(media, media))
    directed.setdiag(0)
    shared = sp.diags((np.asarray(owns.sum(axis=0)).ravel() > 1).astype(np.float32))
    lifted = (owns @ (directed + directed.T + shared) @ owns.T).tocsr()
    lifted.setdiag(0)
    lifted.eliminate_zeros()
    return lifted if lifted.nnz else None


def binary(edges: Tensor, shape: tuple[int, int]) -> sp.csr_matrix:
    """A 0/1 matrix with sorted indices from `[2, n]` pairs, repeats counted once."""
    source, target = edges.numpy()
    matrix = sp.csr_matrix((np.ones(len(source), dtype=np.float32), (source, target)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def sym_normalised(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """`D^(-1/2) A D^(-1/2)` with D the row sums; rows that sum to 0 stay 0."""
    scale = sp.diags(inverse_power(np.asarray(matrix.sum(axis=1)).ravel(), 0.5))
    return (scale @ matrix @ scale).tocsr().astype(np.float32)


def inverse_power(values: np.ndarray, exponent: float) -> np.ndarray:
    """`values ** -exponent`, float32, 0 where the value is 0."""
    out = np.zeros(len(values), dtype=np.float32)
    positive = values > 0
    out[positive] = values[positive] ** -exponent
    return out
