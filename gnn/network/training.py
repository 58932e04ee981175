"""The training loop: seeded epochs, validation, early stopping, checkpoints that resume to the same end."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import scipy.sparse as sp
import torch
from torch import Tensor

from common.device import DeviceError, pick_device
from common.memory import resident_peak
from common.progress import Progress
from gnn.errors import GnnError
from gnn.network.alignment import alignment
from gnn.network.checkpoint import TrainingState, capture, fingerprint, load_state, restore, save_state
from gnn.network.config import NetworkConfig
from gnn.network.finished import validate
from gnn.network.hetero_network import HeteroNetwork, Vectors
from gnn.network.objective import Batch
from gnn.network.operators import without_edges
from gnn.network.passes import Passes, make_passes
from gnn.network.registries import SCHEDULES

_ALIGNED_ITEMS = 512


@dataclass(frozen=True)
class TrainingReport:
    """What training did."""

    epochs: int
    best_epoch: int
    best_ndcg: float
    """Validation NDCG@20 of the parameters kept; -1 without validation pairs."""
    seconds: float
    peak_memory_mb: float
    """Highest resident memory of the process so far, MB."""
    history: list[dict[str, float]]
    """`epoch, loss, ndcg@20, recall@20, seconds` of each epoch (metrics only where it was validated)."""


def train(
    network: HeteroNetwork,
    valid: sp.csr_matrix,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_resume: Callable[[int, int], None] | None = None,
) -> TrainingReport:
    """Train in place and leave the parameters of the best validation NDCG@20.

    `valid` is users x items; training items are masked, validation items stay candidates. Each epoch draws
    from a generator of (seed, epoch), so a run resumed from `checkpoint` ends bit for bit like one never stopped
    (on a GPU nearly: sums have no fixed order there). Without validation pairs all `epochs` are run and the last
    parameters kept. The network is on `config.device` while it trains and on the CPU afterwards.
    """
    config = network.config
    passes = make_passes(network.graph, config)
    run = fingerprint(network, valid, seed)
    network.place(_device(config))
    optimiser = _optimiser(network)
    state = (load_state(checkpoint, run) if checkpoint else None) or TrainingState()
    if state.epoch:
        restore(network, optimiser, state)
        if on_resume:
            on_resume(state.epoch, config.epochs)
    schedule = SCHEDULES[config.schedule]
    started = time.perf_counter()
    for epoch in range(state.epoch + 1, config.epochs + 1):
        if _stale(state, config):
            break
        for group, base in zip(optimiser.param_groups, _rates(network), strict=True):
            group["lr"] = base * schedule((epoch - 1) / (config.schedule_epochs or config.epochs))
        began = time.perf_counter()
        row = {"epoch": float(epoch), "loss": _epoch(network, passes, optimiser, _generator(seed, epoch))}
        if valid.nnz and (epoch % config.evaluate_every == 0 or epoch == config.epochs):
            row |= validate(network, passes.loss.cosine, valid)
            if row["ndcg@20"] > state.best:
                state.best, state.best_epoch = row["ndcg@20"], epoch
                state.best_parameters = {k: v.detach().clone() for k, v in network.state_dict().items()}
        row["seconds"] = time.perf_counter() - began
        state.epoch = epoch
        state.history.append(row)
        if checkpoint:
            capture(network, optimiser, state)
            save_state(checkpoint, state, run)
        if on_epoch:
            on_epoch(row)
        if progress:
            progress(epoch, config.epochs)
    if state.best_parameters:
        network.load_state_dict(state.best_parameters)
    network.place("cpu")
    if progress:
        progress(config.epochs, config.epochs)
    peak = resident_peak() / 2**20
    best_epoch = state.best_epoch or state.epoch
    return TrainingReport(state.epoch, best_epoch, state.best, time.perf_counter() - started, peak, state.history)


def _epoch(
    network: HeteroNetwork, passes: Passes, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> float:
    inputs, share = network.inputs, network.config.edge_dropout
    if share:
        # from the means as well: there a target would lead to itself by its own media links
        inputs = inputs.with_interactions(without_edges(inputs.graph.history, share, generator))
    total, pairs = 0.0, 0
    with _precision(network):
        for batch, vectors in passes.over(network, inputs, generator):
            value = passes.loss(vectors.users, vectors.items, batch, generator)
            value = value + _extra(network, vectors, batch, generator)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            optimiser.step()
            total += float(value.detach()) * len(batch.users)
            pairs += len(batch.users)
    return total / max(pairs, 1)


@contextmanager
def _precision(network: HeteroNetwork) -> Iterator[None]:
    """Dense products on a GPU in the numbers asked for; elsewhere nothing changes."""
    before = torch.get_float32_matmul_precision()
    if network.device.type == "cuda":
        torch.set_float32_matmul_precision(network.config.gpu_precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _extra(network: HeteroNetwork, vectors: Vectors, batch: Batch, generator: torch.Generator) -> Tensor:
    """Regularisation and alignment, where asked for."""
    config = network.config
    extra = torch.zeros(())
    if config.regularisation:
        squares = network.user_start[batch.users].square().sum() + network.item_start[batch.items].square().sum()
        extra = extra + config.regularisation * squares / (2 * len(batch.users))
    if config.alignment and len(vectors.contents) > 1:
        items = torch.randperm(network.graph.num_items, generator=generator)[:_ALIGNED_ITEMS]
        term = alignment(vectors.contents, items, config.temperature, config.alignment_teacher)
        extra = extra + config.alignment * term
    return extra


def _device(config: NetworkConfig) -> str:
    try:
        return pick_device(config.device)
    except DeviceError as error:
        raise GnnError(f"gnn.{error}") from error


def _generator(seed: int, epoch: int) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _optimiser(network: HeteroNetwork) -> torch.optim.Adam:
    special = [f"fusion.projections.{m}" for m in network.config.modality_learning_rates]
    named = dict(network.named_parameters())
    groups = [{"params": [p for n, p in named.items() if n not in special]}]
    groups += [{"params": [named[n]] if n in named else []} for n in special]
    return torch.optim.Adam(groups, lr=network.config.learning_rate, fused=True)


def _rates(network: HeteroNetwork) -> list[float]:
    config = network.config
    return [
        config.learning_rate,
        *(config.learning_rate * f for f in config.modality_learning_rates.values()),
    ]


def _stale(state: TrainingState, config: NetworkConfig) -> bool:
    return bool(state.best_epoch) and (state.epoch - state.best_epoch) >= config.patience * config.evaluate_every
