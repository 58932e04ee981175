"""The export stage: a bundle for serving elsewhere."""

from pathlib import Path

from gnn.bundle.export import Precision, export_bundle
from modalweave.progress import Stages
from modalweave.results.jobs import ExportResult
from modalweave.stages.inputs import named_bundle


def export(bundle: Path, out: Path, *, onnx: bool, precision: Precision, stages: Stages) -> ExportResult:
    """Copy a bundle at another precision, with an ONNX graph on request."""
    with stages.stage("export", "Exporting"):
        return ExportResult(**export_bundle(named_bundle(bundle, stages.note), out, onnx=onnx, precision=precision))
