"""A scorer as an ONNX graph: users in, their best items out; histories lie inside it as sparse rows."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from onnx import TensorProto, helper
from torch import Tensor

from gnn.bundle.onnx_nodes import Entries, Nodes
from gnn.bundle.tensors import Tensors, csr_from_tensors, csr_to_tensors
from gnn.errors import GnnError
from gnn.scorers.base import Scorer
from gnn.scorers.popular import popularity, without_history

OPSET = 18
NOTHING = {"history_items": np.zeros((1, 0), np.int64), "history_weights": np.ones((1, 1), np.float32)}
"""Fed where no history is given."""

MAX_BYTES = 2_000_000_000
"""A protobuf message ends at 2 GiB."""


def scorer_to_onnx(
    scorer: Scorer, tensors: Tensors, structure: Mapping[str, Any], *, history: sp.csr_matrix, seen: sp.csr_matrix
) -> bytes:
    """The graph of a served scorer whose arrays (at any precision) and structure are given.

    `history` and `seen` (users x items) are what it was fitted on and what is left out of a list.

    Inputs: `users` int64 [block], an index or -1 for someone unknown, and `k` int64 [1]. Where the scorer is made of
    item weights alone, also `history_items` int64 [block, length] (-1 fills up) and `history_weights` float32
    [block, length]: what is added to the history that is known of each user, so that an unknown one has a list of
    their own. Nothing to add is [1, 0], and [1, 1] is a weight for all. Who has no history gets what is popular.

    Outputs: `items` int64 [block, k] and `scores` float32 [block, k], best first, of equal scores the lower index, -1
    and -inf where nothing is left; at most as many columns as there are items. `all_scores` float32 [block, items]:
    every score, before anything is left out; it costs nothing where it is not asked for.

    Raises `GnnError` for a kind of scorer that has no such form, or over 2 GB.
    """
    writer = _Writer(tensors, scorer.num_items, folds_in=all(kind in _BY_HISTORY for kind in kinds(structure)))
    writer.add(structure, "", "own")
    writer.serve("own", history)
    writer.best("all_scores", seen)
    floats, whole = TensorProto.FLOAT, TensorProto.INT64
    outputs = [
        helper.make_tensor_value_info("items", whole, ["block", "top"]),
        helper.make_tensor_value_info("scores", floats, ["block", "top"]),
        helper.make_tensor_value_info("all_scores", floats, ["block", scorer.num_items]),
    ]
    inputs, constants = writer.inputs(), list(writer.initializers.values())
    size = sum(len(t.raw_data) for t in constants)
    if size > MAX_BYTES:
        raise GnnError(f"the ONNX graph would hold {size} bytes, over {MAX_BYTES}; use a lower precision")
    graph = helper.make_graph(writer.nodes, "scorer", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="modalweave")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def kinds(structure: Mapping[str, Any]) -> Iterator[str]:
    """The kinds of scorer that a structure is made of."""
    yield structure["kind"]
    for part in structure.get("parts", ()):
        yield from kinds(part)


class OnnxScorer:
    """An exported graph behind the scorer interface, run by onnxruntime on the CPU."""

    kind = "onnx"

    def __init__(self, model: bytes, original: Scorer) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.inputs = [entry.name for entry in self.session.get_inputs()]
        self.num_users, self.num_items = original.num_users, original.num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """Every score of the users."""
        feed = {"users": users.numpy(), "k": np.array([1]), **NOTHING}
        found = self.session.run(["all_scores"], {name: feed[name] for name in self.inputs})
        return torch.from_numpy(found[0])


_BY_HISTORY = frozenset({"item_item", "sum"})
"""Kinds that score any history; a `dot` knows its users by their vectors alone."""


class _Writer(Nodes):
    """The nodes of each kind of scorer; a new one is a method and a line in `add`."""

    def __init__(self, tensors: Tensors, items: int, *, folds_in: bool) -> None:
        super().__init__(tensors)
        self.items, self.folds_in = items, folds_in
        zero = self.constant("axis.0", np.int64(0))
        self.size = self.node("Shape", ["users"])
        self.known = self.node("GreaterOrEqual", ["users", zero])
        self.index = self.node("Max", ["users", zero])
        self.given = self._given() if folds_in else None
        self.histories: list[tuple[str, Entries]] = []
        """Name of each distinct history and its entries."""

    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What the graph takes. Nothing has a default: a runtime warns of each one that has."""
        whole = TensorProto.INT64
        infos = [
            helper.make_tensor_value_info("users", whole, ["block"]),
            helper.make_tensor_value_info("k", whole, [1]),
        ]
        if self.folds_in:
            infos.append(helper.make_tensor_value_info("history_items", whole, ["given", "length"]))
            infos.append(helper.make_tensor_value_info("history_weights", TensorProto.FLOAT, ["weighed", "lengths"]))
        return infos

    def add(self, structure: Mapping[str, Any], prefix: str, output: str) -> None:
        """Write the nodes of a scorer that end in `output`."""
        write = {"dot": self._dot, "item_item": self._item_item, "sum": self._sum}.get(structure["kind"])
        if write is None:
            raise GnnError(f"a scorer of kind {structure['kind']!r} has no ONNX form; export it without --onnx")
        write(structure, prefix, output)

    def serve(self, scores: str, history: sp.csr_matrix) -> None:
        """Popularity in place of the scores of those without a history, as `all_scores`."""
        strangers = self.constant("served.strangers", without_history(history).numpy())
        unknown = self.node("Or", [self.node("Not", [self.known]), self.node("Gather", [strangers, self.index])])
        if self.given is not None:
            unknown = self.node("And", [unknown, self._absent(self.given.rows)])
        popular = self.constant("served.popularity", popularity(history).numpy()[None])
        self.node("Where", [self._column(unknown), popular, scores], "all_scores")

    def best(self, scores: str, seen: sp.csr_matrix) -> None:
        """The `k` best items of each user but for those seen or given, as `items` and `scores`."""
        self.tensors = {**self.tensors, **csr_to_tensors(seen, "seen")}
        out = Entries(*self.sparse_rows("seen", self.index, self.known))
        if self.given is not None:
            out = self._joined(out, self.given)
        least = self.constant("least", np.float32(-np.inf))
        away = self.node("Expand", [least, self.node("Shape", [out.rows])])
        left = self.with_value(scores, out._replace(values=away), self.size, self.items)
        count = self.node("Min", ["k", self.whole(self.items)])
        self.nodes.append(helper.make_node("TopK", [left, count], ["scores", "best"], axis=1))
        none = self.node("Equal", ["scores", least])
        self.node("Where", [none, self.constant("none", np.int64(-1)), "best"], "items")

    def _dot(self, structure: Mapping[str, Any], prefix: str, output: str) -> None:
        transposed = self.node("Transpose", [self.matrix(prefix + "item_vectors")], perm=[1, 0])
        self.node("MatMul", [self.rows_of(prefix + "user_vectors", self.index), transposed], output)

    def _item_item(self, structure: Mapping[str, Any], prefix: str, output: str) -> None:
        history = self._history(prefix + "history")
        name = prefix + "weights"
        scores = self._dense(history, name) if structure["weights"] == "dense" else self._sparse(history, name)
        shares = popularity(csr_from_tensors(self.tensors, prefix + "history")).numpy()
        popular = self.constant(prefix + "popularity", shares[None])
        self.node("Where", [self._column(self._absent(history.rows)), popular, scores], output)

    def _sum(self, structure: Mapping[str, Any], prefix: str, output: str) -> None:
        terms = []
        for number, (part, weight) in enumerate(zip(structure["parts"], structure["weights"], strict=True)):
            if not weight:
                continue
            name = f"{prefix}{number}.scores"
            self.add(part, f"{prefix}{number}.", name)
            if structure["normalise"] == "rank":
                name = self._places(name)
            elif structure["normalise"]:
                name = self.node("Div", [name, self._deviation(name)])
            terms.append(self.node("Mul", [name, self.constant(f"{prefix}{number}.weight", np.float32(weight))]))
        if terms:
            self.node("Sum", terms, output)
        else:
            self.node("ConstantOfShape", [self.node("Concat", [self.size, self.whole(self.items)], axis=0)], output)

    def _dense(self, history: Entries, name: str) -> str:
        """User after user, as only the rows of their history are read: neither they nor all weights are widened."""
        inner = Nodes(self.tensors)
        inner.initializers = self.initializers
        mine = inner.node("Equal", [history.rows, "row"], f"{name}.mine")
        # one more entry of no weight: an empty history has a sum, too
        items = inner.node("Concat", [self._picked(inner, history.items, mine), self.whole(0)], f"{name}.i", axis=0)
        zero = self.constant("zero", np.zeros(1, dtype=np.float32))
        weights = inner.node("Concat", [self._picked(inner, history.values, mine), zero], f"{name}.w", axis=0)
        rows = inner.node("Gather", [self.stored(name), items], f"{name}.r", axis=0)
        if self.tensors[name].dtype == np.int8:
            scales = inner.node("Gather", [self.stored(f"{name}.scale"), items], f"{name}.s", axis=0)
            weights = inner.node("Mul", [weights, scales], f"{name}.ws")
        if self.tensors[name].dtype != np.float32:
            rows = inner.node("Cast", [rows], f"{name}.rf", to=TensorProto.FLOAT)
        inner.node("MatMul", [weights, rows], f"{name}.sum")
        inner.node("Identity", ["go"], f"{name}.on")
        body = helper.make_graph(
            inner.nodes,
            "user",
            [
                helper.make_tensor_value_info("row", TensorProto.INT64, []),
                helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            ],
            [
                helper.make_tensor_value_info(f"{name}.on", TensorProto.BOOL, []),
                helper.make_tensor_value_info(f"{name}.sum", TensorProto.FLOAT, [self.items]),
            ],
        )
        users = self.node("Squeeze", [self.size])
        return self.node("Loop", [users, self.constant("true", np.bool_(True))], body=body)

    @staticmethod
    def _picked(inner: Nodes, array: str, mine: str) -> str:
        return inner.node("Compress", [array, mine], f"{mine}.{array}", axis=0)

    def _sparse(self, history: Entries, name: str) -> str:
        which, columns, values = self.sparse_rows(name, history.items)
        rows = self.node("Gather", [history.rows, which], axis=0)
        weighed = self.node("Mul", [values, self.node("Gather", [history.values, which], axis=0)])
        return self.block(Entries(rows, columns, weighed), self.size, self.items)

    def _history(self, name: str) -> Entries:
        """What each user of the block has, as a part counts it; parts with the same histories share them."""
        for known, entries in self.histories:
            if all(np.array_equal(self.tensors[f"{known}.{p}"], self.tensors[f"{name}.{p}"]) for p in _CSR):
                return entries
        entries = Entries(*self.sparse_rows(name, self.index, self.known))
        if self.given is not None:
            entries = self._joined(entries, self.given)
        self.histories.append((name, entries))
        return entries

    def _given(self) -> Entries:
        """The entries of `history_items` and `history_weights`."""
        zero = self.constant("axis.0", np.int64(0))
        items = self.node("Expand", ["history_items", self._spread()])
        cells = self.node(
            "Transpose", [self.node("NonZero", [self.node("GreaterOrEqual", [items, zero])])], perm=[1, 0]
        )
        weights = self.node("Expand", ["history_weights", self.node("Shape", [items])])
        rows = self.node(
            "Squeeze", [self.node("Slice", [cells, self.whole(0), self.whole(1), self.whole(1)]), self.whole(1)]
        )
        return Entries(rows, self.node("GatherND", [items, cells]), self.node("GatherND", [weights, cells]))

    def _spread(self) -> str:
        """Shape [block, 1]: a history that is given once is everybody's."""
        return self.node("Concat", [self.size, self.whole(1)], axis=0)

    def _joined(self, first: Entries, second: Entries) -> Entries:
        return Entries(*(self.node("Concat", [a, b], axis=0) for a, b in zip(first, second, strict=True)))

    def _absent(self, rows: str) -> str:
        """bool [block]: which users have no entry."""
        return self.node("Equal", [self.counts(rows, self.size), self.constant("axis.0", np.int64(0))])

    def _column(self, flags: str) -> str:
        return self.node("Unsqueeze", [flags, self.whole(1)])

    def _places(self, scores: str) -> str:
        """Each item's place in its row, from 1 (best) to 0; of equal scores the lower index is first."""
        order = f"{scores}.order"
        self.nodes.append(
            helper.make_node("TopK", [scores, self.whole(self.items)], [f"{scores}.sorted", order], axis=1)
        )
        places = self.constant("places", np.linspace(1, 0, self.items, dtype=np.float32)[None])
        shape = self.node("Shape", [scores])
        return self.node("ScatterElements", [scores, order, self.node("Expand", [places, shape])], axis=1)

    def _deviation(self, scores: str) -> str:
        """Sample standard deviation of each row, at least 1e-12."""
        axes = self.whole(1)
        centred = self.node("Sub", [scores, self.node("ReduceMean", [scores, axes])])
        squares = self.node("ReduceSumSquare", [centred, axes])
        count = self.constant("others", np.float32(max(self.items - 1, 1)))
        spread = self.node("Sqrt", [self.node("Div", [squares, count])])
        return self.node("Max", [spread, self.constant("tiny", np.float32(1e-12))])


_CSR = ("indptr", "indices", "data")
