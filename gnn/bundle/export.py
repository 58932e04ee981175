"""A bundle for serving elsewhere: smaller numbers, an ONNX graph, and how far each still agrees with the original."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from common.files import sha256_of
from gnn.bundle.agreement import agreement as agreement_of
from gnn.bundle.attributes import ATTRIBUTES
from gnn.bundle.bundle import Bundle, check_replaceable, load_bundle, put_in_place, seal, write_ranker, write_tensors
from gnn.bundle.onnx_graph import OnnxScorer, scorer_to_onnx
from gnn.bundle.quantised import PRECISIONS, Precision, quantised
from gnn.bundle.tensors import TREES, Tensors, retrieval_tensors, scorer_from_tensors, scorer_to_tensors
from gnn.errors import BundleError, GnnError
from gnn.ranker.scorer import RankedScorer, retrieval_of
from gnn.scorers.one_dot import one_dot


class ItemEncoder(NamedTuple):
    """What gives new items vectors, and how near it comes to the model's own."""

    model: bytes
    inputs: list[str]
    agreement: dict[str, float]


def export_bundle(
    path: Path,
    out: Path,
    *,
    onnx: bool = False,
    precision: Precision = "float32",
    dimensions: int | None = None,
    hub: bool = False,
    beside: Mapping[str, bytes] | None = None,
    encoder: ItemEncoder | None = None,
) -> dict[str, Any]:
    """Copy a bundle at another precision, with `scorer.onnx` on request; what was written and how well it agrees.

    `gnn.bundle.quantised` says what a precision keeps. With `dimensions` the model becomes one dot product of vectors
    of at most so many numbers; with `hub` the card starts with what Hugging Face's hub reads; `beside` are files to
    add, by name; `encoder` becomes `item_encoder.onnx`. The copy loads like any bundle. The graph of a model with a
    second stage is that of its first, which finds the candidates. Agreement is measured against the original on up to
    256 users: the share of their top 20 that is the same and the largest error in units of a user's score deviation; it
    is returned and stands in the copy's manifest.
    """
    if precision not in PRECISIONS:
        raise GnnError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    original = load_bundle(path)
    bundle = original if dimensions is None else _in_one_dot(original, dimensions)
    out = Path(out)
    check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        tensors, structure = scorer_to_tensors(bundle.scorer)
        tensors = _lowered(tensors, precision)
        for name in {"seen.safetensors", "users.parquet", "items.parquet", ATTRIBUTES} & set(bundle.manifest["files"]):
            shutil.copyfile(Path(path) / name, folder / name)
            if sha256_of(folder / name) != bundle.manifest["files"][name]:
                raise BundleError(f"{path}: {name} changed while it was exported; export again")
        write_tensors(folder / "model.safetensors", tensors)
        write_ranker(folder, bundle.scorer)
        for name, content in (beside or {}).items():
            (folder / name).write_bytes(content)
        agreement = {"bundle": agreement_of(bundle, original.scorer, scorer_from_tensors(tensors, structure))}
        facts = {"precision": precision, "agreement": agreement, "source": bundle.hash, "scorer": structure}
        manifest = {**bundle.manifest, **facts}
        manifest.pop("onnx", None)
        manifest.pop("item_encoder", None)
        if encoder is not None:
            (folder / "item_encoder.onnx").write_bytes(encoder.model)
            agreement["item_encoder"] = encoder.agreement
            manifest["item_encoder"] = encoder.inputs
        if onnx:
            first = retrieval_of(bundle.scorer)
            own, shape = retrieval_tensors(tensors, structure)
            model = scorer_to_onnx(first, own, shape, history=bundle.history, seen=bundle.seen)
            (folder / "scorer.onnx").write_bytes(model)
            graph = OnnxScorer(model, first)
            known = replace(original, scorer=retrieval_of(original.scorer))
            agreement["onnx"] = agreement_of(bundle, known.served, graph)
            manifest["onnx"] = graph.inputs
        digest = seal(folder, manifest, hub=hub)
        put_in_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"bundle": digest, "source": bundle.hash, "precision": precision, "bytes": size, "agreement": agreement}


def _lowered(tensors: Tensors, precision: Precision) -> Tensors:
    """The arrays at the asked precision; indices and shapes stay whole numbers, and so do a tree's thresholds, which
    are compared with and not added up."""
    result: Tensors = {}
    for name, array in tensors.items():
        kept = array.dtype.kind != "f" or TREES in name
        result |= {name: array} if kept else quantised(name, array, precision)
    return result


def _in_one_dot(bundle: Bundle, dimensions: int) -> Bundle:
    if isinstance(bundle.scorer, RankedScorer):
        raise GnnError("a model with a second stage is no one dot product; leave --dimensions out")
    return replace(bundle, scorer=one_dot(bundle.scorer, max_dimensions=dimensions, seed=0))
