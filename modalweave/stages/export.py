"""The export stage: a bundle, or its vectors, for serving elsewhere."""

import os
from pathlib import Path

from gnn.bundle.bundle import load_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.manifest import read_manifest
from gnn.bundle.quantised import Precision
from gnn.bundle.vectors import model_vectors
from graph.store import without_password
from modalweave.errors import RunError
from modalweave.mlflow import mlflow_files
from modalweave.progress import Stages
from modalweave.results.jobs import ExportResult, VectorsResult
from modalweave.stages.arrivals import arrivals
from modalweave.stages.inputs import config_of, named_bundle
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
) -> ExportResult:
    """Copy a bundle at another precision or as one dot product, with an ONNX graph on request."""
    folder = named_bundle(bundle, stages.note)
    beside = mlflow_files(str(read_manifest(folder)[0].get("model"))) if mlflow else None
    with stages.stage("export", "Exporting"):
        told = export_bundle(folder, out, onnx=onnx, precision=precision, dimensions=dimensions, hub=hub, beside=beside)
    return ExportResult(**told)


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
