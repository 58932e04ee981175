"""Training state on disk: one whole safetensors file with its JSON in the header, or none."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import scipy.sparse as sp
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from common.files import write_whole
from gnn.errors import GnnError
from gnn.network.hetero_network import HeteroNetwork


@dataclass
class TrainingState:
    """All that the next epoch depends on."""

    epoch: int = 0
    """Epochs done."""
    best: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """One row of metrics an epoch."""
    parameters: dict[str, Tensor] = field(default_factory=dict)
    best_parameters: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Tensor] = field(default_factory=dict)
    """`<parameter number>.<exp_avg | exp_avg_sq | step>`."""


_GROUPS = ("parameters", "best_parameters", "optimiser")


def save_state(path: Path, state: TrainingState, run: str) -> None:
    """Write the state in one step; `run` tells which data, settings and seed it belongs to."""
    tensors = {f"{g}/{k}": v.detach().contiguous().clone() for g in _GROUPS for k, v in getattr(state, g).items()}
    facts = {
        "epoch": state.epoch,
        "best": state.best,
        "best_epoch": state.best_epoch,
        "history": state.history,
    }
    write_whole(path, lambda partial: save_file(tensors, partial, metadata={"run": run, "state": json.dumps(facts)}))


def load_state(path: Path, run: str) -> TrainingState | None:
    """The saved state of the same run; None where there is none or it belongs to another run.

    Raises `GnnError` for a file that is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("run") != run:
                return None
            facts = json.loads(metadata["state"])
            state = TrainingState(facts["epoch"], facts["best"], facts["best_epoch"], facts["history"])
            for key in file.keys():  # noqa: SIM118 (not a dict)
                group, name = key.split("/", 1)
                getattr(state, group)[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, ValueError) as error:
        raise GnnError(f"checkpoint {path} cannot be read ({error}); delete it to start anew") from error
    return state


def fingerprint(network: HeteroNetwork, valid: sp.csr_matrix, seed: int) -> str:
    """SHA-256 over settings, seed, pairs and start parameters (which hold every other shape)."""
    digest = hashlib.sha256(f"{seed}:{network.config.model_dump_json()}".encode())
    for matrix in (network.graph.history, valid):
        digest.update(matrix.indptr.tobytes())
        digest.update(matrix.indices.tobytes())
    if network.graph.strength is not None:
        digest.update(network.graph.strength.data.tobytes())
    for name, medium in network.graph.media.items():
        digest.update(name.encode())
        if medium.features is not None:
            digest.update(medium.features.numpy().tobytes())
        if medium.similar is not None:
            digest.update(medium.similar.forward.data.tobytes())
            digest.update(medium.similar.forward.indices.tobytes())
    return digest.hexdigest()


def capture(network: HeteroNetwork, optimiser: torch.optim.Adam, state: TrainingState) -> None:
    """Take the parameters and the optimiser's moments into the state."""
    state.parameters = dict(network.state_dict())
    entries = optimiser.state_dict()["state"]
    state.optimiser = {f"{n}.{k}": v for n, values in entries.items() for k, v in values.items()}


def restore(network: HeteroNetwork, optimiser: torch.optim.Adam, state: TrainingState) -> None:
    """Put them back."""
    network.load_state_dict(state.parameters)
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in state.optimiser.items():
        number, name = key.split(".")
        entries.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": entries})
