"""The train stage: graph store -> bundle, measured on validation."""

import shutil
from typing import Any

from common.files import write_text
from gnn.matrices import held_out
from gnn.registry import chosen, resolved_config
from graph.hetero import graph_hash
from modalweave.config import RunConfig, dump_config
from modalweave.progress import Stages
from modalweave.results.metric import metrics_of
from modalweave.results.metrics import TrainResult
from modalweave.results.record import plain
from modalweave.stages.cold import cold_start
from modalweave.stages.evaluate import device_of, learned_on_validation, write_metrics
from modalweave.stages.fitting import fit, popular_pairs, save
from modalweave.stages.inputs import read_graph
from modalweave.stages.measured import measure
from modalweave.workspace import Workspace

_UNMEASURED = "No validation interactions: settings are fitted as given or by default, and nothing is measured on them"


def train(config: RunConfig, *, stages: Stages) -> TrainResult:
    """Read the graph, fit the recommender, write `bundle/`, `validation.json` and `config.yaml`.

    Without validation interactions (`split.valid: 0`) there are no metrics, which is told. Killed at any moment and run
    again it goes on from its checkpoints to the same bundle; they are deleted last. Raises `RunError` before anything
    is fitted where there is nothing to fit on.
    """
    workspace = Workspace(config.workspace)
    data = read_graph(config, stages)
    measured = bool(held_out(data, "valid").nnz)
    if not measured:
        stages.note(_UNMEASURED)
    fitted = fit(config, data, workspace.checkpoints, tensorboard=config.tensorboard, stages=stages)
    summary, new = {}, None
    if measured:
        with stages.stage("validate", "Measuring on validation"):
            found = measure(fitted.scorer, data, "valid", config.evaluation, seed=config.seed)
            new = cold_start(data, "valid", found.ranked, config.evaluation, seed=config.seed)
            summary = dict(found.summary)
    seconds, graph = dict(stages.seconds), graph_hash(data)
    decided = chosen(config.gnn, fitted.recommender)
    history, popular = popular_pairs(config, data)
    settings = resolved_config(config.gnn, fitted.recommender).model_dump(mode="json", exclude_defaults=True)
    facts: dict[str, Any] = {
        "dataset_fingerprint": graph,
        "fitted_on": ["train"],
        "chosen": decided,
        "settings": settings | {"popularity": popular},
    }
    if measured:
        facts |= {"split": "valid", "metrics": plain(summary)}
    with stages.stage("bundle", "Writing the bundle"):
        encoder = fitted.recommender.item_encoder(data)
        bundle = save(workspace.bundle, config, fitted.scorer, data, history, facts, encoder)
    result = TrainResult(
        split="valid",
        k=tuple(config.evaluation.k),
        metrics=metrics_of(summary),
        slices={},
        seconds=seconds,
        seed=config.seed,
        device=device_of(config),
        peak_memory_mb=fitted.peak_memory_mb,
        approximations=fitted.told,
        graph=graph,
        chosen=decided,
        bundle=bundle,
        new_items=new,
        note=learned_on_validation(settings, "valid") if measured else None,
    )
    write_text(workspace.config, dump_config(config))
    write_metrics(workspace, result)
    shutil.rmtree(workspace.checkpoints)
    return result
