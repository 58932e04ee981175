"""The stages of a run, in order. Each takes the config, leaves its products in the workspace, returns its report."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from common.files import write_json, write_text
from common.memory import peak_memory
from evaluation.report import write_report
from gnn.bundle.bundle import Bundle, load_bundle, save_bundle
from gnn.bundle.export import Precision, export_bundle
from gnn.config import GNNConfig
from gnn.matrices import Split, interactions
from gnn.registry import chosen, make_recommender
from graph.hetero import graph_hash, read_hetero
from graph.schema import GraphSchema
from modalweave.config import RunConfig, dump_config
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.stages.checkpoints import watched
from modalweave.stages.measure import measure, slices
from modalweave.stages.plan import refuse_what_cannot_fit
from modalweave.stages.vector_lookup import local_vectors
from modalweave.stores import connect
from scoring.config import ScoringConfig
from scoring.job import run_job
from scoring.users import read_users
from scoring.writeback import write_back as write_links

BUNDLE = "bundle"
METRICS = "metrics.json"


def train(config: RunConfig, *, stages: Stages) -> dict[str, Any]:
    """Read the graph, fit the recommender, write `bundle/`, `metrics.json` (validation) and `config.yaml`.

    Killed and run again it goes on from its checkpoints to the same bundle.
    """
    data = read_graph(config, stages)
    refuse_what_cannot_fit(config, data)
    told: list[str] = []
    with watched(config.workspace, tensorboard=config.tensorboard, tell=told.append) as watch, peak_memory() as peak:
        recommender = make_recommender(config.gnn, watch)
        with stages.stage("train", "Training") as report:
            scorer = recommender.fit(data, seed=config.seed, progress=report)
    for sentence in told:
        stages.note(sentence)
    with stages.stage("validate", "Measuring on validation"):
        summary = measure(scorer, data, "valid", config.evaluation, seed=config.seed).summary
    result = _metrics(config, "valid", summary, {}, stages)
    result["peak_memory_mb"] = round(peak.resident / 2**20)
    result["approximations"] = told
    result["graph"] = graph_hash(data)
    result["chosen"] = chosen(config.gnn, recommender)
    manifest = {
        "model": config.gnn.model,
        "chosen": result["chosen"],
        "dataset": config.name,
        "dataset_fingerprint": result["graph"],
        "graph_schema": GraphSchema().hash(),
        "metrics": summary,
        "seed": config.seed,
    }
    with stages.stage("bundle", "Writing the bundle"):
        result["bundle"] = save_bundle(
            config.workspace / BUNDLE,
            scorer,
            user_ids=data["User"].ids,
            item_ids=data["Item"].ids,
            seen=interactions(data),
            manifest=manifest,
        )
    write_text(config.workspace / "config.yaml", dump_config(config))
    write_json(config.workspace / METRICS, result)
    return result


def evaluate(config: RunConfig, *, split: Split, stages: Stages) -> dict[str, Any]:
    """Measure the bundle on held-out interactions beside popularity; write `metrics.json` and `report.html`."""
    bundle = read_bundle(config)
    data = read_graph(config, stages)
    fingerprint = graph_hash(data)
    if bundle.manifest["dataset_fingerprint"] != fingerprint:
        trained = str(bundle.manifest["dataset_fingerprint"])[:12]
        raise RunError(
            f"{config.workspace / BUNDLE} was trained on graph {trained}, the store holds {fingerprint[:12]}; "
            "run `modalweave train` again"
        )
    with stages.stage("evaluate", f"Measuring on {split}"):
        measured = measure(bundle.scorer, data, split, config.evaluation, seed=config.seed)
        by_slice = slices(measured, data, split, config.evaluation, seed=config.seed)
        popular = make_recommender(GNNConfig(model="popularity")).fit(data, seed=config.seed)
        baselines = {"popularity": measure(popular, data, split, config.evaluation, seed=config.seed).summary}
    result = _metrics(config, split, measured.summary, by_slice, stages)
    result |= {"graph": fingerprint, "bundle": bundle.hash, "baselines": baselines}
    write_json(config.workspace / METRICS, result)
    write_report(config.workspace / "report.html", result, title=config.name)
    return result


def score_run(config: RunConfig, *, stages: Stages) -> dict[str, Any]:
    """The batch job of a run, into `scores/`."""
    bundle, out = config.workspace / BUNDLE, config.workspace / "scores"
    return score(bundle, out, config.scoring.model_dump(), stages=stages, fresh=True)


def score(
    bundle: Path,
    out: Path,
    options: Mapping[str, Any],
    *,
    stages: Stages,
    users_file: Path | None = None,
    write_back: str | None = None,
    fresh: bool = False,
) -> dict[str, Any]:
    """Score users against the whole catalogue, optionally writing RECOMMENDED links into a store.

    `fresh` starts over where the folder holds another job's parts, as a run's own `scores/` does after training.
    """
    users = read_users(users_file) if users_file is not None else None
    with stages.stage("score", "Scoring") as report:
        manifest = run_job(
            bundle, out, ScoringConfig.model_validate(options), users=users, fresh=fresh, progress=report
        )
    result = {**manifest, "out": str(out), "seconds": stages.seconds}
    if write_back is not None:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        with connect(write_back) as store, stages.stage("write_back", "Writing links back") as report:
            model = manifest["bundle"]
            result["written_back"] = write_links(store, out, model_id=model, created=created, progress=report)
        result["store"] = write_back
    return result


def export(bundle: Path, out: Path, *, onnx: bool, precision: Precision, stages: Stages) -> dict[str, Any]:
    """Copy a bundle at another precision, with an ONNX graph on request."""
    with stages.stage("export", "Exporting"):
        return export_bundle(bundle, out, onnx=onnx, precision=precision)


def read_graph(config: RunConfig, stages: Stages) -> HeteroData:
    """The store's graph as tensors. Raises `RunError` where nothing was built yet."""
    if config.store == "ladybug" and not (config.workspace / "graph").exists():
        raise RunError(f"{config.store_address} is not there; run `modalweave build` first")
    with (
        stages.stage("graph", "Reading the graph"),
        connect(config.store_address, config, read_only=True) as store,
    ):
        data = read_hetero(store, vectors=local_vectors(config))
    if not data["Item"].num_nodes or not data["User"].num_nodes:
        raise RunError(f"{config.store_address} holds no users or items; run `modalweave build` first")
    return data


def read_bundle(config: RunConfig) -> Bundle:
    """The run's trained bundle, every file checked against its hash."""
    folder = config.workspace / BUNDLE
    if not folder.exists():
        raise RunError(f"{folder} is not there; run `modalweave train` first")
    return load_bundle(folder)


def _metrics(
    config: RunConfig, split: str, summary: dict[str, Any], slices: dict[str, Any], stages: Stages
) -> dict[str, Any]:
    return {
        "split": split,
        "k": list(config.evaluation.k),
        "metrics": summary,
        "slices": slices,
        "seconds": dict(stages.seconds),
        "seed": config.seed,
        "device": "cuda" if torch.cuda.is_available() and config.gnn.device != "cpu" else "cpu",
    }
