"""The export stage: a bundle, or its vectors, for serving elsewhere."""

import os
from pathlib import Path
from typing import Any

from gnn.bundle.bundle import load_bundle
from gnn.bundle.export import ItemEncoder, export_bundle
from gnn.bundle.item_encoder import (
    OnnxItemEncoder,
    encoder_agreement,
    item_encoder_to_onnx,
    media_indices,
    read_encoder,
)
from gnn.bundle.manifest import read_manifest
from gnn.bundle.quantised import Precision
from gnn.bundle.vectors import model_vectors
from gnn.scorers.base import DotScorer
from graph.store import without_password
from modalweave.errors import RunError
from modalweave.mlflow import mlflow_files
from modalweave.progress import Stages
from modalweave.results.jobs import ExportResult, VectorsResult
from modalweave.stages.arrivals import arrivals
from modalweave.stages.inputs import config_of, read_graph
from modalweave.stages.serving import named_bundle
from modalweave.stores import check_target, credentials
from scoring.sinks import SINKS, Access, parse_sink

KEY = "MODALWEAVE_SINK_KEY"
"""Environment variable with the key of a vector store that asks for one."""


def export(
    bundle: Path,
    out: Path,
    *,
    onnx: bool,
    precision: Precision,
    stages: Stages,
    dimensions: int | None = None,
    hub: bool = False,
    mlflow: bool = False,
    item_encoder: bool = False,
) -> ExportResult:
    """Copy a bundle at another precision or as one dot product, on request with ONNX graphs: of the scorer, and of
    what gives items vectors, which takes the graph of the run, too."""
    folder = named_bundle(bundle, stages.note)
    encoder = _item_encoder(bundle, folder, stages) if item_encoder else None
    beside = mlflow_files(str(read_manifest(folder)[0].get("model"))) if mlflow else None
    with stages.stage("export", "Exporting"):
        how: dict[str, Any] = {"precision": precision, "dimensions": dimensions, "hub": hub}
        told = export_bundle(folder, out, onnx=onnx, beside=beside, encoder=encoder, **how)
    return ExportResult(**told)


def _item_encoder(bundle: Path, folder: Path, stages: Stages) -> ItemEncoder:
    arrays, loaded = read_encoder(folder), load_bundle(folder)
    if not arrays or not isinstance(loaded.scorer, DotScorer):
        raise RunError(
            f"{folder}: holds no item encoder; a model of one network has one (gnn.model: hetero, with fusion joint or "
            "feature)"
        )
    config = config_of(bundle, "the vectors of its media")
    data = read_graph(config, stages)
    if data["Item"].ids != loaded.item_ids:
        raise RunError(f"{folder}: is of other items than the graph holds by now; run `modalweave train` again")
    links = config.neighbours
    with stages.stage("item_encoder", "Making the item encoder"):
        indices = media_indices(arrays, data, links.k, links.min_score)
        model = item_encoder_to_onnx(arrays, indices, links.k, links.min_score)
        graph = OnnxItemEncoder(model)
        own = loaded.scorer.item_vectors.numpy()
        return ItemEncoder(model, graph.inputs, encoder_agreement(graph, data, own, loaded.history))


def export_vectors(
    bundle: Path, to: str, out: Path | None, *, dimensions: int, stages: Stages, new_items: Path | None = None
) -> VectorsResult:
    """Write a model's vectors of users and items into a store: `SINK:PLACE`, or `SINK` where `out` is the place.

    `new_items` is a dataset folder with items that came after training: they have vectors, too.
    """
    name, target = parse_sink(to, str(out) if out is not None else None)
    if target == to:  # a graph that is not there is told before the vectors are made
        check_target(to)
    sink = SINKS[name]
    loaded = load_bundle(named_bundle(bundle, stages.note))
    if new_items is not None:
        if target == to:
            raise RunError(f"{new_items}: its items are not in the graph of {without_password(to)}; build them first")
        loaded = loaded.with_arrivals(arrivals(config_of(bundle, "its media"), new_items, loaded.item_ids, stages))
    with stages.stage("vectors", "Making vectors") as report:
        vectors = model_vectors(loaded, max_dimensions=dimensions, progress=report)
    access = Access(credentials(), os.environ.get(KEY))
    with stages.stage("write", "Writing vectors") as report:
        written = sink(vectors, target, access, report)
    return VectorsResult(
        source=loaded.hash,
        to=without_password(target) if target == to else f"{name}:{target}",
        dimensions=vectors.dimensions,
        users=len(vectors.users),
        items=len(vectors.items),
        written=written,
        agreement=vectors.agreement,
    )
