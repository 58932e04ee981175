"""The refit stage: what validation chose, fitted anew on every interaction -> `serving/`."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch_geometric.data import HeteroData

from gnn.bundle.bundle import Bundle
from gnn.config import GNNConfig
from gnn.matrices import held_out
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.results.metric import metrics_of
from modalweave.results.metrics import MeasuredModel, RefitResult
from modalweave.stages.evaluate import device_of, same_graph, tested
from modalweave.stages.fitting import fit, popular_pairs, save
from modalweave.stages.inputs import read_bundle, read_graph, whole_graph
from modalweave.stages.measured import measure
from modalweave.workspace import Workspace

FITTED_ON = ("train", "valid", "test")


def refit(config: RunConfig, *, stages: Stages) -> RefitResult:
    """Fit the measured bundle's settings, early stopping's epochs included, on train, validation and test.

    `serving/` is a bundle like any other; its manifest and card carry the measured model's metrics, named as such.
    Killed at any moment and run again it goes on from its checkpoints. Raises `RunError` where nothing was trained
    yet, or on another graph than the store holds.
    """
    workspace = Workspace(config.workspace)
    bundle = read_bundle(config)
    data = read_graph(config, stages)
    graph = same_graph(workspace.bundle, bundle.manifest, data)
    settings, seed = _settings(workspace, bundle.manifest)
    config = config.model_copy(update={"gnn": settings, "seed": seed})
    with stages.stage("measured", "Reading what was measured"):
        measured = _measured(config, bundle, data)
    whole = whole_graph(config, data)
    fitted = fit(config, whole, workspace.refit_checkpoints, tensorboard=False, stages=stages)
    written = settings.model_dump(mode="json", exclude_defaults=True)
    facts = {
        "dataset_fingerprint": graph,
        "fitted_on": list(FITTED_ON),
        "measured": measured.to_json(),
        "chosen": bundle.manifest["chosen"],
        "settings": written,
    }
    with stages.stage("bundle", "Writing the bundle"):
        history, encoder = popular_pairs(config, whole)[0], fitted.recommender.item_encoder(whole)
        digest = save(workspace.serving, config, fitted.scorer, whole, history, facts, encoder)
    shutil.rmtree(workspace.refit_checkpoints)
    with suppress(OSError):  # a training that was stopped has its own in there
        workspace.checkpoints.rmdir()
    return RefitResult(
        fitted_on=FITTED_ON,
        measured=measured,
        settings=written,
        seconds=dict(stages.seconds),
        seed=seed,
        device=device_of(config),
        approximations=fitted.told,
        graph=graph,
        bundle=digest,
    )


def _settings(workspace: Workspace, manifest: Mapping[str, Any]) -> tuple[GNNConfig, int]:
    """The `gnn:` section and the seed that the measured bundle was fitted with."""
    if not isinstance(manifest.get("settings"), Mapping) or not isinstance(manifest.get("seed"), int):
        raise RunError(f"{workspace.bundle} does not say how it was fitted; run `modalweave train` again")
    return GNNConfig.model_validate(manifest["settings"]), manifest["seed"]


def _measured(config: RunConfig, bundle: Bundle, data: HeteroData) -> MeasuredModel:
    """The measured model's metrics: those of `metrics.json`, or taken now; of validation where there is no test."""
    found = tested(Workspace(config.workspace), bundle.hash)
    if found is not None:
        return MeasuredModel("test", bundle.hash, metrics_of(found["metrics"]))
    if held_out(data, "test").nnz:
        summary = measure(bundle.scorer, data, "test", config.evaluation, seed=config.seed).summary
        return MeasuredModel("test", bundle.hash, metrics_of(summary))
    return MeasuredModel(bundle.manifest.get("split"), bundle.hash, metrics_of(bundle.manifest.get("metrics", {})))
