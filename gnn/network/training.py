"""The training loop: seeded epochs, validation, early stopping, checkpoints that resume to the same end."""

import hashlib
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from common.device import pick_device
from common.progress import Progress
from evaluation.metrics import user_metrics
from gnn.errors import GnnError
from gnn.network.checkpoint import TrainingState, load_state, save_state
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork, Perturbation, Vectors
from gnn.network.losses import Batch, Loss, PairwiseRanking, SampledSoftmax, alignment, make_loss
from gnn.network.operators import Interacted, without_edges
from gnn.network.sampling import drawn_softmax, sampled, sampled_steps
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import top_items

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": lambda done: 0.1 + 0.45 * (1 + float(np.cos(np.pi * done))),
    "linear": lambda done: 1 - 0.9 * done,
}
"""Factor on the learning rate by the share of epochs done."""

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
    loss = _loss(network)
    run = _fingerprint(network, valid, seed)
    network.place(pick_device(config.device))
    optimiser = _optimiser(network)
    state = (load_state(checkpoint, run) if checkpoint else None) or TrainingState()
    if state.epoch:
        _restore(network, optimiser, state)
        if on_resume:
            on_resume(state.epoch, config.epochs)
    started = time.perf_counter()
    for epoch in range(state.epoch + 1, config.epochs + 1):
        if _stale(state, config):
            break
        for group, base in zip(optimiser.param_groups, _rates(network), strict=True):
            group["lr"] = base * _schedule(config, (epoch - 1) / config.epochs)
        began = time.perf_counter()
        row = {"epoch": float(epoch), "loss": _epoch(network, loss, optimiser, _generator(seed, epoch))}
        if valid.nnz and (epoch % config.evaluate_every == 0 or epoch == config.epochs):
            row |= validate(network, loss, valid)
            if row["ndcg@20"] > state.best:
                state.best, state.best_epoch = row["ndcg@20"], epoch
                state.best_parameters = {k: v.detach().clone() for k, v in network.state_dict().items()}
        row["seconds"] = time.perf_counter() - began
        state.epoch = epoch
        state.history.append(row)
        if checkpoint:
            _capture(network, optimiser, state)
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best_epoch = state.best_epoch or state.epoch
    return TrainingReport(state.epoch, best_epoch, state.best, time.perf_counter() - started, peak, state.history)


def finished_scorer(network: HeteroNetwork, cosine: bool) -> DotScorer:
    """The trained vectors; users nothing is known of stand at the mean of the others: ranks by popularity."""
    with torch.no_grad():
        vectors = network()
    users, items = vectors.users, vectors.items
    if cosine:
        users, items = functional.normalize(users), functional.normalize(items)
    unknown = torch.from_numpy(network.graph.history.getnnz(axis=1) == 0).to(users.device)
    cold = unknown & (users.abs().sum(dim=1) == 0)
    if cold.any() and not cold.all():
        users = users.clone()
        users[cold] = users[~cold].mean(dim=0)
    return DotScorer(users.contiguous(), items.contiguous())


def validate(network: HeteroNetwork, loss: Loss, valid: sp.csr_matrix) -> dict[str, float]:
    """Mean NDCG@20 and recall@20 over users with validation pairs (at most about `validation_users`, evenly
    spaced), training items masked."""
    users = np.flatnonzero(np.diff(valid.indptr))
    step = max(1, len(users) // network.config.validation_users)
    users = users[::step]
    depth = min(20, valid.shape[1])
    scorer = finished_scorer(network, loss.cosine)
    ranked, _ = top_items(scorer, torch.from_numpy(users), network.graph.history, depth)
    values = user_metrics(ranked, valid[users], [depth])
    return {
        "ndcg@20": float(values[f"ndcg@{depth}"].mean()),
        "recall@20": float(values[f"recall@{depth}"].mean()),
    }


def _epoch(network: HeteroNetwork, loss: Loss, optimiser: torch.optim.Optimizer, generator: torch.Generator) -> float:
    config = network.config
    interacted = None
    if config.edge_dropout:
        # from the means as well: there a target would lead to itself by its own media links
        pruned = without_edges(network.graph.history, config.edge_dropout, generator)
        interacted = Interacted.of(pruned)
    total, pairs = 0.0, 0
    with _precision(network):
        for batch, vectors in _passes(network, loss, interacted, generator):
            value = loss(vectors.users, vectors.items, batch, generator)
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


def _passes(
    network: HeteroNetwork, loss: Loss, interacted: Interacted | None, generator: torch.Generator
) -> Iterator[tuple[Batch, Vectors]]:
    """Each batch with the vectors it is judged on, made as the step before has left the parameters."""
    if sampled(network.graph, network.config):
        assert isinstance(loss, SampledSoftmax | PairwiseRanking)
        for step in sampled_steps(network, interacted or network.interacted, loss, generator):
            yield step.judged(network, _perturbation(step.local, generator))
    else:
        for batch in loss.batches(generator):
            only, places = None, None
            if network.device.type == "cpu":
                only, places = torch.unique(batch.users, return_inverse=True)
            seen = _perturbation(network, generator)
            yield replace(batch, places=places), network(seen, interacted, only)


def _loss(network: HeteroNetwork) -> Loss:
    """The configured objective, or its estimate where size asks for that."""
    config = network.config
    if drawn_softmax(network.graph, config):
        config = config.model_copy(update={"loss": "sampled_softmax"})
    return make_loss(network.graph.history, config)


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


def _perturbation(network: HeteroNetwork, generator: torch.Generator) -> Perturbation:
    config, items = network.config, network.graph.num_items
    features = {n: m.features for n, m in network.graph.media.items() if m.features is not None}

    def kept(share: float) -> Tensor:
        return (torch.rand(items, generator=generator) >= share).to(network.device)

    return Perturbation(
        kept(config.identity_dropout) if config.identity_dropout else None,
        {n: kept(config.modality_dropout) for n in features} if config.modality_dropout else {},
        {n: _noise(x, generator) * config.feature_noise for n, x in features.items()} if config.feature_noise else {},
    )


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.device)


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


def _schedule(config: NetworkConfig, done: float) -> float:
    if config.schedule not in SCHEDULES:
        raise GnnError(f"schedule {config.schedule!r} is unknown; use one of {', '.join(SCHEDULES)}")
    return SCHEDULES[config.schedule](done)


def _stale(state: TrainingState, config: NetworkConfig) -> bool:
    return bool(state.best_epoch) and (state.epoch - state.best_epoch) >= config.patience * config.evaluate_every


def _fingerprint(network: HeteroNetwork, valid: sp.csr_matrix, seed: int) -> str:
    """SHA-256 over settings, seed, pairs and start parameters (which hold every other shape)."""
    digest = hashlib.sha256(f"{seed}:{network.config.model_dump_json()}".encode())
    for matrix in (network.graph.history, valid):
        digest.update(matrix.indptr.tobytes())
        digest.update(matrix.indices.tobytes())
    for name, medium in network.graph.media.items():
        digest.update(name.encode())
        if medium.features is not None:
            digest.update(medium.features.numpy().tobytes())
        if medium.similar is not None:
            digest.update(medium.similar.forward.data.tobytes())
            digest.update(medium.similar.forward.indices.tobytes())
    return digest.hexdigest()


def _capture(network: HeteroNetwork, optimiser: torch.optim.Adam, state: TrainingState) -> None:
    state.parameters = dict(network.state_dict())
    entries = optimiser.state_dict()["state"]
    state.optimiser = {f"{n}.{k}": v for n, values in entries.items() for k, v in values.items()}


def _restore(network: HeteroNetwork, optimiser: torch.optim.Adam, state: TrainingState) -> None:
    network.load_state_dict(state.parameters)
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in state.optimiser.items():
        number, name = key.split(".")
        entries.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": entries})
