"""Scorers to flat named arrays and back: the part of the bundle that knows what a scorer is made of."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from gnn.errors import BundleError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, UserTerms

Tensors = dict[str, np.ndarray]

_MAX_DEPTH = 4
_MAX_PARTS = 64
_MAX_WEIGHT = 1e30


def scorer_to_tensors(scorer: Scorer, prefix: str = "") -> tuple[Tensors, dict[str, Any]]:
    """Arrays by name, and the JSON structure that says how they make up the scorer."""
    if isinstance(scorer, DotScorer):
        vectors = {"user_vectors": scorer.user_vectors, "item_vectors": scorer.item_vectors}
        return {prefix + k: np.ascontiguousarray(v.numpy()) for k, v in vectors.items()}, {"kind": "dot"}
    if isinstance(scorer, ItemItemScorer):
        tensors = csr_to_tensors(scorer.history, prefix + "history")
        if isinstance(scorer.weights, torch.Tensor):
            tensors[prefix + "weights"] = np.ascontiguousarray(scorer.weights.numpy())
            return tensors, {"kind": "item_item", "weights": "dense"}
        return tensors | csr_to_tensors(scorer.weights, prefix + "weights"), {
            "kind": "item_item",
            "weights": "sparse",
        }
    if isinstance(scorer, SumScorer):
        arrays: Tensors = {}
        parts = []
        for number, part in enumerate(scorer.parts):
            found, structure = scorer_to_tensors(part, f"{prefix}{number}.")
            arrays |= found
            parts.append(structure)
        weights = [float(w) for w in scorer.weights]
        return arrays, {"kind": "sum", "weights": weights, "normalise": scorer.normalise, "parts": parts}
    raise BundleError(f"a scorer of kind {scorer.kind!r} cannot be saved; use dot, item_item or sum")


def scorer_from_tensors(tensors: Mapping[str, np.ndarray], structure: Any, prefix: str = "", depth: int = 0) -> Scorer:
    """The inverse of `scorer_to_tensors`; a structure or array that does not fit raises `BundleError`."""
    if not isinstance(structure, dict) or depth > _MAX_DEPTH:
        raise BundleError("the manifest's 'scorer' is malformed; train again")
    kind = structure.get("kind")
    if kind == "dot":
        users, items = _matrix(tensors, prefix + "user_vectors"), _matrix(tensors, prefix + "item_vectors")
        if users.shape[1] != items.shape[1]:
            raise BundleError(f"user vectors have {users.shape[1]} dimensions, item vectors {items.shape[1]}")
        return DotScorer(users, items)
    if kind == "item_item":
        history = csr_from_tensors(tensors, prefix + "history")
        dense = structure.get("weights") == "dense"
        weights = _matrix(tensors, prefix + "weights") if dense else csr_from_tensors(tensors, prefix + "weights")
        if tuple(weights.shape) != (history.shape[1], history.shape[1]):
            raise BundleError(f"item weights are {tuple(weights.shape)}, the catalogue has {history.shape[1]} items")
        return ItemItemScorer(history, weights)
    if kind == "sum":
        return _sum_from_tensors(tensors, structure, prefix, depth)
    raise BundleError(f"scorer kind {kind!r} is unknown; use dot, item_item or sum")


def terms_to_tensors(scorer: Scorer, prefix: str = "") -> Tensors:
    """The terms of the scorer's dot products as arrays; empty where it has none."""
    if isinstance(scorer, SumScorer):
        parts = [terms_to_tensors(part, f"{prefix}{number}.") for number, part in enumerate(scorer.parts)]
        return {name: array for part in parts for name, array in part.items()}
    terms = scorer.terms if isinstance(scorer, DotScorer) else None
    if terms is None:
        return {}
    found = {"messages": terms.messages, **{f"channel.{name}": c for name, c in terms.channels.items()}}
    found |= {name: t for name, t in (("gates", terms.gates), ("scale", terms.scale)) if t is not None}
    arrays = {prefix + name: np.ascontiguousarray(tensor.numpy()) for name, tensor in found.items()}
    return {**arrays, f"{prefix}exponent": np.array([terms.exponent])}


def with_terms(scorer: Scorer, tensors: Mapping[str, np.ndarray], prefix: str = "") -> Scorer:
    """The scorer with the terms that `terms_to_tensors` gave; arrays that do not fit raise `BundleError`."""
    if isinstance(scorer, SumScorer):
        parts = [with_terms(part, tensors, f"{prefix}{number}.") for number, part in enumerate(scorer.parts)]
        return replace(scorer, parts=parts)
    if not isinstance(scorer, DotScorer) or f"{prefix}messages" not in tensors:
        return scorer
    start = f"{prefix}channel."
    # the gates' columns follow the channels in the order of their names
    channels = {n.removeprefix(start): _matrix(tensors, n) for n in sorted(tensors) if n.startswith(start)}
    gates = _matrix(tensors, f"{prefix}gates") if channels else None
    scale = torch.from_numpy(_finite(tensors[f"{prefix}scale"], "scale")) if f"{prefix}scale" in tensors else None
    exponent = _finite(_array(tensors, f"{prefix}exponent"), "exponent")
    if exponent.shape != (1,):
        raise BundleError(f"{prefix}exponent is {exponent.shape}; one number is needed")
    terms = UserTerms(_matrix(tensors, f"{prefix}messages"), channels, gates, scale, float(exponent[0]))
    fits = all(t.shape == scorer.item_vectors.shape for t in (terms.messages, *channels.values()))
    fits = fits and (gates is None or gates.shape == (scorer.num_users, len(channels)))
    if not fits or (scale is not None and scale.shape != (scorer.num_users,)):
        raise BundleError("the terms of a dot product do not fit its vectors; train again")
    return replace(scorer, terms=terms)


def csr_to_tensors(matrix: sp.csr_matrix, name: str) -> Tensors:
    """A csr matrix as four arrays; indices sorted, so equal matrices give equal bytes."""
    matrix = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def csr_from_tensors(tensors: Mapping[str, np.ndarray], name: str) -> sp.csr_matrix:
    """The inverse of `csr_to_tensors`, checked so that no index leaves the matrix."""
    data, indices, indptr, shape = (
        _array(tensors, f"{name}.{part}") for part in ("data", "indices", "indptr", "shape")
    )
    whole = all(a.ndim == 1 and a.dtype.kind in "iu" for a in (indices, indptr, shape))
    if not whole or data.ndim != 1 or data.dtype.kind != "f":
        raise BundleError(f"{name} needs a list of numbers and three of whole numbers; train again")
    if shape.shape != (2,) or (shape < 0).any():
        raise BundleError(f"{name}.shape has {len(shape)} numbers, some below 0 or not two; two sizes are needed")
    rows, columns = (int(n) for n in shape)
    indptr = indptr.astype(np.int64, copy=False)  # differences of unsigned numbers are never below 0
    sound = len(indptr) == rows + 1 and indptr[0] == 0 and indptr[-1] == len(data) == len(indices)
    sound = sound and bool((np.diff(indptr) >= 0).all())
    if not sound or (len(indices) and (indices.min() < 0 or indices.max() >= columns)):
        raise BundleError(f"{name} is no valid sparse matrix of {rows} x {columns}; train again")
    data, wide = _finite(data, name), np.int32 if columns <= 2**31 else np.int64
    return sp.csr_matrix((data, indices.astype(wide, copy=False), indptr), shape=(rows, columns))


def _sum_from_tensors(
    tensors: Mapping[str, np.ndarray], structure: dict[str, Any], prefix: str, depth: int
) -> SumScorer:
    kinds, weights, normalise = structure.get("parts"), structure.get("weights"), structure.get("normalise")
    listed = isinstance(kinds, list) and isinstance(weights, list) and 0 < len(kinds) == len(weights) <= _MAX_PARTS
    numbers = all(isinstance(w, int | float) and abs(w) < _MAX_WEIGHT for w in weights or ())
    if not listed or not numbers or not (isinstance(normalise, bool) or normalise == "rank"):
        raise BundleError(
            "the manifest's sum scorer needs equally many parts and weights, and 'normalise'; train again"
        )
    parts = [
        scorer_from_tensors(tensors, part, f"{prefix}{number}.", depth + 1) for number, part in enumerate(kinds or ())
    ]
    if len({(part.num_users, part.num_items) for part in parts}) != 1:
        raise BundleError("the parts of the sum scorer speak of different users or items; train again")
    return SumScorer(parts, [float(w) for w in weights or ()], normalise)


def _matrix(tensors: Mapping[str, np.ndarray], name: str) -> torch.Tensor:
    """A float matrix, or an int8 one with a scale for each row."""
    array = _array(tensors, name)
    if array.ndim == 2 and array.dtype == np.int8:
        scale = _array(tensors, f"{name}.scale")
        if scale.shape != (len(array),) or scale.dtype.kind != "f":
            raise BundleError(f"{name}.scale has shape {scale.shape}; {len(array)} numbers are needed")
        with np.errstate(over="ignore", invalid="ignore"):
            wide = array.astype(np.float32) * scale.astype(np.float32)[:, None]
        return torch.from_numpy(_finite(wide, name))
    if array.ndim != 2 or array.dtype.kind != "f":
        raise BundleError(f"{name} is {array.dtype} with shape {array.shape}; a float matrix is needed")
    return torch.from_numpy(_finite(array, name))


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    """The numbers as float32, none of them NaN or infinite."""
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32, copy=False)
    if not finite(numbers):
        raise BundleError(f"{name} holds NaN or infinite numbers; train again")
    return numbers


def finite(array: np.ndarray) -> bool:
    """Whether no number is NaN or infinite; by the least and the largest, which takes no memory."""
    return not array.size or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _array(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise BundleError(f"tensor {name!r} is missing from the bundle; train again")
    return tensors[name]
