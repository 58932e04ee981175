"""`item_encoder.onnx`: the vectors of an item's media in, its vector out, which ranks beside those of the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import scipy.sparse as sp
from jaxtyping import Float, Int
from onnx import TensorProto, helper
from torch_geometric.data import HeteroData

from common.text import one_line
from common.vectors import unit_rows
from gnn.bundle.bundle import ENCODER
from gnn.bundle.manifest import read_manifest
from gnn.bundle.onnx_graph import MAX_BYTES, OPSET
from gnn.bundle.onnx_nodes import Nodes
from gnn.bundle.tensors import Tensors, finite
from gnn.bundle.verified import arrays as arrays_of
from gnn.bundle.verified import verified_files
from gnn.errors import BundleError, GnnError
from gnn.network.item_encoder import UNIT
from gnn.network.operators import row_mean
from graph.schema import HAS, MEDIA_LABELS, MODALITIES

_COMPARED = 512
"""Items of a group that the encoder is held against the model on."""

_BLOCK = 128
"""Items a run: each is compared with all media."""

_EXACT = np.float32(2e-6)
"""Links have scores of six digits: what differs by less is equal."""


@dataclass(frozen=True)
class MediaIndex:
    """The media of one modality that new ones are compared with."""

    units: Float[np.ndarray, "nodes width"]
    """Vectors of length 1."""
    owns: sp.csr_matrix
    """Items x nodes, 1 where an item carries the node."""
    border: Float[np.ndarray, "nodes"]
    """What a new node must resemble each by, to be one of its nearest."""

    @classmethod
    def of(cls, data: HeteroData, modality: str, k: int, min_score: float) -> "MediaIndex":
        """That of a graph whose nodes are linked to their `k` nearest of at least `min_score`."""
        label = MEDIA_LABELS[modality]
        kept = np.flatnonzero(data[label].mask.numpy())
        nodes, items = int(data[label].num_nodes), int(data["Item"].num_nodes)
        item, node = data["Item", HAS[modality], label].edge_index.numpy()
        owns = sp.csr_matrix((np.ones(len(item), np.float32), (item, node)), shape=(items, nodes)).sign()
        links = data[label, "SIMILAR", label]
        source, scores = links.edge_index[0].numpy(), links.score.numpy().astype(np.float32)
        least, count = np.full(nodes, np.inf, np.float32), np.bincount(source, minlength=nodes)
        np.minimum.at(least, source, scores)
        border = np.where(count >= k, least, np.float32(min_score))
        return cls(unit_rows(data[label].x.numpy()[kept]), owns[:, kept].tocsr(), border[kept].astype(np.float32))


def read_encoder(path: Path) -> Tensors:
    """The arrays of a bundle's item encoder; empty where it has none. Raises `BundleError` where they do not fit."""
    manifest, _ = read_manifest(path)
    content = verified_files(path, manifest["files"], (ENCODER,)).get(ENCODER)
    if content is None:
        return {}
    try:
        arrays = arrays_of(content)
        _check(arrays, manifest["items"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BundleError(f"{path}: {ENCODER} cannot be read ({one_line(error)}); train again") from error
    return arrays


def _check(arrays: Tensors, items: int) -> None:
    """`ValueError` where an array is none of an encoder's, or does not fit the others."""
    dims = {a.shape[1] for name, a in arrays.items() if name.endswith((".matrix", ".linked")) and a.ndim == 2}
    shapes: dict[str, tuple[int, ...]] = {UNIT: (1,)}
    for m in MODALITIES:
        width = len(arrays.get(f"{m}.mean", ()))
        shapes |= {f"{m}.mean": (width,), f"{m}.matrix": (width, *dims), f"{m}.linked": (items, *dims)}
    for name, array in {UNIT: np.zeros(0), **arrays}.items():
        if array.shape != shapes.get(name) or not finite(array) or (name != UNIT and array.dtype != np.float32):
            raise ValueError(f"array {name!r} is {array.dtype} {array.shape}")
        if name.endswith(".matrix") and name.replace("matrix", "mean") not in arrays:
            raise ValueError(f"array {name!r} has no mean")


def media_indices(
    arrays: Mapping[str, np.ndarray], data: HeteroData, k: int, min_score: float
) -> dict[str, MediaIndex]:
    """Those of the modalities that an encoder reads. Raises `GnnError` where the graph holds other vectors by now."""
    found = {}
    for modality in [m for m in MODALITIES if any(name.startswith(f"{m}.") for name in arrays)]:
        found[modality] = index = MediaIndex.of(data, modality, k, min_score)
        width = len(arrays.get(f"{modality}.mean", index.units[0] if len(index.units) else ()))
        if not len(index.units) or width != index.units.shape[1]:
            raise GnnError(
                f"the graph's vectors of {modality} have not the {width} numbers of the model's; train again"
            )
    return found


def item_encoder_to_onnx(
    arrays: Mapping[str, np.ndarray], indices: Mapping[str, MediaIndex], k: int, min_score: float
) -> bytes:
    """The graph of an item encoder (`gnn.network.item_encoder`) over the media of its catalogue.

    Inputs, for each modality `m` of `indices`: `m` float32 [block, width], the vector of an item's medium (of several
    their mean), and `m_mask` bool [block], whether it has any; and `known` int64 [block], the row of `items.parquet`
    where it is an item of the catalogue, whose own media are then not compared with it, else -1.
    Output: `item_vectors` float32 [block, dim]. Raises `GnnError` over 2 GB.
    """
    writer = _Writer()
    parts = [part for m, index in indices.items() for part in writer.modality(m, arrays, index, k, min_score)]
    total = writer.node("Sum", parts, None if arrays[UNIT][0] else "item_vectors")
    if arrays[UNIT][0]:
        length = writer.node("Max", [writer.length(total), writer.constant("tiny", np.float32(1e-12))])
        writer.node("Div", [total, length], "item_vectors")
    dim = next(a.shape[1] for name, a in arrays.items() if name.endswith((".matrix", ".linked")))
    inputs = [helper.make_tensor_value_info("known", TensorProto.INT64, ["block"])] if writer.compares else []
    for modality, index in indices.items():
        shape = ["block", index.units.shape[1]]
        inputs.append(helper.make_tensor_value_info(modality, TensorProto.FLOAT, shape))
        inputs.append(helper.make_tensor_value_info(f"{modality}_mask", TensorProto.BOOL, ["block"]))
    outputs = [helper.make_tensor_value_info("item_vectors", TensorProto.FLOAT, ["block", dim])]
    constants = list(writer.initializers.values())
    if (size := sum(len(t.raw_data) for t in constants)) > MAX_BYTES:
        raise GnnError(f"item_encoder.onnx would hold {size} bytes, over {MAX_BYTES}; leave --item-encoder out")
    graph = helper.make_graph(writer.nodes, "item_encoder", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="modalweave")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def encoder_agreement(
    encoder: "OnnxItemEncoder", data: HeteroData, vectors: Float[np.ndarray, "items dim"], history: sp.csr_matrix
) -> dict[str, float]:
    """How near the encoder comes to a model's own `vectors` of the catalogue: the mean cosine over items that somebody
    has in `history` (users x items), which know more than their media, and over others, which do not."""
    some, told = history.getnnz(axis=0) > 0, {}
    for name, group in {"cosine_new": ~some, "cosine_known": some}.items():
        items = np.flatnonzero(group)
        if not len(items):
            continue
        items = items[:: max(1, -(-len(items) // _COMPARED))]
        found = encoder.of(data, items)
        fed = np.abs(found).sum(axis=1) > 0
        if fed.any():
            told[name] = float((unit_rows(vectors[items]) * unit_rows(found)).sum(axis=1)[fed].mean())
    return told


class OnnxItemEncoder:
    """The graph, run by onnxruntime on the CPU."""

    def __init__(self, model: bytes) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.inputs = [entry.name for entry in self.session.get_inputs()]

    def of(self, data: HeteroData, items: Int[np.ndarray, "some"]) -> Float[np.ndarray, "some dim"]:
        """The vectors of items of a graph, each as if nobody had it."""
        feed = {"known": items} if "known" in self.inputs else {}
        for modality in [name for name in MODALITIES if name in self.inputs]:
            label = MEDIA_LABELS[modality]
            kept = data[label].mask.numpy()
            item, node = data["Item", HAS[modality], label].edge_index.numpy()
            there = kept[node]
            shape = (int(data["Item"].num_nodes), len(kept))
            owns = sp.csr_matrix((np.ones(int(there.sum()), np.float32), (item[there], node[there])), shape=shape)
            own = owns[items]
            feed[modality] = np.ascontiguousarray(row_mean(own) @ data[label].x.numpy(), dtype=np.float32)
            feed[f"{modality}_mask"] = own.getnnz(axis=1) > 0
        starts = range(0, len(items), _BLOCK)
        blocks = ({name: values[start : start + _BLOCK] for name, values in feed.items()} for start in starts)
        return np.concatenate([self.session.run(["item_vectors"], block)[0] for block in blocks])


class _Writer(Nodes):
    def __init__(self) -> None:
        super().__init__({})
        self.compares = False

    def modality(
        self, name: str, arrays: Mapping[str, np.ndarray], index: MediaIndex, k: int, min_score: float
    ) -> list[str]:
        """What one modality adds, 0 where it is missing."""
        self.tensors = {**self.tensors, **arrays}
        parts = []
        if f"{name}.matrix" in arrays:
            centred = self.node("Sub", [name, self.stored(f"{name}.mean")])
            parts.append(self.node("MatMul", [centred, self.stored(f"{name}.matrix")]))
        if f"{name}.linked" in arrays:
            self.compares = True
            parts.append(self._linked(name, arrays[f"{name}.linked"], index, k, min_score))
        mask = self.node("Unsqueeze", [f"{name}_mask", self.whole(1)])
        nothing = self.constant("nothing", np.float32(0))
        return [self.node("Where", [mask, part, nothing]) for part in parts]

    def length(self, rows: str) -> str:
        """Of each row."""
        return self.node("ReduceL2", [rows, self.whole(1)], keepdims=1)

    def _linked(self, name: str, linked: np.ndarray, index: MediaIndex, k: int, min_score: float) -> str:
        """Links as a build makes them: to the nearest, and from those of whose nearest it is one; both count."""
        tiny = self.constant("tiny", np.float32(1e-12))
        unit = self.node("Div", [name, self.node("Max", [self.length(name), tiny])])
        alike = self.node("MatMul", [unit, self.constant(f"{name}.units", np.ascontiguousarray(index.units.T))])
        alone = np.asarray(index.owns.sum(axis=0)).ravel() == 1
        owner = np.where(alone, np.asarray(index.owns.argmax(axis=0)).ravel(), -2)
        known = self.node("Unsqueeze", ["known", self.whole(1)])
        own = self.node("Equal", [known, self.constant(f"{name}.owner", owner[None].astype(np.int64))])
        alike = self.node("Where", [own, self.constant("never", np.float32(-2)), alike])
        count = min(k, len(index.units))
        best = f"{name}.best"
        self.nodes.append(helper.make_node("TopK", [alike, self.whole(count)], [best, f"{name}.places"], axis=1))
        kth = self.node("ReduceMin", [best, self.whole(1)], keepdims=1)
        kth = self.node("Sub", [kth, self.constant("exact", _EXACT)])
        near = self.wide(self.node("GreaterOrEqual", [alike, kth]))
        border = self.constant(f"{name}.border", (index.border - _EXACT)[None])
        entered = self.wide(self.node("GreaterOrEqual", [alike, border]))
        floor = self.constant(f"{name}.floor", np.float32(max(min_score, 0)) - _EXACT)
        counted = self.wide(self.node("GreaterOrEqual", [alike, floor]))
        both = self.node("Mul", [self.node("Add", [near, entered]), counted])
        strengths = self.node("Mul", [self.node("Relu", [alike]), both])
        # a node stands for all items that carry it
        sent = np.hstack([index.owns.T @ linked, np.asarray(index.owns.sum(axis=0)).reshape(-1, 1)]).astype(np.float32)
        both = self.node("MatMul", [strengths, self.constant(f"{name}.sent", sent)])
        dim = linked.shape[1]
        total = self.node("Slice", [both, self.whole(0), self.whole(dim), self.whole(1)])
        weight = self.node("Slice", [both, self.whole(dim), self.whole(dim + 1), self.whole(1)])
        return self.node("Div", [total, self.node("Sqrt", [self.node("Max", [weight, tiny])])])
