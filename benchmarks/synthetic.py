"""A graph of any size, in the layout that `graph.hetero` reads from a store."""

import numpy as np
import torch
from torch_geometric.data import HeteroData

LABELS = ("User", "Item", "Text", "Image", "Audio", "Entity")
LINKS = 10
"""SIMILAR links of each picture."""


def synthetic_graph(users: int, items: int, interactions: int, dimensions: int, seed: int) -> HeteroData:
    """Popular items are met more often; each item has a picture, linked to ten random others.

    Repeated pairs are dropped, so slightly fewer than `interactions` remain; one in a hundred is held out.
    """
    rng = np.random.default_rng(seed)
    data = HeteroData()
    for label in LABELS:
        count = {"User": users, "Item": items, "Image": items}.get(label, 0)
        data[label].num_nodes = count
        data[label].ids = [f"{label[0].lower()}{n}" for n in range(count)] if label != "Image" else []
    for label in ("Text", "Audio"):
        data[label].x, data[label].mask = torch.zeros(0, 0), torch.zeros(0, dtype=torch.bool)
    data["Image"].x = torch.from_numpy(rng.standard_normal((items, dimensions), dtype=np.float32))
    data["Image"].mask = torch.ones(items, dtype=torch.bool)
    data["Item", "HAS_IMAGE", "Image"].edge_index = torch.arange(items).repeat(2, 1)
    links = data["Image", "SIMILAR", "Image"]
    links.edge_index = torch.stack(
        [torch.arange(items).repeat_interleave(LINKS), torch.from_numpy(rng.integers(0, items, items * LINKS))]
    )
    links.score = torch.from_numpy(rng.random(items * LINKS, dtype=np.float32))
    pairs = np.unique(rng.integers(0, users, interactions) * items + _popular(rng, items, interactions))
    held = rng.random(len(pairs)) < 0.01
    store = data["User", "INTERACTED", "Item"]
    store.edge_index, store.valid_label_index = (
        torch.from_numpy(np.stack([chosen // items, chosen % items])) for chosen in (pairs[~held], pairs[held])
    )
    store.test_label_index = torch.zeros(2, 0, dtype=torch.int64)
    count = store.edge_index.shape[1]
    store.weight, store.timestamp = torch.ones(count), torch.zeros(count, dtype=torch.int64)
    data.relations = []
    return data


def _popular(rng: np.random.Generator, items: int, count: int) -> np.ndarray:
    """Item places, the first ones likelier: a density of `1 / (2 sqrt(x))`."""
    return (items * rng.random(count) ** 2).astype(np.int64)
