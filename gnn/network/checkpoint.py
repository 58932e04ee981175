"""Training state on disk: one whole safetensors file with its JSON in the header, or none."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from common.files import write_whole
from gnn.errors import GnnError


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
