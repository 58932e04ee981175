"""Boosted trees as plain arrays: checked, scored by onnxruntime, and taken apart into exact shares of each feature.

LightGBM grows them (`gnn/ranker/growing.py`); whoever scores needs the arrays alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int

from gnn.errors import BundleError

if TYPE_CHECKING:
    import onnx
    from onnxruntime import InferenceSession

_MAX_NODES = 4_000_000
_BLOCK_CELLS = 1 << 22
"""Rows x leaves x features of a path that are held at once while a score is taken apart."""

_REAL = ("threshold", "value", "cover")
_INPUT, _OUTPUT = "features", "scores"


@dataclass(frozen=True)
class Trees:
    """A sum of trees; a node's children stand after it, so that every walk ends.

    At an inner node a row goes left where `row[feature] <= threshold`.
    """

    feature: Int[np.ndarray, "nodes"]
    """int32, -1 at a leaf."""
    threshold: Float[np.ndarray, "nodes"]
    """float32."""
    left: Int[np.ndarray, "nodes"]
    """int32, index of the child; of a leaf 0."""
    right: Int[np.ndarray, "nodes"]
    value: Float[np.ndarray, "nodes"]
    """float32, what a leaf adds to the score; of an inner node 0."""
    cover: Float[np.ndarray, "nodes"]
    """float32, how many training rows came by."""
    roots: Int[np.ndarray, "trees"]
    """int32, ascending: where each tree starts; it ends where the next one does."""

    def to_tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {f"{prefix}{name}": array for name, array in self._arrays().items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], prefix: str, features: int) -> "Trees":
        """The inverse, of trees over so many features. Raises `BundleError` for what is no forest: links that leave it,
        turn back or meet, features that are not there, numbers that are none."""
        found = {}
        for name in cls.__annotations__:
            array, wanted = tensors.get(prefix + name), np.float32 if name in _REAL else np.int32
            if array is None or array.dtype != wanted or array.ndim != 1:
                raise BundleError(f"{prefix}{name} is no row of {np.dtype(wanted).name}; train again")
            found[name] = array
        trees = cls(**found)
        if problem := trees._problem(features):
            raise BundleError(f"{prefix.rstrip('.')}: {problem}; train again")
        return trees

    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in Trees.__annotations__}

    def _problem(self, features: int) -> str | None:
        """What makes these arrays no forest, if anything does."""
        nodes = len(self.feature)
        if not 0 < nodes <= _MAX_NODES or len({len(a) for a in self._arrays().values() if a is not self.roots}) != 1:
            return f"{nodes:,} nodes, or arrays of different lengths"
        if not all(np.isfinite(array).all() for array in (self.threshold, self.value, self.cover)):
            return "a number that is not finite"
        if self.feature.min() < -1 or self.feature.max() >= features or self.cover.min() <= 0:
            return f"a feature outside of {features}, or a node that no row reached"
        roots = self.roots
        if not len(roots) or roots[0] != 0 or (roots[1:] <= roots[:-1]).any() or roots[-1] >= nodes:
            return "roots that do not ascend"
        inner = np.flatnonzero(self.feature >= 0)
        ends = np.append(roots[1:], nodes)[np.searchsorted(roots, inner, side="right") - 1]
        children = np.stack([self.left[inner], self.right[inner]])
        if (children <= inner).any() or (children >= ends).any():
            return "a child outside of its tree or before its parent"
        # every node but the roots has one parent, so nothing meets and nothing is left over
        parents = np.bincount(children.ravel(), minlength=nodes)
        parents[roots] += 1
        return None if (parents == 1).all() else "a node with two parents or none"

    @cached_property
    def _session(self) -> "InferenceSession":
        from onnxruntime import InferenceSession, SessionOptions  # here: only what ranks needs it

        options = SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        return InferenceSession(self.to_onnx().SerializeToString(), options, providers=["CPUExecutionProvider"])

    def scores(self, rows: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "rows"]:
        """The sum over trees of the value of the leaf that a row ends in, float32."""
        if not len(rows):
            return np.zeros(0, dtype=np.float32)
        found: Any = self._session.run([_OUTPUT], {_INPUT: np.ascontiguousarray(rows, dtype=np.float32)})[0]
        return found[:, 0]

    def to_onnx(self) -> "onnx.ModelProto":
        """An ONNX model of one TreeEnsembleRegressor: `features` float32 [rows, features] -> `scores` [rows, 1]."""
        from onnx import TensorProto, checker, helper

        tree = np.searchsorted(self.roots, np.arange(len(self.feature)), side="right") - 1
        own = np.arange(len(self.feature)) - self.roots[tree]
        leaf = self.feature < 0
        node = helper.make_node(
            "TreeEnsembleRegressor",
            [_INPUT],
            [_OUTPUT],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            nodes_treeids=tree.tolist(),
            nodes_nodeids=own.tolist(),
            nodes_featureids=np.where(leaf, 0, self.feature).tolist(),
            nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
            nodes_values=self.threshold.tolist(),
            nodes_truenodeids=np.where(leaf, 0, self.left - self.roots[tree]).tolist(),
            nodes_falsenodeids=np.where(leaf, 0, self.right - self.roots[tree]).tolist(),
            target_treeids=tree[leaf].tolist(),
            target_nodeids=own[leaf].tolist(),
            target_ids=np.zeros(int(leaf.sum()), dtype=np.int64).tolist(),
            target_weights=self.value[leaf].tolist(),
        )
        rows = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["rows", "features"])
        out = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["rows", 1])
        graph = helper.make_graph([node], "ranker", [rows], [out])
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=8, producer_name="modalweave")
        checker.check_model(model)
        return model

    def shares(self, rows: Float[np.ndarray, "rows features"]) -> tuple[Float[np.ndarray, "rows features"], float]:
        """What each feature adds to a row's score, float64, and the score before anything is known; they add up to it.

        Shapley values over the features, what is unknown averaged over the training rows (path-dependent TreeSHAP:
        Lundberg et al., Nature Machine Intelligence 2020). In a leaf each feature f of its path is satisfied (o_f) or
        not, and by chance with the share z_f of rows; with t the share of features known before f, the leaf's value v
        gives f `v (o_f - z_f) * integral of prod over g != f of (z_g + (o_g - z_g) t) dt`, a polynomial that
        Gauss-Legendre points integrate exactly.
        """
        paths = self._paths
        found = np.zeros(rows.shape, dtype=np.float64)
        points, weights = np.polynomial.legendre.leggauss(paths.feature.shape[1] // 2 + 1)
        size = max(1, _BLOCK_CELLS // paths.feature.size)
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            known = block[:, paths.feature]
            satisfied = ((known > paths.low) & (known <= paths.high)).astype(np.float64)
            gain, total = satisfied - paths.share, np.zeros_like(satisfied)
            for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
                factors = paths.share + gain * point
                total += weight * factors.prod(axis=2, keepdims=True) / factors
            total *= gain * paths.value[:, None]
            for row, values in enumerate(total, start):
                found[row] = np.bincount(paths.feature.ravel(), values.ravel(), minlength=rows.shape[1])
        return found, float((paths.value * paths.share.prod(axis=1)).sum())

    @cached_property
    def _paths(self) -> "_Paths":
        """Each leaf's way from its root, the splits by one feature as one interval."""
        leaves: list[tuple[float, dict[int, tuple[float, float, float]]]] = []
        for root in self.roots:
            waiting: list[tuple[int, dict[int, tuple[float, float, float]]]] = [(int(root), {})]
            while waiting:
                node, path = waiting.pop()
                split = int(self.feature[node])
                if split < 0:
                    leaves.append((float(self.value[node]), path))
                    continue
                low, high, share = path.get(split, (-np.inf, np.inf, 1.0))
                threshold = float(self.threshold[node])
                left, right = int(self.left[node]), int(self.right[node])
                whole = float(self.cover[left]) + float(self.cover[right])
                below = (low, min(high, threshold), share * float(self.cover[left]) / whole)
                above = (max(low, threshold), high, share * float(self.cover[right]) / whole)
                waiting += [(left, path | {split: below}), (right, path | {split: above})]
        longest = max(1, *(len(path) for _, path in leaves))
        feature = np.zeros((len(leaves), longest), dtype=np.int64)
        lows, highs = np.full(feature.shape, -np.inf), np.full(feature.shape, np.inf)
        shares = np.ones(feature.shape)  # a place that is filled up adds nothing: it is satisfied always
        for n, (_, path) in enumerate(leaves):
            for place, (name, (least, most, chance)) in enumerate(path.items()):
                feature[n, place], lows[n, place], highs[n, place], shares[n, place] = name, least, most, chance
        return _Paths(np.array([value for value, _ in leaves]), feature, lows, highs, shares)


@dataclass(frozen=True)
class _Paths:
    """The ways to all leaves; a row satisfies a place where `low < row[feature] <= high`."""

    value: Float[np.ndarray, "leaves"]
    feature: Int[np.ndarray, "leaves places"]
    low: Float[np.ndarray, "leaves places"]
    high: Float[np.ndarray, "leaves places"]
    share: Float[np.ndarray, "leaves places"]
    """Of the training rows that came to these splits, those that satisfied them."""
