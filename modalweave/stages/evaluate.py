"""The evaluate stage: a scorer and a graph in, the numbers of `metrics.json` and the report out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool
from torch_geometric.data import HeteroData

from common.files import write_json
from evaluation.config import EvaluationConfig
from evaluation.headline import headline
from evaluation.metrics import evaluated_users
from evaluation.report import write_report
from evaluation.significance import compare
from evaluation.slices import ACTIVITY_EDGES, activity_groups, slice_metrics
from gnn.bundle.bundle import Bundle
from gnn.config import GNNConfig
from gnn.matrices import Split, held_out, interactions
from gnn.ranker.inspection import evidence_shares
from gnn.ranker.scorer import RankedScorer, retrieval_of
from gnn.scorers.base import Scorer
from graph.generated import Kind, has_generated, items_by_origin
from graph.hetero import graph_hash
from graph.schema import HAS, MEDIA_LABELS, MODALITIES
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.results.metric import metrics_of
from modalweave.results.metrics import Comparison, EvaluateResult, Slice, TrainResult
from modalweave.results.record import JsonObject
from modalweave.stages.baselines import fitted_baselines
from modalweave.stages.beyond import beyond_accuracy
from modalweave.stages.classify import classify
from modalweave.stages.cold import cold_start
from modalweave.stages.inputs import read_attributes, read_bundle, read_graph
from modalweave.stages.measured import Measured, measure
from modalweave.workspace import Workspace

FIRST_STAGE = "first stage"
"""What a second stage is held against: the retriever's own order."""

_JUDGED = 1000
"""Users whose lists are taken apart by evidence."""


def evaluate(config: RunConfig, *, split: Split, stages: Stages) -> EvaluateResult:
    """Measure the bundle on held-out interactions beside the baselines; write `metrics.json` and `report.html`.

    On validation `validation.json` is written, and `metrics.json` where it holds no test of this bundle.
    """
    workspace = Workspace(config.workspace)
    bundle = read_bundle(config)
    data = read_graph(config, stages)
    fingerprint = same_graph(workspace.bundle, bundle.manifest, data)
    with stages.stage("evaluate", f"Measuring on {split}"):
        measured = measure(bundle.scorer, data, split, config.evaluation, seed=config.seed)
        by_slice = slices(measured, data, split, config.evaluation, seed=config.seed)
        new = cold_start(data, split, measured.ranked, config.evaluation, seed=config.seed)
    with stages.stage("baselines", "Fitting and measuring baselines"):
        baselines = measured_baselines(config, bundle, data, split, stages)
        others = {name: other.values for name, other in baselines.items()}
        resamples = config.evaluation.resamples
        compared = compare(measured.values, others, list(measured.values), seed=config.seed, resamples=resamples)
    with stages.stage("beyond_accuracy", "Taking lists apart"):
        of_users = pl.DataFrame(pl.from_arrow(read_attributes(config, data["User"].ids, "User")))
        models = {"": measured, **baselines}
        beyond = beyond_accuracy(data, split, models, of_users, config.evaluation, seed=config.seed)
        links = classify(bundle.scorer, data, config.evaluation, seed=config.seed) if split == "test" else None
        evidence = evidence_by_activity(bundle.scorer, data, split, depth=max(config.evaluation.k))
    result = EvaluateResult(
        split=split,
        k=tuple(config.evaluation.k),
        metrics=metrics_of(measured.summary),
        slices=by_slice,
        seconds=dict(stages.seconds),
        seed=config.seed,
        device=device_of(config),
        graph=fingerprint,
        bundle=bundle.hash,
        baselines={name: metrics_of(other.summary) for name, other in baselines.items()},
        comparisons=tuple(map(Comparison.of, compared)),
        headline=headline(compared, f"recall@{max(config.evaluation.k)}"),
        beyond_accuracy=beyond,
        classification=links,
        new_items=new,
        evidence=evidence,
        note=learned_on_validation(bundle.manifest.get("settings", {}), split),
    )
    write_metrics(workspace, result)
    write_report(workspace.report, result.to_json(), title=config.name, notes=[result.note] if result.note else ())
    return result


def measured_baselines(
    config: RunConfig, bundle: Bundle, data: HeteroData, split: Split, stages: Stages
) -> dict[str, Measured]:
    """What `evaluation.baselines` names, and of a model with a second stage its first."""
    found = {}
    for name, scorer in fitted_baselines(config, data, bundle.manifest, stages.note):
        found[name] = measure(scorer, data, split, config.evaluation, seed=config.seed)
    if (retriever := retrieval_of(bundle.scorer)) is not bundle.scorer:
        found[FIRST_STAGE] = measure(retriever, data, split, config.evaluation, seed=config.seed)
    return found


def evidence_by_activity(
    scorer: Scorer, data: HeteroData, split: Split, *, depth: int
) -> dict[str, dict[str, float]] | None:
    """Kinds of evidence by their mean share of what orders the lists of at most `_JUDGED` evaluated users, evenly
    spread, of all of them and by their training interactions; None without a second stage."""
    if not isinstance(scorer, RankedScorer):
        return None
    seen = interactions(data)
    users = evaluated_users(held_out(data, split))
    users = users[seen[users].getnnz(axis=1) > 0]
    users = users[:: max(1, len(users) // _JUDGED)]
    shares = evidence_shares(scorer, torch.from_numpy(users), depth=depth)
    groups = {"all": np.ones(seen.shape[0], dtype=bool)} | activity_groups(seen, ACTIVITY_EDGES)
    return {
        name: {kind: round(float(values[members[users]].mean()), 4) for kind, values in shares.items()}
        for name, members in groups.items()
        if members[users].any()
    }


def learned_on_validation(settings: JsonObject, split: Split) -> str | None:
    """What has to be said beside the numbers of a second stage that learned from validation pairs; None of others."""
    section = GNNConfig.model_validate(settings)
    if section.model != "ranked" or section.ranked.learn_on != "validation":
        return None
    if split == "valid":
        return "The second stage learned from these very validation pairs: the numbers say nothing of its quality."
    return "The second stage learned from validation pairs: no fair comparison with models fitted on train alone."


def same_graph(folder: Path, manifest: JsonObject, data: HeteroData) -> str:
    """The graph's hash. Raises `RunError` where the bundle in the folder was trained on another one."""
    fingerprint, trained = graph_hash(data), str(manifest.get("dataset_fingerprint"))
    if trained != fingerprint:
        raise RunError(
            f"{folder} was trained on graph {trained[:12]}, the store holds {fingerprint[:12]}; "
            "run `modalweave train` again"
        )
    return fingerprint


def write_metrics(workspace: Workspace, result: TrainResult | EvaluateResult) -> None:
    """`metrics.json` of a test; of validation `validation.json`, and `metrics.json` where it holds no test of it."""
    if result.split != "test":
        write_json(workspace.validation, result.to_json())
        if tested(workspace, result.bundle) is not None:
            return
    write_json(workspace.metrics, result.to_json())


def tested(workspace: Workspace, bundle: str) -> dict[str, Any] | None:
    """What `metrics.json` holds, where it is a test of the bundle with this hash."""
    found = json.loads(workspace.metrics.read_bytes()) if workspace.metrics.is_file() else {}
    return found if found.get("split") == "test" and found.get("bundle") == bundle else None


def device_of(config: RunConfig) -> str:
    """Where the run computes."""
    return "cuda" if torch.cuda.is_available() and config.gnn.device != "cpu" else "cpu"


def slices(
    measured: Measured, data: HeteroData, split: Split, config: EvaluationConfig, *, seed: int
) -> dict[str, dict[str, Slice]]:
    """The same ranking by user activity, item popularity, cold items and items that lack a modality."""
    found = slice_metrics(
        measured.ranked,
        held_out(data, split),
        interactions(data),
        config.k,
        has_modality={m: mask for m in MODALITIES if (mask := items_with(data, m)).any() and not mask.all()},
        groups=generated_items(data),
        seed=seed,
        resamples=min(config.resamples, 200),
    )
    return {
        group: {name: Slice(s["users"], s["positives"], metrics_of(s["metrics"])) for name, s in parts.items()}
        for group, parts in found.items()
    }


def generated_items(data: HeteroData) -> dict[str, dict[str, Bool[np.ndarray, "items"]]]:
    """Items that would have no text, or no fact, had not a language model written it."""
    named: dict[str, Kind] = {"modality": "texts", "facts": "triples"}
    masks = {group: items_by_origin(data, kind) for group, kind in named.items() if has_generated(data, kind)}
    return {group: {"generated": (written & ~own).numpy()} for group, (written, own) in masks.items()}


def items_with(data: HeteroData, modality: str) -> Bool[np.ndarray, "items"]:
    """Which items have the modality."""
    mask = np.zeros(int(data["Item"].num_nodes), dtype=bool)
    mask[data["Item", HAS[modality], MEDIA_LABELS[modality]].edge_index[0].numpy()] = True
    return mask
