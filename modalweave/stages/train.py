"""The train stage: graph store -> bundle, measured on validation."""

import shutil

from torch_geometric.data import HeteroData

from common.files import write_json, write_text
from common.memory import peak_memory
from gnn.bundle.bundle import save_bundle
from gnn.closed_form.config import PopularityConfig
from gnn.closed_form.popularity import popular_histories
from gnn.matrices import known_pairs, new_items
from gnn.registry import chosen, make_recommender
from gnn.scorers.base import Scorer
from graph.hetero import graph_hash
from modalweave.config import RunConfig, dump_config
from modalweave.progress import Stages
from modalweave.results.metrics import TrainResult, metrics_of
from modalweave.results.record import JsonObject, plain
from modalweave.stages.checkpoints import watched
from modalweave.stages.cold import cold_start
from modalweave.stages.evaluate import device_of, measure
from modalweave.stages.inputs import read_graph
from modalweave.stages.plan import refuse_what_cannot_fit
from modalweave.workspace import Workspace


def train(config: RunConfig, *, stages: Stages) -> TrainResult:
    """Read the graph, fit the recommender, write `bundle/`, `metrics.json` (validation) and `config.yaml`.

    Killed at any moment and run again it goes on from its checkpoints to the same bundle; they are deleted last.
    """
    workspace = Workspace(config.workspace)
    data = read_graph(config, stages)
    refuse_what_cannot_fit(config, data)
    told: list[str] = []
    watching = watched(workspace, tensorboard=config.tensorboard, tell=told.append, note=stages.note)
    with watching as watch, peak_memory() as peak:
        recommender = make_recommender(config.gnn, watch)
        with stages.stage("train", "Training") as report:
            scorer = recommender.fit(data, seed=config.seed, progress=report)
    for sentence in told:
        stages.note(sentence)
    with stages.stage("validate", "Measuring on validation"):
        measured = measure(scorer, data, "valid", config.evaluation, seed=config.seed)
        new = cold_start(scorer, data, "valid", measured.ranked, config.evaluation, seed=config.seed)
        summary = measured.summary
    seconds, graph = dict(stages.seconds), graph_hash(data)
    decided = chosen(config.gnn, recommender)
    facts = {"chosen": decided, "dataset_fingerprint": graph, "metrics": plain(summary)}
    with stages.stage("bundle", "Writing the bundle"):
        bundle = _save(config, scorer, data, facts)
    result = TrainResult(
        split="valid",
        k=tuple(config.evaluation.k),
        metrics=metrics_of(summary),
        slices={},
        seconds=seconds,
        seed=config.seed,
        device=device_of(config),
        peak_memory_mb=round(peak.resident / 2**20),
        approximations=tuple(told),
        graph=graph,
        chosen=decided,
        bundle=bundle,
        new_items=new,
    )
    write_text(workspace.config, dump_config(config))
    write_json(workspace.metrics, result.to_json())
    shutil.rmtree(workspace.checkpoints)
    return result


def _save(config: RunConfig, scorer: Scorer, data: HeteroData, facts: JsonObject) -> str:
    popular = config.gnn.settings("popularity")
    assert isinstance(popular, PopularityConfig)
    manifest = {
        "model": config.gnn.model,
        "dataset": config.name,
        "graph_schema": data.schema_hash,
        "split": "valid",
        "seed": config.seed,
        **facts,
    }
    return save_bundle(
        Workspace(config.workspace).bundle,
        scorer,
        user_ids=data["User"].ids,
        item_ids=data["Item"].ids,
        seen=known_pairs(data),
        history=popular_histories(data, popular, seed=config.seed),
        new_items=new_items(data),
        manifest=manifest,
    )
