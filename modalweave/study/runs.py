"""Fitting one variant with one seed, and keeping what came of it so that a study can stop and go on."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch_geometric.data import HeteroData

from common.files import write_whole
from common.memory import peak_memory
from common.progress import Progress
from evaluation.metrics import evaluated_users
from evaluation.slices import ACTIVITY_EDGES, activity_groups
from gnn.components import Watch
from gnn.config import GNNConfig
from gnn.matrices import Split, held_out, interactions
from gnn.network.inspection import contributions, of_modality, of_relation, part_masks, scorer_without
from gnn.network.recommender import HeteroGNN
from gnn.registry import chosen, make_recommender
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import top_items
from graph.generated import without_generated
from modalweave.errors import RunError
from modalweave.study.variants import JOINT, RELATIONS, WORDS, Variant

Ranked = Int[np.ndarray, "evaluated depth"]
_CARRIED_USERS = 4000
"""Users whose recommendations are taken apart, evenly spread."""


@dataclass(frozen=True)
class Task:
    """What all runs of a study share; `key` tells a kept run of other data or another depth from ours."""

    data: HeteroData
    graph: str
    split: Split
    depth: int
    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Where fits are kept while the study runs."""
        return self.folder / f"checkpoints-{self.graph[:12]}"

    def seen_by(self, variant: Variant) -> tuple[HeteroData, Path]:
        """What of the graph a variant sees, and where fits on just that are kept."""
        if not variant.without:
            return self.data, self.checkpoints / "whole"
        return without_generated(self.data, variant.without), self.checkpoints / "-".join(("no", *variant.without))

    def key(self, variant: Variant, seed: int) -> str:
        """SHA-256 of everything the result depends on."""
        facts = [version("modalweave"), variant.gnn, seed, self.graph, self.split, self.depth, variant.name == JOINT]
        facts += [variant.without] if variant.without else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def file(self, variant: Variant, seed: int) -> Path:
        """Where the run is kept."""
        return self.folder / f"{variant.name}-{seed}-{self.key(variant, seed)[:12]}.safetensors"


@dataclass(frozen=True)
class Run:
    """One variant fitted with one seed."""

    facts: dict[str, Any]
    """`seconds`, `memory_mb`, `device_mb`, `chosen`, and of the joint network `carried` and `gates`."""
    ranked: dict[str, Ranked]
    """`""` -> the best items of each evaluated user; of the joint network also one entry a part left out."""


def kept_run(task: Task, variant: Variant, seed: int) -> Run | None:
    """The run as an earlier study left it; None where there is none. Raises `RunError` for a damaged file."""
    path = task.file(variant, seed)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return Run(facts, {name.removeprefix("ranked"): file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it to fit the variant again") from error


def run_variant(task: Task, variant: Variant, seed: int, progress: Progress) -> Run:
    """Fit, rank the catalogue for every user with a held-out item, and keep the result in one whole file.

    A network that an earlier variant has fitted with the same settings and seed is not fitted again.
    """
    data, checkpoints = task.seen_by(variant)
    config = GNNConfig.model_validate(variant.gnn)
    checkpoints.mkdir(parents=True, exist_ok=True)
    recommender = make_recommender(config, Watch(checkpoints))
    with peak_memory() as peak:
        began = time.perf_counter()
        scorer = recommender.fit(data, seed=seed, progress=progress)
        seconds = time.perf_counter() - began
    users = torch.from_numpy(evaluated_users(held_out(data, task.split)))
    seen = interactions(data)

    def rank(model: Scorer) -> Ranked:
        return top_items(model, users, seen, task.depth)[0].astype(np.int32)

    ranked = {"": rank(scorer)}
    facts: dict[str, Any] = {
        "seconds": round(seconds, 2),
        "memory_mb": round(peak.resident / 2**20),
        "device_mb": round(peak.device / 2**20),
        "chosen": chosen(config, recommender),
    }
    if variant.name == JOINT and isinstance(recommender, HeteroGNN) and recommender.network is not None:
        network = recommender.network
        for name, parts in knock_outs(list(part_masks(network))).items():
            ranked[f"/{name}"] = rank(scorer_without(network, parts))
        step = max(1, len(users) // _CARRIED_USERS)
        facts["carried"] = contributions(network, users[::step], ranked[""][::step].astype(np.int64))
        facts["gates"] = _gates_by_activity(recommender, data)
    tensors = {f"ranked{name}": array for name, array in ranked.items()}
    write_whole(task.file(variant, seed), lambda path: save_file(tensors, path, metadata={"facts": json.dumps(facts)}))
    return Run(facts, ranked)


def knock_outs(parts: list[str]) -> Mapping[str, list[str]]:
    """What is left out of the trained network in turn -> the parts that go with it."""
    found = {m: of_modality(parts, m) for m in WORDS} | {r: of_relation(parts, r) for r in RELATIONS}
    return {name: gone for name, gone in found.items() if gone}


def _gates_by_activity(model: HeteroGNN, data: HeteroData) -> dict[str, dict[str, float]]:
    """User group by training interactions -> modality -> its mean share of attention."""
    gates = {name: share.numpy() for name, share in model.modality_gates().items()}
    groups = activity_groups(interactions(data), ACTIVITY_EDGES)
    return {
        group: {name: round(float(share[members].mean()), 4) for name, share in gates.items()}
        for group, members in groups.items()
        if gates and members.any()
    }
