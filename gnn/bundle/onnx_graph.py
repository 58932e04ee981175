"""A scorer as an ONNX graph: user indices (and histories, for item-item parts) in, scores over all items out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from gnn.bundle.tensors import Tensors, csr_from_tensors
from gnn.errors import GnnError
from gnn.scorers.base import ItemItemScorer, Scorer, SumScorer
from gnn.scorers.popular import popularity, without_history

OPSET = 18

_MAX_BYTES = 2_000_000_000
"""A protobuf message ends at 2 GiB."""


def scorer_to_onnx(
    scorer: Scorer, tensors: Tensors, structure: dict[str, Any], history: sp.csr_matrix | None = None
) -> bytes:
    """The graph of a scorer whose arrays (at any precision) and structure are given.

    With the `history` that it was fitted on, users without one get what is popular in it. Inputs: `users` int64
    [block] where a part has vectors, `history` float32 [block, items] where a part weighs histories (sparse weights
    become dense); a part whose histories count otherwise than the first one's (by age) has an input of its own,
    `<part>.history`. Output: `scores` float32 [block, items].
    """
    writer = _Writer(tensors)
    writer.add(structure, "", "scores" if history is None else "own", scorer.num_items)
    if history is not None:
        writer.serve("own", "scores", history)
    inputs = []
    if writer.uses_users:
        inputs.append(helper.make_tensor_value_info("users", TensorProto.INT64, ["block"]))
    shape: list[str | int | None] = ["block", scorer.num_items]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in writer.histories]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["block", scorer.num_items])
    size = sum(len(t.raw_data) for t in writer.initializers)
    if size > _MAX_BYTES:
        raise GnnError(f"the ONNX graph would hold {size} bytes, over {_MAX_BYTES}; use a lower precision")
    graph = helper.make_graph(writer.nodes, "scorer", inputs, [output], writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="modalweave")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class OnnxScorer:
    """An exported graph behind the scorer interface, run by onnxruntime on the CPU."""

    kind = "onnx"

    def __init__(self, model: bytes, original: Scorer) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.inputs = {entry.name for entry in self.session.get_inputs()}
        self.histories = dict(_histories(original, ""))
        self.num_users, self.num_items = original.num_users, original.num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """Runs the graph on the users' indices and histories."""
        feed: dict[str, np.ndarray] = {}
        if "users" in self.inputs:
            feed["users"] = users.numpy()
        for number, (name, history) in enumerate(self.histories.items()):
            if (entry := name if number else "history") in self.inputs:
                feed[entry] = history[users.numpy()].toarray().astype(np.float32)
        return torch.from_numpy(self.session.run(["scores"], feed)[0])


class _Writer:
    """Collects nodes and initializers; every name is the tensor's own."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.uses_users = False
        self.histories: dict[str, np.ndarray] = {}
        """Input -> the values it stands for."""

    def add(self, structure: dict[str, Any], prefix: str, output: str, items: int) -> None:
        """Write the nodes that end in `output`."""
        kind = structure["kind"]
        if kind == "sum":
            self._sum(structure, prefix, output, items)
        elif kind == "dot":
            self.uses_users = True
            vectors = self._gathered(prefix + "user_vectors", "users")
            transposed = self._node("Transpose", [self._matrix(prefix + "item_vectors")], perm=[1, 0])
            self._node("MatMul", [vectors, transposed], output)
        else:
            history = self._history(prefix)
            weighted = self._node("MatMul", [history, self._weights(structure, prefix)])
            self._node("Add", [weighted, self._popular(prefix, history)], output)

    def serve(self, scores: str, output: str, history: sp.csr_matrix) -> None:
        """Popularity in place of the scores of users without a history."""
        if self.uses_users:
            strangers = self._constant("served.strangers", without_history(history).numpy()[:, None])
            unknown = self._node("Gather", [strangers, "users"], axis=0)
        else:
            unknown = self._empty("history", "served")
        popular = self._constant("served.popularity", popularity(history).numpy()[None])
        self._node("Where", [unknown, popular, scores], output)

    def _sum(self, structure: dict[str, Any], prefix: str, output: str, items: int) -> None:
        terms = []
        for number, (part, weight) in enumerate(zip(structure["parts"], structure["weights"], strict=True)):
            name = f"{prefix}{number}.scores"
            self.add(part, f"{prefix}{number}.", name, items)
            if structure["normalise"] == "rank":
                name = self._places(name, items)
            elif structure["normalise"]:
                name = self._node("Div", [name, self._deviation(name, items)])
            terms.append(self._node("Mul", [name, self._constant(f"{prefix}{number}.weight", np.float32(weight))]))
        self._node("Sum", terms, output)

    def _places(self, scores: str, items: int) -> str:
        """Each item's place in its row, from 1 (best) to 0; of equal scores the lower index is first."""
        count = self._constant(f"{scores}.count", np.array([items], dtype=np.int64))
        order = f"{scores}.order"
        self.nodes.append(helper.make_node("TopK", [scores, count], [f"{scores}.sorted", order], axis=1))
        places = self._constant(f"{scores}.places", np.linspace(1, 0, items, dtype=np.float32)[None])
        shape = self._node("Shape", [scores])
        return self._node("ScatterElements", [scores, order, self._node("Expand", [places, shape])], axis=1)

    def _deviation(self, scores: str, items: int) -> str:
        """Sample standard deviation of each row, at least 1e-12."""
        axes = self._constant(f"{scores}.axes", np.array([1], dtype=np.int64))
        centred = self._node("Sub", [scores, self._node("ReduceMean", [scores, axes])])
        squares = self._node("ReduceSumSquare", [centred, axes])
        count = self._constant(f"{scores}.count", np.float32(max(items - 1, 1)))
        spread = self._node("Sqrt", [self._node("Div", [squares, count])])
        return self._node("Max", [spread, self._constant(f"{scores}.least", np.float32(1e-12))])

    def _history(self, prefix: str) -> str:
        """The input of a part's histories; parts whose histories are equal share one."""
        values = self.tensors[f"{prefix}history.data"]
        for name, known in self.histories.items():
            if np.array_equal(known, values):
                return name
        name = f"{prefix}history" if self.histories else "history"
        self.histories[name] = values
        return name

    def _popular(self, prefix: str, history: str) -> str:
        """Popularity for the rows without a history, 0 for the others."""
        unknown = self._empty(history, f"{prefix}history")
        shares = popularity(csr_from_tensors(self.tensors, prefix + "history")).numpy()
        share = self._constant(f"{prefix}popularity", shares[None])
        return self._node("Mul", [self._node("Cast", [unknown], to=TensorProto.FLOAT), share])

    def _empty(self, history: str, name: str) -> str:
        """Which rows of an input of histories are empty; `name` starts those of the constants."""
        axes = self._constant(f"{name}.axes", np.array([1], dtype=np.int64))
        nothing = self._constant(f"{name}.nothing", np.float32(0))
        return self._node("Equal", [self._node("ReduceL1", [history, axes]), nothing])

    def _weights(self, structure: dict[str, Any], prefix: str) -> str:
        name = prefix + "weights"
        if structure["weights"] == "dense":
            return self._matrix(name)
        dense = csr_from_tensors(self.tensors, name).toarray()
        return self._constant(name, dense.astype(np.float32))

    def _matrix(self, name: str) -> str:
        """A stored matrix as float32, whatever it is stored as."""
        array = self.tensors[name]
        stored = self._constant(name, array)
        if array.dtype == np.float32:
            return stored
        wide = self._node("Cast", [stored], to=TensorProto.FLOAT)
        if array.dtype != np.int8:
            return wide
        return self._node("Mul", [wide, self._constant(f"{name}.scale", self.tensors[f"{name}.scale"][:, None])])

    def _gathered(self, name: str, index: str) -> str:
        """Rows of a stored matrix as float32, gathered before they are widened."""
        array = self.tensors[name]
        rows = self._node("Gather", [self._constant(name, array), index], axis=0)
        if array.dtype == np.float32:
            return rows
        wide = self._node("Cast", [rows], to=TensorProto.FLOAT)
        if array.dtype != np.int8:
            return wide
        scales = self._constant(f"{name}.scale", self.tensors[f"{name}.scale"][:, None])
        return self._node("Mul", [wide, self._node("Gather", [scales, index], axis=0)])

    def _constant(self, name: str, array: np.ndarray | np.float32) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def _histories(scorer: Scorer, prefix: str) -> Iterator[tuple[str, sp.csr_matrix]]:
    """The input's name and the histories of each item-item part."""
    if isinstance(scorer, ItemItemScorer):
        yield f"{prefix}history", scorer.history
    if isinstance(scorer, SumScorer):
        for number, part in enumerate(scorer.parts):
            yield from _histories(part, f"{prefix}{number}.")
