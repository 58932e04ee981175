"""Training speed beside peers and beside the products it cannot do without, and how it grows.

    python -m benchmarks.training --data FOLDER [--sets tiktok] [--epochs 100]
    python -m benchmarks.training --data FOLDER --approximate
    python -m benchmarks.training --growth 100000 1000000 10000000 [--plot docs/growth.png]
    python -m benchmarks.training --closed-forms 20000 200000

The first prints, for each set (`.npz` files in FOLDER), one JSON row a model: seconds an epoch, seconds to the best
validation point, peak memory. Three are the same model on behaviour alone (64 dimensions, 2 layers, BPR, batches of
2,048 pairs): ours, PyG's LightGCN and, where it is installed, RecBole's; the last is ours with every medium. `floor` is
the time of the bare sparse and dense products of our epoch. The second trains ours over the whole graph and all items,
against drawn items, and on sampled neighbourhoods, three seeds each. The third trains one epoch on synthetic graphs,
the last fits the closed forms, search included, to synthetic graphs of so many items. Each model runs in a process of
its own, one after another, on the threads that OMP_NUM_THREADS allows.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn.models import LightGCN

from benchmarks.peers import recbole
from benchmarks.sets import FILES, prepared
from benchmarks.synthetic import synthetic_graph
from common.memory import resident_peak
from evaluation.metrics import user_metrics
from gnn.automatic import SPARSE
from gnn.components import Watch
from gnn.config import GNNConfig
from gnn.matrices import held_out, interactions
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import message_graph
from gnn.network.objective import Batch, make_loss
from gnn.network.recommender import HeteroGNN
from gnn.network.training import train
from gnn.registry import make_recommender
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import top_items
from modalweave.config import RunConfig
from modalweave.progress import Stages
from modalweave.stages.inputs import read_graph

ALIKE: dict[str, Any] = {"embedding_dim": 64, "layers": 2, "loss": "bpr", "batch_size": 2048, "learning_rate": 1e-3}
"""What all three LightGCN share."""

# the others start as small (Glorot draws deviate by .01 here) and weigh squares alike
BEHAVIOUR = NetworkConfig(
    **ALIKE, initial_scale=0.01, regularisation=1e-4, modalities=(), relations=(), evaluate_every=5, patience=4
)
MEDIA = NetworkConfig(**SPARSE[0])
APPROXIMATE: dict[str, dict[str, Any]] = {
    "whole graph, all items": {},
    "whole graph, 1,024 items drawn": {"full_softmax_items": 1, "negatives": 1024},
    "sampled neighbourhoods, 1,024 items drawn": {"batching": "sampled", "negatives": 1024, "batch_size": 4096},
}
"""What large graphs are trained by, on one that is small enough to do without."""

CLOSED_FORMS: dict[str, dict[str, Any]] = {
    "EASE": {"model": "ease"},
    "EASE with media": {"model": "ease", "ease": {"media_weights": {"image": 3.0}}},
    "graph filter": {"model": "graph_filter"},
    "item-kNN": {"model": "item_knn"},
}
DIMENSIONS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=["tiktok"], choices=list(FILES))
    parser.add_argument("--epochs", type=int, default=100, help="at most, before the best validation point")
    parser.add_argument("--approximate", action="store_true", help="compare what large graphs are trained by instead")
    parser.add_argument("--growth", nargs="+", type=int, default=[], help="interactions of synthetic graphs")
    parser.add_argument("--batching", default="auto", choices=["auto", "full", "sampled"], help="of --growth")
    parser.add_argument("--closed-forms", nargs="+", type=int, default=[], help="items of synthetic graphs")
    parser.add_argument("--plot", type=Path, help="picture of --growth")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    for name in arguments.sets if arguments.data else ():
        made = approximations if arguments.approximate else compare
        result[name] = made(name, arguments.data, arguments.epochs)
    if arguments.growth:
        result["growth"] = [alone(one_epoch, size, arguments.batching) for size in arguments.growth]
        if arguments.plot:
            plot(result["growth"], arguments.plot)
    if arguments.closed_forms:
        forms = [(name, items) for items in arguments.closed_forms for name in CLOSED_FORMS]
        result["closed forms"] = [alone(closed_form, *form) for form in forms]
    print(json.dumps(result, indent=2))


def compare(name: str, data: Path, epochs: int) -> dict[str, Any]:
    """Every model on one set."""
    with tempfile.TemporaryDirectory() as folder:
        config = prepared(name, data, Path(folder))
        return {
            "Modalweave, behaviour only": alone(ours, config, BEHAVIOUR, epochs),
            "PyG LightGCN": alone(pyg, config, epochs),
            "RecBole LightGCN": alone(recbole_in, config, epochs, folder),
            "Modalweave, all media": alone(ours, config, MEDIA, epochs),
        }


def approximations(name: str, data: Path, epochs: int) -> dict[str, Any]:
    """Ours with every medium, exact and in the ways that size decides for, over three seeds."""
    with tempfile.TemporaryDirectory() as folder:
        config = prepared(name, data, Path(folder))
        return {
            way: [alone(best_point, config, MEDIA.model_copy(update=changes), epochs, seed) for seed in range(3)]
            for way, changes in APPROXIMATE.items()
        }


def best_point(config: RunConfig, settings: NetworkConfig, epochs: int, seed: int) -> dict[str, Any]:
    """The best validation point of one training."""
    model = HeteroGNN(settings.model_copy(update={"epochs": epochs}))
    model.fit(_graph(config), seed=seed)
    assert model.report is not None
    return {"validation ndcg@20": round(model.report.best_ndcg, 4), "seconds": round(model.report.seconds, 1)}


def alone(job: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """The job in a fresh process, with its peak memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, job, *arguments).result()


def _measured(job: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    return {**job(*arguments), "peak memory MB": round(resident_peak() / 2**20)}


def ours(config: RunConfig, settings: NetworkConfig, epochs: int) -> dict[str, Any]:
    """Our network as `modalweave train` trains it."""
    data = _graph(config)
    model = HeteroGNN(settings.model_copy(update={"epochs": epochs}))
    scorer = model.fit(data, seed=0)
    assert model.report is not None and model.network is not None
    history = model.report.history
    spent = [row["seconds"] for row in history if "ndcg@20" not in row]
    row = _row(spent, sum(r["seconds"] for r in history[: model.report.best_epoch]), data, scorer)
    return row | floor(model.network)


def pyg(config: RunConfig, epochs: int) -> dict[str, Any]:
    """PyG's model, trained as its example does: the whole graph in each step."""
    data = _graph(config)
    history = interactions(data)
    users, items = history.shape
    edges = torch.from_numpy(np.stack(history.nonzero()).astype(np.int64))
    edges = torch.stack([edges[0], edges[1] + users])
    both = torch.cat([edges, edges.flip(0)], dim=1)
    torch.manual_seed(0)
    model = LightGCN(users + items, ALIKE["embedding_dim"], ALIKE["layers"])
    optimiser = torch.optim.Adam(model.parameters(), lr=ALIKE["learning_rate"])

    def epoch() -> None:
        for chosen in torch.split(torch.randperm(edges.shape[1]), ALIKE["batch_size"]):
            source, target = edges[:, chosen]
            wrong = users + torch.randint(items, target.shape)
            first, second = model(both, torch.stack([source.repeat(2), torch.cat([target, wrong])])).chunk(2)
            loss = model.recommendation_loss(first, second, torch.unique(torch.cat([source, target, wrong])))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def scorer() -> DotScorer:
        vectors = model.get_embedding(both).detach()
        return DotScorer(vectors[:users].contiguous(), vectors[users:].contiguous())

    return _until_best(epoch, scorer, data, epochs)


def recbole_in(config: RunConfig, epochs: int, folder: str) -> dict[str, Any]:
    """RecBole's own loop on the same split, where it is installed."""
    return recbole(_graph(config), ALIKE, epochs, BEHAVIOUR.evaluate_every, BEHAVIOUR.patience, Path(folder))


def floor(network: HeteroNetwork) -> dict[str, Any]:
    """The bare products of one epoch, forward and back, with the kernels the network uses, and our epoch beside it."""
    untrained = HeteroNetwork(network.graph, network.config, torch.Generator().manual_seed(0))
    short = network.config.model_copy(update={"epochs": 1, "evaluate_every": 1000})
    untrained.config = short
    batches = list(make_loss(network.graph.history, short).batches(torch.Generator().manual_seed(1)))
    nothing = network.graph.history[:0]
    whole, bare = [], []
    for seed in range(5):  # interleaved, so that other load hits both alike
        whole.append(train(untrained, nothing, seed=seed).history[0]["seconds"])
        bare.append(_bare(untrained, batches))
    epoch, least = min(whole), min(bare)
    return {"seconds of its products alone": round(least, 3), "times these": round(epoch / least, 2)}


def _bare(network: HeteroNetwork, batches: list[Batch]) -> float:
    config, graph, interacted = network.config, network.graph, network.inputs.interacted
    rng = np.random.default_rng(0)  # not zeros: unwritten ones are a single page of memory, read from the cache
    users = rng.standard_normal((graph.num_users, config.embedding_dim), np.float32)
    items = rng.standard_normal((graph.num_items, config.embedding_dim), np.float32)
    right = torch.from_numpy(items)
    media = list(graph.media.values())
    start = time.perf_counter()
    for batch in batches:
        chosen = torch.unique(batch.users)
        means = interacted.means.forward[chosen.numpy()] if media else None
        last = interacted.messages.forward[chosen.numpy()]  # the last layer reaches the batch's users alone
        left = torch.from_numpy(users)[chosen]
        for layer in range(1, config.layers + 1):
            forth, back = interacted.messages.forward, interacted.messages.backward
            for _ in range(2):  # the way back goes over the same links
                _ = back @ users
                _ = last @ items if layer == config.layers else forth @ items
        for medium in media:
            if medium.features is not None:
                slope = medium.features @ right[: medium.features.shape[1]]
                _ = medium.features.T @ slope
            if medium.similar is not None:
                _ = medium.similar.forward @ items, medium.similar.backward @ items
            if means is not None:
                _ = means @ items, means.T @ left.numpy()
        if config.loss == "softmax":
            scores = left @ right.T
            _ = scores @ right, scores.T @ left
    return time.perf_counter() - start


def one_epoch(size: int, batching: str) -> dict[str, Any]:
    """One epoch of a network over behaviour and pictures: `size / 50` users, `size / 100` items."""
    data = synthetic_graph(size // 50, size // 100, size, DIMENSIONS, seed=0)
    config = NetworkConfig(epochs=1, batching=batching, evaluate_every=1000)
    network = HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))
    spent = train(network, held_out(data, "valid"), seed=0).history[0]["seconds"]
    pairs = int(interactions(data).nnz)
    return {"interactions": pairs, "users": size // 50, "items": size // 100, "seconds": round(spent, 2)}


def closed_form(name: str, items: int) -> dict[str, Any]:
    """One of them fitted with its search: as many users as items, 10 interactions and a picture each."""
    data = synthetic_graph(items, items, 10 * items, DIMENSIONS, seed=0)
    told: list[str] = []
    recommender = make_recommender(GNNConfig.model_validate(CLOSED_FORMS[name]), Watch(tell=told.append))
    start = time.perf_counter()
    recommender.fit(data, seed=0)
    return {"model": name, "items": items, "seconds": round(time.perf_counter() - start, 1), "told": told}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and memory over interactions, both axes logarithmic, beside straight growth."""
    pairs = np.array([row["interactions"] for row in rows])
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axis, key, unit in zip(
        axes, ("seconds", "peak memory MB"), ("seconds an epoch", "peak memory, MB"), strict=True
    ):
        values = np.array([row[key] for row in rows])
        axis.loglog(pairs, values, "o-", label="measured")
        axis.loglog(pairs, values[-1] * pairs / pairs[-1], "--", color="grey", label="in proportion to interactions")
        axis.set(xlabel="training interactions", ylabel=unit)
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _graph(config: RunConfig) -> HeteroData:
    return read_graph(config, Stages(quiet=True))


def _until_best(
    epoch: Callable[[], None], scorer: Callable[[], DotScorer], data: HeteroData, epochs: int
) -> dict[str, Any]:
    """Train until validation has not risen for `patience` looks, as ours does."""
    spent, total, best, at = [], 0.0, DotScorer(torch.zeros(1, 1), torch.zeros(1, 1)), 0.0
    highest, stale = -1.0, 0
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        epoch()
        spent.append(time.perf_counter() - start)
        if number % BEHAVIOUR.evaluate_every == 0:
            candidate = scorer()
            reached = validation(data, candidate)
            stale += 1
            total += time.perf_counter() - start
            if reached > highest:
                highest, stale, best, at = reached, 0, candidate, total
        else:
            total += spent[-1]
        if stale >= BEHAVIOUR.patience:
            break
    return _row(spent, at, data, best)


def _row(spent: list[float], to_best: float, data: HeteroData, scorer: DotScorer) -> dict[str, Any]:
    return {
        "seconds an epoch": round(statistics.median(spent), 3),
        "seconds to the best validation point": round(to_best, 1),
        "validation ndcg@20": round(validation(data, scorer), 4),
    }


def validation(data: HeteroData, scorer: DotScorer) -> float:
    """Mean NDCG@20 over users with validation pairs."""
    valid = held_out(data, "valid")
    users = np.flatnonzero(np.diff(valid.indptr))
    ranked, _ = top_items(scorer, torch.from_numpy(users), interactions(data), 20)
    return float(user_metrics(ranked, valid[users], [20])["ndcg@20"].mean())


if __name__ == "__main__":
    main()
