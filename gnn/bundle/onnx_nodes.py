"""Nodes of an ONNX graph and what is built of a few of them: stored matrices at any precision, sparse rows."""

from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gnn.bundle.quantised import CODEBOOKS, CODES
from gnn.bundle.tensors import Tensors


class Entries(NamedTuple):
    """Names of three arrays of one length: the cells of a sparse block of users by items."""

    rows: str
    """int64, a user's place in the block."""
    items: str
    """int64."""
    values: str
    """float32."""


class Nodes:
    """Collects nodes and initializers; a stored array keeps its name in the bundle."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """One node; the name of its (first) output."""
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, array: Any) -> str:
        """An initializer; the same name is stored once."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def whole(self, *numbers: int) -> str:
        """Whole numbers as int64 [n]."""
        return self.constant("int." + "_".join(map(str, numbers)), np.array(numbers, dtype=np.int64))

    def stored(self, name: str) -> str:
        """An array of the bundle as it is."""
        return self.constant(name, self.tensors[name])

    def wide(self, name: str) -> str:
        """float32 [..., items], whatever comes."""
        return self.node("Cast", [name], to=TensorProto.FLOAT)

    def rows_of(self, name: str, index: str) -> str:
        """float32 rows of a stored matrix, gathered before they are widened."""
        if name + CODES in self.tensors:
            return self._decoded(name, self.node("Gather", [self.stored(name + CODES), index], axis=0))
        rows = self.node("Gather", [self.stored(name), index], axis=0)
        if self.tensors[name].dtype == np.float32:
            return rows
        if self.tensors[name].dtype != np.int8:
            return self.wide(rows)
        scales = self.node("Gather", [self.stored(f"{name}.scale"), index], axis=0)
        return self.node("Mul", [self.wide(rows), self.node("Unsqueeze", [scales, self.whole(1)])])

    def matrix(self, name: str) -> str:
        """A stored matrix as float32."""
        if name + CODES in self.tensors:
            return self._decoded(name, self.stored(name + CODES))
        if self.tensors[name].dtype == np.float32:
            return self.stored(name)
        wide = self.wide(self.stored(name))
        if self.tensors[name].dtype != np.int8:
            return wide
        scales = self.node("Unsqueeze", [self.stored(f"{name}.scale"), self.whole(1)])
        return self.node("Mul", [wide, scales])

    def sparse_rows(self, name: str, rows: str, kept: str | None = None) -> tuple[str, str, str]:
        """The cells of some rows (int64 [n]) of a stored sparse matrix, one after another.

        For each cell the place of its row among those asked for, its column and its value. `kept` (bool [n]): rows
        to read at all; the others have no cells.
        """
        pointers = self.stored(f"{name}.indptr")
        start = self.node("Gather", [pointers, rows], axis=0)
        end = self.node("Gather", [pointers, self.node("Add", [rows, self.whole(1)])], axis=0)
        length = self.node("Sub", [end, start])
        if kept is not None:
            length = self.node("Mul", [length, self.node("Cast", [kept], to=TensorProto.INT64)])
        which, position = self._laid_out(start, length)
        columns = self.node("Gather", [self.stored(f"{name}.indices"), position], axis=0)
        values = self.node("Gather", [self.stored(f"{name}.data"), position], axis=0)
        return which, self.node("Cast", [columns], to=TensorProto.INT64), self.wide(values)

    def block(self, entries: Entries, size: str, columns: int) -> str:
        """float32 [block, columns]: the entries added up, 0 elsewhere. `size` is the block's, int64 [1]."""
        return self._scattered(entries, size, columns, None, reduction="add")

    def with_value(self, scores: str, entries: Entries, size: str, columns: int) -> str:
        """The scores with each entry's cell set to its value."""
        return self._scattered(entries, size, columns, scores)

    def counts(self, rows: str, size: str) -> str:
        """How many times each place of a block is among `rows`, int64 [block]."""
        return self._counted(size, rows)

    def _decoded(self, name: str, codes: str) -> str:
        """What codes (uint8 [rows, pieces]) stand for: each piece looks up in a codebook of its own."""
        books = self.tensors[name + CODEBOOKS]
        pieces, size, numbers = books.shape
        first = self.constant(f"{name}.first", np.arange(pieces, dtype=np.int64) * size)
        place = self.node("Add", [self.node("Cast", [codes], to=TensorProto.INT64), first])
        flat = self.constant(name + CODEBOOKS, books.reshape(pieces * size, numbers))
        return self.node("Reshape", [self.wide(self.node("Gather", [flat, place])), self.whole(-1, pieces * numbers)])

    def _laid_out(self, start: str, length: str) -> tuple[str, str]:
        """`start[i], start[i] + 1, ...`, `length[i]` of each: which `i` and the number, both int64 [sum of length]."""
        ends = self.node("CumSum", [length, self.constant("axis.0", np.int64(0))])
        total = self.node("ReduceSum", [length, self.whole(0)], keepdims=1)
        marks = self._counted(self.node("Add", [total, self.whole(1)]), ends)
        steps = self.node("CumSum", [marks, self.constant("axis.0", np.int64(0))])
        which = self.node("Slice", [steps, self.whole(0), total])
        scalar = self.node("Squeeze", [total])
        zero, one = self.constant("axis.0", np.int64(0)), self.constant("step.1", np.int64(1))
        before = self.node("Gather", [self.node("Sub", [ends, length]), which], axis=0)
        offset = self.node("Sub", [self.node("Range", [zero, scalar, one]), before])
        return which, self.node("Add", [self.node("Gather", [start, which], axis=0), offset])

    def _counted(self, size: str, places: str) -> str:
        """How many times each number under `size` (int64 [1]) occurs."""
        empty = self.node("ConstantOfShape", [size], value=helper.make_tensor("v", TensorProto.INT64, [1], [0]))
        ones = helper.make_tensor("v", TensorProto.INT64, [1], [1])
        each = self.node("ConstantOfShape", [self.node("Shape", [places])], value=ones)
        return self.node("ScatterElements", [empty, places, each], axis=0, reduction="add")

    def _scattered(self, entries: Entries, size: str, columns: int, onto: str | None, **how: str) -> str:
        place = self.node("Add", [self.node("Mul", [entries.rows, self.whole(columns)]), entries.items])
        if onto is None:
            onto = self.node("ConstantOfShape", [self.node("Mul", [size, self.whole(columns)])])
        flat = self.node("Reshape", [onto, self.whole(-1)])
        filled = self.node("ScatterElements", [flat, place, entries.values], axis=0, **how)
        return self.node("Reshape", [filled, self.whole(-1, columns)])
