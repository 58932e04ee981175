"""A bundle for serving elsewhere: smaller numbers, an ONNX graph, and how far each still agrees with the original."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from common.files import sha256_of
from gnn.bundle.agreement import agreement as agreement_of
from gnn.bundle.bundle import check_replaceable, load_bundle, put_in_place, seal, write_ranker, write_tensors
from gnn.bundle.onnx_graph import OnnxScorer, scorer_to_onnx
from gnn.bundle.tensors import TREES, Tensors, retrieval_tensors, scorer_from_tensors, scorer_to_tensors
from gnn.errors import BundleError, GnnError
from gnn.ranker.scorer import retrieval_of

Precision = Literal["float32", "float16", "int8"]

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")


def export_bundle(path: Path, out: Path, *, onnx: bool = False, precision: Precision = "float32") -> dict[str, Any]:
    """Copy a bundle at another precision, with `scorer.onnx` on request; what was written and how well it agrees.

    `int8` keeps one scale a row for dense matrices and float16 for sparse ones. The copy loads like any bundle. The
    graph of a model with a second stage is that of its first, which finds the candidates.
    Agreement is measured against the original on up to 256 users: the share of their top 20 that is the same and
    the largest error in units of a user's score deviation; it is returned and stands in the copy's manifest.
    """
    if precision not in PRECISIONS:
        raise GnnError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    bundle = load_bundle(path)
    out = Path(out)
    check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        tensors, structure = scorer_to_tensors(bundle.scorer)
        tensors = _lowered(tensors, precision)
        for name in ("seen.safetensors", "users.parquet", "items.parquet"):
            shutil.copyfile(Path(path) / name, folder / name)
            if sha256_of(folder / name) != bundle.manifest["files"][name]:
                raise BundleError(f"{path}: {name} changed while it was exported; export again")
        write_tensors(folder / "model.safetensors", tensors)
        write_ranker(folder, bundle.scorer)
        agreement = {"bundle": agreement_of(bundle, bundle.scorer, scorer_from_tensors(tensors, structure))}
        manifest = {**bundle.manifest, "precision": precision, "agreement": agreement, "source": bundle.hash}
        manifest.pop("onnx", None)
        if onnx:
            first = retrieval_of(bundle.scorer)
            own, shape = retrieval_tensors(tensors, structure)
            model = scorer_to_onnx(first, own, shape, history=bundle.history, seen=bundle.seen)
            (folder / "scorer.onnx").write_bytes(model)
            graph = OnnxScorer(model, first)
            agreement["onnx"] = agreement_of(bundle, replace(bundle, scorer=first).served, graph)
            manifest["onnx"] = graph.inputs
        digest = seal(folder, manifest)
        put_in_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"bundle": digest, "source": bundle.hash, "precision": precision, "bytes": size, "agreement": agreement}


def _lowered(tensors: Tensors, precision: Precision) -> Tensors:
    """The arrays at the asked precision; indices and shapes stay whole numbers."""
    if precision == "float32":
        return tensors
    result: Tensors = {}
    for name, array in tensors.items():
        if array.dtype.kind != "f" or TREES in name:  # a tree's thresholds are compared with, not added up
            result[name] = array
        elif precision == "int8" and array.ndim == 2:
            scale = np.maximum(np.abs(array).max(axis=1, initial=0), 1e-30).astype(np.float32) / 127
            result[name] = np.rint(array / scale[:, None]).astype(np.int8)
            result[f"{name}.scale"] = scale
        else:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if not np.isfinite(half).all():
                raise GnnError(f"{name} has values over 65504, which {precision} cannot hold; use float32")
            result[name] = half
    return result
