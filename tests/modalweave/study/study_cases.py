"""Synthetic catalogues for the study: one where only the sound carries the taste, one where nothing does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import HeteroData

from modalweave.config import RunConfig, parse_config

Add = Callable[..., None]
LABELS = ("Text", "Image", "Audio")


def sound_only(bare_graph: Callable[..., HeteroData], add_media: Add) -> HeteroData:
    """240 users with a taste of eight and six items each of 120, one in four of them at random; the sound tells the
    taste, words and pictures are noise.

    Every item occurs in training: noise must not help by making new items reachable at all.
    """
    rng = np.random.default_rng(11)
    taste = np.arange(120) % 8
    train, valid, test = [], [], []
    for user in range(240):
        weight = np.where(taste == user % 8, 21.0, 1.0)
        weight[user % 120] = 0
        liked = [user % 120, *(int(i) for i in rng.choice(120, 5, replace=False, p=weight / weight.sum()))]
        train += [(user, item) for item in liked[:2]]
        valid.append((user, liked[2]))
        test += [(user, item) for item in liked[3:]]
    data = bare_graph(240, 120, train, valid, test)
    centres = rng.normal(size=(8, 12))
    for label in LABELS:
        noise = rng.normal(size=(120, 12))
        add_media(data, label, centres[taste] + 0.3 * noise if label == "Audio" else noise)
    return data


def no_signal(bare_graph: Callable[..., HeteroData], add_media: Add, seed: int) -> HeteroData:
    """120 users with items drawn at random, media drawn at random: nothing helps, whatever is tried."""
    rng = np.random.default_rng([13, seed])
    train, valid, test = [], [], []
    for user in range(120):
        items = [int(i) for i in rng.choice(60, 8, replace=False)]
        train += [(user, item) for item in items[:4]]
        valid.append((user, items[4]))
        test += [(user, item) for item in items[5:]]
    data = bare_graph(120, 60, train, valid, test)
    for label in LABELS:
        add_media(data, label, rng.normal(size=(60, 8)))
    return data


def add_triples(data: HeteroData, seed: int) -> None:
    """Three random categories as entities."""
    items = int(data["Item"].num_nodes)
    drawn = np.random.default_rng([17, seed]).integers(3, size=items)
    data["Entity"].num_nodes, data["Entity"].ids = 3, ["a", "b", "c"]
    data["Item", "RELATED", "Entity"].edge_index = torch.from_numpy(np.stack([np.arange(items), drawn]))
    data["Item", "RELATED", "Entity"].relation = torch.zeros(items, dtype=torch.int64)
    data.relations = ["category"]


def quick(workspace: Path, **study: object) -> RunConfig:
    """A config whose networks train in a blink."""
    network = {"model": "hetero", "embedding_dim": 16, "epochs": 12, "learning_rate": 0.02, "evaluate_every": 3}
    return parse_config(
        {
            "source": {"format": "folder", "path": "unused"},
            "workspace": str(workspace),
            "evaluation": {"k": [10]},
            "gnn": {**network, "identity_dropout": 0.3, "cold_negatives": False, "temperature": 0.2},
            "study": {"resamples": 1000, **study},
        }
    )
